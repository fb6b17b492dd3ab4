//! What breaks is noticed, reported and mended, and leaves nothing behind.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::repair;
use std::time::Duration;

#[test]
fn a_killed_peer_is_noticed_and_found_again() -> Outcome<()> {
    repair::killed_peer().map(drop)
}

#[test]
fn a_pulled_link_is_mended() -> Outcome<()> {
    repair::pulled_link(Duration::from_secs(4)).map(drop)
}

#[test]
fn a_half_open_channel_is_noticed_on_both_sides_and_mended() -> Outcome<()> {
    repair::half_open().map(drop)
}

#[test]
fn descriptors_return_to_the_baseline() -> Outcome<()> {
    repair::comings_and_goings(3).map(drop)
}

#[test]
fn simultaneous_dials_collapse_to_one_channel() -> Outcome<()> {
    repair::simultaneous_dials(3)
}
