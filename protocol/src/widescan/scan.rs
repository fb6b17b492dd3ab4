//! A scan as a state machine: when which probe goes out, and what becomes of what comes back.
//!
//! It touches nothing: time is an argument, probes and findings are outputs, the network is elsewhere.

mod checkpoint;
mod networks;
mod pace;
mod progress;

pub use checkpoint::Checkpoint;
pub use progress::{Phase, Progress};

use super::plan::Plan;
use super::probe::{Advert, ErrorKind, Heard, ProbeError, ProbeNote, Reply};
use super::range::{AddressRange, RangeSet};
use super::walk::{CursorError, Shard, Walk};
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::net::Ipv6Addr;
use networks::Networks;
use pace::Pace;

/// How a scan behaves. The rate has no default: whoever scans must say how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanConfig {
    /// Probes a second, at least 1.
    pub rate: u32,
    /// Probes a second to one /48 at most, at least 1.
    pub network_rate: u32,
    /// How many /48s are remembered, for what they get and what they said: about 60 bytes each.
    pub networks_max: usize,
    /// How many targets may wait until their /48 may get a probe: about 100 bytes each. When so many do, the scan waits too.
    pub waiting_max: usize,
    /// After how many errors that say "prohibited" a /48 is left alone for good.
    pub prohibitions_max: u32,
    /// How long replies are waited for after the last probe.
    pub cooldown: Duration,
    /// How often a checkpoint comes.
    pub checkpoint_every: Duration,
    /// How many replies are remembered, so that each target is told once: about 30 bytes each. A reply beyond them may be
    /// told again if it comes again.
    pub found_max: usize,
    /// How many other nodes are remembered, so that each is told once; more are counted and not told.
    pub adverts_max: usize,
}

impl ScanConfig {
    /// Careful settings at `rate` probes a second.
    pub fn at_rate(rate: u32) -> Self {
        Self {
            rate: rate.max(1),
            network_rate: 10,
            networks_max: 1 << 16,
            waiting_max: 1 << 12,
            prohibitions_max: 3,
            cooldown: Duration::from_secs(8),
            checkpoint_every: Duration::from_secs(10),
            found_max: 1 << 20,
            adverts_max: 1 << 12,
        }
    }
}

/// What a scan wants done, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanOutput {
    /// Send a probe.
    Probe {
        /// To whom.
        target: Ipv6Addr,
        /// What it shall say.
        note: ProbeNote,
    },
    /// A target answered, for the first time.
    Found {
        /// Who.
        target: Ipv6Addr,
        /// How long that took.
        round_trip: Duration,
    },
    /// Another node was heard, for the first time: a candidate for an authenticated handshake.
    Advert(Advert),
    /// These addresses get no probe from now on, because somebody there doesn't want any.
    LeftAlone(AddressRange),
    /// Keep this: a scan can go on from it.
    Checkpoint(Checkpoint),
    /// The scan is over, and its last checkpoint was told.
    Finished,
}

/// A target whose /48 has had enough for now.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    due: Instant,
    address: u128,
    mark: u32,
}

/// A scan.
///
/// Inputs: [`handle_timeout`](Self::handle_timeout), [`handle_heard`](Self::handle_heard),
/// [`handle_send_failed`](Self::handle_send_failed). Commands: [`pause`](Self::pause), [`go_on`](Self::go_on),
/// [`stop`](Self::stop), [`set_rate`](Self::set_rate), [`leave_alone`](Self::leave_alone). Outputs:
/// [`poll_output`](Self::poll_output) until there is none, then sleep until [`poll_timeout`](Self::poll_timeout).
///
/// ```
/// use p2pnet_protocol::{Duration, Instant};
/// use p2pnet_protocol::widescan::{
///     Checkpoint, Heard, Order, Phase, Plan, Progress, Reply, Scan, ScanConfig, ScanOutput, Shard, SpaceLimits, Targets,
/// };
/// let mut targets = Targets::new();
/// targets.add("2a00:1::/126".parse().unwrap());
/// let plan = Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), Order::Even, 1);
/// let mut now = Instant::ZERO;
/// let mut scan = Scan::new(plan, Shard::default(), ScanConfig::at_rate(1000), now);
/// let mut found = 0;
/// let mut kept: Option<Checkpoint> = None;
/// while let Some(due) = scan.poll_timeout() {
///     now = now.max(due);
///     scan.handle_timeout(now);
///     while let Some(output) = scan.poll_output() {
///         match output {
///             // A network that answers at once.
///             ScanOutput::Probe { target, note } => scan.handle_heard(now, Heard::Reply(Reply { target, note })),
///             ScanOutput::Found { .. } => found += 1,
///             ScanOutput::Checkpoint(checkpoint) => kept = Some(checkpoint),
///             _ => {}
///         }
///     }
/// }
/// let progress: Progress = scan.progress(now);
/// assert_eq!((found, progress.sent, progress.phase), (4, 4, Phase::Finished));
/// assert!(kept.is_some());
/// ```
#[derive(Debug)]
pub struct Scan {
    plan: Plan,
    walk: Walk,
    config: ScanConfig,
    phase: Phase,
    pace: Pace,
    networks: Networks,
    left_alone: RangeSet,
    /// By position in the walk.
    waiting: BTreeMap<u128, Waiting>,
    /// The same by when they are due.
    due: BTreeSet<(Instant, u128)>,
    found: BTreeSet<u128>,
    adverts: BTreeSet<u128>,
    outputs: VecDeque<ScanOutput>,
    began: Instant,
    now: Instant,
    checkpoint_at: Instant,
    /// When everything is over, once the last probe is out.
    cool_until: Option<Instant>,
    counts: Progress,
}

/// At most so many indices are looked at in one call.
const LOOKS_MAX: u32 = 4096;

impl Scan {
    /// A scan from the beginning, which sends its first probe as soon as it is driven.
    pub fn new(plan: Plan, shard: Shard, config: ScanConfig, now: Instant) -> Self {
        let walk = Walk::new(&plan, shard);
        Self::at(plan, walk, config, now)
    }

    fn at(plan: Plan, walk: Walk, config: ScanConfig, now: Instant) -> Self {
        Self {
            pace: Pace::new(config.rate, now),
            networks: Networks::new(config.network_rate, config.networks_max),
            counts: Progress::new(&walk),
            plan,
            walk,
            config,
            phase: Phase::Running,
            left_alone: RangeSet::new(),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            found: BTreeSet::new(),
            adverts: BTreeSet::new(),
            outputs: VecDeque::new(),
            began: now,
            now,
            checkpoint_at: now + config.checkpoint_every,
            cool_until: None,
        }
    }

    /// Goes on from a checkpoint. What was found or left alone before isn't known any more: who keeps a list of opt-outs gives
    /// it again.
    ///
    /// # Errors
    /// [`CursorError::OtherPlan`] if it belongs to another plan; [`CursorError::Malformed`] if it names targets that can't be
    /// waiting.
    pub fn resume(
        plan: Plan,
        checkpoint: &Checkpoint,
        config: ScanConfig,
        now: Instant,
    ) -> Result<Self, CursorError> {
        let walk = checkpoint.cursor.resume(&plan)?;
        let mut scan = Self::at(plan, walk, config, now);
        for position in &checkpoint.waiting {
            let mut there = Walk::new(&scan.plan, checkpoint.cursor.shard());
            there.skip(*position);
            let behind =
                there.is_finished() || (!walk.is_finished() && there.done() >= walk.done());
            if behind || scan.waiting.len() >= config.waiting_max.max(1) {
                return Err(CursorError::Malformed);
            }
            if let Some((mark, address)) = there.next(&scan.plan, &scan.left_alone) {
                scan.wait(*position, Waiting { due: now, address, mark });
            }
        }
        Ok(scan)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The next thing to do or tell.
    pub fn poll_output(&mut self) -> Option<ScanOutput> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next: none when the scan is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.outputs.is_empty() {
            return Some(self.now);
        }
        match self.phase {
            Phase::Finished => None,
            Phase::Paused => Some(self.checkpoint_at),
            Phase::Cooling => self.cool_until.or(Some(self.now)),
            Phase::Running => {
                let blocked =
                    self.walk.is_finished() || self.waiting.len() >= self.config.waiting_max.max(1);
                let due = self.due.first().map(|(due, _)| *due).filter(|_| blocked);
                Some(self.pace.next().max(due.unwrap_or(Instant::ZERO)).min(self.checkpoint_at))
            }
        }
    }

    /// It is `now`. Early and late calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        if matches!(self.phase, Phase::Running | Phase::Paused) && now >= self.checkpoint_at {
            self.tell_checkpoint();
        }
        match self.phase {
            Phase::Running => self.send(now),
            Phase::Cooling if self.cool_until.is_none_or(|until| now >= until) => self.finish(),
            Phase::Cooling | Phase::Paused | Phase::Finished => {}
        }
    }

    fn send(&mut self, now: Instant) {
        self.pace.count(now);
        let mut looks = 0u32;
        while looks < LOOKS_MAX && self.pace.has_probe() {
            looks = looks.saturating_add(1);
            if let Some(waited) = self.waited(now) {
                self.offer(waited.address, waited.mark, now);
                continue;
            }
            if self.walk.is_finished() || self.waiting.len() >= self.config.waiting_max.max(1) {
                break;
            }
            let position = self.walk.done();
            if let Some((mark, address)) = self.walk.next(&self.plan, &self.left_alone) {
                match self.networks.ready_at(address, now) {
                    Some(due) => self.wait(position, Waiting { due, address, mark }),
                    None => self.offer(address, mark, now),
                }
            }
        }
        if self.walk.is_finished() && self.waiting.is_empty() {
            self.phase = Phase::Cooling;
            self.cool_until = Some(now + self.config.cooldown);
        }
    }

    /// A target whose time has come, unless it was left alone meanwhile.
    fn waited(&mut self, now: Instant) -> Option<Waiting> {
        loop {
            let (due, position) = *self.due.first().filter(|(due, _)| *due <= now)?;
            self.due.remove(&(due, position));
            let mut waiting = self.waiting.remove(&position)?;
            if self.left_alone.holds(waiting.address) {
                continue;
            }
            match self.networks.ready_at(waiting.address, now) {
                // Others of its network were first.
                Some(later) => {
                    waiting.due = later;
                    self.wait(position, waiting);
                }
                None => return Some(waiting),
            }
        }
    }

    fn wait(&mut self, position: u128, waiting: Waiting) {
        self.due.insert((waiting.due, position));
        self.waiting.insert(position, waiting);
    }

    fn offer(&mut self, address: u128, mark: u32, now: Instant) {
        self.pace.take();
        self.networks.sent(address, now);
        self.counts.sent = self.counts.sent.saturating_add(1);
        let note = ProbeNote { attempt: 0, mark, sent_ms: self.clock_ms(now) };
        self.outputs.push_back(ScanOutput::Probe { target: Ipv6Addr::from_bits(address), note });
    }

    /// Milliseconds since the scan began; wraps.
    fn clock_ms(&self, now: Instant) -> u32 {
        now.since(self.began).as_millis() as u32
    }

    /// Something was heard, as [`Prober::hear`](super::Prober::hear) tells.
    pub fn handle_heard(&mut self, now: Instant, heard: Heard) {
        self.now = self.now.max(now);
        let now = self.now;
        match heard {
            Heard::Reply(reply) => self.reply(&reply, now),
            Heard::Error(error) => self.error(&error, now),
            Heard::Advert(advert) => self.advert(advert),
            Heard::OptOut(target) => {
                self.counts.opt_outs = self.counts.opt_outs.saturating_add(1);
                self.leave_network(target);
            }
            Heard::Forged => self.counts.forged = self.counts.forged.saturating_add(1),
            Heard::Other => {}
        }
    }

    fn reply(&mut self, reply: &Reply, now: Instant) {
        // The tag says that this scan's key made the probe; a scan before this one may have had the same key.
        if self.plan.index_of(reply.target).is_none() {
            self.counts.forged = self.counts.forged.saturating_add(1);
            return;
        }
        let address = reply.target.to_bits();
        if self.found.contains(&address) {
            self.counts.duplicates = self.counts.duplicates.saturating_add(1);
            return;
        }
        if self.found.len() < self.config.found_max {
            self.found.insert(address);
        }
        self.counts.found = self.counts.found.saturating_add(1);
        let millis = self.clock_ms(now).wrapping_sub(reply.note.sent_ms);
        let round_trip = Duration::from_millis(millis.into());
        self.outputs.push_back(ScanOutput::Found { target: reply.target, round_trip });
    }

    fn error(&mut self, error: &ProbeError, now: Instant) {
        if self.plan.index_of(error.target).is_none() {
            self.counts.forged = self.counts.forged.saturating_add(1);
            return;
        }
        let errors = &mut self.counts.errors;
        let count = errors.entry(error.kind).or_insert(0);
        *count = count.saturating_add(1);
        if error.kind != ErrorKind::Prohibited {
            return;
        }
        let prohibitions = self.networks.prohibited(error.target.to_bits(), now);
        if prohibitions >= self.config.prohibitions_max.max(1) {
            self.leave_network(error.target);
        } else {
            self.pace.slower(now);
        }
    }

    fn advert(&mut self, advert: Advert) {
        self.counts.adverts = self.counts.adverts.saturating_add(1);
        if self.adverts.len() < self.config.adverts_max
            && self.adverts.insert(advert.from.to_bits())
        {
            self.outputs.push_back(ScanOutput::Advert(advert));
        }
    }

    /// A probe to `target` could not be sent for want of room: the scan slows down. The probe counts as sent.
    pub fn handle_send_failed(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.counts.send_failures = self.counts.send_failures.saturating_add(1);
        self.pace.slower(self.now);
    }

    fn leave_network(&mut self, target: Ipv6Addr) {
        if let Ok(network) = AddressRange::prefix(target, networks::LENGTH) {
            self.leave_alone(network);
        }
    }

    /// These addresses get no probe from now on. Nothing else changes.
    pub fn leave_alone(&mut self, range: AddressRange) {
        if self.left_alone.outside(range).next().is_some() {
            self.left_alone.insert(range);
            self.outputs.push_back(ScanOutput::LeftAlone(range));
        }
    }

    /// Sends nothing until [`go_on`](Self::go_on); replies are still taken.
    pub fn pause(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.phase == Phase::Running {
            self.phase = Phase::Paused;
            self.tell_checkpoint();
        }
    }

    /// Goes on after a pause, without catching up.
    pub fn go_on(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.phase == Phase::Paused {
            self.phase = Phase::Running;
            self.pace.restart(self.now);
        }
    }

    /// Sends nothing any more; ends after the cooldown. The checkpoint holds what is left.
    pub fn stop(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if matches!(self.phase, Phase::Running | Phase::Paused) {
            self.phase = Phase::Cooling;
            self.cool_until = Some(self.now + self.config.cooldown);
        }
    }

    /// Another rate from now on, at least 1.
    pub fn set_rate(&mut self, rate: u32, now: Instant) {
        self.now = self.now.max(now);
        self.pace.set(rate, self.now);
    }

    fn tell_checkpoint(&mut self) {
        self.checkpoint_at = self.now + self.config.checkpoint_every;
        self.outputs.push_back(ScanOutput::Checkpoint(self.checkpoint()));
    }

    /// Where the scan is.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            cursor: self.walk.cursor(&self.plan),
            waiting: self.waiting.keys().copied().collect(),
        }
    }

    fn finish(&mut self) {
        self.tell_checkpoint();
        self.phase = Phase::Finished;
        self.outputs.push_back(ScanOutput::Finished);
    }

    /// How it goes.
    pub fn progress(&self, now: Instant) -> Progress {
        let mut progress = self.counts.clone();
        progress.phase = self.phase;
        progress.behind = self.walk.done();
        progress.left = self.walk.left().map_or(0, |left| left.saturating_add(1));
        progress.waiting = self.waiting.len();
        progress.rate = self.pace.rate();
        progress.elapsed = now.since(self.began);
        progress
    }
}

#[cfg(test)]
mod tests;
