//! Network tasks that came: who may have what done, once; the queue; answers. What is done by default stands in
//! `task_actions`, what this node asks of others in `task_commands`, how data areas meet in `task_data`.
//!
//! A task is noted in the replay window before anything of it is done. Where the driver keeps the window, that note is
//! safe before the task runs: a crash in between loses the task, and its issuer hears nothing; it never runs twice. What a
//! task changed for good is safe before the task is answered.

use super::PeerNetwork;
use super::cx::TimerFor;
use super::held::Held;
use crate::config::{Config, Trust};
use crate::crypto::Crypto;
use crate::error::ConfigError;
use crate::id::{ConnId, PeerId, PublicKey, RequestId, TaskId};
use crate::io::{Answer, Event, Keeps, Output, Request};
use crate::limits::Limits;
use crate::received::Received;
use crate::task::data::Span;
use crate::task::memory::TaskMemory;
use crate::task::trust::{Requirement, Signer};
use crate::task::{
    Audience, DataArea, NetworkTask, TaskBody, TaskConfig, TaskFailure, TaskKind, TaskOutcome,
    TaskRefusal,
};
use crate::time::{Duration, UnixTime};
use crate::timers::TimerKey;
use crate::wire::Malformed;
use crate::wire::codec::Reader;
use crate::wire::packet::Packet;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::mem;

/// Numbers of requests from here on are about tasks.
const REQUESTS: u64 = 1 << 63;

/// What a node knows of tasks.
pub(super) struct Tasks {
    pub(super) config: TaskConfig,
    pub(super) memory: TaskMemory,
    pub(super) data: DataArea,
    /// Tasks of others under way here, by a number of their own.
    queue: BTreeMap<u64, Queued>,
    queued: u64,
    /// Tasks that wait for an answer, each with the peer that owes it.
    pub(super) tickets: BTreeMap<(TaskId, PeerId), Ticket>,
    /// Tasks for peers that are away: handed out when their key asks.
    pub(super) kept: VecDeque<(PeerId, UnixTime, Bytes)>,
    /// Digests of the tasks that this node issued last.
    pub(super) issued: VecDeque<[u8; 32]>,
    /// Kinds that the application does itself.
    pub(super) replaced: BTreeSet<TaskKind>,
    stores: [Store; 2],
    requests: u64,
}

/// A task of somebody else that may be done.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) id: TaskId,
    pub(super) peer: PeerId,
    issuer: PublicKey,
    signer: Signer,
    not_after: UnixTime,
    pub(super) body: TaskBody,
    /// The application has it until then.
    due: Option<TimerKey>,
}

/// A task that is done.
#[derive(Debug)]
pub(super) struct Done {
    peer: PeerId,
    id: TaskId,
    kind: TaskKind,
    result: Result<TaskOutcome, TaskFailure>,
}

/// Who waits for an answer.
pub(super) struct Ticket {
    pub(super) timer: TimerKey,
    pub(super) purpose: Purpose,
    /// Whether the peer has the task, and not only a place here until it asks.
    pub(super) sent: bool,
}

/// What an answer is for.
pub(super) enum Purpose {
    /// The application is told.
    Application,
    /// Nobody needs to know.
    Nothing,
    /// The exchange of data goes on from here.
    Synchronize {
        /// What was asked about.
        span: Span,
        /// The task whose ticket the application holds, if it asked for the exchange.
        root: Option<TaskId>,
    },
}

/// What waits until something is safe.
enum Step {
    Run(u64),
    Tell(Done),
}

/// One thing that the driver keeps.
#[derive(Default)]
struct Store {
    dirty: bool,
    asked: Option<RequestId>,
    /// Steps for the next save, and for the one under way.
    waiting: Vec<Step>,
    riding: Vec<Step>,
}

/// What is kept of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// What was seen.
    Tasks,
    /// The data area.
    Data,
}

const STORES: [Area; 2] = [Area::Tasks, Area::Data];

impl Tasks {
    /// Digests of own tasks that are remembered.
    pub(super) const ISSUED_MAX: usize = 256;

    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let (limits, tasks) = (&config.limits, &config.tasks);
        let size = |bound: u32| usize::try_from(bound).unwrap_or(usize::MAX);
        let (entries_max, bytes_max) = (size(limits.data_entries_max), size(limits.data_bytes_max));
        let bad =
            |key| move |malformed: Malformed| ConfigError { key, problem: format!("{malformed}") };
        let memory = match &tasks.saved {
            Some(saved) => TaskMemory::decode(saved, limits).map_err(bad("tasks.saved"))?,
            None => TaskMemory::new(limits),
        };
        let data = match &tasks.saved_data {
            Some(saved) => {
                let mut from = Reader::new(saved);
                let data = DataArea::decode(&mut from, entries_max, bytes_max);
                let data = data.map_err(bad("tasks.saved_data"))?;
                from.end("data area").map_err(bad("tasks.saved_data"))?;
                data
            }
            None => DataArea::new(entries_max, bytes_max),
        };
        Ok(Self {
            config: TaskConfig { saved: None, saved_data: None, ..tasks.clone() },
            memory,
            data,
            queue: BTreeMap::new(),
            queued: 0,
            tickets: BTreeMap::new(),
            kept: VecDeque::new(),
            issued: VecDeque::new(),
            replaced: BTreeSet::new(),
            stores: [Store::default(), Store::default()],
            requests: REQUESTS,
        })
    }

    fn store(&mut self, keeps: Area) -> &mut Store {
        let [tasks, data] = &mut self.stores;
        match keeps {
            Area::Tasks => tasks,
            Area::Data => data,
        }
    }

    /// Something that must be kept has changed.
    pub(super) fn changed(&mut self, keeps: Area) {
        if self.config.durable {
            self.store(keeps).dirty = true;
        }
    }

    /// Whether something is to be saved, and nothing of it is being saved.
    pub(super) fn wants_save(&self) -> bool {
        self.stores.iter().any(|store| store.dirty && store.asked.is_none())
    }

    /// The next thing to save: all changes up to now, so that a crowd of tasks takes one save.
    pub(super) fn next_save(&mut self) -> Option<Output> {
        for keeps in STORES {
            let request = RequestId(self.requests);
            let store = self.store(keeps);
            if !store.dirty || store.asked.is_some() {
                continue;
            }
            store.dirty = false;
            store.asked = Some(request);
            store.riding = mem::take(&mut store.waiting);
            self.requests = self.requests.saturating_add(1);
            let (keeps, bytes) = match keeps {
                Area::Tasks => (Keeps::Tasks, self.memory.encode()),
                Area::Data => {
                    let mut bytes = Vec::new();
                    self.data.encode(&mut bytes);
                    (Keeps::Data, bytes)
                }
            };
            return Some(Output::Ask(request, Request::Save { keeps, bytes: bytes.into() }));
        }
        None
    }

    /// Whether this request is about tasks.
    pub(super) const fn is_ours(request: RequestId) -> bool {
        request.0 >= REQUESTS
    }

    fn has_room(&self, limits: &Limits) -> bool {
        self.queue.len() < limits.tasks_max as usize
    }
}

/// Why a task was turned away, and whose it was as far as that is known.
struct TurnedAway {
    task: Option<(TaskId, u16)>,
    why: TaskRefusal,
}

impl<C: Crypto> PeerNetwork<C> {
    /// A packet with one task came.
    pub(super) fn on_task(&mut self, mut received: Received) {
        let (peer, conn, lane, bytes) =
            (received.peer, received.conn, received.lane, received.bytes);
        if let Some(Packet::DataTransmission(packet)) = received.next() {
            self.take_task(peer, Some(conn), &packet.payload, true);
        }
        self.give_back(conn, lane, bytes, |_: &mut Held, _, _| {});
    }

    /// A bootstrap server had tasks for this node: signed by the key that signed its reply, or by others.
    pub(super) fn take_server_tasks(&mut self, wire: &PublicKey, tasks: &[Bytes]) {
        let server = PeerId::of(wire);
        for task in tasks {
            self.take_task(server, None, task, false);
        }
    }

    /// Judges a task, and puts it in the queue or turns it away. Only one that came by itself may bring others. Without a
    /// connection it was brought by a bootstrap server.
    fn take_task(&mut self, peer: PeerId, conn: Option<ConnId>, bytes: &Bytes, by_itself: bool) {
        let turned_away =
            |task: &NetworkTask, why| TurnedAway { task: Some((task.id, task.kind)), why };
        let judged = self.read_task(bytes).map_err(|why| TurnedAway { task: None, why });
        let judged = judged.and_then(|task| match self.judge_task(peer, conn, &task) {
            Ok(signer) => Ok((task, signer)),
            Err(why) => Err(turned_away(&task, why)),
        });
        let judged = judged.and_then(|(task, signer)| {
            let body = task.read_body().map_err(|why| turned_away(&task, why))?;
            Ok((task, signer, body))
        });
        match judged {
            Ok((task, _, body)) if body.kind().is_reply() => {
                if let Err(why) = self.on_reply(peer, conn, &task, body, by_itself) {
                    self.turn_away(peer, &turned_away(&task, why));
                }
            }
            Ok((task, signer, body)) => {
                if let Err(why) = self.queue_task(peer, &task, signer, body) {
                    self.turn_away(peer, &turned_away(&task, why));
                }
            }
            Err(refused) => self.turn_away(peer, &refused),
        }
    }

    /// The task, for this network and this node.
    fn read_task(&self, bytes: &Bytes) -> Result<NetworkTask, TaskRefusal> {
        if bytes.len() > NetworkTask::BYTES_MAX {
            return Err(TaskRefusal::Malformed(Malformed("task")));
        }
        // A copy: a slice would keep all that came with it.
        let task = NetworkTask::decode(&Bytes::copy_from_slice(bytes));
        task.map_err(TaskRefusal::Malformed)
    }

    /// Whether a task may be done, and who asks for it. Cheap questions come first; until the signature is checked,
    /// nobody is answered.
    fn judge_task(
        &self,
        peer: PeerId,
        conn: Option<ConnId>,
        task: &NetworkTask,
    ) -> Result<Signer, TaskRefusal> {
        if task.network != self.me.network_tag {
            return Err(TaskRefusal::OtherNetwork);
        }
        if matches!(task.audience, Audience::One(one) if one != self.me.id) {
            return Err(TaskRefusal::OtherAudience);
        }
        let window = &self.tasks.memory.window;
        window.look(&task.issuer, task.sequence)?;
        if !task.is_signed(&self.crypto) {
            return Err(TaskRefusal::BadSignature);
        }
        task.check_time(self.wall_now())?;
        if task.not_after <= window.latest() {
            // The clock was set back: what was forgotten by its later reading is not new again.
            return Err(TaskRefusal::Stale { since: task.not_after });
        }
        let kind = TaskKind::from_number(task.kind).ok_or(TaskRefusal::UnknownKind(task.kind))?;
        if task.audience == Audience::All && !kind.row().to_all {
            return Err(TaskRefusal::AudienceTooWide);
        }
        let signer = self.signer_of(&task.issuer, &peer);
        let trust = match conn {
            Some(conn) => {
                let link = self.conns.get(&conn).and_then(|connection| connection.link());
                link.map_or(Trust::Unproven, |link| link.trust)
            }
            // Its reply was signed.
            None => Trust::Authenticated,
        };
        match self.tasks.config.trust.requirements(kind).judge(trust, signer) {
            Ok(()) => Ok(signer),
            Err(Requirement::IgnoreAll) => Err(TaskRefusal::Ignored),
            Err(unmet) => Err(TaskRefusal::NotAllowed(unmet)),
        }
    }

    fn signer_of(&self, issuer: &PublicKey, peer: &PeerId) -> Signer {
        let given = self.config.membership.authority.as_ref() == Some(issuer);
        if given || self.is_bootstrap_authority(issuer) {
            Signer::Authority
        } else if PeerId::of(issuer) == *peer {
            Signer::Peer
        } else {
            Signer::Other
        }
    }

    /// An answer, or tasks that waited for this node. It counts if the peer owes it.
    fn on_reply(
        &mut self,
        peer: PeerId,
        conn: Option<ConnId>,
        task: &NetworkTask,
        body: TaskBody,
        by_itself: bool,
    ) -> Result<(), TaskRefusal> {
        let asked = task.in_reply_to.ok_or(TaskRefusal::NothingAsked)?;
        if !by_itself || PeerId::of(&task.issuer) != peer {
            return Err(TaskRefusal::NothingAsked);
        }
        let ticket = self.tasks.tickets.remove(&(asked, peer)).ok_or(TaskRefusal::NothingAsked)?;
        self.cx.timers.cancel(ticket.timer);
        match body {
            TaskBody::HeartbeatResponse(waited) => {
                for inner in waited {
                    self.take_task(peer, conn, &inner, false);
                }
                self.on_answered(peer, asked, ticket.purpose, Ok(TaskOutcome::Done));
            }
            TaskBody::Answer(result) => self.on_answered(peer, asked, ticket.purpose, result),
            _ => {}
        }
        Ok(())
    }

    /// The channel to a peer is gone: what it owes doesn't come.
    pub(super) fn lose_answers(&mut self, peer: PeerId) {
        let owed =
            self.tasks.tickets.iter().filter(|((_, one), ticket)| *one == peer && ticket.sent);
        let owed: Vec<TaskId> = owed.map(|((task, _), _)| *task).collect();
        for task in owed {
            if let Some(ticket) = self.tasks.tickets.remove(&(task, peer)) {
                self.cx.timers.cancel(ticket.timer);
                self.on_answered(peer, task, ticket.purpose, Err(TaskFailure::Lost));
            }
        }
    }

    /// Nobody answered in time.
    pub(super) fn on_ticket_timer(&mut self, id: TaskId, peer: PeerId) {
        if let Some(ticket) = self.tasks.tickets.remove(&(id, peer)) {
            self.on_answered(peer, id, ticket.purpose, Err(TaskFailure::TimedOut));
        }
    }

    fn on_answered(
        &mut self,
        peer: PeerId,
        task: TaskId,
        purpose: Purpose,
        result: Result<TaskOutcome, TaskFailure>,
    ) {
        match purpose {
            Purpose::Nothing => {}
            Purpose::Application => self.cx.tell(Event::TaskAnswered { peer, task, result }),
            Purpose::Synchronize { span, root } => self.on_compared(peer, span, root, result),
        }
    }

    /// Notes a task as seen, and has it done once that is safe.
    fn queue_task(
        &mut self,
        peer: PeerId,
        task: &NetworkTask,
        signer: Signer,
        body: TaskBody,
    ) -> Result<(), TaskRefusal> {
        if !self.tasks.has_room(&self.cx.limits) {
            return Err(TaskRefusal::QueueFull);
        }
        let wall = self.wall_now().ok_or(TaskRefusal::NoWallTime)?;
        let reserved = signer == Signer::Authority;
        let window = &mut self.tasks.memory.window;
        window.note(&task.issuer, task.sequence, task.not_after, wall, reserved)?;
        let number = self.tasks.queued;
        self.tasks.queued = number.saturating_add(1);
        let queued = Queued {
            id: task.id,
            peer,
            issuer: task.issuer,
            signer,
            not_after: task.not_after,
            body,
            due: None,
        };
        self.tasks.queue.insert(number, queued);
        self.once_safe(Area::Tasks, Step::Run(number));
        Ok(())
    }

    /// Takes a step as soon as all that has changed so far is safe.
    fn once_safe(&mut self, keeps: Area, step: Step) {
        if self.tasks.config.durable {
            let store = self.tasks.store(keeps);
            store.dirty = true;
            store.waiting.push(step);
        } else {
            self.step(step);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Run(number) => self.run_task(number),
            Step::Tell(done) => self.tell_done(done),
        }
    }

    /// The driver has saved something, or could not.
    pub(super) fn on_saved(&mut self, request: RequestId, answer: &Answer) {
        for keeps in STORES {
            let store = self.tasks.store(keeps);
            if store.asked != Some(request) {
                continue;
            }
            store.asked = None;
            let riding = mem::take(&mut store.riding);
            let saved = matches!(answer, Answer::Saved);
            // What could not be saved is still to be saved, with the next change.
            for step in riding {
                match step {
                    step if saved => self.step(step),
                    Step::Run(number) => {
                        if let Some(queued) = self.tasks.queue.remove(&number) {
                            let task = Some((queued.id, queued.body.kind().number()));
                            let why = TaskRefusal::NotSaved;
                            self.turn_away(queued.peer, &TurnedAway { task, why });
                        }
                    }
                    Step::Tell(done) => {
                        let result =
                            done.result.and(Err(TaskFailure::because(TaskRefusal::NotSaved)));
                        self.tell_done(Done { result, ..done });
                    }
                }
            }
        }
    }

    /// Does a task, or leaves it to the application.
    fn run_task(&mut self, number: u64) {
        let Some(mut queued) = self.tasks.queue.remove(&number) else { return };
        let kind = queued.body.kind();
        let waits = matches!(kind, TaskKind::Application(_)) || self.tasks.replaced.contains(&kind);
        self.cx.tell(Event::TaskReceived {
            peer: queued.peer,
            task: queued.id,
            issuer: queued.issuer,
            by_authority: queued.signer == Signer::Authority,
            body: queued.body.clone().into(),
            waits,
        });
        if waits {
            let left = self.wall_now().map_or(0, |wall| queued.not_after.0.saturating_sub(wall.0));
            let left = Duration::from_secs(left).min(self.tasks.config.answer_timeout);
            queued.due = Some(self.cx.arm(left, TimerFor::TaskDue(number)));
            self.tasks.queue.insert(number, queued);
            return;
        }
        let (id, peer) = (queued.id, queued.peer);
        let (result, keeps) = self.default_action(queued);
        self.finish(Done { peer, id, kind, result }, keeps);
    }

    /// The application took too long.
    pub(super) fn on_task_timer(&mut self, number: u64) {
        let Some(queued) = self.tasks.queue.remove(&number) else { return };
        let (id, peer, kind) = (queued.id, queued.peer, queued.body.kind());
        self.finish(Done { peer, id, kind, result: Err(TaskFailure::TimedOut) }, None);
    }

    /// The application has done a task that waited for it; `false` if none of this name does.
    pub(super) fn finish_waiting(
        &mut self,
        peer: &PeerId,
        id: TaskId,
        result: Result<TaskOutcome, TaskFailure>,
    ) -> bool {
        let waits =
            |queued: &Queued| queued.id == id && queued.peer == *peer && queued.due.is_some();
        let found = self.tasks.queue.iter().find(|(_, queued)| waits(queued));
        let Some(number) = found.map(|(number, _)| *number) else { return false };
        let Some(queued) = self.tasks.queue.remove(&number) else { return false };
        if let Some(due) = queued.due {
            self.cx.timers.cancel(due);
        }
        let kind = queued.body.kind();
        self.finish(Done { peer: *peer, id, kind, result }, None);
        true
    }

    /// A task is done; it is answered once what it changed is safe.
    fn finish(&mut self, done: Done, changed: Option<Area>) {
        match changed {
            Some(keeps) => self.once_safe(keeps, Step::Tell(done)),
            None => self.tell_done(done),
        }
    }

    fn tell_done(&mut self, done: Done) {
        let Done { peer, id, kind, result } = done;
        // A heartbeat is answered with what waited.
        let body = if kind == TaskKind::Heartbeat && result.is_ok() {
            TaskBody::HeartbeatResponse(self.take_kept(&peer))
        } else {
            TaskBody::Answer(result.clone())
        };
        self.reply(&peer, id, &body);
        self.cx.tell(Event::TaskExecuted { peer, task: id, kind, result });
    }

    fn turn_away(&mut self, peer: PeerId, refused: &TurnedAway) {
        let TurnedAway { task, why } = *refused;
        self.cx.tell(Event::TaskRefused {
            peer,
            task: task.map(|(id, _)| id),
            kind: task.map(|(_, kind)| kind),
            why,
        });
        if let Some((id, kind)) = task
            && why.is_told()
            && !TaskKind::from_number(kind).is_some_and(TaskKind::is_reply)
        {
            self.reply(&peer, id, &TaskBody::Answer(Err(TaskFailure::Refused(why.code()))));
        }
    }

    /// The tasks under way here, in the order in which they came.
    pub(super) fn queued_tasks(&self) -> impl Iterator<Item = &Queued> {
        self.tasks.queue.values()
    }
}
