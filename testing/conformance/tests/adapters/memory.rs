//! Nodes on a network in memory: a world with its own moods instead of the kernel's. Every read and write moves a part of
//! what it could, readiness is told when there is none, and what is ready at the same time comes in any order.

use p2pnet_driver::protocol::{ConnId, ListenerId};
use p2pnet_driver::sockets::{Ready, SocketId, Sockets};
use p2pnet_driver::turns::Turns;
use p2pnet_driver::{Builder, Events, Handle, StartError};
use socket2::SockRef;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Wake, Waker};
use std::thread::Thread;

/// What fits between two ends, one way.
const PIPE_BYTES: usize = 64 << 10;
/// A read or write moves at most one of these.
const MOVES_BYTES: [usize; 6] = [1, 30, 500, 1500, 16 << 10, PIPE_BYTES];
/// One in so many waits is told readiness that isn't there.
const FALSE_ALARMS: u64 = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// A number that nobody foresees.
fn chance() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    // The finish of SplitMix64: any counter gives numbers without a pattern.
    let mut number = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn some_of(bytes: usize) -> usize {
    bytes.min(MOVES_BYTES[chance() as usize % MOVES_BYTES.len()])
}

/// Starts a node in a thread of its own.
pub(crate) fn spawn(builder: Builder) -> Result<(Handle, Events), StartError> {
    let (handle, events, driver) = builder.start()?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mailbox = Arc::new(Mailbox { ready: Mutex::default(), loops: std::thread::current() });
        match Turns::new(driver, Memory { mailbox: Arc::clone(&mailbox), ports: Vec::new() }) {
            Ok(turns) => {
                tell.send(Ok(())).unwrap();
                run(turns, &mailbox);
            }
            Err(error) => tell.send(Err(error)).unwrap(),
        }
    });
    told.recv().unwrap().map_err(StartError::Runtime)?;
    Ok((handle, events))
}

fn run(mut turns: Turns<Memory>, mailbox: &Arc<Mailbox>) {
    let waker = Waker::from(Arc::clone(mailbox));
    let cx = Context::from_waker(&waker);
    let mut ready = Vec::new();
    while turns.turn(&mut ready) {
        let due = turns.deadline();
        loop {
            let is_told = turns.poll_told(&cx).is_ready();
            ready.append(&mut lock(&mailbox.ready));
            let left = turns.time_until(due);
            if is_told || !ready.is_empty() || left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        if chance().is_multiple_of(2) {
            ready.reverse();
        }
    }
    turns.finish();
    // Streams that came in the meantime are let go, outside the lock.
    let left = std::mem::take(&mut *lock(&mailbox.ready));
    drop(left);
}

/// Where a node's loop is told what is ready.
struct Mailbox {
    ready: Mutex<Vec<Ready<End>>>,
    loops: Thread,
}

impl Mailbox {
    fn push(&self, ready: Ready<End>) {
        lock(&self.ready).push(ready);
        self.loops.unpark();
    }
}

impl Wake for Mailbox {
    fn wake(self: Arc<Self>) {
        self.loops.unpark();
    }
}

/// Who waits for one way of a stream.
type Waiting = Option<(Arc<Mailbox>, ConnId)>;

/// One way of a stream.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// No more is written.
    is_ended: bool,
    /// One end is gone, and what was under way with it.
    is_broken: bool,
    reader: Waiting,
    writer: Waiting,
}

impl Pipe {
    fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.is_ended || self.is_broken
    }

    fn is_writable(&self) -> bool {
        self.bytes.len() < PIPE_BYTES || self.is_broken
    }

    /// Tells those who wait, if it came.
    fn tell(&mut self) {
        if self.is_readable()
            && let Some((mailbox, conn)) = self.reader.take()
        {
            mailbox.push(Ready::Readable(conn));
        }
        if self.is_writable()
            && let Some((mailbox, conn)) = self.writer.take()
        {
            mailbox.push(Ready::Writable(conn));
        }
    }
}

/// One end of a stream. Dropping it with something unread breaks the stream, as TCP does.
struct End {
    inbound: Arc<Mutex<Pipe>>,
    outbound: Arc<Mutex<Pipe>>,
    /// Where it is; `None`: nobody listens where it was to lead.
    here: Option<SocketAddr>,
}

impl Drop for End {
    fn drop(&mut self) {
        let is_unread = {
            let mut inbound = lock(&self.inbound);
            let is_unread = !inbound.bytes.is_empty();
            inbound.is_broken = true;
            inbound.bytes.clear();
            inbound.tell();
            is_unread
        };
        let mut outbound = lock(&self.outbound);
        outbound.is_ended = true;
        if is_unread {
            outbound.is_broken = true;
            outbound.bytes.clear();
        }
        outbound.tell();
    }
}

/// A place where streams are accepted.
struct Door {
    mailbox: Arc<Mailbox>,
    id: ListenerId,
    is_awaited: bool,
    arrived: VecDeque<(End, SocketAddr)>,
    /// Holds the port, so that no two nodes have the same.
    _port: TcpListener,
}

impl Door {
    fn open(&mut self) {
        if self.is_awaited
            && let Some(arrived) = self.arrived.pop_front()
        {
            self.is_awaited = false;
            self.mailbox.push(Ready::Accepted(self.id, Ok(arrived)));
        }
    }
}

static DOORS: Mutex<BTreeMap<SocketAddr, Door>> = Mutex::new(BTreeMap::new());

/// A node's part of the network.
struct Memory {
    mailbox: Arc<Mailbox>,
    ports: Vec<(ListenerId, SocketAddr)>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        let closed: Vec<_> =
            self.ports.iter().filter_map(|(_, at)| lock(&DOORS).remove(at)).collect();
        // Whoever came and was not accepted is let go outside the lock.
        drop(closed);
    }
}

impl Memory {
    fn waiting(&self, conn: ConnId) -> Waiting {
        if chance().is_multiple_of(FALSE_ALARMS) {
            self.mailbox.push(Ready::Writable(conn));
            self.mailbox.push(Ready::Readable(conn));
        }
        Some((Arc::clone(&self.mailbox), conn))
    }
}

impl Sockets for Memory {
    type Stream = End;

    fn add_listener(&mut self, id: ListenerId, listener: TcpListener) -> io::Result<()> {
        let at = listener.local_addr()?;
        let mailbox = Arc::clone(&self.mailbox);
        let door =
            Door { mailbox, id, is_awaited: false, arrived: VecDeque::new(), _port: listener };
        lock(&DOORS).insert(at, door);
        self.ports.push((id, at));
        Ok(())
    }

    fn add_socket(&mut self, _: SocketId, _: UdpSocket) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn remove_socket(&mut self, _: SocketId) {}

    fn adopt(&mut self, _: TcpStream) -> io::Result<End> {
        Err(ErrorKind::Unsupported.into())
    }

    fn dial(&mut self, to: SocketAddr) -> io::Result<End> {
        static NEXT_PORT: AtomicU64 = AtomicU64::new(0);
        let port = 1024 + NEXT_PORT.fetch_add(1, Ordering::Relaxed) % 64_000;
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, port as u16));
        let [there, back] = [(); 2].map(|()| Arc::<Mutex<Pipe>>::default());
        let (inbound, outbound) = (Arc::clone(&there), Arc::clone(&back));
        let mut doors = lock(&DOORS);
        let here = doors.get_mut(&to).map(|door| {
            door.arrived.push_back((End { inbound, outbound, here: Some(to) }, from));
            door.open();
            from
        });
        Ok(End { inbound: back, outbound: there, here })
    }

    fn decided(stream: &End) -> io::Result<Option<SocketAddr>> {
        stream.here.map(Some).ok_or(ErrorKind::ConnectionRefused.into())
    }

    fn end_writing(stream: &End) -> io::Result<()> {
        let mut outbound = lock(&stream.outbound);
        outbound.is_ended = true;
        outbound.tell();
        if outbound.is_broken { Err(ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    fn release(&mut self, _: ConnId, stream: End, _awaited: bool) {
        drop(stream);
    }

    fn await_accept(&mut self, id: ListenerId) {
        let at = self.ports.iter().find(|(port, _)| *port == id).map(|(_, at)| *at);
        if let Some(at) = at
            && let Some(door) = lock(&DOORS).get_mut(&at)
        {
            door.is_awaited = true;
            door.open();
        }
    }

    fn await_receive(&mut self, _: SocketId) {}

    fn await_read(&mut self, conn: ConnId, stream: &mut End) -> io::Result<()> {
        let mut inbound = lock(&stream.inbound);
        inbound.reader = self.waiting(conn);
        inbound.tell();
        Ok(())
    }

    fn await_write(&mut self, conn: ConnId, stream: &mut End) -> io::Result<()> {
        let mut outbound = lock(&stream.outbound);
        outbound.writer = self.waiting(conn);
        outbound.tell();
        Ok(())
    }

    fn try_read(stream: &End, into: &mut [u8]) -> io::Result<usize> {
        let mut inbound = lock(&stream.inbound);
        match inbound.bytes.len() {
            _ if inbound.is_broken => Err(ErrorKind::ConnectionReset.into()),
            0 if inbound.is_ended => Ok(0),
            0 => Err(ErrorKind::WouldBlock.into()),
            there => {
                let count = some_of(there.min(into.len()));
                for (place, byte) in into.iter_mut().zip(inbound.bytes.drain(..count)) {
                    *place = byte;
                }
                inbound.tell();
                Ok(count)
            }
        }
    }

    fn try_write(stream: &End, from: &[u8]) -> io::Result<usize> {
        let mut outbound = lock(&stream.outbound);
        match PIPE_BYTES.saturating_sub(outbound.bytes.len()) {
            _ if outbound.is_broken => Err(ErrorKind::BrokenPipe.into()),
            0 => Err(ErrorKind::WouldBlock.into()),
            room => {
                let count = some_of(room.min(from.len()));
                outbound.bytes.extend(&from[..count]);
                outbound.tell();
                Ok(count)
            }
        }
    }

    fn stream_ref(_: &End) -> Option<SockRef<'_>> {
        None
    }

    fn try_receive_from(&self, _: SocketId, _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn try_receive(&self, _: SocketId, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn socket_ref(&self, _: SocketId) -> Option<SockRef<'_>> {
        None
    }
}
