//! What the application wants: commands. A refused command has changed nothing.

use super::PeerNetwork;
use super::connection::{Link, Phase, Stage};
use super::held::Held;
use crate::channel::queue::MessageBatch;
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::error::{CloseReason, CommandError, DialError, SendError};
use crate::id::{ConnId, PeerId};
use crate::io::{BlockTarget, Event, RoutineChange, TrustChange};
use crate::net::canonical;
use crate::time::Instant;
use crate::trust::identifier::{IdentifierError, Origin};
use crate::trust::membership::Refusal;
use crate::wire::packet::{DisconnectReason, Packet, PacketKind, TrustStepPacket};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// Commands.
impl<C: Crypto> PeerNetwork<C> {
    /// Dials `to`; with `expect`, only that identity will do. The peer is dialled again when it is lost.
    ///
    /// # Errors
    /// [`CommandError`] if a limit is reached, the peer or address is blocked, a channel to the expected peer is open,
    /// or the node is shutting down.
    #[doc(alias = "AddPeer")]
    pub fn connect(
        &mut self,
        now: Instant,
        to: SocketAddr,
        expect: Option<PeerId>,
    ) -> Result<ConnId, CommandError> {
        self.cx.at(now);
        if expect == Some(self.me.id) {
            return Err(CommandError::Oneself);
        }
        let to = canonical(to);
        if let Some(known) = expect.and_then(|peer| self.book.get(&peer)) {
            if known.conn.is_some() {
                return Err(CommandError::AlreadyConnected);
            }
            if let Some(dial) = known.dialing {
                return Ok(dial);
            }
        }
        let conn = self.dial(to, expect, true)?;
        if let Some(peer) = expect {
            let (known, _) = self.book.hear(&mut self.cx, peer);
            known.manual = true;
            known.hold_until = None;
            known.add_address(to);
        }
        Ok(conn)
    }

    /// Keeps some bytes of the application's own with the channel to `peer`, in place of earlier ones. They are never
    /// sent, and go when the channel does. [`channel_data`](Self::channel_data) gives them back.
    ///
    /// # Errors
    /// [`CommandError::NotConnected`] if there is no channel, [`CommandError::OutOfRange`] for more than
    /// [`channel_data_bytes_max`](crate::Limits::channel_data_bytes_max) bytes.
    pub fn set_channel_data(
        &mut self,
        now: Instant,
        peer: &PeerId,
        data: &[u8],
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        if data.len() > self.config.limits.channel_data_bytes_max() {
            return Err(CommandError::OutOfRange("the length of a channel's data"));
        }
        let conn = self.conn_of(peer).ok_or(CommandError::NotConnected)?;
        let link = self.link_mut(conn).ok_or(CommandError::NotConnected)?;
        link.data = data.into();
        Ok(())
    }

    /// Ends the channel to `peer`: what is queued is sent first. The peer is not dialled again by itself.
    ///
    /// # Errors
    /// [`CommandError::NotConnected`] if there is none.
    #[doc(alias = "RemovePeer")]
    #[doc(alias = "ClosePeerChannel")]
    pub fn disconnect(
        &mut self,
        now: Instant,
        peer: &PeerId,
        reason: DisconnectReason,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        let known = self.book.get_mut(peer).ok_or(CommandError::NotConnected)?;
        let conn = known.conn.ok_or(CommandError::NotConnected)?;
        known.manual = false;
        self.close_link(conn, CloseReason::Local(reason));
        Ok(())
    }

    /// Queues one packet for one peer. Messages of a trust handshake go by [`send_trust_step`](Self::send_trust_step).
    ///
    /// # Errors
    /// [`SendError`]: not connected, not allowed by the gate, too large, or no room for now.
    pub fn send(&mut self, now: Instant, peer: &PeerId, packet: &Packet) -> Result<(), SendError> {
        self.cx.at(now);
        let queue_max = self.cx.limits.send_queue_bytes_max as usize;
        let (conn, link) = self.open_link(peer, packet.kind())?;
        let bytes = packet.body_bytes();
        if bytes > link.channel.packet_bytes_max() {
            return Err(SendError::TooLarge);
        }
        if link.waiting_bytes().saturating_add(bytes) > queue_max {
            link.send_blocked = true;
            return Err(SendError::QueueFull);
        }
        link.channel.push(packet);
        self.announce_write(conn);
        Ok(())
    }

    /// Queues a message of the application's trust handshake on the channel that the handshake runs on.
    ///
    /// # Errors
    /// [`SendError`]: no handshake runs there, longer than [`TrustStepPacket::MESSAGE_BYTES_MAX`] or than what the peer
    /// takes, or 64 KiB wait already.
    pub fn send_trust_step(
        &mut self,
        now: Instant,
        conn: ConnId,
        message: Bytes,
    ) -> Result<(), SendError> {
        self.cx.at(now);
        let link = self.handshaking(conn).ok_or(SendError::NotConnected)?;
        let bytes = message.len();
        let longest = link.channel.packet_bytes_max();
        if bytes > longest.min(TrustStepPacket::MESSAGE_BYTES_MAX) {
            return Err(SendError::TooLarge);
        }
        if !link.channel.has_control_room(bytes) {
            link.send_blocked = true;
            return Err(SendError::QueueFull);
        }
        link.channel.push(&Packet::TrustStep(TrustStepPacket { message }));
        self.announce_write(conn);
        Ok(())
    }

    /// The channel of a connection, if the application's trust handshake runs on it.
    fn handshaking(&mut self, conn: ConnId) -> Option<&mut Link> {
        self.link_mut(conn).filter(|link| link.handshaking && link.stage != Stage::Closing)
    }

    /// Queues many messages at once.
    ///
    /// # Errors
    /// [`SendError`], with the batch left to the caller.
    pub fn send_batch(
        &mut self,
        now: Instant,
        peer: &PeerId,
        batch: &mut MessageBatch,
    ) -> Result<(), SendError> {
        self.cx.at(now);
        let queue_max = self.cx.limits.send_queue_bytes_max as usize;
        let (conn, link) = self.open_link(peer, PacketKind::PureMessage)?;
        if batch.longest() > link.channel.packet_bytes_max() {
            return Err(SendError::TooLarge);
        }
        if link.waiting_bytes().saturating_add(batch.bytes()) > queue_max
            && link.waiting_bytes() > 0
        {
            link.send_blocked = true;
            return Err(SendError::QueueFull);
        }
        link.channel.push_batch(core::mem::take(batch));
        self.announce_write(conn);
        Ok(())
    }

    /// The open channel to a peer, if the gate lets this kind of packet pass.
    pub(super) fn open_link(
        &mut self,
        peer: &PeerId,
        kind: PacketKind,
    ) -> Result<(ConnId, &mut Link), SendError> {
        let conn =
            self.book.get(peer).and_then(|known| known.conn).ok_or(SendError::NotConnected)?;
        let link = self.conns.get_mut(&conn).and_then(|connection| connection.link_mut());
        let link = link.ok_or(SendError::NotConnected)?;
        if !link.is_open() {
            return Err(SendError::NotConnected);
        }
        // A step of a handshake belongs to the channel that the handshake runs on.
        let elsewhere = matches!(kind, PacketKind::Disconnect | PacketKind::TrustStep);
        if elsewhere || !link.channel.passes(kind) {
            return Err(SendError::NotAllowed);
        }
        Ok((conn, link))
    }

    /// Queues one packet for every open channel, and tells what became of it for each. The payload is shared.
    pub fn send_all(
        &mut self,
        now: Instant,
        packet: &Packet,
    ) -> Vec<(PeerId, Result<(), SendError>)> {
        self.cx.at(now);
        let open = self.conns.values().filter_map(|connection| connection.link());
        let peers: Vec<_> =
            open.filter(|link| link.is_open()).map(|link| link.channel.peer).collect();
        peers.into_iter().map(|peer| (peer, self.send(now, &peer, packet))).collect()
    }

    /// How many more bytes [`send`](Self::send) takes for this peer now.
    pub fn send_room(&self, peer: &PeerId) -> usize {
        let conn = self.book.get(peer).and_then(|known| known.conn);
        let link = conn.and_then(|conn| self.conns.get(&conn)).and_then(|conn| conn.link());
        let queue_max = self.cx.limits.send_queue_bytes_max as usize;
        link.map_or(0, |link| queue_max.saturating_sub(link.waiting_bytes()))
    }

    /// The longest packet body, in bytes, that both this node and `peer` take; 0 without a channel.
    pub fn send_bytes_max(&self, peer: &PeerId) -> usize {
        let conn = self.book.get(peer).and_then(|known| known.conn);
        let link = conn.and_then(|conn| self.conns.get(&conn)).and_then(|conn| conn.link());
        link.map_or(0, |link| link.channel.packet_bytes_max())
    }

    /// Turns an identity, an address or a prefix away from now on; channels that it covers end at once.
    ///
    /// # Errors
    /// [`CommandError::LimitReached`] if so much is blocked already.
    pub fn block(&mut self, now: Instant, target: BlockTarget) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.lists.block(target)? {
            self.cx.tell(Event::ListsChanged);
        }
        self.end_blocked();
        Ok(())
    }

    /// Lets an identity, an address or a prefix in. The first entry turns the allow-list on: channels that it doesn't
    /// cover end at once, and from then on only who is on it gets one. Blocks go before it.
    ///
    /// # Errors
    /// [`CommandError::LimitReached`] if the list is full.
    pub fn allow(&mut self, now: Instant, target: BlockTarget) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.lists.allow(target)? {
            self.cx.tell(Event::ListsChanged);
        }
        if let BlockTarget::Peer(peer) = target
            && let Some(known) = self.book.get_mut(&peer)
        {
            known.hold_until = None;
        }
        self.end_blocked();
        Ok(())
    }

    /// Takes exactly this off the allow-list; channels that are no longer covered end at once. Without entries the list
    /// is off, and everybody may come.
    pub fn disallow(&mut self, now: Instant, target: BlockTarget) {
        self.cx.at(now);
        if self.lists.disallow(target) {
            self.cx.tell(Event::ListsChanged);
        }
        self.end_blocked();
    }

    /// Ends every connection that the lists turn away.
    pub(super) fn end_blocked(&mut self) {
        let covered = |connection: &super::connection::Connection<C>| {
            let ip = connection.at.ip();
            let peer = connection.link().map(|link| link.channel.peer).or(connection.expect);
            if self.lists.is_blocked(peer.as_ref(), Some(ip)) {
                Some(DisconnectReason::Blocked)
            } else {
                let allowed = peer.is_none_or(|peer| self.lists.is_allowed(&peer, ip));
                (!allowed).then_some(DisconnectReason::NotAuthorized)
            }
        };
        let ends: Vec<_> = self
            .conns
            .iter()
            .filter_map(|(conn, connection)| Some((*conn, covered(connection)?)))
            .collect();
        for (conn, reason) in ends {
            let open = self.conns.get(&conn).is_some_and(|connection| connection.link().is_some());
            if open {
                self.close_link(conn, CloseReason::Local(reason));
            } else {
                self.fail(conn, DialError::Blocked);
            }
        }
    }

    /// Lifts a block. Lifting one that there isn't changes nothing.
    ///
    /// # Errors
    /// None at present.
    pub fn unblock(&mut self, now: Instant, target: BlockTarget) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.lists.unblock(target) {
            self.cx.tell(Event::ListsChanged);
            if let BlockTarget::Peer(peer) = target
                && let Some(known) = self.book.get_mut(&peer)
            {
                known.hold_until = None;
            }
        }
        Ok(())
    }

    /// Puts an identity on the list of trusted ones and raises its channel. The application's trust handshake, if it is
    /// under way, decides nothing about the peer from then on.
    ///
    /// # Errors
    /// [`CommandError::LimitReached`] if the list is full.
    #[doc(alias = "ElevatePeerPermission")]
    #[doc(alias = "TrustPeer")]
    pub fn trust(&mut self, now: Instant, peer: PeerId) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.lists.trust(peer)? {
            self.cx.tell(Event::ListsChanged);
        }
        if let Some(known) = self.book.get_mut(&peer) {
            known.hold_until = None;
        }
        if let Some(conn) = self.conn_of(&peer) {
            self.change_trust(conn, Trust::Trusted, TrustChange::Listed);
            if self.link_mut(conn).is_some_and(|link| link.stage == Stage::Settling) {
                self.announce(conn);
            }
        }
        Ok(())
    }

    /// Takes an identity off that list and demotes its channel.
    ///
    /// # Errors
    /// None at present.
    #[doc(alias = "UntrustPeer")]
    pub fn untrust(&mut self, now: Instant, peer: PeerId) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.lists.untrust(&peer) {
            self.cx.tell(Event::ListsChanged);
        }
        if let Some(conn) = self.conn_of(&peer) {
            self.change_trust(conn, Trust::Authenticated, TrustChange::Listed);
        }
        Ok(())
    }

    pub(super) fn conn_of(&self, peer: &PeerId) -> Option<ConnId> {
        self.book.get(peer).and_then(|known| known.conn)
    }

    /// Lets a pending peer in.
    ///
    /// # Errors
    /// [`CommandError::NotPending`] if it doesn't wait.
    #[doc(alias = "DequeueInboundPeer")]
    pub fn accept(&mut self, now: Instant, peer: &PeerId) -> Result<(), CommandError> {
        self.cx.at(now);
        let conn = self.pending.remove(peer).ok_or(CommandError::NotPending)?;
        self.admit(conn);
        Ok(())
    }

    /// Turns a pending peer away.
    ///
    /// # Errors
    /// [`CommandError::NotPending`] if it doesn't wait.
    pub fn refuse(&mut self, now: Instant, peer: &PeerId) -> Result<(), CommandError> {
        self.cx.at(now);
        let conn = self.pending.remove(peer).ok_or(CommandError::NotPending)?;
        self.close_link(conn, CloseReason::Local(DisconnectReason::NotAccepted));
        Ok(())
    }

    /// The application's trust handshake sets a peer's trust for now. A peer that the operator listed stays trusted.
    ///
    /// # Errors
    /// [`CommandError::NotConnected`] if no such handshake runs on the channel of this connection.
    pub fn set_trust(
        &mut self,
        now: Instant,
        conn: ConnId,
        trust: Trust,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        let link = self.handshaking(conn).ok_or(CommandError::NotConnected)?;
        let peer = link.channel.peer;
        if !self.lists.is_trusted(&peer) {
            self.change_trust(conn, trust.max(Trust::Authenticated), TrustChange::Application);
        }
        Ok(())
    }

    /// The application's trust handshake is over: with a level of trust, or with none and the channel ends. A peer that
    /// the operator listed stays trusted either way.
    ///
    /// # Errors
    /// [`CommandError::NotConnected`] if no such handshake runs on the channel of this connection.
    pub fn finish_trust_handshake(
        &mut self,
        now: Instant,
        conn: ConnId,
        trust: Option<Trust>,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        self.handshaking(conn).ok_or(CommandError::NotConnected)?;
        self.finish_trust(conn, trust.ok_or(Refusal::Handshake));
        Ok(())
    }

    /// Turns the acceptance of incoming connections on or off. Open channels stay.
    #[doc(alias = "BeginAcceptingInboundPeers")]
    #[doc(alias = "StopAcceptingInboundPeers")]
    pub fn set_accept_inbound(&mut self, now: Instant, accept: bool) {
        self.cx.at(now);
        self.config.accept_inbound = accept;
        self.announce_port();
    }

    /// Sets the textual identifier, a label and never a proof, if the policy lets `origin` do so. Trusted peers are
    /// told.
    ///
    /// # Errors
    /// [`CommandError::Label`] if the policy forbids it, the node is anonymous, or the text is no label.
    pub fn set_label(
        &mut self,
        now: Instant,
        origin: Origin,
        text: &str,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        if self.config.anonymous {
            return Err(CommandError::Label(IdentifierError::Anonymous));
        }
        self.label.set(origin, text).map_err(CommandError::Label)?;
        let open: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in open {
            let Some(link) = self.link_mut(conn) else { continue };
            link.acquaintance.told = false;
            if link.is_open() {
                self.introduce(conn);
                self.announce_write(conn);
            }
        }
        Ok(())
    }

    /// Whether the node does with packets of this kind what it does by default, besides handing them to the
    /// application: keep the label of an [`Identity`](PacketKind::Identity), remember the peers of a
    /// [`PeerGroup`](PacketKind::PeerGroup). On at the start. The end of a channel can't be turned off.
    pub fn set_default_action(&mut self, now: Instant, kind: PacketKind, on: bool) {
        self.cx.at(now);
        if on {
            self.replaced.remove(&kind);
        } else {
            self.replaced.insert(kind);
        }
    }

    /// Changes a routine.
    ///
    /// # Errors
    /// [`CommandError`] if the name is missing or taken, or a value is out of its range.
    pub fn routine(
        &mut self,
        now: Instant,
        name: &str,
        change: RoutineChange,
    ) -> Result<(), CommandError> {
        self.cx.at(now);
        self.routines.apply(self.cx.now, name, change)
    }

    /// Ends everything gracefully: what is queued is sent, peers are told, streams are closed.
    /// [`is_finished`](Self::is_finished) tells when it is done; [`Timing::linger`](crate::Timing::linger) bounds it.
    pub fn shutdown(&mut self, now: Instant) {
        self.cx.at(now);
        if core::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        self.announce_port();
        self.leave_servers();
        let all: Vec<_> = self.conns.keys().copied().collect();
        for conn in all {
            match self.conns.get(&conn).map(|connection| &connection.phase) {
                Some(Phase::Open(_)) => {
                    self.close_link(conn, CloseReason::Local(DisconnectReason::ShuttingDown));
                }
                Some(Phase::Handshaking(_)) => self.fail(conn, DialError::Cancelled),
                Some(Phase::Dialing) => {
                    let refusal = self.conns.get(&conn).is_some_and(|conn| !conn.early.is_empty());
                    if !refusal {
                        self.fail(conn, DialError::Cancelled);
                    }
                }
                None => {}
            }
        }
    }

    /// Whether [`shutdown`](Self::shutdown) has run its course: every connection is gone.
    pub fn is_finished(&self) -> bool {
        self.shutting_down && self.conns.is_empty()
    }

    /// The application is done with so many payload bytes of a [`Received`](crate::Received), of a channel that may be
    /// gone by now: until all of it is given back, the channel keeps its place among the connections.
    pub fn consumed(&mut self, now: Instant, conn: ConnId, lane: crate::config::Lane, bytes: u32) {
        self.cx.at(now);
        if self.link_mut(conn).is_none() {
            return self.on_late_consumed(conn, bytes);
        }
        self.give_back(conn, lane, bytes, Held::on_consumed);
    }
}
