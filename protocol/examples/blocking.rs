// A node driven by hand over blocking `std::net` sockets: no adapter, no runtime, one peer at a time.
//
// `cargo run -p p2pnet-protocol --example blocking` talks to itself in two threads.
// `... --example blocking 127.0.0.1:4000` listens there; a second run with `127.0.0.1:4000 dial` calls it.
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
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

type Node = PeerNetwork<PureCrypto>;

/// One node and the one stream that it has.
struct Driver {
    node: Node,
    origin: std::time::Instant,
    stream: Option<(ConnId, TcpStream)>,
}

impl Driver {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut secrets = [0; 64];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut secrets)?;
        let (identity, seed) = (secrets[..32].try_into()?, Seed(secrets[32..].try_into()?));
        let node =
            Node::new(Config::default(), &identity, seed, PureCrypto::new()?, Instant::ZERO)?;
        Ok(Self { node, origin: std::time::Instant::now(), stream: None })
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    /// Reads, lets time pass, and does what the node asks for, until `done` says so or the stream is gone.
    fn run(
        &mut self,
        mut done: impl FnMut(&mut Node, Instant, Event) -> bool,
    ) -> std::io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            while let Some(output) = self.node.poll_output() {
                match output {
                    Output::Connect { conn, to } => {
                        let stream = TcpStream::connect(to)?;
                        self.node.handle_connected(self.now(), conn, stream.local_addr()?);
                        self.stream = Some((conn, stream));
                    }
                    Output::WriteReady(conn) => self.flush(conn)?,
                    Output::Close(conn) => {
                        self.flush(conn)?;
                        let Some((_, mut stream)) = self.stream.take() else { continue };
                        stream.shutdown(Shutdown::Write)?;
                        while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
                        self.node.handle_closed(self.now(), conn, CloseCause::Finished);
                    }
                    Output::Abort(_) => self.stream = None,
                    Output::Event(event) => {
                        let now = self.now();
                        if done(&mut self.node, now, event) {
                            self.node.shutdown(now);
                        }
                    }
                    Output::ReadReady(_) | Output::Datagram(_) | Output::Ask(..) => {}
                }
            }
            let Some((conn, stream)) = &mut self.stream else { return Ok(()) };
            let conn = *conn;
            let wait = self.node.poll_timeout().map_or(Duration::from_secs(1), |deadline| {
                deadline.at.since(Instant::ZERO + self.origin.elapsed())
            });
            stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
            match stream.read(&mut buffer) {
                Ok(0) => self.node.handle_closed(self.now(), conn, CloseCause::EndOfStream),
                Ok(length) => self.node.handle_stream(self.now(), conn, &mut buffer[..length]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => self.node.handle_closed(self.now(), conn, CloseCause::Reset),
            }
            self.node.handle_timeout(self.now());
        }
    }

    fn flush(&mut self, conn: ConnId) -> std::io::Result<()> {
        while let Some(chunk) = self.node.poll_write(conn, 64 << 10) {
            if let Some((_, stream)) = &mut self.stream {
                stream.write_all(&chunk)?;
            }
        }
        Ok(())
    }
}

fn listen(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    let mut driver = Driver::new()?;
    let (stream, from) = listener.accept()?;
    let conn = driver.node.handle_incoming(driver.now(), ListenerId(0), from);
    driver.stream = conn.map(|conn| (conn, stream));
    driver.run(|node, now, event| {
        if let Event::Received(received) = event {
            node.consumed(now, received.conn, received.lane, received.bytes);
            received.for_each(|packet| println!("heard {packet:?}"));
            return true;
        }
        false
    })?;
    Ok(())
}

fn dial(to: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut driver = Driver::new()?;
    driver.node.connect(driver.now(), to, None)?;
    driver.run(|node, now, event| {
        if let Event::PeerConnected { peer, .. } = event
            && let Err(error) = node.send(now, &peer, &Packet::message("hello"))
        {
            println!("not sent: {error}");
        }
        false
    })?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [at] => listen(&TcpListener::bind(at)?),
        [to, _] => dial(to.parse()?),
        [] | [..] => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let to = listener.local_addr()?;
            let dialler = std::thread::spawn(move || dial(to).map_err(|error| error.to_string()));
            listen(&listener)?;
            Ok(dialler.join().map_err(|_| "the dialler panicked")??)
        }
    }
}
