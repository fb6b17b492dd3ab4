//! Where a node keeps files.
//!
//! A node knows the [`FileManager`] interface alone: it finds and reads files to send, and takes files that come in,
//! chunk by chunk in any order, resumably, all or nothing. There are two managers here, and a program may bring its
//! own (`examples/custom.rs`):
//!
//! - [`MemoryMappedFileManager`]: a directory of the operating system's;
//! - [`VirtualImageFileManager`]: one file that holds a disk, which virtual machines and other systems can mount.
//!
//! | Module | What |
//! |---|---|
//! | `manager`, `error` | the interface and its errors |
//! | [`names`] | names from outside, made harmless |
//! | `chunks` | which chunks of a file are there |
//! | `outgoing` | files of the operating system's, read so that changes are noticed |
//! | `medium`, `state` | bytes that can be written at any place; what is kept beside the files: records of what is unfinished, the index |
//! | `mapped` | the directory |
//! | `image` | the disk image: VHD, partition, FAT32, journal |
//!
//! Absent on purpose: the network, decisions about peers, hashing of content, threads, async.

#![deny(unsafe_code)]

mod chunks;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
pub mod hostile;
mod image;
mod manager;
mod mapped;
mod medium;
pub mod names;
mod outgoing;
mod state;
#[cfg(test)]
mod suite;

pub use chunks::{CHUNKS_MAX, ChunkSet};
pub use error::{Error, ImageProblem, Result};
pub use image::{ImageKind, ImageOptions, VirtualImageFileManager};
pub use manager::{FileId, FileInfo, FileManager, InboundFile, Incoming, OutgoingFile, Which};
pub use mapped::{Durability, MemoryMappedFileManager, Options};
pub use outgoing::open as open_path;
