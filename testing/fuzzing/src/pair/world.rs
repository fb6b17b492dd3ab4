//! The two nodes and the streams between them.

use super::model::{Outcome, Sent, Side1};
use super::{Decision, Hurt, Op, Setup, Side};
use crate::node::{self, Node, START};
use crate::watch::Watch;
use p2pnet_protocol::trust::secret::NetworkSecret;
use p2pnet_protocol::{
    BlockTarget, CloseCause, Config, ConnId, DisconnectReason, Duration, Event,
    IncomingPeerPlacement, Instant, ListenerId, Output, Packet, PeerState, Received, Trust,
};
use std::collections::VecDeque;

/// One end of a stream: its connection, until it is over there.
#[derive(Debug, Default)]
struct End {
    conn: Option<ConnId>,
    /// Bytes on their way to this end.
    wire: VecDeque<u8>,
    /// How the other end left, to be told when the wire is empty (or at once, if it was a reset).
    left: Option<CloseCause>,
    /// This end's node has said all and waits for the other's end.
    closing: bool,
    /// What this end sent and the other has not seen.
    sent: Sent,
}

#[derive(Debug, Default)]
struct Stream {
    ends: [End; 2],
    hurt: bool,
}

pub(super) struct World {
    setup: Setup,
    now: Instant,
    nodes: [Node; 2],
    watches: [Watch; 2],
    streams: Vec<Stream>,
    known: [Side1; 2],
    outcome: Outcome,
    next_packet: u32,
}

fn node(setup: Setup, side: Side) -> Node {
    let mut config = Config { limits: node::tight(), ..Config::default() };
    config.limits.packets_per_second_max = 0;
    config.limits.unread_events_max = 512;
    if setup.queue {
        config.placement = IncomingPeerPlacement::QueueAndEventBased;
    }
    if setup.secret {
        config.membership.secret = NetworkSecret::new(*b"an honest secret").ok();
    }
    let place = u8::try_from(side).expect("there are two");
    if setup.mixed_ciphers && side == 1 {
        return node::quiet_without_aes(config, place);
    }
    node::quiet(config, place)
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let mut world = Self {
            setup,
            now: START,
            nodes: [node(setup, 0), node(setup, 1)],
            watches: Default::default(),
            streams: Vec::new(),
            known: Default::default(),
            outcome: Outcome::default(),
            next_packet: 0,
        };
        world.settle();
        world
    }

    pub(super) fn happen(&mut self, op: Op) {
        self.outcome.steps += 1;
        match op {
            Op::Dial(side) => self.dial(side),
            Op::Carry(to, bytes) => self.carry(to, bytes.into()),
            Op::Send(from, bulk, size) => self.send(from, bulk, size),
            Op::Release(side, bytes) => self.release(side, bytes.into()),
            Op::Pass(millis) => self.pass(Duration::from_millis(millis.into())),
            Op::Decide(side, decision) => self.decide(side, decision),
            Op::Hurt(to, hurt, at) => self.hurt(to, hurt, at.into()),
        }
        self.settle();
        self.check();
    }

    fn dial(&mut self, side: Side) {
        let (to, other) = (node::address(place(1 - side)), self.nodes[1 - side].id());
        // It may be blocked, connected or over a limit.
        let _ = self.nodes[side].connect(self.now, to, Some(other));
    }

    fn decide(&mut self, side: Side, decision: Decision) {
        let (now, peer) = (self.now, self.nodes[1 - side].id());
        let known = &mut self.known[side];
        let node = &mut self.nodes[side];
        // Refusals ("not connected", "not pending") are part of the story.
        let _ = match decision {
            Decision::Disconnect => node.disconnect(now, &peer, DisconnectReason::Requested),
            Decision::Block => {
                known.blocked = true;
                node.block(now, BlockTarget::Peer(peer))
            }
            Decision::Unblock => {
                known.blocked = false;
                node.unblock(now, BlockTarget::Peer(peer))
            }
            Decision::Trust => {
                known.listed = true;
                known.trust = known.trust.map(|_| Trust::Trusted);
                node.trust(now, peer)
            }
            Decision::Untrust => {
                known.listed = false;
                known.trust = known.trust.map(|_| Trust::Authenticated);
                node.untrust(now, peer)
            }
            Decision::Accept => node.accept(now, &peer),
            Decision::Refuse => node.refuse(now, &peer),
            Decision::CloseDoor => {
                node.set_accept_inbound(now, false);
                Ok(())
            }
            Decision::OpenDoor => {
                node.set_accept_inbound(now, true);
                Ok(())
            }
        };
    }

    fn send(&mut self, from: Side, bulk: bool, size: u16) {
        let peer = self.nodes[1 - from].id();
        self.next_packet += 1;
        let mut payload = self.next_packet.to_be_bytes().to_vec();
        payload.resize(4 + usize::from(size), 0x5a);
        let packet = if bulk { Packet::misc_data(payload) } else { Packet::message(payload) };
        let view = self.nodes[from].peer(&peer);
        let open = view.as_ref().is_some_and(|view| view.state == PeerState::Open);
        let fits = packet.body_bytes() <= self.nodes[from].send_bytes_max(&peer)
            && packet.body_bytes() <= self.nodes[from].send_room(&peer);
        let passes = !bulk || self.known[from].trust == Some(Trust::Trusted);
        let result = self.nodes[from].send(self.now, &peer, &packet);
        assert_eq!(result.is_ok(), open && fits && passes, "{result:?}: {view:?}");
        if result.is_ok() {
            let conn = view.and_then(|view| view.conn).expect("an open peer has a connection");
            let stream = self.stream_of(from, conn).expect("and it has a stream");
            self.streams[stream].ends[from].sent.lane(lane(bulk)).push_back(packet);
        }
    }

    fn release(&mut self, side: Side, bytes: u32) {
        for (conn, lane, _) in self.watches[side].all_held() {
            let bytes = self.watches[side].give_back(conn, lane, bytes);
            self.nodes[side].consumed(self.now, conn, lane, bytes);
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        for side in 0..2 {
            let outputs = self.watches[side].pass(&mut self.nodes[side], self.now);
            outputs.into_iter().for_each(|output| self.perform(side, output));
        }
    }

    fn hurt(&mut self, to: Side, hurt: Hurt, at: usize) {
        let Some(stream) = self.streams.iter_mut().rev().find(|stream| stream.is_live()) else {
            return;
        };
        let wire = &mut stream.ends[to].wire;
        if hurt == Hurt::Reset {
            stream.hurt = true;
            for end in &mut stream.ends {
                end.wire.clear();
                end.left = Some(CloseCause::Reset);
            }
            return;
        }
        // A second hurt might heal the first.
        if wire.is_empty() || stream.hurt {
            return;
        }
        let at = at % wire.len();
        match hurt {
            Hurt::Flip => wire[at] ^= 1 << (at % 8),
            Hurt::Drop => drop(wire.remove(at)),
            Hurt::Duplicate => wire.insert(at, wire[at]),
            Hurt::Swap if at > 0 && wire[at] != wire[at - 1] => wire.swap(at, at - 1),
            Hurt::Swap | Hurt::Reset => return,
        }
        stream.hurt = true;
        self.outcome.hurt += 1;
    }

    /// Brings at most so many bytes of each stream to a side.
    fn carry(&mut self, to: Side, bytes_max: usize) {
        for at in 0..self.streams.len() {
            self.fill(at, to, bytes_max);
            self.deliver(at, to, bytes_max);
        }
    }

    /// Takes from the other side what it has to write.
    fn fill(&mut self, at: usize, to: Side, bytes_max: usize) {
        let Some(conn) = self.streams[at].ends[1 - to].conn else { return };
        while self.streams[at].ends[to].wire.len() < bytes_max {
            let Some(bytes) = self.nodes[1 - to].poll_write(conn, 2048) else { return };
            self.streams[at].ends[to].wire.extend(bytes.iter());
        }
    }

    fn deliver(&mut self, at: usize, to: Side, bytes_max: usize) {
        let end = &mut self.streams[at].ends[to];
        let Some(conn) = end.conn else { return };
        let window = if end.closing { usize::MAX } else { self.nodes[to].read_window(conn) };
        let count = bytes_max.min(window).min(end.wire.len());
        let mut bytes: Vec<u8> = end.wire.drain(..count).collect();
        let left = end.left.filter(|cause| end.wire.is_empty() || *cause == CloseCause::Reset);
        if !end.closing && !bytes.is_empty() {
            self.nodes[to].handle_stream(self.now, conn, &mut bytes);
            self.settle();
        }
        // What was read may have ended it.
        if let Some(cause) = left
            && self.streams[at].ends[to].conn.is_some()
        {
            let closing = self.streams[at].ends[to].closing;
            let cause = if closing { CloseCause::Finished } else { cause };
            self.over(at, to, cause);
        }
    }

    /// A side hears that its stream is over.
    fn over(&mut self, at: usize, side: Side, cause: CloseCause) {
        // What the node said before it hears of it still counts.
        self.settle();
        let Some(conn) = self.streams[at].ends[side].conn.take() else { return };
        self.streams[at].ends[1 - side].left.get_or_insert(CloseCause::EndOfStream);
        self.nodes[side].handle_closed(self.now, conn, cause);
        self.watches[side].on_closed(conn);
        self.settle();
    }

    /// Performs outputs until there are none.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for side in 0..2 {
                let outputs = self.watches[side].drain(&mut self.nodes[side]);
                moved |= !outputs.is_empty();
                outputs.into_iter().for_each(|output| self.perform(side, output));
            }
            if !moved {
                return;
            }
        }
    }

    fn perform(&mut self, side: Side, output: Output) {
        match output {
            Output::Connect { conn, .. } => self.connect(side, conn),
            Output::Close(conn) => {
                let Some(at) = self.stream_of(side, conn) else { return };
                self.fill(at, 1 - side, usize::MAX);
                let stream = &mut self.streams[at];
                stream.ends[side].closing = true;
                stream.ends[1 - side].left.get_or_insert(CloseCause::EndOfStream);
            }
            Output::Abort(conn) => {
                let Some(at) = self.stream_of(side, conn) else { return };
                let stream = &mut self.streams[at];
                stream.ends[side].conn = None;
                stream.ends[1 - side].wire.clear();
                stream.ends[1 - side].left = Some(CloseCause::Reset);
            }
            Output::Event(event) => self.hear(side, event),
            Output::WriteReady(_) | Output::ReadReady(_) => {}
            Output::Datagram(_) | Output::Ask(..) => {}
        }
    }

    fn connect(&mut self, side: Side, conn: ConnId) {
        let (now, from) = (self.now, node::dialling(place(side), 40_000));
        let accepted = self.nodes[1 - side].handle_incoming(now, ListenerId(0), from);
        if accepted.is_none() {
            self.nodes[side].handle_closed(now, conn, CloseCause::Refused);
            return self.watches[side].on_closed(conn);
        }
        let mut stream = Stream::default();
        stream.ends[side].conn = Some(conn);
        stream.ends[1 - side].conn = accepted;
        self.streams.push(stream);
        self.nodes[side].handle_connected(now, conn, from);
    }

    fn hear(&mut self, side: Side, event: Event) {
        match event {
            Event::PeerConnected { trust, .. } => {
                self.outcome.channels += 1;
                assert_eq!(trust, self.known[side].at_opening(self.setup.secret));
                self.known[side].trust = Some(trust);
            }
            Event::Received(received) => self.receive(side, received),
            Event::PacketsRefused { count, .. } => self.outcome.refused += count,
            _ => {}
        }
    }

    fn receive(&mut self, side: Side, received: Received) {
        let (conn, lane) = (received.conn, received.lane);
        let stream = self.stream_of(side, conn).expect("payload comes by a stream");
        for packet in received {
            if packet.payload().is_some() {
                self.outcome.arrived += 1;
                self.streams[stream].ends[1 - side].sent.on_arrival(side, lane, &packet);
            }
        }
    }

    fn stream_of(&self, side: Side, conn: ConnId) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ends[side].conn == Some(conn))
    }

    /// What holds after each operation.
    fn check(&self) {
        for side in 0..2 {
            let other = self.nodes[1 - side].id();
            let open = self.nodes[side].open_peers();
            let known = &self.known[side];
            assert!(open.iter().all(|view| view.peer == other), "there are only two");
            assert!(open.is_empty() || !known.blocked, "a blocked peer has no open channel");
            if let [view] = &open[..] {
                assert_eq!(Some(view.trust), known.trust);
            }
        }
    }

    /// Nothing is hurt any more, everybody is let in, and time passes: the two find together, nothing that was sent on
    /// a healthy channel is missing, and no hurt stream lives on.
    pub(super) fn calm_down(&mut self) {
        for side in 0..2 {
            self.decide(side, Decision::Unblock);
            self.decide(side, Decision::OpenDoor);
        }
        self.settle();
        // A hurt stream may have to fall silent before it is noticed; otherwise what is under way takes a moment.
        let hurt = self.streams.iter().any(|stream| stream.hurt && stream.is_live());
        self.quiet_seconds(if hurt { 30 } else { 3 });
        for stream in &self.streams {
            assert!(!stream.hurt || !stream.is_live(), "a hurt stream lives on: {stream:?}");
            let whole = stream.ends.iter().all(|end| end.conn.is_some() && !end.closing);
            for end in stream.ends.iter().filter(|_| whole && !stream.hurt) {
                assert_eq!(end.sent.messages_under_way(), 0, "messages never arrived");
            }
        }
        if self.nodes[0].open_peers().is_empty() {
            self.dial(0);
        }
        self.quiet_seconds(5);
        let before = self.outcome.arrived;
        for side in 0..2 {
            assert_eq!(self.nodes[side].open_peers().len(), 1, "{side} doesn't find the other");
            self.send(side, false, 10);
        }
        self.quiet_seconds(1);
        assert!(self.outcome.arrived >= before + 2, "both hear each other in the end");
    }

    fn quiet_seconds(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            for side in 0..2 {
                let peer = self.nodes[1 - side].id();
                let _ = self.nodes[side].accept(self.now, &peer);
                self.settle();
            }
            // A handshake takes three messages, and credit comes back for what was released.
            for _ in 0..4 {
                let before = self.seen();
                self.carry(1, usize::MAX);
                self.carry(0, usize::MAX);
                self.release(0, u32::MAX);
                self.release(1, u32::MAX);
                self.settle();
                if self.seen() == before {
                    break;
                }
            }
            self.pass(Duration::from_millis(500));
            self.settle();
            self.check();
        }
    }

    /// Outputs of both so far.
    fn seen(&self) -> u64 {
        self.watches.iter().map(|watch| watch.seen).sum()
    }

    pub(super) fn outcome(&self) -> Outcome {
        Outcome { steps: self.outcome.steps + self.seen(), ..self.outcome }
    }
}

impl Stream {
    fn is_live(&self) -> bool {
        self.ends.iter().any(|end| end.conn.is_some())
    }
}

fn place(side: Side) -> u8 {
    u8::try_from(side).expect("there are two")
}

const fn lane(bulk: bool) -> p2pnet_protocol::Lane {
    if bulk { p2pnet_protocol::Lane::Bulk } else { p2pnet_protocol::Lane::Message }
}
