//! The contract of the front page, line by line. The conformance suite asks the same of nodes on real sockets.

use crate::world::{Node, World, address, quiet};
use p2pnet_protocol::*;
use std::time;

fn say(world: &mut World, text: &str) {
    let to = world.id(1);
    world.nodes[0].send(world.now, &to, &Packet::message(text.to_owned())).unwrap();
    world.settle();
}

/// The one connection of each side.
fn conns(world: &World) -> [ConnId; 2] {
    [0, 1].map(|node| {
        let mut opened = world.events[node].iter().filter_map(|event| match event {
            Event::PeerConnected { conn, .. } => Some(*conn),
            _ => None,
        });
        opened.next_back().unwrap()
    })
}

fn joined() -> World {
    let mut world = World::pair();
    world.join(0, 1);
    world
}

#[test]
fn line_1_time_that_goes_back_is_not_believed() {
    let mut world = joined();
    let before = world.nodes[0].poll_timeout().unwrap().at;
    world.nodes[0].handle_timeout(Instant::ZERO);
    world.nodes[0].handle_closed(Instant::ZERO, ConnId(77), CloseCause::Reset);
    assert_eq!(world.nodes[0].poll_timeout().unwrap().at, before);
    world.nodes[0].handle_timeout(world.now + Duration::from_secs(5));
    say(&mut world, "late");
    assert_eq!(world.messages(1), ["late"]);
}

#[test]
fn line_2_any_number_of_inputs_may_precede_a_drain() {
    let mut world = World::new((0..6).map(|_| quiet()).collect());
    for other in 1..6 {
        world.nodes[0].connect(world.now, address(other), None).unwrap();
        world.nodes[0].handle_timeout(world.now);
    }
    world.settle();
    assert_eq!(world.connected(0).len(), 5);
}

#[test]
fn line_3_while_outputs_wait_the_deadline_is_now() {
    let mut world = joined();
    let to = world.id(1);
    world.nodes[0].send(world.now, &to, &Packet::message("x")).unwrap();
    let due = world.nodes[0].poll_timeout().unwrap();
    assert_eq!((due.at, due.why), (world.now, Why::OutputsWaiting));
    world.settle();
    assert!(world.nodes[0].poll_timeout().unwrap().at > world.now);
}

#[test]
fn line_4_after_a_timeout_the_next_timer_is_later() {
    let mut world = joined();
    for _ in 0..200 {
        let due = world.nodes.iter().filter_map(Node::poll_timeout).map(|due| due.at).min();
        world.now = due.unwrap();
        for node in &mut world.nodes {
            node.handle_timeout(world.now);
        }
        world.settle();
        for node in &world.nodes {
            assert!(node.poll_timeout().unwrap().at > world.now);
        }
    }
}

#[test]
fn line_5_an_unknown_or_finished_connection_is_a_no_op() {
    let mut world = joined();
    let [known, _] = conns(&world);
    let peer = world.id(1);
    world.nodes[0].disconnect(world.now, &peer, DisconnectReason::Requested).unwrap();
    world.settle();
    for conn in [known, ConnId(u64::MAX)] {
        let now = world.now;
        let node = &mut world.nodes[0];
        node.handle_connected(now, conn, address(9));
        node.handle_stream(now, conn, &mut [1; 99]);
        node.handle_closed(now, conn, CloseCause::Reset);
        node.consumed(now, conn, Lane::Message, 99);
        assert_eq!(node.poll_write(conn, 99), None);
        assert_eq!(node.read_window(conn), 0);
        assert_eq!(node.poll_output(), None);
    }
}

#[test]
fn line_6_early_and_late_timeouts_are_harmless() {
    let told = |pestered: bool| {
        let mut world = joined();
        for second in 0..30 {
            if pestered {
                for _ in 0..100 {
                    world.nodes.iter_mut().for_each(|node| node.handle_timeout(world.now));
                }
            }
            say(&mut world, &second.to_string());
            world.pass(Duration::from_secs(1));
        }
        (world.messages(1), world.saw(0, |event| matches!(event, Event::PeerClosed { .. })))
    };
    assert_eq!(told(true), told(false));
    // Hours late: the peer counts as gone, once, and nothing panics.
    let mut world = joined();
    world.now = world.now + Duration::from_secs(7200);
    world.nodes.iter_mut().for_each(|node| node.handle_timeout(world.now));
    world.settle();
    assert_eq!(world.saw(0, |event| matches!(event, Event::PeerClosed { .. })), 1);
}

#[test]
fn line_7_after_a_close_nothing_more_comes_for_a_connection() {
    let mut world = joined();
    let [conn, _] = conns(&world);
    let (now, peer) = (world.now, world.id(1));
    let node = &mut world.nodes[0];
    node.disconnect(now, &peer, DisconnectReason::Requested).unwrap();
    let mut closed = false;
    let about = |output: &Output| match output {
        Output::Connect { conn, .. } => Some(*conn),
        Output::WriteReady(conn) | Output::ReadReady(conn) | Output::Close(conn) => Some(*conn),
        _ => None,
    };
    // The peer's side is silent: the lingering close ends in an abort, and nothing else.
    for _ in 0..100 {
        while let Some(output) = node.poll_output() {
            while node.poll_write(conn, 1 << 16).is_some() {}
            if matches!(&output, Output::Abort(aborted) if *aborted == conn) {
                assert!(closed);
            }
            assert!(!closed || about(&output) != Some(conn), "{output:?}");
            closed |= output == Output::Close(conn);
        }
        let Some(due) = node.poll_timeout() else { break };
        node.handle_timeout(due.at);
    }
    assert!(closed);
}

#[test]
fn line_8_every_dial_ends_once() {
    let mut world = World::new((0..4).map(|_| quiet()).collect());
    for to in [1, 2, 3, 100, 101] {
        world.nodes[0].connect(world.now, address(to), None).unwrap();
    }
    world.settle();
    assert_eq!(world.saw(0, |event| matches!(event, Event::PeerConnected { .. })), 3);
    assert_eq!(world.saw(0, |event| matches!(event, Event::DialFailed { .. })), 2);
}

/// A mebibyte of garbage is a moment's work.
#[test]
#[allow(clippy::disallowed_types, reason = "the test's clock, not the core's")]
fn line_9_the_time_in_one_call_is_bounded_by_its_input() {
    let took = |bytes: usize| {
        let mut world = joined();
        let [_, conn] = conns(&world);
        let mut garbage = vec![0x40; bytes];
        let started = time::Instant::now();
        world.nodes[1].handle_stream(world.now, conn, &mut garbage);
        started.elapsed()
    };
    took(1 << 20);
    let longest = (0..5).map(|_| took(1 << 20)).min().unwrap();
    assert!(longest < Duration::from_millis(100), "{longest:?}");
}

#[test]
fn line_10_the_same_inputs_give_the_same_outputs() {
    let run = || {
        let limits = Limits::tiny();
        let config = || Config { limits, ..quiet() };
        let mut outputs = Vec::new();
        let crypto = || p2pnet_crypto::PureCrypto::new().unwrap();
        let mut node =
            Node::new(config(), &[5; 32], Seed::from_u64(6), crypto(), Instant::ZERO).unwrap();
        for step in 0..300u64 {
            let now = Instant::ZERO + Duration::from_millis(step * 100);
            if step % 50 == 0 {
                let _ = node.connect(now, address(step as usize % 200), None);
            }
            node.handle_timeout(now);
            while let Some(output) = node.poll_output() {
                if let Output::Connect { conn, .. } = output {
                    node.handle_closed(now, conn, CloseCause::Refused);
                }
                outputs.push(format!("{output:?}"));
            }
        }
        outputs
    };
    let outputs = run();
    assert!(outputs.len() >= 6, "{outputs:?}");
    assert_eq!(outputs, run());
}

#[test]
fn line_11_what_the_application_keeps_counts_against_its_peer_alone() {
    let mut world = World::new((0..3).map(|_| quiet()).collect());
    world.deaf[0] = true;
    world.patient = true;
    world.join(1, 0);
    world.join(2, 0);
    let to = world.id(0);
    let mut taken = 0;
    for _ in 0..2000 {
        let sent = world.nodes[1].send(world.now, &to, &Packet::message(vec![b'x'; 1000]));
        world.settle();
        if sent.is_err() {
            break;
        }
        taken += 1;
    }
    assert!(taken < 2000, "the one that is not read is slowed");
    world.nodes[2].send(world.now, &to, &Packet::message("I am read")).unwrap();
    world.settle();
    assert!(world.messages(0).contains(&"I am read".to_owned()));
}
