//! [`Handle`]: the application's hold on a running node.

mod files;
mod records;
mod tasks;

pub use records::{FilePeer, FileRecord, StoredFile};
pub use tasks::AskError;

use crate::Node;
use crate::counters::{Counters, Counts};
use crate::events::EventQueue;
use crate::files::Manager;
use crate::outbox::Outbox;
use crate::reply::{Promise, Reply, Stopped, promise};
use crate::state::StateError;
use crate::wake::{Wake, block_on};
use p2pnet_protocol::{
    Answer, BlockTarget, CommandError, ConnId, Direction, DisconnectReason, Instant, Packet,
    PeerId, PeerView, RequestId, RoutineChange, RoutineView, SendError, Stats,
};
use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The application's hold on a node: clone it, send it to other threads, drop it. When the last one is dropped the node
/// shuts down gracefully.
///
/// [`call`](Self::call) reaches every command and getter of the core; the other methods are shorter ways to the common
/// ones. Sending has a way of its own, made for many small messages: see [`send`](Self::send).
#[derive(Clone, Debug)]
pub struct Handle(Arc<Hold>);

/// Tells the loop when nobody holds the node any more.
#[derive(Debug)]
struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.leave(Job::Shutdown(None));
    }
}

/// What the handle and the loop share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: PeerId,
    pub(crate) listening: Vec<SocketAddr>,
    pub(crate) warnings: Mutex<Vec<String>>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) outbox: Outbox,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) counts: Counts,
    #[cfg_attr(not(feature = "files"), expect(dead_code, reason = "nobody asks it then"))]
    pub(crate) files: Manager,
    pub(crate) asking: tasks::Asking,
    pub(crate) records: Arc<records::Records>,
    /// `None` once the loop is gone.
    jobs: Mutex<Option<Vec<Job>>>,
}

/// Something that was left for the loop.
pub(crate) enum Job {
    Call(Box<dyn Call>),
    Disconnect { peer: PeerId, reason: DisconnectReason, promise: Promise<(), CommandError> },
    Attach(Attachment),
    Answer(RequestId, Answer),
    Shutdown(Option<Promise<(), Stopped>>),
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call",
            Self::Disconnect { .. } => "Disconnect",
            Self::Attach(_) => "Attach",
            Self::Answer(..) => "Answer",
            Self::Shutdown(_) => "Shutdown",
        })
    }
}

/// A stream that the application opened itself.
pub(crate) struct Attachment {
    pub(crate) stream: TcpStream,
    pub(crate) direction: Direction,
    pub(crate) at: SocketAddr,
    pub(crate) expect: Option<PeerId>,
    pub(crate) promise: Promise<ConnId, CommandError>,
}

/// A closure on its way to the node. It is answered after the outputs it caused were dealt with, so that an answer to a
/// change of lists means that the change is on disk.
pub(crate) trait Call: Send {
    fn run(&mut self, net: &mut Node, now: Instant);
    fn finish(self: Box<Self>, not_saved: Option<&StateError>);
}

struct Closure<F, T, E: From<Stopped>> {
    run: Option<F>,
    result: Option<Result<T, E>>,
    promise: Promise<T, E>,
    not_saved: fn(&StateError) -> Option<E>,
}

impl<F, T, E> Call for Closure<F, T, E>
where
    F: FnOnce(&mut Node, Instant) -> Result<T, E> + Send,
    T: Send,
    E: From<Stopped> + Send,
{
    fn run(&mut self, net: &mut Node, now: Instant) {
        self.result = self.run.take().map(|run| run(net, now));
    }

    fn finish(self: Box<Self>, not_saved: Option<&StateError>) {
        let failure = not_saved.and_then(self.not_saved);
        match (self.result, failure) {
            (Some(Ok(_)), Some(failure)) => self.promise.answer(Err(failure)),
            (Some(result), _) => self.promise.answer(result),
            (None, _) => {}
        }
    }
}

/// Why a change to the blocked or trusted identities failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ListError {
    /// The node refused it. Nothing has changed.
    Refused(CommandError),
    /// It is in force, but could not be saved: a restart will undo it.
    NotSaved(StateError),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::NotSaved(error) => {
                write!(f, "in force until the node stops, but not saved: {error}")
            }
        }
    }
}

impl std::error::Error for ListError {}

impl From<Stopped> for ListError {
    fn from(stopped: Stopped) -> Self {
        Self::Refused(stopped.into())
    }
}

impl From<CommandError> for ListError {
    fn from(error: CommandError) -> Self {
        Self::Refused(error)
    }
}

impl Shared {
    pub(crate) fn new(
        id: PeerId,
        listening: Vec<SocketAddr>,
        warnings: Vec<String>,
        outbox: Outbox,
        files: Manager,
    ) -> Self {
        Self {
            id,
            listening,
            warnings: Mutex::new(warnings),
            wake: Arc::default(),
            outbox,
            events: Arc::default(),
            counts: Counts::default(),
            files,
            asking: tasks::Asking::default(),
            records: Arc::default(),
            jobs: Mutex::new(Some(Vec::new())),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Option<Vec<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a job for the loop; a stopped one drops it, which answers [`Stopped`].
    pub(crate) fn leave(&self, job: Job) {
        let mut jobs = self.jobs();
        let Some(waiting) = jobs.as_mut() else {
            drop(jobs);
            return drop(job);
        };
        waiting.push(job);
        drop(jobs);
        self.wake.tell();
    }

    /// Takes the jobs out.
    pub(crate) fn take_jobs(&self) -> Vec<Job> {
        self.jobs().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The loop is gone: whatever still waits, and whatever comes, is answered with [`Stopped`].
    pub(crate) fn end(&self) {
        let jobs = self.jobs().take();
        drop(jobs);
        self.outbox.remove_all();
        self.asking.end();
        self.events.end();
        self.wake.end();
    }

    pub(crate) fn warn(&self, warning: String) {
        tracing::warn!(target: "p2pnet::driver", "{warning}");
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < 64 && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Hold(shared)))
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }

    /// The node's own id.
    pub fn id(&self) -> PeerId {
        self.shared().id
    }

    /// Where the node accepts streams, with the ports that the operating system chose.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.shared().listening.clone()
    }

    /// What the node does without, such as a designated port that another program holds.
    pub fn warnings(&self) -> Vec<String> {
        self.shared().warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the loop counted so far.
    pub fn counters(&self) -> Counters {
        self.shared().counts.read()
    }

    /// Runs a closure on the node, between two of its steps. Keep it short: nothing else happens meanwhile.
    ///
    /// Messages that were sent before are in the core when it runs. Packets sent from within wait for room on their own
    /// terms ([`SendError::QueueFull`]); use [`send_packet`](Self::send_packet) for back-pressure.
    pub fn call<R, F>(&self, run: F) -> Reply<R>
    where
        F: FnOnce(&mut Node, Instant) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.closure(|net, now| Ok(run(net, now)), |_| None)
    }

    /// [`call`](Self::call) for commands that can be refused: a stopped node refuses too.
    pub fn try_call<T, E, F>(&self, run: F) -> Reply<T, E>
    where
        F: FnOnce(&mut Node, Instant) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Stopped> + Send + 'static,
    {
        self.closure(run, |_| None)
    }

    fn closure<T, E, F>(&self, run: F, not_saved: fn(&StateError) -> Option<E>) -> Reply<T, E>
    where
        F: FnOnce(&mut Node, Instant) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Stopped> + Send + 'static,
    {
        let (promise, reply) = promise();
        let call = Closure { run: Some(run), result: None, promise, not_saved };
        self.shared().leave(Job::Call(Box::new(call)));
        reply
    }

    fn change_list<F>(&self, run: F) -> Reply<(), ListError>
    where
        F: FnOnce(&mut Node, Instant) -> Result<(), CommandError> + Send + 'static,
    {
        self.change_kept(run)
    }

    /// A change whose success means that it is on disk, where there is one.
    fn change_kept<T, F>(&self, run: F) -> Reply<T, ListError>
    where
        F: FnOnce(&mut Node, Instant) -> Result<T, CommandError> + Send + 'static,
        T: Send + 'static,
    {
        self.closure(
            move |net, now| Ok(run(net, now)?),
            |error| Some(ListError::NotSaved(error.clone())),
        )
    }

    /// Dials an address; with `expect`, only that identity will do. What comes of it is told by events.
    pub fn connect(&self, to: SocketAddr, expect: Option<PeerId>) -> Reply<ConnId, CommandError> {
        self.try_call(move |net, now| net.connect(now, to, expect))
    }

    /// Adopts a stream that the application opened itself: a connected [`TcpStream`], or any connected stream socket
    /// made into one (`TcpStream::from(OwnedFd::from(unix_stream))`). `at` is the address to show for it.
    pub fn attach(
        &self,
        stream: TcpStream,
        direction: Direction,
        at: SocketAddr,
        expect: Option<PeerId>,
    ) -> Reply<ConnId, CommandError> {
        let (promise, reply) = promise();
        self.shared().leave(Job::Attach(Attachment { stream, direction, at, expect, promise }));
        reply
    }

    /// Ends the channel to a peer once everything sent so far is with the peer, or after
    /// [`Timing::linger`](p2pnet_protocol::Timing::linger). Nothing more is taken for it meanwhile.
    pub fn disconnect(&self, peer: PeerId, reason: DisconnectReason) -> Reply<(), CommandError> {
        self.shared().outbox.close(Some(&peer));
        let (promise, reply) = promise();
        self.shared().leave(Job::Disconnect { peer, reason, promise });
        reply
    }

    /// Turns an identity, an address or a prefix away from now on, live channels included.
    pub fn block(&self, target: BlockTarget) -> Reply<(), ListError> {
        self.change_list(move |net, now| net.block(now, target))
    }

    /// Lifts a block.
    pub fn unblock(&self, target: BlockTarget) -> Reply<(), ListError> {
        self.change_list(move |net, now| net.unblock(now, target))
    }

    /// Lets an identity, an address or a prefix in; the first one shuts everybody else out.
    pub fn allow(&self, target: BlockTarget) -> Reply<(), ListError> {
        self.change_list(move |net, now| net.allow(now, target))
    }

    /// Takes that off the allow-list; without entries everybody may come.
    pub fn disallow(&self, target: BlockTarget) -> Reply<(), ListError> {
        self.change_list(move |net, now| {
            net.disallow(now, target);
            Ok(())
        })
    }

    /// The allow-list; empty if it is off.
    pub fn allowed(&self) -> Reply<Vec<BlockTarget>> {
        self.call(|net, _| net.allowed())
    }

    /// Adds an identity to the operator's list of trusted ones.
    pub fn trust(&self, peer: PeerId) -> Reply<(), ListError> {
        self.change_list(move |net, now| net.trust(now, peer))
    }

    /// Takes an identity off that list and demotes its channel.
    pub fn untrust(&self, peer: PeerId) -> Reply<(), ListError> {
        self.change_list(move |net, now| net.untrust(now, peer))
    }

    /// Lets a pending peer in.
    pub fn accept(&self, peer: PeerId) -> Reply<(), CommandError> {
        self.try_call(move |net, now| net.accept(now, &peer))
    }

    /// Turns a pending peer away.
    pub fn refuse(&self, peer: PeerId) -> Reply<(), CommandError> {
        self.try_call(move |net, now| net.refuse(now, &peer))
    }

    /// Turns the acceptance of incoming connections on or off.
    pub fn set_accept_inbound(&self, accept: bool) -> Reply<()> {
        self.call(move |net, now| net.set_accept_inbound(now, accept))
    }

    /// Changes a routine.
    pub fn routine(
        &self,
        name: impl Into<String>,
        change: RoutineChange,
    ) -> Reply<(), CommandError> {
        let name = name.into();
        self.try_call(move |net, now| net.routine(now, &name, change))
    }

    /// All routines.
    pub fn routines(&self) -> Reply<Vec<RoutineView>> {
        self.call(|net, _| net.routines())
    }

    /// All peers, known and connected.
    pub fn peers(&self) -> Reply<Vec<PeerView>> {
        self.call(|net, _| net.peers())
    }

    /// One peer.
    pub fn peer(&self, peer: PeerId) -> Reply<Option<PeerView>> {
        self.call(move |net, _| net.peer(&peer))
    }

    /// The peers that wait to be accepted.
    pub fn pending(&self) -> Reply<Vec<PeerView>> {
        self.call(|net, _| net.pending())
    }

    /// What is blocked.
    pub fn blocked(&self) -> Reply<Vec<BlockTarget>> {
        self.call(|net, _| net.blocked())
    }

    /// The operator's list of trusted identities.
    pub fn trusted(&self) -> Reply<Vec<PeerId>> {
        self.call(|net, _| net.trusted())
    }

    /// What the node counted so far.
    pub fn stats(&self) -> Reply<Stats> {
        self.call(|net, _| net.stats())
    }

    /// Sends one packet to every open channel whose gate lets it pass, and says for each how that went.
    #[allow(clippy::type_complexity, reason = "a list of results is what it is")]
    pub fn send_all(&self, packet: Packet) -> Reply<Vec<(PeerId, Result<(), SendError>)>> {
        self.call(move |net, now| net.send_all(now, &packet))
    }

    /// Sends a message, and waits only while the peer's queue is full. Resolved, it is queued in order; the peer gets it
    /// unless the channel breaks.
    ///
    /// # Errors
    /// The future's error says why it was not taken; it is never [`SendError::QueueFull`].
    pub fn send<'a>(&'a self, peer: PeerId, message: &'a [u8]) -> Sending<'a> {
        Sending { handle: self, peer, what: What::Message(message) }
    }

    /// [`send`](Self::send) for threads without a runtime. Never call it on the thread that runs the node.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn send_blocking(&self, peer: PeerId, message: &[u8]) -> Result<(), SendError> {
        match self.try_send(peer, message) {
            Err(SendError::QueueFull) => block_on(self.send(peer, message)),
            done => done,
        }
    }

    /// [`send`](Self::send) that never waits.
    ///
    /// # Errors
    /// [`SendError::QueueFull`] where `send` would wait, or why it was not taken.
    pub fn try_send(&self, peer: PeerId, message: &[u8]) -> Result<(), SendError> {
        let shared = self.shared();
        shared.outbox.message(&peer, message, None)?;
        shared.wake.tell();
        Ok(())
    }

    /// Sends a packet, and waits only while the peer's queue for it is full. Data transmissions have a queue of their
    /// own, which messages overtake.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_packet(&self, peer: PeerId, packet: Packet) -> Sending<'_> {
        Sending { handle: self, peer, what: What::Packet(packet) }
    }

    /// [`send_packet`](Self::send_packet) that never waits.
    ///
    /// # Errors
    /// [`SendError::QueueFull`] where `send_packet` would wait, or why it was not taken.
    pub fn try_send_packet(&self, peer: PeerId, packet: &Packet) -> Result<(), SendError> {
        let shared = self.shared();
        shared.outbox.packet(&peer, packet, None)?;
        shared.wake.tell();
        Ok(())
    }

    /// Ends everything gracefully: what was sent goes out, peers are told, every socket is closed. The reply comes after
    /// that, at the latest a little after [`Timing::linger`](p2pnet_protocol::Timing::linger).
    pub fn shutdown(&self) -> Reply<()> {
        let (promise, reply) = promise();
        self.shared().leave(Job::Shutdown(Some(promise)));
        reply
    }
}

/// A message or packet that waits to be taken: await it, or [`wait`](Self::wait).
#[derive(Debug)]
#[must_use = "nothing is sent until this is awaited"]
pub struct Sending<'a> {
    handle: &'a Handle,
    peer: PeerId,
    what: What<'a>,
}

#[derive(Debug)]
enum What<'a> {
    Message(&'a [u8]),
    Packet(Packet),
}

impl Sending<'_> {
    /// Blocks this thread until it is taken. Never call it on the thread that runs the node.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn wait(self) -> Result<(), SendError> {
        block_on(self)
    }
}

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = self.handle.shared();
        let waker = Some(cx.waker());
        let taken = match &self.what {
            What::Message(message) => shared.outbox.message(&self.peer, message, waker),
            What::Packet(packet) => shared.outbox.packet(&self.peer, packet, waker),
        };
        match taken {
            Err(SendError::QueueFull) => Poll::Pending,
            Ok(()) => {
                shared.wake.tell();
                Poll::Ready(Ok(()))
            }
            refused => Poll::Ready(refused),
        }
    }
}
