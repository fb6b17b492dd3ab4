//! The host's files, for the core: what it asks is done on threads of their own, in order, and answered by jobs.
//!
//! One thread reads what goes out and one writes what comes in, so that neither waits for the other's disk; a file to be
//! sent is read for its hashes by a third. They are started when they are first needed and end with the node.

mod source;
mod target;

use crate::handle::{Job, Shared};
use p2pnet_protocol::distribution::NAME_BYTES_MAX;
use p2pnet_protocol::{Answer, FileAnswer, FileError, FileHandle, FileRequest, RequestId};
use p2pnet_storage::{Error, FileManager, OutgoingFile, Which};
use source::Source;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use target::Target;

/// The file manager in use, if there is one. It can be replaced while the node runs.
#[derive(Clone, Default)]
pub(crate) struct Manager(Arc<Mutex<Option<Box<dyn FileManager>>>>);

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Manager")
    }
}

impl Manager {
    /// Puts another one in its place; files that are open stay with the one that opened them.
    pub(crate) fn set(&self, manager: Option<Box<dyn FileManager>>) {
        let before =
            std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), manager);
        drop(before);
    }

    pub(crate) fn with<T>(
        &self,
        run: impl FnOnce(&mut dyn FileManager) -> Result<T, Error>,
    ) -> Result<T, FileError> {
        let mut manager = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let manager = manager.as_mut().ok_or(FileError::NoFileManager)?;
        run(&mut **manager).map_err(|error| told(&error))
    }
}

/// What the core is told of a storage's trouble. The log has the rest.
fn told(error: &Error) -> FileError {
    tracing::debug!(target: "p2pnet::files", %error, "a file");
    match error {
        Error::NotFound => FileError::NotFound,
        Error::BadName => FileError::BadName,
        Error::TooLarge { .. } | Error::BadChunkSize { .. } => FileError::TooLarge,
        Error::QuotaExceeded { .. } | Error::TooManyFiles { .. } => FileError::QuotaExceeded,
        Error::DiskFull { .. } => FileError::DiskFull,
        Error::Changed | Error::OutOfRange => FileError::Changed,
        Error::Busy | Error::InUse => FileError::Busy,
        Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => FileError::NotFound,
        Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => FileError::DiskFull,
        Error::Io(error) if error.kind() == std::io::ErrorKind::IsADirectory => FileError::NotAFile,
        _ => FileError::Io,
    }
}

/// A request on its way to a thread.
enum Work {
    Request(RequestId, FileRequest),
    /// A file was read for its hashes.
    Opened(FileHandle, Source),
}

/// Where requests go. Dropping it ends the threads, and waits until what they are at is done: afterwards the file manager
/// is let go of, and another node may open it.
#[derive(Debug)]
pub(crate) struct Files {
    manager: Manager,
    world: World,
    out: Option<Sender<Work>>,
    inward: Option<Sender<Work>>,
    hashing: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads see of the node.
#[derive(Clone, Debug)]
struct World {
    shared: Weak<Shared>,
    over: Arc<AtomicBool>,
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn answer(&self, id: RequestId, answer: Result<FileAnswer, FileError>) {
        if let Some(shared) = self.shared.upgrade() {
            let answer = answer.unwrap_or_else(FileAnswer::Failed);
            shared.leave(Job::Answer(id, Answer::File(answer)));
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.world.over.store(true, Ordering::Relaxed);
        (self.out, self.inward, self.hashing) = (None, None, None);
        for thread in self.threads.drain(..) {
            // One that panicked has nothing open any more.
            let _ = thread.join();
        }
        self.manager.set(None);
    }
}

impl Files {
    pub(crate) fn new(manager: Manager, shared: Weak<Shared>) -> Self {
        let world = World { shared, over: Arc::default() };
        Self { manager, world, out: None, inward: None, hashing: None, threads: Vec::new() }
    }

    /// Does what is asked, sooner or later. The request comes back if that can't be begun.
    pub(crate) fn ask(&mut self, id: RequestId, request: FileRequest) -> Result<(), RequestId> {
        let to = match &request {
            FileRequest::Open { .. } => self.hashing(),
            FileRequest::Read { .. } | FileRequest::Close { .. } => self.out(),
            FileRequest::Begin { .. }
            | FileRequest::Write { .. }
            | FileRequest::Finish { .. }
            | FileRequest::Abort { .. } => self.inward(),
        };
        to.and_then(|to| to.send(Work::Request(id, request)).ok()).ok_or(id)
    }

    fn out(&mut self) -> Option<Sender<Work>> {
        if self.out.is_none() {
            let world = self.world.clone();
            self.out = self.start("p2pnet-files-out", move |work| read_out(&world, &work));
        }
        self.out.clone()
    }

    fn inward(&mut self) -> Option<Sender<Work>> {
        if self.inward.is_none() {
            let (world, manager) = (self.world.clone(), self.manager.clone());
            self.inward =
                self.start("p2pnet-files-in", move |work| write_in(&world, &manager, &work));
        }
        self.inward.clone()
    }

    fn hashing(&mut self) -> Option<Sender<Work>> {
        if self.hashing.is_none() {
            let (world, manager) = (self.world.clone(), self.manager.clone());
            let out = self.out()?;
            self.hashing = self.start("p2pnet-files-hash", move |work| {
                open_files(&world, &manager, &out, &work);
            });
        }
        self.hashing.clone()
    }

    fn start(
        &mut self,
        name: &str,
        run: impl FnOnce(Receiver<Work>) + Send + 'static,
    ) -> Option<Sender<Work>> {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new().name(name.into()).spawn(move || run(receiver));
        self.threads.push(thread.ok()?);
        Some(sender)
    }
}

/// Opens files to be sent, one after the other: that takes as long as reading them.
fn open_files(world: &World, manager: &Manager, out: &Sender<Work>, work: &Receiver<Work>) {
    for work in work {
        if world.is_over() {
            return;
        }
        let Work::Request(id, FileRequest::Open { handle, name, local }) = work else { continue };
        let opened = find(manager, &name, local)
            .and_then(|file| Source::open(file, || !world.is_over()).map_err(|error| told(&error)));
        let found = opened.map(|source| {
            let mut info = source.info().clone();
            info.name = shown_name(&name, &info.name);
            if !local {
                // Whoever asks for it next finds it by its content as well.
                let _ = manager
                    .with(|manager| manager.remember(&name, p2pnet_storage::FileId(info.id.0)));
            }
            // Known to the reader before the core can ask for a chunk.
            let _ = out.send(Work::Opened(handle, source));
            FileAnswer::Opened(info)
        });
        world.answer(id, found);
    }
}

/// What a file is called on the way: the last part of its path.
fn shown_name(asked: &str, stored: &str) -> String {
    let base = Path::new(asked).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut name = base.unwrap_or_else(|| stored.into());
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// The file that is meant: what the application names may be any file, what a peer names is a stored one or none.
fn find(manager: &Manager, name: &str, local: bool) -> Result<Box<dyn OutgoingFile>, FileError> {
    let stored = |which: Which<'_>| manager.with(|manager| manager.get_file(which));
    if !local {
        return stored(Which::Name(name));
    }
    let path = Path::new(name);
    if path.components().count() == 1 && !path.is_absolute() {
        match stored(Which::Name(name)) {
            Err(FileError::NotFound | FileError::NoFileManager | FileError::BadName) => {}
            found => return found,
        }
    }
    let not_a_file = |error| match error {
        FileError::BadName => FileError::NotAFile,
        error => error,
    };
    match manager.with(|manager| manager.open_path(path)) {
        Err(FileError::NoFileManager) => {
            p2pnet_storage::open_path(path).map_err(|error| not_a_file(told(&error)))
        }
        opened => opened.map_err(not_a_file),
    }
}

fn read_out(world: &World, work: &Receiver<Work>) {
    let mut sources: BTreeMap<FileHandle, Source> = BTreeMap::new();
    for work in work {
        if world.is_over() {
            return;
        }
        let (id, request) = match work {
            Work::Opened(handle, source) => {
                sources.insert(handle, source);
                continue;
            }
            Work::Request(id, request) => (id, request),
        };
        let done = match request {
            FileRequest::Read { handle, chunk } => match sources.get_mut(&handle) {
                Some(source) => source.read(chunk).map_err(|error| told(&error)),
                None => Err(FileError::NotFound),
            },
            FileRequest::Close { handle } => {
                sources.remove(&handle);
                Ok(FileAnswer::Done)
            }
            _ => Err(FileError::Io),
        };
        world.answer(id, done);
    }
}

fn write_in(world: &World, manager: &Manager, work: &Receiver<Work>) {
    let mut targets: BTreeMap<FileHandle, Target> = BTreeMap::new();
    for work in work {
        if world.is_over() {
            return;
        }
        let Work::Request(id, request) = work else { continue };
        let done = match request {
            FileRequest::Begin { handle, file } => Target::begin(manager, file).map(|target| {
                let have = target.have();
                targets.insert(handle, target);
                FileAnswer::Begun { have }
            }),
            FileRequest::Write { handle, chunk, bytes } => match targets.get_mut(&handle) {
                Some(target) => target.write(chunk, &bytes).map_err(|error| told(&error)),
                None => Err(FileError::NotFound),
            },
            FileRequest::Finish { handle } => match targets.remove(&handle) {
                Some(target) => target.finish(),
                None => Err(FileError::NotFound),
            },
            FileRequest::Abort { handle } => {
                if let Some(target) = targets.remove(&handle) {
                    target.abort();
                }
                Ok(FileAnswer::Done)
            }
            _ => Err(FileError::Io),
        };
        world.answer(id, done);
    }
}
