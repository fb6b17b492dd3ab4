//! Leases: pieces of a walk for several workers, and a cursor that forgets none of them.

use super::plan::Plan;
use super::walk::{Cursor, CursorError, Walk};

/// How many leases may be out at once.
const OUT_MAX: u32 = 64;

/// A piece of a walk for one worker.
///
/// Its targets come from [`walk`](Self::walk); when they are done, [`Leases::finish`] says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lease that isn't finished is given again after a restart"]
pub struct Lease {
    walk: Walk,
    /// How many indices it has, less one.
    last: u128,
    /// Its number since the first.
    number: u128,
}

impl Lease {
    /// The walk at the beginning of this piece. It goes beyond the end: take only as many indices as there
    /// [are](Self::indices).
    pub fn walk(&self) -> Walk {
        self.walk
    }

    /// How many indices it has.
    pub fn indices(&self) -> u128 {
        self.last.saturating_add(1)
    }
}

/// Cuts a walk into equal leases, of which 64 may be out at once, and knows which are done.
///
/// ```
/// use p2pnet_protocol::widescan::{Lease, Leases, Order, Plan, Shard, SpaceLimits, Targets, Walk};
/// let mut targets = Targets::new();
/// targets.add("2a00::/104".parse().unwrap());
/// let plan = Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), Order::Random, 1);
/// let mut leases = Leases::new(Walk::new(&plan, Shard::default()), 1 << 20);
/// let (first, second): (Lease, Lease) = (leases.take().unwrap(), leases.take().unwrap());
/// leases.finish(&second);
/// // The first isn't done, so that a restart begins with it.
/// assert_eq!(leases.cursor(&plan).resume(&plan).unwrap(), first.walk());
/// leases.finish(&first);
/// assert_eq!(leases.cursor(&plan).resume(&plan).unwrap().done(), 2 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct Leases {
    /// Where the first lease that isn't done begins.
    low: Walk,
    /// Where the next new lease begins.
    next: Walk,
    size: u128,
    /// The number of the first lease that isn't done.
    low_number: u128,
    next_number: u128,
    /// Which of the leases from the first on are done.
    done: u64,
}

impl Leases {
    /// Leases of `size` indices, at least one, from where `walk` is.
    pub fn new(walk: Walk, size: u64) -> Self {
        Self {
            low: walk,
            next: walk,
            size: size.max(1).into(),
            low_number: 0,
            next_number: 0,
            done: 0,
        }
    }

    /// The next lease. None if 64 are out from the first that isn't done on, or if there is nothing left.
    pub fn take(&mut self) -> Option<Lease> {
        let left = self.next.left()?;
        if self.next_number.saturating_sub(self.low_number) >= OUT_MAX.into() {
            return None;
        }
        let last = left.min(self.size.saturating_sub(1));
        let lease = Lease { walk: self.next, last, number: self.next_number };
        self.next.skip(lease.indices());
        self.next_number = self.next_number.saturating_add(1);
        Some(lease)
    }

    /// A lease is done. Saying so twice changes nothing.
    pub fn finish(&mut self, lease: &Lease) {
        let place =
            lease.number.checked_sub(self.low_number).and_then(|place| u32::try_from(place).ok());
        let Some(bit) = place.and_then(|place| 1u64.checked_shl(place)) else { return };
        if lease.number >= self.next_number {
            return;
        }
        self.done |= bit;
        let through = self.done.trailing_ones();
        self.done = self.done.checked_shr(through).unwrap_or(0);
        self.low_number = self.low_number.saturating_add(through.into());
        for _ in 0..through {
            self.low.skip(self.size);
        }
    }

    /// Whether every lease is done and none is left.
    pub fn is_finished(&self) -> bool {
        self.low.is_finished()
    }

    /// How many indices are surely behind.
    pub fn done(&self) -> u128 {
        self.low.done()
    }

    /// What a restart goes on from: the first lease that isn't done. Those after it that are done come again, at most 63 of
    /// them; who would rather leave targets out than visit them twice keeps [`cursor_ahead`](Self::cursor_ahead).
    pub fn cursor(&self, plan: &Plan) -> Cursor {
        self.low.cursor(plan)
    }

    /// What a restart goes on from that leaves out whatever was begun.
    pub fn cursor_ahead(&self, plan: &Plan) -> Cursor {
        self.next.cursor(plan)
    }

    /// Goes on from a cursor.
    ///
    /// # Errors
    /// As [`Cursor::resume`].
    pub fn resume(cursor: &Cursor, plan: &Plan, size: u64) -> Result<Self, CursorError> {
        Ok(Self::new(cursor.resume(plan)?, size))
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Order;
    use super::super::range::RangeSet;
    use super::super::targets::{SpaceLimits, Targets};
    use super::super::walk::Shard;
    use super::*;
    use alloc::vec::Vec;
    use alloc::{collections::BTreeSet, vec};
    use core::net::Ipv6Addr;
    use proptest::prelude::*;

    fn plan() -> Plan {
        let mut targets = Targets::new();
        targets.allow_special();
        targets.add("fd00::/117".parse().unwrap());
        targets.add("fd01::-fd01::123".parse().unwrap());
        Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), Order::Even, 1)
    }

    fn targets(plan: &Plan, lease: &Lease) -> Vec<Ipv6Addr> {
        let mut batch = vec![Ipv6Addr::UNSPECIFIED; lease.indices() as usize];
        let filled = lease.walk().fill(plan, &RangeSet::new(), &mut batch);
        batch.truncate(filled);
        batch
    }

    proptest! {
        /// Workers that finish in any order, and restarts at any time: nothing is left out, and nothing that was done before
        /// the kept cursor comes again.
        #[test]
        fn whatever_order_leases_end_in_nothing_is_left_out(
            size in 1u64..200, steps in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..300),
        ) {
            let plan = plan();
            let mut leases = Leases::new(Walk::new(&plan, Shard::default()), size);
            let (mut out, mut seen): (Vec<Lease>, BTreeSet<Ipv6Addr>) = Default::default();
            for (which, step) in steps {
                match step {
                    0 => {
                        let kept = Cursor::from_bytes(&leases.cursor(&plan).to_bytes()).unwrap();
                        leases = Leases::resume(&kept, &plan, size).unwrap();
                        out.clear();
                    }
                    1..4 => out.extend(leases.take()),
                    _ if out.is_empty() => {}
                    _ => {
                        let lease = out.swap_remove(which.index(out.len()));
                        seen.extend(targets(&plan, &lease));
                        leases.finish(&lease);
                        leases.finish(&lease);
                    }
                }
                prop_assert!(out.len() <= 64);
                // Everything below the cursor was visited.
                let done = leases.done();
                for index in (0..done).step_by(97) {
                    prop_assert!(seen.contains(&plan.address(index).unwrap()));
                }
            }
            let mut rest = Leases::resume(&leases.cursor(&plan), &plan, size).unwrap();
            while let Some(lease) = rest.take() {
                seen.extend(targets(&plan, &lease));
                rest.finish(&lease);
            }
            prop_assert!(rest.is_finished());
            prop_assert_eq!(seen.len() as u128, plan.space().last_index() + 1);
        }
    }

    #[test]
    fn at_most_64_are_out() {
        let plan = plan();
        let mut leases = Leases::new(Walk::new(&plan, Shard::default()), 1);
        let out: Vec<Lease> = core::iter::from_fn(|| leases.take()).collect();
        assert_eq!(out.len(), 64);
        leases.finish(&out[1]);
        assert_eq!(leases.take(), None, "the first isn't done");
        leases.finish(&out[0]);
        assert_eq!(core::iter::from_fn(|| leases.take()).count(), 2);
        assert_eq!(leases.cursor_ahead(&plan).resume(&plan).unwrap().done(), 66);
    }
}
