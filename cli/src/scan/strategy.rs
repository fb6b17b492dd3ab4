//! Strategies as they are written on the command line.

use p2pnet_protocol::widescan::{Ipv4Form, Strategy};
use std::net::Ipv6Addr;
use std::str::FromStr;

/// How many addresses patterns of known ones have, unless it is said.
const SEEDS_BUDGET: u64 = 1_000_000;

/// A strategy that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// One that is whole as it stands.
    Known(Strategy),
    /// Patterns of the addresses in a file, with so many addresses together.
    Seeds {
        /// The file.
        file: String,
        /// How many addresses at most.
        budget: u64,
    },
}

impl FromStr for Choice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let strategy = match (name, rest) {
            ("full", None) => Strategy::Full,
            ("low-byte", rest) => Strategy::LowByte { bits: number(rest.unwrap_or("8"), 1, 64)? },
            ("window", Some(rest)) => window(rest)?,
            ("eui64", Some(rest)) => Strategy::Eui64 { ouis: each(rest)? },
            ("ipv4", Some(rest)) => {
                Strategy::Ipv4 { networks: networks(rest)?, form: Ipv4Form::Hexadecimal }
            }
            ("ipv4-decimal", Some(rest)) => {
                Strategy::Ipv4 { networks: networks(rest)?, form: Ipv4Form::Decimal }
            }
            ("ports", rest) => Strategy::Ports {
                ports: rest.map_or(Ok(Strategy::PORTS.into()), each)?,
                number_max: 5,
            },
            ("words", rest) => Strategy::Words {
                words: rest.map_or(Ok(Strategy::WORDS.into()), words)?,
                groups: 2,
            },
            ("pattern", Some(rest)) => {
                Strategy::Patterns(vec![rest.parse().map_err(|error| format!("{rest}: {error}"))?])
            }
            ("seeds", Some(rest)) => return seeds(rest),
            ("window" | "eui64" | "ipv4" | "ipv4-decimal" | "pattern" | "seeds", None) => {
                return Err(format!("{name} needs something after a colon"));
            }
            _ => {
                return Err("expected full, low-byte, window, eui64, ipv4, ipv4-decimal, ports, words, pattern or seeds".into());
            }
        };
        Ok(Self::Known(strategy))
    }
}

fn seeds(text: &str) -> Result<Choice, String> {
    let (budget, file) = match text.split_once(':') {
        Some((budget, file)) => match budget.parse() {
            Ok(budget) => (budget, file),
            Err(_) => {
                return Err(format!(
                    "{budget}: expected how many addresses at most, as in seeds:1000000:known.txt"
                ));
            }
        },
        None => (SEEDS_BUDGET, text),
    };
    Ok(Choice::Seeds { file: file.into(), budget })
}

fn number(text: &str, least: u8, most: u8) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{text}: expected a number from {least} to {most}"))
}

fn each<T: FromStr>(text: &str) -> Result<Vec<T>, String>
where
    T::Err: std::fmt::Display,
{
    text.split(',').map(|item| item.parse().map_err(|error| format!("{item}: {error}"))).collect()
}

fn window(text: &str) -> Result<Strategy, String> {
    let (length, host) = match text.split_once(':') {
        Some((length, host)) => (
            length,
            host.parse::<Ipv6Addr>().map_err(|_| format!("{host}: expected an address as ::1"))?,
        ),
        None => (text, Ipv6Addr::LOCALHOST),
    };
    Ok(Strategy::Window { length: number(length, 0, 128)?, host: host.to_bits() })
}

fn networks(text: &str) -> Result<Vec<(std::net::Ipv4Addr, u8)>, String> {
    let network = |item: &str| {
        let (address, length) = item.split_once('/').unwrap_or((item, "32"));
        let address =
            address.parse().map_err(|_| format!("{item}: expected IPv4 as 192.0.2.0/24"))?;
        Ok((address, number(length, 0, 32)?))
    };
    text.split(',').map(network).collect()
}

fn words(text: &str) -> Result<Vec<u16>, String> {
    let word = |item: &str| {
        u16::from_str_radix(item, 16)
            .map_err(|_| format!("{item}: expected up to four hexadecimal digits"))
    };
    text.split(',').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_strategies() {
        for text in [
            "full",
            "low-byte",
            "low-byte:16",
            "window:64",
            "window:48:::2",
            "eui64:00:16:3e,525400",
            "ipv4:192.0.2.0/24,10.0.0.1",
            "ipv4-decimal:192.0.2.0/24",
            "ports",
            "ports:80,443",
            "words",
            "words:cafe,1",
            "pattern:2001:db8::[0-3]?",
        ] {
            let choice: Choice = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let Choice::Known(strategy) = choice else { panic!("{text}") };
            assert!(!strategy.patterns().is_empty(), "{text}");
        }
        for (text, budget) in [("seeds:known.txt", SEEDS_BUDGET), ("seeds:50:known.txt", 50)] {
            assert_eq!(text.parse(), Ok(Choice::Seeds { file: "known.txt".into(), budget }));
        }
        for bad in [
            "",
            "fool",
            "full:1",
            "low-byte:0",
            "low-byte:65",
            "window",
            "window:129",
            "window:64:x",
            "eui64",
            "eui64:1",
            "ipv4:1.2.3.4/33",
            "ipv4:2001:db8::/32",
            "ports:65536",
            "words:cafes",
            "words:",
            "pattern:x",
        ] {
            assert!(bad.parse::<Choice>().is_err(), "{bad}");
        }
    }
}
