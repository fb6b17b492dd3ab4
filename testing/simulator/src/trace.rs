//! Recordings: the inputs of one node, and running them again.
//!
//! A recording is a line of JSON that says what the node was made of ([`Head`]), then the inputs of each of its lives in
//! postcard, each with its length before it. Replaying needs no world: a node follows from its configuration, its seeds
//! and its inputs.

use crate::chance::TraceHash;
use crate::host::{Host, Member};
use crate::node;
use crate::provider::{Provider, Real, Simulated};
use crate::queue::HostId;
use crate::scenario::{CryptoKind, Scenario};
use p2pnet_protocol::{BlockTarget, Event, Input, Instant, Output, PeerId};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What begins each life in a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Head {
    /// The format.
    p2pnet_trace: u32,
    scenario: Scenario,
    node: HostId,
    life: u32,
    blocked: Vec<BlockTarget>,
    started: Instant,
}

const VERSION: u32 = 1;
/// No recorded input is longer.
const INPUT_BYTES_MAX: u32 = 16 << 20;

/// Where the inputs of one node go.
#[derive(Clone, Debug)]
pub struct TraceFile {
    node: HostId,
    file: Arc<Mutex<BufWriter<File>>>,
}

impl TraceFile {
    /// Records the inputs of `node` into `file`.
    ///
    /// # Errors
    /// If the file can't be made.
    pub fn create(node: u32, file: &Path) -> io::Result<Self> {
        let file = Arc::new(Mutex::new(BufWriter::new(File::create(file)?)));
        Ok(Self { node, file })
    }

    pub(crate) fn recorder(
        &self,
        scenario: &Scenario,
        node: HostId,
        host: &Host,
        now: Instant,
    ) -> Option<Recorder> {
        if node != self.node {
            return None;
        }
        let recorder = Recorder { file: Arc::clone(&self.file), events: 0 };
        let head = Head {
            p2pnet_trace: VERSION,
            scenario: scenario.clone(),
            node,
            life: host.life,
            blocked: host.blocked.clone(),
            started: now,
        };
        let mut line = serde_json::to_vec(&head).unwrap_or_default();
        line.push(b'\n');
        let mut framed = 0_u32.to_le_bytes().to_vec();
        framed.extend_from_slice(&line);
        recorder.write(&framed);
        Some(recorder)
    }
}

/// Writes down what one node is told.
#[derive(Debug)]
pub(crate) struct Recorder {
    file: Arc<Mutex<BufWriter<File>>>,
    events: u64,
}

impl Recorder {
    pub(crate) fn input(&self, now: Instant, input: &Input) {
        if let Ok(bytes) = postcard::to_stdvec(&(now, input)) {
            let mut framed = u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            self.write(&framed);
        }
    }

    pub(crate) const fn event(&mut self) {
        self.events += 1;
    }

    fn write(&self, bytes: &[u8]) {
        if let Ok(mut file) = self.file.lock() {
            // A full disk shows when the recording is read: it ends too soon.
            let _ = file.write_all(bytes);
        }
    }
}

impl Drop for Recorder {
    /// Closes a life: how many events the node told, so that a replay can tell whether it went the same way.
    fn drop(&mut self) {
        let mut end = u32::MAX.to_le_bytes().to_vec();
        end.extend_from_slice(&self.events.to_le_bytes());
        self.write(&end);
        if let Ok(mut file) = self.file.lock() {
            let _ = file.flush();
        }
    }
}

/// What is wrong with a recording.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceError {
    /// The file can't be read.
    Io(PathBuf, io::Error),
    /// The file is no recording, or not a whole one.
    Malformed(PathBuf, String),
    /// The node went another way than when it was recorded.
    Differs {
        /// Which life.
        life: u32,
        /// Events that were recorded.
        recorded: u64,
        /// Events that the replay told.
        replayed: u64,
    },
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Malformed(path, problem) => {
                write!(f, "{} is no whole recording: {problem}", path.display())
            }
            Self::Differs { life, recorded, replayed } => write!(
                f,
                "life {life} told {replayed} events where {recorded} were recorded: this program differs from the one \
                 that recorded it"
            ),
        }
    }
}

impl std::error::Error for TraceError {}

/// What a replay shows as it goes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Shown<'a> {
    /// A life begins.
    Life {
        /// Which.
        life: u32,
        /// The node's name.
        peer: PeerId,
    },
    /// Something was told to the node.
    Input(Instant, &'a Input),
    /// The node told something.
    Event(Instant, &'a Event),
    /// The node wanted something done, other than told an event.
    Output(Instant, &'a Output),
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Lives of the node.
    pub lives: u32,
    /// Inputs.
    pub inputs: u64,
    /// Events that the node told.
    pub events: u64,
    /// The fingerprint of everything that the node wanted done.
    pub trace_hash: String,
}

/// Runs a recording again.
///
/// # Errors
/// [`TraceError`] if the file can't be read or the node goes another way than it did.
pub fn replay(path: &Path, mut show: impl FnMut(Shown<'_>)) -> Result<Replayed, TraceError> {
    let file = File::open(path).map_err(|error| TraceError::Io(path.to_owned(), error))?;
    let mut from = Reader { file: BufReader::new(file), path: path.to_owned() };
    let mut done = Replayed { lives: 0, inputs: 0, events: 0, trace_hash: String::new() };
    let mut hash = TraceHash::new();
    while let Some(head) = from.head()? {
        done.lives += 1;
        match head.scenario.crypto {
            CryptoKind::Simulated => {
                life::<Simulated>(&mut from, &head, &mut done, &mut hash, &mut show)?;
            }
            CryptoKind::Real => life::<Real>(&mut from, &head, &mut done, &mut hash, &mut show)?,
        }
    }
    if done.lives == 0 {
        return Err(from.malformed("it is empty"));
    }
    done.trace_hash = hash.finish();
    Ok(done)
}

fn life<P: Provider>(
    from: &mut Reader,
    head: &Head,
    done: &mut Replayed,
    hash: &mut TraceHash,
    show: &mut impl FnMut(Shown<'_>),
) -> Result<(), TraceError> {
    let scenario = &head.scenario;
    scenario.validate().map_err(|problem| from.malformed(&problem))?;
    let mut host = Host::new(scenario, head.node, 0, 0);
    host.life = head.life;
    host.blocked.clone_from(&head.blocked);
    let member: Member = host.member;
    let mut node = node::start::<P>(scenario, head.node, &host, head.started)
        .map_err(|problem| from.malformed(&format!("{member:?}: {problem}")))?;
    show(Shown::Life { life: head.life, peer: node.net.id() });
    let mut events = 0;
    loop {
        match from.record()? {
            Record::Input(now, input) => {
                show(Shown::Input(now, &input));
                done.inputs += 1;
                node.net.handle(now, input);
                while let Some(output) = node.net.poll_output() {
                    hash.word(now.as_nanos());
                    match &output {
                        Output::Event(event) => {
                            events += 1;
                            show(Shown::Event(now, event));
                        }
                        other => show(Shown::Output(now, other)),
                    }
                    hash.bytes(format!("{output:?}").as_bytes());
                }
            }
            Record::End(recorded) if recorded == events => break,
            Record::End(recorded) => {
                return Err(TraceError::Differs { life: head.life, recorded, replayed: events });
            }
        }
    }
    done.events += events;
    Ok(())
}

enum Record {
    Input(Instant, Input),
    End(u64),
}

struct Reader {
    file: BufReader<File>,
    path: PathBuf,
}

impl Reader {
    fn malformed(&self, problem: &str) -> TraceError {
        TraceError::Malformed(self.path.clone(), problem.to_owned())
    }

    fn io(&self, error: io::Error) -> TraceError {
        TraceError::Io(self.path.clone(), error)
    }

    /// The head of the next life; `None` at the end of the file.
    fn head(&mut self) -> Result<Option<Head>, TraceError> {
        let mut mark = Vec::new();
        (&mut self.file).take(4).read_to_end(&mut mark).map_err(|error| self.io(error))?;
        if mark.is_empty() {
            return Ok(None);
        }
        if mark != [0; 4] {
            return Err(self.malformed("a life doesn't begin where one should"));
        }
        let mut line = Vec::new();
        let most = u64::from(INPUT_BYTES_MAX);
        (&mut self.file).take(most).read_until(b'\n', &mut line).map_err(|error| self.io(error))?;
        let head: Head =
            serde_json::from_slice(&line).map_err(|error| self.malformed(&error.to_string()))?;
        if head.p2pnet_trace != VERSION {
            return Err(self.malformed(&format!("format {} is unknown", head.p2pnet_trace)));
        }
        Ok(Some(head))
    }

    fn record(&mut self) -> Result<Record, TraceError> {
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "it ends in the middle".to_owned(),
            _ => error.to_string(),
        };
        let mut length = [0; 4];
        let read = self.file.read_exact(&mut length);
        read.map_err(|error| self.malformed(&cut(error)))?;
        let length = u32::from_le_bytes(length);
        if length == u32::MAX {
            let mut count = [0; 8];
            let read = self.file.read_exact(&mut count);
            read.map_err(|error| self.malformed(&cut(error)))?;
            return Ok(Record::End(u64::from_le_bytes(count)));
        }
        if length > INPUT_BYTES_MAX {
            return Err(self.malformed("an input longer than any"));
        }
        let mut bytes = vec![0; length as usize];
        let read = self.file.read_exact(&mut bytes);
        read.map_err(|error| self.malformed(&cut(error)))?;
        let (now, input) =
            postcard::from_bytes(&bytes).map_err(|error| self.malformed(&error.to_string()))?;
        Ok(Record::Input(now, input))
    }
}
