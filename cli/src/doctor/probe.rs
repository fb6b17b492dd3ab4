//! Self-tests: does what an interface sends by broadcast or multicast come back to this host?

use p2pnet_protocol::Interface;
use p2pnet_protocol::discovery::{MULTICAST_V4, MULTICAST_V6};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// The kernel loops these back at once; a busy host may take a moment.
const PATIENCE: Duration = Duration::from_millis(500);
const WORDS: &[u8] = b"p2pnet doctor";

/// A way to reach everyone on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    BroadcastV4,
    MulticastV4,
    MulticastV6,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::BroadcastV4, Self::MulticastV4, Self::MulticastV6];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BroadcastV4 => "IPv4 broadcast",
            Self::MulticastV4 => "IPv4 multicast",
            Self::MulticastV6 => "IPv6 multicast",
        }
    }
}

/// Sends a datagram on `interface` to `port` (0: any that is free) and hears it; `None` if the interface has no address for
/// this way.
pub(super) fn probe(interface: &Interface, way: Way, port: u16) -> Option<io::Result<()>> {
    let mut addresses = interface.addresses.iter();
    match way {
        Way::BroadcastV4 => {
            let entry = addresses.find(|entry| entry.broadcast.is_some())?;
            Some(broadcast(entry.address, entry.broadcast?, port))
        }
        Way::MulticastV4 => {
            let entry = addresses.find(|entry| entry.address.is_ipv4())?;
            let IpAddr::V4(from) = entry.address else { return None };
            Some(multicast_v4(interface.index, from, port))
        }
        Way::MulticastV6 => {
            let is_local = |ip: &Ipv6Addr| ip.is_unicast_link_local() || interface.loopback;
            let from = addresses.find_map(|entry| match entry.address {
                IpAddr::V6(ip) if is_local(&ip) => Some(ip),
                _ => None,
            })?;
            Some(multicast_v6(interface.index, from, port))
        }
    }
}

fn socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A socket that hears, and its port.
fn ear(domain: Domain, any: IpAddr, port: u16) -> io::Result<(Socket, u16)> {
    let ear = socket(domain)?;
    if port != 0 {
        ear.set_reuse_address(true)?;
        ear.set_reuse_port(true)?;
    }
    if domain == Domain::IPV6 {
        ear.set_only_v6(true)?;
    }
    ear.bind(&SockAddr::from(SocketAddr::new(any, port)))?;
    let port = ear.local_addr()?.as_socket().map_or(0, |at| at.port());
    Ok((ear, port))
}

fn heard(mut ear: Socket) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        let length = ear.read(&mut buffer)?;
        // Anyone may send here: wait for our own.
        if buffer.get(..length) == Some(WORDS) {
            return Ok(());
        }
    }
}

fn broadcast(from: IpAddr, to: Ipv4Addr, port: u16) -> io::Result<()> {
    let (ear, port) = ear(Domain::IPV4, Ipv4Addr::UNSPECIFIED.into(), port)?;
    let mouth = socket(Domain::IPV4)?;
    mouth.set_broadcast(true)?;
    mouth.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    mouth.send_to(WORDS, &SockAddr::from(SocketAddr::from((to, port))))?;
    heard(ear)
}

fn multicast_v4(index: u32, from: Ipv4Addr, port: u16) -> io::Result<()> {
    let (ear, port) = ear(Domain::IPV4, Ipv4Addr::UNSPECIFIED.into(), port)?;
    ear.join_multicast_v4_n(&MULTICAST_V4, &InterfaceIndexOrAddress::Index(index))?;
    let mouth = socket(Domain::IPV4)?;
    mouth.set_multicast_if_v4(&from)?;
    mouth.set_multicast_loop_v4(true)?;
    mouth.bind(&SockAddr::from(SocketAddr::from((from, 0))))?;
    mouth.send_to(WORDS, &SockAddr::from(SocketAddr::from((MULTICAST_V4, port))))?;
    heard(ear)
}

fn multicast_v6(index: u32, from: Ipv6Addr, port: u16) -> io::Result<()> {
    let (ear, port) = ear(Domain::IPV6, Ipv6Addr::UNSPECIFIED.into(), port)?;
    ear.join_multicast_v6(&MULTICAST_V6, index)?;
    let mouth = socket(Domain::IPV6)?;
    mouth.set_multicast_if_v6(index)?;
    mouth.set_multicast_loop_v6(true)?;
    let scoped = |ip, port| SocketAddr::from(SocketAddrV6::new(ip, port, 0, index));
    mouth.bind(&SockAddr::from(scoped(from, 0)))?;
    mouth.send_to(WORDS, &SockAddr::from(scoped(MULTICAST_V6, port)))?;
    heard(ear)
}

/// What is wrong when [`probe`] fails, in words.
pub(super) fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "what was sent did not come back: a firewall on this host drops it, most likely".into()
        }
        io::ErrorKind::PermissionDenied => "this host's firewall forbids it".into(),
        _ => error.to_string(),
    }
}
