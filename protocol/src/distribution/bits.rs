//! A set of chunks of one file.

use alloc::vec;
use alloc::vec::Vec;

/// Which chunks, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u32,
    ones: u32,
}

impl Bits {
    /// None of so many.
    pub(crate) fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len, ones: 0 }
    }

    /// Those whose bits are set in `bytes`, from the lowest bit of the first byte on. What isn't there isn't set.
    pub(crate) fn from_bytes(len: u32, bytes: &[u8]) -> Self {
        let mut this = Self::new(len);
        for (at, byte) in (0u32..).step_by(8).zip(bytes) {
            for bit in (0..8).filter(|bit| byte & (1 << bit) != 0) {
                this.insert(at.saturating_add(bit));
            }
        }
        this
    }

    fn place(&self, at: u32) -> Option<(usize, u64)> {
        (at < self.len).then(|| ((at / 64) as usize, 1 << (at % 64)))
    }

    pub(crate) fn has(&self, at: u32) -> bool {
        let word = |(word, bit): (usize, u64)| self.words.get(word).is_some_and(|w| w & bit != 0);
        self.place(at).is_some_and(word)
    }

    /// Whether it is new.
    pub(crate) fn insert(&mut self, at: u32) -> bool {
        let Some((word, bit)) = self.place(at) else { return false };
        let Some(word) = self.words.get_mut(word).filter(|word| **word & bit == 0) else {
            return false;
        };
        *word |= bit;
        self.ones = self.ones.saturating_add(1);
        true
    }

    pub(crate) fn remove(&mut self, at: u32) {
        let Some((word, bit)) = self.place(at) else { return };
        if let Some(word) = self.words.get_mut(word).filter(|word| **word & bit != 0) {
            *word &= !bit;
            self.ones = self.ones.saturating_sub(1);
        }
    }

    pub(crate) const fn count(&self) -> u32 {
        self.ones
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// The first that isn't there, from `from` on.
    pub(crate) fn first_gap(&self, from: u32) -> Option<u32> {
        let mut at = from;
        while at < self.len {
            let word = self.words.get((at / 64) as usize).copied().unwrap_or(u64::MAX);
            let gaps = !word & (u64::MAX << (at % 64));
            let start = at & !63;
            if gaps != 0 {
                let found = start.saturating_add(gaps.trailing_zeros());
                return (found < self.len).then_some(found);
            }
            at = start.saturating_add(64);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_by_another_name(
            len in 0..300u32,
            ops in prop::collection::vec((any::<bool>(), 0..320u32), 0..200),
            from in 0..320u32,
        ) {
            let (mut bits, mut set) = (Bits::new(len), BTreeSet::new());
            for (add, at) in ops {
                if add {
                    prop_assert_eq!(bits.insert(at), at < len && set.insert(at));
                } else {
                    bits.remove(at);
                    set.remove(&at);
                }
            }
            prop_assert_eq!(bits.count() as usize, set.len());
            prop_assert_eq!(bits.is_full(), set.len() == len as usize);
            prop_assert_eq!(bits.first_gap(from), (from..len).find(|at| !set.contains(at)));
            prop_assert!((0..320).all(|at| bits.has(at) == set.contains(&at)));
            let bytes: Vec<u8> = (0..40u32)
                .map(|byte| (0..8).filter(|bit| set.contains(&(byte * 8 + bit))).map(|b| 1 << b).sum())
                .collect();
            prop_assert_eq!(Bits::from_bytes(len, &bytes), bits);
        }
    }
}
