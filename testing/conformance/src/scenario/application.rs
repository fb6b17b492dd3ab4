//! What the application asks of its node.

use crate::{On, Soon as _, at, connected, numbered, quiet, take_numbered, until};
use p2pnet_driver::protocol::{
    CommandError, Config, Direction, Duration, Event, IncomingPeerPlacement, Packet, RoutineChange,
    SendError,
};
use p2pnet_driver::{Builder, Handlers, ListError, PeerId, Stopped};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// Refusals come at once, and a packet of another kind goes through.
pub fn nobody_is_sent_to_who_is_not_there(on: On, _: &str) {
    let [(a, _a_events), (b, mut b_events)] = on.pair(quiet(), quiet());
    let stranger = PeerId([7; 32]);
    assert_eq!(a.send(stranger, b"x").soon(), Err(SendError::NotConnected));
    assert_eq!(a.send(b.id(), &vec![0; 2 << 20]).soon(), Err(SendError::TooLarge));
    a.send_packet(b.id(), Packet::misc_data("bulk")).soon().unwrap();
    assert_eq!(crate::received(&mut b_events).next(), Some(Packet::misc_data("bulk")));
}

fn stream(end: UnixStream) -> TcpStream {
    TcpStream::from(OwnedFd::from(end))
}

/// A stream that isn't TCP, opened by the application.
pub fn the_application_may_hand_in_a_stream(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = on.there(quiet());
    let (one, other) = UnixStream::pair().unwrap();
    let nowhere = "192.0.2.1:9".parse().unwrap();
    a.attach(stream(one), Direction::Outgoing, nowhere, Some(b.id())).soon().unwrap();
    b.attach(stream(other), Direction::Incoming, nowhere, None).soon().unwrap();
    assert_eq!(connected(&mut a_events), b.id());
    assert_eq!(connected(&mut b_events), a.id());
    a.send(b.id(), &numbered(0, 100)).soon().unwrap();
    take_numbered(&mut b_events, 1);
    let more = stream(UnixStream::pair().unwrap().0);
    let another = b.attach(more, Direction::Incoming, nowhere, None).soon();
    assert!(another.is_ok(), "another stream to the same address is fine too");
}

/// Its far end is closed by somebody else, without a word.
pub fn a_handed_in_stream_that_ends_is_told(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = on.there(quiet());
    let (one, other) = UnixStream::pair().unwrap();
    let breaker = one.try_clone().unwrap();
    let nowhere = "192.0.2.1:9".parse().unwrap();
    a.attach(stream(one), Direction::Outgoing, nowhere, None).soon().unwrap();
    b.attach(stream(other), Direction::Incoming, nowhere, None).soon().unwrap();
    connected(&mut a_events);
    connected(&mut b_events);
    breaker.shutdown(std::net::Shutdown::Both).unwrap();
    for events in [&mut a_events, &mut b_events] {
        until(events, |event| matches!(event, Event::PeerClosed { .. }).then_some(()));
    }
}

/// A change is on disk when it is acknowledged, and told if it can't be.
pub fn lists_survive_a_restart(on: On, _: &str) {
    let state = tempfile::tempdir().unwrap();
    let start = || (on.here)(Builder::new(quiet()).state_dir(state.path())).unwrap();
    let stranger = PeerId([9; 32]);
    let (a, events) = start();
    let id = a.id();
    a.trust(stranger).soon().unwrap();
    let text = std::fs::read_to_string(state.path().join("lists.json")).unwrap();
    assert!(text.contains(&stranger.to_string()), "saved before it was acknowledged: {text}");
    a.shutdown().soon().unwrap();
    drop(events);
    let (a, _events) = start();
    assert_eq!(a.id(), id);
    assert_eq!(a.trusted().soon().unwrap(), [stranger]);
    std::fs::remove_dir_all(state.path()).unwrap();
    let error = a.untrust(stranger).soon().unwrap_err();
    assert!(matches!(error, ListError::NotSaved(_)), "{error}");
    assert_eq!(a.trusted().soon().unwrap(), [], "in force all the same");
}

/// After the end every question is answered, with that.
pub fn a_stopped_node_says_so(on: On, _: &str) {
    let (a, mut events) = on.here(quiet());
    a.shutdown().soon().unwrap();
    assert_eq!(a.connect(at(&a), None).soon(), Err(CommandError::ShuttingDown));
    assert_eq!(a.peers().soon(), Err(Stopped));
    assert_eq!(a.shutdown().soon(), Err(Stopped));
    while events.next().soon().is_some() {}
    assert!(TcpStream::connect(at(&a)).is_err(), "its port is closed");
}

/// The end is asked for before the first turn.
pub fn a_node_stops_before_it_has_begun(on: On, _: &str) {
    for _ in 0..20 {
        let (a, mut events) = on.here(quiet());
        let stopping = a.shutdown();
        drop(a);
        stopping.soon().unwrap();
        while events.next().soon().is_some() {}
    }
}

/// The application's handlers don't wait for its events to be taken.
pub fn handlers_run_though_nobody_takes_events(on: On, _: &str) {
    let mut handlers = Handlers::default();
    handlers.on_pure_message(|wishes, peer, said| wishes.send(peer, Packet::PureMessage(said)));
    let (echo, echo_events) = (on.there)(Builder::new(quiet()).handlers(handlers)).unwrap();
    let (a, mut events) = on.here(quiet());
    a.connect(at(&echo), None).soon().unwrap();
    connected(&mut events);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..3000 {
                a.send(echo.id(), &numbered(number, 1000)).soon().unwrap();
                if number % 100 == 0 {
                    // The echo's own queue is bounded, and a handler's wish does not wait.
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        take_numbered(&mut events, 3000);
    });
    drop(echo_events);
}

/// What the peer's trust doesn't allow is refused before it is taken.
pub fn what_the_gate_turns_away_is_refused_at_once(on: On, _: &str) {
    let mut wary = quiet();
    wary.policies.incoming.trust_authenticated = false;
    let [(a, _a_events), (b, mut b_events)] = on.pair(wary.clone(), wary);
    let data = Packet::misc_data("for friends");
    assert_eq!(a.send_packet(b.id(), data.clone()).soon(), Err(SendError::NotAllowed));
    a.send(b.id(), &numbered(0, 8)).soon().unwrap();
    take_numbered(&mut b_events, 1);
    a.trust(b.id()).soon().unwrap();
    a.send_packet(b.id(), data).soon().unwrap();
}

/// Thousands of calls from several threads: each thread's run in order, and all are answered.
pub fn commands_in_bursts_are_answered_in_order(on: On, _: &str) {
    const THREADS: usize = 4;
    const COUNT: u32 = 2000;
    let (a, _events) = on.here(quiet());
    let last = Arc::new(Mutex::new([0; THREADS]));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (a, last) = (a.clone(), Arc::clone(&last));
            scope.spawn(move || {
                let replies: Vec<_> = (1..=COUNT)
                    .map(|number| {
                        let last = Arc::clone(&last);
                        a.call(move |_, _| {
                            let before = &mut last.lock().unwrap()[thread];
                            assert_eq!(*before + 1, number);
                            *before = number;
                            number
                        })
                    })
                    .collect();
                for (reply, number) in replies.into_iter().zip(1..) {
                    assert_eq!(reply.soon(), Ok(number));
                }
            });
        }
    });
}

/// Timers run with nothing else to wake the node.
pub fn routines_of_the_application_run_in_time(on: On, _: &str) {
    let runs = Arc::new(AtomicU64::new(0));
    let mut handlers = Handlers::default();
    let counted = Arc::clone(&runs);
    handlers.on_routine("count", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let (a, _events) = (on.here)(Builder::new(quiet()).handlers(handlers)).unwrap();
    let add = RoutineChange::Add { interval: Duration::from_millis(100), jitter_percent: 0 };
    a.routine("count", add).soon().unwrap();
    a.routine("count", RoutineChange::Start).soon().unwrap();
    thread::sleep(Duration::from_millis(1050));
    let runs = runs.load(Ordering::Relaxed);
    assert!((5..=11).contains(&runs), "{runs} runs in a second, of ten");
}

/// A node that takes nobody for a while.
pub fn incoming_peers_are_turned_off_and_on(on: On, _: &str) {
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = on.there(quiet());
    a.set_accept_inbound(false).soon().unwrap();
    b.connect(at(&a), None).soon().unwrap();
    until(&mut b_events, |event| matches!(event, Event::DialFailed { .. }).then_some(()));
    a.set_accept_inbound(true).soon().unwrap();
    b.connect(at(&a), None).soon().unwrap();
    assert_eq!(connected(&mut a_events), b.id());
    assert_eq!(connected(&mut b_events), a.id());
}

/// Incoming peers wait until the application has decided.
pub fn who_waits_is_accepted_or_refused(on: On, _: &str) {
    let queue = Config { placement: IncomingPeerPlacement::QueueAndEventBased, ..quiet() };
    let (a, mut a_events) = on.here(queue);
    for accept in [true, false] {
        let (b, mut b_events) = on.there(quiet());
        b.connect(at(&a), None).soon().unwrap();
        let waiting = until(&mut a_events, |event| match event {
            Event::PeerPending { peer, .. } => Some(*peer),
            _ => None,
        });
        assert_eq!(waiting, b.id());
        assert_eq!(a.pending().soon().unwrap().len(), 1);
        if accept {
            a.accept(b.id()).soon().unwrap();
            assert_eq!(connected(&mut a_events), b.id());
            assert_eq!(connected(&mut b_events), a.id());
        } else {
            a.refuse(b.id()).soon().unwrap();
            until(&mut b_events, |event| {
                let over = matches!(event, Event::DialFailed { .. } | Event::PeerClosed { .. });
                over.then_some(())
            });
        }
        assert_eq!(a.pending().soon().unwrap().len(), 0);
    }
}

/// Whoever drops its events is talked to all the same.
pub fn events_that_nobody_takes_hold_up_nobody(on: On, _: &str) {
    let [(a, mut a_events), (deaf, deaf_events)] = on.pair(quiet(), quiet());
    drop(deaf_events);
    let start = Instant::now();
    for number in 0..5000 {
        a.send(deaf.id(), &numbered(number, 1000)).soon().unwrap();
    }
    // Credit that comes back only with the next timer would take seconds.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    deaf.send(a.id(), &numbered(0, 8)).soon().unwrap();
    take_numbered(&mut a_events, 1);
}
