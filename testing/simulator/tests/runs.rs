//! Whole runs: they keep every promise, repeat exactly, and show each planted fault.

use p2pnet_simulator::{
    Checker, CryptoKind, Fault, Phases, Planted, Report, Scenario, Shown, TraceFile, replay, run,
};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn all(scenario: &Scenario) -> Report {
    run(scenario, None, |_| {}).unwrap()
}

fn clean(scenario: &Scenario) -> Report {
    let report = all(scenario);
    let told: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "seed {}:\n{}", scenario.seed, told.join("\n"));
    report
}

fn short(seed: u64, nodes: u32) -> Scenario {
    Scenario { nodes, seed, ..Scenario::ci() }
}

/// Many seeds, on all cores.
#[test]
fn every_promise_holds_through_chaos() {
    const SEEDS: u64 = 64;
    const NODES: u32 = 200;
    let next = AtomicU64::new(1);
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Relaxed)).filter(|seed| *seed <= SEEDS) {
            let report = clean(&short(seed, NODES));
            assert!(report.messages_heard > 1000, "{report:?}");
            assert_eq!(report.broadcast_heard_min, NODES);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| _ = scope.spawn(work)));
}

#[test]
fn real_crypto_keeps_them_too() {
    let report = clean(&Scenario { crypto: CryptoKind::Real, ..short(10, 20) });
    assert!(report.counts.channels_trusted > 0 && report.counts.proofs_refused > 0);
}

#[test]
fn one_seed_gives_one_history_and_another_seed_another() {
    let scenario = short(3, 40);
    let first = all(&scenario).trace_hash;
    assert_eq!(all(&scenario).trace_hash, first);
    assert_ne!(all(&short(4, 40)).trace_hash, first);
}

/// Addresses in memory, hash seeds and the like differ between processes.
#[test]
fn another_process_has_the_same_history() {
    const MARK: &str = "P2PNET_SIMULATOR_CHILD";
    let scenario = short(6, 40);
    let hash = all(&scenario).trace_hash;
    if std::env::var_os(MARK).is_some() {
        return println!("history {hash} ends");
    }
    let name = "another_process_has_the_same_history";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.env(MARK, "1").args([name, "--exact", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("history {hash} ends")), "{hash} here, there {said}");
}

#[test]
fn a_recorded_node_goes_the_same_way_again() {
    let file = std::env::temp_dir().join(format!("p2pnet-{}.trace", std::process::id()));
    let scenario = short(7, 30);
    let trace = TraceFile::create(3, &file).unwrap();
    run(&scenario, Some(trace), |_| {}).unwrap();
    let mut lives = 0;
    let mut count = |shown: Shown<'_>| lives += u32::from(matches!(shown, Shown::Life { .. }));
    let replayed = replay(&file, &mut count).unwrap();
    assert!(replayed.inputs > 1000 && replayed.events > 50, "{replayed:?}");
    assert_eq!(replay(&file, |_| {}).unwrap(), replayed);
    assert_eq!(lives, replayed.lives);
    // A recording that was cut or is something else is told as such.
    let whole = std::fs::read(&file).unwrap();
    for wrong in [&whole[..whole.len() - 3], b"something else", &whole[1..], b"", b"abc"] {
        std::fs::write(&file, wrong).unwrap();
        let error = replay(&file, |_| {}).unwrap_err().to_string();
        assert!(error.contains("is no whole recording"), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn an_order_of_hashes_shows_in_the_history() {
    let scenario = Scenario { planted: Some(Planted::HashOrder), ..short(3, 40) };
    assert_ne!(all(&scenario).trace_hash, all(&scenario).trace_hash);
}

#[test]
fn each_planted_fault_turns_its_checker_red() {
    let expected = [
        (Planted::DoubleDelivery, Checker::NoDuplicateDelivery),
        (Planted::AfterClose, Checker::NothingFromAClosedPeer),
        (Planted::FalseMember, Checker::NoTrustWithoutProof),
        (Planted::LostMessage, Checker::NothingLostOnClose),
        (Planted::Hermit, Checker::AllConverge),
    ];
    for (planted, checker) in expected {
        let report = all(&Scenario { planted: Some(planted), ..short(5, 40) });
        let red = report.failures.iter().any(|failure| failure.checker == checker);
        assert!(red, "{planted} escaped {checker}: {:?}", report.failures);
    }
}

#[test]
fn a_run_without_its_faults_shows_nothing_and_says_so() {
    // There are no faults to show where there is no time for them.
    let phases = Phases { form_ms: 5_000, chaos_ms: 30_000, calm_ms: 60_000 };
    let faults = vec![Fault::Restart];
    let scenario = Scenario { nodes: 100, phases, members_percent: 100, faults, ..short(1, 100) };
    let report = clean(&scenario);
    assert!(report.counts.restarts > 0);
    assert_eq!(report.counts.crashes, 0);
    let silent = Scenario { talk_every_ms: 3_600_000, broadcasts: 0, ..scenario };
    let mut runs = (1..20).map(|seed| all(&Scenario { seed, ..silent.clone() }));
    let report = runs.find(|report| report.messages_heard == 0).unwrap();
    let told = report.failures.iter().any(|one| one.checker == Checker::SomethingHappened);
    assert!(told, "{:?}", report.failures);
}

#[test]
fn a_large_lan_forms_and_finds_a_newcomer() {
    let phases = Phases { form_ms: 30_000, chaos_ms: 0, calm_ms: 60_000 };
    let scenario = Scenario {
        nodes: 300,
        lan_nodes: 300,
        newcomers: 1,
        phases,
        faults: Vec::new(),
        broadcasts: 3,
        ..short(2, 300)
    };
    let report = clean(&scenario);
    assert!(report.formed_ms.is_some_and(|ms| ms < 30_000), "{:?}", report.formed_ms);
    let found = report.newcomer_found_ms;
    assert!(found.is_some_and(|ms| ms < 5_000), "{found:?}");
    let loudest = report.counts.lan_bytes_per_second_max;
    assert!(loudest <= 50_000, "{loudest} bytes a second");
}
