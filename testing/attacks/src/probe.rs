//! The honest peer's messages to the victim, one every few milliseconds, and how long each took: from the request at the
//! one node's control socket to the line in the other node's story.

use crate::control::Control;
use p2pnet_lab::{Heard, Node, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From message to message.
const EVERY: Duration = Duration::from_millis(10);
/// A message that takes longer is lost.
const ARRIVES_MAX: Duration = Duration::from_secs(5);

/// What the honest peer felt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Felt {
    /// Messages that its node took.
    pub sent: u64,
    /// Of these: never arrived.
    pub lost: u64,
    /// The middle one's time.
    pub median: Duration,
    /// The time that one in a hundred was over.
    pub p99: Duration,
}

/// Messages under way in a thread of their own.
pub struct Probe {
    name: String,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Outcome<Vec<(String, Instant)>>>,
}

impl Probe {
    /// Begins to send from `from` to `to`; `name` tells these messages from those of other probes.
    ///
    /// # Errors
    /// If `from` takes no commands.
    pub fn start(from: &Node, to: &Node, name: &str) -> Outcome<Self> {
        let mut control = Control::of(from)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (peer, name) = (to.id().to_owned(), format!("probe {name} "));
        let prefix = name.clone();
        let sender = std::thread::spawn(move || {
            let mut sent = Vec::new();
            for number in 0u64.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let text = format!("{prefix}{number}");
                let began = Instant::now();
                if control.send(&peer, &text)? {
                    sent.push((text, began));
                }
                std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
            }
            Ok(sent)
        });
        Ok(Self { name, stop, sender })
    }

    /// Ends it, waits for what is under way, and looks up in `at`'s story when each message came out.
    ///
    /// # Errors
    /// If the sending node took no more commands.
    pub fn finish(self, at: &Node) -> Outcome<Felt> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        if let Some((last, _)) = sent.last() {
            // Lost messages are counted below, whichever they are.
            drop(at.wait("the last message", ARRIVES_MAX, |heard| heard.text("text") == last));
        }
        let arrived: BTreeMap<String, Instant> = at
            .events_that(|heard: &Heard| heard.text("text").starts_with(&self.name))
            .into_iter()
            .map(|heard| (heard.text("text").to_owned(), heard.at))
            .collect();
        let times: Vec<Duration> = sent
            .iter()
            .filter_map(|(text, began)| Some(arrived.get(text)?.saturating_duration_since(*began)))
            .collect();
        Ok(felt(sent.len(), times))
    }
}

fn felt(sent: usize, mut times: Vec<Duration>) -> Felt {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Felt {
        sent: sent as u64,
        lost: sent.saturating_sub(times.len()) as u64,
        median: at(50),
        p99: at(99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_arrive_is_lost_and_the_rest_is_sorted() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let felt = felt(103, times);
        assert_eq!((felt.sent, felt.lost), (103, 3));
        assert_eq!(felt.median, Duration::from_millis(51));
        assert_eq!(felt.p99, Duration::from_millis(100));
    }
}
