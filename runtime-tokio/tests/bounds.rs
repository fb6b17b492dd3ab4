//! What nodes cost: descriptors, threads, turns, time to stop. One test at a time, so that counts are its own.

mod common;

use common::{at, connected, descriptors, node, numbered, pair, quiet, take_numbered, threads};
use p2pnet_driver::protocol::Duration;
use std::time::Instant;

/// Waits until `count` is back at `baseline`: threads take a moment to be gone after they have said so.
async fn back_at(baseline: usize, what: &str, count: impl Fn() -> usize) {
    let started = Instant::now();
    while count() > baseline {
        assert!(started.elapsed() < Duration::from_secs(5), "{} {what}, not {baseline}", count());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn bounds() {
    current_thread().block_on(async {
        shutdown_is_quick().await;
        an_idle_node_sleeps().await;
        a_hundred_nodes_leave_nothing_behind().await;
    });
}

async fn shutdown_is_quick() {
    let mut slowest = Duration::ZERO;
    for _ in 0..150 {
        let [(a, _a_events), (b, _b_events)] = pair(quiet(), quiet()).await;
        for node in [a, b] {
            let started = Instant::now();
            node.shutdown().await.unwrap();
            slowest = slowest.max(started.elapsed());
        }
    }
    assert!(slowest <= Duration::from_millis(100), "{slowest:?}");
}

async fn an_idle_node_sleeps() {
    let [(a, _a_events), (b, _b_events)] = pair(quiet(), quiet()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = [a.counters().turns, b.counters().turns];
    tokio::time::sleep(Duration::from_secs(2)).await;
    let turns = [a.counters().turns - before[0], b.counters().turns - before[1]];
    assert!(turns.iter().all(|turns| *turns < 20), "{turns:?} turns in two idle seconds");
    a.shutdown().await.unwrap();
    b.shutdown().await.unwrap();
}

async fn a_hundred_nodes_leave_nothing_behind() {
    let (descriptors_before, threads_before) = (descriptors(), threads());
    let (hub, mut hub_events) = node(quiet());
    let mut spokes = Vec::new();
    for _ in 0..99 {
        let (spoke, mut events) = p2pnet_tokio::spawn(p2pnet_tokio::Builder::new(quiet())).unwrap();
        spoke.connect(at(&hub), Some(hub.id())).await.unwrap();
        connected(&mut events).await;
        spokes.push((spoke, events));
    }
    for _ in &spokes {
        connected(&mut hub_events).await;
    }
    for (spoke, events) in &mut spokes {
        hub.send(spoke.id(), &numbered(0, 100)).await.unwrap();
        take_numbered(events, 1).await;
    }
    assert!(descriptors() > descriptors_before + 300);
    for (spoke, events) in spokes {
        drop(events);
        spoke.shutdown().await.unwrap();
    }
    hub.shutdown().await.unwrap();
    drop((hub, hub_events));
    back_at(descriptors_before, "descriptors", descriptors).await;
    back_at(threads_before, "threads", threads).await;
}
