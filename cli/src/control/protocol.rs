//! What commands and the node say to each other.

use crate::failure::Failure;
use p2pnet_driver::FileRecord;
use p2pnet_protocol::discovery::LanStats;
use p2pnet_protocol::net::canonical;
use p2pnet_protocol::network::{PeerState, PeerView};
use p2pnet_protocol::task::{DataEntry, TaskBody, TaskOutcome};
use p2pnet_protocol::{
    BlockTarget, Direction, Duration, NetworkName, PeerId, RequestId, SendError, Stats, TaskId,
    TaskView, TransferView, Trust,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a command wants. Peers are named by their whole id or a unique prefix of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(crate) enum Request {
    /// The node's own id.
    Id,
    /// All peers.
    Peers,
    /// Peers that wait to be let in.
    Pending,
    /// Send a message; to everyone if nobody is named.
    Send { to: Option<String>, text: String },
    /// Dial.
    Connect { address: String, expect: Option<String> },
    /// End a channel.
    Disconnect { peer: String },
    /// Turn away from now on.
    Block { target: String },
    /// Lift a block.
    Unblock { target: String },
    /// What is blocked.
    Blocked,
    /// Put on the allow-list.
    Allow { target: String },
    /// Take off it.
    Disallow { target: String },
    /// What is allowed.
    Allowed,
    /// Put on the list of trusted identities.
    Trust { peer: String },
    /// Take off that list.
    Untrust { peer: String },
    /// That list.
    Trusted,
    /// Let in.
    Accept { peer: String },
    /// Turn away.
    Refuse { peer: String },
    /// Accept incoming connections from now on, or don't.
    Inbound { accept: bool },
    /// All routines.
    Routines,
    /// What the node counted.
    Stats,
    /// Change a routine.
    Routine { name: String, change: RoutineWish },
    /// End the node; the answer comes when it has ended.
    Stop,
    /// The peer that this text names.
    Resolve { peer: String },
    /// The network's name.
    Network,
    /// Ask one peer, or everyone if nobody is named.
    Task { to: Option<PeerId>, body: Box<TaskBody>, valid: Duration, keep: bool },
    /// Hand on a task that was signed elsewhere, in hex.
    SignedTask { to: Option<PeerId>, task: String },
    /// Tasks under way.
    Tasks,
    /// The entry of a key.
    DataGet { key: String },
    /// Write a value, or delete it.
    DataSet { key: String, value: Option<String> },
    /// Every entry.
    DataList,
    /// Compare the data area with a peer's.
    DataSync { peer: PeerId },
    /// Offer the file at this absolute path; to everyone who may have it if nobody is named.
    SendFile { path: String, to: Option<String> },
    /// Get a file from peers by its name.
    GetFile { name: String, from: Vec<String> },
    /// What became so far of a file that was offered or asked for.
    FileRecord { ticket: RequestId },
    /// Transfers under way, and offers.
    Files,
    /// The files of the inbox or image.
    StoredFiles,
    /// Take an offered file; files are named by their whole id or a unique prefix of it.
    AcceptFile { id: String },
    /// Turn it down.
    RefuseFile { id: String },
    /// End its transfers, both ways.
    CancelFile { id: String },
    /// End what was asked for under a ticket, whatever has become of it.
    CancelTicket { ticket: RequestId },
}

/// A change to a routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoutineWish {
    Start,
    Stop,
    Interval(Duration),
}

/// What the node answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// It is done.
    Done,
    /// It is done, to this peer.
    DoneTo(PeerId),
    /// The node's own id.
    Id(PeerId),
    /// Peers.
    Peers(Vec<PeerRow>),
    /// Who took a message, and who didn't.
    Sent(Vec<SentRow>),
    /// What is blocked, or allowed.
    Targets(Vec<BlockTarget>),
    /// Trusted identities.
    Trusted(Vec<PeerId>),
    /// Routines.
    Routines(Vec<RoutineRow>),
    /// The network's name.
    Network(NetworkName),
    /// A task was sent, to be answered in the story.
    Asked(TaskId),
    /// What a task gave.
    Outcome(TaskOutcome),
    /// Tasks under way.
    Tasks(Vec<TaskView>),
    /// Entries of the data area.
    Entries(Vec<DataEntry>),
    /// A file is being offered or looked for.
    FileTicket(FileTicket),
    /// What became of it so far, and who of its peers is not connected.
    FileRecord { record: Option<Box<FileRecord>>, absent: Vec<PeerId> },
    /// Transfers.
    Transfers(Vec<TransferView>),
    /// Files that are kept.
    StoredFiles(Vec<StoredRow>),
    /// What the node counted.
    Stats(Box<StatsRow>),
    /// It did not succeed.
    Failed(Failure),
}

/// One peer as `peers` and `pending` show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PeerRow {
    pub(crate) peer: PeerId,
    pub(crate) state: PeerState,
    pub(crate) trust: Trust,
    pub(crate) addr: Option<String>,
    pub(crate) direction: Option<Direction>,
    /// The port it accepts on, if told.
    pub(crate) port: Option<u16>,
    /// Its own claim.
    pub(crate) label: String,
    /// The label that the network's authority gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assigned: Option<String>,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    /// Bytes that wait to be sent.
    pub(crate) queued_bytes: u64,
    /// The last round trip, in microseconds.
    pub(crate) rtt_us: Option<u64>,
    /// Milliseconds since anything was heard.
    pub(crate) idle_ms: u64,
}

impl From<PeerView> for PeerRow {
    fn from(view: PeerView) -> Self {
        let stats = view.stats;
        Self {
            peer: view.peer,
            state: view.state,
            trust: view.trust,
            addr: view.address.map(|at| canonical(at).to_string()),
            direction: view.direction,
            port: view.port,
            label: view.label,
            assigned: view.assigned,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            queued_bytes: stats.queued_bytes,
            rtt_us: stats.round_trip_us,
            idle_ms: stats.idle_ms,
        }
    }
}

/// How sending to one peer went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SentRow {
    pub(crate) peer: PeerId,
    /// Why it was not taken, if it wasn't.
    pub(crate) error: Option<SendError>,
}

/// A file that is being offered or looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileTicket {
    pub(crate) ticket: RequestId,
    /// To whom, or from whom.
    pub(crate) peers: Vec<PeerId>,
    /// Those of them that files don't pass to or from now.
    pub(crate) absent: Vec<PeerId>,
}

/// A file of the inbox or image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRow {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Where it lies, if it is a file of the operating system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
}

/// One routine as `routine list` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoutineRow {
    pub(crate) name: String,
    pub(crate) running: bool,
    pub(crate) interval_ms: u64,
}

/// What `stats` shows: what there is now, and what was counted since the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatsRow {
    /// Connections in any state, closing ones included.
    pub(crate) connections: usize,
    /// Peers that the node remembers.
    pub(crate) known_peers: usize,
    /// What the limits add up to ([`Limits::total_bytes_max`](p2pnet_protocol::Limits::total_bytes_max)).
    pub(crate) memory_budget_bytes: u64,
    pub(crate) node: Stats,
    pub(crate) lan: LanStats,
    /// The loop under the node.
    pub(crate) driver: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::line;

    fn round_trip<T>(value: &T) -> String
    where
        T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let mut bytes = Vec::new();
        line::write(&mut bytes, value).unwrap();
        assert_eq!(line::read::<T>(&mut &bytes[..]).unwrap().as_ref(), Some(value));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn requests_and_responses_are_one_line_each() {
        let text = String::from("two\nlines \u{1b}[31m");
        let said = round_trip(&Request::Send { to: None, text });
        assert_eq!(
            said,
            "{\"command\":\"send\",\"to\":null,\"text\":\"two\\nlines \\u001b[31m\"}\n"
        );
        round_trip(&Request::Routine {
            name: "R".into(),
            change: RoutineWish::Interval(Duration::from_millis(5)),
        });
        round_trip(&Response::Failed(Failure::failed("no").fix("yes")));
        round_trip(&Response::Done);
        round_trip(&Response::Peers(vec![PeerRow {
            peer: PeerId([7; 32]),
            state: PeerState::Open,
            trust: Trust::Trusted,
            addr: Some("192.0.2.1:7".into()),
            direction: Some(Direction::Incoming),
            port: None,
            label: "a".into(),
            assigned: None,
            bytes_sent: 1,
            bytes_received: 2,
            packets_sent: 3,
            packets_received: 4,
            queued_bytes: 5,
            rtt_us: Some(6),
            idle_ms: 7,
        }]));
    }
}
