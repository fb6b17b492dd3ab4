//! One script, from quiet to reaped.

use crate::attacker::Counts;
use crate::control::Counters;
use crate::probe::{Felt, Probe};
use crate::report::Report;
use crate::scene::{Form, Scene};
use crate::script::{Script, Way};
use p2pnet_lab::{Failure, Outcome};
use std::path::Path;
use std::time::Duration;

/// Takes of a script whose honest median was too long: other programs of the machine may have been at work in one.
const TAKES_MAX: usize = 3;

/// Plays scripts that want the same victim one after another on one scene, and tells of each as it is done.
///
/// # Errors
/// If the scene can't be set up, or the victim or the honest peer is gone.
pub fn play(
    program: &Path,
    form: Form,
    scripts: &[&Script],
    mut tell: impl FnMut(&Report),
) -> Outcome<Vec<Report>> {
    let Some(first) = scripts.first() else { return Ok(Vec::new()) };
    let mut scene = Scene::new(program, form, first.victim)?;
    let mut reports = Vec::new();
    for script in scripts {
        if script.victim != first.victim {
            return Err(Failure::new(format!("{} wants another victim", script.name)));
        }
        let report = play_one(&mut scene, script)
            .map_err(|failure| Failure::new(format!("{}: {failure}", script.name)))?;
        tell(&report);
        reports.push(report);
    }
    Ok(reports)
}

/// Plays one script.
///
/// # Errors
/// As [`play`].
pub fn play_one(scene: &mut Scene, script: &Script) -> Outcome<Report> {
    let quiet = match scene.quiet {
        Some(quiet) if scene.form.hurried => quiet,
        _ => quiet(scene, script.way)?,
    };
    scene.quiet = Some(quiet);
    let mut report = Report {
        script: script.name.to_owned(),
        attacks: script.attacks.to_owned(),
        quiet,
        ..Report::default()
    };
    while report.under.is_empty() || (report.is_slow() && report.under.len() < TAKES_MAX) {
        take(scene, script, &mut report)?;
    }
    Ok(report)
}

fn quiet(scene: &mut Scene, way: Way) -> Outcome<Felt> {
    let quiet_for = scene.form.quiet;
    let (quiet, ()) = probed(scene, way, "quiet", |_| {
        std::thread::sleep(quiet_for);
        Ok(())
    })?;
    Ok(quiet)
}

/// One take: everything but the latency is of the last one.
fn take(scene: &mut Scene, script: &Script, report: &mut Report) -> Outcome<()> {
    let connections = Counters::of(&scene.victim)?.get("connections")?;
    let descriptors = settled_descriptors(scene)?;
    scene.begin()?;
    let name = format!("take{}", report.under.len());
    let (felt, did): (Felt, Counts) = probed(scene, script.way, &name, script.attack)?;
    report.under.push(felt);
    report.did = did;
    scene.victim.require_alive()?;
    scene.honest.require_alive()?;
    if !script.holds {
        scene.end_attacks();
    }
    match scene.wait_reaped(connections, descriptors, scene.form.reaped)? {
        Ok(time) => report.reaped = Some(time),
        Err(left) => (report.reaped, report.left) = (None, left),
    }
    scene.end_attacks();
    report.checks = (script.verdict)(scene, &report.did)?;
    report.growth_kib =
        report.growth_kib.max(scene.victim.peak_kib()?.saturating_sub(scene.idle_kib));
    report.budget_kib = Counters::of(&scene.victim)?.get("memory_budget_bytes")? >> 10;
    Ok(())
}

/// Does something while the honest peer talks, and gives what it felt.
fn probed<T>(
    scene: &mut Scene,
    way: Way,
    name: &str,
    act: impl FnOnce(&mut Scene) -> Outcome<T>,
) -> Outcome<(Felt, T)> {
    // Unique on this scene, whatever was played before.
    let name = format!("{name} {}", scene.victim.mark() + scene.honest.mark());
    let (from, to) = match way {
        Way::ToVictim => (&scene.honest, &scene.victim),
        Way::FromVictim => (&scene.victim, &scene.honest),
    };
    let probe = Probe::start(from, to, &name)?;
    let done = act(scene)?;
    let to = match way {
        Way::ToVictim => &scene.victim,
        Way::FromVictim => &scene.honest,
    };
    Ok((probe.finish(to)?, done))
}

/// How many descriptors the victim holds when nothing happens: commands come and go.
fn settled_descriptors(scene: &Scene) -> Outcome<usize> {
    let mut held = scene.victim.descriptors()?;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(20));
        held = held.min(scene.victim.descriptors()?);
    }
    Ok(held)
}
