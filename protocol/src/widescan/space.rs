//! The target space, compiled so that every index stands for an address.

use super::pattern::Pattern;
use super::range::{AddressRange, RangeSet};
use super::segment::{Segment, Store};
use super::targets::{SpaceError, SpaceLimits};
use crate::hash::sha256;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

/// A prefix as it was named, with its segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    range: AddressRange,
    /// Its segments: from which on, and how many.
    segments: (u32, u32),
    /// The index of its first address.
    pub(super) start: u128,
    /// How many indices it has, less one.
    pub(super) last: u128,
}

/// A compiled target space: disjoint prefixes in order, and in each the addresses of every strategy.
///
/// Each index up to [`last_index`](Self::last_index) stands for an address. Where strategies overlap, the same address has
/// several indices, of which the first alone counts: [`address`](Self::address) gives none for the others, so that each
/// address comes once. Made by [`Targets::compile`](super::Targets::compile).
#[derive(Clone, Debug)]
pub struct Space {
    groups: Vec<Group>,
    segments: Vec<Segment>,
    /// The index at which each segment begins.
    starts: Vec<u128>,
    /// For the upper bits of an index, the first segment that may hold it; one more at the end.
    lookup: Vec<u32>,
    lookup_shift: u32,
    store: Store,
    last: u128,
    /// Whether a group has segments of several patterns, so that an address may come twice.
    layered: bool,
    digest: [u8; 32],
}

pub(super) struct Builder<'a> {
    limits: &'a SpaceLimits,
    patterns: Vec<super::segment::Compiled>,
    groups: Vec<Group>,
    segments: Vec<Segment>,
    starts: Vec<u128>,
    store: Store,
    /// The index after the last; none after 2¹²⁸ of them.
    next: Option<u128>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(patterns: &[Pattern], limits: &'a SpaceLimits) -> Result<Self, SpaceError> {
        let any = Pattern::any();
        // A pattern that every address has leaves nothing for others.
        let all = patterns.is_empty() || patterns.iter().any(Pattern::is_any);
        let patterns = if all { core::slice::from_ref(&any) } else { patterns };
        let mut store = Store::default();
        let compiled = patterns
            .iter()
            .enumerate()
            .map(|(layer, pattern)| store.compile(u16::try_from(layer).ok()?, pattern));
        let patterns = compiled.collect::<Option<_>>().ok_or(SpaceError::TooManySegments)?;
        let (groups, segments, starts) = Default::default();
        Ok(Self { limits, patterns, groups, segments, starts, store, next: Some(0) })
    }

    pub(super) fn add(
        &mut self,
        prefix: AddressRange,
        excluded: &RangeSet,
    ) -> Result<(), SpaceError> {
        let from = self.segments.len();
        for pattern in 0..self.patterns.len() {
            for left in excluded.outside(prefix) {
                self.add_pattern(pattern, left)?;
            }
        }
        let added = self.segments.get(from..).unwrap_or_default();
        let Some(start) = self.starts.get(from).copied().filter(|_| !added.is_empty()) else {
            return Ok(());
        };
        // The index after the last is none at the end of all, where the last one is u128::MAX.
        let last = self.next.unwrap_or(0).wrapping_sub(1).wrapping_sub(start);
        let place = |number: usize| u32::try_from(number).map_err(|_| SpaceError::TooManySegments);
        let segments = (place(from)?, place(added.len())?);
        self.groups.push(Group { range: prefix, segments, start, last });
        Ok(())
    }

    fn add_pattern(&mut self, pattern: usize, left: AddressRange) -> Result<(), SpaceError> {
        let Some(pattern) = self.patterns.get(pattern) else { return Ok(()) };
        if pattern.is_any() {
            return self.push(Store::run(left.first_bits(), left.last_bits(), 0));
        }
        // Borrowed anew for each block: the store grows meanwhile.
        let mut made = Vec::new();
        for (block, open) in left.blocks() {
            made.extend(self.store.within(pattern, block, open));
        }
        made.into_iter().try_for_each(|segment| self.push(segment))
    }

    fn push(&mut self, segment: Segment) -> Result<(), SpaceError> {
        let start = self.next.ok_or(SpaceError::TooLarge)?;
        let end = start.checked_add(segment.last).ok_or(SpaceError::TooLarge)?;
        self.next = end.checked_add(1);
        self.starts.push(start);
        self.segments.push(segment);
        let many = self.segments.len() > self.limits.segments_max
            || self.store.digits() > self.limits.digits_max
            || self.store.values() > self.limits.digits_max;
        if many { Err(SpaceError::TooManySegments) } else { Ok(()) }
    }

    pub(super) fn finish(self) -> Result<Space, SpaceError> {
        if self.groups.is_empty() {
            return Err(SpaceError::Empty);
        }
        let last = self.next.unwrap_or(0).wrapping_sub(1);
        let layered = self.patterns.len() > 1;
        let mut space = Space {
            groups: self.groups,
            segments: self.segments,
            starts: self.starts,
            lookup: Vec::new(),
            lookup_shift: 0,
            store: self.store,
            last,
            layered,
            digest: [0; 32],
        };
        space.index();
        space.digest = space.describe();
        Ok(space)
    }
}

impl Space {
    /// Fills the table from upper bits to segments: about two entries for each segment.
    fn index(&mut self) {
        let bits = 128u32.saturating_sub(self.last.leading_zeros());
        let segments = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        let wanted = 33u32.saturating_sub(segments.leading_zeros()).min(bits);
        self.lookup_shift = bits.saturating_sub(wanted);
        let entries = self.last.checked_shr(self.lookup_shift).unwrap_or(0);
        let mut segment = 0u32;
        for entry in 0..=entries {
            let first = entry.checked_shl(self.lookup_shift).unwrap_or(0);
            // The last segment that begins at or before the entry's first index.
            while self
                .starts
                .get((segment as usize).wrapping_add(1))
                .is_some_and(|start| *start <= first)
            {
                segment = segment.wrapping_add(1);
            }
            self.lookup.push(segment);
        }
        self.lookup.push(segments.saturating_sub(1));
    }

    /// The number of the segment that holds `index`.
    #[inline]
    fn segment_at(&self, index: u128) -> usize {
        // 2³³ entries at most, so nothing that matters is cut.
        let entry = index.checked_shr(self.lookup_shift).unwrap_or(0) as usize;
        let from = self.lookup.get(entry).copied().unwrap_or(0) as usize;
        let upto = self.lookup.get(entry.wrapping_add(1)).copied().unwrap_or(0) as usize;
        let starts = self.starts.get(from.wrapping_add(1)..=upto).unwrap_or_default();
        let after = if starts.len() <= 4 {
            starts.iter().take_while(|start| **start <= index).count()
        } else {
            starts.partition_point(|start| *start <= index)
        };
        from.wrapping_add(after)
    }

    /// How many indices there are, less one.
    pub fn last_index(&self) -> u128 {
        self.last
    }

    /// How many prefixes have something to scan.
    pub fn prefixes(&self) -> usize {
        self.groups.len()
    }

    /// The prefix with that number, in order, and how many indices it has, less one.
    pub fn prefix(&self, number: usize) -> Option<(AddressRange, u128)> {
        self.groups.get(number).map(|group| (group.range, group.last))
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether strategies may overlap, so that some indices stand for no address.
    pub fn may_overlap(&self) -> bool {
        self.layered
    }

    /// What tells this space from any other: the same prefixes, exclusions and strategies give the same digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The one run of addresses that is the whole space, if it is one: its first address.
    pub(super) fn single_run(&self) -> Option<u128> {
        match &self.segments[..] {
            [segment] if segment.is_run() => Some(segment.first),
            _ => None,
        }
    }

    /// The address at `index`. None beyond the last index, and where the address has an earlier index in another strategy.
    pub fn address(&self, index: u128) -> Option<Ipv6Addr> {
        let address = (index <= self.last).then(|| self.address_bits(index)).flatten();
        address.map(Ipv6Addr::from_bits)
    }

    /// The same for an index that is in the space.
    #[inline]
    pub(super) fn address_bits(&self, index: u128) -> Option<u128> {
        self.address_in(self.segment_at(index), index)
    }

    #[inline]
    fn address_in(&self, number: usize, index: u128) -> Option<u128> {
        let segment = self.segments.get(number)?;
        let start = self.starts.get(number)?;
        let address = self.store.address(segment, index.wrapping_sub(*start));
        (!self.layered || !self.earlier(number, segment, address)).then_some(address)
    }

    /// The same for an offset in a group.
    #[inline]
    pub(super) fn address_of(&self, group: &Group, offset: u128) -> Option<u128> {
        let index = group.start.wrapping_add(offset);
        match group.segments {
            (number, 1) => self.address_in(number as usize, index),
            (from, count) => {
                let (from, count) = (from as usize, count as usize);
                let starts = self.starts.get(from..from.saturating_add(count)).unwrap_or_default();
                let after = starts.partition_point(|start| *start <= index);
                self.address_in(from.wrapping_add(after).wrapping_sub(1), index)
            }
        }
    }

    /// Whether an earlier pattern of the same prefix has `address` too.
    fn earlier(&self, number: usize, segment: &Segment, address: u128) -> bool {
        if segment.layer == 0 {
            return false;
        }
        let after = self.groups.partition_point(|group| group.segments.0 as usize <= number);
        let Some(group) = after.checked_sub(1).and_then(|at| self.groups.get(at)) else {
            return false;
        };
        self.find(group, address).is_some_and(|(found, _)| {
            self.segments.get(found).is_some_and(|found| found.layer < segment.layer)
        })
    }

    /// The first segment of a group that holds `address`, and the offset in it.
    fn find(&self, group: &Group, address: u128) -> Option<(usize, u128)> {
        let mut from = group.segments.0 as usize;
        let mut rest = self.segments.get(from..from.saturating_add(group.segments.1 as usize))?;
        while let Some(first) = rest.first() {
            // Segments of one pattern are in order of address.
            let (layer, others) =
                rest.split_at(rest.partition_point(|segment| segment.layer == first.layer));
            let after = layer.partition_point(|segment| segment.first <= address);
            if let Some(at) = after.checked_sub(1)
                && let Some(offset) =
                    layer.get(at).and_then(|segment| self.store.offset(segment, address))
            {
                return Some((from.wrapping_add(at), offset));
            }
            from = from.wrapping_add(layer.len());
            rest = others;
        }
        None
    }

    /// The number of the prefix that `address` is in, whether or not it is a target.
    pub fn prefix_of(&self, address: Ipv6Addr) -> Option<usize> {
        let address = address.to_bits();
        let after = self.groups.partition_point(|group| group.range.first_bits() <= address);
        let number = after.checked_sub(1)?;
        self.groups.get(number).filter(|group| group.range.holds(address)).map(|_| number)
    }

    /// The index of `address`, if it is in the space.
    pub fn index_of(&self, address: Ipv6Addr) -> Option<u128> {
        let group = self.groups.get(self.prefix_of(address)?)?;
        let (number, offset) = self.find(group, address.to_bits())?;
        self.starts.get(number).map(|start| start.wrapping_add(offset))
    }

    fn describe(&self) -> [u8; 32] {
        let mut text = Vec::new();
        // Hashed in parts: a large space needn't be in memory twice.
        let mut digest = sha256(&[b"p2pnet widescan space v1", &self.last.to_be_bytes()]);
        for group in &self.groups {
            text.clear();
            text.extend_from_slice(&group.range.first_bits().to_be_bytes());
            text.extend_from_slice(&group.range.last_bits().to_be_bytes());
            let from = group.segments.0 as usize;
            let segments = self.segments.get(from..from.saturating_add(group.segments.1 as usize));
            for segment in segments.unwrap_or_default() {
                self.store.describe(segment, &mut text);
            }
            digest = sha256(&[&digest, &text]);
        }
        digest
    }
}

#[cfg(test)]
mod tests;
