//! Channels between two nodes: messages, splits, order, closing, loss.

use crate::world::{Pieces, World, address, quiet};
use p2pnet_protocol::*;

fn greet(world: &mut World) {
    let (a, b) = (world.id(0), world.id(1));
    for n in 0..20 {
        let (to_b, to_a) = (format!("to b {n}"), format!("to a {n}"));
        world.nodes[0].send(world.now, &b, &Packet::message(to_b)).unwrap();
        world.nodes[1].send(world.now, &a, &Packet::message(to_a)).unwrap();
    }
    let bulk: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    world.settle();
    let refused = world.nodes[0].send(world.now, &b, &Packet::misc_data(bulk));
    assert_eq!(refused, Err(SendError::NotAllowed), "an untrusted peer gets messages only");
}

#[test]
fn two_nodes_prove_themselves_and_talk() {
    let mut world = World::pair();
    world.join(0, 1);
    assert_eq!(world.connected(0), [(world.id(1), Trust::Authenticated)]);
    assert_eq!(world.connected(1), [(world.id(0), Trust::Authenticated)]);
    greet(&mut world);
    let texts: Vec<_> = (0..20).map(|n| format!("to b {n}")).collect();
    assert_eq!(world.messages(1), texts);
    assert_eq!(world.messages(0).len(), 20);
}

#[test]
fn any_split_of_the_stream_gives_the_same_packets() {
    let mut reference = World::pair();
    reference.join(0, 1);
    greet(&mut reference);
    for pieces in [Pieces::Of(1), Pieces::Of(2), Pieces::Of(3), Pieces::Of(17), Pieces::Varied(300)]
    {
        let mut world = World::pair();
        world.pieces = pieces;
        world.join(0, 1);
        greet(&mut world);
        for index in [0, 1] {
            assert_eq!(world.messages(index), reference.messages(index));
        }
    }
}

#[test]
fn bulk_crosses_whole_between_trusted_peers() {
    for pieces in [Pieces::Whole, Pieces::Varied(5000)] {
        let mut open = quiet();
        open.policies.incoming.trust_authenticated = true;
        let mut world = World::new(vec![open.clone(), open]);
        world.pieces = pieces;
        world.join(0, 1);
        let b = world.id(1);
        let payloads: Vec<Vec<u8>> =
            [0usize, 1, 1023, 1024, 16_383, 16_384, 16_385, 100_000, 131_000]
                .iter()
                .map(|length| (0..*length).map(|n| (n * 7) as u8).collect())
                .collect();
        for payload in &payloads {
            world.nodes[0].send(world.now, &b, &Packet::misc_data(payload.clone())).unwrap();
            world.settle();
        }
        let received = world.events[1].iter().filter_map(|event| match event {
            Event::Received(received) => Some(received.clone()),
            _ => None,
        });
        let got: Vec<_> =
            received.flatten().filter_map(|p| p.payload().map(|bytes| bytes.to_vec())).collect();
        assert_eq!(got, payloads);
        let too_large = Packet::misc_data(vec![0; 200_000]);
        assert_eq!(world.nodes[0].send(world.now, &b, &too_large), Err(SendError::TooLarge));
    }
}

/// Node 0 joins node 1, which gives no credit, and sends until its queue is full. Says how many messages were accepted.
fn fill(world: &mut World, message: &Packet) -> usize {
    world.deaf[1] = true;
    world.join(0, 1);
    let b = world.id(1);
    let mut accepted = 0;
    while world.nodes[0].send(world.now, &b, message).is_ok() {
        accepted += 1;
        world.settle();
        assert!(accepted < 10_000, "the queue must fill");
    }
    accepted
}

/// A deaf node gives back the credit for all that it has heard, and listens from now on.
fn hear_again(world: &mut World, index: usize) {
    world.deaf[index] = false;
    let held: Vec<_> = world.events[index]
        .iter()
        .filter_map(|event| match event {
            Event::Received(r) => Some((r.conn, r.lane, r.bytes)),
            _ => None,
        })
        .collect();
    for (conn, lane, bytes) in held {
        world.nodes[index].consumed(world.now, conn, lane, bytes);
    }
}

#[test]
fn a_deaf_receiver_fills_the_senders_queue_and_nothing_more() {
    let mut world = World::pair();
    let message = Packet::message(vec![b'x'; 1000]);
    let accepted = fill(&mut world, &message);
    let b = world.id(1);
    assert_eq!(world.nodes[0].send(world.now, &b, &message), Err(SendError::QueueFull));
    // Credit comes back: everything arrives and the sender is told of the room.
    hear_again(&mut world, 1);
    world.settle();
    assert_eq!(world.messages(1).len(), accepted);
    assert_eq!(world.saw(0, |event| matches!(event, Event::SendReady { .. })), 1);
}

#[test]
fn a_graceful_close_loses_nothing_accepted_and_tells_its_reason() {
    let mut world = World::pair();
    world.join(0, 1);
    let (a, b) = (world.id(0), world.id(1));
    for n in 0..500 {
        world.nodes[0].send(world.now, &b, &Packet::message(format!("{n}"))).unwrap();
    }
    world.nodes[0].disconnect(world.now, &b, DisconnectReason::Requested).unwrap();
    world.settle();
    assert_eq!(world.messages(1).len(), 500);
    let told = CloseReason::Remote(DisconnectReason::Requested);
    assert_eq!(
        world.saw(1, |event| matches!(event, Event::PeerClosed { peer, reason, .. } if *peer == a && *reason == told)),
        1
    );
    assert_eq!(world.saw(0, |event| matches!(event, Event::PeerClosed { unsent: 0, .. })), 1);
    assert!(world.connected(0).is_empty() && world.connected(1).is_empty());
    world.pass(Duration::from_secs(300));
    assert!(world.connected(0).is_empty(), "who was asked to go is not dialled again");
}

#[test]
fn a_goodbye_waits_for_what_was_accepted_while_the_receiver_gave_no_credit() {
    let mut world = World::pair();
    let accepted = fill(&mut world, &Packet::message(vec![b'x'; 1000]));
    let b = world.id(1);
    assert!(world.messages(1).len() < accepted, "some of it waits for credit");
    world.nodes[0].disconnect(world.now, &b, DisconnectReason::Requested).unwrap();
    world.settle();
    let gone = |event: &Event| matches!(event, Event::PeerClosed { .. });
    assert_eq!(world.saw(1, gone), 0, "the goodbye overtook what was accepted");
    hear_again(&mut world, 1);
    world.settle();
    assert_eq!(world.messages(1).len(), accepted);
    let told = CloseReason::Remote(DisconnectReason::Requested);
    let told = |event: &Event| matches!(event, Event::PeerClosed { reason, .. } if *reason == told);
    assert_eq!(world.saw(1, told), 1);
}

#[test]
fn a_cut_is_noticed_and_repaired() {
    let mut world = World::pair();
    world.join(0, 1);
    world.cut = true;
    world.pass(Duration::from_secs(25));
    for index in [0, 1] {
        let silent =
            |event: &Event| matches!(event, Event::PeerClosed { reason: CloseReason::Silent, .. });
        assert_eq!(world.saw(index, silent), 1, "node {index} notices");
    }
    world.cut = false;
    world.pass(Duration::from_secs(90));
    assert_eq!(world.connected(0).len(), 1);
    assert_eq!(world.connected(1).len(), 1);
}

#[test]
fn bytes_of_a_record_that_never_ends_are_no_sign_of_life() {
    let mut world = World::pair();
    world.join(0, 1);
    world.cut = true;
    let conn = world.nodes[1].open_peers()[0].conn.unwrap();
    // The head of the longest record, and then a byte of it in each second.
    world.nodes[1].handle_stream(world.now, conn, &mut [0x40, 0x00]);
    let silent =
        |event: &Event| matches!(event, Event::PeerClosed { reason: CloseReason::Silent, .. });
    for _ in 0..25 {
        world.nodes[1].handle_stream(world.now, conn, &mut [0x5a]);
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.saw(1, silent), 1);
}

#[test]
fn an_idle_channel_stays_and_says_little() {
    let mut world = World::pair();
    world.join(0, 1);
    let before = world.nodes[0].open_peers()[0].stats.bytes_sent;
    world.pass(Duration::from_secs(600));
    assert_eq!(world.connected(0).len(), 1);
    let sent = world.nodes[0].open_peers()[0].stats.bytes_sent - before;
    assert!(sent < 10_000, "{sent} bytes in ten minutes");
    assert!(world.nodes[0].open_peers()[0].stats.round_trip_us.is_some());
}

#[test]
fn simultaneous_dials_collapse_to_one_channel() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut world = World::pair();
        let (a, b) = (world.id(0), world.id(1));
        let expect = [Some(b), Some(a)];
        for (from, to) in [(first, second), (second, first)] {
            world.nodes[from].connect(world.now, address(to), expect[from]).unwrap();
        }
        world.settle();
        world.pass(Duration::from_secs(10));
        for index in [0, 1] {
            assert_eq!(world.connected(index).len(), 1);
            let announced = |event: &Event| matches!(event, Event::PeerConnected { .. });
            assert_eq!(world.saw(index, announced), 1, "node {index} hears of one channel");
        }
    }
}

/// Each record has a nonce of its own, so one that comes again is none.
#[test]
fn a_record_that_comes_twice_ends_the_channel() {
    let mut world = World::pair();
    world.join(0, 1);
    let to = world.id(1);
    world.nodes[0].send(world.now, &to, &Packet::message("pay ten")).unwrap();
    let ready =
        core::iter::from_fn(|| world.nodes[0].poll_output()).find_map(|output| match output {
            Output::WriteReady(conn) => Some(conn),
            _ => None,
        });
    let conn = ready.unwrap();
    let record = world.nodes[0].poll_write(conn, 64 << 10).unwrap();
    let (_, there) = world.other_end(0, conn).unwrap();
    for _ in 0..2 {
        world.nodes[1].handle_stream(world.now, there, &mut record.to_vec());
    }
    world.settle();
    assert_eq!(world.messages(1), ["pay ten"], "once");
    assert_eq!(world.connected(1), []);
}

/// Two dials that cross at every step: what one side sends arrives only after the other has sent as much. Both sides open
/// their own dial before they hear of the other's, and must then keep the same one.
#[test]
fn dials_that_cross_at_every_step_leave_the_same_channel_at_both_ends() {
    let mut world = World::pair();
    let now = world.now;
    let ids = [world.id(0), world.id(1)];
    let dials: [ConnId; 2] = core::array::from_fn(|from| {
        let to = 1 - from;
        world.nodes[from].connect(now, address(to), Some(ids[to])).unwrap();
        let connects = core::iter::from_fn(|| world.nodes[from].poll_output());
        let mut conns = connects.filter_map(|output| match output {
            Output::Connect { conn, .. } => Some(conn),
            _ => None,
        });
        conns.next().unwrap()
    });
    let accepted: [ConnId; 2] = core::array::from_fn(|to| {
        world.nodes[to].handle_incoming(now, ListenerId(0), address(1 - to)).unwrap()
    });
    let mut other_end = std::collections::BTreeMap::new();
    for from in [0, 1] {
        world.nodes[from].handle_connected(now, dials[from], address(from));
        other_end.insert((from, dials[from]), accepted[1 - from]);
        other_end.insert((1 - from, accepted[1 - from]), dials[from]);
    }
    for _ in 0..20 {
        let (mut flying, mut ended) = (Vec::new(), Vec::new());
        for from in [0, 1] {
            while let Some(output) = world.nodes[from].poll_output() {
                let (Output::WriteReady(conn) | Output::Close(conn) | Output::Abort(conn)) = output
                else {
                    continue;
                };
                while let Some(chunk) = world.nodes[from].poll_write(conn, 64 << 10) {
                    flying.push((from, conn, chunk.to_vec()));
                }
                if !matches!(output, Output::WriteReady(_)) {
                    ended.push((from, conn));
                }
            }
        }
        for (from, conn, mut bytes) in flying {
            world.nodes[1 - from].handle_stream(now, other_end[&(from, conn)], &mut bytes);
        }
        for (from, conn) in ended {
            world.nodes[from].handle_closed(now, conn, CloseCause::Finished);
            let there = other_end[&(from, conn)];
            world.nodes[1 - from].handle_closed(now, there, CloseCause::EndOfStream);
        }
    }
    let kept = [0, 1].map(|index| {
        let open = world.nodes[index].open_peers();
        assert_eq!(open.len(), 1, "node {index}");
        open[0].conn.unwrap()
    });
    assert_eq!(other_end[&(0, kept[0])], kept[1], "two ends of one channel");
    // It is the one that the lower identity dialled.
    let lower = usize::from(ids[1] < ids[0]);
    assert_eq!(kept[lower], dials[lower]);
}

#[test]
fn shutdown_tells_every_peer_and_finishes() {
    let mut world = World::new(vec![quiet(), quiet(), quiet()]);
    world.join(0, 1);
    world.join(0, 2);
    world.nodes[0].shutdown(world.now);
    world.settle();
    assert!(world.nodes[0].is_finished());
    for index in [1, 2] {
        let told = CloseReason::Remote(DisconnectReason::ShuttingDown);
        let closed =
            |event: &Event| matches!(event, Event::PeerClosed { reason, .. } if *reason == told);
        assert_eq!(world.saw(index, closed), 1);
    }
    let refused = world.nodes[0].connect(world.now, address(1), None);
    assert_eq!(refused, Err(CommandError::ShuttingDown));
}

#[test]
fn batches_and_single_messages_arrive_in_order() {
    let mut world = World::pair();
    world.join(0, 1);
    let b = world.id(1);
    let mut sent = Vec::new();
    for round in 0..50 {
        let mut batch = MessageBatch::default();
        for n in 0..(round * 7) {
            let text = format!("batch {round} {n}");
            assert!(batch.push(text.as_bytes()));
            sent.push(text);
        }
        world.nodes[0].send_batch(world.now, &b, &mut batch).unwrap();
        assert!(batch.is_empty());
        let text = format!("single {round}");
        world.nodes[0].send(world.now, &b, &Packet::message(text.clone())).unwrap();
        sent.push(text);
        if round % 3 == 0 {
            world.settle();
        }
    }
    world.settle();
    assert_eq!(world.messages(1), sent);
}

/// Who is told of a channel may send at once, and what it sends may come in one piece with the word that opens the
/// channel: nothing of it is lost.
#[test]
fn what_comes_with_the_opening_word_is_heard() {
    let mut labelled = quiet();
    labelled.label = "answerer".into();
    labelled.policies.incoming.trust_authenticated = true;
    let mut world = World::new(vec![labelled.clone(), labelled]);
    world.nodes[0].connect(world.now, address(1), None).unwrap();
    // The answerer speaks before anything it has to say has left.
    world.greets = Some((1, Packet::message("first words")));
    world.settle();
    assert_eq!(world.messages(0), ["first words"]);
    assert_eq!(world.saw(0, |event| matches!(event, Event::PacketsRefused { .. })), 0);
    assert_eq!(world.nodes[0].open_peers()[0].label, "answerer");
    assert_eq!(world.nodes[1].open_peers()[0].label, "answerer");
}

/// The bound on automatic channels is about the LAN: a hub keeps everybody who dialled it by address.
#[test]
fn a_hub_keeps_everybody_who_dialled_it() {
    let mut config = quiet();
    config.limits.channels_auto_max = 1;
    let mut world = World::new(vec![config; 25]);
    for index in 1..25 {
        world.join(index, 0);
    }
    assert_eq!(world.connected(0).len(), 24);
}

#[test]
fn the_application_keeps_data_with_a_channel_as_long_as_it_lasts() {
    let mut world = World::pair();
    let (a, b, now) = (world.id(0), world.id(1), world.now);
    let none = Err(CommandError::NotConnected);
    assert_eq!(world.nodes[0].set_channel_data(now, &b, b"early"), none);
    world.join(0, 1);
    assert_eq!(world.nodes[0].channel_data(&b), b"");
    world.nodes[0].set_channel_data(now, &b, b"seat 7").unwrap();
    world.nodes[0].set_channel_data(now, &b, b"seat 8").unwrap();
    let long = [0; Limits::CHANNEL_DATA_BYTES_MAX + 1];
    let refused = world.nodes[0].set_channel_data(now, &b, &long);
    assert!(matches!(refused, Err(CommandError::OutOfRange(_))));
    assert_eq!(world.nodes[0].channel_data(&b), b"seat 8");
    assert_eq!(world.nodes[1].channel_data(&a), b"", "it is never sent");
    world.nodes[1].disconnect(now, &a, DisconnectReason::Requested).unwrap();
    world.settle();
    assert_eq!(world.nodes[0].channel_data(&b), b"");
    world.join(0, 1);
    assert_eq!(world.nodes[0].channel_data(&b), b"", "another channel");
}

/// What `peers` shows of a channel is what went over it (feature C6).
#[test]
fn a_channel_counts_what_goes_over_it() {
    let mut world = World::pair();
    world.join(0, 1);
    let b = world.id(1);
    let before = world.nodes[0].peer(&b).unwrap().stats;
    for _ in 0..3 {
        world.nodes[0].send(world.now, &b, &Packet::message("0123456789")).unwrap();
    }
    let queued = world.nodes[0].peer(&b).unwrap().stats;
    assert_eq!(queued.packets_sent - before.packets_sent, 3);
    assert!(queued.queued_bytes >= 30, "{queued:?}");
    world.settle();
    let sent = world.nodes[0].peer(&b).unwrap().stats;
    assert_eq!(sent.queued_bytes, 0);
    assert!(sent.bytes_sent - before.bytes_sent >= 30 && sent.round_trip_us.is_some(), "{sent:?}");
    let a = world.id(0);
    let received = world.nodes[1].peer(&a).unwrap().stats;
    assert_eq!((received.packets_received, received.bytes_received), (3, sent.bytes_sent));
    world.now = world.now + Duration::from_secs(3);
    world.nodes[1].handle_timeout(world.now);
    assert_eq!(world.nodes[1].peer(&a).unwrap().stats.idle_ms, 3000);
}

#[test]
fn a_refusal_of_a_handshake_has_length_zero() {
    for (answer, refused) in [
        ([0, 0, 1], Some(DialError::OtherNetwork)),
        ([0, 0, 2], Some(DialError::Incompatible)),
        ([0, 1, 1], None),
        ([0, 1, 2], None),
    ] {
        let mut world = World::new(vec![quiet()]);
        let (now, node) = (world.now, &mut world.nodes[0]);
        let conn = node.attach(now, Direction::Outgoing, address(3), None).unwrap();
        node.handle_stream(now, conn, &mut answer.clone());
        world.settle();
        let errors = world.events[0].iter().filter_map(|event| match event {
            Event::DialFailed { error, .. } => Some(*error),
            _ => None,
        });
        let [error] = errors.collect::<Vec<_>>()[..] else { panic!("one failure") };
        match refused {
            Some(refused) => assert_eq!(error, refused),
            None => assert!(matches!(error, DialError::Violation(_)), "{error:?}"),
        }
    }
}
