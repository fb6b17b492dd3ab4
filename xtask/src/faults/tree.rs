//! A copy of the tree for planting faults in: what git knows or would, kept from run to run so that little is built anew.

use crate::process::{command, output, root, target};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The copy.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    /// Where the copy is built.
    pub(super) target: PathBuf,
}

impl Tree {
    /// The copy as the tree is now. Files that are the same are left alone, with their times.
    ///
    /// # Errors
    /// If a file can't be read or written.
    pub(super) fn synced() -> Result<Self, String> {
        let tree = Self { root: base().join("tree"), target: base().join("target") };
        let mut list = command("git");
        let listed = output(list.args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
        let files: BTreeSet<&str> =
            listed.lines().filter(|path| root().join(path).is_file()).collect();
        for path in &files {
            tree.restore(path)?;
        }
        // What is gone from the tree goes from the copy: a leftover test would run.
        tree.remove_others(&tree.root, &files)?;
        Ok(tree)
    }

    /// Makes one file as it is in the tree.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub(super) fn restore(&self, path: &str) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let wanted = std::fs::read(root().join(path)).map_err(failed)?;
        let copy = self.root.join(path);
        if std::fs::read(&copy).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        if let Some(directory) = copy.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        std::fs::write(copy, wanted).map_err(failed)
    }

    /// Built where the tree itself is built: what both depend on is there already.
    pub(super) fn beside_the_tree(self) -> Self {
        Self { target: target(), ..self }
    }

    fn remove_others(&self, directory: &Path, files: &BTreeSet<&str>) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let known = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
            if path.is_dir() {
                self.remove_others(&path, files)?;
            } else if known.is_some_and(|known| !files.contains(known)) {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn base() -> PathBuf {
    target().join("faults")
}
