//! Streams of who knows whom.

use crate::Soon as _;
use crate::{On, alone, at, connected, descriptors, eventually, numbered, quiet, take_numbered};
use p2pnet_driver::protocol::Duration;
use socket2::SockRef;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

/// Waits until the other side has let go of this stream.
#[track_caller]
fn is_let_go(stranger: &mut TcpStream) {
    stranger.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut said = [0; 1024];
    loop {
        match stranger.read(&mut said) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            other => panic!("its socket is still open: {other:?}"),
        }
    }
}

/// The handshake has its time, and no more.
pub fn a_stranger_that_says_nothing_is_let_go(on: On, _: &str) {
    let mut brief = quiet();
    brief.timing.handshake_timeout = Duration::from_millis(200);
    let (hub, _events) = on.here(brief);
    is_let_go(&mut TcpStream::connect(at(&hub)).unwrap());
}

/// Bytes that mean nothing, of every length, beside a channel that goes on.
pub fn garbage_is_turned_away_and_nobody_else_notices(on: On, _: &str) {
    let mut brief = quiet();
    brief.timing.handshake_timeout = Duration::from_millis(500);
    let [(hub, mut hub_events), (b, _b_events)] = on.pair(brief, quiet());
    let mut byte = 1u8;
    for length in [1, 2, 31, 32, 33, 100, 1000, 70_000, 1 << 20] {
        let mut stranger = TcpStream::connect(at(&hub)).unwrap();
        let garbage: Vec<u8> = (0..length)
            .map(|_| {
                byte = byte.wrapping_mul(73).wrapping_add(41);
                byte
            })
            .collect();
        // It may be let go of in the middle.
        let _ = stranger.write_all(&garbage);
        is_let_go(&mut stranger);
    }
    for number in 0..100 {
        b.send(hub.id(), &numbered(number, 100)).soon().unwrap();
    }
    take_numbered(&mut hub_events, 100);
}

/// A cap turns away who is over it, and lets the next in when there is room.
pub fn over_the_cap_strangers_are_let_go_at_once(on: On, _: &str) {
    const CAP: u32 = 5;
    let mut small = quiet();
    small.limits.connections_max = CAP;
    small.limits.handshakes_max = CAP;
    small.limits.connections_per_address_max = CAP;
    small.limits.connections_per_subnet_max = CAP;
    small.limits.handshakes_per_address_max = CAP;
    small.limits.handshakes_per_subnet_max = CAP;
    small.limits.channels_auto_max = 1;
    small.limits.pending_max = 1;
    small.timing.handshake_timeout = Duration::from_secs(60);
    let (hub, mut hub_events) = on.here(small);
    let held: Vec<TcpStream> = (0..CAP).map(|_| TcpStream::connect(at(&hub)).unwrap()).collect();
    eventually("all are accepted", || (hub.counters().accepted >= CAP.into()).then_some(()));
    let started = Instant::now();
    for _ in 0..20 {
        is_let_go(&mut TcpStream::connect(at(&hub)).unwrap());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(hub.stats().soon().unwrap().incoming_refused >= 20);
    drop(held);
    let (late, mut late_events) = on.there(quiet());
    // Until the hub has seen that those are gone.
    eventually("there is room again", || {
        late.connect(at(&hub), None).soon().unwrap();
        late_events.next().within(Duration::from_millis(300)).flatten().and_then(|event| {
            matches!(event, p2pnet_driver::Event::PeerConnected { .. }).then_some(())
        })
    });
    assert_eq!(connected(&mut hub_events), late.id());
}

/// A stream that breaks the hard way.
pub fn a_stranger_that_resets_is_forgotten(on: On, test: &str) {
    alone::in_a_process(test, || {
        let mut patient = quiet();
        patient.timing.handshake_timeout = Duration::from_secs(60);
        let (hub, _events) = on.here(patient);
        std::thread::sleep(Duration::from_millis(100));
        let before = descriptors();
        for _ in 0..50 {
            let mut stranger = TcpStream::connect(at(&hub)).unwrap();
            stranger.write_all(&[0; 10]).unwrap();
            SockRef::from(&stranger).set_linger(Some(Duration::ZERO)).unwrap();
        }
        eventually("all are accepted", || (hub.counters().accepted >= 50).then_some(()));
        eventually("all are gone", || (descriptors() <= before).then_some(()));
    });
}

/// How a handshake begins: the magic, and a message of 64 bytes.
fn opening() -> Vec<u8> {
    [&b"P2P\x01\x00\x40"[..], &[7; 64][..]].concat()
}

/// A stream that ends before the handshake does.
pub fn half_a_handshake_is_let_go(on: On, _: &str) {
    let mut patient = quiet();
    patient.timing.handshake_timeout = Duration::from_secs(60);
    let (hub, _events) = on.here(patient);
    for bytes in [0, 1, 5, 40] {
        let mut stranger = TcpStream::connect(at(&hub)).unwrap();
        stranger.write_all(&opening()[..bytes]).unwrap();
        stranger.shutdown(std::net::Shutdown::Write).unwrap();
        let started = Instant::now();
        is_let_go(&mut stranger);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

/// The last byte and the end of a stream come while the loop is busy: it hears of both at once, by one edge.
pub fn an_end_that_comes_with_the_last_byte_is_noticed(on: On, _: &str) {
    let mut patient = quiet();
    patient.timing.handshake_timeout = Duration::from_secs(60);
    let (hub, _events) = on.here(patient);
    let mut stranger = TcpStream::connect(at(&hub)).unwrap();
    eventually("it is accepted", || (hub.counters().accepted >= 1).then_some(()));
    let (begin, begun) = std::sync::mpsc::channel();
    let busy = hub.call(move |_, _| {
        begin.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    });
    begun.recv().unwrap();
    stranger.write_all(&opening()[..1]).unwrap();
    stranger.shutdown(std::net::Shutdown::Write).unwrap();
    busy.soon().unwrap();
    let started = Instant::now();
    is_let_go(&mut stranger);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

/// Peers and strangers by the hundred, and no descriptor is left.
pub fn strangers_that_come_and_go_leave_nothing_open(on: On, test: &str) {
    alone::in_a_process(test, || {
        let (hub, mut hub_events) = on.here(quiet());
        let mut run = |times| {
            for _ in 0..times {
                drop(TcpStream::connect(at(&hub)).unwrap());
                let (spoke, mut events) = on.there(quiet());
                spoke.connect(at(&hub), None).soon().unwrap();
                connected(&mut events);
                connected(&mut hub_events);
                spoke.shutdown().soon().unwrap();
            }
        };
        // What is there once is there now.
        run(2);
        std::thread::sleep(Duration::from_millis(300));
        let before = descriptors();
        run(50);
        eventually("all are gone", || (descriptors() <= before).then_some(()));
    });
}
