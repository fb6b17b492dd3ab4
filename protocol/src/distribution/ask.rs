//! What the core asks of the world's files.

use super::info::FileInfo;
use super::message::{GoneReason, RefusalReason};
use super::tree::Hash;
use crate::id::Digest;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An open file of the world, named by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileHandle(pub u64);

/// Something to do with a file. Requests with one handle are done in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRequest {
    /// Find a file to be sent, and read it once for its hashes. [`FileAnswer::Opened`] answers.
    Open {
        /// What the file is called from now on.
        handle: FileHandle,
        /// Its name.
        name: String,
        /// Whether the application named it: then it may be a path. What a peer names is a stored file or nothing.
        local: bool,
    },
    /// Read a chunk. [`FileAnswer::Chunk`] answers.
    Read {
        /// The file.
        handle: FileHandle,
        /// The chunk.
        chunk: u32,
    },
    /// No more will be read or written; what was not finished is kept to be resumed. [`FileAnswer::Done`] answers.
    Close {
        /// The file.
        handle: FileHandle,
    },
    /// Make room for a file that comes, or find what came of it before. [`FileAnswer::Begun`] answers.
    Begin {
        /// What the file is called from now on.
        handle: FileHandle,
        /// The file.
        file: FileInfo,
    },
    /// Write a chunk, which was checked. [`FileAnswer::Written`] answers once it would survive the end of the process.
    Write {
        /// The file.
        handle: FileHandle,
        /// The chunk.
        chunk: u32,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Put the file, which is whole, under its name. [`FileAnswer::Finished`] answers.
    Finish {
        /// The file.
        handle: FileHandle,
    },
    /// Throw away what came of it. [`FileAnswer::Done`] answers.
    Abort {
        /// The file.
        handle: FileHandle,
    },
}

/// The answer to a [`FileRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileAnswer {
    /// The file is there, and this is what it is.
    Opened(FileInfo),
    /// A chunk and the hashes beside its way up the tree.
    Chunk {
        /// Its bytes.
        bytes: Bytes,
        /// The hashes.
        proof: Vec<Hash>,
    },
    /// There is room. `have` has a bit for each chunk that is there already, from the lowest bit of the first byte on.
    Begun {
        /// The bits; those that are missing are 0.
        have: Vec<u8>,
    },
    /// It is written.
    Written,
    /// It is in place.
    Finished {
        /// The name that it got.
        name: String,
        /// Where it is, for people.
        place: String,
        /// The SHA-256 digest of what is stored.
        sha256: Digest,
    },
    /// It is done.
    Done,
    /// It could not be done.
    Failed(FileError),
}

/// Why a transfer ended without its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    NotFound,
    /// It is a directory or a device.
    NotAFile,
    /// It changed since it was offered.
    Changed,
    /// It is longer than can be sent or stored.
    TooLarge,
    /// A quota of the store is used up.
    QuotaExceeded,
    /// The disk is full.
    DiskFull,
    /// No safe name can be made of the one that it has.
    BadName,
    /// What an earlier run stored of it is not what it wrote.
    Damaged,
    /// This node has no file manager.
    NoFileManager,
    /// Too many transfers are under way.
    Busy,
    /// The operating system said no; the log has more.
    Io,
    /// The application ended it.
    Cancelled,
    /// The receiver doesn't want it.
    Refused(RefusalReason),
    /// Its only sources don't serve it any more.
    Gone(GoneReason),
    /// Its only sources sent wrong bytes.
    WrongBytes,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such file",
            Self::NotAFile => "it is no regular file",
            Self::Changed => "the file changed since it was offered",
            Self::TooLarge => "the file is too large",
            Self::QuotaExceeded => "the quota is used up",
            Self::DiskFull => "the disk is full",
            Self::BadName => "no safe name can be made of the file's name",
            Self::Damaged => "what was stored of it in an earlier run is damaged",
            Self::NoFileManager => "this node stores no files",
            Self::Busy => "too many transfers are under way",
            Self::Io => "the file could not be read or written",
            Self::Cancelled => "it was cancelled here",
            Self::Refused(reason) => return write!(f, "refused by the receiver: {reason}"),
            Self::Gone(reason) => return write!(f, "not served by its source: {reason}"),
            Self::WrongBytes => "its only sources sent wrong bytes",
        })
    }
}

impl core::error::Error for FileError {}

impl FileError {
    /// What a sender is told of a receiver's trouble.
    pub(super) const fn as_refusal(self) -> RefusalReason {
        match self {
            Self::TooLarge | Self::QuotaExceeded | Self::DiskFull => RefusalReason::NoRoom,
            Self::Busy => RefusalReason::Busy,
            Self::Cancelled => RefusalReason::Cancelled,
            _ => RefusalReason::Failed,
        }
    }

    /// What a receiver is told of a sender's trouble.
    pub(super) const fn as_gone(self) -> GoneReason {
        match self {
            Self::NotFound | Self::NotAFile | Self::BadName => GoneReason::NotFound,
            Self::Changed => GoneReason::Changed,
            Self::Cancelled => GoneReason::Cancelled,
            Self::Busy => GoneReason::Busy,
            _ => GoneReason::Failed,
        }
    }
}
