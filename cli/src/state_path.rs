//! The state directory: where it is by default, and whether it can be used.

use crate::failure::Failure;
use p2pnet_driver::state::StateDir;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The directory that an option or a variable names, else the default one.
///
/// # Errors
/// There is no default for a user without a home.
pub(crate) fn choose(option: Option<&Path>) -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match option.map(PathBuf::from).or_else(|| variable("P2PNET_STATE").map(PathBuf::from)) {
        Some(path) => Ok(path),
        None => default(variable("XDG_STATE_HOME"), variable("HOME")),
    }
}

/// The default directory of a bootstrap server, beside that of nodes.
///
/// # Errors
/// There is none for a user without a home.
#[cfg(feature = "bootstrap")]
pub(crate) fn of_bootstrap_server() -> Result<PathBuf, Failure> {
    let nodes = default(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?;
    Ok(nodes.with_file_name("p2pnet-bootstrap"))
}

fn default(state_home: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, Failure> {
    // The XDG specification tells to ignore relative paths.
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let state_home = state_home.and_then(absolute);
    let base = state_home.or_else(|| home.and_then(absolute).map(|home| home.join(".local/state")));
    base.map(|base| base.join("p2pnet")).ok_or_else(|| {
        Failure::usage("neither XDG_STATE_HOME nor HOME is set, so there is no place for the state")
            .fix("name one with --state DIR")
    })
}

/// Sees whether a directory that exists can hold this user's state.
///
/// # Errors
/// It is no directory, someone else's, or one that others may write to.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let Ok(there) = fs::metadata(path) else { return Ok(()) };
    if !there.is_dir() {
        return Err(Failure::failed(format!("the state directory {shown} is not a directory"))
            .fix("move that file away, or name another directory with --state DIR"));
    }
    let me = rustix::process::geteuid();
    if there.uid() != me.as_raw() {
        return Err(Failure::failed(format!(
            "the state directory {shown} belongs to user {}, not to you (user {me})",
            there.uid()
        ))
        .fix("run this as that user, or name another directory with --state DIR"));
    }
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        return Err(Failure::failed(format!("the state directory {shown} can't be written to"))
            .fix(format!("chmod u+rwx {shown}, or name another directory with --state DIR")));
    }
    // Who may write there may put another key, other lists or another control socket in their place.
    let mode = there.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(Failure::failed(format!(
            "the state directory {shown} has mode {mode:o}, so others may change what is in it"
        ))
        .fix(format!("chmod 700 {shown}, or name another directory with --state DIR")));
    }
    Ok(())
}

/// Waits until nobody holds the directory's lock: its files are then closed.
pub(crate) fn wait_until_free(path: &Path) {
    const PATIENCE: Duration = Duration::from_secs(5);
    let begun = Instant::now();
    while StateDir::open(path).is_err() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_xdg() {
        let path = |state: Option<&str>, home: Option<&str>| {
            default(state.map(Into::into), home.map(Into::into)).ok()
        };
        assert_eq!(path(Some("/s"), Some("/h")), Some("/s/p2pnet".into()));
        assert_eq!(path(None, Some("/h")), Some("/h/.local/state/p2pnet".into()));
        assert_eq!(path(Some("relative"), Some("/h")), Some("/h/.local/state/p2pnet".into()));
        assert_eq!(path(None, None), None);
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = check(file.path()).unwrap_err().to_string();
        assert!(said.contains("is not a directory") && said.contains("--state"), "{said}");
        assert_eq!(check(&file.path().join("none")), Ok(()));
    }

    #[test]
    fn what_others_may_write_to_is_refused() {
        let state = tempfile::tempdir().unwrap();
        for (mode, fits) in
            [(0o700, true), (0o755, true), (0o775, false), (0o702, false), (0o1777, false)]
        {
            fs::set_permissions(state.path(), fs::Permissions::from_mode(mode)).unwrap();
            let said = check(state.path()).map_err(|failure| failure.to_string());
            assert_eq!(said.is_ok(), fits, "{mode:o}: {said:?}");
            if let Err(said) = said {
                assert!(
                    said.contains(&format!("has mode {mode:o}")) && said.contains("chmod 700"),
                    "{said}"
                );
            }
        }
    }
}
