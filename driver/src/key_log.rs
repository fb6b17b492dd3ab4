//! A file for the keys of channels (`docs/inspect.md`), for whoever wants to look at the node's own traffic.

use p2pnet_protocol::ChannelKeys;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// What a new file begins with.
const HEAD: &str = "\
# P2PNet's keys of channels. Whoever has them reads all that these channels said: delete this file after use.
";

/// An open key log. Lines go to its end, each in one piece, so that several nodes may share a file.
#[derive(Debug)]
pub(crate) struct KeyLog(File);

impl KeyLog {
    /// Opens the file at `path`, and makes it (mode 0600) if there is none.
    ///
    /// # Errors
    /// If it is no regular file, if others than its owner may read or write it, and whatever the operating system says.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // A pipe in its place must hold nobody up.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            let problem =
                format!("it has mode {mode:o}, so others may read or change it: chmod 600 it");
            return Err(io::Error::other(problem));
        }
        let log = Self(file);
        if metadata.len() == 0 {
            log.append(HEAD.as_bytes())?;
        }
        Ok(log)
    }

    /// Writes the keys of a channel.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub(crate) fn write(&self, keys: &ChannelKeys) -> io::Result<()> {
        let line = keys.to_line();
        let mut bytes = Zeroizing::new(Vec::with_capacity(line.len() + 1));
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.append(&bytes)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::crypto::Aead;
    use p2pnet_protocol::{NetworkName, PeerId};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn keys(byte: u8) -> ChannelKeys {
        ChannelKeys {
            network: NetworkName::default(),
            transcript: [byte; 32],
            aead: Aead::Aes256Gcm,
            initiator: PeerId([1; 32]),
            responder: PeerId([2; 32]),
            initiator_key: Zeroizing::new([3; 32]),
            responder_key: Zeroizing::new([4; 32]),
        }
    }

    #[test]
    fn lines_are_added_to_a_private_file() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("keys");
        let first = KeyLog::open(&path).unwrap();
        first.write(&keys(1)).unwrap();
        let second = KeyLog::open(&path).unwrap();
        second.write(&keys(2)).unwrap();
        first.write(&keys(3)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(HEAD.trim_end()));
        let read: Vec<_> = lines.map(|line| ChannelKeys::from_line(line).unwrap()).collect();
        assert_eq!(read, [keys(1), keys(2), keys(3)]);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("keys");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = KeyLog::open(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"", "it is left as it was");
        assert!(KeyLog::open(outer.path()).is_err(), "a directory");
        assert!(KeyLog::open(&outer.path().join("no/such/keys")).is_err());
        assert!(KeyLog::open(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn a_pipe_holds_nobody_up() {
        use rustix::fs::{CWD, FileType, Mode};
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("pipe");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(KeyLog::open(&path).is_err());
    }
}
