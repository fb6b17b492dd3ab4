//! Segments: what a space is made of. Each is a product of digits, or a plain run of addresses, and counts its addresses in
//! order.

use super::pattern::{Field, Pattern, Values};
use super::range::low_bits;
use alloc::vec::Vec;
use core::num::NonZeroU128;

/// Addresses that one pattern has within one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The lowest of its addresses.
    pub(super) first: u128,
    /// How many there are, less one.
    pub(super) last: u128,
    /// The bits that all have in common; where it has no digits, its first address.
    fixed: u128,
    /// Which bits vary.
    varying: u128,
    /// Which of the space's digits are its own, from the most significant on. Without any it is a run of addresses.
    digits: (u32, u32),
    /// The number of its pattern.
    pub(super) layer: u16,
}

impl Segment {
    /// Whether its addresses follow each other.
    pub(super) fn is_run(&self) -> bool {
        self.digits.1 == 0
    }
}

/// A part of an address that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digit {
    /// Where its lowest bit is.
    shift: u32,
    width: u32,
    radix: Radix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Radix {
    /// All values of `width` bits.
    Bits,
    /// So many values from the first on.
    From(u64, u64),
    /// These of the space's values: from which on, and how many.
    Listed(u32, u32),
}

/// Digits and listed values of all segments of a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Store {
    digits: Vec<Digit>,
    values: Vec<u64>,
}

/// A pattern whose listed values are in the store.
pub(super) struct Compiled {
    layer: u16,
    /// Lowest bit, width, values.
    parts: Vec<(u32, u32, Part)>,
    any: bool,
}

impl Compiled {
    /// Whether every address has the pattern.
    pub(super) fn is_any(&self) -> bool {
        self.any
    }
}

#[derive(Clone, Copy)]
enum Part {
    Any,
    One(u128),
    From(u64, u64),
    Listed(u32, u32),
}

impl Store {
    /// Prepares a pattern. None if there are too many values for 32-bit numbers.
    pub(super) fn compile(&mut self, layer: u16, pattern: &Pattern) -> Option<Compiled> {
        let mut below = 128u32;
        let mut parts = Vec::new();
        for Field { width, values } in pattern.fields() {
            below = below.saturating_sub(*width);
            let part = match values {
                Values::Any => Part::Any,
                Values::One(value) => Part::One(*value),
                Values::Between(first, last) => {
                    Part::From(*first, last.wrapping_sub(*first).checked_add(1)?)
                }
                Values::Listed(values) => {
                    let from = u32::try_from(self.values.len()).ok()?;
                    self.values.extend_from_slice(values);
                    Part::Listed(from, u32::try_from(values.len()).ok()?)
                }
            };
            parts.push((below, *width, part));
        }
        Some(Compiled { layer, parts, any: pattern.is_any() })
    }

    /// How many digits there are.
    pub(super) fn digits(&self) -> usize {
        self.digits.len()
    }

    /// How many listed values there are.
    pub(super) fn values(&self) -> usize {
        self.values.len()
    }

    /// A run of addresses, for the pattern that every address has.
    pub(super) fn run(first: u128, last: u128, layer: u16) -> Segment {
        Segment {
            first,
            last: last.wrapping_sub(first),
            fixed: first,
            varying: 0,
            digits: (0, 0),
            layer,
        }
    }

    /// The addresses of the block that begins at `block` and has `open` free bits which have the pattern, if there are any.
    pub(super) fn within(&mut self, pattern: &Compiled, block: u128, open: u32) -> Option<Segment> {
        if pattern.any {
            return Some(Self::run(block, block | low_bits(open), pattern.layer));
        }
        let from = self.digits.len();
        let mut segment = Segment {
            first: block & !low_bits(open),
            last: 0,
            fixed: block & !low_bits(open),
            varying: 0,
            digits: (u32::try_from(from).ok()?, 0),
            layer: pattern.layer,
        };
        let mut size = NonZeroU128::MIN;
        for (shift, width, part) in &pattern.parts {
            let met = self.meet(*part, *shift, *width, block, open);
            if !met.is_some_and(|met| self.take(met, *shift, &mut segment, &mut size)) {
                self.digits.truncate(from);
                return None;
            }
        }
        segment.digits.1 = u32::try_from(self.digits.len().wrapping_sub(from)).ok()?;
        segment.last = size.get().wrapping_sub(1);
        self.plainer(&mut segment, from);
        Some(segment)
    }

    /// A part of a pattern where a block decides its upper bits, or all: how many low bits remain, and their values.
    fn meet(
        &self,
        part: Part,
        shift: u32,
        width: u32,
        block: u128,
        open: u32,
    ) -> Option<(u32, Part)> {
        if shift.saturating_add(width) <= open {
            return Some((width, part));
        }
        let given = block.wrapping_shr(shift.min(127)) & low_bits(width);
        // The block's part of the field, and the span of values that have it.
        let free = open.saturating_sub(shift).min(width);
        let (low, high) = (given & !low_bits(free), given | low_bits(free));
        match part {
            Part::Any if free == 0 => Some((width, Part::One(given))),
            Part::Any => Some((free, Part::Any)),
            Part::One(value) => (low..=high).contains(&value).then_some((width, part)),
            Part::From(first, count) => {
                let last = first.wrapping_add(count.wrapping_sub(1));
                let first = u128::from(first).max(low);
                let last = u128::from(last).min(high);
                let count = last.checked_sub(first)?.checked_add(1)?;
                // Both are between the ends of a span of 64-bit numbers.
                Some((width, Part::From(first as u64, count as u64)))
            }
            Part::Listed(from, count) => {
                let values = self.listed(from, count);
                let before = values.partition_point(|value| u128::from(*value) < low);
                let upto = values.partition_point(|value| u128::from(*value) <= high);
                let count = u32::try_from(upto.checked_sub(before)?).ok()?;
                let from = from.checked_add(u32::try_from(before).ok()?)?;
                (count > 0).then_some((width, Part::Listed(from, count)))
            }
        }
    }

    /// Puts what is left of a part into the segment. False if it has no address.
    fn take(
        &mut self,
        (width, part): (u32, Part),
        shift: u32,
        segment: &mut Segment,
        size: &mut NonZeroU128,
    ) -> bool {
        let place = |value: u128| value.wrapping_shl(shift.min(127));
        let mask = place(low_bits(width));
        let (radix, lowest, count) = match part {
            Part::Any => (Radix::Bits, 0, 1u128.checked_shl(width)),
            Part::One(value) => (Radix::Bits, value, Some(1)),
            Part::From(first, 1) => (Radix::Bits, first.into(), Some(1)),
            Part::From(first, count) => {
                (Radix::From(first, count), first.into(), Some(count.into()))
            }
            Part::Listed(from, 1) => {
                (Radix::Bits, self.listed(from, 1).first().copied().unwrap_or(0).into(), Some(1))
            }
            Part::Listed(from, count) => {
                let lowest = self.listed(from, count).first().copied().unwrap_or(0);
                (Radix::Listed(from, count), lowest.into(), Some(count.into()))
            }
        };
        // 2¹²⁸ addresses in one digit are the pattern that all have, which has no digits.
        let Some(grown) =
            count.and_then(NonZeroU128::new).and_then(|count| size.checked_mul(count))
        else {
            return false;
        };
        *size = grown;
        if count == Some(1) {
            segment.fixed = segment.fixed & !mask | place(lowest);
            segment.first = segment.first & !mask | place(lowest);
            return true;
        }
        segment.fixed &= !mask;
        segment.first = segment.first & !mask | place(lowest);
        segment.varying |= mask;
        self.digits.push(Digit { shift, width, radix });
        true
    }

    /// A segment whose only digit is its lowest bits is a run of addresses.
    fn plainer(&mut self, segment: &mut Segment, from: usize) {
        let plain = matches!(
            self.digits.get(from..).unwrap_or_default(),
            [] | [Digit { shift: 0, radix: Radix::Bits | Radix::From(..), .. }]
        );
        if plain {
            self.digits.truncate(from);
            *segment =
                Self::run(segment.first, segment.first.wrapping_add(segment.last), segment.layer);
        }
    }

    fn listed(&self, from: u32, count: u32) -> &[u64] {
        let (from, count) = (from as usize, count as usize);
        self.values.get(from..from.saturating_add(count)).unwrap_or_default()
    }

    fn digits_of(&self, segment: &Segment) -> &[Digit] {
        let (from, count) = (segment.digits.0 as usize, segment.digits.1 as usize);
        self.digits.get(from..from.saturating_add(count)).unwrap_or_default()
    }

    /// The address at `offset`, which must not be beyond the segment's last.
    #[inline]
    pub(super) fn address(&self, segment: &Segment, offset: u128) -> u128 {
        if segment.digits.1 == 0 {
            return segment.first.wrapping_add(offset);
        }
        match u64::try_from(segment.last) {
            Ok(_) => self.address_narrow(segment, offset as u64),
            Err(_) => self.address_wide(segment, offset),
        }
    }

    fn address_narrow(&self, segment: &Segment, offset: u64) -> u128 {
        let (mut rest, mut address) = (offset, segment.fixed);
        for digit in self.digits_of(segment).iter().rev() {
            let value = match digit.radix {
                Radix::Bits => {
                    let value = rest & !u64::MAX.checked_shl(digit.width).unwrap_or(0);
                    rest = rest.checked_shr(digit.width).unwrap_or(0);
                    value
                }
                Radix::From(first, count) => {
                    let value = rest.checked_rem(count).unwrap_or(0);
                    rest = rest.checked_div(count).unwrap_or(0);
                    first.wrapping_add(value)
                }
                Radix::Listed(from, count) => {
                    let count = u64::from(count);
                    let place = from.wrapping_add(rest.checked_rem(count).unwrap_or(0) as u32);
                    rest = rest.checked_div(count).unwrap_or(0);
                    self.values.get(place as usize).copied().unwrap_or(0)
                }
            };
            address |= u128::from(value).wrapping_shl(digit.shift);
        }
        address
    }

    fn address_wide(&self, segment: &Segment, offset: u128) -> u128 {
        let (mut rest, mut address) = (offset, segment.fixed);
        for digit in self.digits_of(segment).iter().rev() {
            let value = match digit.radix {
                Radix::Bits => {
                    let value = rest & low_bits(digit.width);
                    rest = rest.checked_shr(digit.width).unwrap_or(0);
                    value
                }
                Radix::From(first, count) => {
                    let value = rest.checked_rem(count.into()).unwrap_or(0);
                    rest = rest.checked_div(count.into()).unwrap_or(0);
                    u128::from(first).wrapping_add(value)
                }
                Radix::Listed(from, count) => {
                    let value = rest.checked_rem(count.into()).unwrap_or(0);
                    rest = rest.checked_div(count.into()).unwrap_or(0);
                    let place = from.wrapping_add(value as u32);
                    self.values.get(place as usize).copied().unwrap_or(0).into()
                }
            };
            address |= value.wrapping_shl(digit.shift);
        }
        address
    }

    /// Where `address` is in the segment, if it is in it.
    pub(super) fn offset(&self, segment: &Segment, address: u128) -> Option<u128> {
        if segment.digits.1 == 0 {
            return address.checked_sub(segment.first).filter(|offset| *offset <= segment.last);
        }
        if address & !segment.varying != segment.fixed {
            return None;
        }
        self.digits_of(segment).iter().try_fold(0u128, |offset, digit| {
            let value = address.wrapping_shr(digit.shift) & low_bits(digit.width);
            let (count, number) = match digit.radix {
                Radix::Bits => (1u128.checked_shl(digit.width)?, value),
                Radix::From(first, count) => {
                    let number = value.checked_sub(first.into())?;
                    (count.into(), Some(number).filter(|number| *number < u128::from(count))?)
                }
                Radix::Listed(from, count) => {
                    let value = u64::try_from(value).ok()?;
                    let number = self.listed(from, count).binary_search(&value).ok()?;
                    (count.into(), u128::try_from(number).ok()?)
                }
            };
            Some(offset.wrapping_mul(count).wrapping_add(number))
        })
    }

    /// Everything about a segment as bytes, for the digest of a space.
    pub(super) fn describe(&self, segment: &Segment, out: &mut Vec<u8>) {
        out.extend_from_slice(&segment.layer.to_be_bytes());
        out.extend_from_slice(&segment.first.to_be_bytes());
        out.extend_from_slice(&segment.last.to_be_bytes());
        out.extend_from_slice(&segment.digits.1.to_be_bytes());
        for digit in self.digits_of(segment) {
            out.extend_from_slice(&digit.shift.to_be_bytes());
            out.extend_from_slice(&digit.width.to_be_bytes());
            match digit.radix {
                Radix::Bits => out.push(0),
                Radix::From(first, count) => {
                    out.push(1);
                    out.extend_from_slice(&first.to_be_bytes());
                    out.extend_from_slice(&count.to_be_bytes());
                }
                Radix::Listed(from, count) => {
                    out.push(2);
                    out.extend_from_slice(&count.to_be_bytes());
                    self.listed(from, count)
                        .iter()
                        .for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
                }
            }
        }
    }
}
