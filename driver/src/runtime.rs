//! What the loop asks of an asynchronous runtime: sockets that tell when they are ready, and sleep.

use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::task::{Context, Poll};
use std::time::Duration;

/// One runtime's sockets and timers. All sockets handed over are non-blocking already.
///
/// Readiness may be reported though there is none; what must never happen is that a `poll_*` stays pending although
/// the `try_*` that belongs to it would succeed. A `try_*` that moved less than it was asked to has found the end of
/// what was ready: the loop then polls for readiness before it tries again, so an adapter whose readiness is
/// edge-triggered should note it there and save a system call.
///
/// There is no `Send` bound here: a thread-per-core runtime may use types that aren't, and a runtime whose types are
/// gets a loop that is.
pub trait Runtime: 'static {
    /// A connected (or connecting) stream.
    type Stream: 'static;
    /// A listening socket.
    type Listener: 'static;
    /// A datagram socket.
    type Socket: 'static;
    /// Time passing.
    type Sleep: Future<Output = ()>;

    /// Takes over a stream.
    ///
    /// # Errors
    /// If the runtime can't watch it.
    fn stream(&self, stream: TcpStream) -> io::Result<Self::Stream>;
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// If the runtime can't watch it.
    fn listener(&self, listener: TcpListener) -> io::Result<Self::Listener>;
    /// Takes over a datagram socket.
    ///
    /// # Errors
    /// If the runtime can't watch it.
    fn socket(&self, socket: UdpSocket) -> io::Result<Self::Socket>;
    /// Sleeps.
    fn sleep(&self, time: Duration) -> Self::Sleep;

    /// Ready when reading would not block.
    fn poll_readable(stream: &Self::Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Ready when writing would not block; for a dial, when it is decided.
    fn poll_writable(stream: &Self::Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
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
    /// The socket underneath.
    fn stream_ref(stream: &Self::Stream) -> SockRef<'_>;

    /// Accepts a stream.
    fn poll_accept(
        listener: &Self::Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;

    /// Ready when a datagram can be taken.
    fn poll_receivable(socket: &Self::Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Takes a datagram.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none, or the socket's error.
    fn try_receive_from(socket: &Self::Socket, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
    /// Takes a datagram whose sender has no internet address (the interface watch).
    ///
    /// # Errors
    /// As [`try_receive_from`](Self::try_receive_from).
    fn try_receive(socket: &Self::Socket, into: &mut [u8]) -> io::Result<usize>;
    /// The socket underneath.
    fn socket_ref(socket: &Self::Socket) -> SockRef<'_>;
}

/// Sends on a stream's socket without a signal if the other side is gone, for adapters that write by themselves.
///
/// # Errors
/// Whatever the operating system says.
pub fn send(socket: &SockRef<'_>, bytes: &[u8]) -> io::Result<usize> {
    // Systems without the flag have a socket option instead, which `socket2` and `std` set.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    const FLAGS: i32 = libc::MSG_NOSIGNAL;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    const FLAGS: i32 = 0;
    socket.send_with_flags(bytes, FLAGS)
}
