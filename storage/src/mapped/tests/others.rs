//! Other processes, full disks.

use super::*;
use crate::suite::{read, write_chunk};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Another process may take its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that goes on until this ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn python(program: &str, arguments: &[&str]) -> Running {
    let spawned = Command::new("python3").args(["-c", program]).args(arguments).spawn();
    Running(
        spawned.unwrap_or_else(|error| panic!("python3: {error}; apt-get install python3-minimal")),
    )
}

/// Receives a file as a careful caller does, until somebody interferes.
fn try_once(
    manager: &mut MemoryMappedFileManager,
    wanted: &Incoming,
    bytes: &[u8],
) -> Result<FileInfo> {
    let mut file = manager.inbound(wanted)?;
    for chunk in 0..file.received().chunks() {
        let (offset, length) = file.received().range(chunk).unwrap();
        let expected = &bytes[offset as usize..][..length];
        if file.received().contains(chunk) {
            let mut kept = vec![0; length];
            file.read_at(offset, &mut kept)?;
            if kept == expected {
                continue;
            }
            file.reject(chunk)?;
        }
        file.write(chunk, expected)?;
    }
    file.complete()
}

#[test]
fn a_process_that_cuts_parts_in_a_loop_ends_nobody() {
    const SIZE: u64 = 4 << 20;
    let directory = Directory::new();
    let mut manager = open(&directory);
    let bytes = content(SIZE, 3);
    let wanted = Incoming { chunk_bytes: 1 << 16, ..incoming("victim", SIZE, 1) };
    drop(manager.inbound(&wanted).unwrap());
    let part = directory.path().join(FOLDER).join(part_name(suite::id(1)));
    let cutter = "import os, sys\nwhile True:\n  try:\n    os.truncate(sys.argv[1], 4096)\n    \
                  os.truncate(sys.argv[1], int(sys.argv[2]))\n  except OSError: pass\n";
    let running = python(cutter, &[part.to_str().unwrap(), &SIZE.to_string()]);
    let (start, mut disturbed) = (Instant::now(), 0);
    while disturbed < 20 && start.elapsed() < PATIENCE {
        match try_once(&mut manager, &wanted, &bytes) {
            // It got through between two cuts.
            Ok(info) => manager.remove(&info.name).unwrap(),
            Err(Error::Changed) => disturbed += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    drop(running);
    assert!(disturbed >= 20, "the other process was there {disturbed} times");
    let info = try_once(&mut manager, &wanted, &bytes).unwrap();
    assert!(read(&mut manager, Which::Name(&info.name)).unwrap() == bytes);
}

#[test]
fn a_source_that_is_cut_in_a_loop_ends_nobody() {
    let directory = Directory::new();
    let mut manager = open(&directory);
    let bytes = content(1 << 20, 3);
    std::fs::write(directory.path().join("source"), &bytes).unwrap();
    let mut file = manager.get_file(Which::Name("source")).unwrap();
    let path = directory.path().join("source");
    let cutter = "import os, sys\nwhile True:\n  os.truncate(sys.argv[1], 0)\n  os.truncate(sys.argv[1], 1 << 20)\n";
    let running = python(cutter, &[path.to_str().unwrap()]);
    let (start, mut buffer, mut changed) = (Instant::now(), vec![0; 1 << 20], 0);
    while changed < 20 && start.elapsed() < PATIENCE {
        match file.read_at(0, &mut buffer) {
            Ok(()) => {}
            Err(Error::Changed) => {
                changed += 1;
                file = manager.get_file(Which::Name("source")).unwrap();
                buffer.resize(file.info().size as usize, 0);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    drop(running);
    assert!(changed >= 20, "the other process was there {changed} times");
}

/// A small disk.
pub(crate) struct Tmpfs(pub(crate) tempfile::TempDir);

impl Tmpfs {
    pub(crate) fn new(size: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting a small disk needs root");
        Self(directory)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_before_anything_is_sent_and_what_was_begun_is_finished() {
    let disk = Tmpfs::new("8m");
    let path = disk.0.path().join("store");
    let mut manager = MemoryMappedFileManager::open(&path, Options::default()).unwrap();
    let big = |number, size| Incoming { chunk_bytes: 1 << 16, ..incoming("big", size, number) };
    match manager.inbound(&big(1, 9 << 20)).map(drop) {
        Err(Error::DiskFull { needed, left }) => assert!(needed == 9 << 20 && left <= 8 << 20),
        other => panic!("{other:?}"),
    }
    let mut first = manager.inbound(&big(1, 5 << 20)).unwrap();
    assert!(matches!(manager.inbound(&big(2, 5 << 20)), Err(Error::DiskFull { .. })));
    // Somebody fills the disk to the brim: the room of what was begun is safe.
    let fill = std::fs::write(disk.0.path().join("filler"), vec![1; 8 << 20]);
    assert_eq!(fill.unwrap_err().kind(), io::ErrorKind::StorageFull);
    let bytes = content(5 << 20, 1);
    for chunk in 0..first.received().chunks() {
        write_chunk(&mut *first, &bytes, chunk);
    }
    std::fs::remove_file(disk.0.path().join("filler")).unwrap();
    let info = first.complete().unwrap();
    assert!(read(&mut manager, Which::Name(&info.name)).unwrap() == bytes);
    let names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "big" || name == FOLDER), "{names:?}");
}
