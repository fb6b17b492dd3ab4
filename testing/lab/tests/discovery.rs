//! What discovery puts on the wire, what it needs, and what it withstands.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::{discovery, storm};

#[test]
fn beacons_leave_by_every_kind_and_the_port_rotates() -> Outcome<()> {
    discovery::kinds_and_rotation()
}

#[test]
fn a_plain_node_needs_no_privilege_and_no_capture_driver() -> Outcome<()> {
    discovery::no_privilege_needed()
}

#[test]
fn one_port_answers_both_families() -> Outcome<()> {
    discovery::dual_stack()
}

#[test]
fn forged_beacons_cost_nothing_and_make_nobody_dial_a_victim() -> Outcome<()> {
    let sent = storm::forged_beacons(5)?;
    assert!(sent > 1000, "a storm of {sent} datagrams is a breeze");
    Ok(())
}
