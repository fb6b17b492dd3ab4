//! When a frame was captured.

use serde::{Serialize, Serializer};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z. Shown in UTC as RFC 3339 wants it, with microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

const NANOS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 86_400;

impl Timestamp {
    /// From a count of units of which `per_second` make a second, and an offset in seconds. What lies outside of the range
    /// becomes its nearest end.
    pub fn new(units: u64, per_second: u64, offset_seconds: i64) -> Self {
        let (units, per_second) = (u128::from(units), u128::from(per_second.max(1)));
        let nanos = units.saturating_mul(u128::from(NANOS)).checked_div(per_second).unwrap_or(0);
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let offset = i128::from(offset_seconds).saturating_mul(i128::from(NANOS));
        let nanos = nanos.saturating_add(offset).max(0);
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Year, month and day of the proleptic Gregorian calendar: years are counted from March on, so that the leap day
    /// comes last, and in eras of 400 years, each of 146,097 days.
    fn date(self) -> (u64, u64, u64) {
        const ERA_DAYS: u64 = 146_097;
        // Days from 0000-03-01 to 1970-01-01.
        let days = (self.0 / NANOS / DAY_SECONDS).saturating_add(719_468);
        let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
        let leaps = (day / 1460).saturating_sub(day / 36_524).saturating_add(day / 146_096);
        let year = day.saturating_sub(leaps) / 365;
        let before = (year.saturating_mul(365).saturating_add(year / 4)).saturating_sub(year / 100);
        let day = day.saturating_sub(before);
        let month = day.saturating_mul(5).saturating_add(2) / 153;
        let start = month.saturating_mul(153).saturating_add(2) / 5;
        let day = day.saturating_sub(start).saturating_add(1);
        let month = if month < 10 { month.saturating_add(3) } else { month.saturating_sub(9) };
        let year = era.saturating_mul(400).saturating_add(year);
        (year.saturating_add(u64::from(month <= 2)), month, day)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let second = self.0 / NANOS % DAY_SECONDS;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let micros = self.0 % NANOS / 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_on_both_sides_of_leap_days() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_340_954_905, "2012-06-29T07:28:25.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
        ] {
            assert_eq!(Timestamp::new(seconds, 1, 0).to_string(), shown);
        }
        assert_eq!(Timestamp(1_500_001_999).to_string(), "1970-01-01T00:00:01.500001Z");
    }

    #[test]
    fn units_and_offsets_are_applied_and_extremes_stay_in_range() {
        assert_eq!(Timestamp::new(1_500_000, 1_000_000, 2), Timestamp(3_500_000_000));
        assert_eq!(Timestamp::new(5, 1 << 2, 0), Timestamp(1_250_000_000));
        assert_eq!(Timestamp::new(1, 1, -5), Timestamp(0));
        assert_eq!(Timestamp::new(u64::MAX, 1, i64::MAX), Timestamp(u64::MAX));
        assert!(Timestamp(u64::MAX).to_string().starts_with("2554-07-21T"));
        assert_eq!(Timestamp::new(7, 0, 0), Timestamp(7_000_000_000));
    }
}
