//! Which network interfaces can be used, and news when that changes.

use crate::clock::Clock;
use p2pnet_protocol::trust::identifier::IdentifierSource;
use p2pnet_protocol::{Interface, InterfaceAddress, IpPrefix, UnixTime};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// The interfaces that are up, each with its addresses. Those without an address are left out, and so are IPv6 addresses
/// that are still being checked for duplicates.
///
/// # Errors
/// Whatever the operating system says.
pub fn scan() -> io::Result<Vec<Interface>> {
    let unusable = unusable_v6();
    let mut found: BTreeMap<u32, Interface> = BTreeMap::new();
    for address in List::get()?.addresses() {
        if let IpAddr::V6(ip) = address.entry.address
            && unusable.contains(&(address.index, ip))
        {
            continue;
        }
        let interface = found.entry(address.index).or_insert_with(|| Interface {
            index: address.index,
            name: address.name.clone(),
            loopback: address.flags & libc::IFF_LOOPBACK != 0,
            multicast: address.flags & libc::IFF_MULTICAST != 0,
            addresses: Vec::new(),
        });
        interface.addresses.push(address.entry);
    }
    for interface in found.values_mut() {
        interface.addresses.sort_by_key(|entry| entry.address);
    }
    Ok(found.into_values().collect())
}

/// What `getifaddrs` returned; freed on drop.
struct List(*mut libc::ifaddrs);

struct Found {
    index: u32,
    name: String,
    flags: i32,
    entry: InterfaceAddress,
}

impl List {
    fn get() -> io::Result<Self> {
        let mut first = std::ptr::null_mut();
        // SAFETY: `first` is a valid place for the pointer that the call writes.
        if unsafe { libc::getifaddrs(&mut first) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(first))
    }

    /// The addresses of interfaces that are up and running.
    fn addresses(&self) -> impl Iterator<Item = Found> + '_ {
        let mut next: *const libc::ifaddrs = self.0;
        std::iter::from_fn(move || {
            // SAFETY: `next` is null or an element of the list, which lives as long as `self`.
            let element = unsafe { next.as_ref() }?;
            next = element.ifa_next;
            Some(element)
        })
        .filter_map(found)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list came from `getifaddrs` and is freed once.
        unsafe { libc::freeifaddrs(self.0) }
    }
}

fn found(element: &libc::ifaddrs) -> Option<Found> {
    let flags = element.ifa_flags as i32;
    if flags & libc::IFF_UP == 0 || flags & libc::IFF_RUNNING == 0 {
        return None;
    }
    // SAFETY: the list's pointers are null or point to socket addresses that live as long as the list.
    let (address, mask) = unsafe { (ip(element.ifa_addr)?, ip(element.ifa_netmask)) };
    let length = match mask {
        Some(IpAddr::V4(mask)) => mask.to_bits().count_ones(),
        Some(IpAddr::V6(mask)) => mask.to_bits().count_ones(),
        None if address.is_ipv4() => 32,
        None => 128,
    };
    let broadcast = match address {
        // SAFETY: as above; with IFF_BROADCAST the field holds the broadcast address.
        IpAddr::V4(_) if flags & libc::IFF_BROADCAST != 0 => unsafe { ip(broadcast_of(element)) },
        _ => None,
    };
    // SAFETY: the name is a NUL-terminated string of the list.
    let name = unsafe { CStr::from_ptr(element.ifa_name) };
    // SAFETY: the name is NUL-terminated.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    Some(Found {
        index,
        // An alias such as "eth0:1" has the index of its interface.
        name: name.to_string_lossy().split(':').next().unwrap_or_default().into(),
        flags,
        entry: InterfaceAddress {
            prefix: IpPrefix::new(address, u8::try_from(length).ok()?).ok()?,
            address,
            broadcast: broadcast.and_then(|address| match address {
                IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
                _ => None,
            }),
        },
    })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn broadcast_of(element: &libc::ifaddrs) -> *const libc::sockaddr {
    element.ifa_ifu
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn broadcast_of(element: &libc::ifaddrs) -> *const libc::sockaddr {
    element.ifa_dstaddr
}

/// The internet address in a socket address.
///
/// # Safety
/// `address` is null or points to a socket address of the length that its family has.
unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller vouches for the pointer; every socket address begins with its family.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: the family says which type it is; it may be less aligned than that type.
            let address: libc::sockaddr_in =
                unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address: libc::sockaddr_in6 =
                unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// What a textual identifier is derived from on this host, as far as the host knows it without asking anybody: an
/// address counts as public if it is one and an interface has it.
pub fn identifier_source() -> IdentifierSource {
    source_of(&scan().unwrap_or_default(), mac, Clock::new().wall())
}

fn source_of(
    interfaces: &[Interface],
    mac: impl Fn(&str) -> Option<[u8; 6]>,
    time: Option<UnixTime>,
) -> IdentifierSource {
    let links = || interfaces.iter().filter(|interface| !interface.loopback);
    let of = |interface: &Interface| interface.addresses.iter().any(|a| is_public(a.address));
    // The interface that faces the world, else the first.
    let used = links().find(|interface| of(interface)).or_else(|| links().next());
    let addresses = links().flat_map(|interface| &interface.addresses).map(|a| a.address);
    let public: Vec<IpAddr> = addresses.filter(|address| is_public(*address)).collect();
    let public_v6 = public.iter().find_map(|address| match address {
        IpAddr::V6(ip) => Some(*ip),
        IpAddr::V4(_) => None,
    });
    let public_v4 = public.iter().find_map(|address| match address {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    IdentifierSource {
        mac: used.and_then(|interface| mac(&interface.name)),
        time,
        public_v6,
        public_v4,
    }
}

/// The hardware address of an interface, where the system shows it as a file.
fn mac(interface: &str) -> Option<[u8; 6]> {
    let path = std::path::Path::new("/sys/class/net").join(interface).join("address");
    parse_mac(std::fs::read_to_string(path).ok()?.trim())
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> =
        text.split(':').map(|pair| u8::from_str_radix(pair, 16)).collect();
    bytes.ok()?.try_into().ok()
}

/// Whether the address is one of the internet at large (IANA's special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (b == 18 || b == 19);
            let none = ip.is_private() || ip.is_loopback() || ip.is_link_local();
            let special = a == 0 || a >= 224 || ip.is_documentation() || shared || benchmark;
            !none && !special
        }
        IpAddr::V6(ip) => {
            let [a, b, ..] = ip.segments();
            // Global unicast, less documentation and the transition mechanisms.
            a & 0xe000 == 0x2000 && !(a == 0x2001 && (b == 0x0db8 || b < 0x0200)) && a != 0x2002
        }
    }
}

/// IPv6 addresses that are still tentative or turned out to be duplicates, by interface. Empty where the system doesn't
/// tell in this way.
fn unusable_v6() -> BTreeSet<(u32, Ipv6Addr)> {
    let text = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    text.lines().filter_map(parse_if_inet6).collect()
}

/// A line of `if_inet6` (address, index, prefix, scope, flags, name), if it tells of an unusable address.
fn parse_if_inet6(line: &str) -> Option<(u32, Ipv6Addr)> {
    const TENTATIVE: u32 = 0x40;
    const DUPLICATE: u32 = 0x08;
    let mut fields = line.split_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    let index = u32::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(2)?, 16).ok()?;
    (flags & (TENTATIVE | DUPLICATE) != 0).then(|| (index, Ipv6Addr::from_bits(address)))
}

/// A socket that becomes readable when interfaces or addresses change (rtnetlink(7)), as a datagram socket so that
/// runtimes can watch it like any other.
///
/// # Errors
/// Where there is no such socket; then look from time to time.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn watch() -> io::Result<UdpSocket> {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol is protocol 0, which is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    bind(&socket, &SocketAddrNetlink::new(0, groups as u32))?;
    Ok(socket.into())
}

/// A socket that becomes readable when interfaces change: this system has none that we know.
///
/// # Errors
/// Always.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn watch() -> io::Result<UdpSocket> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found() {
        let interfaces = scan().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.loopback).unwrap();
        assert!(loopback.index > 0);
        let v4 = loopback.addresses.iter().find(|entry| entry.address.is_ipv4()).unwrap();
        assert_eq!(v4.address, Ipv4Addr::LOCALHOST);
        assert_eq!(v4.prefix, "127.0.0.0/8".parse().unwrap());
        assert_eq!(v4.broadcast, None);
    }

    #[test]
    fn an_identifier_is_derived_from_what_the_host_knows() {
        let interface = |index, name: &str, loopback, addresses: &[&str]| Interface {
            index,
            name: name.into(),
            loopback,
            multicast: true,
            addresses: addresses
                .iter()
                .map(|text| {
                    let address: IpAddr = text.parse().unwrap();
                    InterfaceAddress { prefix: IpPrefix::single(address), address, broadcast: None }
                })
                .collect(),
        };
        let mac = |name: &str| parse_mac(if name == "eth1" { "02:00:00:00:00:07" } else { "x" });
        let time = Some(UnixTime(1_750_000_000));
        let lo = interface(1, "lo", true, &["127.0.0.1", "::1"]);
        let inner = interface(2, "eth0", false, &["192.168.0.7", "fe80::7", "fd00::7"]);
        let outer = interface(3, "eth1", false, &["8.8.8.8", "2606:4700::7"]);
        let all = source_of(&[lo.clone(), inner.clone(), outer], mac, time);
        assert_eq!(all.mac, Some([2, 0, 0, 0, 0, 7]));
        assert_eq!((all.time, all.public_v4), (time, Some([8, 8, 8, 8].into())));
        assert_eq!(all.public_v6, Some("2606:4700::7".parse().unwrap()));
        let inside = source_of(&[lo, inner], mac, None);
        assert_eq!(inside, IdentifierSource::default(), "nothing here is public");
        for special in ["100.64.0.1", "198.18.0.1", "192.0.2.1", "2001:db8::1", "2002::1"] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn tentative_addresses_are_told_apart() {
        let line = "fe80000000000000021122fffe334455 03 40 20 40     eth0";
        assert_eq!(parse_if_inet6(line), Some((3, "fe80::211:22ff:fe33:4455".parse().unwrap())));
        assert_eq!(parse_if_inet6(&line.replace("20 40", "20 80")), None);
        for bad in ["", "xyz", "fe80 3", "00 01 02 03"] {
            assert_eq!(parse_if_inet6(bad), None, "{bad}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_watch_is_quiet_while_nothing_changes() {
        let error = watch().unwrap().recv(&mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
