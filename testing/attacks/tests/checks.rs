//! The checks themselves: each turns red when there is something to see.

use p2pnet_attacks::attacker::Counts;
use p2pnet_attacks::report::{Check, Report};
use p2pnet_attacks::runner::play;
use p2pnet_attacks::scene::{Form, Scene};
use p2pnet_attacks::script::{Script, Way, all};
use p2pnet_lab::{Failure, Outcome};
use std::path::Path;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_p2pnet-attacks");

fn play_one(script: &Script) -> Outcome<Report> {
    let mut reports = play(Path::new(PROGRAM), Form::SHORT, &[script], |_| {})?;
    reports.pop().ok_or_else(|| Failure::new("no report"))
}

fn named(name: &str) -> &'static Script {
    all().into_iter().find(|script| script.name == name).expect("there is such a script")
}

fn has_fault(report: &Report, about: &str) -> bool {
    report.faults().iter().any(|fault| fault.starts_with(about))
}

fn nothing_to_check(_: &Scene, _: &Counts) -> Outcome<Vec<Check>> {
    Ok(vec![Check::exactly("nothing", 0, 0)])
}

/// A process that is stopped most of the time answers late.
fn stutter(scene: &mut Scene) -> Outcome<Counts> {
    let until = Instant::now() + scene.form.attack;
    while Instant::now() < until {
        scene.victim.freeze(true)?;
        std::thread::sleep(Duration::from_millis(60));
        scene.victim.freeze(false)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Counts::new())
}

#[test]
fn a_victim_that_answers_late_is_seen() -> Outcome<()> {
    let script = Script {
        name: "stutter",
        attacks: "",
        what: "",
        bound: "",
        victim: &[],
        holds: false,
        way: Way::ToVictim,
        attack: stutter,
        verdict: nothing_to_check,
    };
    let report = play_one(&script)?;
    assert!(has_fault(&report, "latency"), "{:?}", report.faults());
    assert_eq!(report.under.len(), 3, "it is seen in each take");
    Ok(())
}

#[test]
fn a_victim_without_a_bound_on_its_queues_is_seen() -> Outcome<()> {
    // Queues of a gibibyte a peer, held against the budget of the limits that everybody else has.
    let script = Script {
        victim: &["limits.send_queue_bytes_max=1073741824"],
        attack: |scene| {
            let attack = scene.start_attack("unread", |orders| {
                orders.count = 8;
                orders.least = 1;
                orders.seconds += 8.0;
            })?;
            std::thread::sleep(Duration::from_millis(300));
            let mut control = p2pnet_attacks::control::Control::of(&scene.victim)?;
            let text = "z".repeat(15 << 10);
            let everyone = serde_json::json!({"command": "send", "to": null, "text": text});
            for _ in 0..2500 {
                control.ask(&everyone)?;
            }
            scene.finish_attack(attack)
        },
        ..*named("slow-readers")
    };
    let mut report = play_one(&script)?;
    assert!(!has_fault(&report, "memory"), "its own budget is large: {:?}", report.faults());
    report.budget_kib = p2pnet_protocol::Limits::small().total_bytes_max() >> 10;
    assert!(has_fault(&report, "memory"), "grew by {} KiB", report.growth_kib);
    Ok(())
}

#[test]
fn a_victim_without_a_time_out_is_seen() -> Outcome<()> {
    let script = Script { victim: &["timing.handshake_timeout=10m"], ..*named("half-open") };
    let report = play_one(&script)?;
    assert!(has_fault(&report, "reaping"), "{:?}", report.faults());
    Ok(())
}

#[test]
fn a_victim_that_lets_in_what_it_should_refuse_is_seen() -> Outcome<()> {
    let script = Script { victim: &["policy=open"], ..*named("gated-bulk") };
    let report = play_one(&script)?;
    assert!(has_fault(&report, "refusal"), "{:?}", report.faults());
    Ok(())
}
