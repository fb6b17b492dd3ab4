//! The core's contract, line by line (the front page of `p2pnet_protocol` has it), where an adapter could break its part.
//! Each scenario does to the node what the line speaks of, in the middle of its life, and the node goes on.

use crate::{On, Soon as _, at, connected, eventually, numbered, quiet, take_numbered, until};
use p2pnet_driver::protocol::{
    CloseCause, ConnId, DisconnectReason, Duration, Event, Instant, Why,
};
use p2pnet_driver::{Events, Handle};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Both hear what the other says.
#[track_caller]
fn talk(pair: &mut [(Handle, Events); 2]) {
    let [(a, a_events), (b, b_events)] = pair;
    for number in 0..50 {
        a.send(b.id(), &numbered(number, 200)).soon().unwrap();
        b.send(a.id(), &numbered(number, 200)).soon().unwrap();
    }
    take_numbered(a_events, 50);
    take_numbered(b_events, 50);
}

/// Line 1. The adapter's clock is behind for three seconds, and the node talks all the same.
pub fn time_that_goes_back_is_not_believed(on: On, _: &str) {
    let mut pair = on.pair(quiet(), quiet());
    let ahead = |net: &mut p2pnet_driver::Node, now: Instant| {
        net.handle_timeout(now + Duration::from_secs(3));
    };
    pair[0].0.call(ahead).soon().unwrap();
    talk(&mut pair);
    pair[0].0.call(|net, now| net.handle_timeout(Instant::ZERO.min(now))).soon().unwrap();
    talk(&mut pair);
}

/// Line 2. Commands and inputs between two drains: what comes of each is told.
pub fn many_inputs_may_precede_a_drain(on: On, _: &str) {
    const DIALS: usize = 20;
    let (a, mut events) = on.here(quiet());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peers: Vec<_> = (0..3).map(|_| on.there(quiet())).collect();
    let addresses: Vec<SocketAddr> = peers.iter().map(|(peer, _)| at(peer)).collect();
    a.call(move |net, now| {
        for _ in 0..DIALS {
            net.connect(now, closed, None).unwrap();
            net.handle_timeout(now);
        }
        for address in addresses {
            net.connect(now, address, None).unwrap();
        }
    })
    .soon()
    .unwrap();
    let (mut failed, mut open) = (0, 0);
    until(&mut events, |event| {
        match event {
            Event::DialFailed { at, .. } if *at == closed => failed += 1,
            Event::PeerConnected { .. } => open += 1,
            _ => {}
        }
        (failed == DIALS && open == peers.len()).then_some(())
    });
}

/// Line 3. While outputs wait the node asks for no sleep, and the adapter gives it none.
pub fn while_outputs_wait_the_deadline_is_now(on: On, _: &str) {
    let mut pair = on.pair(quiet(), quiet());
    let to = pair[1].0.id();
    let due = pair[0].0.call(move |net, now| {
        let packet = p2pnet_driver::Packet::message(numbered(0, 8));
        net.send(now, &to, &packet).unwrap();
        net.poll_timeout().is_some_and(|due| due.at <= now)
    });
    assert!(due.soon().unwrap(), "outputs wait, and the deadline is later");
    take_numbered(&mut pair[1].1, 1);
}

/// Line 4. Time alone wakes the node once, not again and again.
pub fn after_a_timeout_the_next_timer_is_later(on: On, _: &str) {
    let mut brisk = quiet();
    brisk.timing.keep_alive = Duration::from_millis(50);
    let pair = on.pair(brisk.clone(), brisk);
    for _ in 0..20 {
        let later = pair[0].0.call(|net, now| {
            let to = net.poll_timeout().map_or(now, |due| due.at.max(now));
            net.handle_timeout(to);
            net.poll_timeout().is_none_or(|due| due.at > to || due.why == Why::OutputsWaiting)
        });
        assert!(later.soon().unwrap(), "a timer is due again at once");
    }
    let turns = || pair[1].0.counters().turns;
    let before = turns();
    thread::sleep(Duration::from_secs(1));
    let turns = turns() - before;
    assert!(turns < 200, "{turns} turns in a second with a ping each 50 ms");
}

/// Line 5.
pub fn connections_that_nobody_knows_are_no_matter(on: On, _: &str) {
    let mut pair = on.pair(quiet(), quiet());
    let nothing = pair[0].0.call(|net, now| {
        let conn = ConnId(u64::MAX);
        net.handle_connected(now, conn, "127.0.0.1:9".parse().unwrap());
        net.handle_stream(now, conn, &mut [7; 100]);
        net.handle_closed(now, conn, CloseCause::Reset);
        net.poll_write(conn, 100).is_none() && net.read_window(conn) == 0
    });
    assert!(nothing.soon().unwrap());
    talk(&mut pair);
}

/// Line 6. Thousands of timeouts that are early, and some that are late.
pub fn early_and_late_timeouts_are_harmless(on: On, _: &str) {
    let mut pair = on.pair(quiet(), quiet());
    for late in [0, 1, 100, 1000] {
        pair[0]
            .0
            .call(move |net, now| {
                for _ in 0..1000 {
                    net.handle_timeout(now);
                }
                net.handle_timeout(now + Duration::from_millis(late));
            })
            .soon()
            .unwrap();
        talk(&mut pair);
    }
}

/// Line 7. What comes late for a connection that is over changes nothing, and nothing more is told of it.
pub fn after_its_end_a_connection_is_silent(on: On, _: &str) {
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    for _ in 0..10 {
        a.disconnect(b.id(), DisconnectReason::Requested).soon().unwrap();
        let closed = |event: &Event| match event {
            Event::PeerClosed { conn, .. } => Some(*conn),
            _ => None,
        };
        let conn = until(&mut a_events, closed);
        until(&mut b_events, closed);
        let silent = a.call(move |net, now| {
            net.handle_stream(now, conn, &mut [1; 50]);
            net.handle_closed(now, conn, CloseCause::Reset);
            net.poll_write(conn, 1000).is_none()
        });
        assert!(silent.soon().unwrap(), "a closed connection wants to write");
        a.connect(at(&b), None).soon().unwrap();
        let next = until(&mut a_events, |event| match event {
            Event::PeerConnected { conn, .. } => Some(Ok(*conn)),
            Event::PeerClosed { .. } => Some(Err(())),
            _ => None,
        });
        assert_ne!(next.expect("nothing more is told of the one that is over"), conn);
        connected(&mut b_events);
    }
}

/// Line 8. Dials of every kind: one answer each, and no second one.
pub fn every_dial_gets_exactly_one_answer(on: On, _: &str) {
    const EACH: usize = 15;
    let mut brief = quiet();
    brief.timing.handshake_timeout = Duration::from_millis(300);
    let (a, mut events) = on.here(brief);
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let there: Vec<_> = (0..EACH).map(|_| on.there(quiet())).collect();
    for (peer, _) in &there {
        for to in [refused, silent.local_addr().unwrap(), at(peer)] {
            a.connect(to, None).soon().unwrap();
        }
    }
    let (mut open, mut failed) = (0, 0);
    let mut count = |event: &Event| match event {
        Event::PeerConnected { .. } => open += 1,
        Event::DialFailed { .. } => failed += 1,
        _ => {}
    };
    let mut left = 3 * EACH;
    while left > 0 {
        until(&mut events, |event| {
            count(event);
            matches!(event, Event::PeerConnected { .. } | Event::DialFailed { .. }).then_some(())
        });
        left -= 1;
    }
    thread::sleep(Duration::from_millis(500));
    while let Some(event) = events.try_next() {
        count(&event);
    }
    assert_eq!((open, failed), (EACH, 2 * EACH));
}

/// Line 9. Whoever asks something of a node under load from all sides is answered soon.
pub fn no_call_keeps_the_node_long(on: On, _: &str) {
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    let done = AtomicBool::new(false);
    let mut waits = thread::scope(|scope| {
        let (a, b, done) = (&a, &b, &done);
        for (from, to) in [(a, b.id()), (b, a.id())] {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    from.send(to, &[7; 4096]).within(Duration::from_millis(20));
                }
            });
        }
        for events in [&mut a_events, &mut b_events] {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    events.next().within(Duration::from_millis(20));
                }
            });
        }
        let waits: Vec<Duration> = (0..200)
            .map(|_| {
                let asked = std::time::Instant::now();
                a.call(|_, _| ()).soon().unwrap();
                asked.elapsed()
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        waits
    });
    waits.sort();
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("answered in {median:?}, at the latest in {longest:?}");
    assert!(median < Duration::from_millis(50), "{median:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

/// Line 10, as far as an adapter goes: one identity and one configuration make the same node everywhere.
pub fn the_same_identity_is_the_same_node(on: On, _: &str) {
    let start = |spawn: crate::Spawn| {
        let builder = p2pnet_driver::Builder::new(quiet()).identity_seed([3; 32]);
        let (node, _events) = spawn(builder).unwrap();
        let limits = node.call(|net, _| *net.limits()).soon().unwrap();
        (node.id(), limits)
    };
    assert_eq!(start(on.here), start(on.there));
}

/// Line 11. One who takes no events holds up neither its own node nor a third one.
pub fn the_node_never_waits_for_its_application(on: On, _: &str) {
    let [(a, _a_events), (busy, busy_events)] = on.pair(quiet(), quiet());
    while a.send(busy.id(), &[1; 4096]).within(Duration::from_millis(500)).is_some() {}
    // Its queue is full, and so are its peer's windows.
    let (third, mut third_events) = on.there(quiet());
    third.connect(at(&busy), None).soon().unwrap();
    assert_eq!(connected(&mut third_events), busy.id());
    assert_eq!(busy.peers().soon().unwrap().len(), 2);
    busy.send(third.id(), &numbered(0, 8)).soon().unwrap();
    take_numbered(&mut third_events, 1);
    let turns = || busy.counters().turns;
    eventually("it sleeps though events wait", || {
        let before = turns();
        thread::sleep(Duration::from_millis(300));
        (turns() - before < 30).then_some(())
    });
    drop(busy_events);
}
