//! `p2pnet trust` as the trust handshake of the program: who waits for the operator's word, and what it does.

mod common;

use common::{Node, PATIENCE, Place, meet};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long the operator may take in these tests.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A node whose operator decides about trust.
fn asking(place: &Place, name: &str, options: &[&str]) -> Node {
    let timeout = format!("timing.trust_timeout={}s", TIMEOUT.as_secs());
    let mut all =
        vec!["--set", "policies.incoming.application_handshake=true", "--set", timeout.as_str()];
    all.extend(options);
    Node::quiet(place, name, &all)
}

/// What `node` shows of `peer`.
fn seen(node: &Node, peer: &Node) -> Value {
    let rows = node.succeed(&["peers", "--json"]);
    let rows = rows.lines().map(|row| serde_json::from_str::<Value>(row).unwrap());
    rows.into_iter().find(|row| row["peer"] == peer.id.as_str()).expect("it is known")
}

/// `node` has trusted `peer` and kept its channel for longer than a handshake may take.
fn assert_lasting(node: &Node, peer: &Node) {
    let begun = Instant::now();
    while begun.elapsed() < TIMEOUT + Duration::from_secs(1) {
        let row = seen(node, peer);
        assert_eq!((&row["state"], &row["trust"]), (&"open".into(), &"trusted".into()), "{row}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Says things both ways that only trusted peers may hear.
fn assert_talking(a: &mut Node, b: &mut Node, words: &str) {
    a.succeed(&["send", "--to", &b.id, words]);
    assert_eq!(b.wait_for("message_received", a)["text"], words);
    b.succeed(&["send", "--to", &a.id, words]);
    assert_eq!(a.wait_for("message_received", b)["text"], words);
}

#[test]
fn the_operator_s_word_settles_trust_and_is_not_asked_for_again() {
    let place = Place::new();
    let (mut a, mut b) = (asking(&place, "a", &[]), asking(&place, "b", &[]));
    a.succeed(&["connect", &b.addr]);
    a.wait_for("trust_requested", &b);
    b.wait_for("trust_requested", &a);
    a.succeed(&["trust", &b.id[..8]]);
    b.succeed(&["trust", &a.id[..8]]);
    meet(&mut a, &mut b);
    assert_lasting(&a, &b);
    assert_eq!(seen(&b, &a)["trust"], "trusted");
    assert_talking(&mut a, &mut b, "after the word");

    // It meets a listed peer again without asking, and keeps it.
    assert_eq!(b.stop(), 0);
    a.wait("peer_closed", |_| true);
    let mut b = asking(&place, "b", &[]);
    b.succeed(&["connect", &a.addr]);
    let (here, there) = meet(&mut a, &mut b);
    assert_eq!((&here["trust"], &there["trust"]), (&"trusted".into(), &"trusted".into()));
    assert_lasting(&b, &a);
    assert_talking(&mut a, &mut b, "after the restart");
    a.succeed(&["stop"]);
    let told = a.wait_and_keep("stopped");
    assert!(told.iter().all(|line| line["event"] != "trust_requested"), "{told:#?}");
}

#[test]
fn whoever_nobody_speaks_for_is_let_go_and_may_come_back() {
    let place = Place::new();
    let mut a = asking(&place, "a", &[]);
    let patient = ["--set", "timing.trust_timeout=1m"];
    let b = asking(&place, "b", &patient);
    b.succeed(&["connect", &a.addr]);
    a.wait_for("trust_requested", &b);
    let refused = a.wait_for("trust_refused", &b);
    assert!(refused["reason"].to_string().contains("not done in time"), "{refused}");
    a.wait_for("peer_closed", &b);
    // The word counts all the same, from the next meeting on.
    a.succeed(&["trust", &b.id]);
    b.succeed(&["trust", &a.id]);
    let deadline = Instant::now() + PATIENCE;
    while seen(&a, &b)["state"] != "open" {
        assert!(Instant::now() < deadline, "they don't meet again");
        a.command(&["connect", &b.addr]);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_lasting(&a, &b);
}

#[test]
fn a_strict_node_lets_nobody_in_before_the_word() {
    let place = Place::new();
    let mut a = asking(&place, "a", &["--policy", "strict"]);
    let mut b = asking(&place, "b", &[]);
    b.succeed(&["connect", &a.addr]);
    a.wait_for("trust_requested", &b);
    assert_eq!(seen(&a, &b)["state"], "connecting");
    b.succeed(&["trust", &a.id]);
    a.succeed(&["trust", &b.id]);
    let (here, _) = meet(&mut a, &mut b);
    assert_eq!(here["trust"], "trusted");
    assert_lasting(&a, &b);
}
