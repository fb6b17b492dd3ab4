//! What shall be scanned: prefixes, exclusions, strategies.

use super::pattern::Pattern;
use super::range::{AddressRange, low_bits};
use super::space::{Builder, Space};
use super::special;
use super::strategy::Strategy;
use alloc::vec::Vec;
use core::fmt;

/// What bounds the memory of a [`Space`]: about 100 bytes for each segment, 100 for each prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceLimits {
    /// The most prefixes, after those within others are taken out.
    pub prefixes_max: usize,
    /// The most segments. An exclusion cuts a prefix into as many as 127, and each pattern needs its own.
    pub segments_max: usize,
    /// The most digits of all segments together, and the most listed values.
    pub digits_max: usize,
}

impl Default for SpaceLimits {
    fn default() -> Self {
        Self { prefixes_max: 1 << 20, segments_max: 1 << 21, digits_max: 1 << 22 }
    }
}

/// Why no space could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceError {
    /// No prefix was named.
    NoPrefixes,
    /// A strategy has no address at all, or there is none.
    NoPattern,
    /// Nothing is left after exclusions, or no prefix has an address of a strategy.
    Empty,
    /// There are more prefixes than [`SpaceLimits::prefixes_max`].
    TooManyPrefixes,
    /// There are more segments than [`SpaceLimits::segments_max`], or digits than [`SpaceLimits::digits_max`].
    TooManySegments,
    /// Strategies overlap so much that they count more than 2¹²⁸ together.
    TooLarge,
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPrefixes => "there are no prefixes to scan",
            Self::NoPattern => "a strategy has no address",
            Self::Empty => "nothing is left to scan: all of it is excluded, or in no strategy",
            Self::TooManyPrefixes => "there are more prefixes than the limit",
            Self::TooManySegments => {
                "prefixes, exclusions and strategies make more segments than the limit"
            }
            Self::TooLarge => "the strategies count more than 2^128 addresses",
        })
    }
}

impl core::error::Error for SpaceError {}

/// What shall be scanned, before it is compiled.
///
/// ```
/// use p2pnet_protocol::widescan::{AddressRange, BadRange, Space, SpaceError, SpaceLimits, Strategy, Targets};
/// let mut targets = Targets::new();
/// targets.add("2a00:1::/48".parse()?);
/// targets.exclude("2a00:1:0:7::/64".parse()?);
/// targets.strategy(&Strategy::LowByte { bits: 4 });
/// let space: Space = targets.compile(&SpaceLimits::default()).unwrap();
/// assert_eq!(space.last_index() + 1, 65_535 * 16);
/// assert_eq!(Targets::new().compile(&SpaceLimits::default()).err(), Some(SpaceError::NoPrefixes));
/// # Ok::<(), BadRange>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Targets {
    prefixes: Vec<AddressRange>,
    excluded: Vec<AddressRange>,
    patterns: Vec<Pattern>,
    /// A strategy had no pattern.
    void: bool,
    allow_special: bool,
    split: Option<u8>,
}

impl Targets {
    /// Nothing yet. Without a strategy it will be [`Strategy::Full`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a prefix, or any other range. One that lies in another adds nothing; of one that overlaps another, the rest is
    /// a prefix of its own.
    pub fn add(&mut self, prefix: AddressRange) {
        self.prefixes.push(prefix);
    }

    /// Leaves addresses out. It costs nothing for each address.
    pub fn exclude(&mut self, range: AddressRange) {
        self.excluded.push(range);
    }

    /// Adds a strategy. Addresses in several are visited once.
    pub fn strategy(&mut self, strategy: &Strategy) {
        let patterns = strategy.patterns();
        self.void |= patterns.is_empty();
        self.patterns.extend(patterns);
    }

    /// Allows reserved and local space ([`SPECIAL`](super::SPECIAL)), except what is no unicast destination: the unspecified
    /// address, IPv4-mapped ones and multicast.
    pub fn allow_special(&mut self) {
        self.allow_special = true;
    }

    /// Cuts prefixes that are shorter into ones of this length, so that each of those has its turn in the order `even`. A /32
    /// has 65,536 /48s, and each counts against [`SpaceLimits::prefixes_max`].
    pub fn split_at(&mut self, length: u8) {
        self.split = Some(length.min(128));
    }

    /// Subtracts, sorts and counts.
    ///
    /// # Errors
    /// Why there is no space; nothing else can go wrong.
    pub fn compile(mut self, limits: &SpaceLimits) -> Result<Space, SpaceError> {
        if self.prefixes.is_empty() {
            return Err(SpaceError::NoPrefixes);
        }
        if self.void {
            return Err(SpaceError::NoPattern);
        }
        let mut excluded = special::excluded(self.allow_special);
        excluded.extend(core::mem::take(&mut self.excluded));
        let prefixes = self.disjoint(limits)?;
        let mut builder = Builder::new(&self.patterns, limits)?;
        for prefix in prefixes {
            builder.add(prefix, &excluded)?;
        }
        builder.finish()
    }

    /// The prefixes in order, none within another, cut where that was asked for.
    fn disjoint(&mut self, limits: &SpaceLimits) -> Result<Vec<AddressRange>, SpaceError> {
        // A longer one comes before those within it.
        self.prefixes.sort_unstable_by_key(|range| (range.first_bits(), !range.last_bits()));
        let mut kept: Vec<AddressRange> = Vec::new();
        for prefix in &self.prefixes {
            let free = match kept.last() {
                Some(before) => before.last_bits().checked_add(1),
                None => Some(0),
            };
            let rest = free.and_then(|free| {
                AddressRange::from_bits(prefix.first_bits().max(free), prefix.last_bits())
            });
            let Some(rest) = rest else { continue };
            match self.split {
                Some(length) => cut(rest, length, limits.prefixes_max, &mut kept)?,
                None => kept.push(rest),
            }
            if kept.len() > limits.prefixes_max {
                return Err(SpaceError::TooManyPrefixes);
            }
        }
        Ok(kept)
    }
}

/// Cuts a range at the borders of prefixes of `length` bits.
fn cut(
    range: AddressRange,
    length: u8,
    most: usize,
    into: &mut Vec<AddressRange>,
) -> Result<(), SpaceError> {
    let host = low_bits(128u32.saturating_sub(u32::from(length)));
    let mut first = range.first_bits();
    loop {
        let end = (first | host).min(range.last_bits());
        into.extend(AddressRange::from_bits(first, end));
        if end == range.last_bits() {
            return Ok(());
        }
        if into.len() > most {
            return Err(SpaceError::TooManyPrefixes);
        }
        first = end.wrapping_add(1);
    }
}
