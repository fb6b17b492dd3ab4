//! What can go wrong with files, one variant for each thing a caller may want to tell its user or act on.

use std::fmt;
use std::io;

/// The result of most calls here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a file can't be found, read, begun, written or completed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file, or no such unfinished file.
    NotFound,
    /// The name of a file to be found is empty, or isn't a plain name.
    BadName,
    /// The store can't hold a file of this size, however empty it is: the largest is `max` bytes.
    TooLarge {
        /// The size asked for, in bytes.
        size: u64,
        /// The most that this store takes, in bytes.
        max: u64,
    },
    /// The operator's quota doesn't allow it.
    QuotaExceeded {
        /// How many bytes the file needs.
        needed: u64,
        /// How many the quota leaves.
        left: u64,
    },
    /// The disk, or the image's file system, has no room for it.
    DiskFull {
        /// How many bytes the file needs.
        needed: u64,
        /// How many are free, as far as is known.
        left: u64,
    },
    /// The store holds as many files as it may.
    TooManyFiles {
        /// The most.
        max: usize,
    },
    /// Chunks of this size, or that many, are not kept: see [`ChunkSet::new`](crate::ChunkSet::new).
    BadChunkSize {
        /// The size asked for, in bytes.
        chunk_bytes: u32,
    },
    /// A file that is being read has changed since it was opened; or a file that is being received was touched by
    /// another process. The handle is of no more use. What is received goes on with a new
    /// [`inbound`](crate::FileManager::inbound), whose chunks must be verified again.
    Changed,
    /// The same file is being received through another handle.
    Busy,
    /// An unfinished file with this id has another size or another chunk size.
    Mismatch,
    /// No such chunk, the wrong length for it, or a place beyond the file's end.
    OutOfRange,
    /// The file can't be completed: `missing` chunks have not been written.
    Incomplete {
        /// How many chunks are missing.
        missing: u64,
    },
    /// Another process has the store open.
    InUse,
    /// The image isn't one that this crate reads, or is damaged.
    Image(ImageProblem),
    /// An earlier write failed halfway, so that this manager does no more; opening the store anew repairs it.
    Stopped,
    /// This manager doesn't do that.
    Unsupported,
    /// The operating system refused.
    Io(io::Error),
}

/// What is wrong with a disk image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageProblem {
    /// Shorter than the format allows.
    Truncated,
    /// A structure of a VHD doesn't begin with its cookie.
    Cookie,
    /// A checksum of a VHD is wrong.
    Checksum,
    /// A version, kind or size that this crate doesn't do: differencing disks, for example.
    Unsupported,
    /// Places inside a VHD overlap or lie outside of it.
    Layout,
    /// There is no partition table, or its first entry holds no FAT32 partition.
    Partition,
    /// The boot sector of the FAT32 file system contradicts itself or the partition.
    BootSector,
    /// A chain of clusters is cut, too long, shared, or leaves the file system.
    Chain,
    /// The directory is damaged.
    Directory,
    /// The options for a new image contradict each other or the formats.
    Options,
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "it is too short",
            Self::Cookie => "it is no VHD",
            Self::Checksum => "a checksum is wrong",
            Self::Unsupported => "its kind of VHD is not supported",
            Self::Layout => "its blocks overlap or lie outside of it",
            Self::Partition => "its first partition is not FAT32",
            Self::BootSector => "its boot sector makes no sense",
            Self::Chain => "a chain of clusters is damaged",
            Self::Directory => "its directory is damaged",
            Self::Options => "no image can have this size and kind",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such file"),
            Self::BadName => f.write_str("that is no name of a file"),
            Self::TooLarge { size, max } => {
                write!(f, "{size} bytes are too many: this store takes files up to {max}")
            }
            Self::QuotaExceeded { needed, left } => {
                write!(f, "the quota leaves {left} bytes, and {needed} are needed")
            }
            Self::DiskFull { needed, left } => {
                write!(f, "the disk has {left} bytes free, and {needed} are needed")
            }
            Self::TooManyFiles { max } => write!(f, "the store holds {max} files, and no more"),
            Self::BadChunkSize { chunk_bytes } => {
                write!(f, "the file can't be kept in chunks of {chunk_bytes} bytes")
            }
            Self::Changed => f.write_str("the file was changed while it was in use"),
            Self::Busy => f.write_str("the file is being received already"),
            Self::Mismatch => f.write_str("what was received of the file is of another size"),
            Self::OutOfRange => f.write_str("that is no chunk of the file"),
            Self::Incomplete { missing } => write!(f, "{missing} chunks of the file are missing"),
            Self::InUse => f.write_str("another program uses this store"),
            Self::Image(problem) => write!(f, "the image can't be used: {problem}"),
            Self::Stopped => f.write_str("a write to the store failed; open it again"),
            Self::Unsupported => f.write_str("this store doesn't do that"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { needed: 0, left: 0 }
            }
            io::ErrorKind::FileTooLarge => Self::TooLarge { size: 0, max: 0 },
            _ => Self::Io(error),
        }
    }
}

impl From<ImageProblem> for Error {
    fn from(problem: ImageProblem) -> Self {
        Self::Image(problem)
    }
}
