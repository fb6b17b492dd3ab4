//! Finding peers beyond the links: bootstrap servers, the public address, and what trusted peers tell each other.
//!
//! Nobody here proves an address. Whom a server or a trusted peer names is dialled a few times at most, at the addresses
//! that were named, within budgets for all such dials and for each address; who it is, the handshake shows. A node that is
//! given no server does none of this.

use super::PeerNetwork;
use super::connection::Stage;
use super::cx::TimerFor;
use crate::config::Config;
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::discovery::bootstrap::client::{Client, Effect, Myself};
use crate::discovery::bootstrap::public_ip::{self, PublicIp, Verdict};
use crate::discovery::bootstrap::{PeerList, url};
use crate::error::ConfigError;
use crate::id::{ConnId, PeerId, RequestId};
use crate::io::{Answer, DiscoverySource, Event, Fetch, Keeps, Output, Request};
use crate::rng::{Rng, Seed};
use crate::time::{Duration, Instant};
use crate::trust::bootstrap_policy::BootstrapOffer;
use crate::wire::address::{Endpoint, PeerRecord};
use crate::wire::packet::{Packet, PacketKind, PeerGroupPacket};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

/// With so many connections a node dials nobody more that it was only told of.
const CONNECTIONS_ENOUGH: usize = 16;
/// Dials of peers that it was only told of: so many at once, and from then on one in each gap.
const BURST: u32 = 16;
const GAP: Duration = Duration::from_secs(2);
/// Beyond this they aren't put off but dropped.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Who was given up and is told of again has one more try after so long.
const REST: Duration = Duration::from_secs(15 * 60);
/// From one dial to the next in a burst.
const STAGGER: Duration = Duration::from_millis(50);
/// Peers that are told to a trusted one.
const TOLD_MAX: usize = 16;

/// What a node knows beyond its links, if it looks there.
#[derive(Debug)]
pub(super) struct Wan {
    client: Client,
    public_ip: PublicIp,
    asked: BTreeMap<RequestId, Asked>,
    /// The servers that were told of as working, and not as failing since.
    working: Vec<usize>,
    /// When the dials so far will be forgotten.
    clear_at: Instant,
}

/// What a request is about.
#[derive(Clone, Debug)]
enum Asked {
    Server(usize),
    Save(usize),
    Source(u32),
    /// Nobody waits for the answer.
    Nothing,
}

impl Wan {
    /// Nothing, unless the configuration names a server or a source.
    pub(super) fn new(
        now: Instant,
        config: &Config,
        seed: Seed,
    ) -> Result<Option<Box<Self>>, ConfigError> {
        let settings = &config.bootstrap;
        if settings.servers.is_empty() && settings.public_ip.sources.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self {
            client: Client::new(now, config, Rng::new(seed, "bootstrap"))?,
            public_ip: PublicIp::new(now, settings.public_ip.clone()),
            asked: BTreeMap::new(),
            working: Vec::new(),
            clear_at: now,
        })))
    }

    fn due(&self) -> Option<Instant> {
        [self.client.due(), self.public_ip.due()].into_iter().flatten().min()
    }

    /// How long the next dial of somebody only told of has to wait, if it may be at all.
    fn next_dial(&mut self, now: Instant) -> Option<Duration> {
        let clear_at = self.clear_at.max(now);
        let ahead = clear_at.since(now);
        let over = ahead.saturating_sub(GAP.saturating_mul(BURST));
        if over > WAIT_MAX {
            return None;
        }
        self.clear_at = clear_at + GAP;
        let place = ahead.as_millis().checked_div(GAP.as_millis()).unwrap_or(0);
        let place = u32::try_from(place).unwrap_or(BURST).min(BURST);
        Some(over.saturating_add(STAGGER.saturating_mul(place)))
    }
}

impl<C: Crypto> PeerNetwork<C> {
    pub(super) fn wan_deadline(&self) -> Option<Instant> {
        if self.shutting_down { None } else { self.wan.as_ref()?.due() }
    }

    pub(super) fn on_wan_timer(&mut self) {
        if self.wan_deadline().is_none_or(|at| at > self.cx.now) {
            return;
        }
        let mut effects = Vec::new();
        self.with_client(|client, now, myself| client.on_due(now, myself, &mut effects));
        self.on_effects(effects);
        let now = self.cx.now;
        let Some(wan) = &mut self.wan else { return };
        let (round, urls) = wan.public_ip.on_due(now);
        self.ask_sources(round, urls);
    }

    /// The answer to a request, if it is about this.
    pub(super) fn on_wan_answer(&mut self, request: RequestId, answer: &mut Answer) -> bool {
        let asked = self.wan.as_mut().and_then(|wan| wan.asked.remove(&request));
        let Some(asked) = asked else { return false };
        let fetched = match core::mem::replace(answer, Answer::Failed) {
            Answer::Fetched(fetched) => Some(fetched),
            other => {
                *answer = other;
                None
            }
        };
        let mut effects = Vec::new();
        match asked {
            Asked::Nothing => {}
            Asked::Server(server) => self.with_client(|client, now, myself| {
                client.on_answer(now, server, fetched, myself, &mut effects);
            }),
            Asked::Save(server) => {
                let safe = matches!(answer, Answer::Saved);
                self.with_client(|client, now, _| client.on_saved(now, server, safe, &mut effects));
            }
            Asked::Source(round) => {
                let body = fetched.filter(|fetched| fetched.status == 200);
                let vote = body.and_then(|fetched| public_ip::read(&fetched.body));
                self.on_vote(round, vote);
            }
        }
        self.on_effects(effects);
        true
    }

    /// The public IPv4 address, if sources were named and agree.
    #[doc(alias = "PublicIPV4Address")]
    pub fn public_ipv4(&self) -> Option<Ipv4Addr> {
        self.wan.as_ref()?.public_ip.found
    }

    /// Tells the servers that this node goes away. Nobody waits for their answers.
    pub(super) fn leave_servers(&mut self) {
        let mut told = Vec::new();
        self.with_client(|client, now, myself| told = client.leave(now, myself));
        for fetch in told {
            self.fetch(fetch, Asked::Nothing);
        }
    }

    /// Whether `issuer` speaks for an authority whose server this node uses.
    pub(super) fn is_bootstrap_authority(&self, issuer: &crate::id::PublicKey) -> bool {
        let wall = self.wall_now();
        self.wan.as_ref().is_some_and(|wan| wan.client.is_authority(issuer, wall))
    }

    fn with_client(&mut self, run: impl FnOnce(&mut Client, Instant, &mut Myself<'_, C>)) {
        let wall = self.wall_now();
        let port = self.listen_port().unwrap_or(0);
        let lonely = self.conns.values().all(|one| one.link().is_none());
        let Some(wan) = &mut self.wan else { return };
        let label = if self.config.is_anonymous() { "" } else { self.label.as_str() };
        let mut myself = Myself {
            crypto: &mut self.crypto,
            signing: &self.me.signing,
            network: &self.config.network,
            policy: &self.config.policies.bootstrap,
            wall,
            port,
            label,
            lonely,
        };
        run(&mut wan.client, self.cx.now, &mut myself);
    }

    fn on_effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch(server, fetch) => self.fetch(fetch, Asked::Server(server)),
                Effect::Save(server, bytes) => {
                    let request = Request::Save { keeps: Keeps::Bootstrap, bytes };
                    self.ask_world(request, Asked::Save(server));
                }
                Effect::Registered(server, offer, list) => self.on_list(server, offer, &list),
                Effect::Tasks(wire, tasks) => self.take_server_tasks(&wire, &tasks),
                Effect::Failed(server, error, retry_in) => {
                    let Some(wan) = &mut self.wan else { return };
                    wan.working.retain(|working| *working != server);
                    let server = wan.client.url(server).to_string();
                    self.cx.tell(Event::BootstrapFailed { server, error, retry_in });
                }
            }
        }
    }

    fn fetch(&mut self, fetch: Fetch, about: Asked) {
        self.ask_world(Request::Fetch(fetch), about);
    }

    fn ask_world(&mut self, request: Request, about: Asked) {
        let id = self.ticket();
        if let Some(wan) = &mut self.wan {
            wan.asked.insert(id, about);
            self.cx.push(Output::Ask(id, request));
        }
    }

    fn ask_sources(&mut self, round: u32, urls: Vec<String>) {
        for url in urls {
            let bytes_max = public_ip::ANSWER_BYTES_MAX;
            let fetch =
                Fetch { url, body: None, media_type: "text/plain", bytes_max, ipv4_only: true };
            self.fetch(fetch, Asked::Source(round));
        }
    }

    fn on_vote(&mut self, round: u32, vote: Option<Ipv4Addr>) {
        let now = self.cx.now;
        let Some(wan) = &mut self.wan else { return };
        let (next, verdict) = wan.public_ip.on_answer(now, round, vote);
        self.ask_sources(round, next);
        match verdict {
            Verdict::Open | Verdict::Found(_, false) => {}
            Verdict::Found(address, true) => {
                self.cx.tell(Event::PublicAddress { address: Some(address) });
            }
            Verdict::Unknown => self.cx.tell(Event::PublicAddress { address: None }),
        }
    }

    /// A server's list, signed by whom it should be.
    fn on_list(&mut self, server: usize, offer: BootstrapOffer, list: &PeerList) {
        let Some(wan) = &self.wan else { return };
        let name = wan.client.url(server).to_string();
        let first = !wan.working.contains(&server);
        let local = url::is_loopback(&name);
        let mut new = 0u32;
        for record in &list.peers {
            if self.on_candidates(record, DiscoverySource::Bootstrap, local) {
                new = new.saturating_add(1);
            }
        }
        if !first && new == 0 {
            return;
        }
        if let Some(wan) = &mut self.wan
            && first
        {
            wan.working.push(server);
        }
        let authority = match offer {
            BootstrapOffer::Trustless => None,
            BootstrapOffer::Authority(key) => Some(key),
        };
        self.cx.tell(Event::BootstrapOk {
            server: name,
            authority,
            observed: list.observed,
            peers: u32::try_from(list.peers.len()).unwrap_or(u32::MAX),
            new,
            total: list.total,
        });
    }

    /// A peer told of somebody: a candidate too, if the peer is trusted and this node looks beyond its links.
    pub(super) fn on_exchanged(&mut self, record: &PeerRecord, trusted: bool) {
        if trusted && self.looks_beyond() {
            self.on_candidates(record, DiscoverySource::Exchange, false);
            return;
        }
        for Endpoint::Tcp(at) in &record.endpoints {
            self.on_hearsay(record.peer, *at, DiscoverySource::Exchange);
        }
    }

    fn looks_beyond(&self) -> bool {
        self.wan.is_some() && !self.config.bootstrap.servers.is_empty()
    }

    /// Somebody was told of, with addresses that may or may not be its own. True if it was not known.
    fn on_candidates(&mut self, record: &PeerRecord, via: DiscoverySource, local: bool) -> bool {
        let peer = record.peer;
        if peer == self.me.id {
            return false;
        }
        let known_before = self.book.get(&peer).is_some();
        let mut news = false;
        for Endpoint::Tcp(at) in &record.endpoints {
            let (at, ip) = (*at, at.ip());
            let allowed = self.lists.is_allowed(&peer, ip);
            if !allowed
                || self.lists.is_blocked(Some(&peer), Some(ip))
                || !may_be_dialled(ip, local)
            {
                continue;
            }
            let Some((known, _)) = self.book.hear_of(&mut self.cx, peer) else { continue };
            if known.add_candidate(at) {
                news = true;
                self.cx.tell(Event::PeerDiscovered { peer, at, via });
            }
        }
        self.dial_told(peer);
        news && !known_before
    }

    /// Dials somebody that it was only told of, unless it has channels enough.
    fn dial_told(&mut self, peer: PeerId) {
        let now = self.cx.now;
        let most = CONNECTIONS_ENOUGH.min(self.cx.limits.channels_auto_max as usize);
        if self.shutting_down || self.conns.len() >= most {
            return;
        }
        let Some(known) = self.book.get_mut(&peer) else { return };
        let idle = known.conn.is_none() && known.dialing.is_none() && known.redial.is_none();
        let held = known.hold_until.is_some_and(|until| until > now);
        if !idle || held || !known.can_be_dialled() {
            return;
        }
        if known.attempts >= known.attempts_max(&self.cx.timing) {
            // Given up, and told of again: one more try once in a while.
            let rested = known.dialed.is_none_or(|at| now.since(at) >= REST);
            if !rested {
                return;
            }
            known.attempts = known.attempts_max(&self.cx.timing).saturating_sub(1);
        }
        let Some(wait) = self.wan.as_mut().and_then(|wan| wan.next_dial(now)) else { return };
        known.automatic = true;
        known.redial = Some(self.cx.arm(wait, TimerFor::Redial(peer)));
    }

    /// Tells a trusted peer of others, so that it finds them where no server does.
    pub(super) fn exchange(&mut self, conn: ConnId) {
        if !self.looks_beyond() {
            return;
        }
        let Some(connection) = self.conns.get(&conn) else { return };
        let Some(link) = connection.link().filter(|link| link.trust == Trust::Trusted) else {
            return;
        };
        let (to, receiver) = (connection.at.ip(), link.channel.peer);
        if !link.announced || !link.channel.passes(PacketKind::PeerGroup) {
            return;
        }
        let open = self.conns.values().filter_map(|connection| {
            let link = connection.link()?;
            let usable = link.announced && link.stage != Stage::Closing;
            (usable && link.channel.peer != receiver).then_some(link.channel.peer)
        });
        let peers: Vec<PeerRecord> = open
            .filter_map(|peer| {
                let known = self.book.get(&peer)?;
                known.listen_port?;
                let at = known.dialled_at().filter(|at| tells(to, at.ip()))?;
                Some(PeerRecord { peer, endpoints: alloc::vec![Endpoint::Tcp(at)] })
            })
            .take(TOLD_MAX)
            .collect();
        if peers.is_empty() {
            return;
        }
        if let Some(link) = self.link_mut(conn) {
            link.channel.push(&Packet::PeerGroup(PeerGroupPacket { peers }));
        }
    }
}

/// Whether an address that somebody else named may be dialled at all.
fn may_be_dialled(ip: IpAddr, local: bool) -> bool {
    let ip = ip.to_canonical();
    let no_host = match ip {
        IpAddr::V4(v4) => {
            v4.is_broadcast() || v4.is_link_local() || v4.octets().first() == Some(&0)
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !no_host && !ip.is_unspecified() && !ip.is_multicast() && (local || !ip.is_loopback())
}

/// Whether an address means to `receiver` what it means here: one on this very host means nothing to others, one of a
/// private network nothing outside.
fn tells(receiver: IpAddr, about: IpAddr) -> bool {
    let (receiver, about) = (receiver.to_canonical(), about.to_canonical());
    if about.is_loopback() {
        return receiver.is_loopback();
    }
    may_be_dialled(about, false) && (!is_private(about) || is_private(receiver))
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_that_can_be_nobodys_are_not_dialled() {
        for good in ["192.0.2.1", "10.1.2.3", "2001:db8::1", "fd00::1"] {
            assert!(may_be_dialled(ip(good), false), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "169.254.1.1",
            "fe80::1",
            "ff02::1",
            "::",
        ] {
            assert!(!may_be_dialled(ip(bad), true), "{bad}");
        }
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(may_be_dialled(ip(own), true) && !may_be_dialled(ip(own), false), "{own}");
        }
    }

    #[test]
    fn addresses_are_told_where_they_mean_the_same() {
        for (receiver, about, told) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("192.0.2.1", "127.0.0.1", false),
            ("10.0.0.1", "10.0.0.2", true),
            ("192.0.2.1", "10.0.0.2", false),
            ("10.0.0.1", "192.0.2.1", true),
            ("192.0.2.1", "fd00::1", false),
            ("fd00::2", "fd00::1", true),
            ("192.0.2.1", "fe80::1", false),
        ] {
            assert_eq!(tells(ip(receiver), ip(about)), told, "{receiver} {about}");
        }
    }

    #[test]
    fn dials_come_in_a_burst_and_then_one_by_one_and_what_is_too_many_is_dropped() {
        let mut config = Config::default();
        config.bootstrap.servers.push("http://192.0.2.1".into());
        let mut wan = Wan::new(Instant::ZERO, &config, Seed::from_u64(1)).unwrap().unwrap();
        let waits: Vec<Duration> = (0..200).map_while(|_| wan.next_dial(Instant::ZERO)).collect();
        assert!(waits.iter().take(BURST as usize).all(|wait| *wait < Duration::from_secs(1)));
        assert!(waits.is_sorted());
        // The burst, and what fits into the longest wait.
        assert_eq!(waits.len(), BURST as usize + 1 + 30);
        let later = Instant::ZERO + Duration::from_secs(10);
        assert_eq!((0..200).map_while(|_| wan.next_dial(later)).count(), 5);
    }
}
