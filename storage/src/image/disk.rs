//! The sectors of a virtual disk, wherever they are in the file.

use super::journal::Batch;
use super::vhd::{FOOTER_BYTES, Footer, HEADER_BYTES, Header, ImageKind, SECTOR};
use crate::error::{ImageProblem, Result};
use crate::medium::Medium;
use std::sync::Arc;

/// A block that isn't there: its sectors are zeros.
const UNUSED: u32 = u32::MAX;

/// A disk in a file.
#[derive(Debug)]
pub(crate) struct Disk {
    medium: Arc<dyn Medium>,
    footer: Footer,
    blocks: Option<Blocks>,
}

/// The blocks of a dynamic disk.
#[derive(Clone, Debug)]
struct Blocks {
    table_at: u64,
    /// For each block the sector of the file where it begins, or [`UNUSED`].
    table: Vec<u32>,
    block_bytes: u64,
    bitmap_bytes: u64,
    /// Where the next block goes: where the footer is now.
    end: u64,
}

/// Blocks that are to be added, and not yet there.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// Which blocks, and the sectors of the file where they will begin.
    added: Vec<(usize, u32)>,
    end: u64,
}

impl Disk {
    /// Reads what a disk is; damage at its end that a crash may have left is repaired.
    pub(crate) fn open(medium: Arc<dyn Medium>) -> Result<Self> {
        let length = medium.len()?;
        let (front, back) = (footer_at(&*medium, 0), length.checked_sub(FOOTER_BYTES as u64));
        let back = back.ok_or(ImageProblem::Truncated).map(|at| (at, footer_at(&*medium, at)))?;
        match (front, back) {
            (Ok(footer), (_, _)) if footer.kind == ImageKind::Dynamic => {
                Self::open_dynamic(medium, footer, length)
            }
            (_, (_, Ok(footer))) if footer.kind == ImageKind::Dynamic => {
                Self::open_dynamic(medium, footer, length)
            }
            (_, (at, Ok(footer))) => {
                if at != footer.virtual_bytes {
                    return Err(ImageProblem::Layout.into());
                }
                Ok(Self { medium, footer, blocks: None })
            }
            (_, (_, Err(error))) => Err(error),
        }
    }

    fn open_dynamic(medium: Arc<dyn Medium>, footer: Footer, length: u64) -> Result<Self> {
        let mut raw = [0; HEADER_BYTES];
        let header_end = footer.header_at.checked_add(HEADER_BYTES as u64);
        if header_end.is_none_or(|end| end > length) {
            return Err(ImageProblem::Truncated.into());
        }
        medium.read_at(footer.header_at, &mut raw)?;
        let header = Header::parse(&raw)?;
        let needed = footer.virtual_bytes.div_ceil(u64::from(header.block_bytes));
        let table_bytes = u64::from(header.entries) * 4;
        let table_end = header.table_at.checked_add(table_bytes.next_multiple_of(SECTOR));
        let table_end = table_end.filter(|end| *end <= length).ok_or(ImageProblem::Truncated)?;
        if u64::from(header.entries) < needed {
            return Err(ImageProblem::Layout.into());
        }
        let mut raw = vec![0; needed as usize * 4];
        medium.read_at(header.table_at, &mut raw)?;
        let entry = |bytes: &[u8]| bytes.try_into().map_or(UNUSED, u32::from_be_bytes);
        let block_bytes = u64::from(header.block_bytes);
        let mut blocks = Blocks {
            table_at: header.table_at,
            table: raw.chunks_exact(4).map(entry).collect(),
            block_bytes,
            bitmap_bytes: block_bytes.div_ceil(SECTOR * 8).next_multiple_of(SECTOR),
            end: table_end,
        };
        blocks.end = blocks.check(table_end, length)?;
        let disk = Self { medium, footer, blocks: Some(blocks) };
        disk.mend_end(length)?;
        disk.fill_bitmaps()?;
        Ok(disk)
    }

    /// What tells this disk from others, whatever else is wrong with it.
    pub(crate) fn identify(medium: &dyn Medium) -> Result<[u8; 16]> {
        let at = medium.len()?.checked_sub(FOOTER_BYTES as u64).ok_or(ImageProblem::Truncated)?;
        Ok(footer_at(medium, 0).or_else(|_| footer_at(medium, at))?.unique)
    }

    /// Takes back room that was set aside for blocks which then weren't added. If that fails, opening the image anew
    /// does it.
    pub(crate) fn cut_back(&self) {
        if let Some(blocks) = &self.blocks {
            _ = self.medium.set_len(blocks.end + FOOTER_BYTES as u64);
        }
    }

    /// Writes the footer to where it should be, if it isn't there.
    fn mend_end(&self, length: u64) -> Result<()> {
        let Some(blocks) = &self.blocks else { return Ok(()) };
        let whole = blocks.end + FOOTER_BYTES as u64;
        if length == whole && footer_at(&*self.medium, blocks.end).is_ok() {
            return Ok(());
        }
        self.medium.write_at(blocks.end, self.footer.bytes())?;
        self.medium.set_len(whole)?;
        Ok(self.medium.sync()?)
    }

    /// Makes every sector of every block a used one. Others may mark single sectors as unused, which then are zeros.
    fn fill_bitmaps(&self) -> Result<()> {
        let Some(blocks) = &self.blocks else { return Ok(()) };
        for sector in blocks.table.iter().copied().filter(|sector| *sector != UNUSED) {
            let at = u64::from(sector) * SECTOR;
            let mut bitmap = vec![0; blocks.bitmap_bytes as usize];
            self.medium.read_at(at, &mut bitmap)?;
            let used = (blocks.block_bytes / SECTOR) as usize;
            if bitmap.iter().take(used / 8).all(|byte| *byte == 0xff) {
                continue;
            }
            for number in 0..used {
                if bitmap.get(number / 8).is_some_and(|byte| byte & (0x80 >> (number % 8)) == 0) {
                    let sector_at = at + blocks.bitmap_bytes + number as u64 * SECTOR;
                    self.medium.write_at(sector_at, &[0; SECTOR as usize])?;
                }
            }
            self.medium.sync()?;
            self.medium.write_at(at, &vec![0xff; bitmap.len()])?;
        }
        Ok(())
    }

    /// The bytes of a new disk's file before its first block, and those of the footer at its end.
    pub(crate) fn create(medium: &dyn Medium, footer: &Footer) -> Result<()> {
        let mut end = footer.virtual_bytes;
        if footer.kind == ImageKind::Dynamic {
            let entries = footer.virtual_bytes.div_ceil(u64::from(super::vhd::BLOCK_BYTES)) as u32;
            let table_at = (FOOTER_BYTES + HEADER_BYTES) as u64;
            let header = Header { table_at, entries, block_bytes: super::vhd::BLOCK_BYTES };
            let table = vec![0xff; (entries as usize * 4).next_multiple_of(SECTOR as usize)];
            medium.write_at(0, footer.bytes())?;
            medium.write_at(footer.header_at, &header.encode())?;
            medium.write_at(table_at, &table)?;
            end = table_at + table.len() as u64;
        } else {
            medium.reserve(0, end + FOOTER_BYTES as u64)?;
        }
        Ok(medium.write_at(end, footer.bytes())?)
    }

    pub(crate) fn virtual_bytes(&self) -> u64 {
        self.footer.virtual_bytes
    }

    pub(crate) fn unique(&self) -> [u8; 16] {
        self.footer.unique
    }

    pub(crate) fn medium(&self) -> &Arc<dyn Medium> {
        &self.medium
    }

    /// Reads sectors, or parts of them.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let (at, left) = self.locate(offset, &Growth::default())?;
            let length = (rest.len() as u64).min(left) as usize;
            let (piece, later) = rest.split_at_mut(length);
            match at {
                Some(at) => self.medium.read_at(at, piece)?,
                None => piece.fill(0),
            }
            offset += length as u64;
            rest = later;
        }
        Ok(())
    }

    /// Writes straight to the file, where blocks are there already: for sectors that no file is made of yet.
    pub(crate) fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let (mut offset, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (at, left) = self.locate(offset, &Growth::default())?;
            let (piece, later) = rest.split_at((rest.len() as u64).min(left) as usize);
            self.medium.write_at(at.ok_or(ImageProblem::Layout)?, piece)?;
            offset += piece.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Adds to a batch what writes these sectors, once the blocks of `growth` are there.
    pub(crate) fn plan_write(
        &self,
        batch: &mut Batch,
        growth: &Growth,
        offset: u64,
        data: &[u8],
    ) -> Result<()> {
        let (mut offset, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (at, left) = self.locate(offset, growth)?;
            let (piece, later) = rest.split_at((rest.len() as u64).min(left) as usize);
            batch.write(at.ok_or(ImageProblem::Layout)?, piece);
            offset += piece.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Where a byte of the disk is in the file, if it is there, and how many after it are adjacent.
    fn locate(&self, offset: u64, growth: &Growth) -> Result<(Option<u64>, u64)> {
        if offset >= self.footer.virtual_bytes {
            return Err(ImageProblem::Layout.into());
        }
        let Some(blocks) = &self.blocks else {
            return Ok((Some(offset), self.footer.virtual_bytes - offset));
        };
        let (block, within) = ((offset / blocks.block_bytes) as usize, offset % blocks.block_bytes);
        let added = growth.added.binary_search_by_key(&block, |(block, _)| *block);
        let sector = match added.ok().and_then(|at| growth.added.get(at)) {
            Some((_, sector)) => *sector,
            None => blocks.table.get(block).copied().unwrap_or(UNUSED),
        };
        let at =
            (sector != UNUSED).then(|| u64::from(sector) * SECTOR + blocks.bitmap_bytes + within);
        Ok((at, blocks.block_bytes - within))
    }

    /// Which blocks must be added so that these ranges of the disk can be written.
    pub(crate) fn growth(&self, ranges: &[(u64, u64)]) -> Growth {
        let Some(blocks) = &self.blocks else { return Growth::default() };
        let mut wanted: Vec<usize> = ranges
            .iter()
            .filter(|(_, bytes)| *bytes > 0)
            .flat_map(|(at, bytes)| at / blocks.block_bytes..=(at + bytes - 1) / blocks.block_bytes)
            .map(|block| block as usize)
            .filter(|block| blocks.table.get(*block) == Some(&UNUSED))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let stride = blocks.bitmap_bytes + blocks.block_bytes;
        let place =
            |(number, block)| (block, ((blocks.end + number as u64 * stride) / SECTOR) as u32);
        let end = blocks.end + wanted.len() as u64 * stride;
        Growth { added: wanted.into_iter().enumerate().map(place).collect(), end }
    }

    /// Sets room aside for the blocks, as zeros, and adds to a batch what makes them part of the disk.
    pub(crate) fn plan_growth(&self, batch: &mut Batch, growth: &Growth) -> Result<()> {
        let Some(blocks) = self.blocks.as_ref().filter(|_| !growth.added.is_empty()) else {
            return Ok(());
        };
        let whole = growth.end + FOOTER_BYTES as u64;
        self.medium.reserve(blocks.end, whole - blocks.end)?;
        batch.write(growth.end, self.footer.bytes());
        for (_, sector) in &growth.added {
            batch.fill(u64::from(*sector) * SECTOR, blocks.bitmap_bytes as u32, 0xff);
        }
        let per_sector = SECTOR as usize / 4;
        let mut sectors: Vec<usize> =
            growth.added.iter().map(|(block, _)| block / per_sector).collect();
        sectors.dedup();
        for sector in sectors {
            let entries = sector * per_sector..(sector + 1) * per_sector;
            let bytes: Vec<u8> =
                entries.flat_map(|block| blocks.entry(block, growth).to_be_bytes()).collect();
            batch.write(blocks.table_at + sector as u64 * SECTOR, &bytes);
        }
        Ok(())
    }

    /// Takes over blocks that were added.
    pub(crate) fn grown(&mut self, growth: &Growth) {
        let Some(blocks) = self.blocks.as_mut().filter(|_| !growth.added.is_empty()) else {
            return;
        };
        for (block, sector) in &growth.added {
            if let Some(entry) = blocks.table.get_mut(*block) {
                *entry = *sector;
            }
        }
        blocks.end = growth.end;
    }
}

impl Blocks {
    fn entry(&self, block: usize, growth: &Growth) -> u32 {
        let added = growth.added.binary_search_by_key(&block, |(block, _)| *block);
        match added.ok().and_then(|at| growth.added.get(at)) {
            Some((_, sector)) => *sector,
            None => self.table.get(block).copied().unwrap_or(UNUSED),
        }
    }

    /// Makes sure that blocks lie between the table and the end of the file and don't overlap, and tells where the
    /// last one ends.
    fn check(&self, table_end: u64, length: u64) -> Result<u64> {
        let stride = self.bitmap_bytes + self.block_bytes;
        let used = self.table.iter().filter(|sector| **sector != UNUSED);
        let mut begins: Vec<u64> = used.map(|sector| u64::from(*sector) * SECTOR).collect();
        begins.sort_unstable();
        let mut end = table_end;
        for begin in begins {
            if begin < end {
                return Err(ImageProblem::Layout.into());
            }
            end = begin + stride;
        }
        if end > length { Err(ImageProblem::Truncated.into()) } else { Ok(end) }
    }
}

fn footer_at(medium: &dyn Medium, at: u64) -> Result<Footer> {
    let mut raw = [0; FOOTER_BYTES];
    medium.read_at(at, &mut raw).map_err(|_| ImageProblem::Truncated)?;
    Ok(Footer::parse(&raw)?)
}
