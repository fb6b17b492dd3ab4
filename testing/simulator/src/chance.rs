//! Chance and fingerprints.

use p2pnet_protocol::{Rng, Seed};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A 64-bit mix of two words: quick and well spread, without any claim to security.
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let product = ((a ^ GOLDEN) as u128).wrapping_mul((b ^ GOLDEN.rotate_left(32)) as u128 | 1);
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded.wrapping_add(a.rotate_left(17)) ^ b.rotate_left(41)
}

/// A stream of chance. Each datagram draws from it for each host that may hear it, so it keeps numbers ahead, which
/// [`Rng`] doesn't.
#[derive(Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, or 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// Whether something happens that happens `ppm` times of a million.
pub(crate) fn happens(chance: &mut Chance, ppm: u32) -> bool {
    ppm > 0 && chance.below(1_000_000) < u64::from(ppm)
}

/// The stream of chance for one purpose of a run.
pub(crate) fn rng(seed: u64, purpose: &str) -> Chance {
    let mut rng = Rng::new(Seed::from_u64(seed), purpose);
    let mut key = [0; 32];
    key.chunks_mut(8).for_each(|word| word.copy_from_slice(&rng.next_u64().to_le_bytes()));
    Chance(ChaCha8Rng::from_seed(key))
}

/// The fingerprint of a whole history: equal runs have equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceHash(u64, u64);

impl TraceHash {
    pub(crate) const fn new() -> Self {
        Self(GOLDEN, 0)
    }

    pub(crate) const fn word(&mut self, word: u64) {
        self.0 = mix(self.0, word);
        self.1 = self.1.wrapping_add(self.0).rotate_left(23);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }

    /// 32 hex digits.
    pub(crate) fn finish(mut self) -> String {
        self.word(0);
        format!("{:016x}{:016x}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_history_counts() {
        let of = |bytes: &[u8]| {
            let mut hash = TraceHash::new();
            hash.bytes(bytes);
            hash.finish()
        };
        let whole = [7_u8; 21];
        for bit in 0..whole.len() * 8 {
            let mut other = whole;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of(&whole), of(&other), "bit {bit}");
        }
        assert_ne!(of(&[0; 8]), of(&[0; 9]));
    }
}
