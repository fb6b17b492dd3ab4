//! Tasks that wait for their peers, from memory.

use crate::store::QueuedTask;
use bytes::Bytes;
use p2pnet_protocol::discovery::bootstrap::HeartbeatReply;
use p2pnet_protocol::task::NetworkTask;
use p2pnet_protocol::{PeerId, TaskId};
use std::collections::HashMap;

/// A task that waits.
#[derive(Clone, Debug)]
struct Waiting {
    number: u32,
    id: TaskId,
    network: [u8; 8],
    task: Bytes,
    until_ms: u64,
}

/// All that wait, oldest first.
#[derive(Clone, Debug, Default)]
pub struct TaskBook {
    one: HashMap<PeerId, Vec<Waiting>>,
    all: Vec<Waiting>,
}

impl TaskBook {
    /// The most tasks that wait at a time.
    pub const TASKS_MAX: u32 = 10_000;

    /// Arranges tasks; what is none is left out.
    pub fn new(queued: Vec<QueuedTask>) -> Self {
        let mut book = Self::default();
        for QueuedTask { number, id, peer, task, until_ms } in queued {
            let (task, number) = (Bytes::from(task), u32::try_from(number).unwrap_or(u32::MAX));
            let Ok(NetworkTask { network, .. }) = NetworkTask::decode(&task) else { continue };
            let waiting = Waiting { number, id, network, task, until_ms };
            match peer {
                Some(peer) => book.one.entry(peer).or_default().push(waiting),
                None => book.all.push(waiting),
            }
        }
        book
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.all.len() + self.one.values().map(Vec::len).sum::<usize>()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.one.is_empty()
    }

    /// What `peer`, which has got those for everybody up to `told`, gets at `now_ms`: as much as fits into a reply, its own
    /// first.
    pub fn next(&self, now_ms: u64, peer: &PeerId, network: &[u8; 8], told: u32) -> Vec<Bytes> {
        let own = self.one.get(peer).into_iter().flatten();
        let everybodys = self.all.iter().filter(|task| task.number > told);
        let valid = own.chain(everybodys);
        let valid = valid.filter(|task| task.until_ms > now_ms && task.network == *network);
        let mut left = HeartbeatReply::TASKS_BYTES_MAX;
        let fitting = valid.take(HeartbeatReply::TASKS_MAX).map_while(|task| {
            left = left.checked_sub(task.task.len())?;
            Some(task.task.clone())
        });
        fitting.collect()
    }

    /// `peer`, which has got those for everybody up to `told`, says that it got these too. Takes its own off; returns
    /// which these were, and up to which number it has got those for everybody now.
    pub fn received(
        &mut self,
        peer: &PeerId,
        network: &[u8; 8],
        told: u32,
        ids: &[TaskId],
    ) -> (Vec<TaskId>, u32) {
        let mut got = Vec::new();
        if let Some(own) = self.one.get_mut(peer) {
            own.retain(|task| {
                let received = ids.contains(&task.id);
                got.extend(received.then_some(task.id));
                !received
            });
            if own.is_empty() {
                self.one.remove(peer);
            }
        }
        // Only without a gap: one that was lost comes again.
        let ahead = self.all.iter().filter(|task| task.number > told && task.network == *network);
        let got_all = ahead.take_while(|task| ids.contains(&task.id));
        let told = got_all.last().map_or(told, |task| task.number);
        (got, told)
    }
}
