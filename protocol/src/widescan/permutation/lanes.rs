//! Many consecutive indices at once.

use super::{
    Digits, Geometry, Keys, ROUNDS, add, bits_forward, half_round, halves, joined, pairs, reduce,
};
use core::net::Ipv6Addr;

/// How many indices go through the rounds side by side: enough for the registers of a vector unit, which compilers use by
/// themselves where the same is done to each of an array.
const LANES: usize = 16;

type Lanes = [u32; LANES];

impl Geometry {
    /// Where `index`, `index + stride` and so on go, all of which must be in the space, added to `base`.
    #[inline]
    pub(in super::super) fn fill(
        &self,
        keys: &Keys,
        base: u128,
        index: u128,
        stride: u128,
        out: &mut [Ipv6Addr],
    ) {
        match self {
            Self::Bits { left, right, right_bits } => {
                fill_bits(
                    &keys.narrow,
                    (*left, *right, *right_bits),
                    base,
                    (index as u64, stride as u64),
                    out,
                );
            }
            Self::Digits(digits) => {
                digits.fill(&keys.narrow, base, (index as u64, stride as u64), out);
            }
            _ => {
                let mut index = index;
                for slot in out {
                    *slot = Ipv6Addr::from_bits(base.wrapping_add(self.forward(keys, 0, index)));
                    index = index.wrapping_add(stride);
                }
            }
        }
    }
}

#[inline]
fn fill_bits(
    keys: &[u32; ROUNDS],
    (left, right, right_bits): (u32, u32, u32),
    base: u128,
    (mut index, stride): (u64, u64),
    out: &mut [Ipv6Addr],
) {
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    for block in blocks {
        let (mut l, mut r): (Lanes, Lanes) = ([0; LANES], [0; LANES]);
        for (l, r) in l.iter_mut().zip(&mut r) {
            (*l, *r) = halves(index, right_bits);
            index = index.wrapping_add(stride);
        }
        for (even, odd) in pairs(keys) {
            l.iter_mut().zip(&r).for_each(|(l, r)| *l ^= half_round(*r, even) & left);
            r.iter_mut().zip(&l).for_each(|(r, l)| *r ^= half_round(*l, odd) & right);
        }
        for (slot, (l, r)) in block.iter_mut().zip(l.iter().zip(&r)) {
            *slot = address(base, joined(*l, *r, right_bits));
        }
    }
    for slot in rest {
        *slot = address(base, bits_forward(keys, left, right, right_bits, index));
        index = index.wrapping_add(stride);
    }
}

#[inline]
fn address(base: u128, number: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(base.wrapping_add(number.into()))
}

impl Digits {
    #[inline]
    fn fill(
        &self,
        keys: &[u32; ROUNDS],
        base: u128,
        (index, stride): (u64, u64),
        out: &mut [Ipv6Addr],
    ) {
        let (a, b) = (self.a, self.b.get());
        // Halves of consecutive indices come by addition: a division for each would take longer than its rounds.
        let (step_l, step_r) = self.split(stride);
        let (mut next_l, mut next_r) = self.split(index);
        let mut next = || {
            let now = (next_l, next_r);
            // Both are below b ≤ 2³¹. The left one may pass a behind the last index, where nobody looks.
            let sum = next_r.wrapping_add(step_r);
            let carry = u32::from(sum >= b);
            next_r = if sum >= b { sum.wrapping_sub(b) } else { sum };
            next_l = next_l.wrapping_add(step_l).wrapping_add(carry);
            now
        };
        let (blocks, rest) = out.as_chunks_mut::<LANES>();
        for block in blocks {
            let (mut l, mut r): (Lanes, Lanes) = ([0; LANES], [0; LANES]);
            l.iter_mut().zip(&mut r).for_each(|(l, r)| (*l, *r) = next());
            for (even, odd) in pairs(keys) {
                l.iter_mut()
                    .zip(&r)
                    .for_each(|(l, r)| *l = add(*l, reduce(half_round(*r, even), a), a));
                r.iter_mut()
                    .zip(&l)
                    .for_each(|(r, l)| *r = add(*r, reduce(half_round(*l, odd), b), b));
            }
            for (slot, (l, r)) in block.iter_mut().zip(l.into_iter().zip(r)) {
                *slot = address(base, self.settle(keys, (l, r)));
            }
        }
        for slot in rest {
            *slot = address(base, self.walk(keys, next()));
        }
    }
}
