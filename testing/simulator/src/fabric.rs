//! The world without its nodes: hosts, links and what is under way on them.

use crate::chance::{Chance, TraceHash, happens, mix, rng};
use crate::host::{Host, Lan, PORT, public_place};
use crate::queue::{Carried, Datagram, HostId, Queue, What};
use crate::report::Counts;
use crate::scenario::Scenario;
use crate::stream::{End, EndId, EndState, Stalled, Streams};
use p2pnet_protocol::{ConnId, Duration, Instant, Transmit};
use std::net::{IpAddr, SocketAddr};

/// What may be on its way to one end of a stream, unread bytes included: a socket's buffers.
const SOCKET_BYTES: usize = 64 << 10;
/// Headers of a stream's packet.
const STREAM_HEADER_BYTES: usize = 60;
/// Headers of a datagram.
const DATAGRAM_HEADER_BYTES: usize = 48;
/// The first time to wait for a sign that a packet came.
const RETRANSMIT_MIN: Duration = Duration::from_millis(200);
/// The longest time between tries.
const RETRANSMIT_MAX: Duration = Duration::from_secs(60);
/// After so long without an answer a transport gives up.
const GIVE_UP: Duration = Duration::from_secs(900);
/// The same for a dial.
const DIAL_TRIES_MAX: u32 = 6;
/// How long an ended stream is remembered, so that what is told of it later finds it.
const REMEMBER: Duration = Duration::from_secs(120);

/// Where a dial leads.
struct Route {
    target: Option<HostId>,
    /// What the dialler looks like from there.
    from: SocketAddr,
    expiry: Option<Duration>,
}

/// How the network is split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    pub(crate) key: u64,
    /// Through the LANs, not only between them.
    pub(crate) within: bool,
}

/// Hosts, links, and the plan.
#[derive(Debug)]
pub(crate) struct Fabric {
    pub(crate) scenario: Scenario,
    pub(crate) now: Instant,
    pub(crate) queue: Queue,
    pub(crate) hosts: Vec<Host>,
    pub(crate) lans: Vec<Lan>,
    pub(crate) streams: Streams,
    pub(crate) split: Option<Split>,
    pub(crate) counts: Counts,
    pub(crate) hash: TraceHash,
    /// In the calm phase the loudest LAN is looked for.
    pub(crate) loudest_counts: bool,
    chance: Chance,
    losses_due: u32,
}

impl Fabric {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut chance = rng(scenario.seed, "links");
        let lans = scenario.lans();
        let mut lans: Vec<Lan> = (0..lans)
            .map(|id| {
                let natted = id > 0 && chance.below(100) < u64::from(scenario.nat_percent);
                Lan::new(scenario, id, natted)
            })
            .collect();
        let mut hosts = Vec::new();
        for id in 0..scenario.nodes + scenario.newcomers {
            let lan = if id < scenario.nodes { id / scenario.lan_nodes } else { 0 };
            let members = &mut lans[lan as usize].members;
            hosts.push(Host::new(scenario, id, lan, u32::try_from(members.len()).unwrap_or(0)));
            members.push(id);
        }
        Self {
            scenario: scenario.clone(),
            now: Instant::from_nanos(1_000_000_000),
            queue: Queue::default(),
            hosts,
            lans,
            streams: Streams::default(),
            split: None,
            counts: Counts::default(),
            hash: TraceHash::new(),
            loudest_counts: false,
            chance,
            losses_due: 0,
        }
    }

    pub(crate) fn host(&self, id: HostId) -> &Host {
        &self.hosts[id as usize]
    }

    pub(crate) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id as usize]
    }

    /// Plans something for `after` from now.
    pub(crate) fn plan(&mut self, after: Duration, what: What) {
        self.queue.push(self.now + after, what);
    }

    /// A host's reading of its own clock.
    pub(crate) fn clock(&self, host: HostId) -> Instant {
        self.host(host).clock_at(self.now)
    }

    /// The one-way latency of a pair of hosts: the same for the whole run.
    fn latency(&self, a: HostId, b: HostId) -> Duration {
        let links = &self.scenario.links;
        let same = self.host(a).lan == self.host(b).lan;
        let mean = if same { links.lan_latency_us } else { links.wan_latency_us };
        let drawn = mix(self.scenario.seed, mix(a.min(b).into(), a.max(b).into())) % 1000;
        Duration::from_micros(u64::from(mean) * (500 + drawn) / 1000)
    }

    /// Whether anything gets from one host to another now.
    pub(crate) fn joined(&self, a: HostId, b: HostId) -> bool {
        let (one, other) = (self.host(a), self.host(b));
        if !(one.powered && other.powered && one.plugged && other.plugged) {
            return false;
        }
        let Some(split) = self.split else { return true };
        let group = |id: HostId, host: &Host| {
            mix(split.key, if split.within { id } else { host.lan }.into()) & 1
        };
        group(a, one) == group(b, other)
    }

    /// Whether the next packet is lost. Losses come in bursts, and are as many in all as the scenario says.
    fn loses(&mut self) -> bool {
        let links = self.scenario.links;
        if self.losses_due > 0 {
            self.losses_due -= 1;
            return true;
        }
        let lost = happens(&mut self.chance, links.loss_ppm / links.loss_burst);
        self.losses_due = if lost { links.loss_burst - 1 } else { 0 };
        self.counts.packets_lost += u64::from(lost);
        lost
    }

    /// When a packet that a host sends now has left its line.
    fn leaves(&mut self, host: HostId, bytes: usize) -> Instant {
        let rate = self.scenario.links.rate_bytes_per_second;
        if rate == 0 {
            return self.now;
        }
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / rate;
        let now = self.now;
        let line = &mut self.host_mut(host).line_free;
        *line = now.max(*line) + Duration::from_nanos(nanos);
        *line
    }

    /// Sends over a stream from the end `from`.
    pub(crate) fn send(&mut self, from: EndId, carried: Carried) {
        let Some((sender, receiver)) = self.hosts_of(from) else { return };
        let bytes = match &carried {
            Carried::Bytes(bytes) => bytes.len(),
            Carried::End => 0,
        };
        self.counts.stream_bytes += bytes as u64;
        let payload = (self.scenario.links.mtu_bytes as usize).saturating_sub(STREAM_HEADER_BYTES);
        let packets = bytes.div_ceil(payload.max(1)).max(1);
        let latency = self.latency(sender, receiver);
        let mut at = self.leaves(sender, bytes + packets * STREAM_HEADER_BYTES) + latency;
        for _ in 0..packets {
            let mut wait = RETRANSMIT_MIN + latency + latency;
            while self.loses() && wait < RETRANSMIT_MAX {
                at = at + wait;
                wait += wait;
            }
        }
        self.refresh(from);
        let to = from.other();
        let Some(end) = self.streams.end_mut(to) else { return };
        end.under_way += bytes;
        end.not_before = end.not_before.max(at);
        let at = end.not_before;
        self.queue.push(at, What::Arrive(to, carried));
    }

    /// A packet goes over a stream: a NAT on the way remembers it, or has forgotten it.
    fn refresh(&mut self, end: EndId) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(end) else { return };
        if stream.expiry.is_some_and(|expiry| now.since(stream.used) > expiry) && !stream.forgotten
        {
            stream.forgotten = true;
            self.counts.nat_mappings_expired += 1;
        }
        if let Some(stream) = self.streams.get_mut(end) {
            stream.used = now;
        }
    }

    fn hosts_of(&self, from: EndId) -> Option<(HostId, HostId)> {
        Some((self.streams.end(from)?.host, self.streams.end(from.other())?.host))
    }

    /// Something arrives at an end. What can be handed over now comes back; the rest waits for a path.
    pub(crate) fn arrive(&mut self, to: EndId, carried: Carried) -> Option<Carried> {
        let (receiver, sender) = self.hosts_of(to)?;
        let passes = self.joined(receiver, sender) && !self.streams.get(to)?.forgotten;
        let awake = self.host(receiver).asleep_until;
        if self.host(receiver).powered && awake > self.now {
            // The network card of a sleeping host takes nothing; the sender tries until it wakes.
            self.queue.push(awake, What::Arrive(to, carried));
            return None;
        }
        let now = self.now;
        let end = self.streams.end_mut(to)?;
        match &mut end.stalled {
            None if passes => return Some(carried),
            None => {
                let waiting = vec![carried];
                let retry_after = RETRANSMIT_MIN;
                end.stalled = Some(Box::new(Stalled { waiting, since: now, retry_after }));
                self.queue.push(now + retry_after, What::Retry(to));
            }
            Some(stalled) => stalled.waiting.push(carried),
        }
        None
    }

    /// Tries again what stood still. What can be handed over now comes back. `Err` if the sender gives up.
    pub(crate) fn retry(&mut self, to: EndId) -> Result<Vec<Carried>, EndId> {
        let Some((receiver, sender)) = self.hosts_of(to) else { return Ok(Vec::new()) };
        let forgotten = self.streams.get(to).is_some_and(|stream| stream.forgotten);
        let asleep = !self.host(receiver).is_awake(self.now);
        let passes = self.joined(receiver, sender) && !forgotten && !asleep;
        let now = self.now;
        let Some(end) = self.streams.end_mut(to) else { return Ok(Vec::new()) };
        let Some(mut stalled) = end.stalled.take() else { return Ok(Vec::new()) };
        if passes {
            return Ok(stalled.waiting);
        }
        if now.since(stalled.since) > GIVE_UP {
            return Err(to.other());
        }
        let after = (stalled.retry_after + stalled.retry_after).min(RETRANSMIT_MAX);
        stalled.retry_after = after;
        end.stalled = Some(stalled);
        self.plan(after, What::Retry(to));
        Ok(Vec::new())
    }

    /// How many bytes may be sent from an end now.
    pub(crate) fn room(&self, from: EndId) -> usize {
        let Some(end) = self.streams.end(from.other()) else { return 0 };
        SOCKET_BYTES.saturating_sub(end.under_way + end.inbox_bytes)
    }

    /// Room to write became free at the other end.
    pub(crate) fn give_room(&mut self, reader: EndId) {
        let writer = reader.other();
        let Some((a, b)) = self.hosts_of(reader) else { return };
        let latency = self.latency(a, b);
        let Some(end) = self.streams.end_mut(writer) else { return };
        if std::mem::take(&mut end.wants_room) {
            self.plan(latency, What::Pump(writer));
        }
    }

    /// An end is gone without a word from its node: the other side hears of a reset, or of nothing.
    pub(crate) fn abandon(&mut self, id: EndId, silently: bool) {
        let Some((host, other)) = self.hosts_of(id) else { return };
        let latency = self.latency(host, other);
        let Some(end) = self.streams.end_mut(id) else { return };
        let unread = end.inbox_bytes > 0 || end.under_way > 0;
        let (was, ended) = (end.state, end.end_sent);
        if was == EndState::Gone {
            return;
        }
        gone(end);
        if !silently {
            if was == EndState::Opening || unread {
                self.plan(latency, What::Reset(id.other()));
            } else if !ended {
                self.send(id, Carried::End);
            }
        }
        self.forget_if_over(id);
    }

    /// Forgets a stream that is over, later.
    pub(crate) fn forget_if_over(&mut self, id: EndId) {
        let over = |id| self.streams.end(id).is_none_or(|end| end.state == EndState::Gone);
        if over(id) && over(id.other()) {
            self.plan(REMEMBER, What::Free(id));
        }
    }

    /// A reset reaches an end, if it does. Whether a node must be told.
    pub(crate) fn resets(&mut self, id: EndId) -> bool {
        let Some((host, other)) = self.hosts_of(id) else { return false };
        let reachable = self.joined(host, other) && self.host(host).is_awake(self.now);
        let Some(end) = self.streams.end_mut(id) else { return false };
        if !reachable || end.state == EndState::Gone {
            return false;
        }
        gone(end);
        self.counts.resets += 1;
        self.forget_if_over(id);
        true
    }

    /// A node dials. `None` if there is no way.
    pub(crate) fn dial(&mut self, host: HostId, conn: ConnId, to: SocketAddr) -> Option<EndId> {
        let port = self.host_mut(host).ephemeral();
        let route = self.route(host, port, to)?;
        self.counts.dials += 1;
        let life = self.host(host).life;
        // Nobody there: the dial goes to the dialler's own host, as a place that never answers.
        let target = route.target.unwrap_or(host);
        let (now, ends) = (self.now, (route.from, to));
        let id = self.streams.open((host, life), target, ends, route.expiry, now);
        if let Some(end) = self.streams.end_mut(id) {
            end.conn = Some(conn);
        }
        if route.target.is_some() {
            self.send_syn(id);
        }
        Some(id)
    }

    fn send_syn(&mut self, dialler: EndId) {
        let Some((host, target)) = self.hosts_of(dialler) else { return };
        let latency = self.latency(host, target);
        let Some(stream) = self.streams.get_mut(dialler) else { return };
        stream.tries += 1;
        self.plan(latency, What::Syn(dialler.other()));
    }

    /// A dial arrives at the host of this end, if it does. Whether a node that accepts may be asked.
    pub(crate) fn syn(&mut self, target: EndId) -> Option<Duration> {
        let (to, from) = self.hosts_of(target)?;
        let tries = self.streams.get(target)?.tries;
        if self.streams.end(target.other())?.state != EndState::Opening {
            return None;
        }
        let lost = !self.joined(to, from) || !self.host(to).is_awake(self.now) || self.loses();
        if lost {
            if tries < DIAL_TRIES_MAX {
                let wait = Duration::from_secs(1 << (tries - 1).min(5));
                if let Some(stream) = self.streams.get_mut(target) {
                    stream.tries += 1;
                }
                self.plan(wait, What::Syn(target));
            }
            return None;
        }
        Some(self.latency(to, from))
    }

    /// Where a dial leads, by addresses and NATs.
    fn route(&mut self, host: HostId, port: u16, to: SocketAddr) -> Option<Route> {
        let own = self.host(host);
        let (lan, place) = (own.lan as usize, own.place);
        let local = self.lans[lan].place_of(to.ip());
        let member = |lan: &Lan, place: u32| lan.members.get(place as usize).copied();
        if let Some(there) = local.filter(|_| to.port() == PORT) {
            let from = match to {
                SocketAddr::V4(_) => SocketAddr::new(self.lans[lan].v4(place).into(), port),
                SocketAddr::V6(_) => Lan::v6(place, port),
            };
            return Some(Route { target: member(&self.lans[lan], there), from, expiry: None });
        }
        let IpAddr::V4(address) = to.ip() else { return None };
        let inner = SocketAddr::new(self.lans[lan].v4(place).into(), port);
        let (now, expiry) = (self.now, Duration::from_millis(self.scenario.nat.expiry_ms));
        let (from, natted) = match &mut self.lans[lan].nat {
            None => (inner, false),
            Some((outside, nat)) => {
                let outside = *outside;
                let port = nat.outbound(now, inner, to)?;
                (SocketAddr::new(outside.into(), port), true)
            }
        };
        let expiry = natted.then_some(expiry);
        let size = self.lans[0].size();
        let public = public_place(&self.lans, size, address).filter(|_| to.port() == PORT);
        let target = match public {
            Some((lan, place)) => member(&self.lans[lan as usize], place),
            None => self.behind_nat(address, to.port(), from),
        };
        Some(Route { target, from, expiry })
    }

    /// Who is reached at a NAT's address and port: a host that opened it, for those whom the NAT lets in. Nothing
    /// listens on such a port, so the dial is refused there, but it does arrive.
    fn behind_nat(
        &mut self,
        address: std::net::Ipv4Addr,
        port: u16,
        from: SocketAddr,
    ) -> Option<HostId> {
        let now = self.now;
        let lan = self
            .lans
            .iter()
            .find(|lan| lan.nat.as_ref().is_some_and(|(outside, _)| *outside == address))?;
        let (_, nat) = lan.nat.as_ref()?;
        let inner = nat.inbound(now, port, from);
        let Some(inner) = inner else {
            self.counts.nat_filtered += 1;
            return None;
        };
        let place = lan.place_of(inner.ip())?;
        lan.members.get(place as usize).copied()
    }

    /// A node sends a datagram to its LAN.
    pub(crate) fn send_datagram(&mut self, host: HostId, transmit: &Transmit) {
        let size = transmit.contents.len() + DATAGRAM_HEADER_BYTES;
        let lan = self.host(host).lan as usize;
        self.counts.datagrams += 1;
        let second = self.now.as_nanos() / 1_000_000_000;
        let sum = &mut self.lans[lan].second;
        if sum.0 != second {
            *sum = (second, 0);
        }
        sum.1 += size as u64;
        if self.loudest_counts {
            self.counts.lan_bytes_per_second_max = self.counts.lan_bytes_per_second_max.max(sum.1);
        }
        if !self.host(host).plugged || size > self.scenario.links.mtu_bytes as usize {
            return;
        }
        let port = transmit.to.port();
        let place = self.host(host).place;
        let from = match transmit.from {
            IpAddr::V4(_) => SocketAddr::new(transmit.from, port),
            IpAddr::V6(_) => Lan::v6(place, port),
        };
        let links = self.scenario.links;
        let mut at = self.leaves(host, size) + Duration::from_micros(links.lan_latency_us.into());
        if happens(&mut self.chance, links.reorder_ppm) {
            self.counts.datagrams_reordered += 1;
            at = at + Duration::from_millis(1 + self.chance.below(20));
        }
        let datagram = || Datagram { sender: host, from, contents: (*transmit.contents).into() };
        if happens(&mut self.chance, links.duplicate_ppm) {
            self.counts.datagrams_doubled += 1;
            let again = at + Duration::from_micros(self.chance.below(3000));
            self.queue.push(again, What::Datagram(Box::new(datagram())));
        }
        self.queue.push(at, What::Datagram(Box::new(datagram())));
    }

    /// Whether a datagram reaches one of its hearers.
    pub(crate) fn hears(&mut self, sender: HostId, hearer: HostId) -> bool {
        self.joined(sender, hearer)
            && self.host(hearer).is_awake(self.now)
            && (sender == hearer || !self.loses())
    }
}

/// Nobody is at this end any more.
pub(crate) fn gone(end: &mut End) {
    end.state = EndState::Gone;
    end.inbox.clear();
    end.inbox_bytes = 0;
}
