//! The example programs, as their users run them: two processes on one network, each on another runtime.

use p2pnet_conformance::alone::in_a_network;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Every runtime talks to each of the others.
const PAIRS: [[&str; 2]; 3] = [["tokio", "smol"], ["smol", "mio"], ["mio", "tokio"]];

/// The example's program: `cargo test` builds those of the workspace along with its tests.
fn program(package: &str, example: &str) -> PathBuf {
    // From `target/debug/deps/examples-1234`.
    let built = std::env::current_exe().unwrap();
    let program = built.parent().unwrap().with_file_name("examples").join(example);
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", package, "--example", example]);
        assert!(build.status().unwrap().success(), "{package} has no example {example}");
    }
    program
}

/// A running example.
struct Running {
    name: String,
    process: Child,
    says: Receiver<String>,
}

impl Running {
    fn start(package: &str, example: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program(package, example));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (tell, says) = channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Self { name: example.to_owned(), process, says }
    }

    /// Waits for a line that contains `what`.
    #[track_caller]
    fn hear(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut said = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.says.recv_timeout(left) {
                Ok(line) if line.contains(what) => return,
                Ok(line) => said.push(line),
                Err(_) => panic!("{} never said {what}, but: {said:#?}", self.name),
            }
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends its input, upon which it ends by itself.
    #[track_caller]
    fn end(mut self) {
        drop(self.process.stdin.take());
        let ended = self.process.wait().unwrap();
        assert!(ended.success(), "{}: {ended}", self.name);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One example on two runtimes at a time.
fn pairs(example: &str, arguments: [&[&str]; 2], meeting: impl Fn(Running, Running)) {
    for runtimes in PAIRS {
        let [one, other] = [0, 1].map(|at| {
            let runtime = runtimes[at];
            let (package, example) = (format!("p2pnet-{runtime}"), format!("{runtime}_{example}"));
            Running::start(&package, &example, arguments[at])
        });
        meeting(one, other);
    }
}

#[test]
fn hello() {
    in_a_network("hello", || {
        pairs("hello", [&[], &[]], |one, other| {
            one.hear(r#"b"hello""#);
            other.hear(r#"b"hello""#);
        });
    });
}

#[test]
fn chat() {
    in_a_network("chat", || {
        pairs("chat", [&[], &[]], |mut one, mut other| {
            one.hear("is here");
            other.hear("is here");
            one.tell("good morning");
            other.hear(": good morning");
            other.tell("good evening");
            one.hear(": good evening");
            one.end();
            other.hear("is gone");
            other.end();
        });
    });
}

#[test]
fn handshake() {
    in_a_network("handshake", || {
        pairs("handshake", [&["red", "blue"], &["blue", "red"]], |one, other| {
            one.hear("is trusted");
            other.hear("is trusted");
        });
        pairs("handshake", [&["red", "blue"], &["green", "red"]], |one, _other| {
            one.hear("trust refused");
        });
    });
}

#[test]
fn routine() {
    in_a_network("routine", || {
        pairs("routine", [&[], &[]], |one, other| {
            for running in [&one, &other] {
                running.hear("s since the machine started");
                running.hear("s since the machine started");
            }
        });
    });
}

#[test]
fn handler() {
    in_a_network("handler", || {
        pairs("handler", [&[], &[]], |one, other| {
            for running in [&one, &other] {
                running.hear("said: GOOD MORNING");
            }
        });
    });
}

/// The core driven by hand, in one process.
#[test]
fn blocking() {
    let running = Running::start("p2pnet-protocol", "blocking", &[]);
    running.hear(r#"b"hello""#);
    running.end();
}
