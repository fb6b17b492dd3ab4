//! Plans: the order in which a space is visited.

use super::permutation::{Geometry, Keys, Purpose};
use super::space::Space;
use crate::hash::sha256;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::num::NonZeroU128;
use serde::{Deserialize, Serialize};

/// In which order targets come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Rounds in which each prefix that has targets left gets one probe. Between two probes to one prefix there are always
    /// as many others as there were other prefixes in the round of the first.
    #[default]
    Even,
    /// Any target of the whole space may follow any other, so that large prefixes get most probes.
    Random,
}

/// A space, an order and a seed: everything that decides which target comes when.
///
/// ```
/// use p2pnet_protocol::widescan::{Order, Plan, SpaceLimits, Targets};
/// let mut targets = Targets::new();
/// targets.add("2a00:1::/120".parse().unwrap());
/// targets.add("2a00:2::/124".parse().unwrap());
/// let plan = Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), Order::Even, 7);
/// let first = plan.address(0).unwrap();
/// assert_eq!(plan.index_of(first), Some(0));
/// assert_ne!(plan.prefix_at(0), plan.prefix_at(1), "the prefixes take turns");
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    space: Space,
    order: Order,
    seed: u64,
    visits: Visits,
    digest: [u8; 32],
}

#[derive(Clone, Debug)]
enum Visits {
    Random { geometry: Geometry, keys: Keys },
    Even(Even),
}

/// Rounds: the prefixes by size, largest first, so that those with something left are always the leading ones.
#[derive(Clone, Debug)]
pub(super) struct Even {
    /// The numbers of groups, in the order of their turns.
    turns: Vec<u32>,
    /// Where each group is in `turns`.
    turn_of: Vec<u32>,
    /// The geometry of each turn's group: a number in `geometries`.
    geometry_of: Vec<u32>,
    geometries: Vec<Geometry>,
    stages: Vec<Stage>,
    keys: Keys,
}

/// Rounds with the same prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stage {
    /// Its first index.
    start: u128,
    /// Its first round.
    round: u128,
    /// How many prefixes take turns.
    active: NonZeroU128,
}

/// A place in the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) round: u128,
    pub(super) turn: u128,
    /// How many turns this round has.
    pub(super) active: u128,
}

impl Even {
    fn new(space: &Space, seed: u64) -> Self {
        let groups = space.groups();
        let among = Geometry::new(groups.len().saturating_sub(1) as u128);
        let among_keys = Keys::new(seed, Purpose::Among);
        // Largest first; those of one size in an order that follows from the seed.
        let mut sorted: Vec<(u128, u128, u32)> = groups
            .iter()
            .enumerate()
            .map(|(number, group)| {
                (!group.last, among.forward(&among_keys, 0, number as u128), number as u32)
            })
            .collect();
        sorted.sort_unstable();
        let mut even = Self {
            turns: sorted.iter().map(|(_, _, number)| *number).collect(),
            turn_of: groups.iter().map(|_| 0).collect(),
            geometry_of: Vec::new(),
            geometries: Vec::new(),
            stages: Vec::new(),
            keys: Keys::new(seed, Purpose::Within),
        };
        for (turn, number) in even.turns.iter().enumerate() {
            if let Some(of) = even.turn_of.get_mut(*number as usize) {
                *of = turn as u32;
            }
        }
        let mut sizes = BTreeMap::new();
        for (inverted, _, _) in &sorted {
            let known = sizes.entry(!inverted).or_insert_with(|| {
                even.geometries.push(Geometry::new(!inverted));
                even.geometries.len().saturating_sub(1) as u32
            });
            even.geometry_of.push(*known);
        }
        even.stages(sorted.iter().map(|(inverted, _, _)| !inverted));
        even
    }

    /// Makes the stages from the sizes, less one each, largest first.
    fn stages(&mut self, lasts: impl DoubleEndedIterator<Item = u128> + ExactSizeIterator) {
        let mut active = NonZeroU128::new(lasts.len() as u128);
        let (mut start, mut round) = (0u128, Some(0u128));
        for last in lasts.rev() {
            let Some(now) = active else { break };
            active = NonZeroU128::new(now.get().wrapping_sub(1));
            // The round in which this group has nothing left: none after 2¹²⁸ of them, which one group alone can have.
            let after = last.checked_add(1);
            let Some(first) = round.filter(|round| *round <= last) else { continue };
            self.stages.push(Stage { start, round: first, active: now });
            let rounds = last.wrapping_sub(first).wrapping_add(1);
            start = start.wrapping_add(rounds.wrapping_mul(now.get()));
            round = after;
        }
    }

    /// The place of `index`, which must be in the space.
    pub(super) fn turn(&self, index: u128) -> Turn {
        let after = self.stages.partition_point(|stage| stage.start <= index);
        let stage = after.checked_sub(1).and_then(|at| self.stages.get(at)).copied();
        let stage = stage.unwrap_or(Stage { start: 0, round: 0, active: NonZeroU128::MIN });
        let within = index.wrapping_sub(stage.start);
        Turn {
            round: stage.round.wrapping_add(within / stage.active),
            turn: within % stage.active,
            active: stage.active.get(),
        }
    }

    /// The group whose turn it is, and the offset in it.
    #[inline]
    pub(super) fn place(&self, turn: &Turn) -> (usize, u128) {
        let at = turn.turn as usize;
        let number = self.turns.get(at).copied().unwrap_or(0);
        let geometry = self.geometry_of.get(at).and_then(|of| self.geometries.get(*of as usize));
        let offset =
            geometry.map_or(0, |geometry| geometry.forward(&self.keys, tweak(number), turn.round));
        (number as usize, offset)
    }

    fn index_of(&self, number: usize, offset: u128) -> Option<u128> {
        let turn = *self.turn_of.get(number)?;
        let geometry = self.geometries.get(*self.geometry_of.get(turn as usize)? as usize)?;
        let round = geometry.backward(&self.keys, tweak(number as u32), offset);
        let after = self.stages.partition_point(|stage| stage.round <= round);
        let stage = self.stages.get(after.checked_sub(1)?)?;
        let rounds = round.wrapping_sub(stage.round);
        Some(
            stage
                .start
                .wrapping_add(rounds.wrapping_mul(stage.active.get()))
                .wrapping_add(turn.into()),
        )
    }
}

/// What makes the order within one prefix another than within the next: the finaliser of MurmurHash3.
fn tweak(group: u32) -> u32 {
    let mut mixed = group ^ group >> 16;
    mixed = mixed.wrapping_mul(0x85eb_ca6b);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xc2b2_ae35);
    mixed ^ mixed >> 16
}

impl Plan {
    /// The plan for `space`. The same seed, order and space give the same plan everywhere.
    pub fn new(space: Space, order: Order, seed: u64) -> Self {
        let visits = match order {
            Order::Even => Visits::Even(Even::new(&space, seed)),
            Order::Random => {
                let keys = Keys::new(seed, Purpose::Whole);
                Visits::Random { geometry: Geometry::new(space.last_index()), keys }
            }
        };
        let digest = sha256(&[
            b"p2pnet widescan plan v1",
            space.digest(),
            &[order as u8],
            &seed.to_be_bytes(),
        ]);
        Self { space, order, seed, visits, digest }
    }

    /// The space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The order.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What tells this plan from any other.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The target at `index`. None beyond the last, and where its address has another index because strategies overlap.
    pub fn address(&self, index: u128) -> Option<Ipv6Addr> {
        let address =
            (index <= self.space.last_index()).then(|| self.address_bits(index)).flatten();
        address.map(Ipv6Addr::from_bits)
    }

    #[inline]
    pub(super) fn address_bits(&self, index: u128) -> Option<u128> {
        match &self.visits {
            Visits::Random { geometry, keys } => {
                self.space.address_bits(geometry.forward(keys, 0, index))
            }
            Visits::Even(even) => {
                let (group, offset) = even.place(&even.turn(index));
                self.space.address_of(self.space.groups().get(group)?, offset)
            }
        }
    }

    /// The number of the prefix that the target at `index` is in.
    pub fn prefix_at(&self, index: u128) -> Option<usize> {
        if index > self.space.last_index() {
            return None;
        }
        match &self.visits {
            Visits::Even(even) => Some(even.place(&even.turn(index)).0),
            Visits::Random { .. } => self.space.prefix_of(self.address(index)?),
        }
    }

    /// When `address` has its turn, if it is a target.
    pub fn index_of(&self, address: Ipv6Addr) -> Option<u128> {
        let index = self.space.index_of(address)?;
        match &self.visits {
            Visits::Random { geometry, keys } => Some(geometry.backward(keys, 0, index)),
            Visits::Even(even) => {
                let number = self.space.prefix_of(address)?;
                let start = self.space.groups().get(number)?.start;
                even.index_of(number, index.wrapping_sub(start))
            }
        }
    }

    /// The least number of probes from one to a prefix to the next to the same prefix, counting the latter: how many prefixes
    /// take turns in the last round that has a next one. 1 in the order `random`, which promises nothing, and where one prefix
    /// has more targets than all others.
    pub fn gap_min(&self) -> u128 {
        match &self.visits {
            Visits::Random { .. } => 1,
            Visits::Even(even) => match &even.stages[..] {
                [.., before, last] if last.round == self.last_round() => before.active.get(),
                [.., last] => last.active.get(),
                [] => 1,
            },
        }
    }

    fn last_round(&self) -> u128 {
        self.space.groups().iter().map(|group| group.last).max().unwrap_or(0)
    }

    pub(super) fn even(&self) -> Option<&Even> {
        match &self.visits {
            Visits::Even(even) => Some(even),
            Visits::Random { .. } => None,
        }
    }

    /// Where the whole space is one run of addresses in random order: its first address, and the permutation.
    pub(super) fn run(&self) -> Option<(u128, &Geometry, &Keys)> {
        match &self.visits {
            Visits::Random { geometry, keys } => Some((self.space.single_run()?, geometry, keys)),
            Visits::Even(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::strategy::Strategy;
    use super::super::targets::{SpaceLimits, Targets};
    use super::*;
    use alloc::vec;

    fn plan(prefixes: &[&str], order: Order, seed: u64, strategies: &[Strategy]) -> Plan {
        let mut targets = Targets::new();
        targets.allow_special();
        prefixes.iter().for_each(|prefix| targets.add(prefix.parse().unwrap()));
        strategies.iter().for_each(|strategy| targets.strategy(strategy));
        Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), order, seed)
    }

    const MIXED: [&str; 8] = [
        "fd00::/118",
        "fd00:1::/120",
        "fd00:2::/120",
        "fd00:3::-fd00:3::20",
        "fd00:4::",
        "fd00:5::",
        "fd00:6::/121",
        "fd00:7::/118",
    ];

    #[test]
    fn each_target_comes_once_and_its_index_is_found() {
        let strategies = [
            Strategy::LowByte { bits: 7 },
            Strategy::Ports { ports: vec![80, 443], number_max: 0 },
        ];
        for order in [Order::Even, Order::Random] {
            for strategies in [&[][..], &strategies] {
                let plan = plan(&MIXED, order, 3, strategies);
                let last = plan.space().last_index();
                let mut seen: Vec<Ipv6Addr> = Vec::new();
                for index in 0..=last {
                    let Some(address) = plan.address(index) else { continue };
                    assert_eq!(plan.index_of(address), Some(index), "{order:?} {address}");
                    assert_eq!(plan.prefix_at(index), plan.space().prefix_of(address));
                    seen.push(address);
                }
                assert_eq!(plan.address(last + 1), None);
                let count = seen.len();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), count);
                let there =
                    (0..=last).filter(|index| plan.space().address(*index).is_some()).count();
                assert_eq!(count, there);
                assert!(strategies.is_empty() == (count as u128 == last + 1));
            }
        }
    }

    /// The promise of the order `even`: the gap between two probes to one prefix is the number of prefixes that took turns in
    /// the round of the first.
    #[test]
    fn the_gap_between_probes_to_a_prefix_is_the_number_of_prefixes_in_the_round() {
        for seed in 0..20 {
            let plan = plan(&MIXED, Order::Even, seed, &[]);
            let sizes: Vec<u128> = (0..plan.space().prefixes())
                .map(|n| plan.space().prefix(n).unwrap().1 + 1)
                .collect();
            let (mut before, mut probes, mut least) =
                (vec![None; sizes.len()], vec![0u128; sizes.len()], u128::MAX);
            for index in 0..=plan.space().last_index() {
                let prefix = plan.prefix_at(index).unwrap();
                let round = probes[prefix];
                probes[prefix] += 1;
                if let Some(before) = before[prefix].replace(index) {
                    let active = sizes.iter().filter(|size| **size > round - 1).count() as u128;
                    assert_eq!(index - before, active, "round {round} of prefix {prefix}");
                    least = least.min(active);
                }
            }
            assert_eq!(probes, sizes);
            assert_eq!(plan.gap_min(), least);
        }
    }

    #[test]
    fn the_least_gap_is_known_without_looking() {
        for (prefixes, gap) in [
            (&["fd00::/120"][..], 1),
            (&["fd00::/120", "fd00:1::/120", "fd00:2::/120"], 3),
            (&["fd00::/120", "fd00:1::/121"], 1),
            (&["fd00::-fd00::8", "fd00:1::-fd00:1::7"], 2),
            (&["fd00::", "fd00:1::"], 2),
        ] {
            assert_eq!(plan(prefixes, Order::Even, 1, &[]).gap_min(), gap, "{prefixes:?}");
        }
        assert_eq!(plan(&["fd00::", "fd00:1::"], Order::Random, 1, &[]).gap_min(), 1);
    }

    #[test]
    fn prefixes_of_any_size_take_turns() {
        let plan = plan(
            &["fd00::/16", "fd01::/48", "fd02::/64", "fd03::/65", "fd04::"],
            Order::Even,
            9,
            &[],
        );
        let last = plan.space().last_index();
        for index in [0, 1, 4, 5, 6, 9, 1 << 63, (1 << 65) + 7, 1 << 81, last - 1, last] {
            let address = plan.address(index).unwrap();
            assert_eq!(plan.index_of(address), Some(index), "{index}");
        }
        let first: Vec<_> = (0..5).map(|index| plan.prefix_at(index).unwrap()).collect();
        assert_eq!(first, [0, 1, 2, 3, 4], "by size");
        assert_eq!(plan.prefix_at(9), Some(0), "the single address has had its turn");
    }

    #[test]
    fn another_seed_or_order_is_another_plan() {
        let of = |order, seed| {
            let plan = plan(&["fd00::/96", "fd01::/96"], order, seed, &[]);
            (*plan.digest(), (0..8).map(|index| plan.address(index)).collect::<Vec<_>>())
        };
        let (digest, addresses) = of(Order::Even, 1);
        for (order, seed) in [(Order::Even, 2), (Order::Random, 1)] {
            let (other, others) = of(order, seed);
            assert_ne!(digest, other);
            assert_ne!(addresses, others);
        }
        assert_eq!(of(Order::Even, 1), (digest, addresses));
    }

    #[test]
    fn prefixes_of_one_size_are_in_the_seeds_order_and_visited_differently() {
        let prefixes: Vec<String> = (0..64).map(|n| alloc::format!("fd00:{n:x}::/96")).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(|prefix| &**prefix).collect();
        let plan = plan(&prefixes, Order::Even, 5, &[]);
        let turns: Vec<usize> = (0..64).map(|index| plan.prefix_at(index).unwrap()).collect();
        assert_ne!(turns, (0..64).collect::<Vec<_>>());
        let mut hosts: Vec<u32> =
            (0..64).map(|index| plan.address(index).unwrap().to_bits() as u32).collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert!(hosts.len() > 60, "{}", hosts.len());
    }

    use alloc::string::String;
}
