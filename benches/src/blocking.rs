//! The jobs over a blocking byte pipe.

use crate::buffer::Buffer;
use crate::job::{
    AT_ONCE, BATCH_BYTES, BYE, HELLO, IDLE_WARM_UP, Job, Messages, Outcome, PING_BYTES, Served,
    framed, pack,
};
use crate::machine;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that go to the other end and come from it.
pub trait Pipe: Send {
    /// Hands over `bytes`, which may stay here until [`flush`](Self::flush).
    ///
    /// # Errors
    /// If the connection is gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Pushes out what was written.
    ///
    /// # Errors
    /// If the connection is gone.
    fn flush(&mut self) -> io::Result<()>;

    /// Waits for bytes and gives those that came; none at the end.
    ///
    /// # Errors
    /// If the connection is gone or the bytes are not the other end's.
    fn read(&mut self) -> io::Result<&[u8]>;

    /// Pushes everything out and ends this direction.
    ///
    /// # Errors
    /// If the connection is gone.
    fn finish(&mut self) -> io::Result<()>;

    /// Gives back buffers that hold nothing, as a program with many idle channels would.
    fn rest(&mut self);
}

/// Makes pipes.
pub trait Connector: Sync {
    /// The client's end.
    ///
    /// # Errors
    /// If the handshake fails.
    fn client(&self, stream: TcpStream) -> io::Result<Box<dyn Pipe>>;

    /// The server's end.
    ///
    /// # Errors
    /// If the handshake fails.
    fn server(&self, stream: TcpStream) -> io::Result<Box<dyn Pipe>>;
}

/// Does the server's part of `job`.
///
/// # Errors
/// If a connection breaks.
pub fn serve(connector: &dyn Connector, listener: &TcpListener, job: Job) -> io::Result<Served> {
    let one = || connector.server(accept(listener)?);
    match job {
        Job::Bulk(_) => count(&mut *one()?, false)?,
        Job::Messages { .. } => count(&mut *one()?, true)?,
        Job::RoundTrip(_) => echo(&mut *one()?)?,
        Job::SetUps(_) => serve_set_ups(connector, listener)?,
        Job::Idle(channels) => return serve_idle(connector, listener, channels),
    }
    Ok(Served::default())
}

/// Does the client's part of `job`.
///
/// # Errors
/// If a connection breaks.
pub fn run(connector: &dyn Connector, server: SocketAddr, job: Job) -> io::Result<Outcome> {
    let one = || connector.client(connect(server)?);
    match job {
        Job::Bulk(span) => bulk(&mut *one()?, span),
        Job::Messages { bytes, each, span } => messages(&mut *one()?, bytes, each, span),
        Job::RoundTrip(span) => round_trips(&mut *one()?, span),
        Job::SetUps(span) => set_ups(connector, server, span),
        Job::Idle(channels) => idle(connector, server, channels),
    }
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Counts what comes, and tells the count when it ends.
fn count(pipe: &mut dyn Pipe, framed: bool) -> io::Result<()> {
    let (mut messages, mut count, mut sum) = (Messages::default(), 0_u64, 0_u8);
    loop {
        let bytes = pipe.read()?;
        if bytes.is_empty() {
            break;
        }
        if framed {
            messages.feed(bytes, |message| {
                count += 1;
                sum = sum.wrapping_add(message[0]);
            });
        } else {
            count += bytes.len() as u64;
        }
    }
    std::hint::black_box(sum);
    pipe.write(&count.to_le_bytes())?;
    pipe.flush()
}

fn bulk(pipe: &mut dyn Pipe, span: Duration) -> io::Result<Outcome> {
    let block = Buffer::new(BATCH_BYTES);
    let start = Instant::now();
    while start.elapsed() < span {
        pipe.write(&block)?;
    }
    finished(pipe, start)
}

fn messages(pipe: &mut dyn Pipe, bytes: usize, each: bool, span: Duration) -> io::Result<Outcome> {
    let message = framed(bytes);
    let mut batch = Buffer::new(BATCH_BYTES);
    let start = Instant::now();
    while start.elapsed() < span {
        if each {
            // The clock is read once in a while, so that it doesn't count.
            for _ in 0..16 {
                pipe.write(&message)?;
                pipe.flush()?;
            }
        } else {
            pipe.write(pack(&mut batch, &message))?;
            pipe.flush()?;
        }
    }
    finished(pipe, start)
}

/// Ends the sending and waits for the server's count.
fn finished(pipe: &mut dyn Pipe, start: Instant) -> io::Result<Outcome> {
    pipe.finish()?;
    let mut reply = Vec::new();
    while reply.len() < 8 {
        let bytes = pipe.read()?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend_from_slice(bytes);
    }
    let count = reply.first_chunk().map_or(0, |count| u64::from_le_bytes(*count));
    Ok(Outcome { seconds: start.elapsed().as_secs_f64(), count, ..Outcome::default() })
}

fn echo(pipe: &mut dyn Pipe) -> io::Result<()> {
    let mut copy = Vec::new();
    loop {
        copy.clear();
        copy.extend_from_slice(pipe.read()?);
        if copy.is_empty() {
            return Ok(());
        }
        pipe.write(&copy)?;
        pipe.flush()?;
    }
}

fn round_trips(pipe: &mut dyn Pipe, span: Duration) -> io::Result<Outcome> {
    let mut trips = Vec::new();
    let ping = [7; PING_BYTES];
    let start = Instant::now();
    while start.elapsed() < span {
        let sent = Instant::now();
        pipe.write(&ping)?;
        pipe.flush()?;
        let mut received = 0;
        while received < PING_BYTES {
            match pipe.read()?.len() {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => received += bytes,
            }
        }
        trips.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = start.elapsed().as_secs_f64();
    pipe.finish()?;
    Ok(Outcome { seconds, count: trips.len() as u64, round_trips_us: trips })
}

fn serve_set_ups(connector: &dyn Connector, listener: &TcpListener) -> io::Result<()> {
    at_once(|| {
        loop {
            let mut pipe = connector.server(accept(listener)?)?;
            let first = pipe.read()?.first().copied();
            pipe.write(&[HELLO])?;
            pipe.flush()?;
            // Wait for the other end to close.
            let _ = pipe.read();
            if first != Some(HELLO) {
                return Ok(());
            }
        }
    })
}

fn at_once(worker: impl Fn() -> io::Result<()> + Sync) -> io::Result<()> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(&worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    })
}

fn set_up(connector: &dyn Connector, server: SocketAddr, first: u8) -> io::Result<()> {
    let stream = connect(server)?;
    // Close by reset: ports that linger in TIME_WAIT would run out within a few runs.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let mut pipe = connector.client(stream)?;
    pipe.write(&[first])?;
    pipe.flush()?;
    match pipe.read()?.len() {
        1 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn set_ups(connector: &dyn Connector, server: SocketAddr, span: Duration) -> io::Result<Outcome> {
    let made = AtomicU64::new(0);
    let start = Instant::now();
    at_once(|| {
        while start.elapsed() < span {
            set_up(connector, server, HELLO)?;
            made.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    // One for each of the server's workers, which wait in accept.
    (0..AT_ONCE).try_for_each(|_| set_up(connector, server, BYE))?;
    Ok(Outcome { seconds, count: made.into_inner(), ..Outcome::default() })
}

fn serve_idle(
    connector: &dyn Connector,
    listener: &TcpListener,
    channels: usize,
) -> io::Result<Served> {
    let mut pipes = Vec::with_capacity(IDLE_WARM_UP + channels);
    let mut before = 0;
    for i in 0..IDLE_WARM_UP + channels {
        let mut pipe = connector.server(accept(listener)?)?;
        pipe.read()?;
        pipe.write(&[HELLO])?;
        pipe.flush()?;
        pipe.rest();
        pipes.push(pipe);
        if i + 1 == IDLE_WARM_UP {
            before = machine::resident_bytes()?;
        }
    }
    let after = machine::resident_bytes()?;
    drop(pipes);
    Ok(Served { idle_bytes: after.saturating_sub(before) as f64 / channels as f64 })
}

fn idle(connector: &dyn Connector, server: SocketAddr, channels: usize) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut pipes = Vec::with_capacity(IDLE_WARM_UP + channels);
    for _ in 0..IDLE_WARM_UP + channels {
        let mut pipe = connector.client(connect(server)?)?;
        pipe.write(&[HELLO])?;
        pipe.flush()?;
        pipe.read()?;
        pipe.rest();
        pipes.push(pipe);
    }
    let seconds = start.elapsed().as_secs_f64();
    // The server has looked at its memory when it closes.
    if let Some(last) = pipes.last_mut() {
        let _ = last.read();
    }
    Ok(Outcome { seconds, count: channels as u64, ..Outcome::default() })
}
