//! What breaks is noticed, reported and mended, and leaves nothing behind.

use super::meet::{time_to_meet, up_both};
use super::talk;
use crate::lan::{Host, HostSpec, Lab, Lan, LanSpec};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome};
use std::time::{Duration, Instant};

/// A dead process's sockets are closed by its kernel: the other side is to tell of it within so long.
const DEATH_NOTICED_MAX: Duration = Duration::from_secs(2);

/// Silence is noticed by keep-alive; the default limit is 15 s, and this is a little more.
const SILENCE_NOTICED_MAX: Duration = Duration::from_secs(20);

/// After the cause is gone, a channel is to be back within so long.
const REPAIR_MAX: Duration = Duration::from_secs(15);

/// Take it apart in this order: what is bound last is dropped first, nodes before their hosts, and the lab at the end.
struct Pair {
    lab: Lab,
    lan: Lan,
    left: Host,
    right: Host,
    a: Node,
    b: Node,
    /// What `a` holds while it knows nobody.
    baseline: usize,
}

fn pair() -> Outcome<Pair> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (left, right) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    let a = Node::up(&lab, &left, &NodeSpec::default())?;
    let baseline = settled_descriptors(&a)?;
    let b = Node::up(&lab, &right, &NodeSpec::default())?;
    time_to_meet(&a, &b, b.spawned())?;
    talk(&a, &b)?;
    Ok(Pair { lab, lan, left, right, a, b, baseline })
}

/// How many descriptors a node holds once the count stands still.
fn settled_descriptors(node: &Node) -> Outcome<usize> {
    let mut last = node.descriptors()?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(200));
        let now = node.descriptors()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    Err(Failure::new("a lone node's descriptors never settle"))
}

/// A peer is killed without a last word: the other side says so, holds no descriptor of it, and is found again when
/// the peer comes back under the same identity.
///
/// # Errors
/// If that isn't so.
pub fn killed_peer() -> Outcome<Duration> {
    let Pair { lab, lan: _lan, left: _left, right, a, b, baseline } = pair()?;
    let id = b.id().to_owned();
    let mark = a.mark();
    let killed = Instant::now();
    let state = b.kill()?;
    let closed = a.wait_after(mark, "peer_closed", DEATH_NOTICED_MAX * 2, |heard| {
        heard.is("peer_closed", &id)
    })?;
    let took = closed.at.saturating_duration_since(killed);
    if took > DEATH_NOTICED_MAX {
        return Err(Failure::new(format!("a death was noticed after {took:?}")));
    }
    if closed.text("reason").is_empty() {
        return Err(Failure::new(format!("a close without a reason: {}", closed.json)));
    }
    a.wait_descriptors(baseline, Duration::from_secs(10))?;
    let again = Node::up(&lab, &right, &NodeSpec::default().in_state(state))?;
    if again.id() != id {
        return Err(Failure::new("a node forgot who it is when it was killed"));
    }
    a.wait_after(mark, "the peer again", REPAIR_MAX, |heard| heard.is("peer_connected", &id))?;
    again.wait_connected(a.id(), REPAIR_MAX)?;
    talk(&a, &again)?;
    Ok(took)
}

/// A link is pulled for so long and plugged in again: the channel comes back by itself. Gives how long that took.
///
/// # Errors
/// If it doesn't.
pub fn pulled_link(outage: Duration) -> Outcome<Duration> {
    let Pair { lab: _lab, lan: _lan, left: _left, right, a, b, .. } = pair()?;
    let marks = (a.mark(), b.mark());
    right.pull(0)?;
    std::thread::sleep(outage);
    if outage > SILENCE_NOTICED_MAX {
        for (node, mark, other) in [(&a, marks.0, b.id()), (&b, marks.1, a.id())] {
            node.wait_after(mark, "notice of the dead link", Duration::ZERO, |heard| {
                heard.is("peer_closed", other)
            })?;
        }
    }
    right.plug_in(0)?;
    let usable = right.wait_usable()?;
    wait_for_talk(&a, &b)?;
    Ok(usable.elapsed())
}

/// Frames between two hosts vanish while their links stay up: both ends notice that the channel is half-open, and once
/// frames pass again, it comes back. Gives how long the notice and the repair took.
///
/// # Errors
/// If that isn't so.
pub fn half_open() -> Outcome<(Duration, Duration)> {
    let Pair { lab: _lab, lan, left, right, a, b, baseline } = pair()?;
    let marks = (a.mark(), b.mark());
    let cut = Instant::now();
    lan.part(&left, &right)?;
    let is_closed = |heard: &crate::Heard, peer: &str| heard.is("peer_closed", peer);
    let there = a.wait_after(marks.0, "notice of silence", SILENCE_NOTICED_MAX, |heard| {
        is_closed(heard, b.id())
    })?;
    let here = b.wait_after(marks.1, "notice of silence", SILENCE_NOTICED_MAX, |heard| {
        is_closed(heard, a.id())
    })?;
    let noticed = there.at.max(here.at).saturating_duration_since(cut);
    // A dial that waits for an answer may hold a descriptor for its five seconds.
    a.wait_descriptors(baseline, Duration::from_secs(20))?;
    lan.heal()?;
    let healed = Instant::now();
    wait_for_talk(&a, &b)?;
    Ok((noticed, healed.elapsed()))
}

/// Peers come and go in order, `times` times: afterwards a node holds what it held before.
///
/// # Errors
/// If descriptors are left.
pub fn comings_and_goings(times: usize) -> Outcome<usize> {
    let Pair { lab, lan: _lan, left: _left, right, a, b, baseline } = pair()?;
    let mut state = b.stop()?;
    for _ in 0..times {
        let mark = a.mark();
        let guest = Node::up(&lab, &right, &NodeSpec::default().in_state(state))?;
        let id = guest.id().to_owned();
        a.wait_after(mark, "guest", REPAIR_MAX, |heard| heard.is("peer_connected", &id))?;
        guest.wait_connected(a.id(), REPAIR_MAX)?;
        talk(&a, &guest)?;
        state = guest.stop()?;
        a.wait_after(mark, "farewell", DEATH_NOTICED_MAX, |heard| heard.is("peer_closed", &id))?;
    }
    a.wait_descriptors(baseline, Duration::from_secs(10))
}

/// Two hosts each restart their node while the other's is up, which makes both dial at once: one channel remains.
///
/// # Errors
/// If they end with none, or with two.
pub fn simultaneous_dials(times: usize) -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (left, right) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    for _ in 0..times {
        let (a, b) = up_both(&lab, &left, &right, &NodeSpec::default())?;
        time_to_meet(&a, &b, b.spawned())?;
        std::thread::sleep(Duration::from_millis(500));
        for (x, y) in [(&a, &b), (&b, &a)] {
            let count =
                |name: &str| x.events().iter().filter(|heard| heard.is(name, y.id())).count();
            if (count("peer_connected"), count("peer_closed")) != (1, 0) {
                return Err(Failure::new("two dials didn't collapse to one channel quietly"));
            }
        }
        talk(&a, &b)?;
        a.stop()?;
        b.stop()?;
    }
    Ok(())
}

/// Waits until a message passes both ways, however often the channel must be made again for that.
fn wait_for_talk(a: &Node, b: &Node) -> Outcome<()> {
    let deadline = Instant::now() + REPAIR_MAX;
    let mut number = 0;
    loop {
        number += 1;
        let passes = |from: &Node, to: &Node, text: &str| -> Outcome<bool> {
            Ok(from.try_command(&["send", "--to", to.id(), text])?.status.success()
                && to.wait_message(from.id(), text, Duration::from_millis(500)).is_ok())
        };
        let (there, back) = (format!("there {number}"), format!("back {number}"));
        if passes(a, b, &there)? && passes(b, a, &back)? {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "no message passes {REPAIR_MAX:?} after the repair; one side heard {:?}",
                a.events().iter().map(|heard| heard.json.to_string()).collect::<Vec<_>>()
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
