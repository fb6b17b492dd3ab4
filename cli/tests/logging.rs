//! Logs at their loudest hold no secrets.

mod common;

use common::{Node, Place, meet, text};
use p2pnet_protocol::ChannelKeys;
use std::path::Path;

const SECRET: &str = "xylophone quartz marmalade";
const MESSAGE: &str = "zebra crossing at midnight";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Standard base64 (RFC 4648) of the whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// How bytes may look in a log: as they are, in hex, in base64 at each of its three alignments, as `Debug` prints them.
fn looks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let listed = |joint: &str| {
        bytes.iter().map(|byte| byte.to_string()).collect::<Vec<_>>().join(joint).into_bytes()
    };
    let text = bytes.escape_ascii().to_string().into_bytes();
    let base64 = (0..3).map(|skipped| base64(&bytes[skipped..]).into_bytes());
    let hex = hex(bytes);
    let spaced: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let others = [
        bytes.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        spaced.join(" ").into_bytes(),
        listed(", "),
        listed(","),
        text,
    ];
    others.into_iter().chain(base64).collect()
}

fn holds(log: &[u8], bytes: &[u8]) -> bool {
    looks(bytes).iter().any(|look| log.windows(look.len()).any(|window| window == look))
}

/// Any twelve bytes in a row give a secret away.
fn assert_keeps(log: &[u8], what: &str, secret: &[u8]) {
    for part in secret.windows(12) {
        assert!(!holds(log, part), "the log holds {what}: {}", String::from_utf8_lossy(log));
    }
}

fn node(place: &Place, name: &str, secret: &Path, format: &str) -> (Node, std::path::PathBuf) {
    let log = place.path(&format!("{name}.log"));
    let options = [
        "--secret",
        text(secret),
        "--log",
        "trace",
        "--log-file",
        text(&log),
        "--log-format",
        format,
    ];
    (Node::quiet(place, name, &options), log)
}

#[test]
fn a_log_at_trace_level_holds_no_secrets() {
    let place = Place::new();
    let secret = place.file("secret", SECRET);
    let (mut a, a_log) = node(&place, "a", &secret, "plain");
    let (mut b, b_log) = node(&place, "b", &secret, "json");
    a.succeed(&["connect", &b.addr]);
    let (here, _) = meet(&mut a, &mut b);
    assert_eq!(here["trust"], "trusted", "the secret was used");
    a.succeed(&["send", "--all", MESSAGE]);
    b.succeed(&["send", "--all", MESSAGE]);
    assert_eq!(b.wait_for("message_received", &a)["text"], MESSAGE);
    assert_eq!(a.wait_for("message_received", &b)["text"], MESSAGE);
    // A stranger with another secret, whose proof is refused.
    let other = place.file("other", "some other secret altogether");
    let (c, c_log) = node(&place, "c", &other, "plain");
    a.succeed(&["connect", &c.addr]);
    let refused = a.wait_for("trust_refused", &c);
    assert_eq!(refused["reason"], "the peer does not know this network's secret");
    let keys: Vec<Vec<u8>> = [&a, &b, &c]
        .iter()
        .map(|node| std::fs::read(node.state.join("identity.key")).unwrap())
        .collect();
    for node in [a, b, c] {
        assert_eq!(node.stop(), 0);
    }
    for log in [a_log, b_log, c_log] {
        let log = std::fs::read(log).unwrap();
        let said = String::from_utf8_lossy(&log);
        assert!(said.contains("connected") && said.contains("DEBUG"), "{said}");
        assert_keeps(&log, "the network's secret", SECRET.as_bytes());
        assert_keeps(&log, "a message", MESSAGE.as_bytes());
        for key in &keys {
            assert_eq!(key.len(), 32);
            assert_keeps(&log, "an identity's key", key);
        }
    }
}

/// Whoever asks for keys gets them in the file that was named for them, and nowhere else.
#[test]
fn the_keys_of_channels_stand_in_the_key_log_alone() {
    let place = Place::new();
    let secret = place.file("secret", SECRET);
    let (key_log, log) = (place.path("keys"), place.path("a.log"));
    let options = ["--log", "trace", "--log-file", text(&log), "--keylog", text(&key_log)];
    let mut a = Node::quiet(&place, "a", &options);
    let (mut b, b_log) = node(&place, "b", &secret, "plain");
    a.succeed(&["connect", &b.addr]);
    meet(&mut a, &mut b);
    let story = [a.succeed(&["peers", "--json"]), format!("{:?}", a.seen())].concat();
    for node in [a, b] {
        assert_eq!(node.stop(), 0);
    }
    let keys = std::fs::read_to_string(&key_log).unwrap();
    let keys = keys.lines().find_map(|line| ChannelKeys::from_line(line).ok()).expect("keys");
    for log in [std::fs::read(log).unwrap(), std::fs::read(b_log).unwrap(), story.into_bytes()] {
        assert!(!log.is_empty());
        assert_keeps(&log, "the initiator's key", &*keys.initiator_key);
        assert_keeps(&log, "the responder's key", &*keys.responder_key);
    }
}

/// The search finds what it shall find.
#[test]
fn a_secret_is_found_however_it_looks() {
    let key: Vec<u8> = (100..132).collect();
    for log in [
        format!("key={}", hex(&key)),
        format!("key={}", hex(&key).to_uppercase()),
        format!("key={key:?}"),
        format!("key={}", base64(&key)),
        format!("key={}", base64(&key[1..])),
        format!("key={}", key.escape_ascii()),
    ] {
        let found = key.windows(12).any(|part| holds(log.as_bytes(), part));
        assert!(found, "{log}");
    }
    assert!(!key.windows(12).any(|part| holds(b"key=hidden", part)));
}
