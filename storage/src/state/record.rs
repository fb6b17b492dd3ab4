//! The record of an unfinished file.
//!
//! ```text
//! magic "P2PNpart" | id 32 | size u64 | chunk bytes u32 | name length u16 | name
//!     | number of extents u32 | extents (first u32, count u32) … | checksum 16 | one bit for each chunk
//! ```
//!
//! Numbers are little-endian. The checksum is over everything before it. The bits may be cut short: what is missing
//! is taken for chunks that are not there.

use super::checksum;
use crate::chunks::ChunkSet;
use crate::error::Error;
use crate::manager::{FileId, Incoming};

const MAGIC: &[u8; 8] = b"P2PNpart";

/// A run of clusters in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first cluster's number.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}

/// What is being received, where it is kept, and what of it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// What the file is known by.
    pub(crate) id: FileId,
    /// Its sanitised name; another may have taken it meanwhile.
    pub(crate) name: String,
    /// Where in an image it is kept; empty for a file of its own.
    pub(crate) extents: Vec<Extent>,
    /// Its size and its chunks.
    pub(crate) chunks: ChunkSet,
}

/// Takes bytes off the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is no whole record: there is nothing to resume.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(bytes).ok_or(Error::NotFound)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        (reader.take(MAGIC.len())? == MAGIC).then_some(())?;
        let id = FileId(reader.array()?);
        let (size, chunk_bytes) = (reader.u64()?, reader.u32()?);
        let name_bytes = usize::from(reader.u16()?);
        let name = std::str::from_utf8(reader.take(name_bytes)?).ok()?.to_owned();
        let count = reader.u32()? as usize;
        let listed = Reader(reader.take(count.checked_mul(8)?)?);
        let header = bytes.get(..bytes.len().checked_sub(reader.0.len())?)?;
        (checksum(header) == reader.array()?).then_some(())?;
        let chunks = ChunkSet::with_bits(size, chunk_bytes, reader.0).ok()?;
        let extents = listed.0.chunks_exact(8).filter_map(|pair| {
            let mut pair = Reader(pair);
            Some(Extent { first: pair.u32()?, count: pair.u32()? })
        });
        Some(Self { id, name, extents: extents.collect(), chunks })
    }

    /// Everything but the bits.
    pub(crate) fn encode_header(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.id.0);
        bytes.extend(self.chunks.size().to_le_bytes());
        bytes.extend(self.chunks.chunk_bytes().to_le_bytes());
        // A sanitised name has at most 255 bytes, and no file has more extents than there are clusters.
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend(self.name.as_bytes());
        bytes.extend((self.extents.len() as u32).to_le_bytes());
        for extent in &self.extents {
            bytes.extend(extent.first.to_le_bytes());
            bytes.extend(extent.count.to_le_bytes());
        }
        let sum = checksum(&bytes);
        bytes.extend(sum);
        bytes
    }

    /// The whole record.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.encode_header();
        bytes.extend(self.chunks.bits());
        bytes
    }

    /// What would be asked for to resume it.
    pub(crate) fn incoming(&self) -> Incoming {
        Incoming {
            name: self.name.clone(),
            size: self.chunks.size(),
            chunk_bytes: self.chunks.chunk_bytes(),
            id: Some(self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Record {
        let mut chunks = ChunkSet::new(1_000, 64).unwrap();
        chunks.insert(3);
        chunks.insert(15);
        let extents = vec![Extent { first: 7, count: 2 }, Extent { first: 100, count: 1 }];
        Record { id: FileId([7; 32]), name: "größe.txt".into(), extents, chunks }
    }

    #[test]
    fn records_round_trip() {
        let record = example();
        assert_eq!(Record::parse(&record.encode()).unwrap(), record);
    }

    #[test]
    fn a_record_that_is_cut_or_changed_is_no_record() {
        let record = example();
        let (whole, header) = (record.encode(), record.encode_header().len());
        for length in 0..header {
            assert!(Record::parse(&whole[..length]).is_err(), "{length}");
        }
        for at in 0..header {
            let mut hurt = whole.clone();
            hurt[at] ^= 0x10;
            assert!(Record::parse(&hurt).is_err(), "{at}");
        }
        // Without its bits it is the record of a file of which nothing is there.
        assert_eq!(Record::parse(&whole[..header]).unwrap().chunks.present(), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_record(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Record::parse(&bytes).is_err());
            prop_assert!(Record::parse(&[&MAGIC[..], &bytes].concat()).is_err());
        }
    }
}
