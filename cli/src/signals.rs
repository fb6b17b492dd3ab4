//! Signals that end the node: gracefully at first, at once when they are repeated.

use crate::failure::Failure;
use crate::up::End;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

/// The exit code of a node that was told twice to stop, as shells count a death by SIGINT.
const FORCED_EXIT: i32 = 130;

/// Catches signals from now on: the first one asks for the end, a second one is the end.
///
/// # Errors
/// The system doesn't let them be caught.
pub(crate) fn stop_when_told(ask: Sender<End>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("can't catch signals: {error}"));
    let begun = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: a first signal finds the flag unset, and the second ends the program.
        let second = Arc::clone(&begun);
        signal_hook::flag::register_conditional_shutdown(signal, FORCED_EXIT, second)
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&begun)).map_err(failed)?;
    }
    // Whoever says `nohup` wants the node to outlive its terminal.
    let hangup = (!is_hangup_ignored()).then_some(SIGHUP);
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup)).map_err(failed)?;
    let wait = move || {
        if signals.forever().next().is_some() {
            // If nobody waits for it, the end has come already.
            let _ = ask.send(End::Signal);
        }
    };
    let started = std::thread::Builder::new().name("p2pnet-signals".into()).spawn(wait);
    started.map(drop).map_err(failed)
}

/// A flag that Ctrl-C sets from now on; a second one, while it is set, ends the program.
///
/// # Errors
/// The system doesn't let it be caught.
pub(crate) fn interruption() -> Result<Arc<AtomicBool>, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("can't catch signals: {error}"));
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: a first signal finds the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, FORCED_EXIT, Arc::clone(&flag))
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(failed)?;
    }
    Ok(flag)
}

/// Whether this process was started with SIGHUP ignored, as Linux tells in `/proc`.
fn is_hangup_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal n is bit n - 1, and SIGHUP is signal 1.
    mask.is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_seen() {
        assert!(ignores_hangup("Name:\tp2pnet\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangup("Name:\tp2pnet\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
