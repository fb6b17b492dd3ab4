//! What the server says to those who ask properly.

use crate::site::{Peer, Site};
use p2pnet_bootstrap::http::{HEALTH_PATH, METRICS_PATH, OPENAPI_PATH};
use p2pnet_protocol::UnixTime;
use p2pnet_protocol::discovery::bootstrap::*;
use std::io::Write as _;

#[test]
fn all_three_types_of_body_say_the_same() {
    let site = Site::new(|_| {});
    let peer = Peer::new(1);
    let wall = |list: &PeerList| Some(UnixTime(list.head.issued_ms / 1000));
    let nonce = peer.registration(&site).nonce;
    let binary = site.post_binary(PEERS_PATH, &peer.registration(&site).encode());
    assert_eq!(binary.status, 200, "{}", binary.head);
    assert_eq!(binary.header("content-type"), Some(CONTENT_TYPE));
    assert_eq!(binary.header("cache-control"), Some("no-store"));
    let list = PeerList::decode(&binary.body).unwrap();
    assert!(PeerList::open(&peer.crypto, &binary.body, &nonce, wall(&list)).is_ok());

    let json = serde_json::to_vec(&peer.registration(&site)).unwrap();
    let answer = site.post(PEERS_PATH, "Content-Type: application/json\r\n", &json);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    let list: PeerList = serde_json::from_slice(&answer.body).unwrap();
    assert!(list.is_signed(&peer.crypto));
    assert_eq!((list.total, list.observed), (1, "127.0.0.1".parse().unwrap()));

    let postcard = postcard::to_allocvec(&peer.registration(&site)).unwrap();
    let headers =
        "Content-Type: application/postcard\r\nAccept: text/html, application/json;q=0.9\r\n";
    let answer = site.post(PEERS_PATH, headers, &postcard);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.head);
    let answer = site.post(
        HEARTBEAT_PATH,
        "Content-Type: application/postcard\r\n",
        &postcard::to_allocvec(&peer.heartbeat(&site)).unwrap(),
    );
    let reply: HeartbeatReply = postcard::from_bytes(&answer.body).unwrap();
    assert!(reply.renewed && reply.is_signed(&peer.crypto));
    assert_eq!(site.leases(), 1);
}

#[test]
fn two_peers_meet() {
    let site = Site::new(|_| {});
    let (one, two) = (Peer::new(1), Peer::new(2));
    site.post_binary(PEERS_PATH, &one.registration(&site).encode());
    let answer = site.post_binary(PEERS_PATH, &two.registration(&site).encode());
    let list = PeerList::decode(&answer.body).unwrap();
    assert_eq!(list.peers.iter().map(|peer| peer.peer).collect::<Vec<_>>(), [one.id()]);
}

#[test]
fn the_small_questions_are_answered() {
    let site = Site::new(|_| {});
    let ip = site.get(PUBLIC_IP_PATH);
    assert_eq!((ip.status, ip.text().as_str()), (200, "127.0.0.1\n"));
    assert!(ip.header("content-type").unwrap().starts_with("text/plain"));
    let identity = ServerIdentity::decode(&site.get(IDENTITY_PATH).body).unwrap();
    assert!(identity.is_signed(&Peer::new(1).crypto));
    assert_eq!(identity.keys.wire, site.server().wire_key());
    let request = format!(
        "GET {IDENTITY_PATH} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let json: serde_json::Value =
        serde_json::from_slice(&site.say(request.as_bytes()).body).unwrap();
    assert_eq!(json["keys"]["wire"], site.server().wire_key().to_string());
    assert_eq!(json["name"], "p2pnet bootstrap");
    assert_eq!(site.get(HEALTH_PATH).text(), "{\"status\":\"ok\"}\n");
    let openapi: serde_json::Value = serde_json::from_slice(&site.get(OPENAPI_PATH).body).unwrap();
    assert!(openapi["paths"][PEERS_PATH]["post"].is_object());
}

#[test]
fn a_hash_that_the_server_signed_is_known_and_no_other() {
    let site = Site::new(|_| {});
    let signing = p2pnet_bootstrap::store::Signing {
        hash: [0xab; 32],
        at_ms: 1,
        kind: "task".into(),
        subject: "x".into(),
        signer: "y".into(),
    };
    let kept = site.server().keeper().ask(move |store| store.note_signing(&signing));
    site.runtime().block_on(kept).unwrap();
    let ask = |hash: &str| site.get(&format!("{VERIFY_HASH_PATH}?x=1&hash={hash}"));
    assert_eq!(ask(&"ab".repeat(32)).text(), "true\n");
    assert_eq!(ask(&"AC".repeat(32)).text(), "false\n");
    for bad in ["", "ab", &"zz".repeat(32), "%00"] {
        let answer = ask(bad);
        assert_eq!(answer.status, 400, "{bad}");
        assert!(bad.is_empty() || !answer.text().contains(&format!("{bad} ")));
    }
}

#[test]
fn metrics_are_there_for_the_token_or_on_their_own_listener() {
    let site = Site::new(|_| {});
    assert_eq!(site.get(METRICS_PATH).status, 404);
    drop(site);
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let site = Site::new(|config| {
        config.metrics.token_file = Some(token);
        config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
    });
    site.post_binary(PEERS_PATH, &Peer::new(1).registration(&site).encode());
    let ask = |token: &str| {
        let head = format!("GET {METRICS_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        site.say(format!("{head}Authorization: {token}\r\n\r\n").as_bytes())
    };
    assert_eq!(site.get(METRICS_PATH).status, 401);
    for wrong in
        ["Bearer ", "Bearer 0123456789abcdeg", "Bearer 0123456789abcdef0", "0123456789abcdef"]
    {
        assert_eq!(ask(wrong).status, 401, "{wrong}");
    }
    let text = ask("Bearer 0123456789abcdef").text();
    assert!(text.contains("\np2pnet_bootstrap_registrations_total 1\n"), "{text}");
    assert!(text.contains("\np2pnet_bootstrap_leases 1\n"), "{text}");
    let mut own = std::net::TcpStream::connect(site.server().metrics_address().unwrap()).unwrap();
    own.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(crate::site::Answer::read(&mut own).status, 200);
    let mut own = std::net::TcpStream::connect(site.server().metrics_address().unwrap()).unwrap();
    own.write_all(format!("GET {IDENTITY_PATH} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(crate::site::Answer::read(&mut own).status, 404);
}

#[test]
fn many_requests_go_over_one_connection() {
    let site = Site::new(|_| {});
    let mut stream = site.connect();
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let all = crate::site::Answer::read(&mut stream);
    let rest = String::from_utf8(all.body).unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(site.server().desk().counts.connections_accepted.get(), 1);
}
