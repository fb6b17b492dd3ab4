//! Identifiers that the network's authority gave to identities, and those of them that are blocked.
//!
//! A label that a peer claims for itself proves nothing. These were bound to a key by a task that the authority signed, so
//! they can be shown, searched for and blocked by. A host that changes its key stays blocked as soon as the authority
//! gives the new key the same label.

use super::body::{is_label, put_count, read_label};
use crate::id::PeerId;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// The labels that the authority has given, and those that are blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    assigned: BTreeMap<PeerId, String>,
    blocked: BTreeSet<String>,
    most: usize,
    /// The label that the authority gave to this very node.
    own: Option<String>,
}

/// There is no place for one more label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelsFull;

impl Labels {
    /// None yet; at most so many assigned, and as many blocked.
    pub const fn new(most: usize) -> Self {
        Self { assigned: BTreeMap::new(), blocked: BTreeSet::new(), most, own: None }
    }

    /// The label that the authority has given to `peer`.
    pub fn of(&self, peer: &PeerId) -> Option<&str> {
        self.assigned.get(peer).map(String::as_str)
    }

    /// Every identity with its label.
    pub fn assigned(&self) -> impl Iterator<Item = (&PeerId, &str)> {
        self.assigned.iter().map(|(peer, label)| (peer, label.as_str()))
    }

    /// Notes that `peer` has this label from now on.
    ///
    /// # Errors
    /// [`LabelsFull`].
    pub fn assign(&mut self, peer: PeerId, label: &str) -> Result<(), LabelsFull> {
        if !self.assigned.contains_key(&peer) && self.assigned.len() >= self.most {
            return Err(LabelsFull);
        }
        self.assigned.insert(peer, label.into());
        Ok(())
    }

    /// The label that the authority gave to this node, if it did.
    pub fn own(&self) -> Option<&str> {
        self.own.as_deref()
    }

    /// Notes the label that the authority gave to this node.
    pub fn set_own(&mut self, label: &str) {
        self.own = Some(label.into());
    }

    /// Blocks whoever has this label, now or later. Says whether that is new.
    ///
    /// # Errors
    /// [`LabelsFull`].
    pub fn block(&mut self, label: &str) -> Result<bool, LabelsFull> {
        if !self.blocked.contains(label) && self.blocked.len() >= self.most {
            return Err(LabelsFull);
        }
        Ok(self.blocked.insert(label.into()))
    }

    /// Lifts the block of a label. Says whether there was one.
    pub fn unblock(&mut self, label: &str) -> bool {
        self.blocked.remove(label)
    }

    /// The blocked labels, in order.
    pub fn blocked(&self) -> impl Iterator<Item = &str> {
        self.blocked.iter().map(String::as_str)
    }

    /// Whether the authority has given `peer` a label that is blocked.
    pub fn is_blocked(&self, peer: &PeerId) -> bool {
        self.of(peer).is_some_and(|label| self.blocked.contains(label))
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.own.is_some()));
        if let Some(own) = &self.own {
            put_prefixed(out, own.as_bytes());
        }
        put_count(out, self.assigned.len());
        for (peer, label) in &self.assigned {
            out.extend_from_slice(&peer.0);
            put_prefixed(out, label.as_bytes());
        }
        put_count(out, self.blocked.len());
        self.blocked.iter().for_each(|label| put_prefixed(out, label.as_bytes()));
    }

    /// Reads what [`encode`](Self::encode) wrote. What is over `most` stays.
    ///
    /// # Errors
    /// [`Malformed`] if it is something else.
    pub fn decode(from: &mut Reader<'_>, most: usize) -> Result<Self, Malformed> {
        let mut labels = Self::new(most);
        if super::body::read_bool(from, "labels")? {
            labels.own = Some(read_label(from)?);
        }
        for _ in 0..from.varint("labels")? {
            let peer = PeerId(from.array("labels")?);
            labels.assigned.insert(peer, read_label(from)?);
        }
        for _ in 0..from.varint("labels")? {
            labels.blocked.insert(read_label(from)?);
        }
        Ok(labels)
    }
}

/// Whether `text` can be a label.
pub fn is_valid(text: &str) -> bool {
    is_label(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_blocks_every_key_that_has_it() {
        let (old, new) = (PeerId([1; 32]), PeerId([2; 32]));
        let mut labels = Labels::new(2);
        labels.assign(old, "host-7").unwrap();
        assert!(!labels.is_blocked(&old));
        assert_eq!(labels.block("host-7"), Ok(true));
        assert!(labels.is_blocked(&old) && !labels.is_blocked(&new));
        labels.assign(new, "host-7").unwrap();
        assert!(labels.is_blocked(&new));
        assert_eq!(labels.assign(PeerId([3; 32]), "x"), Err(LabelsFull));
        labels.set_own("me");
        let mut bytes = Vec::new();
        labels.encode(&mut bytes);
        assert_eq!(Labels::decode(&mut Reader::new(&bytes), 2), Ok(labels.clone()));
        assert!(labels.unblock("host-7") && !labels.is_blocked(&new));
        assert!(is_valid("a") && !is_valid("") && !is_valid("a\n"));
    }
}
