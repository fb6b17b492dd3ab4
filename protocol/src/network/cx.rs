//! What every part of a node shares while it handles one input: time, timers, the output queue, bounds, jitter.

use crate::config::Timing;
use crate::id::{ConnId, PeerId, TaskId};
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
    /// A certificate that counts on a channel runs out.
    Expiry(ConnId),
    /// A channel that read too fast may go on.
    Resume(ConnId),
    /// A peer shall be dialled.
    Redial(PeerId),
    /// A task of ours is answered by then, or not at all.
    Ticket(TaskId, PeerId),
    /// The application has done a task by then.
    TaskDue(u64),
}

impl TimerFor {
    pub(crate) const fn why(self) -> Why {
        match self {
            Self::Phase(_, why) => why,
            Self::Settle(_) | Self::Expiry(_) => Why::Trust,
            Self::Resume(_) => Why::Report,
            Self::Redial(_) => Why::Redial,
            Self::Ticket(..) | Self::TaskDue(_) => Why::Request,
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
    /// Streams paused by crowding are told to go on, one for each output that is polled: from this connection on.
    resume_from: Option<ConnId>,
    /// The node was crowded once more meanwhile: tell all of them again.
    resume_again: bool,
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
            resume_from: None,
            resume_again: false,
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
        !self.outputs.is_empty() || self.resume_from.is_some()
    }

    /// The next output. When it leaves the queue no longer crowded, paused streams are due to be resumed.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if self.crowded && self.outputs.len() < (self.limits.outputs_max / 2) as usize {
            self.crowded = false;
            match self.resume_from {
                Some(_) => self.resume_again = true,
                None => self.resume_from = Some(ConnId(0)),
            }
        }
        if self.outputs.is_empty() && self.outputs.capacity() > 1024 {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// From which connection on streams have to be resumed; none while the queue is crowded.
    pub(crate) const fn resume_from(&self) -> Option<ConnId> {
        if self.crowded { None } else { self.resume_from }
    }

    /// `conn` was told to go on; none if there was no other to tell.
    pub(crate) fn resumed(&mut self, conn: Option<ConnId>) {
        self.resume_from = match conn {
            Some(ConnId(number)) => Some(ConnId(number.saturating_add(1))),
            None => core::mem::take(&mut self.resume_again).then_some(ConnId(0)),
        };
    }
}
