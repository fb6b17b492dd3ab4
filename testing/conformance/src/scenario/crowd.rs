//! Very many channels that say nothing: what each costs a node.

use crate::alone::{answer, in_two_processes, say};
use crate::{On, Soon as _, at, eventually, heap, processor_time, quiet};
use p2pnet_driver::protocol::{
    CloseCause, Config, ConnId, Duration, Event, Limits, Output, PeerNetwork, Seed,
};
use p2pnet_driver::{Node, NodeCrypto, clock::Clock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

/// How many channels the scenario opens. The long runs set more, up to what descriptors allow.
pub const CHANNELS: &str = "P2PNET_CONFORMANCE_CHANNELS";
const CHANNELS_BRIEF: usize = 250;
/// Descriptors beside those of channels.
const DESCRIPTORS_ASIDE: u64 = 200;

/// Held by the node for a channel, sockets apart.
const BYTES_EACH_MAX: isize = 3 << 10;

fn channels() -> usize {
    std::env::var(CHANNELS).map_or(CHANNELS_BRIEF, |count| count.parse().unwrap())
}

/// Lets this process have a descriptor for each channel.
fn make_room() {
    let needed = channels() as u64 + DESCRIPTORS_ASIDE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed), ..limit };
        let done = setrlimit(Resource::Nofile, raised);
        assert!(done.is_ok(), "this needs {needed} descriptors a process: raise `ulimit -Hn`");
    }
}

fn hub() -> Config {
    let mut config = quiet();
    let all = 16_384;
    config.limits = Limits {
        connections_max: all,
        connections_per_address_max: all,
        connections_per_subnet_max: all,
        handshakes_max: all,
        handshakes_per_address_max: all,
        handshakes_per_subnet_max: all,
        channels_auto_max: all,
        known_peers_max: all,
        ..Limits::default()
    };
    lasting(config)
}

/// Nobody has to say anything while it is measured.
fn lasting(mut config: Config) -> Config {
    config.timing.keep_alive = Duration::from_secs(3600);
    config.timing.silence_timeout = Duration::from_secs(7200);
    config.timing.handshake_timeout = Duration::from_secs(60);
    config
}

/// One guest: a node of its own, driven by hand until its channel is open.
struct Guest {
    _node: PeerNetwork<NodeCrypto>,
    _stream: TcpStream,
}

impl Guest {
    fn join(number: usize, to: SocketAddr) -> Self {
        let clock = Clock::new();
        let mut identity = [7; 32];
        identity[..8].copy_from_slice(&number.to_le_bytes());
        let mut config = Config { limits: Limits::tiny(), listen: Vec::new(), ..Config::default() };
        config.lan.enabled = false;
        let crypto = NodeCrypto::new().unwrap();
        let (config, seed) = (lasting(config), Seed::from_u64(number as u64));
        let mut node = Node::new(config, &identity, seed, crypto, clock.now()).unwrap();
        node.connect(clock.now(), to, None).unwrap();
        let mut stream: Option<(ConnId, TcpStream)> = None;
        let mut buffer = vec![0; 16 << 10];
        loop {
            while let Some(output) = node.poll_output() {
                match output {
                    Output::Connect { conn, to } => {
                        let dialled = TcpStream::connect(to).unwrap();
                        node.handle_connected(clock.now(), conn, dialled.local_addr().unwrap());
                        stream = Some((conn, dialled));
                    }
                    Output::WriteReady(conn) => {
                        let (_, stream) = stream.as_mut().unwrap();
                        while let Some(chunk) = node.poll_write(conn, 64 << 10) {
                            stream.write_all(&chunk).unwrap();
                        }
                    }
                    Output::Event(Event::PeerConnected { .. }) => {
                        let (_, stream) = stream.take().unwrap();
                        return Self { _node: node, _stream: stream };
                    }
                    Output::Event(Event::DialFailed { error, .. }) => panic!("{error}"),
                    _ => {}
                }
            }
            let (conn, stream) = stream.as_mut().unwrap();
            match stream.read(&mut buffer).unwrap() {
                0 => node.handle_closed(clock.now(), *conn, CloseCause::EndOfStream),
                bytes => node.handle_stream(clock.now(), *conn, &mut buffer[..bytes]),
            }
            node.handle_timeout(clock.now());
        }
    }
}

/// The process with the guests.
fn guests() {
    let mut all = Vec::new();
    answer(|wish| {
        let (count, to) = wish.split_once(' ').unwrap();
        let to = to.parse().unwrap();
        for _ in 0..count.parse().unwrap() {
            all.push(Guest::join(all.len(), to));
        }
        all.len().to_string()
    });
}

/// Resident bytes of this process.
fn resident() -> isize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<isize>().unwrap() << 10
}

/// The test program's allocator must be [`heap::Counting`].
pub fn idle_channels_cost_little_memory_and_no_time(on: On, test: &str) {
    in_two_processes(
        test,
        |other| {
            make_room();
            let (hub, events) = on.here(hub());
            drop(events);
            let open = |count: usize| {
                eventually("all are open", || {
                    let open = hub.call(|net, _| net.open_peers().len()).soon().unwrap();
                    (open == count).then_some(())
                });
                // The last handshakes are forgotten.
                thread::sleep(Duration::from_millis(300));
            };
            assert_eq!(other.hear(), "ready");
            // Some to warm up what is there once.
            let warm = 20;
            other.ask(&format!("{warm} {}", at(&hub)));
            open(warm);
            let before = (heap::held(), resident());
            let count = channels();
            other.ask(&format!("{count} {}", at(&hub)));
            open(warm + count);
            let each = (heap::held() - before.0) / count as isize;
            let resident_each = (resident() - before.1) / count as isize;
            let (turns, used) = (hub.counters().turns, processor_time());
            let watched = Duration::from_secs(2);
            thread::sleep(watched);
            let turns = hub.counters().turns - turns;
            let share = (processor_time() - used).as_secs_f64() / watched.as_secs_f64();
            println!(
                "{count} idle channels: {each} bytes each, {resident_each} resident; {turns} turns and {:.2} % of a \
                 processor in two seconds",
                share * 100.0
            );
            assert!((500..=BYTES_EACH_MAX).contains(&each), "{each} bytes");
            assert!(turns < 20, "{turns} turns in two idle seconds");
            assert!(share < 0.02, "{share}");
        },
        || {
            make_room();
            say("ready");
            guests();
        },
    );
}
