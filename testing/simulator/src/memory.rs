//! What the program takes of the machine's memory, as the system tells it.

use std::sync::OnceLock;

/// What the program took before its first run. Memory that a run gave back is used again by the next one, so later runs
/// are measured against the same.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Watches the resident memory of a run.
#[derive(Debug)]
pub(crate) struct Watch {
    peak: u64,
    calm: [u64; 2],
}

impl Watch {
    pub(crate) fn start() -> Self {
        let now = resident();
        BEFORE.get_or_init(|| now);
        Self { peak: now, calm: [0, 0] }
    }

    pub(crate) fn look(&mut self, calm: bool) {
        let now = resident();
        self.peak = self.peak.max(now);
        if calm {
            if self.calm[0] == 0 {
                self.calm[0] = now;
            }
            self.calm[1] = now;
        }
    }

    /// By how much the program grew at most.
    pub(crate) fn peak_grown(&self) -> u64 {
        self.peak.saturating_sub(BEFORE.get().copied().unwrap_or(0))
    }

    /// What it took when calm began, and at the end.
    pub(crate) const fn calm(&self) -> [u64; 2] {
        self.calm
    }
}

/// Resident bytes; 0 where the system doesn't tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
