//! Attacks by streams that never become channels.

use super::{Script, did, streams_accounted};
use crate::report::Check;

pub(super) const SCRIPTS: &[Script] = &[
    Script::new(
        "half-open",
        "A12",
        "64 connections from 8 subnets that say nothing, opened again as they end",
        "handshakes_max and its shares by host and subnet; handshake_timeout",
        |scene| scene.attack_with("silent", |orders| orders.hold = true),
        |scene, _| streams_accounted(scene),
    )
    .holds(),
    Script::new(
        "slowloris-first",
        "A12",
        "first messages that come a byte at a time",
        "handshake_timeout counts from the stream, not from the last byte",
        |scene| scene.attack_with("drip_first", |orders| orders.hold = true),
        |scene, did_it| {
            let mut checks = streams_accounted(scene)?;
            checks.push(Check::at_least("bytes dripped", did(did_it, "bytes"), 50));
            Ok(checks)
        },
    )
    .holds(),
    Script::new(
        "slowloris-third",
        "A12",
        "handshakes whose third message comes a byte at a time",
        "handshake_timeout",
        |scene| scene.attack_with("drip_third", |orders| orders.hold = true),
        |scene, did_it| {
            let mut checks = streams_accounted(scene)?;
            checks.push(Check::at_least("handshakes begun", did(did_it, "prepared"), 1));
            Ok(checks)
        },
    )
    .holds(),
    Script::new(
        "garbage-streams",
        "A13 A15",
        "noise of all lengths, one connection after another",
        "the first wrong byte ends the stream",
        |scene| scene.attack("garbage"),
        |scene, _| streams_accounted(scene),
    ),
    Script::new(
        "first-messages",
        "A13",
        "valid first messages, which cost two agreements of keys each, and then nothing",
        "handshakes_max; the work is the dialler's as well",
        |scene| scene.attack("first"),
        |scene, did_it| {
            let mut checks = streams_accounted(scene)?;
            checks.push(Check::at_least("handshakes begun", did(did_it, "answered"), 5));
            Ok(checks)
        },
    ),
    Script::new(
        "handshake-flood",
        "A03 A13",
        "whole handshakes, each under a new identity, one after another",
        "connections_max and its shares; a channel is told of only once it is open",
        |scene| scene.attack("full"),
        |scene, did_it| {
            let known = scene.since("known_peers")?;
            let shaken = did(did_it, "shaken");
            Ok(vec![
                Check::at_least("handshakes", shaken, 5),
                Check::at_most("identities remembered", known, 256),
                Check::exactly(
                    "ends of the honest channel",
                    scene.told_of_honest("peer_closed"),
                    0,
                ),
            ])
        },
    ),
    Script::new(
        "churn",
        "A13 A40",
        "connections that are reset as soon as they are there",
        "nothing is kept of a stream that is gone",
        |scene| scene.attack("churn"),
        |scene, _| streams_accounted(scene),
    ),
    Script::new(
        "noise-on-ports",
        "A05 A15",
        "noise on every TCP and UDP port that the victim has",
        "magic and length before anything else",
        |scene| {
            let ports = scene.victims_udp_ports()?;
            scene.attack_with("ports", |orders| orders.ports = ports)
        },
        |scene, did_it| {
            let mut checks = streams_accounted(scene)?;
            let foreign = scene.since("lan.foreign")? + scene.since("lan.malformed")?;
            checks.push(Check::at_least("datagrams of noise", did(did_it, "datagrams"), 100));
            checks.push(Check::at_least("datagrams refused as foreign", foreign, 50));
            checks.push(Check::exactly(
                "peers discovered by them",
                scene.told_of_others("peer_discovered"),
                0,
            ));
            Ok(checks)
        },
    ),
    Script::new(
        "downgrade",
        "A08 A35",
        "offers of versions, ciphers and networks that there aren't",
        "the offer is part of the transcript; what isn't in common is refused",
        |scene| scene.attack("downgrade"),
        |scene, did_it| {
            let mut checks = streams_accounted(scene)?;
            checks.push(Check::at_least("bad offers", did(did_it, "bad offers"), 6));
            checks.push(Check::exactly("offers accepted", did(did_it, "survived"), 0));
            Ok(checks)
        },
    ),
];
