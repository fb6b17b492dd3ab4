//! `up`: runs a node and tells what happens, until it is stopped.

use crate::args;
use crate::control::{NodeService, Server};
use crate::failure::Failure;
use crate::report::Report;
use crate::settings::{self, Assignment, Layers, Settings};
use crate::story::{self, Line};
use crate::{log, membership, state_path};
use p2pnet_driver::state::StateError;
use p2pnet_driver::{Builder, Events, Handle, StartError, interfaces};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a node that was told twice to stop, as shells count a death by SIGINT.
const FORCED_EXIT: i32 = 130;

/// Runs a node until it is stopped.
///
/// # Errors
/// It could not be started; nothing is left behind then.
pub(crate) fn run(up: &args::Up) -> Result<(), Failure> {
    let mut settings = settle(up)?;
    log::start(&settings.log)?;
    membership::load(&mut settings)?;
    let state = state_path::choose(settings.state.as_deref())?;
    state_path::check(&state)?;

    let network = settings.config.network.clone();
    let lan = settings.config.lan.enabled;
    let stopping = catch_signals()?;
    let (handle, events) = start(settings, &state)?;
    let mut server = Server::start(&state, NodeService(handle.clone()))?;

    let mut report = Report::on_stdout(up.json);
    if report.is_text() {
        eprintln!("This node is {} on the network \"{network}\".", handle.id());
        eprintln!("Its state is in {}. Stop it with Ctrl-C or `p2pnet stop`.", state.display());
    }
    let mut warnings = handle.warnings();
    if lan && !has_network() {
        warnings.push("this host has no network interface that is up, so only its own nodes can meet; p2pnet looks again by itself".into());
    }
    for text in warnings {
        let _ = report.tell(&Line::Warning { text });
    }
    stopping.stop_when_told(handle.clone())?;
    let told = tell(events, &handle, &stopping, &mut report);

    server.close();
    drop(handle);
    state_path::wait_until_free(&state);
    let told = told.and_then(|()| report.tell(&Line::Stopped));
    server.finish();
    match told {
        // Whoever read this has had enough, as with `p2pnet up | head`.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("can't write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells every event. If nobody can be told any more, the node is stopped, and its end awaited all the same.
fn tell(
    mut events: Events,
    handle: &Handle,
    stopping: &Stopping,
    report: &mut Report<io::Stdout>,
) -> io::Result<()> {
    let me = handle.id();
    let mut told = Ok(());
    let mut farewell = false;
    while let Some(event) = events.next_blocking() {
        for line in story::lines(event, me) {
            if told.is_err() {
                break;
            }
            if stopping.begun() && !std::mem::replace(&mut farewell, true) {
                told = report.tell(&Line::Stopping);
            }
            told = told.and_then(|()| report.tell(&line));
            if told.is_err() {
                drop(handle.shutdown());
            }
        }
    }
    told
}

/// Puts the layers together: file, environment, options.
fn settle(up: &args::Up) -> Result<Settings, Failure> {
    let mut layers = Layers::default();
    let named = std::env::var_os("P2PNET_CONFIG").filter(|path| !path.is_empty());
    if let Some(path) = up.config.clone().or_else(|| named.map(PathBuf::from)) {
        layers.push(settings::from_file(&membership::text(&path)?, &path)?);
    }
    layers.push(settings::from_environment(variables()?)?);
    layers.push(options(up)?);
    layers.settle()
}

/// The environment's variables that this program may mean.
pub(crate) fn variables() -> Result<Vec<(String, String)>, Failure> {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with("P2PNET_").then_some((name, value))
    });
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Failure::usage(format!("the variable {name} is no text (UTF-8)"))),
    })
    .collect()
}

/// The options of the command line as values of keys.
fn options(up: &args::Up) -> Result<Vec<Assignment>, Failure> {
    let mut layer = Vec::new();
    for pair in &up.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--set \"{}\" has no =", pair.escape_debug()))
                .fix("write KEY=VALUE, such as --set lan.enabled=false")
        })?;
        layer.push(Assignment::option(key.trim(), value.trim(), "--set")?);
    }
    let mut option = |key: &str, value: Option<String>, name: &'static str| match value {
        Some(value) => Assignment::option(key, value, name).map(|option| layer.push(option)),
        None => Ok(()),
    };
    let path = |path: &Option<PathBuf>, name: &str| match path {
        None => Ok(None),
        Some(path) => match path.to_str() {
            Some(text) if !text.is_empty() => Ok(Some(String::from(text))),
            _ => Err(Failure::usage(format!(
                "{name} \"{}\" is no path that can be used",
                path.display()
            ))),
        },
    };
    let flag = |set: bool, value: &str| set.then(|| String::from(value));
    let level = up.log.clone().or_else(|| up.log_file.as_ref().map(|_| "info".into()));
    option("state", path(&up.state.dir, "--state")?, "--state")?;
    option("network", up.network.clone(), "--network")?;
    option("policy", up.policy.map(|policy| settings::show_name(&policy)), "--policy")?;
    option("membership.secret_file", path(&up.secret, "--secret")?, "--secret")?;
    option("membership.trust_file", path(&up.trust, "--trust")?, "--trust")?;
    option("membership.authority", up.authority.clone(), "--authority")?;
    option(
        "membership.certificate_file",
        path(&up.certificate, "--certificate")?,
        "--certificate",
    )?;
    option("anonymous", flag(up.anonymous, "true"), "--anonymous")?;
    option("listen", flag(!up.listen.is_empty(), &up.listen.join(",")), "--listen")?;
    option("accept_inbound", flag(up.no_inbound, "false"), "--no-inbound")?;
    option("lan.enabled", flag(up.no_lan, "false"), "--no-lan")?;
    option("placement", up.placement.clone(), "--placement")?;
    option("log.filter", level, "--log")?;
    option("log.file", path(&up.log_file, "--log-file")?, "--log-file")?;
    option("log.format", up.log_format.map(|format| settings::show_name(&format)), "--log-format")?;
    Ok(layer)
}

fn start(settings: Settings, state: &Path) -> Result<(Handle, Events), Failure> {
    let mut builder = Builder::new(settings.config).state_dir(state);
    if let Some(ports) = settings.listen_ports {
        builder = builder.listen_ports(ports);
    }
    p2pnet_tokio::run_in_thread(builder).map_err(|error| not_started(&error))
}

fn not_started(error: &StartError) -> Failure {
    match error {
        StartError::Config(_) => Failure::usage(error.to_string()),
        StartError::AddressInUse(at) => Failure::failed(format!("{at} is in use by another program"))
            .fix("choose another address or port with --listen, or port 0 for any that is free"),
        StartError::Listen { .. } => Failure::failed(error.to_string())
            .fix("choose an address of this host with --listen; `p2pnet doctor` lists them"),
        StartError::State(StateError::InUse(path)) => {
            Failure::failed(format!("a node is running already on the state in {}", path.display()))
                .fix("speak to it (`p2pnet peers`), stop it (`p2pnet stop`), or give this one a state of its own with --state DIR")
        }
        StartError::State(StateError::Io { .. }) => Failure::failed(format!("the state: {error}"))
            .fix("see who may write there, or name another state with --state DIR"),
        other => Failure::failed(other.to_string()),
    }
}

fn has_network() -> bool {
    // Who can't look doesn't know better.
    interfaces::scan().map_or(true, |all| {
        all.iter().any(|interface| !interface.loopback && !interface.addresses.is_empty())
    })
}

/// Signals that end the node: gracefully at first, at once when they are repeated.
struct Stopping {
    begun: Arc<AtomicBool>,
    signals: std::sync::Mutex<Option<Signals>>,
}

fn catch_signals() -> Result<Stopping, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("can't catch signals: {error}"));
    let begun = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: a first signal finds the flag unset, and the second ends the program.
        let second = Arc::clone(&begun);
        signal_hook::flag::register_conditional_shutdown(signal, FORCED_EXIT, second)
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&begun)).map_err(failed)?;
    }
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
    Ok(Stopping { begun, signals: std::sync::Mutex::new(Some(signals)) })
}

impl Stopping {
    fn begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Shuts the node down on the first signal, one that came earlier included.
    fn stop_when_told(&self, handle: Handle) -> Result<(), Failure> {
        let signals = self.signals.lock().ok().and_then(|mut signals| signals.take());
        let Some(mut signals) = signals else { return Ok(()) };
        let wait = move || {
            if signals.forever().next().is_some() {
                drop(handle.shutdown());
            }
        };
        let started = std::thread::Builder::new().name("p2pnet-signals".into()).spawn(wait);
        started.map(drop).map_err(|error| Failure::failed(format!("can't start a thread: {error}")))
    }
}
