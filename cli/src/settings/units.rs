//! Durations, sizes and listening addresses as people write them.

use p2pnet_protocol::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];
const DURATION_EXPECTED: &str = "expected a number and a unit, such as 500ms, 5s, 2m or 1h";

const SIZE_UNITS: [(&str, u64); 4] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const SIZE_EXPECTED: &str = "expected a number and a unit, such as 512KiB, 64MiB or 2GiB";

/// Splits `text` into its digits and the unit that follows.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// The largest unit that shows `amount` without a remainder.
fn shown(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    let fits = |(_, factor): &&(&str, u64)| amount.is_multiple_of(*factor);
    match units.iter().rev().find(fits) {
        Some((unit, factor)) if amount > 0 => format!("{}{unit}", amount / factor),
        _ => zero.into(),
    }
}

/// Reads `500ms`, `5s`, `2m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    scaled(text, &DURATION_UNITS).map(Duration::from_nanos).ok_or_else(|| DURATION_EXPECTED.into())
}

/// Writes what [`parse_duration`] reads.
pub(crate) fn show_duration(duration: Duration) -> String {
    shown(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), &DURATION_UNITS, "0s")
}

/// Reads `64MiB`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    scaled(text, &SIZE_UNITS).ok_or_else(|| SIZE_EXPECTED.into())
}

/// Writes what [`parse_size`] reads.
pub(crate) fn show_size(bytes: u64) -> String {
    shown(bytes, &SIZE_UNITS, "0B")
}

/// Reads where to listen: `IP:PORT`, and the short forms `IP` (any port) and `PORT` (any address).
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let mut at = listen_forms(text)?;
    at.set_ip(at.ip().to_canonical());
    match at.ip() {
        ip if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) => {
            Err(format!("{ip} belongs to many hosts; connections need an address of this one"))
        }
        IpAddr::V6(ip) if ip.is_unicast_link_local() && !has_scope(&at) => Err(format!(
            "{ip} is on every link: add the interface's number, as in [{ip}%2]:{}; `ip link` shows it",
            at.port()
        )),
        _ => Ok(at),
    }
}

/// Whether an IPv6 address says on which interface it is.
pub(crate) fn has_scope(at: &SocketAddr) -> bool {
    matches!(at, SocketAddr::V6(at) if at.scope_id() != 0)
}

fn listen_forms(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok((ip, 0).into());
    }
    if let Ok(at) = format!("[{bare}]:0").parse::<SocketAddrV6>() {
        return Ok(at.into());
    }
    let port = text.strip_prefix(['*', ':']).map_or(text, |rest| rest.trim_start_matches(':'));
    if let Ok(port) = port.parse::<u16>() {
        return Ok((Ipv6Addr::UNSPECIFIED, port).into());
    }
    text.parse().map_err(|_| {
        format!(
            "expected IP:PORT, IP or PORT, such as [::]:0, 192.0.2.1:9000 or 9000 (port 0 lets the system choose), found \"{}\"",
            text.escape_debug()
        )
    })
}

/// Reads a port or a range of ports: `9000`, `9000-9010`.
pub(crate) fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => {
            Err("expected a port or a range of ports from 1 to 65535, such as 9000 or 9000-9010"
                .into())
        }
    }
}

/// Writes what [`parse_ports`] reads.
pub(crate) fn show_ports(ports: &RangeInclusive<u16>) -> String {
    let (first, last) = (ports.start(), ports.end());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_round_trip() {
        for text in ["500ms", "5s", "2m", "1h", "90s", "1500us", "7ns", "0s"] {
            let shown = show_duration(parse_duration(text).unwrap());
            assert_eq!(parse_duration(&shown), parse_duration(text), "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(120)), "2m");
        assert_eq!(show_size(parse_size("64MiB").unwrap()), "64MiB");
        assert_eq!(parse_size("64 mib"), Ok(64 << 20));
        for bad in ["", "5", "s", "-5s", "5 parsecs", "99999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "64", "64MB", "MiB", "99999999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn listening_addresses_have_short_forms() {
        for (text, full) in [
            ("[::]:0", "[::]:0"),
            ("9000", "[::]:9000"),
            (":9000", "[::]:9000"),
            ("*:9000", "[::]:9000"),
            ("192.0.2.1", "192.0.2.1:0"),
            ("::1", "[::1]:0"),
            ("[fe80::1%3]:7", "[fe80::1%3]:7"),
            ("[fe80::1%3]", "[fe80::1%3]:0"),
            ("fe80::1%3", "[fe80::1%3]:0"),
            ("[::]", "[::]:0"),
            ("::ffff:192.0.2.1", "192.0.2.1:0"),
            ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
        ] {
            assert_eq!(parse_listen(text).unwrap().to_string(), full);
        }
        for bad in ["", "host:80", "1.2.3.4:x", "1.2.3.4:70000", "a-b", "-1", "70000", "[1", "[]"] {
            assert!(parse_listen(bad).is_err(), "{bad}");
        }
        for (bad, said) in [
            ("224.0.0.1:4", "belongs to many hosts"),
            ("[ff02::1]:4", "belongs to many hosts"),
            ("255.255.255.255", "belongs to many hosts"),
            ("fe80::1", "as in [fe80::1%2]:0"),
            ("[fe80::1]:7", "as in [fe80::1%2]:7"),
            ("host", "found \"host\""),
        ] {
            let error = parse_listen(bad).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn ports_and_ranges_round_trip() {
        for text in ["9000", "9000-9010"] {
            assert_eq!(show_ports(&parse_ports(text).unwrap()), text);
        }
        for bad in ["", "0", "0-9", "9-8", "1-70000", "a-b", "1-2-3"] {
            assert!(parse_ports(bad).is_err(), "{bad}");
        }
    }
}
