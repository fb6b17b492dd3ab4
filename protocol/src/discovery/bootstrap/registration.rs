//! A node that wants to be found, and asks for others.

use super::list::PeerList;
use super::signed;
use crate::crypto::Crypto;
use crate::id::{NetworkName, PublicKey, RequestNonce, Signature};
use crate::task::body::is_label;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use crate::wire::packet::IdentityPacket;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a node tells a bootstrap server, signed by its own key: where it listens, and how many peers it would like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The network that the node belongs to.
    pub network: NetworkName,
    /// Who it is.
    pub key: PublicKey,
    /// The server that it means ([`ServerKeys::audience`](super::ServerKeys::audience)): no other may take it.
    pub audience: PublicKey,
    /// When, by the server's clock, in milliseconds since 1970: larger in each request of this node to this server, and
    /// near the server's time.
    pub at_ms: u64,
    /// Drawn at random: the reply names it.
    pub nonce: RequestNonce,
    /// The TCP port on which the node accepts connections at the address that it is seen from; 0 if it accepts none, and
    /// then nobody is told of it.
    pub port: u16,
    /// What the node calls itself: a claim. Empty for none.
    pub label: String,
    /// How many peers it would like to hear of, at most [`PeerList::PEERS_MAX`].
    pub wants: u8,
    /// The node's signature over all of the above.
    pub signature: Signature,
}

impl Registration {
    const LABEL: &'static [u8] = b"p2pnet bootstrap registration v1\0";

    /// Signs this registration: `key` and `signature` are set.
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
        out.extend_from_slice(&self.port.to_be_bytes());
        put_prefixed(&mut out, self.label.as_bytes());
        out.push(self.wants);
        out
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.fields();
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads one registration.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one, or a name, label or number is over its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        signed::version(&mut from, "registration version")?;
        let network = read_network(&mut from)?;
        let key = PublicKey(from.array("registration")?);
        let audience = PublicKey(from.array("registration")?);
        let at_ms = from.u64("registration")?;
        let nonce = RequestNonce(from.array("registration")?);
        let port = from.u16("registration")?;
        let label = from.text(IdentityPacket::LABEL_BYTES_MAX, "label")?;
        let wants = from.u8("registration")?;
        let signature = Signature(from.array("registration signature")?);
        from.end("registration")?;
        let read = Self {
            network,
            key,
            audience,
            at_ms,
            nonce,
            port,
            label: label.into(),
            wants,
            signature,
        };
        read.check()?;
        Ok(read)
    }

    /// What the encoding alone doesn't bound: to be called on one that came by serde.
    ///
    /// # Errors
    /// [`Malformed`] names what is over its bounds.
    pub fn check(&self) -> Result<(), Malformed> {
        if !self.label.is_empty() && !is_label(&self.label) {
            return Err(Malformed("label"));
        }
        if usize::from(self.wants) > PeerList::PEERS_MAX {
            return Err(Malformed("number of peers"));
        }
        Ok(())
    }
}

/// A network's name.
pub(super) fn read_network(from: &mut Reader<'_>) -> Result<NetworkName, Malformed> {
    let name = from.text(NetworkName::BYTES_MAX, "network")?;
    NetworkName::new(name).map_err(|_| Malformed("network"))
}
