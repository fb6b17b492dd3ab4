//! Strategies: which hosts of a prefix are worth a probe. RFC 7707 tells how interface identifiers are chosen.

use super::pattern::{Parts, Pattern};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// How to choose addresses within prefixes. Each stands for one or more [`Pattern`]s of whole addresses, whose network part
/// is left open and comes from the prefixes.
///
/// ```
/// use p2pnet_protocol::widescan::{Ipv4Form, Oui, Strategy};
/// let low = Strategy::LowByte { bits: 8 }.patterns();
/// assert!(low[0].contains("2001:db8:7:8::2a".parse().unwrap()));
/// let vendor = Strategy::Eui64 { ouis: vec![Oui([0x00, 0x16, 0x3e])] }.patterns();
/// assert!(vendor[0].contains("2001:db8::216:3eff:fe01:203".parse().unwrap()));
/// let network = (core::net::Ipv4Addr::new(192, 0, 2, 0), 24);
/// let embedded = Strategy::Ipv4 { networks: vec![network], form: Ipv4Form::Decimal }.patterns();
/// assert!(embedded[0].contains("2001:db8::192:0:2:33".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Every address.
    Full,
    /// The bits between the end of the prefix and bit `length` are tried out, and what follows them is the low part of
    /// `host`: with 64 and 1 the address `::1` in each /64 of a prefix.
    Window {
        /// How long what is tried out is, the prefix included; at most 128.
        length: u8,
        /// What follows, in its low bits.
        host: u128,
    },
    /// The last `bits` bits are tried out (at most 64), the rest of the lower half is zero.
    LowByte {
        /// How many.
        bits: u8,
    },
    /// Identifiers made of hardware addresses of these vendors (modified EUI-64, RFC 4291).
    Eui64 {
        /// The vendors' prefixes.
        ouis: Vec<Oui>,
    },
    /// IPv4 addresses in the lower half.
    Ipv4 {
        /// Networks as address and length; host bits don't count.
        networks: Vec<(Ipv4Addr, u8)>,
        /// How they are written.
        form: Ipv4Form,
    },
    /// Numbers of ports, read as hexadecimal and as decimal, alone (`::80`), behind a small number (`::1:80`), and before
    /// one (`::80:1`).
    Ports {
        /// The ports.
        ports: Vec<u16>,
        /// How large the small number may be; from 1.
        number_max: u16,
    },
    /// Hexadecimal words (`::cafe`, `::dead:beef`) or zero in each of the last groups.
    Words {
        /// The words, as numbers.
        words: Vec<u16>,
        /// How many groups, 1 to 4.
        groups: u8,
    },
    /// Patterns by themselves, such as those that [`Learner`](super::Learner) finds.
    Patterns(Vec<Pattern>),
}

/// The first half of a hardware address, which names its vendor.
///
/// ```
/// use p2pnet_protocol::widescan::{BadOui, Oui};
/// assert_eq!("00:16:3e".parse(), Ok(Oui([0x00, 0x16, 0x3e])));
/// assert_eq!("00:16".parse::<Oui>(), Err(BadOui));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Oui(pub [u8; 3]);

impl core::str::FromStr for Oui {
    type Err = BadOui;
    fn from_str(text: &str) -> Result<Self, BadOui> {
        let digits: Vec<u32> = text
            .chars()
            .filter(|c| ![':', '-', '.'].contains(c))
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()
            .ok_or(BadOui)?;
        let pairs =
            digits.as_chunks().0.iter().map(|[high, low]| (high.wrapping_shl(4) | low) as u8);
        let bytes: Vec<u8> = pairs.collect();
        match <[u8; 3]>::try_from(bytes) {
            Ok(bytes) if digits.len() == 6 => Ok(Self(bytes)),
            _ => Err(BadOui),
        }
    }
}

/// The text names no vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOui;

impl core::fmt::Display for BadOui {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("expected the first three bytes of a hardware address, as in 00:16:3e")
    }
}

impl core::error::Error for BadOui {}

/// How IPv4 addresses are written into IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Form {
    /// In the last 32 bits, as `::192.0.2.1`.
    Hexadecimal,
    /// A number in each of the last four groups that reads like the decimal one, as `::192:0:2:1`.
    Decimal,
}

impl Strategy {
    /// Ports of services that are often numbered into addresses.
    pub const PORTS: [u16; 12] = [21, 22, 23, 25, 53, 80, 110, 143, 443, 587, 993, 8080];

    /// Hexadecimal digits that are words.
    pub const WORDS: [u16; 20] = [
        0xabba, 0xaffe, 0xbabe, 0xbad, 0xbeef, 0xb00b, 0xb00c, 0xcafe, 0xc0de, 0xc001, 0xdad,
        0xdead, 0xdeaf, 0xf00d, 0xface, 0xfade, 0xfeed, 0xfee1, 0x1337, 0x1ee7,
    ];

    /// What it stands for. Where numbers make no sense (a window longer than an address, no words at all) there is no
    /// pattern.
    pub fn patterns(&self) -> Vec<Pattern> {
        match self {
            Self::Full => Vec::from([Pattern::any()]),
            Self::Window { length, host } => window(*length, *host).into_iter().collect(),
            Self::LowByte { bits } if *bits <= 64 => {
                let zeros = 64u32.saturating_sub(u32::from(*bits));
                network().one(zeros, 0).any(u32::from(*bits)).pattern().into_iter().collect()
            }
            Self::LowByte { .. } => Vec::new(),
            Self::Eui64 { ouis } => eui64(ouis).into_iter().collect(),
            Self::Ipv4 { networks, form } => networks
                .iter()
                .filter_map(|(address, length)| ipv4(*address, *length, *form))
                .collect(),
            Self::Ports { ports, number_max } => port_patterns(ports, *number_max),
            Self::Words { words, groups } => word_pattern(words, *groups).into_iter().collect(),
            Self::Patterns(patterns) => patterns.clone(),
        }
    }
}

/// The upper half, which prefixes decide.
fn network() -> Parts {
    Parts::default().any(64)
}

fn window(length: u8, host: u128) -> Option<Pattern> {
    let rest = 128u32.checked_sub(u32::from(length))?;
    Parts::default().any(u32::from(length)).one(rest, host).pattern()
}

fn eui64(ouis: &[Oui]) -> Option<Pattern> {
    // The bit that says "universal" is turned around (RFC 4291, appendix A).
    let number = |Oui([a, b, c]): &Oui| u64::from(u32::from_be_bytes([0, a ^ 2, *b, *c]));
    network().listed(24, ouis.iter().map(number).collect())?.one(16, 0xfffe).any(24).pattern()
}

fn ipv4(address: Ipv4Addr, length: u8, form: Ipv4Form) -> Option<Pattern> {
    let open = 32u32.checked_sub(u32::from(length))?;
    let first = u128::from(address.to_bits()) & !low(open);
    if form == Ipv4Form::Hexadecimal {
        return network()
            .one(32, 0)
            .one(32u32.saturating_sub(open), first.wrapping_shr(open))
            .any(open)
            .pattern();
    }
    let last = (first | low(open)) as u32;
    let mut octets = (first as u32).to_be_bytes().into_iter().zip(last.to_be_bytes());
    octets
        .try_fold(network(), |parts, (first, last)| {
            parts.listed(16, (first..=last).filter_map(|octet| as_decimal(octet.into())).collect())
        })?
        .pattern()
}

fn low(bits: u32) -> u128 {
    super::range::low_bits(bits)
}

/// The number whose hexadecimal digits are the decimal digits of `number`, if they fit into a group.
fn as_decimal(number: u32) -> Option<u64> {
    let (mut rest, mut shift, mut read) = (number, 0u32, 0u64);
    while rest > 0 {
        read |= u64::from(rest % 10).wrapping_shl(shift);
        shift = shift.wrapping_add(4);
        rest /= 10;
    }
    (read <= 0xffff).then_some(read)
}

fn port_patterns(ports: &[u16], number_max: u16) -> Vec<Pattern> {
    let decimal = ports.iter().filter_map(|port| as_decimal((*port).into()));
    let readings: Vec<u64> = ports.iter().map(|port| u64::from(*port)).chain(decimal).collect();
    let alone = || network().one(48, 0).listed(16, readings.clone())?.pattern();
    let mut patterns: Vec<Pattern> = alone().into_iter().collect();
    if number_max > 0 {
        let numbered = || network().one(32, 0);
        let last = u64::from(number_max);
        let behind = numbered().between(16, 1, last).listed(16, readings.clone());
        let before =
            numbered().listed(16, readings.clone()).map(|parts| parts.between(16, 1, last));
        patterns.extend([behind, before].into_iter().flatten().filter_map(Parts::pattern));
    }
    patterns
}

fn word_pattern(words: &[u16], groups: u8) -> Option<Pattern> {
    if words.is_empty() || groups > 4 {
        return None;
    }
    let zeros = 64u32.saturating_sub(u32::from(groups).wrapping_mul(16));
    let values: Vec<u64> = words.iter().map(|word| u64::from(*word)).chain([0]).collect();
    (0..groups)
        .try_fold(network().one(zeros, 0), |parts, _| parts.listed(16, values.clone()))?
        .pattern()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn holds(strategy: &Strategy, address: &str) -> bool {
        let address = address.parse().unwrap();
        strategy.patterns().iter().any(|pattern| pattern.contains(address))
    }

    #[test]
    fn each_strategy_takes_what_it_should() {
        let window = Strategy::Window { length: 64, host: 1 };
        let ports = Strategy::Ports { ports: vec![80, 443, 8080], number_max: 5 };
        let words = Strategy::Words { words: Strategy::WORDS.into(), groups: 2 };
        let hexadecimal = Strategy::Ipv4 {
            networks: vec![([192, 0, 2, 9].into(), 23)],
            form: Ipv4Form::Hexadecimal,
        };
        let decimal =
            Strategy::Ipv4 { networks: vec![([192, 0, 2, 9].into(), 23)], form: Ipv4Form::Decimal };
        let vendors =
            Strategy::Eui64 { ouis: vec!["00:16:3e".parse().unwrap(), "525400".parse().unwrap()] };
        let patterns = Strategy::Patterns(vec!["2001:db8::?".parse().unwrap()]);
        for (strategy, address, has) in [
            (&Strategy::Full, "::", true),
            (&window, "2001:db8:1:2::1", true),
            (&window, "2001:db8:1:2::2", false),
            (&Strategy::LowByte { bits: 8 }, "2001:db8::ff", true),
            (&Strategy::LowByte { bits: 8 }, "2001:db8::100", false),
            (&Strategy::LowByte { bits: 65 }, "2001:db8::", false),
            (&ports, "2001:db8::80", true),
            (&ports, "2001:db8::50", true),
            (&ports, "2001:db8::8080", true),
            (&ports, "2001:db8::5:443", true),
            (&ports, "2001:db8::443:5", true),
            (&ports, "2001:db8::6:443", false),
            (&ports, "2001:db8::81", false),
            (&words, "2001:db8::dead:beef", true),
            (&words, "2001:db8::cafe", true),
            (&words, "2001:db8::cafe:1", false),
            (&hexadecimal, "2001:db8::192.0.3.255", true),
            (&hexadecimal, "2001:db8::192.0.4.0", false),
            (&decimal, "2001:db8::192:0:3:255", true),
            (&decimal, "2001:db8::192:0:4:0", false),
            (&decimal, "2001:db8::192:0:3:2a", false),
            (&vendors, "2001:db8::216:3eff:fe00:1", true),
            (&vendors, "2001:db8::5054:ff:fe00:1", true),
            (&vendors, "2001:db8::16:3eff:fe00:1", false),
            (&patterns, "2001:db8::f", true),
        ] {
            assert_eq!(holds(strategy, address), has, "{strategy:?} {address}");
        }
    }

    #[test]
    fn what_makes_no_sense_has_no_pattern() {
        for strategy in [
            Strategy::Window { length: 129, host: 0 },
            Strategy::Eui64 { ouis: vec![] },
            Strategy::Words { words: vec![], groups: 1 },
            Strategy::Words { words: vec![1], groups: 5 },
            Strategy::Ports { ports: vec![], number_max: 1 },
            Strategy::Ipv4 { networks: vec![([1, 2, 3, 4].into(), 33)], form: Ipv4Form::Decimal },
        ] {
            assert_eq!(strategy.patterns(), [], "{strategy:?}");
        }
        for bad in ["", "00:16", "00:16:3e:01", "00:16:3g", "0016 3e"] {
            assert_eq!(bad.parse::<Oui>(), Err(BadOui), "{bad}");
        }
    }

    #[test]
    fn sizes_are_what_one_would_count() {
        let size = |strategy: Strategy| strategy.patterns()[0].size().map(|size| size >> 64);
        assert_eq!(size(Strategy::LowByte { bits: 8 }), Some(256));
        assert_eq!(size(Strategy::Eui64 { ouis: vec![Oui([0, 1, 2]); 3] }), Some(1 << 24));
        let networks = vec![([10, 0, 0, 0].into(), 8)];
        assert_eq!(size(Strategy::Ipv4 { networks, form: Ipv4Form::Decimal }), Some(1 << 24));
    }
}
