//! Where dials go that nobody asked for, and how many of them come to nothing there.
//!
//! A beacon's source address can be forged by whoever is on the link, under as many identities as they like. So dials
//! that beacons cause are counted by the address that they go to, whoever they are for. Where a dial reaches the identity
//! that it was for, nothing counts any more: an address with many nodes is dialled for all of them.

use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use core::net::IpAddr;

/// How many dials to one address may be under way or have failed of late.
const BURST: u32 = 16;
/// A dial that failed is forgotten after so long.
const COST: Duration = Duration::from_secs(10);

/// A bucket for each address that was dialled of late.
#[derive(Debug)]
pub(crate) struct Targets {
    /// When the dials of an address will be forgotten, all of them.
    clear_at: BTreeMap<IpAddr, Instant>,
    targets_max: usize,
}

impl Targets {
    pub(crate) const fn new(targets_max: u32) -> Self {
        Self { clear_at: BTreeMap::new(), targets_max: targets_max as usize }
    }

    /// Whether `to` may be dialled once more; if so, that counts.
    pub(crate) fn take(&mut self, now: Instant, to: IpAddr) -> bool {
        let clear_at = self.clear_at.get(&to).map_or(now, |at| (*at).max(now));
        if clear_at.since(now) > COST.saturating_mul(BURST.saturating_sub(1)) {
            return false;
        }
        if !self.clear_at.contains_key(&to) && self.clear_at.len() >= self.targets_max {
            self.make_room(now);
        }
        self.clear_at.insert(to, clear_at + COST);
        true
    }

    /// A dial to `to` has reached whom it was for.
    pub(crate) fn on_met(&mut self, to: IpAddr) {
        self.clear_at.remove(&to);
    }

    /// Forgets what is clear, or else the address that will be soonest.
    fn make_room(&mut self, now: Instant) {
        self.clear_at.retain(|_, at| *at > now);
        if self.clear_at.len() >= self.targets_max {
            let soonest = self.clear_at.iter().min_by_key(|(_, at)| **at).map(|(to, _)| *to);
            soonest.and_then(|to| self.clear_at.remove(&to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn ip(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    /// How many of a hundred dials at once are let through.
    fn burst(targets: &mut Targets, seconds: u64, to: IpAddr) -> usize {
        (0..100).filter(|_| targets.take(at(seconds), to)).count()
    }

    #[test]
    fn dials_that_come_to_nothing_are_few_and_each_address_has_its_own() {
        let mut targets = Targets::new(100);
        assert_eq!(burst(&mut targets, 0, ip(1)), 16);
        assert_eq!(burst(&mut targets, 0, ip(2)), 16);
        assert_eq!(burst(&mut targets, 9, ip(1)), 0);
        assert_eq!(burst(&mut targets, 10, ip(1)), 1);
        assert_eq!(burst(&mut targets, 60, ip(1)), 5);
        assert_eq!(burst(&mut targets, 10_000, ip(1)), 16);
    }

    #[test]
    fn an_address_where_a_peer_was_met_is_clear() {
        let mut targets = Targets::new(100);
        for n in 0..1000 {
            assert!(targets.take(at(1), ip(1)), "{n}");
            targets.on_met(ip(1));
        }
        assert!(targets.clear_at.is_empty());
    }

    #[test]
    fn the_addresses_have_a_bound() {
        let mut targets = Targets::new(4);
        burst(&mut targets, 0, ip(1));
        for n in 2..100 {
            assert!(targets.take(at(0), ip(n)));
            assert!(targets.clear_at.len() <= 4);
        }
        assert!(!targets.take(at(0), ip(1)), "who owes most is kept");
    }
}
