//! The world: it makes things happen in order, and hands nodes what happened and performs what they want done.

use crate::chance::Chance;
use crate::checks::Checks;
use crate::fabric::{Fabric, gone};
use crate::host::PORT;
use crate::node::{self, Node};
use crate::provider::Provider;
use crate::queue::{Carried, Datagram, HostId, Life, What};
use crate::report::{Checker, Phase};
use crate::scenario::{Planted, Scenario};
use crate::stream::{EndId, EndState};
use crate::trace::TraceFile;
use p2pnet_protocol::{
    Answer, CloseCause, Command, ConnId, Deadline, Duration, Input, Instant, ListenerId, Output,
    PeerId, UnixTime,
};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

/// What a node gets to write at a time.
const WRITE_BYTES: usize = 1 << 10;
/// More outputs than this after one input, and the node would be busy with itself.
const DRAIN_MAX: u32 = 200_000;

/// Everything that one run knows.
pub(crate) struct World<P: Provider> {
    pub(crate) fabric: Fabric,
    pub(crate) nodes: Vec<Option<Box<Node<P::Crypto>>>>,
    pub(crate) ids: BTreeMap<PeerId, HostId>,
    pub(crate) checks: Checks,
    /// What applications do.
    pub(crate) will: Chance,
    /// How streams are cut.
    cuts: Chance,
    pub(crate) phase: Phase,
    pub(crate) trace: Option<TraceFile>,
}

impl<P: Provider> World<P> {
    pub(crate) fn new(scenario: &Scenario, trace: Option<TraceFile>) -> Self {
        let fabric = Fabric::new(scenario);
        let rng = |purpose| crate::chance::rng(scenario.seed, purpose);
        Self {
            nodes: fabric.hosts.iter().map(|_| None).collect(),
            checks: Checks::new(scenario, fabric.now),
            fabric,
            ids: BTreeMap::new(),
            will: rng("applications"),
            cuts: rng("cuts"),
            phase: Phase::Form,
            trace,
        }
    }

    pub(crate) fn node(&mut self, host: HostId) -> Option<&mut Node<P::Crypto>> {
        self.nodes[host as usize].as_deref_mut()
    }

    fn lives(&self, host: HostId, life: Life) -> bool {
        self.fabric.host(host).life == life && self.nodes[host as usize].is_some()
    }

    /// Runs until `end`.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while let Some((at, what)) = self.fabric.queue.pop(end) {
            self.fabric.now = at;
            self.fabric.counts.events += 1;
            self.happen(what);
        }
        self.fabric.now = end;
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Wake(host, life) => self.wake(host, life),
            What::Arrive(to, carried) => {
                if let Some(carried) = self.fabric.arrive(to, carried) {
                    self.hand_over(to, carried);
                }
            }
            What::Retry(to) => match self.fabric.retry(to) {
                Ok(all) => all.into_iter().for_each(|carried| self.hand_over(to, carried)),
                Err(sender) => self.break_end(sender, CloseCause::TimedOut),
            },
            What::Reset(end) => {
                let told = self.fabric.streams.end(end).and_then(|end| Some((end.host, end.conn?)));
                if self.fabric.resets(end)
                    && let Some((host, conn)) = told
                {
                    self.tell_closed(host, conn, CloseCause::Reset);
                }
            }
            What::Syn(target) => self.syn(target),
            What::SynAck(dialler) => self.connected(dialler),
            What::Accept(target) => self.accept(target),
            What::Pump(end) => {
                if let Some((host, conn)) = self.attached(end) {
                    self.pump(host, conn, end);
                    self.settle(host);
                }
            }
            What::Free(end) => self.fabric.streams.free(end),
            What::Datagram(datagram) => self.datagram(&datagram),
            What::Consume(host, life, conn, lane, bytes) => {
                if self.lives(host, life) {
                    self.give(host, Input::Consumed { conn, lane, bytes });
                }
            }
            What::Act(host, life) => {
                if self.lives(host, life) && self.fabric.host(host).is_awake(self.fabric.now) {
                    self.act(host);
                } else if self.lives(host, life) {
                    self.plan_act(host);
                }
            }
            What::Dial(host, life, to) => {
                if self.lives(host, life) {
                    self.dial_told(host, to);
                }
            }
            What::Start(host) => self.start(host),
            What::Plug(host) => self.plug(host),
            What::Pardon(host, target) => {
                self.fabric.host_mut(host).blocked.retain(|blocked| *blocked != target);
                self.give(host, Input::Command(Command::Unblock(target)));
            }
            What::Trouble(fault) => self.trouble(fault),
            What::Rejoin => self.fabric.split = None,
            What::Broadcast(broadcast) => self.broadcast(broadcast),
            What::Phase(phase) => self.begin(phase),
            What::Check => self.check(),
        }
    }

    /// Hands a node something and does what it wants done.
    pub(crate) fn give(&mut self, host: HostId, input: Input) {
        let now = self.fabric.clock(host);
        if let Some(node) = self.node(host) {
            node.give(now, input);
            self.settle(host);
        }
    }

    fn tell_closed(&mut self, host: HostId, conn: ConnId, cause: CloseCause) {
        if let Some(node) = self.node(host)
            && node.ends.remove(&conn).is_some()
        {
            self.give(host, Input::Closed { conn, cause });
        }
    }

    /// An end breaks, and its node hears of it.
    fn break_end(&mut self, end: EndId, cause: CloseCause) {
        let told = self.fabric.streams.end(end).and_then(|end| Some((end.host, end.conn?)));
        self.fabric.abandon(end, true);
        if let Some((host, conn)) = told {
            self.tell_closed(host, conn, cause);
        }
    }

    /// The node at an end, if there is one that still has it.
    fn attached(&self, end: EndId) -> Option<(HostId, ConnId)> {
        let found = self.fabric.streams.end(end)?;
        let conn = found.conn.filter(|_| found.state != EndState::Gone)?;
        self.lives(found.host, found.life).then_some((found.host, conn))
    }

    fn wake(&mut self, host: HostId, life: Life) {
        if !self.lives(host, life) {
            return;
        }
        let (now, awake) = (self.fabric.now, self.fabric.host(host).asleep_until);
        let Some(node) = self.node(host) else { return };
        // An earlier plan that was replaced by a sooner one.
        if node.wake != Some(now) {
            return;
        }
        node.wake = None;
        if awake > now {
            node.wake = Some(awake);
            self.fabric.queue.push(awake, What::Wake(host, life));
            return;
        }
        self.give(host, Input::Timeout);
        let clock = self.fabric.clock(host);
        let due = self.node(host).and_then(|node| node.net.poll_timeout());
        if let Some(Deadline { at, why }) = due.filter(|due| due.at <= clock) {
            let detail = format!("{why:?} is due again at once ({at:?})");
            self.checks.fail(&self.fabric, Checker::BoundsHold, Some(host), detail);
        }
    }

    fn datagram(&mut self, datagram: &Datagram) {
        let lan = self.fabric.host(datagram.sender).lan as usize;
        let members = self.fabric.lans[lan].members.len();
        for place in self.order_of(members) {
            let hearer = self.fabric.lans[lan].members[place];
            if self.nodes[hearer as usize].is_none() || !self.fabric.hears(datagram.sender, hearer)
            {
                continue;
            }
            let (from, now) = (datagram.from, self.fabric.clock(hearer));
            if let Some(node) = self.node(hearer) {
                let bytes = || datagram.contents.to_vec();
                node.record(now, || Input::Datagram { from, bytes: bytes() });
                node.net.handle_datagram(now, from, &datagram.contents);
                self.settle(hearer);
            }
        }
    }

    /// The order in which hosts are served: theirs, unless a fault was planted.
    fn order_of(&self, count: usize) -> Vec<usize> {
        if self.fabric.scenario.planted == Some(Planted::HashOrder) {
            let set: std::collections::HashSet<usize> = (0..count).collect();
            return set.into_iter().collect();
        }
        (0..count).collect()
    }

    /// Bytes or the end of them reach an end.
    fn hand_over(&mut self, to: EndId, carried: Carried) {
        let Some(end) = self.fabric.streams.end_mut(to) else { return };
        if let Carried::Bytes(bytes) = &carried {
            end.under_way = end.under_way.saturating_sub(bytes.len());
        }
        match (end.state, carried) {
            (EndState::Gone, Carried::Bytes(_)) => {
                let latency = Duration::from_millis(1);
                self.fabric.plan(latency, What::Reset(to.other()));
                return;
            }
            (EndState::Gone, Carried::End) => return,
            (EndState::Closing, Carried::Bytes(_)) => return self.fabric.give_room(to),
            (EndState::Opening | EndState::Open, Carried::Bytes(bytes)) => {
                end.inbox_bytes += bytes.len();
                end.inbox.push_back(bytes);
            }
            (_, Carried::End) => end.ended = true,
        }
        if let Some((host, conn)) = self.attached(to) {
            self.read(host, conn, to);
            self.settle(host);
        }
    }

    /// Lets a node read what its stream has, as far as it will.
    pub(crate) fn read(&mut self, host: HostId, conn: ConnId, id: EndId) {
        let now = self.fabric.clock(host);
        loop {
            let Some(end) = self.fabric.streams.end_mut(id) else { return };
            if end.state == EndState::Gone || self.nodes[host as usize].is_none() {
                return;
            }
            let Some(mut bytes) = end.inbox.pop_front() else { break };
            let Some(node) = self.nodes[host as usize].as_deref_mut() else { return };
            let window = node.net.read_window(conn).min(bytes.len());
            if end.state == EndState::Opening || window == 0 {
                end.inbox.push_front(bytes);
                return;
            }
            let most = if self.cuts.below(8) == 0 {
                1 + self.cuts.below(window as u64) as usize
            } else {
                window
            };
            end.inbox_bytes -= most;
            if most < bytes.len() {
                end.inbox.push_front(bytes[most..].into());
            }
            node.stream(now, conn, &mut bytes[..most]);
            self.fabric.give_room(id);
        }
        self.end_if_read(host, conn, id);
    }

    /// The other side's stream has ended, and everything was read.
    fn end_if_read(&mut self, host: HostId, conn: ConnId, id: EndId) {
        let Some(end) = self.fabric.streams.end_mut(id) else { return };
        if !end.ended {
            return;
        }
        let cause = match end.state {
            EndState::Closing if end.end_sent => CloseCause::Finished,
            EndState::Open => CloseCause::EndOfStream,
            _ => return,
        };
        let sent = end.end_sent;
        gone(end);
        if !sent {
            self.fabric.send(id, Carried::End);
        }
        self.fabric.forget_if_over(id);
        let now = self.fabric.clock(host);
        if let Some(node) = self.node(host) {
            node.ends.remove(&conn);
            node.give(now, Input::Closed { conn, cause });
        }
    }

    /// Takes what a node has to write, as far as there is room.
    pub(crate) fn pump(&mut self, host: HostId, conn: ConnId, id: EndId) {
        let now = self.fabric.clock(host);
        loop {
            let room = self.fabric.room(id);
            let Some(end) = self.fabric.streams.end_mut(id) else { return };
            if matches!(end.state, EndState::Gone | EndState::Opening) {
                return;
            }
            if room == 0 {
                end.wants_room = true;
                return;
            }
            let Some(node) = self.nodes[host as usize].as_deref_mut() else { return };
            let Some(bytes) = node.poll_write(now, conn, WRITE_BYTES.min(room)) else { break };
            self.fabric.hash.bytes(&bytes);
            self.fabric.send(id, Carried::Bytes(bytes));
        }
        let Some(end) = self.fabric.streams.end_mut(id) else { return };
        if end.state == EndState::Closing && !end.end_sent {
            end.end_sent = true;
            self.fabric.send(id, Carried::End);
            self.end_if_read(host, conn, id);
        }
    }

    fn syn(&mut self, target: EndId) {
        let Some(latency) = self.fabric.syn(target) else { return };
        let Some(end) = self.fabric.streams.end(target) else { return };
        let there = self.nodes[end.host as usize].is_some();
        let right = self.fabric.streams.get(target).is_some_and(|s| s.to.port() == PORT);
        if !there || !right {
            return self.fabric.plan(latency, What::Reset(target.other()));
        }
        self.fabric.plan(latency, What::SynAck(target.other()));
        self.fabric.plan(latency + latency, What::Accept(target));
        let accepted = self.fabric.now + latency + latency;
        if let Some(end) = self.fabric.streams.end_mut(target) {
            end.not_before = accepted;
        }
    }

    fn connected(&mut self, dialler: EndId) {
        let Some((host, conn)) = self.attached(dialler) else { return };
        let Some(stream) = self.fabric.streams.get(dialler) else { return };
        let local = stream.from;
        let Some(end) = self.fabric.streams.end_mut(dialler) else { return };
        if end.state != EndState::Opening {
            return;
        }
        end.state = EndState::Open;
        self.give(host, Input::Connected { conn, local });
    }

    fn accept(&mut self, target: EndId) {
        let Some(stream) = self.fabric.streams.get(target) else { return };
        let from = stream.from;
        let Some(end) = self.fabric.streams.end(target) else { return };
        let host = end.host;
        if end.state != EndState::Opening {
            return;
        }
        let now = self.fabric.clock(host);
        let conn = self.node(host).and_then(|node| node.incoming(now, from));
        let life = self.fabric.host(host).life;
        let Some(conn) = conn else {
            self.fabric.abandon(target, false);
            return self.settle(host);
        };
        if let Some(end) = self.fabric.streams.end_mut(target) {
            (end.conn, end.life, end.state) = (Some(conn), life, EndState::Open);
        }
        if let Some(node) = self.node(host) {
            node.ends.insert(conn, target);
        }
        self.read(host, conn, target);
        self.settle(host);
    }

    /// Does everything that a node wants done, and plans when to wake it.
    pub(crate) fn settle(&mut self, host: HostId) {
        for drained in 0.. {
            let Some(node) = self.node(host) else { return };
            let Some(output) = node.net.poll_output() else { break };
            if drained == DRAIN_MAX {
                let detail = format!("one input made {DRAIN_MAX} outputs");
                self.checks.fail(&self.fabric, Checker::BoundsHold, Some(host), detail);
                self.nodes[host as usize] = None;
                return;
            }
            self.perform(host, output);
        }
        let Some(node) = self.nodes[host as usize].as_deref_mut() else { return };
        if node.stopping && node.net.is_finished() {
            return self.stopped(host);
        }
        let Some(due) = node.net.poll_timeout() else { return };
        let at = self.fabric.host(host).when(due.at).max(self.fabric.now);
        let Some(node) = self.nodes[host as usize].as_deref_mut() else { return };
        if node.wake.is_none_or(|wake| at < wake) {
            node.wake = Some(at);
            let life = self.fabric.host(host).life;
            self.fabric.queue.push(at, What::Wake(host, life));
        }
    }

    fn perform(&mut self, host: HostId, output: Output) {
        let now = self.fabric.clock(host);
        self.note(host, &output);
        match output {
            Output::Connect { conn, to } => match self.fabric.dial(host, conn, to) {
                Some(end) => {
                    if let Some(node) = self.node(host) {
                        node.ends.insert(conn, end);
                    }
                }
                None => {
                    if let Some(node) = self.node(host) {
                        node.give(now, Input::Closed { conn, cause: CloseCause::Unreachable });
                    }
                }
            },
            Output::Close(conn) => self.close(host, conn),
            Output::Abort(conn) => {
                if let Some(end) = self.node(host).and_then(|node| node.ends.remove(&conn)) {
                    self.fabric.abandon(end, false);
                }
            }
            Output::WriteReady(conn) => {
                if let Some(end) = self.end_of(host, conn) {
                    self.pump(host, conn, end);
                }
            }
            Output::ReadReady(conn) => {
                if let Some(end) = self.end_of(host, conn) {
                    self.read(host, conn, end);
                }
            }
            Output::Datagram(transmit) => self.fabric.send_datagram(host, &transmit),
            Output::Ask(request, _) => {
                if let Some(node) = self.node(host) {
                    node.give(now, Input::Answer { request, answer: Answer::Failed });
                }
            }
            Output::Event(event) => self.on_event(host, event),
        }
    }

    fn end_of(&mut self, host: HostId, conn: ConnId) -> Option<EndId> {
        self.node(host)?.ends.get(&conn).copied()
    }

    fn close(&mut self, host: HostId, conn: ConnId) {
        let Some(id) = self.end_of(host, conn) else { return };
        if let Some(end) = self.fabric.streams.end_mut(id) {
            end.state = EndState::Closing;
            end.inbox.clear();
            end.inbox_bytes = 0;
        }
        self.fabric.give_room(id);
        self.pump(host, conn, id);
    }

    /// Adds an output to the run's fingerprint.
    fn note(&mut self, host: HostId, output: &Output) {
        let (kind, about) = match output {
            Output::Connect { conn, to } => (1, conn.0 ^ u64::from(to.port())),
            Output::Close(conn) => (2, conn.0),
            Output::Abort(conn) => (3, conn.0),
            Output::WriteReady(conn) => (4, conn.0),
            Output::ReadReady(conn) => (5, conn.0),
            Output::Datagram(transmit) => {
                self.fabric.hash.bytes(&transmit.contents);
                (6, transmit.to.port().into())
            }
            Output::Ask(request, _) => (7, request.0),
            Output::Event(_) => (8, 0),
        };
        let now = self.fabric.now.as_nanos();
        let hash = &mut self.fabric.hash;
        hash.word(now);
        hash.word(u64::from(host) << 8 | kind);
        hash.word(about);
        if let (Output::Event(_), Some(node)) = (output, self.node(host))
            && let Some(recorder) = &mut node.recorder
        {
            recorder.event();
        }
    }

    /// Switches a host on and starts its node with what its state directory holds.
    pub(crate) fn start(&mut self, id: HostId) {
        if self.nodes[id as usize].is_some() {
            return;
        }
        self.fabric.counts.starts += 1;
        let host = self.fabric.host_mut(id);
        host.powered = true;
        host.life += 1;
        (host.found, host.found_count) = (Vec::new(), 0);
        let (life, lan, place) = (host.life, host.lan as usize, host.place);
        let now = self.fabric.clock(id);
        let host = self.fabric.host(id);
        let mut node = match node::start::<P>(&self.fabric.scenario, id, host, now) {
            Ok(node) => node,
            Err(error) => {
                return self.checks.fail(&self.fabric, Checker::BoundsHold, Some(id), error);
            }
        };
        if let Some(trace) = &self.trace {
            node.recorder = trace.recorder(&self.fabric.scenario, id, self.fabric.host(id), now);
        }
        let peer = node.net.id();
        self.ids.insert(peer, id);
        self.fabric.host_mut(id).id = Some(peer);
        self.nodes[id as usize] = Some(Box::new(node));
        let at = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
        self.give(id, Input::Listening { listener: ListenerId(1), at });
        if self.fabric.host(id).plugged {
            let interface = self.fabric.lans[lan].interface(place);
            self.give(id, Input::Interfaces(vec![interface]));
        }
        let wall = UnixTime(self.fabric.host(id).wall_at(self.fabric.now));
        self.give(id, Input::WallTime(Some(wall)));
        for (n, to) in (0..).zip(self.fabric.host(id).told.clone()) {
            self.fabric.plan(Duration::from_millis(50 * n), What::Dial(id, life, to));
        }
        self.plan_act(id);
    }

    /// A node has shut down gracefully.
    fn stopped(&mut self, host: HostId) {
        self.take_away(host, false);
    }

    /// A node is no more. Its host's kernel ends its streams, or nobody does.
    pub(crate) fn take_away(&mut self, host: HostId, silently: bool) {
        let Some(node) = self.nodes[host as usize].take() else { return };
        for end in node.ends.values() {
            self.fabric.abandon(*end, silently);
        }
    }

    /// The cable is in again.
    fn plug(&mut self, id: HostId) {
        let host = self.fabric.host_mut(id);
        host.plugged = true;
        let (lan, place) = (host.lan as usize, host.place);
        let interface = self.fabric.lans[lan].interface(place);
        self.give(id, Input::Interfaces(vec![interface]));
    }
}
