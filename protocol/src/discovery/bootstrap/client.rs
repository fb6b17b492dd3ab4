//! A node's dealings with its bootstrap servers.
//!
//! Each server has a life of its own, so that a server which fails, lies or is away takes nothing from the others. A node
//! first learns who a server is, and holds that against the policy and against what it met before; where an authority is
//! new, that is saved first. Only then does it register and ask for peers. Afterwards it shows now and then that it is
//! alive, as often as the server asks for, within bounds.
//!
//! What a server says is believed as far as this goes: who signed it (a wire key, for which an authority gave its word), and
//! that it answers this very request. Its peers are candidates to dial, and prove who they are by themselves.

use super::error::BootstrapError;
use super::memory::Memory;
use super::refusal::{Refusal, RefusalCode};
use super::{
    CONTENT_TYPE, HEARTBEAT_PATH, Heartbeat, HeartbeatReply, IDENTITY_PATH, PEERS_PATH, PeerList,
    REPLY_BYTES_MAX, Registration, ReplyHead, ServerIdentity, ServerKeys, Steering,
};
use crate::config::Config;
use crate::crypto::Crypto;
use crate::error::ConfigError;
use crate::id::{NetworkName, PublicKey, RequestNonce, Signature, TaskId};
use crate::io::{Fetch, Fetched};
use crate::peers::book::backoff;
use crate::rng::Rng;
use crate::time::{Duration, Instant, UnixTime};
use crate::trust::bootstrap_policy::{BootstrapOffer, BootstrapTrustPolicy};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use bytes::Bytes;

/// How many peers a node asks for.
const WANTS: u8 = 32;
/// The bounds within which a server says how often it wants to hear of a node.
const INTERVAL_MIN: Duration = Duration::from_secs(10);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// How far a node strays from that at most, in percent.
const JITTER_PERCENT_MAX: u8 = 50;
/// The first wait after a failure, doubling to the longest.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// A node with channels asks for peers with each so many signs of life, one without with each.
const BEATS_BETWEEN_LISTS: u8 = 10;

/// What a node says of itself to servers.
pub(crate) struct Myself<'a, C: Crypto> {
    pub(crate) crypto: &'a mut C,
    pub(crate) signing: &'a C::SigningKey,
    pub(crate) network: &'a NetworkName,
    pub(crate) policy: &'a BootstrapTrustPolicy,
    pub(crate) wall: Option<UnixTime>,
    /// The port on which it accepts connections; 0 if on none.
    pub(crate) port: u16,
    pub(crate) label: &'a str,
    /// Whether it has no channel to anybody.
    pub(crate) lonely: bool,
}

/// What a server's answer, or the time, leads to.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Ask this server this.
    Fetch(usize, Fetch),
    /// Keep this, and tell when it is safe: the server may be used only then.
    Save(usize, Bytes),
    /// The server works: who it is, and what it gave.
    Registered(usize, BootstrapOffer, Box<PeerList>),
    /// The server, by its wire key, has tasks for this node.
    Tasks(PublicKey, Vec<Bytes>),
    /// The server was of no use, and is asked again in so long.
    Failed(usize, BootstrapError, Duration),
}

/// What a server is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Identity,
    Register,
    Beat,
}

#[derive(Debug)]
struct Server {
    url: String,
    /// Who it is, once the policy has let it through.
    keys: Option<ServerKeys>,
    /// The authority is new, and not safe yet.
    unsaved: bool,
    /// The server's clock in milliseconds since 1970, and when it was read.
    clock: Option<(u64, Instant)>,
    last_at_ms: u64,
    under_way: Option<(Step, RequestNonce)>,
    registered: bool,
    /// Signs of life since the last list.
    beats: u8,
    /// Tasks that came, for the next sign of life to say so.
    received: Vec<TaskId>,
    due: Option<Instant>,
    failures: u32,
}

/// A node's bootstrap servers.
#[derive(Debug)]
pub(crate) struct Client {
    servers: Vec<Server>,
    /// The authority's key, where it was given in advance: no other will do.
    given: Option<PublicKey>,
    durable: bool,
    memory: Memory,
    /// Something of it is not safe yet.
    dirty: bool,
    rng: Rng,
}

impl Client {
    /// # Errors
    /// [`ConfigError`] if what was saved is damaged.
    pub(crate) fn new(now: Instant, config: &Config, rng: Rng) -> Result<Self, ConfigError> {
        let settings = &config.bootstrap;
        let memory = settings.saved.as_ref().map_or(Ok(Memory::default()), |saved| {
            Memory::decode(saved).map_err(|malformed| ConfigError {
                key: "bootstrap.saved",
                problem: format!("{malformed}"),
            })
        })?;
        let servers = settings.servers.iter().map(|url| Server {
            url: url.trim_end_matches('/').into(),
            keys: None,
            unsaved: false,
            clock: None,
            last_at_ms: 0,
            under_way: None,
            registered: false,
            beats: 0,
            received: Vec::new(),
            due: Some(now),
            failures: 0,
        });
        Ok(Self {
            servers: servers.collect(),
            given: settings.authority,
            durable: settings.durable,
            memory,
            dirty: false,
            rng,
        })
    }

    /// When a server is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.servers.iter().filter_map(|server| server.due).min()
    }

    /// The server's address.
    pub(crate) fn url(&self, server: usize) -> &str {
        self.servers.get(server).map_or("", |server| &server.url)
    }

    /// Whether `issuer` is the wire key of a server whose authority the policy has let through: it speaks as an authority.
    pub(crate) fn is_authority(&self, issuer: &PublicKey, wall: Option<UnixTime>) -> bool {
        self.servers.iter().filter(|server| !server.unsaved).any(|server| {
            let keys = server.keys.as_ref().filter(|keys| keys.wire == *issuer);
            let word = keys.and_then(|keys| keys.delegation.as_ref());
            word.is_some_and(|word| {
                wall.is_some_and(|wall| (word.not_before..word.not_after).contains(&wall))
            })
        })
    }

    /// Asks every server whose time has come.
    pub(crate) fn on_due<C: Crypto>(
        &mut self,
        now: Instant,
        myself: &mut Myself<'_, C>,
        out: &mut Vec<Effect>,
    ) {
        for (index, server) in self.servers.iter_mut().enumerate() {
            if server.due.is_none_or(|at| at > now) {
                continue;
            }
            server.due = None;
            out.push(Effect::Fetch(index, server.ask(now, myself)));
        }
    }

    /// The node goes away: what to tell the servers that know it. Nobody waits for an answer.
    pub(crate) fn leave<C: Crypto>(
        &mut self,
        now: Instant,
        myself: &mut Myself<'_, C>,
    ) -> Vec<Fetch> {
        let known = self.servers.iter_mut().filter(|server| server.registered);
        let told = known.filter_map(|server| {
            server.registered = false;
            server.due = None;
            let keys = server.keys.as_ref()?.audience();
            Some(server.heartbeat(now, myself, keys, true))
        });
        told.map(|(fetch, _)| fetch).collect()
    }

    /// A server answered, or didn't.
    pub(crate) fn on_answer<C: Crypto>(
        &mut self,
        now: Instant,
        index: usize,
        answer: Option<Fetched>,
        myself: &mut Myself<'_, C>,
        out: &mut Vec<Effect>,
    ) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let Some((step, nonce)) = server.under_way.take() else { return };
        let answer = answer.ok_or(BootstrapError::NoAnswer);
        let body = answer.and_then(|answer| server.body_of(now, answer));
        let outcome = body.and_then(|body| match step {
            Step::Identity => self.on_identity(now, index, &body, myself, out),
            Step::Register => {
                let list = PeerList::open(myself.crypto, &body, &nonce, myself.wall)?;
                let offer = self.take_head(now, index, &list.head, myself)?;
                if let Some(server) = self.servers.get_mut(index) {
                    server.registered = true;
                    server.beats = 0;
                }
                out.push(Effect::Registered(index, offer, Box::new(list)));
                Ok(())
            }
            Step::Beat => {
                let reply = HeartbeatReply::open(myself.crypto, &body, &nonce, myself.wall)?;
                self.take_head(now, index, &reply.head, myself)?;
                self.on_beat(now, index, reply, out);
                Ok(())
            }
        });
        if let Err(error) = outcome {
            self.fail(now, index, error, out);
        }
    }

    /// What was to be kept is safe, or isn't.
    pub(crate) fn on_saved(
        &mut self,
        now: Instant,
        index: usize,
        safe: bool,
        out: &mut Vec<Effect>,
    ) {
        let Some(server) = self.servers.get_mut(index).filter(|server| server.unsaved) else {
            return;
        };
        self.dirty = !safe;
        if safe {
            server.unsaved = false;
            server.due = Some(now);
        } else {
            server.keys = None;
            server.unsaved = false;
            self.fail(now, index, BootstrapError::NotSaved, out);
        }
    }

    /// The server says who it is: the policy judges, and what is new is kept before the server is used.
    fn on_identity<C: Crypto>(
        &mut self,
        now: Instant,
        index: usize,
        body: &[u8],
        myself: &Myself<'_, C>,
        out: &mut Vec<Effect>,
    ) -> Result<(), BootstrapError> {
        let identity = ServerIdentity::decode(body)?;
        if !identity.is_signed(myself.crypto) {
            return Err(BootstrapError::Reply(super::BadReply::BadSignature));
        }
        let url = self.url(index).to_string();
        let news = self.judge(&url, &identity.keys, myself)?;
        let Some(server) = self.servers.get_mut(index) else { return Ok(()) };
        server.keys = Some(identity.keys);
        server.clock = Some((identity.issued_ms, now));
        server.last_at_ms = 0;
        self.dirty |= news;
        if self.dirty && self.durable {
            server.unsaved = true;
            out.push(Effect::Save(index, self.memory.encode().into()));
        } else {
            server.due = Some(now);
        }
        Ok(())
    }

    /// Whether the server that shows these keys may be used at all. True if that is a first meeting, which must be kept.
    fn judge<C: Crypto>(
        &mut self,
        url: &str,
        keys: &ServerKeys,
        myself: &Myself<'_, C>,
    ) -> Result<bool, BootstrapError> {
        let offer = keys.offer(myself.crypto, myself.wall)?;
        let shown = match offer {
            BootstrapOffer::Trustless => None,
            BootstrapOffer::Authority(key) => Some(key),
        };
        if self.given.is_some() && shown != self.given {
            return Err(BootstrapError::NotTheGivenAuthority);
        }
        // Once a server has shown an authority, nobody else may answer in its place, nor it without.
        if let Some(pin) = self.memory.pin(url)
            && shown != Some(*pin)
        {
            return Err(BootstrapError::NotThePinnedAuthority(*pin));
        }
        let before = self.memory.lock;
        self.memory.lock.admit(myself.policy, offer)?;
        let mut news = self.memory.lock != before;
        if let Some(key) = shown {
            let servers = &self.servers;
            let in_use = |url: &str| servers.iter().any(|server| server.url == url);
            news |= self.memory.set_pin(url, key, in_use);
        }
        Ok(news)
    }

    /// A signed reply came: whether it is from whom it should be. It says when to come again.
    fn take_head<C: Crypto>(
        &mut self,
        now: Instant,
        index: usize,
        head: &ReplyHead,
        myself: &Myself<'_, C>,
    ) -> Result<BootstrapOffer, BootstrapError> {
        let server = self.servers.get(index).ok_or(BootstrapError::OtherServer)?;
        let asked = server.keys.as_ref().ok_or(BootstrapError::OtherServer)?.audience();
        if head.keys.audience() != asked {
            return Err(BootstrapError::OtherServer);
        }
        let url = server.url.clone();
        self.judge(&url, &head.keys, myself)?;
        let offer = head.keys.offer(myself.crypto, myself.wall)?;
        let wait = self.wait(&head.steering);
        let server = self.servers.get_mut(index).ok_or(BootstrapError::OtherServer)?;
        server.keys = Some(head.keys.clone());
        server.clock = Some((head.issued_ms, now));
        server.failures = 0;
        server.due = Some(now + wait);
        Ok(offer)
    }

    fn wait(&mut self, steering: &Steering) -> Duration {
        let interval = Duration::from_secs(steering.interval_secs.into());
        let percent = steering.jitter_percent.min(JITTER_PERCENT_MAX);
        let wait = self.rng.jitter(interval.clamp(INTERVAL_MIN, INTERVAL_MAX), percent.into());
        wait.clamp(INTERVAL_MIN, INTERVAL_MAX)
    }

    fn on_beat(
        &mut self,
        now: Instant,
        index: usize,
        reply: HeartbeatReply,
        out: &mut Vec<Effect>,
    ) {
        let Some(server) = self.servers.get_mut(index) else { return };
        server.beats = server.beats.saturating_add(1);
        if !reply.renewed {
            server.registered = false;
            server.due = Some(now);
        }
        server.received.clear();
        if reply.tasks.is_empty() {
            return;
        }
        for task in &reply.tasks {
            // The name stands at a fixed place, and is all that is needed to say that the task came.
            if let Some(id) = task.get(9..).and_then(|rest| rest.first_chunk()) {
                server.received.push(TaskId(*id));
            }
        }
        out.push(Effect::Tasks(reply.head.keys.wire, reply.tasks));
    }

    /// Waits before the server is asked again, longer each time.
    fn fail(&mut self, now: Instant, index: usize, error: BootstrapError, out: &mut Vec<Effect>) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let mut wait = backoff(server.failures, RETRY_MIN, RETRY_MAX);
        match error {
            BootstrapError::Refused(RefusalCode::OtherAudience, _)
            | BootstrapError::OtherServer => {
                server.keys = None;
            }
            // Nothing changes about these soon.
            _ if error.is_final() => {
                server.keys = None;
                wait = RETRY_MAX;
            }
            BootstrapError::Refused(_, after) => {
                wait = wait.max(Duration::from_secs(after.into()).min(INTERVAL_MAX));
            }
            _ => {}
        }
        server.failures = server.failures.saturating_add(1);
        let wait = self.rng.jitter(wait, 25);
        server.due = Some(now + wait);
        out.push(Effect::Failed(index, error, wait));
    }
}

impl Server {
    /// The next question to this server.
    fn ask<C: Crypto>(&mut self, now: Instant, myself: &mut Myself<'_, C>) -> Fetch {
        let mut nonce = RequestNonce([0; 16]);
        let Some(audience) = self.keys.as_ref().map(ServerKeys::audience) else {
            self.under_way = Some((Step::Identity, nonce));
            return self.fetch(IDENTITY_PATH, None);
        };
        let wants_peers = myself.lonely || self.beats >= BEATS_BETWEEN_LISTS;
        let alive = !wants_peers || !self.received.is_empty();
        if self.registered && alive {
            let (fetch, nonce) = self.heartbeat(now, myself, audience, false);
            self.under_way = Some((Step::Beat, nonce));
            return fetch;
        }
        myself.crypto.random(&mut nonce.0);
        let registration = Registration {
            network: myself.network.clone(),
            key: PublicKey([0; 32]),
            audience,
            at_ms: self.next_at_ms(now),
            nonce,
            port: myself.port,
            label: myself.label.into(),
            wants: WANTS,
            signature: Signature([0; 64]),
        };
        let registration = registration.sign(myself.crypto, myself.signing);
        self.under_way = Some((Step::Register, nonce));
        self.fetch(PEERS_PATH, Some(registration.encode()))
    }

    fn heartbeat<C: Crypto>(
        &mut self,
        now: Instant,
        myself: &mut Myself<'_, C>,
        audience: PublicKey,
        leaving: bool,
    ) -> (Fetch, RequestNonce) {
        let mut nonce = RequestNonce([0; 16]);
        myself.crypto.random(&mut nonce.0);
        let heartbeat = Heartbeat {
            network: myself.network.clone(),
            key: PublicKey([0; 32]),
            audience,
            at_ms: self.next_at_ms(now),
            nonce,
            leaving,
            received: self.received.clone(),
            signature: Signature([0; 64]),
        };
        let heartbeat = heartbeat.sign(myself.crypto, myself.signing);
        (self.fetch(HEARTBEAT_PATH, Some(heartbeat.encode())), nonce)
    }

    fn fetch(&self, path: &str, body: Option<Vec<u8>>) -> Fetch {
        Fetch {
            url: format!("{}{path}", self.url),
            body: body.map(Bytes::from),
            media_type: CONTENT_TYPE,
            bytes_max: u32::try_from(REPLY_BYTES_MAX).unwrap_or(u32::MAX),
            ipv4_only: false,
        }
    }

    /// The time by the server's clock, and later than that of the request before.
    fn next_at_ms(&mut self, now: Instant) -> u64 {
        let by_clock = self.clock.map_or(0, |(ms, read)| {
            let since = u64::try_from(now.since(read).as_millis()).unwrap_or(u64::MAX);
            ms.saturating_add(since)
        });
        self.last_at_ms = by_clock.max(self.last_at_ms.saturating_add(1));
        self.last_at_ms
    }

    /// The body of an answer that is one of ours.
    fn body_of(&mut self, now: Instant, answer: Fetched) -> Result<Vec<u8>, BootstrapError> {
        let media_type = answer.media_type.split(';').next().unwrap_or_default().trim();
        let ours = media_type.eq_ignore_ascii_case(CONTENT_TYPE);
        if answer.status == 200 {
            return if ours { Ok(answer.body) } else { Err(BootstrapError::ContentType) };
        }
        let refusal = Refusal::decode(&answer.body).ok().filter(|_| ours);
        let Some(refusal) = refusal else { return Err(BootstrapError::Status(answer.status)) };
        if refusal.code == RefusalCode::Stale {
            // The clock is taken afresh, and so may go back: nobody signed this.
            self.clock = Some((refusal.now_ms, now));
            self.last_at_ms = 0;
        }
        Err(BootstrapError::Refused(refusal.code, refusal.retry_after_secs))
    }
}
