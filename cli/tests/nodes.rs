//! Nodes that meet, speak and part, by the real program on loopback.

mod common;

use common::{Node, Place, meet, p2pnet, text};
use p2pnet_lab::Host;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

/// Connects `a` to `b` and waits until both tell of it.
fn connect(a: &mut Node, b: &mut Node) -> (Value, Value) {
    a.succeed(&["connect", &b.addr]);
    meet(a, b)
}

#[test]
fn two_nodes_talk_both_ways_and_stop() {
    let place = Place::new();
    let mut a = Node::quiet(&place, "a", &["--set", "limits.packet_bytes_max=2048"]);
    let mut b = Node::quiet(&place, "b", &[]);
    let (here, there) = connect(&mut a, &mut b);
    assert_eq!(
        (&here["trust"], &there["trust"]),
        (&"authenticated".into(), &"authenticated".into())
    );

    let said = a.succeed(&["send", "--to", &b.id[..8], "hello from a"]);
    assert_eq!(said, format!("sent to {}\n", &b.id[..8]));
    assert_eq!(b.wait_for("message_received", &a)["text"], "hello from a");
    let hostile = "über\n\u{1b}[2J\"";
    b.succeed(&["send", "--all", hostile]);
    assert_eq!(a.wait_for("message_received", &b)["text"], hostile);

    let listed: Value = serde_json::from_str(&a.succeed(&["peers", "--json"])).unwrap();
    assert_eq!((&listed["peer"], &listed["state"]), (&b.id.as_str().into(), &"open".into()));
    assert!(listed["bytes_sent"].as_u64().unwrap() > 0, "{listed}");
    assert!(listed["idle_ms"].is_u64() && listed["packets_received"].is_u64(), "{listed}");
    let table = a.succeed(&["peers"]);
    assert!(table.starts_with("PEER ") && table.contains(&b.id[..8]), "{table}");

    let counted: Value = serde_json::from_str(&a.succeed(&["stats", "--json"])).unwrap();
    assert_eq!(counted["connections"], 1, "{counted}");
    assert!(counted["driver"]["bytes_read"].as_u64().unwrap() > 0, "{counted}");
    assert!(counted["memory_budget_bytes"].as_u64().unwrap() > 1 << 20, "{counted}");
    assert_eq!((&counted["node"]["violations"], &counted["lan"]["heard"]), (&0.into(), &0.into()));
    assert!(a.succeed(&["stats"]).contains("node.handshakes_failed  "));

    let (code, said) = a.fail(&["send", "--all", &"x".repeat(3_000)]);
    assert!(code == 1 && said.contains("larger than packet_bytes_max"), "{said}");

    assert_eq!(b.stop(), 0);
    let closed = a.wait("peer_closed", |_| true);
    assert_eq!(closed["reason"], "ended by the peer: shutting down");
    let (code, said) = a.fail(&["send", "--all", "anyone?"]);
    assert_eq!(code, 1);
    assert!(said.contains("nobody is connected"), "{said}");
    assert_eq!(a.stop(), 0);
}

#[test]
fn nodes_on_three_runtimes_talk() {
    let place = Place::new();
    let mut nodes = ["tokio", "smol", "mio"]
        .map(|runtime| Node::quiet(&place, runtime, &["--runtime", runtime]));
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        let [a, b] = nodes.get_disjoint_mut([first, second]).expect("two of the three");
        connect(a, b);
        a.succeed(&["send", "--to", &b.id, "to and"]);
        assert_eq!(b.wait_for("message_received", a)["text"], "to and");
        b.succeed(&["send", "--to", &a.id, "fro"]);
        assert_eq!(a.wait_for("message_received", b)["text"], "fro");
    }
    for node in nodes {
        assert_eq!(node.stop(), 0);
    }
}

#[test]
fn two_nodes_of_one_host_meet_with_nothing_configured() {
    // A host that has nothing but loopback, so that nobody else hears their beacons.
    let host = Host::alone().expect("a network namespace");
    let place = Place::new();
    let mut a = Node::start_on(&host, &place, "a", &[]);
    let mut b = Node::start_on(&host, &place, "b", &[]);
    meet(&mut a, &mut b);
    a.succeed(&["send", "--all", "found you"]);
    assert_eq!(b.wait_for("message_received", &a)["text"], "found you");
    b.succeed(&["send", "--to", &a.id[..8], "and you"]);
    assert_eq!(a.wait_for("message_received", &b)["text"], "and you");
}

#[test]
fn a_secret_makes_members_and_strangers_stay_strangers() {
    let place = Place::new();
    let secret = place.file("secret", "correct horse battery staple\n");
    let with = ["--secret", text(&secret)];
    let mut a = Node::quiet(&place, "a", &with);
    let mut b = Node::quiet(&place, "b", &with);
    let mut c = Node::quiet(&place, "c", &[]);
    let (here, there) = connect(&mut a, &mut b);
    assert_eq!((&here["trust"], &there["trust"]), (&"trusted".into(), &"trusted".into()));
    let (here, _) = connect(&mut a, &mut c);
    assert_eq!(here["trust"], "authenticated");
    a.succeed(&["trust", &c.id[..10]]);
    assert_eq!(a.wait_for("trust_changed", &c)["trust"], "trusted");
    a.succeed(&["untrust", &c.id]);
    assert_eq!(a.wait_for("trust_changed", &c)["trust"], "authenticated");
}

#[test]
fn strict_lets_in_nobody_but_members_and_the_listed() {
    let place = Place::new();
    let friend = Node::quiet(&place, "friend", &[]);
    let list = place.file("trusted", format!("# friends\n{}\n", friend.id));
    let mut strict = Node::quiet(&place, "strict", &["--policy", "strict", "--trust", text(&list)]);
    let mut friend = friend;
    let (_, there) = connect(&mut friend, &mut strict);
    assert_eq!(there["trust"], "trusted");
    let mut stranger = Node::quiet(&place, "stranger", &[]);
    stranger.succeed(&["connect", &strict.addr]);
    let gone = |value: &Value| value["reason"].to_string().contains("not authorized");
    // Whether the stranger had got as far as a channel is the strict node's affair.
    stranger.wait("peer_closed", gone);
    let (code, _) = strict.fail(&["send", "--to", &stranger.id, "hello"]);
    assert_eq!(code, 1);
    friend.succeed(&["send", "--all", "still here"]);
    assert_eq!(strict.wait_for("message_received", &friend)["text"], "still here");
}

#[test]
fn certificates_make_members() {
    let place = Place::new();
    let key = place.path("office.key");
    common::succeed(["authority", "new", text(&key)]);
    let public = place.path("office.key.pub");
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let first = Node::quiet(&place, name, &[]);
        let id = first.id.clone();
        first.stop();
        let certificate = place.path(&format!("{name}.certificate"));
        common::succeed([
            "authority",
            "issue",
            &id,
            "--key",
            text(&key),
            "--out",
            text(&certificate),
        ]);
        let options = ["--authority", text(&public), "--certificate", text(&certificate)];
        let node = Node::quiet(&place, name, &options);
        assert_eq!(node.id, id, "the identity is kept");
        nodes.push(node);
    }
    let (mut b, mut a) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    let (here, there) = connect(&mut a, &mut b);
    assert_eq!((&here["trust"], &there["trust"]), (&"trusted".into(), &"trusted".into()));
}

#[test]
fn blocks_bite_at_once_survive_a_restart_and_are_lifted() {
    let place = Place::new();
    let (mut a, mut b) = (Node::quiet(&place, "a", &[]), Node::quiet(&place, "b", &[]));
    connect(&mut a, &mut b);
    let said = a.succeed(&["block", &b.id[..8]]);
    assert_eq!(said, format!("blocked from now on: {}\n", b.id));
    a.wait_for("peer_closed", &b);
    a.succeed(&["block", "192.0.2.0/24"]);
    a.stop();
    let mut a = Node::quiet(&place, "a", &[]);
    let listed = a.succeed(&["block"]);
    assert!(listed.contains(&b.id) && listed.contains("192.0.2.0/24"), "{listed}");
    b.succeed(&["connect", &a.addr]);
    let addr = a.addr.clone();
    let refused = b.wait("peer_closed", |value| value["addr"] == addr.as_str());
    assert_eq!(refused["reason"], "ended by the peer: blocked");
    let (code, said) = a.fail(&["unblock", "192.0.2.1"]);
    assert!(code == 1 && said.contains("is not blocked"), "{said}");
    a.succeed(&["unblock", &b.id]);
    a.succeed(&["unblock", "192.0.2.0/24"]);
    assert_eq!(a.succeed(&["block"]), "");
    connect(&mut b, &mut a);
}

#[test]
fn an_allow_list_lets_nobody_else_in() {
    let place = Place::new();
    let mut friend = Node::quiet(&place, "friend", &[]);
    let allowed = format!("allowed={}", friend.id);
    let mut a = Node::quiet(&place, "a", &["--set", &allowed]);
    let mut stranger = Node::quiet(&place, "stranger", &[]);
    stranger.succeed(&["connect", &a.addr]);
    stranger.wait("peer_closed", |value| value["reason"].to_string().contains("ended by the peer"));
    connect(&mut friend, &mut a);
    let peers = a.succeed(&["peers", "--json"]);
    let open: Vec<Value> = peers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|row: &Value| row["state"] == "open")
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0]["peer"], friend.id.as_str());
}

#[test]
fn logs_go_where_they_were_asked_and_hold_no_secrets() {
    let place = Place::new();
    let words = "correct horse battery staple";
    let secret = place.file("secret", words);
    let log = place.path("log");
    let mut a = Node::quiet(
        &place,
        "a",
        &[
            "--secret",
            text(&secret),
            "--log",
            "trace",
            "--log-file",
            text(&log),
            "--log-format",
            "json",
        ],
    );
    let mut b = Node::quiet(&place, "b", &["--secret", text(&secret)]);
    connect(&mut a, &mut b);
    b.succeed(&["send", "--all", "not for the log"]);
    a.wait_for("message_received", &b);
    let (state, id) = (a.state.clone(), b.id.clone());
    a.stop();
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["target"] == "p2pnet::peers"), "{text}");
    assert!(text.contains(&id[..8]), "{text}");
    let seed = std::fs::read(state.join("identity.key")).unwrap();
    let seed: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    for secret in [words, "not for the log", &seed] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn every_command_speaks_json() {
    let place = Place::new();
    let (mut a, mut b) = (Node::quiet(&place, "a", &[]), Node::quiet(&place, "b", &[]));
    connect(&mut a, &mut b);
    let id = b.id.clone();
    for (command, key, value) in [
        (&["id"][..], "peer", a.id.as_str()),
        (&["trust", &id[..8]], "peer", &id),
        (&["trust"], "peer", &id),
        (&["untrust", &id], "peer", &id),
        (&["send", "--all", "x"], "peer", &id),
        (&["block", "192.0.2.0/24"], "target", "192.0.2.0/24"),
        (&["block"], "target", "192.0.2.0/24"),
        (&["unblock", "192.0.2.0/24"], "target", "192.0.2.0/24"),
        (&["allow", &id[..8]], "target", &id),
        (&["allow"], "target", &id),
        (&["disallow", &id], "target", &id),
        (&["peers"], "peer", &id),
        (&["disconnect", &id], "peer", &id),
    ] {
        let said = a.succeed(&[command, &["--json"]].concat());
        let said: Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{command:?}: {said}"));
        assert_eq!(said[key], value, "{command:?}");
    }
    for command in [&["inbound", "off"][..], &["connect", "127.0.0.1:1"], &["stop"]] {
        assert_eq!(a.succeed(&[command, &["--json"]].concat()), "{\"done\":true}\n");
    }
}

#[test]
fn queued_peers_wait_for_a_word() {
    let place = Place::new();
    let mut a = Node::quiet(&place, "a", &["--placement", "queue-and-event-based"]);
    let mut b = Node::quiet(&place, "b", &[]);
    b.succeed(&["connect", &a.addr]);
    a.wait_for("peer_pending", &b);
    assert!(a.succeed(&["pending"]).contains(&b.id[..8]));
    a.succeed(&["accept", &b.id[..8]]);
    meet(&mut a, &mut b);
    assert_eq!(a.succeed(&["pending", "--json"]), "");
    let mut c = Node::quiet(&place, "c", &[]);
    c.succeed(&["connect", &a.addr]);
    a.wait_for("peer_pending", &c);
    a.succeed(&["refuse", &c.id]);
    c.wait("peer_closed", |value| value["reason"].to_string().contains("not accepted"));
    assert_eq!(a.fail(&["accept", &c.id]).0, 1);
}

#[test]
fn anonymous_runs_share_nothing() {
    let place = Place::new();
    let kept = Node::quiet(&place, "a", &[]);
    let kept_id = kept.id.clone();
    kept.stop();
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let node = Node::quiet(&place, "a", &["--anonymous"]);
            let id = node.id.clone();
            node.stop();
            id
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
    assert!(!ids.contains(&kept_id));
    assert_eq!(Node::quiet(&place, "a", &[]).id, kept_id);
}

#[test]
fn a_state_holds_one_node() {
    let place = Place::new();
    let a = Node::quiet(&place, "a", &[]);
    let (code, said) = common::fail(["up", "--no-lan", "--state", text(&a.state)]);
    assert_eq!(code, 1);
    assert!(said.contains("a node is running already on the state in"), "{said}");
    assert!(said.contains("p2pnet stop"), "{said}");
    assert_eq!(a.succeed(&["id"]).trim(), a.id, "the first one is unharmed");
    let (state, id) = (a.state.clone(), a.id.clone());
    assert_eq!(a.stop(), 0);
    assert!(!state.join("control.sock").exists());
    assert_eq!(common::succeed(["id", "--state", text(&state)]).trim(), id);
    assert_eq!(Node::quiet(&place, "a", &[]).id, id, "at once after stop");
}

#[test]
fn a_killed_node_leaves_nothing_in_the_way() {
    let place = Place::new();
    let a = Node::quiet(&place, "a", &[]);
    let (id, state) = (a.id.clone(), a.state.clone());
    // Dropping it kills it.
    drop(a);
    assert!(state.join("control.sock").exists(), "a dead socket is left");
    let (code, said) = common::fail(["peers", "--state", text(&state)]);
    assert!(code == 1 && said.contains("no node is running"), "{said}");
    let again = Node::quiet(&place, "a", &[]);
    assert_eq!(again.id, id);
}

#[test]
fn signals_end_it_gracefully() {
    let place = Place::new();
    for signal in ["-INT", "-TERM"] {
        let mut a = Node::quiet(&place, "a", &[]);
        let mut b = Node::quiet(&place, "b", &[]);
        connect(&mut a, &mut b);
        a.signal(signal);
        assert_eq!(a.exit_code(), 0);
        a.wait("stopped", |_| true);
        let closed = b.wait("peer_closed", |_| true);
        assert_eq!(closed["reason"], "ended by the peer: shutting down");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let mut a = Node::quiet(&place, "a", &[]);
    let mut b = Node::quiet(&place, "b", &[]);
    connect(&mut a, &mut b);
    // A peer that doesn't answer the goodbye makes it take as long as `timing.linger`.
    b.freeze();
    a.signal("-INT");
    a.wait("stopping", |_| true);
    a.signal("-INT");
    assert_eq!(a.exit_code(), 130);
    let again = Node::quiet(&place, "a", &[]);
    assert_eq!(again.id, a.id, "its state took no harm");
}

#[test]
fn acceptance_is_turned_off_and_on_while_it_runs() {
    let place = Place::new();
    let mut a = Node::quiet(&place, "a", &["--no-inbound"]);
    let mut b = Node::quiet(&place, "b", &[]);
    b.succeed(&["connect", &a.addr]);
    b.wait("connection_failed", |_| true);
    a.succeed(&["inbound", "on"]);
    connect(&mut b, &mut a);
    a.succeed(&["inbound", "off"]);
    let mut c = Node::quiet(&place, "c", &[]);
    c.succeed(&["connect", &a.addr]);
    c.wait("connection_failed", |_| true);
    b.succeed(&["send", "--all", "open channels stay"]);
    a.wait_for("message_received", &b);
}

#[test]
fn a_port_in_use_is_named() {
    let place = Place::new();
    let a = Node::quiet(&place, "a", &[]);
    let state = place.path("b");
    let (code, said) =
        common::fail(["up", "--no-lan", "--listen", &a.addr, "--state", text(&state)]);
    assert_eq!(code, 1);
    assert!(said.contains(&format!("{} is in use", a.addr)) && said.contains("--listen"), "{said}");
    let port = a.addr.rsplit(':').next().unwrap();
    let range = format!("listen_ports={port}");
    let (code, said) = common::fail([
        "up",
        "--no-lan",
        "--listen",
        "127.0.0.1:0",
        "--set",
        &range,
        "--state",
        text(&state),
    ]);
    assert_eq!(code, 1);
    assert!(said.contains(&format!("no port from {port} to {port} is free")), "{said}");
}

#[test]
fn routines_are_listed_and_changed() {
    let place = Place::new();
    let a = Node::quiet(&place, "a", &[]);
    let listed = a.succeed(&["routine", "list"]);
    assert!(listed.contains("RotateBroadcastPort") && listed.contains("DiscernPeerChannels"));
    a.succeed(&["routine", "interval", "RotateBroadcastPort", "5s"]);
    a.succeed(&["routine", "start", "RotateBroadcastPort"]);
    let rows = a.succeed(&["routine", "list", "--json"]);
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = rows.iter().find(|row| row["name"] == "RotateBroadcastPort").unwrap();
    assert_eq!((&row["running"], &row["interval_ms"]), (&true.into(), &5000.into()));
    let (code, said) = a.fail(&["routine", "start", "Nope"]);
    assert!(code == 1 && said.contains("no routine named Nope"), "{said}");
}

#[test]
fn people_get_calm_lines_and_a_broken_pipe_ends_it() {
    let place = Place::new();
    let mut b = Node::quiet(&place, "b", &[]);
    let state = place.path("a");
    let mut child = p2pnet(["up", "--no-lan", "--listen", "127.0.0.1:0", "--state", text(&state)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
    b.succeed(&["connect", &addr]);
    b.wait("peer_connected", |_| true);
    b.succeed(&["send", "--all", "calm\u{1b}[31m"]);
    let said = loop {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        if line.contains("calm") {
            break line.clone();
        }
    };
    assert_eq!(said, format!("{}: calm\\u{{1b}}[31m\n", &b.id[..8]));
    drop(out);
    b.succeed(&["send", "--all", "to nobody"]);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn it_stops_although_nobody_reads_its_story() {
    let place = Place::new();
    let mut b = Node::quiet(&place, "b", &[]);
    let state = place.path("a");
    let mut child = p2pnet(["up", "--json", "--no-lan", "--listen", "127.0.0.1:0", "--state"])
        .arg(&state)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    b.succeed(&["connect", listening["addr"].as_str().unwrap()]);
    b.wait("peer_connected", |_| true);
    // More than a pipe holds.
    let long = "x".repeat(100_000);
    for _ in 0..5 {
        b.succeed(&["send", "--all", &long]);
    }
    let begun = Instant::now();
    common::succeed(["stop", "--state", text(&state)]);
    assert!(begun.elapsed() < common::PATIENCE);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn prefixes_that_name_nobody_are_explained() {
    let place = Place::new();
    let a = Node::quiet(&place, "a", &[]);
    let (code, said) = a.fail(&["send", "--to", "0123", "x"]);
    assert!(code == 2 && said.contains("at least its first 8"), "{said}");
    let (code, said) = a.fail(&["send", "--to", "01234567", "x"]);
    assert!(code == 1 && said.contains("no known peer"), "{said}");
    let (code, said) = a.fail(&["connect", "nowhere"]);
    assert!(code == 2 && said.contains("is no address"), "{said}");
    let (code, said) = a.fail(&["block", "example.org"]);
    assert!(code == 2 && said.contains("expected a peer id"), "{said}");
}

#[test]
fn a_label_is_derived_where_that_is_asked_for() {
    let place = Place::new();
    let secret = place.file("secret", "correct horse battery staple\n");
    let with = ["--secret", text(&secret), "--set", "derive_label=true"];
    let mut a = Node::quiet(&place, "a", &with);
    let mut b = Node::quiet(&place, "b", &with[..2]);
    connect(&mut a, &mut b);
    let told = b.wait_for("identity_received", &a);
    let label = told["label"].as_str().unwrap();
    assert!(label.len() == 32 && label.bytes().all(|byte| byte.is_ascii_hexdigit()), "{label}");
}

#[test]
fn the_allow_list_bites_at_once_survives_a_restart_and_is_lifted() {
    let place = Place::new();
    let (mut a, mut b) = (Node::quiet(&place, "a", &[]), Node::quiet(&place, "b", &[]));
    connect(&mut a, &mut b);
    let said = a.succeed(&["allow", "192.0.2.0/24"]);
    assert_eq!(said, "allowed from now on, and nobody who isn't: 192.0.2.0/24\n");
    let closed = b.wait_for("peer_closed", &a);
    assert!(closed["reason"].as_str().unwrap().starts_with("ended by the peer: "), "{closed}");
    let (code, said) = a.fail(&["connect", &b.addr, "--expect", &b.id]);
    assert!(code == 1 && said.contains("the allow-list does not have this peer"), "{said}");
    a.stop();
    let mut a = Node::quiet(&place, "a", &[]);
    assert_eq!(a.succeed(&["allow"]), "192.0.2.0/24\n");
    a.succeed(&["allow", "127.0.0.0/8"]);
    connect(&mut b, &mut a);
    let (code, said) = a.fail(&["disallow", "127.0.0.1"]);
    assert!(code == 1 && said.contains("is not on the allow-list"), "{said}");
    a.succeed(&["disallow", "127.0.0.0/8"]);
    b.wait_for("peer_closed", &a);
    a.succeed(&["disallow", "192.0.2.0/24"]);
    assert_eq!(a.succeed(&["allow"]), "");
    connect(&mut b, &mut a);
}
