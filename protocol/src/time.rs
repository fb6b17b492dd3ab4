//! Time as the core sees it: a number that the caller passes in.
//!
//! Two clocks, two types. [`Instant`] is monotonic and drives every timer. [`UnixTime`] is the wall clock; it may be
//! missing, may jump, and is consulted only where a signed validity window demands it.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, Sub};
use serde::{Deserialize, Serialize};

pub use core::time::Duration;

/// A point in monotonic time, in nanoseconds since an origin that the driver chooses.
///
/// Arithmetic is total: it saturates at both ends, so no input can overflow it. An `Option<Instant>` takes no more room
/// than an `Instant`: a node keeps many of them for each peer.
///
/// ```
/// use p2pnet_protocol::{Duration, Instant};
/// let start = Instant::ZERO + Duration::from_millis(5);
/// assert_eq!(start.since(Instant::ZERO), Duration::from_millis(5));
/// assert_eq!(Instant::ZERO.since(start), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Instant {
    /// Nanoseconds since the origin, and one more.
    after: NonZeroU64,
}

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self::from_nanos(0);
    /// The end of time, some 584 years after the origin: later than any deadline.
    pub const FAR_FUTURE: Self = Self::from_nanos(u64::MAX);

    /// The point `nanos` nanoseconds after the origin; the end of time is one nanosecond before `u64::MAX`.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { after: NonZeroU64::MIN.saturating_add(nanos) }
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.after.get().saturating_sub(1)
    }

    /// How long after `earlier` this is; zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_nanos()).finish()
    }
}

impl From<u64> for Instant {
    fn from(nanos: u64) -> Self {
        Self::from_nanos(nanos)
    }
}

impl From<Instant> for u64 {
    fn from(at: Instant) -> Self {
        at.as_nanos()
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        Self::from_nanos(self.as_nanos().saturating_add(nanos(after)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, before: Duration) -> Self {
        Self::from_nanos(self.as_nanos().saturating_sub(nanos(before)))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
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

    #[test]
    fn an_instant_is_its_nanoseconds_and_no_instant_takes_no_room() {
        for nanos in [0, 1, u64::MAX - 1] {
            assert_eq!(Instant::from_nanos(nanos).as_nanos(), nanos);
        }
        assert_eq!(Instant::from_nanos(u64::MAX), Instant::from_nanos(u64::MAX - 1));
        assert_eq!(size_of::<Option<Instant>>(), size_of::<u64>());
    }
}
