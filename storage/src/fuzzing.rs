//! What fuzz targets reach: parsers of files that a crash, a bad disk or another program may have changed. Each function
//! panics if something is wrong.

use crate::image::fuzzing as image;
use crate::names;
use crate::state::checksum;
use crate::state::index::Index;
use crate::state::record::Record;
use std::collections::HashSet;

/// Puts the right checksum after the bytes, so that what is before it is looked at.
fn summed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &checksum(bytes)].concat()
}

/// The record of an unfinished file.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = Record::parse(&summed(bytes)) {
        assert_eq!(Record::parse(&record.encode()).ok(), Some(record));
    }
}

/// The index.
pub fn index(bytes: &[u8]) {
    let (mut index, used) = Index::parse(bytes);
    assert!(used <= bytes.len());
    let whole = index.encode();
    let again = Index::parse(&whole);
    assert_eq!(again, (index, whole.len()));
}

/// The journal of an image.
pub fn journal(bytes: &[u8]) {
    image::journal(&summed(bytes));
}

/// The footer and the header of a VHD, the partition table and the boot sector.
pub fn vhd(bytes: &[u8]) {
    image::sectors(bytes);
}

/// Names from outside.
pub fn name(text: &str) {
    let name = names::sanitise(text);
    assert!(names::is_plain(&name) && name.len() <= names::NAME_BYTES_MAX);
    assert_eq!(names::sanitise(&name), name);
    let taken = HashSet::from([names::key(&name)]);
    assert!(!taken.contains(&names::key(&names::numbered(&name, &taken))));
}

/// First inputs: for each function's name some bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    use crate::{ChunkSet, FileId};
    let mut seeds = Vec::new();
    let chunks =
        ChunkSet::new(1_000, 64).unwrap_or_else(|_| unreachable!("sixteen chunks are fine"));
    let extents = vec![crate::state::record::Extent { first: 7, count: 2 }];
    let record = Record { id: FileId([7; 32]), name: "name".into(), extents, chunks };
    let header = record.encode_header();
    let body = header.split_at(header.len() - 16).0;
    seeds.push(("record", "small".into(), body.to_vec()));
    let entry =
        crate::state::index::Entry { id: FileId([1; 32]), size: 5, tag: [2; 24], name: "a".into() };
    seeds.push(("index", "one".into(), entry.encode()));
    seeds.push(("journal", "small".into(), image::journal_seed()));
    for (name, bytes) in image::sector_seeds() {
        seeds.push(("vhd", name.into(), bytes));
    }
    for (number, name) in crate::hostile::names().into_iter().step_by(40).enumerate() {
        seeds.push(("stored_name", format!("hostile-{number:02}"), name.into_bytes()));
    }
    seeds
}
