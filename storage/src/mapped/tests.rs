//! The suite on a real directory, and what only a directory can meet: other processes, links, full disks.

use super::*;
use crate::suite::{self, Rig, content, incoming, receive};
use std::os::unix::fs::symlink;

struct Directory {
    outside: tempfile::TempDir,
}

impl Directory {
    fn path(&self) -> PathBuf {
        self.outside.path().join("deep/er/store")
    }
}

impl Rig for Directory {
    fn new() -> Self {
        Self { outside: tempfile::tempdir().unwrap() }
    }

    fn open_with(&self, quota_bytes: Option<u64>) -> Box<dyn FileManager> {
        let options =
            Options { quota_bytes, durability: Durability::Process, ..Options::default() };
        Box::new(MemoryMappedFileManager::open(&self.path(), options).unwrap())
    }

    /// Nothing lies around the store, nothing in it but regular files and the folder.
    fn check(&self) {
        for (directory, only) in [("", "deep"), ("deep", "er"), ("deep/er", "store")] {
            let entries = std::fs::read_dir(self.outside.path().join(directory)).unwrap();
            let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, [only]);
        }
        for entry in std::fs::read_dir(self.path()).unwrap() {
            let entry = entry.unwrap();
            assert!(
                entry.file_type().unwrap().is_file() || entry.file_name() == FOLDER,
                "{entry:?}"
            );
        }
    }
}

mod others;
pub(crate) use others::Tmpfs;

suite::suite!(Directory);

fn open(directory: &Directory) -> MemoryMappedFileManager {
    MemoryMappedFileManager::open(&directory.path(), Options::default()).unwrap()
}

#[test]
fn a_store_has_one_manager() {
    let directory = Directory::new();
    let manager = open(&directory);
    let second = MemoryMappedFileManager::open(&directory.path(), Options::default());
    assert!(matches!(second, Err(Error::InUse)));
    drop(manager);
    open(&directory);
}

#[test]
fn links_are_no_files_and_are_not_followed() {
    let directory = Directory::new();
    let mut manager = open(&directory);
    let victim = directory.outside.path().join("victim");
    std::fs::write(&victim, b"precious").unwrap();
    symlink(&victim, directory.path().join("link")).unwrap();
    symlink("/nowhere", directory.path().join("dangling")).unwrap();
    assert!(manager.list().unwrap().is_empty());
    for name in ["link", "dangling"] {
        assert!(matches!(manager.get_file(Which::Name(name)), Err(Error::NotFound)));
        assert!(matches!(manager.remove(name), Err(Error::NotFound)));
        let info = receive(&mut manager, &incoming(name, 3, 1), b"new").unwrap();
        assert_eq!(info.name, format!("{name} (2)"));
    }
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn parts_and_complete_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Directory::new();
    let mut manager = open(&directory);
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let _file = manager.inbound(&incoming("x", 10, 1)).unwrap();
    assert_eq!(mode(directory.path().join(FOLDER)), 0o700);
    assert_eq!(mode(directory.path().join(FOLDER).join(part_name(suite::id(1)))), 0o600);
    let info = receive(&mut manager, &incoming("y", 2, 2), b"ab").unwrap();
    assert_eq!(mode(info.path.unwrap()), 0o600);
}

#[test]
fn what_a_crash_left_halfway_is_swept() {
    let directory = Directory::new();
    drop(open(&directory));
    let folder = directory.path().join(FOLDER);
    for name in [
        "unnamed-00.part",
        &part_name(suite::id(1)),
        "rubbish.chunks",
        &format!("{}.chunks", suite::id(2)),
    ] {
        std::fs::write(folder.join(name), b"P2PNpart and then nothing").unwrap();
    }
    let mut manager = open(&directory);
    assert!(manager.unfinished().unwrap().is_empty());
    let left: HashSet<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, HashSet::from(["lock".to_owned(), "index".to_owned()]));
}

#[test]
fn a_received_file_that_is_changed_is_not_found_by_id_any_more() {
    let directory = Directory::new();
    let mut manager = open(&directory);
    let info = receive(&mut manager, &incoming("x", 3, 1), b"old").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(info.path.unwrap(), b"new").unwrap();
    assert!(matches!(manager.get_file(Which::Id(suite::id(1))), Err(Error::NotFound)));
    assert_eq!(manager.list().unwrap()[0].id, None);
}

#[test]
fn files_max_counts_all() {
    let directory = Directory::new();
    let options = Options { files_max: 2, file_bytes_max: 100, ..Options::default() };
    let mut manager = MemoryMappedFileManager::open(&directory.path(), options).unwrap();
    receive(&mut manager, &incoming("a", 1, 1), b"a").unwrap();
    let _b = manager.inbound(&incoming("b", 1, 2)).unwrap();
    assert!(matches!(manager.inbound(&incoming("c", 1, 3)), Err(Error::TooManyFiles { max: 2 })));
    assert!(matches!(
        manager.inbound(&incoming("c", 101, 3)),
        Err(Error::TooLarge { size: 101, max: 100 })
    ));
}

#[test]
fn a_part_that_somebody_touched_is_given_up_and_resumed() {
    let directory = Directory::new();
    let mut manager = open(&directory);
    let bytes = content(5_000, 1);
    let wanted = incoming("x", 5_000, 1);
    let mut file = manager.inbound(&wanted).unwrap();
    suite::write_chunk(&mut *file, &bytes, 0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let part = directory.path().join(FOLDER).join(part_name(suite::id(1)));
    let other = std::fs::OpenOptions::new().write(true).open(&part).unwrap();
    use std::os::unix::fs::FileExt as _;
    other.write_all_at(b"forged", 0).unwrap();
    drop(other);
    assert!(matches!(file.write(1, &bytes[1_000..2_000]), Err(Error::Changed)));
    assert!(matches!(file.complete(), Err(Error::Incomplete { .. })));
    // The chunk is recorded, so that the caller verifies it, and finds it forged.
    let mut file = manager.inbound(&wanted).unwrap();
    assert!(file.received().present_chunks().eq([0]));
    let mut kept = [0; 6];
    file.read_at(0, &mut kept).unwrap();
    assert_eq!(&kept, b"forged");
    file.reject(0).unwrap();
    for chunk in 0..5 {
        suite::write_chunk(&mut *file, &bytes, chunk);
    }
    let info = file.complete().unwrap();
    assert_eq!(std::fs::read(info.path.unwrap()).unwrap(), bytes);
}
