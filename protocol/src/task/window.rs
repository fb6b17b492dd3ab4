//! What was seen before: no task is done twice, and none is forgotten while it could come again.
//!
//! For each issuer the window holds the sequence numbers that were seen and whose tasks are still valid, at most
//! [`SEEN_MAX`](ReplayWindow::SEEN_MAX) of them, and a floor. What is at or below the floor is refused unseen; the floor
//! rises to the lowest number when one more would not fit. So an issuer's tasks may arrive out of order, with gaps of any
//! size between their numbers, and none of them twice.
//!
//! Numbers are dropped when their tasks can't be valid any more, and an issuer with the last of them. Nothing else is ever
//! dropped: when [`Limits::task_issuers_max`](crate::Limits::task_issuers_max) issuers are remembered, the next one is
//! refused, apart from the authority, for whom there is always room.

use super::body::{put_count, read_count};
use super::refusal::TaskRefusal;
use crate::id::PublicKey;
use crate::time::UnixTime;
use crate::wire::codec::{Malformed, Reader};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What was seen of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Nothing at or below this counts any more, and until when; none yet.
    floor: Option<(u64, UnixTime)>,
    /// Sequence numbers, with the time from which their tasks are stale.
    numbers: BTreeMap<u64, UnixTime>,
}

/// What was seen of all issuers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayWindow {
    issuers: BTreeMap<PublicKey, Seen>,
    issuers_max: usize,
    /// The latest time at which it was looked at. A clock that is set back forgets nothing.
    latest: UnixTime,
}

impl ReplayWindow {
    /// The most sequence numbers of one issuer.
    pub const SEEN_MAX: usize = 64;

    /// Nothing seen yet, of at most so many issuers and the authority.
    pub const fn new(issuers_max: usize) -> Self {
        Self { issuers: BTreeMap::new(), issuers_max, latest: UnixTime(0) }
    }

    /// Whether a task of this issuer with this number is new, as far as is known.
    ///
    /// # Errors
    /// [`TaskRefusal::Replayed`].
    pub fn look(&self, issuer: &PublicKey, sequence: u64) -> Result<(), TaskRefusal> {
        let Some(seen) = self.issuers.get(issuer) else { return Ok(()) };
        let below = seen.floor.is_some_and(|(floor, _)| sequence <= floor);
        if below || seen.numbers.contains_key(&sequence) {
            return Err(TaskRefusal::Replayed);
        }
        Ok(())
    }

    /// Notes a task that is valid until `not_after`, so that it is never new again. `now` is the wall clock, `reserved`
    /// whether the issuer has a place of its own.
    ///
    /// # Errors
    /// [`TaskRefusal::Replayed`] or [`TaskRefusal::TooManyIssuers`]; nothing is noted then.
    pub fn note(
        &mut self,
        issuer: &PublicKey,
        sequence: u64,
        not_after: UnixTime,
        now: UnixTime,
        reserved: bool,
    ) -> Result<(), TaskRefusal> {
        self.look(issuer, sequence)?;
        let known = self.issuers.contains_key(issuer);
        if !known && !reserved && self.issuers.len() >= self.issuers_max {
            self.forget(now);
            if self.issuers.len() >= self.issuers_max {
                return Err(TaskRefusal::TooManyIssuers);
            }
        }
        self.latest = self.latest.max(now);
        let latest = self.latest;
        let seen = self.issuers.entry(*issuer).or_default();
        seen.forget(latest);
        // What was forgotten by the clock of `latest` may be valid again if the clock is set back: it counts as long.
        seen.numbers.insert(sequence, not_after);
        if seen.numbers.len() > Self::SEEN_MAX
            && let Some((lowest, until)) = seen.numbers.pop_first()
        {
            let before = seen.floor.map_or(UnixTime(0), |(_, until)| until);
            seen.floor = Some((lowest, until.max(before)));
        }
        Ok(())
    }

    /// Drops what can't be valid any more.
    pub fn forget(&mut self, now: UnixTime) {
        self.latest = self.latest.max(now);
        let latest = self.latest;
        self.issuers.retain(|_, seen| {
            seen.forget(latest);
            seen.floor.is_some() || !seen.numbers.is_empty()
        });
    }

    /// The earliest time by which a task must still be judged: a wall clock that is set back to before what was forgotten
    /// would let it in again.
    pub const fn latest(&self) -> UnixTime {
        self.latest
    }

    /// How many issuers are remembered.
    pub fn len(&self) -> usize {
        self.issuers.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.latest.0.to_be_bytes());
        put_count(out, self.issuers.len());
        for (issuer, seen) in &self.issuers {
            out.extend_from_slice(&issuer.0);
            let (floor, until) = seen.floor.unwrap_or((0, UnixTime(0)));
            out.push(u8::from(seen.floor.is_some()));
            out.extend_from_slice(&floor.to_be_bytes());
            out.extend_from_slice(&until.0.to_be_bytes());
            put_count(out, seen.numbers.len());
            for (number, until) in &seen.numbers {
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&until.0.to_be_bytes());
            }
        }
    }

    /// Reads what [`encode`](Self::encode) wrote. More issuers than `issuers_max` stay until they are forgotten.
    ///
    /// # Errors
    /// [`Malformed`] if it is something else.
    pub fn decode(from: &mut Reader<'_>, issuers_max: usize) -> Result<Self, Malformed> {
        const WHAT: &str = "replay window";
        let mut window = Self::new(issuers_max);
        window.latest = UnixTime(from.u64(WHAT)?);
        let count = from.varint(WHAT)?;
        for _ in 0..count {
            let issuer = PublicKey(from.array(WHAT)?);
            let has_floor = super::body::read_bool(from, WHAT)?;
            let floor = (from.u64(WHAT)?, UnixTime(from.u64(WHAT)?));
            let mut seen = Seen { floor: has_floor.then_some(floor), numbers: BTreeMap::new() };
            for _ in 0..read_count(from, Self::SEEN_MAX, WHAT)? {
                seen.numbers.insert(from.u64(WHAT)?, UnixTime(from.u64(WHAT)?));
            }
            window.issuers.insert(issuer, seen);
        }
        Ok(window)
    }
}

impl Seen {
    fn forget(&mut self, now: UnixTime) {
        self.numbers.retain(|_, until| *until > now);
        if self.floor.is_some_and(|(_, until)| until <= now) {
            self.floor = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    const ISSUER: PublicKey = PublicKey([7; 32]);

    fn again(window: &ReplayWindow) -> ReplayWindow {
        let mut bytes = Vec::new();
        window.encode(&mut bytes);
        let mut from = Reader::new(&bytes);
        let read = ReplayWindow::decode(&mut from, window.issuers_max).unwrap();
        assert!(from.is_empty());
        read
    }

    #[test]
    fn a_number_counts_once_also_after_a_restart() {
        let mut window = ReplayWindow::new(2);
        let note = |window: &mut ReplayWindow, number| {
            window.note(&ISSUER, number, UnixTime(100), UnixTime(10), false)
        };
        assert_eq!(note(&mut window, 5), Ok(()));
        assert_eq!(note(&mut window, 3), Ok(()), "out of order");
        for number in [3, 5] {
            assert_eq!(note(&mut window, number), Err(TaskRefusal::Replayed));
            assert_eq!(note(&mut again(&window), number), Err(TaskRefusal::Replayed));
        }
    }

    #[test]
    fn what_falls_out_of_the_window_is_refused_unseen() {
        let mut window = ReplayWindow::new(1);
        for number in 0..=ReplayWindow::SEEN_MAX as u64 {
            window.note(&ISSUER, 10 * number, UnixTime(100), UnixTime(10), false).unwrap();
        }
        // The lowest was pushed out, and the floor stands there.
        assert_eq!(window.look(&ISSUER, 0), Err(TaskRefusal::Replayed));
        assert_eq!(window.look(&ISSUER, 1), Ok(()));
        window.note(&ISSUER, 5, UnixTime(100), UnixTime(10), false).unwrap();
        assert_eq!(window.look(&ISSUER, 5), Err(TaskRefusal::Replayed));
        assert_eq!(again(&window), window);
    }

    #[test]
    fn a_full_window_refuses_others_and_never_the_authority() {
        let mut window = ReplayWindow::new(2);
        let note = |window: &mut ReplayWindow, byte, until, now, reserved| {
            let issuer = PublicKey([byte; 32]);
            window.note(&issuer, 1, UnixTime(until), UnixTime(now), reserved)
        };
        assert_eq!(note(&mut window, 1, 50, 10, false), Ok(()));
        assert_eq!(note(&mut window, 2, 90, 10, false), Ok(()));
        assert_eq!(note(&mut window, 3, 90, 10, false), Err(TaskRefusal::TooManyIssuers));
        assert_eq!(note(&mut window, 4, 90, 10, true), Ok(()), "the authority");
        // Once what the first had issued is out of time, the place is free; the others are still known.
        assert_eq!(note(&mut window, 2, 90, 60, false), Err(TaskRefusal::Replayed));
        window.forget(UnixTime(60));
        assert_eq!(window.len(), 2);
        assert_eq!(note(&mut window, 2, 90, 60, false), Err(TaskRefusal::Replayed));
    }

    proptest! {
        /// Whatever comes in whatever order, with restarts in between: no number is taken twice while it is valid.
        #[test]
        fn nothing_is_taken_twice(
            steps in prop::collection::vec((0u8..4, 0u64..200, 1u64..60, 0u64..3), 0..400),
        ) {
            let mut window = ReplayWindow::new(3);
            let mut taken = BTreeSet::new();
            let mut now = 0;
            for (issuer, number, valid, pass) in steps {
                now += pass;
                let key = PublicKey([issuer; 32]);
                let until = UnixTime(now + valid);
                if window.note(&key, number, until, UnixTime(now), issuer == 0).is_ok() {
                    // The same number with another window is another task: only one that could still be valid counts.
                    let twice = taken.iter().any(|(k, n, u)| *k == key && *n == number && *u > UnixTime(now));
                    prop_assert!(!twice, "{issuer} {number}");
                    taken.insert((key, number, until));
                }
                if pass == 2 {
                    window = again(&window);
                }
                prop_assert!(window.issuers.values().all(|seen| seen.numbers.len() <= ReplayWindow::SEEN_MAX));
                prop_assert!(window.len() <= 4);
            }
        }
    }
}
