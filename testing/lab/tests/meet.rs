//! Two nodes find each other with nothing configured, over every kind of wire.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::meet::{self, Wire};

#[test]
fn two_hosts_meet_with_nothing_configured() -> Outcome<()> {
    println!("{}", meet::meetings(Wire::Dual, 3)?);
    Ok(())
}

#[test]
fn two_hosts_meet_over_ipv4_alone() -> Outcome<()> {
    meet::meetings(Wire::V4, 1).map(drop)
}

#[test]
fn two_hosts_meet_over_ipv6_alone() -> Outcome<()> {
    meet::meetings(Wire::V6, 1).map(drop)
}

#[test]
fn two_hosts_meet_as_soon_as_their_addresses_are_usable() -> Outcome<()> {
    meet::meetings(Wire::V6Checked, 1).map(drop)
}

#[test]
fn two_hosts_meet_when_they_are_plugged_in_late() -> Outcome<()> {
    meet::meetings(Wire::LatePlug, 1).map(drop)
}

#[test]
fn two_hosts_meet_without_multicast() -> Outcome<()> {
    meet::meetings(Wire::NoMulticast, 1).map(drop)
}

#[test]
fn two_hosts_meet_without_broadcast() -> Outcome<()> {
    meet::meetings(Wire::NoBroadcast, 1).map(drop)
}

#[test]
fn hosts_with_two_interfaces_meet_on_both_and_keep_one_channel() -> Outcome<()> {
    meet::two_interfaces()
}

#[test]
fn two_nodes_on_loopback_meet() -> Outcome<()> {
    meet::on_loopback().map(drop)
}

#[test]
fn two_nodes_on_one_host_of_a_lan_meet() -> Outcome<()> {
    meet::two_on_one_host()
}
