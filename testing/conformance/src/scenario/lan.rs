//! Datagrams, on this host alone.

use crate::{On, Soon as _, connected, eventually, quiet};
use p2pnet_driver::protocol::Config;
use std::net::UdpSocket;
use std::time::Duration;

/// A port that nobody uses now.
fn free_port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

fn lan(port: u16) -> Config {
    let mut config = quiet();
    config.listen = vec!["[::]:0".parse().unwrap()];
    config.lan.enabled = true;
    config.lan.designated_ports = vec![port];
    config
}

/// Nobody tells them of each other.
pub fn two_nodes_on_one_host_find_each_other(on: On, _: &str) {
    let port = free_port();
    let (a, mut a_events) = on.here(lan(port));
    let (b, mut b_events) = on.there(lan(port));
    assert_eq!((a.warnings(), b.warnings()), (Vec::new(), Vec::new()));
    assert_eq!(connected(&mut a_events), b.id());
    assert_eq!(connected(&mut b_events), a.id());
}

/// More datagrams than one turn takes come at once, and none after them.
pub fn datagrams_in_bursts_are_all_looked_at(on: On, _: &str) {
    const BURST: u64 = 200;
    let port = free_port();
    let (a, _events) = on.here(lan(port));
    let heard = || a.call(|net, _| net.lan_stats().heard).soon().unwrap();
    // Its own first beacons are over.
    std::thread::sleep(Duration::from_millis(300));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 1..=5 {
        // The node stands still while they come.
        let before = heard();
        let standing = a.call(|_, _| std::thread::sleep(Duration::from_millis(50)));
        for _ in 0..BURST {
            sender.send_to(b"no beacon", ("127.0.0.1", port)).unwrap();
        }
        standing.soon().unwrap();
        let all = |heard: u64| heard >= before + BURST;
        eventually(&format!("burst {round} is heard"), || all(heard()).then_some(()));
    }
}
