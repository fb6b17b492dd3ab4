//! `up`: runs a node and tells what happens, until it is stopped.
//!
//! Three threads share the work: this one waits for a wish to stop and sees it through, one tells the story and may be
//! held up by whoever reads it, and the node runs in a third. So `p2pnet stop` works although nobody reads any more.

use crate::args;
use crate::control::{NodeService, Server};
use crate::failure::Failure;
use crate::out::note;
use crate::report::Report;
use crate::settings::Settings;
use crate::story::{Line, Story};
use crate::{log, membership, options, signals, state_path, store};
use p2pnet_driver::state::StateError;
use p2pnet_driver::{Builder, Events, Handle, StartError, interfaces};
use rustix::process::{Resource, Rlimit};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Why the node shall end, or that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A signal said so.
    Signal,
    /// `p2pnet stop` said so.
    Command,
    /// There is nobody left to tell.
    Unheard,
    /// It ended by itself.
    Over,
}

/// Where the story goes, shared by those who tell it.
type SharedReport = Arc<Mutex<Report<io::Stdout>>>;

/// How long the end of the story may wait for whoever reads it.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest request to a node that takes packets of so many bytes: a message with every byte escaped, and its words.
fn request_bytes_max(packet_bytes_max: u32) -> u64 {
    const ESCAPED: u64 = 6;
    const WORDS: u64 = 4096;
    ESCAPED * u64::from(packet_bytes_max) + WORDS
}

/// Runs a node until it is stopped.
///
/// # Errors
/// It could not be started; nothing is left behind then.
pub(crate) fn run(up: &args::Up) -> Result<(), Failure> {
    let mut settings = options::settle(up)?;
    log::start(&settings.log)?;
    membership::load(&mut settings)?;
    let state = state_path::choose(settings.state.as_deref())?;
    state_path::check(&state)?;
    allow_descriptors(settings.config.limits.connections_max);

    let mut warned = std::mem::take(&mut settings.warnings);
    let network = settings.config.network.clone();
    let lan = settings.config.lan.enabled;
    let policy = settings.config.policies.incoming;
    let key_log = settings.key_log_file.clone();
    let request_bytes_max = request_bytes_max(settings.config.limits.packet_bytes_max);
    let (ask, wishes) = channel();
    signals::stop_when_told(ask.clone())?;
    let (handle, events) = start(settings, &state)?;
    let service = NodeService::new(handle.clone(), policy, ask.clone());
    let server = Server::start(&state, request_bytes_max, service)?;

    if let Some(path) = key_log {
        note(format_args!(
            "p2pnet: warning: the keys of every channel go to {}; whoever reads it reads all that is said. Delete it after use.",
            path.display()
        ));
    }
    let mut report = Report::on_stdout(up.json);
    if report.is_text() {
        note(format_args!(
            "This node is {} on the network \"{network}\".\nIts state is in {}. Stop it with Ctrl-C or `p2pnet stop`.",
            handle.id(),
            state.display()
        ));
    }
    warned.extend(warnings(&handle, lan));
    for text in warned {
        // If nobody hears this, the next line will find out.
        let _ = report.tell(&Line::Warning { text });
    }
    let report = Arc::new(Mutex::new(report));
    let teller = tell(events, &handle, Arc::clone(&report), ask)?;
    see_through(handle, &wishes, server, &state, &report, teller)
}

/// Waits for the wish to stop, and sees the end through.
fn see_through(
    handle: Handle,
    wishes: &Receiver<End>,
    mut server: Server,
    state: &Path,
    report: &SharedReport,
    teller: JoinHandle<io::Result<()>>,
) -> Result<(), Failure> {
    let end = wishes.recv().unwrap_or(End::Over);
    let stopping = handle.shutdown();
    if end == End::Signal {
        tell_if_heard(report, &Line::Stopping);
    }
    // If the node has stopped already, so much the better.
    let _ = stopping.wait();
    server.close();
    drop(handle);
    state_path::wait_until_free(state);
    let deadline = Instant::now() + LAST_WORDS_TIMEOUT;
    while !teller.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let told = if teller.is_finished() {
        let told = teller.join().unwrap_or(Ok(()));
        told.and_then(|()| lock(report).tell(&Line::Stopped))
    } else {
        Ok(())
    };
    server.finish();
    if end == End::Over {
        return Err(Failure::failed("the node ended by itself, which it never should")
            .fix("`--log debug` tells what came before; please report it"));
    }
    match told {
        // Whoever read this has had enough, as with `p2pnet up | head`.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("can't write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells every event in a thread of its own, until there are no more or nobody hears them.
fn tell(
    mut events: Events,
    handle: &Handle,
    report: SharedReport,
    ask: Sender<End>,
) -> Result<JoinHandle<io::Result<()>>, Failure> {
    let node = handle.clone();
    let tell = move || {
        let mut told = Ok(());
        let mut story = Story::new(node.id());
        while let Some(event) = events.next_blocking() {
            let under_way = || node.transfers().wait().unwrap_or_default();
            for line in story.lines(event, Instant::now(), under_way) {
                told = lock(&report).tell(&line);
                if told.is_err() {
                    // Dropping the events lets the node go on to its end unheard.
                    let _ = ask.send(End::Unheard);
                    return told;
                }
            }
        }
        let _ = ask.send(End::Over);
        told
    };
    let thread = std::thread::Builder::new().name("p2pnet-story".into()).spawn(tell);
    thread.map_err(|error| Failure::failed(format!("can't start a thread: {error}")))
}

fn lock(report: &SharedReport) -> std::sync::MutexGuard<'_, Report<io::Stdout>> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a line unless whoever reads the story is holding it up.
fn tell_if_heard(report: &SharedReport, line: &Line) {
    for _ in 0..100 {
        if let Ok(mut report) = report.try_lock() {
            let _ = report.tell(line);
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the node does without.
fn warnings(handle: &Handle, lan: bool) -> Vec<String> {
    let mut warnings = handle.warnings();
    if lan && !has_network() {
        warnings.push(
            "no network interface but loopback is up and has an address, so only this host's nodes can meet; \
             p2pnet looks again by itself"
                .into(),
        );
    }
    warnings
}

fn start(settings: Settings, state: &Path) -> Result<(Handle, Events), Failure> {
    let builder = Builder::new(settings.config).state_dir(state);
    let mut builder = store::open(builder, &settings.store, state)?;
    if let Some(ports) = &settings.listen_ports {
        builder = builder.listen_ports(ports.clone());
    }
    if let Some(path) = &settings.key_log_file {
        builder = builder.key_log(path);
    }
    settings.runtime.run(builder).map_err(|error| match (&error, &settings.listen_ports) {
        (StartError::AddressInUse(at), Some(ports)) if at.port() == 0 => {
            let (first, last) = (ports.start(), ports.end());
            Failure::failed(format!("no port from {first} to {last} is free for {}", at.ip()))
                .fix("end a program that holds one, or choose other ports with listen_ports")
        }
        _ => not_started(&error),
    })
}

fn not_started(error: &StartError) -> Failure {
    let reason = match error {
        StartError::Runtime(error) | StartError::Listen { error, .. } => Some(error),
        StartError::State(StateError::Io { error, .. }) => Some(&**error),
        _ => None,
    };
    if reason.is_some_and(is_out_of_descriptors) {
        return out_of_descriptors(error.to_string());
    }
    match error {
        StartError::Config(_) => Failure::usage(error.to_string()),
        StartError::AddressInUse(at) => {
            Failure::failed(format!("{at} is in use by another program"))
                .fix("choose another address or port with --listen, or port 0 for any that is free")
        }
        StartError::Listen { .. } => Failure::failed(error.to_string())
            .fix("choose an address of this host with --listen; `p2pnet doctor` lists them"),
        StartError::KeyLog { .. } => {
            Failure::failed(error.to_string()).fix("name another file with --keylog, or none")
        }
        StartError::State(StateError::InUse(path)) => store::state_in_use(path),
        StartError::State(StateError::ForeignOwner { .. } | StateError::Exposed { .. }) => {
            Failure::failed(error.to_string())
                .fix("see whose it should be, or name another state with --state DIR")
        }
        StartError::State(StateError::Io { .. }) => {
            Failure::failed(format!("can't use the state directory: {error}"))
                .fix("see who may write there, or name another state with --state DIR")
        }
        other => Failure::failed(other.to_string()),
    }
}

/// What is said where descriptors are lacking.
pub(crate) fn out_of_descriptors(problem: String) -> Failure {
    Failure::failed(problem)
        .fix("allow more open files (`ulimit -n 1024`), or end programs that hold many")
}

/// Whether this process, or the host, has no more descriptors to give.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Raises the soft limit on open files to what the connections want, as far as the hard one lets it.
pub(crate) fn allow_descriptors(connections_max: u32) {
    /// Listeners, designated ports, files and the like.
    const OTHERS: u64 = 64;
    let wanted = u64::from(connections_max) + OTHERS;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        // A node with fewer descriptors still works: it turns connections away sooner.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    }
}

fn has_network() -> bool {
    // Who can't look doesn't know better.
    interfaces::scan().map_or(true, |all| {
        all.iter().any(|interface| !interface.loopback && !interface.addresses.is_empty())
    })
}
