//! A machine that sleeps, and a clock that jumps: for a while a node does nothing, and then all its timers are late.

use crate::alone::{Other, answer, in_two_processes, say};
use crate::{On, Soon as _, connected, numbered, quiet, take_numbered, until};
use p2pnet_driver::protocol::{CloseReason, Config, Duration, Event, Packet, RoutineChange};
use p2pnet_driver::{Builder, Events, Handle, Handlers};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Between two runs of the routine that counts.
const EACH: Duration = Duration::from_millis(100);

/// A routine that counts its runs.
fn counts(handlers: &mut Handlers) -> Arc<AtomicU64> {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    handlers.on_routine("count", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    runs
}

fn start_counting(node: &Handle) {
    let add = RoutineChange::Add { interval: EACH, jitter_percent: 0 };
    node.routine("count", add).soon().unwrap();
    node.routine("count", RoutineChange::Start).soon().unwrap();
}

/// The node that will sleep: it echoes, counts, and says how often it counted and turned.
fn sleeper(on: On) {
    let mut handlers = Handlers::default();
    let runs = counts(&mut handlers);
    handlers.on_pure_message(|wishes, peer, said| wishes.send(peer, Packet::PureMessage(said)));
    let (node, _events) = (on.there)(Builder::new(quiet()).handlers(handlers)).unwrap();
    start_counting(&node);
    say(node.listening()[0]);
    answer(|_| format!("{} {}", runs.load(Ordering::Relaxed), node.counters().turns));
    node.shutdown().soon().unwrap();
}

/// How often the other node counted, and turned.
fn asked(other: &mut Other) -> [u64; 2] {
    let answer = other.ask("how often?");
    let mut numbers = answer.split(' ').map(|number| number.parse().unwrap());
    [numbers.next().unwrap(), numbers.next().unwrap()]
}

/// A node here with a channel to the sleeper.
fn meet(on: On, other: &mut Other, config: Config) -> (Handle, Events) {
    let to: SocketAddr = other.hear().parse().unwrap();
    let (a, mut events) = on.here(config);
    a.connect(to, None).soon().unwrap();
    connected(&mut events);
    (a, events)
}

fn patient() -> Config {
    let mut config = quiet();
    config.timing.keep_alive = Duration::from_millis(200);
    config.timing.silence_timeout = Duration::from_secs(15);
    config
}

/// A peer that sleeps for less than the silence that counts as its end: what was sent meanwhile waits for it.
pub fn a_short_suspension_loses_nothing(on: On, test: &str) {
    in_two_processes(
        test,
        |other| {
            let (a, mut events) = meet(on, other, patient());
            let peer = a.peers().soon().unwrap()[0].peer;
            let say = |numbers: std::ops::Range<u64>| {
                for number in numbers {
                    a.send(peer, &numbered(number, 300)).soon().unwrap();
                }
            };
            say(0..100);
            other.suspend();
            say(100..200);
            thread::sleep(Duration::from_millis(800));
            other.resume();
            say(200..300);
            take_numbered(&mut events, 300);
            while let Some(event) = events.try_next() {
                assert!(!matches!(event, Event::PeerClosed { .. }), "{event:?}");
            }
        },
        || sleeper(on),
    );
}

/// A peer that sleeps for longer is given up for its silence; when it wakes, the two meet again by themselves.
pub fn a_long_suspension_is_told_and_mended(on: On, test: &str) {
    in_two_processes(
        test,
        |other| {
            let mut brisk = patient();
            brisk.timing.silence_timeout = Duration::from_secs(1);
            brisk.timing.handshake_timeout = Duration::from_secs(1);
            let (a, mut events) = meet(on, other, brisk);
            other.suspend();
            let reason = until(&mut events, |event| match event {
                Event::PeerClosed { reason, .. } => Some(*reason),
                _ => None,
            });
            assert_eq!(reason, CloseReason::Silent);
            thread::sleep(Duration::from_secs(1));
            other.resume();
            let peer = connected(&mut events);
            a.send(peer, &numbered(0, 100)).soon().unwrap();
            take_numbered(&mut events, 1);
        },
        || sleeper(on),
    );
}

/// Twenty runs of a routine are missed: at most one is made up for, and the node doesn't spin.
pub fn timers_fire_no_burst_after_a_suspension(on: On, test: &str) {
    in_two_processes(
        test,
        |other| {
            let (_a, _events) = meet(on, other, patient());
            thread::sleep(Duration::from_millis(300));
            let before = asked(other);
            other.suspend();
            thread::sleep(20 * EACH);
            other.resume();
            let woken = asked(other);
            let late = woken[0] - before[0];
            // Whether the one that is due runs before the question is asked is open, and a busy machine is late by itself.
            assert!(late <= 5, "{late} runs for those missed");
            thread::sleep(5 * EACH);
            let after = asked(other);
            let (runs, turns) = (after[0] - woken[0], after[1] - woken[1]);
            assert!((2..=8).contains(&runs), "{runs} runs in half a second, of five");
            assert!(turns < 100, "{turns} turns in half a second");
        },
        || sleeper(on),
    );
}

/// The clock says for once that three seconds have passed, and then nothing new for three.
pub fn a_clock_that_jumps_fires_no_burst(on: On, _: &str) {
    let mut handlers = Handlers::default();
    let runs = counts(&mut handlers);
    let (a, mut a_events) = (on.here)(Builder::new(patient()).handlers(handlers)).unwrap();
    let (b, mut b_events) = on.there(patient());
    a.connect(b.listening()[0], None).soon().unwrap();
    connected(&mut a_events);
    connected(&mut b_events);
    start_counting(&a);
    thread::sleep(3 * EACH);
    let before = runs.load(Ordering::Relaxed);
    a.call(|net, now| net.handle_timeout(now + 30 * EACH)).soon().unwrap();
    thread::sleep(2 * EACH);
    let jumped = runs.load(Ordering::Relaxed) - before;
    assert!((1..=4).contains(&jumped), "{jumped} runs for a jump over thirty");
    a.send(b.id(), &numbered(0, 8)).soon().unwrap();
    take_numbered(&mut b_events, 1);
    // Once the clock has caught up, timers run as before.
    thread::sleep(35 * EACH);
    let runs = runs.load(Ordering::Relaxed) - before;
    assert!((jumped + 2..=15).contains(&runs), "{runs} runs once the clock has caught up");
}
