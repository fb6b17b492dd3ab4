//! One node under test, its honest peers, and the mob.

use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::discovery::bootstrap::CONTENT_TYPE;
use p2pnet_protocol::io::Fetched;
use p2pnet_protocol::{Answer, Duration, Instant, RequestId, UnixTime};
use p2pnet_protocol::{
    CloseCause, Command, Config, ConnId, Event, Input, Interface, InterfaceAddress, IpPrefix,
    Limits, ListenerId, Output, Packet, PeerNetwork, PureMessagePacket, Request, Rng, Seed,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Honest peers around the node under test.
pub(crate) const PEERS: usize = 3;

/// How many recorded inputs, beacons and pieces of streams are kept to be sent again.
const KEPT_MAX: usize = 64;

/// More outputs than this in one drain, and the node would be busy with itself.
const DRAIN_MAX: usize = 200_000;

type Node = PeerNetwork<SimulatedCrypto>;

/// Which node: 0 is the one under test.
type Place = usize;

/// What happened, so that a run can show it wasn't empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inputs to the node under test.
    pub inputs: u64,
    /// Channels that it opened.
    pub channels: u64,
    /// Packets that it took from peers.
    pub messages: u64,
    /// Its handshakes that came to nothing.
    pub handshakes_failed: u64,
    /// Its channels that ended since the other side broke the protocol.
    pub violations: u64,
    /// Beacons it believed.
    pub beacons_accepted: u64,
    /// Datagrams it turned away.
    pub beacons_refused: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.channels += other.channels;
        self.messages += other.messages;
        self.handshakes_failed += other.handshakes_failed;
        self.violations += other.violations;
        self.beacons_accepted += other.beacons_accepted;
        self.beacons_refused += other.beacons_refused;
    }
}

/// One end of a stream between two of our nodes, and the bytes on their way to it.
#[derive(Debug)]
struct End {
    other: (Place, ConnId),
    arriving: VecDeque<u8>,
    /// The other side closed: when what arrives is read, tell.
    ended: bool,
}

/// Everything that one run knows.
pub struct World {
    now: Instant,
    rng: Rng,
    nodes: Vec<Node>,
    /// Streams between our nodes, by either end.
    ends: BTreeMap<(Place, ConnId), End>,
    /// Connections of the node under test to the mob: all that it made and that weren't ended.
    mob: Vec<ConnId>,
    /// Requests that nobody has answered yet.
    asked: Vec<RequestId>,
    beacons: Vec<(SocketAddr, Vec<u8>)>,
    recorded: Vec<Vec<u8>>,
    overheard: Vec<Vec<u8>>,
    /// What happened so far.
    pub counts: Counts,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("counts", &self.counts).finish()
    }
}

fn address(place: Place) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, u8::try_from(place).unwrap_or(u8::MAX) + 1)
}

fn listening(place: Place) -> SocketAddr {
    SocketAddr::from((address(place), 4000))
}

impl World {
    /// A world whose whole history follows from `seed`.
    ///
    /// # Panics
    /// If the configuration is refused.
    pub fn new(seed: u64) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let node = |place: Place| {
            let own = Seed::from_u64(seed.wrapping_mul(16).wrapping_add(place as u64));
            let mut config = Config { limits: Limits::small(), ..Config::default() };
            config.bootstrap.servers = vec!["http://192.0.2.200".into()];
            let crypto = SimulatedCrypto::new(own);
            Node::new(config, &own.0, own, crypto, now).expect("a small default node runs")
        };
        let mut world = Self {
            now,
            rng: Rng::new(Seed::from_u64(seed), "world"),
            nodes: (0..=PEERS).map(node).collect(),
            ends: BTreeMap::new(),
            mob: Vec::new(),
            asked: Vec::new(),
            beacons: Vec::new(),
            recorded: Vec::new(),
            overheard: Vec::new(),
            counts: Counts::default(),
        };
        for place in 0..=PEERS {
            world.give(place, Input::Listening { listener: ListenerId(1), at: listening(place) });
            world.give(place, Input::Interfaces(vec![interface(place)]));
            world.give(place, Input::WallTime(Some(UnixTime(1_700_000_000))));
        }
        world
    }

    /// One thing happens.
    pub fn step(&mut self) {
        match self.rng.below(100) {
            0..=54 => self.carry(),
            55..=62 => self.pass_time(),
            63..=67 => self.mob_connects(),
            68..=77 => self.mob_speaks(),
            78..=81 => self.mob_leaves(),
            82..=88 => self.datagram(),
            89..=92 => self.replay_mutated(),
            93..=96 => self.send_something(),
            97 => self.dial_someone(),
            98 => self.answer_something(),
            _ => self.odd_input(),
        }
    }

    /// Carries bytes over one of the streams between our nodes, in pieces of any size, sometimes damaged.
    fn carry(&mut self) {
        let Some(at) = self.pick(self.ends.len()) else { return self.pass_time() };
        let Some((&(place, conn), end)) = self.ends.iter().nth(at) else { return };
        let other = end.other;
        // What the other side has to say goes on its way.
        while let Some(bytes) = self.nodes[other.0].poll_write(other.1, 4096) {
            keep(&mut self.overheard, bytes.to_vec());
            if let Some(end) = self.ends.get_mut(&(place, conn)) {
                end.arriving.extend(bytes.iter());
            }
        }
        self.drain(other.0);
        let window = self.nodes[place].read_window(conn);
        let Some(end) = self.ends.get_mut(&(place, conn)) else { return };
        let most = end.arriving.len().min(window);
        if most == 0 {
            if end.ended && end.arriving.is_empty() {
                self.ends.remove(&(place, conn));
                self.give(place, Input::Closed { conn, cause: CloseCause::EndOfStream });
            }
            return;
        }
        let size = self.rng.below(most as u64 + 1).max(1) as usize;
        let Some(end) = self.ends.get_mut(&(place, conn)) else { return };
        let mut bytes: Vec<u8> = end.arriving.drain(..size.min(most)).collect();
        // Channels must live long enough to do something.
        if self.rng.below(40) == 0 {
            self.damage(&mut bytes);
        }
        self.give(place, Input::Stream { conn, bytes });
    }

    fn pass_time(&mut self) {
        let step = match self.rng.below(200) {
            0 => Duration::from_secs(self.rng.below(120)),
            1..=20 => Duration::ZERO,
            _ => Duration::from_millis(self.rng.below(400)),
        };
        self.now = self.now + step;
        for place in 0..self.nodes.len() {
            // A clock that goes back must do no harm either.
            let back = self.rng.below(50) == 0;
            let told = if back { Instant::from_nanos(self.rng.below(1 << 40)) } else { self.now };
            self.nodes[place].handle_timeout(told);
            self.counts.inputs += u64::from(place == 0);
            self.drain(place);
            if !back && let Some(deadline) = self.nodes[place].poll_timeout() {
                assert!(deadline.at > self.now, "{:?} is due again at once", deadline.why);
            }
        }
    }

    fn mob_connects(&mut self) {
        let port = 1024 + self.rng.below(60_000) as u16;
        let from = SocketAddr::from((self.any_address(), port));
        let conn = self.nodes[0].handle_incoming(self.now, ListenerId(1), from);
        self.counts.inputs += 1;
        self.mob.extend(conn);
        self.drain(0);
    }

    fn mob_speaks(&mut self) {
        let Some(at) = self.pick(self.mob.len()) else { return self.mob_connects() };
        let conn = self.mob[at];
        let mut bytes = match self.pick(self.overheard.len()) {
            // Something that an honest peer said, to this node or another.
            Some(piece) if self.rng.below(2) == 0 => self.overheard[piece].clone(),
            _ => self.noise(600),
        };
        if self.rng.below(2) == 0 {
            self.damage(&mut bytes);
        }
        self.give(0, Input::Stream { conn, bytes });
    }

    fn mob_leaves(&mut self) {
        const CAUSES: [CloseCause; 7] = [
            CloseCause::EndOfStream,
            CloseCause::Reset,
            CloseCause::Refused,
            CloseCause::Unreachable,
            CloseCause::TimedOut,
            CloseCause::OutOfResources,
            CloseCause::Finished,
        ];
        let cause = CAUSES[self.rng.below(CAUSES.len() as u64) as usize];
        let conn = match self.pick(self.mob.len()) {
            Some(at) if self.rng.below(8) > 0 => self.mob.swap_remove(at),
            // A connection that never was, or was someone else's.
            _ => ConnId(self.rng.below(64)),
        };
        self.forget(0, conn, true);
        self.give(0, Input::Closed { conn, cause });
    }

    /// A beacon that was really sent, as it was or not, from where it came or from elsewhere; or noise.
    fn datagram(&mut self) {
        let (mut from, mut bytes) = match self.pick(self.beacons.len()) {
            Some(at) if self.rng.below(5) > 0 => self.beacons[at].clone(),
            _ => (listening(1), self.noise(1400)),
        };
        if self.rng.below(3) == 0 {
            from.set_ip(IpAddr::V4(self.any_address()));
        }
        if self.rng.below(2) == 0 {
            self.damage(&mut bytes);
        }
        self.give(0, Input::Datagram { from, bytes });
    }

    /// An input from the recording, with some bytes changed: whatever still decodes is a legal input of some kind.
    fn replay_mutated(&mut self) {
        let Some(at) = self.pick(self.recorded.len()) else { return };
        let mut encoded = self.recorded[at].clone();
        self.damage(&mut encoded);
        match postcard::from_bytes(&encoded) {
            // This would end the life; it has a test of its own.
            Ok(Input::Command(Command::Shutdown)) | Err(_) => {}
            Ok(input) => self.give(0, input),
        }
    }

    fn send_something(&mut self) {
        let place = self.rng.below(PEERS as u64 + 1) as usize;
        let most = if self.rng.below(20) == 0 { 20_000 } else { 200 };
        let size = 1 + self.rng.below(most);
        let packet =
            Packet::PureMessage(PureMessagePacket { message: vec![7; size as usize].into() });
        self.give(place, Input::Command(Command::SendAll { packet }));
    }

    fn dial_someone(&mut self) {
        let to = listening(1 + self.rng.below(PEERS as u64) as usize);
        self.give(0, Input::Command(Command::Connect { to, expect: None }));
    }

    fn answer_something(&mut self) {
        let request = match self.pick(self.asked.len()) {
            Some(at) => self.asked.swap_remove(at),
            None => RequestId(self.rng.below(8)),
        };
        let answer = if self.rng.below(2) == 0 { Answer::Failed } else { self.fetched() };
        self.give(0, Input::Answer { request, answer });
    }

    /// What an HTTP server may say: the right type or another, and nothing of sense.
    fn fetched(&mut self) -> Answer {
        let status = [200, 409, 503][self.rng.below(3) as usize];
        let media_type = [CONTENT_TYPE, "text/plain", ""][self.rng.below(3) as usize];
        let body = self.noise(200);
        Answer::Fetched(Fetched { status, media_type: media_type.into(), body })
    }

    fn odd_input(&mut self) {
        let input = match self.rng.below(4) {
            0 => Input::Interfaces(Vec::new()),
            1 => Input::Interfaces(vec![interface(0)]),
            2 => Input::WallTime(None),
            _ => Input::PollWrite { conn: ConnId(self.rng.below(64)), bytes_max: 0 },
        };
        self.give(0, input);
    }

    /// Hands an input to a node, records it, and does what the node wants done.
    fn give(&mut self, place: Place, input: Input) {
        if place == 0 {
            self.counts.inputs += 1;
            if self.rng.below(16) == 0
                && let Ok(encoded) = postcard::to_allocvec(&input)
            {
                keep(&mut self.recorded, encoded);
            }
        }
        self.nodes[place].handle(self.now, input);
        self.drain(place);
    }

    /// Does everything that a node wants done, at once.
    fn drain(&mut self, place: Place) {
        let mut drained = 0;
        while let Some(output) = self.nodes[place].poll_output() {
            drained += 1;
            assert!(drained < DRAIN_MAX, "one input made {DRAIN_MAX} outputs");
            match output {
                Output::Connect { conn, to } => self.dial(place, conn, to),
                Output::Close(conn) => {
                    self.flush(place, conn);
                    self.forget(place, conn, false);
                    self.nodes[place].handle_closed(self.now, conn, CloseCause::Finished);
                }
                Output::Abort(conn) => self.forget(place, conn, true),
                Output::WriteReady(_) | Output::ReadReady(_) => {}
                Output::Datagram(transmit) => {
                    let from = SocketAddr::new(transmit.from, transmit.to.port());
                    keep(&mut self.beacons, (from, transmit.contents.to_vec()));
                }
                Output::Ask(id, Request::Fetch { .. }) => keep(&mut self.asked, id),
                Output::Ask(..) => {}
                Output::Event(event) => self.hear(place, event),
            }
        }
        if place == 0 {
            self.check();
        }
    }

    fn hear(&mut self, place: Place, event: Event) {
        match event {
            Event::PeerConnected { .. } if place == 0 => self.counts.channels += 1,
            Event::Received(received) => {
                let (conn, lane, bytes) = (received.conn, received.lane, received.bytes);
                let packets = received.count() as u64;
                if place == 0 {
                    self.counts.messages += packets;
                }
                self.nodes[place].consumed(self.now, conn, lane, bytes);
            }
            _ => {}
        }
    }

    /// A dial reaches one of our nodes, if it goes to one; otherwise it fails.
    fn dial(&mut self, place: Place, conn: ConnId, to: SocketAddr) {
        let target = (0..self.nodes.len()).find(|target| listening(*target) == to);
        let from = SocketAddr::from((address(place), 30_000));
        let accepted = target.filter(|target| *target != place).and_then(|target| {
            Some((target, self.nodes[target].handle_incoming(self.now, ListenerId(1), from)?))
        });
        let Some(other) = accepted else {
            self.nodes[place].handle_closed(self.now, conn, CloseCause::Refused);
            return;
        };
        self.ends.insert((place, conn), End::new(other));
        self.ends.insert(other, End::new((place, conn)));
        self.nodes[place].handle_connected(self.now, conn, from);
    }

    /// Puts everything that a node has to say on its way.
    fn flush(&mut self, place: Place, conn: ConnId) {
        let Some(other) = self.ends.get(&(place, conn)).map(|end| end.other) else { return };
        while let Some(bytes) = self.nodes[place].poll_write(conn, 4096) {
            if let Some(end) = self.ends.get_mut(&other) {
                end.arriving.extend(bytes.iter());
            }
        }
    }

    /// A node is done with a connection; the other end will read to the end, or is cut off.
    fn forget(&mut self, place: Place, conn: ConnId, cut: bool) {
        if place == 0 {
            self.mob.retain(|known| *known != conn);
        }
        let Some(own) = self.ends.remove(&(place, conn)) else { return };
        if let Some(end) = self.ends.get_mut(&own.other) {
            end.ended = true;
            if cut {
                end.arriving.clear();
            }
        }
    }

    /// What must hold after every input.
    ///
    /// # Panics
    /// If it doesn't.
    pub fn check(&self) {
        let node = &self.nodes[0];
        let limits = node.limits();
        assert!(node.open_peers().len() <= limits.connections_max as usize);
        assert!(node.pending().len() <= limits.pending_max as usize);
    }

    pub(crate) fn check_at_the_end(&mut self) {
        let node = &self.nodes[0];
        let limits = node.limits();
        let known_max = limits.known_peers_max + limits.connections_max;
        assert!(node.peers().len() <= known_max as usize);
        assert!(node.blocked().len() <= limits.blocked_max as usize);
        assert!(node.routines().len() <= limits.routines_max as usize);
        let (stats, lan) = (node.stats(), node.lan_stats());
        self.counts.handshakes_failed += stats.handshakes_failed;
        self.counts.violations += stats.violations;
        self.counts.beacons_accepted += lan.accepted;
        self.counts.beacons_refused +=
            lan.foreign + lan.malformed + lan.forged + lan.off_link + lan.stale + lan.over_budget;
    }

    fn any_address(&mut self) -> Ipv4Addr {
        let last = self.rng.below(256) as u8;
        match self.rng.below(4) {
            0 => Ipv4Addr::new(198, 51, 100, last),
            1 => Ipv4Addr::from(self.rng.next_u64() as u32),
            _ => Ipv4Addr::new(192, 0, 2, last),
        }
    }

    fn noise(&mut self, bytes_max: u64) -> Vec<u8> {
        let length = self.rng.below(bytes_max + 1) as usize;
        std::iter::repeat_with(|| self.rng.next_u64() as u8).take(length).collect()
    }

    /// Flips a bit, cuts, doubles, inserts or overwrites.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.rng.below(bytes.len() as u64) as usize;
        match self.rng.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..),
            2 => bytes.insert(at, self.rng.next_u64() as u8),
            3 => {
                bytes.remove(at);
            }
            4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.rng.below(5) as usize],
            _ => bytes[at] ^= 1 << self.rng.below(8),
        }
    }

    fn pick(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.rng.below(length as u64) as usize)
    }
}

impl End {
    const fn new(other: (Place, ConnId)) -> Self {
        Self { other, arriving: VecDeque::new(), ended: false }
    }
}

/// Adds to a list that forgets its oldest.
fn keep<T>(list: &mut Vec<T>, item: T) {
    if list.len() == KEPT_MAX {
        list.remove(0);
    }
    list.push(item);
}

fn interface(place: Place) -> Interface {
    let own = address(place);
    let prefix = IpPrefix::new(IpAddr::V4(own), 24).expect("24 is a length");
    Interface {
        index: 2,
        name: "eth0".into(),
        loopback: false,
        multicast: true,
        addresses: vec![InterfaceAddress {
            prefix,
            address: IpAddr::V4(own),
            broadcast: Some(Ipv4Addr::new(192, 0, 2, 255)),
        }],
    }
}
