//! Which chunks of a file are there.

use crate::error::{Error, Result};

/// The most chunks that one file may have: their record takes a bit each, so 8 MiB at most.
pub const CHUNKS_MAX: u64 = 1 << 26;

/// The chunks of a file, and which of them were received. All chunks have one size, but for the last, which ends where
/// the file ends. An empty file has no chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSet {
    size: u64,
    chunk_bytes: u32,
    present: u64,
    bits: Vec<u8>,
}

impl ChunkSet {
    /// No chunk yet of a file of `size` bytes in chunks of `chunk_bytes`.
    ///
    /// # Errors
    /// [`Error::BadChunkSize`] if `chunk_bytes` is 0, or if there would be more than [`CHUNKS_MAX`] chunks.
    pub fn new(size: u64, chunk_bytes: u32) -> Result<Self> {
        let bad = || Error::BadChunkSize { chunk_bytes };
        let chunks = match u64::from(chunk_bytes) {
            0 => return Err(bad()),
            bytes => size.div_ceil(bytes),
        };
        if chunks > CHUNKS_MAX {
            return Err(bad());
        }
        let bytes = usize::try_from(chunks.div_ceil(8)).map_err(|_| bad())?;
        Ok(Self { size, chunk_bytes, present: 0, bits: vec![0; bytes] })
    }

    /// The set with these bits, as [`Self::bits`] gave them. Bits of chunks that don't exist are dropped.
    pub(crate) fn with_bits(size: u64, chunk_bytes: u32, bits: &[u8]) -> Result<Self> {
        let mut set = Self::new(size, chunk_bytes)?;
        for (kept, given) in set.bits.iter_mut().zip(bits) {
            *kept = *given;
        }
        let in_last = set.chunks() % 8;
        if let (1.., Some(last)) = (in_last, set.bits.last_mut()) {
            *last &= (1 << in_last) - 1;
        }
        set.present = set.bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
        Ok(set)
    }

    /// One bit a chunk, the lowest bit of the first byte first.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The size of every chunk but the last, in bytes.
    pub fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// How many chunks the file has.
    pub fn chunks(&self) -> u64 {
        self.size.div_ceil(u64::from(self.chunk_bytes))
    }

    /// How many are there.
    pub fn present(&self) -> u64 {
        self.present
    }

    /// How many are missing.
    pub fn missing(&self) -> u64 {
        self.chunks() - self.present
    }

    /// Whether none is missing.
    pub fn is_complete(&self) -> bool {
        self.missing() == 0
    }

    /// Whether this chunk is there.
    pub fn contains(&self, chunk: u64) -> bool {
        self.byte_of(chunk).is_some_and(|at| self.bits[at] & mask(chunk) != 0)
    }

    /// Where a chunk begins, and its length; nothing for a chunk that doesn't exist.
    pub fn range(&self, chunk: u64) -> Option<(u64, usize)> {
        let begin = chunk.checked_mul(u64::from(self.chunk_bytes))?;
        let left = self.size.checked_sub(begin).filter(|left| *left > 0)?;
        Some((begin, left.min(u64::from(self.chunk_bytes)) as usize))
    }

    /// The missing chunks, in order.
    pub fn missing_chunks(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.chunks()).filter(|chunk| !self.contains(*chunk))
    }

    /// The chunks that are there, in order.
    pub fn present_chunks(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.chunks()).filter(|chunk| self.contains(*chunk))
    }

    /// Notes a chunk as received. A chunk that doesn't exist is ignored.
    pub fn insert(&mut self, chunk: u64) {
        if let Some(at) = self.byte_of(chunk).filter(|_| !self.contains(chunk)) {
            self.bits[at] |= mask(chunk);
            self.present += 1;
        }
    }

    /// Notes a chunk as missing.
    pub fn remove(&mut self, chunk: u64) {
        if let Some(at) = self.byte_of(chunk).filter(|_| self.contains(chunk)) {
            self.bits[at] &= !mask(chunk);
            self.present -= 1;
        }
    }

    /// The byte of [`Self::bits`] that holds this chunk's bit.
    pub(crate) fn byte_of(&self, chunk: u64) -> Option<usize> {
        (chunk < self.chunks()).then_some((chunk / 8) as usize)
    }
}

fn mask(chunk: u64) -> u8 {
    1 << (chunk % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunk_ends_with_the_file() {
        let mut set = ChunkSet::new(10, 4).unwrap();
        assert_eq!((set.chunks(), set.missing()), (3, 3));
        assert_eq!([set.range(0), set.range(2), set.range(3)], [Some((0, 4)), Some((8, 2)), None]);
        set.insert(2);
        set.insert(2);
        set.insert(3);
        assert_eq!((set.present(), set.contains(2), set.contains(3)), (1, true, false));
        assert!(set.missing_chunks().eq([0, 1]) && set.present_chunks().eq([2]));
        set.remove(2);
        set.remove(2);
        assert_eq!(set.present(), 0);
    }

    #[test]
    fn an_empty_file_is_complete_from_the_start() {
        assert!(ChunkSet::new(0, 1).unwrap().is_complete());
    }

    #[test]
    fn sizes_that_make_no_sense_or_too_many_chunks_are_refused() {
        assert!(matches!(ChunkSet::new(1, 0), Err(Error::BadChunkSize { .. })));
        assert!(matches!(ChunkSet::new(u64::MAX, 1), Err(Error::BadChunkSize { .. })));
        assert!(ChunkSet::new(CHUNKS_MAX, 1).is_ok());
        assert!(ChunkSet::new(CHUNKS_MAX + 1, 1).is_err());
    }

    #[test]
    fn bits_round_trip_and_odd_ones_are_dropped() {
        let mut set = ChunkSet::new(100, 10).unwrap();
        for chunk in [0, 7, 8, 9] {
            set.insert(chunk);
        }
        assert_eq!(ChunkSet::with_bits(100, 10, set.bits()).unwrap(), set);
        assert!(ChunkSet::with_bits(100, 10, &[0xff; 9]).unwrap().is_complete());
        assert_eq!(ChunkSet::with_bits(100, 10, &[]).unwrap().present(), 0);
    }
}
