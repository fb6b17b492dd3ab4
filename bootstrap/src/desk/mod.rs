//! The desk at which peers are served: everything the server decides, without HTTP, clock or database.
//!
//! | Module | What it is |
//! |---|---|
//! | [`policy`] | who isn't served |
//! | [`mod@steering`] | when peers come again |
//! | [`book`] | tasks that wait |
//! | [`counts`] | what was counted |

pub mod book;
pub mod counts;
pub mod policy;
pub mod steering;
#[cfg(test)]
mod tests;

use crate::clock::Now;
use crate::config::Config;
use crate::lease::{Asker, LeaseRefusal, Leases, Offer, Scope, Sign};
use crate::rate::{Rates, TooOften};
use book::TaskBook;
use counts::Counts;
use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::crypto::Crypto;
use p2pnet_protocol::discovery::bootstrap::{
    FRESH_MS, Heartbeat, HeartbeatReply, PeerList, Refusal, RefusalCode, Registration, ReplyHead,
    ServerIdentity, ServerKeys,
};
use p2pnet_protocol::net::subnet;
use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::{IpPrefix, NetworkName, PeerId, PublicKey, RequestNonce, Rng, Seed, TaskId};
use policy::Bans;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use steering::steering;

/// How long a reply is valid.
const REPLY_VALID_MS: u64 = 60_000;
/// Buckets for the rates of keys, addresses and subnets.
const RATE_CELLS: usize = 1 << 17;
/// Whoever is turned away for now comes again after so many seconds, and up to as many more.
const BUSY_SECS: u64 = 5;

/// What signs for the server.
type WireKey = <FastCrypto as Crypto>::SigningKey;

/// The desk.
pub struct Desk {
    config: Config,
    crypto: FastCrypto,
    wire: WireKey,
    keys: RwLock<Arc<ServerKeys>>,
    /// The identity as it was last signed.
    identity: Mutex<Option<Arc<ServerIdentity>>>,
    leases: Mutex<Leases>,
    rates: Mutex<Rates>,
    rng: Mutex<Rng>,
    bans: RwLock<Arc<Bans>>,
    tasks: Mutex<TaskBook>,
    /// Nothing dated before that is new: it may be a replay of what an earlier run saw.
    started_ms: u64,
    requests_per_sec: AtomicU32,
    draining: AtomicBool,
    /// What was counted.
    pub counts: Counts,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("wire", &self.keys().wire).finish_non_exhaustive()
    }
}

/// A heartbeat's answer, and the tasks that needn't be kept any longer.
#[derive(Debug)]
pub struct Beat {
    /// What the peer gets.
    pub reply: HeartbeatReply,
    /// Tasks that it has got.
    pub received: Vec<TaskId>,
}

/// What a request says before anything else is looked at.
struct Claim<'a> {
    network: &'a NetworkName,
    key: &'a PublicKey,
    audience: &'a PublicKey,
    at_ms: u64,
    label: &'a str,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with the lock left something whole: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// A desk that signs with the key made from `wire_seed`.
    pub fn new(
        config: Config,
        crypto: FastCrypto,
        wire_seed: &[u8; 32],
        seed: Seed,
        now: Now,
    ) -> Self {
        let wire = crypto.signing_key(wire_seed);
        let keys = ServerKeys { wire: crypto.public_key(&wire), delegation: None };
        Self {
            wire,
            keys: RwLock::new(Arc::new(keys)),
            identity: Mutex::new(None),
            leases: Mutex::new(Leases::new(config.lease_limits(), now.tick())),
            rates: Mutex::new(Rates::new(RATE_CELLS)),
            rng: Mutex::new(Rng::new(seed, "bootstrap")),
            bans: RwLock::default(),
            tasks: Mutex::default(),
            started_ms: now.wall_ms,
            requests_per_sec: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            counts: Counts::default(),
            config,
            crypto,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The server's keys.
    pub fn keys(&self) -> Arc<ServerKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says who the server is, signed within the last second.
    pub fn identity(&self, now: Now) -> Arc<ServerIdentity> {
        let mut signed = locked(&self.identity);
        if let Some(identity) = &*signed
            && now.wall_ms.abs_diff(identity.issued_ms) < 1000
        {
            return identity.clone();
        }
        let (keys, name) = (ServerKeys::clone(&self.keys()), self.config.server.name.clone());
        let identity = ServerIdentity::issue(&self.crypto, &self.wire, keys, name, now.wall_ms);
        signed.insert(Arc::new(identity)).clone()
    }

    /// The leases, locked.
    pub fn leases(&self) -> MutexGuard<'_, Leases> {
        locked(&self.leases)
    }

    /// Replaces the bans, and ends the leases of whoever is banned now; returns how many.
    pub fn set_bans(&self, now: Now, bans: Bans) -> usize {
        let bans = Arc::new(bans);
        *self.bans.write().unwrap_or_else(PoisonError::into_inner) = bans.clone();
        if bans.is_empty() {
            return 0;
        }
        let ended = self.leases().end_where(now.tick(), |lease| {
            bans.hit(now.wall_ms, &lease.peer, lease.address.ip(), &lease.label)
        });
        (0..ended).for_each(|_| self.counts.leases_ended.up());
        ended
    }

    /// How many bans there are.
    pub fn bans(&self) -> usize {
        self.bans.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Replaces the tasks that wait.
    pub fn set_tasks(&self, tasks: TaskBook) {
        *locked(&self.tasks) = tasks;
    }

    /// How many tasks wait.
    pub fn tasks(&self) -> usize {
        locked(&self.tasks).len()
    }

    /// How many requests came in the last second or so.
    pub fn set_load(&self, requests_per_sec: u32) {
        self.requests_per_sec.store(requests_per_sec, Ordering::Relaxed);
    }

    /// From now on nobody is served: the server goes down.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server goes down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Counts a request of any kind from `from`.
    ///
    /// # Errors
    /// A refusal, if it is one too many, or the address is banned, or the server goes down.
    pub fn enter(&self, now: Now, from: IpAddr) -> Result<(), Refusal> {
        if self.is_draining() {
            return Err(self.refuse(now, RefusalCode::Busy));
        }
        if self.bans.read().unwrap_or_else(PoisonError::into_inner).hit_address(now.wall_ms, from) {
            return Err(self.refuse(now, RefusalCode::Blocked));
        }
        let limits = &self.config.limits;
        let address = match from {
            IpAddr::V4(_) => IpPrefix::single(from),
            // A host of IPv6 has as many addresses of its /64 as it likes.
            IpAddr::V6(_) => IpPrefix::new(from, 64).unwrap_or_else(|_| IpPrefix::single(from)),
        };
        let mut rates = locked(&self.rates);
        let asked = rates
            .ask(now.micros, (0_u8, address), limits.address_rate())
            .and_then(|()| rates.ask(now.micros, (1_u8, subnet(from)), limits.subnet_rate()));
        drop(rates);
        asked.map_err(|too_often| self.too_often(now, too_often))
    }

    /// Registers a peer that comes from `from`, and tells it of others.
    ///
    /// # Errors
    /// A refusal; nothing has changed then.
    pub fn register(
        &self,
        now: Now,
        from: IpAddr,
        registration: &Registration,
    ) -> Result<PeerList, Refusal> {
        let Registration { network, key, audience, at_ms, label, .. } = registration;
        let claim = Claim { network, key, audience, at_ms: *at_ms, label };
        self.admit(now, from, &claim, || registration.is_signed(&self.crypto))?;
        let (peer, tag) = (PeerId::of(key), network.tag());
        let asker = Asker { peer, network: tag, scope: Scope::of(from) };
        let mut leases = self.leases();
        let sign = self.sign(now, from, &leases, &claim);
        let offer = Offer { sign, port: registration.port, label: label.clone() };
        leases.grant(now.tick(), &offer).map_err(|refusal| self.no_lease(now, refusal))?;
        let wanted = usize::from(registration.wants).min(PeerList::PEERS_MAX);
        let draw = self.draw();
        let sample = leases.sample(now.tick(), &asker, wanted, draw);
        let total = leases.in_network(&tag);
        let head = self.head(now, &leases, registration.nonce);
        drop(leases);
        self.counts.registrations.up();
        let record = |(peer, address)| {
            self.counts.peers_told.up();
            PeerRecord { peer, endpoints: vec![Endpoint::Tcp(address)] }
        };
        let peers = sample.into_iter().map(record).collect();
        Ok(PeerList::issue(&self.crypto, &self.wire, head, from, total, peers))
    }

    /// Takes a peer's sign of life, and hands it what waits for it.
    ///
    /// # Errors
    /// A refusal; nothing has changed then.
    pub fn heartbeat(&self, now: Now, from: IpAddr, beat: &Heartbeat) -> Result<Beat, Refusal> {
        let Heartbeat { network, key, audience, at_ms, .. } = beat;
        let (peer, tag) = (PeerId::of(key), network.tag());
        let label = self.leases().get(&peer, &tag).map(|lease| lease.label).unwrap_or_default();
        let claim = Claim { network, key, audience, at_ms: *at_ms, label: &label };
        self.admit(now, from, &claim, || beat.is_signed(&self.crypto))?;
        let mut leases = self.leases();
        let sign = self.sign(now, from, &leases, &claim);
        let renewed = if beat.leaving {
            leases.leave(now.tick(), &sign).map(|left| {
                if left {
                    self.counts.leases_left.up();
                }
                false
            })
        } else {
            leases.renew(now.tick(), &sign)
        };
        let renewed = renewed.map_err(|refusal| self.no_lease(now, refusal))?;
        let told = leases.told(&peer, &tag);
        let mut book = locked(&self.tasks);
        let (received, told) = book.received(&peer, &tag, told, &beat.received);
        let tasks = book.next(now.wall_ms, &peer, &tag, told);
        drop(book);
        leases.tell(&peer, &tag, told);
        let head = self.head(now, &leases, beat.nonce);
        drop(leases);
        match (renewed, beat.leaving) {
            (true, _) => self.counts.heartbeats_renewed.up(),
            (false, false) => self.counts.heartbeats_unknown.up(),
            (false, true) => {}
        }
        tasks.iter().for_each(|_| self.counts.tasks_sent.up());
        received.iter().for_each(|_| self.counts.tasks_received.up());
        let reply = HeartbeatReply::issue(&self.crypto, &self.wire, head, renewed, tasks);
        Ok(Beat { reply, received })
    }

    /// A refusal for this reason, counted.
    pub fn refuse(&self, now: Now, code: RefusalCode) -> Refusal {
        self.counts.refused(code);
        let wait = || BUSY_SECS + locked(&self.rng).below(BUSY_SECS + 1);
        let retry_after_secs = match code {
            RefusalCode::TooMany | RefusalCode::Busy => wait() as u32,
            _ => 0,
        };
        Refusal { code, now_ms: now.wall_ms, retry_after_secs }
    }

    /// Whether a request may change anything: what costs least is asked first, and what the key counts for last, since
    /// until then anybody could have sent it.
    fn admit(
        &self,
        now: Now,
        from: IpAddr,
        claim: &Claim<'_>,
        is_signed: impl FnOnce() -> bool,
    ) -> Result<(), Refusal> {
        let networks = &self.config.server.networks;
        let peer = PeerId::of(claim.key);
        let bans = self.bans.read().unwrap_or_else(PoisonError::into_inner).clone();
        let seen = || self.leases().freshness(&peer, &claim.network.tag());
        let fresh = claim.at_ms >= self.started_ms && claim.at_ms.abs_diff(now.wall_ms) <= FRESH_MS;
        let code = if !networks.is_empty() && !networks.contains(claim.network) {
            RefusalCode::OtherNetwork
        } else if *claim.audience != self.keys().audience() {
            RefusalCode::OtherAudience
        } else if !fresh {
            RefusalCode::Stale
        } else if bans.hit(now.wall_ms, &peer, from, claim.label) {
            RefusalCode::Blocked
        } else if seen().is_some_and(|seen| claim.at_ms <= seen) {
            RefusalCode::Stale
        } else if !is_signed() {
            RefusalCode::BadSignature
        } else {
            let rate = self.config.limits.key_rate();
            let asked = locked(&self.rates).ask(now.micros, (2_u8, peer), rate);
            return asked.map_err(|too_often| self.too_often(now, too_often));
        };
        Err(self.refuse(now, code))
    }

    fn sign(&self, now: Now, from: IpAddr, leases: &Leases, claim: &Claim<'_>) -> Sign {
        let load = self.requests_per_sec.load(Ordering::Relaxed);
        Sign {
            peer: PeerId::of(claim.key),
            network: claim.network.tag(),
            ip: from,
            freshness: claim.at_ms,
            replay_until: now.tick_at(claim.at_ms.saturating_add(FRESH_MS)).saturating_add(1),
            lifetime_secs: steering(&self.config.leases, leases.len(), load).lease_secs,
        }
    }

    fn head(&self, now: Now, leases: &Leases, nonce: RequestNonce) -> ReplyHead {
        let load = self.requests_per_sec.load(Ordering::Relaxed);
        ReplyHead {
            keys: ServerKeys::clone(&self.keys()),
            nonce,
            issued_ms: now.wall_ms,
            expires_ms: now.wall_ms.saturating_add(REPLY_VALID_MS),
            steering: steering(&self.config.leases, leases.len(), load),
        }
    }

    fn no_lease(&self, now: Now, refusal: LeaseRefusal) -> Refusal {
        self.refuse(
            now,
            match refusal {
                LeaseRefusal::Replayed => RefusalCode::Stale,
                LeaseRefusal::SubnetFull => RefusalCode::TooMany,
                LeaseRefusal::Full | LeaseRefusal::TooManyNetworks => RefusalCode::Busy,
            },
        )
    }

    fn too_often(&self, now: Now, too_often: TooOften) -> Refusal {
        let TooOften { retry_after_secs } = too_often;
        Refusal { retry_after_secs, ..self.refuse(now, RefusalCode::TooMany) }
    }

    /// Numbers for one sample: quick ones, seeded from good ones.
    fn draw(&self) -> impl FnMut(u64) -> u64 + use<> {
        let mut state = locked(&self.rng).next_u64();
        move |bound| {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
        }
    }
}
