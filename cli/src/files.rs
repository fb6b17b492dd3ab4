//! The small files that the program is given: configuration, secrets, keys, lists.

use crate::failure::Failure;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No honest file of these is larger.
const FILE_BYTES_MAX: usize = 16 << 20;

/// A small file, read whole; its content is wiped on drop.
pub(crate) struct SmallFile {
    path: PathBuf,
    content: Zeroizing<Vec<u8>>,
    /// Its permission bits. A pipe or a terminal has none to complain about.
    mode: u32,
}

impl SmallFile {
    /// Reads it.
    ///
    /// # Errors
    /// It can't be read, or is too large.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!("can't read {}: {error}", path.display()))
                .fix("see whether the path is right and the file is yours to read")
        };
        let mut file = File::open(path).map_err(failed)?;
        let there = file.metadata().map_err(failed)?;
        let content = read_all(&mut file, &there).map_err(failed)?;
        if content.len() > FILE_BYTES_MAX {
            return Err(Failure::usage(format!("{} is larger than 16 MiB", path.display()))
                .fix("name the right file"));
        }
        let mode = if there.is_file() { there.permissions().mode() & 0o777 } else { 0 };
        Ok(Self { path: path.into(), content, mode })
    }

    /// What it holds.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.content
    }

    /// What it holds, as text.
    ///
    /// # Errors
    /// It isn't text.
    pub(crate) fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.content).map_err(|_| {
            Failure::usage(format!("{} is no text (UTF-8)", self.path.display()))
                .fix("name the right file")
        })
    }

    /// A warning, if others than its owner may read this file, which holds `what`.
    pub(crate) fn secret_warning(&self, what: &str) -> Option<String> {
        (self.mode & 0o077 != 0).then(|| {
            let at = self.path.display();
            format!(
                "others may read {what} in {at} (its mode is {:o}): chmod 600 {at}, and make a new one if \
                 somebody has",
                self.mode
            )
        })
    }

    /// A warning, if others than its owner may change this file, which decides about `what`.
    pub(crate) fn change_warning(&self, what: &str) -> Option<String> {
        (self.mode & 0o022 != 0).then(|| {
            let at = self.path.display();
            format!(
                "others may change {at}, which decides about {what} (its mode is {:o}): chmod go-w {at}",
                self.mode
            )
        })
    }
}

/// Reads to the end, or a little beyond what is allowed.
fn read_all(from: &mut impl Read, there: &Metadata) -> io::Result<Zeroizing<Vec<u8>>> {
    let expected = usize::try_from(there.len()).unwrap_or(usize::MAX).min(FILE_BYTES_MAX);
    let mut content = Zeroizing::new(vec![0; expected + 1]);
    let mut filled = 0;
    while filled <= FILE_BYTES_MAX {
        if filled == content.len() {
            // A copy, so that the smaller buffer is wiped: one that grows in place may leave its content behind.
            let mut larger = Zeroizing::new(vec![0; 2 * filled + 4096]);
            larger[..filled].copy_from_slice(&content);
            content = larger;
        }
        match from.read(&mut content[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn with_mode(mode: u32) -> (tempfile::NamedTempFile, SmallFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "words").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        let read = SmallFile::read(file.path()).unwrap();
        (file, read)
    }

    #[test]
    fn who_may_read_or_change_a_file_is_told_with_the_fix() {
        for (mode, reads, changes) in
            [(0o600, false, false), (0o644, true, false), (0o620, true, true), (0o666, true, true)]
        {
            let (file, read) = with_mode(mode);
            let at = file.path().display();
            let warning = read.secret_warning("a key").unwrap_or_default();
            assert_eq!(warning.contains(&format!("chmod 600 {at}")), reads, "{mode:o} {warning}");
            let warning = read.change_warning("trust").unwrap_or_default();
            assert_eq!(
                warning.contains(&format!("chmod go-w {at}")),
                changes,
                "{mode:o} {warning}"
            );
        }
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_not_complained_about() {
        let (reader, mut writer) = io::pipe().unwrap();
        let text = "x".repeat(50_000);
        let sent = text.clone();
        let writing = std::thread::spawn(move || writer.write_all(sent.as_bytes()).unwrap());
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let read = SmallFile::read(Path::new(&format!("/proc/self/fd/{fd}"))).unwrap();
        drop(reader);
        writing.join().unwrap();
        assert!(read.text().unwrap() == text);
        assert_eq!(read.secret_warning("a key"), None);
    }

    #[test]
    fn what_is_too_large_or_no_text_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FILE_BYTES_MAX as u64).unwrap();
        assert_eq!(SmallFile::read(file.path()).unwrap().bytes().len(), FILE_BYTES_MAX);
        file.as_file().set_len(FILE_BYTES_MAX as u64 + 1).unwrap();
        let said = SmallFile::read(file.path()).err().unwrap().to_string();
        assert!(said.contains("larger than 16 MiB"), "{said}");
        fs::write(file.path(), [0xff]).unwrap();
        let said = SmallFile::read(file.path()).unwrap().text().unwrap_err().to_string();
        assert!(said.contains("is no text"), "{said}");
    }
}
