//! How often somebody may ask: by key, by address, by subnet, in a table whose size never changes.
//!
//! Each is a bucket that leaks (the generic cell rate algorithm): one number tells when it will be empty. A bucket that is
//! empty needs no memory. When more are in use than there are cells, the emptiest of those that share a place gives way,
//! so that whoever floods the table with addresses frees nobody who asked too much.

use std::hash::{BuildHasher as _, Hash, RandomState};

/// How often: so many a minute, and so many at once. Nought a minute is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_minute: u32,
    /// At once, after a long silence; one at least.
    pub burst: u32,
}

/// Cells that share a place.
const SHARING: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// Tells those at one place apart.
    mark: u32,
    /// When the bucket will be empty, in microseconds.
    empty_at: u64,
}

/// The buckets.
#[derive(Debug)]
pub struct Rates {
    places: Box<[[Cell; SHARING]]>,
    /// Clients choose their keys, and their addresses within a prefix.
    hasher: RandomState,
}

/// Too often: come again after so many seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften {
    /// Seconds.
    pub retry_after_secs: u32,
}

impl Rates {
    /// A table of at least `cells` buckets, 16 bytes each.
    pub fn new(cells: usize) -> Self {
        let places = cells.div_ceil(SHARING).next_power_of_two();
        Self { places: vec![[Cell::default(); SHARING]; places].into(), hasher: RandomState::new() }
    }

    /// Counts one request by `who` at `now_us` microseconds of any monotonic clock.
    ///
    /// # Errors
    /// [`TooOften`], and then the request doesn't count.
    pub fn ask(&mut self, now_us: u64, who: impl Hash, rate: Rate) -> Result<(), TooOften> {
        if rate.per_minute == 0 {
            return Ok(());
        }
        let hash = self.hasher.hash_one(who);
        let place = hash as usize & (self.places.len() - 1);
        let cell = cell_for(&mut self.places[place], (hash >> 32) as u32);
        let drop_us = 60_000_000 / u64::from(rate.per_minute);
        let depth_us = drop_us * u64::from(rate.burst.max(1) - 1);
        let full_until = cell.empty_at.saturating_sub(depth_us);
        if full_until > now_us {
            let wait_secs = (full_until - now_us).div_ceil(1_000_000);
            return Err(TooOften {
                retry_after_secs: u32::try_from(wait_secs).unwrap_or(u32::MAX),
            });
        }
        cell.empty_at = cell.empty_at.max(now_us) + drop_us;
        Ok(())
    }
}

/// The cell with this mark, or the emptiest, made new.
fn cell_for(cells: &mut [Cell; SHARING], mark: u32) -> &mut Cell {
    let known = cells.iter().position(|cell| cell.mark == mark && cell.empty_at != 0);
    let at = known.unwrap_or_else(|| {
        let emptiest = cells.iter().enumerate().min_by_key(|(_, cell)| cell.empty_at);
        let at = emptiest.map_or(0, |(at, _)| at);
        cells[at] = Cell { mark, empty_at: 0 };
        at
    });
    &mut cells[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const RATE: Rate = Rate { per_minute: 6, burst: 3 };

    #[test]
    fn a_burst_passes_and_then_one_a_period() {
        let mut rates = Rates::new(1024);
        let start = 1000 * SECOND;
        for _ in 0..3 {
            assert_eq!(rates.ask(start, "a", RATE), Ok(()));
        }
        assert_eq!(rates.ask(start, "a", RATE), Err(TooOften { retry_after_secs: 10 }));
        assert_eq!(rates.ask(start + 9 * SECOND, "a", RATE), Err(TooOften { retry_after_secs: 1 }));
        assert_eq!(rates.ask(start + 10 * SECOND, "a", RATE), Ok(()));
        assert!(rates.ask(start + 10 * SECOND, "a", RATE).is_err());
        // After a long silence the burst is there again, and no more than it.
        let later = start + 1000 * SECOND;
        assert_eq!((0..5).filter(|_| rates.ask(later, "a", RATE).is_ok()).count(), 3);
    }

    #[test]
    fn each_has_a_bucket_of_its_own_and_nought_is_no_limit() {
        let mut rates = Rates::new(1024);
        for who in 0..100 {
            assert_eq!(rates.ask(SECOND, who, Rate { per_minute: 1, burst: 1 }), Ok(()));
        }
        assert!(
            (0..100).all(|who| rates.ask(SECOND, who, Rate { per_minute: 1, burst: 1 }).is_err())
        );
        let free = Rate { per_minute: 0, burst: 0 };
        assert!((0..100).all(|_| rates.ask(SECOND, 1, free).is_ok()));
    }

    #[test]
    fn a_flood_of_others_frees_nobody_who_asked_too_much() {
        let mut rates = Rates::new(64);
        let (busy, light) = (Rate { per_minute: 1, burst: 50 }, Rate { per_minute: 60, burst: 1 });
        while rates.ask(SECOND, "greedy", busy).is_ok() {}
        for other in 0..10_000 {
            // Whether these pass isn't the point: they want cells.
            let _ = rates.ask(SECOND, other, light);
        }
        assert!(rates.ask(SECOND, "greedy", busy).is_err());
    }

    #[test]
    fn the_table_never_grows() {
        let mut rates = Rates::new(100);
        let before = rates.places.len();
        (0..100_000).for_each(|who| _ = rates.ask(SECOND, who, RATE));
        assert_eq!((rates.places.len(), before), (16, 16));
    }
}
