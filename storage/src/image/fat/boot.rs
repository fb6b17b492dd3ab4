//! The boot sector: where everything is in a FAT32 file system.

use crate::error::ImageProblem;
use crate::image::vhd::SECTOR;

/// The fewest clusters that make a file system FAT32.
const CLUSTERS_MIN: u64 = 65_525;
/// Cluster numbers have 28 bits, the highest of which mean something else.
const CLUSTERS_MAX: u64 = 0x0fff_fff5;
/// The first cluster's number.
pub(crate) const FIRST_CLUSTER: u32 = 2;
const RESERVED_SECTORS: u64 = 32;
const TABLES: u64 = 2;
const BACKUP_SECTOR: u64 = 6;
const INFO_SECTOR: u64 = 1;

/// Where everything is, in bytes from the begin of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) cluster_bytes: u64,
    pub(crate) table_at: u64,
    pub(crate) table_bytes: u64,
    pub(crate) tables: u64,
    pub(crate) data_at: u64,
    /// How many clusters there are; their numbers begin at [`FIRST_CLUSTER`].
    pub(crate) clusters: u32,
    pub(crate) root_cluster: u32,
    /// The sector that tells how many clusters are free, if there is one.
    pub(crate) info_at: Option<u64>,
}

struct Sector<'a>(&'a [u8]);

impl Sector<'_> {
    fn u8(&self, at: usize) -> u64 {
        self.0.get(at).copied().map_or(0, u64::from)
    }

    fn u16(&self, at: usize) -> u64 {
        self.u8(at) | self.u8(at + 1) << 8
    }

    fn u32(&self, at: usize) -> u64 {
        self.u16(at) | self.u16(at + 2) << 16
    }
}

impl Layout {
    /// Reads the boot sector of a partition of that size.
    pub(crate) fn parse(sector: &[u8], partition_bytes: u64) -> Result<Self, ImageProblem> {
        if sector.len() < SECTOR as usize {
            return Err(ImageProblem::Truncated);
        }
        let sector = Sector(sector);
        let (reserved, tables) = (sector.u16(14), sector.u8(16));
        let (table_sectors, sectors) = (sector.u32(36), sector.u32(32));
        let per_cluster = sector.u8(13);
        // Other sector sizes; the older FATs; tables that aren't mirrored; a version of the future.
        if sector.u16(11) != SECTOR
            || sector.u16(17) != 0
            || sector.u16(22) != 0
            || sector.u8(40) & 0x80 != 0
            || sector.u16(42) != 0
        {
            return Err(ImageProblem::Unsupported);
        }
        let data = reserved + tables * table_sectors;
        let is_sound = sector.u16(510) == 0xaa55
            && per_cluster.is_power_of_two()
            && reserved > INFO_SECTOR
            && (1..=2).contains(&tables)
            && data < sectors
            && sectors * SECTOR <= partition_bytes;
        if !is_sound {
            return Err(ImageProblem::BootSector);
        }
        let clusters = (sectors - data) / per_cluster;
        let root_cluster = sector.u32(44) & 0x0fff_ffff;
        let fits = (CLUSTERS_MIN..=CLUSTERS_MAX).contains(&clusters)
            && (clusters + u64::from(FIRST_CLUSTER)) * 4 <= table_sectors * SECTOR
            && (u64::from(FIRST_CLUSTER)..u64::from(FIRST_CLUSTER) + clusters)
                .contains(&root_cluster);
        if !fits {
            return Err(ImageProblem::BootSector);
        }
        let info = sector.u16(48);
        Ok(Self {
            cluster_bytes: per_cluster * SECTOR,
            table_at: reserved * SECTOR,
            table_bytes: table_sectors * SECTOR,
            tables,
            data_at: data * SECTOR,
            clusters: clusters as u32,
            root_cluster: root_cluster as u32,
            info_at: (1..reserved).contains(&info).then_some(info * SECTOR),
        })
    }

    /// The layout of a new file system, by the cluster sizes that are usual.
    pub(crate) fn new(partition_bytes: u64) -> Result<Self, ImageProblem> {
        let sectors = partition_bytes / SECTOR;
        let per_cluster = match partition_bytes >> 20 {
            0..=260 => 1,
            261..=8_192 => 8,
            8_193..=16_384 => 16,
            16_385..=32_768 => 32,
            _ => 64,
        };
        // A table that is a little too long is fine; one that is too short isn't.
        let entries =
            (sectors - sectors.min(RESERVED_SECTORS)) / per_cluster + u64::from(FIRST_CLUSTER);
        let table_sectors = (entries * 4).div_ceil(SECTOR);
        let data = RESERVED_SECTORS + TABLES * table_sectors;
        let clusters = sectors.saturating_sub(data) / per_cluster;
        if !(CLUSTERS_MIN..=CLUSTERS_MAX).contains(&clusters) || sectors > u64::from(u32::MAX) {
            return Err(ImageProblem::Options);
        }
        Ok(Self {
            cluster_bytes: per_cluster * SECTOR,
            table_at: RESERVED_SECTORS * SECTOR,
            table_bytes: table_sectors * SECTOR,
            tables: TABLES,
            data_at: data * SECTOR,
            clusters: clusters as u32,
            root_cluster: FIRST_CLUSTER,
            info_at: Some(INFO_SECTOR * SECTOR),
        })
    }

    /// The sectors of a new, empty file system: where they go, and what is in them. Everything else is zeros.
    pub(crate) fn format(
        &self,
        partition_at: u64,
        partition_bytes: u64,
        serial: [u8; 4],
    ) -> Vec<(u64, Vec<u8>)> {
        let boot = self.boot_sector(partition_at, partition_bytes, serial);
        let info = info_sector(self.clusters - 1, self.root_cluster + 1).to_vec();
        let mut table = vec![0; SECTOR as usize];
        for (entry, value) in [0x0fff_fff8_u32, 0x0fff_ffff, 0x0fff_ffff].iter().enumerate() {
            table[entry * 4..entry * 4 + 4].copy_from_slice(&value.to_le_bytes());
        }
        let mut sectors = vec![
            (0, boot.clone()),
            (INFO_SECTOR * SECTOR, info.clone()),
            (BACKUP_SECTOR * SECTOR, boot),
            ((BACKUP_SECTOR + INFO_SECTOR) * SECTOR, info),
        ];
        sectors.extend(
            (0..self.tables).map(|n| (self.table_at + n * self.table_bytes, table.clone())),
        );
        sectors
    }

    fn boot_sector(&self, partition_at: u64, partition_bytes: u64, serial: [u8; 4]) -> Vec<u8> {
        let mut sector = vec![0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0xeb, 0x58, 0x90]);
        put(3, b"P2PNET  ");
        put(11, &(SECTOR as u16).to_le_bytes());
        put(13, &[(self.cluster_bytes / SECTOR) as u8]);
        put(14, &(RESERVED_SECTORS as u16).to_le_bytes());
        put(16, &[TABLES as u8]);
        put(21, &[0xf8]);
        // Tracks and heads, for programs that still ask.
        put(24, &63_u16.to_le_bytes());
        put(26, &255_u16.to_le_bytes());
        put(28, &((partition_at / SECTOR) as u32).to_le_bytes());
        put(32, &((partition_bytes / SECTOR) as u32).to_le_bytes());
        put(36, &((self.table_bytes / SECTOR) as u32).to_le_bytes());
        put(44, &self.root_cluster.to_le_bytes());
        put(48, &(INFO_SECTOR as u16).to_le_bytes());
        put(50, &(BACKUP_SECTOR as u16).to_le_bytes());
        put(64, &[0x80, 0, 0x29]);
        put(67, &serial);
        put(71, b"NO NAME    ");
        put(82, b"FAT32   ");
        put(510, &[0x55, 0xaa]);
        sector
    }

    /// Where a cluster begins.
    pub(crate) fn cluster_at(&self, cluster: u32) -> u64 {
        self.data_at + u64::from(cluster.saturating_sub(FIRST_CLUSTER)) * self.cluster_bytes
    }

    /// How many clusters hold so many bytes.
    pub(crate) fn clusters_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster_bytes)
    }

    pub(crate) fn holds(&self, cluster: u32) -> bool {
        cluster.checked_sub(FIRST_CLUSTER).is_some_and(|number| number < self.clusters)
    }
}

/// The sector that tells how many clusters are free, and where to look for the next.
pub(crate) fn info_sector(free: u32, next: u32) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    sector[..4].copy_from_slice(b"RRaA");
    sector[484..488].copy_from_slice(b"rrAa");
    sector[488..492].copy_from_slice(&free.to_le_bytes());
    sector[492..496].copy_from_slice(&next.to_le_bytes());
    sector[508..].copy_from_slice(&[0, 0, 0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_formatted_is_read_back(mebibytes in 35_u64..2_000_000) {
            let bytes = mebibytes << 20;
            let layout = Layout::new(bytes).unwrap();
            let sectors = layout.format(1 << 20, bytes, [1; 4]);
            prop_assert_eq!(Layout::parse(&sectors[0].1, bytes), Ok(layout));
            prop_assert!(layout.cluster_at(FIRST_CLUSTER + layout.clusters) <= bytes);
        }

        #[test]
        fn arbitrary_changes_are_refused_or_stay_within_the_partition(
            changes in prop::collection::vec((11_usize..52, any::<u8>()), 1..6)
        ) {
            let bytes = 40 << 20;
            let mut sector = Layout::new(bytes).unwrap().format(1 << 20, bytes, [1; 4])[0].1.clone();
            for (at, byte) in changes {
                sector[at] = byte;
            }
            if let Ok(layout) = Layout::parse(&sector, bytes) {
                prop_assert!(layout.cluster_at(FIRST_CLUSTER + layout.clusters) <= bytes);
                prop_assert!(layout.holds(layout.root_cluster));
                prop_assert!(layout.table_at + layout.tables * layout.table_bytes <= layout.data_at);
            }
        }
    }

    #[test]
    fn sizes_that_are_no_fat32_are_refused() {
        assert_eq!(Layout::new(0), Err(ImageProblem::Options));
        assert_eq!(Layout::new(30 << 20), Err(ImageProblem::Options));
        assert_eq!(Layout::new(3 << 40), Err(ImageProblem::Options));
    }
}
