//! `p2pnet bootstrap`: the server as an operator runs it.
#![cfg(feature = "bootstrap")]

mod common;

use common::{PATIENCE, Place, fail, p2pnet, succeed};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// A server that runs. Dropped, it is killed.
struct Server {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let mut server = Self { child, lines, address: String::new() };
        let line = server.line("listening on ");
        server.address = line.rsplit(' ').next().unwrap().to_owned();
        server
    }

    /// The next line of standard error with `part` in it.
    fn line(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no \"{part}\" in {seen:#?}"),
            }
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        // A refusal's body is a binary record.
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn terminate(&mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().expect("no signal")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_command_serves_and_a_signal_ends_it() {
    let place = Place::new();
    let state = place.path("state");
    let start = || {
        let mut command = p2pnet(["bootstrap", "--listen", "127.0.0.1:0", "--state"]);
        command.arg(&state);
        Server::start(command)
    };
    let mut server = start();
    let key = server.line("with the key");
    assert!(server.get("/health").contains("\"ok\""));
    assert!(server.get("/api/Bootstrap/publicip").ends_with("\r\n\r\n127.0.0.1\n"));
    assert_eq!(server.terminate(), 0);
    // It is the same one when it comes back.
    let server = start();
    assert_eq!(server.line("with the key"), key);
}

#[test]
fn a_block_by_command_reaches_the_running_server_and_is_noted() {
    let place = Place::new();
    let state = place.path("state");
    let state = state.to_str().unwrap();
    let server = Server::start(p2pnet(["bootstrap", "--listen", "127.0.0.1:0", "--state", state]));
    let asked = |server: &Server| server.get("/api/Bootstrap/publicip");
    assert!(asked(&server).contains("200 OK"));
    let said = succeed([
        "bootstrap",
        "block",
        "127.0.0.0/8",
        "--reason",
        "a\u{1b}[31mb",
        "--state",
        state,
    ]);
    assert_eq!(said, "127.0.0.0/8 is blocked.\n");
    let end = Instant::now() + PATIENCE;
    while !asked(&server).contains("403 Forbidden") {
        assert!(Instant::now() < end, "the block doesn't reach the server");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let listed = succeed(["bootstrap", "blocked", "--state", state]);
    assert!(listed.starts_with("127.0.0.0/8") && !listed.contains('\u{1b}'), "{listed}");
    succeed(["bootstrap", "unblock", "127.0.0.0/8", "--state", state]);
    assert_eq!(fail(["bootstrap", "unblock", "127.0.0.0/8", "--state", state]).0, 1);
    let audit = succeed(["bootstrap", "audit", "--state", state]);
    let actions: Vec<&str> =
        audit.lines().map(|line| line.split("  ").nth(2).unwrap_or_default()).collect();
    assert_eq!(actions, ["unblock", "block"], "{audit}");
    assert_eq!(fail(["bootstrap", "block", "nonsense", "--state", state]).0, 2);
}

#[test]
fn the_printed_configuration_loads_unchanged_and_slips_are_explained() {
    let place = Place::new();
    let printed = succeed(["bootstrap", "--print-config"]);
    let file = place.file("server.toml", &printed);
    let file = file.to_str().unwrap();
    assert_eq!(succeed(["bootstrap", "--check", "--config", file]), "The configuration is fine.\n");
    let slip = place.file("slip.toml", printed.replace("drain_secs", "drian_secs"));
    let (code, said) = fail(["bootstrap", "--check", "--config", slip.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(said.contains("unknown field `drian_secs`") && said.contains("try: "), "{said}");
    let json = place.file("appsettings.json", "{\"server\": {\"name\": \"ours\"}}");
    succeed(["bootstrap", "--check", "--config", json.to_str().unwrap()]);
    let check = |name: &str, value: &str| {
        p2pnet(["bootstrap", "--check"]).env(name, value).output().unwrap().status.code()
    };
    assert_eq!(check("P2PNET_BOOTSTRAP_LIMITS_HEADER_SECS", "7"), Some(0));
    assert_eq!(check("P2PNET_BOOTSTRAP_LIMITS_HEADER_SECS", "700"), Some(2));
    assert_eq!(check("P2PNET_BOOTSTRAP_LIMITS_HEADER", "7"), Some(2));
}

#[test]
fn logs_are_plain_or_json_and_tell_no_password() {
    let place = Place::new();
    let state = place.path("state");
    let mut command = p2pnet(["bootstrap", "--listen", "127.0.0.1:0", "--state"]);
    command.arg(&state).env("P2PNET_BOOTSTRAP_LOG_FORMAT", "json");
    let server = Server::start({
        command.env("P2PNET_BOOTSTRAP_LOG_LEVEL", "trace");
        command
    });
    drop(server);
    let mut command = p2pnet(["bootstrap", "--listen", "127.0.0.1:0", "--state"]);
    command.arg(&state).args(["--database", "postgres://u:hunter2@127.0.0.1:1/x"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1") && !said.contains("hunter2"), "{said}");
}
