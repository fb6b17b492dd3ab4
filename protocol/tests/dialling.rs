//! Whom a node dials, and whom nobody can make it dial.

mod world;

use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::*;
use std::net::SocketAddr;
use world::{World, address, quiet};

/// The addresses that node `index` has dialled so far.
fn dialled(world: &World, index: usize) -> Vec<SocketAddr> {
    let dials = world.events[index].iter().filter_map(|event| match event {
        Event::ConnectionAttempt { at, direction: Direction::Outgoing, .. } => Some(*at),
        _ => None,
    });
    dials.collect()
}

/// Ends the channel between two nodes without a word.
fn lose(world: &mut World, a: usize, b: usize) {
    let b = world.id(b);
    let conn = world.nodes[a].peer(&b).and_then(|view| view.conn).unwrap();
    world.end(a, conn, CloseCause::Reset);
    let now = world.now;
    world.nodes[a].handle_closed(now, conn, CloseCause::Reset);
    world.settle();
}

#[test]
fn what_a_peer_tells_of_another_is_never_dialled() {
    let mut trusting = quiet();
    trusting.policies.incoming.trust_authenticated = true;
    let mut world = World::new(vec![trusting; 3]);
    world.join(0, 1);
    world.join(2, 0);
    // Node 2 tells of node 1 at places where somebody else is.
    let victims: Vec<SocketAddr> =
        (1..=4).map(|n| SocketAddr::new([198, 51, 100, n].into(), 22)).collect();
    let endpoints = victims.iter().copied().map(Endpoint::Tcp).collect();
    let record = PeerRecord { peer: world.id(1), endpoints };
    let group = Packet::PeerGroup(PeerGroupPacket { peers: vec![record] });
    let (hub, now) = (world.id(0), world.now);
    world.nodes[2].send(now, &hub, &group).unwrap();
    world.settle();
    let told = world.saw(0, |event| {
        matches!(event, Event::PeerDiscovered { via: DiscoverySource::Exchange, .. })
    });
    assert_eq!(told, victims.len(), "it is news all the same");
    world.cut = true;
    lose(&mut world, 0, 1);
    world.pass(Duration::from_secs(60));
    let dials = dialled(&world, 0);
    assert!(dials.len() > 5, "{dials:?}");
    assert!(dials.iter().all(|at| *at == address(1)), "{dials:?}");
    // And where it was met it is met again.
    world.cut = false;
    world.pass(Duration::from_secs(90));
    assert_eq!(world.connected(0).len(), 2);
}
