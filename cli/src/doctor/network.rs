//! The network: interfaces, LAN discovery, listening.

use super::probe::{Way, explain, probe};
use super::{Finding, Level};
use p2pnet_driver::interfaces::scan;
use p2pnet_protocol::{Config, Interface, LanConfig};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Each interface with its addresses.
pub(super) fn interfaces() -> Vec<Finding> {
    const CHECK: &str = "interface";
    let all = match scan() {
        Ok(all) => all,
        Err(error) => {
            let fix = "see whether `ip address` works here";
            return vec![Finding::bad(CHECK, format!("they can't be listed: {error}"), fix)];
        }
    };
    let mut findings: Vec<Finding> =
        all.iter().map(|interface| Finding::good(CHECK, describe(interface))).collect();
    if !all.iter().any(|interface| !interface.loopback) {
        findings.push(Finding::bad(
            CHECK,
            "none but loopback is up and has an address, so only nodes of this host can meet",
            "plug the cable in, join the wireless network, or `ip link set DEV up` and give it an address",
        ));
    }
    findings
}

fn describe(interface: &Interface) -> String {
    let addresses: Vec<String> = interface
        .addresses
        .iter()
        .map(|entry| format!("{}/{}", entry.address, entry.prefix.length()))
        .collect();
    let kind = match (interface.loopback, interface.multicast) {
        (true, _) => ", loopback",
        (false, true) => ", can multicast",
        (false, false) => ", can't multicast",
    };
    format!("{} has {}{kind}", interface.name, addresses.join(", "))
}

/// Whether LAN discovery can work: designated ports, and a self-test of each way on each interface.
pub(super) fn lan(config: &LanConfig) -> Vec<Finding> {
    if !config.enabled {
        let fix = "lan.enabled = true, or name peers with `p2pnet connect IP:PORT`";
        return vec![Finding::note("lan", "discovery is turned off in the configuration", fix)];
    }
    let mut findings: Vec<Finding> =
        config.designated_ports.iter().map(|port| udp_port(*port)).collect();
    if !findings.is_empty() && findings.iter().all(|finding| finding.level != Level::Good) {
        findings.push(Finding::bad(
            "lan",
            "none of the designated ports can be had, so this node hears nobody",
            "end the program that holds them, or set lan.designated_ports on every node",
        ));
    }
    let all = scan().unwrap_or_default();
    let mut working = false;
    for interface in &all {
        let found = discovery_on(interface, &config.designated_ports);
        working |= !interface.loopback && found.iter().any(|finding| finding.level == Level::Good);
        findings.extend(found);
    }
    if !working && all.iter().any(|interface| !interface.loopback) {
        findings.push(Finding::bad(
            "lan",
            "no interface can broadcast or multicast, so peers are not found by themselves",
            "let UDP pass the firewall, or name peers with `p2pnet connect IP:PORT`",
        ));
    }
    findings
}

/// Tries a port that nobody listens on, so as to trouble nobody; a firewall that lets only the designated ones pass is
/// asked for one of those.
fn try_way(interface: &Interface, way: Way, designated: &[u16]) -> Option<io::Result<()>> {
    let first = probe(interface, way, 0)?;
    match designated.first() {
        Some(port) if first.is_err() => probe(interface, way, *port),
        _ => Some(first),
    }
}

fn discovery_on(interface: &Interface, designated: &[u16]) -> Vec<Finding> {
    let name = &interface.name;
    let (mut works, mut findings) = (Vec::new(), Vec::new());
    for way in Way::ALL {
        match try_way(interface, way, designated) {
            // Loopback is not made for this; two nodes of one host meet over any interface.
            Some(Err(_)) if interface.loopback => {}
            Some(Err(error)) => findings.push(Finding::note(
                "lan",
                format!("{} doesn't work on {name}: {}", way.name(), explain(&error)),
                "let UDP pass the firewall in and out; the other ways may do meanwhile",
            )),
            Some(Ok(())) => works.push(way.name()),
            None => {}
        }
    }
    if !works.is_empty() {
        let works = works.join(", ");
        findings
            .insert(0, Finding::good("lan", format!("self-test on {name} heard its own {works}")));
    }
    findings
}

fn udp_port(port: u16) -> Finding {
    const CHECK: &str = "port";
    match (bind_udp(port, false), bind_udp(port, true)) {
        (Ok(()), _) => Finding::good(CHECK, format!("UDP {port} is free")),
        (Err(_), Ok(())) => Finding::good(
            CHECK,
            format!("UDP {port} is shared with what runs on this host already"),
        ),
        (_, Err(error)) if error.kind() == io::ErrorKind::AddrInUse => Finding::note(
            CHECK,
            format!("UDP {port} is held by another program, which doesn't share it"),
            format!(
                "`ss -ulpn sport = :{port}` names it; or set lan.designated_ports on every node"
            ),
        ),
        (_, Err(error)) => Finding::note(
            CHECK,
            format!("UDP {port} can't be had: {error}"),
            "set lan.designated_ports to ports that this user may use, on every node",
        ),
    }
}

fn bind_udp(port: u16, share: bool) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    if share {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
}

/// Whether the node could listen where it shall.
pub(super) fn listening(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "listen";
    if !config.accept_inbound {
        let fix = "accept_inbound = true; without it this node can only dial";
        return vec![Finding::note(CHECK, "incoming connections are turned off", fix)];
    }
    let mut findings: Vec<Finding> = config
        .listen
        .iter()
        .map(|at| match TcpListener::bind(at) {
            Ok(_) => Finding::good(CHECK, format!("{at} can be had")),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::note(
                CHECK,
                format!("{at} is in use, perhaps by the node that runs already"),
                "choose another port, or 0 for any that is free",
            ),
            Err(error) if at.ip().is_unspecified() && at.is_ipv6() => Finding::note(
                CHECK,
                format!("this host has no IPv6 ({error}), so the node listens on IPv4 alone"),
                "nothing, if your network is IPv4 only",
            ),
            Err(error) => Finding::bad(
                CHECK,
                format!("{at} can't be had: {error}"),
                "choose an address that this host has, and a port that this user may use",
            ),
        })
        .collect();
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err()
        && !findings.iter().any(|finding| finding.level == Level::Note)
    {
        let fix = "nothing, if your network is IPv4 only";
        findings.push(Finding::note(CHECK, "IPv6 doesn't work on this host", fix));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn ports_are_free_shared_or_held() {
        let held = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = held.local_addr().unwrap().port();
        assert_eq!(udp_port(port).level, Level::Note);
        assert!(udp_port(port).text.contains("held by another program"));
        drop(held);
        assert!(udp_port(port).text.contains("free"));
        let shared = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        shared.set_reuse_address(true).unwrap();
        shared.set_reuse_port(true).unwrap();
        shared.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))).unwrap();
        assert!(udp_port(port).text.contains("shared"));
    }

    #[test]
    fn addresses_that_can_not_be_had_are_bad() {
        let level = |at: &str| {
            let config = Config { listen: vec![at.parse().unwrap()], ..Config::default() };
            listening(&config)[0].level
        };
        assert_eq!(level("127.0.0.1:0"), Level::Good);
        assert_eq!(level("192.0.2.77:0"), Level::Bad);
    }
}
