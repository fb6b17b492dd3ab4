//! What each /48 gets, and what it said.

use super::pace::BURST;
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;

/// What counts as one network: what providers usually give to a customer at most.
pub(super) const LENGTH: u8 = 48;

/// The slowest that a network that prohibits probes is asked, before it is left alone.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// The networks that got a probe lately, or complained.
#[derive(Debug)]
pub(super) struct Networks {
    known: BTreeMap<u64, Network>,
    interval: Duration,
    known_max: usize,
    swept: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    /// When it may get its next probe.
    next: Instant,
    interval: Duration,
    prohibitions: u32,
}

/// The upper 48 bits.
fn key(address: u128) -> u64 {
    (address >> 80) as u64
}

impl Networks {
    pub(super) fn new(rate: u32, known_max: usize) -> Self {
        let interval = Duration::from_nanos(1_000_000_000u64.div_ceil(u64::from(rate.max(1))));
        Self { known: BTreeMap::new(), interval, known_max: known_max.max(1), swept: Instant::ZERO }
    }

    /// When `address` may be probed: none if it may be now.
    pub(super) fn ready_at(&self, address: u128, now: Instant) -> Option<Instant> {
        let network = self.known.get(&key(address))?;
        // Where several probes fall into one burst, the network's may, too.
        let early = if network.interval < BURST { BURST } else { Duration::ZERO };
        Some(network.next).filter(|next| *next > now + early)
    }

    /// A probe goes to `address`.
    pub(super) fn sent(&mut self, address: u128, now: Instant) {
        let network = self.entry(address, now);
        network.next = network.next.max(now) + network.interval;
    }

    /// A network said that probes are prohibited: it gets half as many. Gives how often it said so.
    pub(super) fn prohibited(&mut self, address: u128, now: Instant) -> u32 {
        let network = self.entry(address, now);
        network.prohibitions = network.prohibitions.saturating_add(1);
        network.interval = network.interval.saturating_mul(2).min(INTERVAL_MAX);
        network.next = network.next.max(now + network.interval);
        network.prohibitions
    }

    fn entry(&mut self, address: u128, now: Instant) -> &mut Network {
        let key = key(address);
        if self.known.len() >= self.known_max && !self.known.contains_key(&key) {
            self.make_room(now);
        }
        let interval = self.interval;
        self.known.entry(key).or_insert(Network { next: now, interval, prohibitions: 0 })
    }

    /// Forgets those that may get a probe again and never complained; if there is none, one of the others.
    fn make_room(&mut self, now: Instant) {
        // All are looked through only when those of the last time may have become free.
        if now.since(self.swept) >= self.interval || self.swept == Instant::ZERO {
            self.swept = now.max(Instant::from_nanos(1));
            self.known.retain(|_, network| network.next > now || network.prohibitions > 0);
        }
        if self.known.len() >= self.known_max {
            self.known.pop_first();
        }
    }
}
