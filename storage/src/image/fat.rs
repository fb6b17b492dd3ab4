//! FAT32, after Microsoft's "FAT: General Overview of On-Disk Format" 1.03: as much of it as a store needs, which is
//! files in the root directory.
//!
//! Nothing here writes to the disk by itself: changes become a batch for the journal.

pub(crate) mod boot;
pub(crate) mod directory;
pub(crate) mod entry;
pub(crate) mod table;
