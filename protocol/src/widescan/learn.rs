//! Patterns from addresses that are known: where hosts are, others are near.
//!
//! The addresses make a tree: each node is split by the first of its hexadecimal digits that varies. A node's pattern has at
//! each place the span from the least to the largest digit there, so that it holds more than was known. Patterns in which known
//! addresses stand densest come first, until the budget is spent. (After 6Gen and 6Tree: Murdock and others, IMC 2017; Liu and
//! others, Computer Networks 2019.)

use super::pattern::Pattern;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

/// Collects known addresses and makes patterns of them.
///
/// ```
/// use p2pnet_protocol::widescan::{Learner, Strategy};
/// let mut learner = Learner::new(1000);
/// for known in ["2001:db8::1", "2001:db8::2", "2001:db8::5", "2001:db8:7::1"] {
///     assert!(learner.add(known.parse().unwrap()));
/// }
/// let patterns = learner.patterns(5, 10);
/// assert!(patterns[0].contains("2001:db8::3".parse().unwrap()));
/// let _ = Strategy::Patterns(patterns);
/// ```
#[derive(Clone, Debug)]
pub struct Learner {
    known: Vec<u128>,
    known_max: usize,
}

/// A node of the tree, as long as it is only a candidate.
struct Candidate {
    pattern: [u16; 32],
    /// How many addresses have it.
    size: u64,
    /// How many of them are known.
    known: u64,
}

impl Learner {
    /// Takes at most `known_max` addresses; each needs 16 bytes, and about 100 for as long as patterns are made.
    pub fn new(known_max: usize) -> Self {
        Self { known: Vec::new(), known_max }
    }

    /// Adds an address. False if there is no room.
    pub fn add(&mut self, address: Ipv6Addr) -> bool {
        let room = self.known.len() < self.known_max;
        if room {
            self.known.push(address.to_bits());
        }
        room
    }

    /// At most `patterns_max` patterns with at most `budget` addresses together, densest first. Patterns may overlap: a
    /// [`Space`](super::Space) counts each address once.
    pub fn patterns(mut self, budget: u64, patterns_max: usize) -> Vec<Pattern> {
        self.known.sort_unstable();
        self.known.dedup();
        let mut candidates = self.candidates(budget);
        // Densest first: more known of as many, or as many known of fewer.
        candidates.sort_by(|a, b| {
            let (of_a, of_b) = (product(a.known, b.size), product(b.known, a.size));
            of_b.cmp(&of_a).then(a.size.cmp(&b.size)).then(a.pattern.cmp(&b.pattern))
        });
        let mut left = budget;
        let (mut patterns, mut chosen) = (Vec::new(), BTreeSet::new());
        for candidate in candidates {
            if patterns.len() >= patterns_max {
                break;
            }
            // Several known addresses may lead to one pattern.
            if !chosen.insert(candidate.pattern) {
                continue;
            }
            // A large one that doesn't fit makes room for smaller ones.
            let Some(rest) = left.checked_sub(candidate.size) else { continue };
            left = rest;
            patterns.extend(Pattern::of_nybbles(&candidate.pattern));
        }
        patterns
    }

    /// The pattern of every node of the tree that isn't larger than `size_max`.
    fn candidates(&self, size_max: u64) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut nodes = Vec::from([&self.known[..]]);
        while let Some(node) = nodes.pop() {
            let (Some(first), Some(last)) = (node.first(), node.last()) else { continue };
            candidates.extend(candidate(node).filter(|candidate| candidate.size <= size_max));
            // The first and the last differ before all others do, for they are in order.
            let place = (first ^ last).leading_zeros() / 4;
            if place < 32 {
                nodes.extend(node.chunk_by(|a, b| digit(*a, place) == digit(*b, place)));
            }
        }
        candidates
    }
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a).wrapping_mul(u128::from(b))
}

/// The hexadecimal digit at a place from 0 to 31.
fn digit(address: u128, place: u32) -> u32 {
    (address.wrapping_shr(124u32.saturating_sub(place.saturating_mul(4))) & 0xf) as u32
}

/// The pattern of a node: none if more addresses have it than anybody could visit.
fn candidate(node: &[u128]) -> Option<Candidate> {
    let mut pattern = [0u16; 32];
    for address in node {
        for (place, set) in (0u32..).zip(&mut pattern) {
            *set |= 1u16.wrapping_shl(digit(*address, place));
        }
    }
    let mut size = 1u64;
    for set in &mut pattern {
        *set = span(*set);
        size = size.checked_mul(set.count_ones().into())?;
    }
    let known = u64::try_from(node.len()).ok()?;
    if size == known {
        // Nothing new is in it: the last digit may be any.
        let last = pattern.last_mut()?;
        size = size.checked_div(last.count_ones().into())?.checked_mul(16)?;
        *last = u16::MAX;
    }
    Some(Candidate { pattern, size, known })
}

/// All digits from the least to the largest of a set.
fn span(set: u16) -> u16 {
    let upto_largest = u16::MAX.wrapping_shr(set.leading_zeros());
    upto_largest & u16::MAX.wrapping_shl(set.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn learner(known: &[&str]) -> Learner {
        let mut learner = Learner::new(1000);
        assert!(known.iter().all(|address| learner.add(address.parse().unwrap())));
        learner
    }

    #[test]
    fn dense_places_come_first() {
        let known = [
            "2001:db8::1:1",
            "2001:db8::1:2",
            "2001:db8::1:4",
            "2001:db8::1:5",
            "2001:db8:0:9::77",
            "2001:db8:ff00::ab",
        ];
        let patterns = learner(&known).patterns(100, 100);
        assert_eq!(patterns[0].size(), Some(5));
        assert!(patterns[0].contains("2001:db8::1:3".parse().unwrap()));
        let total: u128 = patterns.iter().map(|pattern| pattern.size().unwrap()).sum();
        assert!(total <= 100, "{total}");
        for address in known {
            let address = address.parse().unwrap();
            assert!(patterns.iter().any(|pattern| pattern.contains(address)), "{address}");
        }
    }

    #[test]
    fn what_was_held_back_is_found() {
        // Servers at ::10 to ::4f in eight subnets; every third is known.
        let host =
            |subnet: u128, host: u128| Ipv6Addr::from_bits(0x2001_0db8 << 96 | subnet << 64 | host);
        let all = (0..8).flat_map(|subnet| (0x10..0x50).map(move |number| host(subnet, number)));
        let mut learner = Learner::new(1000);
        let mut hidden = Vec::new();
        for (nth, address) in all.enumerate() {
            if nth % 3 == 0 { assert!(learner.add(address)) } else { hidden.push(address) }
        }
        let patterns = learner.patterns(1000, 100);
        let found = hidden
            .iter()
            .filter(|address| patterns.iter().any(|pattern| pattern.contains(**address)))
            .count();
        assert!(found * 10 > hidden.len() * 9, "{found} of {}", hidden.len());
    }

    #[test]
    fn nothing_makes_nothing_and_the_limit_is_kept() {
        assert_eq!(Learner::new(10).patterns(100, 100), []);
        assert_eq!(learner(&["2001:db8::1"]).patterns(15, 100), []);
        assert_eq!(learner(&["2001:db8::1"]).patterns(16, 100).len(), 1);
        let mut full = Learner::new(1);
        assert!(full.add(Ipv6Addr::LOCALHOST) && !full.add(Ipv6Addr::LOCALHOST));
    }

    proptest! {
        #[test]
        fn every_pattern_holds_what_is_known_and_the_budget_is_kept(
            known in prop::collection::vec((0u128..4, 0u128..0x400), 1..60), budget in 1u64..5000, most in 1usize..50,
        ) {
            let known: Vec<Ipv6Addr> =
                known.iter().map(|(net, host)| Ipv6Addr::from_bits(0xfd << 120 | net << 64 | host)).collect();
            let mut learner = Learner::new(1000);
            known.iter().for_each(|address| assert!(learner.add(*address)));
            let patterns = learner.patterns(budget, most);
            prop_assert!(patterns.len() <= most);
            let sizes: u128 = patterns.iter().map(|pattern| pattern.size().unwrap()).sum();
            prop_assert!(sizes <= budget.into());
            for pattern in patterns {
                prop_assert!(known.iter().any(|address| pattern.contains(*address)));
            }
        }
    }
}
