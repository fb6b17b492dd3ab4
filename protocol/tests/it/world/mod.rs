//! A small world for tests: nodes joined by perfect streams, in virtual time. (The simulator is the large one.)
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod disk;
pub mod server;

use disk::Disk;
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::io::Fetched;
use p2pnet_protocol::*;
use server::Server;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

pub type Node = PeerNetwork<PureCrypto>;

/// How the world hands over a stream's bytes.
#[derive(Clone, Copy)]
pub enum Pieces {
    Whole,
    /// So many bytes at a time.
    Of(usize),
    /// Pieces of varying length, up to so many bytes.
    Varied(usize),
}

struct Stream {
    /// The two ends: (node, connection). The accepting end is known once it has accepted.
    ends: [Option<(usize, ConnId)>; 2],
}

pub struct World {
    pub now: Instant,
    pub nodes: Vec<Node>,
    pub events: Vec<Vec<Event>>,
    pub pieces: Pieces,
    /// Connections on which nothing is delivered any more.
    pub cut: bool,
    /// Nodes that don't give credit back.
    pub deaf: Vec<bool>,
    /// Bytes are handed over only as far as `read_window` lets them.
    pub patient: bool,
    /// This node greets whoever it hears is connected, before its bytes are carried.
    pub greets: Option<(usize, Packet)>,
    /// What went over all streams, each chunk with its sender, if an onlooker wants it.
    pub tap: Option<Vec<(usize, Vec<u8>)>>,
    pub disks: Vec<Disk>,
    /// Bytes that a patient world has not handed over.
    waiting: BTreeMap<(usize, ConnId), Vec<u8>>,
    streams: Vec<Stream>,
    stream_of: BTreeMap<(usize, ConnId), (usize, usize)>,
    datagrams: VecDeque<(usize, Transmit)>,
    varied: Rng,
    /// What nodes have had saved, if they are told that there is a place.
    pub saved: BTreeMap<(usize, Keeps), bytes::Bytes>,
    /// Bootstrap servers and sources of addresses, by the beginning of their URLs.
    pub servers: BTreeMap<String, Server>,
    /// Servers that can't be reached.
    pub away: Vec<String>,
    /// Nothing can be saved.
    pub full_disk: bool,
}

/// The address that node `index` listens on.
pub fn address(index: usize) -> SocketAddr {
    format!("192.0.2.{}:9000", index + 1).parse().unwrap()
}

impl World {
    pub fn new(configs: Vec<Config>) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut world = Self {
            now,
            nodes: Vec::new(),
            events: Vec::new(),
            pieces: Pieces::Whole,
            cut: false,
            deaf: Vec::new(),
            patient: false,
            greets: None,
            tap: None,
            disks: Vec::new(),
            waiting: BTreeMap::new(),
            streams: Vec::new(),
            stream_of: BTreeMap::new(),
            datagrams: VecDeque::new(),
            varied: Rng::new(Seed::from_u64(99), "pieces"),
            saved: BTreeMap::new(),
            servers: BTreeMap::new(),
            away: Vec::new(),
            full_disk: false,
        };
        for (index, config) in configs.into_iter().enumerate() {
            world.add(config, [index as u8 + 1; 32], index as u64);
        }
        world
    }

    pub fn pair() -> Self {
        Self::new(vec![quiet(), quiet()])
    }

    pub fn add(&mut self, config: Config, identity: [u8; 32], seed: u64) -> usize {
        let index = self.nodes.len();
        let node = self.start(index, config, identity, seed);
        self.nodes.push(node);
        self.events.push(Vec::new());
        self.deaf.push(false);
        self.disks.push(Disk::default());
        index
    }

    fn start(&self, index: usize, config: Config, identity: [u8; 32], seed: u64) -> Node {
        let (seed, crypto) = (Seed::from_u64(seed), PureCrypto::new().unwrap());
        let mut node = Node::new(config, &identity, seed, crypto, self.now).unwrap();
        node.handle_listening(self.now, ListenerId(0), address(index));
        node
    }

    /// The process of node `index` ends without a word, and another one starts as the same peer.
    pub fn restart(&mut self, index: usize, config: Config, seed: u64) {
        let open: Vec<_> = self.stream_of.keys().copied().filter(|end| end.0 == index).collect();
        for (_, conn) in open {
            self.end(index, conn, CloseCause::Reset);
        }
        self.nodes[index] = self.start(index, config, [index as u8 + 1; 32], seed);
        self.events[index].clear();
        self.disks[index].restart();
    }

    /// Connects node `a` to node `b` and lets everything settle.
    pub fn join(&mut self, a: usize, b: usize) {
        self.nodes[a].connect(self.now, address(b), None).unwrap();
        self.settle();
    }

    pub fn id(&self, index: usize) -> PeerId {
        self.nodes[index].id()
    }

    /// Lets `span` pass.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.settle();
            let next = self.nodes.iter().filter_map(|node| node.poll_timeout()).map(|d| d.at).min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// Carries bytes and outputs until nothing moves.
    pub fn settle(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for index in 0..self.nodes.len() {
                while let Some(output) = self.nodes[index].poll_output() {
                    moved = true;
                    self.perform(index, output);
                }
            }
        }
    }

    fn perform(&mut self, index: usize, output: Output) {
        match output {
            Output::Connect { conn, to } => self.connect(index, conn, to),
            Output::WriteReady(conn) => self.carry(index, conn),
            Output::Close(conn) => {
                self.carry(index, conn);
                self.end(index, conn, CloseCause::EndOfStream);
                self.nodes[index].handle_closed(self.now, conn, CloseCause::Finished);
            }
            Output::Abort(conn) => self.end(index, conn, CloseCause::Reset),
            Output::Event(event) => {
                if let Event::Received(received) = &event
                    && !self.deaf[index]
                {
                    let (conn, lane, bytes) = (received.conn, received.lane, received.bytes);
                    self.nodes[index].consumed(self.now, conn, lane, bytes);
                }
                if let (Event::PeerConnected { peer, .. }, Some((greeter, packet))) =
                    (&event, &self.greets)
                    && *greeter == index
                {
                    self.nodes[index].send(self.now, peer, packet).unwrap();
                }
                self.events[index].push(event);
            }
            Output::Datagram(transmit) => self.datagrams.push_back((index, transmit)),
            Output::ReadReady(conn) => self.deliver(index, conn),
            Output::Ask(request, Request::Save { keeps, bytes }) => {
                let answer = if self.full_disk { Answer::Failed } else { Answer::Saved };
                if !self.full_disk {
                    self.saved.insert((index, keeps), bytes);
                }
                self.nodes[index].handle_answer(self.now, request, answer);
            }
            Output::Ask(request, Request::File(wanted)) => {
                if let Some(answer) = self.disks[index].answer(wanted) {
                    self.nodes[index].handle_answer(self.now, request, Answer::File(answer));
                }
            }
            Output::Ask(request, Request::Fetch(fetch)) => {
                let fetched = self.fetch(index, &fetch);
                let answer = fetched.map_or(Answer::Failed, Answer::Fetched);
                self.nodes[index].handle_answer(self.now, request, answer);
            }
            Output::Ask(..) => {}
        }
    }

    fn fetch(&mut self, index: usize, fetch: &io::Fetch) -> Option<Fetched> {
        let named = |name: &str| fetch.url.starts_with(name);
        if self.away.iter().any(|name| named(name)) {
            return None;
        }
        let clock = self.now.since(Instant::from_nanos(1_000_000_000)).as_secs();
        let (_, server) = self.servers.iter_mut().find(|(name, _)| named(name))?;
        server.now = 1_700_000_000 + clock;
        server.answer(fetch, address(index))
    }

    fn connect(&mut self, index: usize, conn: ConnId, to: SocketAddr) {
        let target = (0..self.nodes.len()).find(|target| address(*target) == to && !self.cut);
        let Some(target) = target else {
            return self.nodes[index].handle_closed(self.now, conn, CloseCause::Refused);
        };
        let from = SocketAddr::new(address(index).ip(), 40_000 + conn.0 as u16);
        let Some(accepted) = self.nodes[target].handle_incoming(self.now, ListenerId(0), from)
        else {
            return self.nodes[index].handle_closed(self.now, conn, CloseCause::Reset);
        };
        let stream = self.streams.len();
        self.streams.push(Stream { ends: [Some((index, conn)), Some((target, accepted))] });
        self.stream_of.insert((index, conn), (stream, 1));
        self.stream_of.insert((target, accepted), (stream, 0));
        self.nodes[index].handle_connected(self.now, conn, from);
    }

    /// Carries what `conn` has to write to its other end.
    pub fn carry(&mut self, index: usize, conn: ConnId) {
        while let Some(chunk) = self.nodes[index].poll_write(conn, 64 << 10) {
            if self.cut {
                continue;
            }
            if let Some(tap) = &mut self.tap {
                tap.push((index, chunk.to_vec()));
            }
            let Some((other, there)) = self.other_end(index, conn) else { continue };
            if self.patient {
                self.waiting.entry((other, there)).or_default().extend_from_slice(&chunk);
                self.deliver(other, there);
                continue;
            }
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let length = match self.pieces {
                    Pieces::Whole => rest.len(),
                    Pieces::Of(length) => length.min(rest.len()),
                    Pieces::Varied(max) => {
                        1 + self.varied.below(max.min(rest.len()) as u64) as usize
                    }
                };
                let (piece, after) = rest.split_at(length.min(rest.len()));
                self.nodes[other].handle_stream(self.now, there, &mut piece.to_vec());
                rest = after;
            }
        }
    }

    /// Hands over what waits for `conn`, as far as its node reads.
    fn deliver(&mut self, index: usize, conn: ConnId) {
        let Some(mut bytes) = self.waiting.remove(&(index, conn)) else { return };
        let mut read = 0;
        while read < bytes.len() {
            let window = self.nodes[index].read_window(conn).min(1024).min(bytes.len() - read);
            if window == 0 {
                break;
            }
            self.nodes[index].handle_stream(self.now, conn, &mut bytes[read..read + window]);
            read += window;
        }
        bytes.drain(..read);
        if !bytes.is_empty() {
            self.waiting.insert((index, conn), bytes);
        }
    }

    pub fn other_end(&self, index: usize, conn: ConnId) -> Option<(usize, ConnId)> {
        let (stream, end) = self.stream_of.get(&(index, conn))?;
        self.streams[*stream].ends[*end]
    }

    /// Ends a stream from this side; the other side hears of it unless the network is cut.
    pub fn end(&mut self, index: usize, conn: ConnId, cause: CloseCause) {
        let other = self.other_end(index, conn);
        let Some((stream, end)) = self.stream_of.remove(&(index, conn)) else { return };
        self.streams[stream].ends[1 - end] = None;
        if let Some((other, there)) = other
            && !self.cut
        {
            self.nodes[other].handle_closed(self.now, there, cause);
        }
    }

    /// The texts of the messages that node `index` has received, in order.
    pub fn messages(&self, index: usize) -> Vec<String> {
        let received = self.events[index].iter().filter_map(|event| match event {
            Event::Received(received) => Some(received.clone()),
            _ => None,
        });
        let packets = received.flatten().filter_map(|packet| match packet {
            Packet::PureMessage(message) => Some(message.text().into_owned()),
            _ => None,
        });
        packets.collect()
    }

    pub fn saw(&self, index: usize, test: impl Fn(&Event) -> bool) -> usize {
        self.events[index].iter().filter(|event| test(event)).count()
    }

    pub fn connected(&self, index: usize) -> Vec<(PeerId, Trust)> {
        let open = self.nodes[index].open_peers();
        open.into_iter().map(|view| (view.peer, view.trust)).collect()
    }

    /// The beacons sent so far, with their senders.
    pub fn take_datagrams(&mut self) -> Vec<(usize, Transmit)> {
        self.datagrams.drain(..).collect()
    }
}

/// A configuration without LAN discovery.
pub fn quiet() -> Config {
    let mut config = Config::default();
    config.lan.enabled = false;
    config
}
