//! Files in a disk image: one file that virtual machines and other systems can mount.
//!
//! The image is a VHD with one FAT32 partition; received files lie in its root. Beside the image, in `IMAGE.p2pnet`
//! (for the owner alone), are its journal, the records of unfinished files, and the index. An image whose journal is
//! empty, as it is whenever no manager has it open and none was killed, needs none of that to be read.

mod disk;
pub(crate) mod fat;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handles;
pub(crate) mod journal;
mod partition;
pub(crate) mod vhd;
mod volume;

use crate::chunks::ChunkSet;
use crate::error::{Error, ImageProblem, Result};
use crate::manager::{FileId, FileInfo, FileManager, InboundFile, Incoming, OutgoingFile, Which};
use crate::mapped::Durability;
use crate::medium::{Folder, Lock, Medium, Place, Unsynced};
use crate::names;
use crate::state::State;
use crate::state::index::{self, Tag};
use crate::state::record::{Extent, Record};
use fat::directory::Entry;
use handles::{Reading, Receiving};
use rustix::fs::{Mode, OFlags, RenameFlags};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vhd::Footer;
pub use vhd::ImageKind;
use volume::{FILE_BYTES_MAX, Volume};

/// What comes after an image's name in that of its folder.
const FOLDER_SUFFIX: &str = ".p2pnet";
/// A VHD's time begins with the year 2000.
const VHD_EPOCH: Duration = Duration::from_secs(946_684_800);

/// What a new image is like, and what it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageOptions {
    /// How a new image is kept; an existing one stays as it is.
    pub kind: ImageKind,
    /// The size of a new disk in bytes, rounded up a little: at least 36 MiB, at most 2040 GiB.
    pub virtual_size: u64,
    /// The most bytes that complete and unfinished files may have together.
    pub quota_bytes: Option<u64>,
    /// What a completed file survives.
    pub durability: Durability,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            kind: ImageKind::Dynamic,
            virtual_size: 4 << 30,
            quota_bytes: None,
            durability: Durability::Power,
        }
    }
}

/// Keeps files in a disk image.
#[derive(Debug)]
pub struct VirtualImageFileManager {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    quota_bytes: Option<u64>,
    /// Held for as long as the image is used.
    _locks: Vec<Lock>,
}

#[derive(Debug)]
struct Inner {
    volume: Volume,
    state: State,
    unfinished: HashMap<Key, Unfinished>,
    unnamed: u64,
    /// Files that are being read, by their first clusters, and whether they were removed.
    read: Vec<(u32, Weak<AtomicBool>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Id(FileId),
    /// Without an id.
    Unnamed(u64),
}

#[derive(Debug)]
struct Unfinished {
    size: u64,
    extents: Vec<Extent>,
    is_in_use: bool,
}

impl VirtualImageFileManager {
    /// Opens an image, and repairs what a crash left halfway; makes it if it isn't there.
    ///
    /// # Errors
    /// [`Error::InUse`] if another manager has it open; [`Error::Image`] if it isn't a VHD with a FAT32 partition.
    pub fn open_or_create(path: &Path, options: ImageOptions) -> Result<Self> {
        let name = path.file_name().ok_or(Error::BadName)?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent: OwnedFd =
            rustix::fs::open(parent, flags, Mode::empty()).map_err(io::Error::from)?;
        let folder = suffixed(name, FOLDER_SUFFIX);
        let folder = Folder::open_or_create(&parent, folder.to_str().ok_or(Error::BadName)?)?;
        let lock = folder.lock()?;
        let open = || OpenOptions::new().read(true).write(true).open(path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path, &parent, &options)?;
                open()?
            }
            opened => opened?,
        };
        if !file.metadata()?.is_file() {
            return Err(Error::BadName);
        }
        let locks = vec![lock, Lock::take(file.try_clone()?)?];
        let (image, place): (Arc<dyn Medium>, Arc<dyn Place>) = match options.durability {
            Durability::Power => (Arc::new(file), Arc::new(folder)),
            Durability::Process => (Arc::new(Unsynced(file)), Arc::new(Unsynced(folder))),
        };
        Self::new(image, place, options.quota_bytes, locks)
    }

    fn new(
        image: Arc<dyn Medium>,
        place: Arc<dyn Place>,
        quota_bytes: Option<u64>,
        locks: Vec<Lock>,
    ) -> Result<Self> {
        let mut volume = Volume::open(image, &*place)?;
        let state = State::open(place)?;
        let mut unfinished = HashMap::new();
        for (id, record) in state.records()? {
            let size = record.chunks.size();
            // Somebody else may have written to the image meanwhile.
            if volume.promise_again(&record.extents, size)? {
                let kept = Unfinished { size, extents: record.extents, is_in_use: false };
                unfinished.insert(Key::Id(id), kept);
            } else {
                state.remove_record(id)?;
            }
        }
        let inner = Mutex::new(Inner { volume, state, unfinished, unnamed: 0, read: Vec::new() });
        Ok(Self { shared: Arc::new(Shared { inner, quota_bytes, _locks: locks }) })
    }
}

fn suffixed(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}

/// Makes an image under another name first, so that there is never half an image.
fn create(path: &Path, parent: &OwnedFd, options: &ImageOptions) -> Result<()> {
    let name = path.file_name().ok_or(Error::BadName)?;
    let new = path.with_file_name(suffixed(name, ".new"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let make = || -> Result<()> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&new)?;
        let medium: Arc<dyn Medium> = Arc::new(file);
        format(&medium, options)?;
        let renamed = rustix::fs::renameat_with(
            parent,
            suffixed(name, ".new"),
            parent,
            name,
            RenameFlags::NOREPLACE,
        );
        renamed.map_err(io::Error::from)?;
        Ok(rustix::fs::fsync(parent).map_err(io::Error::from)?)
    };
    make().inspect_err(|_| _ = std::fs::remove_file(&new))
}

/// Makes an image in an empty file.
fn format(medium: &Arc<dyn Medium>, options: &ImageOptions) -> Result<()> {
    if options.virtual_size > vhd::VIRTUAL_BYTES_MAX {
        return Err(ImageProblem::Options.into());
    }
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| Error::Io(io::Error::other(error)))?;
    let (unique, rest) = random.split_at(16);
    let since = SystemTime::now().duration_since(UNIX_EPOCH + VHD_EPOCH).unwrap_or_default();
    let bytes = vhd::rounded(options.virtual_size).min(vhd::VIRTUAL_BYTES_MAX);
    let unique = unique.try_into().unwrap_or_default();
    let footer = Footer::new(options.kind, bytes, since.as_secs() as u32, unique);
    Volume::format(medium, &footer, rest.try_into().unwrap_or_default())
}

fn tag(entry: &Entry) -> Tag {
    let mut tag = [0; 24];
    tag[..20].copy_from_slice(&entry.facts);
    tag
}

fn info(state: &State, entry: &Entry) -> FileInfo {
    FileInfo {
        name: entry.name.clone(),
        size: u64::from(entry.size),
        id: state.id_of(&entry.name, &tag(entry)),
        path: None,
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what the quota or the format has no room for.
    fn admit(&self, inner: &Inner, size: u64) -> Result<()> {
        if size > FILE_BYTES_MAX {
            return Err(Error::TooLarge { size, max: FILE_BYTES_MAX });
        }
        let complete = inner.volume.files().map(|entry| u64::from(entry.size));
        let unfinished = inner.unfinished.values().map(|unfinished| unfinished.size);
        let used = complete.chain(unfinished).fold(0, u64::saturating_add);
        let left = self.quota_bytes.map(|quota| quota.saturating_sub(used));
        match left.filter(|left| size > *left) {
            Some(left) => Err(Error::QuotaExceeded { needed: size, left }),
            None => Ok(()),
        }
    }
}

impl Inner {
    fn find(&self, name: &str) -> Result<Entry> {
        if !names::is_plain(name) {
            return Err(Error::BadName);
        }
        self.volume.find(name).cloned().ok_or(Error::NotFound)
    }

    /// Forgets an unfinished file.
    fn discard(&mut self, key: Key) -> Result<()> {
        let unfinished = self.unfinished.remove(&key).ok_or(Error::NotFound)?;
        self.volume.release(&unfinished.extents);
        match key {
            Key::Id(id) => self.state.remove_record(id),
            Key::Unnamed(_) => Ok(()),
        }
    }

    fn is_in_use(&self, key: &Key) -> bool {
        self.unfinished.get(key).is_some_and(|unfinished| unfinished.is_in_use)
    }
}

impl FileManager for VirtualImageFileManager {
    fn list(&mut self) -> Result<Vec<FileInfo>> {
        let inner = self.shared.inner();
        let mut files: Vec<_> =
            inner.volume.files().map(|entry| info(&inner.state, entry)).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn get_file(&mut self, which: Which<'_>) -> Result<Box<dyn OutgoingFile>> {
        let mut inner = self.shared.inner();
        let entry = match which {
            Which::Name(name) => inner.find(name)?,
            Which::Id(id) => {
                let known = inner.state.find(id).ok_or(Error::NotFound)?;
                let entry = inner.volume.find(&known.name).ok_or(Error::NotFound)?;
                // The name may be another file's by now.
                if entry.name != known.name || tag(entry) != known.tag {
                    return Err(Error::NotFound);
                }
                entry.clone()
            }
        };
        let extents = inner.volume.extents_of(&entry)?;
        let is_removed = Arc::new(AtomicBool::new(false));
        inner.read.retain(|(_, other)| other.strong_count() > 0);
        inner.read.push((entry.first_cluster, Arc::downgrade(&is_removed)));
        let info = info(&inner.state, &entry);
        Ok(Box::new(Reading { shared: self.shared.clone(), info, extents, is_removed }))
    }

    fn remember(&mut self, name: &str, id: FileId) -> Result<()> {
        let mut inner = self.shared.inner();
        let entry = inner.find(name)?;
        let (size, tag) = (u64::from(entry.size), tag(&entry));
        inner.state.remember(index::Entry { id, size, tag, name: entry.name })
    }

    fn inbound(&mut self, incoming: &Incoming) -> Result<Box<dyn InboundFile>> {
        let mut inner = self.shared.inner();
        let inner = &mut *inner;
        let mut chunks = ChunkSet::new(incoming.size, incoming.chunk_bytes)?;
        let mut name = names::sanitise(&incoming.name);
        let key = match incoming.id {
            Some(id) => Key::Id(id),
            None => {
                inner.unnamed += 1;
                Key::Unnamed(inner.unnamed)
            }
        };
        if inner.is_in_use(&key) {
            return Err(Error::Busy);
        }
        let kept = match incoming.id {
            Some(id) if inner.unfinished.contains_key(&key) => inner.state.record(id)?,
            _ => None,
        };
        let extents = match kept {
            Some(record) => {
                let of = |chunks: &ChunkSet| (chunks.size(), chunks.chunk_bytes());
                if of(&record.chunks) != of(&chunks) {
                    return Err(Error::Mismatch);
                }
                (name, chunks) = (record.name, record.chunks);
                record.extents
            }
            None => {
                self.shared.admit(inner, incoming.size)?;
                inner.volume.promise(incoming.size, inner.unfinished.len())?
            }
        };
        let unfinished =
            Unfinished { size: incoming.size, extents: extents.clone(), is_in_use: true };
        inner.unfinished.insert(key, unfinished);
        let record = match incoming.id {
            Some(id) => {
                let record = Record {
                    id,
                    name: name.clone(),
                    extents: extents.clone(),
                    chunks: chunks.clone(),
                };
                let file = inner.state.create_record(&record);
                // Without its record the room would be lost.
                Some(file.inspect_err(|_| _ = inner.discard(key))?)
            }
            None => None,
        };
        let shared = self.shared.clone();
        Ok(Box::new(Receiving { shared, key, name, extents, chunks, record, is_over: false }))
    }

    fn unfinished(&mut self) -> Result<Vec<Incoming>> {
        let records = self.shared.inner().state.records()?;
        Ok(records.iter().map(|(_, record)| record.incoming()).collect())
    }

    fn forget(&mut self, id: FileId) -> Result<()> {
        let mut inner = self.shared.inner();
        if inner.is_in_use(&Key::Id(id)) {
            return Err(Error::Busy);
        }
        inner.discard(Key::Id(id))
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        let mut inner = self.shared.inner();
        let entry = inner.find(name)?;
        inner.volume.remove(&entry)?;
        for (first, is_removed) in &inner.read {
            if let Some(is_removed) = is_removed.upgrade().filter(|_| *first == entry.first_cluster)
            {
                is_removed.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
