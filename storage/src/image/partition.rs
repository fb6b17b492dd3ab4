//! The master boot record, whose first entry is the only partition that counts.

use super::vhd::SECTOR;
use crate::error::ImageProblem;

/// Where a new image's partition begins: at 1 MiB, as is usual.
pub(crate) const PARTITION_AT: u64 = 1 << 20;
const ENTRY_AT: usize = 446;
/// FAT32, addressed by sector numbers; and by cylinders.
const FAT32_KINDS: [u8; 2] = [0x0c, 0x0b];

/// Where a partition is on the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) begin: u64,
    pub(crate) bytes: u64,
}

/// Reads the first entry.
pub(crate) fn parse(sector: &[u8], disk_bytes: u64) -> Result<Partition, ImageProblem> {
    let entry = sector.get(ENTRY_AT..ENTRY_AT + 16).ok_or(ImageProblem::Truncated)?;
    let number = |at: usize| -> Result<u64, ImageProblem> {
        let bytes = entry.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| u64::from(u32::from_le_bytes(bytes))).ok_or(ImageProblem::Truncated)
    };
    let partition = Partition { begin: number(8)? * SECTOR, bytes: number(12)? * SECTOR };
    let is_fat32 = entry.get(4).is_some_and(|kind| FAT32_KINDS.contains(kind));
    let fits = partition.begin > 0 && partition.begin + partition.bytes <= disk_bytes;
    if sector.get(510..512) != Some(&[0x55, 0xaa]) || !is_fat32 || !fits {
        return Err(ImageProblem::Partition);
    }
    Ok(partition)
}

/// The sector with one partition, which fills the disk from [`PARTITION_AT`] on.
pub(crate) fn encode(disk_bytes: u64, signature: [u8; 4]) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    let begin = (PARTITION_AT / SECTOR) as u32;
    let sectors = ((disk_bytes - PARTITION_AT) / SECTOR).min(u64::from(u32::MAX)) as u32;
    sector[440..444].copy_from_slice(&signature);
    let entry = &mut sector[ENTRY_AT..ENTRY_AT + 16];
    // Cylinders can't tell: who reads them is to look at the numbers of sectors instead.
    entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[4] = FAT32_KINDS[0];
    entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&begin.to_le_bytes());
    entry[12..16].copy_from_slice(&sectors.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_round_trips_and_others_are_refused() {
        let sector = encode(64 << 20, [1; 4]);
        let expected = Partition { begin: 1 << 20, bytes: 63 << 20 };
        assert_eq!(parse(&sector, 64 << 20), Ok(expected));
        assert_eq!(parse(&sector, (64 << 20) - 1), Err(ImageProblem::Partition), "beyond the disk");
        assert_eq!(parse(&sector[..400], 64 << 20), Err(ImageProblem::Truncated));
        for (at, byte) in [(510, 0), (450, 0x07), (456, 0)] {
            let mut other = sector;
            other[at] = byte;
            if at == 456 {
                other[454..458].fill(0);
            }
            assert_eq!(parse(&other, 64 << 20), Err(ImageProblem::Partition), "{at}");
        }
    }
}
