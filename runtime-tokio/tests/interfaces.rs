//! Interfaces that come and go, in a network namespace of the test's own. It needs the right to make one.

mod common;

use common::{node, quiet, until};
use p2pnet_driver::protocol::{Duration, Event};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::process::Command;
use std::time::Instant;

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(done.success(), "ip {arguments}");
}

/// Leaves this thread, and the threads it starts from now on, in a network of their own.
fn alone() -> bool {
    // SAFETY: only the network namespace changes, which no memory depends on.
    let left = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
    let able = left.is_ok() && Command::new("ip").arg("-V").output().is_ok();
    if !able {
        println!("not run: no right to make a network namespace, or no ip(8)");
    }
    able
}

#[test]
fn interfaces_are_noticed_when_they_come_and_go() {
    std::thread::spawn(|| {
        if !alone() {
            return;
        }
        ip("link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(come_and_go());
    })
    .join()
    .unwrap();
}

async fn come_and_go() {
    let mut config = quiet();
    config.lan.enabled = true;
    let (_node, mut events) = node(config);
    let links = |wanted: u16| {
        move |event: &Event| match event {
            Event::DiscoveryStatus(status) if status.broadcast_v4 == wanted => Some(()),
            _ => None,
        }
    };
    // Loopback is there from the start.
    until(&mut events, links(1)).await;
    for round in 0..3 {
        ip("link add p2pnet0 type veth peer name p2pnet1");
        ip("link set p2pnet0 up");
        ip("link set p2pnet1 up");
        ip("addr add 192.0.2.1/24 broadcast + dev p2pnet0");
        let came = Instant::now();
        until(&mut events, links(2)).await;
        assert!(came.elapsed() < Duration::from_millis(200), "round {round}: {:?}", came.elapsed());
        ip("link del p2pnet0");
        let went = Instant::now();
        until(&mut events, links(1)).await;
        assert!(went.elapsed() < Duration::from_millis(200), "round {round}: {:?}", went.elapsed());
    }
}
