//! Time as the core sees it: a number that the caller passes in.
//!
//! Two clocks, two types. [`Instant`] is monotonic and drives every timer. [`UnixTime`] is the wall clock; it may be
//! missing, may jump, and is consulted only where a signed validity window demands it.

use core::ops::{Add, Sub};
use serde::{Deserialize, Serialize};

pub use core::time::Duration;

/// A point in monotonic time, in nanoseconds since an origin that the driver chooses.
///
/// Arithmetic is total: it saturates at both ends, so no input can overflow it.
///
/// ```
/// use p2pnet_protocol::{Duration, Instant};
/// let start = Instant::ZERO + Duration::from_millis(5);
/// assert_eq!(start.since(Instant::ZERO), Duration::from_millis(5));
/// assert_eq!(Instant::ZERO.since(start), Duration::ZERO);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// The end of time: later than any deadline.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(before.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Wall-clock time in seconds since 1970-01-01T00:00:00Z, leap seconds ignored (POSIX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This time plus `seconds`, saturating.
    pub const fn plus_secs(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_total() {
        assert_eq!(Instant::FAR_FUTURE + Duration::MAX, Instant::FAR_FUTURE);
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(UnixTime(u64::MAX).plus_secs(1), UnixTime(u64::MAX));
    }
}
