//! Discovery's wiring: beacons in and out, candidates, dialling again, routines.

use super::PeerNetwork;
use super::connection::Stage;
use super::cx::TimerFor;
use crate::crypto::Crypto;
use crate::discovery::lan::Heard;
use crate::error::CloseReason;
use crate::id::{ConnId, PeerId};
use crate::io::{DiscoverySource, Event, Output};
use crate::peers::book::{Turn, backoff};
use crate::routine::{Due, discern_peer_channels};
use crate::time::{Duration, Instant};
use crate::wire::packet::DisconnectReason;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// The side with the larger id leaves the dial to the other for so long: most pairs then need one dial, not two.
const COURTESY: Duration = Duration::from_millis(100);
/// A peer that turned us away is left alone for so long.
const HOLD: Duration = Duration::from_secs(60);

impl<C: Crypto> PeerNetwork<C> {
    /// Tells discovery where this node can be dialled.
    pub(super) fn announce_port(&mut self) {
        let at: Vec<SocketAddr> = match self.listen_port() {
            Some(_) => self.listening.values().copied().collect(),
            None => Vec::new(),
        };
        self.lan.set_listeners(self.cx.now, &at);
    }

    pub(super) fn lan_deadline(&self) -> Option<Instant> {
        if self.shutting_down { None } else { self.lan.next_deadline() }
    }

    pub(super) fn on_lan_timer(&mut self) {
        if self.lan_deadline().is_none_or(|at| at > self.cx.now) {
            return;
        }
        let mut beacons = Vec::new();
        self.lan.on_timeout(self.cx.now, &self.crypto, &self.me.signing, &mut beacons);
        for beacon in beacons {
            self.cx.push(Output::Datagram(beacon));
        }
    }

    pub(super) fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        if self.shutting_down || self.cx.is_crowded() {
            return;
        }
        match self.lan.on_datagram(self.cx.now, &self.crypto, from, bytes) {
            Heard::Candidate { peer, at, new, .. } => self.on_candidate(peer, at, new),
            Heard::Present { peer, new, .. } => {
                if new && !self.lists.is_blocked(Some(&peer), Some(from.ip())) {
                    self.book.hear(&mut self.cx, peer).0.on_lan = true;
                }
            }
            Heard::Repeated | Heard::Own | Heard::Refused(_) => {}
        }
    }

    /// A signed beacon came from `at`: a peer that can be dialled there.
    fn on_candidate(&mut self, peer: PeerId, at: SocketAddr, started: bool) {
        let blocked = self.lists.is_blocked(Some(&peer), Some(at.ip()));
        if blocked || !self.lists.is_allowed(&peer, at.ip()) {
            return;
        }
        let now = self.cx.now;
        let (known, new) = self.book.hear(&mut self.cx, peer);
        let moved = known.add_address(at);
        known.on_lan = true;
        if started {
            known.on_restart(now);
        }
        let held = known.hold_until.is_some_and(|until| until > now);
        let idle = known.conn.is_none() && known.dialing.is_none();
        if new || moved || started {
            self.cx.tell(Event::PeerDiscovered { peer, at, via: DiscoverySource::Lan });
        }
        if !idle || held || !self.config.lan.connect || !self.lan.wants(&peer) {
            return;
        }
        let courtesy =
            if self.me.id < peer { Duration::ZERO } else { self.cx.jitter.jitter(COURTESY, 50) };
        let Some(known) = self.book.get_mut(&peer) else { return };
        known.automatic = true;
        let timing = self.cx.timing;
        let rest = Duration::from_secs(1).min(timing.redial_max);
        let wait = match known.on_beacon(now, rest) {
            Turn::In(wait) => wait.max(courtesy),
            // Given up, and here again: it has its turn like whoever has just failed.
            Turn::Later if known.redial.is_none() => {
                backoff(known.attempts, timing.redial_min, timing.redial_max)
            }
            Turn::Later => return,
        };
        if let Some(timer) = known.redial {
            self.cx.timers.cancel(timer);
        }
        known.redial = Some(self.cx.arm(wait, TimerFor::Redial(peer)));
    }

    /// Decides about a peer whose channel has ended.
    pub(super) fn after_loss(&mut self, peer: PeerId, reason: CloseReason) {
        use DisconnectReason as Told;
        let now = self.cx.now;
        let Some(known) = self.book.get_mut(&peer) else { return };
        let hold = match reason {
            CloseReason::Local(Told::Requested) | CloseReason::Remote(Told::Requested) => {
                Some(Instant::FAR_FUTURE)
            }
            CloseReason::Local(Told::ShuttingDown | Told::Duplicate)
            | CloseReason::Remote(Told::ShuttingDown | Told::Duplicate)
            | CloseReason::Lost(_)
            | CloseReason::Silent => None,
            CloseReason::Local(_) | CloseReason::Remote(_) => Some(now + HOLD),
            CloseReason::Violation(_) => Some(now + HOLD),
        };
        known.hold_until = hold;
        match hold {
            None => {
                self.schedule_redial(peer);
            }
            Some(Instant::FAR_FUTURE) => known.manual = false,
            // What the application asked for is dialled again when the hold is over.
            Some(_) if known.manual => {
                if let Some(timer) = known.redial.take() {
                    self.cx.timers.cancel(timer);
                }
                known.redial = Some(self.cx.arm(HOLD, TimerFor::Redial(peer)));
            }
            Some(_) => {}
        }
    }

    /// Arms the next dial to a peer that is wanted, and tells in how long.
    pub(super) fn schedule_redial(&mut self, peer: PeerId) -> Option<Duration> {
        if self.shutting_down || self.lists.is_blocked(Some(&peer), None) {
            return None;
        }
        let timing = self.cx.timing;
        let known = self.book.get_mut(&peer)?;
        let again = known.is_wanted() && known.can_be_dialled() && known.conn.is_none();
        if !again || known.attempts >= known.attempts_max(&timing) {
            known.automatic = false;
            return None;
        }
        let wait = backoff(known.attempts, timing.redial_min, timing.redial_max);
        let wait = self.cx.jitter.jitter(wait, 25);
        if let Some(timer) = known.redial.take() {
            self.cx.timers.cancel(timer);
        }
        known.redial = Some(self.cx.arm(wait, TimerFor::Redial(peer)));
        Some(wait)
    }

    pub(super) fn on_redial(&mut self, peer: PeerId) {
        let now = self.cx.now;
        let Some(known) = self.book.get_mut(&peer) else { return };
        known.redial = None;
        let idle = known.conn.is_none() && known.dialing.is_none() && known.is_wanted();
        let Some(to) = known.next_address().filter(|_| idle && !self.shutting_down) else { return };
        let manual = known.manual;
        known.on_dial(now);
        let room = manual || self.targets.take(now, to.ip());
        if !room || self.dial(to, Some(peer), manual).is_err() {
            self.schedule_redial(peer);
        }
    }

    /// Keeps the automatic channels within their bound: with one too many, the least dear one goes.
    /// Only channels between hosts of one LAN can be automatic: who was dialled by address is not counted.
    pub(super) fn trim_automatic(&mut self, newest: ConnId) {
        let accepted_max = self.lan.accepted_max() as usize;
        if self.conns.len() <= accepted_max {
            return;
        }
        let automatic = self.conns.iter().filter_map(|(conn, connection)| {
            let link = connection.link()?;
            let peer = link.channel.peer;
            let known = self.book.get(&peer)?;
            let automatic = known.on_lan && !known.manual && !connection.manual;
            (automatic && link.stage != Stage::Closing).then_some((*conn, peer))
        });
        let automatic: Vec<_> = automatic.collect();
        if automatic.len() <= accepted_max {
            return;
        }
        let dearest_last = automatic.iter().max_by_key(|(conn, peer)| (self.lan.rank(peer), *conn));
        let gone = dearest_last.map_or(newest, |(conn, _)| *conn);
        self.close_link(gone, CloseReason::Local(DisconnectReason::TooMany));
    }

    pub(super) fn on_routines(&mut self) {
        if self.shutting_down || self.routines.next_deadline().is_none_or(|at| at > self.cx.now) {
            return;
        }
        let mut due = Vec::new();
        self.routines.on_timeout(self.cx.now, &mut due);
        for routine in due {
            match routine {
                Due::RotateBroadcastPort => {
                    let port = self.lan.rotate_port();
                    self.cx.tell(Event::BroadcastPortChanged { port });
                }
                Due::DiscernPeerChannels => self.discern_channels(),
                Due::Custom(name) => self.cx.tell(Event::RoutineDue { name }),
            }
        }
    }

    /// Ends channels that are blocked or carried nothing for too long.
    fn discern_channels(&mut self) {
        let mut ends = Vec::new();
        for (conn, connection) in &self.conns {
            let Some(link) = connection.link() else { continue };
            let blocked = self.lists.is_blocked(Some(&link.channel.peer), Some(connection.at.ip()));
            let idle = self.cx.now.since(link.channel.last_payload);
            if let Some(reason) = discern_peer_channels::discern(blocked, idle) {
                ends.push((*conn, reason));
            }
        }
        for (conn, reason) in ends {
            self.close_link(conn, CloseReason::Local(reason));
        }
    }
}
