//! What discovery puts on the wire, and what a plain node needs for it.

use super::meet::{time_to_meet, up_both};
use super::talk;
use crate::capture::Capture;
use crate::lan::{HostSpec, Lab, LanSpec};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The designated ports. Beacons go to the first, until the routine moves on.
const DESIGNATED_PORTS: [u16; 3] = [8001, 8002, 8003];

/// Datagrams to a designated port, in pcap's language.
const BEACONS: &str = "udp and portrange 8001-8003";

/// One beacon as it was captured.
struct Beacon {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    port: u16,
}

/// A capture beside a lone node shows beacons leave by broadcast, IPv4 multicast and IPv6 multicast; and once
/// `RotateBroadcastPort` runs, their port changes among the designated ones while newcomers still find the node.
///
/// # Errors
/// If a kind is missing or the port stays.
pub fn kinds_and_rotation() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (left, right) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    let broadcast = left.v4(0)?.octets();
    let broadcast = Ipv4Addr::new(broadcast[0], broadcast[1], broadcast[2], 255);

    let capture = Capture::start(&lab, &left, 0, BEACONS)?;
    let a = Node::up(&lab, &left, &NodeSpec::default())?;
    std::thread::sleep(Duration::from_secs(3));
    let beacons = read(capture)?;
    let by_broadcast = |ip: Ipv4Addr| ip == broadcast || ip.is_broadcast();
    for (kind, seen) in [
        ("IPv4 broadcast", beacons.iter().any(|beacon| beacon.v4.is_some_and(by_broadcast))),
        (
            "IPv4 multicast",
            beacons.iter().any(|beacon| beacon.v4.is_some_and(|ip| ip.is_multicast())),
        ),
        (
            "IPv6 multicast",
            beacons.iter().any(|beacon| beacon.v6.is_some_and(|ip| ip.is_multicast())),
        ),
    ] {
        if !seen {
            return Err(Failure::new(format!("no beacon left by {kind}")));
        }
    }
    if beacons.iter().any(|beacon| beacon.port != DESIGNATED_PORTS[0]) {
        return Err(Failure::new("a beacon left for another port before the rotation began"));
    }

    let capture = Capture::start(&lab, &left, 0, BEACONS)?;
    a.command(&["routine", "interval", "RotateBroadcastPort", "1s"])?;
    a.command(&["routine", "start", "RotateBroadcastPort"])?;
    std::thread::sleep(Duration::from_millis(1500));
    // A newcomer sends to the first port and listens on all: the rotation parts nobody.
    let b = Node::up(&lab, &right, &NodeSpec::default())?;
    time_to_meet(&a, &b, b.spawned())?;
    std::thread::sleep(Duration::from_secs(10));
    let ports: BTreeSet<u16> = read(capture)?.iter().map(|beacon| beacon.port).collect();
    if ports.len() < 2 || !ports.iter().all(|port| DESIGNATED_PORTS.contains(port)) {
        return Err(Failure::new(format!("the rotation's ports were {ports:?}")));
    }
    Ok(())
}

fn read(capture: Capture) -> Outcome<Vec<Beacon>> {
    let rows = capture.finish(&["ip.dst", "ipv6.dst", "udp.dstport"])?;
    rows.iter()
        .map(|row| match row.as_slice() {
            [v4, v6, port] => Ok(Beacon {
                v4: v4.parse().ok(),
                v6: v6.parse().ok(),
                port: port
                    .parse()
                    .map_err(|_| Failure::new(format!("no UDP port in capture: {row:?}")))?,
            }),
            _ => Err(Failure::new(format!("odd row in capture: {row:?}"))),
        })
        .collect()
}

/// Two nodes of an ordinary user without any capability meet and talk: no raw socket, no packet capture.
///
/// # Errors
/// If they don't, or hold a packet socket.
pub fn no_privilege_needed() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (left, right) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    let (a, b) = up_both(&lab, &left, &right, &NodeSpec::default().unprivileged())?;
    time_to_meet(&a, &b, b.spawned())?;
    for (host, node) in [(&left, &a), (&right, &b)] {
        for table in ["/proc/net/packet", "/proc/net/raw", "/proc/net/raw6"] {
            let sockets = host.namespace().read(table)?.lines().count().saturating_sub(1);
            if sockets > 0 {
                return Err(Failure::new(format!("a plain node's host has {sockets} in {table}")));
            }
        }
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", node.pid()))?;
        if maps.contains("pcap") {
            return Err(Failure::new("a plain node loaded a packet capture library"));
        }
    }
    talk(&a, &b)
}

/// One listening port answers IPv4 and IPv6 alike.
///
/// # Errors
/// If one of the two doesn't connect.
pub fn dual_stack() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (left, right) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    let quiet = NodeSpec::default().with(["--no-lan"]);
    let (a, b) = up_both(&lab, &left, &right, &quiet)?;
    let port = a.port();
    for address in [format!("{}:{port}", left.v4(0)?), format!("[{}]:{port}", left.v6(0)?)] {
        let (mark, mark_there) = (b.mark(), a.mark());
        b.command(&["connect", &address])?;
        let limit = Duration::from_secs(5);
        let is_open = |peer: String| move |heard: &crate::Heard| heard.is("peer_connected", &peer);
        let is_closed = |peer: String| move |heard: &crate::Heard| heard.is("peer_closed", &peer);
        b.wait_after(mark, &format!("channel over {address}"), limit, is_open(a.id().into()))?;
        a.wait_after(mark_there, "the other end of it", limit, is_open(b.id().into()))?;
        talk(&a, &b)?;
        b.command(&["disconnect", a.id()])?;
        a.wait_after(mark_there, "close", limit, is_closed(b.id().into()))?;
        b.wait_after(mark, "close", limit, is_closed(a.id().into()))?;
    }
    Ok(())
}
