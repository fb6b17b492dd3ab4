//! The time, once for each request.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What time it is, by a clock that never goes back and by the one on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Microseconds since the server started.
    pub micros: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
}

impl Now {
    /// Seconds since the server started.
    pub fn tick(self) -> u32 {
        u32::try_from(self.micros / 1_000_000).unwrap_or(u32::MAX)
    }

    /// The second by the first clock at which the wall shows `wall_ms`, if nobody turns its clock.
    pub fn tick_at(self, wall_ms: u64) -> u32 {
        let later_ms = wall_ms.saturating_sub(self.wall_ms);
        let earlier_ms = self.wall_ms.saturating_sub(wall_ms);
        let millis = (self.micros / 1000).saturating_add(later_ms).saturating_sub(earlier_ms);
        u32::try_from(millis.div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// What the wall shows at the second `tick` of the first clock, likewise, in milliseconds.
    pub fn wall_at(self, tick: u32) -> u64 {
        let millis = u64::from(tick) * 1000;
        self.wall_ms.saturating_add(millis).saturating_sub(self.micros / 1000)
    }
}

/// Real clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the clock that never goes back.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            micros: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_tell_the_same_moments() {
        let now = Now { micros: 5_000_000, wall_ms: 1_000_000 };
        assert_eq!(now.tick(), 5);
        assert_eq!(now.tick_at(1_000_000), 5);
        assert_eq!(now.tick_at(1_007_001), 13);
        assert_eq!(now.tick_at(999_000), 4);
        assert_eq!(now.tick_at(0), 0);
        assert_eq!(now.wall_at(5), 1_000_000);
        assert_eq!(now.wall_at(13), 1_008_000);
    }
}
