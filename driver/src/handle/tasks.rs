//! Network tasks and the data area, as an application reaches them.

use super::{Handle, ListError, Shared};
use crate::Node;
use crate::reply::{Promise, Reply, Stopped, promise};
use p2pnet_protocol::task::{Audience, DataEntry, TaskBody, TaskFailure, TaskKind, TaskOutcome};
use p2pnet_protocol::{CommandError, Duration, Event, Instant, PeerId, TaskId, TaskView};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Why nothing came of a task that was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody got it.
    NotSent(CommandError),
    /// The peer got it, and this came of it.
    Failed(TaskFailure),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for AskError {}

impl From<Stopped> for AskError {
    fn from(stopped: Stopped) -> Self {
        Self::NotSent(stopped.into())
    }
}

/// Those who wait for the answer to a task. Never more than there are tasks under way.
#[derive(Default)]
pub(crate) struct Asking(Mutex<BTreeMap<(TaskId, PeerId), Promise<TaskOutcome, AskError>>>);

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").finish_non_exhaustive()
    }
}

impl Asking {
    /// Tells whoever waits for this, if anybody does.
    pub(crate) fn on_event(&self, event: &Event) {
        let Event::TaskAnswered { peer, task, result } = event else { return };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let promise = waiting.remove(&(*task, *peer));
        drop(waiting);
        if let Some(promise) = promise {
            promise.answer(result.clone().map_err(AskError::Failed));
        }
    }

    /// Nobody will answer any more.
    pub(crate) fn end(&self) {
        let ended = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(ended);
    }

    fn add(&self, task: TaskId, peer: PeerId, promise: Promise<TaskOutcome, AskError>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert((task, peer), promise);
    }
}

impl Handle {
    /// Asks a peer, or every one, to do something. [`Event::TaskAnswered`](p2pnet_protocol::Event::TaskAnswered) tells what
    /// became of it, once for each peer that got it. Without `valid` the task is valid for a minute.
    pub fn issue_task(
        &self,
        audience: Audience,
        body: TaskBody,
        valid: Option<Duration>,
    ) -> Reply<TaskId, CommandError> {
        self.try_call(move |net, now| net.issue_task(now, audience, &body, valid))
    }

    /// [`issue_task`](Self::issue_task) to one peer, and the reply is the peer's answer.
    pub fn ask_task(
        &self,
        peer: PeerId,
        body: TaskBody,
        valid: Option<Duration>,
    ) -> Reply<TaskOutcome, AskError> {
        self.ask(peer, move |net, now| net.issue_task(now, Audience::One(peer), &body, valid))
    }

    /// [`deliver_task`](Self::deliver_task) for one peer, and the reply is that peer's answer.
    pub fn ask_signed_task(&self, peer: PeerId, task: Vec<u8>) -> Reply<TaskOutcome, AskError> {
        self.ask(peer, move |net, now| net.deliver_task(now, &task.into()))
    }

    /// [`sync_data`](Self::sync_data), and the reply comes when both areas are the same.
    pub fn ask_sync(&self, peer: PeerId) -> Reply<TaskOutcome, AskError> {
        self.ask(peer, move |net, now| net.sync_data(now, peer))
    }

    fn ask<F>(&self, peer: PeerId, run: F) -> Reply<TaskOutcome, AskError>
    where
        F: FnOnce(&mut Node, Instant) -> Result<TaskId, CommandError> + Send + 'static,
    {
        let (promise, reply) = promise();
        // The closure must not keep the node alive as a handle does.
        let shared: Arc<Shared> = Arc::clone(&self.0.0);
        let _asked = self.call(move |net, now| match run(net, now) {
            Ok(task) => shared.asking.add(task, peer, promise),
            Err(error) => promise.answer(Err(AskError::NotSent(error))),
        });
        reply
    }

    /// Hands on a task that was signed elsewhere, such as by the holder of the authority's key.
    pub fn deliver_task(&self, task: Vec<u8>) -> Reply<TaskId, CommandError> {
        self.try_call(move |net, now| net.deliver_task(now, &task.into()))
    }

    /// Issues a task for a peer that may be away: it gets it when its key sends a heartbeat.
    pub fn keep_task(
        &self,
        peer: PeerId,
        body: TaskBody,
        valid: Duration,
    ) -> Reply<TaskId, CommandError> {
        self.try_call(move |net, now| net.keep_task(now, peer, &body, valid))
    }

    /// The application has done a task that waited for it.
    pub fn finish_task(
        &self,
        peer: PeerId,
        task: TaskId,
        result: Result<TaskOutcome, TaskFailure>,
    ) -> Reply<(), CommandError> {
        self.try_call(move |net, now| net.finish_task(now, &peer, task, result))
    }

    /// Whether the application itself does tasks of this kind.
    pub fn set_task_handler(&self, kind: TaskKind, on: bool) -> Reply<()> {
        self.call(move |net, now| net.set_task_handler(now, kind, on))
    }

    /// The tasks under way.
    pub fn tasks(&self) -> Reply<Vec<TaskView>> {
        self.call(|net, _| net.tasks())
    }

    /// Writes a value into the data area, or deletes with none. Where there is a state directory, the reply means that it
    /// is on disk.
    pub fn put_data(
        &self,
        key: impl Into<String>,
        value: Option<Vec<u8>>,
    ) -> Reply<DataEntry, ListError> {
        let key = key.into();
        self.change_kept(move |net, now| net.put_data(now, &key, value.map(Into::into)))
    }

    /// The entry of a key; one that was deleted has no value.
    pub fn data(&self, key: impl Into<String>) -> Reply<Option<DataEntry>> {
        let key = key.into();
        self.call(move |net, _| net.data(&key))
    }

    /// The whole data area, deleted entries included.
    pub fn data_entries(&self) -> Reply<Vec<DataEntry>> {
        self.call(|net, _| net.data_entries())
    }

    /// Compares the data area with a peer's until both are the same.
    pub fn sync_data(&self, peer: PeerId) -> Reply<TaskId, CommandError> {
        self.try_call(move |net, now| net.sync_data(now, peer))
    }

    /// Turns away whoever the authority has given this label.
    pub fn block_label(&self, label: impl Into<String>) -> Reply<(), ListError> {
        let label = label.into();
        self.change_kept(move |net, now| net.block_label(now, &label))
    }

    /// Lifts the block of a label.
    pub fn unblock_label(&self, label: impl Into<String>) -> Reply<(), ListError> {
        let label = label.into();
        self.change_kept(move |net, now| {
            net.unblock_label(now, &label);
            Ok(())
        })
    }

    /// The blocked labels.
    pub fn blocked_labels(&self) -> Reply<Vec<String>> {
        self.call(|net, _| net.blocked_labels())
    }
}
