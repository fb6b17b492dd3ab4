//! Nodes on real sockets.

mod common;

use common::{at, connected, node, numbered, pair, quiet, take_numbered, until};
use p2pnet_driver::protocol::{
    CloseCause, CloseReason, CommandError, DialError, Direction, DisconnectReason, Duration, Event,
    Packet, SendError,
};
use p2pnet_tokio::Builder;
use p2pnet_tokio::driver::Handlers;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Instant;

#[tokio::test]
async fn two_nodes_talk_both_ways_in_order() {
    let [(a, mut a_events), (b, mut b_events)] = pair(quiet(), quiet()).await;
    let sizes = [8, 64, 1000, 9000, 70_000, 8, 300_000];
    let send = async |from: &p2pnet_tokio::Handle, to| {
        for number in 0..2000u64 {
            let message = numbered(number, sizes[number as usize % sizes.len()] / 4);
            from.send(to, &message).await.unwrap();
        }
    };
    tokio::join!(
        send(&a, b.id()),
        send(&b, a.id()),
        take_numbered(&mut a_events, 2000),
        take_numbered(&mut b_events, 2000),
    );
}

#[tokio::test]
async fn a_refused_dial_is_told() {
    let (a, mut events) = node(quiet());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    a.connect(closed, None).await.unwrap();
    let error = until(&mut events, |event| match event {
        Event::DialFailed { at, error, .. } if *at == closed => Some(*error),
        _ => None,
    })
    .await;
    assert_eq!(error, DialError::Stream(CloseCause::Refused));
}

#[tokio::test]
async fn nobody_is_sent_to_who_is_not_there() {
    let [(a, _a_events), (b, mut b_events)] = pair(quiet(), quiet()).await;
    let stranger = p2pnet_tokio::PeerId([7; 32]);
    assert_eq!(a.send(stranger, b"x").await, Err(SendError::NotConnected));
    assert_eq!(a.send(b.id(), &vec![0; 2 << 20]).await, Err(SendError::TooLarge));
    a.send_packet(b.id(), Packet::misc_data("bulk")).await.unwrap();
    let packet = until(&mut b_events, |event| match event {
        Event::Received(received) => received.clone().next(),
        _ => None,
    })
    .await;
    assert_eq!(packet, Packet::misc_data("bulk"));
}

#[tokio::test]
async fn a_graceful_close_loses_nothing() {
    const COUNT: u64 = 10_000;
    let mut patient = quiet();
    patient.timing.linger = Duration::from_secs(30);
    let [(a, _a_events), (b, mut b_events)] = pair(patient, quiet()).await;
    // Unread input at the closing side must not turn its close into a reset.
    for _ in 0..100 {
        b.send(a.id(), &[1; 1000]).await.unwrap();
    }
    let (a_id, b_id) = (a.id(), b.id());
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        // At least so many, and then until every queue is full: that is when to part.
        loop {
            match a.try_send(b_id, &numbered(sent, 1000)) {
                Err(SendError::QueueFull) if sent >= COUNT => break,
                Err(SendError::QueueFull) => a.send(b_id, &numbered(sent, 1000)).await.unwrap(),
                taken => taken.unwrap(),
            }
            sent += 1;
        }
        a.disconnect(b_id, DisconnectReason::Requested).await.unwrap();
        sent
    });
    let mut next = 0;
    let reason = loop {
        match b_events.next().await.unwrap() {
            Event::Received(received) => {
                for packet in received {
                    assert_eq!(packet.payload().unwrap()[..8], u64::to_le_bytes(next));
                    next += 1;
                    // Slow enough that everything on the way is full when the other side closes.
                    if next % 250 == 0 {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            Event::PeerClosed { peer, reason, .. } => {
                assert_eq!(peer, a_id);
                break reason;
            }
            _ => {}
        }
    };
    let sent = sender.await.unwrap();
    assert_eq!(next, sent);
    assert_eq!(reason, CloseReason::Remote(DisconnectReason::Requested));
}

#[tokio::test]
async fn a_slow_reader_slows_its_sender_and_nobody_else() {
    let (a, mut a_events) = node(quiet());
    let (slow, mut slow_events) = node(quiet());
    let (quick, mut quick_events) = node(quiet());
    for to in [&slow, &quick] {
        a.connect(at(to), None).await.unwrap();
        connected(&mut a_events).await;
    }
    // Fill everything on the way to the one that takes no events.
    let mut taken = 0u64;
    let full = async {
        loop {
            a.send(slow.id(), &[0; 4096]).await.unwrap();
            taken += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), full).await.expect_err("the queue is bounded");
    assert!(taken < 16 << 10, "{taken} messages of 4 KiB were taken for a peer that reads none");
    assert_eq!(a.try_send(slow.id(), b"x"), Err(SendError::QueueFull));
    let started = Instant::now();
    let numbers = 0..5000u64;
    let send = async {
        for number in numbers {
            a.send(quick.id(), &numbered(number, 1000)).await.unwrap();
        }
    };
    tokio::join!(send, take_numbered(&mut quick_events, 5000));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // And once the slow one reads, its sender goes on.
    let drain = async {
        while let Some(event) = slow_events.next().await {
            if matches!(event, Event::PeerClosed { .. }) {
                return;
            }
        }
    };
    let more = async {
        for _ in 0..2000 {
            a.send(slow.id(), &[0; 4096]).await.unwrap();
        }
        a.disconnect(slow.id(), DisconnectReason::Requested).await.unwrap();
    };
    let both = async { tokio::join!(drain, more) };
    tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
}

#[tokio::test]
async fn bulk_does_not_hold_up_messages() {
    let [(a, _a_events), (b, mut b_events)] = pair(quiet(), quiet()).await;
    let blob = Packet::misc_data(vec![7; 100_000]);
    // Until nothing moves any more: nobody takes the events at the other end.
    let fill = async {
        loop {
            a.send_packet(b.id(), blob.clone()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(1), fill).await.expect_err("bulk is bounded");
    let peer = b.id();
    let room = a.call(move |net, _| net.send_room(&peer)).await.unwrap();
    assert!(room > 128 << 10, "bulk left {room} bytes for messages");
    a.try_send(b.id(), b"quick").unwrap();
    let mut bulk_before = 0;
    until(&mut b_events, |event| match event {
        Event::Received(received) => {
            let packet = received.clone().next()?;
            bulk_before += packet.payload().map_or(0, bytes::Bytes::len);
            (packet == Packet::message("quick")).then_some(())
        }
        _ => None,
    })
    .await;
    assert!(bulk_before < 3 << 20, "{bulk_before} bytes of bulk went first");
}

#[tokio::test]
async fn the_application_may_hand_in_a_stream() {
    let (a, mut a_events) = node(quiet());
    let (b, mut b_events) = node(quiet());
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let nowhere = "192.0.2.1:9".parse().unwrap();
    let stream = |end| TcpStream::from(OwnedFd::from(end));
    a.attach(stream(one), Direction::Outgoing, nowhere, Some(b.id())).await.unwrap();
    b.attach(stream(other), Direction::Incoming, nowhere, None).await.unwrap();
    assert_eq!(connected(&mut a_events).await, b.id());
    assert_eq!(connected(&mut b_events).await, a.id());
    a.send(b.id(), &numbered(0, 100)).await.unwrap();
    take_numbered(&mut b_events, 1).await;
    let refused = b.attach(
        stream(std::os::unix::net::UnixStream::pair().unwrap().0),
        Direction::Incoming,
        nowhere,
        None,
    );
    assert!(refused.await.is_ok(), "another stream to the same address is fine too");
}

#[tokio::test]
async fn lists_survive_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let builder = || Builder::new(quiet()).state_dir(state.path());
    let stranger = p2pnet_tokio::PeerId([9; 32]);
    let (a, events) = p2pnet_tokio::run_in_thread(builder()).unwrap();
    let id = a.id();
    a.trust(stranger).await.unwrap();
    let text = std::fs::read_to_string(state.path().join("lists.json")).unwrap();
    assert!(text.contains(&stranger.to_string()), "saved before it was acknowledged: {text}");
    a.shutdown().await.unwrap();
    drop(events);
    let (a, _events) = p2pnet_tokio::run_in_thread(builder()).unwrap();
    assert_eq!(a.id(), id);
    assert_eq!(a.trusted().await.unwrap(), [stranger]);
    std::fs::remove_dir_all(state.path()).unwrap();
    let error = a.untrust(stranger).await.unwrap_err();
    assert!(matches!(error, p2pnet_driver::ListError::NotSaved(_)), "{error}");
    assert_eq!(a.trusted().await.unwrap(), [], "in force all the same");
}

#[tokio::test]
async fn a_stopped_node_says_so() {
    let (a, mut events) = node(quiet());
    a.shutdown().await.unwrap();
    assert_eq!(a.connect(at(&a), None).await, Err(CommandError::ShuttingDown));
    assert_eq!(a.peers().await, Err(p2pnet_driver::Stopped));
    while events.next().await.is_some() {}
    assert!(TcpStream::connect(at(&a)).is_err(), "its port is closed");
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_node() {
    let [(a, mut a_events), (b, mut b_events)] = pair(quiet(), quiet()).await;
    let other = a.clone();
    drop(a);
    other.send(b.id(), &numbered(0, 8)).await.unwrap();
    drop(other);
    take_numbered(&mut b_events, 1).await;
    let reason = until(&mut b_events, |event| match event {
        Event::PeerClosed { reason, .. } => Some(*reason),
        _ => None,
    })
    .await;
    assert_eq!(reason, CloseReason::Remote(DisconnectReason::ShuttingDown));
    while a_events.next().await.is_some() {}
}

#[tokio::test]
async fn handlers_run_though_nobody_takes_events() {
    let mut handlers = Handlers::default();
    handlers.on_pure_message(|wishes, peer, said| wishes.send(peer, Packet::PureMessage(said)));
    let (echo, echo_events) =
        p2pnet_tokio::run_in_thread(Builder::new(quiet()).handlers(handlers)).unwrap();
    let (a, mut events) = node(quiet());
    a.connect(at(&echo), None).await.unwrap();
    connected(&mut events).await;
    let send = async {
        for number in 0..3000 {
            a.send(echo.id(), &numbered(number, 1000)).await.unwrap();
            if number % 100 == 0 {
                // The echo's own queue is bounded, and a handler's wish does not wait.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    tokio::join!(send, take_numbered(&mut events, 3000));
    drop(echo_events);
}

#[tokio::test]
async fn what_the_gate_turns_away_is_refused_at_once() {
    let mut wary = quiet();
    wary.policies.incoming.trust_authenticated = false;
    let [(a, _a_events), (b, mut b_events)] = pair(wary.clone(), wary).await;
    let data = Packet::misc_data("for friends");
    assert_eq!(a.send_packet(b.id(), data.clone()).await, Err(SendError::NotAllowed));
    a.send(b.id(), &numbered(0, 8)).await.unwrap();
    take_numbered(&mut b_events, 1).await;
    a.trust(b.id()).await.unwrap();
    a.send_packet(b.id(), data).await.unwrap();
}

#[tokio::test]
async fn what_a_lost_peer_never_got_is_counted() {
    let mut brief = quiet();
    brief.timing.linger = Duration::from_millis(200);
    let [(a, mut a_events), (b, _deaf)] = pair(brief, quiet()).await;
    let fill = async {
        loop {
            a.send(b.id(), &[0; 4096]).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_millis(500), fill).await.expect_err("bounded");
    let started = Instant::now();
    a.disconnect(b.id(), DisconnectReason::Requested).await.unwrap();
    let unsent = until(&mut a_events, |event| match event {
        Event::PeerClosed { unsent, .. } => Some(*unsent),
        _ => None,
    })
    .await;
    assert!(unsent >= 50, "{unsent} messages of 4 KiB: the lane alone holds more");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // A peer that reads nothing doesn't keep the node from stopping either.
    let started = Instant::now();
    a.shutdown().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_burst_is_not_left_lying() {
    let [(a, _a_events), (b, mut b_events)] = pair(quiet(), quiet()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // More than one turn takes, with nothing else to wake the loop.
    for number in 0..1000u64 {
        let packet = Packet::message(numbered(number, 8));
        a.try_send_packet(b.id(), &packet).unwrap();
    }
    let started = Instant::now();
    take_numbered(&mut b_events, 1000).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_peer_that_was_held_for_its_rate_is_read_again() {
    let mut strict = quiet();
    strict.limits.packets_per_second_max = 1000;
    let [(a, _a_events), (b, mut b_events)] = pair(quiet(), strict).await;
    let started = Instant::now();
    for number in 0..2000 {
        a.send(b.id(), &numbered(number, 8)).await.unwrap();
    }
    take_numbered(&mut b_events, 2000).await;
    // The second that was overdrawn has to pass first.
    for _ in 0..500 {
        a.send(b.id(), b"late").await.unwrap();
    }
    let mut late = 0;
    while late < 500 {
        late += until(&mut b_events, |event| match event {
            Event::Received(received) => Some(received.clone().count()),
            _ => None,
        })
        .await;
    }
    assert!(started.elapsed() > Duration::from_millis(400), "the rate was not held");
}

#[tokio::test]
async fn bulk_flows_beyond_every_queue() {
    let [(a, _a_events), (b, mut b_events)] = pair(quiet(), quiet()).await;
    let send = async {
        for number in 0..200u64 {
            a.send_packet(b.id(), Packet::misc_data(numbered(number, 100_000))).await.unwrap();
        }
    };
    tokio::join!(send, take_numbered(&mut b_events, 200));
}

#[tokio::test]
async fn a_stranger_that_says_nothing_is_let_go() {
    let mut brief = quiet();
    brief.timing.handshake_timeout = Duration::from_millis(200);
    let (hub, _events) = node(brief);
    let mut stranger = TcpStream::connect(at(&hub)).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    match std::io::Read::read(&mut stranger, &mut [0; 16]) {
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => panic!("its socket is still open: {other:?}"),
    }
}

#[tokio::test]
async fn a_packet_too_large_for_the_other_side_is_refused_at_once() {
    let mut small = quiet();
    small.limits.packet_bytes_max = 2000;
    let [(a, _a_events), (b, mut b_events)] = pair(quiet(), small).await;
    assert_eq!(a.send(b.id(), &[0; 2001]).await, Err(SendError::TooLarge));
    a.send(b.id(), &numbered(0, 2000)).await.unwrap();
    take_numbered(&mut b_events, 1).await;
}
