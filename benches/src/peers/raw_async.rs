//! Raw TCP under a runtime without tasks of its own for them, one thread an end: the limit for anything that runs on it.

use super::on::Sockets;
use super::{Peer, Ready};
use crate::buffer::Buffer;
use crate::job::{
    AT_ONCE, BATCH_BYTES, BYE, HELLO, IDLE_WARM_UP, Job, Messages, Outcome, PING_BYTES, Served,
    framed, pack,
};
use crate::machine;
use futures_util::future::{join_all, try_join_all};
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

pub(super) struct Raw<S>(pub(super) PhantomData<S>);

impl<S: Sockets> Peer for Raw<S> {
    fn serve(&self, job: Job, ready: Ready<'_>) -> io::Result<Served> {
        S::run(async {
            let (listener, at) = S::listen()?;
            ready(at);
            match job {
                Job::Bulk(_) => count(accept::<S>(&listener).await?, false).await?,
                Job::Messages { .. } => count(accept::<S>(&listener).await?, true).await?,
                Job::RoundTrip(_) => echo(accept::<S>(&listener).await?).await?,
                Job::SetUps(_) => serve_set_ups::<S>(&listener).await?,
                Job::Idle(channels) => return serve_idle::<S>(&listener, channels).await,
            }
            Ok(Served::default())
        })
    }

    fn run(&self, server: SocketAddr, job: Job) -> io::Result<Outcome> {
        S::run(async {
            match job {
                Job::Bulk(span) => bulk(connect::<S>(server).await?, span).await,
                Job::Messages { bytes, each, span } => {
                    messages(connect::<S>(server).await?, bytes, each, span).await
                }
                Job::RoundTrip(span) => round_trips(connect::<S>(server).await?, span).await,
                Job::SetUps(span) => set_ups::<S>(server, span).await,
                Job::Idle(channels) => idle::<S>(server, channels).await,
            }
        })
    }
}

/// A stream with its delays off.
struct Stream<S: Sockets>(S::Stream);

impl<S: Sockets> Stream<S> {
    fn new(stream: S::Stream) -> io::Result<Self> {
        S::socket(&stream).set_tcp_nodelay(true)?;
        Ok(Self(stream))
    }

    async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        S::read(&self.0, into).await
    }

    async fn write_all(&self, mut from: &[u8]) -> io::Result<()> {
        while !from.is_empty() {
            let written = S::write(&self.0, from).await?;
            from = &from[written..];
        }
        Ok(())
    }

    async fn read_exact<const N: usize>(&self) -> io::Result<[u8; N]> {
        let (mut bytes, mut filled) = ([0; N], 0);
        while filled < N {
            match self.read(&mut bytes[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(bytes)
    }
}

async fn accept<S: Sockets>(listener: &S::Listener) -> io::Result<Stream<S>> {
    Stream::new(S::accept(listener).await?)
}

async fn connect<S: Sockets>(server: SocketAddr) -> io::Result<Stream<S>> {
    Stream::new(S::connect(server).await?)
}

async fn count<S: Sockets>(stream: Stream<S>, framed: bool) -> io::Result<()> {
    let mut buffer = Buffer::new(BATCH_BYTES);
    let (mut messages, mut count, mut sum) = (Messages::default(), 0_u64, 0_u8);
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        if framed {
            messages.feed(&buffer[..length], |message| {
                count += 1;
                sum = sum.wrapping_add(message[0]);
            });
        } else {
            count += length as u64;
        }
    }
    std::hint::black_box(sum);
    stream.write_all(&count.to_le_bytes()).await
}

async fn bulk<S: Sockets>(stream: Stream<S>, span: Duration) -> io::Result<Outcome> {
    let block = Buffer::new(BATCH_BYTES);
    let start = Instant::now();
    while start.elapsed() < span {
        stream.write_all(&block).await?;
    }
    finished(stream, start).await
}

async fn messages<S: Sockets>(
    stream: Stream<S>,
    bytes: usize,
    each: bool,
    span: Duration,
) -> io::Result<Outcome> {
    let message = framed(bytes);
    let mut batch = Buffer::new(BATCH_BYTES);
    let start = Instant::now();
    while start.elapsed() < span {
        if each {
            for _ in 0..16 {
                stream.write_all(&message).await?;
            }
        } else {
            stream.write_all(pack(&mut batch, &message)).await?;
        }
    }
    finished(stream, start).await
}

async fn finished<S: Sockets>(stream: Stream<S>, start: Instant) -> io::Result<Outcome> {
    S::socket(&stream.0).shutdown(Shutdown::Write)?;
    let count = u64::from_le_bytes(stream.read_exact().await?);
    Ok(Outcome { seconds: start.elapsed().as_secs_f64(), count, ..Outcome::default() })
}

async fn echo<S: Sockets>(stream: Stream<S>) -> io::Result<()> {
    let mut buffer = Buffer::new(BATCH_BYTES);
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length]).await?,
        }
    }
}

async fn round_trips<S: Sockets>(stream: Stream<S>, span: Duration) -> io::Result<Outcome> {
    let mut trips = Vec::new();
    let ping = [7; PING_BYTES];
    let start = Instant::now();
    while start.elapsed() < span {
        let sent = Instant::now();
        stream.write_all(&ping).await?;
        stream.read_exact::<PING_BYTES>().await?;
        trips.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Outcome { seconds, count: trips.len() as u64, round_trips_us: trips })
}

/// So many workers as there are streams at a time, each with one until it has seen the last of its kind.
async fn serve_set_ups<S: Sockets>(listener: &S::Listener) -> io::Result<()> {
    let byes = Cell::new(0);
    let workers = (0..AT_ONCE).map(|_| async {
        while byes.get() < AT_ONCE {
            let stream = accept::<S>(listener).await?;
            let [first] = stream.read_exact().await?;
            stream.write_all(&[HELLO]).await?;
            if first == BYE {
                byes.set(byes.get() + 1);
                return Ok::<_, io::Error>(());
            }
            let _ = stream.read_exact::<1>().await;
        }
        Ok(())
    });
    try_join_all(workers).await.map(|_| ())
}

async fn set_up<S: Sockets>(server: SocketAddr, first: u8) -> io::Result<()> {
    let stream = connect::<S>(server).await?;
    S::socket(&stream.0).set_linger(Some(Duration::ZERO))?;
    stream.write_all(&[first]).await?;
    stream.read_exact::<1>().await.map(|_| ())
}

async fn set_ups<S: Sockets>(server: SocketAddr, span: Duration) -> io::Result<Outcome> {
    let start = Instant::now();
    let made = (0..AT_ONCE).map(|_| async {
        let mut made = 0;
        while start.elapsed() < span {
            set_up::<S>(server, HELLO).await?;
            made += 1;
        }
        Ok::<u64, io::Error>(made)
    });
    let count = try_join_all(made).await?.into_iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    for _ in 0..AT_ONCE {
        set_up::<S>(server, BYE).await?;
    }
    Ok(Outcome { seconds, count, ..Outcome::default() })
}

async fn serve_idle<S: Sockets>(listener: &S::Listener, channels: usize) -> io::Result<Served> {
    let (mut streams, mut before) = (Vec::new(), 0);
    for i in 0..IDLE_WARM_UP + channels {
        let stream = accept::<S>(listener).await?;
        stream.read_exact::<1>().await?;
        stream.write_all(&[HELLO]).await?;
        streams.push(stream);
        if i + 1 == IDLE_WARM_UP {
            before = machine::resident_bytes()?;
        }
    }
    let after = machine::resident_bytes()?;
    Ok(Served { idle_bytes: after.saturating_sub(before) as f64 / channels as f64 })
}

async fn idle<S: Sockets>(server: SocketAddr, channels: usize) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut streams = Vec::with_capacity(IDLE_WARM_UP + channels);
    for _ in 0..IDLE_WARM_UP + channels {
        let stream = connect::<S>(server).await?;
        stream.write_all(&[HELLO]).await?;
        stream.read_exact::<1>().await?;
        streams.push(stream);
    }
    let seconds = start.elapsed().as_secs_f64();
    let ends = streams.last().map(|last| last.read_exact::<1>());
    join_all(ends).await;
    Ok(Outcome { seconds, count: channels as u64, ..Outcome::default() })
}
