//! The whole vocabulary: what the world did ([`Input`]), what it shall do ([`Output`]), what the application hears
//! ([`Event`]) and wants ([`Command`]).

use crate::config::{Lane, Trust};
use crate::distribution::{
    FileAnswer, FileConfig, FileDirection, FileError, FileInfo, FileRequest, SavedTransfers,
    SourceFault,
};
use crate::error::{CloseReason, DialError};
use crate::id::{ConnId, Digest, FileId, ListenerId, PeerId, PublicKey, RequestId, TaskId};
use crate::key_log::ChannelKeys;
use crate::net::{Interface, IpPrefix};
use crate::received::Received;
use crate::task::{Audience, TaskBody, TaskFailure, TaskKind, TaskOutcome, TaskRefusal};
use crate::time::{Duration, Instant, UnixTime};
use crate::trust::identifier::Origin;
use crate::trust::membership::Refusal;
use crate::wire::packet::{DisconnectReason, Packet, PacketKind};
use alloc::{boxed::Box, string::String, vec::Vec};
use bytes::Bytes;
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};

/// What the world did, as data: the recorder's, the fuzzer's and the simulator's door to
/// [`PeerNetwork::handle`](crate::PeerNetwork::handle). Each variant mirrors one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A listening socket is open ([`handle_listening`](crate::PeerNetwork::handle_listening)).
    Listening {
        /// The listener.
        listener: ListenerId,
        /// The address.
        #[serde(with = "crate::net::scoped")]
        at: SocketAddr,
    },
    /// A listener accepted a stream.
    Incoming {
        /// The listener.
        listener: ListenerId,
        /// Where it came from.
        #[serde(with = "crate::net::scoped")]
        from: SocketAddr,
    },
    /// A dial succeeded.
    Connected {
        /// The connection.
        conn: ConnId,
        /// This side's address.
        #[serde(with = "crate::net::scoped")]
        local: SocketAddr,
    },
    /// Bytes arrived on a stream.
    Stream {
        /// The connection.
        conn: ConnId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A stream ended or failed, or a dial failed.
    Closed {
        /// The connection.
        conn: ConnId,
        /// Why.
        cause: CloseCause,
    },
    /// A datagram arrived on a designated port.
    Datagram {
        /// Where it came from.
        #[serde(with = "crate::net::scoped")]
        from: SocketAddr,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The world answered a request.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// The usable interfaces, all of them, at start and on each change.
    Interfaces(Vec<Interface>),
    /// The wall clock's reading; `None` if it is known to be unset.
    WallTime(Option<UnixTime>),
    /// Time passed.
    Timeout,
    /// The adapter took bytes to write.
    PollWrite {
        /// The connection.
        conn: ConnId,
        /// How many bytes at most.
        bytes_max: u32,
    },
    /// The application wants something.
    Command(Command),
    /// The application is done with so many payload bytes.
    Consumed {
        /// The connection.
        conn: ConnId,
        /// The lane.
        lane: Lane,
        /// How many.
        bytes: u32,
    },
}

/// What the world shall do. Exhaustive on purpose: a new kind of work must break every adapter's build.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Dial `to`; answer with `handle_connected` or `handle_closed`.
    Connect {
        /// The connection.
        conn: ConnId,
        /// Where to.
        to: SocketAddr,
    },
    /// Write what `poll_write` still gives, shut down the write side, discard input to its end, then `handle_closed`.
    Close(ConnId),
    /// Drop the stream now. No report is expected.
    Abort(ConnId),
    /// `poll_write` went from nothing to something.
    WriteReady(ConnId),
    /// `read_window` went from zero to more.
    ReadReady(ConnId),
    /// Send a datagram.
    Datagram(Transmit),
    /// Do something rare and answer with `handle_answer`.
    Ask(RequestId, Request),
    /// Tell the application.
    Event(Event),
}

/// A datagram to send on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The interface to send on ([`Interface::index`]).
    pub interface: u32,
    /// The address of that interface to send from, which also gives the family.
    pub from: core::net::IpAddr,
    /// A broadcast or multicast address and a designated port.
    pub to: SocketAddr,
    /// The datagram.
    pub contents: Bytes,
}

/// Something rare that the world must do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Do something with a file.
    File(FileRequest),
    /// Fetch `url` over HTTP(S) and give back at most `bytes_max` bytes of its body.
    Fetch {
        /// What to fetch.
        url: String,
        /// A longer body is an error.
        bytes_max: u32,
    },
    /// Keep these bytes in place of earlier ones of the same use, so that a crash leaves the one or the other, and answer
    /// [`Answer::Saved`] once they are safe. Asked only where the configuration says that there is a place for them.
    Save {
        /// What they are.
        keeps: Keeps,
        /// The bytes.
        bytes: Bytes,
    },
}

/// What the core asks to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// What was seen of tasks ([`TaskConfig::saved`](crate::task::TaskConfig::saved)).
    Tasks,
    /// The data area ([`TaskConfig::saved_data`](crate::task::TaskConfig::saved_data)).
    Data,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// What was asked for.
    Body(Vec<u8>),
    /// What became of a [`Request::File`].
    File(FileAnswer),
    /// It could not be had.
    Failed,
    /// It is safe.
    Saved,
}

/// Why a stream ended, as the adapter saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseCause {
    /// The other side ended its stream.
    EndOfStream,
    /// The connection was reset or broke.
    Reset,
    /// The dial was refused.
    Refused,
    /// The dial found no way to the address.
    Unreachable,
    /// The dial took too long.
    TimedOut,
    /// This host is out of descriptors, ports or memory.
    OutOfResources,
    /// After [`Output::Close`]: everything was written and the other side has ended.
    Finished,
}

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
    /// An authenticated peer waits for [`Command::Accept`] or [`Command::Refuse`] (queue placement).
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
    /// A peer offers a file, and the application decides: [`Command::AcceptFile`] or [`Command::RefuseFile`].
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
    /// [`saved_transfers`](crate::PeerNetwork::saved_transfers) changed; persist them if they shall survive a restart.
    TransfersChanged,
}

/// Where a peer was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DiscoverySource {
    /// A signed beacon on the LAN.
    Lan,
    /// Another peer told of it.
    Exchange,
    /// The application or the operator named it.
    Manual,
}

/// What LAN discovery can use at present. Loopback doesn't count: it reaches this host alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveryStatus {
    /// Interfaces with an IPv4 broadcast address.
    pub broadcast_v4: u16,
    /// Interfaces that can send IPv4 multicast.
    pub multicast_v4: u16,
    /// Interfaces that can send IPv6 link-local multicast.
    pub multicast_v6: u16,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This node dialled.
    Outgoing,
    /// The other side dialled.
    Incoming,
}

/// Why trust changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TrustChange {
    /// The peer proved that it knows the network's secret.
    Secret,
    /// The peer showed a certificate of the network's authority, or the one that it showed has run out.
    Certificate,
    /// The operator listed the peer as trusted.
    Listed,
    /// The policy trusts every proven identity.
    Policy,
    /// The application's own handshake or a command decided.
    Application,
}

/// What the application wants. Each variant mirrors one method of [`PeerNetwork`](crate::PeerNetwork).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// Dial an address; with `expect`, only that identity will do.
    Connect {
        /// Where to.
        #[serde(with = "crate::net::scoped")]
        to: SocketAddr,
        /// The identity that will do; any if none.
        expect: Option<PeerId>,
    },
    /// End the channel to a peer.
    Disconnect {
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: DisconnectReason,
    },
    /// Send one packet to one peer.
    Send {
        /// The peer.
        peer: PeerId,
        /// The packet.
        packet: Packet,
    },
    /// Send one packet to every open channel whose gate lets it pass.
    SendAll {
        /// The packet.
        packet: Packet,
    },
    /// Keep some bytes of the application's own with the channel to a peer.
    SetChannelData {
        /// The peer.
        peer: PeerId,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Turn an identity, an address or a prefix away from now on.
    Block(BlockTarget),
    /// Lift a block.
    Unblock(BlockTarget),
    /// Put on the allow-list; the first entry turns it on.
    Allow(BlockTarget),
    /// Take off the allow-list; the end of the last entry turns it off.
    Disallow(BlockTarget),
    /// Add an identity to the list of trusted ones.
    Trust(PeerId),
    /// Take an identity off that list and demote its channel.
    Untrust(PeerId),
    /// Let a pending peer in.
    Accept(PeerId),
    /// Turn a pending peer away.
    Refuse(PeerId),
    /// The application's trust handshake sets a peer's trust for now.
    SetTrust {
        /// The channel's connection, as [`Event::TrustHandshakeStarted`] named it.
        conn: ConnId,
        /// How far it is trusted.
        trust: Trust,
    },
    /// The application's trust handshake is over.
    FinishTrust {
        /// The channel's connection, as [`Event::TrustHandshakeStarted`] named it.
        conn: ConnId,
        /// How far the peer is trusted; with none the channel ends.
        trust: Option<Trust>,
    },
    /// Turn the acceptance of incoming connections on or off.
    AcceptInbound(bool),
    /// Set the node's textual identifier.
    SetLabel {
        /// Who sets it.
        origin: Origin,
        /// The identifier.
        text: String,
    },
    /// Turn what the node itself does with packets of a kind on or off.
    DefaultAction {
        /// The kind.
        kind: PacketKind,
        /// On or off.
        on: bool,
    },
    /// Change a routine.
    Routine {
        /// The routine's name.
        name: String,
        /// What to change.
        change: RoutineChange,
    },
    /// End everything gracefully.
    Shutdown,
    /// Send a message of the application's trust handshake on the channel that it runs on.
    TrustStep {
        /// The channel's connection, as [`Event::TrustHandshakeStarted`] named it.
        conn: ConnId,
        /// The message.
        message: Bytes,
    },
    /// Ask others to do something.
    IssueTask {
        /// Whom.
        audience: Audience,
        /// What.
        body: Box<TaskBody>,
        /// For how long it is valid; a minute if none.
        valid: Option<Duration>,
    },
    /// Hand on a task that was signed elsewhere.
    DeliverTask(Bytes),
    /// Issue a task for a peer that may be away.
    KeepTask {
        /// For whom.
        peer: PeerId,
        /// What.
        body: Box<TaskBody>,
        /// For how long it is valid.
        valid: Duration,
    },
    /// The application has done a task that waited for it.
    FinishTask {
        /// The peer that brought it.
        peer: PeerId,
        /// The task.
        task: TaskId,
        /// What came of it.
        result: Result<TaskOutcome, TaskFailure>,
    },
    /// Turn on or off that the application itself does tasks of a kind.
    TaskHandler {
        /// The kind.
        kind: TaskKind,
        /// On or off.
        on: bool,
    },
    /// Write a value into the data area, or delete it.
    PutData {
        /// The key.
        key: String,
        /// The value; none deletes.
        value: Option<Bytes>,
    },
    /// Compare the data area with a peer's.
    SyncData(PeerId),
    /// Turn away whoever the authority has given this label.
    BlockLabel(String),
    /// Lift that.
    UnblockLabel(String),
    /// Offer a file to peers.
    OfferFile {
        /// Its name or path, as the file manager knows it.
        name: String,
        /// Who is to have it.
        to: Vec<PeerId>,
    },
    /// Get a file from peers that have it.
    FetchFile {
        /// Its name.
        name: String,
        /// Whom to ask.
        from: Vec<PeerId>,
    },
    /// Take an offered file.
    AcceptFile(FileId),
    /// Don't.
    RefuseFile(FileId),
    /// End a transfer.
    CancelFile {
        /// The file.
        file: FileId,
        /// Which way it goes.
        direction: FileDirection,
    },
    /// Change what the node does about files.
    SetFiles(FileConfig),
    /// Go on with the transfers of an earlier run.
    RestoreTransfers(SavedTransfers),
}

/// Who or what is blocked, or allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockTarget {
    /// An identity.
    Peer(PeerId),
    /// An address or a prefix.
    Prefix(IpPrefix),
}

/// A change to a named routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoutineChange {
    /// Register one of the application's own, stopped.
    #[doc(alias = "AddRoutine")]
    Add {
        /// The time from run to run.
        interval: Duration,
        /// How far a run may stray from its time, in percent of the interval.
        jitter_percent: u8,
    },
    /// Forget it.
    Remove,
    /// Run it from now on.
    #[doc(alias = "TryStartRoutine")]
    Start,
    /// Stop running it.
    #[doc(alias = "TryStopRoutine")]
    Stop,
    /// Run it at another interval.
    #[doc(alias = "TrySetRoutineInterval")]
    SetInterval(Duration),
}

/// When the core next wants [`handle_timeout`](crate::PeerNetwork::handle_timeout), and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// What for; made to be logged on waking.
    pub why: Why,
}

/// The reason for a [`Deadline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Outputs wait to be polled.
    OutputsWaiting,
    /// A dial or a handshake must be done by then.
    Handshake,
    /// A channel's keep-alive or idle check.
    KeepAlive,
    /// A trust handshake or the settling of trust.
    Trust,
    /// A pending peer has waited too long.
    Pending,
    /// A closing channel must be gone by then.
    Linger,
    /// A peer shall be dialled again.
    Redial,
    /// A beacon is due.
    Beacon,
    /// A routine is due.
    Routine,
    /// A request has waited too long for its answer.
    Request,
    /// Counters that were held back shall be told.
    Report,
    /// A transfer waits for an answer or a chunk.
    Transfer,
}
