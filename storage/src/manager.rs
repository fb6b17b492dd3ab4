//! The interface between a node and whatever keeps its files.

use crate::chunks::ChunkSet;
use crate::error::{Error, Result};
use crate::outgoing;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a file is known by between nodes: the root of the hash tree over its content. This crate only keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub [u8; 32]);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileId({self})")
    }
}

impl FileId {
    /// Reads what [`Display`](fmt::Display) writes: 64 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

/// How a file of the store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// By its name in the store.
    Name(&'a str),
    /// By its content.
    Id(FileId),
}

impl Which<'_> {
    /// Whether this file is asked for, by its exact name or its id.
    pub fn is(&self, info: &FileInfo) -> bool {
        match self {
            Self::Name(name) => info.name == *name,
            Self::Id(id) => info.id == Some(*id),
        }
    }
}

/// A complete file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name in the store, which need not be the one it was sent under.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What its content is known by, if the store was told.
    pub id: Option<FileId>,
    /// Where it lies, if it is a file of the operating system's.
    pub path: Option<PathBuf>,
}

/// A file to be received, as it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The name that the sender gave it: nothing is taken for granted about it.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The size of its chunks in bytes; the last one ends where the file ends.
    pub chunk_bytes: u32,
    /// What it is known by. A file without an id can't be resumed: it is dropped with its handle.
    pub id: Option<FileId>,
}

/// A complete file, open for reading.
pub trait OutgoingFile: Send {
    /// What the file was when it was opened.
    fn info(&self) -> &FileInfo;

    /// Reads `buffer.len()` bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] beyond the file's end. [`Error::Changed`] if the file isn't any more what it was when it
    /// was opened; what was read before may belong to either state.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()>;
}

/// A file that is being received. Whoever drops the handle can go on later, after a crash too, by calling
/// [`FileManager::inbound`] again.
pub trait InboundFile: Send {
    /// Which chunks are there: those of this handle, and those that were recorded before.
    fn received(&self) -> &ChunkSet;

    /// Writes one chunk, whole. The caller has verified it.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a chunk that doesn't exist or has another length; [`Error::Changed`] if somebody else
    /// touched what was received: see there.
    #[doc(alias = "InboundDatapacketToFile")]
    fn write(&mut self, chunk: u64, data: &[u8]) -> Result<()>;

    /// Reads back what was written, from any place. What was never written reads as anything.
    ///
    /// After a crash, the record of received chunks may tell of some that never reached the disk; so whoever resumes a
    /// file reads back and verifies each chunk of [`Self::received`] first, and [rejects](Self::reject) the bad ones.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Notes a chunk as missing again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where nothing is resumed, so that there is nothing to reject.
    fn reject(&mut self, _chunk: u64) -> Result<()> {
        Err(Error::Unsupported)
    }

    /// Ends the reception: in one step the whole file appears in the store, under its sanitised name or, where that is
    /// taken, one with a number.
    ///
    /// # Errors
    /// [`Error::Incomplete`] while chunks are missing; what was received stays. After any other error as well there is
    /// no file under the final name.
    fn complete(self: Box<Self>) -> Result<FileInfo>;

    /// Ends the reception and forgets what was received. Dropping the handle does that by itself where nothing can be
    /// resumed.
    fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Whatever keeps the files of a node: finds and reads those that go out, takes those that come in.
///
/// All calls may block, so they belong on a thread of their own. A manager decides nothing about peers: it is told what
/// to keep, after the decision. It never lets a name that came from outside reach beyond the store, and never shows
/// half a file. Handles live on their own: they can be used on other threads, and while other calls are made.
///
/// ```
/// use p2pnet_storage::{FileManager, Incoming, MemoryMappedFileManager, Options, Which};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let mut manager = MemoryMappedFileManager::open(directory.path(), Options::default())?;
/// let mut file = manager.inbound(&Incoming {
///     name: "../notes.txt".into(),
///     size: 7,
///     chunk_bytes: 4,
///     id: None,
/// })?;
/// file.write(1, b"ful")?;
/// file.write(0, b"help")?;
/// let stored = file.complete()?;
/// assert_eq!(stored.name, "notes.txt");
///
/// let mut content = [0; 7];
/// manager.get_file(Which::Name("notes.txt"))?.read_at(0, &mut content)?;
/// assert_eq!(&content, b"helpful");
/// # Ok(()) }
/// ```
#[doc(alias = "IFileManager", alias = "NetworkFileManager")]
pub trait FileManager: Send {
    /// The complete files, in the order of their names.
    fn list(&mut self) -> Result<Vec<FileInfo>>;

    /// Opens a complete file. A name is looked for as it is, and if there is none, without regard to case and Unicode
    /// forms.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::BadName`] for anything but a plain name.
    #[doc(alias = "GetFile")]
    fn get_file(&mut self, which: Which<'_>) -> Result<Box<dyn OutgoingFile>>;

    /// Opens a file outside of the store, for the operator to send; never on the word of a peer.
    fn open_path(&mut self, path: &Path) -> Result<Box<dyn OutgoingFile>> {
        outgoing::open(path)
    }

    /// Tells what the content of a complete file is known by, so that [`Which::Id`] finds it. The store knows that by
    /// itself of what was received with an id. It holds until the file is changed. A manager may ignore it.
    fn remember(&mut self, _name: &str, _id: FileId) -> Result<()> {
        Ok(())
    }

    /// Begins, or resumes, the reception of a file. Room for all of it is reserved here, so that a full disk or quota
    /// is told before anything is sent.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], [`Error::DiskFull`], [`Error::TooLarge`], [`Error::TooManyFiles`],
    /// [`Error::BadChunkSize`]; [`Error::Busy`] while another handle receives the same file; [`Error::Mismatch`] if
    /// what was received earlier under this id has another size.
    fn inbound(&mut self, incoming: &Incoming) -> Result<Box<dyn InboundFile>>;

    /// Stores a whole file of `size` bytes.
    ///
    /// # Errors
    /// As [`Self::inbound`]; [`Error::Changed`] if `content` ends early.
    #[doc(alias = "WriteToFile")]
    fn write(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<FileInfo> {
        const CHUNK_BYTES: u32 = 1 << 20;
        let name = name.to_owned();
        let incoming = Incoming { name, size, chunk_bytes: CHUNK_BYTES, id: None };
        let mut file = self.inbound(&incoming)?;
        let mut buffer = vec![0; size.min(u64::from(CHUNK_BYTES)) as usize];
        for chunk in 0..file.received().chunks() {
            let (_, length) = file.received().range(chunk).ok_or(Error::OutOfRange)?;
            let piece = buffer.get_mut(..length).ok_or(Error::OutOfRange)?;
            content.read_exact(piece).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Error::Changed,
                _ => Error::Io(error),
            })?;
            file.write(chunk, piece)?;
        }
        file.complete()
    }

    /// The files whose reception was begun and neither completed nor aborted: none where nothing can be resumed.
    fn unfinished(&mut self) -> Result<Vec<Incoming>> {
        Ok(Vec::new())
    }

    /// Forgets an unfinished file that has no handle.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Busy`] while there is a handle.
    fn forget(&mut self, _id: FileId) -> Result<()> {
        Err(Error::NotFound)
    }

    /// Removes a complete file. Whoever is reading it may go on, or is told that it changed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where files can't be removed through the manager.
    fn remove(&mut self, _name: &str) -> Result<()> {
        Err(Error::Unsupported)
    }
}
