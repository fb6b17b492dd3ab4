//! Bounds of whole nodes: what happens when they are reached, and that it ends.

use crate::world::{self, World, quiet};
use p2pnet_protocol::*;
use std::collections::BTreeSet;

/// Fills the output queue without polling: each block is an event.
fn crowd(node: &mut world::Node, now: Instant) {
    let mut next = 0u32;
    while node.read_window(ConnId(1)) > 0 {
        next += 1;
        assert!(next < 1000, "never crowded");
        let mut id = [0; 32];
        id[..4].copy_from_slice(&next.to_be_bytes());
        node.block(now, BlockTarget::Peer(PeerId(id))).unwrap();
    }
}

/// Polls everything and gives the streams that were told to go on.
fn drain(node: &mut world::Node) -> Vec<ConnId> {
    let mut resumed = Vec::new();
    for _ in 0..10_000 {
        match node.poll_output() {
            Some(Output::ReadReady(conn)) => resumed.push(conn),
            Some(_) => {}
            None => return resumed,
        }
    }
    panic!("the outputs never end");
}

#[test]
fn after_crowding_every_paused_stream_goes_on_handshakes_too() {
    let mut config = quiet();
    // A short queue and more streams than it could hold.
    config.limits.outputs_max = 64;
    let mut world = World::new(vec![config, quiet()]);
    let (now, node) = (world.now, &mut world.nodes[0]);
    let mut accepted = BTreeSet::new();
    for n in 0..128 {
        let from = format!("198.51.{}.1:{}", n % 4, 1000 + n).parse().unwrap();
        accepted.insert(node.handle_incoming(now, ListenerId(0), from).unwrap());
        drain(node);
    }
    assert_eq!(accepted.len(), 128);
    for _ in 0..3 {
        crowd(node, now);
        assert!(accepted.iter().all(|conn| node.read_window(*conn) == 0));
        let resumed = drain(node);
        assert_eq!(resumed.len(), accepted.len(), "each once");
        assert_eq!(resumed.into_iter().collect::<BTreeSet<_>>(), accepted);
        assert!(accepted.iter().all(|conn| node.read_window(*conn) > 0));
        assert_ne!(node.poll_timeout().map(|deadline| deadline.why), Some(Why::OutputsWaiting));
    }
}

fn ready(world: &mut World, config: &Config, peers: usize) {
    for _ in 0..peers {
        let index = world.nodes.len();
        world.add(config.clone(), [index as u8 + 1; 32], index as u64);
        world.join(index, 0);
    }
}

#[test]
fn a_flood_is_slowed_to_its_rate_and_nobody_else() {
    const RATE: usize = 1000;
    const FLOOD: usize = 12_000;
    let mut config = quiet();
    config.limits.packets_per_second_max = RATE as u32;
    let mut world = World::new(vec![config]);
    world.patient = true;
    ready(&mut world, &quiet(), 2);
    let hub = world.id(0);
    for n in 0..FLOOD {
        world.nodes[1].send(world.now, &hub, &Packet::message(format!("flood {n}"))).unwrap();
    }
    let flood = |world: &World| {
        world.messages(0).into_iter().filter(|text| text.starts_with("flood")).collect::<Vec<_>>()
    };
    // A record is judged as a whole.
    let record = 16_384 / "xxflood 1".len();
    for second in 1..=14usize {
        let now = world.now;
        world.nodes[2].send(now, &hub, &Packet::message(format!("calm {second}"))).unwrap();
        world.settle();
        assert!(world.messages(0).contains(&format!("calm {second}")), "at once");
        world.pass(Duration::from_secs(1));
        let came = flood(&world).len();
        assert!(came <= RATE * (second + 1) + record, "{came} after {second} s");
        assert!(came >= FLOOD.min(RATE * second), "{came} after {second} s");
    }
    let all: Vec<String> = (0..FLOOD).map(|n| format!("flood {n}")).collect();
    assert_eq!(flood(&world), all, "each, and in order");
    assert_eq!(world.saw(0, |event| matches!(event, Event::PeerClosed { .. })), 0);
}

#[test]
fn a_stream_that_was_told_to_close_is_not_told_to_go_on() {
    let mut config = quiet();
    config.limits.packets_per_second_max = 100;
    let mut world = World::new(vec![config]);
    world.patient = true;
    ready(&mut world, &quiet(), 1);
    let (hub, guest) = (world.id(0), world.id(1));
    for n in 0..250 {
        world.nodes[1].send(world.now, &hub, &Packet::message(format!("{n}"))).unwrap();
    }
    world.settle();
    let node = &mut world.nodes[0];
    let conn = node.open_peers()[0].conn.unwrap();
    assert_eq!(node.read_window(conn), 0, "too fast");
    node.disconnect(world.now, &guest, DisconnectReason::Requested).unwrap();
    while node.poll_write(conn, 1 << 14).is_some() {}
    let told: Vec<_> = std::iter::from_fn(|| node.poll_output()).collect();
    assert!(told.contains(&Output::Close(conn)));
    // The pause would be over, and the application gives back what it had.
    for after in [1, 2, 4] {
        let now = world.now + Duration::from_secs(after);
        node.handle_timeout(now);
        node.consumed(now, conn, Lane::Message, 100_000);
        assert_eq!(drain(node), []);
    }
}

#[test]
fn packets_that_come_one_by_one_stop_the_reading_before_they_cost_more_than_their_bytes() {
    let mut config = quiet();
    config.limits.unread_events_max = 64;
    let mut world = World::new(vec![config]);
    world.patient = true;
    ready(&mut world, &quiet(), 2);
    world.deaf[0] = true;
    let (hub, now) = (world.id(0), world.now);
    for _ in 0..1000 {
        world.nodes[1].send(now, &hub, &Packet::message("")).unwrap();
        // Each is written before the next is sent, so that each has its own record.
        world.settle();
    }
    let events = |world: &World| -> Vec<Received> {
        let received = world.events[0].iter().filter_map(|event| match event {
            Event::Received(received) => Some(received.clone()),
            _ => None,
        });
        received.collect()
    };
    assert_eq!(events(&world).len(), 64);
    // The other peer is heard all the same.
    world.nodes[2].send(now, &hub, &Packet::message("calm")).unwrap();
    world.settle();
    assert_eq!(events(&world).len(), 65);
    // Given back together, as a driver does it.
    let mut given_back = 0;
    loop {
        let all = events(&world);
        if all.len() == given_back {
            break;
        }
        let from = |conn| all[given_back..].iter().filter(move |received| received.conn == conn);
        let conns: BTreeSet<ConnId> =
            all[given_back..].iter().map(|received| received.conn).collect();
        for conn in conns {
            let bytes = from(conn).map(|received| received.bytes).sum();
            world.nodes[0].consumed(now, conn, Lane::Message, bytes);
        }
        assert!(all.len() - given_back <= 65);
        given_back = all.len();
        world.settle();
    }
    assert_eq!(given_back, 1001);
}

/// Peers that come, leave something unread and go, again and again, get no more of the node's memory than those that stay.
#[test]
fn a_channel_that_is_gone_keeps_its_place_until_what_it_left_is_given_back() {
    let mut config = quiet();
    config.limits.connections_max = 4;
    let mut world = World::new(vec![config]);
    world.deaf[0] = true;
    let hub = world.id(0);
    for n in 1..=6 {
        world.add(quiet(), [n as u8 + 1; 32], n);
        let index = n as usize;
        world.join(index, 0);
        if world.connected(index).is_empty() {
            continue;
        }
        world.nodes[index].send(world.now, &hub, &Packet::message("read me")).unwrap();
        world.settle();
        world.nodes[index].disconnect(world.now, &hub, DisconnectReason::Requested).unwrap();
        world.settle();
    }
    assert_eq!(world.messages(0).len(), 4, "the fifth found no place");
    assert_eq!(world.nodes[0].open_peers().len(), 0);
    assert_eq!(world.nodes[0].connections(), 4);
    let left: Vec<Received> = world.events[0]
        .iter()
        .filter_map(
            |event| if let Event::Received(left) = event { Some(left.clone()) } else { None },
        )
        .collect();
    for received in &left[..3] {
        // In two goes: a place comes back with the last byte.
        world.nodes[0].consumed(world.now, received.conn, received.lane, 1);
        assert!(world.nodes[0].connections() > 1);
        world.nodes[0].consumed(world.now, received.conn, received.lane, received.bytes - 1);
    }
    assert_eq!(world.nodes[0].connections(), 1);
    world.join(6, 0);
    assert_eq!(world.connected(6).len(), 1, "there is room again");
}

#[test]
fn the_lists_have_a_bound_of_their_own() {
    let mut config = quiet();
    config.limits.listed_max = 2;
    config.membership.trusted = vec![PeerId([1; 32]), PeerId([2; 32])];
    let mut world = World::new(vec![config.clone()]);
    let now = world.now;
    let full = Err(CommandError::LimitReached("limits.listed_max"));
    assert_eq!(world.nodes[0].trust(now, PeerId([3; 32])), full);
    assert_eq!(world.nodes[0].trust(now, PeerId([2; 32])), Ok(()));
    config.allowed = (1..4).map(|n| BlockTarget::Peer(PeerId([n; 32]))).collect();
    let crypto = p2pnet_crypto::PureCrypto::new().unwrap();
    let error = world::Node::new(config, &[1; 32], Seed::from_u64(1), crypto, now).err().unwrap();
    assert_eq!(error.key, "allowed");
    assert!(error.problem.contains("limits.listed_max"), "{}", error.problem);
    let mut none = quiet();
    none.limits.listed_max = 0;
    assert_eq!(none.validate().unwrap_err().key, "limits.listed_max");
}

/// The stream is over: neither an end of it nor a refusal is to be told to anybody, and it holds no place.
#[test]
fn a_stream_that_ended_in_its_handshake_is_over_at_once() {
    let mut config = quiet();
    config.limits.connections_per_address_max = 1;
    let mut world = World::new(vec![config, quiet()]);
    let now = world.now;
    let dialled = world.nodes[1].connect(now, world::address(0), None).unwrap();
    world.nodes[1].handle_connected(now, dialled, world::address(1));
    let first = world.nodes[1].poll_write(dialled, 4096).unwrap().to_vec();
    drain(&mut world.nodes[1]);
    let node = &mut world.nodes[0];
    for _ in 0..3 {
        let conn = node.handle_incoming(now, ListenerId(0), world::address(1)).expect("one fits");
        // The answer waits to be written when the stream ends.
        node.handle_stream(now, conn, &mut first.clone());
        while node.poll_output().is_some() {}
        node.handle_closed(now, conn, CloseCause::Reset);
        let told = std::iter::from_fn(|| node.poll_output());
        assert!(told.into_iter().all(|output| matches!(output, Output::Event(_))));
        assert_eq!(node.poll_write(conn, 4096), None);
    }
    let node = &mut world.nodes[1];
    let refused = node.connect(now, world::address(0), None).unwrap();
    drain(node);
    node.handle_closed(now, refused, CloseCause::Refused);
    let told = std::iter::from_fn(|| node.poll_output());
    assert!(told.into_iter().all(|output| matches!(output, Output::Event(_))));
}

#[test]
fn refused_packets_are_slowed_to_the_rate_as_well() {
    const RATE: u64 = 1000;
    let mut config = quiet();
    config.limits.packets_per_second_max = RATE as u32;
    config.policies.incoming.allow_default_communication = false;
    let mut world = World::new(vec![config]);
    world.patient = true;
    ready(&mut world, &quiet(), 1);
    let (hub, now) = (world.id(0), world.now);
    for n in 0..12_000 {
        world.nodes[1].send(now, &hub, &Packet::message(format!("flood {n}"))).unwrap();
    }
    let refused = |world: &World| {
        let counts = world.events[0].iter().filter_map(|event| match event {
            Event::PacketsRefused { count, .. } => Some(*count),
            _ => None,
        });
        counts.sum::<u64>()
    };
    world.settle();
    for second in 1..=5 {
        world.pass(Duration::from_secs(1));
        // A record is judged as a whole.
        assert!(refused(&world) <= RATE * (second + 1) + 16_384 / 9, "{}", refused(&world));
    }
    assert!(refused(&world) >= RATE);
}

#[test]
fn a_packet_always_gets_through_the_smallest_window_that_may_be_set() {
    let mut config = quiet();
    config.policies.incoming.trust_authenticated = true;
    let limits = &mut config.limits;
    limits.message_window_bytes = 20_000;
    limits.bulk_window_bytes = 10_000;
    limits.packet_bytes_max = Limits::packet_bytes_in(10_000);
    assert_eq!(config.validate(), Ok(()));
    let longest = config.limits.packet_bytes_max as usize;
    // The side that sends takes less still: what it gives counts for the other direction alone.
    let mut world = World::new(vec![config.clone(), config]);
    world.join(0, 1);
    let (b, now) = (world.id(1), world.now);
    let bulk = |bytes: usize| Packet::misc_data(vec![7; bytes - 1]);
    let mut sent = 0;
    for before in (1..3000).step_by(7) {
        for packet in [bulk(before), bulk(longest)] {
            world.nodes[0].send(now, &b, &packet).unwrap();
            sent += 1;
        }
        world.settle();
        let received = world.events[1].iter().filter_map(|event| match event {
            Event::Received(received) => Some(received.clone().count()),
            _ => None,
        });
        assert_eq!(received.sum::<usize>(), sent, "stalled behind {before} bytes");
    }
}

/// Two nodes between which a trust handshake runs, and the connection on node 0's side.
fn handshaking() -> (World, ConnId) {
    let mut config = quiet();
    config.policies.incoming.application_handshake = true;
    let mut world = World::new(vec![config.clone(), config]);
    world.join(0, 1);
    let b = world.id(1);
    let conn = world.nodes[0].peer(&b).and_then(|view| view.conn).unwrap();
    (world, conn)
}

#[test]
fn a_step_of_a_trust_handshake_fits_a_record_or_is_refused() {
    let (mut world, conn) = handshaking();
    let longest = TrustStepPacket::MESSAGE_BYTES_MAX;
    let now = world.now;
    let too_large = world.nodes[0].send_trust_step(now, conn, vec![7; longest + 1].into());
    assert_eq!(too_large, Err(SendError::TooLarge));
    for bytes in [longest, longest - 1, 0] {
        world.nodes[0].send_trust_step(now, conn, vec![7; bytes].into()).unwrap();
    }
    let b = world.id(1);
    world.nodes[0].trust(now, b).unwrap();
    world.nodes[0].send(now, &b, &Packet::message("after")).unwrap();
    world.settle();
    let a = world.id(0);
    let lengths: Vec<usize> = world.events[1]
        .iter()
        .filter_map(|event| match event {
            Event::Received(received) if received.peer == a => Some(received.clone()),
            _ => None,
        })
        .flatten()
        .filter_map(|packet| match packet {
            Packet::TrustStep(step) => Some(step.message.len()),
            _ => None,
        })
        .collect();
    assert_eq!(lengths, [longest, longest - 1, 0]);
}

#[test]
fn steps_that_nobody_reads_are_refused_and_stop_the_reading() {
    let (mut world, conn) = handshaking();
    let (now, node) = (world.now, &mut world.nodes[0]);
    for bytes in [0usize, 1000] {
        let mut queued = 0;
        let full = loop {
            match node.send_trust_step(now, conn, vec![7; bytes].into()) {
                Ok(()) => queued += 1,
                Err(error) => break error,
            }
            assert!(queued * (bytes + 32) <= 64 << 10, "{queued} wait");
        };
        assert_eq!(full, SendError::QueueFull);
        assert_eq!(node.read_window(conn), 0, "a peer that doesn't read isn't read");
        let mut told = (0, 0);
        while node.poll_write(conn, 64 << 10).is_some() {}
        while let Some(output) = node.poll_output() {
            match output {
                Output::ReadReady(of) if of == conn => told.0 += 1,
                Output::Event(Event::SendReady { .. }) => told.1 += 1,
                _ => {}
            }
        }
        assert_eq!((told, node.read_window(conn) > 0), ((1, 1), true));
    }
}
