//! Open channels: what their frames mean for the node, how trust settles, signs of life.

use super::PeerNetwork;
use super::connection::{Link, Stage};
use super::cx::TimerFor;
use crate::channel::frame::Open;
use crate::channel::open::{ChannelEffect, Passes};
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::error::CloseReason;
use crate::id::{ConnId, PeerId};
use crate::io::{CloseCause, Direction, DiscoverySource, Event, Output, TrustChange, Why};
use crate::time::Duration;
use crate::trust::gate::Gate;
use crate::trust::membership::{Refusal, Verdict};
use crate::trust::settle::{WaitsFor, may_stay, opening};
use crate::wire::packet::{DisconnectReason, IdentityPacket, Packet, PacketKind};
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;

impl<C: Crypto> PeerNetwork<C> {
    pub(super) fn link_mut(&mut self, conn: ConnId) -> Option<&mut Link> {
        self.conns.get_mut(&conn)?.link_mut()
    }

    /// Lets a proved peer in from this side.
    pub(super) fn admit(&mut self, conn: ConnId) {
        let shows = self.config.policies.incoming.run_default_trust_protocol;
        let holds = self.config.policies.incoming.application_handshake;
        let (port, wall) = (self.listen_port().unwrap_or(0), self.wall_now());
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let role = connection.direction;
        let Some(link) = connection.link_mut() else { return };
        link.stage = Stage::Opening;
        let proofs = if shows {
            self.standing.proofs(&link.channel.transcript, role, wall)
        } else {
            Vec::new()
        };
        link.channel.admit(port, proofs, holds);
        let opened = link.theirs.is_some();
        // Who answered may keep us waiting for its application's word; who dialled has no reason to.
        let timeout = match role {
            Direction::Outgoing => {
                self.cx.timing.pending_timeout.saturating_add(self.cx.timing.handshake_timeout)
            }
            Direction::Incoming => self.cx.timing.handshake_timeout,
        };
        self.set_timer(conn, timeout, Why::Pending);
        if opened {
            self.settle(conn);
        }
        self.announce_write(conn);
    }

    pub(super) fn on_channel_effect(&mut self, conn: ConnId, effect: ChannelEffect) {
        let replaced = |kind| self.replaced.contains(&kind);
        match effect {
            ChannelEffect::Identity(identity) if identity.is_question() => self.on_asked(conn),
            ChannelEffect::Identity(_) if replaced(PacketKind::Identity) => {}
            ChannelEffect::PeerGroup(_) if replaced(PacketKind::PeerGroup) => {}
            ChannelEffect::Opened(open) => self.on_opened(conn, open),
            ChannelEffect::Received(received) => self.on_received(received),
            ChannelEffect::Refused { kind, count } => self.on_refused(conn, kind, count),
            ChannelEffect::Identity(identity) => self.on_identity(conn, identity),
            ChannelEffect::PeerGroup(group) => {
                let now = self.cx.now;
                let Some(link) = self.link_mut(conn) else { return };
                let trusted = link.trust == Trust::Trusted;
                let taken = link.hearsay.take(now, group.peers.len());
                for record in group.peers.into_iter().take(taken) {
                    self.on_exchanged(&record, trusted);
                }
            }
            ChannelEffect::Goodbye(reason) => self.close_link(conn, CloseReason::Remote(reason)),
            ChannelEffect::RoundTrip => {}
        }
    }

    fn on_opened(&mut self, conn: ConnId, open: Open) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let at = connection.at;
        let Some(link) = connection.link_mut() else { return };
        let peer = link.channel.peer;
        link.theirs = Some(open.proofs);
        let waits = link.stage == Stage::Opening;
        if open.listen_port != 0
            && let Some(known) = self.book.get_mut(&peer)
        {
            let mut dial = at;
            dial.set_port(open.listen_port);
            known.listen_port = Some(open.listen_port);
            known.add_address(dial);
        }
        if waits {
            self.settle(conn);
        }
    }

    /// Both sides have let each other in: finds out how far the peer is trusted.
    fn settle(&mut self, conn: ConnId) {
        let policy = self.config.policies.incoming;
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let direction = connection.direction;
        let Some(link) = connection.link_mut() else { return };
        let peer = link.channel.peer;
        let begins = opening(&policy, self.lists.is_trusted(&peer), self.standing.accepts_proofs());
        let (mut why, mut refusals) = (begins.raised, Vec::new());
        if begins.waits_for == WaitsFor::Proofs {
            match self.check_proofs(conn) {
                Verdict::Raise(proved) => why = Some(proved),
                Verdict::Stay(found) => refusals = found,
            }
        }
        let Some(link) = self.link_mut(conn) else { return };
        link.trust = if why.is_some() { Trust::Trusted } else { Trust::Authenticated };
        if why == Some(TrustChange::Certificate) {
            self.watch_certificates(conn);
        } else {
            // They have done their part, and a channel may live for long.
            link.theirs = Some(Vec::new());
        }
        for refusal in refusals {
            self.cx.tell(Event::TrustRefused { peer, refusal });
        }
        let Some(link) = self.link_mut(conn) else { return };
        if begins.waits_for == WaitsFor::Handshake {
            link.stage = Stage::Settling;
            let transcript = link.channel.transcript;
            self.begin_trust(conn);
            let listed = begins.raised == Some(TrustChange::Listed);
            self.cx.tell(Event::TrustHandshakeStarted {
                peer,
                conn,
                listed,
                transcript,
                direction,
            });
            if !listed {
                return;
            }
        }
        self.announce(conn);
    }

    /// The application's handshake begins, and has its own time from now on.
    fn begin_trust(&mut self, conn: ConnId) {
        let timing = self.cx.timing;
        let first = timing.trust_settle.min(timing.trust_timeout);
        let timer = self.cx.arm(first, TimerFor::Settle(conn));
        let now = self.cx.now;
        let Some(link) = self.link_mut(conn) else { return };
        link.handshaking = true;
        link.handshake_began = Some(now);
        link.settle = Some(timer);
        self.set_timer(conn, timing.keep_alive, Why::KeepAlive);
        self.refresh_gate(conn);
    }

    /// Tells the application of a channel whose trust is settled, or turns the peer away.
    pub(super) fn announce(&mut self, conn: ConnId) {
        let policy = self.config.policies.incoming;
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let (at, direction) = (connection.at, connection.direction);
        let Some(link) = connection.link_mut() else { return };
        if link.announced || link.stage == Stage::Closing {
            return;
        }
        if !may_stay(&policy, link.trust) {
            return self.close_link(conn, CloseReason::Local(DisconnectReason::NotAuthorized));
        }
        link.announced = true;
        link.stage = if link.handshaking { Stage::Settling } else { Stage::Established };
        let (peer, trust) = (link.channel.peer, link.trust);
        link.channel.ping(self.cx.now);
        link.channel.open_lanes();
        self.refresh_gate(conn);
        let keep_alive = self.cx.timing.keep_alive;
        self.set_timer(conn, keep_alive, Why::KeepAlive);
        self.cx.tell(Event::PeerConnected { peer, conn, at, direction, trust });
        self.meet_data(conn);
        self.introduce(conn);
        self.exchange(conn);
        self.announce_write(conn);
        self.trim_automatic(conn);
        self.tell_transfers(conn);
    }

    /// Sends how this node describes itself, if it does, the gate lets it, and the peer was not told. Asks the peer for
    /// the same if it said so while the gate was closed here.
    pub(super) fn introduce(&mut self, conn: ConnId) {
        let identity = self.own_identity();
        let Some(link) = self.link_mut(conn) else { return };
        if !link.channel.passes(PacketKind::Identity) {
            return;
        }
        if mem::take(&mut link.acquaintance.missed) {
            link.channel.push(&Packet::Identity(IdentityPacket::default()));
        }
        if let Some(identity) = identity
            && !link.acquaintance.told
        {
            link.acquaintance.told = true;
            link.acquaintance.owes_answer = true;
            link.channel.push(&identity);
        }
    }

    /// What this node calls itself, if it does.
    fn own_identity(&self) -> Option<Packet> {
        let named = !self.label.as_str().is_empty() && !self.config.anonymous;
        let label = self.label.as_str().into();
        named.then(|| Packet::Identity(IdentityPacket { label, ..IdentityPacket::default() }))
    }

    /// The peer asks for what this node told it before: its gate was closed then. One answer for each telling.
    fn on_asked(&mut self, conn: ConnId) {
        let identity = self.own_identity();
        let Some(link) = self.link_mut(conn) else { return };
        if let Some(identity) = identity
            && link.channel.passes(PacketKind::Identity)
            && mem::take(&mut link.acquaintance.owes_answer)
        {
            link.channel.push(&identity);
        }
    }

    pub(super) fn refresh_gate(&mut self, conn: ConnId) {
        let policy = self.config.policies.incoming;
        if let Some(link) = self.link_mut(conn) {
            let settled = link.announced;
            let gate = Gate::new(link.trust, &policy, link.handshaking);
            let open =
                |kind: PacketKind| gate.passes(kind) && (settled || kind == PacketKind::TrustStep);
            link.channel.set_passes(Passes::new(open));
        }
    }

    /// Changes the trust of an open channel.
    pub(super) fn change_trust(&mut self, conn: ConnId, trust: Trust, because: TrustChange) {
        let policy = self.config.policies.incoming;
        let Some(link) = self.link_mut(conn) else { return };
        if link.trust == trust || link.stage == Stage::Closing {
            return;
        }
        link.trust = trust;
        let (peer, announced, handshaking) = (link.channel.peer, link.announced, link.handshaking);
        self.refresh_gate(conn);
        self.tell_transfers(conn);
        if announced {
            self.cx.tell(Event::TrustChanged { peer, trust, because });
            if !handshaking && !may_stay(&policy, trust) {
                self.close_link(conn, CloseReason::Local(DisconnectReason::NotAuthorized));
            } else if trust == Trust::Trusted {
                self.meet_data(conn);
                self.introduce(conn);
                self.exchange(conn);
                self.announce_write(conn);
            }
        }
    }

    /// The application's handshake took longer than trust may take to settle, or is out of time altogether.
    pub(super) fn on_settle_timer(&mut self, conn: ConnId) {
        let (settle, total) = (self.cx.timing.trust_settle, self.cx.timing.trust_timeout);
        let strict = self.config.policies.incoming.trusted_only;
        let Some(link) = self.link_mut(conn) else { return };
        link.settle = None;
        if !link.handshaking {
            return;
        }
        let began = link.handshake_began.unwrap_or(link.opened);
        if self.cx.now.since(began) >= total {
            return self.finish_trust(conn, Err(Refusal::HandshakeTimedOut));
        }
        // A node that lets only trusted peers in announces nobody before the handshake is over.
        if !strict {
            self.announce(conn);
        }
        let timer = self.cx.arm(total.saturating_sub(settle), TimerFor::Settle(conn));
        if let Some(link) = self.link_mut(conn) {
            link.settle = Some(timer);
        }
    }

    /// The application's handshake is over: with a level of trust, or with a refusal. What the operator's list says goes
    /// before either.
    pub(super) fn finish_trust(&mut self, conn: ConnId, outcome: Result<Trust, Refusal>) {
        let Some(link) = self.link_mut(conn) else { return };
        let peer = link.channel.peer;
        let listed = self.lists.is_trusted(&peer);
        let trust = match outcome {
            _ if listed => Trust::Trusted,
            Ok(trust) => trust.max(Trust::Authenticated),
            Err(refusal) => return self.end_trust(conn, refusal),
        };
        self.stop_settling(conn);
        self.change_trust(conn, trust, TrustChange::Application);
        let Some(link) = self.link_mut(conn) else { return };
        if link.announced {
            link.stage = Stage::Established;
            self.refresh_gate(conn);
            self.tell_transfers(conn);
        } else {
            self.announce(conn);
        }
    }

    /// The application's handshake came to nothing, and the channel ends with it.
    fn end_trust(&mut self, conn: ConnId, refusal: Refusal) {
        self.stop_settling(conn);
        let Some(link) = self.link_mut(conn) else { return };
        if link.stage == Stage::Closing {
            return;
        }
        let peer = link.channel.peer;
        self.cx.tell(Event::TrustRefused { peer, refusal });
        self.close_link(conn, CloseReason::Local(DisconnectReason::TrustRefused));
    }

    fn stop_settling(&mut self, conn: ConnId) {
        let Some(link) = self.link_mut(conn) else { return };
        link.handshaking = false;
        if let Some(timer) = link.settle.take() {
            self.cx.timers.cancel(timer);
        }
    }

    fn on_refused(&mut self, conn: ConnId, kind: PacketKind, count: u64) {
        let now = self.cx.now;
        let Some(link) = self.link_mut(conn) else { return };
        let peer = link.channel.peer;
        link.acquaintance.missed |= kind == PacketKind::Identity;
        let untold = link.refused.untold.entry(kind).or_default();
        *untold = untold.saturating_add(count);
        if link.refused.told.is_some_and(|told| now.since(told) < Duration::from_secs(1)) {
            return;
        }
        link.refused.told = Some(now);
        for (kind, count) in mem::take(&mut link.refused.untold) {
            self.cx.tell(Event::PacketsRefused { peer, kind, count });
        }
    }

    fn on_identity(&mut self, conn: ConnId, identity: IdentityPacket) {
        let Some(link) = self.link_mut(conn) else { return };
        let peer = link.channel.peer;
        if let Some(known) = self.book.get_mut(&peer) {
            known.label = identity.label;
        }
    }

    /// Asks a silent peer for a sign of life, and gives up on one that gave none for too long.
    pub(super) fn on_keep_alive(&mut self, conn: ConnId) {
        self.heard.bodies.rest();
        let (now, timing, limits) = (self.cx.now, self.cx.timing, self.cx.limits);
        let Some(link) = self.link_mut(conn) else { return };
        link.channel.trim();
        link.held.trim();
        // While we don't read, silence means nothing; it counts anew from then on.
        if link.read_window(&limits) == 0 {
            link.deaf = now;
        }
        let silent = now.since(link.channel.last_heard.max(link.deaf));
        if silent >= timing.silence_timeout {
            link.reason.get_or_insert(CloseReason::Silent);
            return self.drop_connection(conn, CloseCause::TimedOut, true);
        }
        let next = if silent < timing.keep_alive {
            timing.keep_alive.saturating_sub(silent)
        } else {
            link.channel.ping(now);
            timing.keep_alive.min(timing.silence_timeout.saturating_sub(silent))
        };
        self.set_timer(conn, next.max(Duration::from_millis(1)), Why::KeepAlive);
        self.announce_write(conn);
    }

    /// Holds a peer that sends more frames than its rate allows, let in or not: it is not read for a while.
    pub(super) fn check_rate(&mut self, conn: ConnId) {
        let rate_max = u64::from(self.cx.limits.packets_per_second_max);
        let now = self.cx.now;
        let Some(per_packet) = 1_000_000_000u64.checked_div(rate_max) else { return };
        let Some(link) = self.link_mut(conn) else { return };
        let seen = link.channel.frames_received;
        let new = seen.saturating_sub(link.rate.seen);
        let paid = u64::try_from(now.since(link.rate.at).as_nanos()).unwrap_or(u64::MAX);
        let debt = link.rate.debt_nanos.saturating_sub(paid);
        link.rate.seen = seen;
        link.rate.at = now;
        link.rate.debt_nanos = debt.saturating_add(new.saturating_mul(per_packet));
        let over = link.rate.debt_nanos.saturating_sub(1_000_000_000);
        if over > 0 && !link.rate.paused {
            link.rate.paused = true;
            self.cx.arm(Duration::from_nanos(over), TimerFor::Resume(conn));
        }
    }

    pub(super) fn on_resume(&mut self, conn: ConnId) {
        if let Some(link) = self.link_mut(conn) {
            link.rate.paused = false;
            self.resume_reading(conn);
        }
    }

    /// Tells the adapter that a connection has something to write, once for each time it runs dry.
    pub(super) fn announce_write(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        if !connection.write_announced && connection.wants_write() {
            connection.write_announced = true;
            self.cx.push(Output::WriteReady(conn));
        }
    }

    /// Somebody told of a peer. It is remembered and not dialled.
    pub(super) fn on_hearsay(&mut self, peer: PeerId, at: SocketAddr, via: DiscoverySource) {
        if peer == self.me.id || self.lists.is_blocked(Some(&peer), Some(at.ip())) {
            return;
        }
        let Some((known, new)) = self.book.hear_of(&mut self.cx, peer) else { return };
        let news = known.add_hearsay(at);
        if new || news {
            self.cx.tell(Event::PeerDiscovered { peer, at, via });
        }
    }
}
