//! SHA-256 Merkle trees over the chunks of a file, as RFC 9162 section 2.1 defines them: a leaf is
//! `SHA-256(0x00 ‖ chunk)`, an inner node `SHA-256(0x01 ‖ left ‖ right)`, and the root of nothing is `SHA-256()`.
//!
//! A receiver needs the root alone: each chunk comes with the hashes beside its way up.

use crate::hash::sha256;
use alloc::vec::Vec;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The most hashes beside a chunk's way up: trees have at most 2^20 leaves.
pub const PROOF_HASHES_MAX: usize = 20;

/// The hash of a chunk.
pub fn leaf(chunk: &[u8]) -> Hash {
    sha256(&[&[0], chunk])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// All hashes of a tree: for whoever has the file.
///
/// ```
/// use p2pnet_protocol::distribution::tree::{Tree, leaf, verify};
/// let chunks = ["one", "two", "three"];
/// let tree = Tree::new(chunks.iter().map(|chunk| leaf(chunk.as_bytes())).collect());
/// let proof = tree.proof(2).unwrap();
/// assert!(verify(&tree.root(), 3, 2, &leaf(b"three"), &proof));
/// assert!(!verify(&tree.root(), 3, 2, &leaf(b"four"), &proof));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// From the leaves up. A node without a neighbour stands on the next level as it is.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these leaves.
    pub fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                [alone, ..] => *alone,
                [] => [0; 32],
            });
            let above = above.collect();
            levels.push(core::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The hash that stands for the whole.
    pub fn root(&self) -> Hash {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(|| sha256(&[]))
    }

    /// How many leaves there are.
    pub fn leaves(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// A leaf.
    pub fn leaf(&self, index: usize) -> Option<&Hash> {
        self.levels.first()?.get(index)
    }

    /// The hashes beside the way from a leaf up to the root; none if there is no such leaf.
    pub fn proof(&self, index: usize) -> Option<Vec<Hash>> {
        self.leaf(index)?;
        let mut at = index;
        let mut proof = Vec::new();
        for level in &self.levels {
            proof.extend(level.get(at ^ 1).filter(|_| level.len() > 1));
            at /= 2;
        }
        Some(proof)
    }
}

/// Whether `leaf` is leaf number `index` of `leaves` beneath `root`, as `proof` claims.
pub fn verify(root: &Hash, leaves: u32, index: u32, leaf: &Hash, proof: &[Hash]) -> bool {
    if index >= leaves {
        return false;
    }
    let (mut at, mut width, mut hash) = (index, leaves, *leaf);
    let mut beside = proof.iter();
    while width > 1 {
        if at ^ 1 < width {
            let Some(other) = beside.next() else { return false };
            hash = if at & 1 == 0 { node(&hash, other) } else { node(other, &hash) };
        }
        at /= 2;
        width = width.div_ceil(2);
    }
    beside.next().is_none() && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|n| leaf(&[n])).collect()
    }

    /// The definition of RFC 9162, word by word.
    fn rfc_9162(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node(&rfc_9162(&many[..k]), &rfc_9162(&many[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_rfc_9162() {
        for count in 0..70 {
            let leaves = leaves(count);
            assert_eq!(Tree::new(leaves.clone()).root(), rfc_9162(&leaves), "{count}");
        }
    }

    #[test]
    fn each_leaf_proves_itself_and_nothing_else() {
        for count in 1..40u8 {
            let tree = Tree::new(leaves(count));
            let (root, width) = (tree.root(), u32::from(count));
            for index in 0..width {
                let proof = tree.proof(index as usize).unwrap();
                let own = *tree.leaf(index as usize).unwrap();
                for claimed in 0..=width {
                    let holds = verify(&root, width, claimed, &own, &proof);
                    assert_eq!(holds, claimed == index, "{count}: {index} as {claimed}");
                }
                let mut longer = proof.clone();
                longer.push([0; 32]);
                assert!(!verify(&root, width, index, &own, &longer));
                assert!(proof.is_empty() || !verify(&root, width, index, &own, &proof[1..]));
            }
            assert_eq!(tree.proof(usize::from(count)), None);
        }
    }

    #[test]
    fn proofs_are_never_longer_than_the_bound() {
        let tree = Tree::new(vec![[7; 32]; (1 << 12) + 1]);
        assert_eq!(tree.proof(0).unwrap().len(), 13);
        assert_eq!(tree.proof(1 << 12).unwrap().len(), 1, "the last one has a short way");
        assert!((1u64 << PROOF_HASHES_MAX) >= u64::from(super::super::CHUNKS_MAX));
    }

    proptest! {
        #[test]
        fn a_changed_proof_fails(count in 2..60u8, pick: u16, bit in 0..256usize) {
            let tree = Tree::new(leaves(count));
            let index = usize::from(pick) % usize::from(count);
            let mut proof = tree.proof(index).unwrap();
            let at = bit % proof.len();
            proof[at][bit / 8 % 32] ^= 1 << (bit % 8);
            let leaf = *tree.leaf(index).unwrap();
            prop_assert!(!verify(&tree.root(), u32::from(count), index as u32, &leaf, &proof));
        }
    }
}
