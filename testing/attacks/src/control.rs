//! A node's control socket: one JSON object a line, and the counters that `stats` answers with.

use p2pnet_lab::{Failure, Node, Outcome};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a node under attack may take to answer a command.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A connection to a node's control socket.
pub struct Control {
    stream: BufReader<UnixStream>,
}

/// Where `node` takes commands.
pub fn socket_of(node: &Node) -> PathBuf {
    node.state().join("control.sock")
}

impl Control {
    /// Connects to `node`.
    ///
    /// # Errors
    /// If it takes no commands.
    pub fn of(node: &Node) -> Outcome<Self> {
        let stream = UnixStream::connect(socket_of(node))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks one thing, and gives the answer whatever it is.
    ///
    /// # Errors
    /// If none comes.
    pub fn ask(&mut self, request: &Value) -> Outcome<Value> {
        let line = format!("{request}\n");
        self.stream.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer)?;
        serde_json::from_str(&answer)
            .map_err(|error| Failure::new(format!("{request} was answered {answer:?}: {error}")))
    }

    /// Sends a text to a peer, and says whether the node took it.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn send(&mut self, to: &str, text: &str) -> Outcome<bool> {
        let answer = self.ask(&json!({"command": "send", "to": to, "text": text}))?;
        Ok(answer.get("sent").is_some())
    }
}

/// What a node counted.
#[derive(Clone, Debug)]
pub struct Counters(Value);

impl Counters {
    /// What `node` counted so far.
    ///
    /// # Errors
    /// If it gives no answer.
    pub fn of(node: &Node) -> Outcome<Self> {
        let busy = |answer: &Value| answer.get("failed").is_some();
        // A local attacker may hold every place at the control socket for a moment.
        for _ in 0..50 {
            let answer = Control::of(node)?.ask(&json!({"command": "stats"}));
            match answer {
                Ok(answer) if !busy(&answer) => return Ok(Self(answer["stats"].clone())),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        Err(Failure::new("the node's control socket stays busy"))
    }

    /// One of them, such as `node.violations` or `lan.forged`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get(&self, name: &str) -> Outcome<u64> {
        let value = name.split('.').try_fold(&self.0, |value, part| value.get(part));
        value
            .and_then(Value::as_u64)
            .ok_or_else(|| Failure::new(format!("no counter {name} in {}", self.0)))
    }

    /// How much one of them grew since `before`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn since(&self, before: &Self, name: &str) -> Outcome<u64> {
        Ok(self.get(name)?.saturating_sub(before.get(name)?))
    }
}
