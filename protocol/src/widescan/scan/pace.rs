//! How fast probes go out.

use crate::time::{Duration, Instant};

/// How fast probes go out: exact over any time, in bursts of a millisecond's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// What was asked for.
    rate_max: u32,
    /// What it is at present.
    rate: u32,
    /// What may go out: 10⁹ for each probe.
    credit: u64,
    counted: Instant,
    /// When the rate last changed by itself.
    changed: Instant,
}

const PROBE_COST: u64 = 1_000_000_000;

/// Nothing wakes up more often to send.
pub(super) const BURST: Duration = Duration::from_millis(1);

/// After so long without trouble the rate grows again by a sixteenth of what was asked for, and no sooner after one change than
/// this comes the next.
const CALM: Duration = Duration::from_secs(1);

impl Pace {
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let rate = rate.max(1);
        // The first probe goes out at once.
        Self { rate_max: rate, rate, credit: PROBE_COST, counted: now, changed: now }
    }

    pub(super) fn count(&mut self, now: Instant) {
        let nanos = u64::try_from(now.since(self.counted).as_nanos()).unwrap_or(u64::MAX);
        self.counted = self.counted.max(now);
        let grown = nanos.saturating_mul(self.rate.into());
        // Who slept doesn't catch up: two bursts at most, and never less than one probe.
        self.credit = self.credit.saturating_add(grown).min(self.burst().saturating_mul(2));
        if self.rate < self.rate_max && now.since(self.changed) >= CALM {
            self.changed = now;
            self.rate = self.rate.saturating_add(self.rate_max.div_ceil(16)).min(self.rate_max);
        }
    }

    /// What one burst costs.
    fn burst(&self) -> u64 {
        let probes = u64::from(self.rate).div_ceil(1000);
        probes.saturating_mul(PROBE_COST)
    }

    pub(super) fn take(&mut self) {
        self.credit = self.credit.saturating_sub(PROBE_COST);
    }

    pub(super) fn has_probe(&self) -> bool {
        self.credit >= PROBE_COST
    }

    /// When the next burst may go out.
    pub(super) fn next(&self) -> Instant {
        let short = self.burst().saturating_sub(self.credit);
        let nanos = short.div_ceil(u64::from(self.rate).max(1));
        (self.counted + Duration::from_nanos(nanos)).max(self.counted + Duration::from_nanos(1))
    }

    pub(super) fn slower(&mut self, now: Instant) {
        if now.since(self.changed) >= CALM || self.rate == self.rate_max {
            self.changed = now;
            self.rate = (self.rate / 2).max(1);
        }
    }

    /// What it is at present.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Another rate from now on.
    pub(super) fn set(&mut self, rate: u32, now: Instant) {
        self.count(now);
        self.rate_max = rate.max(1);
        self.rate = self.rate_max;
        self.credit = self.credit.min(self.burst());
    }

    /// After a pause: the time of it counts for nothing.
    pub(super) fn restart(&mut self, now: Instant) {
        self.counted = self.counted.max(now);
    }
}
