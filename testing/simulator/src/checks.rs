//! The checkers: what must hold in every run, by name.

use crate::chance::mix;
use crate::fabric::Fabric;
use crate::host::Member;
use crate::node::Channel;
use crate::queue::HostId;
use crate::report::{Checker, Failure};
use crate::said::Said;
use crate::scenario::{Fault, Scenario};
use p2pnet_protocol::{Instant, PeerId};

/// What an application sends: the two tallies of a stream's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message = 0,
    Data = 1,
}

/// More failures than this say nothing new.
const FAILURES_MAX: usize = 50;

/// A set of hosts.
#[derive(Debug, Default)]
struct HostSet {
    words: Vec<u64>,
    count: u32,
}

impl HostSet {
    /// Whether the host is new in the set.
    fn insert(&mut self, host: HostId) -> bool {
        let (word, bit) = (host as usize / 64, 1 << (host % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u32::from(new);
        new
    }
}

/// What the checkers remember.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) failures: Vec<Failure>,
    start: Instant,
    nodes: u32,
    broadcasts: Vec<HostSet>,
    formed: HostSet,
    pub(crate) formed_at: Option<Instant>,
    newcomers: Vec<HostSet>,
    newcomers_at: Option<Instant>,
    pub(crate) newcomer_found_ms: Option<u64>,
}

impl Checks {
    pub(crate) fn new(scenario: &Scenario, start: Instant) -> Self {
        let sets = |count: u32| (0..count).map(|_| HostSet::default()).collect();
        Self {
            failures: Vec::new(),
            start,
            nodes: scenario.nodes,
            broadcasts: sets(scenario.broadcasts),
            formed: HostSet::default(),
            formed_at: None,
            newcomers: sets(scenario.newcomers),
            newcomers_at: None,
            newcomer_found_ms: None,
        }
    }

    pub(crate) fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn fail(
        &mut self,
        fabric: &Fabric,
        checker: Checker,
        node: Option<HostId>,
        detail: String,
    ) {
        if self.failures.len() < FAILURES_MAX {
            let at_ms = self.millis(fabric.now);
            self.failures.push(Failure { checker, at_ms, node, detail });
        }
    }

    /// A packet came to an application. What it says, if it is one of ours.
    pub(crate) fn heard(
        &mut self,
        fabric: &mut Fabric,
        host: HostId,
        peer: &PeerId,
        channel: Option<Channel>,
        kind: Kind,
        payload: &[u8],
    ) -> Option<Said> {
        let Some(said) = Said::decode(payload) else {
            let detail = format!("{} bytes that nobody said", payload.len());
            self.fail(fabric, Checker::NoDuplicateDelivery, Some(host), detail);
            return None;
        };
        let Some(channel) = channel else {
            let detail = format!("a packet from {} outside any open channel", peer.short());
            self.fail(fabric, Checker::NothingFromAClosedPeer, Some(host), detail);
            return None;
        };
        let speaker = fabric.hosts.get(said.from as usize).and_then(|host| host.id);
        if speaker != Some(*peer) {
            let detail = format!("a packet of node {} came from {}", said.from, peer.short());
            self.fail(fabric, Checker::NoDuplicateDelivery, Some(host), detail);
        }
        let tally = &mut fabric.streams.end_mut(channel.end)?.tallies[kind as usize];
        let next = tally.next;
        if said.number >= next {
            tally.next = said.number.saturating_add(1);
            tally.heard += 1;
            return Some(said);
        }
        let detail = format!(
            "{kind:?} {} of node {} again or too late: {next} was to come",
            said.number, said.from
        );
        self.fail(fabric, Checker::NoDuplicateDelivery, Some(host), detail);
        None
    }

    /// A channel ended with a word from the other side: everything it said before must be here.
    pub(crate) fn closed_gracefully(&mut self, fabric: &Fabric, host: HostId, channel: &Channel) {
        let tallies = |id| fabric.streams.end(id).map(|end| end.tallies);
        let (Some(own), Some(other)) = (tallies(channel.end), tallies(channel.end.other())) else {
            return;
        };
        for kind in [Kind::Message, Kind::Data] {
            let (own, other) = (own[kind as usize], other[kind as usize]);
            let came = own.heard + own.refused;
            // What a gate turned away in the last second may not be counted yet.
            let exact = kind == Kind::Message || own.refused == 0;
            if came > other.said || (exact && came < other.said) {
                let detail = format!(
                    "{} said {} of {kind:?} and closed, {} came and {} were turned away",
                    channel.peer.short(),
                    other.said,
                    own.heard,
                    own.refused
                );
                self.fail(fabric, Checker::NothingLostOnClose, Some(host), detail);
            }
        }
    }

    /// A node trusts another.
    pub(crate) fn trusted(&mut self, fabric: &Fabric, host: HostId, other: Option<HostId>) {
        let member = |host: HostId| fabric.host(host).member;
        let right =
            other.is_some_and(|other| member(host) != Member::No && member(host) == member(other));
        if !right {
            let other = other.map_or_else(|| "nobody".to_owned(), |other| other.to_string());
            let detail = format!("it trusts node {other}, which can't prove membership to it");
            self.fail(fabric, Checker::NoTrustWithoutProof, Some(host), detail);
        }
    }

    /// A node heard of another one of its LAN.
    pub(crate) fn found(&mut self, fabric: &Fabric, host: HostId, other: HostId) {
        let mates = fabric.lans[fabric.host(host).lan as usize].members.len();
        let mates = mates - if fabric.host(host).lan == 0 { self.newcomers.len() } else { 0 };
        if host < self.nodes
            && fabric.host(host).found_count as usize + 1 >= mates
            && self.formed.insert(host)
            && self.formed.count == self.nodes
        {
            self.formed_at = Some(fabric.now);
        }
        if let Some(newcomer) = other.checked_sub(self.nodes)
            && host < self.nodes
            && self.newcomers[newcomer as usize].insert(host)
            && self.newcomers.iter().all(|by| by.count as usize == mates)
        {
            let since = self.newcomers_at.unwrap_or(self.start);
            self.newcomer_found_ms = u64::try_from(fabric.now.since(since).as_millis()).ok();
        }
    }

    pub(crate) fn newcomers_start(&mut self, now: Instant) {
        self.newcomers_at = Some(now);
    }

    /// A broadcast reaches a node; whether for the first time.
    pub(crate) fn broadcast_reaches(&mut self, broadcast: u32, host: HostId) -> bool {
        self.broadcasts.get_mut(broadcast as usize).is_some_and(|heard| heard.insert(host))
    }

    /// The fewest nodes that one of the broadcasts reached.
    pub(crate) fn broadcast_heard_min(&self) -> u32 {
        self.broadcasts.iter().map(|heard| heard.count).min().unwrap_or(0)
    }

    /// What a run of this kind is for must have happened in it.
    pub(crate) fn something_happened(&mut self, fabric: &Fabric) {
        let (scenario, counts) = (&fabric.scenario, &fabric.counts);
        let mut needed = vec![("channels", counts.channels), ("datagrams", counts.datagrams)];
        // A short or small run may do without any of these by chance.
        if scenario.nodes >= 100 && scenario.phases.chaos_ms >= 30_000 {
            needed.push(("messages_heard", counts.messages_heard));
            if scenario.faults.contains(&Fault::Crash) {
                needed.push(("closed_lost", counts.closed_lost));
            }
            needed.extend(scenario.faults.iter().map(|fault| match fault {
                Fault::Crash => ("crashes", counts.crashes),
                Fault::PowerCut => ("power_cuts", counts.power_cuts),
                Fault::Restart => ("restarts", counts.restarts),
                Fault::Partition => ("partitions", counts.partitions),
                Fault::LinkDown => ("cables_pulled", counts.cables_pulled),
                Fault::Suspend => ("suspends", counts.suspends),
                Fault::ClockJump => ("clock_jumps", counts.clock_jumps),
                Fault::SlowReader => ("slow_readers", counts.slow_readers),
                Fault::Block => ("blocks", counts.blocks),
                Fault::Disconnect => ("disconnects", counts.disconnects),
            }));
            if scenario.links.loss_ppm > 0 {
                needed.push(("packets_lost", counts.packets_lost));
            }
            if (1..100).contains(&scenario.members_percent) {
                needed.push(("channels_trusted", counts.channels_trusted));
                needed.push(("proofs_refused", counts.proofs_refused));
            }
        }
        for (name, count) in needed {
            if count == 0 {
                let detail = format!("{name} is zero: the run shows nothing about it");
                self.fail(fabric, Checker::SomethingHappened, None, detail);
            }
        }
    }
}

/// Which of ten groups a host is looked at with.
pub(crate) const fn turn_of(host: HostId) -> u64 {
    mix(1, host as u64) % 10
}
