//! What holds for every manager of this crate: scenarios, and a model that random operations are compared with.

mod model;

use crate::names::key;
use crate::*;
use std::io;
use std::path::Path;

/// A store that can be opened, dropped and opened again.
pub(crate) trait Rig {
    fn new() -> Self;
    /// Opens it, with room for `quota_bytes` if that is given.
    fn open_with(&self, quota_bytes: Option<u64>) -> Box<dyn FileManager>;
    fn open(&self) -> Box<dyn FileManager> {
        self.open_with(None)
    }
    /// Holds what the store consists of against its format, and against everything outside of it being untouched.
    fn check(&self);
}

pub(crate) fn id(number: u8) -> FileId {
    FileId([number; 32])
}

pub(crate) fn incoming(name: &str, size: u64, number: u8) -> Incoming {
    Incoming { name: name.into(), size, chunk_bytes: 1_000, id: Some(id(number)) }
}

/// Bytes that tell where they are from.
pub(crate) fn content(size: u64, salt: u8) -> Vec<u8> {
    (0..size).map(|at| (at as u8) ^ (at >> 8) as u8 ^ (at >> 16) as u8 ^ salt).collect()
}

pub(crate) fn write_chunk(file: &mut dyn InboundFile, content: &[u8], chunk: u64) {
    let (offset, length) = file.received().range(chunk).unwrap();
    file.write(chunk, &content[offset as usize..][..length]).unwrap();
}

/// Receives a whole file.
pub(crate) fn receive(
    manager: &mut dyn FileManager,
    wanted: &Incoming,
    content: &[u8],
) -> Result<FileInfo> {
    let mut file = manager.inbound(wanted)?;
    for chunk in 0..file.received().chunks() {
        write_chunk(&mut *file, content, chunk);
    }
    file.complete()
}

pub(crate) fn read(manager: &mut dyn FileManager, which: Which<'_>) -> Result<Vec<u8>> {
    let mut file = manager.get_file(which)?;
    let mut content = vec![0; file.info().size as usize];
    file.read_at(0, &mut content)?;
    Ok(content)
}

fn names(manager: &mut dyn FileManager) -> Vec<String> {
    manager.list().unwrap().into_iter().map(|info| info.name).collect()
}

pub(crate) fn chunks_come_in_any_order<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open();
    let content = content(5_500, 1);
    let mut file = manager.inbound(&incoming("a.bin", 5_500, 1)).unwrap();
    for chunk in [5, 0, 3, 1, 3, 2] {
        write_chunk(&mut *file, &content, chunk);
    }
    assert!(file.received().missing_chunks().eq([4]));
    let mut piece = [0; 700];
    file.read_at(4_990, &mut piece[..0]).unwrap();
    file.read_at(2_800, &mut piece).unwrap();
    assert_eq!(piece, content[2_800..3_500]);
    assert!(names(&mut *manager).is_empty(), "not before it is whole");
    write_chunk(&mut *file, &content, 4);
    let info = file.complete().unwrap();
    assert_eq!((info.name.as_str(), info.size, info.id), ("a.bin", 5_500, Some(id(1))));
    assert_eq!(read(&mut *manager, Which::Name("a.bin")).unwrap(), content);
    assert_eq!(read(&mut *manager, Which::Name("A.BIN")).unwrap(), content);
    assert_eq!(read(&mut *manager, Which::Id(id(1))).unwrap(), content);
    assert_eq!(manager.list().unwrap(), [info]);
    drop(manager);
    rig.check();
}

pub(crate) fn a_file_is_resumed_after_reopening<R: Rig>() {
    let rig = R::new();
    let content = content(9_999, 2);
    let wanted = incoming("resumed", 9_999, 2);
    for chunk in 0..10 {
        let mut manager = rig.open();
        if chunk > 0 {
            assert_eq!(manager.unfinished().unwrap(), std::slice::from_ref(&wanted));
        }
        let mut file = manager.inbound(&wanted).unwrap();
        assert!(file.received().present_chunks().eq(0..chunk));
        for present in 0..chunk {
            let (offset, length) = file.received().range(present).unwrap();
            let mut kept = vec![0; length];
            file.read_at(offset, &mut kept).unwrap();
            assert_eq!(kept, content[offset as usize..][..length]);
        }
        write_chunk(&mut *file, &content, chunk);
        drop(manager);
        if chunk == 9 {
            file.complete().unwrap();
        }
    }
    let mut manager = rig.open();
    assert_eq!(read(&mut *manager, Which::Id(id(2))).unwrap(), content);
    assert!(manager.unfinished().unwrap().is_empty());
    drop(manager);
    rig.check();
}

pub(crate) fn clashes_get_numbers<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open();
    let groups: [(&str, &str); 6] = [
        ("Report.pdf", "Report.pdf"),
        ("Report.pdf", "Report (2).pdf"),
        ("REPORT.PDF", "REPORT (3).PDF"),
        ("caf\u{e9}", "caf\u{e9}"),
        ("cafe\u{301}", "caf\u{e9} (2)"),
        ("../x/REPORT (2).pdf", "REPORT (2) (2).pdf"),
    ];
    for (number, (wanted, expected)) in groups.iter().enumerate() {
        let content = content(10, number as u8);
        let info = receive(&mut *manager, &incoming(wanted, 10, number as u8), &content).unwrap();
        assert_eq!(&info.name, expected);
    }
    for (number, (_, name)) in groups.iter().enumerate() {
        assert_eq!(read(&mut *manager, Which::Name(name)).unwrap(), content(10, number as u8));
    }
    drop(manager);
    rig.check();
}

pub(crate) fn two_at_once_under_one_name_keep_apart<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open();
    let mut files: Vec<_> =
        (0..4).map(|n| manager.inbound(&incoming("same", 3_000, n)).unwrap()).collect();
    for chunk in 0..3 {
        for (number, file) in files.iter_mut().enumerate() {
            write_chunk(&mut **file, &content(3_000, number as u8), chunk);
        }
    }
    for (number, file) in files.into_iter().enumerate() {
        let name = file.complete().unwrap().name;
        assert_eq!(read(&mut *manager, Which::Name(&name)).unwrap(), content(3_000, number as u8));
    }
    assert_eq!(names(&mut *manager), ["same", "same (2)", "same (3)", "same (4)"]);
    drop(manager);
    rig.check();
}

pub(crate) fn misuse_has_typed_errors<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open();
    let wanted = incoming("x", 2_500, 1);
    let mut file = manager.inbound(&wanted).unwrap();
    assert!(matches!(manager.inbound(&wanted), Err(Error::Busy)));
    assert!(matches!(manager.forget(id(1)), Err(Error::Busy)));
    assert!(matches!(file.write(3, &[]), Err(Error::OutOfRange)));
    assert!(matches!(file.write(2, &[0; 501]), Err(Error::OutOfRange)));
    assert!(matches!(file.write(u64::MAX, &[0; 501]), Err(Error::OutOfRange)));
    assert!(matches!(file.read_at(2_000, &mut [0; 501]), Err(Error::OutOfRange)));
    assert!(matches!(file.read_at(u64::MAX, &mut [0; 2]), Err(Error::OutOfRange)));
    write_chunk(&mut *file, &[0; 2_500], 0);
    write_chunk(&mut *file, &[0; 2_500], 2);
    file.reject(2).unwrap();
    assert!(matches!(file.complete(), Err(Error::Incomplete { missing: 2 })));
    assert!(matches!(manager.inbound(&incoming("x", 2_501, 1)), Err(Error::Mismatch)));
    assert!(manager.inbound(&wanted).unwrap().received().present_chunks().eq([0]));
    manager.forget(id(1)).unwrap();
    assert!(matches!(manager.forget(id(1)), Err(Error::NotFound)));
    assert_eq!(manager.inbound(&wanted).unwrap().received().present(), 0);
    let odd = Incoming { chunk_bytes: 0, ..incoming("x", 1, 2) };
    assert!(matches!(manager.inbound(&odd), Err(Error::BadChunkSize { .. })));
    for bad in ["", ".", "..", "a/b", "/etc/passwd", "a\0"] {
        assert!(matches!(manager.get_file(Which::Name(bad)), Err(Error::BadName)), "{bad:?}");
        assert!(matches!(manager.remove(bad), Err(Error::BadName)), "{bad:?}");
    }
    for none in ["none", ".p2pnet", "lock"] {
        assert!(matches!(manager.get_file(Which::Name(none)), Err(Error::NotFound)), "{none}");
    }
    assert!(matches!(manager.get_file(Which::Id(id(9))), Err(Error::NotFound)));
    drop(manager);
    rig.check();
}

pub(crate) fn aborted_and_unnamed_files_leave_nothing<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open_with(Some(10_000));
    for _ in 0..5 {
        let mut file = manager.inbound(&incoming("x", 9_000, 1)).unwrap();
        write_chunk(&mut *file, &[1; 9_000], 4);
        file.abort().unwrap();
        let unnamed = Incoming { id: None, ..incoming("x", 9_000, 1) };
        drop(manager.inbound(&unnamed).unwrap());
    }
    assert!(manager.unfinished().unwrap().is_empty() && manager.list().unwrap().is_empty());
    drop(manager);
    rig.check();
}

pub(crate) fn the_quota_counts_complete_and_unfinished_files<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open_with(Some(10_000));
    receive(&mut *manager, &incoming("a", 4_000, 1), &content(4_000, 1)).unwrap();
    drop(manager.inbound(&incoming("b", 5_000, 2)).unwrap());
    for _ in 0..2 {
        match manager.inbound(&incoming("c", 1_001, 3)).map(drop) {
            Err(Error::QuotaExceeded { needed: 1_001, left: 1_000 }) => {}
            other => panic!("{other:?}"),
        }
        drop(manager);
        manager = rig.open_with(Some(10_000));
    }
    manager.forget(id(2)).unwrap();
    receive(&mut *manager, &incoming("c", 6_000, 3), &content(6_000, 1)).unwrap();
    assert!(matches!(
        manager.inbound(&incoming("d", 1, 4)),
        Err(Error::QuotaExceeded { left: 0, .. })
    ));
    manager.remove("c").unwrap();
    assert!(manager.inbound(&incoming("d", 6_000, 4)).is_ok());
    drop(manager);
    rig.check();
}

pub(crate) fn empty_files_and_whole_ones_are_written<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open();
    assert_eq!(receive(&mut *manager, &incoming("empty", 0, 1), &[]).unwrap().size, 0);
    assert_eq!(manager.write("void", 0, &mut io::empty()).unwrap().size, 0);
    let big = content(3 << 20, 7);
    manager.write("b/big", big.len() as u64, &mut &big[..]).unwrap();
    assert!(matches!(manager.write("short", 5, &mut &b"1234"[..]), Err(Error::Changed)));
    manager.remember("BIG", id(5)).unwrap();
    drop(manager);
    let mut manager = rig.open();
    assert_eq!(names(&mut *manager), ["big", "empty", "void"]);
    assert_eq!(read(&mut *manager, Which::Id(id(5))).unwrap(), big);
    assert_eq!(read(&mut *manager, Which::Id(id(1))).unwrap(), b"");
    manager.remove("big").unwrap();
    assert!(matches!(manager.get_file(Which::Id(id(5))), Err(Error::NotFound)));
    drop(manager);
    rig.check();
}

pub(crate) fn a_file_from_outside_is_opened_by_path<R: Rig>() {
    let rig = R::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.txt");
    std::fs::write(&path, b"my own").unwrap();
    let mut manager = rig.open();
    let mut file = manager.open_path(&path).unwrap();
    let mut bytes = [0; 3];
    file.read_at(3, &mut bytes).unwrap();
    assert_eq!((&bytes, file.info().name.as_str()), (b"own", "mine.txt"));
    assert!(manager.open_path(Path::new("/")).is_err());
}

/// Every name of the corpus is received, twice: nothing is overwritten, nothing lies anywhere else.
pub(crate) fn hostile_names_neither_escape_nor_overwrite<R: Rig>() {
    let rig = R::new();
    let mut manager = rig.open();
    let corpus = hostile::names();
    assert!(corpus.len() >= 500);
    let mut given = Vec::new();
    for (number, wanted) in corpus.iter().enumerate() {
        let bytes = (number as u64).to_le_bytes();
        let wanted = Incoming { name: wanted.clone(), size: 8, chunk_bytes: 8, id: None };
        let info = receive(&mut *manager, &wanted, &bytes).unwrap();
        given.push((info.name, bytes));
    }
    let mut keys: Vec<String> = given.iter().map(|(name, _)| key(name)).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), given.len(), "no two names are the same in any form");
    drop(manager);
    let mut manager = rig.open();
    assert_eq!(names(&mut *manager).len(), given.len());
    for (name, bytes) in &given {
        assert_eq!(read(&mut *manager, Which::Name(name)).unwrap(), bytes, "{name:?}");
    }
    drop(manager);
    rig.check();
}

pub(crate) use model::random_operations_agree_with_the_model;

/// The whole suite for one rig.
macro_rules! suite {
    ($rig:ty: $($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                $crate::suite::$test::<$rig>();
            }
        )*
    };
    ($rig:ty) => {
        $crate::suite::suite!($rig:
            chunks_come_in_any_order
            a_file_is_resumed_after_reopening
            clashes_get_numbers
            two_at_once_under_one_name_keep_apart
            misuse_has_typed_errors
            aborted_and_unnamed_files_leave_nothing
            the_quota_counts_complete_and_unfinished_files
            empty_files_and_whole_ones_are_written
            a_file_from_outside_is_opened_by_path
            hostile_names_neither_escape_nor_overwrite
            random_operations_agree_with_the_model
        );
    };
}
pub(crate) use suite;
