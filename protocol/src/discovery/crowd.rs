//! How many hosts there are besides those in the table of neighbours.
//!
//! Cadence depends on the number of hosts. When a thousand start at once, most of them go unchecked at first, and a
//! small table never holds them all; counting only its entries would make everybody too loud.

use crate::id::PublicKey;

/// The keys that were heard and didn't get or keep a place in the table, counted over one beat.
#[derive(Debug)]
pub(crate) struct Strangers {
    present: Sketch,
    /// How many there were in the beat before.
    before: u32,
}

impl Strangers {
    pub(crate) const fn new() -> Self {
        Self { present: Sketch::EMPTY, before: 0 }
    }

    pub(crate) fn add(&mut self, key: &PublicKey) {
        self.present.add(key);
    }

    /// A beat has passed: whoever is still there is heard again in the next one.
    pub(crate) fn next_beat(&mut self) {
        self.before = self.present.count;
        self.present = Sketch::EMPTY;
    }

    pub(crate) fn count(&self) -> u32 {
        self.before.max(self.present.count)
    }
}

/// A set that counts its members roughly: each key sets one of 4096 bits (linear counting without its correction, so
/// that crowded sets count low).
#[derive(Clone, Debug)]
struct Sketch {
    bits: [u64; Self::WORDS],
    count: u32,
}

impl Sketch {
    const WORDS: usize = 64;
    const EMPTY: Self = Self { bits: [0; Self::WORDS], count: 0 };

    fn add(&mut self, key: &PublicKey) {
        let [word, bit, ..] = key.0;
        let bit = 1u64.checked_shl(u32::from(bit & 63)).unwrap_or(0);
        if let Some(word) = self.bits.get_mut(usize::from(word & 63))
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
            strangers.add(&PublicKey(key));
            strangers.add(&PublicKey(key));
        }
        let count = strangers.count();
        assert!((800..=1000).contains(&count), "{count}");
        strangers.next_beat();
        assert_eq!(strangers.count(), count);
        strangers.next_beat();
        assert_eq!(strangers.count(), 0);
    }
}
