//! What happens, as the program tells it: the events of the core in the words that both its forms share, and as JSON.

mod files;

use files::FileStory;
pub(crate) use files::fault_words;
use p2pnet_protocol::net::canonical;
use p2pnet_protocol::task::{TaskBody, TaskKind};
use p2pnet_protocol::{
    DataPayloadFormat, Digest, Direction, DiscoverySource, DiscoveryStatus, Event, FileDirection,
    FileId, Packet, PacketKind, PeerId, PublicKey, Received, TaskId, TransferView, Trust,
    TrustChange,
};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// One line of the story. As JSON the variant is the key `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line {
    Listening {
        addr: String,
        peer: PeerId,
    },
    PeerDiscovered {
        peer: PeerId,
        addr: String,
        via: DiscoverySource,
    },
    DiscoveryStatus(DiscoveryStatus),
    ConnectionAttempt {
        addr: String,
        direction: Direction,
    },
    PeerPending {
        peer: PeerId,
        addr: String,
    },
    PeerConnected {
        peer: PeerId,
        addr: String,
        trust: Trust,
        direction: Direction,
    },
    TrustChanged {
        peer: PeerId,
        trust: Trust,
        because: TrustChange,
    },
    TrustRefused {
        peer: PeerId,
        reason: String,
    },
    TrustRequested {
        peer: PeerId,
        direction: Direction,
    },
    IdentityReceived {
        peer: PeerId,
        label: String,
        note: String,
    },
    PeerGroupReceived {
        peer: PeerId,
        peers: usize,
    },
    MessageReceived {
        peer: PeerId,
        text: String,
    },
    DataReceived {
        peer: PeerId,
        format: DataPayloadFormat,
        bytes: usize,
    },
    PacketsRefused {
        peer: PeerId,
        kind: PacketKind,
        count: u64,
    },
    PeerClosed {
        peer: PeerId,
        addr: String,
        reason: String,
        unsent: u64,
    },
    ConnectionFailed {
        addr: String,
        direction: Direction,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
        count: u64,
    },
    BroadcastPortChanged {
        port: u16,
    },
    ListsChanged,
    TaskReceived {
        peer: PeerId,
        task: TaskId,
        kind: TaskKind,
        by_authority: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        waits: bool,
    },
    TaskExecuted {
        peer: PeerId,
        task: TaskId,
        kind: TaskKind,
        done: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    TaskRefused {
        peer: PeerId,
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<TaskId>,
        reason: String,
    },
    TaskAnswered {
        peer: PeerId,
        task: TaskId,
        done: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    DataChanged {
        key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
    },
    IdentifierAssigned {
        peer: PeerId,
        label: String,
    },
    FileOffered {
        id: FileId,
        peer: PeerId,
        name: String,
        bytes: u64,
    },
    FileOpened {
        id: FileId,
        name: String,
        bytes: u64,
        direction: FileDirection,
        peers: Vec<PeerId>,
    },
    FileProgress {
        id: FileId,
        name: String,
        bytes: u64,
        total: u64,
        direction: FileDirection,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
    },
    FileReceived {
        id: FileId,
        name: String,
        bytes: u64,
        sha256: Digest,
        root: FileId,
        path: String,
        from: Vec<PeerId>,
    },
    FileSent {
        id: FileId,
        peer: PeerId,
        name: String,
        bytes: u64,
    },
    FileSourceDropped {
        id: FileId,
        peer: PeerId,
        name: String,
        reason: String,
    },
    FileFailed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<FileId>,
        name: String,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        direction: Option<FileDirection>,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<PeerId>,
    },
    BootstrapOk {
        server: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        authority: Option<PublicKey>,
        observed: IpAddr,
        peers: u32,
        new: u32,
        total: u32,
    },
    BootstrapFailed {
        server: String,
        reason: String,
        retry_in_ms: u64,
    },
    PublicAddress {
        address: Option<Ipv4Addr>,
    },
    Warning {
        text: String,
    },
    Stopping,
    Stopped,
}

/// An address as `ip:port`, in one form for both families.
fn show(address: SocketAddr) -> String {
    canonical(address).to_string()
}

/// What makes lines of events.
pub(crate) struct Story {
    me: PeerId,
    files: FileStory,
}

impl Story {
    /// The story of the node `me`.
    pub(crate) fn new(me: PeerId) -> Self {
        Self { me, files: FileStory::default() }
    }

    /// The lines that an event is worth, which is told at `now`. Files that are on their way since an earlier run are
    /// found in `under_way`.
    pub(crate) fn lines(
        &mut self,
        event: Event,
        now: Instant,
        under_way: impl FnOnce() -> Vec<TransferView>,
    ) -> Vec<Line> {
        match self.files.line(&event, now, under_way) {
            Some(line) => vec![line],
            None => lines(event, self.me),
        }
    }
}

/// The lines that an event about anything but files is worth; `me` is this node.
fn lines(event: Event, me: PeerId) -> Vec<Line> {
    let line = match event {
        Event::Listening { at } => Line::Listening { addr: show(at), peer: me },
        Event::PeerDiscovered { peer, at, via } => {
            Line::PeerDiscovered { peer, addr: show(at), via }
        }
        Event::DiscoveryStatus(status) => Line::DiscoveryStatus(status),
        Event::ConnectionAttempt { at, direction, .. } => {
            Line::ConnectionAttempt { addr: show(at), direction }
        }
        Event::PeerPending { peer, at } => Line::PeerPending { peer, addr: show(at) },
        Event::PeerConnected { peer, at, direction, trust, .. } => {
            Line::PeerConnected { peer, addr: show(at), trust, direction }
        }
        Event::TrustChanged { peer, trust, because } => Line::TrustChanged { peer, trust, because },
        Event::TrustRefused { peer, refusal } => {
            Line::TrustRefused { peer, reason: refusal.to_string() }
        }
        // Nobody is asked about a peer that the list has.
        Event::TrustHandshakeStarted { listed: true, .. } => return Vec::new(),
        Event::TrustHandshakeStarted { peer, direction, .. } => {
            Line::TrustRequested { peer, direction }
        }
        Event::Received(received) => return received_lines(received),
        Event::PacketsRefused { peer, kind, count } => Line::PacketsRefused { peer, kind, count },
        Event::PeerClosed { peer, at, reason, unsent, .. } => {
            Line::PeerClosed { peer, addr: show(at), reason: reason.to_string(), unsent }
        }
        Event::DialFailed { at, peer, error, retry_in } => Line::ConnectionFailed {
            addr: show(at),
            direction: Direction::Outgoing,
            peer,
            reason: error.to_string(),
            retry_in_ms: retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            count: 1,
        },
        Event::IncomingFailed { at, error, count } => Line::ConnectionFailed {
            addr: show(at),
            direction: Direction::Incoming,
            peer: None,
            reason: error.to_string(),
            retry_in_ms: None,
            count,
        },
        Event::BootstrapOk { server, authority, observed, peers, new, total } => {
            Line::BootstrapOk { server, authority, observed, peers, new, total }
        }
        Event::BootstrapFailed { server, error, retry_in } => Line::BootstrapFailed {
            server,
            reason: error.to_string(),
            retry_in_ms: u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
        },
        Event::PublicAddress { address } => Line::PublicAddress { address },
        Event::BroadcastPortChanged { port } => Line::BroadcastPortChanged { port },
        Event::ListsChanged => Line::ListsChanged,
        Event::TaskReceived { peer, task, by_authority, body, waits, .. } => {
            let kind = body.kind();
            let text = match *body {
                TaskBody::SendMessage(text) => Some(text),
                _ => None,
            };
            Line::TaskReceived { peer, task, kind, by_authority, text, waits }
        }
        Event::TaskExecuted { peer, task, kind, result } => {
            let reason = result.as_ref().err().map(ToString::to_string);
            Line::TaskExecuted { peer, task, kind, done: result.is_ok(), reason }
        }
        Event::TaskRefused { peer, task, why, .. } => {
            Line::TaskRefused { peer, task, reason: why.to_string() }
        }
        Event::TaskAnswered { peer, task, result } => {
            let reason = result.as_ref().err().map(ToString::to_string);
            Line::TaskAnswered { peer, task, done: result.is_ok(), reason }
        }
        Event::DataChanged { key, from } => Line::DataChanged { key, peer: from },
        Event::IdentifierAssigned { peer, label } => Line::IdentifierAssigned { peer, label },
        // The rest concerns those who program against the core.
        _ => return Vec::new(),
    };
    vec![line]
}

fn received_lines(received: Received) -> Vec<Line> {
    let peer = received.peer;
    let line = |packet| match packet {
        Packet::PureMessage(message) => {
            Some(Line::MessageReceived { peer, text: message.text().into_owned() })
        }
        // It asks, and says nothing.
        Packet::Identity(identity) if identity.is_question() => None,
        Packet::Identity(identity) => {
            Some(Line::IdentityReceived { peer, label: identity.label, note: identity.note })
        }
        Packet::PeerGroup(group) => {
            Some(Line::PeerGroupReceived { peer, peers: group.peers.len() })
        }
        Packet::DataTransmission(data) => {
            Some(Line::DataReceived { peer, format: data.format, bytes: data.payload.len() })
        }
        Packet::Disconnect(_) | Packet::TrustStep(_) => None,
    };
    received.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::{CloseReason, ConnId, DisconnectReason, Refusal};

    const PEER: PeerId = PeerId([0xab; 32]);

    fn json(event: Event) -> serde_json::Value {
        let lines = lines(event, PeerId([1; 32]));
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let text = serde_json::to_string(line).unwrap();
        assert!(text.starts_with("{\"event\":\""), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn events_have_the_promised_names_and_keys() {
        let id = "ab".repeat(32);
        let at: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        let said = json(Event::Listening { at });
        assert_eq!((&said["event"], &said["addr"]), (&"listening".into(), &"192.0.2.1:7".into()));
        assert_eq!(said["peer"], "01".repeat(32));
        let said = json(Event::PeerConnected {
            peer: PEER,
            conn: ConnId(1),
            at,
            direction: Direction::Incoming,
            trust: Trust::Authenticated,
        });
        assert_eq!(said["event"], "peer_connected");
        assert_eq!((&said["peer"], &said["addr"]), (&id.as_str().into(), &"192.0.2.1:7".into()));
        assert_eq!(said["trust"], "authenticated");
        let said = json(Event::TrustChanged {
            peer: PEER,
            trust: Trust::Trusted,
            because: TrustChange::Secret,
        });
        assert_eq!((&said["event"], &said["trust"]), (&"trust_changed".into(), &"trusted".into()));
        let said = json(Event::TrustRefused { peer: PEER, refusal: Refusal::OtherSecret });
        assert_eq!((&said["event"], &said["peer"]), (&"trust_refused".into(), &id.as_str().into()));
        assert_eq!(said["reason"], "the peer does not know this network's secret");
        let said = json(Event::PeerClosed {
            peer: PEER,
            conn: ConnId(1),
            at,
            reason: CloseReason::Remote(DisconnectReason::ShuttingDown),
            unsent: 0,
        });
        assert_eq!(said["event"], "peer_closed");
        assert_eq!(said["reason"], "ended by the peer: shutting down");
        let said =
            json(Event::ConnectionAttempt { conn: ConnId(1), at, direction: Direction::Outgoing });
        assert_eq!(said["event"], "connection_attempt");
        assert_eq!(
            json(Event::DiscoveryStatus(DiscoveryStatus::default()))["event"],
            "discovery_status"
        );
        let said = json(Event::PeerDiscovered { peer: PEER, at, via: DiscoverySource::Lan });
        assert_eq!((&said["event"], &said["via"]), (&"peer_discovered".into(), &"lan".into()));
    }

    #[test]
    fn messages_keep_their_text() {
        let line = Line::MessageReceived { peer: PEER, text: "a\n\"b\"\u{1b}".into() };
        let text = serde_json::to_string(&line).unwrap();
        assert!(!text.contains('\n') && !text.contains('\u{1b}'));
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["event"], "message_received");
        assert_eq!(back["text"], "a\n\"b\"\u{1b}");
    }
}
