//! The one queue of deadlines. Whoever arms a timer keeps its key and cancels exactly that one.

use crate::time::Instant;
use alloc::collections::BTreeMap;

/// Names one armed timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(Instant, u64);

/// Deadlines in order; ties fire in the order in which they were armed.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    queue: BTreeMap<TimerKey, T>,
    armed: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { queue: BTreeMap::new(), armed: 0 }
    }
}

impl<T> Timers<T> {
    pub(crate) fn arm(&mut self, at: Instant, what: T) -> TimerKey {
        self.armed = self.armed.wrapping_add(1);
        let key = TimerKey(at, self.armed);
        self.queue.insert(key, what);
        key
    }

    /// Cancels `key`; a timer that has fired or was cancelled is left alone.
    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.queue.remove(&key);
    }

    pub(crate) fn next(&self) -> Option<(Instant, &T)> {
        self.queue.first_key_value().map(|(key, what)| (key.0, what))
    }

    /// Takes the earliest timer if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next()?.0 > now {
            return None;
        }
        self.queue.pop_first().map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn fires_in_order_and_cancels_exactly() {
        let mut timers = Timers::default();
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let late = timers.arm(at(20), "late");
        timers.arm(at(10), "first");
        timers.arm(at(10), "second");
        assert_eq!(timers.next(), Some((at(10), &"first")));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(10)), Some("first"));
        assert_eq!(timers.pop_due(at(10)), Some("second"));
        timers.cancel(late);
        timers.cancel(late);
        assert_eq!(timers.pop_due(Instant::FAR_FUTURE), None);
        assert_eq!(timers.next(), None);
    }
}
