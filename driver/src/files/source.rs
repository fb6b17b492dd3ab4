//! A file that goes out.

use p2pnet_protocol::distribution::tree::{Tree, leaf};
use p2pnet_protocol::{Digest, FileAnswer, FileId, FileInfo};
use p2pnet_storage::{Error, OutgoingFile};
use sha2::{Digest as _, Sha256};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Read at once for the hashes: a whole number of chunks of any size.
const PIECE_BYTES: usize = 1 << 20;

/// A file that goes out, with the tree over its chunks.
pub(super) struct Source {
    file: Box<dyn OutgoingFile>,
    info: FileInfo,
    tree: Tree,
}

impl Source {
    /// Reads the file once, as long as `goes_on`. The digest of the whole is worked out beside the tree, by a second
    /// thread.
    pub(super) fn open(
        mut file: Box<dyn OutgoingFile>,
        goes_on: impl Fn() -> bool,
    ) -> Result<Self, Error> {
        let (name, bytes) = (file.info().name.clone(), file.info().size);
        let chunk_bytes = FileInfo::chunk_bytes_of(bytes).ok_or(Error::TooLarge {
            size: bytes,
            max: p2pnet_protocol::distribution::FILE_BYTES_MAX,
        })? as usize;
        let (to_digest, pieces) = sync_channel::<Vec<u8>>(2);
        let (back, used) = sync_channel::<Vec<u8>>(4);
        let (leaves, sha256) = thread::scope(|scope| {
            let digest = scope.spawn(move || {
                let mut digest = Sha256::new();
                for piece in pieces {
                    digest.update(&piece);
                    let _ = back.try_send(piece);
                }
                Digest(digest.finalize().into())
            });
            let mut leaves = Vec::new();
            let mut at = 0u64;
            while at < bytes {
                let length = (bytes - at).min(PIECE_BYTES as u64) as usize;
                let mut piece = used.try_recv().unwrap_or_default();
                piece.resize(length, 0);
                file.read_at(at, &mut piece)?;
                leaves.extend(piece.chunks(chunk_bytes).map(leaf));
                at += length as u64;
                if to_digest.send(piece).is_err() || !goes_on() {
                    return Err(Error::Stopped);
                }
            }
            drop(to_digest);
            Ok((leaves, digest.join().map_err(|_| Error::Stopped)?))
        })?;
        let tree = Tree::new(leaves);
        let info = FileInfo { id: FileId(tree.root()), name, bytes, sha256 };
        Ok(Self { file, info, tree })
    }

    pub(super) const fn info(&self) -> &FileInfo {
        &self.info
    }

    /// A chunk and its proof.
    pub(super) fn read(&mut self, chunk: u32) -> Result<FileAnswer, Error> {
        let mut bytes = vec![0; self.info.bytes_of(chunk) as usize];
        let proof = self.tree.proof(chunk as usize).ok_or(Error::OutOfRange)?;
        self.file.read_at(self.info.offset_of(chunk), &mut bytes)?;
        Ok(FileAnswer::Chunk { bytes: bytes.into(), proof })
    }
}
