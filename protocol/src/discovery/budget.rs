//! How many signatures may be checked: in all, and for one source address.
//!
//! A flood from one address takes an eighth of the budget at most. When the budget runs low, what is heard regularly
//! goes before what isn't, and unknown IPv4 sources go before unknown IPv6 ones, because an attacker on the link can
//! invent IPv6 addresses without end. A forged signature costs twice as much as a good one.

use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

/// One check, in the unit that buckets count in: a flow of one check a second adds one in each nanosecond.
const CHECK: u64 = 1_000_000_000;

/// A token bucket that refills all the time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, now: Instant, per_second: u64, level_max: u64) {
        let nanos = u64::try_from(now.since(self.at).as_nanos()).unwrap_or(u64::MAX);
        self.level = self.level.saturating_add(nanos.saturating_mul(per_second)).min(level_max);
        self.at = self.at.max(now);
    }

    /// Takes one check if more than `reserve` is left afterwards.
    fn take(&mut self, reserve: u64) -> bool {
        match self.level.checked_sub(CHECK) {
            Some(left) if left >= reserve => {
                self.level = left;
                true
            }
            _ => false,
        }
    }
}

/// The budget of signature checks.
#[derive(Debug)]
pub(crate) struct CheckBudget {
    per_second: u64,
    whole: Bucket,
    sources: BTreeMap<IpAddr, Bucket>,
    /// The sources by their last use; the one not used for longest is forgotten first.
    queue: BTreeSet<(Instant, IpAddr)>,
}

/// Where a beacon's claim stands before it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// An identity heard repeatedly, from the address that it is heard from.
    Familiar,
    /// Anything else.
    Stranger,
}

impl CheckBudget {
    /// How many sources are told apart at once.
    const SOURCES_MAX: usize = 1024;

    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        let per_second = u64::from(per_second);
        let whole = Bucket { level: per_second.saturating_mul(CHECK), at: now };
        Self { per_second, whole, sources: BTreeMap::new(), queue: BTreeSet::new() }
    }

    /// A second's worth.
    fn level_max(&self) -> u64 {
        self.per_second.saturating_mul(CHECK)
    }

    /// Whether less than half of a second's worth is left.
    pub(crate) fn is_low(&self) -> bool {
        self.whole.level < self.level_max() >> 1
    }

    /// Takes one check for a beacon from `source`, if there is one for it.
    pub(crate) fn take(&mut self, now: Instant, source: IpAddr, claim: Claim) -> bool {
        let level_max = self.level_max();
        self.whole.refill(now, self.per_second, level_max);
        let reserve = match (claim, source) {
            (Claim::Familiar, _) => 0,
            (Claim::Stranger, IpAddr::V4(_)) => level_max >> 2,
            (Claim::Stranger, IpAddr::V6(_)) => level_max >> 1,
        };
        // With a budget of a few checks a second, the reserves must leave room for one.
        let reserve = reserve.min(level_max.saturating_sub(CHECK));
        if self.whole.level < reserve.saturating_add(CHECK) {
            return false;
        }
        self.of_source(now, source).is_some_and(|bucket| bucket.take(0)) && self.whole.take(reserve)
    }

    /// Charges `source` once more for a signature that was forged.
    pub(crate) fn punish(&mut self, source: IpAddr) {
        self.whole.level = self.whole.level.saturating_sub(CHECK);
        if let Some(bucket) = self.sources.get_mut(&source) {
            bucket.level = bucket.level.saturating_sub(CHECK);
        }
    }

    /// An eighth of the flow and a quarter of the level: several nodes share an address, and start together.
    fn of_source(&mut self, now: Instant, source: IpAddr) -> Option<&mut Bucket> {
        let per_second = (self.per_second >> 3).max(1);
        let level_max = (self.level_max() >> 2).max(CHECK);
        if let Some(bucket) = self.sources.get(&source) {
            self.queue.remove(&(bucket.at, source));
        } else if self.sources.len() >= Self::SOURCES_MAX
            && let Some((_, oldest)) = self.queue.pop_first()
        {
            self.sources.remove(&oldest);
        }
        let bucket = self.sources.entry(source).or_insert(Bucket { level: level_max, at: now });
        bucket.refill(now, per_second, level_max);
        self.queue.insert((bucket.at, source));
        Some(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn v4(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    fn v6(n: u128) -> IpAddr {
        IpAddr::from((0xfe80 << 112 | n).to_be_bytes())
    }

    /// Checks granted while each millisecond brings one try of each source.
    fn granted(
        budget: &mut CheckBudget,
        span_ms: u64,
        claim: Claim,
        source: impl Fn(u64) -> IpAddr,
    ) -> u32 {
        (0..span_ms).map(|ms| u32::from(budget.take(at(ms), source(ms), claim))).sum()
    }

    #[test]
    fn the_whole_is_bounded() {
        let mut budget = CheckBudget::new(at(0), 100);
        let sum: u32 = (0..10_000u64)
            .map(|ms| {
                (0..10)
                    .filter(|n| budget.take(at(ms), v4((ms * 10 + n) as u32), Claim::Stranger))
                    .count() as u32
            })
            .sum();
        assert!((1000..=1100).contains(&sum), "{sum} checks in ten seconds");
        assert!(budget.sources.len() <= CheckBudget::SOURCES_MAX);
        assert_eq!(budget.sources.len(), budget.queue.len());
    }

    #[test]
    fn one_source_has_its_share_and_no_more() {
        let mut budget = CheckBudget::new(at(0), 400);
        let flood = granted(&mut budget, 10_000, Claim::Stranger, |_| v4(1));
        assert!((500..=600).contains(&flood), "{flood}");
        // What is left serves the others at once.
        assert!((0..100).all(|n| budget.take(at(10_000), v4(100 + n), Claim::Stranger)));
    }

    #[test]
    fn a_flood_from_many_sources_leaves_room_for_the_familiar() {
        let mut budget = CheckBudget::new(at(0), 100);
        let mut familiar = 0;
        for ms in 0..10_000u64 {
            for n in 0..20 {
                budget.take(at(ms), v6(u128::from(ms * 20 + n)), Claim::Stranger);
            }
            if ms % 100 == 0 {
                familiar +=
                    u32::from(budget.take(at(ms), v4((ms / 100 % 10) as u32), Claim::Familiar));
            }
        }
        assert_eq!(familiar, 100, "each of ten hosts was heard each second");
    }

    #[test]
    fn invented_ipv6_addresses_do_not_starve_an_ipv4_newcomer() {
        let mut budget = CheckBudget::new(at(0), 100);
        for n in 0..100_000u128 {
            budget.take(at(1000), v6(n), Claim::Stranger);
        }
        assert!(!budget.take(at(1000), v6(100_000), Claim::Stranger));
        assert!(budget.take(at(1000), v4(1), Claim::Stranger));
    }

    #[test]
    fn forgeries_cost_twice() {
        let mut budget = CheckBudget::new(at(0), 100);
        let mut checks = 0;
        for n in 0..100_000u32 {
            if budget.take(at(u64::from(n / 10)), v4(n), Claim::Stranger) {
                budget.punish(v4(n));
                checks += 1;
            }
        }
        assert!((500..=550).contains(&checks), "{checks} checks of forgeries in ten seconds");
    }

    #[test]
    fn the_smallest_budget_still_serves_everyone() {
        let mut budget = CheckBudget::new(at(0), 1);
        for (second, source) in [(0, v4(1)), (1, v6(1)), (2, v4(2))] {
            assert!(budget.take(at(second * 1000), source, Claim::Stranger), "{source}");
            assert!(!budget.take(at(second * 1000), v4(9), Claim::Stranger));
        }
    }
}
