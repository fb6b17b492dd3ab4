//! What applications do with their nodes, and what they hear from them.

use crate::checks::Kind;
use crate::node::Channel;
use crate::provider::Provider;
use crate::queue::{HostId, What};
use crate::report::Checker;
use crate::said::Said;
use crate::scenario::Planted;
use crate::world::World;
use p2pnet_protocol::{
    BlockTarget, CloseReason, Command, ConnId, DisconnectReason, DiscoverySource, Duration, Event,
    Input, Packet, PacketKind, PeerId, PureMessagePacket, Received, SendError, Trust,
};
use std::net::SocketAddr;

impl<P: Provider> World<P> {
    pub(crate) fn plan_act(&mut self, host: HostId) {
        let mean = u64::from(self.fabric.scenario.talk_every_ms);
        let after = Duration::from_millis(1 + self.will.below(2 * mean));
        let life = self.fabric.host(host).life;
        self.fabric.plan(after, What::Act(host, life));
    }

    /// An application says something to one of its peers.
    pub(crate) fn act(&mut self, host: HostId) {
        self.plan_act(host);
        let Some(channel) = self.any_channel(host) else { return };
        let (kind, count, bytes_max) = match self.will.below(20) {
            0..=12 => (Kind::Message, 1, 200),
            13..=15 => (Kind::Message, 20, 400),
            16 => (Kind::Message, 1, 20_000),
            17..=18 => (Kind::Data, 1, 4000),
            _ => (Kind::Data, 1, 60_000),
        };
        if kind == Kind::Data && channel.trust != Trust::Trusted {
            return;
        }
        for _ in 0..count {
            let bytes = self.will.below(bytes_max) as usize;
            self.say(host, channel.peer, kind, bytes, None);
        }
        self.settle(host);
    }

    pub(crate) fn any_channel(&mut self, host: HostId) -> Option<Channel> {
        let node = self.nodes[host as usize].as_deref()?;
        let count = node.channels.len() as u64;
        let at = self.will.below(count) as usize;
        node.channels.values().nth(at).copied()
    }

    /// Sends one packet to a peer and counts it if it was accepted.
    pub(crate) fn say(
        &mut self,
        host: HostId,
        peer: PeerId,
        kind: Kind,
        bytes: usize,
        broadcast: Option<u32>,
    ) {
        let now = self.fabric.clock(host);
        let Some(node) = self.nodes[host as usize].as_deref_mut() else { return };
        let Some(channel) = node.channel_to(&peer) else {
            return;
        };
        let Some(end) = self.fabric.streams.end_mut(channel.end) else { return };
        let tally = &mut end.tallies[kind as usize];
        let said = Said { from: host, number: tally.said, broadcast };
        let payload = said.encode(bytes);
        let packet = match kind {
            Kind::Message => Packet::PureMessage(PureMessagePacket { message: payload.into() }),
            Kind::Data => Packet::misc_data(payload),
        };
        let result = node.net.send(now, &peer, &packet);
        node.record(now, || Input::Command(Command::Send { peer, packet: packet.clone() }));
        match result {
            Ok(()) => {
                tally.said += 1;
                self.fabric.counts.messages_sent += 1;
            }
            Err(SendError::QueueFull) => self.fabric.counts.queue_full += 1,
            Err(_) => {}
        }
    }

    /// The peers of a node say more to it than it will read.
    pub(crate) fn flood(&mut self, slow: HostId) {
        const PEERS_MAX: usize = 4;
        const BYTES: usize = 30_000;
        let Some(node) = self.nodes[slow as usize].as_deref() else { return };
        let peers: Vec<PeerId> =
            node.channels.values().take(PEERS_MAX).map(|channel| channel.peer).collect();
        let Some(own) = self.fabric.host(slow).id else { return };
        for peer in peers {
            let Some(host) = self.ids.get(&peer).copied() else { continue };
            for _ in 0..80 {
                self.say(host, own, Kind::Message, BYTES, None);
                self.say(host, own, Kind::Data, BYTES, None);
            }
            self.settle(host);
        }
    }

    /// A node tells its neighbours something that they shall pass on.
    pub(crate) fn broadcast(&mut self, broadcast: u32) {
        let awake: Vec<HostId> = (0..self.fabric.scenario.nodes)
            .filter(|host| self.nodes[*host as usize].is_some())
            .collect();
        let Some(at) = awake.get(self.will.below(awake.len() as u64) as usize) else { return };
        self.pass_on(*at, broadcast);
    }

    /// Tells all neighbours, the first time that a node hears it.
    fn pass_on(&mut self, host: HostId, broadcast: u32) {
        if !self.checks.broadcast_reaches(broadcast, host) {
            return;
        }
        let Some(node) = self.node(host) else { return };
        let peers: Vec<PeerId> = node.channels.values().map(|channel| channel.peer).collect();
        for peer in peers {
            self.say(host, peer, Kind::Message, 0, Some(broadcast));
        }
    }

    /// Connects to an address that the application was told, as applications do again and again.
    pub(crate) fn dial_told(&mut self, host: HostId, to: SocketAddr) {
        self.give(host, Input::Command(Command::Connect { to, expect: None }));
    }

    fn dial_later(&mut self, host: HostId, to: SocketAddr) {
        let after = Duration::from_millis(5000 + self.will.below(10_000));
        let life = self.fabric.host(host).life;
        self.fabric.plan(after, What::Dial(host, life, to));
    }

    pub(crate) fn on_event(&mut self, host: HostId, event: Event) {
        match event {
            Event::PeerDiscovered { peer, via: DiscoverySource::Lan, .. } => {
                self.on_discovered(host, &peer);
            }
            Event::PeerConnected { peer, conn, trust, .. } => {
                self.on_connected(host, peer, conn, trust);
            }
            Event::TrustChanged { peer, trust, .. } => self.on_trust(host, peer, trust),
            Event::TrustRefused { .. } => self.fabric.counts.proofs_refused += 1,
            Event::Received(received) => self.on_received(host, received),
            Event::PacketsRefused { peer, kind, count } => {
                self.on_refused(host, &peer, kind, count);
            }
            Event::PeerClosed { peer, conn, at, reason, .. } => {
                self.on_closed(host, peer, conn, reason);
                if self.fabric.host(host).told.contains(&at) {
                    self.dial_later(host, at);
                }
            }
            Event::DialFailed { at, retry_in: None, .. }
                if self.fabric.host(host).told.contains(&at) =>
            {
                self.dial_later(host, at);
            }
            Event::ListsChanged => {
                let blocked = self.node(host).map(|node| node.net.blocked()).unwrap_or_default();
                self.fabric.host_mut(host).blocked = blocked;
            }
            _ => {}
        }
    }

    /// A node heard of another for the first time: by a beacon or by a channel.
    fn on_discovered(&mut self, host: HostId, peer: &PeerId) {
        let Some(found) = self.ids.get(peer).map(|found| *found as usize) else { return };
        let (lan, place) = (self.fabric.hosts[found].lan, self.fabric.hosts[found].place);
        let own = self.fabric.host_mut(host);
        if own.lan == lan && own.finds(place) {
            self.checks.found(&self.fabric, host, found as HostId);
        }
    }

    fn on_connected(&mut self, host: HostId, peer: PeerId, conn: ConnId, trust: Trust) {
        self.fabric.counts.channels += 1;
        self.on_discovered(host, &peer);
        self.check_trust(host, &peer, trust);
        let Some(node) = self.nodes[host as usize].as_deref_mut() else { return };
        let Some(end) = node.ends.get(&conn).copied() else {
            let detail = format!("{} opened without a stream", peer.short());
            return self.checks.fail(&self.fabric, Checker::BoundsHold, Some(host), detail);
        };
        node.channels.insert(conn, Channel { peer, end, trust });
    }

    fn on_trust(&mut self, host: HostId, peer: PeerId, trust: Trust) {
        self.check_trust(host, &peer, trust);
        let Some(node) = self.node(host) else { return };
        if let Some(channel) = node.channels.values_mut().rev().find(|channel| channel.peer == peer)
        {
            channel.trust = trust;
        }
    }

    fn check_trust(&mut self, host: HostId, peer: &PeerId, trust: Trust) {
        if trust == Trust::Trusted {
            self.fabric.counts.channels_trusted += 1;
            let other = self.ids.get(peer).copied();
            self.checks.trusted(&self.fabric, host, other);
        }
    }

    fn on_received(&mut self, host: HostId, received: Received) {
        let (peer, conn, lane, bytes) =
            (received.peer, received.conn, received.lane, received.bytes);
        let kind = match received.kind {
            PacketKind::PureMessage => Some(Kind::Message),
            PacketKind::DataTransmission => Some(Kind::Data),
            _ => None,
        };
        let mut passed_on = Vec::new();
        if let Some(kind) = kind {
            let planted = self.fabric.scenario.planted;
            let channel = self.node(host).and_then(|node| node.channels.get(&conn).copied());
            for payload in received.payloads() {
                self.fabric.counts.messages_heard += 1;
                let nth = self.fabric.counts.messages_heard;
                let doubled = planted == Some(Planted::DoubleDelivery) && nth == 100;
                let lost = planted == Some(Planted::LostMessage) && nth.is_multiple_of(10);
                for _ in 0..1 + u32::from(doubled) - u32::from(lost) {
                    let said =
                        self.checks.heard(&mut self.fabric, host, &peer, channel, kind, payload);
                    passed_on.extend(said.and_then(|said| said.broadcast));
                }
            }
        }
        self.give_back(host, conn, lane, bytes);
        passed_on.into_iter().for_each(|broadcast| self.pass_on(host, broadcast));
    }

    fn give_back(&mut self, host: HostId, conn: ConnId, lane: p2pnet_protocol::Lane, bytes: u32) {
        let slow_until = self.fabric.host(host).slow_until;
        if slow_until > self.fabric.now {
            let life = self.fabric.host(host).life;
            let what = What::Consume(host, life, conn, lane, bytes);
            return self.fabric.queue.push(slow_until, what);
        }
        let now = self.fabric.clock(host);
        if let Some(node) = self.node(host) {
            node.give(now, Input::Consumed { conn, lane, bytes });
        }
    }

    fn on_refused(&mut self, host: HostId, peer: &PeerId, kind: PacketKind, count: u64) {
        self.fabric.counts.packets_refused += count;
        let Some(node) = self.nodes[host as usize].as_deref() else { return };
        let Some(channel) = node.channel_to(peer) else {
            return;
        };
        let kind = if kind == PacketKind::PureMessage { Kind::Message } else { Kind::Data };
        if let Some(end) = self.fabric.streams.end_mut(channel.end) {
            end.tallies[kind as usize].refused += u32::try_from(count).unwrap_or(u32::MAX);
        }
    }

    fn on_closed(&mut self, host: HostId, peer: PeerId, conn: ConnId, reason: CloseReason) {
        let counts = &mut self.fabric.counts;
        match reason {
            CloseReason::Remote(_) => counts.closed_gracefully += 1,
            CloseReason::Lost(_) => counts.closed_lost += 1,
            CloseReason::Silent => counts.closed_silent += 1,
            CloseReason::Violation(violation) => {
                let detail = format!("{} sent {violation}", peer.short());
                self.checks.fail(&self.fabric, Checker::BoundsHold, Some(host), detail);
            }
            _ => {}
        }
        let Some(node) = self.node(host) else { return };
        let Some(channel) = node.channels.remove(&conn) else { return };
        if matches!(reason, CloseReason::Remote(_)) {
            self.checks.closed_gracefully(&self.fabric, host, &channel);
        }
        if self.fabric.scenario.planted == Some(Planted::AfterClose) {
            let late = Said { from: host, number: u32::MAX, broadcast: None }.encode(0);
            self.checks.heard(&mut self.fabric, host, &peer, None, Kind::Message, &late);
        }
    }

    /// An application ends one of its channels.
    pub(crate) fn disconnect_one(&mut self, host: HostId) {
        let Some(channel) = self.any_channel(host) else { return };
        self.fabric.counts.disconnects += 1;
        let (peer, reason) = (channel.peer, DisconnectReason::Requested);
        self.give(host, Input::Command(Command::Disconnect { peer, reason }));
    }

    /// An application blocks one of its peers and pardons it later.
    pub(crate) fn block_one(&mut self, host: HostId, pardon_after: Duration) {
        let Some(channel) = self.any_channel(host) else { return };
        self.fabric.counts.blocks += 1;
        let target = BlockTarget::Peer(channel.peer);
        self.give(host, Input::Command(Command::Block(target)));
        // The pardon is the operator's: it comes however often the node was started meanwhile.
        self.fabric.plan(pardon_after, What::Pardon(host, target));
    }
}
