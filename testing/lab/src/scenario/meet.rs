//! Two nodes find each other with nothing configured.

use super::{MEET_MAX, Times, talk};
use crate::lan::{Host, HostSpec, Lab, Lan, LanSpec};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome};
use std::time::{Duration, Instant};

/// What lies between the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Both families, all kinds of datagrams.
    Dual,
    /// IPv4 alone.
    V4,
    /// IPv6 alone, addresses usable at once.
    V6,
    /// IPv6 alone, and the addresses are still being checked for duplicates when the nodes start.
    V6Checked,
    /// Multicast is blocked.
    NoMulticast,
    /// Broadcast is blocked.
    NoBroadcast,
    /// The nodes run already when their hosts are plugged in.
    LatePlug,
}

impl Wire {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Dual,
        Self::V4,
        Self::V6,
        Self::V6Checked,
        Self::NoMulticast,
        Self::NoBroadcast,
        Self::LatePlug,
    ];

    const fn lan(self) -> LanSpec {
        LanSpec {
            block_multicast: matches!(self, Self::NoMulticast),
            block_broadcast: matches!(self, Self::NoBroadcast),
        }
    }

    const fn host(self) -> HostSpec {
        match self {
            Self::V4 => HostSpec::v4(),
            Self::V6 => HostSpec::v6(),
            Self::V6Checked => HostSpec { duplicate_detection: true, ..HostSpec::v6() },
            _ => HostSpec::dual(),
        }
    }
}

/// Lets two nodes meet and talk, `starts` times with new hosts and new identities, and gives how long each meeting took
/// from the moment at which both nodes ran and their addresses were usable.
///
/// # Errors
/// If one meeting fails or takes over [`MEET_MAX`].
pub fn meetings(wire: Wire, starts: usize) -> Outcome<Times> {
    let mut times = Times::default();
    for start in 1..=starts {
        let took = meet_once(wire)
            .map_err(|failure| failure.during(&format!("start {start} over {wire:?}")))?;
        times.add(took);
    }
    Ok(times)
}

fn meet_once(wire: Wire) -> Outcome<Duration> {
    let lab = Lab::new()?;
    let lan = lab.lan(wire.lan())?;
    let (left, right) = (lan.host(wire.host())?, lan.host(wire.host())?);
    if wire == Wire::LatePlug {
        left.pull(0)?;
        right.pull(0)?;
    }
    let (a, b) = up_both(&lab, &left, &right, &NodeSpec::default())?;
    if wire == Wire::LatePlug {
        left.plug_in(0)?;
        right.plug_in(0)?;
    }
    let usable = left.wait_usable()?.max(right.wait_usable()?);
    let addresses_came_late = matches!(wire, Wire::LatePlug | Wire::V6Checked);
    let from = if addresses_came_late { usable } else { b.spawned() };
    let took = time_to_meet(&a, &b, from)?;
    talk(&a, &b)?;
    a.stop()?;
    b.stop()?;
    Ok(took)
}

/// Starts two nodes at once.
///
/// # Errors
/// If one doesn't start.
pub fn up_both(lab: &Lab, left: &Host, right: &Host, spec: &NodeSpec) -> Outcome<(Node, Node)> {
    let mut a = Node::spawn(lab, left, spec)?;
    let mut b = Node::spawn(lab, right, spec)?;
    a.wait_listening()?;
    b.wait_listening()?;
    Ok((a, b))
}

/// How long after `from` both had reported the other as connected.
///
/// # Errors
/// If that is over [`MEET_MAX`] or never.
pub fn time_to_meet(a: &Node, b: &Node, from: Instant) -> Outcome<Duration> {
    // Patience beyond the limit makes the difference between late and never visible.
    let patience = MEET_MAX * 4;
    let there = a.wait_connected(b.id(), patience)?.at;
    let back = b.wait_connected(a.id(), patience)?.at;
    let took = there.max(back).saturating_duration_since(from);
    if took > MEET_MAX {
        return Err(Failure::new(format!("meeting took {took:?}, over {MEET_MAX:?}")));
    }
    Ok(took)
}

/// Two hosts that share two wires: they meet, and one channel remains. A third, on one of the wires only, meets both;
/// a fourth, on the other, meets those two but not the third.
///
/// # Errors
/// If someone doesn't meet as said.
pub fn two_interfaces() -> Outcome<()> {
    let lab = Lab::new()?;
    let (one, two) = (lab.lan(LanSpec::default())?, lab.lan(LanSpec::default())?);
    let dual = HostSpec::dual();
    let on_both = |first: &Lan, second: &Lan| -> Outcome<Host> {
        let mut host = first.host(dual)?;
        second.plug(&mut host, dual)?;
        Ok(host)
    };
    let (left, right) = (on_both(&one, &two)?, on_both(&two, &one)?);
    let (third, fourth) = (one.host(dual)?, two.host(dual)?);
    let spec = NodeSpec::default();
    let (a, b) = up_both(&lab, &left, &right, &spec)?;
    let (c, d) = up_both(&lab, &third, &fourth, &spec)?;
    for (x, y) in [(&a, &b), (&a, &c), (&a, &d), (&b, &c), (&b, &d)] {
        time_to_meet(x, y, d.spawned())?;
        talk(x, y)?;
    }
    // Both found each other on both wires, and may have dialled on both: let that settle.
    std::thread::sleep(Duration::from_secs(1));
    for (x, y) in [(&a, &b), (&b, &a)] {
        let count = |name: &str| x.events().iter().filter(|heard| heard.is(name, y.id())).count();
        let (opened, closed) = (count("peer_connected"), count("peer_closed"));
        if (opened, closed) != (1, 0) {
            return Err(Failure::new(format!(
                "on two wires, one peer connected {opened} times and closed {closed} times"
            )));
        }
    }
    if c.has_heard(|heard| heard.is("peer_connected", d.id())) {
        return Err(Failure::new("two hosts without a common wire met"));
    }
    Ok(())
}

/// Two nodes on one host that has nothing but a loopback interface.
///
/// # Errors
/// If they don't meet and talk.
pub fn on_loopback() -> Outcome<Duration> {
    let lab = Lab::new()?;
    let host = Host::alone()?;
    let (a, b) = up_both(&lab, &host, &host, &NodeSpec::default())?;
    let took = time_to_meet(&a, &b, b.spawned())?;
    talk(&a, &b)?;
    Ok(took)
}

/// Two nodes on one host of a wire, and a third on another: all meet.
///
/// # Errors
/// If they don't meet and talk.
pub fn two_on_one_host() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (shared, other) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    let (a, b) = up_both(&lab, &shared, &shared, &NodeSpec::default())?;
    let c = Node::up(&lab, &other, &NodeSpec::default())?;
    for (x, y) in [(&a, &b), (&a, &c), (&b, &c)] {
        time_to_meet(x, y, c.spawned())?;
        talk(x, y)?;
    }
    Ok(())
}
