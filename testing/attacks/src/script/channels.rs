//! Attacks by peers that have proved who they are.

use super::{Script, did, honest_untouched};
use crate::control::Control;
use crate::report::Check;
use crate::scene::Scene;
use p2pnet_lab::{Failure, Outcome};
use p2pnet_protocol::Limits;
use std::time::Instant;

/// Each case broke the format on a channel of its own and ended it, by the victim's own count.
fn all_ended(scene: &Scene, did_it: &super::Counts, least: u64) -> Outcome<Vec<Check>> {
    let ended = did(did_it, "ended by the victim");
    let violations = scene.since("node.violations")?;
    let mut checks = honest_untouched(scene);
    checks.push(Check::at_least("cases", ended, least));
    checks.push(Check::exactly("cases survived", did(did_it, "survived"), 0));
    // What is wrong before there is a channel counts as a failed handshake.
    let channels = ended - did(did_it, "handshake lies").min(ended);
    checks.push(Check::at_least("violations counted", violations, channels));
    Ok(checks)
}

/// Packets of that kind were turned away, and none was let in.
fn turned_away(scene: &Scene, kind: &str, received: &str) -> Vec<Check> {
    let refused: u64 = scene
        .told(|heard| heard.name() == "packets_refused" && heard.text("kind") == kind)
        .iter()
        .filter_map(|heard| heard.json.get("count")?.as_u64())
        .sum();
    let mut checks = honest_untouched(scene);
    // Told at once for the first, and then once a second with a count.
    checks.push(Check::at_least(&format!("{kind} packets refused"), refused, 1));
    checks.push(Check::exactly("let in", scene.told_of_others(received), 0));
    checks
}

/// The attackers were held to what limits allow, and are still on speaking terms or were ended for it.
fn kept_up(scene: &Scene, did_it: &super::Counts, least: u64) -> Vec<Check> {
    let mut checks = honest_untouched(scene);
    checks.push(Check::at_least("frames sent", did(did_it, "frames"), least));
    checks
}

/// Each channel that did nothing but idle was ended for it, and answered once a record at most.
fn ended_for_idling(scene: &Scene, did_it: &super::Counts, a_record: u64) -> Outcome<Vec<Check>> {
    let mut checks = kept_up(scene, did_it, a_record);
    let ended = did(did_it, "ended");
    checks.push(Check::at_least("channels ended", ended, 1));
    checks.push(Check::at_least("violations counted", scene.since("node.violations")?, ended));
    let frames = did(did_it, "frames");
    checks.push(Check::at_most("frames in answer", did(did_it, "answers"), frames / 100));
    Ok(checks)
}

/// What [`Limits::small`] lets so many peers send meanwhile, with the burst before, and what one read brings over it.
fn paced(scene: &Scene, channels: u64) -> u64 {
    let a_second = u64::from(Limits::small().packets_per_second_max);
    let seconds = scene.form.attack.as_secs() + 3;
    channels * (a_second * seconds + u64::from(Limits::small().message_window_bytes) / 2)
}

/// Sends texts to everyone until the time is up, and counts what became of them.
fn talk_to_all(scene: &mut Scene, counts: &mut super::Counts) -> Outcome<()> {
    let text = "y".repeat(8 << 10);
    let until = Instant::now() + scene.form.attack;
    let mut control = Control::of(&scene.victim)?;
    while Instant::now() < until {
        let answer =
            control.ask(&serde_json::json!({"command": "send", "to": null, "text": text}))?;
        let rows = answer.get("sent").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
        for row in rows {
            let what = if row["error"].is_null() { "taken" } else { "refused for want of room" };
            *counts.entry(what.into()).or_default() += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

pub(super) const SCRIPTS: &[Script] = &[
    Script::new(
        "lying-lengths",
        "A15 A18",
        "lengths of messages, records and frames that lie",
        "every length is bounded before anything is kept for it",
        |scene| scene.attack("lengths"),
        |scene, did_it| all_ended(scene, did_it, 15),
    ),
    Script::new(
        "wrong-frames",
        "A15 A16 A17",
        "packets too long, parts out of order, frames unknown, lists nested too deep",
        "typed errors end the channel; packet_bytes_max",
        |scene| scene.attack("frames"),
        |scene, did_it| all_ended(scene, did_it, 15),
    ),
    Script::new(
        "credit-overrun",
        "A15 A16",
        "messages beyond the credit given, while nobody reads the victim's story",
        "message_window_bytes: the channel ends at the first byte over it",
        |scene| {
            scene.victim.pause_reading(true);
            let counts = scene.attack("overruns");
            scene.victim.pause_reading(false);
            counts
        },
        |scene, did_it| all_ended(scene, did_it, 1),
    )
    .reversed(),
    Script::new(
        "endless-record",
        "A12",
        "open channels on which one record never ends",
        "only whole records count as signs of life: silence_timeout",
        |scene| {
            scene.attack_with("endless_record", |orders| {
                orders.count = 16;
                orders.hold = true;
            })
        },
        |scene, did_it| {
            let closed = scene.told_of_others("peer_closed");
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("channels", did(did_it, "prepared"), 5));
            checks.push(Check::at_least("channels given up", closed, 5));
            Ok(checks)
        },
    )
    .victim(&["timing.keep_alive=1s", "timing.silence_timeout=4s"])
    .holds(),
    Script::new(
        "empty-packets",
        "A16 A17",
        "empty messages, 8,000 to a record, on 8 channels",
        "packets_per_second_max, unread_events_max, the message window",
        |scene| {
            scene.attack_with("empty", |orders| {
                orders.count = 8;
                orders.least = 8000;
            })
        },
        |scene, did_it| {
            let mut checks = kept_up(scene, did_it, 8000);
            let heard = scene.told_of_others("message_received");
            checks.push(Check::at_most(
                "messages heard",
                heard,
                paced(scene, did(did_it, "channels")),
            ));
            Ok(checks)
        },
    ),
    Script::new(
        "messages",
        "A16",
        "messages of a kibibyte as fast as they are taken, on 8 channels",
        "the message window and its credit",
        |scene| {
            scene.attack_with("messages", |orders| {
                orders.count = 8;
                orders.least = 8000;
            })
        },
        |scene, did_it| {
            let mut checks = kept_up(scene, did_it, 500);
            let heard = scene.told_of_others("message_received");
            checks.push(Check::at_most(
                "messages heard",
                heard,
                paced(scene, did(did_it, "channels")),
            ));
            Ok(checks)
        },
    ),
    Script::new(
        "pings",
        "A05 A13 A17",
        "pings, 2,700 to a record, on 8 channels",
        "1,000 frames that carry nothing end a channel; only the latest ping of several is answered",
        |scene| {
            scene.attack_with("pings", |orders| {
                orders.count = 8;
                orders.least = 8000;
            })
        },
        |scene, did_it| ended_for_idling(scene, did_it, 2700),
    ),
    Script::new(
        "skipped-frames",
        "A17",
        "frames of later versions, 8,000 to a record, on 8 channels",
        "1,000 frames that carry nothing end a channel",
        |scene| {
            scene.attack_with("skipped", |orders| {
                orders.count = 8;
                orders.least = 8000;
            })
        },
        |scene, did_it| ended_for_idling(scene, did_it, 8000),
    ),
    Script::new(
        "credit-lies",
        "A15 A16",
        "credit of all there is, then of none, over and over",
        "credit that changes nothing is a frame that carries nothing; more credit makes no room at the sender",
        |scene| {
            scene.attack_with("credits", |orders| {
                orders.count = 4;
                orders.least = 2000;
            })
        },
        |scene, did_it| ended_for_idling(scene, did_it, 1200),
    ),
    Script::new(
        "gated-bulk",
        "A32",
        "bulk data that the victim's policy doesn't let pass",
        "the gate drops it, and the window is given back",
        |scene| {
            scene.attack_with("gated", |orders| {
                orders.count = 4;
                orders.least = 2000;
            })
        },
        |scene, _| Ok(turned_away(scene, "data_transmission", "data_received")),
    ),
    Script::new(
        "trust-steps",
        "A32",
        "steps of a trust handshake that was never begun, without end",
        "the gate lets them pass only while the application's handshake runs",
        |scene| {
            scene.attack_with("trust_steps", |orders| {
                orders.count = 4;
                orders.least = 2000;
            })
        },
        |scene, _| Ok(turned_away(scene, "trust_step", "trust_changed")),
    ),
    Script::new(
        "peer-lists",
        "A01 A04",
        "lists of peers that there aren't, all at a bystander's addresses, from trusted peers",
        "hearsay is never dialled; known_peers_max",
        |scene| {
            let bystander = scene.bystander_at()?;
            let before = scene.bytes_to_bystander()?;
            let mut counts = scene.attack_with("peer_groups", |orders| {
                orders.count = 4;
                orders.least = 2000;
                orders.other = (bystander, 9).into();
            })?;
            let caused = scene.bytes_to_bystander()? - before;
            counts.insert("bytes to the bystander".into(), caused);
            Ok(counts)
        },
        |scene, did_it| {
            let received = scene.told_of_others("peer_group_received");
            let known = scene.since("known_peers")?;
            let dials = scene.told(|heard| {
                heard.name() == "connection_attempt" && heard.text("direction") == "outgoing"
            });
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("records of peers sent", did(did_it, "frames"), 1000));
            checks.push(Check::at_least("lists received", received, 10));
            checks.push(Check::at_most("peers remembered", known, 256));
            checks.push(Check::exactly("dials", dials.len() as u64, 0));
            // Beacons go to everybody, the bystander included: one a beat.
            let beats = 200 * (8 + scene.form.attack.as_secs());
            checks.push(Check::at_most(
                "bytes to the bystander",
                did(did_it, "bytes to the bystander"),
                beats,
            ));
            Ok(checks)
        },
    )
    .victim(&["policy=open"]),
    Script::new(
        "label-questions",
        "A05",
        "questions for the victim's label, 1,000 to a record, from trusted peers",
        "one answer for each that was sent of its own accord",
        |scene| {
            scene.attack_with("questions", |orders| {
                orders.count = 4;
                orders.least = 2000;
            })
        },
        |scene, did_it| {
            let mut checks = kept_up(scene, did_it, 1000);
            // Credit, pings and pongs are frames too.
            let channels = did(did_it, "channels").max(1);
            let quiet = 100 * channels + did(did_it, "frames") / 100;
            checks.push(Check::at_most("frames in answer", did(did_it, "answers"), quiet));
            Ok(checks)
        },
    )
    .victim(&["policy=open"]),
    Script::new(
        "slow-readers",
        "A12 A16",
        "8 channels that never read, while the victim sends to everybody",
        "send_queue_bytes_max: what has no room is refused to the sender",
        |scene| {
            let attack = scene.start_attack("unread", |orders| {
                orders.count = 8;
                orders.least = 1;
                orders.seconds += 1.0;
            })?;
            let mut sent = super::Counts::new();
            talk_to_all(scene, &mut sent)?;
            let mut counts = scene.finish_attack(attack)?;
            counts.append(&mut sent);
            Ok(counts)
        },
        |scene, did_it| {
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("channels", did(did_it, "kept"), 4));
            let refused = did(did_it, "refused for want of room");
            checks.push(Check::at_least("messages refused for want of room", refused, 1));
            Ok(checks)
        },
    ),
    Script::new(
        "one-subnet",
        "A03 A16",
        "ever new identities from one subnet",
        "connections_per_subnet_max, connections_per_address_max",
        |scene| {
            scene.attack_with("channels", |orders| {
                orders.from.retain(|from| from.to_string().starts_with("10.78.1."));
            })
        },
        |scene, did_it| {
            let limits = Limits::small();
            let kept = did(did_it, "kept");
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("channels kept", kept, 4));
            let most = u64::from(limits.connections_per_subnet_max);
            checks.push(Check::at_most("of these, at once", kept, most));
            let refused = scene.since("node.incoming_refused")?;
            checks.push(Check::at_least("streams refused", refused, 5));
            Ok(checks)
        },
    ),
    Script::new(
        "unread-story",
        "A16",
        "churn and messages while nobody reads the victim's story",
        "events of each peer and of all are bounded, and coalesced with a count",
        |scene| {
            scene.victim.pause_reading(true);
            let churn = scene.start_attack("churn", |_| {})?;
            let counts = scene.attack_with("messages", |orders| {
                orders.count = 8;
                orders.least = 100;
            });
            let more = scene.finish_attack(churn);
            scene.victim.pause_reading(false);
            let mut counts = counts?;
            counts.insert("reset".into(), did(&more?, "reset"));
            Ok(counts)
        },
        |scene, did_it| {
            let limits = Limits::small();
            let mut checks = honest_untouched(scene);
            let frames = did(did_it, "frames");
            checks.push(Check::at_least("frames sent", frames, 100));
            // Each peer has its window, its unread events, and what the kernel holds of it.
            let each = u64::from(limits.message_window_bytes) / 1000
                + u64::from(limits.unread_events_max) * 4;
            checks.push(Check::at_most("frames taken", frames, 8 * (each + 8000)));
            Ok(checks)
        },
    )
    .reversed(),
];

/// For scripts whose victim must be told something.
pub(super) fn command(scene: &Scene, arguments: &[&str]) -> Outcome<String> {
    scene.victim.command(arguments).map_err(|failure| Failure::new(failure.to_string()))
}
