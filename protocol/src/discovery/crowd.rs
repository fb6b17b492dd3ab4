//! How many hosts there are besides those in the table of neighbours.
//!
//! Cadence depends on the number of hosts. When a thousand start at once, most of them go unchecked at first, and a
//! small table never holds them all; counting only its entries would make everybody too loud.
//!
//! What was not checked may be forged. So it counts by source address, not by key, and only in proportion to what was
//! checked: whoever can invent addresses makes a group a few times as quiet as it should be, and no quieter.

use crate::id::PublicKey;
use alloc::vec::Vec;
use core::net::IpAddr;

/// For each identity that was verified, so many addresses count whose beacons were not.
const UNCHECKED_RATIO_MAX: u32 = 4;

/// Who was heard besides the identities in the table.
#[derive(Debug)]
pub(crate) struct Strangers {
    /// Identities that were verified and didn't get or keep a place in the table.
    homeless: PerBeat,
    /// Addresses of beacons that were not verified, for want of budget.
    unchecked: PerBeat,
}

impl Strangers {
    pub(crate) const fn new() -> Self {
        Self { homeless: PerBeat::EMPTY, unchecked: PerBeat::EMPTY }
    }

    /// A verified identity for which there was no room.
    pub(crate) fn add_homeless(&mut self, key: &PublicKey) {
        let [low, high, ..] = key.0;
        self.homeless.present.add(u16::from_be_bytes([high, low]));
    }

    /// A beacon from `source` was left unchecked.
    pub(crate) fn add_unchecked(&mut self, source: IpAddr) {
        let [.., high, low] = match source {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        self.unchecked.present.add(u16::from_be_bytes([high, low]));
    }

    /// A beat has passed: whoever is still there is heard again in the next one.
    pub(crate) fn next_beat(&mut self) {
        self.homeless.next_beat();
        self.unchecked.next_beat();
    }

    /// How many hosts there seem to be, besides this one, if `verified` are in the table.
    pub(crate) fn with(&self, verified: u32) -> u32 {
        let verified = verified.saturating_add(self.homeless.count());
        let unchecked = self.unchecked.count().min(verified.saturating_mul(UNCHECKED_RATIO_MAX));
        verified.saturating_add(unchecked)
    }
}

/// A set counted over one beat.
#[derive(Debug)]
struct PerBeat {
    present: Sketch,
    /// How many there were in the beat before.
    before: u32,
}

impl PerBeat {
    const EMPTY: Self = Self { present: Sketch::EMPTY, before: 0 };

    fn next_beat(&mut self) {
        self.before = self.present.count;
        self.present = Sketch::EMPTY;
    }

    fn count(&self) -> u32 {
        self.before.max(self.present.count)
    }
}

/// A set that counts its members roughly: each sets one of 4096 bits (linear counting without its correction, so
/// that crowded sets count low). The bits are there from the first member on: most nodes meet no strangers.
#[derive(Clone, Debug)]
struct Sketch {
    bits: Vec<u64>,
    count: u32,
}

impl Sketch {
    const WORDS: usize = 64;
    const EMPTY: Self = Self { bits: Vec::new(), count: 0 };

    fn add(&mut self, member: u16) {
        self.bits.resize(Self::WORDS, 0);
        let bit = 1u64.checked_shl(u32::from(member & 63)).unwrap_or(0);
        if let Some(word) = self.bits.get_mut(usize::from((member >> 6) & 63))
            && *word & bit == 0
        {
            *word |= bit;
            self.count = self.count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Seed};

    #[test]
    fn a_thousand_keys_count_as_about_a_thousand() {
        let mut rng = Rng::new(Seed::from_u64(1), "keys");
        let mut strangers = Strangers::new();
        for _ in 0..1000 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
            strangers.add_homeless(&PublicKey(key));
            strangers.add_homeless(&PublicKey(key));
        }
        let count = strangers.with(0);
        assert!((800..=1000).contains(&count), "{count}");
        strangers.next_beat();
        assert_eq!(strangers.with(7), count + 7);
        strangers.next_beat();
        assert_eq!(strangers.with(0), 0);
    }

    #[test]
    fn what_was_not_checked_counts_by_address_and_in_proportion() {
        let mut strangers = Strangers::new();
        for n in 0..200u8 {
            for _ in 0..10 {
                strangers.add_unchecked([192, 0, 2, n].into());
            }
        }
        assert_eq!([0, 1, 30, 50, 100].map(|seen| strangers.with(seen)), [0, 5, 150, 250, 300]);
    }
}
