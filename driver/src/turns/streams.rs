//! Streams: dialling, accepting, reading, writing, closing.

use super::{ACCEPT_PAUSE, Turns};
use crate::handle::Attachment;
use crate::sockets::Sockets;
use bytes::{Buf as _, Bytes};
use p2pnet_protocol::net::canonical;
use p2pnet_protocol::{CloseCause, ConnId, ListenerId, PeerId};
use std::io;
use std::net::SocketAddr;

/// Bytes taken from the core for one write at most.
const WRITE_BYTES: usize = 128 << 10;
/// Reads, and writes, of one stream in one turn.
const ROUNDS_MAX: usize = 4;
/// Bytes read, and written, in one turn over all streams; what is over waits for the next.
const TURN_BYTES: usize = 2 << 20;

/// One stream, as the loop sees it.
#[derive(Debug)]
pub(super) struct Conn<S> {
    stream: S,
    phase: Phase,
    /// What the core handed out and the socket has not taken yet.
    chunk: Bytes,
    /// Whose channel it is, once that is known.
    pub(super) peer: Option<PeerId>,
    reading: Reading,
    writing: Writing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Dialing,
    Open,
    /// What is left is written, input is discarded.
    Closing,
    /// All is written and the write side is shut down.
    Draining,
}

/// Which of its reads a stream is at. At most one is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Not before the core opens the window.
    Paused,
    /// The socket is waited for.
    Waiting,
    /// In line for this turn or the next.
    InLine,
    /// The other side has ended its stream.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// The core had nothing more.
    Idle,
    /// The socket is waited for.
    Waiting,
    /// In line for this turn or the next.
    InLine,
}

enum Moved {
    /// There may be more at once.
    All(usize),
    /// The socket is exhausted: wait until it is ready.
    Some(usize),
    /// The other side has ended (reads alone).
    End,
}

fn moved(asked: usize, result: io::Result<usize>) -> Result<Moved, CloseCause> {
    match result {
        Ok(0) => Ok(Moved::End),
        Ok(bytes) if bytes == asked => Ok(Moved::All(bytes)),
        Ok(bytes) => Ok(Moved::Some(bytes)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(Moved::Some(0)),
            io::ErrorKind::Interrupted => Ok(Moved::All(0)),
            _ => Err(cause(&error)),
        },
    }
}

/// What an error of the operating system means to the core.
fn cause(error: &io::Error) -> CloseCause {
    use io::ErrorKind as Kind;
    if let Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL) =
        error.raw_os_error()
    {
        return CloseCause::OutOfResources;
    }
    match error.kind() {
        Kind::ConnectionRefused => CloseCause::Refused,
        Kind::TimedOut => CloseCause::TimedOut,
        Kind::OutOfMemory => CloseCause::OutOfResources,
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::PermissionDenied
        | Kind::Unsupported
        | Kind::InvalidInput => CloseCause::Unreachable,
        _ => CloseCause::Reset,
    }
}

impl<S: Sockets> Turns<S> {
    pub(super) fn dial(&mut self, conn: ConnId, to: SocketAddr) {
        match self.sockets.dial(to) {
            Ok(stream) => {
                self.insert(conn, stream, Phase::Dialing, Writing::Waiting);
                self.await_write(conn);
            }
            Err(error) => {
                tracing::debug!(target: "p2pnet::peers", %conn, %to, %error, "dial failed");
                self.net.handle_closed(self.now, conn, cause(&error));
            }
        }
    }

    fn insert(&mut self, conn: ConnId, stream: S::Stream, phase: Phase, writing: Writing) {
        let reading = Reading::Paused;
        let state = Conn { stream, phase, chunk: Bytes::new(), peer: None, reading, writing };
        self.conns.insert(conn, state);
    }

    /// A stream is connected: begin to read. What to write is told by outputs.
    fn open(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.phase = Phase::Open;
        state.writing = Writing::Idle;
        if let Some(socket) = S::stream_ref(&state.stream)
            && let Err(error) = socket.set_tcp_nodelay(true)
        {
            // Not every stream that an application hands in is TCP.
            tracing::trace!(target: "p2pnet::driver", %conn, %error, "no TCP_NODELAY");
        }
        state.reading = Reading::InLine;
        self.to_read.push_back(conn);
    }

    pub(super) fn attach(&mut self, attachment: Attachment) {
        let Attachment { stream, direction, at, expect, promise } = attachment;
        let ready = stream.set_nonblocking(true).and_then(|()| self.sockets.adopt(stream));
        let Ok(stream) = ready else {
            return promise
                .answer(Err(p2pnet_protocol::CommandError::OutOfRange("the stream handed in")));
        };
        let attached = self.net.attach(self.now, direction, at, expect);
        if let Ok(conn) = attached {
            self.insert(conn, stream, Phase::Open, Writing::Idle);
            self.open(conn);
        }
        promise.answer(attached);
    }

    pub(super) fn on_accept(
        &mut self,
        id: ListenerId,
        accepted: io::Result<(S::Stream, SocketAddr)>,
    ) {
        match accepted {
            Ok((stream, from)) => {
                self.shared.counts.accepted.add(1);
                if let Some(conn) = self.net.handle_incoming(self.now, id, canonical(from)) {
                    self.insert(conn, stream, Phase::Open, Writing::Idle);
                    self.open(conn);
                }
            }
            // That one stream was gone again; the next may be fine.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(target: "p2pnet::driver", %error, "accepting is put off");
                self.shared.counts.accept_pauses.add(1);
                return self.resting.push((self.now + ACCEPT_PAUSE, id));
            }
        }
        self.sockets.await_accept(id);
    }

    /// Asks when a stream that is exhausted can be read again.
    fn await_read(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.reading = Reading::Waiting;
        if let Err(error) = self.sockets.await_read(conn, &mut state.stream) {
            self.end(conn, cause(&error));
        }
    }

    /// Asks when a stream that is full can be written again.
    fn await_write(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.writing = Writing::Waiting;
        if let Err(error) = self.sockets.await_write(conn, &mut state.stream) {
            self.end(conn, cause(&error));
        }
    }

    pub(super) fn on_readable(&mut self, conn: ConnId) {
        if let Some(state) = self.conns.get_mut(&conn)
            && state.reading == Reading::Waiting
        {
            state.reading = Reading::InLine;
            self.to_read.push_back(conn);
        }
    }

    pub(super) fn on_writable(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if state.phase == Phase::Dialing {
            return self.on_dialed(conn);
        }
        if state.writing == Writing::Waiting {
            state.writing = Writing::InLine;
            self.to_write.push_back(conn);
        }
    }

    fn on_dialed(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get(&conn) else { return };
        match S::decided(&state.stream) {
            Ok(None) => self.await_write(conn),
            Ok(Some(local)) => {
                self.net.handle_connected(self.now, conn, canonical(local));
                self.open(conn);
            }
            Err(error) => self.end(conn, cause(&error)),
        }
    }

    /// A stream is over, by itself.
    fn end(&mut self, conn: ConnId, cause: CloseCause) {
        self.forget(conn);
        self.net.handle_closed(self.now, conn, cause);
    }

    /// Drops a stream.
    pub(super) fn forget(&mut self, conn: ConnId) {
        let Some(state) = self.conns.remove(&conn) else { return };
        let awaited = state.reading == Reading::Waiting || state.writing == Writing::Waiting;
        self.sockets.release(conn, state.stream, awaited);
    }

    /// The core lets go of a stream gracefully.
    pub(super) fn close(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if state.phase == Phase::Dialing {
            return self.end(conn, CloseCause::Finished);
        }
        state.phase = Phase::Closing;
        self.resume_reading(conn);
        self.resume_writing(conn);
    }

    pub(super) fn resume_reading(&mut self, conn: ConnId) {
        if let Some(state) = self.conns.get_mut(&conn)
            && state.reading == Reading::Paused
            && state.phase != Phase::Dialing
        {
            state.reading = Reading::InLine;
            self.to_read.push_back(conn);
        }
    }

    pub(super) fn resume_writing(&mut self, conn: ConnId) {
        if let Some(state) = self.conns.get_mut(&conn)
            && state.writing == Writing::Idle
            && state.phase != Phase::Draining
        {
            state.writing = Writing::InLine;
            self.to_write.push_back(conn);
        }
    }

    /// Reads the streams that are in line, each a few times, until the turn's share is used up.
    pub(super) fn read_streams(&mut self) {
        let mut left = TURN_BYTES;
        for _ in 0..self.to_read.len() {
            if left == 0 {
                break;
            }
            let Some(conn) = self.to_read.pop_front() else { break };
            let read = self.read_stream(conn);
            left = left.saturating_sub(read);
        }
    }

    fn read_stream(&mut self, conn: ConnId) -> usize {
        let mut total = 0;
        for _ in 0..ROUNDS_MAX {
            let Some(state) = self.conns.get_mut(&conn) else { return total };
            let discard = state.phase != Phase::Open;
            let window = if discard { usize::MAX } else { self.net.read_window(conn) };
            if window == 0 {
                state.reading = Reading::Paused;
                return total;
            }
            let buffer = self.buffer.bytes();
            let asked = window.min(buffer.len());
            let into = &mut buffer[..asked];
            match moved(asked, S::try_read(&state.stream, into)) {
                Ok(Moved::End) => {
                    self.on_end_of_stream(conn);
                    return total;
                }
                Ok(Moved::All(bytes)) => {
                    total += bytes;
                    if !discard {
                        self.net.handle_stream(self.now, conn, &mut into[..bytes]);
                    }
                }
                Ok(Moved::Some(bytes)) => {
                    total += bytes;
                    if !discard && bytes > 0 {
                        self.net.handle_stream(self.now, conn, &mut into[..bytes]);
                    }
                    self.shared.counts.bytes_read.add(total as u64);
                    self.await_read(conn);
                    return total;
                }
                Err(cause) => {
                    self.end(conn, cause);
                    return total;
                }
            }
        }
        self.shared.counts.bytes_read.add(total as u64);
        // Still in line: others first.
        self.to_read.push_back(conn);
        total
    }

    fn on_end_of_stream(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.reading = Reading::Ended;
        match state.phase {
            Phase::Open | Phase::Dialing => self.end(conn, CloseCause::EndOfStream),
            Phase::Draining => self.end(conn, CloseCause::Finished),
            // The rest is still to be written.
            Phase::Closing => {}
        }
    }

    /// Writes to the streams that are in line, each a few times, until the turn's share is used up.
    pub(super) fn write_streams(&mut self) {
        let mut left = TURN_BYTES;
        for _ in 0..self.to_write.len() {
            if left == 0 {
                break;
            }
            let Some(conn) = self.to_write.pop_front() else { break };
            let written = self.write_stream(conn);
            self.shared.counts.bytes_written.add(written as u64);
            left = left.saturating_sub(written);
        }
    }

    fn write_stream(&mut self, conn: ConnId) -> usize {
        let mut total = 0;
        for _ in 0..ROUNDS_MAX {
            let Some(state) = self.conns.get_mut(&conn) else { return total };
            if state.chunk.is_empty() {
                // Even empty it holds its buffer, which the core fills again only when nobody else does.
                state.chunk = Bytes::new();
                match self.net.poll_write(conn, WRITE_BYTES) {
                    Some(chunk) => state.chunk = chunk,
                    None => {
                        state.writing = Writing::Idle;
                        self.on_all_written(conn);
                        return total;
                    }
                }
                if let Some(peer) = &state.peer {
                    self.more |= self.shared.outbox.retry(peer);
                }
            }
            match moved(state.chunk.len(), S::try_write(&state.stream, &state.chunk)) {
                Ok(Moved::All(bytes)) => {
                    total += bytes;
                    state.chunk.advance(bytes);
                }
                Ok(Moved::Some(bytes)) => {
                    total += bytes;
                    state.chunk.advance(bytes);
                    self.await_write(conn);
                    return total;
                }
                Ok(Moved::End) => {
                    self.end(conn, CloseCause::Reset);
                    return total;
                }
                Err(cause) => {
                    self.end(conn, cause);
                    return total;
                }
            }
        }
        self.to_write.push_back(conn);
        total
    }

    fn on_all_written(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if state.phase != Phase::Closing {
            return;
        }
        state.phase = Phase::Draining;
        let ended = state.reading == Reading::Ended;
        match S::end_writing(&state.stream) {
            Ok(()) if !ended => {}
            Ok(()) => self.end(conn, CloseCause::Finished),
            Err(error) => self.end(conn, cause(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_causes() {
        let of = |number| cause(&io::Error::from_raw_os_error(number));
        assert_eq!(of(libc::ECONNREFUSED), CloseCause::Refused);
        assert_eq!(of(libc::ETIMEDOUT), CloseCause::TimedOut);
        assert_eq!(of(libc::ENETUNREACH), CloseCause::Unreachable);
        assert_eq!(of(libc::EHOSTUNREACH), CloseCause::Unreachable);
        assert_eq!(of(libc::EMFILE), CloseCause::OutOfResources);
        assert_eq!(of(libc::ECONNRESET), CloseCause::Reset);
        assert_eq!(of(libc::EPIPE), CloseCause::Reset);
    }
}
