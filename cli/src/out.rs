//! What commands print: standard output and standard error may be full or closed at any time, and neither is a reason to
//! panic, as `println!` does.

use crate::failure::Failure;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// Standard output of a command. That its reader left early, as with `| head -1`, is no failure; a full disk is one.
pub(crate) struct Out<W = io::Stdout>(W);

/// Standard output.
pub(crate) fn out() -> Out {
    Out(io::stdout())
}

/// Tells a person something beside the matter, on standard error. If nobody hears it, nothing is lost.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

impl<W: Write> Out<W> {
    /// Prints a line.
    ///
    /// # Errors
    /// It can't be written, and not for want of a reader.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints `bytes` as they are.
    ///
    /// # Errors
    /// As with [`line`](Self::line).
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.some(bytes).map(drop)
    }

    /// Prints `bytes` of something without end, and says whether anybody reads on.
    ///
    /// # Errors
    /// As with [`line`](Self::line).
    pub(crate) fn some(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        match self.0.write_all(bytes).and_then(|()| self.0.flush()) {
            // Whoever read this has had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            done => done.map(|()| true).map_err(|error| {
                Failure::failed(format!("can't write to standard output: {error}"))
            }),
        }
    }

    /// Prints `value` as one JSON object on a line.
    ///
    /// # Errors
    /// As with [`line`](Self::line).
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value);
        self.line(text.map_err(|error| Failure::failed(error.to_string()))?)
    }
}

/// An output that fails every write in one way.
#[cfg(test)]
pub(crate) struct Broken(pub(crate) io::ErrorKind);

#[cfg(test)]
impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_may_leave_and_a_full_disk_is_told() {
        assert_eq!(Out(Broken(io::ErrorKind::BrokenPipe)).line("a"), Ok(()));
        let said = Out(Broken(io::ErrorKind::StorageFull)).json(&1).unwrap_err().to_string();
        assert!(said.contains("can't write to standard output"), "{said}");
    }
}
