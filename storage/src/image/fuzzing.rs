//! What fuzz targets reach of the image.

use super::fat::boot::Layout;
use super::journal::Batch;
use super::partition;
use super::vhd::{Footer, Header, ImageKind};

const UNIQUE: [u8; 16] = [7; 16];

pub(crate) fn journal(bytes: &[u8]) {
    if let Some(batch) = Batch::parse(bytes, UNIQUE) {
        let again = Batch::parse(&batch.encode(UNIQUE), UNIQUE);
        assert_eq!(again, Some(batch));
    }
}

pub(crate) fn journal_seed() -> Vec<u8> {
    let mut batch = Batch::default();
    batch.write(512, b"bytes");
    batch.fill(4096, 512, 0xff);
    let mut bytes = batch.encode(UNIQUE);
    bytes.truncate(bytes.len() - 16);
    bytes
}

/// The first byte says which sector it is.
pub(crate) fn sectors(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 4 {
        0 => {
            if let Ok(footer) = Footer::parse(bytes) {
                assert_eq!(footer.bytes()[..], bytes[..footer.bytes().len()]);
                assert!(footer.virtual_bytes > 0);
            }
        }
        1 => {
            if let Ok(header) = Header::parse(bytes) {
                assert_eq!(Header::parse(&header.encode()), Ok(header));
            }
        }
        2 => {
            let disk = 1 << 40;
            if let Ok(found) = partition::parse(bytes, disk) {
                assert!(found.begin > 0 && found.begin + found.bytes <= disk);
            }
        }
        _ => {
            let partition = 1 << 36;
            if let Ok(layout) = Layout::parse(bytes, partition) {
                let last = super::fat::boot::FIRST_CLUSTER + layout.clusters;
                assert!(layout.cluster_at(last) <= partition && layout.holds(layout.root_cluster));
            }
        }
    }
}

pub(crate) fn sector_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let footer = Footer::new(ImageKind::Dynamic, 64 << 20, 7, UNIQUE);
    let header = Header { table_at: 1536, entries: 32, block_bytes: 2 << 20 };
    let bytes = 40 << 20;
    let boot =
        Layout::new(bytes).map(|layout| layout.format(1 << 20, bytes, [1; 4]).swap_remove(0).1);
    vec![
        ("footer", [&[0], &footer.bytes()[..]].concat()),
        ("header", [&[1], &header.encode()[..]].concat()),
        ("partition", [&[2], &partition::encode(bytes, [1; 4])[..]].concat()),
        ("boot", [&[3], &boot.unwrap_or_default()[..]].concat()),
    ]
}
