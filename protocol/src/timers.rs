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
    use alloc::vec::Vec;
    use proptest::prelude::*;

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

    #[derive(Clone, Debug)]
    enum Op {
        Arm(u64),
        Cancel(prop::sample::Index),
        Pop(u64),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            (0u64..50).prop_map(Op::Arm),
            any::<prop::sample::Index>().prop_map(Op::Cancel),
            (0u64..60).prop_map(Op::Pop),
        ];
        prop::collection::vec(op, 0..60)
    }

    proptest! {
        /// Like a list that is searched for its earliest entry, the one armed first among equals.
        #[test]
        fn fires_as_a_sorted_list_would(ops in ops()) {
            let at = |ms| Instant::ZERO + Duration::from_millis(ms);
            let mut timers = Timers::default();
            let mut keys = Vec::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            for op in ops {
                match op {
                    Op::Arm(ms) => {
                        model.push((ms, keys.len()));
                        keys.push(timers.arm(at(ms), keys.len()));
                    }
                    Op::Cancel(which) if !keys.is_empty() => {
                        let which = which.index(keys.len());
                        timers.cancel(keys[which]);
                        model.retain(|(_, number)| *number != which);
                    }
                    Op::Cancel(_) => {}
                    Op::Pop(now) => {
                        let due = model.iter().copied().min().filter(|(ms, _)| *ms <= now);
                        model.retain(|kept| Some(*kept) != due);
                        prop_assert_eq!(timers.pop_due(at(now)), due.map(|(_, number)| number));
                    }
                }
                let next = model.iter().min().map(|(ms, number)| (at(*ms), number));
                prop_assert_eq!(timers.next(), next);
            }
        }
    }
}
