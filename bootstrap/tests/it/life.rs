//! Servers that stop, start again, share a database, and encrypt.

use crate::cluster::cluster;
use crate::site::{Answer, Peer, Site};
use p2pnet_bootstrap::http::HEALTH_PATH;
use p2pnet_bootstrap::store::{self, Ban};
use p2pnet_bootstrap::{Config, Server};
use p2pnet_protocol::discovery::bootstrap::*;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn ban(subject: &str) -> Ban {
    let (reason, actor) = ("test".into(), "test".into());
    Ban { subject: subject.parse().unwrap(), reason, actor, at_ms: 1, until_ms: None }
}

fn register(site: &Site, number: u8) -> u16 {
    site.post_binary(PEERS_PATH, &Peer::new(number).registration(site).encode()).status
}

#[test]
fn leases_bans_and_the_key_are_there_after_a_stop() {
    let mut site = Site::new(|_| {});
    let key = site.server().wire_key();
    assert_eq!(register(&site, 1), 200);
    let record = Peer::new(2).registration(&site);
    assert_eq!(site.post_binary(PEERS_PATH, &record.encode()).status, 200);
    let banned = Peer::new(3).id().to_string();
    let subject = banned.clone();
    let kept = site.server().keeper().ask(move |store| store.add_ban(&ban(&subject)));
    site.runtime().block_on(kept).unwrap();
    site.stop();
    site.start();
    assert_eq!(site.server().wire_key(), key);
    assert_eq!(site.leases(), 2);
    assert_eq!(register(&site, 3), 403, "{banned}");
    // What was seen before the stop is a replay after it.
    assert_eq!(site.post_binary(PEERS_PATH, &record.encode()).status, 409);
    let beat = site.post_binary(HEARTBEAT_PATH, &Peer::new(1).heartbeat(&site).encode());
    assert!(HeartbeatReply::decode(&beat.body).unwrap().renewed);
}

#[test]
fn leases_return_within_an_interval_after_a_power_cut() {
    let mut site = Site::new(|_| {});
    assert_eq!(register(&site, 1), 200);
    let copied = site.config().database.copy_leases_secs;
    std::thread::sleep(Duration::from_millis(u64::from(copied) * 1000 + 500));
    // This one isn't copied any more.
    assert_eq!(register(&site, 2), 200);
    site.cut();
    site.start();
    let beat = |number| {
        let answer = site.post_binary(HEARTBEAT_PATH, &Peer::new(number).heartbeat(&site).encode());
        HeartbeatReply::decode(&answer.body).unwrap().renewed
    };
    assert!(beat(1));
    // It is told to register anew, and is there again.
    if !beat(2) {
        assert_eq!(register(&site, 2), 200);
    }
    assert_eq!(site.leases(), 2);
}

#[test]
fn a_server_that_stops_answers_what_is_under_way_and_accepts_nobody() {
    let mut site = Site::new(|_| {});
    let mut idle = site.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    site.wait("the request", |site| site.server().desk().counts.http_requests.get() == 1);
    // Half a request is under way.
    let mut busy = site.connect();
    let record = Peer::new(1).registration(&site).encode();
    let head = format!("POST {PEERS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n");
    write!(busy, "{head}Content-Length: {}\r\n\r\n", record.len()).unwrap();
    busy.write_all(&record[..50]).unwrap();
    site.wait("half a request", |site| site.server().desk().counts.http_requests.get() == 2);
    let address = site.address();
    let rest = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let late = std::net::TcpStream::connect(address);
        busy.write_all(&record[50..]).unwrap();
        (Answer::read(&mut busy), late.is_err())
    });
    let begun = Instant::now();
    site.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let (answer, refused) = rest.join().unwrap();
    assert!(refused, "accepted while stopping");
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn a_second_server_in_one_directory_is_refused() {
    let site = Site::new(|_| {});
    let config = Config { server: site.config().server.clone(), ..Config::default() };
    let refused = site.runtime().block_on(Server::start(config, site.directory())).unwrap_err();
    assert!(refused.0.contains("another server runs"), "{refused}");
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let site = Site::new(|_| {});
    let start = |change: &dyn Fn(&mut Config)| {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        change(&mut config);
        site.runtime().block_on(Server::start(config, directory.path())).unwrap_err().0
    };
    let taken = site.address();
    assert!(start(&|c| c.server.listen = vec![taken]).contains("can't listen on 127.0.0.1:"));
    assert!(start(&|c| c.database.url = "mysql://x".into()).contains("database.url is sqlite"));
    let secret = start(&|c| c.database.url = "postgres://u:hunter2@127.0.0.1:1/x".into());
    assert!(secret.contains("127.0.0.1") && !secret.contains("hunter2"), "{secret}");
    assert!(
        start(&|c| c.metrics.token_file = Some("/nowhere".into())).contains("can't read /nowhere")
    );
    let tls = |c: &mut Config| {
        c.tls.certificate = Some("/nowhere.crt".into());
        c.tls.key = Some("/nowhere.key".into());
    };
    assert!(start(&tls).contains("/nowhere.crt"));
}

#[test]
fn a_ban_on_one_server_holds_on_the_other_within_a_second_and_leases_are_shared() {
    let cluster = cluster();
    let url = cluster.database();
    let (one, two) = (
        Site::new(|config| config.database.url.clone_from(&url)),
        Site::new(|config| config.database.url.clone_from(&url)),
    );
    assert_ne!(one.server().wire_key(), two.server().wire_key());
    assert_eq!(register(&one, 1), 200);
    two.wait("the other's lease", |two| two.leases() == 1);
    assert_eq!(register(&two, 2), 200);
    one.wait("the other's lease", |one| one.leases() == 2);
    let subject = Peer::new(1).id().to_string();
    let begun = Instant::now();
    let kept = one.server().keeper().ask(move |store| store.add_ban(&ban(&subject)));
    one.runtime().block_on(kept).unwrap();
    two.wait("the ban", |two| register(two, 1) == 403);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    one.wait("the ban", |one| register(one, 1) == 403);
    let mut operator = store::open(&url, one.directory()).unwrap();
    one.wait("both servers", |_| operator_sees_two(&url, &one));
    assert_eq!(operator.lift_ban(&Peer::new(1).id().to_string().parse().unwrap()), Ok(true));
    two.wait("the end of the ban", |two| register(two, 1) == 200);
}

fn operator_sees_two(url: &str, site: &Site) -> bool {
    store::open(url, site.directory()).unwrap().servers().unwrap().len() == 2
}

#[test]
fn peers_are_served_while_the_database_is_away() {
    let cluster = cluster();
    let url = cluster.database();
    let site = Site::new(|config| config.database.url.clone_from(&url));
    let mut operator = store::postgres::Postgres::open(&url).unwrap();
    use store::Backend as _;
    let others = "SELECT count(pg_terminate_backend(pid))::bigint FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..3 {
        operator.run(others, &[]).unwrap();
        assert_eq!(register(&site, 1), 200);
        std::thread::sleep(Duration::from_millis(30));
    }
    // And it finds its way back by itself.
    let mut store = store::open(&url, site.directory()).unwrap();
    store.add_ban(&ban(&Peer::new(5).id().to_string())).unwrap();
    site.wait("the ban", |site| register(site, 5) == 403);
}

#[test]
fn with_a_certificate_everything_is_encrypted() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (certificate, key) = (directory.path().join("c.pem"), directory.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let site = Site::new(|config| {
        config.tls.certificate = Some(certificate);
        config.tls.key = Some(key);
        config.limits.header_secs = 1;
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut session =
        rustls::ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let mut socket = site.connect();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    let request = format!("GET {HEALTH_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
    // Plain text gets nowhere, and neither does who says nothing.
    assert_ne!(site.get(HEALTH_PATH).status, 200);
    let mut silent = site.connect();
    let begun = Instant::now();
    assert_eq!(Answer::read(&mut silent).status, 0);
    assert!(begun.elapsed() < Duration::from_secs(4));
    site.wait("two failures", |site| site.server().desk().counts.tls_failures.get() == 2);
}
