//! Files in a directory of the operating system's, received through mapped windows.
//!
//! Complete files lie in the directory under their names. Beside them, in `.p2pnet` (for the owner alone), each
//! unfinished file has its `ID.part`, of full size from the start and with its room reserved, and its record. To
//! complete a file is to rename its part, in one step and never over another file.
//!
//! How this stays clear of `SIGBUS`, and what happens when others touch a part, is told in `part`.

mod lease;
mod part;
mod window;

use crate::chunks::ChunkSet;
use crate::error::{Error, Result};
use crate::manager::{FileId, FileInfo, FileManager, InboundFile, Incoming, OutgoingFile, Which};
use crate::medium::{self, Folder, Lock};
use crate::names;
use crate::outgoing::{PlainFile, Stamp};
use crate::state::State;
use crate::state::index::{Entry, Tag};
use crate::state::record::Record;
use part::Part;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directory of what is unfinished. No sanitised name begins with a dot.
const FOLDER: &str = ".p2pnet";
const PART_SUFFIX: &str = ".part";

/// What a store may take, and how sure it makes of what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The most bytes that complete and unfinished files may have together.
    pub quota_bytes: Option<u64>,
    /// The most bytes that one file may have.
    pub file_bytes_max: u64,
    /// The most files, complete and unfinished.
    pub files_max: usize,
    /// How much of the disk is left alone, in bytes.
    pub free_bytes_min: u64,
    /// What a completed file survives.
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            quota_bytes: None,
            file_bytes_max: u64::MAX,
            files_max: 65_536,
            free_bytes_min: 0,
            durability: Durability::Power,
        }
    }
}

/// What a completed file survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A loss of power: its content is on the disk before its name is, and both are before it is called complete.
    Power,
    /// The end of this process only: quicker, and the system writes to the disk when it sees fit.
    Process,
}

/// Keeps files in a directory; memory is the same for files of any size.
#[derive(Debug)]
pub struct MemoryMappedFileManager {
    store: Arc<Store>,
}

/// What the manager and the handles share.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    directory: OwnedFd,
    folder: Arc<Folder>,
    options: Options,
    inner: Mutex<Inner>,
    /// Held for as long as the store is used.
    _lock: Lock,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// The sizes of unfinished files, by the names of their parts.
    unfinished: HashMap<String, u64>,
    /// Those of them that have a handle.
    in_use: HashSet<String>,
}

impl MemoryMappedFileManager {
    /// Opens the store in a directory, which is made if it isn't there. Files that are in it already belong to it.
    ///
    /// # Errors
    /// [`Error::InUse`] if another manager has it open.
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
        let folder = Arc::new(Folder::open_or_create(&directory, FOLDER)?);
        let lock = folder.lock()?;
        let state = State::open(folder.clone())?;
        let unfinished = sweep(&folder, &state)?;
        let inner = Mutex::new(Inner { state, unfinished, in_use: HashSet::new() });
        let path = path.to_owned();
        Ok(Self { store: Arc::new(Store { path, directory, folder, options, inner, _lock: lock }) })
    }
}

/// Removes what a crash left halfway, and gives the sizes of what can be resumed.
fn sweep(folder: &Folder, state: &State) -> Result<HashMap<String, u64>> {
    use crate::medium::Place as _;
    let mut unfinished = HashMap::new();
    let names: HashSet<String> = folder.names()?.into_iter().collect();
    for (id, record) in state.records()? {
        if names.contains(&part_name(id)) {
            unfinished.insert(part_name(id), record.chunks.size());
        } else {
            state.remove_record(id)?;
        }
    }
    for name in names {
        if name.ends_with(PART_SUFFIX) && !unfinished.contains_key(&name) {
            folder.remove(&name)?;
        }
    }
    Ok(unfinished)
}

fn part_name(id: FileId) -> String {
    format!("{id}{PART_SUFFIX}")
}

fn tag(stamp: Stamp) -> Tag {
    let mut tag = [0; 24];
    tag[..16].copy_from_slice(&stamp.modified_ns.to_le_bytes());
    tag[16..].copy_from_slice(&stamp.inode.to_le_bytes());
    tag
}

/// Like [`FileInfo`], of a file that was just looked at.
struct Found {
    name: String,
    stamp: Stamp,
}

impl Store {
    /// What is shared stays sound between any two steps, so a panic elsewhere doesn't spoil it.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The regular files whose names are text.
    fn files(&self) -> Result<Vec<Found>> {
        let mut files = Vec::new();
        for name in medium::names(&self.directory)? {
            let Ok(stat) = rustix::fs::statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW)
            else {
                continue;
            };
            if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
                let modified_ns =
                    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
                let stamp = Stamp { size: stat.st_size as u64, modified_ns, inode: stat.st_ino };
                files.push(Found { name, stamp });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn info(&self, inner: &Inner, found: Found) -> FileInfo {
        FileInfo {
            id: inner.state.id_of(&found.name, &tag(found.stamp)),
            size: found.stamp.size,
            path: Some(self.path.join(&found.name)),
            name: found.name,
        }
    }

    /// Opens a regular file by its very name.
    fn open_exactly(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.directory, name, flags, Mode::empty());
        let file = match opened {
            Ok(file) => File::from(file),
            // A link.
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NAMETOOLONG) => {
                return Err(Error::NotFound);
            }
            Err(error) => return Err(io::Error::from(error).into()),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(Error::NotFound) }
    }

    /// Opens a file by its name or, if there is none, by one that is the same in another form.
    fn open_named(&self, name: &str) -> Result<(String, File)> {
        if !names::is_plain(name) {
            return Err(Error::BadName);
        }
        match self.open_exactly(name) {
            Err(Error::NotFound) => {}
            opened => return Ok((name.to_owned(), opened?)),
        }
        let key = names::key(name);
        let mut same = self.files()?.into_iter().filter(|found| names::key(&found.name) == key);
        let found = same.next().ok_or(Error::NotFound)?;
        Ok((found.name.clone(), self.open_exactly(&found.name)?))
    }

    /// Refuses what the options or the disk have no room for.
    fn admit(&self, inner: &Inner, size: u64) -> Result<()> {
        let options = &self.options;
        let max = options.file_bytes_max.min(i64::MAX as u64);
        if size > max {
            return Err(Error::TooLarge { size, max });
        }
        let files = self.files()?;
        if files.len() + inner.unfinished.len() >= options.files_max {
            return Err(Error::TooManyFiles { max: options.files_max });
        }
        let complete = files.iter().map(|found| found.stamp.size);
        let used = complete.chain(inner.unfinished.values().copied()).fold(0, u64::saturating_add);
        let left = options.quota_bytes.map(|quota| quota.saturating_sub(used));
        if let Some(left) = left.filter(|left| size > *left) {
            return Err(Error::QuotaExceeded { needed: size, left });
        }
        let disk = rustix::fs::fstatvfs(&self.directory).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let left = free.saturating_sub(options.free_bytes_min);
        if size > left {
            return Err(Error::DiskFull { needed: size, left });
        }
        Ok(())
    }

    /// Makes a part of full size.
    fn new_part(&self, part: &str, size: u64) -> Result<(File, bool)> {
        let file = self.folder.open_file(part, OFlags::CREATE | OFlags::EXCL)?;
        match medium::reserve(&file, 0, size) {
            Ok(reserved) => Ok((file, reserved)),
            Err(error) => {
                self.remove_part(part)?;
                let left =
                    rustix::fs::fstatvfs(&self.directory).map_or(0, |d| d.f_bavail * d.f_frsize);
                match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        Err(Error::DiskFull { needed: size, left })
                    }
                    _ => Err(error.into()),
                }
            }
        }
    }

    fn remove_part(&self, part: &str) -> io::Result<()> {
        use crate::medium::Place as _;
        self.folder.remove(part)
    }

    /// Gives a part its final name and tells which that is.
    fn publish(&self, part: &str, wanted: &str) -> Result<String> {
        let mut taken: HashSet<String> =
            medium::names(&self.directory)?.iter().map(|name| names::key(name)).collect();
        loop {
            let name = names::numbered(wanted, &taken);
            match self.rename_new(part, &name) {
                Ok(()) => return Ok(name),
                // Somebody was quicker.
                Err(rustix::io::Errno::EXIST) => taken.insert(names::key(&name)),
                Err(error) => return Err(io::Error::from(error).into()),
            };
        }
    }

    /// Moves a part to a name that doesn't exist.
    fn rename_new(&self, part: &str, name: &str) -> rustix::io::Result<()> {
        let (from, to) = (&self.folder.fd, &self.directory);
        match rustix::fs::renameat_with(from, part, to, name, RenameFlags::NOREPLACE) {
            // A file system that can't: a link never replaces anything either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                rustix::fs::linkat(from, part, to, name, AtFlags::empty())?;
                rustix::fs::unlinkat(from, part, AtFlags::empty())
            }
            other => other,
        }
    }
}

impl FileManager for MemoryMappedFileManager {
    fn list(&mut self) -> Result<Vec<FileInfo>> {
        let inner = self.store.inner();
        Ok(self.store.files()?.into_iter().map(|found| self.store.info(&inner, found)).collect())
    }

    fn get_file(&mut self, which: Which<'_>) -> Result<Box<dyn OutgoingFile>> {
        let inner = self.store.inner();
        let (name, file) = match which {
            Which::Name(name) => self.store.open_named(name)?,
            Which::Id(id) => {
                let entry = inner.state.find(id).ok_or(Error::NotFound)?;
                let file = self.store.open_exactly(&entry.name)?;
                // The content is another by now.
                if tag(Stamp::of(&file)?) != entry.tag {
                    return Err(Error::NotFound);
                }
                (entry.name.clone(), file)
            }
        };
        let found = Found { name, stamp: Stamp::of(&file)? };
        Ok(Box::new(PlainFile::new(file, self.store.info(&inner, found))?))
    }

    fn remember(&mut self, name: &str, id: FileId) -> Result<()> {
        let (name, file) = self.store.open_named(name)?;
        let stamp = Stamp::of(&file)?;
        self.store.inner().state.remember(Entry { id, size: stamp.size, tag: tag(stamp), name })
    }

    fn inbound(&mut self, incoming: &Incoming) -> Result<Box<dyn InboundFile>> {
        let mut inner = self.store.inner();
        let chunks = ChunkSet::new(incoming.size, incoming.chunk_bytes)?;
        let part = match incoming.id {
            Some(id) => part_name(id),
            None => format!("unnamed-{:016x}{PART_SUFFIX}", random()?),
        };
        if inner.in_use.contains(&part) {
            return Err(Error::Busy);
        }
        let kept = match incoming.id {
            Some(id) => inner.state.record(id)?,
            None => None,
        };
        if let Some(record) = kept {
            let same = (record.chunks.size(), record.chunks.chunk_bytes())
                == (incoming.size, incoming.chunk_bytes);
            if !same {
                return Err(Error::Mismatch);
            }
            let file = Part::resume(&self.store, &mut inner, record)?;
            inner.in_use.insert(part);
            return Ok(Box::new(file));
        }
        self.store.admit(&inner, incoming.size)?;
        // What is left of a part without a record is worth nothing.
        self.store.remove_part(&part)?;
        let (file, reserved) = self.store.new_part(&part, incoming.size)?;
        let name = names::sanitise(&incoming.name);
        let record = match incoming.id {
            Some(id) => {
                let record =
                    Record { id, name: name.clone(), extents: Vec::new(), chunks: chunks.clone() };
                Some((id, inner.state.create_record(&record)?))
            }
            None => None,
        };
        inner.unfinished.insert(part.clone(), incoming.size);
        inner.in_use.insert(part.clone());
        Ok(Box::new(Part::new(&self.store, part, file, reserved, name, chunks, record)?))
    }

    fn unfinished(&mut self) -> Result<Vec<Incoming>> {
        let records = self.store.inner().state.records()?;
        Ok(records.iter().map(|(_, record)| record.incoming()).collect())
    }

    fn forget(&mut self, id: FileId) -> Result<()> {
        let mut inner = self.store.inner();
        let part = part_name(id);
        if inner.in_use.contains(&part) {
            return Err(Error::Busy);
        }
        inner.unfinished.remove(&part).ok_or(Error::NotFound)?;
        self.store.remove_part(&part)?;
        inner.state.remove_record(id)
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        let _inner = self.store.inner();
        let (name, _) = self.store.open_named(name)?;
        let removed = rustix::fs::unlinkat(&self.store.directory, &name, AtFlags::empty());
        Ok(removed.map_err(io::Error::from)?)
    }
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| Error::Io(io::Error::other(error)))
}

#[cfg(test)]
pub(crate) mod tests;
