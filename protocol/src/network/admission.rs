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

/// Counters of what is under way. A closing connection still counts until it is gone.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    by_address: BTreeMap<IpAddr, Count>,
    by_subnet: BTreeMap<IpPrefix, u32>,
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
        let near = self.by_subnet.get(&subnet(ip)).copied().unwrap_or_default();
        self.connections < limits.connections_max
            && self.handshakes < limits.handshakes_max
            && here.connections < limits.connections_per_address_max
            && here.handshakes < limits.handshakes_per_address_max
            && near < limits.connections_per_subnet_max
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
        let here = self.by_address.entry(ip).or_default();
        here.connections = here.connections.saturating_add(1);
        here.handshakes = here.handshakes.saturating_add(1);
        let near = self.by_subnet.entry(subnet(ip)).or_default();
        *near = near.saturating_add(1);
    }

    /// An incoming handshake has ended, well or not.
    pub(crate) fn on_handshake_over(&mut self, ip: IpAddr) {
        self.handshakes = self.handshakes.saturating_sub(1);
        if let Some(here) = self.by_address.get_mut(&ip) {
            here.handshakes = here.handshakes.saturating_sub(1);
        }
    }

    /// An incoming connection is gone; its handshake was over before.
    pub(crate) fn on_gone(&mut self, ip: IpAddr) {
        self.connections = self.connections.saturating_sub(1);
        if let Some(here) = self.by_address.get_mut(&ip) {
            here.connections = here.connections.saturating_sub(1);
            if here.connections == 0 {
                self.by_address.remove(&ip);
            }
        }
        let prefix = subnet(ip);
        if let Some(near) = self.by_subnet.get_mut(&prefix) {
            *near = near.saturating_sub(1);
            if *near == 0 {
                self.by_subnet.remove(&prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
