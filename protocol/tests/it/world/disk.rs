//! A host's files, in memory.

use p2pnet_protocol::distribution::tree::{Tree, leaf};
use p2pnet_protocol::hash::sha256;
use p2pnet_protocol::*;
use std::collections::{BTreeMap, BTreeSet};

/// What one node's requests about files find.
#[derive(Default)]
pub struct Disk {
    /// Stored files, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files that are on their way, by id: they survive a restart.
    pub partial: BTreeMap<FileId, Partial>,
    /// Chunks written, of all files, those written twice twice.
    pub writes: u32,
    /// How many more requests are answered; all if none.
    pub answers_left: Option<u32>,
    /// What every attempt to make room or to write comes to.
    pub trouble: Option<FileError>,
    /// A liar's chunks have a wrong byte.
    pub lies: bool,
    sources: BTreeMap<FileHandle, Vec<u8>>,
    targets: BTreeMap<FileHandle, FileId>,
}

pub struct Partial {
    info: FileInfo,
    bytes: Vec<u8>,
    have: BTreeSet<u32>,
}

/// What a file with these bytes is.
pub fn info(name: &str, bytes: &[u8]) -> FileInfo {
    let length = bytes.len() as u64;
    let id = FileId(tree(bytes).root());
    FileInfo { id, name: name.into(), bytes: length, sha256: Digest(sha256(&[bytes])) }
}

fn tree(bytes: &[u8]) -> Tree {
    let size = FileInfo::chunk_bytes_of(bytes.len() as u64).unwrap() as usize;
    Tree::new(bytes.chunks(size).map(leaf).collect())
}

impl Disk {
    /// The process ended: what was open isn't any more.
    pub fn restart(&mut self) {
        self.sources.clear();
        self.targets.clear();
        self.answers_left = None;
    }

    /// Files that are open for reading.
    pub fn open_sources(&self) -> usize {
        self.sources.len()
    }

    /// Does what is asked, unless the host has stopped answering.
    pub fn answer(&mut self, request: FileRequest) -> Option<FileAnswer> {
        if let Some(left) = &mut self.answers_left {
            *left = left.checked_sub(1)?;
        }
        Some(self.perform(request).unwrap_or_else(FileAnswer::Failed))
    }

    fn perform(&mut self, request: FileRequest) -> Result<FileAnswer, FileError> {
        match request {
            FileRequest::Open { handle, name, .. } => {
                let bytes = self.files.get(&name).ok_or(FileError::NotFound)?;
                self.sources.insert(handle, bytes.clone());
                Ok(FileAnswer::Opened(info(&name, bytes)))
            }
            FileRequest::Read { handle, chunk } => {
                let bytes = self.sources.get(&handle).ok_or(FileError::Changed)?;
                let size = FileInfo::chunk_bytes_of(bytes.len() as u64).unwrap() as usize;
                let at = chunk as usize * size;
                let mut piece = bytes[at..bytes.len().min(at + size)].to_vec();
                let proof = tree(bytes).proof(chunk as usize).unwrap();
                if self.lies {
                    piece[0] ^= 1;
                }
                Ok(FileAnswer::Chunk { bytes: piece.into(), proof })
            }
            FileRequest::Close { handle } => {
                self.sources.remove(&handle);
                Ok(FileAnswer::Done)
            }
            FileRequest::Begin { handle, file } => {
                self.trouble.map_or(Ok(()), Err)?;
                self.targets.insert(handle, file.id);
                let fresh = Partial {
                    bytes: vec![0; file.bytes as usize],
                    have: BTreeSet::new(),
                    info: file.clone(),
                };
                let partial = self.partial.entry(file.id).or_insert(fresh);
                let mut have = vec![0u8; file.chunks().div_ceil(8) as usize];
                for chunk in &partial.have {
                    have[*chunk as usize / 8] |= 1 << (chunk % 8);
                }
                Ok(FileAnswer::Begun { have })
            }
            FileRequest::Write { handle, chunk, bytes } => {
                self.trouble.map_or(Ok(()), Err)?;
                let partial = self.partial.get_mut(&self.targets[&handle]).unwrap();
                let at = partial.info.offset_of(chunk) as usize;
                partial.bytes[at..at + bytes.len()].copy_from_slice(&bytes);
                partial.have.insert(chunk);
                self.writes += 1;
                Ok(FileAnswer::Written)
            }
            FileRequest::Finish { handle } => {
                let partial = self.partial.remove(&self.targets.remove(&handle).unwrap()).unwrap();
                assert_eq!(partial.have.len() as u32, partial.info.chunks(), "it is whole");
                let mut name = partial.info.name.clone();
                while self.files.contains_key(&name) {
                    name.push('\'');
                }
                let digest = Digest(sha256(&[&partial.bytes]));
                self.files.insert(name.clone(), partial.bytes);
                Ok(FileAnswer::Finished { place: format!("/{name}"), name, sha256: digest })
            }
            FileRequest::Abort { handle } => {
                if let Some(id) = self.targets.remove(&handle) {
                    self.partial.remove(&id);
                }
                Ok(FileAnswer::Done)
            }
        }
    }
}
