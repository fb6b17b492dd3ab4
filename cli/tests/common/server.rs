//! A bootstrap server on loopback, as small as can be: one request to a connection, honest unless told otherwise.

use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::crypto::Crypto as _;
use p2pnet_protocol::discovery::bootstrap::{
    CONTENT_TYPE, Delegation, HEARTBEAT_PATH, Heartbeat, HeartbeatReply, IDENTITY_PATH, PEERS_PATH,
    PUBLIC_IP_PATH, PeerList, Registration, ReplyHead, ServerIdentity, ServerKeys, Steering,
    openpgp,
};
use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::{PeerId, PublicKey, RequestNonce, UnixTime};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// A running server. It goes with the process.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Mutex<State>>,
}

struct State {
    crypto: FastCrypto,
    wire: [u8; 32],
    authority: Option<[u8; 32]>,
    leases: BTreeMap<PublicKey, SocketAddr>,
    paths: Vec<String>,
}

impl Server {
    /// A server with the key of this seed, and an authority behind it if there is a seed for one.
    pub(crate) fn start(wire: u8, authority: Option<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Mutex::new(State {
            crypto: FastCrypto::new().expect("randomness"),
            wire: [wire; 32],
            authority: authority.map(|seed| [seed; 32]),
            leases: BTreeMap::new(),
            paths: Vec::new(),
        }));
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ended = serve(&stream, &state);
            }
        });
        Self { url, shared }
    }

    /// From now on another server answers here.
    pub(crate) fn become_another(&self, wire: u8, authority: Option<u8>) {
        let mut state = self.shared.lock().expect("no panic");
        (state.wire, state.authority) = ([wire; 32], authority.map(|seed| [seed; 32]));
        state.leases.clear();
        state.paths.clear();
    }

    /// What it was asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.shared.lock().expect("no panic").paths.clone()
    }

    /// The authority's public key of this seed.
    pub(crate) fn public(seed: u8) -> PublicKey {
        let crypto = FastCrypto::new().expect("randomness");
        crypto.public_key(&crypto.signing_key(&[seed; 32]))
    }
}

fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let from = stream.peer_addr()?;
    let mut asked = Vec::new();
    let (head, length) = loop {
        let mut some = [0; 2048];
        let n = stream.read(&mut some)?;
        asked.extend_from_slice(&some[..n]);
        let Some(end) = asked.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&asked[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = length.unwrap_or(0);
        if n == 0 || asked.len() >= end + 4 + length {
            break (head, end + 4);
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default();
    let body = state.lock().expect("no panic").answer(path, &asked[length..], from);
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let kind = if path == PUBLIC_IP_PATH { "text/plain" } else { CONTENT_TYPE };
    let told = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(told.as_bytes())?;
    stream.write_all(&body)
}

impl State {
    fn answer(&mut self, path: &str, body: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        self.paths.push(path.into());
        let wire = self.crypto.signing_key(&self.wire);
        let keys = self.keys();
        let head = |nonce: RequestNonce, keys: ServerKeys| ReplyHead {
            keys,
            nonce,
            issued_ms: now_ms(),
            expires_ms: now_ms() + 60_000,
            steering: Steering { interval_secs: 60, jitter_percent: 20, lease_secs: 180 },
        };
        Some(match path {
            IDENTITY_PATH => {
                ServerIdentity::issue(&self.crypto, &wire, keys, "test".into(), now_ms()).encode()
            }
            PEERS_PATH => {
                let asked = Registration::decode(body).ok()?;
                assert!(asked.is_signed(&self.crypto) && asked.audience == keys.audience());
                let others = self.leases.iter().filter(|(key, _)| **key != asked.key);
                let records = others.map(|(key, at)| PeerRecord {
                    peer: PeerId::of(key),
                    endpoints: vec![Endpoint::Tcp(*at)],
                });
                let (peers, total) = (records.collect(), self.leases.len() as u32);
                self.leases.insert(asked.key, SocketAddr::new(from.ip(), asked.port));
                let head = head(asked.nonce, keys);
                PeerList::issue(&self.crypto, &wire, head, from.ip(), total, peers).encode()
            }
            HEARTBEAT_PATH => {
                let asked = Heartbeat::decode(body).ok()?;
                let renewed = self.leases.contains_key(&asked.key);
                let head = head(asked.nonce, keys);
                HeartbeatReply::issue(&self.crypto, &wire, head, renewed, Vec::new()).encode()
            }
            PUBLIC_IP_PATH => b"192.0.2.44\n".to_vec(),
            _ => return None,
        })
    }

    fn keys(&self) -> ServerKeys {
        let wire = self.crypto.public_key(&self.crypto.signing_key(&self.wire));
        let delegation = self.authority.map(|seed| {
            let key = self.crypto.signing_key(&seed);
            let authority = self.crypto.public_key(&key);
            let now = now_ms() / 1000;
            let (from, until) = (UnixTime(now - 60), UnixTime(now + 3600));
            let statement = Delegation::statement(&wire, &authority, &[5; 20], from, until);
            Delegation {
                authority,
                fingerprint: vec![5; 20].into(),
                not_before: from,
                not_after: until,
                signature: openpgp::sign(&self.crypto, &key, statement.as_bytes(), from).into(),
            }
        });
        ServerKeys { wire, delegation }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the end of time")
}
