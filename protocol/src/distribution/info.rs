//! What a file is, apart from its bytes.

use super::{CHUNK_BYTES, CHUNK_BYTES_MAX, CHUNKS_MAX, FILE_BYTES_MAX, NAME_BYTES_MAX};
use crate::id::{Digest, FileId};
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A file as it is offered. The name is the sender's claim; the storage makes a safe one of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// The root of the tree over its chunks: the file's identity.
    pub id: FileId,
    /// What it is called.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// The SHA-256 digest of the whole, as the sender says. Receivers work out their own.
    pub sha256: Digest,
}

impl FileInfo {
    /// The size of a chunk, in bytes: 64 KiB, and the next powers of two above where a file would have over 2^20 chunks.
    /// `None` over [`FILE_BYTES_MAX`].
    ///
    /// ```
    /// use p2pnet_protocol::distribution::FileInfo;
    /// assert_eq!(FileInfo::chunk_bytes_of(5), Some(64 << 10));
    /// assert_eq!(FileInfo::chunk_bytes_of((64 << 30) + 1), Some(128 << 10));
    /// assert_eq!(FileInfo::chunk_bytes_of(u64::MAX), None);
    /// ```
    pub fn chunk_bytes_of(bytes: u64) -> Option<u32> {
        let mut size = CHUNK_BYTES;
        while bytes.div_ceil(u64::from(size)) > u64::from(CHUNKS_MAX) {
            size = size.checked_mul(2).filter(|size| *size <= CHUNK_BYTES_MAX)?;
        }
        Some(size)
    }

    /// The size of every chunk but perhaps the last.
    pub fn chunk_bytes(&self) -> u32 {
        Self::chunk_bytes_of(self.bytes).unwrap_or(CHUNK_BYTES_MAX)
    }

    /// How many chunks there are; none for an empty file.
    pub fn chunks(&self) -> u32 {
        let chunks = self.bytes.div_ceil(u64::from(self.chunk_bytes()));
        u32::try_from(chunks).unwrap_or(u32::MAX)
    }

    /// Where a chunk begins.
    pub fn offset_of(&self, chunk: u32) -> u64 {
        u64::from(chunk).saturating_mul(u64::from(self.chunk_bytes()))
    }

    /// How long a chunk is; 0 if there is none with this number.
    pub fn bytes_of(&self, chunk: u32) -> u32 {
        let left = self.bytes.saturating_sub(self.offset_of(chunk));
        u32::try_from(left.min(u64::from(self.chunk_bytes()))).unwrap_or(0)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&self.sha256.0);
        put_prefixed(out, self.name.as_bytes());
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let info = Self {
            id: FileId(from.array("file id")?),
            bytes: from.u64("file length")?,
            sha256: Digest(from.array("file digest")?),
            name: from.text(NAME_BYTES_MAX, "file name")?.into(),
        };
        if info.bytes > FILE_BYTES_MAX || info.name.is_empty() {
            return Err(Malformed("file"));
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(bytes: u64) -> FileInfo {
        FileInfo { id: FileId([1; 32]), name: "a".into(), bytes, sha256: Digest([2; 32]) }
    }

    #[test]
    fn chunks_cover_a_file_exactly() {
        for bytes in [0, 1, 65_535, 65_536, 65_537, (64 << 30) + 5, FILE_BYTES_MAX] {
            let info = info(bytes);
            let chunks = info.chunks();
            assert!(chunks <= CHUNKS_MAX);
            let last = chunks.checked_sub(1).map_or(0, |last| {
                assert!(info.bytes_of(last) > 0);
                info.offset_of(last) + u64::from(info.bytes_of(last))
            });
            assert_eq!(last, bytes);
            assert_eq!(info.bytes_of(chunks), 0);
        }
        assert_eq!(FileInfo::chunk_bytes_of(FILE_BYTES_MAX + 1), None);
    }
}
