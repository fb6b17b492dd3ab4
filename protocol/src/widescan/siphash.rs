//! SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed tag for short inputs, many times a second.

/// The tag of `parts`, one after another, under `key`.
pub(super) fn siphash(key: &[u8; 16], parts: &[&[u8]]) -> u64 {
    let (low, high) = halves(key);
    let mut state = State {
        v0: low ^ 0x736f_6d65_7073_6575,
        v1: high ^ 0x646f_7261_6e64_6f6d,
        v2: low ^ 0x6c79_6765_6e65_7261,
        v3: high ^ 0x7465_6462_7974_6573,
    };
    // Bytes that don't make a word yet, the number of all so far in the highest eight bits.
    let (mut word, mut held, mut count) = (0u64, 0u32, 0u8);
    for byte in parts.iter().flat_map(|part| part.iter()) {
        word |= u64::from(*byte).wrapping_shl(held.wrapping_mul(8));
        held = held.wrapping_add(1);
        count = count.wrapping_add(1);
        if held == 8 {
            state.take(word);
            (word, held) = (0, 0);
        }
    }
    state.take(word | u64::from(count) << 56);
    state.v2 ^= 0xff;
    (0..4).for_each(|_| state.round());
    state.v0 ^ state.v1 ^ state.v2 ^ state.v3
}

fn halves(key: &[u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*key);
    (whole as u64, (whole >> 64) as u64)
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn take(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper's appendix, and two of its reference implementation's vectors.
    #[test]
    fn vectors() {
        let key: [u8; 16] = core::array::from_fn(|n| n as u8);
        let input: [u8; 15] = core::array::from_fn(|n| n as u8);
        assert_eq!(siphash(&key, &[&input]), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(&key, &[&input[..4], &[], &input[4..]]), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash(&key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(&key, &[&input[..8]]), 0x93f5_f579_9a93_2462);
    }
}
