//! The root directory.

use super::boot::Layout;
use super::entry::{self, SLOT_BYTES, ShortName};
use super::table::{ReadAt, Until, follow};
use crate::error::{ImageProblem, Result};
use crate::image::vhd::SECTOR;
use crate::names;
use crate::state::record::Extent;
use std::collections::HashSet;
use std::ops::Range;

/// The largest directory that the format allows, in bytes.
pub(crate) const DIRECTORY_BYTES_MAX: u64 = 65_536 * SLOT_BYTES as u64;
const END: u8 = 0;
const FREE: u8 = 0xe5;
const SUBDIRECTORY: u8 = 0x10;
const LABEL: u8 = 0x08;

/// A file or a subdirectory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) short: ShortName,
    pub(crate) first_cluster: u32,
    pub(crate) size: u32,
    pub(crate) is_file: bool,
    /// The slot without the name: times, first cluster, size.
    pub(crate) facts: [u8; 20],
    slots: Range<usize>,
}

/// The directory as it is on the disk, and what that means.
#[derive(Debug)]
pub(crate) struct Directory {
    bytes: Vec<u8>,
    extents: Vec<Extent>,
    entries: Vec<Entry>,
    /// The first slot from which on nothing was ever used.
    end: usize,
}

/// New bytes for some slots.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryChange {
    pub(crate) first_slot: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Entry {
    /// An entry that isn't in the directory yet.
    pub(crate) fn new(
        name: String,
        short: ShortName,
        first_cluster: u32,
        size: u32,
        slot: &[u8],
    ) -> Self {
        let facts = facts(slot).unwrap_or_default();
        Self { name, short, first_cluster, size, is_file: true, facts, slots: 0..0 }
    }
}

impl Directory {
    pub(crate) fn read(layout: &Layout, read_at: &ReadAt<'_>) -> Result<Self> {
        let most = DIRECTORY_BYTES_MAX / layout.cluster_bytes;
        let extents = follow(layout, read_at, layout.root_cluster, Until::End(most + 1))?;
        let mut bytes = Vec::new();
        for extent in &extents {
            let begin = bytes.len();
            bytes.resize(begin + extent.count as usize * layout.cluster_bytes as usize, 0);
            read_at(layout.cluster_at(extent.first), bytes.get_mut(begin..).unwrap_or_default())?;
        }
        let mut directory = Self { bytes, extents, entries: Vec::new(), end: 0 };
        directory.parse();
        // What comes after the end means nothing, whatever it is.
        let end = directory.end * SLOT_BYTES;
        if let Some(rest) = directory.bytes.get_mut(end..) {
            rest.fill(0);
        }
        Ok(directory)
    }

    fn parse(&mut self) {
        let all: Vec<&[u8]> = self.bytes.chunks_exact(SLOT_BYTES).collect();
        let (mut entries, mut end, mut long_from) = (Vec::new(), all.len(), None);
        for (number, slot) in all.iter().enumerate() {
            match slot[0] {
                END => {
                    end = number;
                    break;
                }
                FREE => long_from = None,
                _ if entry::is_long(slot) => {
                    // The first one, of the name's end, has a mark.
                    if slot[0] & 0x40 != 0 {
                        long_from = Some(number);
                    }
                }
                _ => {
                    let from = long_from.take();
                    entries
                        .extend(parse_entry(&all, from, number).filter(|_| slot[11] & LABEL == 0));
                }
            }
        }
        self.entries = entries;
        self.end = end;
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    pub(crate) fn bytes_all(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many slots at the end were never used.
    pub(crate) fn slots_at_end(&self) -> usize {
        self.bytes.len() / SLOT_BYTES - self.end
    }

    /// The entry of that name or, if there is none, of one that is the same in another form.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        let key = names::key(name);
        let exact = self.entries.iter().find(|entry| entry.name == name);
        exact.or_else(|| self.entries.iter().find(|entry| names::key(&entry.name) == key))
    }

    /// What no new name may be taken for: all names, long and short.
    pub(crate) fn taken(&self) -> HashSet<String> {
        let both =
            |entry: &Entry| [names::key(&entry.name), names::key(&entry::show(&entry.short))];
        self.entries.iter().flat_map(both).collect()
    }

    /// A short name for a new file, which isn't any name of another.
    pub(crate) fn short_name(&self, name: &str, taken: &HashSet<String>) -> Result<ShortName> {
        let shorts: HashSet<ShortName> = self.entries.iter().map(|entry| entry.short).collect();
        let is_taken = |short: &ShortName| {
            shorts.contains(short) || taken.contains(&names::key(&entry::show(short)))
        };
        Ok(entry::short_name(name, is_taken).ok_or(ImageProblem::Directory)?)
    }

    /// What puts these slots into the directory; nothing if they don't fit.
    pub(crate) fn plan_insert(&self, slots: Vec<u8>) -> Option<DirectoryChange> {
        let count = slots.len() / SLOT_BYTES;
        let is_free = |slot: usize| self.bytes.get(slot * SLOT_BYTES) == Some(&FREE);
        let hole = (0..self.end.saturating_sub(count - 1))
            .find(|first| (*first..first + count).all(is_free));
        if let Some(first_slot) = hole {
            return Some(DirectoryChange { first_slot, bytes: slots });
        }
        let mut change = DirectoryChange { first_slot: self.end, bytes: slots };
        match self.slots_at_end() {
            room if room < count => return None,
            room if room == count => {}
            // The end moves on.
            _ => change.bytes.extend([END; SLOT_BYTES]),
        }
        Some(change)
    }

    /// What frees an entry's slots.
    pub(crate) fn plan_remove(&self, entry: &Entry) -> DirectoryChange {
        let begin = entry.slots.start * SLOT_BYTES;
        let mut bytes =
            self.bytes.get(begin..entry.slots.end * SLOT_BYTES).unwrap_or_default().to_vec();
        bytes.chunks_exact_mut(SLOT_BYTES).for_each(|slot| slot[0] = FREE);
        DirectoryChange { first_slot: entry.slots.start, bytes }
    }

    /// The sectors that a change touches: where they are in the partition, and their new content.
    pub(crate) fn sectors(&self, layout: &Layout, change: &DirectoryChange) -> Vec<(u64, Vec<u8>)> {
        let begin = change.first_slot * SLOT_BYTES;
        let end = begin + change.bytes.len();
        let sector = SECTOR as usize;
        let mut sectors = Vec::new();
        for at in (begin / sector * sector..end).step_by(sector) {
            let Some(old) = self.bytes.get(at..at + sector) else { continue };
            let mut content = old.to_vec();
            for (place, byte) in content.iter_mut().enumerate() {
                let new = (at + place).checked_sub(begin).and_then(|place| change.bytes.get(place));
                *byte = new.copied().unwrap_or(*byte);
            }
            if let Some(place) = self.place(layout, at as u64) {
                sectors.push((place, content));
            }
        }
        sectors
    }

    /// Where a byte of the directory is in the partition.
    fn place(&self, layout: &Layout, at: u64) -> Option<u64> {
        place_in(layout, &self.extents, at).map(|(place, _)| place)
    }

    /// Takes over a change that was written.
    pub(crate) fn changed(&mut self, change: &DirectoryChange) {
        let begin = change.first_slot * SLOT_BYTES;
        if let Some(old) = self.bytes.get_mut(begin..begin + change.bytes.len()) {
            old.copy_from_slice(&change.bytes);
        }
        self.parse();
    }

    /// Takes over clusters of zeros that were added at the end.
    pub(crate) fn extended(&mut self, layout: &Layout, extents: &[Extent]) {
        let clusters: u64 = extents.iter().map(|extent| u64::from(extent.count)).sum();
        self.bytes.resize(self.bytes.len() + (clusters * layout.cluster_bytes) as usize, 0);
        self.extents.extend(extents);
    }
}

/// Where a byte of a file is in the partition, and how many after it are adjacent.
pub(crate) fn place_in(layout: &Layout, extents: &[Extent], at: u64) -> Option<(u64, u64)> {
    let mut before = 0;
    for extent in extents {
        let bytes = u64::from(extent.count) * layout.cluster_bytes;
        if at < before + bytes {
            let within = at - before;
            return Some((layout.cluster_at(extent.first) + within, bytes - within));
        }
        before += bytes;
    }
    None
}

fn facts(slot: &[u8]) -> Option<[u8; 20]> {
    slot.get(12..)?.try_into().ok()
}

fn parse_entry(all: &[&[u8]], long_from: Option<usize>, number: usize) -> Option<Entry> {
    let slot = all.get(number)?;
    let short: ShortName = slot.get(..11)?.try_into().ok()?;
    let half =
        |at: usize| Some(u32::from(u16::from_le_bytes([*slot.get(at)?, *slot.get(at + 1)?])));
    let size = u32::from_le_bytes(slot.get(28..32)?.try_into().ok()?);
    let first_cluster = half(20)? << 16 | half(26)?;
    let long = long_from.and_then(|from| entry::long_name(all.get(from..number)?, &short));
    let first_slot = if long.is_some() { long_from.unwrap_or(number) } else { number };
    let attributes = slot.get(11)?;
    Some(Entry {
        name: long
            .unwrap_or_else(|| entry::show_as_stored(&short, slot.get(12).copied().unwrap_or(0))),
        short,
        first_cluster: first_cluster & 0x0fff_ffff,
        size,
        is_file: attributes & (SUBDIRECTORY | LABEL) == 0,
        facts: facts(slot)?,
        slots: first_slot..number + 1,
    })
}
