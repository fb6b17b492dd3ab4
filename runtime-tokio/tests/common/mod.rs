//! Nodes on loopback, and what tests wait for.
#![allow(dead_code, unreachable_pub, reason = "each test file uses what it needs")]

use p2pnet_driver::protocol::{Config, Duration, Event};
use p2pnet_tokio::{Builder, Events, Handle, PeerId};
use std::net::SocketAddr;

/// A node without LAN discovery that listens on loopback.
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

pub fn node(config: Config) -> (Handle, Events) {
    p2pnet_tokio::run_in_thread(Builder::new(config)).unwrap()
}

pub fn at(handle: &Handle) -> SocketAddr {
    handle.listening()[0]
}

/// The first event that `pick` takes. Panics after ten seconds without it.
pub async fn until<T>(events: &mut Events, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    let mut seen = Vec::new();
    let wanted = async {
        loop {
            let event = events.next().await.expect("the node stopped");
            if let Some(found) = pick(&event) {
                return found;
            }
            seen.push(format!("{event:?}").chars().take(200).collect::<String>());
        }
    };
    match tokio::time::timeout(Duration::from_secs(10), wanted).await {
        Ok(found) => found,
        Err(_) => panic!("not seen in ten seconds; instead: {seen:#?}"),
    }
}

pub async fn connected(events: &mut Events) -> PeerId {
    until(events, |event| match event {
        Event::PeerConnected { peer, .. } => Some(*peer),
        _ => None,
    })
    .await
}

/// Two nodes with a channel between them.
pub async fn pair(first: Config, second: Config) -> [(Handle, Events); 2] {
    let (a, mut a_events) = node(first);
    let (b, mut b_events) = node(second);
    a.connect(at(&b), None).await.unwrap();
    assert_eq!(connected(&mut a_events).await, b.id());
    assert_eq!(connected(&mut b_events).await, a.id());
    [(a, a_events), (b, b_events)]
}

/// Takes payload until `bytes` of it were seen, and checks that it counts up: each message begins with its number.
pub async fn take_numbered(events: &mut Events, count: u64) {
    let mut next = 0;
    while next < count {
        let received = until(events, |event| match event {
            Event::Received(received) => Some(received.clone()),
            _ => None,
        })
        .await;
        for packet in received {
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

pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
