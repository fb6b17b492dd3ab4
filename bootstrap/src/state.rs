//! The server's directory: its key, and the lock that keeps a second server out.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_FILE: &str = "wire.key";
const LOCK_FILE: &str = "lock";
const KEY_PREFIX: &str = "p2pnet-bootstrap-wire-key-v1:";
/// A key's file is no longer than this.
const KEY_FILE_BYTES_MAX: u64 = 1024;

/// The directory, held by this process.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Unlocked when it is closed.
    _lock: File,
}

fn failed(path: &Path, what: &str, error: &io::Error) -> String {
    format!("can't {what} {}: {error}", path.display())
}

impl StateDir {
    /// Makes the directory if it isn't there, for its owner alone, and holds it.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(path: &Path) -> Result<Self, String> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| failed(path, "make the directory", &error))?;
        let at = path.join(LOCK_FILE);
        let lock = OpenOptions::new().append(true).create(true).mode(0o600).open(&at);
        let lock = lock.map_err(|error| failed(&at, "open", &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(format!("another server runs with the directory {}", path.display()))
            }
            Err(TryLockError::Error(error)) => Err(failed(&at, "lock", &error)),
        }
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The seed of the key that the server signs with, which `fresh` draws the first time.
    ///
    /// # Errors
    /// A sentence for the operator: the file can't be read or written, or others may read it, or it holds no key.
    pub fn wire_seed(
        &self,
        fresh: impl FnOnce(&mut [u8; 32]),
    ) -> Result<Zeroizing<[u8; 32]>, String> {
        let at = self.path.join(KEY_FILE);
        match File::open(&at) {
            Ok(file) => read_key(&at, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = Zeroizing::new([0; 32]);
                fresh(&mut seed);
                write_key(&self.path, &at, &seed).map_err(|error| failed(&at, "write", &error))?;
                Ok(seed)
            }
            Err(error) => Err(failed(&at, "read", &error)),
        }
    }
}

fn read_key(at: &Path, file: File) -> Result<Zeroizing<[u8; 32]>, String> {
    let about = file.metadata().map_err(|error| failed(at, "read", &error))?;
    if about.mode() & 0o077 != 0 {
        return Err(format!(
            "others may read the server's key: chmod 600 {}; if they did, delete it, and clients must trust a new one",
            at.display()
        ));
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| failed(at, "read", &error))?;
    let digits = text.trim().strip_prefix(KEY_PREFIX).filter(|digits| digits.len() == 64);
    let mut seed = Zeroizing::new([0; 32]);
    let whole = digits.is_some_and(|digits| {
        seed.iter_mut().zip(digits.as_bytes().chunks(2)).all(|(byte, pair)| {
            let read = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'));
            let read = read.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            read.inspect(|read| *byte = *read).is_some()
        })
    });
    whole.then_some(seed).ok_or_else(|| format!("{} holds no server's key", at.display()))
}

/// Whole or not at all, whenever the machine stops.
fn write_key(directory: &Path, at: &Path, seed: &[u8; 32]) -> io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(KEY_PREFIX.len() + 65));
    text.push_str(KEY_PREFIX);
    for byte in seed {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    let new = at.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, at)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_key_is_drawn_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let state = StateDir::open(&path).unwrap();
        let seed = state.wire_seed(|seed| seed.fill(0xa7)).unwrap();
        assert_eq!(*seed, [0xa7; 32]);
        let again = state.wire_seed(|_| panic!("drawn twice")).unwrap();
        assert_eq!(*again, [0xa7; 32]);
        let mode = |at: &Path| fs::metadata(at).unwrap().mode() & 0o777;
        assert_eq!(mode(&path.join(KEY_FILE)), 0o600);
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        state.wire_seed(|seed| seed.fill(1)).unwrap();
        let at = directory.path().join(KEY_FILE);
        fs::set_permissions(&at, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(state.wire_seed(|_| {}).unwrap_err().contains("chmod 600"));
        fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).unwrap();
        let good = fs::read_to_string(&at).unwrap();
        for bad in ["", &good[..good.len() - 2], &good.replace('1', "+"), &good.replace("v1", "v2")]
        {
            fs::write(&at, bad).unwrap();
            assert!(
                state.wire_seed(|_| {}).unwrap_err().contains("holds no server's key"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_second_server_is_kept_out() {
        let directory = tempfile::tempdir().unwrap();
        let first = StateDir::open(directory.path()).unwrap();
        assert!(StateDir::open(directory.path()).unwrap_err().contains("another server runs"));
        drop(first);
        assert!(StateDir::open(directory.path()).is_ok());
    }
}
