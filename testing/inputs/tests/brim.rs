//! The memory ledger: a node that is full to the brim takes no more than `Limits::total_bytes_max` says, and the formula
//! is not so loose that it says nothing.

use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::{
    Answer, BlockTarget, Config, ConnId, DataPayloadFormat, DataTransmissionPacket, Digest,
    Duration, Event, FileAcceptance, FileAnswer, FileId, FileInfo, FileMessage, FileRequest, Input,
    Instant, Interface, InterfaceAddress, IpPrefix, Limits, ListenerId, Output, Packet, PeerId,
    PeerNetwork, PureMessagePacket, Received, Request, RoutineChange, Seed, SendError,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

thread_local! {
    /// What the node under test holds: counted while it, and not the world around it, has the processor.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static CHARGED: Cell<bool> = const { Cell::new(false) };
}

struct Charging;

fn charge(bytes: isize) {
    if CHARGED.with(Cell::get) {
        HELD.with(|held| held.set(held.get() + bytes));
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Charging {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        charge(layout.size() as isize);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        charge(-(layout.size() as isize));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Charging = Charging;

/// Runs something on the node under test's account.
fn charged<T>(work: impl FnOnce() -> T) -> T {
    CHARGED.with(|charged| charged.set(true));
    let done = work();
    CHARGED.with(|charged| charged.set(false));
    done
}

type Node = PeerNetwork<SimulatedCrypto>;

fn node(n: u64, limits: Limits) -> Node {
    let mut config = Config { limits, ..Config::default() };
    // Everybody may send everything, and nobody dials by itself.
    config.policies.incoming.trust_authenticated = true;
    config.lan.connect = false;
    config.files.accept = FileAcceptance::Trusted;
    let seed = Seed::from_u64(n);
    Node::new(config, &seed.0, seed, SimulatedCrypto::new(seed), Instant::ZERO).unwrap()
}

fn address(n: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + (u32::try_from(n).unwrap() << 8))
}

fn interface(n: u64) -> Interface {
    let address = IpAddr::V4(address(n));
    let broadcast = Some(Ipv4Addr::new(10, 255, 255, 255));
    let prefix = IpPrefix::new(address, 8).unwrap();
    let addresses = vec![InterfaceAddress { prefix, address, broadcast }];
    Interface { index: 2, name: "eth0".into(), loopback: false, multicast: false, addresses }
}

/// The node under test, its peers, and what its application keeps.
struct Brim {
    limits: Limits,
    now: Instant,
    node: Node,
    peers: Vec<(Node, ConnId, ConnId)>,
    /// What each peer has written and the node has not read.
    unread: Vec<Vec<u8>>,
    kept: Vec<Received>,
}

impl Brim {
    fn new(limits: Limits) -> Self {
        let now = Instant::ZERO;
        let mut node = charged(|| node(0, limits));
        charged(|| {
            node.handle(now, Input::Listening { listener: ListenerId(1), at: to_node() });
            node.handle(now, Input::Interfaces(vec![interface(0)]));
        });
        Self { limits, now, node, peers: Vec::new(), unread: Vec::new(), kept: Vec::new() }
    }

    /// Drains the node; its application keeps all that it hears.
    fn drain(&mut self) {
        while let Some(output) = charged(|| self.node.poll_output()) {
            match output {
                Output::Event(Event::Received(received)) => self.kept.push(received),
                Output::Ask(request, Request::File(FileRequest::Begin { .. })) => {
                    let answer = Answer::File(FileAnswer::Begun { have: Vec::new() });
                    charged(|| self.node.handle_answer(self.now, request, answer));
                }
                output => charged(|| drop(output)),
            }
        }
    }

    /// Carries what both sides of a connection have to say, until both are silent or the node reads no more.
    fn carry(&mut self, at: usize, answers: bool) {
        let now = self.now;
        loop {
            let (peer, theirs, ours) = &mut self.peers[at];
            let unread = &mut self.unread[at];
            let mut moved = false;
            while unread.len() < 4096
                && let Some(bytes) = peer.poll_write(*theirs, 4096)
            {
                unread.extend_from_slice(&bytes);
            }
            let window = self.node.read_window(*ours).min(unread.len());
            if window > 0 {
                moved = true;
                let mut bytes: Vec<u8> = unread.drain(..window).collect();
                charged(|| self.node.handle_stream(now, *ours, &mut bytes));
            }
            while answers && let Some(bytes) = charged(|| self.node.poll_write(*ours, 4096)) {
                moved = true;
                peer.handle_stream(now, *theirs, &mut bytes.to_vec());
                charged(|| drop(bytes));
            }
            while peer.poll_output().is_some() {}
            self.drain();
            if !moved {
                return;
            }
        }
    }

    fn connect(&mut self, n: u64, limits: Limits) {
        let now = self.now;
        let mut peer = node(n, limits);
        peer.connect(now, to_node(), None).unwrap();
        let theirs = std::iter::from_fn(|| peer.poll_output()).find_map(|output| match output {
            Output::Connect { conn, .. } => Some(conn),
            _ => None,
        });
        let theirs = theirs.unwrap();
        let from = SocketAddr::from((address(n), 30_000));
        let ours = charged(|| self.node.handle_incoming(now, ListenerId(1), from)).unwrap();
        peer.handle_connected(now, theirs, from);
        self.peers.push((peer, theirs, ours));
        self.unread.push(Vec::new());
        let at = self.peers.len() - 1;
        self.carry(at, true);
        // Both know each other now, and have settled how far they trust.
        self.now = now + Duration::from_millis(1);
    }

    /// A peer says all that the node's windows and events let it say: data until its window is full, some hundred small
    /// packets, one to a record, so that each costs an event, and messages for the rest.
    fn hear_all_from(&mut self, at: usize, packet_bytes: usize, events_max: u32) {
        let message =
            |bytes| Packet::PureMessage(PureMessagePacket { message: vec![1; bytes].into() });
        let data = Packet::misc_data(vec![2; packet_bytes - 64]);
        for _ in 0..64 {
            self.hear(at, &data);
        }
        for _ in 0..events_max - events_max / 8 {
            self.hear(at, &message(1));
        }
        for _ in 0..64 {
            self.hear(at, &message(packet_bytes - 64));
        }
    }

    /// The longest record there may be, all but its last byte: anybody may claim its length.
    fn hear_all_but_the_end_of_a_record(&mut self, at: usize) {
        let plain = (self.limits.packet_bytes_max as usize + 512).clamp(2048, 16_384);
        let mut record = vec![0; 2 + plain + 16 - 1];
        record[..2].copy_from_slice(&u16::try_from(plain + 16).unwrap().to_be_bytes());
        let (now, conn) = (self.now, self.peers[at].2);
        charged(|| self.node.handle_stream(now, conn, &mut record));
        self.drain();
    }

    fn hear(&mut self, at: usize, packet: &Packet) {
        let id = self.node.id();
        // A full queue on the peer's side is what a full window comes to.
        let _full = self.peers[at].0.send(self.now, &id, packet);
        self.carry(at, false);
    }

    /// Every peer is a source of a file, and has sent the first part of a chunk. As many as may be offer another one.
    fn begin_files(&mut self, limits: &Limits) {
        let chunk_bytes = FileInfo::chunk_bytes_of(0).unwrap();
        let bytes = u64::from(limits.file_chunks_max) * u64::from(chunk_bytes);
        for at in 0..self.peers.len() {
            let id = FileId([at as u8 % (limits.transfers_max as u8).max(1); 32]);
            let name = "a name that is about as long as names of files are".to_owned();
            let file = FileInfo { id, name, bytes, sha256: Digest([0; 32]) };
            let said = |message: &FileMessage| {
                Packet::DataTransmission(DataTransmissionPacket {
                    format: DataPayloadFormat::File,
                    payload: message.encode().into(),
                })
            };
            self.hear(at, &said(&FileMessage::Offer { offer: 1, file }));
            let (chunk, offset, proof) = (at as u32, 0, Vec::new());
            let bytes = vec![5; 1024].into();
            self.hear(at, &said(&FileMessage::Part { file: id, chunk, offset, proof, bytes }));
        }
    }

    /// The node wants to say all that its queue takes.
    fn say_all_to(&mut self, at: usize, packet_bytes: usize) {
        let peer = self.peers[at].0.id();
        for bytes in [packet_bytes - 64, 1] {
            let packet = Packet::PureMessage(PureMessagePacket { message: vec![3; bytes].into() });
            let now = self.now;
            while charged(|| self.node.send(now, &peer, &packet)) != Err(SendError::QueueFull) {}
        }
        let data = vec![4; self.limits.channel_data_bytes_max()];
        charged(|| self.node.set_channel_data(self.now, &peer, &data)).unwrap();
    }

    /// Lists and routines as long as they may be.
    fn fill_lists(&mut self, limits: &Limits) {
        let (now, node) = (self.now, &mut self.node);
        let id = |n: u32| {
            let mut id = [9; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            PeerId(id)
        };
        charged(|| {
            for n in 0..limits.blocked_max {
                node.block(now, BlockTarget::Peer(id(n))).unwrap();
            }
            for n in 0..limits.listed_max {
                node.trust(now, id(1 << 20 | n)).unwrap();
            }
            for n in 0.. {
                let (interval, jitter_percent) = (Duration::from_secs(60), 10);
                let change = RoutineChange::Add { interval, jitter_percent };
                if node.routine(now, &format!("a routine of the application, {n}"), change).is_err()
                {
                    break;
                }
            }
        });
    }

    /// Beacons of more hosts than the node remembers.
    fn hear_beacons(&mut self, limits: &Limits) {
        for n in 1000..1000 + u64::from(limits.known_peers_max) + 50 {
            let mut other = node(n, *limits);
            let at = SocketAddr::from((address(n), 4000));
            other.handle(self.now, Input::Listening { listener: ListenerId(1), at });
            other.handle(self.now, Input::Interfaces(vec![interface(n)]));
            let due = other.poll_timeout().map_or(self.now, |due| due.at);
            while other.poll_output().is_some() {}
            let due = other.poll_timeout().map_or(due, |due| due.at);
            other.handle_timeout(due);
            let beacon =
                std::iter::from_fn(|| other.poll_output()).find_map(|output| match output {
                    Output::Datagram(transmit) => Some(transmit),
                    _ => None,
                });
            let Some(beacon) = beacon else { continue };
            let from = SocketAddr::from((address(n), beacon.to.port()));
            charged(|| self.node.handle_datagram(self.now, from, &beacon.contents));
            self.now = self.now + Duration::from_millis(40);
            self.drain();
        }
    }
}

fn to_node() -> SocketAddr {
    SocketAddr::from((address(0), 4000))
}

/// A node with all that it takes, and the bytes it holds.
fn full(limits: Limits) -> (Brim, u64) {
    let packet_bytes = limits.packet_bytes_max as usize;
    let mut brim = Brim::new(limits);
    println!("{} bytes held empty", HELD.get());
    brim.hear_beacons(&limits);
    for n in 1..=u64::from(limits.connections_max) {
        brim.connect(n, limits);
    }
    brim.fill_lists(&limits);
    brim.begin_files(&limits);
    assert_eq!(brim.node.transfers().len(), limits.transfers_max as usize);
    for at in 0..brim.peers.len() {
        brim.hear_all_from(at, packet_bytes, limits.unread_events_max);
        brim.say_all_to(at, packet_bytes);
    }
    // A ledger that counts an empty node proves nothing.
    assert_eq!(brim.node.open_peers().len(), limits.connections_max as usize);
    assert!(brim.node.peers().len() >= limits.known_peers_max as usize);
    for at in 0..brim.peers.len() {
        brim.hear_all_but_the_end_of_a_record(at);
    }
    let held = u64::try_from(HELD.get()).unwrap();
    let (most, unread) = (limits.total_bytes_max(), brim.kept.len());
    println!("{held} bytes held, {most} by the formula, {unread} events unread");
    assert!(held <= most, "{held} bytes are over the {most} that the formula allows");
    (brim, held)
}

#[test]
fn a_node_full_to_the_brim_holds_what_the_formula_says() {
    let limits = Limits { packets_per_second_max: 0, ..Limits::small() };
    let (brim, held) = full(limits);
    assert!(brim.kept.len() >= 100 * brim.peers.len());
    // Control packets, assemblies and records cut in two can't all be full at the same time as everything else.
    let most = limits.total_bytes_max();
    assert!(most <= 5 * held, "{most} bytes by the formula, and a full node holds {held}");
}

#[test]
fn a_tiny_node_full_to_the_brim_takes_64_kibibytes() {
    let limits = Limits { packets_per_second_max: 0, ..Limits::tiny() };
    assert!(limits.total_bytes_max() <= 64 << 10, "{}", limits.total_bytes_max());
    let (brim, held) = full(limits);
    assert!(brim.kept.len() >= 10 * brim.peers.len());
    assert!(held >= 16 << 10, "{held} bytes: it isn't full");
}
