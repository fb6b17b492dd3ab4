//! The packets that peers exchange inside a channel.

use super::address::PeerRecord;
use super::codec::{Malformed, Reader, put_prefixed, put_varint};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The type of a packet, as the gate table and handlers see it.
#[doc(alias = "PacketType")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketKind {
    /// [`Packet::Identity`].
    Identity,
    /// [`Packet::Disconnect`].
    Disconnect,
    /// [`Packet::PeerGroup`].
    PeerGroup,
    /// [`Packet::DataTransmission`].
    DataTransmission,
    /// [`Packet::PureMessage`].
    PureMessage,
    /// [`Packet::TrustStep`].
    TrustStep,
}

impl PacketKind {
    /// Every kind, in the order of the gate table.
    pub const ALL: [Self; 6] = [
        Self::Identity,
        Self::Disconnect,
        Self::PeerGroup,
        Self::DataTransmission,
        Self::PureMessage,
        Self::TrustStep,
    ];

    /// The number of this kind on the wire.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Identity => 0x10,
            Self::Disconnect => 0x11,
            Self::PeerGroup => 0x12,
            Self::DataTransmission => 0x13,
            Self::PureMessage => 0x14,
            Self::TrustStep => 0x15,
        }
    }

    /// The kind with this number on the wire.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        Some(match byte {
            0x10 => Self::Identity,
            0x11 => Self::Disconnect,
            0x12 => Self::PeerGroup,
            0x13 => Self::DataTransmission,
            0x14 => Self::PureMessage,
            0x15 => Self::TrustStep,
            _ => return None,
        })
    }
}

/// What a [`Packet::DataTransmission`] carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataPayloadFormat {
    /// A part of a file transfer.
    File,
    /// A network task.
    Task,
    /// The application's own bytes.
    MiscData,
}

impl DataPayloadFormat {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Task => 1,
            Self::MiscData => 2,
        }
    }

    pub(crate) const fn from_wire(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::File,
            1 => Self::Task,
            2 => Self::MiscData,
            _ => return None,
        })
    }
}

/// Why a channel is ended, as told to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisconnectReason {
    /// The application asked for it.
    Requested,
    /// The node is shutting down.
    ShuttingDown,
    /// The peer, its address or its prefix is blocked.
    Blocked,
    /// The policy lets only listed identities and members in, and this is neither.
    NotAuthorized,
    /// Another channel to the same peer is kept.
    Duplicate,
    /// A limit on channels was reached.
    TooMany,
    /// Nothing was heard for too long.
    Idle,
    /// The trust handshake did not succeed.
    TrustRefused,
    /// The other side broke the protocol.
    ProtocolViolation,
    /// The incoming peer waited too long to be accepted, or was refused.
    NotAccepted,
    /// A reason that this version doesn't know.
    Other(u8),
}

impl DisconnectReason {
    const KNOWN: [Self; 10] = [
        Self::Requested,
        Self::ShuttingDown,
        Self::Blocked,
        Self::NotAuthorized,
        Self::Duplicate,
        Self::TooMany,
        Self::Idle,
        Self::TrustRefused,
        Self::ProtocolViolation,
        Self::NotAccepted,
    ];

    fn to_wire(self) -> u8 {
        match self {
            Self::Other(byte) => byte,
            known => Self::KNOWN.iter().position(|reason| *reason == known).map_or(0, |i| i as u8),
        }
    }

    fn from_wire(byte: u8) -> Self {
        Self::KNOWN.get(usize::from(byte)).copied().unwrap_or(Self::Other(byte))
    }
}

/// A packet: what the application and its handlers see. Every packet speaks only for the channel it came on.
#[doc(alias = "NetworkPacket")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", remote = "Self")]
pub enum Packet {
    /// How a peer describes itself.
    Identity(IdentityPacket),
    /// The peer ends the channel.
    Disconnect(DisconnectPacket),
    /// Peers that the sender knows.
    PeerGroup(PeerGroupPacket),
    /// Bytes for the file manager, the task queue or the application.
    DataTransmission(DataTransmissionPacket),
    /// A message for the application.
    PureMessage(PureMessagePacket),
    /// A message of the application's own trust handshake.
    TrustStep(TrustStepPacket),
}

/// How a peer describes itself. The label is a claim and never a proof.
#[doc(alias = "IdentifierPacket")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityPacket {
    /// The textual network identifier, at most [`LABEL_BYTES_MAX`](Self::LABEL_BYTES_MAX) bytes; empty if there is none.
    pub label: String,
    /// Free text about the software or the host, at most as long.
    pub note: String,
}

impl IdentityPacket {
    /// The most bytes of a label and of a note.
    pub const LABEL_BYTES_MAX: usize = 128;

    /// Whether this says nothing: it asks the receiver to describe itself once more.
    pub const fn is_question(&self) -> bool {
        self.label.is_empty() && self.note.is_empty()
    }
}

/// The peer ends the channel, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisconnectPacket {
    /// Why.
    pub reason: DisconnectReason,
}

/// Peers that the sender knows, at most [`PEERS_MAX`](Self::PEERS_MAX).
#[doc(alias = "CollectionSharePacket")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerGroupPacket {
    /// The peers, none of them proved.
    pub peers: Vec<PeerRecord>,
}

impl PeerGroupPacket {
    /// The most peers in one packet.
    pub const PEERS_MAX: usize = 64;
}

/// Bytes with a format that says who unwraps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataTransmissionPacket {
    /// Who unwraps the payload.
    pub format: DataPayloadFormat,
    /// The payload.
    pub payload: Bytes,
}

/// A message for the application. By convention it is UTF-8 text, but any bytes pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PureMessagePacket {
    /// The message.
    pub message: Bytes,
}

impl PureMessagePacket {
    /// The message as text; what isn't UTF-8 becomes U+FFFD.
    pub fn text(&self) -> alloc::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.message)
    }
}

/// A message of the application's own trust handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustStepPacket {
    /// What the handshake wrote.
    pub message: Bytes,
}

impl TrustStepPacket {
    /// The longest message: it goes whole, in one record.
    pub const MESSAGE_BYTES_MAX: usize = 16_381;
}

/// In a format for people (JSON) a packet is an object with its type among its fields; in any other one, which may know no
/// names, it is its kind and its body as they are on the wire.
impl Serialize for Packet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Self::serialize(self, serializer);
        }
        (self.kind().to_wire(), Bytes::from(self.encode())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Packet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::deserialize(deserializer);
        }
        let (kind, body) = <(u8, Bytes)>::deserialize(deserializer)?;
        let kind = PacketKind::from_wire(kind).ok_or_else(|| D::Error::custom("packet kind"))?;
        Self::decode(kind, &body).map_err(|malformed| D::Error::custom(malformed.0))
    }
}

impl Packet {
    /// The kind of this packet.
    pub const fn kind(&self) -> PacketKind {
        match self {
            Self::Identity(_) => PacketKind::Identity,
            Self::Disconnect(_) => PacketKind::Disconnect,
            Self::PeerGroup(_) => PacketKind::PeerGroup,
            Self::DataTransmission(_) => PacketKind::DataTransmission,
            Self::PureMessage(_) => PacketKind::PureMessage,
            Self::TrustStep(_) => PacketKind::TrustStep,
        }
    }

    /// A text message.
    pub fn message(text: impl Into<Bytes>) -> Self {
        Self::PureMessage(PureMessagePacket { message: text.into() })
    }

    /// The application's own bytes, sent in the bulk lane.
    pub fn misc_data(payload: impl Into<Bytes>) -> Self {
        let payload = payload.into();
        Self::DataTransmission(DataTransmissionPacket {
            format: DataPayloadFormat::MiscData,
            payload,
        })
    }

    /// The body apart from a payload that can be shared: a few bytes at most for the kinds that carry bulk.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        match self {
            Self::Identity(packet) => {
                put_prefixed(out, clip(&packet.label));
                put_prefixed(out, clip(&packet.note));
            }
            Self::Disconnect(packet) => out.push(packet.reason.to_wire()),
            Self::PeerGroup(packet) => {
                let kept = packet.peers.iter().take(PeerGroupPacket::PEERS_MAX);
                put_varint(out, u32::try_from(kept.len()).unwrap_or(0));
                for peer in kept {
                    peer.encode(out);
                }
            }
            Self::DataTransmission(packet) => out.push(packet.format.to_wire()),
            Self::PureMessage(_) | Self::TrustStep(_) => {}
        }
    }

    /// The payload that follows the head, shared and not copied.
    pub fn payload(&self) -> Option<&Bytes> {
        match self {
            Self::DataTransmission(packet) => Some(&packet.payload),
            Self::PureMessage(packet) => Some(&packet.message),
            Self::TrustStep(packet) => Some(&packet.message),
            Self::Identity(_) | Self::Disconnect(_) | Self::PeerGroup(_) => None,
        }
    }

    /// How many bytes the body has.
    pub fn body_bytes(&self) -> usize {
        let payload = self.payload().map_or(0, Bytes::len);
        let head = match self {
            Self::PureMessage(_) | Self::TrustStep(_) => 0,
            Self::DataTransmission(_) | Self::Disconnect(_) => 1,
            Self::Identity(_) | Self::PeerGroup(_) => {
                let mut head = Vec::new();
                self.encode_head(&mut head);
                head.len()
            }
        };
        payload.saturating_add(head)
    }

    /// The whole body in one piece.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_head(&mut out);
        out.extend_from_slice(self.payload().map_or(&[], |payload| payload));
        out
    }

    /// As [`decode`](Self::decode), and the payload keeps `body` itself: for what comes often, one reference less to
    /// count.
    pub(crate) fn from_body(kind: PacketKind, body: Bytes) -> Result<Self, Malformed> {
        match kind {
            PacketKind::PureMessage => Ok(Self::PureMessage(PureMessagePacket { message: body })),
            _ => Self::decode(kind, &body),
        }
    }

    /// Reads a body. Payloads are slices of `body`.
    ///
    /// # Errors
    /// [`Malformed`] if `body` is not exactly one packet of this kind.
    pub fn decode(kind: PacketKind, body: &Bytes) -> Result<Self, Malformed> {
        let mut from = Reader::new(body);
        Ok(match kind {
            PacketKind::Identity => {
                let label = from.text(IdentityPacket::LABEL_BYTES_MAX, "identity label")?.into();
                let note = from.text(IdentityPacket::LABEL_BYTES_MAX, "identity note")?.into();
                from.end("identity packet")?;
                Self::Identity(IdentityPacket { label, note })
            }
            PacketKind::Disconnect => {
                let reason = DisconnectReason::from_wire(from.u8("disconnect reason")?);
                from.end("disconnect packet")?;
                Self::Disconnect(DisconnectPacket { reason })
            }
            PacketKind::PeerGroup => {
                let count = from.varint("peer count")? as usize;
                if count > PeerGroupPacket::PEERS_MAX {
                    return Err(Malformed("peer count"));
                }
                let mut peers = Vec::with_capacity(count);
                for _ in 0..count {
                    peers.push(PeerRecord::decode(&mut from)?);
                }
                from.end("peer group packet")?;
                Self::PeerGroup(PeerGroupPacket { peers })
            }
            PacketKind::DataTransmission => {
                let format = DataPayloadFormat::from_wire(from.u8("payload format")?)
                    .ok_or(Malformed("payload format"))?;
                Self::DataTransmission(DataTransmissionPacket { format, payload: body.slice(1..) })
            }
            PacketKind::PureMessage => {
                Self::PureMessage(PureMessagePacket { message: body.clone() })
            }
            PacketKind::TrustStep => Self::TrustStep(TrustStepPacket { message: body.clone() }),
        })
    }
}

/// The longest prefix of `text` within the bound that ends between characters.
fn clip(text: &str) -> &[u8] {
    let mut end = text.len().min(IdentityPacket::LABEL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.as_bytes().get(..end).unwrap_or_default()
}
