//! The program's JSON lines, with the moment each was read.

use crate::shell::{Failure, Outcome};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One line that the program printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// When it was read.
    pub at: Instant,
    /// The whole object.
    pub json: Value,
}

impl Heard {
    /// Its `event` key.
    pub fn name(&self) -> &str {
        self.text("event")
    }

    /// The text under `key`, or an empty text.
    pub fn text(&self, key: &str) -> &str {
        self.json.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is the event `name` about `peer`.
    pub fn is(&self, name: &str, peer: &str) -> bool {
        self.name() == name && self.text("peer") == peer
    }
}

/// All lines so far; a thread adds to it until the stream ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLog {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Debug, Default)]
struct Lines {
    heard: Vec<Heard>,
    /// Lines that aren't JSON objects. There must be none.
    garbage: Vec<String>,
    ended: bool,
    /// Nothing more is read for now.
    paused: bool,
}

impl EventLog {
    /// Reads `stream` to its end in a thread.
    pub(crate) fn follow(stream: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                let at = Instant::now();
                let mut lines = writer.lines();
                match serde_json::from_str::<Value>(&line) {
                    Ok(json) if json.is_object() => lines.heard.push(Heard { at, json }),
                    _ => lines.garbage.push(line),
                }
                drop(lines);
                writer.shared.1.notify_all();
                writer.rest();
            }
            writer.lines().ended = true;
            writer.shared.1.notify_all();
        });
        log
    }

    /// A copy of everything so far.
    pub(crate) fn all(&self) -> Vec<Heard> {
        self.lines().heard.clone()
    }

    /// How many lines there are: pass it to [`wait`](Self::wait) to look only at later ones.
    pub(crate) fn mark(&self) -> usize {
        self.lines().heard.len()
    }

    /// Waits for the first line from number `after` on that `matches`.
    pub(crate) fn wait(
        &self,
        what: &str,
        after: usize,
        timeout: Duration,
        matches: impl Fn(&Heard) -> bool,
    ) -> Outcome<Heard> {
        let deadline = Instant::now() + timeout;
        let mut lines = self.lines();
        let mut looked_at = after;
        loop {
            if let Some(found) = lines.heard.iter().skip(looked_at).find(|heard| matches(heard)) {
                return Ok(found.clone());
            }
            looked_at = lines.heard.len().max(after);
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                let why = if lines.ended { "the program ended" } else { "time is up" };
                return Err(Failure::new(format!(
                    "no {what} within {timeout:?} ({why}); heard:\n{}",
                    tail(&lines.heard)
                )));
            }
            let (guard, _) =
                self.shared.1.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner);
            lines = guard;
        }
    }

    /// Leaves the stream unread from the next line on, or reads on.
    pub(crate) fn pause(&self, pause: bool) {
        self.lines().paused = pause;
        self.shared.1.notify_all();
    }

    /// Waits while reading is paused.
    fn rest(&self) {
        let mut lines = self.lines();
        while lines.paused {
            lines = self.shared.1.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The lines from `after` on that `matches`.
    pub(crate) fn that(&self, after: usize, matches: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        let lines = self.lines();
        lines.heard.iter().skip(after).filter(|heard| matches(heard)).cloned().collect()
    }

    /// Fails if anything but JSON objects was printed, or an object without an `event`.
    pub(crate) fn require_clean(&self) -> Outcome<()> {
        let lines = self.lines();
        if let Some(line) = lines.garbage.first() {
            return Err(Failure::new(format!("a line of --json output is no object: {line}")));
        }
        if let Some(odd) = lines.heard.iter().find(|heard| heard.name().is_empty()) {
            return Err(Failure::new(format!("an object without `event`: {}", odd.json)));
        }
        Ok(())
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last lines, for failure messages.
fn tail(heard: &[Heard]) -> String {
    const SHOWN: usize = 25;
    let first = heard.len().saturating_sub(SHOWN);
    heard.iter().skip(first).map(|heard| format!("  {}\n", heard.json)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn lines_are_heard_once_and_in_order() {
        let log = EventLog::follow(&b"{\"event\":\"a\",\"peer\":\"x\"}\n{\"event\":\"b\"}\n"[..]);
        assert!(log.wait("a", 0, SOON, |heard| heard.is("a", "x")).is_ok());
        assert!(log.wait("b", 1, SOON, |heard| heard.name() == "b").is_ok());
        assert!(log.wait("a", 1, SOON, |heard| heard.name() == "a").is_err());
        assert!(log.require_clean().is_ok());
    }

    #[test]
    fn what_is_not_an_event_is_told() {
        let log = EventLog::follow(&b"panicked at\n"[..]);
        let failure = log.wait("a", 0, SOON, |_| true).unwrap_err();
        assert!(failure.to_string().contains("the program ended"), "{failure}");
        assert!(log.require_clean().unwrap_err().to_string().contains("panicked at"));
    }

    #[test]
    fn a_deadline_is_kept() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let log = EventLog::follow(reader);
        let start = Instant::now();
        assert!(log.wait("x", 0, Duration::from_millis(50), |_| true).is_err());
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
