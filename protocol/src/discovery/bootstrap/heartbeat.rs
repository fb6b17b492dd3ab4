//! A sign of life, and what waited for the node.

use super::list::{BadReply, ReplyHead};
use super::registration::read_network;
use super::signed;
use crate::crypto::Crypto;
use crate::id::{NetworkName, PublicKey, RequestNonce, Signature, TaskId};
use crate::task::NetworkTask;
use crate::time::UnixTime;
use crate::wire::codec::{Malformed, Reader, put_prefixed, put_varint};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A node renews its lease, or gives it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The network that the node belongs to.
    pub network: NetworkName,
    /// Who it is.
    pub key: PublicKey,
    /// The server that it means ([`ServerKeys::audience`](super::ServerKeys::audience)).
    pub audience: PublicKey,
    /// When, as in a [`Registration`](super::Registration).
    pub at_ms: u64,
    /// Drawn at random: the reply names it.
    pub nonce: RequestNonce,
    /// The node goes away: its lease ends, and nobody is told of it any more.
    pub leaving: bool,
    /// Tasks of earlier replies that the node has got, at most [`TASKS_MAX`](HeartbeatReply::TASKS_MAX): they needn't be
    /// sent again.
    pub received: Vec<TaskId>,
    /// The node's signature over all of the above.
    pub signature: Signature,
}

impl Heartbeat {
    const LABEL: &'static [u8] = b"p2pnet bootstrap heartbeat v1\0";

    /// Signs this heartbeat: `key` and `signature` are set.
    #[must_use]
    pub fn sign<C: Crypto>(self, crypto: &C, key: &C::SigningKey) -> Self {
        let unsigned = Self { key: crypto.public_key(key), ..self };
        let signature = signed::sign(crypto, key, Self::LABEL, &unsigned.fields());
        Self { signature, ..unsigned }
    }

    /// Whether the holder of its key signed it.
    pub fn is_signed<C: Crypto>(&self, crypto: &C) -> bool {
        signed::is_signed(crypto, &self.key, Self::LABEL, &self.fields(), &self.signature)
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = signed::begin(256);
        put_prefixed(&mut out, self.network.as_str().as_bytes());
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&self.audience.0);
        out.extend_from_slice(&self.at_ms.to_be_bytes());
        out.extend_from_slice(&self.nonce.0);
        out.push(u8::from(self.leaving));
        put_varint(&mut out, u32::try_from(self.received.len()).unwrap_or(u32::MAX));
        self.received.iter().for_each(|task| out.extend_from_slice(&task.0));
        out
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.fields();
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads one heartbeat.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        signed::version(&mut from, "heartbeat version")?;
        let network = read_network(&mut from)?;
        let key = PublicKey(from.array("heartbeat")?);
        let audience = PublicKey(from.array("heartbeat")?);
        let at_ms = from.u64("heartbeat")?;
        let nonce = RequestNonce(from.array("heartbeat")?);
        let leaving = flag(&mut from)?;
        let count = from.varint("number of tasks")? as usize;
        if count > HeartbeatReply::TASKS_MAX {
            return Err(Malformed("number of tasks"));
        }
        let received =
            (0..count).map(|_| from.array("task").map(TaskId)).collect::<Result<_, _>>()?;
        let signature = Signature(from.array("heartbeat signature")?);
        from.end("heartbeat")?;
        Ok(Self { network, key, audience, at_ms, nonce, leaving, received, signature })
    }

    /// What the encoding alone doesn't bound: to be called on one that came by serde.
    ///
    /// # Errors
    /// [`Malformed`] if it names too many tasks.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.received.len() > HeartbeatReply::TASKS_MAX {
            return Err(Malformed("number of tasks"));
        }
        Ok(())
    }
}

/// The answer to a [`Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// Who answers what, and when.
    pub head: ReplyHead,
    /// Whether the server knew the node, so that its lease goes on. If not, the node registers anew.
    pub renewed: bool,
    /// Tasks for the node, each a signed [`NetworkTask`] in its encoding, at most [`TASKS_MAX`](Self::TASKS_MAX) and
    /// [`TASKS_BYTES_MAX`](Self::TASKS_BYTES_MAX) in all. They come again until a heartbeat says that they were received.
    #[serde(with = "hex_tasks")]
    pub tasks: Vec<Bytes>,
    /// The wire key's signature over all of the above.
    pub signature: Signature,
}

impl HeartbeatReply {
    /// The most tasks in one reply.
    pub const TASKS_MAX: usize = 32;
    /// The most bytes of all tasks in one reply.
    pub const TASKS_BYTES_MAX: usize = 64 << 10;
    const LABEL: &'static [u8] = b"p2pnet bootstrap heartbeat reply v1\0";

    /// Signs a reply with the wire key, whose public half the head has. The caller keeps the tasks within their bounds;
    /// those beyond are left out.
    pub fn issue<C: Crypto>(
        crypto: &C,
        wire: &C::SigningKey,
        head: ReplyHead,
        renewed: bool,
        mut tasks: Vec<Bytes>,
    ) -> Self {
        let mut left = Self::TASKS_BYTES_MAX;
        let fitting = tasks.iter().take(Self::TASKS_MAX).take_while(|task| {
            let rest = left.checked_sub(task.len());
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        tasks.truncate(fitting.count());
        let unsigned = Self { head, renewed, tasks, signature: Signature([0; 64]) };
        let signature = signed::sign(crypto, wire, Self::LABEL, &unsigned.fields());
        Self { signature, ..unsigned }
    }

    /// Whether the holder of the wire key signed it.
    pub fn is_signed<C: Crypto>(&self, crypto: &C) -> bool {
        let wire = &self.head.keys.wire;
        signed::is_signed(crypto, wire, Self::LABEL, &self.fields(), &self.signature)
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = signed::begin(512);
        self.head.encode(&mut out);
        out.push(u8::from(self.renewed));
        put_varint(&mut out, u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
        self.tasks.iter().for_each(|task| put_prefixed(&mut out, task));
        out
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.fields();
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads one reply, whoever signed it. The tasks in it are not looked at.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        signed::version(&mut from, "heartbeat reply version")?;
        let head = ReplyHead::decode(&mut from)?;
        let renewed = flag(&mut from)?;
        let count = from.varint("number of tasks")? as usize;
        if count > Self::TASKS_MAX {
            return Err(Malformed("number of tasks"));
        }
        let (mut tasks, mut left) = (Vec::with_capacity(count), Self::TASKS_BYTES_MAX);
        for _ in 0..count {
            let task = from.prefixed(left.min(NetworkTask::BYTES_MAX), "task")?;
            left = left.saturating_sub(task.len());
            tasks.push(Bytes::copy_from_slice(task));
        }
        let signature = Signature(from.array("heartbeat reply signature")?);
        from.end("heartbeat reply")?;
        Ok(Self { head, renewed, tasks, signature })
    }

    /// Reads the reply that answers the request `nonce` and checks that the wire key in it signed it. Who that is, is the
    /// caller's question.
    ///
    /// # Errors
    /// [`BadReply`].
    pub fn open<C: Crypto>(
        crypto: &C,
        bytes: &[u8],
        nonce: &RequestNonce,
        wall: Option<UnixTime>,
    ) -> Result<Self, BadReply> {
        let reply = Self::decode(bytes)?;
        reply.head.check(nonce, wall)?;
        let (wire, fields) = (&reply.head.keys.wire, signed::fields_of(bytes));
        if signed::is_signed(crypto, wire, Self::LABEL, fields, &reply.signature) {
            Ok(reply)
        } else {
            Err(BadReply::BadSignature)
        }
    }
}

fn flag(from: &mut Reader<'_>) -> Result<bool, Malformed> {
    match from.u8("flag")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("flag")),
    }
}

/// Tasks as hex for people, as bytes for machines.
mod hex_tasks {
    use super::super::signed::hex_bytes;
    use alloc::string::String;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        tasks: &[Bytes],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(tasks.iter().map(|task| hex_bytes::text(task)))
        } else {
            tasks.serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Bytes>, D::Error> {
        if !deserializer.is_human_readable() {
            return Vec::deserialize(deserializer);
        }
        let texts = Vec::<String>::deserialize(deserializer)?;
        let tasks = texts.iter().map(|text| hex_bytes::parse(text).map(Bytes::from));
        tasks.collect::<Option<_>>().ok_or_else(|| D::Error::custom("expected hex digits"))
    }
}
