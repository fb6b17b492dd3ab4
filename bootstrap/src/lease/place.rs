//! Where an address is: who may be told of it, and which neighbours it has.

use std::net::IpAddr;

/// Who may be told of an address. A client is told of addresses of its own scope and of wider ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everybody.
    Global,
    /// Clients in private space: RFC 1918, RFC 6598 (carrier-grade NAT) and RFC 4193 (unique local).
    Private,
    /// Clients on the server's own host.
    Loopback,
}

impl Scope {
    /// All of them, the widest first.
    pub(super) const ALL: [Self; 3] = [Self::Global, Self::Private, Self::Loopback];

    /// The scope in which a client observed at `ip` is, which must be canonical (no mapped IPv4).
    pub fn of(ip: IpAddr) -> Self {
        let (loopback, private) = match ip {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                let carrier = a == 100 && (64..128).contains(&b);
                (v4.is_loopback(), v4.is_private() || v4.is_link_local() || carrier)
            }
            IpAddr::V6(v6) => {
                (v6.is_loopback(), v6.is_unique_local() || v6.is_unicast_link_local())
            }
        };
        match (loopback, private) {
            (true, _) => Self::Loopback,
            (false, true) => Self::Private,
            (false, false) => Self::Global,
        }
    }

    /// Whether a client observed in this scope may be told of an address of the scope `other`.
    pub fn sees(self, other: Self) -> bool {
        other <= self
    }
}

/// Whether somebody else can be told of `ip`: it is unicast, and not link-local, which means nothing without an interface.
pub(super) fn is_shareable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first != 0 && first < 224 && !v4.is_link_local()
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local()),
    }
}

/// The prefix whose addresses probably belong to one holder: /24 of IPv4, /48 of IPv6, as its upper 64 bits. Samples are
/// spread over these.
pub(super) fn site(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8) << 8,
        IpAddr::V6(v6) => (upper(v6) >> 16) << 16,
    }
}

/// The link below a site: /64 of IPv6. Of IPv4 there is none.
pub(super) fn link(ip: IpAddr) -> Option<u64> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(upper(v6)),
    }
}

fn upper(v6: std::net::Ipv6Addr) -> u64 {
    (v6.to_bits() >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ip: &str) -> Scope {
        Scope::of(ip.parse().unwrap())
    }

    #[test]
    fn each_range_has_its_scope() {
        for ip in ["1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2001:db8::1"] {
            assert_eq!(of(ip), Scope::Global, "{ip}");
        }
        for ip in ["10.0.0.1", "172.31.0.1", "192.168.3.4", "100.64.0.1", "100.127.9.9", "fd00::1"]
        {
            assert_eq!(of(ip), Scope::Private, "{ip}");
        }
        for ip in ["169.254.1.1", "fe80::1"] {
            assert_eq!(of(ip), Scope::Private, "{ip}");
        }
        for ip in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(of(ip), Scope::Loopback, "{ip}");
        }
    }

    #[test]
    fn nobody_can_be_told_of_what_only_a_link_knows_or_what_is_no_host() {
        for ip in ["0.0.0.0", "0.1.2.3", "169.254.1.1", "224.0.0.1", "255.255.255.255", "::"] {
            assert!(!is_shareable(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["ff02::1", "fe80::1"] {
            assert!(!is_shareable(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "10.0.0.1", "127.0.0.1", "::1", "fd00::1", "2001:db8::1"] {
            assert!(is_shareable(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn nobody_is_told_of_narrower_scopes_than_its_own() {
        use Scope::{Global, Loopback, Private};
        for (of, sees) in [
            (Global, vec![Global]),
            (Private, vec![Global, Private]),
            (Loopback, Scope::ALL.into()),
        ] {
            let seen: Vec<_> = Scope::ALL.into_iter().filter(|other| of.sees(*other)).collect();
            assert_eq!(seen, sees, "{of:?}");
        }
    }

    #[test]
    fn neighbours_share_a_site() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(site(ip("9.8.7.1")), site(ip("9.8.7.255")));
        assert_ne!(site(ip("9.8.7.1")), site(ip("9.8.6.1")));
        assert_eq!(site(ip("2001:db8:1:2::1")), site(ip("2001:db8:1:ffff::1")));
        assert_ne!(site(ip("2001:db8:1:2::1")), site(ip("2001:db8:2:2::1")));
        assert_eq!(link(ip("2001:db8:1:2::1")), link(ip("2001:db8:1:2:3::1")));
        assert_ne!(link(ip("2001:db8:1:2::1")), link(ip("2001:db8:1:3::1")));
        assert_eq!(link(ip("9.8.7.1")), None);
    }
}
