//! Who is trusted, and who gets in.

use p2pnet_lab::Outcome;
use p2pnet_lab::scenario::{crowd, strict};

#[test]
fn members_trust_each_other_and_a_stranger_gets_what_policies_allow() -> Outcome<()> {
    crowd::members_and_a_stranger(20).map(drop)
}

#[test]
fn a_strict_node_lets_in_the_listed_and_members_only() -> Outcome<()> {
    strict::listed_and_members_only()
}
