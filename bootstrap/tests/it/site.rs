//! A server of a test's own, and a client that says exactly what a test wants.

use p2pnet_bootstrap::{Config, Server};
use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::crypto::Crypto;
use p2pnet_protocol::discovery::bootstrap::{CONTENT_TYPE, Heartbeat, Registration};
use p2pnet_protocol::{NetworkName, PeerId, PublicKey, RequestNonce, Signature};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Site {
    runtime: Runtime,
    server: Option<Server>,
    directory: TempDir,
    config: Config,
}

impl Site {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.server.drain_secs = 2;
        config.database.poll_ms = 50;
        config.database.copy_leases_secs = 1;
        change(&mut config);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut site = Self { runtime, server: None, directory, config };
        site.start();
        site
    }

    pub(crate) fn start(&mut self) {
        let started = Server::start(self.config.clone(), self.directory.path());
        self.server = Some(self.runtime.block_on(started).unwrap());
    }

    /// As an operator stops it.
    pub(crate) fn stop(&mut self) {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.stop());
    }

    /// As a power cut stops it, as far as a process can play that: nothing more is written.
    pub(crate) fn cut(&mut self) {
        drop(self.server.take());
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server().addresses()[0]
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn leases(&self) -> usize {
        self.server().desk().leases().len()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    }

    pub(crate) fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.say(&[head.as_bytes(), body].concat())
    }

    pub(crate) fn post_binary(&self, path: &str, body: &[u8]) -> Answer {
        self.post(path, &format!("Content-Type: {CONTENT_TYPE}\r\n"), body)
    }

    /// Sends these bytes and reads the answer to the end.
    pub(crate) fn say(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // Whoever is refused early may not read all of it.
        let _ = stream.write_all(bytes);
        Answer::read(&mut stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never: {what}");
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What comes until the other side closes; status 0 if nothing does.
    pub(crate) fn read(stream: &mut impl Read) -> Self {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let end =
            all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Self { status, head, body: all[end..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What the clock on the wall shows, later each time: as peers date their requests.
pub(crate) fn now_ms() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let before =
        LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
    now.max(before.unwrap() + 1)
}

/// A peer that behaves.
pub(crate) struct Peer {
    pub(crate) crypto: FastCrypto,
    key: <FastCrypto as Crypto>::SigningKey,
}

impl Peer {
    pub(crate) fn new(number: u8) -> Self {
        let crypto = FastCrypto::new().unwrap();
        Self { key: crypto.signing_key(&[number; 32]), crypto }
    }

    pub(crate) fn id(&self) -> PeerId {
        PeerId::of(&self.crypto.public_key(&self.key))
    }

    pub(crate) fn registration(&self, site: &Site) -> Registration {
        let unsigned = Registration {
            network: NetworkName::default(),
            key: PublicKey([0; 32]),
            audience: site.server().desk().keys().audience(),
            at_ms: now_ms(),
            nonce: RequestNonce([7; 16]),
            port: 4000,
            label: "Ада".into(),
            wants: 50,
            signature: Signature([0; 64]),
        };
        unsigned.sign(&self.crypto, &self.key)
    }

    pub(crate) fn heartbeat(&self, site: &Site) -> Heartbeat {
        let unsigned = Heartbeat {
            network: NetworkName::default(),
            key: PublicKey([0; 32]),
            audience: site.server().desk().keys().audience(),
            at_ms: now_ms(),
            nonce: RequestNonce([8; 16]),
            leaving: false,
            received: Vec::new(),
            signature: Signature([0; 64]),
        };
        unsigned.sign(&self.crypto, &self.key)
    }
}
