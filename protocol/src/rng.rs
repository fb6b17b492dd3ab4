//! Deterministic randomness: one required seed, one stream for each part.
//!
//! Streams are split by label, so that one more draw in one part leaves every other part's draws as they were, and old
//! recordings stay replayable. Nothing here may become key material: that comes from [`Crypto`](crate::Crypto).

use crate::time::Duration;
use core::fmt;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// The seed of a node. Equal seeds and equal inputs give equal outputs, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// The seed of a simulation's `n`-th node.
    pub fn from_u64(n: u64) -> Self {
        let mut seed = [0; 32];
        if let Some(head) = seed.first_chunk_mut() {
            *head = n.to_le_bytes();
        }
        Self(seed)
    }
}

/// One labelled stream of random numbers (ChaCha8).
///
/// It keeps no block of them ahead, which would be 256 bytes for each of a node's streams: few numbers are drawn, and
/// each costs some hundred nanoseconds.
#[derive(Clone)]
pub struct Rng {
    key: [u8; 32],
    /// How many numbers were drawn.
    drawn: u64,
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rng").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

impl Rng {
    /// The stream `label` of `seed`.
    pub fn new(seed: Seed, label: &str) -> Self {
        let key = Sha256::new().chain_update(seed.0).chain_update(label.as_bytes()).finalize();
        Self { key: key.into(), drawn: 0 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let mut stream = ChaCha8Rng::from_seed(self.key);
        stream.set_word_pos(u128::from(self.drawn).saturating_mul(2));
        self.drawn = self.drawn.saturating_add(1);
        stream.next_u64()
    }

    /// A number below `bound`, or 0 if `bound` is 0. The bias is below 2⁻³² for bounds below 2³².
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()).wrapping_mul(u128::from(bound));
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A duration spread evenly over `[span - span × percent / 100, span + span × percent / 100]`.
    pub fn jitter(&mut self, span: Duration, percent: u32) -> Duration {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let reach = nanos.checked_div(100).unwrap_or(0).saturating_mul(u64::from(percent.min(100)));
        let drawn = self.below(reach.saturating_mul(2).saturating_add(1));
        Duration::from_nanos(nanos.saturating_sub(reach).saturating_add(drawn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator's output is part of the format of recordings: a change of these numbers breaks old ones.
    #[test]
    fn the_generator_is_pinned() {
        let mut rng = Rng::new(Seed::from_u64(1), "golden");
        let drawn = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(drawn, GOLDEN);
    }

    #[test]
    fn the_numbers_are_those_of_one_long_stream() {
        let mut rng = Rng::new(Seed::from_u64(1), "golden");
        let mut stream = ChaCha8Rng::from_seed(rng.key);
        for n in 0..200 {
            assert_eq!(rng.next_u64(), stream.next_u64(), "number {n}");
        }
    }
    const GOLDEN: [u64; 3] =
        [6_890_092_249_843_158_037, 15_514_698_772_376_470_268, 397_793_828_806_041_469];

    #[test]
    fn labels_split_streams() {
        let seed = Seed::from_u64(7);
        assert_ne!(Rng::new(seed, "a").next_u64(), Rng::new(seed, "b").next_u64());
    }

    #[test]
    fn jitter_stays_in_its_span() {
        let mut rng = Rng::new(Seed::from_u64(3), "jitter");
        for _ in 0..1000 {
            let drawn = rng.jitter(Duration::from_secs(10), 20);
            assert!(
                (Duration::from_secs(8)..=Duration::from_secs(12)).contains(&drawn),
                "{drawn:?}"
            );
        }
        assert_eq!(rng.jitter(Duration::ZERO, 50), Duration::ZERO);
    }

    #[test]
    fn below_is_below() {
        let mut rng = Rng::new(Seed::from_u64(4), "below");
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        assert!((0..1000).all(|_| rng.below(7) < 7));
    }
}
