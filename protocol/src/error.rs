//! What can go wrong, by family: the peer misbehaved, the two don't fit together, the caller misused the API.

use crate::config::Lane;
use crate::distribution::FileError;
use crate::id::PeerId;
use crate::io::CloseCause;
use crate::task::data::DataError;
use crate::trust::identifier::IdentifierError;
use crate::wire::Malformed;
use crate::wire::packet::DisconnectReason;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a peer did that no honest implementation does. It costs the peer its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The stream did not begin as ours do.
    NotP2pnet,
    /// Bytes that are no valid encoding.
    Malformed(Malformed),
    /// A length over what the limits allow.
    TooLong(&'static str),
    /// A record or handshake message that was not made with the right keys.
    BadTag,
    /// The static key is not signed by the identity shown.
    BadIdentity,
    /// More payload than the credit given.
    CreditExceeded(Lane),
    /// A frame that may not come in this state.
    Unexpected(&'static str),
    /// A packet type that must be understood and isn't.
    UnknownPacket(u8),
    /// A negotiated choice that was not on offer.
    BadChoice,
    /// More frames that carry nothing than anybody needs.
    TooFast,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotP2pnet => f.write_str("something that is no P2PNet stream"),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TooLong(what) => write!(f, "{what} too long"),
            Self::BadTag => f.write_str("a message that fails authentication"),
            Self::BadIdentity => f.write_str("an identity without its proof"),
            Self::CreditExceeded(lane) => write!(f, "more than the credit of the {lane} lane"),
            Self::Unexpected(what) => write!(f, "unexpected {what}"),
            Self::UnknownPacket(kind) => write!(f, "unknown packet type {kind:#04x}"),
            Self::BadChoice => f.write_str("a choice that was not on offer"),
            Self::TooFast => f.write_str("too many frames that carry nothing"),
        }
    }
}

impl core::error::Error for Violation {}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Why a channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer said so.
    Remote(DisconnectReason),
    /// This side said so.
    Local(DisconnectReason),
    /// The peer broke the protocol.
    Violation(Violation),
    /// The stream ended or broke without a word.
    Lost(CloseCause),
    /// The peer was silent for too long.
    Silent,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(reason) => write!(f, "ended by the peer: {reason}"),
            Self::Local(reason) => write!(f, "ended here: {reason}"),
            Self::Violation(violation) => write!(f, "the peer sent {violation}"),
            Self::Lost(cause) => write!(f, "connection lost: {cause}"),
            Self::Silent => f.write_str("the peer fell silent"),
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::ShuttingDown => "shutting down",
            Self::Blocked => "blocked",
            Self::NotAuthorized => "not authorized",
            Self::Duplicate => "another channel is kept",
            Self::TooMany => "too many channels",
            Self::Idle => "idle",
            Self::TrustRefused => "trust refused",
            Self::ProtocolViolation => "protocol violation",
            Self::NotAccepted => "not accepted",
            Self::Other(byte) => return write!(f, "reason {byte}"),
        })
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndOfStream => "end of stream",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::OutOfResources => "out of resources",
            Self::Finished => "finished",
        })
    }
}

/// Why a connection came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialError {
    /// The stream could not be had or broke.
    Stream(CloseCause),
    /// The handshake took too long.
    HandshakeTimedOut,
    /// The other side broke the protocol.
    Violation(Violation),
    /// The other side belongs to another network.
    OtherNetwork,
    /// The two share no version or cipher.
    Incompatible,
    /// Another identity answered than the one expected.
    WrongPeer(PeerId),
    /// The dial reached this very node.
    Oneself,
    /// A channel to this peer is open already.
    AlreadyConnected(PeerId),
    /// The peer or its address is blocked here.
    Blocked,
    /// The node is shutting down or the dial was given up.
    Cancelled,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(cause) => cause.fmt(f),
            Self::HandshakeTimedOut => f.write_str("the handshake took too long"),
            Self::Violation(violation) => write!(f, "the other side sent {violation}"),
            Self::OtherNetwork => f.write_str("the other side belongs to another network"),
            Self::Incompatible => f.write_str("no version or cipher in common"),
            Self::WrongPeer(peer) => write!(f, "{} answered instead", peer.short()),
            Self::Oneself => f.write_str("that is this node itself"),
            Self::AlreadyConnected(peer) => write!(f, "already connected to {}", peer.short()),
            Self::Blocked => f.write_str("blocked here"),
            Self::Cancelled => f.write_str("given up"),
        }
    }
}

impl core::error::Error for DialError {}

/// A configuration that can't be run, found before anything is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key at fault, as it is written in a configuration file.
    pub key: &'static str,
    /// What is wrong and what would do.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl core::error::Error for ConfigError {}

/// Why a packet was not queued. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SendError {
    /// There is no open channel to this peer.
    NotConnected,
    /// The gate doesn't let this kind of packet pass at the peer's level of trust.
    NotAllowed,
    /// The peer's send queue is full; [`Event::SendReady`](crate::Event::SendReady) tells when there is room.
    QueueFull,
    /// The packet is larger than [`packet_bytes_max`](crate::Limits::packet_bytes_max).
    TooLarge,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "not connected to this peer",
            Self::NotAllowed => {
                "the policy does not let this packet pass at the peer's level of trust"
            }
            Self::QueueFull => "the peer's send queue is full",
            Self::TooLarge => "the packet is larger than packet_bytes_max",
        })
    }
}

impl core::error::Error for SendError {}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// See [`SendError`].
    Send(SendError),
    /// There is no open channel to this peer.
    NotConnected,
    /// No such peer is pending.
    NotPending,
    /// The identity or address is blocked.
    Blocked,
    /// There is an allow-list, and the peer is not on it.
    NotListed,
    /// That is this node itself.
    Oneself,
    /// A channel to this peer is open already.
    AlreadyConnected,
    /// A limit was reached.
    LimitReached(&'static str),
    /// There is no routine of this name.
    NoSuchRoutine(String),
    /// A routine of this name exists.
    RoutineExists(String),
    /// A value is out of its range.
    OutOfRange(&'static str),
    /// The textual identifier was not set.
    Label(IdentifierError),
    /// See [`FileError`].
    File(FileError),
    /// The node is shutting down.
    ShuttingDown,
    /// The wall clock is not set, so nothing can be signed that is valid for a time.
    NoWallTime,
    /// The task can't be issued or handed on, and why.
    Task(String),
    /// No such task waits.
    NoSuchTask,
    /// The data area didn't take a value.
    Data(DataError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(error) => error.fmt(f),
            Self::NotConnected => f.write_str("not connected to this peer"),
            Self::NotPending => f.write_str("no such peer is waiting to be accepted"),
            Self::Blocked => f.write_str("blocked: unblock it first"),
            Self::NotListed => f.write_str("the allow-list does not have this peer"),
            Self::Oneself => f.write_str("that is this node itself"),
            Self::AlreadyConnected => f.write_str("already connected to this peer"),
            Self::LimitReached(what) => write!(f, "the limit {what} is reached"),
            Self::NoSuchRoutine(name) => write!(f, "there is no routine named {name}"),
            Self::RoutineExists(name) => write!(f, "a routine named {name} exists already"),
            Self::OutOfRange(what) => write!(f, "{what} is out of its range"),
            Self::Label(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::ShuttingDown => f.write_str("the node is shutting down"),
            Self::NoWallTime => f.write_str("this host's clock is not set"),
            Self::Task(why) => f.write_str(why),
            Self::NoSuchTask => f.write_str("no such task waits to be finished"),
            Self::Data(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CommandError {}

impl From<SendError> for CommandError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}
