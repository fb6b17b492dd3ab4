//! What the same program runs on: one thread, and the node's loop in it.

use p2pnet_driver::{Builder, Events, Handle, StartError};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A program: it may move to another thread, which no runtime here does with it.
pub(super) type Program = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime, as a program of nodes needs it.
pub(super) struct Nodes {
    /// Runs a program to its end on this thread.
    pub(super) run: fn(Program),
    /// Starts a node beside the program.
    pub(super) start: fn(Builder) -> Result<(Handle, Events), StartError>,
}

/// The program is a task beside the node's: tokio wakes the future of `block_on` itself by a system call, even from the
/// same thread.
pub(super) static TOKIO: Nodes = Nodes {
    run: |program| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            tokio::spawn(program).await.expect("the program's end");
        });
    },
    start: p2pnet_tokio::spawn,
};

thread_local! {
    static SMOL: Rc<smol::LocalExecutor<'static>> = Rc::default();
}

/// smol's executor for one thread, with the reactor in the same one.
pub(super) static SMOL_NODES: Nodes = Nodes {
    run: |program| {
        let executor = SMOL.with(Rc::clone);
        smol::block_on(executor.run(executor.spawn(program)));
    },
    start: |builder| {
        let (handle, events, node) = p2pnet_smol::start(builder)?;
        SMOL.with(|executor| executor.spawn(node).detach());
        Ok((handle, events))
    },
};

/// A loop over one poll, with nodes, streams and one future in it.
pub(super) static MIO: Nodes = Nodes {
    run: |program| mio_run(program),
    start: |builder| {
        MIO_LOOP.with_borrow_mut(|here| {
            let here = here.as_mut().expect("a running loop");
            let first = mio::Token(here.next_node);
            here.next_node += NODE_TOKENS;
            let registry = here.poll.registry().try_clone().map_err(StartError::Runtime)?;
            let waker = Arc::clone(&here.waker);
            let (handle, events, node) =
                p2pnet_mio::Node::register(builder, &registry, waker, first)?;
            here.started.push(node);
            Ok((handle, events))
        })
    },
};

const WAKE: mio::Token = mio::Token(0);
/// Streams of the program have the tokens below those of the first node.
const NODE_TOKENS: usize = 1 << 40;

struct MioLoop {
    poll: mio::Poll,
    waker: Arc<mio::Waker>,
    next_node: usize,
    next_stream: usize,
    started: Vec<p2pnet_mio::Node>,
    /// Who waits for a stream.
    waiting: HashMap<mio::Token, Vec<Waker>>,
}

thread_local! {
    static MIO_LOOP: RefCell<Option<MioLoop>> = const { RefCell::new(None) };
}

/// The program has something to do. All is one thread, so nobody has to be interrupted.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future and the nodes that it starts in a loop over one poll, on this thread.
pub(super) fn mio_run<T>(program: impl Future<Output = T>) -> T {
    let poll = mio::Poll::new().expect("a poll");
    let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE).expect("a waker"));
    MIO_LOOP.set(Some(MioLoop {
        poll,
        waker,
        next_node: NODE_TOKENS,
        next_stream: 1,
        started: Vec::new(),
        waiting: HashMap::new(),
    }));
    let mut program = pin!(program);
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut ready = mio::Events::with_capacity(256);
    let mut nodes: Vec<Option<p2pnet_mio::Node>> = Vec::new();
    loop {
        loop {
            if flag.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(done) = program.as_mut().poll(&mut Context::from_waker(&waker))
            {
                drop(nodes);
                MIO_LOOP.set(None);
                return done;
            }
            MIO_LOOP.with_borrow_mut(|here| {
                let started = here.iter_mut().flat_map(|here| here.started.drain(..));
                nodes.extend(started.map(Some));
            });
            for place in &mut nodes {
                if place.as_mut().is_some_and(|node| !node.turn()) {
                    *place = None;
                }
            }
            if !flag.0.load(Ordering::Relaxed) {
                break;
            }
        }
        let patience = nodes.iter_mut().flatten().filter_map(p2pnet_mio::Node::patience).min();
        let mut woken = Vec::new();
        MIO_LOOP.with_borrow_mut(|here| {
            let Some(here) = here else { return };
            let _interrupted = here.poll.poll(&mut ready, patience);
            for event in &ready {
                match (event.token().0 / NODE_TOKENS).checked_sub(1) {
                    Some(at) => {
                        let node = nodes.get_mut(at).and_then(Option::as_mut);
                        let _known = node.is_some_and(|node| node.take(event));
                    }
                    None => woken.extend(here.waiting.remove(&event.token()).unwrap_or_default()),
                }
            }
        });
        woken.into_iter().for_each(Waker::wake);
    }
}

/// A runtime's own sockets, as bare as they come.
pub(super) trait Sockets: 'static {
    type Listener;
    type Stream;

    fn run<T>(program: impl Future<Output = T>) -> T;
    fn listen() -> io::Result<(Self::Listener, SocketAddr)>;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>>;
    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;
    fn read(stream: &Self::Stream, into: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
    fn write(stream: &Self::Stream, from: &[u8]) -> impl Future<Output = io::Result<usize>>;
    fn socket(stream: &Self::Stream) -> socket2::SockRef<'_>;
}

pub(super) struct Smol;

type SmolStream = smol::Async<std::net::TcpStream>;

impl Sockets for Smol {
    type Listener = smol::Async<std::net::TcpListener>;
    type Stream = SmolStream;

    fn run<T>(program: impl Future<Output = T>) -> T {
        smol::block_on(program)
    }

    fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = smol::Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let at = listener.get_ref().local_addr()?;
        Ok((listener, at))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<SmolStream> {
        listener.accept().await.map(|(stream, _)| stream)
    }

    async fn connect(to: SocketAddr) -> io::Result<SmolStream> {
        SmolStream::connect(to).await
    }

    async fn read(stream: &SmolStream, into: &mut [u8]) -> io::Result<usize> {
        stream.read_with(|mut stream| stream.read(into)).await
    }

    async fn write(stream: &SmolStream, from: &[u8]) -> io::Result<usize> {
        stream.write_with(|mut stream| stream.write(from)).await
    }

    fn socket(stream: &SmolStream) -> socket2::SockRef<'_> {
        socket2::SockRef::from(stream.get_ref())
    }
}

pub(super) struct Mio;

/// A source in the thread's loop, and its token there.
pub(super) struct Watched<S: mio::event::Source>(S, mio::Token);

impl<S: mio::event::Source> Watched<S> {
    fn new(mut source: S) -> io::Result<Self> {
        MIO_LOOP.with_borrow_mut(|here| {
            let here = here.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            let token = mio::Token(here.next_stream);
            here.next_stream += 1;
            let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
            here.poll.registry().register(&mut source, token, both)?;
            Ok(Self(source, token))
        })
    }

    /// Does it, or waits for an edge and tries again.
    async fn once_ready<T>(&self, mut act: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        poll_fn(|cx| match act(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                MIO_LOOP.with_borrow_mut(|here| {
                    if let Some(here) = here {
                        here.waiting.entry(self.1).or_default().push(cx.waker().clone());
                    }
                });
                Poll::Pending
            }
            done => Poll::Ready(done),
        })
        .await
    }
}

impl<S: mio::event::Source> Drop for Watched<S> {
    fn drop(&mut self) {
        MIO_LOOP.with_borrow_mut(|here| {
            if let Some(here) = here {
                let _ = here.poll.registry().deregister(&mut self.0);
                here.waiting.remove(&self.1);
            }
        });
    }
}

type MioStream = Watched<mio::net::TcpStream>;

impl Sockets for Mio {
    type Listener = Watched<mio::net::TcpListener>;
    type Stream = MioStream;

    fn run<T>(program: impl Future<Output = T>) -> T {
        mio_run(program)
    }

    fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let at = listener.local_addr()?;
        Ok((Watched::new(listener)?, at))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<MioStream> {
        let (stream, _) = listener.once_ready(mio::net::TcpListener::accept).await?;
        Watched::new(stream)
    }

    async fn connect(to: SocketAddr) -> io::Result<MioStream> {
        let stream = Watched::new(mio::net::TcpStream::connect(to)?)?;
        // Decided once there is a far end, or an error.
        let decided = |stream: &mio::net::TcpStream| match stream.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(stream.take_error()?.unwrap_or(io::ErrorKind::WouldBlock.into()))
            }
            decided => decided,
        };
        stream.once_ready(decided).await?;
        Ok(stream)
    }

    async fn read(stream: &MioStream, into: &mut [u8]) -> io::Result<usize> {
        stream.once_ready(|mut stream| stream.read(into)).await
    }

    async fn write(stream: &MioStream, from: &[u8]) -> io::Result<usize> {
        stream.once_ready(|mut stream| stream.write(from)).await
    }

    fn socket(stream: &MioStream) -> socket2::SockRef<'_> {
        socket2::SockRef::from(&stream.0)
    }
}
