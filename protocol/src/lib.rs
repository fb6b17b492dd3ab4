//! The whole behaviour of a P2PNet node, as state machines that touch nothing.
//!
//! # What is absent
//!
//! There is no socket, file, clock, thread, task, callback, hash map or operating-system randomness in this crate, and
//! no `std` and no `unsafe`. Whatever the world did is an argument; whatever it shall do is an output. So the same
//! configuration, seed and inputs give the same outputs, byte for byte, on every platform, and a recording of inputs
//! replays a node.
//!
//! # The loop
//!
//! [`PeerNetwork`] has inputs (`handle_*`), commands, and outputs (`poll_*`). Whoever drives it does four things:
//!
//! 1. hands it what the world did: accepted streams, bytes, datagrams, interfaces, time;
//! 2. performs every [`Output`] until [`poll_output`](PeerNetwork::poll_output) gives none;
//! 3. on [`Output::WriteReady`] writes what [`poll_write`](PeerNetwork::poll_write) gives until it gives nothing, and
//!    reads from a stream only while [`read_window`](PeerNetwork::read_window) is not zero;
//! 4. sleeps until [`poll_timeout`](PeerNetwork::poll_timeout), then calls
//!    [`handle_timeout`](PeerNetwork::handle_timeout).
//!
//! The example `blocking` does it over `std::net` without any runtime, in one short file:
//!
#![doc = "```no_run"]
#![doc = include_str!("../examples/blocking.rs")]
#![doc = "```"]
//!
//! # The contract
//!
//! 1. `now` never goes back; if it does, the largest value seen is used.
//! 2. Any number of inputs may precede a drain of the outputs.
//! 3. While outputs wait, the deadline is now.
//! 4. After `handle_timeout(t)` the next timer is later than `t`.
//! 5. An unknown or finished connection id is a no-op.
//! 6. Early and late timeouts are harmless.
//! 7. After [`Output::Close`] or [`Output::Abort`] nothing more comes for that id, except that a lingering close may end
//!    in an abort.
//! 8. Every [`Output::Connect`] gets exactly one of `handle_connected` and `handle_closed`; every [`Output::Ask`] exactly
//!    one answer.
//! 9. The time spent in one call is bounded by the input's size and by [`Limits`].
//! 10. Same configuration, seed and inputs: same outputs.
//! 11. The driver always drains the outputs and never waits for the application: payload counts against its peer until
//!     the application gives it back with [`consumed`](PeerNetwork::consumed).
//!
//! # The map
//!
//! [`io`] is the whole vocabulary on one page. [`network`] is the node, one file for each kind of work. `channel` is one
//! connection: the Noise handshake, records, frames, lanes. [`trust`] decides who may do what, [`peers`] who is known and
//! listed, [`discovery`] finds the LAN and asks bootstrap servers, [`distribution`] moves files, [`routine`] runs what runs
//! again and again, [`wire`] has the formats. `widescan`, with the feature of that name, enumerates and probes the
//! addresses of a scan. [`handlers`] calls the application's own parts. [`Crypto`] is what the core asks of cryptography. [`channel::observe`] reads what
//! others said, with the keys that [`key_log`] hands out when asked to.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::float_arithmetic,
    )
)]

extern crate alloc;

pub mod channel;
pub mod config;
pub mod crypto;
pub mod discovery;
pub mod distribution;
pub mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handlers;
#[doc(hidden)]
pub mod hash;
pub mod id;
pub mod io;
pub mod key_log;
pub mod limits;
pub mod net;
pub mod network;
pub mod peers;
pub mod received;
pub mod rng;
pub mod routine;
pub mod task;
pub mod time;
mod timers;
pub mod trust;
#[cfg(feature = "widescan")]
pub mod widescan;
pub mod wire;

pub use channel::MessageBatch;
pub use config::{Config, IncomingPeerPlacement, LanConfig, Lane, Membership, Timing, Trust};
pub use crypto::Crypto;
pub use distribution::{
    FileAcceptance, FileAnswer, FileConfig, FileDirection, FileError, FileHandle, FileInfo,
    FileMessage, FileRequest, GoneReason, OfferReply, RefusalReason, SavedIncoming, SavedOutgoing,
    SavedTransfers, SourceFault, TransferState, TransferView,
};
pub use error::{CloseReason, CommandError, ConfigError, DialError, SendError, Violation};
pub use id::{
    ConnId, Digest, FileId, ListenerId, NetworkName, PeerId, PublicKey, RequestId, RequestNonce,
    Signature, TaskId,
};
pub use io::{
    Answer, BlockTarget, CloseCause, Command, Deadline, Direction, DiscoverySource,
    DiscoveryStatus, Event, Input, Keeps, Output, Request, RoutineChange, Transmit, TrustChange,
    Why,
};
pub use key_log::ChannelKeys;
pub use limits::Limits;
pub use net::{Interface, InterfaceAddress, IpPrefix};
pub use network::{
    ChannelStats, PeerNetwork, PeerState, PeerView, RoutineView, Stats, TaskState, TaskView,
};
pub use received::Received;
pub use rng::{Rng, Seed};
pub use time::{Duration, Instant, UnixTime};
pub use trust::membership::Refusal;
pub use wire::packet::{
    DataPayloadFormat, DataTransmissionPacket, DisconnectPacket, DisconnectReason, IdentityPacket,
    Packet, PacketKind, PeerGroupPacket, PureMessagePacket, TrustStepPacket,
};
