//! A window of a file in memory.

#![allow(unsafe_code, reason = "mapped memory can only be reached by raw pointers")]

use super::lease::Lease;
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::File;
use std::io;

/// The length of a window in bytes: what is resident of any file.
const WINDOW_BYTES: u64 = 1 << 20;

/// At most one mapped piece of a file.
#[derive(Debug, Default)]
pub(crate) struct Window {
    mapped: Option<(u64, MmapRaw)>,
}

/// Which way bytes go.
enum Way<'a> {
    In(&'a [u8]),
    Out(&'a mut [u8]),
}

impl Window {
    /// Writes, with the lease as witness that nobody else can cut the file.
    pub(crate) fn write(
        &mut self,
        file: &File,
        _lease: &Lease,
        offset: u64,
        data: &[u8],
    ) -> io::Result<()> {
        let (mut offset, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(in_window(offset, rest.len()));
            self.touch(file, offset, Way::In(piece))?;
            offset += piece.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Reads, likewise.
    pub(crate) fn read(
        &mut self,
        file: &File,
        _lease: &Lease,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        let (mut offset, mut rest) = (offset, out);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at_mut(in_window(offset, rest.len()));
            let length = piece.len() as u64;
            self.touch(file, offset, Way::Out(piece))?;
            offset += length;
            rest = later;
        }
        Ok(())
    }

    /// Copies within one window.
    fn touch(&mut self, file: &File, offset: u64, way: Way<'_>) -> io::Result<()> {
        let begin = offset - offset % WINDOW_BYTES;
        let map = match &self.mapped {
            Some((at, map)) if *at == begin => map,
            _ => {
                // Before the next one is mapped, so that there is never more than one.
                self.mapped = None;
                let length =
                    (file.metadata()?.len().saturating_sub(begin)).min(WINDOW_BYTES) as usize;
                let map = MmapOptions::new().offset(begin).len(length).map_raw(file)?;
                &self.mapped.insert((begin, map)).1
            }
        };
        let at = (offset - begin) as usize;
        let length = match &way {
            Way::In(data) => data.len(),
            Way::Out(out) => out.len(),
        };
        if at + length > map.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        populate(map, at, length, matches!(way, Way::In(_)))?;
        // SAFETY: the range lies within the mapping, which lives as long as `self.mapped`. The mapping is never seen
        // as a reference, so that others who write to the file at the same time break no rule of the language. The
        // pages were just made present; they stay backed by the file, since its length is right (the caller looked)
        // and nobody can cut it while the caller has the lease.
        unsafe {
            let place = map.as_mut_ptr().add(at);
            match way {
                Way::In(data) => place.copy_from_nonoverlapping(data.as_ptr(), length),
                Way::Out(out) => out.as_mut_ptr().copy_from_nonoverlapping(place, length),
            }
        }
        Ok(())
    }
}

/// How many of these bytes lie in the window of the first.
fn in_window(offset: u64, length: usize) -> usize {
    length.min((WINDOW_BYTES - offset % WINDOW_BYTES) as usize)
}

/// Makes the pages present. A disk that is full after all, or broken, is an error here and would be a signal later.
#[cfg(target_os = "linux")]
fn populate(map: &MmapRaw, at: usize, length: usize, writes: bool) -> io::Result<()> {
    const PAGE: usize = 4096;
    let begin = at - at % PAGE;
    let advice = if writes { Advice::PopulateWrite } else { Advice::PopulateRead };
    map.advise_range(advice, begin, at + length - begin)
}

#[cfg(not(target_os = "linux"))]
fn populate(_: &MmapRaw, _: usize, _: usize, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
