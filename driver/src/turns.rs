//! A node in turns: what every loop does, however it learns that sockets are ready.
//!
//! A connection has no task of its own. When something is ready, the loop takes a [turn](Turns::turn): jobs from the
//! handle, what the sockets have, timers; then it does what the core asks for until nothing is left or the turn's budget
//! is spent, and sleeps only if nothing is left. Two kinds of loop are built on this: [`Driver::run`], a future for
//! asynchronous runtimes, and loops over readiness such as `p2pnet-mio`'s, which implement [`Sockets`] themselves.
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
mod keep;
mod streams;
mod transfers;
mod work;

use crate::clock::{Clock, WallFeed};
use crate::fetch::Fetcher;
use crate::files::Files;
use crate::handle::{Call, Shared};
use crate::interfaces;
use crate::key_log::KeyLog;
use crate::sockets::{Ready, SocketId, Sockets};
use crate::state::{StateDir, StateError};
use crate::udp::{self, Family};
use crate::{Driver, Node};
use buffer::ReadBuffer;
use p2pnet_protocol::handlers::Handlers;
use p2pnet_protocol::trust::policy::IncomingPeerTrustPolicy;
use p2pnet_protocol::{ConnId, Duration, Instant, Interface, ListenerId};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use streams::Conn;
use work::Ending;

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
/// Datagrams taken from one socket in one turn.
const DATAGRAMS_MAX: usize = 64;

/// A running node, between two turns. Dropping it ends the node at once.
pub struct Turns<S: Sockets> {
    sockets: S,
    net: Node,
    shared: Arc<Shared>,
    clock: Clock,
    now: Instant,
    state: Option<StateDir>,
    linger: Duration,
    policy: IncomingPeerTrustPolicy,
    handlers: Handlers,
    key_log: Option<KeyLog>,
    anonymous: bool,
    files: Files,
    fetcher: Fetcher,

    conns: HashMap<ConnId, Conn<S::Stream>>,
    to_read: VecDeque<ConnId>,
    to_write: VecDeque<ConnId>,
    /// Datagram sockets that may have more.
    to_receive: Vec<SocketId>,
    buffer: ReadBuffer,
    /// Listeners that failed and rest until then.
    resting: Vec<(Instant, ListenerId)>,

    ears: Vec<Family>,
    watched: bool,
    interfaces: Vec<Interface>,
    interfaces_due: Instant,
    wall: WallFeed,

    /// Calls that ran and are answered once their outputs were dealt with.
    called: Vec<Box<dyn Call>>,
    /// Why the lists could not be saved in this turn.
    not_saved: Option<StateError>,
    /// The transfers are to be saved at the end of this turn, once for all that changed.
    transfers_changed: bool,
    /// Channels, or the node, that end once what was sent for them is in the core.
    endings: Vec<Ending>,
    /// Once the core was told to shut down: when to stop in any case.
    stop_by: Option<Instant>,
    credits: Vec<(ConnId, p2pnet_protocol::Lane, u32)>,
    /// More could be done at once.
    more: bool,
    /// The last field: it tells that everything above is gone.
    _end: End,
}

/// Marks the node as stopped however the loop ends, so that nobody waits for it in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<S: Sockets> std::fmt::Debug for Turns<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

impl<S: Sockets> Turns<S> {
    /// Hands the node's sockets over to `sockets`. The first turn should come soon.
    ///
    /// # Errors
    /// If a listening socket or a designated port can't be watched. Nothing that happens later ends a node by itself.
    pub fn new(driver: Driver, sockets: S) -> io::Result<Self> {
        let now = driver.clock.now();
        let mut this = Self {
            sockets,
            net: driver.net,
            _end: End(Arc::clone(&driver.shared)),
            shared: driver.shared,
            clock: driver.clock,
            now,
            state: driver.state,
            linger: driver.linger,
            policy: driver.policy,
            handlers: driver.handlers,
            key_log: driver.key_log,
            anonymous: driver.anonymous,
            files: driver.files,
            fetcher: Fetcher::default(),
            conns: HashMap::new(),
            to_read: VecDeque::new(),
            to_write: VecDeque::new(),
            to_receive: Vec::new(),
            buffer: ReadBuffer::new(),
            resting: Vec::new(),
            ears: Vec::new(),
            watched: false,
            interfaces: Vec::new(),
            interfaces_due: now,
            wall: WallFeed::default(),
            called: Vec::new(),
            not_saved: None,
            transfers_changed: false,
            endings: Vec::new(),
            stop_by: None,
            credits: Vec::new(),
            more: false,
        };
        for (id, listener) in (0..).map(ListenerId).zip(driver.listeners) {
            let at = listener.local_addr()?;
            this.sockets.add_listener(id, listener)?;
            this.sockets.await_accept(id);
            this.net.handle_listening(now, id, at);
        }
        for (id, ear) in (0..).map(SocketId::Ear).zip(driver.ears) {
            this.sockets.add_socket(id, ear.socket)?;
            this.sockets.await_receive(id);
            this.ears.push(ear.family);
        }
        if let Some(watch) = driver.watch
            && this.sockets.add_socket(SocketId::Watch, watch).is_ok()
        {
            this.sockets.await_receive(SocketId::Watch);
            this.watched = true;
        }
        this.resume_transfers(driver.transfers);
        Ok(this)
    }

    /// Does everything that can be done now, within bounds: `ready` is emptied. Says whether the node goes on; if not,
    /// [`finish`](Self::finish) it.
    pub fn turn(&mut self, ready: &mut Vec<Ready<S::Stream>>) -> bool {
        let told = self.shared.wake.clear();
        self.count_turn(!ready.is_empty(), told);
        self.more = false;
        self.now = self.clock.now();
        self.take_credits();
        self.take_jobs();
        self.on_time();
        for ready in ready.drain(..) {
            self.on_ready(ready);
        }
        for id in std::mem::take(&mut self.to_receive) {
            self.receive(id);
        }
        self.drain_outputs();
        self.flush_outbox();
        self.read_streams();
        self.drain_outputs();
        // What is kept has to be on the disk before peers are told of it.
        self.save_transfers();
        self.write_streams();
        self.drain_outputs();
        self.save_transfers();
        self.finish_calls();
        self.check_endings();
        !self.is_over()
    }

    /// The sockets, for who watches them.
    pub fn sockets(&mut self) -> &mut S {
        &mut self.sockets
    }

    /// When the next turn is due if no socket is ready and nothing is [told](Self::poll_told) before. Only a turn changes
    /// it.
    pub fn deadline(&self) -> Instant {
        let core = self.net.poll_timeout();
        let own = [
            self.handlers.poll_timeout(),
            Some(self.wall.due()),
            Some(self.interfaces_due),
            self.resting.iter().map(|(until, _)| *until).min(),
            self.endings.iter().filter_map(Ending::deadline).min(),
            self.stop_by,
            self.has_more().then_some(self.now),
        ];
        let own = own.into_iter().flatten().fold(self.now + SLEEP_MAX, Instant::min);
        let deadline = core.map_or(own, |core| own.min(core.at));
        let time = deadline.since(self.now);
        let why = core.filter(|core| core.at <= own).map(|core| core.why);
        tracing::trace!(target: "p2pnet::driver", ?time, ?why, "waiting");
        deadline
    }

    /// How long it is until then.
    pub fn time_until(&self, then: Instant) -> Duration {
        then.since(self.clock.now())
    }

    /// Whether more could be done at once, without waiting.
    pub fn has_more(&self) -> bool {
        self.more
            || !self.to_read.is_empty()
            || !self.to_write.is_empty()
            || !self.to_receive.is_empty()
    }

    /// Whether the application left something to do since the last turn. Until the next [`poll_told`](Self::poll_told) it
    /// wakes nobody if it does.
    pub fn is_told(&self) -> bool {
        self.shared.wake.is_told()
    }

    /// Whether the application left something to do since the last turn. If not, it wakes the context's waker when it
    /// does, once: ask again before each sleep.
    pub fn poll_told(&self, cx: &Context<'_>) -> Poll<()> {
        self.shared.wake.poll(cx)
    }

    /// Closes what is still open, and answers those who asked for the end.
    pub fn finish(mut self) {
        let endings = std::mem::take(&mut self.endings);
        drop(self);
        endings.into_iter().for_each(Ending::finish);
    }

    /// Whether the node was shut down and everything is closed, or time is up.
    fn is_over(&self) -> bool {
        let Some(stop_by) = self.stop_by else { return false };
        (self.net.is_finished() && self.conns.is_empty()) || self.now >= stop_by
    }

    fn count_turn(&self, ready: bool, told: bool) {
        let counts = &self.shared.counts;
        counts.turns.add(1);
        let wake = match (ready, told, self.has_more()) {
            (true, ..) => &counts.wakes_socket,
            (_, true, _) => &counts.wakes_told,
            (.., true) => &counts.wakes_leftover,
            _ => &counts.wakes_timer,
        };
        wake.add(1);
    }

    fn on_ready(&mut self, ready: Ready<S::Stream>) {
        match ready {
            Ready::Readable(conn) => self.on_readable(conn),
            Ready::Writable(conn) => self.on_writable(conn),
            Ready::Accepted(id, accepted) => self.on_accept(id, accepted),
            Ready::Receivable(id) => self.to_receive.push(id),
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
        for (_, id) in self.resting.extract_if(.., |(until, _)| *until <= now) {
            self.sockets.await_accept(id);
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
        for (at, family) in self.ears.iter().enumerate() {
            if let Some(socket) = self.sockets.socket_ref(SocketId::Ear(at)) {
                udp::join(&socket, *family, &interfaces);
            }
        }
        self.net.handle_interfaces(self.now, &interfaces);
        self.interfaces = interfaces;
    }

    fn receive(&mut self, id: SocketId) {
        match id {
            SocketId::Ear(_) => self.receive_datagrams(id),
            SocketId::Watch => self.on_interfaces_told(),
        }
    }

    /// The interface watch has something: its content doesn't matter, only that it came.
    fn on_interfaces_told(&mut self) {
        self.interfaces_due = self.interfaces_due.min(self.now + INTERFACES_SETTLE);
        loop {
            match self.sockets.try_receive(SocketId::Watch, &mut [0; 512]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.sockets.await_receive(SocketId::Watch);
                }
                // Told more than the socket could hold: look, and go on.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => break,
                Ok(_) => {}
            }
        }
        self.watched = false;
        self.sockets.remove_socket(SocketId::Watch);
    }

    fn receive_datagrams(&mut self, id: SocketId) {
        let mut datagram = [0; 2048];
        for _ in 0..DATAGRAMS_MAX {
            match self.sockets.try_receive_from(id, &mut datagram) {
                // One that fills the buffer was cut: no beacon is that long.
                Ok((bytes, from)) if bytes < datagram.len() => {
                    let from = p2pnet_protocol::net::canonical(from);
                    self.net.handle_datagram(self.now, from, &datagram[..bytes]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.sockets.await_receive(id);
                }
                // An error that an earlier datagram caused: the socket goes on.
                Err(_) => {}
            }
        }
        // There may be more: others first.
        self.to_receive.push(id);
    }
}
