//! A hundred nodes, five minutes, everything that can go wrong: prints what came of it.
//!
//! `cargo run --release -p p2pnet-simulator --example chaos [SEED]`

use p2pnet_simulator::{Scenario, run};

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let scenario = Scenario { seed, ..Scenario::default() };
    let report = run(&scenario, None, |_| {}).expect("the default scenario can be run");
    for (name, count) in report.counts.all() {
        println!("{count:>12} {name}");
    }
    for failure in &report.failures {
        println!("broken: {failure}");
    }
    println!("{} nodes, seed {seed}: {}", report.nodes, report.trace_hash);
}
