//! Bytes that can be read and written at any place, and places that hold several of them by name.
//!
//! Real ones are files and directories. Tests put others in their stead, which stop in the middle of a write or lose
//! what wasn't synced.

use rustix::fs::{AtFlags, FallocateFlags, FlockOperation, Mode, OFlags};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Bytes at places from 0 on. Reads and writes are whole or fail.
pub(crate) trait Medium: Send + Sync + fmt::Debug {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Cuts, or adds zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Sees to it that writing these bytes won't fill the disk, as far as the system can; may grow the file, by zeros.
    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()>;
    /// What was written survives a loss of power from here on.
    fn sync(&self) -> io::Result<()>;
}

/// A directory that is this crate's own: few files, plain names that it chose itself.
pub(crate) trait Place: Send + Sync + fmt::Debug {
    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>>;
    /// Makes a file that doesn't exist.
    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>>;
    /// Gives a file a name; what had the name before is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; it's fine if there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
    fn names(&self) -> io::Result<Vec<String>>;
    /// Names that were given and removed stay so from here on.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        reserve(self, offset, bytes).map(drop)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The same without syncing: the system writes to the disk when it sees fit.
#[derive(Debug)]
pub(crate) struct Unsynced<T>(pub(crate) T);

impl<T: Medium> Medium for Unsynced<T> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.0.reserve(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Place for Unsynced<Folder> {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        Ok(Arc::new(Unsynced(self.0.open_file(name, OFlags::empty())?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        Ok(Arc::new(Unsynced(self.0.open_file(name, OFlags::CREATE | OFlags::EXCL)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Reserves a part of a file and tells whether the file system could: if not, the file has the length all the same.
pub(crate) fn reserve(file: &File, offset: u64, bytes: u64) -> io::Result<bool> {
    if bytes == 0 {
        return Ok(true);
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, bytes) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
            let end = offset.checked_add(bytes).ok_or(io::ErrorKind::FileTooLarge)?;
            if Medium::len(file)? < end {
                file.set_len(end)?;
            }
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// A real directory, held by its descriptor, so that moving it changes nothing.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) fd: OwnedFd,
}

impl Folder {
    /// Opens the folder of that name, which is made if it isn't there, for its owner alone.
    pub(crate) fn open_or_create(parent: &OwnedFd, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let found = rustix::fs::fstat(&fd)?;
        if found.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{name} belongs to another user"),
            ));
        }
        Ok(Self { fd })
    }

    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Takes the folder for this process, for as long as the lock lives.
    pub(crate) fn lock(&self) -> crate::Result<Lock> {
        Lock::take(self.open_file("lock", OFlags::CREATE)?)
    }
}

/// A file that is this process's alone.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// # Errors
    /// [`crate::Error::InUse`] if somebody else has it.
    pub(crate) fn take(file: File) -> crate::Result<Self> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(crate::Error::InUse),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do while a process that was just forked off shares it.
        _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Place for Folder {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        Ok(Arc::new(self.open_file(name, OFlags::empty())?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        Ok(Arc::new(self.open_file(name, OFlags::CREATE | OFlags::EXCL)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        names(&self.fd)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

/// The names in a directory that are text.
pub(crate) fn names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        match entry?.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    Ok(names)
}
