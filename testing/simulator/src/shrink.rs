//! Making a failing run smaller.

use crate::report::Checker;
use crate::run;
use crate::scenario::{Fault, Phases, Scenario};

/// Looks for a smaller scenario that breaks the same promise: fewer nodes, less time, fewer kinds of fault, gentler links.
/// Each attempt is a run; at most `runs_max` are made. `told` hears of each attempt and whether it still fails.
///
/// The result is the scenario itself if nothing smaller fails.
pub fn shrink(
    scenario: &Scenario,
    checker: Checker,
    runs_max: u32,
    mut told: impl FnMut(&Scenario, bool),
) -> Scenario {
    let mut best = scenario.clone();
    let mut left = runs_max;
    loop {
        let mut smaller = false;
        for candidate in candidates(&best) {
            if left == 0 {
                return best;
            }
            if candidate.validate().is_err() {
                continue;
            }
            left -= 1;
            let failures = run(&candidate, None, |_| {}).map(|report| report.failures);
            let fails = failures.is_ok_and(|all| all.iter().any(|one| one.checker == checker));
            told(&candidate, fails);
            if fails {
                best = candidate;
                smaller = true;
                break;
            }
        }
        if !smaller {
            return best;
        }
    }
}

/// What is tried, the boldest first.
fn candidates(of: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Scenario)| {
        let mut changed = of.clone();
        change(&mut changed);
        if changed != *of {
            all.push(changed);
        }
    };
    add(&|s| s.faults.clear());
    for fault in Fault::ALL {
        add(&|s| s.faults.retain(|kept| *kept != fault));
    }
    for share in [4, 2] {
        add(&|s| s.nodes = (s.nodes / share).max(2));
    }
    add(&|s| s.nodes = (s.nodes - s.nodes / 5).max(2));
    add(&|s| s.phases.chaos_ms /= 2);
    add(&|s| s.phases = Phases { form_ms: s.phases.form_ms / 2, ..s.phases });
    add(&|s| s.phases = Phases { calm_ms: (s.phases.calm_ms / 2).max(20_000), ..s.phases });
    add(&|s| s.nat_percent = 0);
    add(&|s| s.links.loss_ppm = 0);
    add(&|s| (s.links.duplicate_ppm, s.links.reorder_ppm) = (0, 0));
    add(&|s| s.links.rate_bytes_per_second = 0);
    add(&|s| s.broadcasts = s.broadcasts.min(1));
    add(&|s| s.wan_links = s.wan_links.min(1));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Planted;

    #[test]
    fn a_failing_run_gets_smaller_and_still_fails() {
        let phases = Phases { form_ms: 8000, chaos_ms: 10_000, calm_ms: 20_000 };
        let scenario = Scenario {
            nodes: 30,
            phases,
            planted: Some(Planted::DoubleDelivery),
            talk_every_ms: 300,
            ..Scenario::default()
        };
        let mut runs = 0;
        let small = shrink(&scenario, Checker::NoDuplicateDelivery, 40, |_, _| runs += 1);
        assert!(small.nodes < 10 && small.faults.is_empty(), "{small:?}");
        assert!(runs <= 40);
        let again = run(&small, None, |_| {}).unwrap();
        assert_eq!(again.failures[0].checker, Checker::NoDuplicateDelivery);
    }
}
