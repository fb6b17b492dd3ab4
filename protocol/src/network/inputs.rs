//! What the world did: inputs. They never fail and never panic on what a peer sent.

use super::PeerNetwork;
use super::connection::Phase;
use super::cx::TimerFor;
use super::tasks::Tasks;
use crate::crypto::Crypto;
use crate::error::{DialError, Violation};
use crate::id::{ConnId, ListenerId, RequestId};
use crate::io::{Answer, CloseCause, Direction, Event, Why};
use crate::net::{Interface, canonical};
use crate::time::{Instant, UnixTime};
use core::mem;
use core::net::SocketAddr;

/// Inputs.
impl<C: Crypto> PeerNetwork<C> {
    /// A listening socket is open at `at`.
    pub fn handle_listening(&mut self, now: Instant, listener: ListenerId, at: SocketAddr) {
        self.cx.at(now);
        self.listening.insert(listener, at);
        self.cx.tell(Event::Listening { at });
        self.announce_port();
    }

    /// A listener accepted a stream from `from`. `None` refuses it: drop the stream.
    pub fn handle_incoming(
        &mut self,
        now: Instant,
        _listener: ListenerId,
        from: SocketAddr,
    ) -> Option<ConnId> {
        self.cx.at(now);
        if !self.config.accept_inbound || self.cx.is_crowded() {
            return None;
        }
        self.accept_stream(canonical(from))
    }

    /// The dial of `conn` succeeded.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, _local: SocketAddr) {
        self.cx.at(now);
        self.on_connected(conn);
    }

    /// Bytes arrived on a stream, in whatever pieces. They are decrypted in place, so the buffer's content is spent.
    pub fn handle_stream(&mut self, now: Instant, conn: ConnId, bytes: &mut [u8]) {
        self.cx.at(now);
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        match &mut connection.phase {
            Phase::Dialing => {}
            Phase::Handshaking(_) => {
                let used = self.on_handshake_bytes(conn, bytes);
                if let Some(rest) = bytes.get_mut(used..)
                    && !rest.is_empty()
                {
                    self.handle_channel_bytes(conn, rest);
                }
            }
            Phase::Open(_) => self.handle_channel_bytes(conn, bytes),
        }
    }

    fn handle_channel_bytes(&mut self, conn: ConnId, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(link) = self.conns.get_mut(&conn).and_then(|connection| connection.link_mut())
            else {
                return;
            };
            let heard = &mut self.heard;
            let (crypto, ciphers) = (&self.crypto, &mut self.ciphers);
            let result = link.channel.on_stream(crypto, ciphers, self.cx.now, rest, heard);
            let mut effects = mem::take(&mut heard.effects);
            for effect in effects.drain(..) {
                self.on_channel_effect(conn, effect);
            }
            self.heard.effects = effects;
            match result {
                Ok(used) => rest = rest.get_mut(used..).unwrap_or_default(),
                Err(violation) => return self.on_violation(conn, violation),
            }
        }
        self.check_rate(conn);
        self.announce_write(conn);
    }

    /// A stream ended or broke, or a dial failed.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, cause: CloseCause) {
        self.cx.at(now);
        self.on_closed(conn, cause);
    }

    /// A datagram arrived on a designated port.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.cx.at(now);
        self.on_datagram(canonical(from), bytes);
    }

    /// The world answered a request. An answer to a request that is over is ignored.
    pub fn handle_answer(&mut self, now: Instant, request: RequestId, mut answer: Answer) {
        self.cx.at(now);
        if Tasks::is_ours(request) {
            self.on_saved(request, &answer);
        } else if self.on_wan_answer(request, &mut answer) {
        } else if let Some(asked) = self.asked.remove(&request) {
            self.on_file_answer(asked, answer);
        }
    }

    /// The usable interfaces, all of them; at start and whenever they change.
    #[doc(alias = "LoadLocalAddresses")]
    pub fn handle_interfaces(&mut self, now: Instant, interfaces: &[Interface]) {
        self.cx.at(now);
        if let Some(status) = self.lan.on_interfaces(now, interfaces) {
            self.cx.tell(Event::DiscoveryStatus(status));
        }
    }

    /// The wall clock's reading; `None` if it is known to be unset.
    pub fn handle_wall_time(&mut self, now: Instant, unix: Option<UnixTime>) {
        self.cx.at(now);
        self.wall = unix.map(|unix| (unix, self.cx.now));
        self.watch_all_certificates();
    }

    /// Time passed. Early and late calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.cx.at(now);
        while let Some(timer) = self.cx.timers.pop_due(self.cx.now) {
            match timer {
                TimerFor::Phase(conn, why) => self.on_phase_timer(conn, why),
                TimerFor::Settle(conn) => self.on_settle_timer(conn),
                TimerFor::Expiry(conn) => self.on_expiry(conn),
                TimerFor::Resume(conn) => self.on_resume(conn),
                TimerFor::Redial(peer) => self.on_redial(peer),
                TimerFor::Ticket(task, peer) => self.on_ticket_timer(task, peer),
                TimerFor::TaskDue(number) => self.on_task_timer(number),
            }
        }
        self.on_transfers_timer();
        self.on_lan_timer();
        self.on_wan_timer();
        self.on_routines();
    }

    fn on_phase_timer(&mut self, conn: ConnId, why: Why) {
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        connection.timer = None;
        match why {
            Why::KeepAlive => self.on_keep_alive(conn),
            Why::Pending => self.on_pending_timeout(conn),
            Why::Linger => self.drop_connection(conn, CloseCause::TimedOut, true),
            _ => match connection.phase {
                Phase::Dialing => self.fail(conn, DialError::Stream(CloseCause::TimedOut)),
                _ => self.fail(conn, DialError::HandshakeTimedOut),
            },
        }
    }

    fn on_violation(&mut self, conn: ConnId, violation: Violation) {
        self.stats.violations = self.stats.violations.saturating_add(1);
        if let Some(link) = self.conns.get_mut(&conn).and_then(|connection| connection.link_mut()) {
            link.reason.get_or_insert(crate::error::CloseReason::Violation(violation));
        }
        self.drop_connection(conn, CloseCause::Reset, true);
    }

    /// Adopts a stream that the application opened itself: bytes may come at once.
    ///
    /// # Errors
    /// [`CommandError`](crate::CommandError) if a limit is reached, the address is blocked or the node is shutting down.
    pub fn attach(
        &mut self,
        now: Instant,
        direction: Direction,
        at: SocketAddr,
        expect: Option<crate::id::PeerId>,
    ) -> Result<ConnId, crate::error::CommandError> {
        self.cx.at(now);
        self.attach_stream(direction, canonical(at), expect)
    }
}
