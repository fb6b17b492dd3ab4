//! A node's state directory: its identity, a lock, and the lists that survive a restart.
//!
//! | File | Content |
//! |---|---|
//! | `identity.key` | the 32-byte Ed25519 seed, readable by its owner alone, written once |
//! | `lock` | held with `flock` for as long as a node runs on this state |
//! | `lists.json` | what is blocked and what is allowed: identities, addresses and prefixes; trusted identities |
//! | `tasks.bin` | which tasks were seen, so that none is done twice; labels that the authority gave |
//! | `data.bin` | the data area |
//! | `bootstrap.bin` | the authorities of bootstrap servers that were met |
//!
//! Files are replaced in one step (a new file, synced, renamed, and the directory synced), so a crash leaves the old
//! content or the new. What can't be read is an error that names the file; nothing is dropped or made anew in silence.
//! Nothing is believed that another user may have written: the directory and its files belong to the user that runs the
//! node, and nobody else may write to them.

mod keep;

use p2pnet_protocol::{BlockTarget, PeerId, SavedTransfers};
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The file of the identity's seed.
const IDENTITY: &str = "identity.key";
/// The length of an identity's seed.
const SEED_BYTES: usize = 32;
/// No honest list file is larger.
const LISTS_BYTES_MAX: u64 = 64 << 20;
/// No transfers that this program writes are larger.
const TRANSFERS_BYTES_MAX: u64 = 64 << 20;
/// The permission bits by which others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;
/// The permission bits by which others than the owner may do anything at all.
const OTHERS_ANYTHING: u32 = 0o077;

/// What is wrong with a state directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StateError {
    /// The path exists and is no directory.
    NotADirectory(PathBuf),
    /// Another node runs on this state.
    InUse(PathBuf),
    /// Others than the owner may change the lists, or read or change the identity's key.
    Permissions {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others than the owner may put files into the directory, and so replace the lists.
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The directory or a file in it belongs to another user, who decides what is in it.
    ForeignOwner {
        /// The directory or file.
        path: PathBuf,
        /// Whose it is: the number of the user.
        owner: u32,
    },
    /// The identity's key has the wrong length.
    KeyLength {
        /// The file.
        file: PathBuf,
        /// Its length in bytes.
        bytes: u64,
    },
    /// The content makes no sense.
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system refused.
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        error: Arc<io::Error>,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory(path) => write!(f, "{} is not a directory", path.display()),
            Self::InUse(path) => {
                write!(f, "another node is running on the state in {}", path.display())
            }
            Self::Permissions { file, mode } => write!(
                f,
                "{} has mode {mode:o}, so others may read or change it: chmod 600 it",
                file.display()
            ),
            Self::Exposed { path, mode } => write!(
                f,
                "{} has mode {mode:o}, so others may put files into it: chmod go-w it",
                path.display()
            ),
            Self::ForeignOwner { path, owner } => write!(
                f,
                "{} belongs to user {owner}, not to the user that runs this node (user {})",
                path.display(),
                rustix::process::geteuid()
            ),
            Self::KeyLength { file, bytes } => write!(
                f,
                "{} holds {bytes} bytes where {SEED_BYTES} belong: restore it, or move it away to get a new identity",
                file.display()
            ),
            Self::Corrupt { file, problem } => write!(
                f,
                "{} can't be read ({problem}): repair it, or move it away to start with empty lists",
                file.display()
            ),
            Self::Io { doing, path, error } => {
                write!(f, "{doing} {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for StateError {}

/// The lists that survive a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lists {
    /// Who is turned away.
    pub blocked: Vec<BlockTarget>,
    /// Whom the operator trusts.
    pub trusted: Vec<PeerId>,
    /// Who alone is let in, if anybody is named. Earlier versions had no such list.
    #[serde(default)]
    pub allowed: Vec<BlockTarget>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

/// An open state directory. It is locked until this is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Opens and locks the directory at `path`, and makes it (mode 0700) if there is none.
    ///
    /// # Errors
    /// [`StateError::InUse`] if another node holds it, [`StateError::ForeignOwner`] or [`StateError::Exposed`] if another
    /// user could change what is in it, and whatever the operating system says.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_dir() => return Err(StateError::NotADirectory(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
                made.map_err(io_error("making directory", &path))?;
            }
            Err(error) => return Err(io_error("opening", &path)(error)),
        }
        // Looked at once it is there for sure: somebody else may have made it meanwhile.
        let there = fs::metadata(&path).map_err(io_error("opening", &path))?;
        check_owner(&path, &there)?;
        let mode = there.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(StateError::Exposed { path, mode });
        }
        let file = path.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&file).map_err(io_error("opening", &file))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StateError::InUse(path)),
            Err(error) => Err(io_error("locking", &file)(error.into())),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity's seed; a new one is drawn and kept if there is none.
    ///
    /// # Errors
    /// If others may read or write the file, or own it, if it has the wrong length, or can't be read or written.
    pub fn identity(&self) -> Result<Zeroizing<[u8; SEED_BYTES]>, StateError> {
        if let Some(seed) = Self::saved_identity(&self.path)? {
            return Ok(seed);
        }
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        getrandom::fill(&mut *seed).map_err(|error| {
            let file = self.path.join(IDENTITY);
            io_error("drawing an identity for", &file)(io::Error::other(error))
        })?;
        self.replace(IDENTITY, &*seed)?;
        Ok(seed)
    }

    /// The seed of the identity in the directory at `path`, if it has one. This takes no lock and writes nothing, so that it
    /// is in no node's way: the file never changes once it is there.
    ///
    /// # Errors
    /// If others may read or write the file, or own it, if it has the wrong length, or can't be read.
    pub fn saved_identity(path: &Path) -> Result<Option<Zeroizing<[u8; SEED_BYTES]>>, StateError> {
        let file = path.join(IDENTITY);
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        let mut key = match open(&file) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("opening", &file)(error)),
        };
        let metadata = key.metadata().map_err(io_error("opening", &file))?;
        check_file(&file, &metadata, OTHERS_ANYTHING)?;
        if metadata.len() != SEED_BYTES as u64 {
            return Err(StateError::KeyLength { file, bytes: metadata.len() });
        }
        key.read_exact(&mut *seed).map_err(io_error("reading", &file))?;
        Ok(Some(seed))
    }

    /// The saved lists; empty ones if none were saved yet.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] if the file is not what [`save_lists`](Self::save_lists) writes, and
    /// [`StateError::Permissions`] or [`StateError::ForeignOwner`] if another user may have written it.
    pub fn lists(&self) -> Result<Lists, StateError> {
        Ok(self.load("lists.json", LISTS_BYTES_MAX)?.unwrap_or_default())
    }

    /// Saves the lists. Once this returns they survive a crash.
    ///
    /// # Errors
    /// Whatever the operating system says; the old lists are then still there.
    pub fn save_lists(&self, lists: &Lists) -> Result<(), StateError> {
        self.save("lists.json", lists)
    }

    /// The transfers of an earlier run; none if none were saved yet.
    ///
    /// # Errors
    /// As [`lists`](Self::lists).
    pub fn transfers(&self) -> Result<SavedTransfers, StateError> {
        Ok(self.load("transfers.json", TRANSFERS_BYTES_MAX)?.unwrap_or_default())
    }

    /// Saves the transfers. Once this returns they survive a crash.
    ///
    /// # Errors
    /// As [`save_lists`](Self::save_lists).
    pub fn save_transfers(&self, transfers: &SavedTransfers) -> Result<(), StateError> {
        self.save("transfers.json", transfers)
    }

    /// What [`save`](Self::save) wrote, if it ever did.
    pub(crate) fn load<T: DeserializeOwned>(
        &self,
        name: &str,
        bytes_max: u64,
    ) -> Result<Option<T>, StateError> {
        let file = self.path.join(name);
        let corrupt = |problem: String| StateError::Corrupt { file: file.clone(), problem };
        let opened = match open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error("opening", &file))?,
        };
        let metadata = opened.metadata().map_err(io_error("opening", &file))?;
        check_file(&file, &metadata, OTHERS_WRITE)?;
        let mut text = Vec::new();
        let read = opened.take(bytes_max + 1).read_to_end(&mut text);
        read.map_err(io_error("reading", &file))?;
        if text.len() as u64 > bytes_max {
            return Err(corrupt("too large".into()));
        }
        let read: Versioned<T> =
            serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        if read.version != 1 {
            return Err(corrupt(format!("version {}; this program knows 1", read.version)));
        }
        Ok(Some(read.content))
    }

    /// Replaces a file with `content` and a version number, in one step. Once this returns it survives a crash.
    pub(crate) fn save<T: Serialize>(&self, name: &str, content: &T) -> Result<(), StateError> {
        let corrupt = |error: serde_json::Error| StateError::Corrupt {
            file: self.path.join(name),
            problem: error.to_string(),
        };
        let mut text =
            serde_json::to_vec_pretty(&Versioned { version: 1, content }).map_err(corrupt)?;
        text.push(b'\n');
        self.replace(name, &text)
    }

    /// Replaces a file in one step.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let file = self.path.join(name);
        let new = self.path.join(format!("{name}.new"));
        let written = || -> io::Result<()> {
            // What a crash left behind would keep its old mode: begin afresh.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            to.write_all(content)?;
            to.sync_all()?;
            fs::rename(&new, &file)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(io_error("writing", &file))
    }
}

/// Refuses a file that belongs to another user, or that others may do things with that are `forbidden` to them.
fn check_file(file: &Path, metadata: &Metadata, forbidden: u32) -> Result<(), StateError> {
    check_owner(file, metadata)?;
    let mode = metadata.mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(StateError::Permissions { file: file.into(), mode });
    }
    Ok(())
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(StateError::ForeignOwner { path: path.into(), owner });
    }
    Ok(())
}

/// Opens a file for reading. A pipe in its place, which nobody may ever write to, holds nobody up: it reads as empty.
fn open(file: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(file)
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |error| StateError::Io { doing, path: path.to_path_buf(), error: Arc::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("deep/state");
        (outer, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn an_identity_is_made_once_and_private() {
        let (_outer, path) = directory();
        let first = *StateDir::open(&path).unwrap().identity().unwrap();
        let second = *StateDir::open(&path).unwrap().identity().unwrap();
        assert_eq!(first, second);
        assert_ne!(first, [0; 32]);
        assert_eq!((mode(&path), mode(&path.join("identity.key"))), (0o700, 0o600));
    }

    #[test]
    fn a_second_node_on_the_same_state_is_refused() {
        let (_outer, path) = directory();
        let held = StateDir::open(&path).unwrap();
        assert!(matches!(StateDir::open(&path), Err(StateError::InUse(at)) if at == path));
        drop(held);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn lists_survive_and_damage_is_told() {
        let (_outer, path) = directory();
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.lists().unwrap(), Lists::default());
        let lists = Lists {
            blocked: vec![
                BlockTarget::Prefix("192.0.2.0/24".parse().unwrap()),
                BlockTarget::Peer(PeerId([1; 32])),
            ],
            trusted: vec![PeerId([2; 32])],
            allowed: vec![BlockTarget::Prefix("2001:db8::/32".parse().unwrap())],
        };
        state.save_lists(&lists).unwrap();
        assert_eq!(state.lists().unwrap(), lists);
        let file = path.join("lists.json");
        fs::write(&file, r#"{"version":1,"blocked":[],"trusted":[]}"#).unwrap();
        assert_eq!(state.lists().unwrap(), Lists::default(), "of an earlier version");
        for damage in ["", "{", "[]", r#"{"version":2,"blocked":[],"trusted":[]}"#] {
            fs::write(&file, damage).unwrap();
            let error = state.lists().unwrap_err();
            assert!(matches!(&error, StateError::Corrupt { file: at, .. } if *at == file));
            assert!(error.to_string().contains("lists.json"), "{error}");
            assert_eq!(fs::read(&file).unwrap(), damage.as_bytes(), "it is left as it was");
        }
        let whole = serde_json::json!({"version": 1, "blocked": [], "trusted": [], "more": 1});
        fs::write(&file, whole.to_string()).unwrap();
        assert!(state.lists().is_err(), "a later version's field is not dropped in silence");
    }

    #[test]
    fn a_bad_key_is_told_and_kept() {
        let (_outer, path) = directory();
        let state = StateDir::open(&path).unwrap();
        state.identity().unwrap();
        let file = path.join("identity.key");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(state.identity(), Err(StateError::Permissions { mode: 0o640, .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, [1; 31]).unwrap();
        assert!(matches!(state.identity(), Err(StateError::KeyLength { bytes: 31, .. })));
    }

    #[test]
    fn what_others_may_change_is_refused() {
        let (_outer, path) = directory();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        let state = StateDir::open(&path).unwrap();
        state.save_lists(&Lists::default()).unwrap();
        for mode in [0o602, 0o620, 0o666] {
            let file = path.join("lists.json");
            set(&file, mode).unwrap();
            let error = state.lists().unwrap_err();
            assert!(
                matches!(&error, StateError::Permissions { mode: m, .. } if *m == mode),
                "{error}"
            );
            set(&file, 0o644).unwrap();
            state.lists().unwrap();
        }
        drop(state);
        for mode in [0o702, 0o720, 0o777, 0o1777] {
            set(&path, mode).unwrap();
            let error = StateDir::open(&path).unwrap_err();
            assert!(
                matches!(&error, StateError::Exposed { path: at, .. } if *at == path),
                "{error}"
            );
            assert!(error.to_string().contains("chmod go-w"), "{error}");
        }
        set(&path, 0o755).unwrap();
        StateDir::open(&path).unwrap();
    }

    /// Only a test that runs as root can make files of somebody else; for anybody else the root directory is one.
    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            let error = StateDir::open("/").unwrap_err();
            assert!(matches!(error, StateError::ForeignOwner { owner: 0, .. }), "{error}");
            return;
        }
        let (_outer, path) = directory();
        let state = StateDir::open(&path).unwrap();
        state.identity().unwrap();
        state.save_lists(&Lists::default()).unwrap();
        let give = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), None).unwrap();
        let foreign = |error: &StateError, path: &Path| matches!(error, StateError::ForeignOwner { path: at, owner: 4242 } if at == path);
        for (name, identity) in [("identity.key", true), ("lists.json", false)] {
            let file = path.join(name);
            give(&file, 4242);
            let error = if identity {
                state.identity().map(drop).unwrap_err()
            } else {
                state.lists().map(drop).unwrap_err()
            };
            assert!(foreign(&error, &file), "{error}");
            give(&file, 0);
        }
        drop(state);
        give(&path, 4242);
        assert!(foreign(&StateDir::open(&path).unwrap_err(), &path));
    }

    #[test]
    fn a_saved_identity_is_read_beside_a_running_node() {
        let (_outer, path) = directory();
        assert!(StateDir::saved_identity(&path).unwrap().is_none());
        let held = StateDir::open(&path).unwrap();
        let seed = *held.identity().unwrap();
        assert_eq!(StateDir::saved_identity(&path).unwrap().as_deref(), Some(&seed));
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
        use rustix::fs::{FileType, Mode};
        let (_outer, path) = directory();
        let state = StateDir::open(&path).unwrap();
        for name in ["identity.key", "lists.json"] {
            let pipe = path.join(name);
            rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .unwrap();
        }
        assert!(matches!(state.identity(), Err(StateError::KeyLength { bytes: 0, .. })));
        assert!(matches!(state.lists(), Err(StateError::Corrupt { .. })));
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(StateDir::open(file.path()), Err(StateError::NotADirectory(_))));
    }

    #[test]
    fn what_a_crash_left_behind_does_no_harm() {
        let (_outer, path) = directory();
        let state = StateDir::open(&path).unwrap();
        fs::write(path.join("lists.json.new"), "half").unwrap();
        state.save_lists(&Lists::default()).unwrap();
        assert_eq!(state.lists().unwrap(), Lists::default());
        assert!(!path.join("lists.json.new").exists());
    }
}
