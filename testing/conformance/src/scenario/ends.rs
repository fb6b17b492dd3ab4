//! How channels and nodes end.

use crate::{On, Soon as _, at, connected, numbered, quiet, received, take_numbered, until};
use p2pnet_driver::Events;
use p2pnet_driver::protocol::{
    BlockTarget, CloseReason, DisconnectReason, Duration, Event, SendError,
};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

/// Why the next channel that ends does.
#[track_caller]
fn closed(events: &mut Events) -> CloseReason {
    until(events, |event| match event {
        Event::PeerClosed { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// Ten megabytes to a slow reader, closed while every queue is full and input lies unread.
pub fn a_graceful_close_loses_nothing(on: On, _: &str) {
    const COUNT: u64 = 10_000;
    let mut patient = quiet();
    patient.timing.linger = Duration::from_secs(60);
    let [(a, _a_events), (b, mut b_events)] = on.pair(patient, quiet());
    // Unread input at the closing side must not turn its close into a reset.
    for _ in 0..100 {
        b.send(a.id(), &[1; 1000]).soon().unwrap();
    }
    let b_id = b.id();
    let sender = thread::spawn(move || {
        let mut sent = 0;
        // At least so many, and then until every queue is full: that is when to part.
        loop {
            match a.try_send(b_id, &numbered(sent, 1000)) {
                Err(SendError::QueueFull) if sent >= COUNT => break,
                Err(SendError::QueueFull) => {
                    a.send(b_id, &numbered(sent, 1000)).soon().unwrap();
                }
                taken => taken.unwrap(),
            }
            sent += 1;
        }
        a.disconnect(b_id, DisconnectReason::Requested).soon().unwrap();
        (a, sent)
    });
    let mut next = 0;
    let reason = loop {
        match b_events.next().soon().unwrap() {
            Event::Received(received) => {
                for packet in received {
                    assert_eq!(packet.payload().unwrap()[..8], u64::to_le_bytes(next));
                    next += 1;
                    // Slow enough that everything on the way is full when the other side closes.
                    if next % 250 == 0 {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            }
            Event::PeerClosed { reason, .. } => break reason,
            _ => {}
        }
    };
    let (_a, sent) = sender.join().unwrap();
    assert_eq!(next, sent);
    assert_eq!(reason, CloseReason::Remote(DisconnectReason::Requested));
}

/// A peer that takes nothing holds nobody up for longer than the linger.
pub fn what_a_lost_peer_never_got_is_counted(on: On, _: &str) {
    let mut brief = quiet();
    brief.timing.linger = Duration::from_millis(200);
    let [(a, mut a_events), (b, _deaf)] = on.pair(brief, quiet());
    while let Some(sent) = a.send(b.id(), &[0; 4096]).within(Duration::from_millis(500)) {
        sent.unwrap();
    }
    let started = Instant::now();
    a.disconnect(b.id(), DisconnectReason::Requested).soon().unwrap();
    let unsent = until(&mut a_events, |event| match event {
        Event::PeerClosed { unsent, .. } => Some(*unsent),
        _ => None,
    });
    assert!(unsent >= 50, "{unsent} messages of 4 KiB: the lane alone holds more");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let started = Instant::now();
    a.shutdown().soon().unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

/// Nobody holds it any more: it says goodbye, and what was sent before arrives.
pub fn dropping_the_last_handle_ends_the_node(on: On, _: &str) {
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    let other = a.clone();
    drop(a);
    other.send(b.id(), &numbered(0, 8)).soon().unwrap();
    drop(other);
    take_numbered(&mut b_events, 1);
    assert_eq!(closed(&mut b_events), CloseReason::Remote(DisconnectReason::ShuttingDown));
    while a_events.next().soon().is_some() {}
}

/// A block takes effect on a live channel, and keeps the peer out.
pub fn a_peer_that_is_blocked_is_cut_off(on: On, _: &str) {
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    a.block(BlockTarget::Peer(b.id())).soon().unwrap();
    assert_eq!(closed(&mut a_events), CloseReason::Local(DisconnectReason::Blocked));
    closed(&mut b_events);
    assert_eq!(a.send(b.id(), b"x").soon(), Err(SendError::NotConnected));
    b.connect(at(&a), None).soon().unwrap();
    until(&mut b_events, |event| match event {
        Event::DialFailed { .. } | Event::PeerClosed { .. } => Some(()),
        _ => None,
    });
    a.unblock(BlockTarget::Peer(b.id())).soon().unwrap();
    b.connect(at(&a), None).soon().unwrap();
    assert_eq!(connected(&mut a_events), b.id());
}

/// Every peer hears why.
pub fn a_shutdown_is_told_to_the_peer(on: On, _: &str) {
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    for number in 0..1000 {
        a.send(b.id(), &numbered(number, 100)).soon().unwrap();
    }
    let stopping = a.shutdown();
    take_numbered(&mut b_events, 1000);
    assert_eq!(closed(&mut b_events), CloseReason::Remote(DisconnectReason::ShuttingDown));
    stopping.soon().unwrap();
    while a_events.next().soon().is_some() {}
    // The other one goes on.
    assert_eq!(b.peers().soon().unwrap().iter().filter(|peer| peer.conn.is_some()).count(), 0);
}

/// Two that end the same channel at the same time both see its end.
pub fn both_may_part_at_once(on: On, _: &str) {
    for _ in 0..10 {
        let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
        let [a_parts, b_parts] = [(&a, &b), (&b, &a)]
            .map(|(from, to)| from.disconnect(to.id(), DisconnectReason::Requested));
        // The second one to come finds no channel any more, which is as well.
        let _ = (a_parts.soon(), b_parts.soon());
        closed(&mut a_events);
        closed(&mut b_events);
    }
}

/// The same two, again and again, with something said each time.
pub fn who_parted_may_meet_again(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = on.there(quiet());
    for round in 0..20 {
        a.connect(at(&b), Some(b.id())).soon().unwrap();
        assert_eq!(connected(&mut a_events), b.id());
        assert_eq!(connected(&mut b_events), a.id());
        let said = numbered(round, 100);
        b.send(a.id(), &said).soon().unwrap();
        assert_eq!(received(&mut a_events).next().unwrap().payload().unwrap(), &said);
        let (from, to) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        from.disconnect(to.id(), DisconnectReason::Requested).soon().unwrap();
        closed(&mut a_events);
        closed(&mut b_events);
    }
}

/// A dial that nobody answers doesn't hold up the end.
pub fn a_shutdown_gives_up_dials_under_way(on: On, _: &str) {
    let (a, mut events) = on.here(quiet());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    a.connect(silent.local_addr().unwrap(), None).soon().unwrap();
    let (stranger, _) = silent.accept().unwrap();
    let started = Instant::now();
    a.shutdown().soon().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    while events.next().soon().is_some() {}
    drop(stranger);
}
