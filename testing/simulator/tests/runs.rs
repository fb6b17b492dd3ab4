//! Whole runs: they keep every promise, repeat exactly, and show each planted fault.

use p2pnet_simulator::{Checker, CryptoKind, Fault, Phases, Planted, Report, Scenario, run};

fn all(scenario: &Scenario) -> Report {
    run(scenario, None, |_| {}).unwrap()
}

fn clean(scenario: &Scenario) -> Report {
    let report = all(scenario);
    let told: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "seed {}:\n{}", scenario.seed, told.join("\n"));
    report
}

/// Short, with everything in it.
fn short(seed: u64, nodes: u32) -> Scenario {
    let phases = Phases { form_ms: 15_000, chaos_ms: 60_000, calm_ms: 100_000 };
    Scenario { nodes, seed, phases, ..Scenario::default() }
}

#[test]
fn every_promise_holds_through_chaos() {
    for seed in 1..=4 {
        let report = clean(&short(seed, 100));
        assert!(report.messages_heard > 1000, "{report:?}");
        assert_eq!(report.broadcast_heard_min, 100);
    }
}

#[test]
fn real_crypto_keeps_them_too() {
    let report = clean(&Scenario { crypto: CryptoKind::Real, ..short(9, 20) });
    assert!(report.counts.channels_trusted > 0 && report.counts.proofs_refused > 0);
}

#[test]
fn one_seed_gives_one_history_and_another_seed_another() {
    let scenario = short(3, 40);
    let first = all(&scenario).trace_hash;
    assert_eq!(all(&scenario).trace_hash, first);
    assert_ne!(all(&short(4, 40)).trace_hash, first);
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
    // Nobody restarts where all the time for faults is too short to plan one.
    let phases = Phases { form_ms: 5_000, chaos_ms: 30_000, calm_ms: 60_000 };
    let faults = vec![Fault::Restart];
    let scenario = Scenario { nodes: 100, phases, members_percent: 100, faults, ..short(1, 100) };
    let report = clean(&scenario);
    assert!(report.counts.restarts > 0);
    assert_eq!(report.counts.crashes, 0);
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
