//! P2PNet on mio: one thread that waits for sockets, and no asynchronous runtime.
//!
//! [`run_in_thread`] gives a node a thread of its own:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use p2pnet_mio::{Builder, Config};
//! let mut config = Config::default();
//! config.lan.enabled = false;
//! let (node, mut events) = p2pnet_mio::run_in_thread(Builder::new(config))?;
//! println!("{} listens on {:?}", node.id(), node.listening());
//! node.shutdown().wait()?;
//! while events.next_blocking().is_some() {}
//! # Ok(())
//! # }
//! ```
//!
//! [`Node`] is for programs that own their event loop: it registers its sockets in their [`mio::Poll`].

mod watched;

pub use p2pnet_driver as driver;
pub use p2pnet_driver::{Builder, Config, Event, Events, Handle, Packet, PeerId, StartError};

use mio::net::TcpStream;
use mio::{Poll, Registry, Token, Waker};
use p2pnet_driver::sockets::Ready;
use p2pnet_driver::turns::Turns;
use p2pnet_protocol::Instant;
use std::io;
use std::sync::Arc;
use std::task::{self, Context};
use std::time::Duration;
use watched::Watched;

/// Events taken from the operating system at once.
const EVENTS_MAX: usize = 256;

/// Starts a node in a thread of its own. The thread ends with the node.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub fn run_in_thread(builder: Builder) -> Result<(Handle, Events), StartError> {
    let poll = Poll::new().map_err(StartError::Runtime)?;
    let waker = Waker::new(poll.registry(), Token(0)).map_err(StartError::Runtime)?;
    let (handle, events, node) =
        Node::register(builder, poll.registry(), Arc::new(waker), Token(1))?;
    std::thread::Builder::new()
        .name("p2pnet".into())
        .spawn(move || run(poll, node))
        .map_err(StartError::Runtime)?;
    Ok((handle, events))
}

fn run(mut poll: Poll, mut node: Node) -> io::Result<()> {
    let mut events = mio::Events::with_capacity(EVENTS_MAX);
    while node.turn() {
        match poll.poll(&mut events, node.patience()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            // Interrupted: there are no events.
            _ => events.iter().for_each(|event| _ = node.take(event)),
        }
    }
    Ok(())
}

/// A node in an event loop of your own. Nothing happens but in its methods, on your thread.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut config = p2pnet_mio::Config::default();
/// # config.lan.enabled = false;
/// # let builder = p2pnet_mio::Builder::new(config);
/// use mio::{Events, Poll, Token, Waker};
/// let mut poll = Poll::new()?;
/// let waker = Waker::new(poll.registry(), Token(0))?.into();
/// let (handle, _events, mut node) =
///     p2pnet_mio::Node::register(builder, poll.registry(), waker, Token(1000))?;
/// let mut ready = Events::with_capacity(256);
/// # let _ = handle.shutdown();
/// while node.turn() {
///     if let Err(error) = poll.poll(&mut ready, node.patience()) {
///         // After a signal, or when the machine slept.
///         assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
///     }
///     for event in &ready {
///         if !node.take(event) {
///             println!("{event:?} is the program's own");
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// On the same thread, take events with [`Events::try_next`]: whatever waits would wait for itself.
#[derive(Debug)]
pub struct Node {
    /// `None` once the node has stopped.
    turns: Option<Turns<Watched>>,
    ready: Vec<Ready<TcpStream>>,
    /// When the next turn is due if nothing happens before.
    due: Instant,
    waker: task::Waker,
}

/// Wakes the loop when the application left something to do.
struct Wake(Arc<Waker>);

impl task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        // It fails only where the loop's poll is gone, and the node with it.
        let _ = self.0.wake();
    }
}

impl Node {
    /// Opens everything a node needs and registers it: the tokens from `first` upwards are the node's. A poll has one
    /// waker, so the node shares the loop's; what it wakes the loop for is found by the next [`turn`](Self::turn).
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub fn register(
        builder: Builder,
        registry: &Registry,
        waker: Arc<Waker>,
        first: Token,
    ) -> Result<(Handle, Events, Self), StartError> {
        let registry = registry.try_clone().map_err(StartError::Runtime)?;
        let (handle, events, driver) = builder.start()?;
        let turns = Turns::new(driver, Watched::new(registry, first));
        let turns = Some(turns.map_err(StartError::Runtime)?);
        let waker = Arc::new(Wake(waker)).into();
        Ok((handle, events, Self { turns, ready: Vec::new(), due: Instant::ZERO, waker }))
    }

    /// Notes what an event says. `false`: it isn't the node's.
    pub fn take(&mut self, event: &mio::event::Event) -> bool {
        self.turns.as_mut().is_some_and(|turns| turns.sockets().take(event))
    }

    /// Does what can be done now, within bounds. Call it once the events of a poll were [taken](Self::take). `false`: the
    /// node was shut down and everything is closed.
    pub fn turn(&mut self) -> bool {
        let Some(turns) = &mut self.turns else { return false };
        turns.sockets().swap_ready(&mut self.ready);
        let is_due = !self.ready.is_empty() || turns.is_told();
        if !is_due && !turns.time_until(self.due).is_zero() {
            return true;
        }
        let goes_on = turns.turn(&mut self.ready);
        self.due = turns.deadline();
        if !goes_on && let Some(turns) = self.turns.take() {
            turns.finish();
        }
        goes_on
    }

    /// How long the next poll may wait before the next [`turn`](Self::turn): ask just before it. From then on until that
    /// turn the waker is used for whatever is left to do, from whichever thread; before, it is found without. `None`: the
    /// node has stopped, and waits for nothing.
    pub fn patience(&mut self) -> Option<Duration> {
        let turns = self.turns.as_mut()?;
        let is_told = turns.poll_told(&Context::from_waker(&self.waker)).is_ready();
        let at_once = is_told || turns.sockets().is_ready();
        Some(if at_once { Duration::ZERO } else { turns.time_until(self.due) })
    }
}
