//! Named routines: what runs again and again (`NetworkRoutines`).
//!
//! A running routine is due at the points of a grid that starts when it was started, so it never drifts; jitter moves a
//! run around its grid point and leaves the grid as it is. Who wakes up late runs a routine once and goes on at the next
//! grid point.

pub mod discern_peer_channels;
pub mod rotate_broadcast_port;

use crate::error::CommandError;
use crate::io::RoutineChange;
use crate::limits::Limits;
use crate::network::RoutineView;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

/// The shortest interval of a routine.
pub const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// The largest jitter of a routine: half the interval, so that runs keep their order.
pub const JITTER_PERCENT_MAX: u8 = 50;
/// The longest name of a routine.
pub const NAME_BYTES_MAX: usize = 64;

/// A routine whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send beacons to another designated port.
    RotateBroadcastPort,
    /// End blocked and idle channels.
    DiscernPeerChannels,
    /// One of the application's own, by name.
    Custom(String),
}

/// All routines of a node, by name. The built-in ones are registered and not started.
#[doc(alias = "NetworkRoutines")]
#[doc(alias = "P2PNetworkRoutines")]
#[derive(Clone, Debug)]
pub struct Routines {
    by_name: BTreeMap<String, Routine>,
    routines_max: usize,
    rng: Rng,
    /// The earliest deadline of all, kept so that asking for it costs nothing.
    next: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Routine {
    action: Action,
    interval: Duration,
    jitter_percent: u8,
    schedule: Option<Schedule>,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    RotateBroadcastPort,
    DiscernPeerChannels,
    Custom,
}

/// When a running routine is due.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// The grid point of the next run.
    grid: Instant,
    /// The grid point moved by jitter.
    at: Instant,
}

impl Routines {
    /// The built-in routines, stopped. Should [`Limits::routines_max`] leave no room for them, they are there all the
    /// same: the bound is on what is added.
    pub fn new(limits: &Limits, rng: Rng) -> Self {
        let built_in =
            |action, interval| Routine { action, interval, jitter_percent: 0, schedule: None };
        let by_name = BTreeMap::from([
            (
                rotate_broadcast_port::NAME.to_owned(),
                built_in(Action::RotateBroadcastPort, rotate_broadcast_port::INTERVAL),
            ),
            (
                discern_peer_channels::NAME.to_owned(),
                built_in(Action::DiscernPeerChannels, discern_peer_channels::INTERVAL),
            ),
        ]);
        let routines_max = usize::try_from(limits.routines_max).unwrap_or(usize::MAX);
        Self { by_name, routines_max, rng, next: None }
    }

    /// Changes the routine `name`. Starting one that runs and stopping one that doesn't are no errors and change
    /// nothing; a new interval counts from now. A built-in routine that was removed may be replaced by one of the
    /// application's own under the same name.
    ///
    /// # Errors
    /// [`CommandError`] if the name is missing, taken or too long, a value is out of its range, or there are too many.
    pub fn apply(
        &mut self,
        now: Instant,
        name: &str,
        change: RoutineChange,
    ) -> Result<(), CommandError> {
        match change {
            RoutineChange::Add { interval, jitter_percent } => {
                self.add(name, interval, jitter_percent)?;
            }
            RoutineChange::Remove => {
                self.by_name.remove(name).ok_or_else(|| missing(name))?;
            }
            RoutineChange::Start => {
                let routine = self.by_name.get_mut(name).ok_or_else(|| missing(name))?;
                if routine.schedule.is_none() {
                    routine.start(now, &mut self.rng);
                }
            }
            RoutineChange::Stop => {
                self.by_name.get_mut(name).ok_or_else(|| missing(name))?.schedule = None;
            }
            RoutineChange::SetInterval(interval) => {
                let routine = self.by_name.get_mut(name).ok_or_else(|| missing(name))?;
                routine.interval = checked_interval(interval)?;
                if routine.schedule.is_some() {
                    routine.start(now, &mut self.rng);
                }
            }
        }
        self.find_next();
        Ok(())
    }

    fn add(
        &mut self,
        name: &str,
        interval: Duration,
        jitter_percent: u8,
    ) -> Result<(), CommandError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(CommandError::OutOfRange("the name of a routine (1 to 64 bytes)"));
        }
        if jitter_percent > JITTER_PERCENT_MAX {
            return Err(CommandError::OutOfRange("the jitter of a routine (0 to 50 percent)"));
        }
        let interval = checked_interval(interval)?;
        if self.by_name.contains_key(name) {
            return Err(CommandError::RoutineExists(name.to_owned()));
        }
        if self.by_name.len() >= self.routines_max {
            return Err(CommandError::LimitReached("limits.routines_max"));
        }
        let routine = Routine { action: Action::Custom, interval, jitter_percent, schedule: None };
        self.by_name.insert(name.to_owned(), routine);
        Ok(())
    }

    /// When [`on_timeout`](Self::on_timeout) has something to do next.
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Appends what is due at `now`, earliest first and by name among equals, each routine once however late it is.
    pub fn on_timeout(&mut self, now: Instant, due: &mut Vec<Due>) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let rng = &mut self.rng;
        let mut fired: Vec<(Instant, Due)> = Vec::new();
        for (name, routine) in &mut self.by_name {
            if let Some(at) = routine.run(now, rng) {
                fired.push((at, routine.action.due(name)));
            }
        }
        fired.sort_by_key(|(at, _)| *at);
        due.extend(fired.into_iter().map(|(_, what)| what));
        self.find_next();
    }

    /// All routines, by name.
    pub fn list(&self) -> Vec<RoutineView> {
        self.by_name.iter().map(|(name, routine)| routine.view(name)).collect()
    }

    /// The routine of this name (`RoutineName`).
    #[doc(alias = "GetRoutine")]
    pub fn get(&self, name: &str) -> Option<RoutineView> {
        self.by_name.get(name).map(|routine| routine.view(name))
    }

    fn find_next(&mut self) {
        let deadlines = self.by_name.values().filter_map(|routine| routine.schedule);
        self.next = deadlines.map(|schedule| schedule.at).min();
    }
}

impl Routine {
    fn start(&mut self, now: Instant, rng: &mut Rng) {
        self.schedule = self.scheduled(now, now + self.interval, rng);
    }

    /// If the routine is due, moves it to the first grid point after `now` and returns when it was due.
    fn run(&mut self, now: Instant, rng: &mut Rng) -> Option<Instant> {
        let Schedule { grid, at } = self.schedule.filter(|schedule| schedule.at <= now)?;
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        // Jitter may run it ahead of its grid point: then the next one is one interval on.
        let late = now.since(grid).as_nanos();
        let missed = u64::try_from(late).unwrap_or(u64::MAX).checked_div(interval).unwrap_or(0);
        let steps = missed.saturating_add(1);
        let next = grid + Duration::from_nanos(interval.saturating_mul(steps));
        self.schedule = self.scheduled(now, next, rng);
        Some(at)
    }

    /// The run at `grid`; none if that lies beyond the end of time.
    fn scheduled(&self, now: Instant, grid: Instant, rng: &mut Rng) -> Option<Schedule> {
        if grid <= now || grid == Instant::FAR_FUTURE {
            return None;
        }
        let jittered = match self.jitter_percent {
            0 => grid,
            percent => (grid - self.interval) + rng.jitter(self.interval, u32::from(percent)),
        };
        Some(Schedule { grid, at: if jittered > now { jittered } else { grid } })
    }

    fn view(&self, name: &str) -> RoutineView {
        RoutineView {
            name: name.to_owned(),
            interval: self.interval,
            running: self.schedule.is_some(),
            custom: matches!(self.action, Action::Custom),
        }
    }
}

impl Action {
    fn due(self, name: &str) -> Due {
        match self {
            Self::RotateBroadcastPort => Due::RotateBroadcastPort,
            Self::DiscernPeerChannels => Due::DiscernPeerChannels,
            Self::Custom => Due::Custom(name.to_owned()),
        }
    }
}

fn missing(name: &str) -> CommandError {
    CommandError::NoSuchRoutine(name.to_owned())
}

fn checked_interval(interval: Duration) -> Result<Duration, CommandError> {
    if interval < INTERVAL_MIN {
        return Err(CommandError::OutOfRange("the interval of a routine (at least 1 ms)"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests;
