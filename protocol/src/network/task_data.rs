//! How data areas meet: what is written here goes to every trusted peer, and areas that were apart are compared.
//!
//! Comparing goes span by span: one side says which versions it holds, the other answers with what that side lacks and
//! which keys it wants itself. A side whose area is empty waits for the other to begin.

use super::PeerNetwork;
use super::tasks::Area;
use super::tasks::Purpose;
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::error::CommandError;
use crate::id::{ConnId, PeerId, TaskId};
use crate::io::Event;
use crate::task::data::{DataEntry, Span};
use crate::task::{Audience, TaskBody, TaskFailure, TaskOutcome};
use crate::time::Instant;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

impl<C: Crypto> PeerNetwork<C> {
    /// Writes a value into the data area, or deletes with none; trusted peers get it at once. Says what was written.
    ///
    /// # Errors
    /// [`CommandError::Data`]; nothing has changed then.
    pub fn put_data(
        &mut self,
        now: Instant,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<DataEntry, CommandError> {
        self.cx.at(now);
        let entry = self.tasks.data.put(key, value, self.me.id).map_err(CommandError::Data)?;
        self.tasks.changed(Area::Data);
        self.cx.tell(Event::DataChanged { key: entry.key.clone(), from: None });
        self.spread_data(None, &[entry.key.as_str()]);
        Ok(entry)
    }

    /// The entry of a key, deleted or not.
    pub fn data(&self, key: &str) -> Option<DataEntry> {
        self.tasks.data.get(key)
    }

    /// The whole data area, by key, deleted entries included.
    pub fn data_entries(&self) -> Vec<DataEntry> {
        self.tasks.data.iter().collect()
    }

    /// Compares the data area with a peer's. [`Event::TaskAnswered`] tells when both are the same.
    ///
    /// # Errors
    /// [`CommandError`] if the peer can't be asked.
    pub fn sync_data(&mut self, now: Instant, peer: PeerId) -> Result<TaskId, CommandError> {
        self.cx.at(now);
        self.compare_from(peer, None, Root::This)
    }

    /// A peer is trusted from now on: the areas meet, if there is anything here.
    pub(super) fn meet_data(&mut self, conn: ConnId) {
        if !self.tasks.config.replicate_data || self.tasks.data.is_empty() {
            return;
        }
        let Some(link) = self.link_mut(conn) else { return };
        if link.announced && link.trust == Trust::Trusted {
            let peer = link.channel.peer;
            // Without a clock or room for one more task, the areas meet another time.
            let _later = self.compare_from(peer, None, Root::Nobody);
        }
    }

    fn compare_from(
        &mut self,
        peer: PeerId,
        after: Option<&str>,
        root: Root,
    ) -> Result<TaskId, CommandError> {
        let span = self.tasks.data.span(after, self.task_room(&peer));
        let body = TaskBody::SynchronizeData(span.clone());
        let task = self.sign_task(Audience::One(peer), &body, None, None)?;
        let root = match root {
            Root::This => Some(task.id),
            Root::Task(id) => Some(id),
            Root::Nobody => None,
        };
        self.spread_task(&task, |_| Purpose::Synchronize { span: span.clone(), root })?;
        Ok(task.id)
    }

    /// The other side of a comparison: what the peer lacks of a span, and what this side does.
    pub(super) fn compare(&self, peer: &PeerId, span: &Span) -> TaskOutcome {
        let (entries, wanted, more) = self.tasks.data.compare(span, self.task_room(peer));
        TaskOutcome::Synchronized { entries, wanted, more }
    }

    /// The answer to a comparison came: takes and gives what is missing, and goes on.
    pub(super) fn on_compared(
        &mut self,
        peer: PeerId,
        span: Span,
        root: Option<TaskId>,
        result: Result<TaskOutcome, TaskFailure>,
    ) {
        let result = match result {
            Ok(TaskOutcome::Synchronized { entries, wanted, more }) => {
                let had = entries.len();
                let (taken, _) = self.take_entries(peer, entries);
                self.give_entries(&peer, &wanted);
                let next = match (more && taken > 0, span.up_to) {
                    (true, _) => Some(span.after),
                    (false, Some(up_to)) => Some(Some(up_to)),
                    (false, None) => None,
                };
                // Nothing new among what came: there is no place for it here, and asking again would not end.
                let full = more && had > 0 && taken == 0;
                match next {
                    Some(after) if !full => {
                        let root = root.map_or(Root::Nobody, Root::Task);
                        match self.compare_from(peer, after.as_deref(), root) {
                            Ok(_) => return,
                            Err(error) => Err(TaskFailure::because(error)),
                        }
                    }
                    _ if full => Err(TaskFailure::because(crate::task::data::DataError::Full)),
                    _ => Ok(TaskOutcome::Done),
                }
            }
            Ok(_) => Err(TaskFailure::because("the answer is of another kind")),
            Err(failure) => Err(failure),
        };
        if let Some(task) = root {
            self.cx.tell(Event::TaskAnswered { peer, task, result });
        }
    }

    /// Takes what is newer, tells of it, and passes it on. Says how many were new, and how many had no place.
    pub(super) fn take_entries(&mut self, from: PeerId, entries: Vec<DataEntry>) -> (u32, u32) {
        let (mut taken, mut left_out) = (Vec::new(), 0u32);
        for entry in entries {
            let key = entry.key.clone();
            match self.tasks.data.take(entry) {
                Some(true) => taken.push(key),
                Some(false) => {}
                None => left_out = left_out.saturating_add(1),
            }
        }
        if !taken.is_empty() {
            self.tasks.changed(Area::Data);
        }
        for key in &taken {
            self.cx.tell(Event::DataChanged { key: key.clone(), from: Some(from) });
        }
        let keys: Vec<&str> = taken.iter().map(String::as_str).collect();
        self.spread_data(Some(from), &keys);
        (u32::try_from(taken.len()).unwrap_or(u32::MAX), left_out)
    }

    /// Sends these entries to every trusted peer but one. Whoever misses them gets them when the areas meet next.
    fn spread_data(&mut self, but: Option<PeerId>, keys: &[&str]) {
        if !self.tasks.config.replicate_data || keys.is_empty() {
            return;
        }
        for peer in self.peers_in_reach(true) {
            if Some(peer) != but {
                self.give_entries(&peer, keys);
            }
        }
    }

    fn give_entries<K: AsRef<str>>(&mut self, peer: &PeerId, keys: &[K]) {
        let room = self.task_room(peer);
        let groups = self.tasks.data.groups(keys.iter().map(AsRef::as_ref), room);
        for entries in groups {
            let body = TaskBody::SendData(entries);
            let task = self.sign_task(Audience::One(*peer), &body, None, None);
            let sent = task.and_then(|task| self.spread_task(&task, |_| Purpose::Nothing));
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Whose comparison this is.
enum Root {
    /// The application's, and this task begins it.
    This,
    /// The application's, begun by that task.
    Task(TaskId),
    /// The node's own.
    Nobody,
}
