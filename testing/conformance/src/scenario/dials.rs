//! Dials, and what they come to.

use crate::{On, Soon as _, at, connected, quiet, until};
use p2pnet_driver::protocol::{CloseCause, Config, DialError, Duration, Event};
use p2pnet_driver::{Builder, Events, PeerId, StartError};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

/// What a dial to `to` came to.
#[track_caller]
fn failed(events: &mut Events, to: SocketAddr) -> DialError {
    until(events, |event| match event {
        Event::DialFailed { at, error, .. } if *at == to => Some(*error),
        _ => None,
    })
}

/// Nobody listens there.
pub fn a_refused_dial_is_told(on: On, _: &str) {
    let (a, mut events) = on.here(quiet());
    let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    a.connect(to, None).soon().unwrap();
    assert_eq!(failed(&mut events, to), DialError::Stream(CloseCause::Refused));
}

/// A listener whose queue is full doesn't answer at all.
pub fn a_dial_that_nobody_answers_is_given_up(on: On, _: &str) {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let to = full.local_addr().unwrap().as_socket().unwrap();
    let fillers: Vec<Socket> = (0..4)
        .map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            // It is under way, or in the queue already.
            let _ = filler.connect(&to.into());
            filler
        })
        .collect();
    let mut hasty = quiet();
    hasty.timing.dial_timeout = Duration::from_millis(300);
    let (a, mut events) = on.here(hasty);
    let started = Instant::now();
    a.connect(to, None).soon().unwrap();
    assert_eq!(failed(&mut events, to), DialError::Stream(CloseCause::TimedOut));
    assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    drop(fillers);
}

/// A listener that accepts and says nothing.
pub fn a_dial_that_is_accepted_in_silence_is_given_up(on: On, _: &str) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = silent.local_addr().unwrap();
    let mut hasty = quiet();
    hasty.timing.handshake_timeout = Duration::from_millis(300);
    let (a, mut events) = on.here(hasty);
    a.connect(to, None).soon().unwrap();
    let (stream, _) = silent.accept().unwrap();
    assert_eq!(failed(&mut events, to), DialError::HandshakeTimedOut);
    drop(stream);
}

/// Who isn't who it should be is told apart.
pub fn another_identity_than_the_expected_is_turned_away(on: On, _: &str) {
    let (a, mut events) = on.here(quiet());
    let (b, _b_events) = on.there(quiet());
    a.connect(at(&b), Some(PeerId([7; 32]))).soon().unwrap();
    assert_eq!(failed(&mut events, at(&b)), DialError::WrongPeer(b.id()));
}

/// A node that is told to dial its own address.
pub fn who_dials_itself_is_told(on: On, _: &str) {
    let (a, mut events) = on.here(quiet());
    a.connect(at(&a), None).soon().unwrap();
    assert_eq!(failed(&mut events, at(&a)), DialError::Oneself);
}

/// The second node on one address doesn't start, and says which it was.
pub fn an_address_in_use_is_named(on: On, _: &str) {
    let (a, _events) = on.here(quiet());
    let taken = Config { listen: vec![at(&a)], ..quiet() };
    match (on.there)(Builder::new(taken)) {
        Err(StartError::AddressInUse(address)) => assert_eq!(address, at(&a)),
        other => panic!("{other:?}"),
    }
}

/// Both dial at once: one channel stays, and works.
pub fn two_who_dial_each_other_keep_one_channel(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = on.there(quiet());
    let dials = [a.connect(at(&b), Some(b.id())), b.connect(at(&a), Some(a.id()))];
    // The second one may be refused: the channel is there already.
    let _ = dials.map(|dial| dial.soon());
    assert_eq!(connected(&mut a_events), b.id());
    assert_eq!(connected(&mut b_events), a.id());
    // Whichever channel stays, what is sent arrives.
    let started = Instant::now();
    loop {
        let _ = a.send(b.id(), b"still there").soon();
        let heard = b_events.next().within(Duration::from_millis(200)).flatten();
        if matches!(heard, Some(Event::Received(_))) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    let open = a.peers().soon().unwrap().iter().filter(|peer| peer.conn.is_some()).count();
    assert_eq!(open, 1);
}

/// Every dial ends in one way.
pub fn many_dials_at_once_all_end(on: On, _: &str) {
    const EACH: usize = 20;
    let (a, mut events) = on.here(quiet());
    let others: Vec<_> = (0..EACH).map(|_| on.there(quiet())).collect();
    let closed: Vec<SocketAddr> = {
        let listeners = (0..EACH).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let listeners: Vec<_> = listeners.collect();
        listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
    };
    for (other, closed) in others.iter().zip(&closed) {
        a.connect(at(&other.0), None).soon().unwrap();
        a.connect(*closed, None).soon().unwrap();
    }
    let (mut opened, mut failed) = (0, 0);
    while opened + failed < 2 * EACH {
        let has_opened = until(&mut events, |event| match event {
            Event::PeerConnected { .. } => Some(true),
            Event::DialFailed { error, .. } => {
                assert_eq!(*error, DialError::Stream(CloseCause::Refused));
                Some(false)
            }
            _ => None,
        });
        *(if has_opened { &mut opened } else { &mut failed }) += 1;
    }
    assert_eq!((opened, failed), (EACH, EACH));
}

/// Every address that is given is listened on, and an unspecified one takes both families.
pub fn every_address_and_both_families_are_listened_on(on: On, _: &str) {
    let any = |address: &str| -> SocketAddr { address.parse().unwrap() };
    let listen = vec![any("127.0.0.1:0"), any("127.0.0.2:0"), any("[::]:0")];
    let (a, mut a_events) = on.here(Config { listen, ..quiet() });
    let told = a.listening();
    assert_eq!(told.len(), 3);
    let port = told[2].port();
    let mut to = vec![told[0], told[1], SocketAddr::from(([127, 0, 0, 1], port))];
    // A host without IPv6 falls back to IPv4 alone.
    to.extend(told[2].is_ipv6().then(|| SocketAddr::new(any("[::1]:0").ip(), port)));
    for to in to {
        let (b, mut b_events) = on.there(quiet());
        b.connect(to, Some(a.id())).soon().unwrap();
        assert_eq!(connected(&mut b_events), a.id(), "at {to}");
        assert_eq!(connected(&mut a_events), b.id(), "at {to}");
    }
}
