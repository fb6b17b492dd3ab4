//! A file of 256 MiB through each file manager, beside plain writes and reads of a file, as ratios:
//! `cargo bench -p p2pnet-benches --bench storage [DIRECTORY]`.
//!
//! Each is written in chunks of 256 KiB and synced at its end, so that the disk counts for all of them alike. Rounds
//! take turns, and the median counts.

use p2pnet_storage::*;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const SIZE: u64 = 256 << 20;
const CHUNK: usize = 256 << 10;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let directory = asked.map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
    let mut times: [Vec<(Duration, Duration)>; 3] = Default::default();
    for round in 0..ROUNDS {
        let place = directory.path().join(round.to_string());
        std::fs::create_dir(&place)?;
        times[0].push(plain(&place.join("plain"))?);
        let mut mapped = MemoryMappedFileManager::open(&place.join("store"), Options::default())?;
        times[1].push(managed(&mut mapped)?);
        let options = ImageOptions::default();
        let mut image = VirtualImageFileManager::open_or_create(&place.join("image.vhd"), options)?;
        times[2].push(managed(&mut image)?);
        std::fs::remove_dir_all(&place)?;
    }
    let [plain, mapped, image] = times.map(median);
    println!("256 MiB in chunks of 256 KiB, median of {ROUNDS}; ratio of speed to plain calls");
    for (name, (write, read)) in [("plain file", plain), ("mapped", mapped), ("image", image)] {
        let speed = |time: Duration| SIZE as f64 / (1 << 20) as f64 / time.as_secs_f64();
        println!(
            "{name:<12} write {:>6.0} MiB/s {:>5.2}   read {:>6.0} MiB/s {:>5.2}",
            speed(write),
            plain.0.as_secs_f64() / write.as_secs_f64(),
            speed(read),
            plain.1.as_secs_f64() / read.as_secs_f64(),
        );
    }
    Ok(())
}

fn median(times: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    let middle = |mut times: Vec<Duration>| {
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    let (writes, reads) = times.into_iter().unzip();
    (middle(writes), middle(reads))
}

fn plain(path: &Path) -> Result<(Duration, Duration)> {
    let mut piece = vec![0x5a; CHUNK];
    let start = Instant::now();
    let file = File::options().create_new(true).read(true).write(true).open(path)?;
    for at in (0..SIZE).step_by(CHUNK) {
        file.write_all_at(&piece, at)?;
    }
    file.sync_all()?;
    let write = start.elapsed();
    let start = Instant::now();
    for at in (0..SIZE).step_by(CHUNK) {
        file.read_exact_at(&mut piece, at)?;
    }
    Ok((write, start.elapsed()))
}

fn managed(manager: &mut dyn FileManager) -> Result<(Duration, Duration)> {
    let mut piece = vec![0x5a; CHUNK];
    let (name, chunk_bytes, id) = ("big".to_owned(), CHUNK as u32, Some(FileId([1; 32])));
    let start = Instant::now();
    let mut file = manager.inbound(&Incoming { name, size: SIZE, chunk_bytes, id })?;
    for chunk in 0..file.received().chunks() {
        file.write(chunk, &piece)?;
    }
    file.complete()?;
    let write = start.elapsed();
    let start = Instant::now();
    let mut file = manager.get_file(Which::Name("big"))?;
    for at in (0..SIZE).step_by(CHUNK) {
        file.read_at(at, &mut piece)?;
    }
    Ok((write, start.elapsed()))
}
