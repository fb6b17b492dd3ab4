//! The index: which complete file has which content.
//!
//! Entries are appended; later ones hold. Each is `length u16 | id 32 | size u64 | tag 24 | name | checksum 8`, where
//! the length is of all that follows it. A tag is what the manager told the file's state by: an entry whose tag
//! isn't the file's any more says nothing. The first entry that makes no sense, such as one that was cut by a crash,
//! ends the index.

use super::checksum;
use super::record::Reader;
use crate::manager::FileId;
use std::collections::HashMap;

/// What tells one state of a file from another.
pub(crate) type Tag = [u8; 24];

const SUM_BYTES: usize = 8;
const FIXED_BYTES: usize = 32 + 8 + 24 + SUM_BYTES;

/// One complete file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: FileId,
    pub(crate) size: u64,
    pub(crate) tag: Tag,
    pub(crate) name: String,
}

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = ((FIXED_BYTES + self.name.len()) as u16).to_le_bytes().to_vec();
        bytes.extend(self.id.0);
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.tag);
        bytes.extend(self.name.as_bytes());
        let sum = checksum(&bytes);
        bytes.extend(sum.iter().take(SUM_BYTES));
        bytes
    }

    /// The first entry of `bytes`, and its length.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut reader = Reader(bytes);
        let length = usize::from(reader.u16()?);
        let name_bytes = length.checked_sub(FIXED_BYTES)?;
        let id = FileId(reader.array()?);
        let size = reader.u64()?;
        let tag = reader.array()?;
        let name = std::str::from_utf8(reader.take(name_bytes)?).ok()?.to_owned();
        let summed = bytes.get(..2 + length - SUM_BYTES)?;
        let sum = reader.take(SUM_BYTES)?;
        checksum(summed).starts_with(sum).then_some((Self { id, size, tag, name }, 2 + length))
    }
}

/// All entries that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    by_id: HashMap<FileId, Entry>,
    by_name: HashMap<String, FileId>,
    /// How many entries were appended since the index was last written whole.
    appended: usize,
}

impl Index {
    /// Reads an index, and tells how many bytes of it make sense.
    pub(crate) fn parse(bytes: &[u8]) -> (Self, usize) {
        let (mut index, mut used) = (Self::default(), 0);
        while let Some((entry, length)) = bytes.get(used..).and_then(Entry::parse) {
            index.insert(entry);
            used += length;
        }
        (index, used)
    }

    /// The index without what doesn't hold any more.
    pub(crate) fn encode(&mut self) -> Vec<u8> {
        self.appended = self.by_id.len();
        let mut entries: Vec<&Entry> = self.by_id.values().collect();
        entries.sort_by_key(|entry| entry.id);
        entries.into_iter().flat_map(Entry::encode).collect()
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.appended += 1;
        if let Some(other) = self.by_name.insert(entry.name.clone(), entry.id) {
            self.by_id.remove(&other);
        }
        let name = entry.name.clone();
        let old = self.by_id.insert(entry.id, entry);
        if let Some(old) = old.filter(|old| old.name != name) {
            self.by_name.remove(&old.name);
        }
    }

    pub(crate) fn find(&self, id: FileId) -> Option<&Entry> {
        self.by_id.get(&id)
    }

    pub(crate) fn id_of(&self, name: &str, tag: &[u8]) -> Option<FileId> {
        let entry = self.find(*self.by_name.get(name)?)?;
        (entry.tag == tag).then_some(entry.id)
    }

    /// Whether most of what was appended doesn't hold any more.
    pub(crate) fn is_mostly_stale(&self) -> bool {
        self.appended > 64 + 2 * self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u8, name: &str) -> Entry {
        Entry { id: FileId([number; 32]), size: 5, tag: [number; 24], name: name.into() }
    }

    #[test]
    fn later_entries_hold() {
        let bytes: Vec<u8> = [entry(1, "a"), entry(2, "a"), entry(3, "b"), entry(3, "c")]
            .iter()
            .flat_map(Entry::encode)
            .collect();
        let (mut index, used) = Index::parse(&bytes);
        assert_eq!(used, bytes.len());
        assert_eq!(index.find(FileId([1; 32])), None);
        assert_eq!(index.id_of("a", &[2; 24]), Some(FileId([2; 32])));
        assert_eq!(index.id_of("a", &[1; 24]), None, "the file has changed since");
        assert_eq!(index.id_of("b", &[3; 24]), None);
        let whole = index.encode();
        assert_eq!(Index::parse(&whole), (index, whole.len()));
    }

    #[test]
    fn a_cut_or_damaged_entry_ends_the_index() {
        let (first, second) = (entry(1, "first").encode(), entry(2, "second").encode());
        let bytes = [&first[..], &second].concat();
        for length in first.len()..bytes.len() {
            assert_eq!(Index::parse(&bytes[..length]).1, first.len());
        }
        for at in first.len()..bytes.len() {
            let mut hurt = bytes.clone();
            hurt[at] ^= 1;
            assert_eq!(Index::parse(&hurt).1, first.len(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_appended_stays_bounded(names in prop::collection::vec("[ab]", 0..300)) {
            let mut index = Index::default();
            for (number, name) in names.iter().enumerate() {
                index.insert(entry((number % 5) as u8, name));
                if index.is_mostly_stale() {
                    index.encode();
                }
                prop_assert!(index.appended <= 70 && index.by_id.len() <= 2);
            }
        }
    }
}
