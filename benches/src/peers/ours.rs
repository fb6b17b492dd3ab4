//! This project's node on each runtime, with the program in the same thread: what a user has.

use super::on::Nodes;
use super::{Peer, Ready};
use crate::job::{
    AT_ONCE, BATCH_BYTES, BYE, HELLO, IDLE_WARM_UP, Job, Outcome, PING_BYTES, Served,
};
use crate::machine;
use futures_util::future::try_join_all;
use p2pnet_driver::protocol::{DisconnectReason, Limits, Packet, PeerId};
use p2pnet_driver::{Builder, Config, Event, Events, Handle};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(super) struct Ours {
    /// Whether AES may be chosen, where the machine has it.
    pub(super) aes: bool,
    /// What it runs on.
    pub(super) on: &'static Nodes,
}

impl Peer for Ours {
    fn serve(&self, job: Job, ready: Ready<'_>) -> io::Result<Served> {
        let (aes, on) = (self.aes, self.on);
        let (tell, told) = channel();
        // A program knows nothing of who waits for its address.
        let server = thread::spawn(move || to_its_end(on, serve((aes, on), job, tell)));
        if let Ok(address) = told.recv() {
            ready(address);
        }
        server.join().map_err(|_| io::Error::other("the server panicked"))?
    }

    fn run(&self, server: SocketAddr, job: Job) -> io::Result<Outcome> {
        let to = To { server, aes: self.aes, on: self.on };
        to_its_end(self.on, run(to, job))
    }
}

/// Runs a program, and gives what came of it.
fn to_its_end<T: Send + 'static>(
    on: &Nodes,
    program: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let (tell, told) = channel();
    (on.run)(Box::pin(async move {
        let _ = tell.send(program.await);
    }));
    told.recv().map_err(io::Error::other)?
}

/// Where the server is, whether AES may be chosen, and what the client runs on.
#[derive(Clone, Copy)]
struct To {
    server: SocketAddr,
    aes: bool,
    on: &'static Nodes,
}

async fn serve(
    (aes, on): (bool, &'static Nodes),
    job: Job,
    ready: Sender<SocketAddr>,
) -> io::Result<Served> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (node, mut events) = start(on, vec![any], aes)?;
    let address = *node.listening().first().ok_or(io::ErrorKind::AddrNotAvailable)?;
    ready.send(address).map_err(io::Error::other)?;
    let served = match job {
        Job::Idle(channels) => serve_idle(&node, &mut events, channels).await?,
        Job::RoundTrip(_) | Job::SetUps(_) => {
            let byes = if matches!(job, Job::RoundTrip(_)) { 1 } else { AT_ONCE };
            echo(&node, &mut events, byes).await?;
            Served::default()
        }
        Job::Bulk(_) | Job::Messages { .. } => {
            count(&node, &mut events, matches!(job, Job::Bulk(_))).await?;
            Served::default()
        }
    };
    node.shutdown().await.map_err(io::Error::other)?;
    Ok(served)
}

async fn run(to: To, job: Job) -> io::Result<Outcome> {
    match job {
        Job::SetUps(span) => return set_ups(to, span).await,
        Job::Idle(channels) => return idle(to, channels).await,
        Job::Bulk(_) | Job::Messages { .. } | Job::RoundTrip(_) => {}
    }
    let mut channel = Channel::open(to).await?;
    match job {
        Job::RoundTrip(span) => channel.round_trips(span).await,
        Job::Messages { bytes, span, .. } => channel.messages(bytes, span).await,
        _ => channel.bulk(job).await,
    }
}

fn start(on: &Nodes, listen: Vec<SocketAddr>, aes: bool) -> io::Result<(Handle, Events)> {
    let mut config = Config::default();
    config.lan.enabled = false;
    config.accept_inbound = !listen.is_empty();
    config.listen = listen;
    config.policies.incoming.trust_authenticated = true;
    // All come from one address here, which the defaults take for an attack.
    let all = 4_096;
    config.limits = Limits {
        connections_per_address_max: all,
        connections_per_subnet_max: all,
        handshakes_per_address_max: all,
        handshakes_per_subnet_max: all,
        // What nobody asked for is bounded too, and to the server all of these are.
        channels_auto_max: all,
        ..Limits::large()
    };
    let builder = Builder::new(config);
    let builder = if aes { builder } else { builder.without_aes() };
    (on.start)(builder).map_err(io::Error::other)
}

/// A channel from a node of its own: between two nodes there is never more than one.
struct Channel {
    node: Handle,
    events: Events,
    peer: PeerId,
}

impl Channel {
    async fn open(to: To) -> io::Result<Self> {
        let (node, events) = start(to.on, Vec::new(), to.aes)?;
        let mut channel = Self { node, events, peer: PeerId([0; 32]) };
        channel.connect(to.server).await?;
        Ok(channel)
    }

    async fn connect(&mut self, server: SocketAddr) -> io::Result<()> {
        self.node.connect(server, None).await.map_err(io::Error::other)?;
        self.peer = until(&mut self.events, |event| match event {
            Event::PeerConnected { peer, .. } => Some(peer),
            _ => None,
        })
        .await?;
        Ok(())
    }

    async fn send(&self, message: &[u8]) -> io::Result<()> {
        self.node.send(self.peer, message).await.map_err(io::Error::other)
    }

    /// The next message that comes.
    async fn receive(&mut self) -> io::Result<Packet> {
        until(&mut self.events, |event| match event {
            Event::Received(mut received) => received.next(),
            _ => None,
        })
        .await
    }

    async fn finished(&mut self, start: Instant) -> io::Result<Outcome> {
        let reply = self.receive().await?;
        let seconds = start.elapsed().as_secs_f64();
        let count = reply.payload().and_then(|payload| payload.first_chunk());
        let count = count.map_or(0, |count| u64::from_le_bytes(*count));
        Ok(Outcome { seconds, count, ..Outcome::default() })
    }

    async fn bulk(&mut self, job: Job) -> io::Result<Outcome> {
        let Job::Bulk(span) = job else { return Ok(Outcome::default()) };
        let block = bytes::Bytes::from(vec![7; BATCH_BYTES]);
        let start = Instant::now();
        while start.elapsed() < span {
            let packet = Packet::misc_data(block.clone());
            self.node.send_packet(self.peer, packet).await.map_err(io::Error::other)?;
        }
        // In the same lane, so that it comes last.
        let end = Packet::misc_data(vec![BYE]);
        self.node.send_packet(self.peer, end).await.map_err(io::Error::other)?;
        self.finished(start).await
    }

    /// One call for each message either way: packing is the library's business.
    async fn messages(&mut self, bytes: usize, span: Duration) -> io::Result<Outcome> {
        let message = vec![7; bytes];
        let start = Instant::now();
        while start.elapsed() < span {
            for _ in 0..64 {
                self.send(&message).await?;
            }
        }
        self.send(&[BYE]).await?;
        self.finished(start).await
    }

    async fn round_trips(&mut self, span: Duration) -> io::Result<Outcome> {
        let mut trips = Vec::new();
        let start = Instant::now();
        while start.elapsed() < span {
            let sent = Instant::now();
            self.send(&[7; PING_BYTES]).await?;
            self.receive().await?;
            trips.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        let seconds = start.elapsed().as_secs_f64();
        self.send(&[BYE]).await?;
        self.receive().await?;
        Ok(Outcome { seconds, count: trips.len() as u64, round_trips_us: trips })
    }

    async fn greet(&mut self, first: u8) -> io::Result<()> {
        self.send(&[first]).await?;
        self.receive().await.map(|_| ())
    }

    async fn close(&mut self) -> io::Result<()> {
        let reason = DisconnectReason::Requested;
        self.node.disconnect(self.peer, reason).await.map_err(io::Error::other)?;
        until(&mut self.events, |event| matches!(event, Event::PeerClosed { .. }).then_some(()))
            .await
    }
}

/// Waits for what `wanted` finds in an event.
async fn until<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> io::Result<T> {
    loop {
        let event = events.next().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        if let Event::DialFailed { error, .. } = &event {
            return Err(io::Error::other(format!("{error:?}")));
        }
        if let Some(found) = wanted(event) {
            return Ok(found);
        }
    }
}

/// Counts bytes or messages until one of a single byte, and tells the count.
async fn count(node: &Handle, events: &mut Events, in_bytes: bool) -> io::Result<()> {
    let (mut count, mut sum) = (0_u64, 0_u8);
    loop {
        let event = events.next().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        let Event::Received(received) = event else { continue };
        let peer = received.peer;
        for payload in received.payloads() {
            if payload.len() == 1 {
                std::hint::black_box(sum);
                let reply = count.to_le_bytes();
                return node.send(peer, &reply).await.map_err(io::Error::other);
            }
            sum = sum.wrapping_add(payload[0]);
            count += if in_bytes { payload.len() as u64 } else { 1 };
        }
    }
}

/// Sends back what comes, until it has seen `byes` that say good-bye.
async fn echo(node: &Handle, events: &mut Events, byes: usize) -> io::Result<()> {
    let mut seen = 0;
    while seen < byes {
        let event = events.next().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        let Event::Received(received) = event else { continue };
        let peer = received.peer;
        for packet in received {
            let payload = packet.payload().map_or(&[][..], |payload| payload);
            seen += usize::from(payload == [BYE]);
            node.send(peer, payload).await.map_err(io::Error::other)?;
        }
    }
    Ok(())
}

async fn set_ups(to: To, span: Duration) -> io::Result<Outcome> {
    let mut channels = Vec::new();
    for _ in 0..AT_ONCE {
        let mut channel = Channel::open(to).await?;
        channel.greet(HELLO).await?;
        channel.close().await?;
        channels.push(channel);
    }
    let start = Instant::now();
    let made = channels.iter_mut().map(async |channel: &mut Channel| {
        let mut made = 0;
        while start.elapsed() < span {
            channel.connect(to.server).await?;
            channel.greet(HELLO).await?;
            channel.close().await?;
            made += 1;
        }
        Ok::<u64, io::Error>(made)
    });
    let count = try_join_all(made).await?.into_iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    for channel in &mut channels {
        channel.connect(to.server).await?;
        channel.greet(BYE).await?;
    }
    Ok(Outcome { seconds, count, ..Outcome::default() })
}

async fn serve_idle(node: &Handle, events: &mut Events, channels: usize) -> io::Result<Served> {
    let (mut before, mut open) = (0, 0);
    while open < IDLE_WARM_UP + channels {
        echo(node, events, 1).await?;
        open += 1;
        if open == IDLE_WARM_UP {
            before = machine::resident_bytes()?;
        }
    }
    let after = machine::resident_bytes()?;
    Ok(Served { idle_bytes: after.saturating_sub(before) as f64 / channels as f64 })
}

async fn idle(to: To, channels: usize) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut open = Vec::with_capacity(IDLE_WARM_UP + channels);
    for _ in 0..IDLE_WARM_UP + channels {
        let mut channel = Channel::open(to).await?;
        channel.greet(BYE).await?;
        open.push(channel);
    }
    let seconds = start.elapsed().as_secs_f64();
    // The server has looked at its memory when it says good-bye.
    if let Some(last) = open.last_mut() {
        until(&mut last.events, |event| matches!(event, Event::PeerClosed { .. }).then_some(()))
            .await?;
    }
    Ok(Outcome { seconds, count: channels as u64, ..Outcome::default() })
}
