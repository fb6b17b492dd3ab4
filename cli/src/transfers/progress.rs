//! How a transfer goes, for a person: a bar with rate and time left on a terminal, a word about waiting elsewhere.

use crate::out::note;
use crate::text::clean;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use p2pnet_driver::FileRecord;
use p2pnet_protocol::{FileDirection, PeerId};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

const WAITING: &str = "{spinner} {msg}";
const GOING: &str =
    "{msg} [{bar:24}] {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
/// After so long without a byte, a person who sees no bar is told what is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Characters of a name that are shown, so that the bar has room beside it.
const NAME_CHARS_MAX: usize = 32;

/// The progress of one transfer.
pub(super) struct Bar {
    bar: ProgressBar,
    name: String,
    begun: Instant,
    going: bool,
    /// Who sees no bar is told once.
    silent: bool,
}

impl Bar {
    /// A bar on standard error, if that is a terminal and not JSON is wanted.
    pub(super) fn new(name: &str, json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = match terminal && !json {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style(WAITING));
        let silent = json || terminal;
        let mut shown: String = clean(name).chars().take(NAME_CHARS_MAX).collect();
        if shown.len() < clean(name).len() {
            shown.push_str("...");
        }
        Self { bar, name: shown, begun: Instant::now(), going: false, silent }
    }

    /// The file is still being read for its hashes, or looked for.
    pub(super) fn show_opening(&mut self, interrupted: bool) {
        let doing = if interrupted { "cancelling" } else { "preparing" };
        self.wait_for(format!("{doing} {}", self.name));
    }

    /// Shows where it is. `absent` are those of its peers that aren't connected.
    pub(super) fn show(&mut self, record: &FileRecord, absent: &[PeerId], interrupted: bool) {
        let (done, total) = amounts(record);
        if interrupted {
            return self.wait_for(format!("cancelling {}", self.name));
        }
        if done == 0 || (absent.len() == record.peers.len() && done < total) {
            return self.wait_for(self.waiting(record, absent));
        }
        if !std::mem::replace(&mut self.going, true) {
            // What was there before doesn't count for the rate.
            self.bar.set_length(total);
            self.bar.set_position(done);
            self.bar.reset_eta();
            self.bar.set_message(self.name.clone());
            self.bar.set_style(style(GOING));
        }
        // Who refused it is no part of the whole any more.
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn waiting(&self, record: &FileRecord, absent: &[PeerId]) -> String {
        let name = &self.name;
        let pending = || record.peers.iter().filter(|peer| peer.outcome.is_none());
        let who = match (pending().next(), pending().count()) {
            (Some(peer), 1) => peer.peer.short().to_string(),
            (_, count) => format!("{count} peers"),
        };
        let gone = pending().all(|peer| absent.contains(&peer.peer));
        match record.direction {
            _ if gone => format!("{name}: waits for {who} to connect"),
            Some(FileDirection::Outgoing) => format!("{name}: offered; waits for {who} to accept"),
            _ => format!("{name}: waits for {who}"),
        }
    }

    fn wait_for(&mut self, what: String) {
        if std::mem::replace(&mut self.going, false) {
            self.bar.set_style(style(WAITING));
        }
        if !self.silent && self.begun.elapsed() > SILENCE_MAX {
            self.silent = true;
            note(format_args!("{what} (Ctrl-C cancels)"));
        }
        self.bar.set_message(what);
        self.bar.tick();
    }

    /// Does something that may print, with the bar out of the way.
    pub(super) fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Bytes that are where they should be, and all of them: over all receivers that may still get it.
fn amounts(record: &FileRecord) -> (u64, u64) {
    let bytes = record.file.as_ref().map_or(0, |file| file.bytes);
    if record.direction == Some(FileDirection::Incoming) {
        return (record.stored_bytes, bytes);
    }
    let getting = || record.peers.iter().filter(|peer| !matches!(peer.outcome, Some(Err(_))));
    let sent = getting().map(|peer| peer.sent_bytes).sum();
    (sent, bytes.saturating_mul(getting().count() as u64))
}

fn style(template: &str) -> ProgressStyle {
    // The templates are tested.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_hold_together() {
        for template in [WAITING, GOING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
