//! The real program on loopback, each node with a state directory of its own.
#![allow(dead_code, reason = "each test file uses a part of this")]

use p2pnet_lab::Host;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program, with nothing of this environment.
pub(crate) fn p2pnet<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pnet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("P2PNET_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    p2pnet(arguments).output().expect("the program runs")
}

/// Standard output of a run that must succeed.
pub(crate) fn succeed<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Exit code and standard error of a run that must fail.
pub(crate) fn fail<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> (i32, String) {
    let output = run(arguments);
    let code = output.status.code().expect("no signal");
    assert_ne!(code, 0, "{}", String::from_utf8_lossy(&output.stdout));
    (code, String::from_utf8(output.stderr).expect("text"))
}

/// A temporary place for state directories and files.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file");
        path
    }
}

/// A running node that tells its story in JSON. Dropped, it is killed.
pub(crate) struct Node {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    pub(crate) state: PathBuf,
    pub(crate) id: String,
    pub(crate) addr: String,
}

impl Node {
    /// A node on loopback alone that looks for nobody.
    pub(crate) fn quiet(place: &Place, name: &str, options: &[&str]) -> Self {
        let mut all = vec!["--no-lan", "--listen", "127.0.0.1:0"];
        all.extend(options);
        Self::start(place, name, &all)
    }

    /// A node with these options.
    pub(crate) fn start(place: &Place, name: &str, options: &[&str]) -> Self {
        Self::start_by(p2pnet::<&str>([]), place.path(name), options)
    }

    /// A node on a host of its own, with these options.
    pub(crate) fn start_on(host: &Host, place: &Place, name: &str, options: &[&str]) -> Self {
        Self::start_by(host.command(env!("CARGO_BIN_EXE_p2pnet")), place.path(name), options)
    }

    fn start_by(mut program: Command, state: PathBuf, options: &[&str]) -> Self {
        let mut child = program
            .args(["up", "--json", "--state"])
            .arg(&state)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).expect("one JSON object a line");
                assert!(value["event"].is_string(), "{line}");
                if to.send(value).is_err() {
                    return;
                }
            }
        });
        let empty = String::new();
        let mut node =
            Self { child, lines, seen: Vec::new(), state, id: empty.clone(), addr: empty };
        let listening = node.wait("listening", |_| true);
        node.id = listening["peer"].as_str().expect("an id").into();
        node.addr = listening["addr"].as_str().expect("an address").into();
        node
    }

    /// The next event of this name that fits; what came before is kept in order and found by later calls.
    pub(crate) fn wait(&mut self, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let wanted = |value: &Value| value["event"] == event && fits(value);
        if let Some(at) = self.seen.iter().position(wanted) {
            return self.seen.remove(at);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(value) if wanted(&value) => return value,
                Ok(value) => self.seen.push(value),
                Err(RecvTimeoutError::Timeout) => panic!("no {event} came, but {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the node ended without {event}: {:#?}", self.seen)
                }
            }
        }
    }

    /// Everything that is told up to an event of this name.
    pub(crate) fn wait_and_keep(&mut self, event: &str) -> Vec<Value> {
        let last = self.wait(event, |_| true);
        let mut told = std::mem::take(&mut self.seen);
        told.push(last);
        told
    }

    /// Waits for an event about `peer`.
    pub(crate) fn wait_for(&mut self, event: &str, peer: &Self) -> Value {
        let id = peer.id.clone();
        self.wait(event, move |value| value["peer"] == id.as_str())
    }

    /// What it told and nobody waited for.
    pub(crate) fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// Runs a command on this node.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        p2pnet(arguments).arg("--state").arg(&self.state).output().expect("the program runs")
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Exit code and standard error of a command that must fail.
    pub(crate) fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments);
        let code = output.status.code().expect("no signal");
        assert_ne!(code, 0, "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        (code, String::from_utf8(output.stderr).expect("text"))
    }

    /// Ends it by command and says its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.succeed(&["stop"]);
        self.exit_code()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Stops it in its tracks, and returns once it stands still: `kill` comes back before the last thread has stopped.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
        let deadline = Instant::now() + PATIENCE;
        while !self.stands_still() {
            assert!(Instant::now() < deadline, "it doesn't stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether each of its threads is stopped.
    fn stands_still(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("tasks");
        tasks.filter_map(Result::ok).all(|task| {
            // A thread that ends meanwhile does nothing any more.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { return true };
            // The name in parentheses may hold anything; the state follows it.
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// Waits for its end.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code().expect("it ended by itself");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the node doesn't end");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether two nodes have a channel, told by both.
pub(crate) fn meet(a: &mut Node, b: &mut Node) -> (Value, Value) {
    let here = a.wait_for("peer_connected", b);
    let there = b.wait_for("peer_connected", a);
    (here, there)
}

/// The path as an option's value.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}
