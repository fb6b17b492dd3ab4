//! Nodes that find each other on this host, without being told of each other.

mod common;

use common::{connected, node, quiet};
use p2pnet_driver::protocol::Config;
use std::net::UdpSocket;

fn lan(port: u16) -> Config {
    let mut config = quiet();
    config.listen = vec!["[::]:0".parse().unwrap()];
    config.lan.enabled = true;
    config.lan.designated_ports = vec![port];
    config
}

#[tokio::test]
async fn two_nodes_on_one_host_find_each_other() {
    let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let (a, mut a_events) = node(lan(port));
    let (b, mut b_events) = node(lan(port));
    assert_eq!((a.warnings(), b.warnings()), (Vec::new(), Vec::new()));
    assert_eq!(connected(&mut a_events).await, b.id());
    assert_eq!(connected(&mut b_events).await, a.id());
}
