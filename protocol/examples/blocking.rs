// A node driven by hand over blocking `std::net` sockets: no adapter, no runtime, one peer at a time.
//
// `cargo run -p p2pnet-protocol --example blocking` has two of them talk, in two threads.
#![allow(
    clippy::disallowed_types,
    missing_docs,
    reason = "the clock is this file's business; the text above is its doc"
)]

use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::{
    CloseCause, Config, ConnId, Event, Instant, ListenerId, Output, Packet, PeerNetwork, Seed,
};
use std::error::Error;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

type Node = PeerNetwork<PureCrypto>;

/// Runs a node until its one stream is gone: `begin` gives it something to do, `on_event` hears what comes of it.
fn drive(
    begin: impl FnOnce(&mut Node, Instant) -> Result<Option<(ConnId, TcpStream)>, Box<dyn Error>>,
    mut on_event: impl FnMut(&mut Node, Instant, Event),
) -> Result<(), Box<dyn Error>> {
    let origin = std::time::Instant::now();
    let now = || Instant::ZERO + origin.elapsed();
    let mut secrets = [0; 64];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secrets)?;
    let (identity, seed) = (secrets[..32].try_into()?, Seed(secrets[32..].try_into()?));
    let mut node = Node::new(Config::default(), &identity, seed, PureCrypto::new()?, now())?;
    let mut stream = begin(&mut node, now())?;
    let mut buffer = [0; 16 << 10];
    loop {
        // What the node wants done comes first, all of it.
        while let Some(output) = node.poll_output() {
            match output {
                Output::Connect { conn, to } => {
                    let dialled = TcpStream::connect(to)?;
                    node.handle_connected(now(), conn, dialled.local_addr()?);
                    stream = Some((conn, dialled));
                }
                Output::WriteReady(conn) => flush(&mut node, conn, stream.as_mut())?,
                Output::Close(conn) => {
                    flush(&mut node, conn, stream.as_mut())?;
                    let Some((_, mut ending)) = stream.take() else { continue };
                    ending.shutdown(Shutdown::Write)?;
                    while ending.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
                    node.handle_closed(now(), conn, CloseCause::Finished);
                }
                Output::Abort(_) => stream = None,
                Output::Event(event) => on_event(&mut node, now(), event),
                Output::ReadReady(_) | Output::Datagram(_) | Output::Ask(..) => {}
            }
        }
        // Then bytes or time, whichever comes first.
        let Some((conn, stream)) = &mut stream else { return Ok(()) };
        let due = node.poll_timeout().map_or(Duration::from_secs(1), |due| due.at.since(now()));
        stream.set_read_timeout(Some(due.max(Duration::from_millis(1))))?;
        match stream.read(&mut buffer) {
            Ok(0) => node.handle_closed(now(), *conn, CloseCause::EndOfStream),
            Ok(bytes) => node.handle_stream(now(), *conn, &mut buffer[..bytes]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => node.handle_closed(now(), *conn, CloseCause::Reset),
        }
        node.handle_timeout(now());
    }
}

fn flush(
    node: &mut Node,
    conn: ConnId,
    stream: Option<&mut (ConnId, TcpStream)>,
) -> io::Result<()> {
    let Some((_, stream)) = stream else { return Ok(()) };
    std::iter::from_fn(|| node.poll_write(conn, 64 << 10)).try_for_each(|it| stream.write_all(&it))
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let greets = |node: &mut Node, now, event| {
        if let Event::PeerConnected { peer, .. } = event {
            _ = node.send(now, &peer, &Packet::message("hello"));
        }
    };
    let dials = move |node: &mut Node, now| node.connect(now, to, None).map(|_| None);
    let dialler = std::thread::spawn(move || drive(|n, t| Ok(dials(n, t)?), greets).is_ok());
    let accepts = |node: &mut Node, now| {
        let (stream, from) = listener.accept()?;
        Ok(node.handle_incoming(now, ListenerId(0), from).map(|conn| (conn, stream)))
    };
    drive(accepts, |node, now, event| {
        let Event::Received(received) = event else { return };
        node.consumed(now, received.conn, received.lane, received.bytes);
        received.for_each(|packet| println!("heard {packet:?}"));
        node.shutdown(now);
    })?;
    if dialler.join().unwrap_or(false) { Ok(()) } else { Err("the dialler failed".into()) }
}
