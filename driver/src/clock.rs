//! The machine's clocks, as the core wants them.

use p2pnet_protocol::{Duration, Instant, UnixTime};
use std::time::SystemTime;

/// 2025-01-01T00:00:00Z: a wall clock before it was never set.
const PLAUSIBLE_SINCE: u64 = 1_735_689_600;
/// How far the wall clock may drift against the monotonic one before it counts as having jumped.
const JUMP: Duration = Duration::from_secs(2);

/// A monotonic clock that goes on while the machine is suspended, where the system has one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    origin: std::time::Instant,
}

impl Clock {
    /// The clock. Its origin is the same for all clocks of one machine on Linux, and of one node elsewhere.
    #[allow(clippy::new_without_default, reason = "a clock has no default reading")]
    pub fn new() -> Self {
        Self {
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            origin: std::time::Instant::now(),
        }
    }

    /// The time since boot, suspension included.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn now(&self) -> Instant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// The time since this clock was made.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn now(&self) -> Instant {
        let nanos = self.origin.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The wall clock; `None` if it was obviously never set.
    pub fn wall(&self) -> Option<UnixTime> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        (since.as_secs() >= PLAUSIBLE_SINCE).then_some(UnixTime(since.as_secs()))
    }
}

/// Decides when the core should hear the wall clock again: at start, each minute, and after a jump.
#[derive(Debug, Default)]
pub(crate) struct WallFeed {
    last: Option<(Instant, Option<UnixTime>)>,
}

impl WallFeed {
    const PERIOD: Duration = Duration::from_secs(60);

    /// When to look again if nothing happens before.
    pub(crate) fn due(&self) -> Instant {
        self.last.map_or(Instant::ZERO, |(at, _)| at + Self::PERIOD)
    }

    /// What to tell the core now, if anything.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        wall: Option<UnixTime>,
    ) -> Option<Option<UnixTime>> {
        let steady = self.last.is_some_and(|(at, told)| match (told, wall) {
            (None, None) => true,
            (Some(told), Some(wall)) => {
                let expected = told.plus_secs(now.since(at).as_secs());
                expected.0.abs_diff(wall.0) <= JUMP.as_secs()
            }
            _ => false,
        });
        if steady && now < self.due() {
            return None;
        }
        self.last = Some((now, wall));
        Some(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on() {
        let clock = Clock::new();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now().since(before) >= Duration::from_millis(2));
    }

    #[test]
    fn the_wall_clock_is_told_at_start_each_minute_and_after_a_jump() {
        let mut feed = WallFeed::default();
        let start = Instant::ZERO + Duration::from_secs(100);
        let wall = |seconds: u64| Some(UnixTime(2_000_000_000 + seconds));
        assert_eq!(feed.check(start, wall(0)), Some(wall(0)));
        assert_eq!(feed.check(start + Duration::from_secs(30), wall(31)), None);
        assert_eq!(feed.check(start + Duration::from_secs(60), wall(60)), Some(wall(60)));
        let later = start + Duration::from_secs(61);
        assert_eq!(feed.check(later, wall(3600)), Some(wall(3600)), "a jump ahead");
        assert_eq!(feed.check(later, None), Some(None), "a clock that was unset");
        assert_eq!(feed.check(later, None), None);
    }
}
