//! A file that comes in.

use super::{Manager, told};
use p2pnet_protocol::distribution::tree::{Tree, leaf};
use p2pnet_protocol::{Digest, FileAnswer, FileError, FileInfo};
use p2pnet_storage::{Error, FileId, InboundFile, Incoming};
use sha2::{Digest as _, Sha256};

/// A file that comes in. The digest of the whole is worked out as far as chunks come in order; the rest is read back.
pub(super) struct Target {
    file: Box<dyn InboundFile>,
    info: FileInfo,
    digest: Sha256,
    /// The first chunk that is not in the digest.
    next: u32,
    /// Some of it came in an earlier run: whether that is on the disk as it was written is looked at in the end.
    resumed: bool,
}

impl Target {
    pub(super) fn begin(manager: &Manager, info: FileInfo) -> Result<Self, FileError> {
        let incoming = Incoming {
            name: info.name.clone(),
            size: info.bytes,
            chunk_bytes: info.chunk_bytes(),
            id: Some(FileId(info.id.0)),
        };
        let file = manager.with(|manager| manager.inbound(&incoming))?;
        let resumed = file.received().present() > 0;
        Ok(Self { file, info, digest: Sha256::new(), next: 0, resumed })
    }

    /// A bit for each chunk that is there.
    pub(super) fn have(&self) -> Vec<u8> {
        let mut bits = vec![0u8; self.info.chunks().div_ceil(8) as usize];
        for chunk in self.file.received().present_chunks() {
            if let Some(byte) = bits.get_mut((chunk / 8) as usize) {
                *byte |= 1 << (chunk % 8);
            }
        }
        bits
    }

    pub(super) fn write(&mut self, chunk: u32, bytes: &[u8]) -> Result<FileAnswer, Error> {
        self.file.write(chunk.into(), bytes)?;
        if chunk == self.next && !self.resumed {
            self.digest.update(bytes);
            self.next += 1;
        }
        Ok(FileAnswer::Written)
    }

    /// Puts the file in place, with the digest of what is stored.
    pub(super) fn finish(mut self) -> Result<FileAnswer, FileError> {
        let mut leaves = Vec::new();
        let mut buffer = Vec::new();
        while self.next < self.info.chunks() {
            buffer.resize(self.info.bytes_of(self.next) as usize, 0);
            let read = self.file.read_at(self.info.offset_of(self.next), &mut buffer);
            read.map_err(|error| told(&error))?;
            self.digest.update(&buffer);
            if self.resumed {
                leaves.push(leaf(&buffer));
            }
            self.next += 1;
        }
        if self.resumed && Tree::new(leaves).root() != self.info.id.0 {
            self.abort();
            return Err(FileError::Damaged);
        }
        let sha256 = Digest(self.digest.finalize().into());
        let stored = self.file.complete().map_err(|error| told(&error))?;
        let place = stored
            .path
            .as_ref()
            .map_or_else(|| stored.name.clone(), |path| path.to_string_lossy().into_owned());
        Ok(FileAnswer::Finished { name: stored.name, place, sha256 })
    }

    pub(super) fn abort(self) {
        if let Err(error) = self.file.abort() {
            tracing::debug!(target: "p2pnet::files", %error, "what came of a file is still there");
        }
    }
}
