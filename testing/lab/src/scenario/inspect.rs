//! What a capture of two nodes' traffic tells, with their keys and without.

use super::meet::time_to_meet;
use super::{MESSAGE_MAX, talk};
use crate::capture::{Capture, read_fields};
use crate::lan::{HostSpec, Lab, LanSpec};
use crate::node::{Node, NodeSpec, run_program};
use crate::shell::{Failure, Outcome};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const TEXT: &str = "the fog lifts over the harbour";
/// Characters of a message that fills several segments, and several records.
const LONG_CHARS: usize = 60_000;

/// The dissector, as it lies beside the crate that reads captures.
const DISSECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../inspect/p2pnet.lua");

/// Two nodes meet and talk while a third party captures; one of them writes down its keys. With them `p2pnet inspect`
/// prints what was said, without them it doesn't, and tshark with the dissector names beacons, handshakes and records.
///
/// # Errors
/// If something is missing from what is told, or something is told that must not be.
pub fn captured_conversation() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (left, right) = (lan.host(HostSpec::v4())?, lan.host(HostSpec::v4())?);
    let keys = lab.file("keys");
    let capture = Capture::start_both_ways(&lab, &left, 0, "tcp or udp")?;
    let logging = NodeSpec::default().with(["--keylog".as_ref(), keys.as_os_str()]);
    let a = Node::up(&lab, &left, &logging)?;
    // One side alone dials, so that there is one stream.
    let waiting = NodeSpec::default().with(["--set", "lan.connect=false"]);
    let b = Node::up(&lab, &right, &waiting)?;
    time_to_meet(&a, &b, b.spawned())?;
    talk(&a, &b)?;
    a.say(&b, TEXT, MESSAGE_MAX)?;
    let long = "0123456789".repeat(LONG_CHARS / 10);
    b.say(&a, &long, MESSAGE_MAX)?;
    let (of_a, of_b) = (a.id().to_owned(), b.id().to_owned());
    a.stop()?;
    b.stop()?;
    let file = capture.stop()?;
    let shown = |path: &Path| path.display().to_string();
    let with_keys = run_program(&["inspect", &shown(&file), "--keylog", &shown(&keys), "--json"])?;
    said_with_keys(&findings(&with_keys)?, [&of_a, &of_b], &long)?;
    for all in [&["--json"][..], &["--all"], &["--all", "--json"]] {
        let file = shown(&file);
        let sealed = run_program(&[&["inspect", file.as_str()], all].concat())?;
        if sealed.contains(TEXT) || sealed.contains("0123456789") {
            return Err(Failure::new(format!("told without keys what was said: {sealed}")));
        }
    }
    let ports = [&of_a, &of_b].map(|peer| port_of(&with_keys, peer));
    dissected_beacons(&file, &ports.into_iter().collect::<Outcome<_>>()?)?;
    dissected_channel(&file)
}

fn findings(output: &str) -> Outcome<Vec<Value>> {
    output.lines().map(|line| serde_json::from_str(line).map_err(Failure::from)).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The story that the capture tells: beacons of both, one handshake of three messages, what was said, who ended it.
fn said_with_keys(found: &[Value], [a, b]: [&str; 2], long: &str) -> Outcome<()> {
    let said = |peer: &str, to: &str, words: &str| {
        found.iter().any(|finding| {
            text(finding, "kind") == "pure_message"
                && text(finding, "peer") == peer
                && text(finding, "to_peer") == to
                && text(finding, "text") == words
        })
    };
    let signed_beacon = |peer: &str| {
        found.iter().any(|finding| {
            text(finding, "event") == "beacon"
                && text(finding, "peer") == peer
                && finding.get("signed") == Some(&Value::Bool(true))
        })
    };
    let goodbye = found.iter().any(|finding| text(finding, "reason") == "shutting down");
    let messages: Vec<u64> = found
        .iter()
        .filter(|finding| text(finding, "event") == "handshake")
        .filter_map(|finding| finding.get("message").and_then(Value::as_u64))
        .collect();
    for (holds, what) in [
        (said(a, b, TEXT), "the message"),
        (said(b, a, long), "the long message"),
        (signed_beacon(a) && signed_beacon(b), "beacons of both"),
        (messages == [1, 2, 3], "the handshake"),
        (goodbye, "the goodbye"),
    ] {
        if !holds {
            return Err(Failure::new(format!("{what} wasn't told: {found:?}")));
        }
    }
    Ok(())
}

/// The port that the beacons of a peer tell.
fn port_of(output: &str, peer: &str) -> Outcome<String> {
    let found = findings(output)?;
    let beacon = found.iter().find(|finding| text(finding, "peer") == peer);
    let port = beacon.and_then(|beacon| beacon.get("port")).and_then(Value::as_u64);
    port.map(|port| port.to_string()).ok_or_else(|| Failure::new("no beacon tells a port"))
}

/// The beacons that tshark shows tell the same ports as those that `inspect` read.
fn dissected_beacons(file: &Path, ports: &BTreeSet<String>) -> Outcome<()> {
    let fields = ["p2pnet.beacon.version", "p2pnet.beacon.network", "p2pnet.beacon.port"];
    let rows = read_fields(file, Some(Path::new(DISSECTOR)), "p2pnet.beacon", &fields)?;
    let mut seen = BTreeSet::new();
    for row in &rows {
        match row.as_slice() {
            // The tag of the network "default", as docs/wire.md has it.
            [version, tag, port] if version == "1" && tag == "fe0cbc2daa2bdd08" => {
                seen.insert(port.clone());
            }
            odd => return Err(Failure::new(format!("a beacon was dissected as {odd:?}"))),
        }
    }
    if seen == *ports {
        return Ok(());
    }
    Err(Failure::new(format!("beacons told the ports {ports:?}, dissected ones {seen:?}")))
}

/// tshark names the three messages of the handshake, numbers the records of each direction without a gap, also those that
/// span segments, and calls nothing malformed.
fn dissected_channel(file: &Path) -> Outcome<()> {
    let read =
        |filter, fields: &[&str]| read_fields(file, Some(Path::new(DISSECTOR)), filter, fields);
    let messages =
        read("p2pnet.handshake", &["p2pnet.handshake.message", "p2pnet.handshake.cipher"])?;
    let numbers: Vec<&str> =
        messages.iter().filter_map(|row| row.first()).map(String::as_str).collect();
    let offer =
        messages.first().and_then(|row| row.get(1)).map_or(0, |ciphers| ciphers.split(',').count());
    if numbers != ["1", "2", "3"] || offer != 2 {
        return Err(Failure::new(format!("the handshake was dissected as {messages:?}")));
    }
    let records = read("p2pnet.record", &["ip.src", "p2pnet.record.number"])?;
    let senders: BTreeSet<&String> = records.iter().filter_map(|row| row.first()).collect();
    for sender in &senders {
        let ours = records.iter().filter(|row| row.first() == Some(sender));
        let numbers: Vec<&str> =
            ours.filter_map(|row| row.get(1)).flat_map(|all| all.split(',')).collect();
        let expected: Vec<String> = (0..numbers.len()).map(|number| number.to_string()).collect();
        if numbers != expected || numbers.len() < 3 {
            return Err(Failure::new(format!("records of {sender} were numbered {numbers:?}")));
        }
    }
    let malformed = read("p2pnet && _ws.malformed || p2pnet.malformed", &["frame.number"])?;
    if senders.len() != 2 || !malformed.is_empty() {
        return Err(Failure::new(format!("senders {senders:?}, malformed frames {malformed:?}")));
    }
    Ok(())
}
