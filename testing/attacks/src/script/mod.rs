//! The scripts. Each says what attackers do and what must come of it; the rules that hold for all are in
//! [`report`](crate::report).

mod beacons;
mod channels;
mod host;
mod identity;
mod streams;

use crate::attacker::Counts;
use crate::report::Check;
use crate::scene::Scene;
use p2pnet_lab::Outcome;

/// Which way the honest peer's messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the honest peer to the victim.
    ToVictim,
    /// From the victim to the honest peer, where the victim's own output is what is attacked.
    FromVictim,
}

/// One attack script.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Its name.
    pub name: &'static str,
    /// The rows of the attack table that it is about.
    pub attacks: &'static str,
    /// What attackers do.
    pub what: &'static str,
    /// What bounds it.
    pub bound: &'static str,
    /// The victim's settings beside the common ones; `secret` gives it and the honest peer a network secret.
    pub victim: &'static [&'static str],
    /// Whether attackers stay while the victim reaps: its time-outs must do it.
    pub holds: bool,
    /// Which way the honest peer's messages go.
    pub way: Way,
    /// The attack.
    pub attack: fn(&mut Scene) -> Outcome<Counts>,
    /// What the victim must have refused, looked at once everything is reaped.
    pub verdict: fn(&Scene, &Counts) -> Outcome<Vec<Check>>,
}

impl Script {
    /// A script against the common victim whose attackers leave when they are done.
    const fn new(
        name: &'static str,
        attacks: &'static str,
        what: &'static str,
        bound: &'static str,
        attack: fn(&mut Scene) -> Outcome<Counts>,
        verdict: fn(&Scene, &Counts) -> Outcome<Vec<Check>>,
    ) -> Self {
        let (victim, holds, way): (&[&str], _, _) = (&[], false, Way::ToVictim);
        Self { name, attacks, what, bound, victim, holds, way, attack, verdict }
    }

    const fn victim(self, victim: &'static [&'static str]) -> Self {
        Self { victim, ..self }
    }

    const fn holds(self) -> Self {
        Self { holds: true, ..self }
    }

    const fn reversed(self) -> Self {
        Self { way: Way::FromVictim, ..self }
    }
}

/// Every script.
pub fn all() -> Vec<&'static Script> {
    [streams::SCRIPTS, beacons::SCRIPTS, channels::SCRIPTS, identity::SCRIPTS, host::SCRIPTS]
        .into_iter()
        .flatten()
        .collect()
}

/// Scripts that want the same victim, together.
pub fn by_victim(scripts: &[&'static Script]) -> Vec<Vec<&'static Script>> {
    let mut groups: Vec<Vec<&'static Script>> = Vec::new();
    for script in scripts {
        match groups.iter_mut().find(|group| group[0].victim == script.victim) {
            Some(group) => group.push(script),
            None => groups.push(vec![script]),
        }
    }
    groups
}

fn did(counts: &Counts, what: &str) -> u64 {
    counts.get(what).copied().unwrap_or_default()
}

/// What holds for every attack by strangers' streams: each stream that the victim accepted was refused, failed, or came
/// to a channel, and the honest peer's channel was never touched.
fn streams_accounted(scene: &Scene) -> Outcome<Vec<Check>> {
    let accepted = scene.since("driver.accepted")?;
    let refused = scene.since("node.incoming_refused")?;
    let failed = incoming_failed(scene)?;
    Ok(vec![
        Check::at_least("streams accepted", accepted, 1),
        Check::exactly("of them refused or failed", refused + failed, accepted),
        Check::exactly("channels to attackers", scene.told_of_others("peer_connected"), 0),
        Check::exactly("ends of the honest channel", scene.told_of_honest("peer_closed"), 0),
    ])
}

/// Handshakes of streams that came in and were lost: the victim counts them together with its own dials, which it tells of
/// one by one.
fn incoming_failed(scene: &Scene) -> Outcome<u64> {
    let dials = scene
        .told(|heard| heard.name() == "connection_failed" && heard.text("direction") == "outgoing");
    Ok(scene.since("node.handshakes_failed")?.saturating_sub(dials.len() as u64))
}

/// What holds for attackers on channels of their own: the honest peer's is not touched, and nobody is trusted.
fn honest_untouched(scene: &Scene) -> Vec<Check> {
    vec![Check::exactly("ends of the honest channel", scene.told_of_honest("peer_closed"), 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_enough_scripts_and_each_has_a_name_of_its_own() {
        let scripts = all();
        let names: BTreeSet<&str> = scripts.iter().map(|script| script.name).collect();
        assert_eq!(names.len(), scripts.len());
        assert!(names.len() >= 25, "{}", names.len());
        assert_eq!(by_victim(&scripts).iter().map(Vec::len).sum::<usize>(), scripts.len());
    }

    #[test]
    fn the_page_names_every_script() {
        let page = include_str!("../../../../docs/attacks.md");
        for script in all() {
            assert!(page.contains(&format!("| `{}` |", script.name)), "{}", script.name);
        }
    }
}
