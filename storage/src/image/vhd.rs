//! The VHD format, after Microsoft's "Virtual Hard Disk Image Format Specification" 1.0: its footer and the header of
//! dynamic disks. Numbers are big-endian.
//!
//! A fixed disk is its sectors and then the footer. A dynamic one is a copy of the footer, the header, the block
//! allocation table (BAT), the blocks in any order (each a bitmap of its sectors, then the sectors), and the footer.

use crate::error::ImageProblem;

pub(crate) const SECTOR: u64 = 512;
pub(crate) const FOOTER_BYTES: usize = 512;
pub(crate) const HEADER_BYTES: usize = 1024;
/// The size of blocks that this crate makes, in bytes.
pub(crate) const BLOCK_BYTES: u32 = 2 << 20;
/// The largest disk that the format allows, in bytes.
pub(crate) const VIRTUAL_BYTES_MAX: u64 = 2040 << 30;

const COOKIE: &[u8; 8] = b"conectix";
const HEADER_COOKIE: &[u8; 8] = b"cxsparse";
const VERSION: u32 = 0x0001_0000;
const CHECKSUM_AT: usize = 64;
const HEADER_CHECKSUM_AT: usize = 36;

/// How a disk is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// All of it from the start.
    Fixed,
    /// Blocks when they are needed.
    Dynamic,
}

/// A valid footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    raw: [u8; FOOTER_BYTES],
    pub(crate) kind: ImageKind,
    pub(crate) virtual_bytes: u64,
    /// Where a dynamic disk's header is.
    pub(crate) header_at: u64,
    /// What tells this disk from others.
    pub(crate) unique: [u8; 16],
}

/// The header of a dynamic disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) table_at: u64,
    pub(crate) entries: u32,
    pub(crate) block_bytes: u32,
}

fn array<const N: usize>(raw: &[u8], at: usize) -> Result<[u8; N], ImageProblem> {
    let bytes = raw.get(at..).and_then(|rest| rest.get(..N));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(ImageProblem::Truncated)
}

fn number(raw: &[u8], at: usize) -> Result<u32, ImageProblem> {
    array(raw, at).map(u32::from_be_bytes)
}

fn long(raw: &[u8], at: usize) -> Result<u64, ImageProblem> {
    array(raw, at).map(u64::from_be_bytes)
}

/// The complement of the sum of all bytes but the checksum's own.
fn sum(raw: &[u8], checksum_at: usize) -> u32 {
    let own = checksum_at..checksum_at + 4;
    let counted = raw.iter().enumerate().filter(|(at, _)| !own.contains(at));
    !counted.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)))
}

impl Footer {
    /// Reads a footer.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ImageProblem> {
        let raw: [u8; FOOTER_BYTES] = array(bytes, 0)?;
        if !raw.starts_with(COOKIE) {
            return Err(ImageProblem::Cookie);
        }
        if number(&raw, CHECKSUM_AT)? != sum(&raw, CHECKSUM_AT) {
            return Err(ImageProblem::Checksum);
        }
        let kind = match (number(&raw, 12)?, number(&raw, 60)?) {
            (VERSION, 2) => ImageKind::Fixed,
            (VERSION, 3) => ImageKind::Dynamic,
            _ => return Err(ImageProblem::Unsupported),
        };
        let (virtual_bytes, header_at) = (long(&raw, 48)?, long(&raw, 16)?);
        if virtual_bytes == 0
            || !virtual_bytes.is_multiple_of(SECTOR)
            || virtual_bytes > VIRTUAL_BYTES_MAX
        {
            return Err(ImageProblem::Layout);
        }
        Ok(Self { raw, kind, virtual_bytes, header_at, unique: array(&raw, 68)? })
    }

    /// A new disk. `seconds` count from the year 2000.
    pub(crate) fn new(kind: ImageKind, virtual_bytes: u64, seconds: u32, unique: [u8; 16]) -> Self {
        let header_at = if kind == ImageKind::Dynamic { FOOTER_BYTES as u64 } else { u64::MAX };
        let (cylinders, heads, sectors) = geometry(virtual_bytes / SECTOR);
        let mut raw = [0; FOOTER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| raw[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, COOKIE);
        put(8, &2_u32.to_be_bytes());
        put(12, &VERSION.to_be_bytes());
        put(16, &header_at.to_be_bytes());
        put(24, &seconds.to_be_bytes());
        put(28, b"p2pn");
        put(32, &VERSION.to_be_bytes());
        // Made on Windows, as far as readers are concerned: there are two hosts to choose from.
        put(36, b"Wi2k");
        put(40, &virtual_bytes.to_be_bytes());
        put(48, &virtual_bytes.to_be_bytes());
        put(56, &cylinders.to_be_bytes());
        put(58, &[heads, sectors]);
        put(60, &(if kind == ImageKind::Dynamic { 3_u32 } else { 2 }).to_be_bytes());
        put(68, &unique);
        let sum = sum(&raw, CHECKSUM_AT);
        raw[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_be_bytes());
        Self { raw, kind, virtual_bytes, header_at, unique }
    }

    /// The footer as it was read: other programs' fields stay.
    pub(crate) fn bytes(&self) -> &[u8; FOOTER_BYTES] {
        &self.raw
    }
}

impl Header {
    /// Reads the header of a dynamic disk.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ImageProblem> {
        let raw: [u8; HEADER_BYTES] = array(bytes, 0)?;
        if !raw.starts_with(HEADER_COOKIE) {
            return Err(ImageProblem::Cookie);
        }
        if number(&raw, HEADER_CHECKSUM_AT)? != sum(&raw, HEADER_CHECKSUM_AT) {
            return Err(ImageProblem::Checksum);
        }
        if number(&raw, 24)? != VERSION {
            return Err(ImageProblem::Unsupported);
        }
        let header = Self {
            table_at: long(&raw, 16)?,
            entries: number(&raw, 28)?,
            block_bytes: number(&raw, 32)?,
        };
        let is_odd = !header.block_bytes.is_power_of_two()
            || !(4_096..=256 << 20).contains(&header.block_bytes)
            || !header.table_at.is_multiple_of(SECTOR);
        if is_odd { Err(ImageProblem::Unsupported) } else { Ok(header) }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut raw = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| raw[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, HEADER_COOKIE);
        put(8, &u64::MAX.to_be_bytes());
        put(16, &self.table_at.to_be_bytes());
        put(24, &VERSION.to_be_bytes());
        put(28, &self.entries.to_be_bytes());
        put(32, &self.block_bytes.to_be_bytes());
        let sum = sum(&raw, HEADER_CHECKSUM_AT);
        raw[HEADER_CHECKSUM_AT..HEADER_CHECKSUM_AT + 4].copy_from_slice(&sum.to_be_bytes());
        raw
    }
}

/// Cylinders, heads, and sectors of a track, by the rule in the specification's appendix.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    const MAX: u64 = 65_535 * 16 * 255;
    let total = sectors.min(MAX);
    let (track, heads, cylinders_heads) = if total >= 65_535 * 16 * 63 {
        (255, 16, total / 255)
    } else {
        let mut track = 17;
        let mut cylinders_heads = total / track;
        let mut heads = cylinders_heads.div_ceil(1024).max(4);
        if cylinders_heads >= heads * 1024 || heads > 16 {
            (track, heads) = (31, 16);
            cylinders_heads = total / track;
        }
        if cylinders_heads >= heads * 1024 {
            (track, heads) = (63, 16);
            cylinders_heads = total / track;
        }
        (track, heads, cylinders_heads)
    };
    ((cylinders_heads / heads) as u16, heads as u8, track as u8)
}

/// The size nearest above that has a geometry of its own, since some readers go by the geometry; beyond what
/// geometries can tell, the size in whole sectors.
pub(crate) fn rounded(virtual_bytes: u64) -> u64 {
    const WITHOUT: u64 = 65_535 * 16 * 255;
    let wanted = virtual_bytes.div_ceil(SECTOR);
    if wanted >= WITHOUT {
        return wanted * SECTOR;
    }
    let product = |sectors| {
        let (cylinders, heads, track) = geometry(sectors);
        u64::from(cylinders) * u64::from(heads) * u64::from(track)
    };
    let found = (wanted..wanted + 16 * 255 + 1).map(product).find(|sectors| *sectors >= wanted);
    found.unwrap_or(wanted) * SECTOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn footers_and_headers_round_trip() {
        for kind in [ImageKind::Fixed, ImageKind::Dynamic] {
            let footer = Footer::new(kind, 64 << 20, 7, [9; 16]);
            assert_eq!(Footer::parse(footer.bytes()).unwrap(), footer);
        }
        let header = Header { table_at: 1536, entries: 32, block_bytes: BLOCK_BYTES };
        assert_eq!(Header::parse(&header.encode()).unwrap(), header);
    }

    #[test]
    fn what_is_wrong_has_a_name() {
        let footer = *Footer::new(ImageKind::Dynamic, 64 << 20, 7, [9; 16]).bytes();
        assert_eq!(Footer::parse(&footer[..511]), Err(ImageProblem::Truncated));
        for at in 0..FOOTER_BYTES {
            let mut hurt = footer;
            hurt[at] ^= 1;
            let expected = if at < 8 { ImageProblem::Cookie } else { ImageProblem::Checksum };
            assert_eq!(Footer::parse(&hurt), Err(expected));
        }
        let with = |at: usize, value: &[u8]| {
            let mut changed = footer;
            changed[at..at + value.len()].copy_from_slice(value);
            let sum = sum(&changed, CHECKSUM_AT);
            changed[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_be_bytes());
            Footer::parse(&changed).map(drop)
        };
        assert_eq!(with(60, &4_u32.to_be_bytes()), Err(ImageProblem::Unsupported));
        assert_eq!(with(48, &0_u64.to_be_bytes()), Err(ImageProblem::Layout));
        assert_eq!(with(48, &513_u64.to_be_bytes()), Err(ImageProblem::Layout));
        assert_eq!(with(48, &(1_u64 << 50).to_be_bytes()), Err(ImageProblem::Layout));
    }

    proptest! {
        #[test]
        fn sizes_are_rounded_up_to_a_geometry(bytes in 1_u64..VIRTUAL_BYTES_MAX) {
            let size = rounded(bytes);
            prop_assert!(size >= bytes && size.is_multiple_of(SECTOR) && size - bytes <= 16 * 255 * SECTOR);
            let (cylinders, heads, track) = geometry(size / SECTOR);
            let told = u64::from(cylinders) * u64::from(heads) * u64::from(track) * SECTOR;
            prop_assert!(told == size || size >= 65_535 * 16 * 255 * SECTOR, "{told} {size}");
        }
    }
}
