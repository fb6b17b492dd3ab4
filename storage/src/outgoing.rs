//! Reading complete files of the operating system's, noticing when they change.
//!
//! Others may write to these files, or cut them, at any time. So they are read by system calls, which give an error
//! where a mapping would raise `SIGBUS`.

use crate::error::{Error, Result};
use crate::manager::{FileInfo, OutgoingFile};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// What tells one state of a file from another, as far as the system keeps count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified_ns: i128,
    pub(crate) inode: u64,
}

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            size: metadata.len(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
            inode: metadata.ino(),
        })
    }
}

/// A regular file, open for reading.
#[derive(Debug)]
pub(crate) struct PlainFile {
    file: File,
    stamp: Stamp,
    info: FileInfo,
}

impl PlainFile {
    pub(crate) fn new(file: File, info: FileInfo) -> Result<Self> {
        let stamp = Stamp::of(&file)?;
        Ok(Self { info: FileInfo { size: stamp.size, ..info }, file, stamp })
    }
}

impl OutgoingFile for PlainFile {
    fn info(&self) -> &FileInfo {
        &self.info
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(Error::OutOfRange)?;
        if end > self.info.size {
            return Err(Error::OutOfRange);
        }
        let read = self.file.read_exact_at(buffer, offset);
        // Looked at after reading: whatever changed before that is noticed.
        if Stamp::of(&self.file)? != self.stamp {
            return Err(Error::Changed);
        }
        Ok(read?)
    }
}

/// Opens a file by its path; what it is called there is its name.
///
/// # Errors
/// [`Error::BadName`] for anything but a regular file.
pub fn open(path: &Path) -> Result<Box<dyn OutgoingFile>> {
    let name = path.file_name().ok_or(Error::BadName)?.to_string_lossy().into_owned();
    // Opening a pipe would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    if !file.metadata()?.is_file() {
        return Err(Error::BadName);
    }
    let info = FileInfo { name, size: 0, id: None, path: Some(path.to_owned()) };
    Ok(Box::new(PlainFile::new(file, info)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_changes_or_shrinks_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("source");
        for change in [&b"other bytes!"[..], b"short", b"longer than it was"] {
            std::fs::write(&path, b"some content").unwrap();
            let mut file = open(&path).unwrap();
            let mut buffer = [0; 4];
            file.read_at(8, &mut buffer).unwrap();
            assert_eq!((&buffer, file.info().size), (b"tent", 12));
            assert!(matches!(file.read_at(9, &mut buffer), Err(Error::OutOfRange)));
            // Times of files move in steps of a few milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            std::fs::write(&path, change).unwrap();
            assert!(matches!(file.read_at(8, &mut buffer), Err(Error::Changed)));
        }
    }

    #[test]
    fn directories_and_pipes_are_no_files() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(open(directory.path()), Err(Error::BadName)));
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(open(&pipe), Err(Error::BadName)));
        assert!(matches!(open(Path::new("/nowhere/at all")), Err(Error::NotFound)));
    }
}
