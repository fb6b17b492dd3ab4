//! What the [turns](crate::turns) of a node ask of whoever watches its sockets.

use crate::listen;
use p2pnet_protocol::{ConnId, ListenerId};
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

/// A datagram socket of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketId {
    /// Listens on a designated port.
    Ear(usize),
    /// Tells that interfaces changed.
    Watch,
}

/// What a socket is ready for. Where it turns out not to be no harm is done, and what nobody waits for is ignored.
#[derive(Debug)]
pub enum Ready<S> {
    /// Reading would not block.
    Readable(ConnId),
    /// Writing would not block; a dial is decided.
    Writable(ConnId),
    /// A listener accepted a stream, or failed to.
    Accepted(ListenerId, io::Result<(S, SocketAddr)>),
    /// A datagram can be taken.
    Receivable(SocketId),
}

/// A node's sockets, and who tells when they are ready. All that are handed over are non-blocking already.
///
/// Each `await_*` asks for one [`Ready`], in some later turn. Those for reading, writing and receiving are only called
/// once the socket is exhausted: it would have blocked, or moved less than it was asked to. So readiness by edges will
/// do, but for one thing: the end of a stream comes with the last of its data, and no edge follows.
pub trait Sockets {
    /// A connected (or connecting) stream.
    type Stream;

    /// Takes over a listening socket.
    ///
    /// # Errors
    /// If it can't be watched.
    fn add_listener(&mut self, id: ListenerId, listener: TcpListener) -> io::Result<()>;
    /// Takes over a datagram socket.
    ///
    /// # Errors
    /// If it can't be watched.
    fn add_socket(&mut self, id: SocketId, socket: UdpSocket) -> io::Result<()>;
    /// Closes a datagram socket.
    fn remove_socket(&mut self, id: SocketId);
    /// Takes over a stream.
    ///
    /// # Errors
    /// If it can't be watched.
    fn adopt(&mut self, stream: TcpStream) -> io::Result<Self::Stream>;
    /// Begins to dial: the stream is writable once that is [decided](Self::decided).
    ///
    /// # Errors
    /// If it fails at once.
    fn dial(&mut self, to: SocketAddr) -> io::Result<Self::Stream> {
        listen::dial(to).and_then(|stream| self.adopt(stream))
    }
    /// What came of a dial: where the stream is on this side. `None`: it is still under way.
    ///
    /// # Errors
    /// Why it failed.
    fn decided(stream: &Self::Stream) -> io::Result<Option<SocketAddr>> {
        let socket = Self::stream_ref(stream).ok_or(io::ErrorKind::Unsupported)?;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            // Woken though nothing is decided.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
            connected => connected?,
        };
        let here = socket.local_addr()?.as_socket();
        Ok(Some(here.unwrap_or_else(|| ([0, 0, 0, 0], 0).into())))
    }
    /// Tells the other side that no more will be written. Reading goes on.
    ///
    /// # Errors
    /// If the stream is broken.
    fn end_writing(stream: &Self::Stream) -> io::Result<()> {
        let socket = Self::stream_ref(stream).ok_or(io::ErrorKind::Unsupported)?;
        socket.shutdown(Shutdown::Write)
    }
    /// Closes a stream. `awaited` says whether a readiness is still asked for: it need not come any more.
    fn release(&mut self, conn: ConnId, stream: Self::Stream, awaited: bool);

    /// Asks for one stream of a listener.
    fn await_accept(&mut self, id: ListenerId);
    /// Asks when a datagram can be taken.
    fn await_receive(&mut self, id: SocketId);
    /// Asks when reading would not block.
    ///
    /// # Errors
    /// If it can't be watched.
    fn await_read(&mut self, conn: ConnId, stream: &mut Self::Stream) -> io::Result<()>;
    /// Asks when writing would not block.
    ///
    /// # Errors
    /// If it can't be watched.
    fn await_write(&mut self, conn: ConnId, stream: &mut Self::Stream) -> io::Result<()>;

    /// Reads what is there.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, or the stream's error.
    fn try_read(stream: &Self::Stream, into: &mut [u8]) -> io::Result<usize>;
    /// Writes what fits.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing does, or the stream's error.
    fn try_write(stream: &Self::Stream, from: &[u8]) -> io::Result<usize>;
    /// The socket underneath, where the operating system has one. Without, [`dial`](Self::dial),
    /// [`decided`](Self::decided) and [`end_writing`](Self::end_writing) are the implementor's.
    fn stream_ref(stream: &Self::Stream) -> Option<SockRef<'_>>;
    /// Takes a datagram.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none, or the socket's error.
    fn try_receive_from(&self, id: SocketId, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
    /// Takes a datagram whose sender has no internet address (the interface watch).
    ///
    /// # Errors
    /// As [`try_receive_from`](Self::try_receive_from).
    fn try_receive(&self, id: SocketId, into: &mut [u8]) -> io::Result<usize>;
    /// The socket underneath, if it is there.
    fn socket_ref(&self, id: SocketId) -> Option<SockRef<'_>>;
}
