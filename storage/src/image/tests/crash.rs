//! The process is killed, or the power fails, at any write of a script of 200 operations. Then the image is opened, and
//! must be whole, with every file that was complete.

use super::power::{Bytes, Files, IMAGE, Machine, Step};
use super::*;
use crate::suite::{content, id, write_chunk};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

const OPERATIONS: usize = 200;
const FILES: u8 = 24;

/// Choices from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// A file that was complete after so many steps, until others.
#[derive(Debug)]
struct Complete {
    name: String,
    number: u8,
    from: usize,
    until: usize,
}

/// What the script did, and when.
struct Told {
    before: Files,
    steps: Vec<(String, Step)>,
    complete: Vec<Complete>,
}

fn machine(files: Files) -> (Machine, VirtualImageFileManager) {
    let machine = Machine::new(files);
    let manager =
        VirtualImageFileManager::new(machine.image(), Arc::new(machine.clone()), None, Vec::new())
            .unwrap();
    (machine, manager)
}

fn size(number: u8) -> u64 {
    // Within a sector, more than a block of the VHD, and in between.
    match number {
        5 => 2_500_000,
        _ => [0, 300, 1_500, 20_000, 70_000][usize::from(number) % 5],
    }
}

fn wanted(number: u8) -> Incoming {
    let name =
        ["a.txt", "A.TXT", "a long name of a file.bin", "größe", "x"][usize::from(number) % 5];
    let chunk_bytes = (size(number) / 4).max(512) as u32;
    Incoming { name: name.into(), size: size(number), chunk_bytes, id: Some(id(number)) }
}

/// Begins, writes, completes, drops, aborts and removes, as the dice fall.
fn play(kind: ImageKind, seed: u64) -> Told {
    let empty = Machine::new(Files::default());
    format(&empty.image(), &ImageOptions { kind, ..Image::options() }).unwrap();
    let before = empty.files();
    let (machine, mut manager) = machine(before.clone());
    let mut dice = Dice::new(seed);
    let mut complete: Vec<Complete> = Vec::new();
    let mut open: BTreeMap<u8, Box<dyn InboundFile>> = BTreeMap::new();
    for _ in 0..OPERATIONS {
        let number = dice.below(u64::from(FILES)) as u8;
        match dice.below(8) {
            0 | 1 if open.len() < 4 => {
                if let Ok(file) = manager.inbound(&wanted(number)) {
                    open.insert(number, file);
                }
            }
            7 if dice.below(4) == 0 => {
                let living = |file: &&mut Complete| file.until == usize::MAX;
                if let Some(file) = complete.iter_mut().filter(living).nth(usize::from(number) % 8)
                {
                    // From the first step of the removal on, it may be gone.
                    file.until = machine.happened();
                    manager.remove(&file.name).unwrap();
                }
            }
            6 if dice.below(4) == 0 => drop(open.pop_first()),
            5 if dice.below(6) == 0 => {
                if let Some((_, file)) = open.pop_last() {
                    file.abort().unwrap();
                }
            }
            _ => {
                let Some((number, mut file)) = open.pop_first() else { continue };
                let bytes = content(size(number), number);
                let mut missing = file.received().missing_chunks();
                if let Some(chunk) = missing.next() {
                    drop(missing);
                    write_chunk(&mut *file, &bytes, chunk);
                    open.insert(number, file);
                    continue;
                }
                drop(missing);
                let name = file.complete().unwrap().name;
                let from = machine.happened();
                complete.push(Complete { name, number, from, until: usize::MAX });
            }
        }
    }
    drop(open);
    drop(manager);
    Told { before, steps: machine.steps(), complete }
}

/// Opens what is left, and holds it against what was complete.
fn check(files: Files, complete: &[Complete], happened: usize) -> Bytes {
    let (machine, mut manager) = machine(files);
    // Nothing is there by half.
    let mut found = BTreeMap::new();
    for info in manager.list().unwrap() {
        let mut bytes = vec![0; info.size as usize];
        manager.get_file(Which::Name(&info.name)).unwrap().read_at(0, &mut bytes).unwrap();
        // Of two files with one id, the later one is known by it.
        let may_be = |number: &u8| info.id.is_none_or(|known| known == id(*number));
        let is_it = |number: u8| size(number) == info.size && bytes == content(info.size, number);
        assert!((0..FILES).filter(may_be).any(is_it), "{happened}: {info:?}");
        found.insert(info.name, bytes);
    }
    // While a file is being removed it may be gone, or be there.
    for file in complete.iter().filter(|file| file.from <= happened && happened <= file.until) {
        let expected = content(size(file.number), file.number);
        assert!(found.get(&file.name) == Some(&expected), "{happened}: {file:?}");
    }
    // And what is unfinished goes on.
    for incoming in manager.unfinished().unwrap() {
        let Some(FileId([number, ..])) = incoming.id else { panic!("{incoming:?}") };
        manager.inbound(&Incoming { name: incoming.name, ..wanted(number) }).unwrap();
    }
    drop(manager);
    machine.files().0.remove(IMAGE).unwrap()
}

fn fsck(image: &Bytes, directory: &Path, with_qemu: bool) {
    let path = directory.join("image.vhd");
    image.save(&path, 0, image.len());
    let partition = directory.join("partition");
    if with_qemu {
        let raw = directory.join("raw");
        run("qemu-img", &["convert", "-f", "vpc", "-O", "raw", &text(&path), &text(&raw)]);
        let mut from = File::open(&raw).unwrap();
        io::Seek::seek(&mut from, io::SeekFrom::Start(partition::PARTITION_AT)).unwrap();
        io::copy(&mut from, &mut File::create(&partition).unwrap()).unwrap();
    } else {
        let disk = disk::Disk::open(Arc::new(
            OpenOptions::new().read(true).write(true).open(&path).unwrap(),
        ))
        .unwrap();
        let file = File::create(&partition).unwrap();
        let bytes = disk.virtual_bytes() - partition::PARTITION_AT;
        let (mut piece, zeros) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        for at in (0..bytes).step_by(piece.len()) {
            let length = (bytes - at).min(piece.len() as u64) as usize;
            disk.read_at(partition::PARTITION_AT + at, &mut piece[..length]).unwrap();
            if piece[..length] != zeros[..length] {
                file.write_at(at, &piece[..length]).unwrap();
            }
        }
        File::set_len(&file, bytes).unwrap();
    }
    run("fsck.fat", &["-n", &text(&partition)]);
}

/// Looks at every moment, on all cores, each core at every so-many-th.
fn at_every_step(told: &Told, look: impl Fn(usize, &Files, &Path) + Sync) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let looked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (look, looked) = (&look, &looked);
            scope.spawn(move || {
                let directory = tempfile::tempdir().unwrap();
                let mut files = told.before.clone();
                for happened in 0..=told.steps.len() {
                    if happened % workers == worker {
                        look(happened, &files, directory.path());
                        looked.fetch_add(1, Ordering::Relaxed);
                    }
                    if let Some((name, step)) = told.steps.get(happened) {
                        files.apply(name, step);
                    }
                }
            });
        }
    });
    assert_eq!(looked.into_inner(), told.steps.len() + 1);
}

fn killed_at_every_write(kind: ImageKind) {
    let told = play(kind, 1);
    let finished = told.complete.len();
    assert!(finished >= 15 && told.steps.len() > 500, "{finished} {}", told.steps.len());
    at_every_step(&told, |happened, files, directory| {
        let image = check(files.clone(), &told.complete, happened);
        fsck(&image, directory, happened % 50 == 0);
        // The next write, torn: its first half, or all but its last byte.
        if let Some((name, Step::Write(offset, data))) = told.steps.get(happened) {
            for length in [data.len() / 2, data.len().saturating_sub(1)] {
                let mut torn = files.clone();
                torn.apply(name, &Step::Write(*offset, data[..length].to_vec()));
                let image = check(torn, &told.complete, happened);
                if happened % 20 == 0 {
                    fsck(&image, directory, false);
                }
            }
        }
    });
    println!("{} moments, {finished} files", told.steps.len());
}

#[test]
fn a_kill_at_any_write_leaves_a_dynamic_image_whole() {
    killed_at_every_write(ImageKind::Dynamic);
}

#[test]
fn a_kill_at_any_write_leaves_a_fixed_image_whole() {
    killed_at_every_write(ImageKind::Fixed);
}

#[test]
fn a_loss_of_power_at_any_write_leaves_the_image_whole() {
    let told = play(ImageKind::Dynamic, 2);
    at_every_step(&told, |happened, _, directory| {
        let mut dice = Dice::new(happened as u64);
        let lost = after_power_loss(&told, happened, &mut dice);
        let image = check(lost, &told.complete, happened);
        if happened % 20 == 0 {
            fsck(&image, directory, false);
        }
    });
}

/// What may be on the disks when the power fails: of each file all up to its last sync, and any of what came after,
/// but names in their order.
fn after_power_loss(told: &Told, happened: usize, dice: &mut Dice) -> Files {
    let steps = &told.steps[..happened];
    let mut synced: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (name, step)) in steps.iter().enumerate() {
        if matches!(step, Step::Sync) {
            synced.insert(name, at);
        }
    }
    let mut files = told.before.clone();
    for (at, (name, step)) in steps.iter().enumerate() {
        let is_safe = synced.get(name.as_str()).is_some_and(|sync| at < *sync);
        let is_kept = match step {
            Step::Write(..) | Step::SetLength(_) => is_safe || dice.below(2) == 0,
            _ => true,
        };
        if is_kept {
            files.apply(name, step);
        }
    }
    files
}
