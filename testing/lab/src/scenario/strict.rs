//! Who gets in where the policy is strict.

use super::{MEET_MAX, talk};
use crate::lan::{HostSpec, Lab, LanSpec};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome};
use std::time::Duration;

/// A strict node with a list and a secret: whoever is on the list or knows the secret gets in, trusted; whoever is
/// neither gets no channel, though its own policy is open.
///
/// # Errors
/// If someone gets in who mustn't, or doesn't who must.
pub fn listed_and_members_only() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let host = || lan.host(HostSpec::dual());
    let (strict_host, listed_host, member_host, stranger_host) =
        (host()?, host()?, host()?, host()?);
    let secret = lab.file("secret");
    std::fs::write(&secret, "known to members, unknown to others\n")?;
    let list = lab.file("list");

    let listed = Node::up(&lab, &listed_host, &NodeSpec::default())?;
    let stranger = Node::up(&lab, &stranger_host, &NodeSpec::default().with(["--policy", "open"]))?;
    std::fs::write(&list, format!("# who may come in\n{}\n", listed.id()))?;
    let knows = NodeSpec::default().with(["--secret".as_ref(), secret.as_os_str()]);
    let member = Node::up(&lab, &member_host, &knows)?;
    let strict = Node::up(
        &lab,
        &strict_host,
        &knows.clone().with(["--policy", "strict", "--trust"]).with([list.as_os_str()]),
    )?;

    for friend in [&listed, &member] {
        strict.wait_trusted(friend.id(), MEET_MAX * 2)?;
        friend.wait_connected(strict.id(), MEET_MAX * 2)?;
        talk(&strict, friend)?;
    }
    // The stranger and the strict node have heard each other by now: give every retry its chance.
    stranger.wait_connected(listed.id(), MEET_MAX * 2)?;
    std::thread::sleep(Duration::from_secs(3));
    if strict.has_heard(|heard| heard.is("peer_connected", stranger.id())) {
        return Err(Failure::new("a strict node let a stranger in"));
    }
    if stranger.try_command(&["send", "--to", strict.id(), "let me in"])?.status.success() {
        return Err(Failure::new("a stranger could send to a strict node"));
    }
    if strict.has_heard(|heard| heard.is("message_received", stranger.id())) {
        return Err(Failure::new("a strict node heard a stranger's message"));
    }
    Ok(())
}
