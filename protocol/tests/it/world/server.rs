//! A bootstrap server for tests: as simple as can be, honest unless told otherwise.

use bytes::Bytes;
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::discovery::bootstrap::Refusal;
use p2pnet_protocol::discovery::bootstrap::*;
use p2pnet_protocol::io::{Fetch, Fetched};
use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What becomes of an answer on its way.
pub type Tamper = Box<dyn FnMut(&Fetch, Fetched) -> Option<Fetched>>;

pub struct Server {
    crypto: PureCrypto,
    wire: [u8; 32],
    /// The authority's key; none in trustless mode.
    pub authority: Option<[u8; 32]>,
    pub leases: BTreeMap<PublicKey, Registration>,
    addresses: BTreeMap<PublicKey, IpAddr>,
    pub steering: Steering,
    /// The server's clock, in seconds since 1970.
    pub now: u64,
    pub tasks: BTreeMap<PublicKey, Vec<Bytes>>,
    /// What heartbeats said was received.
    pub received: Vec<TaskId>,
    /// Peers that are handed out besides.
    pub made_up: Vec<PeerRecord>,
    /// Every request, by path, with the name of who asked.
    pub asked: Vec<(String, IpAddr)>,
    pub heartbeats: Vec<Heartbeat>,
    /// Whoever stands in between.
    pub tamper: Option<Tamper>,
    pub refuses: Option<Refusal>,
    last_at_ms: BTreeMap<PublicKey, u64>,
}

impl Server {
    pub fn new(wire: u8, authority: Option<u8>) -> Self {
        Self {
            crypto: PureCrypto::new().unwrap(),
            wire: [wire; 32],
            authority: authority.map(|seed| [seed; 32]),
            leases: BTreeMap::new(),
            addresses: BTreeMap::new(),
            steering: Steering { interval_secs: 60, jitter_percent: 20, lease_secs: 180 },
            now: 1_700_000_000,
            tasks: BTreeMap::new(),
            received: Vec::new(),
            made_up: Vec::new(),
            asked: Vec::new(),
            heartbeats: Vec::new(),
            tamper: None,
            refuses: None,
            last_at_ms: BTreeMap::new(),
        }
    }

    pub fn public(seed: u8) -> PublicKey {
        let crypto = PureCrypto::new().unwrap();
        crypto.public_key(&crypto.signing_key(&[seed; 32]))
    }

    pub fn keys(&self) -> ServerKeys {
        let wire = self.crypto.public_key(&self.crypto.signing_key(&self.wire));
        let delegation = self.authority.map(|seed| {
            let key = self.crypto.signing_key(&seed);
            let authority = self.crypto.public_key(&key);
            let (from, until) = (UnixTime(1_699_999_000), UnixTime(1_700_900_000));
            let statement = Delegation::statement(&wire, &authority, &[5; 20], from, until);
            let made = openpgp::sign(&self.crypto, &key, statement.as_bytes(), from);
            Delegation {
                authority,
                fingerprint: Bytes::from_static(&[5; 20]),
                not_before: from,
                not_after: until,
                signature: made.into(),
            }
        });
        ServerKeys { wire, delegation }
    }

    /// How often this path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.asked.iter().filter(|(asked, _)| asked == path).count()
    }

    pub fn answer(&mut self, fetch: &Fetch, from: SocketAddr) -> Option<Fetched> {
        let path = fetch.url.splitn(4, '/').last().map(|path| format!("/{path}")).unwrap();
        self.asked.push((path.clone(), from.ip()));
        let body = match path.as_str() {
            IDENTITY_PATH => Ok(self.identity().encode()),
            PEERS_PATH => self.register(fetch.body.as_deref().unwrap(), from.ip()),
            HEARTBEAT_PATH => self.beat(fetch.body.as_deref().unwrap()),
            PUBLIC_IP_PATH => Ok(format!("{}\n", from.ip()).into_bytes()),
            _ => return None,
        };
        let (status, body) = match body {
            Ok(body) => (200, body),
            Err(refusal) => (refusal.code.status(), refusal.encode()),
        };
        let fetched = Fetched { status, media_type: fetch.media_type.into(), body };
        match &mut self.tamper {
            Some(tamper) => tamper(fetch, fetched),
            None => Some(fetched),
        }
    }

    fn identity(&self) -> ServerIdentity {
        let wire = self.crypto.signing_key(&self.wire);
        let now_ms = self.now * 1000;
        ServerIdentity::issue(&self.crypto, &wire, self.keys(), "test".into(), now_ms)
    }

    fn head(&self, nonce: RequestNonce) -> ReplyHead {
        let issued_ms = self.now * 1000;
        let expires_ms = issued_ms + 60_000;
        ReplyHead { keys: self.keys(), nonce, issued_ms, expires_ms, steering: self.steering }
    }

    fn check(&mut self, key: PublicKey, audience: PublicKey, at_ms: u64) -> Result<(), Refusal> {
        let refuse = |code| Err(Refusal { code, now_ms: self.now * 1000, retry_after_secs: 0 });
        if let Some(refusal) = self.refuses {
            return Err(refusal);
        }
        if audience != self.keys().audience() {
            return refuse(RefusalCode::OtherAudience);
        }
        let last = self.last_at_ms.get(&key).copied().unwrap_or(0);
        if at_ms.abs_diff(self.now * 1000) > FRESH_MS || at_ms <= last {
            return refuse(RefusalCode::Stale);
        }
        self.last_at_ms.insert(key, at_ms);
        Ok(())
    }

    fn register(&mut self, body: &[u8], from: IpAddr) -> Result<Vec<u8>, Refusal> {
        let asked = Registration::decode(body).unwrap();
        assert!(asked.is_signed(&self.crypto));
        self.check(asked.key, asked.audience, asked.at_ms)?;
        let others = self.leases.values().filter(|lease| lease.key != asked.key && lease.port != 0);
        let records = others.map(|lease| {
            let at = SocketAddr::new(self.addresses[&lease.key], lease.port);
            PeerRecord { peer: PeerId::of(&lease.key), endpoints: vec![Endpoint::Tcp(at)] }
        });
        let peers = records.chain(self.made_up.iter().cloned()).collect();
        let (total, head) = (self.leases.len() as u32, self.head(asked.nonce));
        let wire = self.crypto.signing_key(&self.wire);
        self.addresses.insert(asked.key, from);
        self.leases.insert(asked.key, asked);
        Ok(PeerList::issue(&self.crypto, &wire, head, from, total, peers).encode())
    }

    fn beat(&mut self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let asked = Heartbeat::decode(body).unwrap();
        assert!(asked.is_signed(&self.crypto));
        self.check(asked.key, asked.audience, asked.at_ms)?;
        self.heartbeats.push(asked.clone());
        let renewed = self.leases.contains_key(&asked.key) && !asked.leaving;
        if asked.leaving {
            self.leases.remove(&asked.key);
        }
        self.received.extend(&asked.received);
        let tasks = self.tasks.entry(asked.key).or_default();
        tasks.retain(|task| {
            let id = task::NetworkTask::decode(task).unwrap().id;
            !asked.received.contains(&id)
        });
        let tasks = tasks.clone();
        let (wire, head) = (self.crypto.signing_key(&self.wire), self.head(asked.nonce));
        Ok(HeartbeatReply::issue(&self.crypto, &wire, head, renewed, tasks).encode())
    }
}
