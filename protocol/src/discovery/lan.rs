//! LAN discovery: when to send beacons, what to make of those heard, and whom to want a channel to.
//!
//! A datagram passes cheap checks first: its first sixteen bytes, the network's tag, a source on the link, the layout,
//! freshness, whether it could teach anything new, and the budget of signature checks. Whatever fails costs a counter.
//! What passes names a candidate at the datagram's own source address; no address is ever read from a beacon.
//!
//! A newcomer to a settled group is answered by one beacon of one family at a time, spread so that the group as a whole
//! keeps to its rate; an answer is as long as the shortest beacon, so that nobody can make this node send more than they
//! send themselves.

use super::budget::{CheckBudget, Claim};
use super::cadence::{self, Beat, Cadence};
use super::crowd::Strangers;
use super::links::{Family, Links, Target};
use super::neighbours::{Accepted, Neighbours, News};
pub(crate) use super::stats::BeaconRefusal;
pub use super::stats::LanStats;
use super::stats::count;
use super::subset::{self, Subset};
use crate::config::LanConfig;
use crate::crypto::Crypto;
use crate::id::{NetworkName, PeerId, PublicKey};
use crate::io::{DiscoveryStatus, Transmit};
use crate::limits::Limits;
use crate::net::{self, Interface};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::beacon::{self, Beacon, SignedBeacon};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

/// A beacon that says nothing new is not verified if the last one was so short a time ago.
const VERIFY_AGAIN_AFTER: Duration = Duration::from_secs(4);
/// For so long after it appeared, a newcomer's beacons are answered.
const ANSWER_SPAN: Duration = Duration::from_secs(3);
/// Between two answers of one node.
const ANSWER_GAP: Duration = Duration::from_secs(1);
/// Whoever is silent for so many beats and so much longer counts as gone.
const SILENT_BEATS: u32 = 4;
const SILENT_MIN: Duration = Duration::from_secs(10);
/// More listeners than this are not announced.
const LISTENERS_MAX: usize = 64;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A peer that can be dialled. `new` if it was not present before, or started anew.
    Candidate { peer: PeerId, key: PublicKey, at: SocketAddr, new: bool },
    /// A peer that accepts no connections where the beacon came from. It dials if it wants to.
    Present { peer: PeerId, key: PublicKey, new: bool },
    /// A present peer, no news.
    Repeated,
    /// This node's own beacon.
    Own,
    /// Nothing that counts.
    Refused(BeaconRefusal),
}

/// One answer to a newcomer, not yet sent.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    interface: u32,
    ipv4: bool,
}

/// LAN discovery of one node.
#[derive(Debug)]
pub(crate) struct Lan {
    config: LanConfig,
    network: [u8; 8],
    me: PublicKey,
    start: u64,
    counter: u64,
    rng: Rng,
    links: Links,
    /// What was last told of the links.
    told: Option<DiscoveryStatus>,
    listeners: Vec<SocketAddr>,
    /// Which of the designated ports is sent to.
    port: usize,
    /// Which family's turn it is.
    turn: usize,
    answers: usize,
    cadence: Cadence,
    answer: Option<Answer>,
    answered: Option<Instant>,
    neighbours: Neighbours,
    strangers: Strangers,
    budget: CheckBudget,
    subset: Subset,
    channels_auto_max: u32,
    stats: LanStats,
}

impl Lan {
    /// `start_nonce` is drawn anew for each run; nothing else that beacons carry but the identity is kept across runs.
    pub(crate) fn new(
        now: Instant,
        config: &LanConfig,
        limits: &Limits,
        network: &NetworkName,
        me: PublicKey,
        start_nonce: u64,
        mut rng: Rng,
    ) -> Self {
        let network = network.tag();
        Self {
            config: config.clone(),
            network,
            me,
            start: start_nonce,
            counter: 0,
            links: Links::default(),
            told: None,
            listeners: Vec::new(),
            port: 0,
            turn: 0,
            answers: 0,
            cadence: Cadence::new(now, &mut rng),
            answer: None,
            answered: None,
            neighbours: Neighbours::new(limits.known_peers_max),
            strangers: Strangers::new(),
            budget: CheckBudget::new(now, limits.beacon_checks_per_second_max),
            subset: Subset::new(network, PeerId::of(&me), limits.channels_auto_max),
            channels_auto_max: limits.channels_auto_max,
            stats: LanStats::default(),
            rng,
        }
    }

    /// The usable interfaces, all of them. Gives the status the first time and whenever it changes.
    pub(crate) fn on_interfaces(
        &mut self,
        now: Instant,
        interfaces: &[Interface],
    ) -> Option<DiscoveryStatus> {
        if !self.config.enabled {
            return None;
        }
        let links = Links::new(&self.config, interfaces);
        let (status, gained) = (links.status(), links.gained(&self.links));
        let changed = self.told != Some(status);
        self.told = Some(status);
        self.links = links;
        if gained {
            self.restart(now);
        }
        changed.then_some(status)
    }

    /// Where this node accepts connections at present: nowhere, if it accepts none. Beacons announce the port of the
    /// listener that covers the address they are sent from, or port 0.
    pub(crate) fn set_listeners(&mut self, now: Instant, listeners: &[SocketAddr]) {
        let kept: Vec<SocketAddr> =
            listeners.iter().map(|at| net::canonical(*at)).take(LISTENERS_MAX).collect();
        if kept != self.listeners {
            self.listeners = kept;
            self.restart(now);
        }
    }

    fn restart(&mut self, now: Instant) {
        let crowd = self.crowd();
        self.cadence.restart(now, crowd, &mut self.rng);
    }

    /// The designated port that beacons are sent to.
    pub(crate) fn broadcast_port(&self) -> u16 {
        self.config.designated_ports.get(self.port).copied().unwrap_or(0)
    }

    /// Sends to the next designated port from now on (`RotateBroadcastPort`), and names it.
    pub(crate) fn rotate_port(&mut self) -> u16 {
        let next = self.port.saturating_add(1);
        self.port = if next < self.config.designated_ports.len() { next } else { 0 };
        self.broadcast_port()
    }

    /// Counts of what happened.
    pub(crate) fn stats(&self) -> LanStats {
        self.stats
    }

    /// How many hosts there seem to be, this one included.
    fn crowd(&self) -> u32 {
        self.strangers.with(self.neighbours.present()).saturating_add(1)
    }

    /// Whether this node wants a channel to `peer` without being asked for one. Meaningful for peers on the LAN alone.
    pub(crate) fn wants(&self, peer: &PeerId) -> bool {
        self.subset.wants(peer)
    }

    /// How dear an automatic channel to `peer` is: with more than [`accepted_max`](Self::accepted_max) of them, the one
    /// of the highest rank is closed first.
    pub(crate) fn rank(&self, peer: &PeerId) -> (bool, u64) {
        self.subset.rank(peer)
    }

    /// How many automatic channels, dialled and accepted ones together, this node keeps.
    pub(crate) fn accepted_max(&self) -> u32 {
        subset::accepted_max(self.channels_auto_max)
    }

    /// A datagram on a designated port.
    pub(crate) fn on_datagram<C: Crypto>(
        &mut self,
        now: Instant,
        crypto: &C,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Heard {
        count(&mut self.stats.heard);
        let heard = self.hear(now, crypto, net::canonical(from), bytes);
        heard.unwrap_or_else(|refusal| {
            count(self.stats.of(refusal));
            Heard::Refused(refusal)
        })
    }

    fn hear<C: Crypto>(
        &mut self,
        now: Instant,
        crypto: &C,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Result<Heard, BeaconRefusal> {
        if !self.config.enabled {
            return Err(BeaconRefusal::Off);
        }
        if beacon::network_of(bytes)? != self.network {
            return Err(BeaconRefusal::OtherNetwork);
        }
        let interface = self.links.interface_of(from).ok_or(BeaconRefusal::OffLink)?;
        let signed = SignedBeacon::decode(bytes)?;
        let claims = signed.claims();
        if claims.key == self.me {
            count(&mut self.stats.own);
            return Ok(Heard::Own);
        }
        let mut at = from;
        at.set_port(claims.tcp_port);
        match self.neighbours.news(now, claims, at) {
            News::Stale => return Err(BeaconRefusal::Stale),
            News::Alive { verified_ago }
                if self.can_wait(verified_ago) && self.answer_to(now, claims).is_none() =>
            {
                count(&mut self.stats.repeated);
                return Ok(Heard::Repeated);
            }
            news => self.check(now, crypto, &signed, from.ip(), news)?,
        }
        let new = match self.neighbours.accept(now, claims, at) {
            Accepted::Full => {
                self.strangers.add_homeless(&claims.key);
                return Err(BeaconRefusal::Full);
            }
            Accepted::Noted { appeared, forgotten } => {
                if let Some(forgotten) = forgotten {
                    self.strangers.add_homeless(&forgotten);
                    self.subset.remove(&PeerId::of(&forgotten));
                }
                appeared
            }
        };
        count(&mut self.stats.accepted);
        self.answer_newcomer(now, claims, interface, from.ip());
        let (peer, key) = (PeerId::of(&claims.key), claims.key);
        Ok(if claims.tcp_port == 0 {
            self.subset.remove(&peer);
            Heard::Present { peer, key, new }
        } else {
            self.subset.insert(&peer);
            Heard::Candidate { peer, key, at, new }
        })
    }

    /// Whether a beacon that says nothing new need not be verified now.
    fn can_wait(&self, verified_ago: Duration) -> bool {
        let calm = cadence::beat(self.crowd()).saturating_mul(2);
        verified_ago < VERIFY_AGAIN_AFTER || (self.budget.is_low() && verified_ago < calm)
    }

    fn check<C: Crypto>(
        &mut self,
        now: Instant,
        crypto: &C,
        signed: &SignedBeacon<'_>,
        source: IpAddr,
        news: News,
    ) -> Result<(), BeaconRefusal> {
        let key = &signed.claims().key;
        let familiar = self.neighbours.is_familiar(key, source);
        let claim = if familiar { Claim::Familiar } else { Claim::Stranger };
        if !self.budget.take(now, source, claim) {
            if news == News::Unknown {
                self.strangers.add_unchecked(source);
            }
            return Err(BeaconRefusal::OverBudget);
        }
        if !signed.verify(crypto) {
            self.budget.punish(source);
            return Err(BeaconRefusal::Forged);
        }
        Ok(())
    }

    /// Within which time a beacon would be answered, if it would: that of a node which appeared a moment ago, when this
    /// one is settled and would else be silent.
    fn answer_to(&self, now: Instant, beacon: &Beacon) -> Option<Duration> {
        let due = self.answered.is_none_or(|last| now.since(last) >= ANSWER_GAP);
        if self.cadence.is_quick() || self.answer.is_some() || !due {
            return None;
        }
        let newcomer = self.neighbours.is_newcomer(now, &beacon.key, ANSWER_SPAN);
        cadence::answer_window(self.crowd()).filter(|_| newcomer)
    }

    /// Plans an answer to a beacon that was verified, if it gets one.
    fn answer_newcomer(&mut self, now: Instant, beacon: &Beacon, interface: u32, source: IpAddr) {
        if let Some(window) = self.answer_to(now, beacon) {
            let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
            let at = now + Duration::from_nanos(self.rng.below(nanos));
            self.answer = Some(Answer { at, interface, ipv4: source.is_ipv4() });
        }
    }

    /// When [`on_timeout`](Self::on_timeout) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if !self.config.enabled || self.links.targets().is_empty() {
            return None;
        }
        let next = self.cadence.next();
        Some(self.answer.map_or(next, |answer| answer.at.min(next)))
    }

    /// Hands out the beacons that are due. Early and late calls are harmless.
    pub(crate) fn on_timeout<C: Crypto>(
        &mut self,
        now: Instant,
        crypto: &C,
        key: &C::SigningKey,
        out: &mut Vec<Transmit>,
    ) {
        if self.next_deadline().is_none_or(|next| next > now) {
            return;
        }
        if let Some(answer) = self.answer.filter(|answer| answer.at <= now) {
            self.answer = None;
            self.answered = Some(now);
            let target = self.answer_target(answer);
            self.answers = self.answers.wrapping_add(1);
            self.send(target.as_slice(), crypto, key, out);
        }
        self.forget_silent(now);
        let crowd = self.crowd();
        match self.cadence.due(now, crowd, &mut self.rng) {
            None => {}
            Some(Beat::Burst) => {
                let targets = self.links.targets().to_vec();
                // Most of those that were not checked at first have been since.
                self.strangers.next_beat();
                self.send(&targets, crypto, key, out);
            }
            Some(Beat::Turn) => {
                let targets = self.turn_targets();
                self.turn = self.turn.wrapping_add(1);
                self.strangers.next_beat();
                self.send(&targets, crypto, key, out);
            }
        }
    }

    fn forget_silent(&mut self, now: Instant) {
        let beats = cadence::beat(self.crowd()).saturating_mul(SILENT_BEATS);
        let silent = beats.saturating_add(SILENT_MIN);
        let subset = &mut self.subset;
        self.neighbours.expire(now - silent, |key| subset.remove(&PeerId::of(&key)));
    }

    /// One family of each interface.
    fn turn_targets(&self) -> Vec<Target> {
        let targets = self.links.targets().iter();
        let now = |target: &&Target| {
            let families = self.families(target.interface);
            families.get(self.turn.checked_rem(families.len()).unwrap_or(0)) == Some(&target.family)
        };
        targets.filter(now).copied().collect()
    }

    fn families(&self, interface: u32) -> Vec<Family> {
        let of = |family: &Family| {
            let mut targets = self.links.targets().iter();
            targets.any(|target| (target.interface, target.family) == (interface, *family))
        };
        Family::ALL.into_iter().filter(of).collect()
    }

    /// One place to send an answer to: where the newcomer was heard, one family after the other.
    fn answer_target(&self, answer: Answer) -> Option<Target> {
        let there = |target: &&Target| {
            target.interface == answer.interface && target.from.is_ipv4() == answer.ipv4
        };
        let there = self.links.targets().iter().filter(there);
        let which = self.answers.checked_rem(there.clone().count())?;
        there.copied().nth(which)
    }

    fn send<C: Crypto>(
        &mut self,
        targets: &[Target],
        crypto: &C,
        key: &C::SigningKey,
        out: &mut Vec<Transmit>,
    ) {
        let port = self.broadcast_port();
        for target in targets {
            self.counter = self.counter.saturating_add(1);
            let beacon = Beacon {
                network: self.network,
                flags: 0,
                tcp_port: self.port_at(target.from),
                key: self.me,
                start: self.start,
                counter: self.counter,
            };
            count(&mut self.stats.sent);
            out.push(Transmit {
                interface: target.interface,
                from: target.from,
                to: target.at(port),
                contents: Bytes::from(beacon.encode(&[], crypto, key)),
            });
        }
    }

    /// The port on which this node accepts connections to `address`, 0 if it accepts none there. A listener on the
    /// unspecified IPv6 address takes IPv4 as well.
    fn port_at(&self, address: IpAddr) -> u16 {
        let exact = |at: &&SocketAddr| at.ip() == address;
        let any = |at: &&SocketAddr| at.ip().is_unspecified() && at.is_ipv4() == address.is_ipv4();
        let dual = |at: &&SocketAddr| at.ip().is_unspecified() && at.is_ipv6();
        let listeners = || self.listeners.iter();
        listeners()
            .find(exact)
            .or_else(|| listeners().find(any))
            .or_else(|| listeners().find(dual))
            .map_or(0, SocketAddr::port)
    }
}

#[cfg(test)]
mod tests;
