//! Ranges of IPv6 addresses, and sets of them.

use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

/// IPv6 addresses from a first to a last one, both included.
///
/// As text it is a prefix (`2001:db8::/32`), two addresses (`2001:db8::1-2001:db8::9`), one address, or the first four
/// groups of one, which stand for its /64 (`2001:db8:1:2`). An IPv4-mapped address stays the IPv6 address that it is.
///
/// ```
/// use p2pnet_protocol::widescan::{AddressRange, BadRange};
/// let range: AddressRange = "2001:db8::/126".parse()?;
/// assert_eq!(range.last(), "2001:db8::3".parse::<core::net::Ipv6Addr>().unwrap());
/// assert_eq!("2001:db8::-2001:db8::3".parse(), Ok(range));
/// assert_eq!("2001:db8:1:2".parse::<AddressRange>()?.to_string(), "2001:db8:1:2::/64");
/// assert_eq!("2001:db8::/129".parse::<AddressRange>(), Err(BadRange));
/// # Ok::<(), BadRange>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    first: u128,
    last: u128,
}

/// The text or numbers make no range of IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRange;

impl fmt::Display for BadRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected an IPv6 prefix such as 2001:db8::/32, two addresses such as 2001:db8::1-2001:db8::9, or one",
        )
    }
}

impl core::error::Error for BadRange {}

impl AddressRange {
    /// Every address there is.
    pub const ALL: Self = Self { first: 0, last: u128::MAX };

    /// The addresses from `first` to `last`.
    ///
    /// # Errors
    /// [`BadRange`] if the last comes before the first.
    pub fn new(first: Ipv6Addr, last: Ipv6Addr) -> Result<Self, BadRange> {
        Self::from_bits(first.to_bits(), last.to_bits()).ok_or(BadRange)
    }

    /// The prefix of `length` bits that holds `address`; host bits are cleared.
    ///
    /// # Errors
    /// [`BadRange`] if `length` is over 128.
    pub fn prefix(address: Ipv6Addr, length: u8) -> Result<Self, BadRange> {
        if length > 128 {
            return Err(BadRange);
        }
        let host = low_bits(128u32.saturating_sub(u32::from(length)));
        Ok(Self { first: address.to_bits() & !host, last: address.to_bits() | host })
    }

    /// One address.
    pub const fn single(address: Ipv6Addr) -> Self {
        Self { first: address.to_bits(), last: address.to_bits() }
    }

    pub(super) const fn from_bits(first: u128, last: u128) -> Option<Self> {
        if first <= last { Some(Self { first, last }) } else { None }
    }

    /// The prefix whose lowest `host_bits` bits are free, from its first address.
    pub(super) const fn block(first: u128, host_bits: u32) -> Self {
        Self { first, last: first | low_bits(host_bits) }
    }

    /// The first address.
    pub const fn first(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.first)
    }

    /// The last address.
    pub const fn last(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.last)
    }

    pub(super) const fn first_bits(&self) -> u128 {
        self.first
    }

    pub(super) const fn last_bits(&self) -> u128 {
        self.last
    }

    /// Whether `address` is one of these.
    pub const fn contains(&self, address: Ipv6Addr) -> bool {
        self.holds(address.to_bits())
    }

    pub(super) const fn holds(&self, address: u128) -> bool {
        self.first <= address && address <= self.last
    }

    /// How long this prefix is, if it is one.
    pub const fn prefix_length(&self) -> Option<u8> {
        let differ = self.first ^ self.last;
        let bits = 128u32.saturating_sub(differ.leading_zeros());
        if differ == low_bits(bits) && self.first & differ == 0 {
            // At most 128, so nothing is cut.
            Some(128u8.saturating_sub(bits as u8))
        } else {
            None
        }
    }

    /// The fewest prefixes that make up this range, in order: the first address of each, and how many of its bits are free.
    pub(super) fn blocks(self) -> impl Iterator<Item = (u128, u32)> {
        let mut rest = Some(self);
        core::iter::from_fn(move || {
            let Self { first, last } = rest?;
            // The largest block that begins here, and that doesn't go beyond the end.
            let aligned = first.trailing_zeros();
            let left = last.wrapping_sub(first);
            let fits = match left.checked_add(1) {
                Some(count) => 127u32.saturating_sub(count.leading_zeros()),
                None => 128,
            };
            let bits = aligned.min(fits);
            let end = first | low_bits(bits);
            rest = end.checked_add(1).and_then(|next| Self::from_bits(next, last));
            Some((first, bits))
        })
    }
}

/// A number whose lowest `count` bits are set: all of them from 128 on.
pub(super) const fn low_bits(count: u32) -> u128 {
    match u128::MAX.checked_shl(count) {
        Some(high) => !high,
        None => u128::MAX,
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_length() {
            Some(length) => write!(f, "{}/{length}", self.first()),
            None => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AddressRange {
    type Err = BadRange;
    fn from_str(text: &str) -> Result<Self, BadRange> {
        if let Some((address, length)) = text.split_once('/') {
            if !length.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(BadRange);
            }
            let length = length.parse().map_err(|_| BadRange)?;
            return Self::prefix(address.trim_end().parse().map_err(|_| BadRange)?, length);
        }
        if let Some((first, last)) = text.split_once('-') {
            let address = |text: &str| text.trim().parse().map_err(|_| BadRange);
            return Self::new(address(first)?, address(last)?);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::single(address));
        }
        if text.bytes().filter(|byte| *byte == b':').count() == 3 {
            return Self::prefix(alloc::format!("{text}::").parse().map_err(|_| BadRange)?, 64);
        }
        Err(BadRange)
    }
}

/// A set of addresses: ranges in order, which neither overlap nor touch.
///
/// ```
/// use p2pnet_protocol::widescan::RangeSet;
/// let mut set: RangeSet = ["2001:db8::/33".parse()?, "2001:db8:8000::/33".parse()?].into_iter().collect();
/// assert_eq!(set.ranges().len(), 1);
/// assert!(set.contains("2001:db8::1".parse().unwrap()));
/// set.insert("2001:db9::/32".parse()?);
/// assert_eq!(set.ranges().len(), 1, "it touches");
/// # Ok::<(), p2pnet_protocol::widescan::BadRange>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<AddressRange>,
}

impl RangeSet {
    /// The set without an address.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        self.holds(address.to_bits())
    }

    pub(super) fn holds(&self, address: u128) -> bool {
        let after = self.ranges.partition_point(|range| range.last < address);
        self.ranges.get(after).is_some_and(|range| range.holds(address))
    }

    /// Adds `range`, in time that grows with the number of ranges behind it.
    pub fn insert(&mut self, range: AddressRange) {
        // Those that overlap it or touch it: everything from the first that doesn't end well before it.
        let from = self.ranges.partition_point(|known| {
            known.last.checked_add(1).is_some_and(|next| next < range.first)
        });
        let behind = self.ranges.partition_point(|known| {
            range.last.checked_add(1).is_none_or(|next| known.first <= next)
        });
        let joined = self.ranges.get(from..behind).unwrap_or_default();
        let first = joined.first().map_or(range.first, |known| known.first.min(range.first));
        let last = joined.last().map_or(range.last, |known| known.last.max(range.last));
        let (from, behind) = (from.min(behind), behind.max(from));
        self.ranges.splice(from..behind, [AddressRange { first, last }]);
    }

    /// What of `range` isn't in this set, in order.
    pub(super) fn outside(&self, range: AddressRange) -> impl Iterator<Item = AddressRange> {
        let from = self.ranges.partition_point(|known| known.last < range.first);
        let mut known = self.ranges.get(from..).unwrap_or_default().iter();
        let mut next = Some(range.first);
        core::iter::from_fn(move || {
            while let Some(first) = next.filter(|first| *first <= range.last) {
                let Some(hole) = known.next().filter(|hole| hole.first <= range.last) else {
                    next = None;
                    return AddressRange::from_bits(first, range.last);
                };
                next = hole.last.checked_add(1);
                let before =
                    hole.first.checked_sub(1).and_then(|last| AddressRange::from_bits(first, last));
                if before.is_some() {
                    return before;
                }
            }
            None
        })
    }

    /// All addresses that aren't in this set.
    pub fn complement(&self) -> Self {
        Self { ranges: self.outside(AddressRange::ALL).collect() }
    }
}

impl FromIterator<AddressRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        let mut set = Self::new();
        set.extend(ranges);
        set
    }
}

impl Extend<AddressRange> for RangeSet {
    /// Adds many at once: one sort, however many there are.
    fn extend<I: IntoIterator<Item = AddressRange>>(&mut self, ranges: I) {
        self.ranges.extend(ranges);
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|later, earlier| {
            let touches = earlier.last.checked_add(1).is_none_or(|next| later.first <= next);
            if touches {
                earlier.last = earlier.last.max(later.last);
            }
            touches
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn texts_are_read_and_shown() {
        for (text, shown) in [
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::1-2001:db8::3", "2001:db8::1-2001:db8::3"),
            ("2001:db8::1 - 2001:db8::1", "2001:db8::1/128"),
            ("2001:db8:1:2", "2001:db8:1:2::/64"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.2.0/120"),
        ] {
            assert_eq!(range(text).to_string(), shown);
            assert_eq!(range(shown), range(text));
        }
        for bad in [
            "",
            "2001:db8::/129",
            "2001:db8::/",
            "::/+1",
            "::2-::1",
            "1.2.3.4",
            "1.2.3.0/24",
            "1:2:3",
            "x",
        ] {
            assert_eq!(bad.parse::<AddressRange>(), Err(BadRange), "{bad}");
        }
    }

    fn small(first: u8, last: u8) -> AddressRange {
        AddressRange::from_bits(u128::from(first.min(last)), u128::from(first.max(last))).unwrap()
    }

    /// A few ranges among the first 256 addresses, as the plainest set there is.
    fn model(ranges: &[(u8, u8)]) -> [bool; 256] {
        core::array::from_fn(|n| ranges.iter().any(|(a, b)| small(*a, *b).holds(n as u128)))
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in(ranges in prop::collection::vec(any::<(u8, u8)>(), 0..12), within in any::<(u8, u8)>()) {
            let model = model(&ranges);
            let whole: RangeSet = ranges.iter().map(|(a, b)| small(*a, *b)).collect();
            let mut one_by_one = RangeSet::new();
            ranges.iter().for_each(|(a, b)| one_by_one.insert(small(*a, *b)));
            prop_assert_eq!(&whole, &one_by_one);
            for pair in whole.ranges().windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "they neither overlap nor touch");
            }
            let within = small(within.0, within.1);
            let outside: Vec<_> = whole.outside(within).collect();
            for n in 0..=255u8 {
                prop_assert_eq!(whole.holds(n.into()), model[usize::from(n)]);
                let left = outside.iter().filter(|range| range.holds(n.into())).count();
                prop_assert_eq!(left, usize::from(within.holds(n.into()) && !model[usize::from(n)]));
            }
            prop_assert_eq!(whole.complement().complement(), whole);
        }

        #[test]
        fn blocks_make_up_the_range(a in any::<u128>(), b in any::<u128>(), near in any::<bool>()) {
            let b = if near { a.saturating_add(b % 1000) } else { b };
            let range = AddressRange::from_bits(a.min(b), a.max(b)).unwrap();
            let mut next = Some(range.first);
            for (first, bits) in range.blocks() {
                prop_assert_eq!(Some(first), next);
                prop_assert_eq!(first & low_bits(bits), 0);
                next = (first | low_bits(bits)).checked_add(1);
            }
            prop_assert_eq!(next, range.last.checked_add(1));
            prop_assert!(range.blocks().count() <= 254);
        }
    }

    #[test]
    fn the_ends_of_the_address_space_are_ordinary() {
        let all = RangeSet::from_iter([AddressRange::ALL]);
        assert_eq!(all.complement(), RangeSet::new());
        assert_eq!(RangeSet::new().complement(), all);
        assert_eq!(AddressRange::ALL.blocks().collect::<Vec<_>>(), [(0, 128)]);
        let mut set = RangeSet::new();
        set.insert(range("ffff::/16"));
        set.insert(range("::/128"));
        set.insert(range("fffe::/16"));
        assert_eq!(set.ranges(), [range("::/128"), range("fffe::/15")]);
        set.insert(AddressRange::ALL);
        assert_eq!(set, all);
    }
}
