//! When to send: quick at the start and when an interface comes, then ever calmer, the larger the group the calmer.
//!
//! In the quick phase all families are sent to at once. Afterwards they take turns, one each beat. The beat is so long
//! that the whole group sends about [`GROUP_PER_SECOND`] beacons a second, however many hosts there are.

use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// When the bursts of the quick phase come, in milliseconds after its start.
const QUICK_MS: [u64; 10] = [0, 100, 250, 500, 1000, 1500, 2000, 2500, 3000, 4000];
/// No burst comes later than this after the start of the quick phase.
const QUICK_SPAN: Duration = Duration::from_millis(4600);
/// How many bursts a second a group may send in the quick phase; it spreads its bursts to keep to it.
const GROUP_BURSTS_PER_SECOND: u32 = 400;
/// How many beacons a second a settled group sends on one link.
const GROUP_PER_SECOND: u32 = 100;
/// The first so many beats of a large group are half as long: who was missed in the quick phase, when all shout at once,
/// is heard soon.
const HALF_BEATS: u8 = 4;
/// The shortest beat: what small groups use.
const BEAT_MIN: Duration = Duration::from_secs(5);
/// The longest beat.
const BEAT_MAX: Duration = Duration::from_secs(60);
/// The first burst comes so much later at most: hosts that start together don't collide.
const FIRST_WITHIN: Duration = Duration::from_millis(40);
const QUICK_JITTER_PERCENT: u32 = 15;
const BEAT_JITTER_PERCENT: u32 = 20;

/// The beat of a settled group of `crowd` hosts.
pub(crate) fn beat(crowd: u32) -> Duration {
    share(crowd, GROUP_PER_SECOND).clamp(BEAT_MIN, BEAT_MAX)
}

/// The first beats.
fn half_beat(crowd: u32) -> Duration {
    beat(crowd).checked_div(2).unwrap_or_default().max(BEAT_MIN)
}

/// How long each of `crowd` hosts waits so that all together act `per_second` times a second.
fn share(crowd: u32, per_second: u32) -> Duration {
    Duration::from_secs(1).checked_div(per_second).unwrap_or_default().saturating_mul(crowd)
}

/// The window over which the hosts of a group spread their answers to a newcomer; `None` if the group is so large that
/// the newcomer hears enough without.
pub(crate) fn answer_window(crowd: u32) -> Option<Duration> {
    let window = share(crowd, GROUP_PER_SECOND).max(Duration::from_millis(20));
    (window < BEAT_MIN).then_some(window)
}

/// What to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Every family of every interface.
    Burst,
    /// One family of every interface.
    Turn,
}

#[derive(Debug)]
enum Phase {
    /// `sent` bursts of the phase that started at `since` are out.
    Quick { since: Instant, sent: usize },
    /// With half beats left before the whole ones.
    Steady { halves: u8 },
}

/// The times of a node's own beacons.
#[derive(Debug)]
pub(crate) struct Cadence {
    phase: Phase,
    next: Instant,
    last_burst: Option<Instant>,
}

impl Cadence {
    pub(crate) fn new(now: Instant, rng: &mut Rng) -> Self {
        let next = now + within(FIRST_WITHIN, rng);
        Self { phase: Phase::Quick { since: now, sent: 0 }, next, last_burst: None }
    }

    /// Starts the quick phase again. However often that happens, bursts keep their distance.
    pub(crate) fn restart(&mut self, now: Instant, crowd: u32, rng: &mut Rng) {
        let spread = share(crowd, GROUP_BURSTS_PER_SECOND);
        let gap = spread.max(Duration::from_millis(100));
        let earliest = self.last_burst.map_or(now, |last| now.max(last + gap));
        self.phase = Phase::Quick { since: earliest, sent: 0 };
        let drawn = earliest + within(FIRST_WITHIN.max(spread), rng);
        self.next = self.next.min(drawn).max(earliest);
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    pub(crate) fn is_quick(&self) -> bool {
        matches!(self.phase, Phase::Quick { .. })
    }

    /// What is due at `now`, if anything; the next time is set.
    pub(crate) fn due(&mut self, now: Instant, crowd: u32, rng: &mut Rng) -> Option<Beat> {
        if now < self.next {
            return None;
        }
        let (since, sent) = match self.phase {
            Phase::Quick { since, sent } => (since, sent),
            Phase::Steady { halves } => {
                let beat = if halves > 0 { half_beat(crowd) } else { beat(crowd) };
                self.phase = Phase::Steady { halves: halves.saturating_sub(1) };
                self.next = now + rng.jitter(beat, BEAT_JITTER_PERCENT);
                return Some(Beat::Turn);
            }
        };
        self.last_burst = Some(now);
        match quick_gap(sent, crowd).map(|gap| now + rng.jitter(gap, QUICK_JITTER_PERCENT)) {
            Some(next) if next.since(since) <= QUICK_SPAN => {
                self.phase = Phase::Quick { since, sent: sent.saturating_add(1) };
                self.next = next;
            }
            _ => {
                // Hosts that started together drift apart over half a beat.
                let beat = half_beat(crowd);
                let least = beat.checked_div(4).unwrap_or_default();
                self.phase = Phase::Steady { halves: HALF_BEATS.saturating_sub(1) };
                self.next = now + least + within(beat.saturating_sub(least), rng);
            }
        }
        Some(Beat::Burst)
    }
}

/// How long after the burst number `sent` the next one comes; `None` after the last.
fn quick_gap(sent: usize, crowd: u32) -> Option<Duration> {
    let this = QUICK_MS.get(sent)?;
    let next = QUICK_MS.get(sent.saturating_add(1))?;
    let planned = Duration::from_millis(next.saturating_sub(*this));
    Some(planned.max(share(crowd, GROUP_BURSTS_PER_SECOND)))
}

fn within(span: Duration, rng: &mut Rng) -> Duration {
    Duration::from_nanos(rng.below(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use alloc::vec::Vec;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// The beats of the first `span`, with their times in milliseconds.
    fn beats(crowd: u32, seed: u64, span: Duration) -> Vec<(u64, Beat)> {
        let mut rng = Rng::new(Seed::from_u64(seed), "cadence");
        let mut cadence = Cadence::new(Instant::ZERO, &mut rng);
        let mut beats = Vec::new();
        while cadence.next().since(Instant::ZERO) < span {
            let now = cadence.next();
            let beat = cadence.due(now, crowd, &mut rng).unwrap();
            assert!(cadence.next() > now);
            beats.push((now.as_nanos() / 1_000_000, beat));
        }
        beats
    }

    #[test]
    fn whenever_a_link_becomes_usable_in_the_first_seconds_a_burst_follows_soon() {
        for seed in 0..200 {
            let beats = beats(2, seed, Duration::from_secs(60));
            assert!(beats[0].0 <= 40, "{beats:?}");
            let bursts: Vec<u64> =
                beats.iter().filter(|beat| beat.1 == Beat::Burst).map(|beat| beat.0).collect();
            assert!(bursts.len() >= 9, "{beats:?}");
            assert!(*bursts.last().unwrap() >= 3000, "{beats:?}");
            let gaps: Vec<u64> = bursts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps.iter().all(|gap| *gap <= 1150), "{gaps:?}");
            assert!(gaps[..8].iter().all(|gap| *gap <= 580), "{gaps:?}");
        }
    }

    #[test]
    fn beats_keep_the_group_at_a_constant_rate() {
        assert_eq!(beat(2), BEAT_MIN);
        assert_eq!(beat(500), BEAT_MIN);
        assert_eq!(beat(1000), Duration::from_secs(10));
        assert_eq!(beat(u32::MAX), BEAT_MAX);
        for crowd in [2, 1000] {
            let beats = beats(crowd, 1, Duration::from_secs(600));
            let steady: Vec<u64> =
                beats.iter().filter(|beat| beat.1 == Beat::Turn).map(|beat| beat.0).collect();
            let halves = u64::from(HALF_BEATS).div_ceil(beat(crowd).as_secs() / 5);
            let expected = 595 / beat(crowd).as_secs() + halves;
            assert!(steady.len() as u64 >= expected - expected / 10 - 1, "{crowd}: {steady:?}");
            assert!(steady.len() as u64 <= expected + expected / 10 + 1, "{crowd}: {steady:?}");
            assert!(steady[3] <= 29_000, "four turns in half a minute: {steady:?}");
        }
    }

    #[test]
    fn a_crowd_bursts_rarely_and_nobody_after_five_seconds() {
        for seed in 0..200 {
            for crowd in [2, 50, 200, 1000, 5000] {
                let beats = beats(crowd, seed, Duration::from_secs(20));
                let bursts = beats.iter().filter(|beat| beat.1 == Beat::Burst);
                assert!(bursts.clone().all(|beat| beat.0 < 5000), "{crowd}: {beats:?}");
                let count = bursts.count();
                let expected = match crowd {
                    2 => 9..=10,
                    50 | 200 => 8..=10,
                    1000 => 2..=3,
                    _ => 1..=1,
                };
                assert!(expected.contains(&count), "{crowd}: {beats:?}");
            }
        }
    }

    #[test]
    fn a_flapping_interface_does_not_make_a_storm() {
        let mut rng = Rng::new(Seed::from_u64(5), "flap");
        let mut cadence = Cadence::new(Instant::ZERO, &mut rng);
        let mut bursts = 0;
        for ms in 0..10_000 {
            cadence.restart(at(ms), 100, &mut rng);
            bursts += u32::from(cadence.due(at(ms), 100, &mut rng).is_some());
        }
        assert!(bursts <= 41, "{bursts}");
    }

    #[test]
    fn small_groups_answer_quickly_and_large_ones_need_not() {
        assert_eq!(answer_window(2), Some(Duration::from_millis(20)));
        assert_eq!(answer_window(100), Some(Duration::from_secs(1)));
        assert_eq!(answer_window(500), None);
    }
}
