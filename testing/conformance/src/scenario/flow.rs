//! Slow readers, full queues, and who must not suffer for them.

use crate::{On, Soon as _, at, connected, numbered, quiet, received, take_numbered, until};
use p2pnet_driver::PeerId;
use p2pnet_driver::protocol::{DisconnectReason, Duration, Event, Packet, SendError};
use std::thread;
use std::time::Instant;

/// Sends until nothing moves any more, and says how many were taken.
fn fill(mut send: impl FnMut() -> Option<Result<(), SendError>>) -> u64 {
    let mut taken = 0;
    while let Some(sent) = send() {
        sent.unwrap();
        taken += 1;
        assert!(taken < 100_000, "the queue has no end");
    }
    taken
}

/// Long enough that it stands still, not that it is only slow.
const STANDS_STILL: Duration = Duration::from_millis(700);

/// Backpressure from the reader's events to the sender's `send`, for one peer alone.
pub fn a_slow_reader_slows_its_sender_and_nobody_else(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (slow, mut slow_events) = on.there(quiet());
    let (quick, mut quick_events) = on.there(quiet());
    for to in [&slow, &quick] {
        a.connect(at(to), None).soon().unwrap();
        connected(&mut a_events);
    }
    let taken = fill(|| a.send(slow.id(), &[0; 4096]).within(STANDS_STILL));
    assert!(taken < 16 << 10, "{taken} messages of 4 KiB were taken for a peer that reads none");
    assert_eq!(a.try_send(slow.id(), b"x"), Err(SendError::QueueFull));
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..5000 {
                a.send(quick.id(), &numbered(number, 1000)).soon().unwrap();
            }
        });
        take_numbered(&mut quick_events, 5000);
    });
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // And once the slow one reads, its sender goes on.
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2000 {
                a.send(slow.id(), &[0; 4096]).soon().unwrap();
            }
            a.disconnect(slow.id(), DisconnectReason::Requested).soon().unwrap();
        });
        let mut heard = 0;
        until(&mut slow_events, |event| match event {
            Event::Received(received) => {
                heard += received.clone().count() as u64;
                None
            }
            Event::PeerClosed { .. } => Some(()),
            _ => None,
        });
        assert_eq!(heard, taken + 2000);
    });
}

/// A message overtakes bulk that stands still.
pub fn bulk_does_not_hold_up_messages(on: On, _: &str) {
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    let blob = Packet::misc_data(vec![7; 100_000]);
    fill(|| a.send_packet(b.id(), blob.clone()).within(STANDS_STILL));
    let peer = b.id();
    let room = a.call(move |net, _| net.send_room(&peer)).soon().unwrap();
    assert!(room > 128 << 10, "bulk left {room} bytes for messages");
    a.try_send(b.id(), b"quick").unwrap();
    let mut bulk_before = 0;
    loop {
        let packet = received(&mut b_events).next().unwrap();
        if packet == Packet::message("quick") {
            break;
        }
        bulk_before += packet.payload().map_or(0, bytes::Bytes::len);
    }
    assert!(bulk_before < 3 << 20, "{bulk_before} bytes of bulk went first");
}

/// Reading pauses for a peer over its rate, and goes on by itself.
pub fn a_peer_that_was_held_for_its_rate_is_read_again(on: On, _: &str) {
    let mut strict = quiet();
    strict.limits.packets_per_second_max = 1000;
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), strict);
    let started = Instant::now();
    for number in 0..2000 {
        a.send(b.id(), &numbered(number, 8)).soon().unwrap();
    }
    take_numbered(&mut b_events, 2000);
    // The second that was overdrawn has to pass first.
    for _ in 0..500 {
        a.send(b.id(), b"late").soon().unwrap();
    }
    let mut late = 0;
    while late < 500 {
        late += received(&mut b_events).count();
    }
    assert!(started.elapsed() > Duration::from_millis(400), "the rate was not held");
}

/// What the other side would refuse isn't sent.
pub fn a_packet_too_large_for_the_other_side_is_refused_at_once(on: On, _: &str) {
    let mut small = quiet();
    small.limits.packet_bytes_max = 2000;
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), small);
    assert_eq!(a.send(b.id(), &[0; 2001]).soon(), Err(SendError::TooLarge));
    a.send(b.id(), &numbered(0, 2000)).soon().unwrap();
    take_numbered(&mut b_events, 1);
}

/// Both fill everything towards the other before either reads.
pub fn a_full_way_in_both_directions_is_no_deadlock(on: On, _: &str) {
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    let send = |from: &p2pnet_driver::Handle, to: PeerId| {
        let mut number = 0;
        fill(|| {
            let sent = from.send(to, &numbered(number, 4096)).within(STANDS_STILL);
            number += 1;
            sent
        })
    };
    let [to_b, to_a] = thread::scope(|scope| {
        let (to_b, to_a) = (scope.spawn(|| send(&a, b.id())), scope.spawn(|| send(&b, a.id())));
        [to_b, to_a].map(|sent| sent.join().unwrap())
    });
    thread::scope(|scope| {
        scope.spawn(|| take_numbered(&mut a_events, to_a));
        take_numbered(&mut b_events, to_b);
    });
}

/// A reader that stops now and then: each time its peer stops too, and goes on.
pub fn a_reader_that_stops_and_goes_on_gets_everything(on: On, _: &str) {
    const COUNT: u64 = 20_000;
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..COUNT {
                a.send(b.id(), &numbered(number, 1000)).soon().unwrap();
            }
        });
        let mut next = 0;
        while next < COUNT {
            for packet in received(&mut b_events) {
                assert_eq!(packet.payload().unwrap()[..8], u64::to_le_bytes(next));
                next += 1;
                if next % 4000 == 0 {
                    thread::sleep(Duration::from_millis(150));
                }
            }
        }
    });
}
