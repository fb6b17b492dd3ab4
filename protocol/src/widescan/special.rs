//! Space that no scan should touch unless it is asked to: what isn't global unicast, and what IANA set aside within it.

use super::range::{AddressRange, RangeSet};

/// Space that isn't for hosts on the Internet, and what it is for.
///
/// ```
/// use p2pnet_protocol::widescan::{Special, special_of};
/// let special: Option<&Special> = special_of("2001:db8::1".parse().unwrap());
/// assert_eq!(special.unwrap().name, "documentation");
/// assert!(special_of("2a00::1".parse().unwrap()).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// The first address, as a number.
    first: u128,
    /// How many bits of it count.
    length: u8,
    /// What it is for, in a word or two.
    pub name: &'static str,
    /// Where that is written.
    pub source: &'static str,
}

impl Special {
    /// The addresses.
    pub fn range(&self) -> AddressRange {
        AddressRange::block(self.first, 128u32.saturating_sub(u32::from(self.length)))
    }
}

const fn special(first: u128, length: u8, name: &'static str, source: &'static str) -> Special {
    Special { first: first << 96, length, name, source }
}

/// What is excluded unless it is allowed, most specific first. IANA's registries "IPv6 Special-Purpose Address Space" and
/// "IPv6 Address Space" as of 2025.
pub const SPECIAL: &[Special] = &[
    Special { first: 0, length: 128, name: "unspecified", source: "RFC 4291" },
    Special { first: 1, length: 128, name: "loopback", source: "RFC 4291" },
    Special { first: 0xffff << 32, length: 96, name: "IPv4-mapped", source: "RFC 4291" },
    special(0x0064_ff9b, 96, "IPv4 translation", "RFC 6052"),
    Special {
        first: 0x0064_ff9b_0001 << 80,
        length: 48,
        name: "local IPv4 translation",
        source: "RFC 8215",
    },
    special(0x0100_0000, 64, "discard-only", "RFC 6666"),
    special(0x2001_0000, 23, "IETF protocol assignments", "RFC 2928"),
    special(0x2001_0db8, 32, "documentation", "RFC 3849"),
    special(0x2002_0000, 16, "6to4", "RFC 3056"),
    Special {
        first: 0x2620_004f_8000 << 80,
        length: 48,
        name: "AS112 service",
        source: "RFC 7534",
    },
    special(0x3fff_0000, 20, "documentation", "RFC 9637"),
    special(0x5f00_0000, 16, "segment routing", "RFC 9602"),
    special(0xfc00_0000, 7, "unique local", "RFC 4193"),
    special(0xfe80_0000, 10, "link-local", "RFC 4291"),
    special(0xff00_0000, 8, "multicast", "RFC 4291"),
    special(0x0000_0000, 3, "not global unicast", "RFC 4291"),
    special(0x4000_0000, 2, "not global unicast", "RFC 4291"),
    special(0x8000_0000, 1, "not global unicast", "RFC 4291"),
];

/// What no probe can mean, even where special space is allowed: these names are no unicast IPv6 destinations.
const NEVER: &[&str] = &["unspecified", "IPv4-mapped", "multicast"];

/// Whose space `address` is in, if it is special.
pub fn special_of(address: core::net::Ipv6Addr) -> Option<&'static Special> {
    SPECIAL.iter().find(|special| special.range().contains(address))
}

/// What a scan leaves out of itself: all special space, or with `allow_special` only what is no unicast destination.
pub(super) fn excluded(allow_special: bool) -> RangeSet {
    SPECIAL
        .iter()
        .filter(|special| !allow_special || NEVER.contains(&special.name))
        .map(Special::range)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_space_is_named() {
        for (address, name) in [
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::2", "not global unicast"),
            ("::ffff:192.0.2.1", "IPv4-mapped"),
            ("64:ff9b::192.0.2.1", "IPv4 translation"),
            ("64:ff9b:1::", "local IPv4 translation"),
            ("100::ffff", "discard-only"),
            ("2001::1", "IETF protocol assignments"),
            ("2001:20::1", "IETF protocol assignments"),
            ("2001:1ff:ffff::", "IETF protocol assignments"),
            ("2001:db8:ffff::", "documentation"),
            ("2002:c000:201::1", "6to4"),
            ("2620:4f:8000::1", "AS112 service"),
            ("3fff:fff::", "documentation"),
            ("5f00::1", "segment routing"),
            ("fd00::1", "unique local"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("4000::", "not global unicast"),
            ("fec0::", "not global unicast"),
        ] {
            assert_eq!(special_of(address.parse().unwrap()).unwrap().name, name, "{address}");
        }
        for ordinary in [
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2620:4f:8001::",
            "3fff:1000::",
            "3ffe::",
        ] {
            assert_eq!(special_of(ordinary.parse().unwrap()), None, "{ordinary}");
        }
    }

    #[test]
    fn only_global_unicast_remains_and_never_multicast() {
        let eligible = excluded(false).complement();
        assert!(
            eligible
                .ranges()
                .iter()
                .all(|range| range.first_bits() >> 125 == 1 && range.last_bits() >> 125 == 1)
        );
        let with_special = excluded(true);
        for never in ["::", "ff02::1", "::ffff:1.2.3.4"] {
            assert!(with_special.contains(never.parse().unwrap()), "{never}");
        }
        for local in ["fd00::1", "fe80::1", "::1", "2001:db8::1"] {
            assert!(!with_special.contains(local.parse().unwrap()), "{local}");
        }
    }
}
