//! Nodes that find each other through a bootstrap server, over real sockets.

mod common;
#[path = "common/server.rs"]
mod server;

use common::{Node, Place, fail, meet, text};
use p2pnet_protocol::discovery::bootstrap::{IDENTITY_PATH, PUBLIC_IP_PATH};
use server::Server;

#[test]
fn two_nodes_meet_through_a_server_on_every_runtime() {
    let (place, server) = (Place::new(), Server::start(1, None));
    let mut nodes: Vec<Node> = ["tokio", "smol", "mio"]
        .iter()
        .map(|runtime| {
            let mut node =
                Node::quiet(&place, runtime, &["--bootstrap", &server.url, "--runtime", runtime]);
            let told = node.wait("bootstrap_ok", |_| true);
            assert_eq!(told["server"], server.url.as_str());
            assert_eq!(told["observed"], "127.0.0.1");
            assert!(told["authority"].is_null());
            node
        })
        .collect();
    let [a, b, c] = &mut nodes[..] else { unreachable!("three were started") };
    meet(a, b);
    meet(b, c);
    meet(a, c);
    let heard = b.wait("peer_discovered", |told| told["via"] == "bootstrap");
    assert!(heard["addr"].as_str().is_some());
    a.succeed(&["send", "--to", &b.id[..8], "good morning"]);
    assert_eq!(b.wait("message_received", |_| true)["text"], "good morning");
}

#[test]
fn who_insists_on_an_authority_gets_one_and_keeps_it() {
    let (place, server) = (Place::new(), Server::start(1, None));
    let options = ["--bootstrap", &server.url, "--lock-first-authority"];
    let mut node = Node::quiet(&place, "a", &options);
    let told = node.wait("bootstrap_failed", |_| true);
    assert!(told["reason"].as_str().unwrap().contains("no bootstrap server without an authority"));
    assert!(server.paths().iter().all(|path| path == IDENTITY_PATH));
    assert_eq!(node.stop(), 0);

    server.become_another(1, Some(2));
    let mut node = Node::quiet(&place, "a", &options);
    let told = node.wait("bootstrap_ok", |_| true);
    assert_eq!(told["authority"], Server::public(2).to_string());
    assert_eq!(node.stop(), 0);
    assert!(place.path("a").join("bootstrap.bin").exists());

    // In another run, another authority and none are refused, and the first is taken with another wire key.
    for other in [Some(3), None] {
        server.become_another(1, other);
        let mut node = Node::quiet(&place, "a", &options);
        let told = node.wait("bootstrap_failed", |_| true);
        assert!(told["reason"].as_str().unwrap().contains(&Server::public(2).to_string()));
        assert!(server.paths().iter().all(|path| path == IDENTITY_PATH), "{:?}", server.paths());
        assert_eq!(node.stop(), 0);
    }
    server.become_another(9, Some(2));
    Node::quiet(&place, "a", &options).wait("bootstrap_ok", |_| true);
}

#[test]
fn an_authority_can_be_given_in_advance() {
    let (place, server) = (Place::new(), Server::start(1, Some(2)));
    let right = place.file("right.pub", format!("{}\n", Server::public(2)));
    let wrong = Server::public(3).to_string();
    let options = |key| ["--bootstrap", &server.url, "--authority-key", key];
    Node::quiet(&place, "a", &options(text(&right))).wait("bootstrap_ok", |_| true);
    let mut node = Node::quiet(&place, "b", &options(&wrong));
    let told = node.wait("bootstrap_failed", |_| true);
    assert!(told["reason"].as_str().unwrap().contains("whose key was given"));
}

#[test]
fn the_public_address_is_asked_of_those_who_are_named() {
    let (place, server) = (Place::new(), Server::start(1, None));
    let source = format!("{}{PUBLIC_IP_PATH}", server.url);
    let dead = "http://127.0.0.1:1/ip";
    let options = ["--public-ip-source", dead, "--public-ip-source", &source];
    let mut node = Node::quiet(&place, "a", &options);
    assert_eq!(node.wait("public_address", |_| true)["address"], "192.0.2.44");
    assert_eq!(server.paths(), [PUBLIC_IP_PATH]);
    let single = [&options[..], &["--public-ip-policy", "single-static-url"]].concat();
    let mut node = Node::quiet(&place, "b", &single);
    assert!(node.wait("public_address", |_| true)["address"].is_null());
    assert_eq!(server.paths().len(), 1);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (options, said_of) in [
        (&["--bootstrap", "boot.example.org"][..], "must begin with http:// or https://"),
        (&["--bootstrap", "http://me:secret@host"], "must not hold a user name or password"),
        (&["--bootstrap-policy", "trustless", "--must-be-authority"], "must_be_authority"),
        (&["--public-ip-source", "ftp://x"], "must begin with http:// or https://"),
        (&["--authority-key", "nonsense"], "neither 64 hex digits nor a file"),
    ] {
        let all = [&["up", "--state", "/nonexistent"][..], options].concat();
        let (code, said) = fail(all);
        assert!(code == 2 && said.contains(said_of), "{options:?}: {said}");
    }
}
