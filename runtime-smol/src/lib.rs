//! P2PNet on smol.
//!
//! The sockets and timers are [`async_io`]'s, which run under any executor. [`spawn`] takes smol's global one, [`start`]
//! leaves the choice to you, and [`run_in_thread`] needs none.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # smol::block_on(async {
//! use p2pnet_smol::{Builder, Config};
//! let mut config = Config::default();
//! config.lan.enabled = false;
//! let (node, mut events) = p2pnet_smol::spawn(Builder::new(config))?;
//! println!("{} listens on {:?}", node.id(), node.listening());
//! node.shutdown().await?;
//! while events.next().await.is_some() {}
//! # Ok(())
//! # })
//! # }
//! ```

pub use p2pnet_driver as driver;
pub use p2pnet_driver::{Builder, Config, Event, Events, Handle, Packet, PeerId, StartError};

use async_io::{Async, Timer};
use futures_util::FutureExt as _;
use futures_util::future::Map;
use p2pnet_driver::runtime::Runtime;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Starts a node as a task of smol's global executor.
///
/// # Errors
/// [`StartError`] says what is in the way.
#[cfg(feature = "smol")]
pub fn spawn(builder: Builder) -> Result<(Handle, Events), StartError> {
    let (handle, events, node) = start(builder)?;
    smol::spawn(node).detach();
    Ok((handle, events))
}

/// Opens everything a node needs, and gives the future that runs it until it was shut down. Hand that to the executor of
/// your choice; dropping it ends the node at once.
///
/// ```
/// # let mut config = p2pnet_smol::Config::default();
/// # config.lan.enabled = false;
/// let executor = smol::LocalExecutor::new();
/// let (handle, _events, node) = p2pnet_smol::start(p2pnet_smol::Builder::new(config))?;
/// executor.spawn(node).detach();
/// smol::block_on(executor.run(handle.shutdown()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn start(
    builder: Builder,
) -> Result<(Handle, Events, impl Future<Output = ()> + Send), StartError> {
    let (handle, events, driver) = builder.start()?;
    Ok((handle, events, driver.run(AsyncIo)?))
}

/// Starts a node in a thread of its own. The thread ends with the node.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn run_in_thread(builder: Builder) -> Result<(Handle, Events), StartError> {
    let (handle, events, node) = start(builder)?;
    std::thread::Builder::new()
        .name("p2pnet".into())
        .spawn(move || async_io::block_on(node))
        .map_err(StartError::Runtime)?;
    Ok((handle, events))
}

/// The sockets and timers of [`async_io`]. It watches a socket each time that somebody waits for it, so readiness can't
/// be missed.
#[derive(Clone, Copy, Debug)]
pub struct AsyncIo;

impl Runtime for AsyncIo {
    type Stream = Async<TcpStream>;
    type Listener = Async<TcpListener>;
    type Socket = Async<UdpSocket>;
    type Sleep = Map<Timer, fn(Instant)>;

    fn stream(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        Async::new_nonblocking(stream)
    }

    fn listener(&self, listener: TcpListener) -> io::Result<Self::Listener> {
        Async::new_nonblocking(listener)
    }

    fn socket(&self, socket: UdpSocket) -> io::Result<Self::Socket> {
        Async::new_nonblocking(socket)
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        Timer::after(time).map(|_| ())
    }

    fn poll_readable(stream: &Self::Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_readable(cx)
    }

    fn poll_writable(stream: &Self::Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_writable(cx)
    }

    fn try_read(stream: &Self::Stream, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut stream.get_ref(), into)
    }

    fn try_write(stream: &Self::Stream, from: &[u8]) -> io::Result<usize> {
        driver::runtime::send(&SockRef::from(stream), from)
    }

    fn stream_ref(stream: &Self::Stream) -> SockRef<'_> {
        SockRef::from(stream)
    }

    fn poll_accept(
        listener: &Self::Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Stream, SocketAddr)>> {
        loop {
            match listener.get_ref().accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => {
                    return Poll::Ready(
                        accepted.and_then(|(stream, from)| Ok((Async::new(stream)?, from))),
                    );
                }
            }
            ready!(listener.poll_readable(cx))?;
        }
    }

    fn poll_receivable(socket: &Self::Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket.poll_readable(cx)
    }

    fn try_receive_from(socket: &Self::Socket, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        socket.get_ref().recv_from(into)
    }

    fn try_receive(socket: &Self::Socket, into: &mut [u8]) -> io::Result<usize> {
        socket.get_ref().recv(into)
    }

    fn socket_ref(socket: &Self::Socket) -> SockRef<'_> {
        SockRef::from(socket)
    }
}
