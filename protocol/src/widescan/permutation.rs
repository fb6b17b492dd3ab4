//! "perm v1": the order in which a scan visits the indices of its space.
//!
//! A Feistel network with eight half rounds of one multiplication each: a bijection on `0..N` for any `N` up to 2¹²⁸, with
//! its inverse, and no memory of what was visited. Powers of two have halves of bits, joined by exclusive or; any other `N`
//! has halves of digits `a · b ≥ N`, joined by addition, and the few values beyond `N` go round again (Black and Rogaway,
//! "Ciphers with Arbitrary Finite Domains", 2002). `docs/widescan.md` specifies it, `tests/vectors/perm-v1.txt` pins it.
//!
//! It hides nothing: whoever sees some targets may compute others. It spreads probes, that is all.

mod lanes;

use super::range::low_bits;
use crate::hash::sha256;
use core::num::{NonZeroU32, NonZeroU64, NonZeroU128};

/// Half rounds.
const ROUNDS: usize = 8;

/// The multiplier of a half round on 32 bits.
const MULTIPLIER: u32 = 0x846c_a68b;

/// The multiplier of a half round on 64 bits, for spaces beyond 32-bit halves.
const MULTIPLIER_WIDE: u64 = 0xd6e8_feb8_6659_fd93;

/// The largest size that isn't a power of two and still has halves of 32 bits.
const NARROW_MAX: u128 = 1 << 62;

/// What a permutation is for: each purpose has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The order of a whole space.
    Whole = 0,
    /// The order within each prefix.
    Within = 1,
    /// The order of prefixes among each other.
    Among = 2,
}

/// Round keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    narrow: [u32; ROUNDS],
    wide: [u64; ROUNDS],
}

impl Keys {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let block = |number: u8| {
            sha256(&[b"p2pnet widescan perm v1", &seed.to_le_bytes(), &[purpose as u8, number]])
        };
        let (first, second) = (block(0), block(1));
        let mut keys = Self { narrow: [0; ROUNDS], wide: [0; ROUNDS] };
        let words = first.as_chunks().0;
        keys.narrow.iter_mut().zip(words).for_each(|(key, word)| *key = u32::from_le_bytes(*word));
        let words = first.as_chunks().0.iter().chain(second.as_chunks().0);
        keys.wide.iter_mut().zip(words).for_each(|(key, word)| *key = u64::from_le_bytes(*word));
        keys
    }

    /// Other keys for another member of a family: `tweak` is turned by four bits for each round.
    #[inline]
    fn tweaked(&self, tweak: u32) -> [u32; ROUNDS] {
        let mut keys = self.narrow;
        for (round, key) in keys.iter_mut().enumerate() {
            *key ^= turned(tweak, round);
        }
        keys
    }

    #[inline]
    fn tweaked_wide(&self, tweak: u32) -> [u64; ROUNDS] {
        let mut keys = self.wide;
        for (round, key) in keys.iter_mut().enumerate() {
            let tweak = u64::from(turned(tweak, round));
            *key ^= tweak | tweak << 32;
        }
        keys
    }
}

#[inline]
fn turned(tweak: u32, round: usize) -> u32 {
    // Eight rounds, so nothing is cut.
    tweak.rotate_left((round as u32).wrapping_mul(4))
}

#[inline]
fn half_round(half: u32, key: u32) -> u32 {
    let product = (half ^ key).wrapping_mul(MULTIPLIER);
    product ^ product >> 16
}

#[inline]
fn half_round_wide(half: u64, key: u64) -> u64 {
    let product = (half ^ key).wrapping_mul(MULTIPLIER_WIDE);
    product ^ product >> 32
}

/// What a size needs computed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Geometry {
    /// One index.
    One,
    /// 2ⁿ, n ≤ 64: the masks of both halves, and the width of the lower one.
    Bits { left: u32, right: u32, right_bits: u32 },
    /// Any other N ≤ 2⁶².
    Digits(Digits),
    /// 2ⁿ, n > 64.
    BitsWide { left: u64, right: u64, right_bits: u32 },
    /// Any other N.
    DigitsWide(DigitsWide),
}

/// `a · b ≥ N`, and N − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    a: u32,
    b: NonZeroU32,
    last: u64,
}

/// The same, where a half may need 64 bits and its radix 65.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DigitsWide {
    a: u128,
    b: NonZeroU128,
    last: u128,
}

impl Geometry {
    /// The geometry of the space `0..=last`.
    pub(super) fn new(last: u128) -> Self {
        let bits = 128u32.wrapping_sub(last.leading_zeros());
        if last == 0 {
            Self::One
        } else if last == low_bits(bits) {
            Self::of_bits(bits)
        } else if last < NARROW_MAX {
            Self::of_digits(last)
        } else {
            Self::of_digits_wide(last)
        }
    }

    fn of_bits(bits: u32) -> Self {
        let right_bits = bits >> 1;
        let (left, right) = (low_bits(bits.wrapping_sub(right_bits)), low_bits(right_bits));
        if bits <= 64 {
            // Each half has at most 32 bits, below at most 64.
            Self::Bits { left: left as u32, right: right as u32, right_bits }
        } else {
            Self::BitsWide { left: left as u64, right: right as u64, right_bits }
        }
    }

    /// The factors of `last + 1`, which isn't a power of two: a = ⌈√N⌉, b = ⌈N / a⌉.
    fn factors(last: u128) -> (u128, NonZeroU128) {
        let a = last.isqrt().wrapping_add(1);
        let divisor = NonZeroU128::new(a).unwrap_or(NonZeroU128::MIN);
        // ⌈N / a⌉ = ⌊(N − 1) / a⌋ + 1.
        let b = (last / divisor).wrapping_add(1);
        (a, NonZeroU128::new(b).unwrap_or(NonZeroU128::MIN))
    }

    fn of_digits(last: u128) -> Self {
        let (a, b) = Self::factors(last);
        // N ≤ 2⁶², so both have at most 32 bits.
        let b = NonZeroU32::new(b.get() as u32).unwrap_or(NonZeroU32::MIN);
        Self::Digits(Digits { a: a as u32, b, last: last as u64 })
    }

    fn of_digits_wide(last: u128) -> Self {
        let (a, b) = Self::factors(last);
        Self::DigitsWide(DigitsWide { a, b, last })
    }

    /// Where `index` goes; `index` must be in the space.
    #[inline]
    pub(super) fn forward(&self, keys: &Keys, tweak: u32, index: u128) -> u128 {
        match self {
            Self::One => index,
            Self::Bits { left, right, right_bits } => u128::from(bits_forward(
                &keys.tweaked(tweak),
                *left,
                *right,
                *right_bits,
                index as u64,
            )),
            Self::Digits(digits) => u128::from(digits.forward(&keys.tweaked(tweak), index as u64)),
            Self::BitsWide { left, right, right_bits } => {
                wide_forward(&keys.tweaked_wide(tweak), *left, *right, *right_bits, index)
            }
            Self::DigitsWide(digits) => digits.forward(&keys.tweaked_wide(tweak), index),
        }
    }

    /// Where `value` came from; `value` must be in the space.
    pub(super) fn backward(&self, keys: &Keys, tweak: u32, value: u128) -> u128 {
        match self {
            Self::One => value,
            Self::Bits { left, right, right_bits } => {
                let keys = keys.tweaked(tweak);
                let (mut l, mut r) = halves(value as u64, *right_bits);
                for (even, odd) in pairs(&keys).rev() {
                    r ^= half_round(l, odd) & right;
                    l ^= half_round(r, even) & left;
                }
                u128::from(joined(l, r, *right_bits))
            }
            Self::Digits(digits) => u128::from(digits.backward(&keys.tweaked(tweak), value as u64)),
            Self::BitsWide { left, right, right_bits } => {
                let keys = keys.tweaked_wide(tweak);
                let (mut l, mut r) = halves_wide(value, *right_bits);
                for (even, odd) in pairs(&keys).rev() {
                    r ^= half_round_wide(l, odd) & right;
                    l ^= half_round_wide(r, even) & left;
                }
                joined_wide(l, r, *right_bits)
            }
            Self::DigitsWide(digits) => digits.backward(&keys.tweaked_wide(tweak), value),
        }
    }
}

/// The keys of an even half round and of the odd one after it.
#[inline]
fn pairs<T: Copy>(keys: &[T; ROUNDS]) -> impl DoubleEndedIterator<Item = (T, T)> {
    keys.as_chunks().0.iter().map(|[even, odd]| (*even, *odd))
}

#[inline]
fn halves(value: u64, right_bits: u32) -> (u32, u32) {
    // The lower half is masked by the first half rounds' results alone: what is above it must go here.
    let right = value & !u64::MAX.wrapping_shl(right_bits);
    (value.wrapping_shr(right_bits) as u32, right as u32)
}

#[inline]
fn joined(left: u32, right: u32, right_bits: u32) -> u64 {
    u64::from(left).wrapping_shl(right_bits) | u64::from(right)
}

#[inline]
fn halves_wide(value: u128, right_bits: u32) -> (u64, u64) {
    (value.wrapping_shr(right_bits) as u64, (value & low_bits(right_bits)) as u64)
}

#[inline]
fn joined_wide(left: u64, right: u64, right_bits: u32) -> u128 {
    u128::from(left).wrapping_shl(right_bits) | u128::from(right)
}

#[inline]
fn bits_forward(keys: &[u32; ROUNDS], left: u32, right: u32, right_bits: u32, index: u64) -> u64 {
    let (mut l, mut r) = halves(index, right_bits);
    for (even, odd) in pairs(keys) {
        l ^= half_round(r, even) & left;
        r ^= half_round(l, odd) & right;
    }
    joined(l, r, right_bits)
}

fn wide_forward(keys: &[u64; ROUNDS], left: u64, right: u64, right_bits: u32, index: u128) -> u128 {
    let (mut l, mut r) = halves_wide(index, right_bits);
    for (even, odd) in pairs(keys) {
        l ^= half_round_wide(r, even) & left;
        r ^= half_round_wide(l, odd) & right;
    }
    joined_wide(l, r, right_bits)
}

/// `x + y mod radix`, for both below `radix` ≤ 2³¹ + 1.
#[inline]
fn add(x: u32, y: u32, radix: u32) -> u32 {
    let sum = x.wrapping_add(y);
    sum.min(sum.wrapping_sub(radix))
}

#[inline]
fn subtract(x: u32, y: u32, radix: u32) -> u32 {
    let difference = x.wrapping_sub(y);
    difference.min(difference.wrapping_add(radix))
}

/// A number below `radix` from 32 bits.
#[inline]
fn reduce(bits: u32, radix: u32) -> u32 {
    (u64::from(bits).wrapping_mul(u64::from(radix)) >> 32) as u32
}

impl Digits {
    #[inline]
    fn split(&self, value: u64) -> (u32, u32) {
        let b = NonZeroU64::from(self.b);
        ((value / b) as u32, (value % b) as u32)
    }

    #[inline]
    fn join(&self, (l, r): (u32, u32)) -> u64 {
        u64::from(l).wrapping_mul(u64::from(self.b.get())).wrapping_add(u64::from(r))
    }

    #[inline]
    fn rounds(&self, keys: &[u32; ROUNDS], (mut l, mut r): (u32, u32)) -> (u32, u32) {
        let (a, b) = (self.a, self.b.get());
        for (even, odd) in pairs(keys) {
            l = add(l, reduce(half_round(r, even), a), a);
            r = add(r, reduce(half_round(l, odd), b), b);
        }
        (l, r)
    }

    /// Goes round until the value is in the space. It ends: the walk is on a cycle that holds its beginning.
    #[inline]
    fn walk(&self, keys: &[u32; ROUNDS], from: (u32, u32)) -> u64 {
        self.settle(keys, self.rounds(keys, from))
    }

    /// Goes on from where the rounds led, if that is beyond the space.
    #[inline]
    fn settle(&self, keys: &[u32; ROUNDS], mut at: (u32, u32)) -> u64 {
        loop {
            let value = self.join(at);
            if value <= self.last {
                return value;
            }
            at = self.rounds(keys, at);
        }
    }

    #[inline]
    fn forward(&self, keys: &[u32; ROUNDS], index: u64) -> u64 {
        self.walk(keys, self.split(index))
    }

    fn backward(&self, keys: &[u32; ROUNDS], value: u64) -> u64 {
        let (a, b) = (self.a, self.b.get());
        let (mut l, mut r) = self.split(value);
        loop {
            for (even, odd) in pairs(keys).rev() {
                r = subtract(r, reduce(half_round(l, odd), b), b);
                l = subtract(l, reduce(half_round(r, even), a), a);
            }
            let index = self.join((l, r));
            if index <= self.last {
                return index;
            }
        }
    }
}

/// A number below `radix` ≤ 2⁶⁴ from 64 bits.
#[inline]
fn reduce_wide(bits: u64, radix: u128) -> u128 {
    u128::from(bits).wrapping_mul(radix) >> 64
}

impl DigitsWide {
    fn split(&self, value: u128) -> (u128, u128) {
        (value / self.b, value % self.b)
    }

    /// Wraps where a · b goes beyond 2¹²⁸: such a value is beyond the space, but may look small.
    fn join(&self, l: u128, r: u128) -> Option<u128> {
        let value = l.checked_mul(self.b.get())?.checked_add(r)?;
        (value <= self.last).then_some(value)
    }

    fn forward(&self, keys: &[u64; ROUNDS], index: u128) -> u128 {
        let (a, b) = (self.a, self.b.get());
        let (mut l, mut r) = self.split(index);
        loop {
            // Halves are below 2⁶⁴, so nothing is cut and no sum wraps.
            for (even, odd) in pairs(keys) {
                let sum = l.wrapping_add(reduce_wide(half_round_wide(r as u64, even), a));
                l = if sum < a { sum } else { sum.wrapping_sub(a) };
                let sum = r.wrapping_add(reduce_wide(half_round_wide(l as u64, odd), b));
                r = if sum < b { sum } else { sum.wrapping_sub(b) };
            }
            if let Some(value) = self.join(l, r) {
                return value;
            }
        }
    }

    fn backward(&self, keys: &[u64; ROUNDS], value: u128) -> u128 {
        let (a, b) = (self.a, self.b.get());
        let (mut l, mut r) = self.split(value);
        loop {
            for (even, odd) in pairs(keys).rev() {
                let less = reduce_wide(half_round_wide(l as u64, odd), b);
                r = if r < less {
                    r.wrapping_add(b).wrapping_sub(less)
                } else {
                    r.wrapping_sub(less)
                };
                let less = reduce_wide(half_round_wide(r as u64, even), a);
                l = if l < less {
                    l.wrapping_add(a).wrapping_sub(less)
                } else {
                    l.wrapping_sub(less)
                };
            }
            if let Some(index) = self.join(l, r) {
                return index;
            }
        }
    }
}

/// A permutation of the numbers `0..=last`, by "perm v1".
///
/// ```
/// use p2pnet_protocol::widescan::Permutation;
/// let order = Permutation::new(999, 7);
/// let mut seen: Vec<u128> = (0..1000).filter_map(|index| order.at(index)).collect();
/// assert_eq!(order.index_of(seen[3]), Some(3));
/// seen.sort();
/// assert!(seen.into_iter().eq(0..1000));
/// assert_eq!(order.at(1000), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    geometry: Geometry,
    keys: Keys,
    last: u128,
}

impl Permutation {
    /// The permutation of `0..=last` that `seed` chooses.
    pub fn new(last: u128, seed: u64) -> Self {
        Self { geometry: Geometry::new(last), keys: Keys::new(seed, Purpose::Whole), last }
    }

    /// The number at `index`, if `index` isn't beyond the last.
    pub fn at(&self, index: u128) -> Option<u128> {
        (index <= self.last).then(|| self.geometry.forward(&self.keys, 0, index))
    }

    /// The index of `number`, if `number` isn't beyond the last.
    pub fn index_of(&self, number: u128) -> Option<u128> {
        (number <= self.last).then(|| self.geometry.backward(&self.keys, 0, number))
    }
}

#[cfg(test)]
mod tests;
