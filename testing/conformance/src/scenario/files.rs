//! Files from node to node, and what becomes of them when either stops.

use crate::nodes::{On, at, connected, quiet, until};
use crate::soon::Soon as _;
use p2pnet_driver::protocol::{
    Config, Event, FileAcceptance, FileError, FileId, RefusalReason, TransferState,
};
use p2pnet_driver::storage::{MemoryMappedFileManager, Options};
use p2pnet_driver::{Builder, Events, Handle};
use std::path::Path;

/// A node that keeps files in `store`.
fn keeper(spawn: crate::nodes::Spawn, config: Config, store: &Path) -> (Handle, Events) {
    let manager = MemoryMappedFileManager::open(store, Options::default()).unwrap();
    spawn(Builder::new(config).file_manager(manager)).unwrap()
}

fn taking(accept: FileAcceptance) -> Config {
    let mut config = quiet();
    config.files.accept = accept;
    config
}

/// Bytes that no two places of a file have in common.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64 / 8 + 1)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(length)
        .collect()
}

/// The place of the file that arrives next.
#[track_caller]
fn received(events: &mut Events) -> String {
    until(events, |event| match event {
        Event::FileReceived { file, place, sha256, .. } => {
            assert_eq!(*sha256, file.sha256);
            Some(place.clone())
        }
        Event::FileFailed { error, .. } => panic!("{error}"),
        _ => None,
    })
}

/// A file is offered and arrives as it is, and its sender is told; one that the receiver has is got by name.
pub fn files_go_both_ways(on: On, _: &str) {
    let here = tempfile::tempdir().unwrap();
    let there = tempfile::tempdir().unwrap();
    let (a, mut a_events) = keeper(on.here, taking(FileAcceptance::Ask), here.path());
    let (b, mut b_events) = keeper(on.there, taking(FileAcceptance::Trusted), there.path());
    a.connect(at(&b), None).soon().unwrap();
    connected(&mut a_events);
    connected(&mut b_events);
    let bytes = content(5_000_001);
    let path = here.path().join("five million");
    std::fs::write(&path, &bytes).unwrap();
    let ticket = a.offer_file(path.to_str().unwrap(), vec![b.id()]).soon().unwrap();
    let place = received(&mut b_events);
    assert!(std::fs::read(place).unwrap() == bytes, "what came is what went");
    until(&mut a_events, |event| matches!(event, Event::FileSent { .. }).then_some(()));
    let record = a.file_record(ticket).unwrap();
    assert!(record.is_over());
    assert_eq!((record.peers[0].peer, record.peers[0].outcome), (b.id(), Some(Ok(()))));
    let other = content(300_000);
    std::fs::write(there.path().join("other"), &other).unwrap();
    let ticket = a.fetch_file("other", vec![b.id()]).soon().unwrap();
    let place = received(&mut a_events);
    assert!(std::fs::read(&place).unwrap() == other, "what came is what was asked for");
    assert_eq!(a.file_record(ticket).and_then(|record| record.stored).unwrap().place, place);
    assert_eq!(a.transfers().soon().unwrap(), []);
    let names: Vec<String> = a.stored_files().unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["five million", "other"]);
}

/// What can't be had or isn't wanted is told at both ends.
pub fn files_that_fail_say_why(on: On, _: &str) {
    let there = tempfile::tempdir().unwrap();
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = keeper(on.there, taking(FileAcceptance::Ask), there.path());
    a.connect(at(&b), None).soon().unwrap();
    connected(&mut a_events);
    connected(&mut b_events);
    let not_opened = |events: &mut Events| {
        until(events, |event| match event {
            Event::FileNotOpened { error, .. } => Some(*error),
            _ => None,
        })
    };
    a.offer_file("/nowhere/nothing", vec![b.id()]).soon().unwrap();
    assert_eq!(not_opened(&mut a_events), FileError::NotFound);
    a.offer_file("/", vec![b.id()]).soon().unwrap();
    assert_eq!(not_opened(&mut a_events), FileError::NotAFile);
    a.fetch_file("nothing", vec![b.id()]).soon().unwrap();
    assert!(matches!(not_opened(&mut a_events), FileError::Gone(_)));
    // A node without a store takes no files.
    std::fs::write(there.path().join("x"), b"x").unwrap();
    a.fetch_file("x", vec![b.id()]).soon().unwrap();
    let failed = |events: &mut Events| {
        until(events, |event| match event {
            Event::FileFailed { error, .. } => Some(*error),
            _ => None,
        })
    };
    assert_eq!(failed(&mut a_events), FileError::NoFileManager);
    // One that is refused.
    let path = there.path().join("x");
    a.offer_file(path.to_str().unwrap(), vec![b.id()]).soon().unwrap();
    let offered: FileId = until(&mut b_events, |event| match event {
        Event::FileOffered { file, .. } => Some(file.id),
        _ => None,
    });
    assert_eq!(b.transfers().soon().unwrap()[0].state, TransferState::Offered);
    b.refuse_file(offered).soon().unwrap();
    assert_eq!(failed(&mut a_events), FileError::Refused(RefusalReason::Declined));
}

/// The receiver ends in the midst of a file and starts again: it goes on where it was, by itself.
pub fn a_file_goes_on_after_a_restart(on: On, _: &str) {
    let [here, there, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let bytes = content(40 << 20);
    let path = here.path().join("large");
    std::fs::write(&path, &bytes).unwrap();
    let start = || {
        let manager = MemoryMappedFileManager::open(there.path(), Options::default()).unwrap();
        let config = taking(FileAcceptance::Trusted);
        (on.there)(Builder::new(config).file_manager(manager).state_dir(state.path())).unwrap()
    };
    let (a, mut a_events) = on.here(quiet());
    let (b, mut b_events) = start();
    a.connect(at(&b), None).soon().unwrap();
    connected(&mut a_events);
    a.offer_file(path.to_str().unwrap(), vec![b.id()]).soon().unwrap();
    until(&mut b_events, |event| match event {
        Event::FileProgress { done_bytes, .. } if *done_bytes > 0 => Some(()),
        Event::FileReceived { .. } => panic!("it was over before it could be stopped"),
        _ => None,
    });
    b.shutdown().soon().unwrap();
    drop((b, b_events));
    let (b, mut b_events) = start();
    a.connect(at(&b), None).soon().unwrap();
    let first = until(&mut b_events, |event| match event {
        Event::FileProgress { done_bytes, .. } => Some(*done_bytes),
        _ => None,
    });
    assert!(first > 64 << 10, "it went on, and didn't begin anew: {first}");
    assert!(std::fs::read(received(&mut b_events)).unwrap() == bytes);
    assert_eq!(b.stored_files().unwrap().len(), 1);
}
