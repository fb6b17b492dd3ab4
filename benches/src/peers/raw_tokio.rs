//! Raw TCP under tokio, one thread an end: the limit for anything that runs on it.

use super::{Peer, Ready};
use crate::buffer::Buffer;
use crate::job::{
    AT_ONCE, BATCH_BYTES, BYE, HELLO, IDLE_WARM_UP, Job, Messages, Outcome, PING_BYTES, Served,
    framed, pack,
};
use crate::machine;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) struct RawTokio;

impl Peer for RawTokio {
    fn serve(&self, job: Job, ready: Ready<'_>) -> io::Result<Served> {
        runtime()?.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            ready(listener.local_addr()?);
            match job {
                Job::Bulk(_) => count(accept(&listener).await?, false).await?,
                Job::Messages { .. } => count(accept(&listener).await?, true).await?,
                Job::RoundTrip(_) => echo(accept(&listener).await?).await?,
                Job::SetUps(_) => serve_set_ups(&listener).await?,
                Job::Idle(channels) => return serve_idle(&listener, channels).await,
            }
            Ok(Served::default())
        })
    }

    fn run(&self, server: SocketAddr, job: Job) -> io::Result<Outcome> {
        runtime()?.block_on(async {
            match job {
                Job::Bulk(span) => bulk(connect(server).await?, span).await,
                Job::Messages { bytes, each, span } => {
                    messages(connect(server).await?, bytes, each, span).await
                }
                Job::RoundTrip(span) => round_trips(connect(server).await?, span).await,
                Job::SetUps(span) => set_ups(server, span).await,
                Job::Idle(channels) => idle(server, channels).await,
            }
        })
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn count(mut stream: TcpStream, framed: bool) -> io::Result<()> {
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

async fn bulk(mut stream: TcpStream, span: Duration) -> io::Result<Outcome> {
    let block = Buffer::new(BATCH_BYTES);
    let start = Instant::now();
    while start.elapsed() < span {
        stream.write_all(&block).await?;
    }
    finished(stream, start).await
}

async fn messages(
    mut stream: TcpStream,
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

async fn finished(mut stream: TcpStream, start: Instant) -> io::Result<Outcome> {
    stream.shutdown().await?;
    let count = stream.read_u64_le().await?;
    Ok(Outcome { seconds: start.elapsed().as_secs_f64(), count, ..Outcome::default() })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Buffer::new(BATCH_BYTES);
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length]).await?,
        }
    }
}

async fn round_trips(mut stream: TcpStream, span: Duration) -> io::Result<Outcome> {
    let mut trips = Vec::new();
    let (ping, mut pong) = ([7; PING_BYTES], [0; PING_BYTES]);
    let start = Instant::now();
    while start.elapsed() < span {
        let sent = Instant::now();
        stream.write_all(&ping).await?;
        stream.read_exact(&mut pong).await?;
        trips.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Outcome { seconds, count: trips.len() as u64, round_trips_us: trips })
}

async fn serve_set_ups(listener: &TcpListener) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let mut byes = 0;
    while byes < AT_ONCE {
        tokio::select! {
            stream = accept(listener) => {
                let mut stream = stream?;
                tasks.spawn(async move {
                    let first = stream.read_u8().await?;
                    stream.write_u8(HELLO).await?;
                    let _ = stream.read_u8().await;
                    Ok::<_, io::Error>(first)
                });
            }
            Some(first) = tasks.join_next() => byes += usize::from(first?? == BYE),
        }
    }
    Ok(())
}

async fn set_up(server: SocketAddr, first: u8) -> io::Result<()> {
    let mut stream = connect(server).await?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    stream.write_u8(first).await?;
    stream.read_u8().await.map(|_| ())
}

async fn set_ups(server: SocketAddr, span: Duration) -> io::Result<Outcome> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..AT_ONCE {
        tasks.spawn(async move {
            let mut made = 0;
            while start.elapsed() < span {
                set_up(server, HELLO).await?;
                made += 1;
            }
            Ok::<u64, io::Error>(made)
        });
    }
    let mut count = 0;
    while let Some(made) = tasks.join_next().await {
        count += made??;
    }
    let seconds = start.elapsed().as_secs_f64();
    for _ in 0..AT_ONCE {
        set_up(server, BYE).await?;
    }
    Ok(Outcome { seconds, count, ..Outcome::default() })
}

/// Each channel has a task that waits for it, as in a server that would answer.
async fn serve_idle(listener: &TcpListener, channels: usize) -> io::Result<Served> {
    let mut tasks = JoinSet::new();
    let mut before = 0;
    for i in 0..IDLE_WARM_UP + channels {
        let mut stream = accept(listener).await?;
        stream.read_u8().await?;
        stream.write_u8(HELLO).await?;
        tasks.spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        if i + 1 == IDLE_WARM_UP {
            before = machine::resident_bytes()?;
        }
    }
    let after = machine::resident_bytes()?;
    tasks.shutdown().await;
    Ok(Served { idle_bytes: after.saturating_sub(before) as f64 / channels as f64 })
}

async fn idle(server: SocketAddr, channels: usize) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut streams = Vec::with_capacity(IDLE_WARM_UP + channels);
    for _ in 0..IDLE_WARM_UP + channels {
        let mut stream = connect(server).await?;
        stream.write_u8(HELLO).await?;
        stream.read_u8().await?;
        streams.push(stream);
    }
    let seconds = start.elapsed().as_secs_f64();
    if let Some(last) = streams.last_mut() {
        let _ = last.read_u8().await;
    }
    Ok(Outcome { seconds, count: channels as u64, ..Outcome::default() })
}
