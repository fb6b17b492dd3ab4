//! What the server says to those who don't.

use crate::site::{Answer, Peer, Site};
use p2pnet_bootstrap::http::HEALTH_PATH;
use p2pnet_protocol::discovery::bootstrap::*;
use p2pnet_protocol::{Rng, Seed};
use std::io::Write as _;
use std::time::{Duration, Instant};

const JSON: &str = "Content-Type: application/json\r\n";

fn still_serves(site: &Site) {
    assert_eq!(site.get(HEALTH_PATH).status, 200);
    let answer = site.post_binary(PEERS_PATH, &Peer::new(99).registration(site).encode());
    assert_eq!(answer.status, 200, "{}", answer.head);
}

fn code(answer: &Answer) -> RefusalCode {
    Refusal::decode(&answer.body).expect("a refusal").code
}

#[test]
fn oversized_bodies_are_refused_whether_or_not_they_say_so() {
    let site = Site::new(|_| {});
    let answer = site.post_binary(PEERS_PATH, &vec![1; 10_000]);
    assert_eq!((answer.status, code(&answer)), (413, RefusalCode::TooLarge));
    // One that only says that it is large isn't waited for.
    let head = format!("POST {PEERS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n");
    let begun = Instant::now();
    let claim = format!("{head}Connection: close\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(site.say(claim.as_bytes()).status, 413);
    assert!(begun.elapsed() < Duration::from_secs(3));
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    (0..10).for_each(|_| {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&[b'x'; 0x400]);
        chunked.extend_from_slice(b"\r\n");
    });
    let mut stream = site.connect();
    stream.write_all(&chunked).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 413);
    still_serves(&site);
}

#[test]
fn what_is_no_record_is_refused_in_the_type_that_was_asked_for() {
    let site = Site::new(|_| {});
    let answer = site.post_binary(PEERS_PATH, b"nonsense");
    assert_eq!((answer.status, code(&answer)), (400, RefusalCode::Malformed));
    let good = serde_json::to_string(&Peer::new(1).registration(&site)).unwrap();
    for bad in [
        "",
        "{",
        "null",
        "[]",
        "{\"network\":\"x\"}",
        &good.replace("4000", "70000"),
        &good.replace("4000", "-1"),
        &good.replace("50", "255"),
        &good.replace("Ада", "\\u0007"),
        &good.replace("Ада", &"x".repeat(200)),
        &format!("{good} {good}"),
        &"[".repeat(8000),
    ] {
        let answer = site.post(PEERS_PATH, JSON, bad.as_bytes());
        assert_eq!(answer.status, 400, "{bad}");
        let said: Refusal = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said.code, RefusalCode::Malformed);
    }
    let answer = site.post(PEERS_PATH, "Content-Type: text/plain\r\n", b"x");
    assert_eq!((answer.status, code(&answer)), (415, RefusalCode::ContentType));
    assert_eq!(site.post(PEERS_PATH, "", b"x").status, 415);
    assert_eq!(site.leases(), 0);
    still_serves(&site);
}

#[test]
fn forged_and_replayed_registrations_are_refused() {
    let site = Site::new(|_| {});
    let peer = Peer::new(1);
    let honest = peer.registration(&site);
    let mut forged = honest.clone();
    forged.port += 1;
    let answer = site.post_binary(PEERS_PATH, &forged.encode());
    assert_eq!((answer.status, code(&answer)), (401, RefusalCode::BadSignature));
    assert_eq!(site.post_binary(PEERS_PATH, &honest.encode()).status, 200);
    let replay = site.post_binary(PEERS_PATH, &honest.encode());
    assert_eq!((replay.status, code(&replay)), (409, RefusalCode::Stale));
    // As one kind of record it is no other.
    assert_eq!(site.post_binary(HEARTBEAT_PATH, &honest.encode()).status, 400);
}

#[test]
fn slow_heads_and_slow_bodies_are_cut() {
    let site = Site::new(|config| {
        config.limits.header_secs = 1;
        config.limits.request_secs = 1;
    });
    let begun = Instant::now();
    let mut slow_head = site.connect();
    let mut slow_body = site.connect();
    let mut silent = site.connect();
    slow_head.write_all(b"GET /health HTTP/1.1\r\nHo").unwrap();
    let head = format!("POST {PEERS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n");
    slow_body.write_all(format!("{head}Content-Length: 100\r\n\r\nslow").as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut slow_body).status, 408);
    assert_ne!(Answer::read(&mut slow_head).status, 200);
    assert_ne!(Answer::read(&mut silent).status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    still_serves(&site);
}

#[test]
fn oversized_heads_are_refused() {
    let site = Site::new(|_| {});
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(40_000));
    assert!([0, 400, 414, 431].contains(&site.say(long.as_bytes()).status));
    let many = format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(500));
    assert!([0, 400, 431].contains(&site.say(many.as_bytes()).status));
    still_serves(&site);
}

#[test]
fn no_more_connections_than_allowed_and_the_rest_is_told_when_to_come() {
    let site = Site::new(|config| config.limits.connections_per_address_max = 3);
    let held: Vec<_> = (0..3).map(|_| site.connect()).collect();
    site.wait("three connections", |site| {
        site.server().desk().counts.connections_accepted.get() == 3
    });
    let answer = site.get(HEALTH_PATH);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("10"));
    drop(held);
    site.wait("room again", |site| site.get(HEALTH_PATH).status == 200);
    assert!(site.server().desk().counts.connections_refused.get() >= 1);
}

#[test]
fn whoever_asks_too_often_is_told_when_to_come() {
    let site = Site::new(|config| {
        config.limits.address_per_minute = 2;
        config.limits.address_burst = 2;
    });
    assert_eq!(site.get(PUBLIC_IP_PATH).status, 200);
    assert_eq!(site.get(PUBLIC_IP_PATH).status, 200);
    let answer = site.get(PUBLIC_IP_PATH);
    assert_eq!((answer.status, code(&answer)), (429, RefusalCode::TooMany));
    let secs = Refusal::decode(&answer.body).unwrap().retry_after_secs;
    assert_eq!(answer.header("retry-after"), Some(secs.to_string().as_str()));
    assert!((1..=30).contains(&secs));
    // Whoever watches over the server isn't counted.
    assert!((0..5).all(|_| site.get(HEALTH_PATH).status == 200));
}

fn observed(site: &Site, headers: &str) -> String {
    let head = format!("GET {PUBLIC_IP_PATH} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let answer = site.say(head.as_bytes());
    if answer.status == 200 { answer.text().trim().to_owned() } else { answer.status.to_string() }
}

#[test]
fn forwarded_headers_count_only_from_proxies() {
    let site = Site::new(|_| {});
    for spoof in [
        "X-Forwarded-For: 8.8.8.8",
        "Forwarded: for=8.8.8.8",
        "X-Real-IP: 8.8.8.8",
        "CF-Connecting-IP: 8.8.8.8",
    ] {
        assert_eq!(observed(&site, &format!("Host: x\r\n{spoof}\r\n")), "127.0.0.1", "{spoof}");
    }
    drop(site);
    let site = Site::new(|config| config.proxies.trusted = vec!["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(observed(&site, "Host: x\r\n"), "127.0.0.1");
    assert_eq!(observed(&site, "Host: x\r\nX-Forwarded-For: 8.8.8.8\r\n"), "8.8.8.8");
    assert_eq!(observed(&site, "Host: x\r\nX-Forwarded-For: 1.1.1.1, 8.8.8.8\r\n"), "8.8.8.8");
    let two = "Host: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 8.8.8.8, 127.0.0.9\r\n";
    assert_eq!(observed(&site, two), "8.8.8.8");
    assert_eq!(observed(&site, "Host: x\r\nX-Forwarded-For: nonsense\r\n"), "400");
    // What is handed out is what was observed, and limits hold for it.
    let record = Peer::new(1).registration(&site).encode();
    let headers = format!("Content-Type: {CONTENT_TYPE}\r\nX-Forwarded-For: 8.8.8.8\r\n");
    assert_eq!(site.post(PEERS_PATH, &headers, &record).status, 200);
    let record = Peer::new(2).registration(&site).encode();
    let headers = format!("Content-Type: {CONTENT_TYPE}\r\nX-Forwarded-For: 8.8.4.4\r\n");
    let list = PeerList::decode(&site.post(PEERS_PATH, &headers, &record).body).unwrap();
    let json = serde_json::to_string(&list.peers).unwrap();
    assert!(json.contains("8.8.8.8:4000"), "{json}");
}

#[test]
fn nothing_depends_on_the_host_header_and_nothing_comes_back() {
    let site = Site::new(|_| {});
    for host in ["evil.example", "127.0.0.1:1@evil.example", "<script>", "x\r\nHost: evil.example"]
    {
        assert_eq!(observed(&site, &format!("Host: {host}\r\n")), "127.0.0.1", "{host}");
    }
    for path in [
        "/evil%0d%0aSet-Cookie:x",
        "/<script>alert(1)</script>",
        "//evil.example/",
        "/api/../etc/passwd",
    ] {
        let answer = site.say(
            format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert!([0, 400, 404].contains(&answer.status), "{path}: {}", answer.head);
        let all = [answer.head.as_bytes(), &answer.body].concat();
        let all = String::from_utf8_lossy(&all).to_lowercase();
        assert!(
            !all.contains("evil") && !all.contains("script") && !all.contains("location:"),
            "{all}"
        );
    }
    let absolute =
        b"GET http://evil.example/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(!site.say(absolute).head.contains("evil"));
}

#[test]
fn smuggled_requests_are_refused() {
    let site = Site::new(|_| {});
    let head = format!("POST {PEERS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n");
    for trick in [
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: +4\r\n\r\nabcd",
        "Content-Length: 4, 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        let smuggled =
            format!("{head}{trick}GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = site.say(smuggled.as_bytes());
        assert!([0, 400].contains(&answer.status), "{trick}: {}", answer.head);
        assert!(!String::from_utf8_lossy(&answer.body).contains("HTTP/1.1 200"), "{trick}");
    }
    still_serves(&site);
}

#[test]
fn noise_stops_nothing() {
    let site = Site::new(|config| {
        config.limits.address_per_minute = 0;
        config.limits.subnet_per_minute = 0;
        config.limits.header_secs = 1;
    });
    let mut rng = Rng::new(Seed::from_u64(7), "noise");
    let honest = Peer::new(1).registration(&site).encode();
    for _ in 0..300 {
        let mut bytes = honest.clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(3) {
                0 => bytes[at] = rng.below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, rng.below(256) as u8),
            }
        }
        let answer = site.post_binary(PEERS_PATH, &bytes);
        assert!([200, 400, 401, 404, 409, 421].contains(&answer.status), "{}", answer.head);
    }
    for _ in 0..100 {
        let noise: Vec<u8> = (0..rng.below(200)).map(|_| rng.below(256) as u8).collect();
        let mut stream = site.connect();
        let _ = stream.write_all(&noise);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        assert_ne!(Answer::read(&mut stream).status, 200);
    }
    still_serves(&site);
}
