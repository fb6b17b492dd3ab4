//! Where the control socket is, and how to reach it although the system bounds the length of a socket's path.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// The socket's name in the state directory.
pub(crate) const NAME: &str = "control.sock";

/// The longest path that every Unix system takes for a socket (macOS: 104 with the terminator).
const PATH_BYTES_MAX: usize = 103;

/// A path for the socket in `state` that is short enough. Linux reaches a long one by way of an open directory, which
/// this holds.
pub(crate) struct Address {
    path: PathBuf,
    _directory: Option<File>,
}

impl Address {
    /// The socket's address in `state`, which must exist if the path is long.
    ///
    /// # Errors
    /// The directory can't be opened.
    pub(crate) fn in_state(state: &Path) -> io::Result<Self> {
        let path = state.join(NAME);
        if path.as_os_str().len() <= PATH_BYTES_MAX || !cfg!(target_os = "linux") {
            return Ok(Self { path, _directory: None });
        }
        let directory = File::open(state)?;
        let path = format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()).into();
        Ok(Self { path, _directory: Some(directory) })
    }

    /// What to bind and connect to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
