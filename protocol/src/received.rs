//! Packets as they come out of a channel, in batches: one event for all that a record held.

use crate::config::Lane;
use crate::id::{ConnId, PeerId};
use crate::wire::packet::{Packet, PacketKind};
use bytes::Bytes;

/// Packets of one kind from one peer, in order. Iterate to take them.
///
/// The bytes count against the peer until they are given back with
/// [`PeerNetwork::consumed`](crate::PeerNetwork::consumed); drivers do that when the application takes the event.
#[doc(alias = "OnDataReceived")]
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Who sent them: proved, and the holder of the channel they came on.
    pub peer: PeerId,
    /// The channel they came on.
    pub conn: ConnId,
    /// What they are.
    pub kind: PacketKind,
    /// The lane they came in.
    pub lane: Lane,
    /// What they count for, in bytes.
    pub bytes: u32,
    packets: Packets,
}

#[derive(Clone, Debug, PartialEq)]
enum Packets {
    /// Whole frames (kind, length, body) one after another, checked.
    Frames(Bytes),
    /// One body that came in fragments.
    Whole(Option<Bytes>),
}
