//! Attacks by peers that say they are somebody else, belong where they don't, or come back.

use super::channels::command;
use super::{Script, did, honest_untouched};
use crate::report::Check;
use std::time::Instant;

pub(super) const SCRIPTS: &[Script] = &[
    Script::new(
        "replayed-handshakes",
        "A07",
        "a handshake and a message that were in order once, on other streams; a record twice; messages sent back",
        "fresh ephemeral keys; nonces count",
        |scene| scene.attack("replay"),
        |scene, did_it| {
            let heard = scene.told(|heard| heard.text("text") == "said once");
            let mut checks = honest_untouched(scene);
            checks.push(Check::exactly("originals heard", heard.len() as u64, did(did_it, "originals")));
            checks.push(Check::at_least("replays", did(did_it, "replayed handshakes"), 5));
            checks.push(Check::exactly("replays survived", did(did_it, "survived"), 0));
            checks.push(Check::exactly("records replayed and refused", scene.since("node.violations")?, 1));
            let accepted = scene.since("driver.accepted")?;
            let lost = super::incoming_failed(scene)? + scene.since("node.incoming_refused")?;
            checks.push(Check::exactly("streams that came to nothing", lost, accepted - 1));
            Ok(checks)
        },
    ),
    Script::new(
        "stolen-introduction",
        "A09",
        "the honest peer's introduction shown as one's own, on 4 streams at once",
        "the signature covers the static key that the handshake proves",
        |scene| scene.attack("stolen"),
        |scene, did_it| {
            let mut checks = super::streams_accounted(scene)?;
            checks.push(Check::at_least("claims", did(did_it, "claims"), 4));
            checks.push(Check::exactly("claims survived", did(did_it, "survived"), 0));
            Ok(checks)
        },
    ),
    Script::new(
        "impostor-answers",
        "A08 A09",
        "a host that the victim dials as somebody else answers as itself, with a stolen introduction, or with \
         choices that weren't on offer",
        "the answer is judged before this side shows itself",
        |scene| {
            let attack = scene.start_attack("impostor", |orders| {
                orders.ports = vec![7001];
                orders.least = 1;
            })?;
            scene.attackers_line(attack)?;
            let at = scene.attacker_at()?;
            // Somebody who isn't there: the channel to whom is there stays, so that nobody dials it.
            let absent = "5a".repeat(32);
            let until = Instant::now() + scene.form.attack.mul_f64(0.7);
            let mut dialled = 0;
            while Instant::now() < until {
                let to = format!("{at}:7001");
                command(scene, &["connect", &to, "--expect", &absent])?;
                dialled += 1;
            }
            let mut counts = scene.finish_attack(attack)?;
            counts.insert("dials ordered".into(), dialled);
            Ok(counts)
        },
        |scene, did_it| {
            let failed = scene.told(|heard| heard.name() == "connection_failed").len() as u64;
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("calls", did(did_it, "calls"), 1));
            checks.push(Check::exactly("calls that learned the victim's identity", did(did_it, "believed"), 0));
            checks.push(Check::at_least("dials that failed", failed, did(did_it, "calls")));
            Ok(checks)
        },
    ),
    Script::new(
        "false-proofs",
        "A07 A09",
        "proofs of membership that are made up, the victim's own sent back, and its own from another channel",
        "a proof is bound to its channel's transcript and its maker's side",
        |scene| scene.attack("proofs"),
        |scene, did_it| {
            let honest = scene.honest.id();
            let trusted = scene.told(|heard| {
                heard.text("trust") == "trusted" && heard.text("peer") != honest
            });
            let shown = ["made up", "sent back", "of another channel"];
            let shown: u64 = shown.into_iter().map(|what| did(did_it, what)).sum();
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("proofs shown", shown, 6));
            checks.push(Check::at_least("proofs refused", scene.told_of_others("trust_refused"), shown));
            checks.push(Check::exactly("attackers trusted", trusted.len() as u64, 0));
            Ok(checks)
        },
    )
    .victim(&["secret"]),
    Script::new(
        "wrong-proof-lists",
        "A15 A18",
        "lists of proofs that are too long, out of order, or hold bodies of wrong lengths",
        "lists are read whole before one is believed, and a wrong one ends the channel",
        |scene| scene.attack("proof_lists"),
        |scene, did_it| {
            let mut checks = honest_untouched(scene);
            let lists = did(did_it, "wrong lists");
            checks.push(Check::at_least("lists", lists, 8));
            checks.push(Check::exactly("lists survived", did(did_it, "survived"), 0));
            checks.push(Check::exactly("violations counted", scene.since("node.violations")?, lists));
            Ok(checks)
        },
    )
    .victim(&["secret"]),
    Script::new(
        "ban-evasion",
        "A10",
        "a blocked identity from new ports and addresses, and new identities from a blocked prefix",
        "blocks hold by identity and by prefix, before anything else",
        |scene| {
            let attack = scene.start_attack("returns", |_| {})?;
            let said = scene.attackers_line(attack)?;
            let identity = said["identity"].as_str().unwrap_or_default().to_owned();
            command(scene, &["block", &identity])?;
            command(scene, &["block", "10.78.1.0/24"])?;
            scene.tell_attackers(attack)?;
            let counts = scene.finish_attack(attack)?;
            command(scene, &["unblock", &identity])?;
            command(scene, &["unblock", "10.78.1.0/24"])?;
            Ok(counts)
        },
        |scene, did_it| {
            let mut checks = honest_untouched(scene);
            let (same, prefix) = (did(did_it, "same identity"), did(did_it, "same prefix"));
            checks.push(Check::at_least("returns", same + prefix, 6));
            checks.push(Check::exactly("returns that got in", did(did_it, "survived"), 0));
            checks.push(Check::exactly("channels to them", scene.told_of_others("peer_connected"), 0));
            checks.push(Check::at_least(
                "streams refused by prefix",
                scene.since("node.incoming_refused")?,
                prefix,
            ));
            Ok(checks)
        },
    ),
];
