//! Attacks by datagrams.

use super::{Script, did, honest_untouched};
use crate::report::Check;
use crate::scene::{Scene, near_addresses};
use p2pnet_lab::Outcome;

/// The most signatures that the victim checks in a second ([`Limits::small`](p2pnet_protocol::Limits::small)).
const CHECKS_A_SECOND: u64 = 50;

/// Nobody was found by what came, and the honest peer is still whom it was.
fn nothing_believed(scene: &Scene) -> Outcome<Vec<Check>> {
    let mut checks = honest_untouched(scene);
    checks.push(Check::exactly(
        "peers discovered by them",
        scene.told_of_others("peer_discovered"),
        0,
    ));
    Ok(checks)
}

pub(super) const SCRIPTS: &[Script] = &[
    Script::new(
        "forged-beacons",
        "A05 A06 A09",
        "50,000 beacons a second under made-up keys and the honest peer's, with signatures that don't fit",
        "beacon_checks_per_second_max; what was met already is checked first",
        |scene| {
            scene.attack_with("forged_beacons", |orders| {
                orders.from = near_addresses();
                orders.least = 8000;
            })
        },
        |scene, did_it| {
            let sent = did(did_it, "datagrams");
            let heard = scene.since("lan.heard")?;
            let refused = ["forged", "over_budget", "stale", "full", "repeated", "off_link"];
            let refused: u64 = refused
                .into_iter()
                .map(|name| scene.since(&format!("lan.{name}")))
                .sum::<Outcome<u64>>()?;
            let others = scene.since("lan.accepted")? + scene.since("lan.own")?;
            let mut checks = nothing_believed(scene)?;
            checks.push(Check::at_least("beacons sent", sent, 5000));
            checks.push(Check::at_least("of the beacons heard, refused", refused + others, heard));
            let seconds = scene.form.attack.as_secs() + 5;
            checks.push(Check::at_most(
                "signatures found wrong",
                scene.since("lan.forged")?,
                CHECKS_A_SECOND * seconds,
            ));
            checks.push(Check::at_most("believed", others, 40));
            Ok(checks)
        },
    ),
    Script::new(
        "altered-beacons",
        "A06 A18",
        "a genuine beacon with bits turned, cut, lengthened, of other versions and networks",
        "the layout is checked before the signature, and the signature covers all of it",
        |scene| {
            scene.attack_with("altered_beacons", |orders| {
                orders.from = near_addresses();
                orders.rate = 20_000;
                orders.least = 8000;
            })
        },
        |scene, did_it| {
            let mut checks = nothing_believed(scene)?;
            checks.push(Check::at_least("beacons sent", did(did_it, "datagrams"), 5000));
            for what in ["foreign", "other_network"] {
                let count = scene.since(&format!("lan.{what}"))?;
                checks.push(Check::at_least(&format!("refused as {what}"), count, 100));
            }
            Ok(checks)
        },
    ),
    Script::new(
        "replayed-beacons",
        "A07",
        "one genuine beacon again and again, from other hosts' addresses",
        "start number and counter: what was heard is stale",
        |scene| {
            scene.attack_with("replayed_beacons", |orders| {
                orders.from = near_addresses();
                orders.rate = 20_000;
                orders.least = 8000;
            })
        },
        |scene, did_it| {
            let mut checks = nothing_believed(scene)?;
            let old = scene.since("lan.stale")? + scene.since("lan.repeated")?;
            checks.push(Check::at_least("beacons sent", did(did_it, "datagrams"), 5000));
            checks.push(Check::at_least("refused as heard before", old, 1000));
            Ok(checks)
        },
    ),
    Script::new(
        "reflection",
        "A04 A05",
        "genuine beacons of ever new identities under a bystander's address, 300 a second",
        "one answer a second, no longer than its cause; 16 dials to an address that nobody was met at",
        |scene| {
            let bystander = scene.bystander_at()?;
            let before = scene.bytes_to_bystander()?;
            let mut counts = scene.attack_with("spoofed_beacons", |orders| {
                orders.other = (bystander, 9).into();
                orders.rate = 300;
                orders.least = 100;
            })?;
            // What was caused may come later: dials are made one after another.
            std::thread::sleep(scene.form.quiet);
            let caused = scene.bytes_to_bystander()? - before;
            counts.insert("bytes to the bystander".into(), caused);
            Ok(counts)
        },
        |scene, did_it| {
            let sent = did(did_it, "bytes");
            let mut checks = honest_untouched(scene);
            checks.push(Check::at_least("bytes sent in its name", sent, 10_000));
            // An amplification of at most 1.
            checks.push(Check::at_most(
                "bytes to the bystander",
                did(did_it, "bytes to the bystander"),
                sent,
            ));
            checks.push(Check::at_least("beacons believed", scene.since("lan.accepted")?, 10));
            Ok(checks)
        },
    ),
];
