//! When leases end: one ring of seconds, each with a list through the leases themselves. Adding, moving and removing a
//! lease, and ending one that is due, cost the same however many there are.

use super::slab::{NONE, Slab};

/// Seconds in the ring. A lease that ends later than that would be met too early, and waits another turn.
const SPOKES: u32 = 8192;

/// What the wheel keeps in a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoke {
    /// The second in which the lease ends.
    pub(super) ends: u32,
    earlier: u32,
    later: u32,
}

impl Spoke {
    pub(super) const fn until(ends: u32) -> Self {
        Self { ends, earlier: NONE, later: NONE }
    }
}

/// Something that can hang on the wheel.
pub(super) trait Hung {
    fn spoke(&mut self) -> &mut Spoke;
}

#[derive(Debug)]
pub(super) struct Wheel {
    heads: Vec<u32>,
    /// Every second before this one is done.
    next: u32,
}

impl Wheel {
    pub(super) fn new(now: u32) -> Self {
        Self { heads: vec![NONE; SPOKES as usize], next: now }
    }

    fn head(&mut self, second: u32) -> &mut u32 {
        &mut self.heads[(second % SPOKES) as usize]
    }

    /// Hangs up `at`, which ends when its spoke says so, and not before the second that is next.
    pub(super) fn hang<T: Hung>(&mut self, slab: &mut Slab<T>, at: u32) {
        let ends = slab[at].spoke().ends.max(self.next);
        let later = std::mem::replace(self.head(ends), at);
        *slab[at].spoke() = Spoke { ends, earlier: NONE, later };
        if later != NONE {
            slab[later].spoke().earlier = at;
        }
    }

    /// Takes `at` down.
    pub(super) fn take<T: Hung>(&mut self, slab: &mut Slab<T>, at: u32) {
        let Spoke { ends, earlier, later } = *slab[at].spoke();
        match earlier {
            NONE => *self.head(ends) = later,
            _ => slab[earlier].spoke().later = later,
        }
        if later != NONE {
            slab[later].spoke().earlier = earlier;
        }
    }

    /// One that has ended by `now`, still hanging; `None` when there is no more. Skips over at most one turn of the ring.
    pub(super) fn due<T: Hung>(&mut self, slab: &mut Slab<T>, now: u32) -> Option<u32> {
        // Whoever was away for longer than a turn has met every list by then.
        self.next = self.next.max(now.saturating_sub(SPOKES));
        while self.next <= now {
            let mut at = *self.head(self.next);
            while at != NONE {
                let Spoke { ends, later, .. } = *slab[at].spoke();
                if ends <= now {
                    return Some(at);
                }
                at = later;
            }
            self.next += 1;
        }
        None
    }

    pub(super) fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Hung for Spoke {
        fn spoke(&mut self) -> &mut Spoke {
            self
        }
    }

    fn hung(ends: &[u32]) -> (Wheel, Slab<Spoke>) {
        let (mut wheel, mut slab) = (Wheel::new(0), Slab::new());
        for ends in ends {
            let at = slab.insert(Spoke::until(*ends));
            wheel.hang(&mut slab, at);
        }
        (wheel, slab)
    }

    fn all_due(wheel: &mut Wheel, slab: &mut Slab<Spoke>, now: u32) -> Vec<u32> {
        let mut due = Vec::new();
        while let Some(at) = wheel.due(slab, now) {
            wheel.take(slab, at);
            due.push(at);
        }
        due.sort_unstable();
        due
    }

    #[test]
    fn each_ends_in_its_second_and_once() {
        let (mut wheel, mut slab) = hung(&[5, 3, 5, 9]);
        assert_eq!(all_due(&mut wheel, &mut slab, 2), [0; 0]);
        assert_eq!(all_due(&mut wheel, &mut slab, 5), [0, 1, 2]);
        assert_eq!(all_due(&mut wheel, &mut slab, 8), [0; 0]);
        assert_eq!(all_due(&mut wheel, &mut slab, 100), [3]);
        assert_eq!(all_due(&mut wheel, &mut slab, u32::MAX - 1), [0; 0]);
    }

    #[test]
    fn what_ends_after_a_whole_turn_waits_for_it() {
        let (mut wheel, mut slab) = hung(&[7, 7 + SPOKES, 7 + 2 * SPOKES]);
        assert_eq!(all_due(&mut wheel, &mut slab, 7), [0]);
        assert_eq!(all_due(&mut wheel, &mut slab, 6 + SPOKES), [0; 0]);
        assert_eq!(all_due(&mut wheel, &mut slab, 7 + SPOKES), [1]);
        assert_eq!(all_due(&mut wheel, &mut slab, 9 + 5 * SPOKES), [2]);
    }

    #[test]
    fn whoever_was_away_for_long_finds_all_that_ended() {
        let ends: Vec<u32> = (0..3000).map(|n| n * 11).collect();
        let (mut wheel, mut slab) = hung(&ends);
        assert_eq!(all_due(&mut wheel, &mut slab, 10 * SPOKES).len(), ends.len());
    }

    #[test]
    fn taking_one_down_leaves_its_neighbours() {
        let (mut wheel, mut slab) = hung(&[4, 4, 4]);
        wheel.take(&mut slab, 1);
        assert_eq!(all_due(&mut wheel, &mut slab, 4), [0, 2]);
        let (mut wheel, mut slab) = hung(&[4, 4, 4]);
        wheel.take(&mut slab, 2);
        wheel.take(&mut slab, 0);
        assert_eq!(all_due(&mut wheel, &mut slab, 4), [1]);
    }

    #[test]
    fn what_ended_in_the_past_is_due_at_once() {
        let (mut wheel, mut slab) = hung(&[50]);
        assert_eq!(all_due(&mut wheel, &mut slab, 40), [0; 0]);
        let at = slab.insert(Spoke::until(3));
        wheel.hang(&mut slab, at);
        assert_eq!(all_due(&mut wheel, &mut slab, 41), [at]);
    }
}
