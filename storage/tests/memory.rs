//! Memory is the same for a file of any size. In a program of its own, since it looks at the whole process.

use p2pnet_storage::*;

/// What of this process is in memory, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends a file of 192 MiB through a manager and back, and gives the most that memory grew by, in KiB.
fn growth(manager: &mut dyn FileManager) -> u64 {
    const CHUNK: usize = 256 << 10;
    const SIZE: u64 = 192 << 20;
    let piece = vec![0x5a; CHUNK];
    let mut back = vec![0x5a; CHUNK];
    let before = resident_kib();
    let mut most = 0;
    let incoming = Incoming {
        name: "big".into(),
        size: SIZE,
        chunk_bytes: CHUNK as u32,
        id: Some(FileId([1; 32])),
    };
    let mut file = manager.inbound(&incoming).unwrap();
    for chunk in 0..file.received().chunks() {
        // From both ends, so that windows come and go.
        let chunk = if chunk % 2 == 0 { chunk } else { file.received().chunks() - chunk };
        file.write(chunk, &piece).unwrap();
        file.read_at(chunk * CHUNK as u64, &mut back).unwrap();
        most = most.max(resident_kib().saturating_sub(before));
    }
    assert!(back == piece);
    file.complete().unwrap();
    let mut file = manager.get_file(Which::Name("big")).unwrap();
    for chunk in 0..SIZE / CHUNK as u64 {
        file.read_at(chunk * CHUNK as u64, &mut back).unwrap();
        assert!(back == piece);
        most = most.max(resident_kib().saturating_sub(before));
    }
    most
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_window() {
    let directory = tempfile::tempdir().unwrap();
    let mut manager =
        MemoryMappedFileManager::open(&directory.path().join("store"), Options::default()).unwrap();
    let mapped = growth(&mut manager);
    let image = ImageOptions::default();
    let mut manager =
        VirtualImageFileManager::open_or_create(&directory.path().join("image.vhd"), image)
            .unwrap();
    let image = growth(&mut manager);
    println!("{mapped} KiB mapped, {image} KiB in an image");
    assert!(mapped < 4 << 10 && image < 6 << 10, "{mapped} KiB mapped, {image} KiB in an image");
}
