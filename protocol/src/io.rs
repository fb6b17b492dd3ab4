//! The whole vocabulary: what the world did ([`Input`]), what it shall do ([`Output`]), what the application hears
//! ([`Event`]) and wants ([`Command`]).

mod event;

pub use event::Event;

use crate::config::{Lane, Trust};
use crate::distribution::{FileAnswer, FileConfig, FileDirection, FileRequest, SavedTransfers};
use crate::id::{ConnId, FileId, ListenerId, PeerId, RequestId, TaskId};
use crate::net::{Interface, IpPrefix};
use crate::task::{Audience, TaskBody, TaskFailure, TaskKind, TaskOutcome};
use crate::time::{Duration, Instant, UnixTime};
use crate::trust::identifier::Origin;
use crate::wire::packet::{DisconnectReason, Packet, PacketKind};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
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
    /// Send one request by HTTP, follow no redirection, and answer with [`Answer::Fetched`].
    Fetch(Fetch),
    /// Keep these bytes in place of earlier ones of the same use, so that a crash leaves the one or the other, and answer
    /// [`Answer::Saved`] once they are safe. Asked only where the configuration says that there is a place for them.
    Save {
        /// What they are.
        keeps: Keeps,
        /// The bytes.
        bytes: Bytes,
    },
}

/// One request by HTTP or HTTPS.
///
/// ```
/// use p2pnet_protocol::io::{Fetch, Fetched};
/// use p2pnet_protocol::{Answer, Request};
/// // Who drives a node sends the request with whatever client it has.
/// fn perform(request: &Request, send: impl Fn(&Fetch) -> Option<Fetched>) -> Answer {
///     match request {
///         Request::Fetch(fetch) => send(fetch).map_or(Answer::Failed, Answer::Fetched),
///         _ => Answer::Failed,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where to.
    pub url: String,
    /// What to `POST`; `GET` if there is nothing.
    pub body: Option<Bytes>,
    /// The media type of the body, and the one that is wanted in answer.
    pub media_type: &'static str,
    /// A longer answer is none: [`Answer::Failed`].
    pub bytes_max: u32,
    /// Over IPv4 alone.
    pub ipv4_only: bool,
}

/// The answer to one request by HTTP, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The media type that the server told, cut to [`MEDIA_TYPE_BYTES_MAX`](Self::MEDIA_TYPE_BYTES_MAX).
    pub media_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Fetched {
    /// The most bytes of a media type.
    pub const MEDIA_TYPE_BYTES_MAX: usize = 128;
}

/// What the core asks to be kept. Who drives a node puts each under a name of its own:
///
/// ```
/// use p2pnet_protocol::io::Keeps;
/// let file = |what| match what {
///     Keeps::Tasks => "tasks.bin",
///     Keeps::Data => "data.bin",
///     Keeps::Bootstrap => "bootstrap.bin",
/// };
/// assert_eq!(file(Keeps::Data), "data.bin");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// What was seen of tasks ([`TaskConfig::saved`](crate::task::TaskConfig::saved)).
    Tasks,
    /// The data area ([`TaskConfig::saved_data`](crate::task::TaskConfig::saved_data)).
    Data,
    /// The authorities that were met ([`BootstrapConfig::saved`](crate::discovery::bootstrap::BootstrapConfig::saved)).
    Bootstrap,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// What became of a [`Request::Fetch`].
    Fetched(Fetched),
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

/// Where a peer was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DiscoverySource {
    /// A signed beacon on the LAN.
    Lan,
    /// Another peer told of it.
    Exchange,
    /// A bootstrap server told of it.
    Bootstrap,
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
    /// End what was asked for under a ticket, while it isn't known which file that is.
    CancelFileRequest(RequestId),
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
    /// A bootstrap server, or a source of the public address, is due to be asked.
    Bootstrap,
}
