//! The whole behaviour of a P2PNet node, as state machines that touch nothing.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod channel;
pub mod config;
pub mod crypto;
pub mod discovery;
pub mod error;
pub mod handlers;
pub mod hash;
pub mod id;
pub mod io;
pub mod limits;
pub mod net;
pub mod network;
pub mod peers;
pub mod received;
pub mod rng;
pub mod routine;
pub mod time;
mod timers;
pub mod trust;
pub mod wire;

pub use channel::MessageBatch;
pub use config::{Config, IncomingPeerPlacement, LanConfig, Lane, Membership, Timing, Trust};
pub use crypto::Crypto;
pub use error::{CloseReason, CommandError, ConfigError, DialError, SendError, Violation};
pub use id::{ConnId, ListenerId, NetworkName, PeerId, PublicKey, RequestId, Signature};
pub use io::{
    Answer, BlockTarget, CloseCause, Command, Deadline, Direction, DiscoverySource,
    DiscoveryStatus, Event, Input, Output, Request, RoutineChange, Transmit, TrustChange, Why,
};
pub use limits::Limits;
pub use net::{Interface, InterfaceAddress, IpPrefix};
pub use network::{ChannelStats, PeerNetwork, PeerState, PeerView, RoutineView, Stats};
pub use received::Received;
pub use rng::{Rng, Seed};
pub use time::{Duration, Instant, UnixTime};
pub use wire::packet::{
    DataPayloadFormat, DataTransmissionPacket, DisconnectPacket, DisconnectReason, IdentityPacket,
    Packet, PacketKind, PeerGroupPacket, PureMessagePacket, TrustStepPacket,
};
