//! A NAT, as RFC 4787 describes what it does (not how it is made): which flows share an external port, and who may
//! answer to it.

use crate::scenario::{Dependence, NatBehaviour};
use p2pnet_protocol::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What of the other side's endpoint counts.
type Side = (Option<IpAddr>, Option<u16>);

fn side(dependence: Dependence, of: SocketAddr) -> Side {
    match dependence {
        Dependence::Independent => (None, None),
        Dependence::Address => (Some(of.ip()), None),
        Dependence::AddressAndPort => (Some(of.ip()), Some(of.port())),
    }
}

#[derive(Debug)]
struct Mapping {
    inner: SocketAddr,
    key: (SocketAddr, Side),
    used: Instant,
    /// Whom the inner host has spoken to through this mapping.
    spoken_to: Vec<SocketAddr>,
}

/// A NAT with one external address.
#[derive(Debug)]
pub(crate) struct Nat {
    behaviour: NatBehaviour,
    mappings: BTreeMap<u16, Mapping>,
    keys: BTreeMap<(SocketAddr, Side), u16>,
    next_port: u16,
    /// Where the search for mappings to forget goes on.
    swept: u16,
}

impl Nat {
    /// Ports below are left to the device itself.
    const FIRST_PORT: u16 = 1024;

    pub(crate) const fn new(behaviour: NatBehaviour) -> Self {
        Self {
            behaviour,
            mappings: BTreeMap::new(),
            keys: BTreeMap::new(),
            next_port: Self::FIRST_PORT,
            swept: 0,
        }
    }

    /// A packet from inside: the external port that it leaves from. `None` if all ports are taken.
    pub(crate) fn outbound(
        &mut self,
        now: Instant,
        inner: SocketAddr,
        to: SocketAddr,
    ) -> Option<u16> {
        let key = (inner, side(self.behaviour.mapping, to));
        if let Some(port) = self.keys.get(&key).copied()
            && let Some(mapping) = self.mappings.get_mut(&port)
            && !expired(self.behaviour, mapping, now)
        {
            mapping.used = now;
            if !mapping.spoken_to.contains(&to) {
                mapping.spoken_to.push(to);
            }
            return Some(port);
        }
        self.sweep(now);
        let port = self.free_port(now)?;
        self.keys.insert(key, port);
        self.mappings.insert(port, Mapping { inner, key, used: now, spoken_to: vec![to] });
        Some(port)
    }

    /// A packet from outside to an external port: where it goes, if it is let in. What comes in does not keep a mapping
    /// alive (RFC 4787, REQ-6).
    pub(crate) fn inbound(&self, now: Instant, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        let mapping = self.mappings.get(&port)?;
        let filtering = self.behaviour.filtering;
        let welcome =
            mapping.spoken_to.iter().any(|to| side(filtering, *to) == side(filtering, from));
        (welcome && !expired(self.behaviour, mapping, now)).then_some(mapping.inner)
    }

    /// Forgets expired mappings, a few for each that is made: so there are never many more than live ones.
    fn sweep(&mut self, now: Instant) {
        for _ in 0..2 {
            let after = self.mappings.range(self.swept..).next();
            let Some((&port, mapping)) = after.or_else(|| self.mappings.first_key_value()) else {
                return;
            };
            self.swept = port.wrapping_add(1);
            if expired(self.behaviour, mapping, now) {
                self.forget(port);
            }
        }
    }

    fn forget(&mut self, port: u16) {
        if let Some(mapping) = self.mappings.remove(&port)
            && self.keys.get(&mapping.key) == Some(&port)
        {
            self.keys.remove(&mapping.key);
        }
    }

    fn free_port(&mut self, now: Instant) -> Option<u16> {
        for _ in Self::FIRST_PORT..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(Self::FIRST_PORT);
            match self.mappings.get(&port) {
                None => return Some(port),
                Some(mapping) if expired(self.behaviour, mapping, now) => {
                    self.forget(port);
                    return Some(port);
                }
                Some(_) => {}
            }
        }
        None
    }
}

fn expired(behaviour: NatBehaviour, mapping: &Mapping, now: Instant) -> bool {
    now.since(mapping.used) > Duration::from_millis(behaviour.expiry_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nat(mapping: Dependence, filtering: Dependence) -> Nat {
        Nat::new(NatBehaviour { mapping, filtering, expiry_ms: 1000 })
    }

    #[test]
    fn mapping_depends_on_what_it_shall() {
        use Dependence::{Address, AddressAndPort, Independent};
        let inner = at("192.168.0.2:5000");
        let (one, other_port, other) = (at("11.0.0.1:1"), at("11.0.0.1:2"), at("11.0.0.2:1"));
        for (mapping, same_host, same_all) in
            [(Independent, true, true), (Address, true, false), (AddressAndPort, false, false)]
        {
            let mut nat = nat(mapping, Independent);
            let mut out = |to| nat.outbound(Instant::ZERO, inner, to).unwrap();
            let port = out(one);
            assert_eq!(out(one), port);
            assert_eq!(out(other_port) == port, same_host, "{mapping}");
            assert_eq!(out(other) == port, same_all, "{mapping}");
        }
    }

    #[test]
    fn filtering_lets_in_whom_it_shall() {
        use Dependence::{Address, AddressAndPort, Independent};
        let inner = at("192.168.0.2:5000");
        let (one, other_port, other) = (at("11.0.0.1:1"), at("11.0.0.1:2"), at("11.0.0.2:1"));
        for (filtering, same_host, anybody) in
            [(Independent, true, true), (Address, true, false), (AddressAndPort, false, false)]
        {
            let mut nat = nat(Independent, filtering);
            let port = nat.outbound(Instant::ZERO, inner, one).unwrap();
            let enters = |from| nat.inbound(Instant::ZERO, port, from) == Some(inner);
            assert!(enters(one));
            assert_eq!(enters(other_port), same_host, "{filtering}");
            assert_eq!(enters(other), anybody, "{filtering}");
            assert_eq!(nat.inbound(Instant::ZERO, port + 1, one), None, "never opened");
        }
    }

    #[test]
    fn idle_mappings_expire_and_only_what_leaves_keeps_them() {
        let mut nat = nat(Dependence::Independent, Dependence::Independent);
        let (inner, to) = (at("192.168.0.2:5000"), at("11.0.0.1:1"));
        let after = |ms| Instant::ZERO + Duration::from_millis(ms);
        let port = nat.outbound(Instant::ZERO, inner, to).unwrap();
        assert!(nat.inbound(after(900), port, to).is_some());
        assert_eq!(nat.inbound(after(1001), port, to), None);
        assert_eq!(nat.outbound(after(900), inner, to), Some(port));
        assert!(nat.inbound(after(1800), port, to).is_some());
        assert_ne!(nat.outbound(after(2000), inner, to), Some(port), "a new flow");
    }

    #[test]
    fn what_expired_is_forgotten() {
        let mut nat = nat(Dependence::AddressAndPort, Dependence::Independent);
        let inner = at("192.168.0.2:5000");
        for ms in 0..100_000u64 {
            let to = SocketAddr::new(at("11.0.0.1:1").ip(), (ms % 60_000) as u16);
            nat.outbound(Instant::ZERO + Duration::from_millis(ms), inner, to).unwrap();
        }
        assert!(nat.mappings.len() <= 3000, "{} of a thousand alive", nat.mappings.len());
        assert_eq!(nat.mappings.len(), nat.keys.len());
    }
}
