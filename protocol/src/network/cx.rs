//! What every part of a node shares while it handles one input: time, timers, the output queue, bounds, jitter.

use crate::config::Timing;
use crate::id::{ConnId, PeerId};
use crate::io::{Event, Output, Why};
use crate::limits::Limits;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::timers::{TimerKey, Timers};
use alloc::collections::VecDeque;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerFor {
    /// A connection's current phase.
    Phase(ConnId, Why),
    /// The settling of trust, then the end of the application's handshake.
    Settle(ConnId),
    /// A channel that read too fast may go on.
    Resume(ConnId),
    /// A peer shall be dialled.
    Redial(PeerId),
}

impl TimerFor {
    pub(crate) const fn why(self) -> Why {
        match self {
            Self::Phase(_, why) => why,
            Self::Settle(_) => Why::Trust,
            Self::Resume(_) => Why::Report,
            Self::Redial(_) => Why::Redial,
        }
    }
}

pub(crate) struct Cx {
    pub(crate) now: Instant,
    pub(crate) timers: Timers<TimerFor>,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
    pub(crate) jitter: Rng,
    outputs: VecDeque<Output>,
    /// Set when the queue was over its bound, until half of it is drained.
    crowded: bool,
}

impl Cx {
    pub(crate) fn new(now: Instant, limits: Limits, timing: Timing, jitter: Rng) -> Self {
        Self {
            now,
            timers: Timers::default(),
            limits,
            timing,
            jitter,
            outputs: VecDeque::new(),
            crowded: false,
        }
    }

    /// Moves time forward, never back.
    pub(crate) fn at(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(crate) fn arm(&mut self, after: Duration, what: TimerFor) -> TimerKey {
        self.timers.arm(self.now + after, what)
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
        self.crowded |= self.outputs.len() >= self.limits.outputs_max as usize;
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// Whether so many outputs wait that nothing more should be taken in.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.crowded
    }

    pub(crate) fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// The next output, and whether the queue has just stopped being crowded.
    pub(crate) fn pop(&mut self) -> (Option<Output>, bool) {
        let output = self.outputs.pop_front();
        let drained = self.crowded && self.outputs.len() < (self.limits.outputs_max / 2) as usize;
        if drained {
            self.crowded = false;
        }
        if self.outputs.is_empty() && self.outputs.capacity() > 1024 {
            self.outputs = VecDeque::new();
        }
        (output, drained)
    }
}
