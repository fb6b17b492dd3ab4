//! The file system in the image: what it holds, and how that changes.
//!
//! Content is written to clusters that no file is made of, straight to the image. Everything else (blocks of the VHD,
//! the table of clusters, the directory, the count of free clusters) changes by batches of the journal. So at any
//! moment the image is whole, once the journal was replayed: with a file, or without it.

use super::disk::{Disk, Growth};
use super::fat::boot::{Layout, info_sector};
use super::fat::directory::{DIRECTORY_BYTES_MAX, Directory, DirectoryChange, Entry, place_in};
use super::fat::entry::{self, SLOT_BYTES, SLOTS_MAX};
use super::fat::table::{Clusters, TableChange, Until, follow, table_ranges};
use super::journal::{Batch, Journal};
use super::partition::{self, PARTITION_AT, Partition};
use super::vhd::{Footer, SECTOR};
use crate::error::{Error, ImageProblem, Result};
use crate::medium::{Medium, Place};
use crate::names;
use crate::state::record::Extent;
use std::sync::Arc;
use std::time::SystemTime;

/// The largest file that FAT32 can hold, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = u32::MAX as u64;
/// Nobody told where the next free cluster is.
const UNKNOWN: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Volume {
    disk: Disk,
    journal: Journal,
    partition: Partition,
    layout: Layout,
    clusters: Clusters,
    directory: Directory,
    /// A batch was put down and not carried out: only opening the image anew helps.
    is_stopped: bool,
}

/// What one batch changes, before it is written.
#[derive(Default)]
struct Change {
    table: TableChange,
    directory: Option<DirectoryChange>,
    /// Sectors within the partition.
    sectors: Vec<(u64, Vec<u8>)>,
    /// How many clusters the table will say are free.
    free: Option<u32>,
    /// Ranges of the partition for which there must be blocks.
    ranges: Vec<(u64, u64)>,
}

impl Volume {
    /// Makes an empty file system in an empty file.
    pub(crate) fn format(medium: &Arc<dyn Medium>, footer: &Footer, random: [u8; 8]) -> Result<()> {
        let disk_bytes = footer.virtual_bytes;
        let bytes = disk_bytes.checked_sub(PARTITION_AT).ok_or(ImageProblem::Options)?;
        let bytes = bytes.min(u64::from(u32::MAX) * SECTOR);
        let layout = Layout::new(bytes)?;
        let [a, b, c, d, serial @ ..] = random;
        Disk::create(&**medium, footer)?;
        let disk = Disk::open(medium.clone())?;
        let mut sectors = vec![(0, partition::encode(disk_bytes, [a, b, c, d]).to_vec())];
        for (at, content) in layout.format(PARTITION_AT, bytes, serial) {
            sectors.push((PARTITION_AT + at, content));
        }
        let mut ranges: Vec<(u64, u64)> =
            sectors.iter().map(|(at, data)| (*at, data.len() as u64)).collect();
        ranges.push((PARTITION_AT + layout.cluster_at(layout.root_cluster), layout.cluster_bytes));
        let growth = disk.growth(&ranges);
        let mut batch = Batch::default();
        disk.plan_growth(&mut batch, &growth)?;
        for (at, content) in sectors {
            disk.plan_write(&mut batch, &growth, at, &content)?;
        }
        Ok(batch.apply(&**medium)?)
    }

    /// Replays the journal and reads what the image holds.
    pub(crate) fn open(medium: Arc<dyn Medium>, place: &dyn Place) -> Result<Self> {
        let journal = Journal::open(place)?;
        // Twice: the journal belongs to the disk of that id, and may add to it.
        let unique = Disk::identify(&*medium)?;
        journal.replay(&*medium, unique)?;
        let disk = Disk::open(medium)?;
        let mut sector = [0; SECTOR as usize];
        disk.read_at(0, &mut sector)?;
        let partition = partition::parse(&sector, disk.virtual_bytes())?;
        disk.read_at(partition.begin, &mut sector)?;
        let layout = Layout::parse(&sector, partition.bytes)?;
        let read_at = |at: u64, buffer: &mut [u8]| disk.read_at(partition.begin + at, buffer);
        let clusters = Clusters::read(&layout, &read_at)?;
        let directory = Directory::read(&layout, &read_at)?;
        Ok(Self { disk, journal, partition, layout, clusters, directory, is_stopped: false })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Entry> {
        self.directory.entries().iter().filter(|entry| entry.is_file)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.directory.find(name).filter(|entry| entry.is_file)
    }

    /// How many bytes new files can have together, at most.
    pub(crate) fn available(&self) -> u64 {
        u64::from(self.clusters.available()) * self.layout.cluster_bytes
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        self.disk.read_at(self.partition.begin + at, buffer)
    }

    /// Where a file's content is.
    pub(crate) fn extents_of(&self, entry: &Entry) -> Result<Vec<Extent>> {
        let until = Until::Clusters(self.layout.clusters_for(u64::from(entry.size)));
        follow(&self.layout, &|at, buffer| self.read_at(at, buffer), entry.first_cluster, until)
    }

    /// Reads content.
    pub(crate) fn read(&self, extents: &[Extent], offset: u64, buffer: &mut [u8]) -> Result<()> {
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let (at, left) = place_in(&self.layout, extents, offset).ok_or(ImageProblem::Chain)?;
            let (piece, later) = rest.split_at_mut((rest.len() as u64).min(left) as usize);
            let length = piece.len() as u64;
            self.read_at(at, piece)?;
            offset += length;
            rest = later;
        }
        Ok(())
    }

    /// Writes content of an unfinished file.
    pub(crate) fn write(&self, extents: &[Extent], offset: u64, data: &[u8]) -> Result<()> {
        if self.is_stopped {
            return Err(Error::Stopped);
        }
        let (mut offset, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (at, left) = place_in(&self.layout, extents, offset).ok_or(ImageProblem::Chain)?;
            let (piece, later) = rest.split_at((rest.len() as u64).min(left) as usize);
            self.disk.write_at(self.partition.begin + at, piece)?;
            offset += piece.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Finds room for a file, beside `unfinished` others, and sets it aside: clusters, their blocks, and places in the
    /// directory and the table, so that completing the file needs no more room.
    pub(crate) fn promise(&mut self, size: u64, unfinished: usize) -> Result<Vec<Extent>> {
        let full = DiskFullAs { needed: size, left: self.available() };
        let wanted = self.layout.clusters_for(size);
        let for_directory = self.clusters_for_directory(unfinished + 1)?;
        let mut extents = self.clusters.find(wanted + for_directory).ok_or(full.error())?;
        let added = split_off(&mut extents, for_directory);
        let mut change = Change::default();
        if for_directory > 0 {
            self.plan_directory_growth(&mut change, &added)?;
        }
        self.add_ranges(&mut change, &extents);
        self.commit(change).map_err(|error| full.explain(error))?;
        self.clusters.promise(&added);
        self.clusters.keep(&added);
        self.directory.extended(&self.layout, &added);
        self.clusters.promise(&extents);
        Ok(extents)
    }

    /// Sets the same room aside again, after a restart.
    pub(crate) fn promise_again(&mut self, extents: &[Extent], size: u64) -> Result<bool> {
        let clusters: u64 = extents.iter().map(|extent| u64::from(extent.count)).sum();
        if clusters != self.layout.clusters_for(size) || !self.clusters.are_free(extents) {
            return Ok(false);
        }
        let mut change = Change::default();
        self.add_ranges(&mut change, extents);
        self.commit(change)?;
        self.clusters.promise(extents);
        Ok(true)
    }

    pub(crate) fn release(&mut self, extents: &[Extent]) {
        self.clusters.release(extents);
    }

    /// How many clusters the directory lacks to take so many files of any names.
    fn clusters_for_directory(&self, files: usize) -> Result<u64> {
        let lacking = (files * SLOTS_MAX + 1).saturating_sub(self.directory.slots_at_end());
        let clusters = self.layout.clusters_for((lacking * SLOT_BYTES) as u64);
        if self.directory.bytes_all() + clusters * self.layout.cluster_bytes > DIRECTORY_BYTES_MAX {
            return Err(Error::TooManyFiles { max: self.directory.entries().len() });
        }
        Ok(clusters)
    }

    fn plan_directory_growth(&self, change: &mut Change, added: &[Extent]) -> Result<()> {
        let last = self.directory.extents().last().map(|extent| extent.first + extent.count - 1);
        let read_at = |at: u64, buffer: &mut [u8]| self.read_at(at, buffer);
        change.table.chain(&self.layout, &read_at, last, added)?;
        let mut count = 0;
        for extent in added {
            let bytes = u64::from(extent.count) * self.layout.cluster_bytes;
            change.sectors.push((self.layout.cluster_at(extent.first), vec![0; bytes as usize]));
            count += extent.count;
        }
        change.free = Some(self.clusters.free_in_table() - count);
        Ok(())
    }

    /// Everything that a file in these clusters will need blocks for.
    fn add_ranges(&self, change: &mut Change, extents: &[Extent]) {
        for extent in extents {
            let bytes = u64::from(extent.count) * self.layout.cluster_bytes;
            change.ranges.push((self.layout.cluster_at(extent.first), bytes));
        }
        for table in 0..self.layout.tables {
            let begin = self.layout.table_at + table * self.layout.table_bytes;
            change.ranges.extend(table_ranges(extents).map(|(at, bytes)| (begin + at, bytes)));
        }
        for extent in self.directory.extents() {
            let bytes = u64::from(extent.count) * self.layout.cluster_bytes;
            change.ranges.push((self.layout.cluster_at(extent.first), bytes));
        }
        change.ranges.extend(self.layout.info_at.map(|at| (at, SECTOR)));
    }

    /// Makes a file of promised clusters, whose content is written, and tells its name.
    ///
    /// `before` runs when the entry is known, and before it is on the disk.
    pub(crate) fn complete(
        &mut self,
        wanted: &str,
        extents: &[Extent],
        size: u32,
        before: impl FnOnce(&Entry) -> Result<()>,
    ) -> Result<Entry> {
        let taken = self.directory.taken();
        let name = names::numbered(wanted, &taken);
        let short = self.directory.short_name(&name, &taken)?;
        let first_cluster = extents.first().map_or(0, |extent| extent.first);
        let slots = entry::encode(&name, &short, first_cluster, size, SystemTime::now());
        let last = slots.len() - SLOT_BYTES;
        let entry =
            Entry::new(name, short, first_cluster, size, slots.get(last..).unwrap_or_default());
        // The content first: a name never leads to anything else.
        self.disk.medium().sync()?;
        before(&entry)?;
        let mut change = Change::default();
        let read_at = |at: u64, buffer: &mut [u8]| self.read_at(at, buffer);
        if size > 0 {
            change.table.chain(&self.layout, &read_at, None, extents)?;
        }
        let count: u32 = extents.iter().map(|extent| extent.count).sum();
        change.free = Some(self.clusters.free_in_table() - count);
        change.directory = Some(self.directory.plan_insert(slots).ok_or(ImageProblem::Directory)?);
        self.add_ranges(&mut change, extents);
        self.commit(change)?;
        self.clusters.keep(extents);
        Ok(entry)
    }

    /// Removes a file.
    pub(crate) fn remove(&mut self, entry: &Entry) -> Result<()> {
        let mut change = Change::default();
        let read_at = |at: u64, buffer: &mut [u8]| self.read_at(at, buffer);
        let mut extents = Vec::new();
        if entry.first_cluster != 0 {
            let until = Until::End(u64::from(self.layout.clusters) + 1);
            extents = follow(&self.layout, &read_at, entry.first_cluster, until)?;
            change.table.free(&self.layout, &read_at, &extents)?;
        }
        let count: u32 = extents.iter().map(|extent| extent.count).sum();
        change.free = Some(self.clusters.free_in_table() + count);
        change.directory = Some(self.directory.plan_remove(entry));
        self.commit(change)?;
        self.clusters.free(&extents);
        Ok(())
    }

    /// Carries a change out, whole or not at all.
    fn commit(&mut self, mut change: Change) -> Result<()> {
        if self.is_stopped {
            return Err(Error::Stopped);
        }
        let mut sectors = std::mem::take(&mut change.sectors);
        for table in 0..self.layout.tables {
            let begin = self.layout.table_at + table * self.layout.table_bytes;
            let changed = change.table.sectors.iter();
            sectors.extend(
                changed.map(|(number, s)| (begin + u64::from(*number) * SECTOR, s.to_vec())),
            );
        }
        if let Some(change) = &change.directory {
            sectors.extend(self.directory.sectors(&self.layout, change));
        }
        if let (Some(at), Some(free)) = (self.layout.info_at, change.free) {
            sectors.push((at, info_sector(free, UNKNOWN).to_vec()));
        }
        let begin = self.partition.begin;
        let written = sectors.iter().map(|(at, data)| (begin + at, data.len() as u64));
        let ranges = change.ranges.iter().map(|(at, bytes)| (begin + at, *bytes)).chain(written);
        let growth = self.disk.growth(&ranges.collect::<Vec<_>>());
        let batch = self.plan(&growth, &sectors).inspect_err(|_| self.disk.cut_back())?;
        if !batch.is_empty() {
            let unique = self.disk.unique();
            self.journal.commit(&batch, unique).inspect_err(|_| self.disk.cut_back())?;
            if let Err(error) = self.journal.carry_out(&batch, &**self.disk.medium()) {
                self.is_stopped = true;
                return Err(error);
            }
        }
        self.disk.grown(&growth);
        if let Some(change) = &change.directory {
            self.directory.changed(change);
        }
        Ok(())
    }

    fn plan(&self, growth: &Growth, sectors: &[(u64, Vec<u8>)]) -> Result<Batch> {
        let mut batch = Batch::default();
        self.disk.plan_growth(&mut batch, growth)?;
        for (at, content) in sectors {
            self.disk.plan_write(&mut batch, growth, self.partition.begin + at, content)?;
        }
        Ok(batch)
    }
}

/// Takes so many clusters off the end.
fn split_off(extents: &mut Vec<Extent>, clusters: u64) -> Vec<Extent> {
    let (mut off, mut left) = (Vec::new(), clusters as u32);
    while left > 0 {
        let Some(last) = extents.last_mut() else { break };
        let count = last.count.min(left);
        last.count -= count;
        off.insert(0, Extent { first: last.first + last.count, count });
        left -= count;
        if last.count == 0 {
            extents.pop();
        }
    }
    off
}

/// How a full disk is told of.
#[derive(Clone, Copy)]
struct DiskFullAs {
    needed: u64,
    left: u64,
}

impl DiskFullAs {
    fn error(self) -> Error {
        Error::DiskFull { needed: self.needed, left: self.left }
    }

    /// The disk under the image is full.
    fn explain(self, error: Error) -> Error {
        match error {
            Error::DiskFull { left, .. } => Error::DiskFull { needed: self.needed, left },
            other => other,
        }
    }
}
