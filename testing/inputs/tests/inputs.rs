//! A million inputs, most of them wrong: no panic, bounded memory, and the world wasn't empty.

use p2pnet_inputs::heap::Counting;

#[global_allocator]
static HEAP: Counting = Counting;

#[test]
fn a_million_random_and_mutated_inputs_do_no_harm() {
    let report = p2pnet_inputs::run(1_000_000, 1);
    println!("{report}");
    let counts = report.counts;
    // Zero of one of these would mean that something was never reached, and proved nothing.
    assert!(counts.channels > 100, "{report}");
    assert!(counts.messages > 100, "{report}");
    assert!(counts.handshakes_failed > 100, "{report}");
    assert!(counts.violations > 100, "{report}");
    assert!(counts.beacons_accepted > 10, "{report}");
    assert!(counts.beacons_refused > 100, "{report}");
    assert!(report.heap_peak_bytes > 0, "nothing was counted");
}

#[test]
fn the_same_seed_makes_the_same_history() {
    let (first, second) = (p2pnet_inputs::run(20_000, 9), p2pnet_inputs::run(20_000, 9));
    assert_eq!(first.counts, second.counts);
    assert_ne!(first.counts, p2pnet_inputs::run(20_000, 10).counts);
}
