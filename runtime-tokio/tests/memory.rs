//! What an idle connection costs outside the core.

mod common;

use common::{at, node, quiet};
use p2pnet_driver::protocol::{Duration, ListenerId, Seed};
use p2pnet_driver::{Config, Node, clock::Clock};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicIsize, Ordering};

struct Counting;
static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is left to the system's allocator; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONNECTIONS: usize = 300;

fn config() -> Config {
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
    let crypto = p2pnet_crypto::FastCrypto::new().unwrap();
    let now = Clock::new().now();
    let mut net = Node::new(config(), &[1; 32], Seed([2; 32]), crypto, now).unwrap();
    let from: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let before = HELD.load(Ordering::Relaxed);
    for _ in 0..CONNECTIONS {
        net.handle_incoming(now, ListenerId(0), from).unwrap();
        while net.poll_output().is_some() {}
    }
    HELD.load(Ordering::Relaxed) - before
}

#[tokio::test]
async fn an_idle_connection_costs_less_than_a_kibibyte() {
    let core = core_bytes();
    let (hub, events) = node(config());
    drop(events);
    // One to warm up what is there once.
    let mut strangers = vec![TcpStream::connect(at(&hub)).unwrap()];
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = HELD.load(Ordering::Relaxed);
    for _ in 0..CONNECTIONS {
        strangers.push(TcpStream::connect(at(&hub)).unwrap());
    }
    while hub.counters().accepted < strangers.len() as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let all = HELD.load(Ordering::Relaxed) - before;
    let each = (all - core) / CONNECTIONS as isize;
    println!("{each} bytes each outside the core, {} inside", core / CONNECTIONS as isize);
    assert!((100..=1024).contains(&each), "{each} bytes");
}
