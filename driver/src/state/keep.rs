//! What the core asks to be kept ([`Keeps`]): `tasks.bin`, `data.bin` and `bootstrap.bin`, each replaced in one step.
//!
//! A file is a magic number, the SHA-256 digest of what follows, and the core's own bytes.

use super::{OTHERS_WRITE, StateDir, StateError, check_file, io_error, open};
use p2pnet_protocol::Keeps;
use p2pnet_protocol::hash::sha256;
use std::io::{self, Read as _};

const MAGIC: &[u8; 8] = b"P2PKEEP1";
/// No honest file is larger.
const BYTES_MAX: u64 = 1 << 30;

const fn name(keeps: Keeps) -> &'static str {
    match keeps {
        Keeps::Tasks => "tasks.bin",
        Keeps::Data => "data.bin",
        Keeps::Bootstrap => "bootstrap.bin",
    }
}

impl StateDir {
    /// What was kept of this use; none if nothing was yet.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] if the file is not what [`keep`](Self::keep) writes, and [`StateError::Permissions`] or
    /// [`StateError::ForeignOwner`] if another user may have written it.
    pub fn kept(&self, keeps: Keeps) -> Result<Option<Vec<u8>>, StateError> {
        let file = self.path.join(name(keeps));
        let corrupt =
            |problem: &str| StateError::Corrupt { file: file.clone(), problem: problem.into() };
        let opened = match open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error("opening", &file))?,
        };
        let metadata = opened.metadata().map_err(io_error("opening", &file))?;
        check_file(&file, &metadata, OTHERS_WRITE)?;
        let mut content = Vec::new();
        opened.take(BYTES_MAX).read_to_end(&mut content).map_err(io_error("reading", &file))?;
        let rest = content.strip_prefix(MAGIC).ok_or_else(|| corrupt("not a file of this kind"))?;
        let (digest, bytes) = rest.split_first_chunk::<32>().ok_or_else(|| corrupt("cut short"))?;
        if sha256(&[bytes]) != *digest {
            return Err(corrupt("its digest doesn't fit"));
        }
        Ok(Some(bytes.to_vec()))
    }

    /// Keeps these bytes in place of earlier ones. Once this returns they survive a crash.
    ///
    /// # Errors
    /// Whatever the operating system says; the earlier ones are then still there.
    pub fn keep(&self, keeps: Keeps, bytes: &[u8]) -> Result<(), StateError> {
        self.replace(name(keeps), &[MAGIC, &sha256(&[bytes])[..], bytes].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_damage_is_told() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(outer.path()).unwrap();
        for keeps in [Keeps::Tasks, Keeps::Data, Keeps::Bootstrap] {
            assert_eq!(state.kept(keeps).unwrap(), None);
            state.keep(keeps, b"first").unwrap();
            state.keep(keeps, b"second").unwrap();
            assert_eq!(state.kept(keeps).unwrap().as_deref(), Some(&b"second"[..]));
            let file = outer.path().join(name(keeps));
            let good = std::fs::read(&file).unwrap();
            for cut in [0, 8, 39, good.len() - 1] {
                std::fs::write(&file, &good[..cut]).unwrap();
                let error = state.kept(keeps).unwrap_err();
                assert!(matches!(&error, StateError::Corrupt { file: at, .. } if *at == file));
            }
        }
    }
}
