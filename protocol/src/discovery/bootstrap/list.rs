//! Peers, signed by the server for one request.

use super::delegation::BadDelegation;
use super::identity::ServerKeys;
use super::signed;
use crate::crypto::Crypto;
use crate::id::{RequestNonce, Signature};
use crate::time::UnixTime;
use crate::wire::PeerRecord;
use crate::wire::codec::{Malformed, Reader, put_varint};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// When a server would like to hear from the node again. The node holds it within its own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// Seconds until the next heartbeat.
    pub interval_secs: u32,
    /// How far the node may stray from that to either side, in percent.
    pub jitter_percent: u8,
    /// Seconds after which the server forgets a node that it doesn't hear from.
    pub lease_secs: u32,
}

/// What every signed reply begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyHead {
    /// Who speaks.
    pub keys: ServerKeys,
    /// The number that the request had.
    pub nonce: RequestNonce,
    /// The server's clock when it signed, in milliseconds since 1970.
    pub issued_ms: u64,
    /// Not valid from then on, likewise; after `issued_ms`, and a day later at most.
    pub expires_ms: u64,
    /// When to come again.
    pub steering: Steering,
}

/// Why a reply is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadReply {
    /// It is none.
    Malformed,
    /// It answers another request: an old reply, or somebody else's.
    OtherRequest,
    /// The key that it names didn't sign it.
    BadSignature,
    /// Its time is over, or not come yet.
    Expired,
    /// The authority's word for the key doesn't count.
    Delegation(BadDelegation),
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the reply is malformed"),
            Self::OtherRequest => f.write_str("the reply answers another request"),
            Self::BadSignature => f.write_str("the reply's signature is wrong"),
            Self::Expired => f.write_str("the reply has expired, or the clocks differ"),
            Self::Delegation(bad) => bad.fmt(f),
        }
    }
}

impl core::error::Error for BadReply {}

impl From<Malformed> for BadReply {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl ReplyHead {
    /// The longest time for which a reply may be valid.
    pub const LIFE_MS_MAX: u64 = 24 * 3600 * 1000;
    /// How far the clocks of a server and a node may be apart.
    pub const SKEW_MS: u64 = 600_000;

    /// Whether this head is that of a reply to the request `nonce`, in time by the node's clock if it has one.
    ///
    /// # Errors
    /// [`BadReply`].
    pub fn check(&self, nonce: &RequestNonce, wall: Option<UnixTime>) -> Result<(), BadReply> {
        if self.nonce != *nonce {
            return Err(BadReply::OtherRequest);
        }
        let Some(wall) = wall else { return Ok(()) };
        let wall_ms = wall.0.saturating_mul(1000);
        let early = wall_ms.saturating_add(Self::SKEW_MS) < self.issued_ms;
        let late = wall_ms >= self.expires_ms.saturating_add(Self::SKEW_MS);
        if early || late { Err(BadReply::Expired) } else { Ok(()) }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.keys.encode(out);
        out.extend_from_slice(&self.nonce.0);
        out.extend_from_slice(&self.issued_ms.to_be_bytes());
        out.extend_from_slice(&self.expires_ms.to_be_bytes());
        out.extend_from_slice(&self.steering.interval_secs.to_be_bytes());
        out.push(self.steering.jitter_percent);
        out.extend_from_slice(&self.steering.lease_secs.to_be_bytes());
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let head = Self {
            keys: ServerKeys::decode(from)?,
            nonce: RequestNonce(from.array("reply")?),
            issued_ms: from.u64("reply")?,
            expires_ms: from.u64("reply")?,
            steering: Steering {
                interval_secs: from.u32("reply")?,
                jitter_percent: from.u8("reply")?,
                lease_secs: from.u32("reply")?,
            },
        };
        let life = head.expires_ms.saturating_sub(head.issued_ms);
        if !(1..=Self::LIFE_MS_MAX).contains(&life) || head.steering.jitter_percent > 100 {
            return Err(Malformed("reply"));
        }
        Ok(head)
    }
}

/// A sample of the peers that a server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerList {
    /// Who answers what, and when.
    pub head: ReplyHead,
    /// The address that the request came from.
    pub observed: IpAddr,
    /// How many peers of the network the server knows.
    pub total: u32,
    /// Some of them, at most [`PEERS_MAX`](Self::PEERS_MAX). Their addresses are those that the server saw, with the
    /// ports that the peers told: nothing of it is proved to the node.
    pub peers: Vec<PeerRecord>,
    /// The wire key's signature over all of the above.
    pub signature: Signature,
}

impl PeerList {
    /// The most peers in one list.
    pub const PEERS_MAX: usize = 64;
    const LABEL: &'static [u8] = b"p2pnet bootstrap list v1\0";

    /// Signs a list with the wire key, whose public half the head has. Peers beyond [`PEERS_MAX`](Self::PEERS_MAX) are
    /// left out.
    pub fn issue<C: Crypto>(
        crypto: &C,
        wire: &C::SigningKey,
        head: ReplyHead,
        observed: IpAddr,
        total: u32,
        mut peers: Vec<PeerRecord>,
    ) -> Self {
        peers.truncate(Self::PEERS_MAX);
        let observed = observed.to_canonical();
        let unsigned = Self { head, observed, total, peers, signature: Signature([0; 64]) };
        let signature = signed::sign(crypto, wire, Self::LABEL, &unsigned.fields());
        Self { signature, ..unsigned }
    }

    /// Whether the holder of the wire key signed it.
    pub fn is_signed<C: Crypto>(&self, crypto: &C) -> bool {
        let wire = &self.head.keys.wire;
        signed::is_signed(crypto, wire, Self::LABEL, &self.fields(), &self.signature)
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = signed::begin(512usize.saturating_add(self.peers.len().saturating_mul(64)));
        self.head.encode(&mut out);
        put_ip(&mut out, self.observed);
        out.extend_from_slice(&self.total.to_be_bytes());
        put_varint(&mut out, u32::try_from(self.peers.len()).unwrap_or(u32::MAX));
        self.peers.iter().for_each(|peer| peer.encode(&mut out));
        out
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.fields();
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads one list, whoever signed it. Addresses of unknown kinds are left out, so that a list which has some must be
    /// checked by [`open`](Self::open).
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        signed::version(&mut from, "list version")?;
        let head = ReplyHead::decode(&mut from)?;
        let observed = read_ip(&mut from)?;
        let total = from.u32("list")?;
        let count = from.varint("number of peers")? as usize;
        if count > Self::PEERS_MAX {
            return Err(Malformed("number of peers"));
        }
        let mut peers = Vec::with_capacity(count);
        for _ in 0..count {
            peers.push(PeerRecord::decode(&mut from)?);
        }
        let signature = Signature(from.array("list signature")?);
        from.end("list")?;
        Ok(Self { head, observed, total, peers, signature })
    }

    /// Reads the list that answers the request `nonce` and checks that the wire key in it signed these very bytes. Who
    /// that is, is the caller's question.
    ///
    /// # Errors
    /// [`BadReply`].
    pub fn open<C: Crypto>(
        crypto: &C,
        bytes: &[u8],
        nonce: &RequestNonce,
        wall: Option<UnixTime>,
    ) -> Result<Self, BadReply> {
        let list = Self::decode(bytes)?;
        list.head.check(nonce, wall)?;
        let (wire, fields) = (&list.head.keys.wire, signed::fields_of(bytes));
        if signed::is_signed(crypto, wire, Self::LABEL, fields, &list.signature) {
            Ok(list)
        } else {
            Err(BadReply::BadSignature)
        }
    }
}

/// Sixteen bytes: IPv6, or IPv4 mapped into it.
fn put_ip(out: &mut Vec<u8>, ip: IpAddr) {
    let ip = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    out.extend_from_slice(&ip.octets());
}

fn read_ip(from: &mut Reader<'_>) -> Result<IpAddr, Malformed> {
    Ok(IpAddr::V6(Ipv6Addr::from(from.array::<16>("address")?)).to_canonical())
}
