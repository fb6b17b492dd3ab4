//! [`PeerNetwork`]: one node. (Signatures; the behaviour follows.)
#![allow(unused_variables, clippy::all, missing_docs, reason = "vocabulary first")]
use crate::*;
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use core::net::SocketAddr;

pub struct PeerNetwork<C: Crypto> {
    crypto: C,
    id: PeerId,
}

/// One peer as lists, events and handlers show it (`IPeer`).
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    pub peer: PeerId,
    /// Where it is connected from or to, or was last heard of.
    pub address: Option<SocketAddr>,
    /// The port it accepts on, if told.
    pub port: Option<u16>,
    /// Its self-claimed label.
    pub label: String,
    pub trust: Trust,
    pub state: PeerState,
    pub conn: Option<ConnId>,
    pub direction: Option<Direction>,
    pub stats: ChannelStats,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    Known,
    Connecting,
    Pending,
    Open,
    Closing,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChannelStats {
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub packets_received: u64,
    pub queued_bytes: u64,
    pub rtt_micros: Option<u64>,
    pub idle_millis: u64,
}
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RoutineView {
    pub name: String,
    pub interval: Duration,
    pub running: bool,
    pub custom: bool,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    pub beacons_sent: u64,
    pub beacons_heard: u64,
    pub beacons_refused: u64,
    pub handshakes_failed: u64,
}

impl<C: Crypto> PeerNetwork<C> {
    pub fn new(
        config: Config,
        identity: &[u8; 32],
        seed: Seed,
        crypto: C,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { crypto, id: PeerId([0; 32]) })
    }
    // getters
    pub fn id(&self) -> PeerId {
        self.id
    }
    pub fn peers(&self) -> Vec<PeerView> {
        Vec::new()
    }
    pub fn peer(&self, peer: &PeerId) -> Option<PeerView> {
        None
    }
    pub fn pending(&self) -> Vec<PeerView> {
        Vec::new()
    }
    pub fn routines(&self) -> Vec<RoutineView> {
        Vec::new()
    }
    pub fn blocked(&self) -> Vec<BlockTarget> {
        Vec::new()
    }
    pub fn trusted(&self) -> Vec<PeerId> {
        Vec::new()
    }
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
    pub fn limits(&self) -> &Limits {
        const {
            &Limits {
                connections_max: 1,
                connections_per_address_max: 1,
                connections_per_subnet_max: 1,
                handshakes_max: 1,
                handshakes_per_address_max: 1,
                pending_max: 1,
                channels_auto_max: 1,
                known_peers_max: 1,
                blocked_max: 1,
                routines_max: 1,
                packet_bytes_max: 1,
                send_queue_bytes_max: 1,
                message_window_bytes: 1,
                bulk_window_bytes: 1,
                packets_per_second_max: 1,
                beacon_checks_per_second_max: 1,
                outputs_max: 1,
            }
        }
    }
    /// True once `shutdown` has run its course: every connection is gone and the driver may stop.
    pub fn is_finished(&self) -> bool {
        false
    }
    // inputs
    pub fn handle_listening(&mut self, now: Instant, listener: ListenerId, at: SocketAddr) {}
    pub fn handle_incoming(
        &mut self,
        now: Instant,
        listener: ListenerId,
        from: SocketAddr,
    ) -> Option<ConnId> {
        None
    }
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, local: SocketAddr) {}
    /// Bytes that arrived on a stream. They are decrypted in place: the buffer's content is spent.
    pub fn handle_stream(&mut self, now: Instant, conn: ConnId, bytes: &mut [u8]) {}
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, cause: CloseCause) {}
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {}
    pub fn handle_answer(&mut self, now: Instant, request: RequestId, answer: Answer) {}
    pub fn handle_interfaces(&mut self, now: Instant, interfaces: &[Interface]) {}
    pub fn handle_wall_time(&mut self, now: Instant, unix: Option<UnixTime>) {}
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn handle(&mut self, now: Instant, input: Input) {}
    // commands
    pub fn connect(
        &mut self,
        now: Instant,
        to: SocketAddr,
        expect: Option<PeerId>,
    ) -> Result<ConnId, CommandError> {
        Err(CommandError::Oneself)
    }
    /// Adopts a stream that the application opened itself; treat `conn` as connected.
    pub fn attach(
        &mut self,
        now: Instant,
        direction: Direction,
        at: SocketAddr,
        expect: Option<PeerId>,
    ) -> Result<ConnId, CommandError> {
        Err(CommandError::Oneself)
    }
    pub fn disconnect(
        &mut self,
        now: Instant,
        peer: &PeerId,
        reason: DisconnectReason,
    ) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn send(&mut self, now: Instant, peer: &PeerId, packet: &Packet) -> Result<(), SendError> {
        Ok(())
    }
    /// Queues many messages at once: frames made by `MessageBatch`.
    pub fn send_batch(
        &mut self,
        now: Instant,
        peer: &PeerId,
        batch: &MessageBatch,
    ) -> Result<(), SendError> {
        Ok(())
    }
    pub fn send_all(
        &mut self,
        now: Instant,
        packet: &Packet,
    ) -> Vec<(PeerId, Result<(), SendError>)> {
        Vec::new()
    }
    pub fn block(&mut self, now: Instant, target: BlockTarget) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn unblock(&mut self, now: Instant, target: BlockTarget) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn trust(&mut self, now: Instant, peer: PeerId) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn untrust(&mut self, now: Instant, peer: PeerId) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn accept(&mut self, now: Instant, peer: &PeerId) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn refuse(&mut self, now: Instant, peer: &PeerId) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn set_accept_inbound(&mut self, now: Instant, accept: bool) {}
    pub fn routine(
        &mut self,
        now: Instant,
        name: &str,
        change: RoutineChange,
    ) -> Result<(), CommandError> {
        Ok(())
    }
    pub fn shutdown(&mut self, now: Instant) {}
    /// The application is done with so many payload bytes of `Received`.
    pub fn consumed(&mut self, now: Instant, conn: ConnId, lane: Lane, bytes: u32) {}
    // outputs
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }
    pub fn poll_write(&mut self, conn: ConnId, bytes_max: usize) -> Option<Bytes> {
        None
    }
    pub fn read_window(&self, conn: ConnId) -> usize {
        0
    }
    pub fn poll_timeout(&self) -> Option<Deadline> {
        None
    }
    /// How many more bytes `send` takes for this peer now.
    pub fn send_room(&self, peer: &PeerId) -> usize {
        0
    }
}

/// Messages for one peer, packed by the sender: what `send` per message becomes on its way to the core.
#[derive(Clone, Debug, Default)]
pub struct MessageBatch {
    frames: Vec<u8>,
    count: u32,
}
impl MessageBatch {
    pub fn push(&mut self, message: &[u8]) {}
    pub fn count(&self) -> u32 {
        self.count
    }
    pub fn bytes(&self) -> usize {
        self.frames.len()
    }
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    pub fn clear(&mut self) {}
}
