//! The node's sockets in somebody's poll.

use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use p2pnet_driver::runtime;
use p2pnet_driver::sockets::{Ready, SocketId, Sockets};
use p2pnet_protocol::{ConnId, ListenerId};
use socket2::SockRef;
use std::collections::HashMap;
use std::io;
use std::net::{self, SocketAddr};

/// Sockets that are registered once, and tell each edge of their readiness.
#[derive(Debug)]
pub(crate) struct Watched {
    registry: Registry,
    first: Token,
    /// Each with whether its next edge is waited for.
    listeners: HashMap<ListenerId, (TcpListener, bool)>,
    sockets: HashMap<SocketId, UdpSocket>,
    /// Each with whether its other side has ended: no edge will tell that again.
    streams: HashMap<ConnId, bool>,
    ready: Vec<Ready<TcpStream>>,
}

/// What a token stands for. Tokens of streams are never used again, so that a late event can't be taken for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Listener(ListenerId),
    Socket(SocketId),
    Stream(ConnId),
}

impl Of {
    const KINDS: u64 = 3;

    fn token(self, first: Token) -> io::Result<Token> {
        let (kind, number) = match self {
            Self::Listener(id) => (0, id.0.into()),
            Self::Socket(SocketId::Watch) => (1, 0),
            Self::Socket(SocketId::Ear(ear)) => (1, ear as u64 + 1),
            Self::Stream(conn) => (2, conn.0),
        };
        let offset = number.checked_mul(Self::KINDS).and_then(|offset| offset.checked_add(kind));
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        let token = offset.and_then(|offset| first.0.checked_add(offset));
        token.map(Token).ok_or_else(|| io::Error::other("no token is left"))
    }

    fn from_token(token: Token, first: Token) -> Option<Self> {
        let offset = token.0.checked_sub(first.0)? as u64;
        let number = offset / Self::KINDS;
        Some(match offset % Self::KINDS {
            0 => Self::Listener(ListenerId(u32::try_from(number).ok()?)),
            1 => Self::Socket(match usize::try_from(number).ok()?.checked_sub(1) {
                None => SocketId::Watch,
                Some(ear) => SocketId::Ear(ear),
            }),
            _ => Self::Stream(ConnId(number)),
        })
    }
}

impl Watched {
    pub(crate) fn new(registry: Registry, first: Token) -> Self {
        Self {
            registry,
            first,
            listeners: HashMap::new(),
            sockets: HashMap::new(),
            streams: HashMap::new(),
            ready: Vec::new(),
        }
    }

    /// Notes what an event says, if it is about one of these.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        match Of::from_token(event.token(), self.first) {
            Some(Of::Listener(id)) => self.on_incoming(id),
            Some(Of::Socket(id)) => self.ready.push(Ready::Receivable(id)),
            Some(Of::Stream(conn)) => self.on_stream(conn, event),
            None => return false,
        }
        true
    }

    fn on_incoming(&mut self, id: ListenerId) {
        if self.listeners.get(&id).is_some_and(|(_, awaited)| *awaited) {
            self.await_accept(id);
        }
    }

    fn on_stream(&mut self, conn: ConnId, event: &Event) {
        let Some(ended) = self.streams.get_mut(&conn) else { return };
        *ended |= event.is_read_closed() || event.is_error();
        if event.is_readable() || *ended {
            self.ready.push(Ready::Readable(conn));
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            self.ready.push(Ready::Writable(conn));
        }
    }

    /// Hands over what became ready since the last call, for an empty list.
    pub(crate) fn swap_ready(&mut self, empty: &mut Vec<Ready<TcpStream>>) {
        std::mem::swap(&mut self.ready, empty);
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn register(&self, of: Of, source: &mut impl Source, interest: Interest) -> io::Result<()> {
        self.registry.register(source, of.token(self.first)?, interest)
    }

    /// Watches a stream from the first time that somebody waits for it. Says whether it has ended.
    fn watch(&mut self, conn: ConnId, stream: &mut TcpStream) -> io::Result<bool> {
        if let Some(ended) = self.streams.get(&conn) {
            return Ok(*ended);
        }
        self.register(Of::Stream(conn), stream, Interest::READABLE | Interest::WRITABLE)?;
        self.streams.insert(conn, false);
        Ok(false)
    }
}

impl Sockets for Watched {
    type Stream = TcpStream;

    fn add_listener(&mut self, id: ListenerId, listener: net::TcpListener) -> io::Result<()> {
        let mut listener = TcpListener::from_std(listener);
        self.register(Of::Listener(id), &mut listener, Interest::READABLE)?;
        self.listeners.insert(id, (listener, false));
        Ok(())
    }

    fn add_socket(&mut self, id: SocketId, socket: net::UdpSocket) -> io::Result<()> {
        let mut socket = UdpSocket::from_std(socket);
        self.register(Of::Socket(id), &mut socket, Interest::READABLE)?;
        self.sockets.insert(id, socket);
        Ok(())
    }

    fn remove_socket(&mut self, id: SocketId) {
        if let Some(mut socket) = self.sockets.remove(&id) {
            let _ = self.registry.deregister(&mut socket);
        }
    }

    fn adopt(&mut self, stream: net::TcpStream) -> io::Result<TcpStream> {
        Ok(TcpStream::from_std(stream))
    }

    fn release(&mut self, conn: ConnId, mut stream: TcpStream, _awaited: bool) {
        if self.streams.remove(&conn).is_some() {
            // Closing isn't enough where the application has kept a descriptor of the same socket.
            let _ = self.registry.deregister(&mut stream);
        }
    }

    fn await_accept(&mut self, id: ListenerId) {
        let Some((listener, awaited)) = self.listeners.get_mut(&id) else { return };
        let accepted = listener.accept();
        *awaited = matches!(&accepted, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if !*awaited {
            self.ready.push(Ready::Accepted(id, accepted));
        }
    }

    fn await_receive(&mut self, _id: SocketId) {}

    fn await_read(&mut self, conn: ConnId, stream: &mut TcpStream) -> io::Result<()> {
        if self.watch(conn, stream)? {
            self.ready.push(Ready::Readable(conn));
        }
        Ok(())
    }

    fn await_write(&mut self, conn: ConnId, stream: &mut TcpStream) -> io::Result<()> {
        self.watch(conn, stream).map(|_| ())
    }

    fn try_read(stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &*stream, into)
    }

    fn try_write(stream: &TcpStream, from: &[u8]) -> io::Result<usize> {
        runtime::send(&SockRef::from(stream), from)
    }

    fn stream_ref(stream: &TcpStream) -> Option<SockRef<'_>> {
        Some(SockRef::from(stream))
    }

    fn try_receive_from(&self, id: SocketId, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.sockets.get(&id).ok_or(io::ErrorKind::NotFound)?.recv_from(into)
    }

    fn try_receive(&self, id: SocketId, into: &mut [u8]) -> io::Result<usize> {
        self.sockets.get(&id).ok_or(io::ErrorKind::NotFound)?.recv(into)
    }

    fn socket_ref(&self, id: SocketId) -> Option<SockRef<'_>> {
        self.sockets.get(&id).map(SockRef::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_for_one_socket_each() {
        let first = Token(1000);
        let all = [
            Of::Listener(ListenerId(0)),
            Of::Listener(ListenerId(7)),
            Of::Socket(SocketId::Watch),
            Of::Socket(SocketId::Ear(0)),
            Of::Socket(SocketId::Ear(9)),
            Of::Stream(ConnId(0)),
            Of::Stream(ConnId(u64::from(u32::MAX))),
        ];
        for of in all {
            let token = of.token(first).unwrap();
            assert!(token >= first);
            assert_eq!(Of::from_token(token, first), Some(of));
        }
        assert_eq!(Of::from_token(Token(999), first), None);
        assert!(Of::Stream(ConnId(u64::MAX)).token(first).is_err());
    }
}
