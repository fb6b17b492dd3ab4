//! What tasks say: one typed body for each kind.

use super::data::{DataEntry, Span, read_key};
use super::kind::TaskKind;
use super::outcome::{TaskFailure, TaskOutcome, decode_answer, encode_answer};
use super::settings::Setting;
use crate::id::{PeerId, PublicKey, Signature};
use crate::net::IpPrefix;
use crate::wire::address::PeerRecord;
use crate::wire::codec::{Malformed, Reader, put_prefixed, put_varint};
use crate::wire::packet::IdentityPacket;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// Who shall be blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerTarget {
    /// An identity.
    Peer(PeerId),
    /// Whoever the authority has given this label, under whatever key.
    Label(String),
}

/// What a task says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskBody {
    /// [`TaskKind::BlockAndRemovePeer`].
    BlockAndRemovePeer(PeerTarget),
    /// [`TaskKind::BlockIp`].
    BlockIp(IpPrefix),
    /// [`TaskKind::SendMessage`]: at most [`TEXT_BYTES_MAX`](Self::TEXT_BYTES_MAX) bytes.
    SendMessage(String),
    /// [`TaskKind::PingPeer`].
    PingPeer,
    /// [`TaskKind::DisconnectPeer`].
    DisconnectPeer(PeerId),
    /// [`TaskKind::AuthorizePeer`].
    AuthorizePeer(PeerId),
    /// [`TaskKind::RevokePeerAuthorization`].
    RevokePeerAuthorization(PeerId),
    /// [`TaskKind::RequestData`]: the key.
    RequestData(String),
    /// [`TaskKind::SendData`]: at least one.
    SendData(Vec<DataEntry>),
    /// [`TaskKind::SynchronizeData`]: what the issuer holds in a span of keys.
    SynchronizeData(Span),
    /// [`TaskKind::UpdateSettings`]: 1 to [`COUNT_MAX`](Setting::COUNT_MAX), all or none.
    UpdateSettings(Vec<Setting>),
    /// [`TaskKind::RequestVerifyHashRecord`]: the SHA-256 digest of a task's bytes.
    RequestVerifyHashRecord([u8; 32]),
    /// [`TaskKind::RequestVerifySignature`].
    RequestVerifySignature {
        /// Whose signature it is said to be.
        key: PublicKey,
        /// Over what, at most [`TEXT_BYTES_MAX`](Self::TEXT_BYTES_MAX) bytes.
        message: Bytes,
        /// The signature.
        signature: Signature,
    },
    /// [`TaskKind::RequestPublicKey`].
    RequestPublicKey,
    /// [`TaskKind::BootstrapInitialization`]: at most [`PEERS_MAX`](Self::PEERS_MAX) peers, none of them proved.
    BootstrapInitialization(Vec<PeerRecord>),
    /// [`TaskKind::Heartbeat`].
    Heartbeat,
    /// [`TaskKind::HeartbeatResponse`]: whole tasks in their own envelopes.
    HeartbeatResponse(Vec<Bytes>),
    /// [`TaskKind::SetLocalIdentifier`]: the label.
    SetLocalIdentifier(String),
    /// [`TaskKind::AssignIdentifierToPeer`].
    AssignIdentifierToPeer {
        /// Who has the label.
        peer: PeerId,
        /// The label.
        label: String,
    },
    /// [`TaskKind::Answer`].
    Answer(Result<TaskOutcome, TaskFailure>),
    /// A kind of the application's own.
    Application {
        /// The kind's number, from [`TaskKind::APPLICATION`] on.
        number: u16,
        /// The application's own bytes.
        payload: Bytes,
    },
}

impl TaskBody {
    /// The most bytes of a body.
    pub const BYTES_MAX: usize = 14 << 10;
    /// The most bytes of a text, and of a message whose signature shall be checked.
    pub const TEXT_BYTES_MAX: usize = 4096;
    /// The most peers in one body.
    pub const PEERS_MAX: usize = 64;
    /// The most tasks in one [`HeartbeatResponse`](Self::HeartbeatResponse).
    pub const TASKS_MAX: usize = 16;

    /// The kind of this body.
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::BlockAndRemovePeer(_) => TaskKind::BlockAndRemovePeer,
            Self::BlockIp(_) => TaskKind::BlockIp,
            Self::SendMessage(_) => TaskKind::SendMessage,
            Self::PingPeer => TaskKind::PingPeer,
            Self::DisconnectPeer(_) => TaskKind::DisconnectPeer,
            Self::AuthorizePeer(_) => TaskKind::AuthorizePeer,
            Self::RevokePeerAuthorization(_) => TaskKind::RevokePeerAuthorization,
            Self::RequestData(_) => TaskKind::RequestData,
            Self::SendData(_) => TaskKind::SendData,
            Self::SynchronizeData(_) => TaskKind::SynchronizeData,
            Self::UpdateSettings(_) => TaskKind::UpdateSettings,
            Self::RequestVerifyHashRecord(_) => TaskKind::RequestVerifyHashRecord,
            Self::RequestVerifySignature { .. } => TaskKind::RequestVerifySignature,
            Self::RequestPublicKey => TaskKind::RequestPublicKey,
            Self::BootstrapInitialization(_) => TaskKind::BootstrapInitialization,
            Self::Heartbeat => TaskKind::Heartbeat,
            Self::HeartbeatResponse(_) => TaskKind::HeartbeatResponse,
            Self::SetLocalIdentifier(_) => TaskKind::SetLocalIdentifier,
            Self::AssignIdentifierToPeer { .. } => TaskKind::AssignIdentifierToPeer,
            Self::Answer(_) => TaskKind::Answer,
            Self::Application { number, .. } => TaskKind::Application(*number),
        }
    }

    /// The bytes of this body. What can't be encoded within bounds doesn't [decode](Self::decode) again.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::PingPeer | Self::RequestPublicKey | Self::Heartbeat => {}
            Self::BlockAndRemovePeer(PeerTarget::Peer(peer)) => {
                out.push(0);
                out.extend_from_slice(&peer.0);
            }
            Self::BlockAndRemovePeer(PeerTarget::Label(label)) => {
                out.push(1);
                put_prefixed(&mut out, label.as_bytes());
            }
            Self::BlockIp(prefix) => put_prefix(&mut out, prefix),
            Self::SendMessage(text) | Self::RequestData(text) | Self::SetLocalIdentifier(text) => {
                put_prefixed(&mut out, text.as_bytes());
            }
            Self::DisconnectPeer(peer)
            | Self::AuthorizePeer(peer)
            | Self::RevokePeerAuthorization(peer) => out.extend_from_slice(&peer.0),
            Self::SendData(entries) => DataEntry::encode_all(entries, &mut out),
            Self::SynchronizeData(span) => span.encode(&mut out),
            Self::UpdateSettings(settings) => {
                put_count(&mut out, settings.len());
                settings.iter().for_each(|setting| setting.encode(&mut out));
            }
            Self::RequestVerifyHashRecord(hash) => out.extend_from_slice(hash),
            Self::RequestVerifySignature { key, message, signature } => {
                out.extend_from_slice(&key.0);
                put_prefixed(&mut out, message);
                out.extend_from_slice(&signature.0);
            }
            Self::BootstrapInitialization(peers) => {
                put_count(&mut out, peers.len());
                peers.iter().for_each(|peer| peer.encode(&mut out));
            }
            Self::HeartbeatResponse(tasks) => {
                put_count(&mut out, tasks.len());
                tasks.iter().for_each(|task| put_prefixed(&mut out, task));
            }
            Self::AssignIdentifierToPeer { peer, label } => {
                out.extend_from_slice(&peer.0);
                put_prefixed(&mut out, label.as_bytes());
            }
            Self::Answer(answer) => encode_answer(answer, &mut out),
            Self::Application { payload, .. } => out.extend_from_slice(payload),
        }
        out
    }

    /// Reads a body of this kind. Payloads are slices of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one.
    pub fn decode(kind: TaskKind, bytes: &Bytes) -> Result<Self, Malformed> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(Malformed("task body"));
        }
        if let TaskKind::Application(number) = kind {
            return Ok(Self::Application { number, payload: bytes.clone() });
        }
        let mut from = Reader::new(bytes);
        let body = Self::read(kind, &mut from)?;
        from.end("task body")?;
        Ok(body)
    }

    fn read(kind: TaskKind, from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let peer = |from: &mut Reader<'_>| from.array("peer id").map(PeerId);
        Ok(match kind {
            TaskKind::BlockAndRemovePeer => Self::BlockAndRemovePeer(match from.u8("target")? {
                0 => PeerTarget::Peer(peer(from)?),
                1 => PeerTarget::Label(read_label(from)?),
                _ => return Err(Malformed("target")),
            }),
            TaskKind::BlockIp => Self::BlockIp(read_prefix(from)?),
            TaskKind::SendMessage => {
                Self::SendMessage(from.text(Self::TEXT_BYTES_MAX, "message")?.into())
            }
            TaskKind::PingPeer => Self::PingPeer,
            TaskKind::DisconnectPeer => Self::DisconnectPeer(peer(from)?),
            TaskKind::AuthorizePeer => Self::AuthorizePeer(peer(from)?),
            TaskKind::RevokePeerAuthorization => Self::RevokePeerAuthorization(peer(from)?),
            TaskKind::RequestData => Self::RequestData(read_key(from)?),
            TaskKind::SendData => {
                let entries = DataEntry::decode_all(from)?;
                if entries.is_empty() {
                    return Err(Malformed("entries"));
                }
                Self::SendData(entries)
            }
            TaskKind::SynchronizeData => Self::SynchronizeData(Span::decode(from)?),
            TaskKind::UpdateSettings => {
                let count = read_count(from, Setting::COUNT_MAX, "settings")?;
                if count == 0 {
                    return Err(Malformed("settings"));
                }
                let all = (0..count).map(|_| Setting::decode(from));
                Self::UpdateSettings(all.collect::<Result<_, _>>()?)
            }
            TaskKind::RequestVerifyHashRecord => Self::RequestVerifyHashRecord(from.array("hash")?),
            TaskKind::RequestVerifySignature => Self::RequestVerifySignature {
                key: PublicKey(from.array("key")?),
                message: Bytes::copy_from_slice(from.prefixed(Self::TEXT_BYTES_MAX, "message")?),
                signature: Signature(from.array("signature")?),
            },
            TaskKind::RequestPublicKey => Self::RequestPublicKey,
            TaskKind::BootstrapInitialization => {
                let count = read_count(from, Self::PEERS_MAX, "peers")?;
                let all = (0..count).map(|_| PeerRecord::decode(from));
                Self::BootstrapInitialization(all.collect::<Result<_, _>>()?)
            }
            TaskKind::Heartbeat => Self::Heartbeat,
            TaskKind::HeartbeatResponse => {
                let count = read_count(from, Self::TASKS_MAX, "tasks")?;
                let all = (0..count)
                    .map(|_| from.prefixed(Self::BYTES_MAX, "task").map(Bytes::copy_from_slice));
                Self::HeartbeatResponse(all.collect::<Result<_, _>>()?)
            }
            TaskKind::SetLocalIdentifier => Self::SetLocalIdentifier(read_label(from)?),
            TaskKind::AssignIdentifierToPeer => {
                Self::AssignIdentifierToPeer { peer: peer(from)?, label: read_label(from)? }
            }
            TaskKind::Answer => Self::Answer(decode_answer(from)?),
            TaskKind::Application(_) => return Err(Malformed("task kind")),
        })
    }
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_varint(out, u32::try_from(count).unwrap_or(u32::MAX));
}

pub(super) fn read_count(
    from: &mut Reader<'_>,
    most: usize,
    what: &'static str,
) -> Result<usize, Malformed> {
    let count = from.varint(what)? as usize;
    if count > most { Err(Malformed(what)) } else { Ok(count) }
}

pub(super) fn read_bool(from: &mut Reader<'_>, what: &'static str) -> Result<bool, Malformed> {
    match from.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed(what)),
    }
}

/// A label as [`IdentifierLabel`](crate::trust::identifier::IdentifierLabel) takes it.
pub(super) fn read_label(from: &mut Reader<'_>) -> Result<String, Malformed> {
    let text = from.text(IdentityPacket::LABEL_BYTES_MAX, "label")?;
    if is_label(text) { Ok(text.into()) } else { Err(Malformed("label")) }
}

pub(crate) fn is_label(text: &str) -> bool {
    let fits = (1..=IdentityPacket::LABEL_BYTES_MAX).contains(&text.len());
    fits && !text.chars().any(char::is_control)
}

fn put_prefix(out: &mut Vec<u8>, prefix: &IpPrefix) {
    match prefix.address() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.push(prefix.length());
}

/// A prefix in its one form: host bits cleared, IPv4 as IPv4.
fn read_prefix(from: &mut Reader<'_>) -> Result<IpPrefix, Malformed> {
    const WHAT: &str = "prefix";
    let address = match from.u8(WHAT)? {
        4 => IpAddr::V4(Ipv4Addr::from(from.array::<4>(WHAT)?)),
        6 => IpAddr::V6(Ipv6Addr::from(from.array::<16>(WHAT)?)),
        _ => return Err(Malformed(WHAT)),
    };
    let length = from.u8(WHAT)?;
    let prefix = IpPrefix::new(address, length).map_err(|_| Malformed(WHAT))?;
    let same = prefix.address() == address && prefix.length() == length;
    if same { Ok(prefix) } else { Err(Malformed(WHAT)) }
}
