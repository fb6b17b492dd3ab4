//! Patterns: which values each part of an address may have.

use super::range::low_bits;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// What stands in one part of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Anything.
    Any,
    /// One value.
    One(u128),
    /// The values from the first to the last; in parts of at most 64 bits.
    Between(u64, u64),
    /// These, in order, each once; in parts of at most 64 bits.
    Listed(Vec<u64>),
}

impl Values {
    /// The simplest form of a list.
    fn listed(mut values: Vec<u64>, width: u32) -> Option<Self> {
        values.sort_unstable();
        values.dedup();
        let (first, last) = (*values.first()?, *values.last()?);
        let count = u64::try_from(values.len()).unwrap_or(u64::MAX);
        if last.wrapping_sub(first) != count.wrapping_sub(1) {
            return Some(Self::Listed(values));
        }
        Some(Self::between(first, last, width))
    }

    fn between(first: u64, last: u64, width: u32) -> Self {
        if first == last {
            Self::One(first.into())
        } else if first == 0 && u128::from(last) == low_bits(width) {
            Self::Any
        } else {
            Self::Between(first, last)
        }
    }
}

/// A part of an address: adjacent bits, and what may stand in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// How many bits.
    pub(super) width: u32,
    pub(super) values: Values,
}

/// The addresses whose parts have certain values, each part by itself: the product of what each may be.
///
/// As text it is an address with nybbles left open: `?` is any, `[0-3f]` one of those. A group without dots or brackets is
/// hexadecimal as usual, and `::` stands for zeros.
///
/// ```
/// use p2pnet_protocol::widescan::{BadPattern, Pattern};
/// let pattern: Pattern = "2001:db8::[0-3]?:0:1".parse()?;
/// assert_eq!(pattern.size(), Some(64));
/// assert!(pattern.contains("2001:db8::2f:0:1".parse().unwrap()));
/// assert!(!pattern.contains("2001:db8::4f:0:1".parse().unwrap()));
/// assert_eq!("2001:db8::[".parse::<Pattern>(), Err(BadPattern));
/// # Ok::<(), BadPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// From the most significant bits on; 128 bits in all.
    fields: Vec<Field>,
}

/// The text is no pattern, or no address has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPattern;

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an IPv6 address in which ? is any digit and [0-3f] one of those, as in 2001:db8::[0-3]?")
    }
}

impl core::error::Error for BadPattern {}

/// Puts patterns together from the most significant bits on.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(Vec<Field>);

impl Parts {
    fn with(mut self, width: u32, values: Values) -> Self {
        if width > 0 {
            self.0.push(Field { width, values });
        }
        self
    }

    /// `width` bits that may be anything.
    pub(super) fn any(self, width: u32) -> Self {
        self.with(width, Values::Any)
    }

    /// `width` bits with one value.
    pub(super) fn one(self, width: u32, value: u128) -> Self {
        self.with(width, Values::One(value & low_bits(width)))
    }

    /// `width` ≤ 64 bits with a value from `first` to `last`.
    pub(super) fn between(self, width: u32, first: u64, last: u64) -> Self {
        self.with(width, Values::between(first, last, width))
    }

    /// `width` ≤ 64 bits with one of `values`, of which there must be one.
    pub(super) fn listed(self, width: u32, values: Vec<u64>) -> Option<Self> {
        let fits = values.iter().all(|value| u128::from(*value) <= low_bits(width));
        let values = Values::listed(values, width).filter(|_| fits)?;
        Some(self.with(width, values))
    }

    /// The pattern, if its parts are as long as an address.
    pub(super) fn pattern(self) -> Option<Pattern> {
        let width = self.0.iter().fold(0u32, |sum, field| sum.saturating_add(field.width));
        (width == 128).then_some(Pattern { fields: self.0 })
    }
}

impl Pattern {
    /// Every address.
    pub fn any() -> Self {
        Self { fields: Vec::from([Field { width: 128, values: Values::Any }]) }
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether every address has this pattern.
    pub(super) fn is_any(&self) -> bool {
        self.fields.iter().all(|field| field.values == Values::Any)
    }

    /// How many addresses have it, if fewer than 2¹²⁸.
    pub fn size(&self) -> Option<u128> {
        self.fields.iter().try_fold(1u128, |size, field| {
            let count = match &field.values {
                Values::Any => 1u128.checked_shl(field.width)?,
                Values::One(_) => 1,
                Values::Between(first, last) => {
                    u128::from(last.saturating_sub(*first)).wrapping_add(1)
                }
                Values::Listed(values) => u128::try_from(values.len()).ok()?,
            };
            size.checked_mul(count)
        })
    }

    /// Whether `address` has it.
    pub fn contains(&self, address: core::net::Ipv6Addr) -> bool {
        let mut below = 128u32;
        self.fields.iter().all(|field| {
            below = below.saturating_sub(field.width);
            let value = address.to_bits().wrapping_shr(below) & low_bits(field.width);
            match &field.values {
                Values::Any => true,
                Values::One(one) => value == *one,
                Values::Between(first, last) => {
                    (u128::from(*first)..=u128::from(*last)).contains(&value)
                }
                Values::Listed(values) => {
                    u64::try_from(value).is_ok_and(|value| values.binary_search(&value).is_ok())
                }
            }
        })
    }

    /// The pattern with these digits at each of the 32 places, as sets of bits.
    pub(super) fn of_nybbles(nybbles: &[u16; 32]) -> Option<Self> {
        let mut parts = Parts::default();
        for set in nybbles {
            let values =
                (0..16u64).filter(|value| set.wrapping_shr(*value as u32) & 1 == 1).collect();
            parts = parts.listed(4, values)?;
        }
        parts.pattern().map(Self::joined)
    }

    /// The same pattern with adjacent fixed or open parts in one, so that it has few digits.
    fn joined(self) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        for field in self.fields {
            match (fields.last_mut(), &field.values) {
                (Some(Field { width, values: Values::One(before) }), Values::One(value)) => {
                    *before = before.wrapping_shl(field.width) | value;
                    *width = width.saturating_add(field.width);
                }
                (Some(Field { width, values: Values::Any }), Values::Any) => {
                    *width = width.saturating_add(field.width);
                }
                _ => fields.push(field),
            }
        }
        Self { fields }
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let (head, tail) = match text.split_once("::") {
            None => (groups(text)?, None),
            Some((head, tail)) => (groups(head)?, Some(groups(tail)?)),
        };
        let given = head.len().saturating_add(tail.as_ref().map_or(0, Vec::len));
        let zeros = match &tail {
            None if given == 8 => 0,
            Some(_) if given <= 7 => 8usize.saturating_sub(given),
            _ => return Err(BadPattern),
        };
        let all = head
            .into_iter()
            .chain(core::iter::repeat_n([1; 4], zeros))
            .chain(tail.unwrap_or_default());
        let mut nybbles = [0u16; 32];
        nybbles.iter_mut().zip(all.flatten()).for_each(|(set, group)| *set = group);
        Self::of_nybbles(&nybbles).ok_or(BadPattern)
    }
}

/// The groups of a text between colons.
fn groups(text: &str) -> Result<Vec<[u16; 4]>, BadPattern> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.bytes().filter(|byte| *byte == b':').count() > 7 {
        return Err(BadPattern);
    }
    text.split(':').map(group).collect()
}

/// One group: up to four nybbles, the last ones.
fn group(text: &str) -> Result<[u16; 4], BadPattern> {
    let mut sets = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let set = match first {
            '?' => u16::MAX,
            '[' => {
                let (inside, after) =
                    rest.get(1..).and_then(|rest| rest.split_once(']')).ok_or(BadPattern)?;
                rest = after;
                sets.push(set(inside)?);
                continue;
            }
            digit => 1u16.wrapping_shl(digit.to_digit(16).ok_or(BadPattern)?),
        };
        sets.push(set);
        rest = rest.get(1..).unwrap_or_default();
    }
    if sets.is_empty() || sets.len() > 4 {
        return Err(BadPattern);
    }
    let mut group = [1; 4];
    group.iter_mut().rev().zip(sets.into_iter().rev()).for_each(|(nybble, set)| *nybble = set);
    Ok(group)
}

/// What stands in brackets: digits and spans of them.
fn set(text: &str) -> Result<u16, BadPattern> {
    let mut digits = text.chars().peekable();
    let mut set = 0u16;
    while let Some(first) = digits.next() {
        let first = first.to_digit(16).ok_or(BadPattern)?;
        let mut last = first;
        if digits.next_if_eq(&'-').is_some() {
            last = digits.next().and_then(|last| last.to_digit(16)).ok_or(BadPattern)?;
        }
        if last < first {
            return Err(BadPattern);
        }
        (first..=last).for_each(|digit| set |= 1u16.wrapping_shl(digit));
    }
    if set == 0 { Err(BadPattern) } else { Ok(set) }
}

impl fmt::Display for Pattern {
    /// As the text that it is read from, if each of its parts is made of whole nybbles that vary by themselves; otherwise
    /// as its parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, field) in self.fields.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            let digits = usize::try_from(field.width.div_ceil(4)).unwrap_or(32);
            match &field.values {
                Values::Any => write!(f, "*{}", field.width)?,
                Values::One(value) => write!(f, "{value:0digits$x}")?,
                Values::Between(first, last) => write!(f, "{first:0digits$x}-{last:0digits$x}")?,
                Values::Listed(values) => {
                    write!(f, "{{{} of {} bits}}", values.len(), field.width)?
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_patterns() {
        for (text, size) in [
            ("2001:db8::1", 1),
            ("2001:db8::?", 16),
            ("2001:db8::[1-5]:[13]", 10),
            ("2001:db8:?:0:0:0:0:??", 16 * 256),
            ("::[0-9a-f]", 16),
            ("????:db8::", 65_536),
            ("2001:db8::[0-f]?[17]", 512),
        ] {
            let pattern: Pattern = text.parse().unwrap();
            assert_eq!(pattern.size(), Some(size), "{text}");
        }
        let all: Pattern = "????:????:????:????:????:????:????:????".parse().unwrap();
        assert!(all.is_any() && all.size().is_none());
        for bad in [
            "",
            ":",
            "1:2:3",
            "2001:db8::[]",
            "2001:db8::[3-1]",
            "2001:db8::[1-]",
            "2001:db8::g",
            "2001:db8::12345",
            "1::2::3",
            "2001:db8::[1",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4::5:6:7:8",
            "2001:db8::é",
            "2001:db8::[é]",
        ] {
            assert_eq!(bad.parse::<Pattern>(), Err(BadPattern), "{bad}");
        }
    }

    #[test]
    fn addresses_have_the_pattern_or_not() {
        let pattern: Pattern = "2001:db8::[1-5]?:[0f]".parse().unwrap();
        for (address, has) in [
            ("2001:db8::10:0", true),
            ("2001:db8::5f:f", true),
            ("2001:db8::5f:1", false),
            ("2001:db8::60:0", false),
            ("2001:db9::10:0", false),
            ("2001:db8::110:0", false),
        ] {
            assert_eq!(pattern.contains(address.parse().unwrap()), has, "{address}");
        }
    }

    #[test]
    fn lists_take_their_simplest_form() {
        assert_eq!(Values::listed([3, 1, 2, 2].into(), 4), Some(Values::Between(1, 3)));
        assert_eq!(Values::listed((0..16).collect(), 4), Some(Values::Any));
        assert_eq!(Values::listed([7].into(), 4), Some(Values::One(7)));
        assert_eq!(Values::listed([7, 9].into(), 4), Some(Values::Listed([7, 9].into())));
        assert_eq!(Values::listed(Vec::new(), 4), None);
    }
}
