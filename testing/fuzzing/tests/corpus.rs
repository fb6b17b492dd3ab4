//! Every file of every corpus through its target, on stable Rust: what a fuzzer once found stays found.

use p2pnet_fuzzing::{TARGETS, Target, seeds};
use p2pnet_inputs::heap::Counting;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static HEAP: Counting = Counting;

/// All corpora together are small enough to be read over.
const CORPORA_BYTES_MAX: u64 = 600 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| {
        panic!("{}: {error}", directory.display());
    });
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Says which file it was when a target fails.
struct OnPanic(PathBuf);

impl Drop for OnPanic {
    fn drop(&mut self) {
        eprintln!("the input was {}", self.0.display());
    }
}

/// The heap is the whole program's, so only one test at a time may use it.
static HEAP_IN_USE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    HEAP_IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_file_of_every_corpus_passes_its_target() {
    let _alone = alone();
    let mut bytes_all = 0;
    for target in TARGETS {
        let corpus = fuzz().join("corpus").join(target.name);
        let (mut files, mut steps) = (0, 0);
        for name in names(&corpus) {
            let path = corpus.join(name);
            let data = std::fs::read(&path).unwrap();
            bytes_all += data.len() as u64;
            let told = OnPanic(path);
            steps += target.run(&data);
            std::mem::forget(told);
            files += 1;
        }
        println!("{:<16} {files:>4} files {steps:>6} steps", target.name);
        assert!(files > 0 && steps > 0, "{} has an empty corpus", target.name);
    }
    assert!(bytes_all <= CORPORA_BYTES_MAX, "{bytes_all} bytes: minimise the corpora");
}

#[test]
fn each_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let _alone = alone();
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.into()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "each name once");
    assert_eq!(names(&fuzz().join("corpus")), targets);
    let programs = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), programs);
    // Dictionaries are for some.
    assert!(names(&fuzz().join("dictionaries")).is_subset(&targets));
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml lacks {name}");
        assert!(Target::named(name).is_some());
    }
}

#[test]
fn the_corpora_hold_the_seeds_as_they_are_today() {
    let _alone = alone();
    for seed in seeds::all() {
        let path = fuzz().join("corpus").join(seed.target).join(&seed.name);
        let kept = std::fs::read(&path).unwrap_or_default();
        let again = "cargo run -p p2pnet-fuzzing -- seeds fuzz/corpus";
        assert!(kept == seed.bytes, "{} is out of date: {again}", path.display());
    }
}
