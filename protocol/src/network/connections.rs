//! Connections that come and go: dials, accepts, handshakes, duplicates, ends.

use super::connection::{Connection, Link, Phase, Stage};
use super::cx::TimerFor;
use super::{PeerNetwork, Unread};
use crate::channel::handshake::{Answerer, Handshake};
use crate::channel::open::{Channel, Established};
use crate::config::IncomingPeerPlacement;
use crate::crypto::Crypto;
use crate::error::{CloseReason, CommandError, DialError};
use crate::id::{ConnId, PeerId};
use crate::io::{CloseCause, Direction, Event, Output, Why};
use crate::key_log::ChannelKeys;
use crate::time::{Duration, Instant};
use crate::wire::packet::DisconnectReason;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;

/// Two channels to one peer that are younger than this were opened at the same time, each side dialling the other.
const RACE: Duration = Duration::from_secs(5);

impl<C: Crypto> PeerNetwork<C> {
    fn next_conn(&mut self) -> ConnId {
        self.conns_made = self.conns_made.saturating_add(1);
        ConnId(self.conns_made)
    }

    /// Starts a dial.
    pub(super) fn dial(
        &mut self,
        to: SocketAddr,
        expect: Option<PeerId>,
        manual: bool,
    ) -> Result<ConnId, CommandError> {
        let conn = self.begin_outgoing(to, expect, manual)?;
        let timeout = self.cx.timing.dial_timeout;
        self.set_timer(conn, timeout, Why::Handshake);
        self.cx.push(Output::Connect { conn, to });
        Ok(conn)
    }

    fn begin_outgoing(
        &mut self,
        to: SocketAddr,
        expect: Option<PeerId>,
        manual: bool,
    ) -> Result<ConnId, CommandError> {
        if self.shutting_down {
            return Err(CommandError::ShuttingDown);
        }
        if self.lists.is_blocked(expect.as_ref(), Some(to.ip())) {
            return Err(CommandError::Blocked);
        }
        if expect.is_some_and(|peer| !self.lists.is_allowed(&peer, to.ip())) {
            return Err(CommandError::NotListed);
        }
        if !self.admission.may_dial(&self.cx.limits) {
            return Err(CommandError::LimitReached("limits.connections_max"));
        }
        let conn = self.next_conn();
        self.admission.on_dial();
        let mut connection = Connection::new(to, Direction::Outgoing, expect);
        connection.manual = manual;
        self.conns.insert(conn, connection);
        if let Some(peer) = expect {
            // A dial that nobody asked for is to one that is known, and makes it no better known.
            if manual || self.book.get(&peer).is_none() {
                self.book.hear(&mut self.cx, peer);
            }
            if let Some(known) = self.book.get_mut(&peer) {
                known.dialing = Some(conn);
            }
        }
        self.cx.tell(Event::ConnectionAttempt { conn, at: to, direction: Direction::Outgoing });
        Ok(conn)
    }

    pub(super) fn attach_stream(
        &mut self,
        direction: Direction,
        at: SocketAddr,
        expect: Option<PeerId>,
    ) -> Result<ConnId, CommandError> {
        if self.shutting_down {
            return Err(CommandError::ShuttingDown);
        }
        if direction == Direction::Outgoing {
            let conn = self.begin_outgoing(at, expect, true)?;
            self.on_connected(conn);
            return Ok(conn);
        }
        if self.lists.is_blocked(expect.as_ref(), Some(at.ip())) {
            return Err(CommandError::Blocked);
        }
        let conn =
            self.accept_stream(at).ok_or(CommandError::LimitReached("limits.connections_max"))?;
        if let Some(connection) = self.conns.get_mut(&conn) {
            connection.expect = expect;
        }
        Ok(conn)
    }

    /// Takes an incoming stream if the limits and lists let it.
    pub(super) fn accept_stream(&mut self, from: SocketAddr) -> Option<ConnId> {
        let fits = self.admission.may_accept(&self.cx.limits, from.ip());
        if self.shutting_down || !fits || self.lists.is_blocked(None, Some(from.ip())) {
            self.stats.incoming_refused = self.stats.incoming_refused.saturating_add(1);
            return None;
        }
        let conn = self.next_conn();
        self.admission.on_accept(from.ip());
        let mut connection = Connection::new(from, Direction::Incoming, None);
        connection.phase = Phase::Handshaking(Box::new(Handshake::respond()));
        self.conns.insert(conn, connection);
        let timeout = self.cx.timing.handshake_timeout;
        self.set_timer(conn, timeout, Why::Handshake);
        self.cx.tell(Event::ConnectionAttempt { conn, at: from, direction: Direction::Incoming });
        Some(conn)
    }

    pub(super) fn on_connected(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let dialing = matches!(connection.phase, Phase::Dialing);
        if !dialing || connection.direction == Direction::Incoming {
            return;
        }
        let handshake = Handshake::initiate(&mut self.crypto, &self.me, &mut connection.early);
        connection.phase = Phase::Handshaking(Box::new(handshake));
        let timeout = self.cx.timing.handshake_timeout;
        self.set_timer(conn, timeout, Why::Handshake);
        self.announce_write(conn);
    }

    /// Feeds a handshake and tells how many of `bytes` it used.
    pub(super) fn on_handshake_bytes(&mut self, conn: ConnId, bytes: &[u8]) -> usize {
        let Some(mut connection) = self.conns.remove(&conn) else { return 0 };
        let result = match &mut connection.phase {
            Phase::Handshaking(handshake) => {
                let Self { book, conns, lists, me, cx, crypto, .. } = self;
                let (book, conns, lists, me) = (&*book, &*conns, &*lists, &*me);
                let judge = |who: &Answerer| {
                    if who.peer == me.id {
                        return Err(DialError::Oneself);
                    }
                    if connection.expect.is_some_and(|expected| expected != who.peer) {
                        return Err(DialError::WrongPeer(who.peer));
                    }
                    let ip = connection.at.ip();
                    if lists.is_blocked(Some(&who.peer), None) || !lists.is_allowed(&who.peer, ip) {
                        return Err(DialError::Blocked);
                    }
                    let rival = book.get(&who.peer).and_then(|known| known.conn);
                    let rival = rival
                        .and_then(|rival| conns.get(&rival))
                        .and_then(|rival| rival.link().map(|link| (rival.direction, link)));
                    match rival {
                        Some((direction, link))
                            if !replaces(
                                me.id,
                                who,
                                Direction::Outgoing,
                                direction,
                                link,
                                cx.now,
                            ) =>
                        {
                            Err(DialError::AlreadyConnected(who.peer))
                        }
                        _ => Ok(()),
                    }
                };
                handshake.on_bytes(crypto, me, bytes, &mut connection.early, judge)
            }
            _ => Ok(None),
        };
        self.conns.insert(conn, connection);
        match result {
            Ok(None) => {
                self.announce_write(conn);
                bytes.len()
            }
            Ok(Some((established, used))) => {
                self.on_identified(conn, established);
                used
            }
            Err(error) => {
                // Who is connected already has proved itself here once more.
                if let (DialError::AlreadyConnected(_), Some(connection)) =
                    (error, self.conns.get(&conn))
                {
                    self.targets.on_met(connection.at.ip());
                }
                self.fail(conn, error);
                bytes.len()
            }
        }
    }

    /// The other side has proved who it is.
    fn on_identified(&mut self, conn: ConnId, established: Established) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let (peer, start_nonce) = (established.peer, established.start_nonce);
        let (at, direction, expect) = (connection.at, connection.direction, connection.expect);
        let manual = connection.manual;
        if direction == Direction::Incoming {
            self.admission.on_handshake_over(at.ip());
        }
        if self.config.key_log {
            let keys = ChannelKeys::of(&established, self.me.id, &self.config.network, direction);
            self.cx.tell(Event::ChannelKeys(Box::new(keys)));
        }
        let channel = Channel::new(established, conn, &self.cx.limits, self.cx.now);
        let link = Link::new(channel, Stage::Opening, self.cx.now);
        connection.phase = Phase::Open(Box::new(link));
        if peer == self.me.id {
            return self.drop_connection(conn, CloseCause::Reset, true);
        }
        if expect.is_some_and(|expected| expected != peer) {
            return self.refuse_link(conn, DisconnectReason::NotAuthorized);
        }
        if direction == Direction::Outgoing && !manual {
            self.targets.on_met(at.ip());
        }
        if self.lists.is_blocked(Some(&peer), Some(at.ip())) {
            return self.refuse_link(conn, DisconnectReason::Blocked);
        }
        if !self.lists.is_allowed(&peer, at.ip()) {
            return self.refuse_link(conn, DisconnectReason::NotAuthorized);
        }
        let who = Answerer { peer, start_nonce };
        if !self.wins_over_rivals(&who, direction) {
            return self.refuse_link(conn, DisconnectReason::Duplicate);
        }
        self.take_over(conn, peer);
        if manual && let Some(known) = self.book.get_mut(&peer) {
            known.manual = true;
            known.hold_until = None;
            known.add_address(at);
        }
        let queued = self.config.placement != IncomingPeerPlacement::EventBased;
        if queued && direction == Direction::Incoming {
            self.enqueue_pending(conn, peer, at);
        } else {
            self.admit(conn);
        }
    }

    /// Whether a newly proved connection beats what there is to the same peer: an open channel, or a dial of our own
    /// that has got through.
    fn wins_over_rivals(&self, who: &Answerer, direction: Direction) -> bool {
        let Some(known) = self.book.get(&who.peer) else { return true };
        if let Some(rival) = known.conn.and_then(|conn| self.conns.get(&conn))
            && let Some(link) = rival.link()
            && !replaces(self.me.id, who, direction, rival.direction, link, self.cx.now)
        {
            return false;
        }
        let ours = known.dialing.and_then(|conn| self.conns.get(&conn));
        let ours_got_through = ours.is_some_and(|dial| matches!(dial.phase, Phase::Handshaking(_)));
        direction == Direction::Outgoing || !ours_got_through || who.peer < self.me.id
    }

    /// Makes `conn` the one connection of `peer`: rivals go.
    fn take_over(&mut self, conn: ConnId, peer: PeerId) {
        let (known, _) = self.book.hear(&mut self.cx, peer);
        let old = known.conn.replace(conn);
        let dial = known.dialing.take().filter(|dial| *dial != conn);
        known.on_met();
        let redial = known.redial.take();
        if let Some(redial) = redial {
            self.cx.timers.cancel(redial);
        }
        for rival in [old, dial].into_iter().flatten() {
            let open = self.conns.get(&rival).is_some_and(|connection| connection.link().is_some());
            if open {
                self.close_link(rival, CloseReason::Local(DisconnectReason::Duplicate));
            } else {
                self.fail(rival, DialError::AlreadyConnected(peer));
            }
        }
    }

    fn enqueue_pending(&mut self, conn: ConnId, peer: PeerId, at: SocketAddr) {
        if self.pending.len() >= self.cx.limits.pending_max as usize {
            return self.refuse_link(conn, DisconnectReason::TooMany);
        }
        self.pending.insert(peer, conn);
        if let Some(link) = self.conns.get_mut(&conn).and_then(|connection| connection.link_mut()) {
            link.stage = Stage::Pending;
        }
        let timeout = self.cx.timing.pending_timeout;
        self.set_timer(conn, timeout, Why::Pending);
        if self.config.placement == IncomingPeerPlacement::QueueAndEventBased {
            self.cx.tell(Event::PeerPending { peer, at });
        }
    }

    pub(super) fn on_pending_timeout(&mut self, conn: ConnId) {
        self.close_link(conn, CloseReason::Local(DisconnectReason::NotAccepted));
    }

    /// Turns a proved peer away, politely.
    fn refuse_link(&mut self, conn: ConnId, reason: DisconnectReason) {
        self.close_link(conn, CloseReason::Local(reason));
    }

    /// Ends a channel gracefully: what is queued is sent first, then the reason.
    pub(super) fn close_link(&mut self, conn: ConnId, reason: CloseReason) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let Some(link) = connection.link_mut() else { return };
        if link.stage == Stage::Closing {
            return;
        }
        link.stage = Stage::Closing;
        link.reason.get_or_insert(reason);
        let peer = link.channel.peer;
        let timers = [link.settle.take(), link.expiry.take().map(|(_, timer)| timer)];
        match reason {
            CloseReason::Local(told) => link.channel.say_goodbye(told),
            _ => {
                link.close_sent = true;
                self.cx.push(Output::Close(conn));
            }
        }
        for timer in timers.into_iter().flatten() {
            self.cx.timers.cancel(timer);
        }
        if self.pending.get(&peer) == Some(&conn) {
            self.pending.remove(&peer);
        }
        let linger = self.cx.timing.linger;
        self.set_timer(conn, linger, Why::Linger);
        self.announce_write(conn);
    }

    /// A connection came to nothing before its peer was proved.
    pub(super) fn fail(&mut self, conn: ConnId, error: DialError) {
        self.give_up(conn, error, true);
    }

    /// As [`fail`](Self::fail); `has_stream` tells whether the world still holds the stream or the dial.
    fn give_up(&mut self, conn: ConnId, error: DialError, has_stream: bool) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        // A refusal is still worth sending; the stream then ends by itself.
        let incoming = connection.direction == Direction::Incoming;
        let told = has_stream && incoming && !connection.early.is_empty();
        let (at, direction, expect) = (connection.at, connection.direction, connection.expect);
        let manual = connection.manual;
        self.stats.handshakes_failed = self.stats.handshakes_failed.saturating_add(1);
        let early = mem::take(&mut connection.early);
        self.forget_connection(conn);
        if told {
            self.linger_refusal(conn, at, early);
        } else if has_stream {
            self.cx.push(Output::Abort(conn));
        }
        match direction {
            Direction::Incoming => self.tell_incoming_failed(at, error),
            Direction::Outgoing => self.tell_dial_failed(conn, at, expect, manual, error),
        }
    }

    /// Keeps a refused incoming stream just long enough to say why.
    fn linger_refusal(&mut self, conn: ConnId, at: SocketAddr, early: Vec<u8>) {
        let mut connection = Connection::new(at, Direction::Incoming, None);
        connection.early = early;
        self.admission.on_accept(at.ip());
        self.admission.on_handshake_over(at.ip());
        self.conns.insert(conn, connection);
        let linger = self.cx.timing.linger;
        self.set_timer(conn, linger, Why::Linger);
        self.announce_write(conn);
        self.cx.push(Output::Close(conn));
    }

    fn tell_incoming_failed(&mut self, at: SocketAddr, error: DialError) {
        let now = self.cx.now;
        self.failures.untold = self.failures.untold.saturating_add(1);
        if self.failures.told.is_none_or(|told| now.since(told) >= Duration::from_secs(1)) {
            self.failures.told = Some(now);
            let count = mem::take(&mut self.failures.untold);
            self.cx.tell(Event::IncomingFailed { at, error, count });
        }
    }

    fn tell_dial_failed(
        &mut self,
        conn: ConnId,
        at: SocketAddr,
        peer: Option<PeerId>,
        manual: bool,
        error: DialError,
    ) {
        let mut retry_in = None;
        if let Some(peer) = peer
            && let Some(known) = self.book.get_mut(&peer)
            && known.dialing == Some(conn)
        {
            known.dialing = None;
            if known.conn.is_none() {
                retry_in = self.schedule_redial(peer);
            }
        }
        let quiet = matches!(error, DialError::AlreadyConnected(_) | DialError::Oneself) && !manual;
        if !quiet {
            self.cx.tell(Event::DialFailed { at, peer, error, retry_in });
        }
    }

    /// The adapter reports the end of a stream.
    pub(super) fn on_closed(&mut self, conn: ConnId, cause: CloseCause) {
        let Some(connection) = self.conns.get(&conn) else { return };
        match &connection.phase {
            Phase::Open(_) => self.drop_connection(conn, cause, false),
            _ if connection.direction == Direction::Incoming
                && matches!(connection.phase, Phase::Dialing) =>
            {
                self.forget_connection(conn);
            }
            _ => self.give_up(conn, DialError::Stream(cause), false),
        }
    }

    /// Ends a connection at once, with `abort` if its stream is still there, and tells what became of it.
    pub(super) fn drop_connection(&mut self, conn: ConnId, cause: CloseCause, abort: bool) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        if let Some(link) = connection.link() {
            let from = (connection.direction == Direction::Incoming).then_some(connection.at.ip());
            let bytes = link.held.bytes();
            if bytes > 0 {
                self.unread.insert(conn, Unread { from, bytes });
            }
        }
        let (at, phase) = (connection.at, mem::replace(&mut connection.phase, Phase::Dialing));
        let was_handshaking = matches!(phase, Phase::Handshaking(_));
        if was_handshaking && connection.direction == Direction::Incoming {
            self.admission.on_handshake_over(at.ip());
        }
        self.forget_connection_counted(conn);
        if abort {
            self.cx.push(Output::Abort(conn));
        }
        if let Phase::Open(link) = phase {
            self.on_link_gone(conn, at, *link, cause);
        }
    }

    fn on_link_gone(&mut self, conn: ConnId, at: SocketAddr, link: Link, cause: CloseCause) {
        for timer in [link.settle, link.expiry.map(|(_, timer)| timer)].into_iter().flatten() {
            self.cx.timers.cancel(timer);
        }
        let peer = link.channel.peer;
        let reason = link.reason.unwrap_or(CloseReason::Lost(cause));
        if self.pending.get(&peer) == Some(&conn) {
            self.pending.remove(&peer);
        }
        let mut ours = false;
        if let Some(known) = self.book.get_mut(&peer)
            && known.conn == Some(conn)
        {
            known.conn = None;
            ours = true;
        }
        let quiet = matches!(
            reason,
            CloseReason::Local(DisconnectReason::Duplicate)
                | CloseReason::Remote(DisconnectReason::Duplicate)
        ) && !link.announced
            // Whoever was told of a beginning is told of the end.
            && link.handshake_began.is_none();
        if !quiet && peer != self.me.id {
            let unsent = link.channel.unsent();
            self.cx.tell(Event::PeerClosed { peer, conn, at, reason, unsent });
        }
        if ours {
            self.forget_in_transfers(peer);
            self.after_loss(peer, reason);
            self.lose_answers(peer);
        }
    }

    fn forget_connection(&mut self, conn: ConnId) {
        if let Some(connection) = self.conns.get(&conn)
            && connection.direction == Direction::Incoming
            && matches!(connection.phase, Phase::Handshaking(_))
        {
            self.admission.on_handshake_over(connection.at.ip());
        }
        self.forget_connection_counted(conn);
    }

    fn forget_connection_counted(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.remove(&conn) else { return };
        self.ciphers.forget_both(conn);
        if let Some(timer) = connection.timer {
            self.cx.timers.cancel(timer);
        }
        if !self.unread.contains_key(&conn) {
            let incoming = connection.direction == Direction::Incoming;
            self.admission.on_over(incoming.then_some(connection.at.ip()));
        }
    }

    /// The application gives back payload of a connection that is gone: with the last of it goes its place.
    pub(super) fn on_late_consumed(&mut self, conn: ConnId, bytes: u32) {
        let Some(unread) = self.unread.get_mut(&conn) else { return };
        unread.bytes = unread.bytes.saturating_sub(bytes.into());
        if unread.bytes == 0 {
            let from = unread.from;
            self.unread.remove(&conn);
            self.admission.on_over(from);
        }
    }

    /// Arms the phase timer of a connection in place of the one it had.
    pub(super) fn set_timer(&mut self, conn: ConnId, after: Duration, why: Why) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        if let Some(timer) = connection.timer.take() {
            self.cx.timers.cancel(timer);
        }
        connection.timer = Some(self.cx.arm(after, TimerFor::Phase(conn, why)));
    }
}

/// Whether a new connection to a peer replaces the channel that there is. Both sides decide alike:
/// another run of the peer replaces; of two that were opened at the same time, each side dialling, the one dialled by
/// the smaller id stays; otherwise the new one replaces, since its dialler has given the old one up.
fn replaces(
    me: PeerId,
    who: &Answerer,
    direction: Direction,
    old_direction: Direction,
    old: &Link,
    now: Instant,
) -> bool {
    if old.channel.start_nonce != who.start_nonce || old.stage == Stage::Closing {
        return true;
    }
    let race = now.since(old.opened) < RACE && direction != old_direction;
    if race {
        return (direction == Direction::Outgoing) == (me < who.peer);
    }
    // An outgoing dial by address that reaches a peer whose channel is alive is not needed.
    direction == Direction::Incoming
}
