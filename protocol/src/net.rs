//! Interfaces and prefixes, as the driver reports them and policies name them.

use alloc::{string::String, vec::Vec};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use serde::{Deserialize, Serialize};

/// One usable network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The operating system's index, also the scope of its link-local IPv6 addresses.
    pub index: u32,
    /// The operating system's name.
    pub name: String,
    /// Whether this is the loopback interface.
    pub loopback: bool,
    /// Whether the interface says that it can multicast.
    pub multicast: bool,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
}

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAddress {
    /// The address and the length of its on-link prefix.
    pub prefix: IpPrefix,
    /// The address itself (the prefix's address has its host bits cleared).
    pub address: IpAddr,
    /// The IPv4 broadcast address, if there is one.
    pub broadcast: Option<Ipv4Addr>,
}

/// An address prefix; a single address is a prefix of full length.
///
/// ```
/// use p2pnet_protocol::IpPrefix;
/// let prefix: IpPrefix = "192.0.2.0/24".parse().unwrap();
/// assert!(prefix.contains("192.0.2.9".parse().unwrap()));
/// assert!(prefix.contains("::ffff:192.0.2.9".parse().unwrap()));
/// assert_eq!("192.0.2.9".parse::<IpPrefix>().unwrap().to_string(), "192.0.2.9/32");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpPrefix {
    address: IpAddr,
    length: u8,
}

/// The text or numbers make no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPrefix;

impl fmt::Display for BadPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an IP address or a prefix such as 192.0.2.0/24 or 2001:db8::/32")
    }
}

impl core::error::Error for BadPrefix {}

impl IpPrefix {
    /// The prefix of `length` bits that holds `address`; host bits are cleared. An IPv4-mapped address becomes IPv4, and the
    /// 96 bits that say so no longer count: `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
    ///
    /// # Errors
    /// [`BadPrefix`] if `length` is over 32 or 128, or so short that an IPv4-mapped address isn't one any more.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, BadPrefix> {
        let mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let length = if mapped { length.checked_sub(96).ok_or(BadPrefix)? } else { length };
        let address = address.to_canonical();
        let width = if address.is_ipv4() { 32u8 } else { 128 };
        let host_bits = u32::from(width.checked_sub(length).ok_or(BadPrefix)?);
        let address = match address {
            IpAddr::V4(ip) => {
                Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(host_bits).unwrap_or(0))
                    .into()
            }
            IpAddr::V6(ip) => {
                Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0))
                    .into()
            }
        };
        Ok(Self { address, length })
    }

    /// The prefix that is one address.
    pub fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that count.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether `address` lies in this prefix; an IPv4-mapped address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self::new(address, self.length) == Ok(*self)
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl core::str::FromStr for IpPrefix {
    type Err = BadPrefix;
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        match text.split_once('/') {
            None => text.parse().map(Self::single).map_err(|_| BadPrefix),
            Some((address, length)) => {
                let address = address.parse().map_err(|_| BadPrefix)?;
                Self::new(address, length.parse().map_err(|_| BadPrefix)?)
            }
        }
    }
}

impl TryFrom<String> for IpPrefix {
    type Error = BadPrefix;
    fn try_from(text: String) -> Result<Self, BadPrefix> {
        text.parse()
    }
}

impl From<IpPrefix> for String {
    fn from(prefix: IpPrefix) -> Self {
        alloc::format!("{prefix}")
    }
}

/// The same socket address in one form: IPv4-mapped IPv6 becomes IPv4, the flow label is dropped, and the scope is kept
/// only where it means something (link-local).
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        (SocketAddr::V6(v6), IpAddr::V6(ip)) => {
            let scope = if ip.is_unicast_link_local() { v6.scope_id() } else { 0 };
            core::net::SocketAddrV6::new(ip, v6.port(), 0, scope).into()
        }
        (_, ip) => SocketAddr::new(ip, address.port()),
    }
}

/// The subnet that shares limits with `address`: /24 for IPv4, /48 for IPv6.
pub fn subnet(address: IpAddr) -> IpPrefix {
    let address = address.to_canonical();
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpPrefix::new(address, length).unwrap_or(IpPrefix { address, length })
}

/// Socket addresses in recordings: with the scope of a link-local address, which serde's own encoding leaves out.
pub(crate) mod scoped {
    use core::net::{IpAddr, SocketAddr, SocketAddrV6};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        address: &SocketAddr,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(address);
        }
        let scope = match address {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        (address.ip(), address.port(), scope).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SocketAddr, D::Error> {
        if deserializer.is_human_readable() {
            return SocketAddr::deserialize(deserializer);
        }
        let (ip, port, scope) = <(IpAddr, u16, u32)>::deserialize(deserializer)?;
        Ok(match ip {
            IpAddr::V4(_) => SocketAddr::new(ip, port),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn prefixes_parse_and_contain() {
        let all: IpPrefix = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.2.3".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        let v6: IpPrefix = "2001:db8:ffff::1/32".parse().unwrap();
        assert_eq!(v6.to_string(), "2001:db8::/32");
        for bad in ["", "1.2.3.4/33", "::/129", "1.2.3.4/-1", "host/8", "1.2.3.4/"] {
            assert_eq!(bad.parse::<IpPrefix>(), Err(BadPrefix), "{bad}");
        }
    }

    #[test]
    fn prefixes_of_mapped_addresses_are_those_of_ipv4() {
        for (mapped, plain) in [
            ("::ffff:192.0.2.9", "192.0.2.9/32"),
            ("::ffff:192.0.2.9/128", "192.0.2.9/32"),
            ("::ffff:192.0.2.9/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(mapped.parse::<IpPrefix>().unwrap().to_string(), plain);
        }
        // Read as lengths of IPv4 these would block other hosts than meant.
        for short in ["::ffff:192.0.2.9/16", "::ffff:192.0.2.9/95"] {
            assert_eq!(short.parse::<IpPrefix>(), Err(BadPrefix), "{short}");
        }
    }

    #[test]
    fn canonical_addresses_compare_equal() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.1:80".parse().unwrap());
        let scoped =
            SocketAddr::V6(core::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 5, 3));
        assert_eq!(canonical(scoped).to_string(), "[fe80::1%3]:1");
    }
}
