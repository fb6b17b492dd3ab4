use super::super::plan::Order;
use super::super::probe::{Contact, Meeting};
use super::super::targets::{SpaceLimits, Targets};
use super::*;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn plan(prefixes: &[&str], seed: u64) -> Plan {
    let mut targets = Targets::new();
    targets.allow_special();
    prefixes.iter().for_each(|prefix| targets.add(prefix.parse().unwrap()));
    Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), Order::Even, seed)
}

/// No limit for networks but the rate itself.
fn fast(rate: u32) -> ScanConfig {
    ScanConfig { network_rate: 1_000_000_000, ..ScanConfig::at_rate(rate) }
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Drives a scan on time until `until`, and gives what it wanted, with times.
fn drive(scan: &mut Scan, from: Instant, until: Instant) -> Vec<(Instant, ScanOutput)> {
    let (mut now, mut outputs) = (from, Vec::new());
    while let Some(due) = scan.poll_timeout().filter(|due| *due <= until) {
        assert!(due >= now || !outputs.is_empty() || due >= from, "time goes on");
        let before = now;
        now = now.max(due);
        scan.handle_timeout(now);
        let mut any = false;
        while let Some(output) = scan.poll_output() {
            outputs.push((now, output));
            any = true;
        }
        assert!(
            any || now > before || scan.poll_timeout().is_none_or(|next| next > now),
            "it does something or sleeps"
        );
    }
    outputs
}

fn probes(outputs: &[(Instant, ScanOutput)]) -> Vec<(Instant, Ipv6Addr)> {
    outputs
        .iter()
        .filter_map(|(at, output)| match output {
            ScanOutput::Probe { target, .. } => Some((*at, *target)),
            _ => None,
        })
        .collect()
}

fn last_checkpoint(outputs: &[(Instant, ScanOutput)]) -> Checkpoint {
    let found = outputs.iter().rev().find_map(|(_, output)| match output {
        ScanOutput::Checkpoint(checkpoint) => Some(checkpoint.clone()),
        _ => None,
    });
    found.expect("a checkpoint")
}

#[test]
fn the_rate_is_kept_to_a_hundredth_and_bursts_are_small() {
    for rate in [1, 7, 10, 999, 1000, 1001, 33_333, 100_000] {
        let mut scan = Scan::new(plan(&["fd00::/64"], 1), Shard::default(), fast(rate), at(0));
        let seconds = if rate < 100 { 100 } else { 3 };
        let sent = probes(&drive(&mut scan, at(0), at(seconds * 1000)));
        let wanted = u64::from(rate) * seconds;
        let off = (sent.len() as i64 - wanted as i64).unsigned_abs();
        assert!(off <= wanted / 100 + 1, "{rate}: {} of {wanted}", sent.len());
        let burst = usize::try_from(rate.div_ceil(1000)).unwrap() * 2;
        for window in sent.chunk_by(|a, b| a.0 == b.0) {
            assert!(window.len() <= burst, "{rate}: {} at once", window.len());
        }
    }
}

#[test]
fn who_slept_does_not_catch_up() {
    let mut scan = Scan::new(plan(&["fd00::/64"], 1), Shard::default(), fast(1000), at(0));
    scan.handle_timeout(at(0));
    scan.handle_timeout(at(60_000));
    let count = core::iter::from_fn(|| scan.poll_output())
        .filter(|o| matches!(o, ScanOutput::Probe { .. }))
        .count();
    assert!(count <= 3, "{count}");
}

#[test]
fn every_target_gets_one_probe_and_then_it_is_over() {
    let prefixes = ["fd00::/120", "fd01::/121", "fd02::5"];
    let mut scan = Scan::new(plan(&prefixes, 2), Shard::default(), fast(1000), at(0));
    let outputs = drive(&mut scan, at(0), at(60_000));
    let mut sent: Vec<Ipv6Addr> = probes(&outputs).into_iter().map(|(_, target)| target).collect();
    assert_eq!(sent.len(), 256 + 128 + 1);
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), 385);
    assert_eq!(outputs.last().unwrap().1, ScanOutput::Finished);
    assert!(last_checkpoint(&outputs).cursor().resume(scan.plan()).unwrap().is_finished());
    assert_eq!((scan.progress(at(60_000)).phase, scan.poll_timeout()), (Phase::Finished, None));
}

#[test]
fn a_network_gets_no_more_than_its_share() {
    let config = ScanConfig { network_rate: 10, waiting_max: 16, ..ScanConfig::at_rate(1000) };
    let mut scan = Scan::new(
        plan(&["fd00::/64", "fd01::/100", "fd02:1::/100"], 3),
        Shard::default(),
        config,
        at(0),
    );
    let sent = probes(&drive(&mut scan, at(0), at(10_000)));
    for network in [0xfd00u16, 0xfd01, 0xfd02] {
        let times: Vec<Instant> = sent
            .iter()
            .filter(|(_, target)| target.segments()[0] == network)
            .map(|(at, _)| *at)
            .collect();
        assert!((99..=101).contains(&times.len()), "{network:x}: {}", times.len());
        for pair in times.windows(2) {
            assert!(pair[1].since(pair[0]) >= Duration::from_millis(100), "{pair:?}");
        }
    }
}

#[test]
fn a_network_that_prohibits_probes_is_spared_and_then_left_alone() {
    let mut scan = Scan::new(
        plan(&["fd00:0:1::/120", "fd00:0:2::/112"], 4),
        Shard::default(),
        fast(100),
        at(0),
    );
    let first = probes(&drive(&mut scan, at(0), at(100)));
    let victim = first.iter().find(|(_, target)| target.segments()[2] == 1).unwrap().1;
    let from = "fd00:0:1::ffff".parse().unwrap();
    let error = ProbeError { target: victim, from, kind: ErrorKind::Prohibited, note: None };
    for (nth, rate) in [(1, 50), (2, 50)] {
        scan.handle_heard(at(100 + nth), Heard::Error(error));
        assert_eq!(scan.progress(at(100)).rate, rate, "once a second");
        assert_eq!(scan.poll_output(), None);
    }
    scan.handle_heard(at(103), Heard::Error(error));
    let network = AddressRange::prefix(victim, 48).unwrap();
    assert_eq!(scan.poll_output(), Some(ScanOutput::LeftAlone(network)));
    let rest = drive(&mut scan, at(103), at(60_000));
    assert!(probes(&rest).iter().all(|(_, target)| !network.contains(*target)));
    let progress = scan.progress(at(60_000));
    assert_eq!((progress.errors[&ErrorKind::Prohibited], progress.rate), (3, 100), "calm again");
    // Other errors are counted and change nothing.
    let other = ProbeError { kind: ErrorKind::NoRoute, ..error };
    scan.handle_heard(at(60_000), Heard::Error(other));
    assert_eq!(
        (scan.progress(at(60_000)).errors[&ErrorKind::NoRoute], scan.poll_output()),
        (1, None)
    );
}

#[test]
fn opting_out_counts_at_once_and_for_those_that_wait() {
    let config = ScanConfig { network_rate: 1, ..ScanConfig::at_rate(1000) };
    let mut scan = Scan::new(plan(&["fd00::/120"], 5), Shard::default(), config, at(0));
    let first = probes(&drive(&mut scan, at(0), at(50)));
    assert_eq!(first.len(), 1);
    assert!(scan.progress(at(50)).waiting > 10);
    scan.handle_heard(at(51), Heard::OptOut(first[0].1));
    let rest = drive(&mut scan, at(51), at(60_000));
    assert_eq!(rest[0].1, ScanOutput::LeftAlone("fd00::/48".parse().unwrap()));
    assert_eq!(probes(&rest), []);
    assert_eq!(rest.last().unwrap().1, ScanOutput::Finished);
    scan.leave_alone("fd00::/64".parse().unwrap());
    assert_eq!(scan.poll_output(), None, "that was known");
}

#[test]
fn replies_are_told_once_and_strange_ones_never() {
    let mut scan = Scan::new(plan(&["fd00::/120"], 6), Shard::default(), fast(10), at(500));
    scan.handle_timeout(at(500));
    let Some(ScanOutput::Probe { target, note }) = scan.poll_output() else { panic!("a probe") };
    let reply = Reply { target, note };
    scan.handle_heard(at(523), Heard::Reply(reply));
    assert_eq!(
        scan.poll_output(),
        Some(ScanOutput::Found { target, round_trip: Duration::from_millis(23) })
    );
    scan.handle_heard(at(524), Heard::Reply(reply));
    scan.handle_heard(at(524), Heard::Reply(Reply { target: "fd01::1".parse().unwrap(), ..reply }));
    scan.handle_heard(at(524), Heard::Forged);
    assert_eq!(scan.poll_output(), None);
    let progress = scan.progress(at(525));
    assert_eq!((progress.found, progress.duplicates, progress.forged), (1, 1, 2));
    assert_eq!(progress.hits_per_million(), 1_000_000);
}

#[test]
fn each_node_is_told_once_and_so_many_at_most() {
    let config = ScanConfig { adverts_max: 2, ..fast(10) };
    let mut scan = Scan::new(plan(&["fd00::/120"], 7), Shard::default(), config, at(0));
    let advert = |last: u16| Advert {
        from: Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, last),
        meeting: Meeting { port: 1, peer: [0; 16] },
        contact: Contact::new("x").unwrap(),
    };
    for last in [1, 1, 2, 3, 2] {
        scan.handle_heard(at(1), Heard::Advert(advert(last)));
    }
    let told: Vec<_> = core::iter::from_fn(|| scan.poll_output()).collect();
    assert_eq!(told, [ScanOutput::Advert(advert(1)), ScanOutput::Advert(advert(2))]);
    assert_eq!(scan.progress(at(1)).adverts, 5);
}

#[test]
fn a_pause_sends_nothing_and_a_new_rate_counts_at_once() {
    let mut scan = Scan::new(plan(&["fd00::/64"], 8), Shard::default(), fast(1000), at(0));
    drive(&mut scan, at(0), at(1000));
    scan.pause(at(1000));
    assert_eq!(probes(&drive(&mut scan, at(1000), at(20_000))), []);
    scan.go_on(at(20_000));
    let sent = probes(&drive(&mut scan, at(20_000), at(21_000))).len();
    assert!((995..=1005).contains(&sent), "{sent}");
    scan.set_rate(100, at(21_000));
    let sent = probes(&drive(&mut scan, at(21_000), at(22_000))).len();
    assert!((98..=102).contains(&sent), "{sent}");
    scan.handle_send_failed(at(22_000));
    let progress = scan.progress(at(22_000));
    assert_eq!((progress.rate, progress.send_failures), (50, 1));
    scan.stop(at(22_000));
    let rest = drive(&mut scan, at(22_000), at(40_000));
    assert_eq!(probes(&rest), []);
    assert_eq!(
        rest.last().map(|(at, output)| (*at, output)),
        Some((at(30_000), &ScanOutput::Finished))
    );
}

#[test]
fn a_checkpoint_of_another_plan_or_with_impossible_targets_is_refused() {
    let config = fast(1000);
    let mine = plan(&["fd00::/120"], 1);
    let kept = Scan::new(mine.clone(), Shard::default(), config, at(0)).checkpoint();
    let resume = |plan: Plan, kept: &Checkpoint| Scan::resume(plan, kept, config, at(0)).err();
    assert_eq!(resume(mine.clone(), &kept), None);
    assert_eq!(resume(plan(&["fd00::/121"], 1), &kept), Some(CursorError::OtherPlan));
    let forged = Checkpoint { waiting: vec![0], ..kept.clone() };
    assert_eq!(resume(mine.clone(), &forged), Some(CursorError::Malformed), "nothing is behind");
    let bytes = kept.to_bytes();
    assert_eq!(Checkpoint::from_bytes(&bytes), Ok(kept));
    assert_eq!(Checkpoint::from_bytes(&bytes[1..]), Err(CursorError::Malformed));
    assert_eq!(
        Checkpoint::from_bytes(&[&bytes[..], &[0; 15]].concat()),
        Err(CursorError::Malformed)
    );
}

proptest! {
    /// Stopped and gone on with at any times, with targets waiting: together every target, each once.
    #[test]
    fn stops_at_any_time_lose_nothing_and_repeat_nothing(
        seed in any::<u64>(), stops in prop::collection::vec(1u64..700, 1..6), network_rate in 1u32..300, waiting_max in 1usize..40,
    ) {
        let plan = plan(&["fd00::/121", "fd01::/122", "fd00:0:0:1::/123", "fd02::3"], seed);
        let config = ScanConfig { network_rate, waiting_max, ..ScanConfig::at_rate(500) };
        let mut scan = Scan::new(plan.clone(), Shard::default(), config, at(0));
        let mut sent: Vec<Ipv6Addr> = Vec::new();
        for stop in stops {
            sent.extend(probes(&drive(&mut scan, at(0), at(stop))).into_iter().map(|(_, target)| target));
            let kept = Checkpoint::from_bytes(&scan.checkpoint().to_bytes()).unwrap();
            scan = Scan::resume(plan.clone(), &kept, config, at(0)).unwrap();
        }
        let outputs = drive(&mut scan, at(0), at(1_000_000));
        sent.extend(probes(&outputs).into_iter().map(|(_, target)| target));
        prop_assert_eq!(&outputs.last().unwrap().1, &ScanOutput::Finished);
        prop_assert_eq!(sent.len(), 128 + 64 + 32 + 1);
        sent.sort_unstable();
        sent.dedup();
        prop_assert_eq!(sent.len(), 225);
    }
}
