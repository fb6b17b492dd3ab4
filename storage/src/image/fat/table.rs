//! The table of clusters: which are free, and which follow which.

use super::boot::{FIRST_CLUSTER, Layout};
use crate::error::{Error, ImageProblem, Result};
use crate::image::vhd::SECTOR;
use crate::state::record::Extent;
use std::collections::BTreeMap;

const ENTRIES_PER_SECTOR: u32 = SECTOR as u32 / 4;
/// The bits of an entry that are a cluster's number; the others are kept.
const NUMBER: u32 = 0x0fff_ffff;
/// From here on an entry ends a chain.
const END: u32 = 0x0fff_fff8;
const LAST: u32 = 0x0fff_ffff;
/// How much of the table is read at once.
const READ_BYTES: u64 = 1 << 20;

/// Reads parts of the partition.
pub(crate) type ReadAt<'a> = dyn Fn(u64, &mut [u8]) -> Result<()> + 'a;

/// Which clusters are taken.
#[derive(Debug)]
pub(crate) struct Clusters {
    /// One bit each, set for those that hold something or are promised to an unfinished file.
    taken: Vec<u64>,
    count: u32,
    /// How many the table says are free.
    free: u32,
    /// How many of those are promised.
    promised: u32,
}

impl Clusters {
    pub(crate) fn read(layout: &Layout, read_at: &ReadAt<'_>) -> Result<Self> {
        let words = (layout.clusters as usize).div_ceil(64);
        let mut clusters = Self {
            taken: vec![0; words],
            count: layout.clusters,
            free: layout.clusters,
            promised: 0,
        };
        let bytes_all = u64::from(layout.clusters + FIRST_CLUSTER) * 4;
        let mut buffer = vec![0; bytes_all.min(READ_BYTES) as usize];
        let mut cluster = 0;
        while u64::from(cluster) * 4 < bytes_all {
            let at = u64::from(cluster) * 4;
            let length = (bytes_all - at).min(READ_BYTES) as usize;
            let piece = buffer.get_mut(..length).ok_or(ImageProblem::Truncated)?;
            read_at(layout.table_at + at, piece)?;
            for entry in piece.chunks_exact(4) {
                let value = entry.try_into().map_or(0, u32::from_le_bytes) & NUMBER;
                if value != 0 && layout.holds(cluster) {
                    clusters.set(cluster);
                    clusters.free -= 1;
                }
                cluster += 1;
            }
        }
        Ok(clusters)
    }

    fn place(&self, cluster: u32) -> Option<(usize, u64)> {
        let number = cluster.checked_sub(FIRST_CLUSTER).filter(|number| *number < self.count)?;
        Some(((number / 64) as usize, 1 << (number % 64)))
    }

    fn set(&mut self, cluster: u32) {
        if let Some((word, bit)) = self.place(cluster) {
            self.taken[word] |= bit;
        }
    }

    fn clear(&mut self, cluster: u32) {
        if let Some((word, bit)) = self.place(cluster) {
            self.taken[word] &= !bit;
        }
    }

    fn is_free(&self, cluster: u32) -> bool {
        self.place(cluster).is_some_and(|(word, bit)| self.taken[word] & bit == 0)
    }

    /// How many the table says are free: those that are promised too.
    pub(crate) fn free_in_table(&self) -> u32 {
        self.free
    }

    /// How many can be had.
    pub(crate) fn available(&self) -> u32 {
        self.free - self.promised
    }

    /// Finds free clusters: in one run if there is one, else those that come first. They are not taken by this.
    pub(crate) fn find(&self, wanted: u64) -> Option<Vec<Extent>> {
        if wanted > u64::from(self.available()) {
            return None;
        }
        let wanted = wanted as u32;
        if wanted == 0 {
            return Some(Vec::new());
        }
        let (mut runs, mut total) = (Vec::new(), 0);
        for run in self.free_runs() {
            if run.count >= wanted {
                return Some(vec![Extent { count: wanted, ..run }]);
            }
            if total < wanted {
                let count = run.count.min(wanted - total);
                runs.push(Extent { count, ..run });
                total += count;
            }
        }
        Some(runs)
    }

    fn free_runs(&self) -> impl Iterator<Item = Extent> + '_ {
        let end = FIRST_CLUSTER + self.count;
        let mut next = FIRST_CLUSTER;
        std::iter::from_fn(move || {
            while next < end && !self.is_free(next) {
                let word = self.place(next).map_or(0, |(word, _)| word);
                // Whole words at once, where all is taken.
                let is_begin = (next - FIRST_CLUSTER).is_multiple_of(64);
                next += if is_begin && self.taken[word] == u64::MAX { 64 } else { 1 };
            }
            let first = next.min(end);
            while next < end && self.is_free(next) {
                next += 1;
            }
            (first < end).then(|| Extent { first, count: next - first })
        })
    }

    /// Whether these are clusters that exist, all free, none twice.
    pub(crate) fn are_free(&self, extents: &[Extent]) -> bool {
        let mut sorted = extents.to_vec();
        sorted.sort_by_key(|extent| extent.first);
        let apart = sorted.windows(2).all(|pair| match pair {
            [a, b] => u64::from(a.first) + u64::from(a.count) <= u64::from(b.first),
            _ => true,
        });
        let end = u64::from(FIRST_CLUSTER) + u64::from(self.count);
        let within = |extent: &Extent| {
            extent.first >= FIRST_CLUSTER
                && u64::from(extent.first) + u64::from(extent.count) <= end
        };
        apart
            && sorted
                .iter()
                .all(|extent| within(extent) && each(extent).all(|cluster| self.is_free(cluster)))
    }

    /// Promises free clusters to an unfinished file.
    pub(crate) fn promise(&mut self, extents: &[Extent]) {
        for extent in extents {
            each(extent).for_each(|cluster| self.set(cluster));
            self.promised += extent.count;
        }
    }

    /// Takes a promise back.
    pub(crate) fn release(&mut self, extents: &[Extent]) {
        for extent in extents {
            each(extent).for_each(|cluster| self.clear(cluster));
            self.promised -= extent.count;
        }
    }

    /// Promised clusters are a file's now.
    pub(crate) fn keep(&mut self, extents: &[Extent]) {
        let count: u32 = extents.iter().map(|extent| extent.count).sum();
        self.promised -= count;
        self.free -= count;
    }

    /// A file's clusters are free again.
    pub(crate) fn free(&mut self, extents: &[Extent]) {
        for extent in extents {
            each(extent).for_each(|cluster| self.clear(cluster));
            self.free += extent.count;
        }
    }
}

fn each(extent: &Extent) -> impl Iterator<Item = u32> + use<> {
    extent.first..extent.first.saturating_add(extent.count)
}

/// Changed sectors of the table, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct TableChange {
    pub(crate) sectors: BTreeMap<u32, [u8; SECTOR as usize]>,
}

impl TableChange {
    fn set(
        &mut self,
        layout: &Layout,
        read_at: &ReadAt<'_>,
        cluster: u32,
        value: u32,
    ) -> Result<()> {
        let number = cluster / ENTRIES_PER_SECTOR;
        let sector = match self.sectors.entry(number) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut sector = [0; SECTOR as usize];
                read_at(layout.table_at + u64::from(number) * SECTOR, &mut sector)?;
                entry.insert(sector)
            }
        };
        let at = (cluster % ENTRIES_PER_SECTOR) as usize * 4;
        let entry = sector.get_mut(at..at + 4).ok_or(ImageProblem::Chain)?;
        let old = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        entry.copy_from_slice(&(old & !NUMBER | value & NUMBER).to_le_bytes());
        Ok(())
    }

    /// Makes one chain of these extents, after the cluster `before` if there is one.
    pub(crate) fn chain(
        &mut self,
        layout: &Layout,
        read_at: &ReadAt<'_>,
        before: Option<u32>,
        extents: &[Extent],
    ) -> Result<()> {
        let clusters = || extents.iter().flat_map(each);
        let followers = clusters().skip(usize::from(before.is_none())).chain([LAST]);
        for (cluster, next) in before.into_iter().chain(clusters()).zip(followers) {
            self.set(layout, read_at, cluster, next)?;
        }
        Ok(())
    }

    pub(crate) fn free(
        &mut self,
        layout: &Layout,
        read_at: &ReadAt<'_>,
        extents: &[Extent],
    ) -> Result<()> {
        extents.iter().flat_map(each).try_for_each(|cluster| self.set(layout, read_at, cluster, 0))
    }
}

/// The sectors of the table that tell of these extents, as ranges of bytes from the table's begin.
pub(crate) fn table_ranges(extents: &[Extent]) -> impl Iterator<Item = (u64, u64)> + '_ {
    extents.iter().filter(|extent| extent.count > 0).map(|extent| {
        let first = u64::from(extent.first / ENTRIES_PER_SECTOR);
        let last = u64::from((extent.first + extent.count - 1) / ENTRIES_PER_SECTOR);
        (first * SECTOR, (last - first + 1) * SECTOR)
    })
}

/// How far to follow a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// So many clusters; what comes after them doesn't matter.
    Clusters(u64),
    /// Its end, which must come after at most so many.
    End(u64),
}

/// Follows a chain.
///
/// # Errors
/// [`ImageProblem::Chain`] for one that is too short or too long, or leads to a cluster that is free or doesn't exist.
pub(crate) fn follow(
    layout: &Layout,
    read_at: &ReadAt<'_>,
    first: u32,
    until: Until,
) -> Result<Vec<Extent>> {
    let broken = || Error::Image(ImageProblem::Chain);
    let (mut extents, mut cluster, mut seen) = (Vec::<Extent>::new(), first, 0);
    let (mut sector, mut loaded) = ([0; SECTOR as usize], None);
    loop {
        match until {
            Until::Clusters(wanted) if seen == wanted => return Ok(extents),
            Until::End(most) if seen == most => return Err(broken()),
            _ if !layout.holds(cluster) => return Err(broken()),
            _ => {}
        }
        match extents.last_mut() {
            Some(extent) if extent.first + extent.count == cluster => extent.count += 1,
            _ => extents.push(Extent { first: cluster, count: 1 }),
        }
        seen += 1;
        let number = cluster / ENTRIES_PER_SECTOR;
        if loaded != Some(number) {
            read_at(layout.table_at + u64::from(number) * SECTOR, &mut sector)?;
            loaded = Some(number);
        }
        let at = (cluster % ENTRIES_PER_SECTOR) as usize * 4;
        let entry = sector.get(at..at + 4).and_then(|entry| entry.try_into().ok());
        cluster = u32::from_le_bytes(entry.ok_or_else(broken)?) & NUMBER;
        let is_end = cluster >= END;
        match until {
            Until::End(_) if is_end => return Ok(extents),
            Until::Clusters(wanted) if is_end && seen < wanted => return Err(broken()),
            _ => {}
        }
    }
}
