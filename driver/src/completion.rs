//! The loop: one future that carries everything between the core and a runtime's sockets.
//!
//! A connection has no task of its own. It waits as an [`Op`]: a small future that is ready when a socket is. When ops
//! are done, the loop takes a turn: jobs from the handle, what the sockets have, timers; then it does what the core asks
//! for until nothing is left or the turn's budget is spent, and sleeps only if nothing is left.
//!
//! What a turn must keep to:
//! - a budget that is spent means another turn, never sleep;
//! - the deadline is looked up when about to sleep;
//! - a stream that moved as much as it was asked to stays in line until it moves less;
//! - one chunk at most is between the core and a stream, so the core decides late what goes first;
//! - closing is: write all, shut down the write side, read to the end, report. A socket dropped with unread input would
//!   be reset, and what was written last would be lost;
//! - accepting that fails for want of descriptors is put off, not tried again at once.

mod buffer;
mod streams;
mod work;

use crate::Node;
use crate::clock::{Clock, WallFeed};
use crate::handle::{Call, Shared};
use crate::interfaces;
use crate::key_log::KeyLog;
use crate::runtime::Runtime;
use crate::state::{StateDir, StateError};
use crate::udp::{self, Ear, Family};
use buffer::ReadBuffer;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use p2pnet_protocol::handlers::Handlers;
use p2pnet_protocol::trust::policy::IncomingPeerTrustPolicy;
use p2pnet_protocol::{ConnId, Duration, Instant, Interface, ListenerId};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use streams::Conn;
use work::Ending;

/// Completions taken in one turn.
const DONE_MAX: usize = 256;
/// A sleep is no longer than this: timers of most runtimes stand still while the machine is suspended.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// How long to put off accepting when it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Changes of interfaces come in bursts: look once they are over.
const INTERFACES_SETTLE: Duration = Duration::from_millis(50);
/// How often to look at the interfaces where changes are told, in case a telling was lost.
const INTERFACES_PERIOD_WATCHED: Duration = Duration::from_secs(60);
/// How often to look at the interfaces where changes are not told.
const INTERFACES_PERIOD: Duration = Duration::from_secs(5);

/// A node that is ready to run: hand it to a runtime with [`run`](Self::run).
pub struct Driver {
    pub(crate) net: Node,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) ears: Vec<Ear>,
    pub(crate) watch: Option<UdpSocket>,
    pub(crate) state: Option<StateDir>,
    pub(crate) linger: Duration,
    pub(crate) policy: IncomingPeerTrustPolicy,
    pub(crate) handlers: Handlers,
    pub(crate) key_log: Option<KeyLog>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

/// Marks the node as stopped however the loop ends, so that nobody waits for it in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Driver {
    /// Runs the node until it was shut down and every socket is closed. Dropping the future ends the node at once.
    ///
    /// # Errors
    /// If the runtime can't watch a listening socket. Nothing that happens later ends the loop.
    pub async fn run<R: Runtime>(self, runtime: R) -> io::Result<()> {
        let _end = End(Arc::clone(&self.shared));
        let endings = {
            let mut turns = Loop::new(self, runtime)?;
            loop {
                turns.turn();
                if turns.is_over() {
                    break turns.endings;
                }
                turns.wait().await;
            }
        };
        // Every socket is closed: those who asked for it may know.
        endings.into_iter().for_each(Ending::finish);
        Ok(())
    }
}

/// Something that waits for a socket.
enum Op<R: Runtime> {
    Readable(ConnId, Arc<R::Stream>),
    Writable(ConnId, Arc<R::Stream>),
    Accept(ListenerId, Arc<R::Listener>),
    Receive(SocketId, Arc<R::Socket>),
}

/// A datagram socket of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketId {
    Ear(usize),
    Watch,
}

/// An op that is over.
enum Done<R: Runtime> {
    Readable(ConnId),
    Writable(ConnId),
    Accept(ListenerId, Arc<R::Listener>, io::Result<(R::Stream, SocketAddr)>),
    Receive(SocketId, Arc<R::Socket>),
}

impl<R: Runtime> Future for Op<R> {
    type Output = Done<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done<R>> {
        // Errors of readiness are left for the read or write that follows to find.
        match &*self {
            Self::Readable(conn, stream) => {
                R::poll_readable(stream, cx).map(|_| Done::Readable(*conn))
            }
            Self::Writable(conn, stream) => {
                R::poll_writable(stream, cx).map(|_| Done::Writable(*conn))
            }
            Self::Accept(listener, socket) => R::poll_accept(socket, cx)
                .map(|accepted| Done::Accept(*listener, Arc::clone(socket), accepted)),
            Self::Receive(id, socket) => {
                R::poll_receivable(socket, cx).map(|_| Done::Receive(*id, Arc::clone(socket)))
            }
        }
    }
}

/// The state of a running loop.
struct Loop<R: Runtime> {
    runtime: R,
    net: Node,
    shared: Arc<Shared>,
    clock: Clock,
    now: Instant,
    state: Option<StateDir>,
    linger: Duration,
    policy: IncomingPeerTrustPolicy,
    handlers: Handlers,
    key_log: Option<KeyLog>,

    ops: FuturesUnordered<Op<R>>,
    done: Vec<Done<R>>,
    /// The sleep that is under way, and until when. A later deadline lets it run out; a sooner one replaces it.
    sleep: Option<(Instant, Pin<Box<R::Sleep>>)>,

    conns: HashMap<ConnId, Conn<R::Stream>>,
    to_read: VecDeque<ConnId>,
    to_write: VecDeque<ConnId>,
    buffer: ReadBuffer,
    /// Listeners that failed and rest until then.
    resting: Vec<(Instant, ListenerId, Arc<R::Listener>)>,

    ears: Vec<(Family, Arc<R::Socket>)>,
    watched: bool,
    interfaces: Vec<Interface>,
    interfaces_due: Instant,
    wall: WallFeed,

    /// Calls that ran and are answered once their outputs were dealt with.
    called: Vec<Box<dyn Call>>,
    /// Why the lists could not be saved in this turn.
    not_saved: Option<StateError>,
    /// Channels, or the node, that end once what was sent for them is in the core.
    endings: Vec<Ending>,
    /// Once the core was told to shut down: when to stop in any case.
    stop_by: Option<Instant>,
    credits: Vec<(ConnId, p2pnet_protocol::Lane, u32)>,
    /// More could be done at once.
    more: bool,
}

impl<R: Runtime> Loop<R> {
    fn new(driver: Driver, runtime: R) -> io::Result<Self> {
        let now = driver.clock.now();
        let mut this = Self {
            net: driver.net,
            shared: driver.shared,
            clock: driver.clock,
            now,
            state: driver.state,
            linger: driver.linger,
            policy: driver.policy,
            handlers: driver.handlers,
            key_log: driver.key_log,
            ops: FuturesUnordered::new(),
            done: Vec::new(),
            sleep: None,
            conns: HashMap::new(),
            to_read: VecDeque::new(),
            to_write: VecDeque::new(),
            buffer: ReadBuffer::new(),
            resting: Vec::new(),
            ears: Vec::new(),
            watched: false,
            interfaces: Vec::new(),
            interfaces_due: now,
            wall: WallFeed::default(),
            called: Vec::new(),
            not_saved: None,
            endings: Vec::new(),
            stop_by: None,
            credits: Vec::new(),
            more: false,
            runtime,
        };
        for (id, listener) in (0..).map(ListenerId).zip(driver.listeners) {
            let at = listener.local_addr()?;
            let listener = Arc::new(this.runtime.listener(listener)?);
            this.ops.push(Op::Accept(id, listener));
            this.net.handle_listening(now, id, at);
        }
        for ear in driver.ears {
            let socket = Arc::new(this.runtime.socket(ear.socket)?);
            this.ops.push(Op::Receive(SocketId::Ear(this.ears.len()), Arc::clone(&socket)));
            this.ears.push((ear.family, socket));
        }
        if let Some(socket) = driver.watch.and_then(|watch| this.runtime.socket(watch).ok()) {
            this.ops.push(Op::Receive(SocketId::Watch, Arc::new(socket)));
            this.watched = true;
        }
        Ok(this)
    }

    /// Whether the node was shut down and everything is closed, or time is up.
    fn is_over(&self) -> bool {
        let Some(stop_by) = self.stop_by else { return false };
        (self.net.is_finished() && self.conns.is_empty()) || self.now >= stop_by
    }

    /// Everything that can be done now, within bounds.
    fn turn(&mut self) {
        self.shared.counts.turns.add(1);
        self.more = false;
        self.now = self.clock.now();
        self.shared.wake.clear();
        self.take_credits();
        self.take_jobs();
        self.on_time();
        for done in std::mem::take(&mut self.done) {
            self.on_done(done);
        }
        self.drain_outputs();
        self.flush_outbox();
        self.read_streams();
        self.drain_outputs();
        self.write_streams();
        self.drain_outputs();
        self.finish_calls();
        self.check_endings();
    }

    fn on_done(&mut self, done: Done<R>) {
        match done {
            Done::Readable(conn) => self.on_readable(conn),
            Done::Writable(conn) => self.on_writable(conn),
            Done::Accept(id, listener, accepted) => self.on_accept(id, listener, accepted),
            Done::Receive(SocketId::Ear(ear), socket) => self.on_datagrams(ear, socket),
            Done::Receive(SocketId::Watch, socket) => self.on_interfaces_told(socket),
        }
    }

    /// What is due.
    fn on_time(&mut self) {
        if self.net.poll_timeout().is_some_and(|deadline| deadline.at <= self.now) {
            self.net.handle_timeout(self.now);
        }
        if self.handlers.poll_timeout().is_some_and(|at| at <= self.now) {
            self.handlers.on_timeout(self.now, &mut self.net);
        }
        if let Some(wall) = self.wall.check(self.now, self.clock.wall()) {
            self.net.handle_wall_time(self.now, wall);
        }
        if self.interfaces_due <= self.now {
            self.scan_interfaces();
        }
        let now = self.now;
        for (_, id, listener) in self.resting.extract_if(.., |(until, ..)| *until <= now) {
            self.ops.push(Op::Accept(id, listener));
        }
    }

    fn scan_interfaces(&mut self) {
        self.interfaces_due =
            self.now + if self.watched { INTERFACES_PERIOD_WATCHED } else { INTERFACES_PERIOD };
        let interfaces = match interfaces::scan() {
            Ok(interfaces) if interfaces != self.interfaces => interfaces,
            Ok(_) => return,
            Err(error) => {
                return self.shared.warn(format!("can't look at the interfaces: {error}"));
            }
        };
        let names: Vec<&str> = interfaces.iter().map(|found| found.name.as_str()).collect();
        tracing::debug!(target: "p2pnet::lan", ?names, "interfaces");
        for (family, socket) in &self.ears {
            udp::join(&R::socket_ref(socket), *family, &interfaces);
        }
        self.net.handle_interfaces(self.now, &interfaces);
        self.interfaces = interfaces;
    }

    /// The interface watch has something: its content doesn't matter, only that it came.
    fn on_interfaces_told(&mut self, socket: Arc<R::Socket>) {
        let told = loop {
            match R::try_receive(&socket, &mut [0; 512]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                // Told more than the socket could hold: look, and go on.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => break false,
                Ok(_) => {}
            }
        };
        self.interfaces_due = self.interfaces_due.min(self.now + INTERFACES_SETTLE);
        if told {
            self.ops.push(Op::Receive(SocketId::Watch, socket));
        } else {
            self.watched = false;
        }
    }

    fn on_datagrams(&mut self, ear: usize, socket: Arc<R::Socket>) {
        const DATAGRAMS_MAX: usize = 64;
        let mut datagram = [0; 2048];
        for _ in 0..DATAGRAMS_MAX {
            match R::try_receive_from(&socket, &mut datagram) {
                // One that fills the buffer was cut: no beacon is that long.
                Ok((bytes, from)) if bytes < datagram.len() => {
                    let from = p2pnet_protocol::net::canonical(from);
                    self.net.handle_datagram(self.now, from, &datagram[..bytes]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error that an earlier datagram caused: the socket goes on.
                Err(_) => {}
            }
        }
        self.ops.push(Op::Receive(SocketId::Ear(ear), socket));
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        let mut yielded = false;
        let counts = Arc::clone(&self.shared);
        let counts = &counts.counts;
        std::future::poll_fn(|cx| {
            let told = self.shared.wake.poll(cx).is_ready();
            while self.done.len() < DONE_MAX {
                match self.ops.poll_next_unpin(cx) {
                    Poll::Ready(Some(done)) => self.done.push(done),
                    _ => break,
                }
            }
            if !self.done.is_empty() {
                counts.wakes_socket.add(1);
                return Poll::Ready(());
            }
            if told {
                counts.wakes_told.add(1);
                return Poll::Ready(());
            }
            if self.has_more() {
                // Others on this thread get their turn before the next one here.
                if std::mem::replace(&mut yielded, true) {
                    counts.wakes_leftover.add(1);
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.poll_sleep(cx).map(|()| counts.wakes_timer.add(1))
        })
        .await;
    }

    fn has_more(&self) -> bool {
        self.more || !self.to_read.is_empty() || !self.to_write.is_empty()
    }

    /// Sleeps until the next deadline.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let core = self.net.poll_timeout();
        let own = [
            self.handlers.poll_timeout(),
            Some(self.wall.due()),
            Some(self.interfaces_due),
            self.resting.iter().map(|(until, ..)| *until).min(),
            self.endings.iter().filter_map(Ending::deadline).min(),
            self.stop_by,
            Some(self.now + SLEEP_MAX),
        ];
        let own = own.into_iter().flatten().min().unwrap_or(self.now);
        let deadline = core.map_or(own, |core| own.min(core.at));
        let now = self.clock.now();
        if deadline <= now {
            tracing::trace!(target: "p2pnet::driver", why = ?core.map(|core| core.why), "due");
            return Poll::Ready(());
        }
        if self.sleep.as_ref().is_none_or(|(until, _)| *until > deadline) {
            let sleep = Box::pin(self.runtime.sleep(deadline.since(now)));
            self.sleep = Some((deadline, sleep));
        }
        let Some((_, sleep)) = &mut self.sleep else { return Poll::Ready(()) };
        sleep.as_mut().poll(cx).map(|()| {
            tracing::trace!(target: "p2pnet::driver", why = ?core.map(|core| core.why), "woken");
            self.sleep = None;
        })
    }
}
