//! One file that is being received.
//!
//! # Why no `SIGBUS` ends the process
//!
//! A mapped page raises `SIGBUS` when it is touched and the file has no such page any more, the disk is full, or the
//! disk fails. So a part is only touched through its window when three things hold:
//!
//! 1. its room was reserved when it was made;
//! 2. this process has a lease on it: nobody else has it open, and whoever opens or cuts it waits;
//! 3. under the lease its length was found to be right, and the pages were made present by a call that gives an error
//!    where a touch would raise the signal.
//!
//! Where one of them can't be had, the same bytes go by system calls, which give errors and no signals. The lease is
//! given back at once after each chunk, so that a backup that reads the store isn't held up.
//!
//! # What others do to a part
//!
//! Between two calls another program may write to a part or cut it. The times and the length of the file tell, and the
//! answer is [`Error::Changed`]: the handle is given up, and a new one begins by verifying every chunk. Where there
//! are no leases, only the length tells.

use super::lease::Lease;
use super::window::Window;
use super::{Durability, Inner, Store, part_name, tag};
use crate::chunks::ChunkSet;
use crate::error::{Error, Result};
use crate::manager::{FileId, FileInfo, InboundFile};
use crate::outgoing::Stamp;
use crate::state::RecordFile;
use crate::state::index::Entry;
use crate::state::record::Record;
use rustix::fs::OFlags;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Part {
    store: Arc<Store>,
    /// The name within the folder of what is unfinished.
    part: String,
    file: File,
    /// Whether the file system has set its room aside.
    reserved: bool,
    window: Window,
    /// The sanitised name that it will get if nothing else has it.
    name: String,
    chunks: ChunkSet,
    record: Option<(FileId, RecordFile)>,
    /// What the file's times were after the last touch under a lease.
    seen: Option<Times>,
    /// Completed or aborted: nothing is left to be kept.
    is_over: bool,
}

/// When a file was changed last, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Part {
    pub(super) fn new(
        store: &Arc<Store>,
        part: String,
        file: File,
        reserved: bool,
        name: String,
        chunks: ChunkSet,
        record: Option<(FileId, RecordFile)>,
    ) -> Result<Self> {
        let (window, store) = (Window::default(), store.clone());
        Ok(Self {
            store,
            part,
            file,
            reserved,
            window,
            name,
            chunks,
            record,
            seen: None,
            is_over: false,
        })
    }

    /// Goes on with what a record tells of. A part of another length than it should have begins anew.
    pub(super) fn resume(
        store: &Arc<Store>,
        inner: &mut Inner,
        mut record: Record,
    ) -> Result<Self> {
        let part = part_name(record.id);
        let size = record.chunks.size();
        let file = match store.folder.open_file(&part, OFlags::empty()) {
            Ok(file) if file.metadata()?.len() == size => file,
            _ => {
                store.remove_part(&part)?;
                record.chunks = ChunkSet::new(size, record.chunks.chunk_bytes())?;
                store.new_part(&part, size)?.0
            }
        };
        let reserved = crate::medium::reserve(&file, 0, size)?;
        // Written anew: a record of a crashed run may be shorter than it should be.
        let notes = (record.id, inner.state.create_record(&record)?);
        inner.unfinished.insert(part.clone(), size);
        Self::new(store, part, file, reserved, record.name, record.chunks, Some(notes))
    }

    fn times(&self) -> Result<Times> {
        let metadata = self.file.metadata()?;
        if metadata.len() != self.chunks.size() {
            return Err(Error::Changed);
        }
        Ok(Times {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Takes a lease if there is one, and makes sure that nobody touched the part since the last time.
    fn enter(&mut self) -> Result<Option<Lease>> {
        let lease = Lease::take(&self.file).filter(|_| self.reserved);
        let now = self.times()?;
        match self.seen {
            Some(seen) if seen != now => Err(Error::Changed),
            _ => Ok(lease),
        }
    }

    /// Remembers how the part was left. Without a lease somebody else may have been at it as well.
    fn leave(&mut self, lease: Option<Lease>) -> Result<()> {
        self.seen = match lease {
            Some(_held) => Some(self.times()?),
            None => None,
        };
        Ok(())
    }

    fn note(&mut self, chunk: u64, is_there: bool) -> Result<()> {
        if is_there {
            self.chunks.insert(chunk);
        } else {
            self.chunks.remove(chunk);
        }
        match &self.record {
            Some((_, record)) => Ok(record.note(&self.chunks, chunk)?),
            None => Ok(()),
        }
    }

    /// Forgets the part and its record.
    fn discard(&mut self, inner: &mut Inner) -> Result<()> {
        self.is_over = true;
        inner.unfinished.remove(&self.part);
        inner.in_use.remove(&self.part);
        let removed = self.store.remove_part(&self.part);
        if let Some((id, _)) = &self.record {
            inner.state.remove_record(*id)?;
        }
        Ok(removed?)
    }

    /// Makes the part a complete file.
    fn publish(&mut self, inner: &mut Inner) -> Result<FileInfo> {
        let is_durable = self.store.options.durability == Durability::Power;
        if is_durable {
            self.file.sync_all()?;
        }
        let stamp = Stamp::of(&self.file)?;
        let name = self.store.publish(&self.part, &self.name)?;
        // The file is complete: what fails from here on doesn't undo that.
        self.is_over = true;
        inner.unfinished.remove(&self.part);
        inner.in_use.remove(&self.part);
        let id = self.record.as_ref().map(|(id, _)| *id);
        if let Some(id) = id {
            let entry = Entry { id, size: stamp.size, tag: tag(stamp), name: name.clone() };
            inner.state.remember(entry)?;
        }
        if is_durable {
            rustix::fs::fsync(&self.store.directory).map_err(std::io::Error::from)?;
        }
        if let Some(id) = id {
            inner.state.remove_record(id)?;
        }
        let path = Some(self.store.path.join(&name));
        Ok(FileInfo { name, size: stamp.size, id, path })
    }
}

impl InboundFile for Part {
    fn received(&self) -> &ChunkSet {
        &self.chunks
    }

    fn write(&mut self, chunk: u64, data: &[u8]) -> Result<()> {
        let (offset, length) = self.chunks.range(chunk).ok_or(Error::OutOfRange)?;
        if data.len() != length {
            return Err(Error::OutOfRange);
        }
        let lease = self.enter()?;
        let by_window = match &lease {
            Some(lease) => self.window.write(&self.file, lease, offset, data).is_ok(),
            None => false,
        };
        if !by_window {
            self.file.write_all_at(data, offset)?;
        }
        self.leave(lease)?;
        self.note(chunk, true)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(Error::OutOfRange)?;
        if end > self.chunks.size() {
            return Err(Error::OutOfRange);
        }
        let lease = self.enter()?;
        let by_window = match &lease {
            Some(lease) => self.window.read(&self.file, lease, offset, buffer).is_ok(),
            None => false,
        };
        if !by_window {
            let read = self.file.read_exact_at(buffer, offset);
            // Cut since its length was looked at.
            read.map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Error::Changed,
                _ => Error::Io(error),
            })?;
        }
        self.leave(lease)
    }

    fn reject(&mut self, chunk: u64) -> Result<()> {
        self.note(chunk, false)
    }

    fn complete(mut self: Box<Self>) -> Result<FileInfo> {
        let missing = self.chunks.missing();
        if missing > 0 {
            return Err(Error::Incomplete { missing });
        }
        // Held until the file has its name: nobody cuts it in between.
        let _lease = self.enter()?;
        let store = self.store.clone();
        let mut inner = store.inner();
        self.publish(&mut inner)
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        let store = self.store.clone();
        let mut inner = store.inner();
        self.discard(&mut inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let store = self.store.clone();
        let mut inner = store.inner();
        if self.record.is_none() {
            // Nobody could resume it. If it can't be removed now, it is when the store is opened again.
            _ = self.discard(&mut inner);
        } else {
            inner.in_use.remove(&self.part);
        }
    }
}
