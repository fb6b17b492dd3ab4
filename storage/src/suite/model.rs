//! Random operations on a manager and on a model of it, compared after each.

use super::{Rig, content, id, read};
use crate::names::{key, numbered, sanitise};
use crate::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, HashSet};

/// Names that clash with one another in various ways.
const NAMES: [&str; 6] =
    ["a.txt", "A.TXT", "caf\u{e9}", "CAFE\u{301}", "../a.txt", "long name of a file.text"];
const FILES: usize = 5;

#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Begins or resumes a file.
    Begin(usize),
    /// Writes a chunk; the number wraps.
    Write(usize, u64),
    Reject(usize, u64),
    Complete(usize),
    Abort(usize),
    /// Drops the handle.
    Drop(usize),
    Forget(usize),
    Remove(usize),
    /// Drops everything and opens the store again.
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let file = 0..FILES;
    prop_oneof![
        4 => file.clone().prop_map(Begin),
        12 => (file.clone(), 0_u64..8).prop_map(|(file, chunk)| Write(file, chunk)),
        1 => (file.clone(), 0_u64..8).prop_map(|(file, chunk)| Reject(file, chunk)),
        4 => file.clone().prop_map(Complete),
        1 => file.clone().prop_map(Abort),
        2 => file.clone().prop_map(Drop),
        1 => file.clone().prop_map(Forget),
        1 => file.prop_map(Remove),
        1 => Just(Reopen),
    ]
}

/// What file `number` is: sizes around the bounds of sectors, pages and clusters.
fn wanted(number: usize) -> Incoming {
    let size = [0, 511, 4_096, 9_000, 70_000][number % FILES];
    let name = NAMES[number % NAMES.len()].to_owned();
    let chunk_bytes = [512, 512, 1_000, 4_096, 16_384][number % FILES];
    Incoming { name, size, chunk_bytes, id: Some(id(number as u8)) }
}

/// What a manager should be like.
#[derive(Default)]
struct Model {
    /// Complete files: their names, whose content they have.
    complete: BTreeMap<String, usize>,
    /// Which file was completed last under each id.
    known: BTreeMap<usize, String>,
    unfinished: BTreeMap<usize, ChunkSet>,
}

impl Model {
    fn complete(&mut self, number: usize) -> String {
        let taken: HashSet<String> = self.complete.keys().map(|name| key(name)).collect();
        let name = numbered(&sanitise(&wanted(number).name), &taken);
        self.unfinished.remove(&number);
        self.complete.insert(name.clone(), number);
        self.known.insert(number, name.clone());
        name
    }
}

struct Both<R> {
    rig: R,
    manager: Option<Box<dyn FileManager>>,
    handles: BTreeMap<usize, Box<dyn InboundFile>>,
    model: Model,
}

impl<R: Rig> Both<R> {
    fn manager(&mut self) -> &mut dyn FileManager {
        &mut **self.manager.as_mut().unwrap()
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Begin(number) => self.begin(number),
            Operation::Write(number, chunk) => {
                let Some(handle) = self.handles.get_mut(&number) else { return };
                let chunks = handle.received().chunks();
                if chunks > 0 {
                    let content = content(wanted(number).size, number as u8);
                    super::write_chunk(&mut **handle, &content, chunk % chunks);
                    self.model.unfinished.get_mut(&number).unwrap().insert(chunk % chunks);
                }
            }
            Operation::Reject(number, chunk) => {
                let Some(handle) = self.handles.get_mut(&number) else { return };
                handle.reject(chunk).unwrap();
                self.model.unfinished.get_mut(&number).unwrap().remove(chunk);
            }
            Operation::Complete(number) => {
                let Some(handle) = self.handles.remove(&number) else { return };
                let missing = self.model.unfinished[&number].missing();
                match handle.complete() {
                    Ok(info) => {
                        assert_eq!(missing, 0);
                        assert_eq!(info.name, self.model.complete(number));
                    }
                    Err(Error::Incomplete { missing: told }) => assert_eq!(told, missing),
                    Err(error) => panic!("{error:?}"),
                }
            }
            Operation::Abort(number) => {
                let Some(handle) = self.handles.remove(&number) else { return };
                handle.abort().unwrap();
                self.model.unfinished.remove(&number);
            }
            Operation::Drop(number) => drop(self.handles.remove(&number)),
            Operation::Forget(number) => self.forget(number),
            Operation::Remove(number) => {
                let Some(name) = self.model.complete.keys().nth(number).cloned() else { return };
                self.manager().remove(&name).unwrap();
                self.model.complete.remove(&name);
                self.model.known.retain(|_, known| *known != name);
            }
            Operation::Reopen => {
                self.handles.clear();
                self.manager = None;
                self.rig.check();
                self.manager = Some(self.rig.open());
            }
        }
    }

    fn begin(&mut self, number: usize) {
        let result = self.manager().inbound(&wanted(number));
        if self.handles.contains_key(&number) {
            assert!(matches!(result, Err(Error::Busy)));
            return;
        }
        let wanted = wanted(number);
        let fresh = ChunkSet::new(wanted.size, wanted.chunk_bytes).unwrap();
        let expected = self.model.unfinished.entry(number).or_insert(fresh);
        let handle = result.unwrap();
        assert_eq!(handle.received(), expected);
        self.handles.insert(number, handle);
    }

    fn forget(&mut self, number: usize) {
        let result = self.manager().forget(id(number as u8));
        if self.handles.contains_key(&number) {
            assert!(matches!(result, Err(Error::Busy)));
        } else if self.model.unfinished.remove(&number).is_some() {
            result.unwrap();
        } else {
            assert!(matches!(result, Err(Error::NotFound)));
        }
    }

    fn compare(&mut self) {
        let listed = self.manager().list().unwrap();
        let names: Vec<&String> = listed.iter().map(|info| &info.name).collect();
        assert_eq!(names, self.model.complete.keys().collect::<Vec<_>>());
        for (name, number) in self.model.complete.clone() {
            let expected = content(wanted(number).size, number as u8);
            assert_eq!(read(self.manager(), Which::Name(&name)).unwrap(), expected, "{name}");
        }
        for (number, name) in self.model.known.clone() {
            let found = self.manager().get_file(Which::Id(id(number as u8))).unwrap();
            assert_eq!(found.info().name, name);
        }
        let unfinished = self.manager().unfinished().unwrap();
        let ids: Vec<_> = unfinished.iter().map(|incoming| incoming.id).collect();
        let expected: Vec<_> = self.model.unfinished.keys().map(|n| Some(id(*n as u8))).collect();
        assert_eq!(ids, expected);
        for (number, handle) in &self.handles {
            assert_eq!(handle.received(), &self.model.unfinished[number]);
        }
    }
}

pub(crate) fn random_operations_agree_with_the_model<R: Rig>() {
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let operations = prop::collection::vec(operation(), 1..120);
    let run = |operations: Vec<Operation>| {
        let rig = R::new();
        let manager = Some(rig.open());
        let mut both = Both { rig, manager, handles: BTreeMap::new(), model: Model::default() };
        for operation in operations {
            both.apply(operation);
            both.compare();
        }
        both.apply(Operation::Reopen);
        both.compare();
        Ok(())
    };
    TestRunner::new(config).run(&operations, run).unwrap();
}
