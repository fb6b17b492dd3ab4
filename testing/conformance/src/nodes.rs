//! Nodes on loopback, and what scenarios wait for.

use crate::soon::Soon as _;
use p2pnet_driver::protocol::{Config, Duration, Event, Received};
use p2pnet_driver::{Builder, Events, Handle, PeerId, StartError};
use std::net::SocketAddr;
use std::time::Instant;

/// What an adapter is to a scenario.
pub type Spawn = fn(Builder) -> Result<(Handle, Events), StartError>;

/// What the two sides of a scenario run on.
#[derive(Clone, Copy, Debug)]
pub struct On {
    /// Starts nodes of the one side.
    pub here: Spawn,
    /// Starts nodes of the other side.
    pub there: Spawn,
}

impl On {
    /// Both sides on one adapter.
    pub fn alone(spawn: Spawn) -> Self {
        Self { here: spawn, there: spawn }
    }

    /// A node of the one side.
    #[track_caller]
    pub fn here(&self, config: Config) -> (Handle, Events) {
        (self.here)(Builder::new(config)).unwrap()
    }

    /// A node of the other side.
    #[track_caller]
    pub fn there(&self, config: Config) -> (Handle, Events) {
        (self.there)(Builder::new(config)).unwrap()
    }

    /// A node of each side, with a channel between them that the first one dialled.
    #[track_caller]
    pub fn pair(&self, here: Config, there: Config) -> [(Handle, Events); 2] {
        let (a, mut a_events) = self.here(here);
        let (b, mut b_events) = self.there(there);
        a.connect(at(&b), None).soon().unwrap();
        assert_eq!(connected(&mut a_events), b.id());
        assert_eq!(connected(&mut b_events), a.id());
        [(a, a_events), (b, b_events)]
    }
}

/// A node without LAN discovery that listens on loopback and takes many from there.
pub fn quiet() -> Config {
    let mut config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
    config.lan.enabled = false;
    config.policies.incoming.trust_authenticated = true;
    config.limits.connections_per_address_max = config.limits.connections_max;
    config.limits.connections_per_subnet_max = config.limits.connections_max;
    config.limits.handshakes_per_address_max = config.limits.handshakes_max;
    config.limits.handshakes_per_subnet_max = config.limits.handshakes_max;
    config
}

/// Where a node listens.
pub fn at(handle: &Handle) -> SocketAddr {
    handle.listening()[0]
}

/// The first event that `pick` takes. Panics, and tells what came instead, after twenty seconds without it.
#[track_caller]
pub fn until<T>(events: &mut Events, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut seen = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.next().within(left) {
            Some(Some(event)) => {
                if let Some(found) = pick(&event) {
                    return found;
                }
                seen.push(format!("{event:?}").chars().take(200).collect::<String>());
            }
            Some(None) => panic!("the node stopped after: {seen:#?}"),
            None => panic!("not seen in twenty seconds; instead: {seen:#?}"),
        }
    }
}

/// The next peer that a channel opens to.
#[track_caller]
pub fn connected(events: &mut Events) -> PeerId {
    until(events, |event| match event {
        Event::PeerConnected { peer, .. } => Some(*peer),
        _ => None,
    })
}

/// The next payload.
#[track_caller]
pub fn received(events: &mut Events) -> Received {
    until(events, |event| match event {
        Event::Received(received) => Some(received.clone()),
        _ => None,
    })
}

/// Takes `count` messages, and checks that they count up: each begins with its number.
#[track_caller]
pub fn take_numbered(events: &mut Events, count: u64) {
    let mut next = 0;
    while next < count {
        for packet in received(events) {
            let payload = packet.payload().unwrap();
            assert_eq!(payload[..8], u64::to_le_bytes(next), "in order and whole");
            next += 1;
        }
    }
}

/// A message with this number, of this length.
pub fn numbered(number: u64, bytes: usize) -> Vec<u8> {
    let mut message = vec![0; bytes.max(8)];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

/// Descriptors that this process has open.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Processor time that this process has used.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Threads of this process.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
