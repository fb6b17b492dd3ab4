//! Which beacons of one identity are fresh, compared only with what was heard from it before: no clock is needed.
//!
//! A beacon carries a nonce drawn when its sender started and a counter. Counters of one start are accepted once each,
//! within a sliding window (as in RFC 4303, section 3.4.3), because datagrams of different families overtake each
//! other. A nonce that isn't remembered is a new start. Start nonces have no order, so a replay from a start that was
//! forgotten looks like a restart; since the last few starts are remembered side by side, it can't turn away the
//! beacons of the present one. All it wins is one more mention of the address that it came from.

use core::iter;

/// How many starts of an identity are remembered.
const STARTS_MAX: usize = 3;
/// How far a counter may lag behind the highest one heard and still be accepted.
const WINDOW: u64 = 64;

/// One start of an identity: the highest counter accepted, and which of those before it were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    nonce: u64,
    highest: u64,
    /// Bit n: `highest - n` was accepted.
    seen: u64,
}

impl Start {
    fn is_fresh(&self, counter: u64) -> bool {
        match self.highest.checked_sub(counter) {
            None => true,
            Some(lag) => lag < WINDOW && self.seen & bit(lag) == 0,
        }
    }

    fn accept(&mut self, counter: u64) {
        if let Some(ahead) = counter.checked_sub(self.highest) {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = counter;
        } else {
            self.seen |= bit(self.highest.saturating_sub(counter));
        }
    }
}

fn bit(n: u64) -> u64 {
    u32::try_from(n).ok().and_then(|n| 1u64.checked_shl(n)).unwrap_or(0)
}

/// What was heard from one identity: its latest starts, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Freshness([Option<Start>; STARTS_MAX]);

/// What a beacon's start nonce and counter say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// A counter not heard before, of the start heard last.
    Fresh,
    /// A start that isn't the one heard last; it counts as a restart.
    Restart,
    /// Heard before, or too far behind to tell.
    Stale,
}

impl Freshness {
    pub(crate) fn new(nonce: u64, counter: u64) -> Self {
        let mut starts = [None; STARTS_MAX];
        if let Some(first) = starts.first_mut() {
            *first = Some(Start { nonce, highest: counter, seen: 1 });
        }
        Self(starts)
    }

    /// How `nonce` and `counter` compare with what was accepted. Changes nothing: the beacon may be forged.
    pub(crate) fn age(&self, nonce: u64, counter: u64) -> Age {
        let known = self.0.iter().flatten().position(|start| start.nonce == nonce);
        match known.and_then(|at| Some((at, self.0.get(at)?.as_ref()?))) {
            None => Age::Restart,
            Some((_, start)) if !start.is_fresh(counter) => Age::Stale,
            Some((0, _)) => Age::Fresh,
            Some(_) => Age::Restart,
        }
    }

    /// Remembers a verified beacon whose age was not [`Age::Stale`].
    pub(crate) fn accept(&mut self, nonce: u64, counter: u64) {
        let known = self.0.iter().flatten().find(|start| start.nonce == nonce).copied();
        let mut latest = known.unwrap_or(Start { nonce, highest: counter, seen: 1 });
        latest.accept(counter);
        let others = self.0.into_iter().flatten().filter(|start| start.nonce != nonce);
        let mut ordered = iter::once(latest).chain(others);
        self.0 = core::array::from_fn(|_| ordered.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn each_counter_counts_once() {
        let mut heard = Freshness::new(1, 10);
        assert_eq!(heard.age(1, 10), Age::Stale);
        assert_eq!(heard.age(1, 11), Age::Fresh);
        heard.accept(1, 13);
        for (counter, age) in
            [(13, Age::Stale), (12, Age::Fresh), (11, Age::Fresh), (10, Age::Stale)]
        {
            assert_eq!(heard.age(1, counter), age, "{counter}");
        }
        heard.accept(1, 12);
        assert_eq!(heard.age(1, 12), Age::Stale);
    }

    #[test]
    fn what_lags_too_far_is_stale_even_if_never_heard() {
        let heard = Freshness::new(1, 100);
        assert_eq!(heard.age(1, 37), Age::Fresh);
        assert_eq!(heard.age(1, 36), Age::Stale);
        let mut last = Freshness::new(1, 0);
        last.accept(1, u64::MAX);
        assert_eq!(last.age(1, u64::MAX), Age::Stale);
        assert_eq!(last.age(1, 0), Age::Stale);
    }

    #[test]
    fn a_restart_is_accepted_and_the_old_start_is_not_replayed() {
        let mut heard = Freshness::new(1, 500);
        assert_eq!(heard.age(2, 0), Age::Restart);
        heard.accept(2, 0);
        assert_eq!(heard.age(2, 1), Age::Fresh);
        // Whatever was heard of the old start stays refused.
        assert_eq!(heard.age(1, 500), Age::Stale);
        assert_eq!(heard.age(1, 3), Age::Stale);
    }

    #[test]
    fn replays_of_forgotten_starts_do_not_turn_away_the_present_one() {
        let mut heard = Freshness::new(1, 5);
        for old in 100..110 {
            assert_eq!(heard.age(old, 7), Age::Restart);
            heard.accept(old, 7);
            assert_eq!(heard.age(old, 7), Age::Stale);
            let present = 6 + old;
            assert_eq!(heard.age(1, present), Age::Restart);
            heard.accept(1, present);
            assert_eq!(heard.age(1, present), Age::Stale);
        }
    }

    proptest! {
        /// The window against a plain set: nothing is accepted twice, and nothing recent is refused the first time.
        #[test]
        fn the_window_agrees_with_a_set(counters in prop::collection::vec(0u64..300, 1..200)) {
            let mut heard = Freshness::new(9, counters[0]);
            let mut accepted = BTreeSet::from([counters[0]]);
            for counter in counters {
                let highest = *accepted.last().unwrap();
                let expected = !accepted.contains(&counter) && counter + WINDOW > highest;
                prop_assert_eq!(heard.age(9, counter) == Age::Fresh, expected);
                if expected {
                    heard.accept(9, counter);
                    accepted.insert(counter);
                }
            }
        }

        /// Whatever order starts come in, the latest three are told from their own replays.
        #[test]
        fn the_latest_starts_are_remembered(nonces in prop::collection::vec(0u64..6, 1..60)) {
            let mut heard = Freshness::new(nonces[0], 0);
            let mut latest = Vec::from([nonces[0]]);
            for (counter, nonce) in (1u64..).zip(nonces) {
                heard.accept(nonce, counter);
                latest.retain(|other| *other != nonce);
                latest.insert(0, nonce);
                latest.truncate(STARTS_MAX);
                for known in &latest {
                    let age = heard.age(*known, counter.saturating_sub(WINDOW));
                    prop_assert!(age == Age::Stale || counter < WINDOW, "{:?}", age);
                }
                prop_assert_eq!(heard.age(nonce, counter), Age::Stale);
            }
        }
    }
}
