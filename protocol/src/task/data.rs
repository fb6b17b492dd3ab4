//! The data area: keys and values that the trusted members of a network replicate.
//!
//! Each key is a register in which the last writer wins. A version is a pair of a counter and the writer's peer id; the
//! larger counter wins, and among equal ones the larger id. A writer's counter is one more than every counter that it has
//! seen (a Lamport clock), so whoever has seen a value and writes another one wins over it, and writes that didn't know
//! of each other end the same way everywhere. A deletion is a version without a value.
//!
//! The rule doesn't look at where an entry comes from or in which order: taking entries is associative, commutative and
//! idempotent, so members that have heard of the same writes hold the same area. What falls outside of the bounds is left
//! out and counted; members with different bounds may differ by that.
//!
//! Versions are believed: a trusted member can overwrite whatever it likes. Who isn't trusted can write nothing.

use super::body::{put_count, read_bool, read_count};
use crate::id::PeerId;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::ops::Bound;
use serde::{Deserialize, Serialize};

/// When a value was written, in the order that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// One more than every counter that the writer had seen.
    pub counter: u64,
    /// Who wrote it.
    pub writer: PeerId,
}

impl Version {
    /// No counter is larger, so that there is always a next one.
    pub const COUNTER_MAX: u64 = 1 << 62;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.counter.to_be_bytes());
        out.extend_from_slice(&self.writer.0);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let counter = from.u64("version")?;
        if counter > Self::COUNTER_MAX {
            return Err(Malformed("version"));
        }
        Ok(Self { counter, writer: PeerId(from.array("version")?) })
    }
}

/// A key, its value, and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataEntry {
    /// The key: 1 to [`KEY_BYTES_MAX`](Self::KEY_BYTES_MAX) bytes without control characters.
    pub key: String,
    /// Its version.
    pub version: Version,
    /// The value, at most [`VALUE_BYTES_MAX`](Self::VALUE_BYTES_MAX) bytes; none if it was deleted.
    pub value: Option<Bytes>,
}

impl DataEntry {
    /// The most bytes of a key.
    pub const KEY_BYTES_MAX: usize = 128;
    /// The most bytes of a value.
    pub const VALUE_BYTES_MAX: usize = 8 << 10;
    /// The most entries, or keys, in one task.
    pub const COUNT_MAX: usize = 256;

    /// How many bytes it has, encoded, at most.
    pub fn bytes(&self) -> usize {
        const FIXED: usize = 2 + 8 + 32 + 1 + 3;
        let value = self.value.as_ref().map_or(0, Bytes::len);
        self.key.len().saturating_add(value).saturating_add(FIXED)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_key(out, &self.key);
        self.version.encode(out);
        out.push(u8::from(self.value.is_some()));
        if let Some(value) = &self.value {
            put_prefixed(out, value);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (key, version) = (read_key(from)?, Version::decode(from)?);
        let value = if read_bool(from, "value")? {
            Some(Bytes::copy_from_slice(from.prefixed(Self::VALUE_BYTES_MAX, "value")?))
        } else {
            None
        };
        Ok(Self { key, version, value })
    }

    pub(super) fn encode_all(entries: &[Self], out: &mut Vec<u8>) {
        put_count(out, entries.len());
        entries.iter().for_each(|entry| entry.encode(out));
    }

    pub(super) fn decode_all(from: &mut Reader<'_>) -> Result<Vec<Self>, Malformed> {
        let count = read_count(from, Self::COUNT_MAX, "entries")?;
        (0..count).map(|_| Self::decode(from)).collect()
    }
}

/// Whether `text` can be a key.
pub fn is_key(text: &str) -> bool {
    let fits = (1..=DataEntry::KEY_BYTES_MAX).contains(&text.len());
    fits && !text.chars().any(char::is_control)
}

pub(super) fn put_key(out: &mut Vec<u8>, key: &str) {
    put_prefixed(out, key.as_bytes());
}

pub(super) fn read_key(from: &mut Reader<'_>) -> Result<String, Malformed> {
    let key = from.text(DataEntry::KEY_BYTES_MAX, "key")?;
    if is_key(key) { Ok(key.into()) } else { Err(Malformed("key")) }
}

/// What one side holds of a span of keys: all keys after `after` up to and including `up_to`, with their versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The span begins after this key; at the first if none.
    pub after: Option<String>,
    /// The span ends with this key; with the last if none.
    pub up_to: Option<String>,
    /// What the side holds there, by ascending key.
    pub held: Vec<(String, Version)>,
}

impl Span {
    /// Whether `key` lies in it.
    pub fn contains(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| key > after)
            && self.up_to.as_deref().is_none_or(|up_to| key <= up_to)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for end in [&self.after, &self.up_to] {
            out.push(u8::from(end.is_some()));
            if let Some(key) = end {
                put_key(out, key);
            }
        }
        put_count(out, self.held.len());
        for (key, version) in &self.held {
            put_key(out, key);
            version.encode(out);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        const WHAT: &str = "span";
        let end = |from: &mut Reader<'_>| match read_bool(from, WHAT)? {
            true => read_key(from).map(Some),
            false => Ok(None),
        };
        let mut span = Self { after: end(from)?, up_to: end(from)?, held: Vec::new() };
        for _ in 0..read_count(from, DataEntry::COUNT_MAX, WHAT)? {
            let key = read_key(from)?;
            let ascends = span.held.last().is_none_or(|(last, _)| *last < key);
            if !ascends || !span.contains(&key) {
                return Err(Malformed(WHAT));
            }
            span.held.push((key, Version::decode(from)?));
        }
        Ok(span)
    }
}

/// Why a value was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataError {
    /// The key is empty, too long, or has control characters.
    BadKey,
    /// The value is over [`DataEntry::VALUE_BYTES_MAX`].
    TooLong,
    /// The area is full.
    Full,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadKey => write!(
                f,
                "a key has 1 to {} bytes and no control characters",
                DataEntry::KEY_BYTES_MAX
            ),
            Self::TooLong => {
                write!(f, "a value has at most {} bytes", DataEntry::VALUE_BYTES_MAX)
            }
            Self::Full => f.write_str(
                "the data area is full: see limits.data_entries_max and limits.data_bytes_max",
            ),
        }
    }
}

impl core::error::Error for DataError {}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Register {
    version: Version,
    value: Option<Bytes>,
}

/// The area of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataArea {
    registers: BTreeMap<String, Register>,
    /// The largest counter that was seen.
    clock: u64,
    bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

impl DataArea {
    /// An empty area with these bounds; each key counts with its value and [`DataEntry::bytes`]' own.
    pub const fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self { registers: BTreeMap::new(), clock: 0, bytes: 0, entries_max, bytes_max }
    }

    /// The entry of a key, deleted or not.
    pub fn get(&self, key: &str) -> Option<DataEntry> {
        let (key, register) = self.registers.get_key_value(key)?;
        Some(entry(key, register))
    }

    /// Every entry, by key, deleted ones included.
    pub fn iter(&self) -> impl Iterator<Item = DataEntry> {
        self.registers.iter().map(|(key, register)| entry(key, register))
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.registers.is_empty()
    }

    /// Writes a value, or deletes with none, as `writer`. Says what was written.
    ///
    /// # Errors
    /// [`DataError`]; nothing has changed then.
    pub fn put(
        &mut self,
        key: &str,
        value: Option<Bytes>,
        writer: PeerId,
    ) -> Result<DataEntry, DataError> {
        if !is_key(key) {
            return Err(DataError::BadKey);
        }
        if value.as_ref().is_some_and(|value| value.len() > DataEntry::VALUE_BYTES_MAX) {
            return Err(DataError::TooLong);
        }
        let counter = self.clock.saturating_add(1).min(Version::COUNTER_MAX);
        let written = DataEntry { key: key.into(), version: Version { counter, writer }, value };
        match self.take(written.clone()) {
            Some(true) => Ok(written),
            _ => Err(DataError::Full),
        }
    }

    /// Takes an entry if it is newer than what is held. Says whether it was; `None` if there is no place for it.
    pub fn take(&mut self, new: DataEntry) -> Option<bool> {
        let held = self.registers.get(&new.key);
        if held.is_some_and(|held| held.version >= new.version) {
            return Some(false);
        }
        let before = held.map_or(0, |held| entry_bytes(&new.key, held.value.as_ref()));
        let after = entry_bytes(&new.key, new.value.as_ref());
        let is_new = held.is_none();
        let fits = |area: &Self| {
            let bytes = area.bytes.saturating_sub(before).saturating_add(after);
            let room = !is_new || area.registers.len() < area.entries_max;
            (room && bytes <= area.bytes_max).then_some(bytes)
        };
        // Deletions make way, the oldest first: who missed them may bring the deleted values back.
        let mut bytes = fits(self);
        while bytes.is_none() && self.drop_oldest_deletion(&new.key) {
            bytes = fits(self);
        }
        self.bytes = bytes?;
        self.clock = self.clock.max(new.version.counter);
        self.registers.insert(new.key, Register { version: new.version, value: new.value });
        Some(true)
    }

    fn drop_oldest_deletion(&mut self, but: &str) -> bool {
        let deleted =
            self.registers.iter().filter(|(key, held)| held.value.is_none() && *key != but);
        let oldest = deleted.min_by_key(|(_, held)| held.version).map(|(key, _)| key.clone());
        let Some(key) = oldest else { return false };
        self.registers.remove(&key);
        self.bytes = self.bytes.saturating_sub(entry_bytes(&key, None));
        true
    }

    /// What is held after a key, in a span whose encoding has at most so many bytes.
    pub fn span(&self, after: Option<&str>, bytes_max: usize) -> Span {
        const ENDS: usize = 3 * (2 + DataEntry::KEY_BYTES_MAX);
        let mut span = Span { after: after.map(Into::into), up_to: None, held: Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = ENDS;
        for (key, register) in self.registers.range::<str, _>((from, Bound::Unbounded)) {
            bytes = bytes.saturating_add(key.len()).saturating_add(42);
            if bytes > bytes_max || span.held.len() >= DataEntry::COUNT_MAX {
                span.up_to = span.held.last().map(|(key, _)| key.clone());
                break;
            }
            span.held.push((key.clone(), register.version));
        }
        span
    }

    /// Compares: what the other side lacks, as far as so many bytes go, what this side lacks, and whether the other lacks
    /// more.
    pub fn compare(&self, span: &Span, bytes_max: usize) -> (Vec<DataEntry>, Vec<String>, bool) {
        let theirs: BTreeMap<&str, Version> =
            span.held.iter().map(|(key, version)| (key.as_str(), *version)).collect();
        let held = |key: &str| self.registers.get(key).map(|register| register.version);
        let mut bytes = 16usize;
        let mut wanted = Vec::new();
        for (key, version) in &span.held {
            let more = bytes.saturating_add(key.len()).saturating_add(2);
            if held(key).is_none_or(|held| held < *version) && more <= bytes_max / 2 {
                bytes = more;
                wanted.push(key.clone());
            }
        }
        let from = span.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = Vec::new();
        for (key, register) in self.registers.range::<str, _>((from, Bound::Unbounded)) {
            if !span.contains(key) {
                break;
            }
            if theirs.get(key.as_str()).is_some_and(|theirs| *theirs >= register.version) {
                continue;
            }
            let entry = entry(key, register);
            bytes = bytes.saturating_add(entry.bytes());
            if bytes > bytes_max || entries.len() >= DataEntry::COUNT_MAX {
                return (entries, wanted, true);
            }
            entries.push(entry);
        }
        (entries, wanted, false)
    }

    /// The entries of these keys, in groups of at most so many bytes.
    pub fn groups<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        bytes_max: usize,
    ) -> Vec<Vec<DataEntry>> {
        let mut groups: Vec<Vec<DataEntry>> = Vec::new();
        let mut bytes = usize::MAX;
        for entry in keys.into_iter().filter_map(|key| self.get(key)) {
            bytes = bytes.saturating_add(entry.bytes());
            match groups.last_mut() {
                Some(group) if bytes <= bytes_max && group.len() < DataEntry::COUNT_MAX => {
                    group.push(entry);
                }
                _ => {
                    bytes = entry.bytes().saturating_add(4);
                    groups.push(alloc::vec![entry]);
                }
            }
        }
        groups
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.clock.to_be_bytes());
        put_count(out, self.registers.len());
        self.iter().for_each(|entry| entry.encode(out));
    }

    /// Reads what [`encode`](Self::encode) wrote, as far as the bounds go.
    ///
    /// # Errors
    /// [`Malformed`] if it is something else.
    pub fn decode(
        from: &mut Reader<'_>,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Self, Malformed> {
        let mut area = Self::new(entries_max, bytes_max);
        let clock = from.u64("data area")?;
        for _ in 0..from.varint("data area")? {
            area.take(DataEntry::decode(from)?);
        }
        area.clock = area.clock.max(clock.min(Version::COUNTER_MAX));
        Ok(area)
    }
}

fn entry(key: &str, register: &Register) -> DataEntry {
    DataEntry { key: key.into(), version: register.version, value: register.value.clone() }
}

fn entry_bytes(key: &str, value: Option<&Bytes>) -> usize {
    key.len().saturating_add(value.map_or(0, Bytes::len)).saturating_add(46)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn area() -> DataArea {
        DataArea::new(100, 100_000)
    }

    fn text(area: &DataArea, key: &str) -> Option<Bytes> {
        area.get(key).and_then(|entry| entry.value)
    }

    /// Brings `here` up to what `there` holds and the other way, as tasks do.
    fn synchronise(here: &mut DataArea, there: &mut DataArea, bytes_max: usize) {
        let mut after: Option<String> = None;
        for _ in 0..10_000 {
            let span = here.span(after.as_deref(), bytes_max);
            let (entries, wanted, more) = there.compare(&span, bytes_max);
            for entry in entries {
                here.take(entry);
            }
            for group in here.groups(wanted.iter().map(String::as_str), bytes_max) {
                for entry in group {
                    there.take(entry);
                }
            }
            if more {
                continue;
            }
            match span.up_to {
                Some(up_to) => after = Some(up_to),
                None => return,
            }
        }
        panic!("it doesn't end");
    }

    #[test]
    fn the_last_writer_wins_and_ties_go_to_the_larger_id() {
        let (mut a, mut b) = (area(), area());
        let one = a.put("k", Some("one".into()), A).unwrap();
        let two = b.put("k", Some("two".into()), B).unwrap();
        assert_eq!((a.take(two), b.take(one)), (Some(true), Some(false)));
        assert_eq!((text(&a, "k"), text(&b, "k")), (Some("two".into()), Some("two".into())));
        let three = a.put("k", None, A).unwrap();
        assert_eq!(three.version.counter, 2, "it had seen the other one");
        assert_eq!(b.take(three), Some(true));
        assert_eq!(text(&b, "k"), None);
        assert!(b.get("k").is_some(), "deleted, and known to be");
    }

    #[test]
    fn the_area_is_bounded_and_deletions_make_way() {
        let mut small = DataArea::new(2, 1_000);
        small.put("a", Some("1".into()), A).unwrap();
        small.put("b", Some("2".into()), A).unwrap();
        assert_eq!(small.put("c", Some("3".into()), A), Err(DataError::Full));
        small.put("a", None, A).unwrap();
        small.put("c", Some("3".into()), A).unwrap();
        assert_eq!((small.get("a"), text(&small, "b")), (None, Some("2".into())));
        let long = Bytes::from(alloc::vec![0; 960]);
        assert_eq!(small.put("b", Some(long), A), Err(DataError::Full));
        assert_eq!(text(&small, "b"), Some("2".into()));
        for bad in ["", "a\nb", &"x".repeat(129)] {
            assert_eq!(small.put(bad, None, A), Err(DataError::BadKey));
        }
        let over = Bytes::from(alloc::vec![0; DataEntry::VALUE_BYTES_MAX + 1]);
        assert_eq!(small.put("b", Some(over), A), Err(DataError::TooLong));
    }

    fn writes() -> impl Strategy<Value = Vec<(bool, u8, Option<u8>)>> {
        prop::collection::vec((any::<bool>(), 0u8..40, any::<Option<u8>>()), 0..120)
    }

    proptest! {
        /// Two sides write what they like while they don't hear of each other; then one exchange makes them the same,
        /// whoever begins it and however little fits into a task.
        #[test]
        fn two_sides_converge(writes in writes(), bytes_max in 700usize..4000, a_begins: bool) {
            let (mut a, mut b) = (area(), area());
            for (at_a, key, value) in writes {
                let (side, writer) = if at_a { (&mut a, A) } else { (&mut b, B) };
                let value = value.map(|v| Bytes::from(alloc::vec![v; usize::from(v)]));
                side.put(&alloc::format!("key {key}"), value, writer).unwrap();
            }
            if a_begins {
                synchronise(&mut a, &mut b, bytes_max);
            } else {
                synchronise(&mut b, &mut a, bytes_max);
            }
            prop_assert_eq!(&a.registers, &b.registers);
            let mut bytes = Vec::new();
            a.encode(&mut bytes);
            let mut from = Reader::new(&bytes);
            prop_assert_eq!(DataArea::decode(&mut from, 100, 100_000), Ok(a));
            prop_assert!(from.is_empty());
        }

        /// The order of arrival doesn't matter, nor does hearing of a write twice.
        #[test]
        fn any_order_gives_the_same(writes in writes(), seed: u64) {
            let mut source = area();
            let mut entries = Vec::new();
            for (_, key, value) in writes {
                let value = value.map(|v| Bytes::from(alloc::vec![v]));
                entries.push(source.put(&alloc::format!("{key}"), value, A).unwrap());
            }
            let mut shuffled = entries.clone();
            let mut rng = crate::rng::Rng::new(crate::rng::Seed::from_u64(seed), "shuffle");
            shuffled.sort_by_cached_key(|_| rng.next_u64());
            let mut other = area();
            for entry in shuffled.into_iter().chain(entries) {
                prop_assert!(other.take(entry).is_some());
            }
            prop_assert_eq!(other.registers, source.registers);
        }
    }
}
