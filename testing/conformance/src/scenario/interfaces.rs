//! Interfaces that come and go, in a network namespace of the test's own. The adapter must run its nodes on the thread
//! that starts them, or on one that this thread starts.

use crate::alone::{in_a_network, ip};
use crate::{On, Soon as _, connected, numbered, quiet, take_numbered, until};
use p2pnet_driver::protocol::{CloseCause, Config, DialError, Duration, Event};
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Instant;

/// What the node makes of the interfaces, soon after they changed.
pub fn interfaces_are_noticed_when_they_come_and_go(on: On, test: &str) {
    in_a_network(test, move || {
        let mut config = quiet();
        config.lan.enabled = true;
        let (_node, mut events) = on.here(config);
        let links = |wanted: u16| {
            move |event: &Event| match event {
                Event::DiscoveryStatus(status) if status.broadcast_v4 == wanted => Some(()),
                _ => None,
            }
        };
        // Loopback is there from the start, and reaches nobody else.
        until(&mut events, links(0));
        for round in 0..3 {
            ip("link add p2pnet0 type veth peer name p2pnet1");
            ip("link set p2pnet0 up");
            ip("link set p2pnet1 up");
            ip("addr add 192.0.2.1/24 broadcast + dev p2pnet0");
            let came = Instant::now();
            until(&mut events, links(1));
            assert!(came.elapsed() < Duration::from_millis(200), "{round}: {:?}", came.elapsed());
            ip("link del p2pnet0");
            let went = Instant::now();
            until(&mut events, links(0));
            assert!(went.elapsed() < Duration::from_millis(200), "{round}: {:?}", went.elapsed());
        }
    });
}

/// An address that is only one together with its interface.
pub fn link_local_addresses_have_a_scope(on: On, test: &str) {
    in_a_network(test, move || {
        ip("link add p2pnet0 type veth peer name p2pnet1");
        for name in ["p2pnet0", "p2pnet1"] {
            ip(&format!("link set {name} addrgenmode none"));
            ip(&format!("link set {name} up"));
        }
        ip("addr add fe80::1/64 dev p2pnet0 nodad");
        let scope = std::fs::read_to_string("/sys/class/net/p2pnet0/ifindex").ok();
        // A namespace may not have its own /sys: then ask for the name.
        let scope = scope.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| {
            let interfaces = p2pnet_driver::interfaces::scan().unwrap();
            interfaces.iter().find(|found| found.name == "p2pnet0").unwrap().index
        });
        let address = |port| SocketAddrV6::new("fe80::1".parse().unwrap(), port, 0, scope);
        let local = Config { listen: vec![address(0).into()], ..quiet() };
        let (a, mut a_events) = on.here(local);
        let port = a.listening()[0].port();
        let (b, mut b_events) = on.there(quiet());
        b.connect(SocketAddr::V6(address(port)), Some(a.id())).soon().unwrap();
        assert_eq!(connected(&mut b_events), a.id());
        assert_eq!(connected(&mut a_events), b.id());
        b.send(a.id(), &numbered(0, 100)).soon().unwrap();
        take_numbered(&mut a_events, 1);
    });
}

/// No route, and then one.
pub fn a_network_that_comes_back_is_used_again(on: On, test: &str) {
    in_a_network(test, move || {
        ip("link add p2pnet0 type veth peer name p2pnet1");
        ip("addr add 192.0.2.1/24 dev p2pnet0");
        let everywhere = Config { listen: vec!["0.0.0.0:0".parse().unwrap()], ..quiet() };
        let (a, mut a_events) = on.here(everywhere);
        let (b, mut b_events) = on.there(quiet());
        let to: SocketAddr = ([198, 51, 100, 1], a.listening()[0].port()).into();
        b.connect(to, None).soon().unwrap();
        let error = until(&mut b_events, |event| match event {
            Event::DialFailed { error, .. } => Some(*error),
            _ => None,
        });
        assert_eq!(error, DialError::Stream(CloseCause::Unreachable));
        ip("addr add 198.51.100.1/24 dev p2pnet0");
        ip("link set p2pnet0 up");
        ip("link set p2pnet1 up");
        b.connect(to, None).soon().unwrap();
        assert_eq!(connected(&mut b_events), a.id());
        assert_eq!(connected(&mut a_events), b.id());
    });
}
