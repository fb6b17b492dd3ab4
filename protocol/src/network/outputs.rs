//! What the world shall do: outputs.

use super::PeerNetwork;
use super::connection::{Phase, Stage};
use crate::crypto::Crypto;
use crate::id::ConnId;
use crate::io::{Deadline, Event, Output, Why};
use alloc::vec::Vec;
use bytes::Bytes;

/// Outputs.
impl<C: Crypto> PeerNetwork<C> {
    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        match self.next_resumed() {
            Some(conn) => Some(Output::ReadReady(conn)),
            // What is to be saved comes last, so that all that came in one go takes one save.
            None => self.cx.pop().or_else(|| self.tasks.next_save()),
        }
    }

    /// The next stream that paused since the node was crowded, and may go on. They are looked up one at a time and
    /// don't queue: with many streams and a short queue they would crowd the node again.
    fn next_resumed(&mut self) -> Option<ConnId> {
        while let Some(from) = self.cx.resume_from() {
            let mut streams = self.conns.range(from..).map(|(conn, _)| *conn);
            let next = streams.find(|conn| self.read_window(*conn) > 0 && !self.is_ending(*conn));
            self.cx.resumed(next);
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Tells the adapter that a stream may be read again, unless it was told to close: it reads to the end then anyway.
    pub(super) fn resume_reading(&mut self, conn: ConnId) {
        if !self.is_ending(conn) {
            self.cx.push(Output::ReadReady(conn));
        }
    }

    fn is_ending(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).and_then(|connection| connection.link()).is_some_and(|l| l.close_sent)
    }

    /// The next bytes to write on a stream: at most `bytes_max`, but at least one whole record if anything waits.
    /// `None` until the next [`Output::WriteReady`].
    pub fn poll_write(&mut self, conn: ConnId, bytes_max: usize) -> Option<Bytes> {
        let connection = self.conns.get_mut(&conn)?;
        let chunk = &mut self.chunk;
        chunk.clear();
        chunk.reserve(bytes_max.clamp(1 << 10, 1 << 20));
        chunk.extend_from_slice(&connection.early);
        connection.early = Vec::new();
        let mut told = None;
        if let Phase::Open(link) = &mut connection.phase
            && !link.close_sent
        {
            let room = bytes_max.saturating_sub(chunk.len());
            let was_full = link.channel.is_control_full();
            link.channel.poll_write(&self.crypto, &mut self.ciphers, room, chunk);
            if was_full && !link.channel.is_control_full() {
                self.cx.push(Output::ReadReady(conn));
            }
            if link.channel.is_flushed() {
                link.close_sent = true;
                self.cx.push(Output::Close(conn));
            }
            let half = (self.cx.limits.send_queue_bytes_max / 2) as usize;
            if link.send_blocked
                && link.channel.queued_bytes() <= half
                && !link.channel.is_control_full()
                && link.stage != Stage::Closing
            {
                link.send_blocked = false;
                told = Some(link.channel.peer);
            }
        }
        if let Some(peer) = told {
            self.cx.tell(Event::SendReady { peer });
        }
        self.serve_more(conn);
        if self.chunk.is_empty() {
            if let Some(connection) = self.conns.get_mut(&conn) {
                connection.write_announced = false;
            }
            return None;
        }
        Some(self.chunk.split().freeze())
    }

    /// How many bytes may be read from a stream now; 0 is "pause until [`Output::ReadReady`]".
    pub fn read_window(&self, conn: ConnId) -> usize {
        const HANDSHAKE_BYTES: usize = 4096;
        let Some(connection) = self.conns.get(&conn) else { return 0 };
        if self.cx.is_crowded() {
            return 0;
        }
        match &connection.phase {
            Phase::Dialing => 0,
            Phase::Handshaking(_) => HANDSHAKE_BYTES,
            Phase::Open(link) => link.read_window(&self.cx.limits),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why. While outputs wait that is now.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if self.cx.has_outputs() || self.tasks.wants_save() {
            return Some(Deadline { at: self.cx.now, why: Why::OutputsWaiting });
        }
        let timer = self.cx.timers.next().map(|(at, what)| Deadline { at, why: what.why() });
        let wan = self.wan_deadline().map(|at| Deadline { at, why: Why::Bootstrap });
        let beacon = self.lan_deadline().map(|at| Deadline { at, why: Why::Beacon });
        // None runs while the node shuts down.
        let routines = self.routines.next_deadline().filter(|_| !self.shutting_down);
        let routine = routines.map(|at| Deadline { at, why: Why::Routine });
        let transfer = self.transfers.due().map(|at| Deadline { at, why: Why::Transfer });
        let all = [timer, beacon, wan, routine, transfer];
        all.into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}
