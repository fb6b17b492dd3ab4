//! P2PNet on tokio.
//!
//! [`spawn`] runs a node as a task of the current runtime; [`run_in_thread`] gives it a thread and a runtime of its own,
//! for programs that have none.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use p2pnet_driver::{Builder, Config};
//! let mut config = Config::default();
//! config.lan.enabled = false;
//! let (node, mut events) = p2pnet_tokio::spawn(Builder::new(config))?;
//! println!("{} listens on {:?}", node.id(), node.listening());
//! node.shutdown().await?;
//! while events.next().await.is_some() {}
//! # Ok(())
//! # }
//! ```

pub use p2pnet_driver as driver;
pub use p2pnet_driver::{Builder, Config, Event, Events, Handle, Packet, PeerId, StartError};

use p2pnet_driver::runtime::Runtime;
use socket2::SockRef;
use std::io;
use std::net::{self, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Starts a node as a task of the current tokio runtime, which must have IO and time enabled.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn spawn(builder: Builder) -> Result<(Handle, Events), StartError> {
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|error| StartError::Runtime(io::Error::other(error)))?;
    let (handle, events, driver) = builder.start()?;
    runtime.spawn(driver.run(Tokio)?);
    Ok((handle, events))
}

/// Starts a node in a thread of its own. The thread ends with the node.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn run_in_thread(builder: Builder) -> Result<(Handle, Events), StartError> {
    let (handle, events, driver) = builder.start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(StartError::Runtime)?;
    let node = {
        let _entered = runtime.enter();
        driver.run(Tokio)?
    };
    std::thread::Builder::new()
        .name("p2pnet".into())
        .spawn(move || runtime.block_on(node))
        .map_err(StartError::Runtime)?;
    Ok((handle, events))
}

/// Tokio's sockets and timers.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

/// Moves bytes, and notes it when fewer moved than were asked for: that is when the socket is exhausted, and tokio then
/// waits for its next edge instead of finding out by another system call.
fn noting_exhaustion(
    stream: &TcpStream,
    interest: Interest,
    asked: usize,
    mut act: impl FnMut(&SockRef<'_>) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut moved = None;
    let result = stream.try_io(interest, || {
        let bytes = act(&SockRef::from(stream))?;
        moved = Some(bytes);
        if bytes < asked && bytes > 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match moved {
        Some(bytes) => Ok(bytes),
        None => result.map(|()| 0),
    }
}

impl Runtime for Tokio {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Socket = UdpSocket;
    type Sleep = tokio::time::Sleep;

    fn stream(&self, stream: net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
    }

    fn listener(&self, listener: net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }

    fn socket(&self, socket: net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::from_std(socket)
    }

    fn sleep(&self, time: Duration) -> tokio::time::Sleep {
        tokio::time::sleep(time)
    }

    fn poll_readable(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_read_ready(cx)
    }

    fn poll_writable(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_write_ready(cx)
    }

    fn try_read(stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        let asked = into.len();
        noting_exhaustion(stream, Interest::READABLE, asked, |socket| {
            io::Read::read(&mut &**socket, into)
        })
    }

    fn try_write(stream: &TcpStream, from: &[u8]) -> io::Result<usize> {
        noting_exhaustion(stream, Interest::WRITABLE, from.len(), |socket| {
            driver::runtime::send(socket, from)
        })
    }

    fn stream_ref(stream: &TcpStream) -> SockRef<'_> {
        SockRef::from(stream)
    }

    fn poll_accept(
        listener: &TcpListener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        listener.poll_accept(cx)
    }

    fn poll_receivable(socket: &UdpSocket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket.poll_recv_ready(cx)
    }

    fn try_receive_from(socket: &UdpSocket, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        socket.try_recv_from(into)
    }

    fn try_receive(socket: &UdpSocket, into: &mut [u8]) -> io::Result<usize> {
        socket.try_recv(into)
    }

    fn socket_ref(socket: &UdpSocket) -> SockRef<'_> {
        SockRef::from(socket)
    }
}
