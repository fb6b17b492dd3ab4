//! The loop for asynchronous runtimes: one future that carries everything between the core and a runtime's sockets.
//!
//! What waits for a socket is an [`Op`]: a small future that is ready when the socket is. When ops are done, or time has
//! come, or the application left something to do, the node takes a [turn](crate::turns).

use crate::runtime::Runtime;
use crate::sockets::{Ready, SocketId, Sockets};
use crate::turns::Turns;
use crate::{Driver, StartError};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use p2pnet_protocol::{ConnId, Duration, Instant, ListenerId};
use socket2::SockRef;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Completions taken in one turn.
const READY_MAX: usize = 256;

impl Driver {
    /// Hands the node's sockets to the runtime, and gives the future that runs it until it was shut down and every socket
    /// is closed. Dropping the future ends the node at once.
    ///
    /// # Errors
    /// [`StartError::Runtime`] if the runtime can't watch one of them. Nothing that happens later ends the loop.
    pub fn run<R: Runtime>(
        self,
        runtime: R,
    ) -> Result<impl Future<Output = ()> + use<R>, StartError> {
        let turns = Turns::new(self, Awaited::new(runtime)).map_err(StartError::Runtime)?;
        Ok(run(turns))
    }
}

async fn run<R: Runtime>(mut turns: Turns<Awaited<R>>) {
    let mut ready = Vec::new();
    while turns.turn(&mut ready) {
        wait(&mut turns, &mut ready).await;
    }
    turns.finish();
}

/// Waits until there is something to do, and collects what is ready.
async fn wait<R: Runtime>(turns: &mut Turns<Awaited<R>>, ready: &mut Vec<Ready<Arc<R::Stream>>>) {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        let told = turns.poll_told(cx).is_ready();
        turns.sockets().collect(ready, cx);
        if told || !ready.is_empty() {
            return Poll::Ready(());
        }
        if turns.has_more() {
            // Others on this thread get their turn before the next one here.
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let deadline = turns.deadline();
        let time = turns.time_until(deadline);
        turns.sockets().poll_sleep(deadline, time, cx)
    })
    .await;
}

/// Something that waits for a socket.
enum Op<R: Runtime> {
    Read(ConnId, Arc<R::Stream>),
    Write(ConnId, Arc<R::Stream>),
    Accept(ListenerId, Arc<R::Listener>),
    Receive(SocketId, Arc<R::Socket>),
}

impl<R: Runtime> Future for Op<R> {
    type Output = Ready<Arc<R::Stream>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Errors of readiness are left for the read or write that follows to find.
        match &*self {
            Self::Read(conn, stream) => {
                R::poll_readable(stream, cx).map(|_| Ready::Readable(*conn))
            }
            Self::Write(conn, stream) => {
                R::poll_writable(stream, cx).map(|_| Ready::Writable(*conn))
            }
            Self::Accept(id, listener) => R::poll_accept(listener, cx).map(|accepted| {
                Ready::Accepted(*id, accepted.map(|(stream, from)| (Arc::new(stream), from)))
            }),
            Self::Receive(id, socket) => {
                R::poll_receivable(socket, cx).map(|_| Ready::Receivable(*id))
            }
        }
    }
}

/// A runtime's sockets, and the ops that wait for them.
struct Awaited<R: Runtime> {
    runtime: R,
    listeners: HashMap<ListenerId, Arc<R::Listener>>,
    sockets: HashMap<SocketId, Arc<R::Socket>>,
    ops: FuturesUnordered<Op<R>>,
    /// The sleep that is under way, and until when. A later deadline lets it run out; a sooner one replaces it.
    sleep: Option<(Instant, Pin<Box<R::Sleep>>)>,
}

impl<R: Runtime> Awaited<R> {
    fn new(runtime: R) -> Self {
        Self {
            runtime,
            listeners: HashMap::new(),
            sockets: HashMap::new(),
            ops: FuturesUnordered::new(),
            sleep: None,
        }
    }

    fn collect(&mut self, ready: &mut Vec<Ready<Arc<R::Stream>>>, cx: &mut Context<'_>) {
        while ready.len() < READY_MAX {
            match self.ops.poll_next_unpin(cx) {
                Poll::Ready(Some(done)) => ready.push(done),
                _ => return,
            }
        }
    }

    fn poll_sleep(&mut self, deadline: Instant, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if time == Duration::ZERO {
            return Poll::Ready(());
        }
        if self.sleep.as_ref().is_none_or(|(until, _)| *until > deadline) {
            self.sleep = Some((deadline, Box::pin(self.runtime.sleep(time))));
        }
        let Some((_, sleep)) = &mut self.sleep else { return Poll::Ready(()) };
        sleep.as_mut().poll(cx).map(|()| self.sleep = None)
    }

    fn socket(&self, id: SocketId) -> io::Result<&R::Socket> {
        self.sockets.get(&id).map(|socket| &**socket).ok_or(io::ErrorKind::NotFound.into())
    }
}

impl<R: Runtime> Sockets for Awaited<R> {
    type Stream = Arc<R::Stream>;

    fn add_listener(&mut self, id: ListenerId, listener: TcpListener) -> io::Result<()> {
        self.listeners.insert(id, Arc::new(self.runtime.listener(listener)?));
        Ok(())
    }

    fn add_socket(&mut self, id: SocketId, socket: UdpSocket) -> io::Result<()> {
        self.sockets.insert(id, Arc::new(self.runtime.socket(socket)?));
        Ok(())
    }

    fn remove_socket(&mut self, id: SocketId) {
        self.sockets.remove(&id);
    }

    fn adopt(&mut self, stream: TcpStream) -> io::Result<Self::Stream> {
        self.runtime.stream(stream).map(Arc::new)
    }

    fn release(&mut self, _: ConnId, stream: Self::Stream, awaited: bool) {
        if awaited {
            // Ops that still hold it are woken and let go.
            let _ = R::stream_ref(&stream).shutdown(Shutdown::Both);
        }
    }

    fn await_accept(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.get(&id) {
            self.ops.push(Op::Accept(id, Arc::clone(listener)));
        }
    }

    fn await_receive(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get(&id) {
            self.ops.push(Op::Receive(id, Arc::clone(socket)));
        }
    }

    fn await_read(&mut self, conn: ConnId, stream: &mut Self::Stream) -> io::Result<()> {
        self.ops.push(Op::Read(conn, Arc::clone(stream)));
        Ok(())
    }

    fn await_write(&mut self, conn: ConnId, stream: &mut Self::Stream) -> io::Result<()> {
        self.ops.push(Op::Write(conn, Arc::clone(stream)));
        Ok(())
    }

    fn try_read(stream: &Self::Stream, into: &mut [u8]) -> io::Result<usize> {
        R::try_read(stream, into)
    }

    fn try_write(stream: &Self::Stream, from: &[u8]) -> io::Result<usize> {
        R::try_write(stream, from)
    }

    fn stream_ref(stream: &Self::Stream) -> Option<SockRef<'_>> {
        Some(R::stream_ref(stream))
    }

    fn try_receive_from(&self, id: SocketId, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        R::try_receive_from(self.socket(id)?, into)
    }

    fn try_receive(&self, id: SocketId, into: &mut [u8]) -> io::Result<usize> {
        R::try_receive(self.socket(id)?, into)
    }

    fn socket_ref(&self, id: SocketId) -> Option<SockRef<'_>> {
        self.socket(id).ok().map(R::socket_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Config};

    /// A runtime that can't watch anything.
    struct Blind;

    fn refused<T>() -> io::Result<T> {
        Err(io::Error::other("no more watches"))
    }

    impl Runtime for Blind {
        type Stream = TcpStream;
        type Listener = TcpListener;
        type Socket = UdpSocket;
        type Sleep = std::future::Pending<()>;

        fn stream(&self, _: TcpStream) -> io::Result<TcpStream> {
            refused()
        }
        fn listener(&self, _: TcpListener) -> io::Result<TcpListener> {
            refused()
        }
        fn socket(&self, _: UdpSocket) -> io::Result<UdpSocket> {
            refused()
        }
        fn sleep(&self, _: Duration) -> Self::Sleep {
            std::future::pending()
        }
        fn poll_readable(_: &TcpStream, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn poll_writable(_: &TcpStream, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn try_read(_: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
            refused()
        }
        fn try_write(_: &TcpStream, _: &[u8]) -> io::Result<usize> {
            refused()
        }
        fn stream_ref(stream: &TcpStream) -> SockRef<'_> {
            SockRef::from(stream)
        }
        fn poll_accept(
            _: &TcpListener,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
            Poll::Pending
        }
        fn poll_receivable(_: &UdpSocket, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn try_receive_from(_: &UdpSocket, _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
            refused()
        }
        fn try_receive(_: &UdpSocket, _: &mut [u8]) -> io::Result<usize> {
            refused()
        }
        fn socket_ref(socket: &UdpSocket) -> SockRef<'_> {
            SockRef::from(socket)
        }
    }

    #[test]
    fn a_listener_that_can_not_be_watched_is_told_at_once_and_ends_the_node() {
        let mut config = Config::default();
        config.lan.enabled = false;
        config.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let (handle, _events, driver) = Builder::new(config.clone()).start().unwrap();
        let error = driver.run(Blind).err().unwrap();
        assert!(matches!(&error, StartError::Runtime(_)), "{error}");
        assert!(error.to_string().contains("no more watches"), "{error}");
        assert!(handle.peers().wait().is_err(), "whoever asks is told that it stopped");
        // Nothing is left behind.
        config.listen = handle.listening();
        Builder::new(config).start().unwrap();
    }
}
