//! What a node looks like from outside: getters and the views that they give.

use super::PeerNetwork;
use super::connection::{Phase, Stage};
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::discovery::lan::LanStats;
use crate::id::{ConnId, NetworkName, PeerId, PublicKey};
use crate::io::{BlockTarget, Direction};
use crate::limits::Limits;
use crate::peers::book::Known;
use crate::time::Duration;
use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};

/// One peer as lists, events and handlers show it.
#[doc(alias = "PeerChannel")]
#[doc(alias = "IPeer")]
#[doc(alias = "GenericPeer")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// Who it is.
    pub peer: PeerId,
    /// Where its channel comes from or goes to, else where it was last heard of.
    pub address: Option<SocketAddr>,
    /// The port that it accepts connections on, if it told.
    pub port: Option<u16>,
    /// What it calls itself: a claim.
    pub label: String,
    /// How far it is trusted.
    #[doc(alias = "IsTrustedPeer")]
    #[doc(alias = "TrustedPeerChannels")]
    pub trust: Trust,
    /// Where it is in its life.
    pub state: PeerState,
    /// Its connection.
    pub conn: Option<ConnId>,
    /// Who opened that connection.
    pub direction: Option<Direction>,
    /// The channel's counters.
    pub stats: ChannelStats,
    /// The label that the network's authority gave it.
    pub assigned: Option<String>,
}

/// Where a peer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// Heard of, without a connection.
    Known,
    /// A dial or a handshake is under way.
    Connecting,
    /// Waits to be accepted.
    Pending,
    /// Has an open channel.
    Open,
    /// Its channel is ending.
    Closing,
}

/// Counters of one channel (feature C6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStats {
    /// Bytes written to the stream.
    pub bytes_sent: u64,
    /// Bytes read from the stream.
    pub bytes_received: u64,
    /// Packets queued for sending.
    pub packets_sent: u64,
    /// Packets that came and passed the gate.
    pub packets_received: u64,
    /// Payload bytes that wait to be sent.
    pub queued_bytes: u64,
    /// The last round trip, in microseconds.
    pub round_trip_us: Option<u64>,
    /// Milliseconds since anything was heard.
    #[doc(alias = "LastIncomingDataReceived")]
    pub idle_ms: u64,
}

/// One routine.
#[doc(alias = "IRoutine")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutineView {
    /// Its name.
    #[doc(alias = "RoutineName")]
    pub name: String,
    /// The time from run to run.
    #[doc(alias = "RoutineInterval")]
    pub interval: Duration,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is the application's own.
    pub custom: bool,
}

/// Counters of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Dials and handshakes that came to nothing.
    pub handshakes_failed: u64,
    /// Channels ended since the peer broke the protocol.
    pub violations: u64,
    /// Incoming streams refused by limits or lists.
    pub incoming_refused: u64,
}

/// Getters.
impl<C: Crypto> PeerNetwork<C> {
    /// This node's id.
    pub const fn id(&self) -> PeerId {
        self.me.id
    }

    /// This node's identity key.
    pub const fn public_key(&self) -> PublicKey {
        self.me.key
    }

    /// The network that it belongs to.
    pub const fn network(&self) -> &NetworkName {
        &self.config.network
    }

    /// This node's textual identifier; empty if there is none.
    #[doc(alias = "Identifier")]
    pub fn label(&self) -> &str {
        self.label.as_str()
    }

    /// The limits in force.
    pub const fn limits(&self) -> &Limits {
        &self.cx.limits
    }

    /// The node's counters.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Connections in any state: closing ones, and those that are gone and whose payload the application still has.
    pub fn connections(&self) -> usize {
        self.conns.len().saturating_add(self.unread.len())
    }

    /// Peers that this node remembers, connected or not.
    pub fn known(&self) -> usize {
        self.book.iter().count()
    }

    /// LAN discovery's counters.
    pub fn lan_stats(&self) -> LanStats {
        self.lan.stats()
    }

    /// The designated port that beacons go to at present.
    #[doc(alias = "BroadcasterPort")]
    pub fn broadcast_port(&self) -> u16 {
        self.lan.broadcast_port()
    }

    /// Every known peer, in order of id.
    #[doc(alias = "KnownPeers")]
    pub fn peers(&self) -> Vec<PeerView> {
        self.book.iter().map(|(peer, known)| self.view(peer, known)).collect()
    }

    /// The peers with an open channel, in order of id.
    #[doc(alias = "ActivePeerChannels")]
    pub fn open_peers(&self) -> Vec<PeerView> {
        self.peers().into_iter().filter(|view| view.state == PeerState::Open).collect()
    }

    /// One peer.
    pub fn peer(&self, peer: &PeerId) -> Option<PeerView> {
        self.book.get(peer).map(|known| self.view(peer, known))
    }

    /// What the application keeps with the channel to a peer; empty if nothing, or if there is no channel.
    pub fn channel_data(&self, peer: &PeerId) -> &[u8] {
        let connection = self.conn_of(peer).and_then(|conn| self.conns.get(&conn));
        connection.and_then(|connection| connection.link()).map_or(&[], |link| &link.data)
    }

    /// The peers that wait to be accepted.
    #[doc(alias = "InboundConnectingPeers")]
    #[doc(alias = "InboundConnectingPeersQueue")]
    pub fn pending(&self) -> Vec<PeerView> {
        self.pending.keys().filter_map(|peer| self.peer(peer)).collect()
    }

    /// What is blocked.
    pub fn blocked(&self) -> Vec<BlockTarget> {
        self.lists.blocked()
    }

    /// The allow-list; empty if it is off.
    pub fn allowed(&self) -> Vec<BlockTarget> {
        self.lists.allowed()
    }

    /// The identities on the operator's list of trusted ones.
    pub fn trusted(&self) -> Vec<PeerId> {
        self.lists.trusted()
    }

    /// The routines, by name.
    pub fn routines(&self) -> Vec<RoutineView> {
        self.routines.list()
    }

    fn view(&self, peer: &PeerId, known: &Known) -> PeerView {
        let conn = known.conn.or(known.dialing);
        let connection = conn.and_then(|conn| self.conns.get(&conn));
        let link = connection.and_then(|connection| connection.link());
        let state = match (connection.map(|connection| &connection.phase), link) {
            (None, _) => PeerState::Known,
            (_, Some(link)) => match link.stage {
                Stage::Pending => PeerState::Pending,
                Stage::Closing => PeerState::Closing,
                _ if link.announced => PeerState::Open,
                _ => PeerState::Connecting,
            },
            (Some(Phase::Dialing | Phase::Handshaking(_) | Phase::Open(_)), None) => {
                PeerState::Connecting
            }
        };
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let stats = link.map(|link| {
            let (channel, counts) = (&link.channel, link.channel.counts);
            let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
            ChannelStats {
                bytes_sent: counts.bytes_sent,
                bytes_received: counts.bytes_received,
                packets_sent: counts.packets_sent,
                packets_received: counts.packets_received,
                queued_bytes: channel.queued_bytes() as u64,
                round_trip_us: channel.round_trip.map(micros),
                idle_ms: millis(self.cx.now.since(channel.last_heard)),
            }
        });
        PeerView {
            peer: *peer,
            address: connection.map(|connection| connection.at).or_else(|| known.likely_address()),
            port: known.listen_port,
            label: known.label.clone(),
            trust: link.map_or(Trust::Unproven, |link| link.trust),
            state,
            conn,
            direction: connection.map(|connection| connection.direction),
            stats: stats.unwrap_or_default(),
            assigned: self.assigned_label(peer).map(Into::into),
        }
    }
}
