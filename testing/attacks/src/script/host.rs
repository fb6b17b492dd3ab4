//! Attacks on the host under the victim: its log, its control socket, its descriptors.

use super::{Script, did, honest_untouched, streams_accounted};
use crate::report::Check;

pub(super) const SCRIPTS: &[Script] = &[
    Script::new(
        "log-flood",
        "A16",
        "everything at once that makes a line in the log or the story",
        "failures are told once a second with a count; categories can be turned down",
        |scene| {
            let more = scene.start_attack("garbage", |_| {})?;
            let mut counts = scene.attack("churn")?;
            let garbage = scene.finish_attack(more)?;
            counts.insert("garbage".into(), did(&garbage, "done"));
            counts.insert("bytes logged".into(), scene.victim.logged_bytes()?);
            Ok(counts)
        },
        |scene, did_it| {
            let mut checks = streams_accounted(scene)?;
            let streams = scene.since("driver.accepted")?;
            let failed = scene.told(|heard| heard.name() == "connection_failed").len() as u64;
            let seconds = scene.form.attack.as_secs() + 3;
            checks.push(Check::at_most("lines about failures", failed, seconds));
            // What a stranger's stream costs at most in the log: a line or two.
            checks.push(Check::at_most(
                "bytes logged",
                did(did_it, "bytes logged"),
                400 * streams + 4096,
            ));
            Ok(checks)
        },
    )
    .victim(&["log.filter=debug"]),
    Script::new(
        "control-abuse",
        "A15 A16 A26",
        "a local program with too many connections, endless lines, deep nesting and nonsense",
        "32 connections, requests as long as packets, 30 s of silence; the parser's own depth",
        |scene| scene.attack_with("local", |orders| orders.count = 40),
        |scene, did_it| {
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("lines", did(did_it, "lines"), 5));
            checks.push(Check::at_least("answered with a refusal", did(did_it, "answered"), 1));
            checks.push(Check::exactly(
                "messages sent by nonsense",
                scene.told_of_others("message_received"),
                0,
            ));
            Ok(checks)
        },
    ),
    Script::new(
        "descriptors",
        "A12 A16",
        "silent connections to a victim that may open only a few descriptors",
        "accepting pauses and goes on; open channels don't notice",
        |scene| {
            let held = scene.victim.descriptors()? as u64;
            scene.victim.limit_descriptors(held + 12)?;
            let counts = scene.attack_with("silent", |orders| orders.hold = true);
            scene.victim.limit_descriptors(4096)?;
            counts
        },
        |scene, _| {
            let mut checks = streams_accounted(scene)?;
            let pauses = scene.since("driver.accept_pauses")?;
            checks.push(Check::at_least("pauses of accepting", pauses, 1));
            Ok(checks)
        },
    )
    .holds(),
];
