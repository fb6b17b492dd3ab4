//! A network with a common secret, and one who doesn't know it.

use super::MESSAGE_MAX;
use crate::lan::{Host, HostSpec, Lab, LanSpec};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome};
use std::time::{Duration, Instant};

/// All members are to trust each other after so long.
pub const TRUST_MAX: Duration = Duration::from_secs(10);

/// Starts that many members at once, and gives how long it took from the last start until all trusted each other. Then
/// a stranger comes: the members of even number, who run with the default policy, let it exchange messages; the others
/// are strict and let it in not at all.
///
/// # Errors
/// If one pair doesn't trust each other in [`TRUST_MAX`], or the stranger gets more or less than the policies say.
pub fn members_and_a_stranger(members: usize) -> Outcome<Duration> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let hosts: Vec<Host> =
        (0..members).map(|_| lan.host(HostSpec::dual())).collect::<Outcome<_>>()?;
    let outside = lan.host(HostSpec::dual())?;
    let secret = lab.file("secret");
    std::fs::write(&secret, "a secret of more than sixteen bytes\n")?;

    let mut nodes = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let policy = if is_strict(number) { "strict" } else { "default" };
        let spec =
            NodeSpec::default().with(["--policy", policy, "--secret"]).with([secret.as_os_str()]);
        nodes.push(Node::spawn(&lab, host, &spec)?);
    }
    let started = nodes.last().map_or_else(Instant::now, Node::spawned);
    for node in &mut nodes {
        node.wait_listening()?;
    }
    let took = time_to_trust(&nodes, started)?;

    let stranger = Node::up(&lab, &outside, &NodeSpec::default())?;
    for (_, member) in open_members(&nodes) {
        let connected = stranger.wait_connected(member.id(), TRUST_MAX)?;
        if connected.text("trust") != "authenticated" {
            return Err(Failure::new(format!("a stranger's own view: {}", connected.json)));
        }
        member.wait_connected(stranger.id(), TRUST_MAX)?;
    }
    stranger.command(&["send", "--all", "may I come in?"])?;
    for (_, member) in open_members(&nodes) {
        member.wait_message(stranger.id(), "may I come in?", MESSAGE_MAX)?;
    }
    // What was to come to the others by mistake would have come by now.
    std::thread::sleep(Duration::from_millis(500));
    for (number, member) in nodes.iter().enumerate() {
        let trusted = member.has_heard(|heard| {
            heard.text("peer") == stranger.id() && heard.text("trust") == "trusted"
        });
        let let_in = member.has_heard(|heard| {
            heard.is("peer_connected", stranger.id()) || heard.is("message_received", stranger.id())
        });
        if trusted || (let_in && is_strict(number)) {
            return Err(Failure::new(format!(
                "member {number} gave the stranger too much: {:?}",
                member.events()
            )));
        }
    }
    Ok(took)
}

const fn is_strict(number: usize) -> bool {
    number % 2 == 1
}

/// The members who talk to strangers.
fn open_members(nodes: &[Node]) -> impl Iterator<Item = (usize, &Node)> {
    nodes.iter().enumerate().filter(|(number, _)| !is_strict(*number))
}

fn time_to_trust(nodes: &[Node], from: Instant) -> Outcome<Duration> {
    let mut last = from;
    for a in nodes {
        for b in nodes.iter().filter(|b| b.id() != a.id()) {
            last = last.max(a.wait_trusted(b.id(), TRUST_MAX * 2)?.at);
        }
    }
    let took = last.saturating_duration_since(from);
    if took > TRUST_MAX {
        return Err(Failure::new(format!("it took {took:?} until all trusted each other")));
    }
    Ok(took)
}
