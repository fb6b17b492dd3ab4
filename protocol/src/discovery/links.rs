//! What the interfaces mean for discovery: whom to believe to be on the link, and where to send.

use super::{MULTICAST_V4, MULTICAST_V6};
use crate::config::LanConfig;
use crate::io::DiscoveryStatus;
use crate::net::{Interface, InterfaceAddress, IpPrefix};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A way of sending that reaches all hosts of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    BroadcastV4,
    MulticastV4,
    MulticastV6,
}

impl Family {
    /// In the order in which they take turns.
    pub(crate) const ALL: [Self; 3] = [Self::BroadcastV4, Self::MulticastV6, Self::MulticastV4];
}

/// A place to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) interface: u32,
    pub(crate) family: Family,
    pub(crate) from: IpAddr,
    /// A broadcast or multicast address.
    pub(crate) to: IpAddr,
}

impl Target {
    /// The socket address of `port` at this target; IPv6 groups carry the interface as their scope.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        match self.to {
            IpAddr::V4(ip) => SocketAddrV4::new(ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.interface).into(),
        }
    }
}

/// An on-link prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    interface: u32,
    prefix: IpPrefix,
    address: IpAddr,
    broadcast: Option<Ipv4Addr>,
}

/// The node's links, rebuilt whenever the interfaces change.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
    targets: Vec<Target>,
    status: DiscoveryStatus,
}

impl Links {
    /// A host with more addresses than this uses the first ones.
    pub(crate) const ADDRESSES_MAX: usize = 128;

    pub(crate) fn new(config: &LanConfig, interfaces: &[Interface]) -> Self {
        let mut links = Self::default();
        for interface in interfaces {
            let before = links.targets.len();
            for address in &interface.addresses {
                if links.links.len() < Self::ADDRESSES_MAX {
                    links.add(config, interface, address);
                }
            }
            if !interface.loopback {
                links.count(before);
            }
        }
        links
    }

    fn add(&mut self, config: &LanConfig, interface: &Interface, address: &InterfaceAddress) {
        let broadcast = directed_broadcast(interface, address);
        self.links.push(Link {
            interface: interface.index,
            prefix: address.prefix,
            address: address.address.to_canonical(),
            broadcast,
        });
        let from = address.address.to_canonical();
        let mut send = |family, to: IpAddr| {
            let target = Target { interface: interface.index, family, from, to };
            // Two addresses of one subnet need one broadcast, two addresses of one family one IPv6 multicast.
            let covered = self.targets.iter().any(|other| {
                (other.interface, other.family, other.to) == (target.interface, family, to)
                    && (family != Family::MulticastV4 || address.prefix.contains(other.from))
            });
            if !covered {
                self.targets.push(target);
            }
        };
        match from {
            IpAddr::V4(_) => {
                if let Some(to) = broadcast.filter(|_| config.broadcast) {
                    send(Family::BroadcastV4, to.into());
                }
                // Loopback multicasts only if broadcasts are off there: one way is enough to reach oneself.
                let needed = !interface.loopback || !config.broadcast;
                if config.multicast_v4 && needed && (interface.multicast || interface.loopback) {
                    send(Family::MulticastV4, MULTICAST_V4.into());
                }
            }
            IpAddr::V6(ip) => {
                if config.multicast_v6 && interface.multicast && ip.is_unicast_link_local() {
                    send(Family::MulticastV6, MULTICAST_V6.into());
                }
            }
        }
    }

    /// Counts the interface whose targets start at `first`.
    fn count(&mut self, first: usize) {
        let new = self.targets.get(first..).unwrap_or_default();
        let has = |family| u16::from(new.iter().any(|target| target.family == family));
        let status = &mut self.status;
        for (sum, family) in [
            (&mut status.broadcast_v4, Family::BroadcastV4),
            (&mut status.multicast_v4, Family::MulticastV4),
            (&mut status.multicast_v6, Family::MulticastV6),
        ] {
            *sum = sum.saturating_add(has(family));
        }
    }

    pub(crate) fn status(&self) -> DiscoveryStatus {
        self.status
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Whether this has a target that `earlier` lacked.
    pub(crate) fn gained(&self, earlier: &Self) -> bool {
        self.targets.iter().any(|target| !earlier.targets.contains(target))
    }

    /// The interface on whose link `source` is; `None` for anything that a host on the link can't have as its own
    /// address. `source` is canonical ([`net::canonical`](crate::net::canonical)).
    pub(crate) fn interface_of(&self, source: SocketAddr) -> Option<u32> {
        let ip = source.ip();
        if source.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        if let SocketAddr::V6(v6) = source
            && v6.ip().is_unicast_link_local()
        {
            let same = |link: &&Link| link.interface == v6.scope_id() && link.address.is_ipv6();
            return self.links.iter().find(same).map(|link| link.interface);
        }
        self.links.iter().find(|link| link.holds(ip)).map(|link| link.interface)
    }
}

impl Link {
    fn holds(&self, ip: IpAddr) -> bool {
        if ip == self.address {
            return true;
        }
        // A prefix of length 0 would make the whole internet local.
        if self.prefix.length() == 0 || !self.prefix.contains(ip) {
            return false;
        }
        match ip {
            IpAddr::V6(_) => true,
            IpAddr::V4(v4) => {
                let has_ends = self.prefix.length() < 31;
                let first = has_ends && ip == self.prefix.address();
                let last = Some(v4) == self.broadcast || Some(v4) == broadcast_of(&self.prefix);
                !first && !last && !v4.is_broadcast()
            }
        }
    }
}

/// The last address of an IPv4 prefix that is wide enough to have a broadcast address.
fn broadcast_of(prefix: &IpPrefix) -> Option<Ipv4Addr> {
    match prefix.address() {
        IpAddr::V4(first) if prefix.length() < 31 => {
            let hosts = u32::MAX.checked_shr(u32::from(prefix.length())).unwrap_or(0);
            Some(Ipv4Addr::from_bits(first.to_bits() | hosts))
        }
        _ => None,
    }
}

/// Loopback interfaces name no broadcast address, yet the last address of 127.0.0.0/8 works as one.
fn directed_broadcast(interface: &Interface, address: &InterfaceAddress) -> Option<Ipv4Addr> {
    let named = address.broadcast.filter(|ip| !ip.is_unspecified());
    if interface.loopback { named.or_else(|| broadcast_of(&address.prefix)) } else { named }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ethernet, loopback};
    use super::*;
    use alloc::string::ToString as _;

    fn links(interfaces: &[Interface]) -> Links {
        Links::new(&LanConfig::default(), interfaces)
    }

    fn sent(links: &Links) -> Vec<alloc::string::String> {
        links.targets().iter().map(|target| target.at(8001).to_string()).collect()
    }

    #[test]
    fn every_family_of_every_interface_is_sent_to() {
        let both = links(&[
            loopback(),
            ethernet(2, &["192.0.2.7/24", "fe80::7/64", "2001:db8::7/64"]),
            ethernet(3, &["198.51.100.7/25"]),
        ]);
        assert_eq!(
            sent(&both),
            [
                "127.255.255.255:8001",
                "192.0.2.255:8001",
                "239.255.80.50:8001",
                "[ff12::7032:7032%2]:8001",
                "198.51.100.127:8001",
                "239.255.80.50:8001",
            ]
        );
        let counted = DiscoveryStatus { broadcast_v4: 2, multicast_v4: 2, multicast_v6: 1 };
        assert_eq!(both.status(), counted);
        // Loopback is sent to, and reaches nobody but this host.
        assert_eq!(sent(&links(&[loopback()])), ["127.255.255.255:8001"]);
        assert_eq!(links(&[loopback()]).status(), DiscoveryStatus::default());
    }

    #[test]
    fn two_addresses_of_one_subnet_share_their_datagrams() {
        let same =
            links(&[ethernet(2, &["192.0.2.7/24", "192.0.2.8/24", "fe80::7/64", "fe80::8/64"])]);
        assert_eq!(
            sent(&same),
            ["192.0.2.255:8001", "239.255.80.50:8001", "[ff12::7032:7032%2]:8001"]
        );
        // Hosts of the other subnet would refuse a multicast from the first one's address.
        let other = links(&[ethernet(2, &["192.0.2.7/24", "198.51.100.7/24"])]);
        assert_eq!(sent(&other).len(), 4);
    }

    #[test]
    fn settings_turn_families_off() {
        let config = LanConfig { broadcast: false, multicast_v6: false, ..LanConfig::default() };
        let links =
            Links::new(&config, &[loopback(), ethernet(2, &["192.0.2.7/24", "fe80::7/64"])]);
        assert_eq!(sent(&links), ["239.255.80.50:8001", "239.255.80.50:8001"]);
        assert_eq!(links.status().broadcast_v4, 0);
    }

    #[test]
    fn only_hosts_of_the_link_are_on_it() {
        let links = links(&[
            loopback(),
            ethernet(2, &["192.0.2.7/24", "fe80::7/64"]),
            ethernet(3, &["2001:db8::7/64", "203.0.113.9/32", "203.0.113.20/31"]),
        ]);
        let on = |text: &str| links.interface_of(text.parse().unwrap());
        for (source, interface) in [
            ("127.0.0.1:8001", 1),
            ("127.8.0.1:8001", 1),
            ("[::1]:8001", 1),
            ("192.0.2.1:8001", 2),
            ("192.0.2.7:50000", 2),
            ("[fe80::99%2]:8001", 2),
            ("[2001:db8::99]:8001", 3),
            ("[fe80::99%3]:8001", 3),
            ("203.0.113.9:8001", 3),
            ("203.0.113.21:8001", 3),
        ] {
            assert_eq!(on(source), Some(interface), "{source}");
        }
        for source in [
            "198.51.100.1:8001",
            "192.0.3.1:8001",
            "192.0.2.0:8001",
            "192.0.2.255:8001",
            "192.0.2.1:0",
            "0.0.0.0:8001",
            "255.255.255.255:8001",
            "239.255.80.50:8001",
            "203.0.113.8:8001",
            "[2001:db8:1::1]:8001",
            "[fe80::99%9]:8001",
            "[fe80::99]:8001",
            "[ff12::7032:7032]:8001",
            "[::]:8001",
        ] {
            assert_eq!(on(source), None, "{source}");
        }
    }

    #[test]
    fn a_prefix_of_length_zero_is_no_link() {
        let links = links(&[ethernet(2, &["192.0.2.7/0"])]);
        assert_eq!(links.interface_of("198.51.100.1:1".parse().unwrap()), None);
        assert_eq!(links.interface_of("192.0.2.7:1".parse().unwrap()), Some(2));
    }

    #[test]
    fn groups_are_no_hosts_even_within_a_prefix() {
        let links = links(&[ethernet(2, &["192.0.2.7/1"])]);
        assert_eq!(links.interface_of("198.51.100.1:1".parse().unwrap()), Some(2));
        assert_eq!(links.interface_of("239.255.80.50:1".parse().unwrap()), None);
    }

    #[test]
    fn hosts_with_very_many_addresses_stay_bounded() {
        let many: Vec<Interface> = (0..1000)
            .map(|n| ethernet(n, &[&alloc::format!("10.{}.{}.1/24", n / 250, n % 250)]))
            .collect();
        let links = links(&many);
        assert_eq!(links.links.len(), Links::ADDRESSES_MAX);
        assert!(links.targets().len() <= 2 * Links::ADDRESSES_MAX);
    }
}
