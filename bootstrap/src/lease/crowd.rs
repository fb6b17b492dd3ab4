//! The leases of one network, grouped by site and by who is told of them, so that a sample is spread over sites.

use super::place::Scope;
use super::slab::NONE;

/// Who is told of a group's leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shelf {
    /// Clients in this scope, and in narrower ones.
    Open(Scope),
    /// Nobody.
    Hidden,
}

impl Shelf {
    const COUNT: usize = Scope::ALL.len() + 1;

    /// Its place among a crowd's lists: the open ones first, the widest before the others.
    const fn place(self) -> usize {
        match self {
            Self::Open(scope) => scope as usize,
            Self::Hidden => Scope::ALL.len(),
        }
    }
}

/// The leases of one network at one site: a ring through the leases themselves.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) site: u64,
    pub(super) network: u16,
    pub(super) shelf: Shelf,
    /// IPv4, whose sites are numbered apart from those of IPv6.
    pub(super) v4: bool,
    /// The lease that is shown next.
    pub(super) head: u32,
    pub(super) leases: u32,
    /// Its place in its crowd's list.
    pub(super) place: u32,
}

/// One network's groups, by shelf.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    pub(super) tag: [u8; 8],
    groups: [Vec<u32>; Shelf::COUNT],
    /// Leases, with those that are kept only to know replays by.
    pub(super) leases: u32,
    /// Without those.
    pub(super) running: u32,
}

impl Crowd {
    pub(super) fn new(tag: [u8; 8]) -> Self {
        Self { tag, ..Self::default() }
    }

    /// Adds a group and returns its place.
    pub(super) fn add(&mut self, shelf: Shelf, group: u32) -> u32 {
        let list = &mut self.groups[shelf.place()];
        list.push(group);
        (list.len() - 1) as u32
    }

    /// Takes the group at `place` off, and returns the one that stands there now, if another does.
    pub(super) fn remove(&mut self, shelf: Shelf, place: u32) -> Option<u32> {
        let list = &mut self.groups[shelf.place()];
        list.swap_remove(place as usize);
        if list.capacity() > 64 && list.len() * 4 < list.capacity() {
            list.shrink_to(list.len() * 2);
        }
        list.get(place as usize).copied()
    }

    /// How many groups a client observed in `scope` may be told of.
    pub(super) fn visible(&self, scope: Scope) -> usize {
        let seen = Scope::ALL.into_iter().filter(|other| scope.sees(*other));
        seen.map(|other| self.groups[other as usize].len()).sum()
    }

    /// The `n`-th of the visible groups: scopes stand in their order, and a client sees them from the first on.
    pub(super) fn nth(&self, mut n: usize) -> u32 {
        for list in &self.groups {
            match list.get(n) {
                Some(group) => return *group,
                None => n -= list.len(),
            }
        }
        NONE
    }

    pub(super) fn bytes(&self) -> usize {
        self.groups.iter().map(|list| list.capacity() * size_of::<u32>()).sum()
    }
}

/// `wanted` different numbers below `count`, or all of them, in any order (Floyd's algorithm). `below(n)` draws a number
/// below `n`.
pub(super) fn distinct(
    count: usize,
    wanted: usize,
    below: &mut impl FnMut(u64) -> u64,
) -> Vec<usize> {
    let wanted = wanted.min(count);
    let mut chosen: Vec<usize> = Vec::with_capacity(wanted);
    for last in count - wanted..count {
        let drawn = below(last as u64 + 1) as usize;
        let new = if chosen.contains(&drawn) { last } else { drawn };
        // Anywhere among the others, since the order says who is taken first when not all fit.
        chosen.push(new);
        let at = below(chosen.len() as u64) as usize;
        let end = chosen.len() - 1;
        chosen.swap(at, end);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::{Rng, Seed};

    #[test]
    fn drawn_numbers_are_distinct_and_even() {
        let mut rng = Rng::new(Seed::from_u64(1), "test");
        let mut below = |n| rng.below(n);
        let mut seen = [0_u32; 10];
        let mut first = [0_u32; 10];
        for _ in 0..3000 {
            let mut chosen = distinct(10, 4, &mut below);
            first[chosen[0]] += 1;
            chosen.iter().for_each(|n| seen[*n] += 1);
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), 4);
        }
        assert!(seen.iter().all(|times| (1050..1350).contains(times)), "{seen:?}");
        assert!(first.iter().all(|times| (230..370).contains(times)), "{first:?}");
        let mut all = distinct(3, 9, &mut below);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    }
}
