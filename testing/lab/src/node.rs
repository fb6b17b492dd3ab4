//! The real program on a pretended host.

use crate::events::{EventLog, Heard};
use crate::lan::{Host, Lab};
use crate::shell::{Failure, Outcome, output_of};
use serde_json::Value;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a node may take from `up` to its first `listening` line, on a busy machine.
const START_MAX: Duration = Duration::from_secs(10);

/// How a node is to be started, beyond `up --json --state DIR`.
#[derive(Clone, Debug, Default)]
pub struct NodeSpec {
    arguments: Vec<OsString>,
    state: Option<PathBuf>,
    unprivileged: bool,
}

impl NodeSpec {
    /// Adds arguments to `p2pnet up`.
    #[must_use]
    pub fn with(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Uses a state directory that exists already, so that the node keeps its identity.
    #[must_use]
    pub fn in_state(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// Runs without any capability, and as an ordinary user where there is one.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }
}

/// A running `p2pnet up`. Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    process: Child,
    log: EventLog,
    stderr: PathBuf,
    state: PathBuf,
    id: String,
    port: u16,
    spawned: Instant,
}

impl Node {
    /// Starts a node and waits until it listens.
    ///
    /// # Errors
    /// If the program can't be built or started, or says nothing.
    pub fn up(lab: &Lab, host: &Host, spec: &NodeSpec) -> Outcome<Self> {
        let mut node = Self::spawn(lab, host, spec)?;
        node.wait_listening()?;
        Ok(node)
    }

    /// Waits until a spawned node listens, and learns its id.
    ///
    /// # Errors
    /// If it says nothing, or nothing sensible.
    pub fn wait_listening(&mut self) -> Outcome<()> {
        let listening = self.wait("listening", START_MAX, |heard| heard.name() == "listening")?;
        self.id = listening.text("peer").to_owned();
        let address: Result<SocketAddr, _> = listening.text("addr").parse();
        match address {
            Ok(address) if self.id.len() == 64 => self.port = address.port(),
            _ => {
                let odd = Failure::new(format!("odd `listening`: {}", listening.json));
                return Err(self.explain(odd));
            }
        }
        Ok(())
    }

    /// Starts a node without waiting for anything. Its [`id`](Self::id) is empty
    /// until [`wait_listening`](Self::wait_listening).
    ///
    /// # Errors
    /// If the program can't be built or started.
    pub fn spawn(lab: &Lab, host: &Host, spec: &NodeSpec) -> Outcome<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let program = program()?;
        let state = spec.state.clone().unwrap_or_else(|| lab.file(&format!("state{number}")));
        let as_nobody = spec.unprivileged && prepare_for_nobody(lab, &state)?;
        let stderr = lab.file(&format!("stderr{number}"));
        // If this process is killed, the kernel ends the node too.
        let mut command = host.command("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if as_nobody {
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        if spec.unprivileged {
            command.args(["--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"]);
        }
        command.arg("--").arg(program).args(["up", "--json", "--state"]).arg(&state);
        without_settings(&mut command);
        let mut process = command
            .args(&spec.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&stderr)?)
            .spawn()?;
        let spawned = Instant::now();
        let stdout = process.stdout.take().ok_or_else(|| Failure::new("no standard output"))?;
        let log = EventLog::follow(stdout);
        Ok(Self { process, log, stderr, state, id: String::new(), port: 0, spawned })
    }

    /// Its peer id, 64 hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The port that it accepts streams on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The moment its process was started.
    pub fn spawned(&self) -> Instant {
        self.spawned
    }

    /// Its state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Everything that it printed so far.
    pub fn events(&self) -> Vec<Heard> {
        self.log.all()
    }

    /// What it printed so far that `matches`.
    pub fn events_that(&self, matches: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        self.log.that(0, matches)
    }

    /// As [`events_that`](Self::events_that), from `mark` on.
    pub fn events_after(&self, mark: usize, matches: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        self.log.that(mark, matches)
    }

    /// A place in its output: give it to [`wait_after`](Self::wait_after) to ignore what came before.
    pub fn mark(&self) -> usize {
        self.log.mark()
    }

    /// Waits for an event that `matches`, or finds it among those that came already.
    ///
    /// # Errors
    /// If it doesn't come in time; the message shows the last events and the end of the log.
    pub fn wait(
        &self,
        what: &str,
        timeout: Duration,
        matches: impl Fn(&Heard) -> bool,
    ) -> Outcome<Heard> {
        self.wait_after(0, what, timeout, matches)
    }

    /// Waits for an event that `matches` and came after `mark`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_after(
        &self,
        mark: usize,
        what: &str,
        timeout: Duration,
        matches: impl Fn(&Heard) -> bool,
    ) -> Outcome<Heard> {
        self.log.wait(what, mark, timeout, matches).map_err(|failure| self.explain(failure))
    }

    /// Waits for `peer_connected` of that peer.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_connected(&self, peer: &str, timeout: Duration) -> Outcome<Heard> {
        self.wait("peer_connected", timeout, |heard| heard.is("peer_connected", peer))
    }

    /// Waits until that peer is known to be trusted: connected as such, or raised later.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_trusted(&self, peer: &str, timeout: Duration) -> Outcome<Heard> {
        self.wait("trusted peer", timeout, |heard| {
            (heard.is("peer_connected", peer) || heard.is("trust_changed", peer))
                && heard.text("trust") == "trusted"
        })
    }

    /// Waits for that text from that peer.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_message(&self, from: &str, text: &str, timeout: Duration) -> Outcome<Heard> {
        self.wait("message_received", timeout, |heard| {
            heard.is("message_received", from) && heard.text("text") == text
        })
    }

    /// Sends that text to that peer, and waits until it has come out there.
    ///
    /// # Errors
    /// If `send` fails or the text doesn't arrive.
    pub fn say(&self, to: &Self, text: &str, timeout: Duration) -> Outcome<()> {
        self.command(&["send", "--to", to.id(), text])?;
        to.wait_message(self.id(), text, timeout).map(drop)
    }

    /// Whether any event so far `matches`.
    pub fn has_heard(&self, matches: impl Fn(&Heard) -> bool) -> bool {
        self.log.all().iter().any(matches)
    }

    /// Runs `p2pnet ARGUMENTS --state ITS-DIRECTORY`, whatever comes of it.
    ///
    /// # Errors
    /// If the program can't be started.
    pub fn try_command(&self, arguments: &[&str]) -> Outcome<Output> {
        let mut command = Command::new(program()?);
        command.args(arguments).arg("--state").arg(&self.state).stdin(Stdio::null());
        Ok(without_settings(&mut command).output()?)
    }

    /// Runs `p2pnet ARGUMENTS --state ITS-DIRECTORY` and gives its output.
    ///
    /// # Errors
    /// If it ends with another status than 0.
    pub fn command(&self, arguments: &[&str]) -> Outcome<String> {
        let mut command = Command::new(program()?);
        command.args(arguments).arg("--state").arg(&self.state);
        output_of(without_settings(&mut command)).map_err(|failure| self.explain(failure))
    }

    /// What `peers --json` says.
    ///
    /// # Errors
    /// If the command fails or prints no JSON.
    pub fn peers(&self) -> Outcome<Vec<Value>> {
        let text = self.command(&["peers", "--json"])?;
        // One array, or one object a line.
        let values: Vec<Value> = serde_json::Deserializer::from_str(&text)
            .into_iter::<Value>()
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::new(format!("`peers --json` printed {text}: {error}")))?;
        Ok(match values.as_slice() {
            [Value::Array(peers)] => peers.clone(),
            _ => values,
        })
    }

    /// How many descriptors the process holds.
    ///
    /// # Errors
    /// If it is gone.
    pub fn descriptors(&self) -> Outcome<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.process.id()))?.count())
    }

    /// Waits until it holds at most `most` descriptors, and gives how many it does.
    ///
    /// # Errors
    /// If it still holds more when the time is up.
    pub fn wait_descriptors(&self, most: usize, timeout: Duration) -> Outcome<usize> {
        let deadline = Instant::now() + timeout;
        loop {
            let held = self.descriptors()?;
            if held <= most {
                return Ok(held);
            }
            if Instant::now() > deadline {
                return Err(self.explain(Failure::new(format!(
                    "{held} descriptors after {timeout:?}, more than the baseline of {most}"
                ))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Resident memory in KiB.
    ///
    /// # Errors
    /// If it is gone.
    pub fn resident_kib(&self) -> Outcome<u64> {
        self.status_kib("VmRSS:")
    }

    fn status_kib(&self, key: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| Failure::new(format!("no {key} in /proc")))
    }

    /// The most memory that was ever resident, or since [`forget_peak`](Self::forget_peak), in KiB.
    ///
    /// # Errors
    /// If it is gone.
    pub fn peak_kib(&self) -> Outcome<u64> {
        self.status_kib("VmHWM:")
    }

    /// Lets the peak begin anew at what is resident now.
    ///
    /// # Errors
    /// If it is gone.
    pub fn forget_peak(&self) -> Outcome<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")?)
    }

    /// Leaves its standard output unread from now on, or reads it again.
    pub fn pause_reading(&self, pause: bool) {
        self.log.pause(pause);
    }

    /// Lets the process have so many descriptors at once from now on.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn limit_descriptors(&self, most: u64) -> Outcome<()> {
        let limit = format!("--nofile={most}:");
        crate::shell::run("prlimit", &["--pid", &self.process.id().to_string(), &limit]).map(drop)
    }

    /// Stops the process where it stands, or lets it go on.
    ///
    /// # Errors
    /// If it is gone.
    pub fn freeze(&self, freeze: bool) -> Outcome<()> {
        let signal = if freeze { "-STOP" } else { "-CONT" };
        crate::shell::run("kill", &[signal, &self.process.id().to_string()]).map(drop)
    }

    /// How many bytes it has written to standard error.
    ///
    /// # Errors
    /// If that can't be told.
    pub fn logged_bytes(&self) -> Outcome<u64> {
        Ok(std::fs::metadata(&self.stderr)?.len())
    }

    /// The pid of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it as `kill -9` does: no last word to anyone.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn kill(mut self) -> Outcome<PathBuf> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.state.clone())
    }

    /// Ends it by `p2pnet stop` and checks that it left in order: status 0, nothing but events on its output.
    ///
    /// # Errors
    /// If it stays, or leaves in disorder.
    pub fn stop(mut self) -> Outcome<PathBuf> {
        self.command(&["stop"])?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let status = loop {
            if let Some(status) = self.process.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                return Err(self.explain(Failure::new("still running 5 s after `stop`")));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.log.require_clean()?;
        if !status.success() {
            return Err(self.explain(Failure::new(format!("`up` ended with {status}"))));
        }
        Ok(self.state.clone())
    }

    /// Fails if the process has ended.
    ///
    /// # Errors
    /// With its status and last words.
    pub fn require_alive(&mut self) -> Outcome<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.explain(Failure::new(format!("the node ended: {status}")))),
        }
    }

    /// Adds who this is and the end of its log to a failure.
    fn explain(&self, failure: Failure) -> Failure {
        let log = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(15));
        let shown: String = last.map(|line| format!("  {line}\n")).collect();
        let name = self.id.get(..8).unwrap_or("(new)");
        Failure::new(format!("node {name}: {failure}standard error ends:\n{shown}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs `p2pnet ARGUMENTS`, a command that needs no node, and gives its output.
///
/// # Errors
/// If it can't be built or started, or ends with another status than 0.
pub fn run_program(arguments: &[&str]) -> Outcome<String> {
    output_of(without_settings(Command::new(program()?).args(arguments)))
}

/// Keeps a person's own settings out of a test.
fn without_settings(command: &mut Command) -> &mut Command {
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("P2PNET_") {
            command.env_remove(key);
        }
    }
    command.env_remove("XDG_STATE_HOME")
}

/// Makes `state` writable, and the way to it passable, for the user that unprivileged nodes run as; false if there is
/// no other user, as in a user namespace of one's own, where a node without capabilities has to do.
fn prepare_for_nobody(lab: &Lab, state: &Path) -> Outcome<bool> {
    use std::os::unix::fs::{PermissionsExt, chown};
    std::fs::set_permissions(lab.directory(), std::fs::Permissions::from_mode(0o711))?;
    std::fs::create_dir_all(state)?;
    std::fs::set_permissions(state, std::fs::Permissions::from_mode(0o700))?;
    match chown(state, Some(65534), Some(65534)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The program under test: `$P2PNET_BIN`, or else one built here and now, so that it is never stale.
///
/// # Errors
/// If the build fails.
pub fn program() -> Outcome<PathBuf> {
    static PROGRAM: OnceLock<Outcome<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(find_program).clone()
}

fn find_program() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("P2PNET_BIN") {
        let path = PathBuf::from(path);
        return path.canonicalize().map_err(|error| {
            Failure::new(format!("P2PNET_BIN names {}: {error}", path.display()))
        });
    }
    // target/<profile>/deps/<this test>, or target/<profile>/<this program>
    let own = std::env::current_exe()?;
    let profile_directory = own
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps"))
        .ok_or_else(|| Failure::new("can't tell the build directory"))?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "p2pnet", "--bin", "p2pnet"]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if profile_directory.ends_with("release") {
        cargo.arg("--release");
    }
    output_of(&mut cargo)?;
    Ok(profile_directory.join("p2pnet"))
}
