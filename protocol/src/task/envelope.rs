//! The signed envelope: who asks whom, in which network, in which order, when, and in answer to what.

use super::body::TaskBody;
use super::kind::TaskKind;
use super::refusal::TaskRefusal;
use crate::crypto::Crypto;
use crate::hash;
use crate::id::{PeerId, PublicKey, Signature, TaskId};
use crate::time::UnixTime;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Whom a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Every member of the network, where the kind allows that.
    All,
    /// One peer.
    One(PeerId),
}

/// A task as it is on the wire. It is well-formed, and nothing more is known of it: its body is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkTask {
    /// The network's tag ([`NetworkName::tag`](crate::NetworkName::tag)).
    pub network: [u8; 8],
    /// Its name.
    pub id: TaskId,
    /// The number of its kind, known or not.
    pub kind: u16,
    /// Who issued and signed it.
    pub issuer: PublicKey,
    /// Whom it is for.
    pub audience: Audience,
    /// Its place among the tasks of its issuer: never used twice, and larger than those before.
    pub sequence: u64,
    /// It may not be done before.
    pub not_before: UnixTime,
    /// It may not be done from then on.
    pub not_after: UnixTime,
    /// The task that this one answers.
    pub in_reply_to: Option<TaskId>,
    /// What it says.
    pub body: Bytes,
    /// The issuer's signature over all of the above.
    pub signature: Signature,
}

/// What an issuer decides about a task; the rest follows from the body and the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The network's tag.
    pub network: [u8; 8],
    /// Its name, drawn at random.
    pub id: TaskId,
    /// Whom it is for.
    pub audience: Audience,
    /// Its place among the issuer's tasks.
    pub sequence: u64,
    /// It may not be done before.
    pub not_before: UnixTime,
    /// It may not be done from then on.
    pub not_after: UnixTime,
    /// The task that this one answers.
    pub in_reply_to: Option<TaskId>,
}

/// Why a task can't be issued like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTerms {
    /// The window is empty, or longer than [`NetworkTask::WINDOW_SECS_MAX`].
    Window,
    /// The kind must be addressed to one peer.
    AudienceTooWide,
    /// The body is over its bounds.
    Body(Malformed),
}

impl fmt::Display for BadTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window => {
                write!(f, "a task is valid for 1 to {} seconds", NetworkTask::WINDOW_SECS_MAX)
            }
            Self::AudienceTooWide => f.write_str("this kind of task must be addressed to one peer"),
            Self::Body(malformed) => malformed.fmt(f),
        }
    }
}

impl core::error::Error for BadTerms {}

impl NetworkTask {
    /// The version of the envelope.
    pub const VERSION: u8 = 1;
    /// The longest window: so long must what was seen be remembered.
    pub const WINDOW_SECS_MAX: u64 = 7 * 24 * 3600;
    /// How far back an issuer should date a task, since clocks differ.
    pub const BACKDATE_SECS: u64 = 60;
    /// The most bytes of an encoded task.
    pub const BYTES_MAX: usize = TaskBody::BYTES_MAX + 256;

    /// Issues a task, signed with `key`.
    ///
    /// # Errors
    /// [`BadTerms`] if no receiver could take it.
    pub fn issue<C: Crypto>(
        crypto: &C,
        key: &C::SigningKey,
        terms: &Terms,
        body: &TaskBody,
    ) -> Result<Self, BadTerms> {
        let kind = body.kind();
        if terms.audience == Audience::All && !kind.row().to_all {
            return Err(BadTerms::AudienceTooWide);
        }
        if !is_window(terms.not_before, terms.not_after) {
            return Err(BadTerms::Window);
        }
        let bytes = Bytes::from(body.encode());
        TaskBody::decode(kind, &bytes).map_err(BadTerms::Body)?;
        let unsigned = Self {
            network: terms.network,
            id: terms.id,
            kind: kind.number(),
            issuer: crypto.public_key(key),
            audience: terms.audience,
            sequence: terms.sequence,
            not_before: terms.not_before,
            not_after: terms.not_after,
            in_reply_to: terms.in_reply_to,
            body: bytes,
            signature: Signature([0; 64]),
        };
        Ok(Self { signature: crypto.sign(key, &unsigned.signed()), ..unsigned })
    }

    /// Whether the issuer signed it.
    pub fn is_signed<C: Crypto>(&self, crypto: &C) -> bool {
        crypto.verify(&self.issuer, &self.signed(), &self.signature)
    }

    /// Whether `wall` lies in its window.
    ///
    /// # Errors
    /// [`TaskRefusal::NoWallTime`], [`TaskRefusal::Early`] or [`TaskRefusal::Stale`].
    pub fn check_time(&self, wall: Option<UnixTime>) -> Result<UnixTime, TaskRefusal> {
        let wall = wall.ok_or(TaskRefusal::NoWallTime)?;
        if wall < self.not_before {
            Err(TaskRefusal::Early { from: self.not_before })
        } else if wall >= self.not_after {
            Err(TaskRefusal::Stale { since: self.not_after })
        } else {
            Ok(wall)
        }
    }

    /// What it says, typed.
    ///
    /// # Errors
    /// [`TaskRefusal::UnknownKind`] or [`TaskRefusal::Malformed`].
    pub fn read_body(&self) -> Result<TaskBody, TaskRefusal> {
        let kind = TaskKind::from_number(self.kind).ok_or(TaskRefusal::UnknownKind(self.kind))?;
        TaskBody::decode(kind, &self.body).map_err(TaskRefusal::Malformed)
    }

    /// The digest by which an issuer knows it again: SHA-256 of its encoding.
    pub fn hash(&self) -> [u8; 32] {
        hash::sha256(&[&self.encode()])
    }

    /// What the issuer signs: a label that no other signature begins with, and all before the signature.
    fn signed(&self) -> Vec<u8> {
        let mut message = Vec::from(b"p2pnet task v1\0");
        self.put_fields(&mut message);
        message
    }

    fn put_fields(&self, out: &mut Vec<u8>) {
        out.push(Self::VERSION);
        out.extend_from_slice(&self.network);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&self.issuer.0);
        match &self.audience {
            Audience::All => out.push(0),
            Audience::One(peer) => {
                out.push(1);
                out.extend_from_slice(&peer.0);
            }
        }
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.not_before.0.to_be_bytes());
        out.extend_from_slice(&self.not_after.0.to_be_bytes());
        match &self.in_reply_to {
            None => out.push(0),
            Some(id) => {
                out.push(1);
                out.extend_from_slice(&id.0);
            }
        }
        put_prefixed(out, &self.body);
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len().saturating_add(256));
        self.put_fields(&mut out);
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads one task; its body is a slice of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one, or its window is empty or too long.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        if from.u8("task version")? != Self::VERSION {
            return Err(Malformed("task version"));
        }
        let (network, id) = (from.array("task")?, TaskId(from.array("task")?));
        let (kind, issuer) = (from.u16("task")?, PublicKey(from.array("task")?));
        let audience = match from.u8("audience")? {
            0 => Audience::All,
            1 => Audience::One(PeerId(from.array("audience")?)),
            _ => return Err(Malformed("audience")),
        };
        let sequence = from.u64("task")?;
        let (not_before, not_after) = (UnixTime(from.u64("task")?), UnixTime(from.u64("task")?));
        if !is_window(not_before, not_after) {
            return Err(Malformed("task window"));
        }
        let in_reply_to = match from.u8("task replied to")? {
            0 => None,
            1 => Some(TaskId(from.array("task replied to")?)),
            _ => return Err(Malformed("task replied to")),
        };
        let body = bytes.slice_ref(from.prefixed(TaskBody::BYTES_MAX, "task body")?);
        let signature = Signature(from.array("task signature")?);
        from.end("task")?;
        Ok(Self {
            network,
            id,
            kind,
            issuer,
            audience,
            sequence,
            not_before,
            not_after,
            in_reply_to,
            body,
            signature,
        })
    }
}

/// A number for a task issued at this time: it grows with the wall clock, so that an issuer needs no memory; `noise` (10
/// bits) keeps two of the same microsecond apart.
pub fn sequence_at(wall: UnixTime, micros: u64, noise: u64) -> u64 {
    let since_1970 = wall.0.saturating_mul(1_000_000).saturating_add(micros.min(999_999));
    since_1970.saturating_mul(1 << 10).saturating_add(noise & 0x3ff)
}

fn is_window(not_before: UnixTime, not_after: UnixTime) -> bool {
    let length = not_after.0.saturating_sub(not_before.0);
    (1..=NetworkTask::WINDOW_SECS_MAX).contains(&length)
}
