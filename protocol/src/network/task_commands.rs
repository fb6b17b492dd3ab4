//! What this node asks of others: tasks of its own, and those that somebody has signed for it to deliver.

use super::PeerNetwork;
use super::connection::Stage;
use super::cx::TimerFor;
use super::tasks::{Area, Purpose, Tasks, Ticket};
use crate::crypto::Crypto;
use crate::error::{CommandError, SendError};
use crate::id::{PeerId, TaskId};
use crate::task::envelope::Terms;
use crate::task::labels;
use crate::task::{
    Audience, NetworkTask, TaskBody, TaskFailure, TaskKind, TaskOutcome, envelope, refusal,
};
use crate::time::{Duration, Instant, UnixTime};
use crate::trust::identifier::IdentifierError;
use crate::wire::packet::{DataPayloadFormat, DataTransmissionPacket, Packet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A task under way here, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its name.
    pub task: TaskId,
    /// The peer that brought it, or that owes an answer.
    pub peer: PeerId,
    /// Its kind, if it is somebody else's.
    pub kind: Option<TaskKind>,
    /// Where it is in its life.
    pub state: TaskState,
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Somebody else's, and not done yet.
    Queued,
    /// Ours, and not answered yet.
    Asked,
    /// Kept for a peer that is away.
    Kept,
}

impl<C: Crypto> PeerNetwork<C> {
    /// Issues a task: to one peer with an open channel, or to every one, where the kind allows that. It is valid for
    /// `valid`, a minute unless told otherwise. What becomes of it is told by
    /// [`Event::TaskAnswered`](crate::Event::TaskAnswered), once for each peer that got it.
    ///
    /// # Errors
    /// [`CommandError`] if nobody got it.
    pub fn issue_task(
        &mut self,
        now: Instant,
        audience: Audience,
        body: &TaskBody,
        valid: Option<Duration>,
    ) -> Result<TaskId, CommandError> {
        self.cx.at(now);
        let task = self.sign_task(audience, body, None, valid)?;
        self.spread_task(&task, |_| Purpose::Application)?;
        Ok(task.id)
    }

    /// Hands on a task that somebody has signed elsewhere, as the holder of the authority's key does. Whoever gets it
    /// answers to this node.
    ///
    /// # Errors
    /// [`CommandError`] if it is no task for this network that is valid now, or nobody got it.
    pub fn deliver_task(&mut self, now: Instant, task: &Bytes) -> Result<TaskId, CommandError> {
        self.cx.at(now);
        let task = NetworkTask::decode(task)
            .map_err(|bad| CommandError::Task(envelope::BadTerms::Body(bad).to_string()))?;
        let refuse = |why: refusal::TaskRefusal| CommandError::Task(why.to_string());
        if task.network != self.me.network_tag {
            return Err(refuse(refusal::TaskRefusal::OtherNetwork));
        }
        task.check_time(self.wall_now()).map_err(refuse)?;
        task.read_body().map_err(refuse)?;
        if !task.is_signed(&self.crypto) {
            return Err(refuse(refusal::TaskRefusal::BadSignature));
        }
        self.spread_task(&task, |_| Purpose::Application)?;
        Ok(task.id)
    }

    /// Issues a task for one peer that may be away: it is kept until that peer's key asks for it by a
    /// [`Heartbeat`](TaskKind::Heartbeat), or it is out of time.
    ///
    /// # Errors
    /// [`CommandError`] if it can't be issued, or as many are kept as [`Limits::tasks_max`](crate::Limits::tasks_max).
    pub fn keep_task(
        &mut self,
        now: Instant,
        peer: PeerId,
        body: &TaskBody,
        valid: Duration,
    ) -> Result<TaskId, CommandError> {
        self.cx.at(now);
        let task = self.sign_task(Audience::One(peer), body, None, Some(valid))?;
        let wall = self.wall_now().ok_or(CommandError::NoWallTime)?;
        self.tasks.kept.retain(|(_, until, _)| *until > wall);
        let bytes = Bytes::from(task.encode());
        if bytes.len().saturating_add(16) > TaskBody::BYTES_MAX {
            return Err(CommandError::Send(SendError::TooLarge));
        }
        if self.tasks.kept.len() >= self.cx.limits.tasks_max as usize {
            return Err(CommandError::LimitReached("limits.tasks_max"));
        }
        self.open_ticket((task.id, peer), task.not_after, valid, Purpose::Application, false)?;
        self.tasks.kept.push_back((peer, task.not_after, bytes));
        Ok(task.id)
    }

    /// The application has done a task that [waited](crate::Event::TaskReceived) for it.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTask`] if none of this name from this peer waits, or not any more.
    pub fn finish_task(
        &mut self,
        now: Instant,
        peer: &PeerId,
        task: TaskId,
        result: Result<TaskOutcome, TaskFailure>,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.finish_waiting(peer, task, result) { Ok(()) } else { Err(CommandError::NoSuchTask) }
    }

    /// Whether the application itself does tasks of this kind: it hears of each by an [`Event::TaskReceived`](crate::Event::TaskReceived) that waits,
    /// and answers with [`finish_task`](Self::finish_task). It always does those of its own kinds.
    #[doc(alias = "NetworkTaskHandler")]
    pub fn set_task_handler(&mut self, now: Instant, kind: TaskKind, on: bool) {
        self.cx.at(now);
        if on {
            self.tasks.replaced.insert(kind);
        } else {
            self.tasks.replaced.remove(&kind);
        }
    }

    /// Turns away whoever the authority has given this label, under whatever key, now or later.
    ///
    /// # Errors
    /// [`CommandError::Label`] if it is no label, [`CommandError::LimitReached`] if so many are blocked already.
    pub fn block_label(&mut self, now: Instant, label: &str) -> Result<(), CommandError> {
        self.cx.at(now);
        if !labels::is_valid(label) {
            return Err(CommandError::Label(IdentifierError::BadText));
        }
        let full = |_| CommandError::LimitReached("limits.labels_max");
        if self.tasks.memory.labels.block(label).map_err(full)? {
            self.tasks.changed(Area::Tasks);
            self.apply_labels();
        }
        Ok(())
    }

    /// Lifts the block of a label.
    pub fn unblock_label(&mut self, now: Instant, label: &str) {
        self.cx.at(now);
        if self.tasks.memory.labels.unblock(label) {
            self.tasks.changed(Area::Tasks);
            self.apply_labels();
        }
    }

    /// The blocked labels.
    pub fn blocked_labels(&self) -> Vec<String> {
        self.tasks.memory.labels.blocked().map(Into::into).collect()
    }

    /// The label that the authority has given to a peer.
    pub fn assigned_label(&self, peer: &PeerId) -> Option<&str> {
        self.tasks.memory.labels.of(peer)
    }

    /// The tasks under way: of others here, of ours there, and those that are kept.
    pub fn tasks(&self) -> Vec<TaskView> {
        let queued = self.queued_tasks().map(|queued| TaskView {
            task: queued.id,
            peer: queued.peer,
            kind: Some(queued.body.kind()),
            state: TaskState::Queued,
        });
        let kept = |task: &TaskId, peer: &PeerId| {
            self.tasks.kept.iter().any(|(receiver, _, bytes)| {
                receiver == peer && NetworkTask::decode(bytes).is_ok_and(|kept| kept.id == *task)
            })
        };
        let asked = self.tasks.tickets.keys().map(|(task, peer)| {
            let state = if kept(task, peer) { TaskState::Kept } else { TaskState::Asked };
            TaskView { task: *task, peer: *peer, kind: None, state }
        });
        queued.chain(asked).collect()
    }

    /// A number that no earlier task of this node had: larger than the last, and growing with the wall clock, so that it
    /// is new after a restart too.
    fn next_sequence(&mut self, wall: UnixTime) -> u64 {
        let since = self.wall.map_or(Duration::ZERO, |(_, at)| self.cx.now.since(at));
        let micros = u64::from(since.subsec_micros());
        let by_clock = envelope::sequence_at(wall, micros, self.cx.jitter.below(1 << 10));
        let issued = &mut self.tasks.memory.issued;
        *issued = by_clock.max(issued.saturating_add(1));
        *issued
    }

    /// Signs a task of this node's own.
    pub(super) fn sign_task(
        &mut self,
        audience: Audience,
        body: &TaskBody,
        in_reply_to: Option<TaskId>,
        valid: Option<Duration>,
    ) -> Result<NetworkTask, CommandError> {
        const VALID: Duration = Duration::from_secs(60);
        let wall = self.wall_now().ok_or(CommandError::NoWallTime)?;
        let mut id = TaskId([0; 16]);
        self.crypto.random(&mut id.0);
        let terms = Terms {
            network: self.me.network_tag,
            id,
            audience,
            sequence: self.next_sequence(wall),
            not_before: UnixTime(wall.0.saturating_sub(NetworkTask::BACKDATE_SECS)),
            not_after: wall.plus_secs(valid.unwrap_or(VALID).as_secs()),
            in_reply_to,
        };
        let task = NetworkTask::issue(&self.crypto, &self.me.signing, &terms, body)
            .map_err(|bad| CommandError::Task(bad.to_string()))?;
        if !body.kind().is_reply() {
            self.tasks.issued.push_back(task.hash());
            if self.tasks.issued.len() > Tasks::ISSUED_MAX {
                self.tasks.issued.pop_front();
            }
        }
        Ok(task)
    }

    /// Sends a task to whom it is for: encoded once, shared by all. One who gets it counts as success.
    pub(super) fn spread_task(
        &mut self,
        task: &NetworkTask,
        purpose: impl Fn(PeerId) -> Purpose,
    ) -> Result<(), CommandError> {
        let peers = match task.audience {
            Audience::One(peer) if peer == self.me.id => return Err(CommandError::Oneself),
            Audience::One(peer) => alloc::vec![peer],
            Audience::All => self.peers_in_reach(false),
        };
        let packet = task_packet(Bytes::from(task.encode()));
        let mut outcome = Err(CommandError::NotConnected);
        for peer in peers {
            let sent = self.send_task(&peer, task, &packet, purpose(peer));
            if outcome.is_err() {
                outcome = sent;
            }
        }
        outcome
    }

    fn send_task(
        &mut self,
        peer: &PeerId,
        task: &NetworkTask,
        packet: &Packet,
        purpose: Purpose,
    ) -> Result<(), CommandError> {
        let timeout = self.tasks.config.answer_timeout;
        self.open_ticket((task.id, *peer), task.not_after, timeout, purpose, true)?;
        let sent = self.send(self.cx.now, peer, packet);
        if sent.is_err()
            && let Some(ticket) = self.tasks.tickets.remove(&(task.id, *peer))
        {
            self.cx.timers.cancel(ticket.timer);
        }
        Ok(sent?)
    }

    fn open_ticket(
        &mut self,
        (id, peer): (TaskId, PeerId),
        not_after: UnixTime,
        timeout: Duration,
        purpose: Purpose,
        sent: bool,
    ) -> Result<(), CommandError> {
        if self.tasks.tickets.len() >= self.cx.limits.tasks_max as usize {
            return Err(CommandError::LimitReached("limits.tasks_max"));
        }
        let wall = self.wall_now().ok_or(CommandError::NoWallTime)?;
        let left = Duration::from_secs(not_after.0.saturating_sub(wall.0)).min(timeout);
        let timer = self.cx.arm(left, TimerFor::Ticket(id, peer));
        if let Some(old) = self.tasks.tickets.insert((id, peer), Ticket { timer, purpose, sent }) {
            self.cx.timers.cancel(old.timer);
        }
        Ok(())
    }

    /// Answers a task of `peer`. If that can't be sent, the peer's ticket runs out.
    pub(super) fn reply(&mut self, peer: &PeerId, to: TaskId, body: &TaskBody) {
        if let Ok(task) = self.sign_task(Audience::One(*peer), body, Some(to), None) {
            let packet = task_packet(Bytes::from(task.encode()));
            let _unsent = self.send(self.cx.now, peer, &packet);
        }
    }

    /// The peers with an open channel; only trusted ones if that is asked for.
    pub(super) fn peers_in_reach(&self, trusted: bool) -> Vec<PeerId> {
        let links = self.conns.values().filter_map(|connection| connection.link());
        let open = links.filter(|link| link.is_open() && link.stage != Stage::Closing);
        open.filter(|link| !trusted || link.trust == crate::config::Trust::Trusted)
            .map(|link| link.channel.peer)
            .collect()
    }

    /// How many bytes a task's body may have that shall get through to `peer`.
    pub(super) fn task_room(&self, peer: &PeerId) -> usize {
        const ENVELOPE: usize = 260;
        self.send_bytes_max(peer).saturating_sub(ENVELOPE).min(TaskBody::BYTES_MAX)
    }
}

fn task_packet(payload: Bytes) -> Packet {
    Packet::DataTransmission(DataTransmissionPacket { format: DataPayloadFormat::Task, payload })
}
