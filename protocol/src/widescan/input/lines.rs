//! Lines out of pieces.

use alloc::vec::Vec;

/// A longer line is cut, and said to be.
pub(super) const LINE_BYTES_MAX: usize = 8 << 10;

/// A line without its end.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u64,
    pub(super) bytes: &'a [u8],
    /// Whether there was more of it.
    pub(super) cut: bool,
}

/// Puts lines together. A line that lies in one piece is not copied.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end hasn't come.
    begun: Vec<u8>,
    /// Whether that was cut.
    cut: bool,
    /// `begun` was handed out and goes before anything else happens.
    spent: bool,
    /// Lines that ended.
    count: u64,
}

impl Lines {
    /// The next line that ends within `bytes`, which are taken off up to its end, or all.
    pub(super) fn next<'s, 'b: 's>(&'s mut self, bytes: &mut &'b [u8]) -> Option<Line<'s>> {
        self.renew();
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.keep(bytes);
            *bytes = &[];
            return None;
        };
        let (here, rest) = bytes.split_at(end);
        *bytes = rest.get(1..).unwrap_or_default();
        self.count = self.count.saturating_add(1);
        let number = self.count;
        if self.begun.is_empty() {
            let cut = here.len() > LINE_BYTES_MAX;
            let here = here.get(..LINE_BYTES_MAX).unwrap_or(here);
            return Some(Line { number, bytes: without_return(here), cut });
        }
        self.keep(here);
        self.spent = true;
        Some(Line { number, bytes: without_return(&self.begun), cut: self.cut })
    }

    /// The last line, if nothing ended it.
    pub(super) fn finish(&mut self) -> Option<Line<'_>> {
        self.renew();
        if self.begun.is_empty() {
            return None;
        }
        self.spent = true;
        self.count = self.count.saturating_add(1);
        Some(Line { number: self.count, bytes: without_return(&self.begun), cut: self.cut })
    }

    fn renew(&mut self) {
        if core::mem::take(&mut self.spent) {
            self.begun.clear();
            self.cut = false;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.begun.len());
        self.cut |= bytes.len() > room;
        self.begun.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

fn without_return(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
