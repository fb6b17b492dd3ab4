use super::*;
use crate::rng::{Rng, Seed};
use alloc::{format, vec};
use proptest::prelude::*;

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn routines() -> Routines {
    Routines::new(&Limits::default(), Rng::new(Seed::from_u64(1), "routines"))
}

fn with_custom(interval_ms: u64, jitter_percent: u8) -> Routines {
    let mut routines = routines();
    let add = RoutineChange::Add { interval: ms(interval_ms), jitter_percent };
    routines.apply(at(0), "mine", add).unwrap();
    routines.apply(at(0), "mine", RoutineChange::Start).unwrap();
    routines
}

fn due(routines: &mut Routines, now: Instant) -> Vec<Due> {
    let mut due = Vec::new();
    routines.on_timeout(now, &mut due);
    due
}

fn mine() -> Vec<Due> {
    vec![Due::Custom("mine".into())]
}

#[test]
fn the_defaults_are_registered_and_not_started() {
    let routines = routines();
    assert_eq!(routines.next_deadline(), None);
    let rotate = routines.get("RotateBroadcastPort").unwrap();
    assert_eq!((rotate.interval, rotate.running, rotate.custom), (ms(30_000), false, false));
    let discern = routines.get("DiscernPeerChannels").unwrap();
    assert_eq!((discern.interval, discern.running, discern.custom), (ms(60_000), false, false));
    assert_eq!(routines.list(), vec![discern, rotate]);
    assert_eq!(routines.get("rotatebroadcastport"), None);
}

#[test]
fn started_routines_run_and_stopped_ones_do_not() {
    let mut routines = routines();
    routines.apply(at(0), "RotateBroadcastPort", RoutineChange::Start).unwrap();
    routines.apply(at(0), "DiscernPeerChannels", RoutineChange::Start).unwrap();
    assert_eq!(routines.next_deadline(), Some(at(30_000)));
    assert_eq!(due(&mut routines, at(29_999)), vec![]);
    assert_eq!(due(&mut routines, at(30_000)), vec![Due::RotateBroadcastPort]);
    assert_eq!(
        due(&mut routines, at(60_000)),
        vec![Due::DiscernPeerChannels, Due::RotateBroadcastPort]
    );
    routines.apply(at(60_000), "RotateBroadcastPort", RoutineChange::Stop).unwrap();
    assert_eq!(routines.next_deadline(), Some(at(120_000)));
    assert_eq!(due(&mut routines, at(120_000)), vec![Due::DiscernPeerChannels]);
}

#[test]
fn starting_twice_keeps_the_schedule() {
    let mut routines = with_custom(100, 0);
    routines.apply(at(90), "mine", RoutineChange::Start).unwrap();
    assert_eq!(routines.next_deadline(), Some(at(100)));
}

#[test]
fn a_new_interval_counts_from_now_and_does_not_start() {
    let mut routines = with_custom(100, 0);
    routines.apply(at(90), "mine", RoutineChange::SetInterval(ms(50))).unwrap();
    assert_eq!(routines.next_deadline(), Some(at(140)));
    routines.apply(at(90), "mine", RoutineChange::Stop).unwrap();
    routines.apply(at(90), "mine", RoutineChange::SetInterval(ms(70))).unwrap();
    assert_eq!(routines.next_deadline(), None);
    assert_eq!(routines.get("mine").map(|view| view.interval), Some(ms(70)));
}

#[test]
fn a_late_wake_up_runs_once_and_keeps_the_grid() {
    let mut routines = with_custom(100, 0);
    assert_eq!(due(&mut routines, at(1_050)), mine());
    assert_eq!(routines.next_deadline(), Some(at(1_100)));
    assert_eq!(due(&mut routines, at(1_050)), vec![]);
    assert_eq!(due(&mut routines, at(1_100)), mine());
    assert_eq!(routines.next_deadline(), Some(at(1_200)));
}

#[test]
fn what_is_due_comes_in_the_order_of_its_time() {
    let mut routines = with_custom(100, 0);
    let add = RoutineChange::Add { interval: ms(70), jitter_percent: 0 };
    routines.apply(at(0), "zebra", add).unwrap();
    routines.apply(at(0), "zebra", RoutineChange::Start).unwrap();
    let names = [Due::Custom("zebra".into()), Due::Custom("mine".into())];
    assert_eq!(due(&mut routines, at(500)), names);
}

#[test]
fn a_missing_name_is_an_error() {
    let mut routines = routines();
    for change in [
        RoutineChange::Remove,
        RoutineChange::Start,
        RoutineChange::Stop,
        RoutineChange::SetInterval(ms(5)),
    ] {
        let missing = Err(CommandError::NoSuchRoutine("nope".into()));
        assert_eq!(routines.apply(at(0), "nope", change), missing);
    }
}

#[test]
fn bad_changes_are_refused_and_change_nothing() {
    let mut routines = with_custom(100, 0);
    let add = |interval, jitter_percent| RoutineChange::Add { interval, jitter_percent };
    let taken = Err(CommandError::RoutineExists("mine".into()));
    assert_eq!(routines.apply(at(0), "mine", add(ms(5), 0)), taken);
    for (name, change) in [
        ("", add(ms(5), 0)),
        (&*"n".repeat(65), add(ms(5), 0)),
        ("new", add(Duration::ZERO, 0)),
        ("new", add(ms(5), 51)),
        ("mine", RoutineChange::SetInterval(Duration::ZERO)),
    ] {
        let refused = routines.apply(at(0), name, change);
        assert!(matches!(refused, Err(CommandError::OutOfRange(_))), "{name} {change:?}");
    }
    assert_eq!(routines.list().len(), 3);
    assert_eq!(routines.next_deadline(), Some(at(100)));
}

#[test]
fn the_bound_holds() {
    let limits = Limits { routines_max: 3, ..Limits::default() };
    let mut routines = Routines::new(&limits, Rng::new(Seed::from_u64(1), "routines"));
    let add = RoutineChange::Add { interval: ms(5), jitter_percent: 0 };
    routines.apply(at(0), "a", add).unwrap();
    let full = Err(CommandError::LimitReached("limits.routines_max"));
    assert_eq!(routines.apply(at(0), "b", add), full);
    routines.apply(at(0), "a", RoutineChange::Remove).unwrap();
    assert_eq!(routines.apply(at(0), "b", add), Ok(()));
}

#[test]
fn a_removed_default_can_be_replaced() {
    let mut routines = routines();
    routines.apply(at(0), "RotateBroadcastPort", RoutineChange::Remove).unwrap();
    let add = RoutineChange::Add { interval: ms(5), jitter_percent: 0 };
    routines.apply(at(0), "RotateBroadcastPort", add).unwrap();
    routines.apply(at(0), "RotateBroadcastPort", RoutineChange::Start).unwrap();
    assert_eq!(due(&mut routines, at(5)), vec![Due::Custom("RotateBroadcastPort".into())]);
}

#[test]
fn the_end_of_time_is_no_deadline() {
    let mut routines = with_custom(100, 0);
    assert_eq!(due(&mut routines, Instant::FAR_FUTURE), mine());
    assert_eq!(routines.next_deadline(), None);
    let forever = RoutineChange::Add { interval: Duration::MAX, jitter_percent: 0 };
    routines.apply(at(0), "never", forever).unwrap();
    routines.apply(at(0), "never", RoutineChange::Start).unwrap();
    assert_eq!(routines.next_deadline(), None);
}

proptest! {
    /// However it is woken: the next deadline is later than now, runs never outnumber grid points, and a driver that
    /// wakes in time runs it exactly once for each grid point, so that jitter doesn't add up.
    #[test]
    fn no_drift_and_no_bursts(
        interval in 1u64..500,
        jitter in 0u8..=50,
        late in prop::collection::vec(0u64..1_000, 1..50),
    ) {
        let mut routines = with_custom(interval, jitter);
        for (n, _) in late.iter().enumerate() {
            let now = routines.next_deadline().unwrap();
            let grid = at(interval * (n as u64 + 1));
            let reach = Duration::from_nanos(interval * 1_000_000 / 100 * u64::from(jitter));
            prop_assert!(now.since(grid).max(grid.since(now)) <= reach, "run {n} at {now:?}");
            prop_assert_eq!(due(&mut routines, now), mine());
            prop_assert!(routines.next_deadline().unwrap() > now);
        }
        let mut now = routines.next_deadline().unwrap();
        for late in late {
            now = now.max(routines.next_deadline().unwrap()) + ms(late);
            prop_assert_eq!(due(&mut routines, now), mine());
            let next = routines.next_deadline().unwrap();
            prop_assert!(next > now);
            prop_assert!(next.since(now) <= ms(interval * 2), "{}", format!("{next:?}"));
        }
    }
}
