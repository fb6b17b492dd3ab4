//! Media in memory that write down what happens to them, so that any moment can be looked at again.

use crate::medium::{Medium, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const PAGE: u64 = 4096;

/// The image's name among the files.
pub(super) const IMAGE: &str = "image";

/// A file: the pages that aren't zeros. Copies share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pages: BTreeMap<u64, Arc<[u8; PAGE as usize]>>,
    length: u64,
}

impl Bytes {
    fn write(&mut self, offset: u64, data: &[u8]) {
        let (mut offset, mut rest) = (offset, data);
        while !rest.is_empty() {
            let within = (offset % PAGE) as usize;
            let (piece, later) = rest.split_at(rest.len().min(PAGE as usize - within));
            let page =
                self.pages.entry(offset / PAGE).or_insert_with(|| Arc::new([0; PAGE as usize]));
            Arc::make_mut(page)[within..within + piece.len()].copy_from_slice(piece);
            offset += piece.len() as u64;
            rest = later;
        }
        self.length = self.length.max(offset);
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset + buffer.len() as u64 > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let within = (offset % PAGE) as usize;
            let length = rest.len().min(PAGE as usize - within);
            let (piece, later) = rest.split_at_mut(length);
            match self.pages.get(&(offset / PAGE)) {
                Some(page) => piece.copy_from_slice(&page[within..within + length]),
                None => piece.fill(0),
            }
            offset += length as u64;
            rest = later;
        }
        Ok(())
    }

    fn set_length(&mut self, bytes: u64) {
        if bytes < self.length {
            self.pages.retain(|page, _| page * PAGE < bytes);
            if let Some(last) = self.pages.get_mut(&(bytes / PAGE)) {
                Arc::make_mut(last)[(bytes % PAGE) as usize..].fill(0);
            }
        }
        self.length = bytes;
    }

    /// Writes it to a real file, with holes.
    pub(super) fn save(&self, path: &std::path::Path, from: u64, bytes: u64) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::create(path).unwrap();
        file.set_len(bytes).unwrap();
        for (page, content) in &self.pages {
            if let Some(at) = (page * PAGE).checked_sub(from).filter(|at| *at < bytes) {
                let length = (bytes - at).min(PAGE) as usize;
                file.write_all_at(&content[..length], at).unwrap();
            }
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
    Create,
    Rename(String),
    Remove,
}

/// All files of a machine, as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(pub(super) BTreeMap<String, Bytes>);

impl Files {
    pub(super) fn apply(&mut self, name: &str, step: &Step) {
        match step {
            Step::Write(offset, data) => {
                self.0.entry(name.into()).or_default().write(*offset, data)
            }
            Step::SetLength(bytes) => self.0.entry(name.into()).or_default().set_length(*bytes),
            Step::Sync => {}
            Step::Create => _ = self.0.insert(name.into(), Bytes::default()),
            Step::Rename(to) => {
                let file = self.0.remove(name).unwrap_or_default();
                self.0.insert(to.clone(), file);
            }
            Step::Remove => _ = self.0.remove(name),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    files: Files,
    steps: Vec<(String, Step)>,
}

/// The files, and what happened to them since.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine(Arc<Mutex<Inner>>);

impl Machine {
    pub(super) fn new(files: Files) -> Self {
        Self(Arc::new(Mutex::new(Inner { files, steps: Vec::new() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(super) fn files(&self) -> Files {
        self.inner().files.clone()
    }

    pub(super) fn steps(&self) -> Vec<(String, Step)> {
        self.inner().steps.clone()
    }

    pub(super) fn happened(&self) -> usize {
        self.inner().steps.len()
    }

    fn step(&self, name: &str, step: Step) {
        let mut inner = self.inner();
        inner.files.apply(name, &step);
        inner.steps.push((name.to_owned(), step));
    }

    pub(super) fn image(&self) -> Arc<dyn Medium> {
        Arc::new(OneFile { machine: self.clone(), name: Mutex::new(IMAGE.to_owned()) })
    }
}

#[derive(Debug)]
struct OneFile {
    machine: Machine,
    name: Mutex<String>,
}

impl OneFile {
    fn step(&self, step: Step) -> io::Result<()> {
        self.machine.step(&self.name.lock().unwrap(), step);
        Ok(())
    }
}

impl Medium for OneFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let name = self.name.lock().unwrap();
        match self.machine.inner().files.0.get(&*name) {
            Some(bytes) => bytes.read(offset, buffer),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.step(Step::Write(offset, data.to_vec()))
    }

    fn len(&self) -> io::Result<u64> {
        let name = self.name.lock().unwrap();
        Ok(self.machine.inner().files.0.get(&*name).map_or(0, |bytes| bytes.length))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.step(Step::SetLength(bytes))
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        if self.len()? < offset + bytes { self.set_len(offset + bytes) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.step(Step::Sync)
    }
}

impl Place for Machine {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        if !self.inner().files.0.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(OneFile { machine: self.clone(), name: Mutex::new(name.to_owned()) }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        if self.inner().files.0.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.step(name, Step::Create);
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step(from, Step::Rename(to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.inner().files.0.contains_key(name) {
            self.step(name, Step::Remove);
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names: BTreeSet<String> = self.inner().files.0.keys().cloned().collect();
        Ok(names.into_iter().filter(|name| name != IMAGE).collect())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
