//! How many connections there may be, by address, by subnet and in all (feature N9).

use crate::limits::Limits;
use crate::net::{IpPrefix, subnet};
use alloc::collections::BTreeMap;
use core::net::IpAddr;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    connections: u32,
    handshakes: u32,
}

impl Count {
    const fn is_zero(self) -> bool {
        self.connections == 0 && self.handshakes == 0
    }
}

/// The network that stands for one host. A host on the Internet has a whole /64 of IPv6 addresses to come from; on a
/// link all hosts share one /64, and each has its own address.
fn host(ip: IpAddr) -> IpPrefix {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() && !v6.is_loopback() => {
            IpPrefix::new(ip, 64).unwrap_or(IpPrefix::single(ip))
        }
        ip => IpPrefix::single(ip),
    }
}

/// Counters of what is under way. A closing connection still counts until it is gone.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    by_address: BTreeMap<IpAddr, u32>,
    /// Handshakes by host.
    by_host: BTreeMap<IpPrefix, u32>,
    by_subnet: BTreeMap<IpPrefix, Count>,
    connections: u32,
    handshakes: u32,
}

impl Admission {
    /// Whether one more outgoing connection fits.
    pub(crate) fn may_dial(&self, limits: &Limits) -> bool {
        self.connections < limits.connections_max
    }

    /// Whether one more incoming connection from `ip` fits.
    pub(crate) fn may_accept(&self, limits: &Limits, ip: IpAddr) -> bool {
        let here = self.by_address.get(&ip).copied().unwrap_or_default();
        let shaking = self.by_host.get(&host(ip)).copied().unwrap_or_default();
        let near = self.by_subnet.get(&subnet(ip)).copied().unwrap_or_default();
        self.connections < limits.connections_max
            && self.handshakes < limits.handshakes_max
            && here < limits.connections_per_address_max
            && shaking < limits.handshakes_per_address_max
            && near.connections < limits.connections_per_subnet_max
            && near.handshakes < limits.handshakes_per_subnet_max
    }

    /// An outgoing connection begins.
    pub(crate) fn on_dial(&mut self) {
        self.connections = self.connections.saturating_add(1);
    }

    /// An outgoing connection is gone.
    pub(crate) fn on_dial_gone(&mut self) {
        self.connections = self.connections.saturating_sub(1);
    }

    /// An incoming connection begins with its handshake.
    pub(crate) fn on_accept(&mut self, ip: IpAddr) {
        self.connections = self.connections.saturating_add(1);
        self.handshakes = self.handshakes.saturating_add(1);
        more(&mut self.by_address, ip);
        more(&mut self.by_host, host(ip));
        let near = self.by_subnet.entry(subnet(ip)).or_default();
        near.connections = near.connections.saturating_add(1);
        near.handshakes = near.handshakes.saturating_add(1);
    }

    /// An incoming handshake has ended, well or not.
    pub(crate) fn on_handshake_over(&mut self, ip: IpAddr) {
        self.handshakes = self.handshakes.saturating_sub(1);
        less(&mut self.by_host, host(ip));
        if let Some(near) = self.by_subnet.get_mut(&subnet(ip)) {
            near.handshakes = near.handshakes.saturating_sub(1);
        }
    }

    /// A connection gives its place up: an incoming one with where it came from.
    pub(crate) fn on_over(&mut self, from: Option<IpAddr>) {
        match from {
            Some(ip) => self.on_gone(ip),
            None => self.on_dial_gone(),
        }
    }

    /// An incoming connection is gone; its handshake was over before.
    pub(crate) fn on_gone(&mut self, ip: IpAddr) {
        self.connections = self.connections.saturating_sub(1);
        less(&mut self.by_address, ip);
        let prefix = subnet(ip);
        if let Some(near) = self.by_subnet.get_mut(&prefix) {
            near.connections = near.connections.saturating_sub(1);
            if near.is_zero() {
                self.by_subnet.remove(&prefix);
            }
        }
    }
}

fn more<K: Ord>(counts: &mut BTreeMap<K, u32>, of: K) {
    let count = counts.entry(of).or_default();
    *count = count.saturating_add(1);
}

fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, of: K) {
    if let Some(count) = counts.get_mut(&of) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn each_bound_bites_and_everything_is_given_back() {
        let limits = Limits {
            connections_max: 10,
            connections_per_address_max: 3,
            connections_per_subnet_max: 4,
            handshakes_max: 9,
            handshakes_per_address_max: 2,
            ..Limits::default()
        };
        let mut admission = Admission::default();
        let ip = |n: u8| IpAddr::from([192, 0, 2, n]);
        admission.on_accept(ip(1));
        admission.on_accept(ip(1));
        assert!(!admission.may_accept(&limits, ip(1)), "two handshakes from one address");
        admission.on_handshake_over(ip(1));
        admission.on_accept(ip(1));
        admission.on_handshake_over(ip(1));
        assert!(!admission.may_accept(&limits, ip(1)), "three connections from one address");
        admission.on_accept(ip(2));
        assert!(!admission.may_accept(&limits, ip(3)), "four connections from one subnet");
        assert!(admission.may_accept(&limits, IpAddr::from([198, 51, 100, 1])));
        for _ in 0..6 {
            admission.on_dial();
        }
        assert!(!admission.may_dial(&limits), "ten in all");
        for _ in 0..6 {
            admission.on_dial_gone();
        }
        for n in [1, 1, 1, 2] {
            admission.on_handshake_over(ip(n));
            admission.on_gone(ip(n));
        }
        assert_eq!((admission.connections, admission.handshakes), (0, 0));
        assert!(admission.by_address.is_empty() && admission.by_subnet.is_empty());
        assert!(admission.by_host.is_empty());
    }

    /// Opens half a stream from each address, and tells how many there are in the end.
    fn half_open(limits: &Limits, from: impl Iterator<Item = IpAddr>) -> u32 {
        let mut admission = Admission::default();
        for ip in from {
            if admission.may_accept(limits, ip) {
                admission.on_accept(ip);
            }
        }
        admission.handshakes
    }

    #[test]
    fn no_host_and_no_subnet_holds_all_the_handshakes() {
        for limits in [Limits::small(), Limits::default(), Limits::large()] {
            let (host, near) =
                (limits.handshakes_per_address_max, limits.handshakes_per_subnet_max);
            assert!(host <= near && near * 2 < limits.handshakes_max);
            let many = 0..50_000u128;
            let v6 = |ip: u128| IpAddr::V6(ip.into());
            let base = 0x2001_0db8_u128 << 96;
            assert_eq!(half_open(&limits, many.clone().map(|n| v6(base | n))), host, "one /64");
            assert_eq!(half_open(&limits, many.clone().map(|n| v6(base | n << 64))), near);
            let v4 = many.clone().map(|n| IpAddr::from([192, 0, 2, n as u8]));
            assert_eq!(half_open(&limits, v4), near);
            // On a link every host has an address of its own.
            let link = (1..=u128::from(near)).map(|n| v6(0xfe80_u128 << 112 | n));
            assert_eq!(half_open(&limits, link), near);
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        /// From one of a few addresses in two subnets.
        Accept(u8),
        HandshakeOver(prop::sample::Index),
        Gone(prop::sample::Index),
        Dial,
        DialGone,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (0u8..6).prop_map(Op::Accept),
            2 => any::<prop::sample::Index>().prop_map(Op::HandshakeOver),
            2 => any::<prop::sample::Index>().prop_map(Op::Gone),
            1 => Just(Op::Dial),
            1 => Just(Op::DialGone),
        ];
        prop::collection::vec(op, 0..80)
    }

    proptest! {
        /// Like a list of what is under way that is counted each time.
        #[test]
        fn admits_as_counting_would(ops in ops()) {
            let limits = Limits {
                connections_max: 8,
                connections_per_address_max: 3,
                connections_per_subnet_max: 4,
                handshakes_max: 4,
                handshakes_per_address_max: 2,
                ..Limits::default()
            };
            let ip = |n: u8| IpAddr::from([192, 0, n % 2, n]);
            let mut admission = Admission::default();
            let (mut dials, mut incoming) = (0u32, Vec::<(IpAddr, bool)>::new());
            for op in ops {
                let all = dials as usize + incoming.len();
                let count = |of: &dyn Fn(&(IpAddr, bool)) -> bool| {
                    incoming.iter().filter(|known| of(known)).count()
                };
                match op {
                    Op::Accept(n) => {
                        let from = ip(n);
                        let fits = all < 8
                            && count(&|(_, shaking)| *shaking) < 4
                            && count(&|(known, _)| *known == from) < 3
                            && count(&|(known, shaking)| *known == from && *shaking) < 2
                            && count(&|(known, _)| subnet(*known) == subnet(from)) < 4;
                        prop_assert_eq!(admission.may_accept(&limits, from), fits);
                        if fits {
                            admission.on_accept(from);
                            incoming.push((from, true));
                        }
                    }
                    Op::HandshakeOver(which) if !incoming.is_empty() => {
                        let which = which.index(incoming.len());
                        if core::mem::take(&mut incoming[which].1) {
                            admission.on_handshake_over(incoming[which].0);
                        }
                    }
                    Op::Gone(which) if !incoming.is_empty() => {
                        let (from, shaking) = incoming.swap_remove(which.index(incoming.len()));
                        if shaking {
                            admission.on_handshake_over(from);
                        }
                        admission.on_gone(from);
                    }
                    Op::HandshakeOver(_) | Op::Gone(_) => {}
                    Op::Dial => {
                        prop_assert_eq!(admission.may_dial(&limits), all < 8);
                        if all < 8 {
                            admission.on_dial();
                            dials += 1;
                        }
                    }
                    Op::DialGone if dials > 0 => {
                        admission.on_dial_gone();
                        dials -= 1;
                    }
                    Op::DialGone => {}
                }
            }
            // What nobody uses any more takes no memory.
            let addresses: alloc::collections::BTreeSet<_> = incoming.iter().map(|(ip, _)| ip).collect();
            prop_assert_eq!(admission.by_address.len(), addresses.len());
        }
    }
}
