//! The journal: changes to the image's structure happen whole, or not at all.
//!
//! A batch of writes goes to the journal first, which is synced; then to the image, which is synced; then the journal
//! is emptied. Whoever opens the image finds either no whole batch, and the image as it was, or a whole one, and
//! carries it out again. Carrying it out twice is the same as once.
//!
//! ```text
//! magic "P2PNjrnl" | the disk's unique id 16 | number of writes u32
//!     | writes (offset u64, length u32, kind u8, bytes, or the one byte to fill with) … | checksum 16
//! ```
//!
//! Numbers are little-endian. The checksum is over everything before it.

use crate::error::Result;
use crate::medium::{Medium, Place};
use crate::state::checksum;
use crate::state::record::Reader;
use std::io;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"P2PNjrnl";
const FILE: &str = "journal";
const BYTES: u8 = 0;
const FILL: u8 = 1;

/// No honest journal is larger: both tables of the largest file's clusters, and more.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// No write is longer than the tables of clusters.
const WRITE_BYTES_MAX: u32 = 32 << 20;
/// The largest place that a VHD can have.
const OFFSET_MAX: u64 = 1 << 42;

/// Writes that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    writes: Vec<Write>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Write {
    Bytes { offset: u64, bytes: Vec<u8> },
    Fill { offset: u64, length: u32, byte: u8 },
}

impl Batch {
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        match self.writes.last_mut() {
            Some(Write::Bytes { offset: before, bytes })
                if *before + bytes.len() as u64 == offset =>
            {
                bytes.extend(data);
            }
            _ => self.writes.push(Write::Bytes { offset, bytes: data.to_vec() }),
        }
    }

    pub(crate) fn fill(&mut self, offset: u64, length: u32, byte: u8) {
        self.writes.push(Write::Fill { offset, length, byte });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(crate) fn encode(&self, unique: [u8; 16]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(unique);
        bytes.extend((self.writes.len() as u32).to_le_bytes());
        for write in &self.writes {
            let (offset, length, kind) = match write {
                Write::Bytes { offset, bytes } => (offset, bytes.len() as u32, BYTES),
                Write::Fill { offset, length, .. } => (offset, *length, FILL),
            };
            bytes.extend(offset.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.push(kind);
            match write {
                Write::Bytes { bytes: data, .. } => bytes.extend(data),
                Write::Fill { byte, .. } => bytes.push(*byte),
            }
        }
        let sum = checksum(&bytes);
        bytes.extend(sum);
        bytes
    }

    /// Reads a whole batch for the disk of that id; anything else is no batch.
    pub(crate) fn parse(bytes: &[u8], unique: [u8; 16]) -> Option<Self> {
        let body = bytes.get(..bytes.len().checked_sub(16)?)?;
        if !body.starts_with(MAGIC) || bytes.get(body.len()..)? != checksum(body) {
            return None;
        }
        let mut reader = Reader(body.get(MAGIC.len()..)?);
        if reader.array()? != unique {
            return None;
        }
        let count = reader.u32()?;
        let mut batch = Self::default();
        for _ in 0..count {
            let (offset, length) = (reader.u64()?, reader.u32()?);
            if offset > OFFSET_MAX || length > WRITE_BYTES_MAX {
                return None;
            }
            batch.writes.push(match reader.array()? {
                [BYTES] => Write::Bytes { offset, bytes: reader.take(length as usize)?.to_vec() },
                [FILL] => Write::Fill { offset, length, byte: reader.array::<1>()?[0] },
                _ => return None,
            });
        }
        reader.0.is_empty().then_some(batch)
    }

    pub(crate) fn apply(&self, medium: &dyn Medium) -> io::Result<()> {
        for write in &self.writes {
            match write {
                Write::Bytes { offset, bytes } => medium.write_at(*offset, bytes)?,
                Write::Fill { offset, length, byte } => {
                    medium.write_at(*offset, &vec![*byte; *length as usize])?;
                }
            }
        }
        medium.sync()
    }
}

/// The journal of one image.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Arc<dyn Medium>,
}

impl Journal {
    pub(crate) fn open(place: &dyn Place) -> Result<Self> {
        let file = match place.open(FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = place.create(FILE)?;
                place.sync()?;
                file
            }
            opened => opened?,
        };
        Ok(Self { file })
    }

    /// Carries out what a crash interrupted.
    pub(crate) fn replay(&self, image: &dyn Medium, unique: [u8; 16]) -> Result<()> {
        let length = self.file.len()?;
        if length == 0 {
            return Ok(());
        }
        if length <= JOURNAL_BYTES_MAX {
            let mut bytes = vec![0; length as usize];
            self.file.read_at(0, &mut bytes)?;
            if let Some(batch) = Batch::parse(&bytes, unique) {
                batch.apply(image)?;
            }
        }
        Ok(self.file.set_len(0)?)
    }

    /// Puts a batch down for good. If that fails, nothing has happened.
    pub(crate) fn commit(&self, batch: &Batch, unique: [u8; 16]) -> Result<()> {
        let put = || {
            self.file.write_at(0, &batch.encode(unique))?;
            self.file.sync()
        };
        put().map_err(|error: io::Error| {
            // Half a batch is none; but a whole one that couldn't be synced must go.
            _ = self.file.set_len(0);
            error.into()
        })
    }

    /// Carries out a batch that was put down.
    pub(crate) fn carry_out(&self, batch: &Batch, image: &dyn Medium) -> Result<()> {
        batch.apply(image)?;
        Ok(self.file.set_len(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Batch {
        let mut batch = Batch::default();
        batch.write(512, &[1; 10]);
        batch.write(522, &[2; 10]);
        batch.fill(4096, 600, 0xff);
        batch.write(0, b"x");
        batch
    }

    #[test]
    fn batches_round_trip_and_adjacent_writes_are_one() {
        let batch = example();
        assert_eq!(batch.writes.len(), 3);
        assert_eq!(Batch::parse(&batch.encode([7; 16]), [7; 16]), Some(batch.clone()));
        assert_eq!(Batch::parse(&batch.encode([7; 16]), [8; 16]), None, "another disk's");
    }

    #[test]
    fn a_batch_that_is_cut_or_changed_is_none() {
        let bytes = example().encode([7; 16]);
        for length in 0..bytes.len() {
            assert_eq!(Batch::parse(&bytes[..length], [7; 16]), None);
        }
        for at in 0..bytes.len() {
            let mut hurt = bytes.clone();
            hurt[at] ^= 4;
            assert_eq!(Batch::parse(&hurt, [7; 16]), None, "{at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_batch(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Batch::parse(&bytes, [0; 16]), None);
            let body = [&MAGIC[..], &[0; 16], &bytes].concat();
            let signed = [&body[..], &checksum(&body)].concat();
            // With a right checksum it is read, to the end or not at all.
            if let Some(batch) = Batch::parse(&signed, [0; 16]) {
                prop_assert!(batch.writes.len() <= bytes.len());
            }
        }
    }
}
