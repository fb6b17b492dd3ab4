//! Network tasks and the data area, as an application reaches them.

use super::{Handle, ListError};
use crate::reply::Reply;
use p2pnet_protocol::task::{Audience, DataEntry, TaskBody, TaskFailure, TaskKind, TaskOutcome};
use p2pnet_protocol::{CommandError, Duration, PeerId, TaskId, TaskView};

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
