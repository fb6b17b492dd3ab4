//! Which of the peers on a LAN get a channel without being asked for, when there are too many for all of them.
//!
//! Every pair of peers has a score that both compute alike from their ids and the network's tag, and every peer has a
//! place on a ring that all compute alike. A node wants its two neighbours on the ring and, of the rest, the peers with
//! the lowest scores, `channels_auto_max` in all. The ring keeps the graph of those who know each other in one piece; the scores
//! make it dense and its paths short. Since scores are symmetric, most wishes are mutual. Those that aren't are met by
//! [`accepted_max`]: an incoming channel is welcome up to half over the cap.

use crate::id::PeerId;
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;
use sha2::{Digest as _, Sha256};

const SCORE_LABEL: &[u8] = b"p2pnet lan score v1\0";
const RING_LABEL: &[u8] = b"p2pnet lan ring v1\0";

/// The score of the pair of `a` and `b`, the lower the better: the first eight bytes of the SHA-256 digest of the label,
/// the tag, the smaller id and the larger id. Scores of different pairs differ but for a chance of 2⁻⁶⁴.
fn score(tag: &[u8; 8], a: &PeerId, b: &PeerId) -> u64 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let digest = Sha256::new()
        .chain_update(SCORE_LABEL)
        .chain_update(tag)
        .chain_update(low.0)
        .chain_update(high.0)
        .finalize();
    digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// The place of `peer` on the ring: the first eight bytes of the SHA-256 digest of the label, the tag and the id.
fn place(tag: &[u8; 8], peer: &PeerId) -> u64 {
    let digest =
        Sha256::new().chain_update(RING_LABEL).chain_update(tag).chain_update(peer.0).finalize();
    digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// How many automatic channels a node keeps when peers want more of it than it wants itself.
pub(crate) fn accepted_max(channels_auto_max: u32) -> u32 {
    channels_auto_max.saturating_add(channels_auto_max.div_ceil(2)).saturating_add(4)
}

/// The peers that are on the LAN, and which of them are wanted. Scores and places stand for the peers themselves, so
/// that a peer takes a few words.
#[derive(Debug)]
pub(crate) struct Subset {
    tag: [u8; 8],
    me: PeerId,
    my_place: u64,
    /// The score of whoever is at a place.
    ring: BTreeMap<u64, u64>,
    /// The lowest scores, at most `channels_auto_max`; all of `others` are higher.
    chosen: BTreeSet<u64>,
    others: BTreeSet<u64>,
    channels_auto_max: u32,
}

impl Subset {
    pub(crate) fn new(tag: [u8; 8], me: PeerId, channels_auto_max: u32) -> Self {
        Self {
            tag,
            me,
            my_place: place(&tag, &me),
            ring: BTreeMap::new(),
            chosen: BTreeSet::new(),
            others: BTreeSet::new(),
            channels_auto_max,
        }
    }

    /// Takes `peer` into account; the caller bounds how many there are.
    pub(crate) fn insert(&mut self, peer: &PeerId) {
        if *peer == self.me {
            return;
        }
        let score = score(&self.tag, &self.me, peer);
        self.ring.insert(place(&self.tag, peer), score);
        if self.others.contains(&score) {
            return;
        }
        self.chosen.insert(score);
        if self.chosen.len() > usize::try_from(self.channels_auto_max).unwrap_or(usize::MAX) {
            self.others.extend(self.chosen.pop_last());
        }
    }

    /// Forgets `peer`; the best of the others takes its place.
    pub(crate) fn remove(&mut self, peer: &PeerId) {
        self.ring.remove(&place(&self.tag, peer));
        let score = score(&self.tag, &self.me, peer);
        if self.chosen.remove(&score) {
            self.chosen.extend(self.others.pop_first());
        } else {
            self.others.remove(&score);
        }
    }

    /// Whether this node wants a channel to `peer`, which was inserted before.
    pub(crate) fn wants(&self, peer: &PeerId) -> bool {
        let score = score(&self.tag, &self.me, peer);
        let neighbours = self.ring_neighbours();
        if neighbours.contains(&Some(score)) {
            return true;
        }
        // Neighbours with a bad score take the places of the worst chosen ones.
        let outsiders = neighbours.iter().flatten().filter(|score| !self.chosen.contains(score));
        let displaced =
            self.chosen.iter().rev().filter(|score| !neighbours.contains(&Some(**score)));
        self.chosen.contains(&score) && !displaced.take(outsiders.count()).any(|out| *out == score)
    }

    /// The scores of the peers before and after this one on the ring, each once.
    fn ring_neighbours(&self) -> [Option<u64>; 2] {
        let after = (Bound::Excluded(self.my_place), Bound::Unbounded);
        let next = self.ring.range(after).next().or_else(|| self.ring.first_key_value());
        let next = next.map(|(_, score)| *score).filter(|_| self.channels_auto_max > 0);
        let previous = self.ring.range(..self.my_place).next_back();
        let previous = previous.or_else(|| self.ring.last_key_value()).map(|(_, score)| *score);
        [next, previous.filter(|previous| self.channels_auto_max > 1 && Some(*previous) != next)]
    }

    /// How dear `peer` is: of the channels that nobody asked for, the one with the highest rank is closed first when
    /// there are more than [`accepted_max`]. Wanted peers come before all others.
    pub(crate) fn rank(&self, peer: &PeerId) -> (bool, u64) {
        (!self.wants(peer), score(&self.tag, &self.me, peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    const TAG: [u8; 8] = *b"network1";

    fn peer(n: u32) -> PeerId {
        PeerId(Sha256::digest(n.to_be_bytes()).into())
    }

    /// What node `me` wants, by brute force over all that it knows.
    fn wanted(me: u32, known: &[u32], cap: u32) -> Vec<u32> {
        let mut subset = Subset::new(TAG, peer(me), cap);
        for n in known {
            subset.insert(&peer(*n));
        }
        known.iter().copied().filter(|n| *n != me && subset.wants(&peer(*n))).collect()
    }

    /// A group in which all know all: a second implementation, by sorting, which `the_subset_agrees_with_sorting`
    /// compares with the first.
    struct Group {
        ids: Vec<PeerId>,
        /// For each node the others with the lowest scores, lowest first.
        best: Vec<Vec<(u64, u32)>>,
        /// The nodes in the order of their places on the ring.
        ring: Vec<u32>,
    }

    impl Group {
        fn new(nodes: u32) -> Self {
            let ids: Vec<PeerId> = (0..nodes).map(peer).collect();
            let mut ring: Vec<u32> = (0..nodes).collect();
            ring.sort_by_key(|n| place(&TAG, &ids[*n as usize]));
            let mut best = vec![Vec::new(); ids.len()];
            for a in 0..nodes {
                for b in 0..a {
                    let score = score(&TAG, &ids[a as usize], &ids[b as usize]);
                    // Twice the expected threshold of the largest cap: the lists stay short, and hold enough.
                    if score / 128 < u64::MAX / u64::from(nodes).max(128) {
                        best[a as usize].push((score, b));
                        best[b as usize].push((score, a));
                    }
                }
            }
            best.iter_mut().for_each(|best| best.sort_unstable());
            Self { ids, best, ring }
        }

        fn wanted(&self, cap: usize) -> Vec<Vec<u32>> {
            let mut wanted = vec![Vec::new(); self.ids.len()];
            for (position, me) in self.ring.iter().enumerate() {
                let (count, best) = (self.ring.len(), &self.best[*me as usize]);
                assert!(best.len() >= cap.min(count - 1));
                let mine = &mut wanted[*me as usize];
                mine.push(self.ring[(position + 1) % count]);
                mine.push(self.ring[(position + count - 1) % count]);
                for (_, other) in best {
                    if mine.len() < cap && !mine.contains(other) {
                        mine.push(*other);
                    }
                }
                mine.sort_unstable();
            }
            wanted
        }

        /// The channels of each node if every wish is met.
        fn channels(&self, cap: usize) -> Vec<BTreeSet<u32>> {
            let mut channels = vec![BTreeSet::new(); self.ids.len()];
            for (me, wanted) in (0u32..).zip(self.wanted(cap)) {
                assert!(wanted.len() <= cap);
                for other in wanted {
                    channels[me as usize].insert(other);
                    channels[other as usize].insert(me);
                }
            }
            channels
        }
    }

    /// How many parts the graph falls into.
    fn parts(channels: &[BTreeSet<u32>]) -> usize {
        let mut reached = vec![false; channels.len()];
        let mut parts = 0;
        for start in 0..channels.len() {
            if reached[start] {
                continue;
            }
            parts += 1;
            reached[start] = true;
            let mut open = vec![start];
            while let Some(node) = open.pop() {
                for other in &channels[node] {
                    if !core::mem::replace(&mut reached[*other as usize], true) {
                        open.push(*other as usize);
                    }
                }
            }
        }
        parts
    }

    #[test]
    fn the_subset_agrees_with_sorting() {
        let all: Vec<u32> = (0..200).collect();
        let group = Group::new(200);
        for cap in [2, 3, 8, 64] {
            let sorted = group.wanted(cap);
            for me in [0, 1, 77, 199] {
                assert_eq!(
                    wanted(me, &all, cap as u32),
                    sorted[me as usize],
                    "node {me}, cap {cap}"
                );
            }
        }
    }

    /// Checks one group: connected as wished, few nodes over the slack, and still connected if every node that is over
    /// it turns away whom it likes least.
    fn check_group(nodes: u32, caps: &[usize]) {
        let group = Group::new(nodes);
        for cap in caps.iter().copied() {
            let accepted = accepted_max(cap as u32) as usize;
            let wanted = group.wanted(cap);
            let mut channels = group.channels(cap);
            assert_eq!(parts(&channels), 1, "{nodes} nodes, cap {cap}");
            let over = channels.iter().filter(|open| open.len() > accepted).count();
            assert!(over * 50 <= channels.len(), "{over} of {nodes} over {accepted}");
            for me in 0..nodes as usize {
                let dear = |other: &u32| {
                    let score = score(&TAG, &group.ids[me], &group.ids[*other as usize]);
                    (!wanted[me].contains(other), score)
                };
                while channels[me].len() > accepted {
                    let worst = *channels[me].iter().max_by_key(|other| dear(other)).unwrap();
                    channels[me].remove(&worst);
                    channels[worst as usize].remove(&(me as u32));
                }
            }
            assert_eq!(parts(&channels), 1, "{nodes} nodes, cap {cap}, after turning away");
        }
    }

    #[test]
    fn a_thousand_nodes_are_connected() {
        check_group(1000, &[2, 8, 16, 64]);
    }

    #[test]
    fn five_thousand_nodes_are_connected() {
        check_group(5000, &[2, 8, 16, 64]);
    }

    #[test]
    fn small_groups_want_everyone() {
        let all: Vec<u32> = (0..65).collect();
        assert_eq!(wanted(3, &all, 64).len(), 64);
        assert_eq!(wanted(0, &[0, 1], 2), [1]);
        assert_eq!(wanted(3, &all, 1).len(), 1);
        assert_eq!(wanted(3, &all, 0).len(), 0);
    }

    #[test]
    fn whoever_leaves_is_replaced_and_order_does_not_matter() {
        let mut grown = Subset::new(TAG, peer(0), 8);
        (1..300).for_each(|n| grown.insert(&peer(n)));
        (1..100).for_each(|n| grown.remove(&peer(n)));
        (1..100).for_each(|n| grown.remove(&peer(n)));
        let mut other = Subset::new(TAG, peer(0), 8);
        (100..300).rev().for_each(|n| other.insert(&peer(n)));
        (100..300).rev().for_each(|n| other.insert(&peer(n)));
        for n in 100..300 {
            assert_eq!(grown.wants(&peer(n)), other.wants(&peer(n)));
            assert_eq!(grown.rank(&peer(n)), other.rank(&peer(n)));
        }
        assert_eq!(format!("{grown:?}"), format!("{other:?}"));
    }

    #[test]
    fn scores_are_symmetric_and_differ_between_networks() {
        let (a, b) = (peer(1), peer(2));
        assert_eq!(score(&TAG, &a, &b), score(&TAG, &b, &a));
        assert_ne!(score(&TAG, &a, &b), score(b"network2", &a, &b));
        assert_ne!(place(&TAG, &a), place(b"network2", &a));
    }
}
