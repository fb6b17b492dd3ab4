//! What the application hears.

use super::{Direction, DiscoverySource, DiscoveryStatus, TrustChange};
use crate::config::Trust;
use crate::discovery::bootstrap::BootstrapError;
use crate::distribution::{FileDirection, FileError, FileInfo, SourceFault};
use crate::error::{CloseReason, DialError};
use crate::id::{ConnId, Digest, FileId, PeerId, PublicKey, RequestId, TaskId};
use crate::key_log::ChannelKeys;
use crate::received::Received;
use crate::task::{TaskBody, TaskFailure, TaskKind, TaskOutcome, TaskRefusal};
use crate::time::Duration;
use crate::trust::membership::Refusal;
use crate::wire::packet::PacketKind;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What happened, for the application. Each names the peer or address it speaks of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The node accepts connections at this address.
    Listening {
        /// The address.
        at: SocketAddr,
    },
    /// A peer was heard of. Nothing is proved yet.
    PeerDiscovered {
        /// The peer.
        peer: PeerId,
        /// The address.
        at: SocketAddr,
        /// How it was heard of.
        via: DiscoverySource,
    },
    /// How discovery is doing changed.
    DiscoveryStatus(DiscoveryStatus),
    /// A connection is being made, by this node or to it.
    #[doc(alias = "OnIncomingPeerConnectionAttempt")]
    #[doc(alias = "IncomingPeerConnectionAttempt")]
    ConnectionAttempt {
        /// The connection.
        conn: ConnId,
        /// The address.
        at: SocketAddr,
        /// Who opened it.
        direction: Direction,
    },
    /// An authenticated peer waits for [`Command::Accept`](super::Command::Accept) or [`Command::Refuse`](super::Command::Refuse) (queue placement).
    PeerPending {
        /// The peer.
        peer: PeerId,
        /// The address.
        at: SocketAddr,
    },
    /// A channel is open and its trust is settled.
    #[doc(alias = "PeerAdded")]
    PeerConnected {
        /// The peer.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// The address.
        at: SocketAddr,
        /// Who opened it.
        direction: Direction,
        /// How far it is trusted.
        trust: Trust,
    },
    /// The trust of an open channel changed.
    TrustChanged {
        /// The peer.
        peer: PeerId,
        /// How far it is trusted.
        trust: Trust,
        /// Why.
        because: TrustChange,
    },
    /// Something that should have raised a peer's trust here did not: a proof that it showed, or the application's
    /// handshake. One for each proof that failed, before the channel is told of or ended; none if another one counted.
    /// Later when the certificate that a peer was trusted for runs out.
    TrustRefused {
        /// The peer.
        peer: PeerId,
        /// Why.
        refusal: Refusal,
    },
    /// The peer sent packets that passed the gate. Give them back with `consumed`.
    Received(Received),
    /// The gate turned packets away. Repeats are counted and told at most once a second for each peer.
    PacketsRefused {
        /// The peer.
        peer: PeerId,
        /// What they were.
        kind: PacketKind,
        /// How many.
        count: u64,
    },
    /// The application's own trust handshake shall start with this peer. [`PeerClosed`](Self::PeerClosed) tells when its
    /// channel is gone. Where the operator's list has the peer, the handshake runs for the other side's sake alone.
    TrustHandshakeStarted {
        /// The peer.
        peer: PeerId,
        /// The connection: the handshake's commands name it.
        conn: ConnId,
        /// Whether the peer is trusted already and waits for nobody here, since the operator listed it.
        listed: bool,
        /// The handshake's transcript hash, to bind proofs to.
        transcript: [u8; 32],
        /// Who opened it.
        direction: Direction,
    },
    /// The peer's send queue has room again after a [`SendError::QueueFull`](crate::SendError::QueueFull).
    SendReady {
        /// The peer.
        peer: PeerId,
    },
    /// A channel ended, or an attempt that had got as far as an identity.
    PeerClosed {
        /// The peer.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// The address.
        at: SocketAddr,
        /// Why.
        reason: CloseReason,
        /// Packets that were accepted for sending and never left.
        unsent: u64,
    },
    /// A dial ended without a channel.
    DialFailed {
        /// The address.
        at: SocketAddr,
        /// The identity that was expected.
        peer: Option<PeerId>,
        /// What went wrong.
        error: DialError,
        /// When it is tried again, if it is.
        retry_in: Option<Duration>,
    },
    /// An incoming connection ended before its peer proved who it is.
    IncomingFailed {
        /// The address.
        at: SocketAddr,
        /// What went wrong.
        error: DialError,
        /// How many.
        count: u64,
    },
    /// A routine of the application is due.
    RoutineDue {
        /// The routine's name.
        name: String,
    },
    /// The designated port that beacons are sent to changed.
    BroadcastPortChanged {
        /// The port.
        port: u16,
    },
    /// A channel's keys, as soon as its handshake is over; only with [`Config::key_log`](crate::Config::key_log). They
    /// stay secret only as long as you keep them so.
    ChannelKeys(Box<ChannelKeys>),
    /// Blocks or trust lists changed; persist them if they shall survive a restart.
    ListsChanged,
    /// A task came that may be done here.
    TaskReceived {
        /// The peer that brought it.
        peer: PeerId,
        /// The task.
        task: TaskId,
        /// Who issued it.
        issuer: PublicKey,
        /// Whether that is the network's authority.
        by_authority: bool,
        /// What it says.
        body: Box<TaskBody>,
        /// Whether the application does it: it then owes a [`finish_task`](crate::PeerNetwork::finish_task).
        waits: bool,
    },
    /// A task was done, or came to nothing, and its issuer was answered.
    TaskExecuted {
        /// The peer that brought it.
        peer: PeerId,
        /// The task.
        task: TaskId,
        /// Its kind.
        kind: TaskKind,
        /// What came of it.
        result: Result<TaskOutcome, TaskFailure>,
    },
    /// A task was turned away. Nothing of it was done.
    TaskRefused {
        /// The peer that brought it.
        peer: PeerId,
        /// The task, if it can be read.
        task: Option<TaskId>,
        /// The number of its kind, if it can be read.
        kind: Option<u16>,
        /// Why.
        why: TaskRefusal,
    },
    /// What became of a task that this node issued or handed on, at one peer.
    TaskAnswered {
        /// The peer.
        peer: PeerId,
        /// The task.
        task: TaskId,
        /// What came of it.
        result: Result<TaskOutcome, TaskFailure>,
    },
    /// An entry of the data area has a new value, or was deleted.
    DataChanged {
        /// The key.
        key: String,
        /// The peer that brought it; none if it was written here.
        from: Option<PeerId>,
    },
    /// The network's authority gave a label to an identity.
    IdentifierAssigned {
        /// The identity.
        peer: PeerId,
        /// The label.
        label: String,
    },
    /// A peer offers a file, and the application decides: [`Command::AcceptFile`](super::Command::AcceptFile) or [`Command::RefuseFile`](super::Command::RefuseFile).
    FileOffered {
        /// The peer.
        peer: PeerId,
        /// The file.
        file: FileInfo,
    },
    /// A file that the application named is offered or, if it comes, found: from now on it goes by its id.
    FileOpened {
        /// What the command gave.
        ticket: RequestId,
        /// The file.
        file: FileInfo,
        /// Which way it goes.
        direction: FileDirection,
        /// To whom, or from whom.
        peers: Vec<PeerId>,
    },
    /// A file that the application named can't be had.
    FileNotOpened {
        /// What the command gave.
        ticket: RequestId,
        /// The name.
        name: String,
        /// Why.
        error: FileError,
    },
    /// A transfer goes on. Told a few times a second at most.
    FileProgress {
        /// The file.
        file: FileId,
        /// Which way it goes.
        direction: FileDirection,
        /// The receiver; none if it comes here.
        peer: Option<PeerId>,
        /// Bytes that were stored here, or sent.
        done_bytes: u64,
        /// All of them.
        total_bytes: u64,
    },
    /// A file is here, whole and checked.
    FileReceived {
        /// The file, as it was offered.
        file: FileInfo,
        /// The name that it got.
        name: String,
        /// Where it is, for people.
        place: String,
        /// The digest of what is stored.
        sha256: Digest,
        /// Its sources.
        from: Vec<PeerId>,
    },
    /// A peer has a file, whole and checked.
    FileSent {
        /// The file.
        file: FileInfo,
        /// The peer.
        peer: PeerId,
    },
    /// A peer is no source of a file any more. The others go on.
    FileSourceDropped {
        /// The file.
        file: FileId,
        /// The peer.
        peer: PeerId,
        /// What it did.
        fault: SourceFault,
    },
    /// A transfer is over without its file.
    FileFailed {
        /// The file.
        file: FileInfo,
        /// Which way it went.
        direction: FileDirection,
        /// The receiver that it failed for; none if it failed for all.
        peer: Option<PeerId>,
        /// Why.
        error: FileError,
    },
    /// A bootstrap server works: the node is registered there and got a list. Told at first, after failures, and whenever a
    /// list had somebody new.
    BootstrapOk {
        /// Its URL.
        server: String,
        /// The authority that stands behind it; none if it has none.
        authority: Option<PublicKey>,
        /// The address that it sees this node at.
        observed: IpAddr,
        /// How many peers its list had.
        peers: u32,
        /// How many of them were not known.
        new: u32,
        /// How many it says that it knows.
        total: u32,
    },
    /// A bootstrap server was of no use. It is asked again.
    BootstrapFailed {
        /// Its URL.
        server: String,
        /// Why.
        error: BootstrapError,
        /// When it is asked again.
        retry_in: Duration,
    },
    /// The public IPv4 address was found, or has changed; none if the sources don't tell, or don't agree.
    PublicAddress {
        /// The address.
        address: Option<Ipv4Addr>,
    },
    /// [`saved_transfers`](crate::PeerNetwork::saved_transfers) changed; persist them if they shall survive a restart.
    TransfersChanged,
}
