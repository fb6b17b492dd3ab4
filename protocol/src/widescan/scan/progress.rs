//! How a scan goes.

use super::super::probe::ErrorKind;
use super::super::walk::Walk;
use crate::time::Duration;
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// What a scan is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It sends.
    Running,
    /// It was told to wait.
    Paused,
    /// The last probe is out, and replies may come.
    Cooling,
    /// It is over.
    Finished,
}

/// What a scan did, and what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// Probes that went out.
    pub sent: u64,
    /// Targets that answered.
    pub found: u64,
    /// Replies of targets that had answered.
    pub duplicates: u64,
    /// Replies and errors that belong to no probe.
    pub forged: u64,
    /// Errors, by what they say. That there is none means nothing: routers send few.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Probes of other nodes.
    pub adverts: u64,
    /// Requests to be left alone.
    pub opt_outs: u64,
    /// Probes that could not be sent.
    pub send_failures: u64,
    /// Indices that are behind, of this shard.
    pub behind: u128,
    /// Indices that are ahead.
    pub left: u128,
    /// Targets that wait until their network may get a probe.
    pub waiting: usize,
    /// Probes a second at present: less than was asked for where somebody complained.
    pub rate: u32,
    /// How long it has run, pauses included.
    pub elapsed: Duration,
}

impl Progress {
    pub(super) fn new(walk: &Walk) -> Self {
        Self {
            phase: Phase::Running,
            sent: 0,
            found: 0,
            duplicates: 0,
            forged: 0,
            errors: BTreeMap::new(),
            adverts: 0,
            opt_outs: 0,
            send_failures: 0,
            behind: walk.done(),
            left: 0,
            waiting: 0,
            rate: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// How long the rest takes at the present rate, if no network has to be spared: no scan is faster.
    pub fn remaining(&self) -> Duration {
        let indices = self.left.saturating_add(u128::try_from(self.waiting).unwrap_or(0));
        let seconds = indices.checked_div(self.rate.into()).unwrap_or(u128::MAX);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
    }

    /// Targets that answered, out of a million probes.
    pub fn hits_per_million(&self) -> u64 {
        self.found.saturating_mul(1_000_000).checked_div(self.sent).unwrap_or(0)
    }
}
