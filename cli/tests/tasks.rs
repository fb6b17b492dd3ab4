//! `p2pnet task` and `p2pnet data` between real nodes: what is done, refused and told, and what a restart remembers.

mod common;

use common::{Node, PATIENCE, Place, meet, succeed, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An authority's key and its public half.
fn authority(place: &Place) -> (PathBuf, PathBuf) {
    let key = place.path("authority.key");
    succeed(["authority", "new", text(&key)]);
    let public = place.path("authority.key.pub");
    (key, public)
}

/// A node that trusts whoever proves an identity, under this authority.
fn member(place: &Place, name: &str, public: &Path) -> Node {
    Node::quiet(place, name, &["--policy", "open", "--authority", text(public)])
}

fn pair(place: &Place) -> (Node, Node, PathBuf) {
    let (key, public) = authority(place);
    let (mut a, mut b) = (member(place, "a", &public), member(place, "b", &public));
    a.succeed(&["connect", &b.addr]);
    meet(&mut a, &mut b);
    (a, b, key)
}

#[test]
fn a_peer_does_what_it_may_be_asked_and_both_sides_hear_of_it() {
    let place = Place::new();
    let (mut a, mut b, _) = pair(&place);
    assert_eq!(
        a.succeed(&["task", "send", "send-message", "hello there", "--to", &b.id]),
        "done\n"
    );
    let received = b.wait_for("task_received", &a);
    assert_eq!(
        (&received["kind"], &received["text"]),
        (&"send-message".into(), &"hello there".into())
    );
    let executed = b.wait_for("task_executed", &a);
    assert_eq!((&executed["task"], &executed["done"]), (&received["task"], &Value::Bool(true)));
    let answered = a.wait_for("task_answered", &b);
    assert_eq!(answered["task"], received["task"]);
    assert_eq!(a.succeed(&["task", "send", "ping-peer", "--to", &b.id[..8]]), "done\n");
    let key = a.succeed(&["task", "send", "request-public-key", "--to", &b.id, "--json"]);
    let key: Value = serde_json::from_str(&key).unwrap();
    assert_eq!(key["result"]["public_key"].as_str().unwrap().len(), 64, "{key}");

    // What only the authority may ask is refused, and named.
    let (code, said) = a.fail(&["task", "send", "block-ip", "192.0.2.0/24", "--to", &b.id]);
    assert_eq!(code, 1);
    assert!(said.contains("does not let this issuer"), "{said}");
    let refused = b.wait_for("task_refused", &a);
    assert!(
        refused["reason"].as_str().unwrap().contains("authority-bootstrap-server"),
        "{refused}"
    );
    let (code, said) = a.fail(&["task", "send", "ping-pear", "--to", &b.id]);
    assert!(code == 2 && said.contains("--help"), "{said}");

    // Kept until the peer asks, and then only once.
    a.succeed(&["task", "send", "send-message", "for later", "--to", &b.id, "--keep"]);
    let listed = a.succeed(&["task", "list", "--json"]);
    assert!(listed.contains("\"kept\""), "{listed}");
    b.succeed(&["task", "send", "heartbeat", "--to", &a.id]);
    b.wait("task_received", |told| told["text"] == "for later");
}

#[test]
fn the_authority_s_orders_are_carried_out_and_survive_a_restart() {
    let place = Place::new();
    let (a, mut b, key) = pair(&place);
    let order = |words: &[&str]| {
        let mut all = vec!["task", "send"];
        all.extend(words);
        all.extend(["--to", &b.id, "--sign-with", text(&key)]);
        a.succeed(&all)
    };
    assert_eq!(order(&["block-ip", "192.0.2.0/24"]), "done\n");
    assert_eq!(order(&["set-local-identifier", "printer-2"]), "done\n");
    assert_eq!(order(&["assign-identifier-to-peer", &a.id, "desk-7"]), "done\n");
    assert_eq!(order(&["update-settings", "packets_per_second_max=5000"]), "done\n");
    let assigned = b.wait_for("identifier_assigned", &a);
    assert_eq!(assigned["label"], "desk-7");
    assert!(b.succeed(&["block"]).contains("192.0.2.0/24"));
    assert!(b.succeed(&["peers", "--json"]).contains("\"assigned\":\"desk-7\""));
    assert!(a.succeed(&["peers"]).contains("printer-2"), "trusted peers are told");

    let public = place.path("authority.key.pub");
    assert_eq!(b.stop(), 0);
    let mut b = member(&place, "b", &public);
    let mut a = a;
    b.succeed(&["connect", &a.addr]);
    a.wait("peer_closed", |_| true);
    b.wait_for("peer_connected", &a);
    assert!(b.succeed(&["block"]).contains("192.0.2.0/24"));
    assert!(b.succeed(&["peers", "--json"]).contains("\"assigned\":\"desk-7\""));

    // The label is blocked: its holder's channel ends.
    let block = ["task", "send", "block-and-remove-peer", "label:desk-7", "--to", &b.id];
    let sent = a.command(&[&block[..], &["--sign-with", text(&key)]].concat());
    drop(sent);
    let closed = a.wait_for("peer_closed", &b);
    assert!(closed["reason"].as_str().unwrap().contains("blocked"), "{closed}");
}

fn value(node: &Node, key: &str) -> Option<String> {
    let output = node.command(&["data", "get", key]);
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().into())
}

fn wait_for_value(node: &Node, key: &str, wanted: Option<&str>) {
    let deadline = Instant::now() + PATIENCE;
    while value(node, key).as_deref() != wanted {
        assert!(Instant::now() < deadline, "{key} never became {wanted:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_nodes_share_data_and_converge_after_they_were_apart() {
    let place = Place::new();
    let (a, b, _) = pair(&place);
    a.succeed(&["data", "set", "room", "2.14"]);
    a.succeed(&["data", "set", "gone", "soon"]);
    wait_for_value(&b, "room", Some("2.14"));
    wait_for_value(&b, "gone", Some("soon"));
    let listed = b.succeed(&["data", "list"]);
    assert!(listed.contains("room") && listed.contains(&a.id[..8]), "{listed}");

    // Apart: one of them restarts without meeting the other, and both write.
    assert_eq!(b.stop(), 0);
    let public = place.path("authority.key.pub");
    let mut b = member(&place, "b", &public);
    assert_eq!(value(&b, "room").as_deref(), Some("2.14"), "it was kept");
    a.succeed(&["data", "set", "only a", "1"]);
    a.succeed(&["data", "set", "room", "from a"]);
    b.succeed(&["data", "set", "only b", "2"]);
    b.succeed(&["data", "set", "room", "from b"]);
    b.succeed(&["data", "set", "room", "from b again"]);
    b.succeed(&["data", "delete", "gone"]);
    let mut a = a;
    b.succeed(&["connect", &a.addr]);
    b.wait_for("peer_connected", &a);
    for node in [&a, &b] {
        wait_for_value(node, "only a", Some("1"));
        wait_for_value(node, "only b", Some("2"));
        wait_for_value(node, "room", Some("from b again"));
        wait_for_value(node, "gone", None);
    }
    a.wait_for("data_changed", &b);
    assert_eq!(a.succeed(&["data", "sync", &b.id]), "done\n");
    assert_eq!(a.succeed(&["data", "list", "--json"]), b.succeed(&["data", "list", "--json"]));
    let (code, said) = a.fail(&["data", "get", "nothing"]);
    assert!(code == 1 && said.contains("no such key"), "{said}");
}
