//! What a manager keeps beside its files: a record for each unfinished file, and the index of ids.
//!
//! | File | Content |
//! |---|---|
//! | `ID.chunks` | a record: what is being received, and which chunks are there |
//! | `index` | for complete files: what their content is known by |
//!
//! Neither is needed to read a complete file. A record that is lost costs the chunks of one unfinished file; so does
//! one that is damaged, which is told by its checksum and removed.

pub(crate) mod index;
pub(crate) mod record;

use crate::chunks::ChunkSet;
use crate::error::Result;
use crate::manager::FileId;
use crate::medium::{Medium, Place};
use index::{Entry, Index};
use record::Record;
use sha2::{Digest as _, Sha256};
use std::io;
use std::sync::Arc;

const INDEX: &str = "index";
const INDEX_NEW: &str = "index.new";
const RECORD_SUFFIX: &str = ".chunks";

/// No honest record is larger: the bits of the most chunks, and the extents of a badly fragmented file.
const RECORD_BYTES_MAX: u64 = 32 << 20;
/// No honest index is larger.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// The first bytes of SHA-256: it tells accidents, and forgers could write here what they like anyway.
pub(crate) fn checksum(data: &[u8]) -> [u8; 16] {
    let (mut sum, digest) = ([0; 16], Sha256::digest(data));
    sum.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    sum
}

/// What is kept beside the files.
#[derive(Debug)]
pub(crate) struct State {
    place: Arc<dyn Place>,
    index: Index,
    index_file: Arc<dyn Medium>,
    index_bytes: u64,
}

/// The record of one unfinished file, open for notes.
#[derive(Debug)]
pub(crate) struct RecordFile {
    file: Arc<dyn Medium>,
    bits_at: u64,
}

impl RecordFile {
    /// Notes whether a chunk is there.
    pub(crate) fn note(&self, set: &ChunkSet, chunk: u64) -> io::Result<()> {
        let Some(at) = set.byte_of(chunk) else { return Ok(()) };
        self.file.write_at(self.bits_at + at as u64, &set.bits()[at..=at])
    }
}

impl State {
    pub(crate) fn open(place: Arc<dyn Place>) -> Result<Self> {
        place.remove(INDEX_NEW)?;
        let index_file = match place.open(INDEX) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => place.create(INDEX)?,
            Err(error) => return Err(error.into()),
        };
        let bytes = read_all(&*index_file, INDEX_BYTES_MAX)?.unwrap_or_default();
        let (index, used) = Index::parse(&bytes);
        let mut state = Self { place, index, index_file, index_bytes: used as u64 };
        if used < bytes.len() || state.index.is_mostly_stale() {
            state.rewrite_index()?;
        }
        Ok(state)
    }

    /// The complete file that has this content, as it was when that was noted.
    pub(crate) fn find(&self, id: FileId) -> Option<&Entry> {
        self.index.find(id)
    }

    /// What the file of that name and tag is known by.
    pub(crate) fn id_of(&self, name: &str, tag: &[u8]) -> Option<FileId> {
        self.index.id_of(name, tag)
    }

    pub(crate) fn remember(&mut self, entry: Entry) -> Result<()> {
        let bytes = entry.encode();
        self.index_file.write_at(self.index_bytes, &bytes)?;
        self.index_bytes += bytes.len() as u64;
        self.index.insert(entry);
        if self.index.is_mostly_stale() {
            self.rewrite_index()?;
        }
        Ok(())
    }

    /// Writes the index without what is stale, in one step.
    fn rewrite_index(&mut self) -> Result<()> {
        self.place.remove(INDEX_NEW)?;
        let file = self.place.create(INDEX_NEW)?;
        let bytes = self.index.encode();
        file.write_at(0, &bytes)?;
        file.sync()?;
        self.place.rename(INDEX_NEW, INDEX)?;
        self.index_file = file;
        self.index_bytes = bytes.len() as u64;
        Ok(())
    }

    /// All records that make sense; the others are removed.
    pub(crate) fn records(&self) -> Result<Vec<(FileId, Record)>> {
        let mut records = Vec::new();
        for name in self.place.names()? {
            let Some(id) = name.strip_suffix(RECORD_SUFFIX) else { continue };
            let found = match FileId::parse(id) {
                Some(id) => self.record(id)?.map(|record| (id, record)),
                None => None,
            };
            match found {
                Some(found) => records.push(found),
                None => self.place.remove(&name)?,
            }
        }
        records.sort_by_key(|(id, _)| *id);
        Ok(records)
    }

    /// The record of an unfinished file, if there is one that makes sense.
    pub(crate) fn record(&self, id: FileId) -> Result<Option<Record>> {
        let file = match self.place.open(&record_name(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(bytes) = read_all(&*file, RECORD_BYTES_MAX)? else { return Ok(None) };
        Ok(Record::parse(&bytes).ok().filter(|record| record.id == id))
    }

    /// Writes a record, in place of any other for the same file.
    pub(crate) fn create_record(&self, record: &Record) -> Result<RecordFile> {
        let name = record_name(record.id);
        self.place.remove(&name)?;
        let file = self.place.create(&name)?;
        let header = record.encode_header();
        // The bits last: a file that is cut short has no chunks, not a wrong header.
        file.write_at(0, &header)?;
        if !record.chunks.bits().is_empty() {
            file.write_at(header.len() as u64, record.chunks.bits())?;
        }
        Ok(RecordFile { file, bits_at: header.len() as u64 })
    }

    pub(crate) fn remove_record(&self, id: FileId) -> Result<()> {
        Ok(self.place.remove(&record_name(id))?)
    }
}

fn record_name(id: FileId) -> String {
    format!("{id}{RECORD_SUFFIX}")
}

/// The whole content, unless it is longer than anything honest.
fn read_all(file: &dyn Medium, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let length = file.len()?;
    if length > bytes_max {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(0, &mut bytes)?;
    Ok(Some(bytes))
}
