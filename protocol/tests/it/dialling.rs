//! Whom a node dials, and whom nobody can make it dial.

use crate::world::{World, address, quiet};
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::wire::{Beacon, Endpoint, PeerRecord};
use p2pnet_protocol::*;
use std::net::SocketAddr;

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

/// A node that hears beacons on its LAN.
fn listening() -> World {
    let mut world = World::new(vec![Config::default()]);
    let address = InterfaceAddress {
        address: address(0).ip(),
        prefix: "192.0.2.0/24".parse().unwrap(),
        broadcast: Some([192, 0, 2, 255].into()),
    };
    let (name, addresses) = ("eth0".into(), vec![address]);
    let lan = Interface { index: 2, name, loopback: false, multicast: true, addresses };
    let now = world.now;
    world.nodes[0].handle_interfaces(now, &[lan]);
    world
}

/// Lets node 0 hear a beacon, signed by the identity of this seed.
fn beacon(world: &mut World, identity: u64, start: u64, from: SocketAddr, tcp_port: u16) {
    let crypto = PureCrypto::new().unwrap();
    let mut seed = [2; 32];
    if identity != 2 {
        seed[..8].copy_from_slice(&identity.to_be_bytes());
    }
    let private = crypto.signing_key(&seed);
    let key = crypto.public_key(&private);
    let network = NetworkName::default().tag();
    let beacon = Beacon { network, flags: 0, tcp_port, key, start, counter: 1 };
    let bytes = beacon.encode(&[], &crypto, &private);
    let now = world.now;
    world.nodes[0].handle_datagram(now, from, &bytes);
}

/// Somebody forges beacons of a host on the link that has no part in this.
fn victim() -> SocketAddr {
    "192.0.2.77:8001".parse().unwrap()
}

#[test]
fn ever_new_starts_of_one_identity_don_t_make_a_node_dial_on_and_on() {
    let mut world = listening();
    for n in 0..600 {
        beacon(&mut world, 1000, n, victim(), 22);
        world.pass(Duration::from_millis(100));
    }
    let dials = dialled(&world, 0);
    assert!(dials.iter().all(|at| at.to_string() == "192.0.2.77:22"));
    assert!((3..=12).contains(&dials.len()), "{} dials in a minute", dials.len());
}

#[test]
fn ever_new_identities_don_t_make_a_node_dial_one_address_on_and_on() {
    let mut world = listening();
    // No more of them than a node wants channels.
    for n in 0..60u16 {
        beacon(&mut world, 1000 + u64::from(n), 7, victim(), 1 + n);
        world.pass(Duration::from_millis(500));
    }
    let dials = dialled(&world, 0).len();
    assert!((3..=16 + 4).contains(&dials), "{dials} dials in half a minute");
    // Another address is dialled at once, all the same.
    beacon(&mut world, 5, 7, "192.0.2.5:8001".parse().unwrap(), 9000);
    world.pass(Duration::from_secs(1));
    assert!(dialled(&world, 0).iter().any(|at| at.to_string() == "192.0.2.5:9000"));
}

#[test]
fn a_peer_that_starts_again_is_met_at_once_however_long_it_was_away() {
    for away in [1, 3, 20, 100, 1000] {
        let mut world = listening();
        world.add(quiet(), [2; 32], 1);
        let met = |world: &World| !world.nodes[0].open_peers().is_empty();
        beacon(&mut world, 2, 0, address(1), 9000);
        world.pass(Duration::from_secs(1));
        assert!(met(&world));
        for start in 1..4 {
            world.cut = true;
            lose(&mut world, 0, 1);
            world.pass(Duration::from_secs(away));
            assert!(!met(&world));
            world.cut = false;
            let before = world.now;
            beacon(&mut world, 2, start, address(1), 9000);
            while !met(&world) {
                world.pass(Duration::from_millis(100));
                assert!(world.now.since(before) < Duration::from_millis(1500), "away for {away} s");
            }
        }
    }
}

#[test]
fn a_peer_that_was_asked_for_is_dialled_again_after_it_turned_this_node_away() {
    let mut full = quiet();
    full.placement = IncomingPeerPlacement::QueueBased;
    let mut world = World::new(vec![quiet(), full]);
    world.join(0, 1);
    let (a, now) = (world.id(0), world.now);
    world.nodes[1].refuse(now, &a).unwrap();
    world.pass(Duration::from_secs(59));
    assert_eq!(dialled(&world, 0).len(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(dialled(&world, 0).len(), 2);
    world.nodes[1].accept(world.now, &a).unwrap();
    world.settle();
    assert_eq!(world.connected(0).len(), 1);
}

#[test]
fn who_answers_in_anothers_place_doesn_t_learn_who_dialled() {
    let mut world = World::new(vec![quiet(); 3]);
    let (dialler, answerer, wanted) = (world.id(0), world.id(1), world.id(2));
    world.nodes[0].connect(world.now, address(1), Some(wanted)).unwrap();
    world.settle();
    let wrong = DialError::WrongPeer(answerer);
    let failed =
        |event: &Event| matches!(event, Event::DialFailed { error, .. } if *error == wrong);
    assert_eq!(world.saw(0, failed), 1);
    assert!(world.connected(0).is_empty() && world.connected(1).is_empty());
    assert!(world.nodes[1].peer(&dialler).is_none(), "it was told");
    // Asked for by its own name, or by none, the same node learns it.
    world.join(0, 1);
    assert!(world.nodes[1].peer(&dialler).is_some());
}

#[test]
fn a_stream_from_a_blocked_prefix_gets_no_connection() {
    let mut world = World::new(vec![quiet()]);
    let prefix: IpPrefix = "192.0.2.0/25".parse().unwrap();
    let now = world.now;
    world.nodes[0].block(now, BlockTarget::Prefix(prefix)).unwrap();
    let mut accepted =
        |from: &str| world.nodes[0].handle_incoming(now, ListenerId(0), from.parse().unwrap());
    assert_eq!(accepted("192.0.2.127:5000"), None);
    assert_eq!(accepted("[::ffff:192.0.2.1]:5000"), None, "the same host by its other name");
    assert!(accepted("192.0.2.128:5000").is_some());
    world.nodes[0].unblock(now, BlockTarget::Prefix(prefix)).unwrap();
    assert!(
        world.nodes[0]
            .handle_incoming(now, ListenerId(0), "192.0.2.127:5000".parse().unwrap())
            .is_some()
    );
}
