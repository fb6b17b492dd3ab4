//! Open files: those that are read, and those that are received.

use super::fat::directory::Entry;
use super::{Inner, Key, Shared, tag};
use crate::chunks::ChunkSet;
use crate::error::{Error, Result};
use crate::manager::{FileInfo, InboundFile, OutgoingFile};
use crate::state::RecordFile;
use crate::state::index;
use crate::state::record::Extent;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A complete file that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) shared: Arc<Shared>,
    pub(super) info: FileInfo,
    pub(super) extents: Vec<Extent>,
    pub(super) is_removed: Arc<AtomicBool>,
}

impl OutgoingFile for Reading {
    fn info(&self) -> &FileInfo {
        &self.info
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        within(offset, buffer, self.info.size)?;
        let inner = self.shared.inner();
        // Its clusters may be another file's by now. Nobody removes it while we are in here.
        if self.is_removed.load(Ordering::Relaxed) {
            return Err(Error::Changed);
        }
        inner.volume.read(&self.extents, offset, buffer)
    }
}

fn within(offset: u64, buffer: &[u8], size: u64) -> Result<()> {
    let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= size);
    end.map(drop).ok_or(Error::OutOfRange)
}

/// A file that is being received.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
    pub(super) name: String,
    pub(super) extents: Vec<Extent>,
    pub(super) chunks: ChunkSet,
    pub(super) record: Option<RecordFile>,
    /// Completed or aborted.
    pub(super) is_over: bool,
}

impl Receiving {
    fn note(&self, chunk: u64) -> Result<()> {
        match &self.record {
            Some(record) => Ok(record.note(&self.chunks, chunk)?),
            None => Ok(()),
        }
    }
}

impl InboundFile for Receiving {
    fn received(&self) -> &ChunkSet {
        &self.chunks
    }

    fn write(&mut self, chunk: u64, data: &[u8]) -> Result<()> {
        let (offset, length) = self.chunks.range(chunk).ok_or(Error::OutOfRange)?;
        if data.len() != length {
            return Err(Error::OutOfRange);
        }
        self.shared.inner().volume.write(&self.extents, offset, data)?;
        self.chunks.insert(chunk);
        self.note(chunk)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        within(offset, buffer, self.chunks.size())?;
        self.shared.inner().volume.read(&self.extents, offset, buffer)
    }

    fn reject(&mut self, chunk: u64) -> Result<()> {
        self.chunks.remove(chunk);
        self.note(chunk)
    }

    fn complete(mut self: Box<Self>) -> Result<FileInfo> {
        let missing = self.chunks.missing();
        if missing > 0 {
            return Err(Error::Incomplete { missing });
        }
        let shared = self.shared.clone();
        let mut inner = shared.inner();
        let Inner { volume, state, unfinished, .. } = &mut *inner;
        let id = match self.key {
            Key::Id(id) => Some(id),
            Key::Unnamed(_) => None,
        };
        let size = self.chunks.size();
        // Indexed before it is there, so that no complete file goes unknown. An entry without its file says nothing.
        let remember = |entry: &Entry| match id {
            Some(id) => {
                state.remember(index::Entry { id, size, tag: tag(entry), name: entry.name.clone() })
            }
            None => Ok(()),
        };
        let entry = volume.complete(&self.name, &self.extents, size as u32, remember)?;
        self.is_over = true;
        unfinished.remove(&self.key);
        if let Some(id) = id {
            state.remove_record(id)?;
        }
        Ok(FileInfo { name: entry.name, size, id, path: None })
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.is_over = true;
        let shared = self.shared.clone();
        let mut inner = shared.inner();
        inner.discard(self.key)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let shared = self.shared.clone();
        let mut inner = shared.inner();
        match self.key {
            // Nobody could resume it.
            Key::Unnamed(_) => _ = inner.discard(self.key),
            Key::Id(_) => {
                if let Some(unfinished) = inner.unfinished.get_mut(&self.key) {
                    unfinished.is_in_use = false;
                }
            }
        }
    }
}
