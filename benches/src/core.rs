//! The core alone: two nodes in one thread, and nothing between them but function calls.

use bytes::{Bytes, BytesMut};
use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::io::{CloseCause, Event, Output};
use p2pnet_protocol::{
    Config, ConnId, DisconnectReason, Duration, Instant, ListenerId, MessageBatch, Packet, PeerId,
    PeerNetwork, SendError,
};
use std::net::SocketAddr;

/// Two nodes with at most one channel between them.
pub struct Cores {
    nodes: [PeerNetwork<FastCrypto>; 2],
    conns: [Option<ConnId>; 2],
    /// Whether each has been told that the channel is open.
    told: [bool; 2],
    /// Whether each has asked for the stream's end.
    closing: [bool; 2],
    ids: [PeerId; 2],
    now: Instant,
    /// Payload bytes and packets that arrived.
    pub received: Received,
}

/// What arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Packets.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// How much is written at a time, as an adapter does.
const WRITE_BYTES: usize = 64 << 10;

/// Milliseconds of the nodes' time that a channel may take to open.
const OPEN_MS_MAX: u32 = 10_000;

impl Cores {
    /// Two nodes, with `crypto` each.
    ///
    /// # Panics
    /// If the default configuration is refused.
    pub fn new(crypto: &FastCrypto) -> Self {
        let mut config = Config::default();
        config.lan.enabled = false;
        config.policies.incoming.trust_authenticated = true;
        let now = Instant::from_nanos(0);
        let nodes = [1, 2].map(|n| {
            let seed = p2pnet_protocol::Seed::from_u64(n);
            PeerNetwork::new(config.clone(), &seed.0, seed, crypto.clone(), now)
                .expect("the defaults can be run")
        });
        let ids = [nodes[0].id(), nodes[1].id()];
        Self {
            nodes,
            conns: [None; 2],
            told: [false; 2],
            closing: [false; 2],
            ids,
            now,
            received: Received::default(),
        }
    }

    /// Opens the channel: dial, handshake, trust.
    ///
    /// # Panics
    /// If it does not open.
    pub fn open(&mut self) {
        let [a, b] = [1, 2].map(|host| SocketAddr::from(([127, 0, 0, host], 4_000)));
        let dial = self.nodes[0].connect(self.now, b, None).expect("nothing is in the way");
        self.conns[0] = Some(dial);
        self.drain(0);
        self.nodes[0].handle_connected(self.now, dial, a);
        self.conns[1] = self.nodes[1].handle_incoming(self.now, ListenerId(0), a);
        for _ in 0..OPEN_MS_MAX {
            self.pump();
            if self.told == [true; 2] {
                return;
            }
            self.pass(Duration::from_millis(1));
        }
        panic!("the channel did not open");
    }

    /// Ends the channel gracefully.
    ///
    /// # Panics
    /// If it does not end.
    pub fn close(&mut self) {
        let reason = DisconnectReason::Requested;
        self.nodes[0].disconnect(self.now, &self.ids[1], reason).expect("an open channel");
        self.pump();
        assert!(self.closing[0], "all was sent, so the stream must end");
        for (side, cause) in [(1, CloseCause::EndOfStream), (0, CloseCause::Finished)] {
            if let Some(conn) = self.conns[side].take() {
                self.nodes[side].handle_closed(self.now, conn, cause);
            }
            self.drain(side);
        }
        (self.told, self.closing) = ([false; 2], [false; 2]);
        self.pass(Duration::from_millis(1));
    }

    /// Sends `packet` from the first node to the second; whenever the queue is full, carries over what waits.
    ///
    /// # Panics
    /// If the channel is gone.
    pub fn send(&mut self, packet: &Packet) {
        while let Err(error) = self.nodes[0].send(self.now, &self.ids[1], packet) {
            assert_eq!(error, SendError::QueueFull);
            self.pump();
        }
    }

    /// Sends a batch of messages likewise.
    ///
    /// # Panics
    /// If the channel is gone.
    pub fn send_batch(&mut self, mut batch: MessageBatch) {
        while let Err(error) = self.nodes[0].send_batch(self.now, &self.ids[1], &mut batch) {
            assert_eq!(error, SendError::QueueFull);
            self.pump();
        }
    }

    /// Carries bytes over, both ways, until none wait.
    pub fn pump(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for side in 0..2 {
                self.drain(side);
                moved |= self.carry(side);
            }
        }
    }

    fn carry(&mut self, from: usize) -> bool {
        let to = 1 - from;
        let (Some(source), Some(target)) = (self.conns[from], self.conns[to]) else {
            return false;
        };
        let mut moved = false;
        while let Some(chunk) = self.nodes[from].poll_write(source, WRITE_BYTES) {
            let mut chunk = exclusive(chunk);
            self.nodes[to].handle_stream(self.now, target, &mut chunk);
            self.drain(to);
            moved = true;
        }
        moved
    }

    fn drain(&mut self, side: usize) {
        while let Some(output) = self.nodes[side].poll_output() {
            match output {
                Output::Event(Event::Received(received)) => {
                    let (conn, lane, bytes) = (received.conn, received.lane, received.bytes);
                    for packet in received {
                        self.received.packets += 1;
                        self.received.bytes += packet.payload().map_or(0, Bytes::len) as u64;
                    }
                    self.nodes[side].consumed(self.now, conn, lane, bytes);
                }
                Output::Event(Event::PeerConnected { .. }) => self.told[side] = true,
                Output::Close(_) => self.closing[side] = true,
                _ => {}
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        for node in &mut self.nodes {
            if node.poll_timeout().is_some_and(|deadline| deadline.at <= self.now) {
                node.handle_timeout(self.now);
            }
        }
    }
}

/// The chunk's own memory, which nobody else holds.
fn exclusive(chunk: Bytes) -> BytesMut {
    chunk.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives_and_channels_come_and_go() {
        let mut cores = Cores::new(&FastCrypto::new().unwrap());
        for round in 1..=3 {
            cores.open();
            for _ in 0..10 {
                cores.send(&Packet::misc_data(vec![7; 65_536]));
            }
            for _ in 0..1_000 {
                cores.send(&Packet::message(vec![b'x'; 64]));
            }
            cores.pump();
            let bytes = 10 * 65_536 + 1_000 * 64;
            assert_eq!(cores.received, Received { packets: 1_010 * round, bytes: bytes * round });
            cores.close();
        }
    }
}
