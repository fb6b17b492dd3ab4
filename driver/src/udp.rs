//! Datagram sockets for LAN discovery.
//!
//! Each designated port has one socket for each family, bound to the wildcard address and shared between the nodes of a
//! host, so that all of them hear broadcasts and multicasts. Beacons are sent a few times a minute from a socket of the
//! moment, bound to the interface's address: nothing to keep in step when interfaces come and go.

use p2pnet_protocol::discovery::{MULTICAST_V4, MULTICAST_V6};
use p2pnet_protocol::{Interface, LanConfig, Transmit};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

/// A socket that listens on a designated port.
#[derive(Debug)]
pub(crate) struct Ear {
    pub(crate) socket: UdpSocket,
    pub(crate) family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Opens the sockets that `lan` asks for. What can't be had is told in words and done without.
pub(crate) fn ears(lan: &LanConfig) -> (Vec<Ear>, Vec<String>) {
    let (mut ears, mut warnings) = (Vec::new(), Vec::new());
    if !lan.enabled {
        return (ears, warnings);
    }
    for &port in &lan.designated_ports {
        let addresses = [
            (Family::V4, (Ipv4Addr::UNSPECIFIED, port).into()),
            (Family::V6, (Ipv6Addr::UNSPECIFIED, port).into()),
        ];
        for (family, address) in addresses {
            match listen(address) {
                Ok(socket) => ears.push(Ear { socket, family }),
                // A host without IPv6 misses nothing that it could have.
                Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
                Err(error) => warnings.push(format!("no LAN discovery on UDP {address}: {error}")),
            }
        }
    }
    (ears, warnings)
}

fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Joins the discovery group on every interface that can multicast. Joining twice is refused by the system and harmless.
pub(crate) fn join(socket: &SockRef<'_>, family: Family, interfaces: &[Interface]) {
    for interface in interfaces {
        let joined = match family {
            Family::V4 => {
                if !interface.addresses.iter().any(|entry| entry.address.is_ipv4()) {
                    continue;
                }
                let index = InterfaceIndexOrAddress::Index(interface.index);
                socket.join_multicast_v4_n(&MULTICAST_V4, &index)
            }
            Family::V6 => socket.join_multicast_v6(&MULTICAST_V6, interface.index),
        };
        if let Err(error) = joined
            && error.kind() != io::ErrorKind::AddrInUse
        {
            tracing::debug!(
                target: "p2pnet::lan", interface = %interface.name, ?family, %error, "group not joined"
            );
        }
    }
}

/// Sends a beacon on its interface, from the address it names.
pub(crate) fn send(transmit: &Transmit) -> io::Result<()> {
    let domain = if transmit.from.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    let (from, to) = match (transmit.from, transmit.to) {
        (IpAddr::V4(from), SocketAddr::V4(to)) => {
            socket.set_broadcast(true)?;
            socket.set_multicast_if_v4(&from)?;
            socket.set_multicast_loop_v4(true)?;
            socket.set_multicast_ttl_v4(1)?;
            (SocketAddr::from((from, 0)), SocketAddr::V4(to))
        }
        (IpAddr::V6(from), SocketAddr::V6(to)) => {
            socket.set_multicast_if_v6(transmit.interface)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_hops_v6(1)?;
            let scoped = |ip, port| SocketAddrV6::new(ip, port, 0, transmit.interface).into();
            (scoped(from, 0), scoped(*to.ip(), to.port()))
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    socket.bind(&SockAddr::from(from))?;
    socket.send_to(&transmit.contents, &SockAddr::from(to))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A port that nobody uses now.
    fn free_port() -> u16 {
        UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
    }

    fn lan(port: u16) -> LanConfig {
        LanConfig { designated_ports: vec![port], ..LanConfig::default() }
    }

    fn hears(ear: &Ear) -> bool {
        ear.socket.set_nonblocking(false).unwrap();
        ear.socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        matches!(ear.socket.recv(&mut [0; 16]), Ok(6))
    }

    #[test]
    fn all_nodes_of_a_host_hear_a_multicast() {
        let port = free_port();
        let interfaces = crate::interfaces::scan().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.loopback).unwrap();
        let (first, warnings) = ears(&lan(port));
        assert_eq!(warnings, Vec::<String>::new());
        let (second, warnings) = ears(&lan(port));
        assert_eq!(warnings, Vec::<String>::new());
        for ear in first.iter().chain(&second) {
            join(&SockRef::from(&ear.socket), ear.family, &interfaces);
        }
        for address in &loopback.addresses {
            let (family, group) = match address.address {
                IpAddr::V4(_) => (Family::V4, IpAddr::V4(MULTICAST_V4)),
                IpAddr::V6(_) => (Family::V6, IpAddr::V6(MULTICAST_V6)),
            };
            let sent = send(&Transmit {
                interface: loopback.index,
                from: address.address,
                to: (group, port).into(),
                contents: bytes::Bytes::from_static(b"beacon"),
            });
            if sent.is_err() && family == Family::V6 {
                // A host without an IPv6 route for multicast on its loopback.
                continue;
            }
            sent.unwrap();
            for ear in first.iter().chain(&second).filter(|ear| ear.family == family) {
                assert!(hears(ear), "{family:?}");
            }
        }
    }

    #[test]
    fn a_port_held_by_another_program_is_a_warning() {
        let held = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let (_, warnings) = ears(&lan(port));
        assert!(warnings.iter().any(|warning| warning.contains(&port.to_string())), "{warnings:?}");
    }

    #[test]
    fn an_address_that_is_gone_is_an_error() {
        let sent = send(&Transmit {
            interface: 1,
            from: "192.0.2.77".parse().unwrap(),
            to: (MULTICAST_V4, 9).into(),
            contents: bytes::Bytes::from_static(b"x"),
        });
        assert!(sent.is_err());
    }
}
