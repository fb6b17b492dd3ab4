//! What nodes cost: descriptors, threads, turns, memory, time to stop. Each has a process of its own.

use crate::alone::in_a_process;
use crate::{
    On, Soon as _, at, connected, descriptors, eventually, heap, numbered, processor_time, quiet,
    take_numbered, threads, until,
};
use p2pnet_driver::protocol::{CloseCause, DialError, Duration, Event, ListenerId, Seed};
use p2pnet_driver::{Config, Handle, Node, clock::Clock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

/// Three hundred shutdowns with a channel open, none over 100 ms.
pub fn shutdown_is_quick(on: On, test: &str) {
    in_a_process(test, || {
        let mut slowest = Duration::ZERO;
        for _ in 0..150 {
            let [(a, _a_events), (b, _b_events)] = on.pair(quiet(), quiet());
            for node in [a, b] {
                let started = Instant::now();
                node.shutdown().soon().unwrap();
                slowest = slowest.max(started.elapsed());
            }
        }
        assert!(slowest <= Duration::from_millis(100), "{slowest:?}");
    });
}

/// A channel that says nothing wakes nobody.
pub fn an_idle_node_sleeps(on: On, test: &str) {
    in_a_process(test, || {
        let [(a, _a_events), (b, _b_events)] = on.pair(quiet(), quiet());
        thread::sleep(Duration::from_millis(500));
        let before = [a.counters().turns, b.counters().turns];
        thread::sleep(Duration::from_secs(2));
        let turns = [a.counters().turns - before[0], b.counters().turns - before[1]];
        assert!(turns.iter().all(|turns| *turns < 20), "{turns:?} turns in two idle seconds");
    });
}

/// Whoever waits for a timer waits all the time that is left, and doesn't ask again and again whether it is due.
pub fn frequent_timers_cost_little_time(on: On, test: &str) {
    in_a_process(test, || {
        let mut brisk = quiet();
        brisk.timing.keep_alive = Duration::from_millis(50);
        let _pair = on.pair(brisk.clone(), brisk);
        thread::sleep(Duration::from_millis(300));
        let (used, watched) = (processor_time(), Duration::from_secs(2));
        thread::sleep(watched);
        let share = (processor_time() - used).as_secs_f64() / watched.as_secs_f64();
        assert!(share < 0.2, "{share} of a processor for two pings each 50 ms");
    });
}

/// Nodes that have stopped have closed every descriptor and ended every thread.
pub fn a_hundred_nodes_leave_nothing_behind(on: On, test: &str) {
    in_a_process(test, || {
        // What a runtime makes once, it has made.
        on.here(quiet()).0.shutdown().soon().unwrap();
        thread::sleep(Duration::from_millis(200));
        let (descriptors_before, threads_before) = (descriptors(), threads());
        let (hub, mut hub_events) = on.here(quiet());
        let mut spokes = Vec::new();
        for _ in 0..99 {
            let (spoke, mut events) = on.there(quiet());
            spoke.connect(at(&hub), Some(hub.id())).soon().unwrap();
            connected(&mut events);
            spokes.push((spoke, events));
        }
        for _ in &spokes {
            connected(&mut hub_events);
        }
        for (spoke, events) in &mut spokes {
            hub.send(spoke.id(), &numbered(0, 100)).soon().unwrap();
            take_numbered(events, 1);
        }
        assert!(descriptors() > descriptors_before + 300);
        for (spoke, events) in spokes {
            drop(events);
            spoke.shutdown().soon().unwrap();
        }
        hub.shutdown().soon().unwrap();
        drop((hub, hub_events));
        eventually("descriptors are as before", || {
            (descriptors() <= descriptors_before).then_some(())
        });
        eventually("threads are as before", || (threads() <= threads_before).then_some(()));
    });
}

/// Lets this process have `more` descriptors than it has now that `nodes` run, and says how many it was allowed.
fn allow_descriptors(more: usize, nodes: [&Handle; 2]) -> Rlimit {
    // They have opened what they need.
    for node in nodes {
        node.peers().soon().unwrap();
    }
    let before = getrlimit(Resource::Nofile);
    let room = Some((descriptors() + more) as u64);
    setrlimit(Resource::Nofile, Rlimit { current: room, ..before }).unwrap();
    before
}

/// Accepting rests meanwhile, and doesn't spin.
pub fn without_descriptors_accepting_is_put_off_and_goes_on(on: On, test: &str) {
    in_a_process(test, || {
        let (hub, mut hub_events) = on.here(quiet());
        let (late, mut late_events) = on.there(quiet());
        let before = allow_descriptors(11, [&hub, &late]);
        // Strangers until the process can't open anything more.
        let mut strangers = Vec::new();
        while let Ok(stream) = TcpStream::connect(at(&hub)) {
            strangers.push(stream);
        }
        thread::sleep(Duration::from_millis(500));
        let (pauses, turns) = (hub.counters().accept_pauses, hub.counters().turns);
        assert!(pauses > 0, "it was told");
        thread::sleep(Duration::from_millis(500));
        let spun = hub.counters().turns - turns;
        assert!(spun < 50, "{spun} turns in half a second without descriptors");
        drop(strangers);
        setrlimit(Resource::Nofile, before).unwrap();
        late.connect(at(&hub), None).soon().unwrap();
        assert_eq!(connected(&mut late_events), hub.id());
        assert_eq!(connected(&mut hub_events), late.id());
    });
}

/// A dial for which there is no descriptor fails with that reason, and the next one works.
pub fn without_descriptors_a_dial_says_so(on: On, test: &str) {
    in_a_process(test, || {
        let (a, mut events) = on.here(quiet());
        let (b, _b_events) = on.there(quiet());
        let before = allow_descriptors(0, [&a, &b]);
        let all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        a.connect(at(&b), None).soon().unwrap();
        let error = until(&mut events, |event| match event {
            Event::DialFailed { error, .. } => Some(*error),
            _ => None,
        });
        assert_eq!(error, DialError::Stream(CloseCause::OutOfResources));
        drop(all);
        setrlimit(Resource::Nofile, before).unwrap();
        a.connect(at(&b), None).soon().unwrap();
        assert_eq!(connected(&mut events), b.id());
    });
}

const CONNECTIONS: usize = 300;

fn crowded() -> Config {
    let mut config = quiet();
    config.limits.connections_max = 400;
    config.limits.connections_per_address_max = 400;
    config.limits.connections_per_subnet_max = 400;
    config.limits.handshakes_max = 400;
    config.limits.handshakes_per_address_max = 400;
    config.limits.handshakes_per_subnet_max = 400;
    config.timing.handshake_timeout = Duration::from_secs(60);
    config
}

/// What the core holds for so many strangers that say nothing.
fn core_bytes() -> isize {
    let crypto = p2pnet_driver::NodeCrypto::new().unwrap();
    let now = Clock::new().now();
    let mut net = Node::new(crowded(), &[1; 32], Seed([2; 32]), crypto, now).unwrap();
    let from: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let before = heap::held();
    for _ in 0..CONNECTIONS {
        net.handle_incoming(now, ListenerId(0), from).unwrap();
        while net.poll_output().is_some() {}
    }
    heap::held() - before
}

/// Outside the core. The test program's allocator must be [`heap::Counting`].
pub fn an_idle_connection_costs_less_than_a_kibibyte(on: On, test: &str) {
    in_a_process(test, || {
        let core = core_bytes();
        assert!(core > 0, "the allocator counts");
        let (hub, events) = on.here(crowded());
        drop(events);
        // One to warm up what is there once.
        let mut strangers = vec![TcpStream::connect(at(&hub)).unwrap()];
        thread::sleep(Duration::from_millis(200));
        let before = heap::held();
        for _ in 0..CONNECTIONS {
            strangers.push(TcpStream::connect(at(&hub)).unwrap());
        }
        eventually("all are accepted", || {
            (hub.counters().accepted >= strangers.len() as u64).then_some(())
        });
        thread::sleep(Duration::from_millis(200));
        let each = (heap::held() - before - core) / CONNECTIONS as isize;
        println!("{each} bytes each outside the core, {} inside", core / CONNECTIONS as isize);
        assert!((50..=1024).contains(&each), "{each} bytes");
    });
}
