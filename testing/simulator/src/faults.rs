//! Phases, and what goes wrong in them.

use crate::checks::turn_of;
use crate::fabric::Split;
use crate::provider::Provider;
use crate::queue::{HostId, What};
use crate::report::{Checker, Phase};
use crate::scenario::{Fault, Planted};
use crate::world::World;
use p2pnet_protocol::{Command, Duration, Input, Instant, PeerId, PeerState, UnixTime};
use std::net::SocketAddr;

/// From one look at the bounds to the next.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Hosts are switched on within this time.
const START_SPREAD_MS: u64 = 1000;

impl<P: Provider> World<P> {
    /// Plans the whole run.
    pub(crate) fn plan_phases(&mut self) {
        let phases = self.fabric.scenario.phases;
        self.tell_addresses();
        for host in 0..self.fabric.scenario.nodes {
            let after = Duration::from_millis(self.will.below(START_SPREAD_MS));
            self.fabric.plan(after, What::Start(host));
        }
        let form = Duration::from_millis(phases.form_ms);
        let calm = form + Duration::from_millis(phases.chaos_ms);
        if phases.chaos_ms > 0 {
            self.fabric.plan(form, What::Phase(Phase::Chaos));
        }
        self.fabric.plan(calm, What::Phase(Phase::Calm));
        self.fabric.plan(CHECK_EVERY, What::Check);
    }

    /// Tells applications of hosts beyond their LAN: the first host of each LAN of one in an earlier, public LAN, so that
    /// all hang together; everyone of some more at random.
    fn tell_addresses(&mut self) {
        let links = self.fabric.scenario.wan_links;
        let public: Vec<usize> = (0..self.fabric.lans.len())
            .filter(|lan| self.fabric.lans[*lan].nat.is_none())
            .collect();
        for host in 0..self.fabric.scenario.nodes {
            let lan = self.fabric.host(host).lan as usize;
            let earlier: Vec<usize> = public.iter().copied().filter(|at| *at < lan).collect();
            let others: Vec<usize> = public.iter().copied().filter(|at| *at != lan).collect();
            let mut told = Vec::new();
            if self.fabric.host(host).place == 0 && links > 0 {
                told.extend(self.any_address(&earlier));
            }
            while told.len() < links as usize && !others.is_empty() {
                told.extend(self.any_address(&others));
            }
            self.fabric.host_mut(host).told = told;
        }
    }

    fn any_address(&mut self, lans: &[usize]) -> Option<SocketAddr> {
        let lan = &self.fabric.lans[*lans.get(self.will.below(lans.len() as u64) as usize)?];
        let regular = lan.members.iter().filter(|host| **host < self.fabric.scenario.nodes).count();
        let place = u32::try_from(self.will.below(regular as u64)).ok()?;
        Some((lan.v4(place), crate::host::PORT).into())
    }

    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        match phase {
            Phase::Form => {}
            Phase::Chaos => self.plan_troubles(),
            Phase::Calm => self.begin_calm(),
        }
    }

    /// Each kind of fault comes a number of times, at any time in the first nine tenths of the phase.
    fn plan_troubles(&mut self) {
        let span = self.fabric.scenario.phases.chaos_ms;
        let minutes = span.div_ceil(60_000);
        for fault in self.fabric.scenario.faults.clone() {
            let count = match fault {
                Fault::Partition => 1 + minutes / 2,
                _ => 1 + u64::from(self.fabric.scenario.nodes) * minutes / 50,
            };
            for _ in 0..count {
                let after = Duration::from_millis(self.will.below(span * 9 / 10));
                self.fabric.plan(after, What::Trouble(fault));
            }
        }
    }

    fn begin_calm(&mut self) {
        let calm = self.fabric.scenario.phases.calm_ms;
        self.fabric.loudest_counts = true;
        let at = |percent: u64| Duration::from_millis(calm * percent / 100);
        for broadcast in 0..self.fabric.scenario.broadcasts {
            let share = 25 * u64::from(broadcast) / u64::from(self.fabric.scenario.broadcasts);
            self.fabric.plan(at(60 + share), What::Broadcast(broadcast));
        }
        let nodes = self.fabric.scenario.nodes;
        for newcomer in nodes..nodes + self.fabric.scenario.newcomers {
            self.fabric.plan(at(30), What::Start(newcomer));
        }
        self.checks.newcomers_start(self.fabric.now + at(30));
        if self.fabric.scenario.planted == Some(Planted::Hermit) {
            self.fabric.host_mut(1).plugged = false;
            self.give(1, Input::Interfaces(Vec::new()));
        }
    }

    /// When chaos is over.
    fn chaos_end(&self) -> Instant {
        let phases = self.fabric.scenario.phases;
        Instant::from_nanos(1_000_000_000) + Duration::from_millis(phases.form_ms + phases.chaos_ms)
    }

    /// A time for a fault to last: some seconds, but not beyond chaos.
    fn span(&mut self, most_s: u64) -> Duration {
        let drawn = Duration::from_millis(1000 + self.will.below(most_s * 1000));
        drawn.min(self.chaos_end().since(self.fabric.now))
    }

    /// A host with a running node that nothing is the matter with.
    fn victim(&mut self) -> Option<HostId> {
        let count = self.nodes.len() as u64;
        for _ in 0..32 {
            let at = self.will.below(count) as u32;
            let host = self.fabric.host(at);
            let well = host.is_awake(self.fabric.now) && host.plugged;
            if well && self.nodes[at as usize].as_deref().is_some_and(|node| !node.stopping) {
                return Some(at);
            }
        }
        None
    }

    pub(crate) fn trouble(&mut self, fault: Fault) {
        if fault == Fault::Partition {
            return self.part();
        }
        let Some(host) = self.victim() else { return };
        let now = self.fabric.now;
        match fault {
            Fault::Crash => {
                self.fabric.counts.crashes += 1;
                self.take_away(host, false);
                let span = self.span(20);
                self.fabric.plan(span, What::Start(host));
            }
            Fault::PowerCut => {
                self.fabric.counts.power_cuts += 1;
                self.take_away(host, true);
                self.fabric.host_mut(host).powered = false;
                let span = self.span(40);
                self.fabric.plan(span, What::Start(host));
            }
            Fault::Restart => {
                self.fabric.counts.restarts += 1;
                if let Some(node) = self.node(host) {
                    node.stopping = true;
                }
                self.give(host, Input::Command(Command::Shutdown));
                // It may take as long as a linger; then it is started again.
                let span = self.span(10).max(Duration::from_secs(6));
                self.fabric.plan(span, What::Start(host));
            }
            Fault::LinkDown => {
                self.fabric.counts.cables_pulled += 1;
                self.fabric.host_mut(host).plugged = false;
                self.give(host, Input::Interfaces(Vec::new()));
                let span = self.span(40);
                self.fabric.plan(span, What::Plug(host));
            }
            Fault::Suspend => {
                self.fabric.counts.suspends += 1;
                let span = self.span(60);
                let stands_still = self.will.below(2) == 0;
                let host = self.fabric.host_mut(host);
                host.asleep_until = now + span;
                if stands_still {
                    host.clock_stood_still(span);
                }
            }
            Fault::ClockJump => self.jump(host),
            Fault::SlowReader => {
                self.fabric.counts.slow_readers += 1;
                let span = self.span(30);
                self.fabric.host_mut(host).slow_until = now + span;
                self.flood(host);
            }
            Fault::Block => {
                let span = self.span(30);
                self.block_one(host, span);
            }
            Fault::Disconnect => self.disconnect_one(host),
            Fault::Partition => {}
        }
    }

    fn part(&mut self) {
        if self.fabric.split.is_some() {
            return;
        }
        self.fabric.counts.partitions += 1;
        let within = self.fabric.lans.len() == 1 || self.will.below(2) == 0;
        self.fabric.split = Some(Split { key: self.will.next_u64(), within });
        let span = self.span(45);
        self.fabric.plan(span, What::Rejoin);
    }

    fn jump(&mut self, host: HostId) {
        self.fabric.counts.clock_jumps += 1;
        let seconds = self.will.below(86_400) as i64 - 43_200;
        let ahead = Duration::from_millis(self.will.below(8000));
        let own = self.fabric.host_mut(host);
        own.wall_seconds += seconds;
        own.clock_jumps(ahead);
        let wall = UnixTime(self.fabric.host(host).wall_at(self.fabric.now));
        self.give(host, Input::WallTime(Some(wall)));
    }

    /// Looks whether the bounds hold, at a tenth of all nodes in turn.
    pub(crate) fn check(&mut self) {
        self.fabric.plan(CHECK_EVERY, What::Check);
        let turn = self.fabric.now.as_nanos() / 1_000_000_000 % 10;
        for host in 0..self.fabric.hosts.len() {
            let id = host as HostId;
            if turn_of(id) != turn {
                continue;
            }
            let Some(node) = self.nodes[host].as_deref() else { continue };
            let limits = node.net.limits();
            let bounds = [
                ("open channels", node.net.open_peers().len(), limits.connections_max),
                (
                    "known peers",
                    node.net.peers().len(),
                    limits.known_peers_max + limits.connections_max,
                ),
                ("pending peers", node.net.pending().len(), limits.pending_max),
                ("blocked", node.net.blocked().len(), limits.blocked_max),
            ];
            for (what, count, most) in bounds {
                if count > most as usize {
                    let detail = format!("{count} {what}, and {most} are allowed");
                    self.checks.fail(&self.fabric, Checker::BoundsHold, Some(id), detail);
                }
            }
            self.check_view(id, false);
        }
    }

    /// What the getters show must have been told. The end of a channel that another one took the place of is told later than
    /// it is shown, so what was told must be shown only once there is calm.
    fn check_view(&mut self, id: HostId, calm: bool) {
        let Some(node) = self.nodes[id as usize].as_deref() else { return };
        let state = |peer: &PeerId| node.net.peer(peer).map(|view| view.state);
        // The end of a channel is told when its stream has ended.
        let is_shown =
            |peer: &PeerId| matches!(state(peer), Some(PeerState::Open | PeerState::Closing));
        let mut told = node.channels.values().map(|channel| &channel.peer);
        let unshown = told.find(|peer| calm && !is_shown(peer));
        let open = node.net.open_peers();
        let untold = open.iter().map(|view| &view.peer);
        let untold = untold.into_iter().find(|peer| node.channel_to(peer).is_none());
        let wrong = unshown.map(|peer| (peer, "told")).or(untold.map(|peer| (peer, "not told")));
        if let Some((peer, told)) = wrong {
            let shown = state(peer);
            let detail = format!("the channel to {} was {told}, and is {shown:?}", peer.short());
            self.checks.fail(&self.fabric, Checker::BoundsHold, Some(id), detail);
        }
    }

    /// The last look, at the end of calm.
    pub(crate) fn check_convergence(&mut self) {
        let count = self.fabric.hosts.len();
        let mut groups: Vec<usize> = (0..count).collect();
        for host in 0..count {
            let id = host as HostId;
            self.check_view(id, true);
            let Some(node) = self.nodes[host].as_deref() else {
                let detail = "it isn't running".to_owned();
                self.checks.fail(&self.fabric, Checker::AllConverge, Some(id), detail);
                continue;
            };
            let lan = self.fabric.host(id).lan as usize;
            let mates = self.fabric.lans[lan].members.iter().filter(|mate| **mate != id);
            let unknown = mates
                .filter_map(|mate| self.fabric.host(*mate).id)
                .filter(|peer| node.net.peer(peer).is_none())
                .count();
            let mut one_sided = Vec::new();
            for peer in node.channels.values().map(|channel| &channel.peer) {
                let Some(other) = self.ids.get(peer).map(|other| *other as usize) else { continue };
                join(&mut groups, host, other);
                let back = self.nodes[other].as_deref().zip(self.fabric.host(id).id);
                if back.is_none_or(|(other, own)| other.channel_to(&own).is_none()) {
                    one_sided.push(other);
                }
            }
            if unknown > 0 {
                let detail = format!("{unknown} hosts of its LAN are unknown to it");
                self.checks.fail(&self.fabric, Checker::AllConverge, Some(id), detail);
            }
            if !one_sided.is_empty() {
                let detail =
                    format!("its channels to nodes {one_sided:?} are open on its side only");
                self.checks.fail(&self.fabric, Checker::AllConverge, Some(id), detail);
            }
        }
        let first = root(&mut groups, 0);
        let apart: Vec<usize> =
            (0..count).filter(|host| root(&mut groups, *host) != first).collect();
        if !apart.is_empty() {
            let some: Vec<_> = apart.iter().take(8).collect();
            let detail =
                format!("{} nodes are not joined to the others, among them {some:?}", apart.len());
            self.checks.fail(&self.fabric, Checker::AllConverge, None, detail);
        }
        let (heard, all) = (self.checks.broadcast_heard_min(), count as u32);
        if self.fabric.scenario.broadcasts > 0 && heard < all {
            let detail = format!("a broadcast was heard by {heard} of {all} nodes");
            self.checks.fail(&self.fabric, Checker::AllConverge, None, detail);
        }
    }
}

fn root(groups: &mut [usize], mut of: usize) -> usize {
    while groups[of] != of {
        groups[of] = groups[groups[of]];
        of = groups[of];
    }
    of
}

fn join(groups: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(groups, a), root(groups, b));
    groups[a.max(b)] = a.min(b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_join() {
        let mut groups: Vec<usize> = (0..6).collect();
        join(&mut groups, 0, 1);
        join(&mut groups, 4, 5);
        join(&mut groups, 1, 5);
        let roots: Vec<_> = (0..6).map(|host| root(&mut groups, host)).collect();
        assert_eq!(roots, [0, 0, 2, 3, 0, 0]);
    }
}
