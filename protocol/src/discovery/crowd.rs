//! How many strangers were heard whose beacons the budget didn't let us check.
//!
//! Cadence depends on the number of hosts. When a thousand start at once, most of them go unchecked at first, and
//! counting only the checked ones would make everybody too loud.

use crate::id::PublicKey;

/// A set of keys that counts its members roughly: each key sets one of 4096 bits (linear counting without its
/// correction, so that crowded sets count low).
#[derive(Clone, Debug)]
pub(crate) struct Strangers {
    bits: [u64; Self::WORDS],
    count: u32,
}

impl Strangers {
    const WORDS: usize = 64;

    pub(crate) const fn new() -> Self {
        Self { bits: [0; Self::WORDS], count: 0 }
    }

    pub(crate) fn add(&mut self, key: &PublicKey) {
        let [word, bit, ..] = key.0;
        let bit = 1u64.checked_shl(u32::from(bit & 63)).unwrap_or(0);
        if let Some(word) = self.bits.get_mut(usize::from(word & 63))
            && *word & bit == 0
        {
            *word |= bit;
            self.count = self.count.saturating_add(1);
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
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
            strangers.add(&PublicKey(key));
            strangers.add(&PublicKey(key));
        }
        assert!((800..=1000).contains(&strangers.count()), "{}", strangers.count());
    }
}
