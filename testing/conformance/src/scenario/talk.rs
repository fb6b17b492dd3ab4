//! Messages, whole and in order.

use crate::{On, Soon as _, at, connected, numbered, quiet, received, take_numbered};
use p2pnet_driver::protocol::{Direction, Duration, Packet};
use p2pnet_driver::{Events, Handle, PeerId};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

/// Sizes around every border: of batches, records, parts and windows.
const SIZES_BYTES: [usize; 7] = [8, 16, 250, 2250, 17_500, 8, 75_000];

fn send_numbered(from: &Handle, to: PeerId, count: u64, bytes: impl Fn(u64) -> usize) {
    for number in 0..count {
        from.send(to, &numbered(number, bytes(number))).soon().unwrap();
    }
}

/// Both talk at once, and hear each other.
pub fn two_nodes_talk_both_ways_in_order(on: On, _: &str) {
    const COUNT: u64 = 2000;
    let [(a, mut a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    let size = |number| SIZES_BYTES[number as usize % SIZES_BYTES.len()];
    thread::scope(|scope| {
        scope.spawn(|| send_numbered(&a, b.id(), COUNT, size));
        scope.spawn(|| send_numbered(&b, a.id(), COUNT, size));
        scope.spawn(|| take_numbered(&mut a_events, COUNT));
        scope.spawn(|| take_numbered(&mut b_events, COUNT));
    });
}

/// Twenty megabytes, which no queue holds.
pub fn bulk_flows_beyond_every_queue(on: On, _: &str) {
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..200 {
                let packet = Packet::misc_data(numbered(number, 100_000));
                a.send_packet(b.id(), packet).soon().unwrap();
            }
        });
        take_numbered(&mut b_events, 200);
    });
}

/// More than one turn takes, with nothing else to wake the loop.
pub fn a_burst_is_not_left_lying(on: On, _: &str) {
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    thread::sleep(Duration::from_millis(100));
    for number in 0..1000 {
        let packet = Packet::message(numbered(number, 8));
        a.try_send_packet(b.id(), &packet).unwrap();
    }
    let started = Instant::now();
    take_numbered(&mut b_events, 1000);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

/// A stream that gives one byte at a time, from the first of the handshake on.
pub fn one_byte_at_a_time(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = on.there(quiet());
    let [(a_end, a_far), (b_end, b_far)] = [(), ()].map(|()| UnixStream::pair().unwrap());
    let drip = |mut from: UnixStream, mut to: UnixStream| {
        move || {
            let mut byte = [0];
            while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
        }
    };
    thread::spawn(drip(a_far.try_clone().unwrap(), b_far.try_clone().unwrap()));
    thread::spawn(drip(b_far, a_far));
    let nowhere = "192.0.2.1:9".parse().unwrap();
    let stream = |end| TcpStream::from(OwnedFd::from(end));
    a.attach(stream(a_end), Direction::Outgoing, nowhere, None).soon().unwrap();
    b.attach(stream(b_end), Direction::Incoming, nowhere, None).soon().unwrap();
    assert_eq!(connected(&mut a_events), b.id());
    assert_eq!(connected(&mut b_events), a.id());
    thread::scope(|scope| {
        scope.spawn(|| send_numbered(&a, b.id(), 20, |number| number as usize * 100));
        scope.spawn(|| send_numbered(&b, a.id(), 20, |number| number as usize * 100));
        take_numbered(&mut a_events, 20);
        take_numbered(&mut b_events, 20);
    });
}

/// One packet to everybody, with a result for each.
pub fn what_is_sent_to_all_reaches_all(on: On, _: &str) {
    let (hub, mut hub_events) = on.here(quiet());
    let mut spokes: BTreeMap<PeerId, Events> = BTreeMap::new();
    let mut handles = Vec::new();
    for _ in 0..8 {
        let (spoke, mut events) = on.there(quiet());
        spoke.connect(at(&hub), None).soon().unwrap();
        connected(&mut events);
        connected(&mut hub_events);
        spokes.insert(spoke.id(), events);
        handles.push(spoke);
    }
    let results = hub.send_all(Packet::message("to all")).soon().unwrap();
    assert_eq!(results.len(), spokes.len());
    for (peer, result) in results {
        result.unwrap();
        let heard = received(spokes.get_mut(&peer).unwrap()).next();
        assert_eq!(heard, Some(Packet::message("to all")));
    }
}

/// Five in a line, of both sides by turns: each passes on what it hears from the left, and from the right.
pub fn along_a_line_everybody_hears_once(on: On, _: &str) {
    const COUNT: u64 = 100;
    let mut line: Vec<(Handle, Events)> = Vec::new();
    for place in 0..5 {
        let start = if place % 2 == 0 { On::here } else { On::there };
        let (node, mut events) = start(&on, quiet());
        if let Some((left, left_events)) = line.last_mut() {
            node.connect(at(left), Some(left.id())).soon().unwrap();
            connected(&mut events);
            connected(left_events);
        }
        line.push((node, events));
    }
    let ids: Vec<PeerId> = line.iter().map(|(node, _)| node.id()).collect();
    let first = line[0].0.clone();
    thread::scope(|scope| {
        for (place, (node, events)) in line.iter_mut().enumerate().skip(1) {
            let right = ids.get(place + 1).copied();
            scope.spawn(move || {
                let mut next = 0;
                while next < COUNT {
                    for packet in received(events) {
                        let payload = packet.payload().unwrap();
                        assert_eq!(payload[..8], u64::to_le_bytes(next), "at place {place}");
                        next += 1;
                        if let Some(right) = right {
                            node.send(right, payload).soon().unwrap();
                        }
                    }
                }
            });
        }
        send_numbered(&first, ids[1], COUNT, |_| 1000);
    });
}

/// Messages of each thread stay in order, and none is lost.
pub fn many_threads_send_at_once(on: On, _: &str) {
    const THREADS: u64 = 8;
    const COUNT: u64 = 2000;
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (a, to) = (a.clone(), b.id());
            scope.spawn(move || {
                for number in 0..COUNT {
                    a.send(to, &numbered(thread << 32 | number, 64)).soon().unwrap();
                }
            });
        }
        let mut next = [0; THREADS as usize];
        while next.iter().sum::<u64>() < THREADS * COUNT {
            for packet in received(&mut b_events) {
                let number = u64::from_le_bytes(packet.payload().unwrap()[..8].try_into().unwrap());
                let expected = &mut next[(number >> 32) as usize];
                assert_eq!(number & 0xffff_ffff, *expected);
                *expected += 1;
            }
        }
    });
}

/// Nothing is something that can be said.
pub fn an_empty_message_arrives(on: On, _: &str) {
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    a.send(b.id(), b"").soon().unwrap();
    a.send_packet(b.id(), Packet::misc_data("")).soon().unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(received(&mut b_events));
    }
    assert!(heard.contains(&Packet::message("")) && heard.contains(&Packet::misc_data("")));
}

/// Thirty channels of one node, all busy in both directions.
pub fn many_channels_talk_at_once(on: On, _: &str) {
    // What nobody takes before the end fits into every queue.
    const COUNT: u64 = 200;
    let (hub, mut hub_events) = on.here(quiet());
    let mut spokes = Vec::new();
    for _ in 0..30 {
        let (spoke, mut events) = on.there(quiet());
        spoke.connect(at(&hub), None).soon().unwrap();
        connected(&mut events);
        connected(&mut hub_events);
        spokes.push((spoke, events));
    }
    thread::scope(|scope| {
        for (spoke, _) in &spokes {
            let (spoke, to, hub) = (spoke.clone(), hub.id(), hub.clone());
            scope.spawn(move || {
                for number in 0..COUNT {
                    spoke.send(to, &numbered(number, 250)).soon().unwrap();
                    hub.send(spoke.id(), &numbered(number, 250)).soon().unwrap();
                }
            });
        }
        let mut next: BTreeMap<PeerId, u64> = BTreeMap::new();
        while next.len() < spokes.len() || next.values().any(|next| *next < COUNT) {
            let batch = received(&mut hub_events);
            let expected = next.entry(batch.peer).or_default();
            for packet in batch {
                assert_eq!(packet.payload().unwrap()[..8], u64::to_le_bytes(*expected));
                *expected += 1;
            }
        }
    });
    for (_, events) in &mut spokes {
        take_numbered(events, COUNT);
    }
}
