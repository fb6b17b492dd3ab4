//! Which server this is.

use super::delegation::{BadDelegation, Delegation};
use super::signed;
use crate::crypto::Crypto;
use crate::id::{PublicKey, Signature};
use crate::time::UnixTime;
use crate::trust::bootstrap_policy::BootstrapOffer;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The key that a server signs with, and who stands behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKeys {
    /// The Ed25519 key that signs its replies.
    pub wire: PublicKey,
    /// The authority's word for that key; none in trustless mode.
    pub delegation: Option<Delegation>,
}

impl ServerKeys {
    /// Whom a request to this server must name: the authority, whichever of its servers answers, or else the wire key.
    pub fn audience(&self) -> PublicKey {
        self.delegation.as_ref().map_or(self.wire, |delegation| delegation.authority)
    }

    /// What the server shows, for the node's policy to judge. An authority counts only with its word for the wire key.
    ///
    /// # Errors
    /// [`BadDelegation`].
    pub fn offer<C: Crypto>(
        &self,
        crypto: &C,
        wall: Option<UnixTime>,
    ) -> Result<BootstrapOffer, BadDelegation> {
        match &self.delegation {
            None => Ok(BootstrapOffer::Trustless),
            Some(delegation) => {
                delegation.verify(crypto, &self.wire, wall)?;
                Ok(BootstrapOffer::Authority(delegation.authority))
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.wire.0);
        match &self.delegation {
            None => out.push(0),
            Some(delegation) => {
                out.push(1);
                delegation.encode(out);
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let wire = PublicKey(from.array("wire key")?);
        let delegation = match from.u8("server mode")? {
            0 => None,
            1 => Some(Delegation::decode(from)?),
            _ => return Err(Malformed("server mode")),
        };
        Ok(Self { wire, delegation })
    }
}

/// What a server tells of itself, to whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// Its keys.
    pub keys: ServerKeys,
    /// A name for people, at most [`NAME_BYTES_MAX`](Self::NAME_BYTES_MAX) bytes without control characters.
    pub name: String,
    /// The server's clock when it signed this, in milliseconds since 1970: what requests to it are dated by.
    pub issued_ms: u64,
    /// The wire key's signature over all of the above.
    pub signature: Signature,
}

impl ServerIdentity {
    /// The most bytes of the name.
    pub const NAME_BYTES_MAX: usize = 64;
    const LABEL: &'static [u8] = b"p2pnet bootstrap identity v1\0";

    /// Signs an identity with the wire key, whose public half `keys` has.
    pub fn issue<C: Crypto>(
        crypto: &C,
        wire: &C::SigningKey,
        keys: ServerKeys,
        name: String,
        issued_ms: u64,
    ) -> Self {
        let unsigned = Self { keys, name, issued_ms, signature: Signature([0; 64]) };
        let signature = signed::sign(crypto, wire, Self::LABEL, &unsigned.fields());
        Self { signature, ..unsigned }
    }

    /// Whether the holder of the wire key signed it.
    pub fn is_signed<C: Crypto>(&self, crypto: &C) -> bool {
        let wire = &self.keys.wire;
        signed::is_signed(crypto, wire, Self::LABEL, &self.fields(), &self.signature)
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = signed::begin(512);
        self.keys.encode(&mut out);
        put_prefixed(&mut out, self.name.as_bytes());
        out.extend_from_slice(&self.issued_ms.to_be_bytes());
        out
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.fields();
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads one identity.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        signed::version(&mut from, "identity version")?;
        let keys = ServerKeys::decode(&mut from)?;
        let name = from.text(Self::NAME_BYTES_MAX, "server name")?;
        if name.chars().any(char::is_control) {
            return Err(Malformed("server name"));
        }
        let name = name.into();
        let issued_ms = from.u64("identity")?;
        let signature = Signature(from.array("identity signature")?);
        from.end("identity")?;
        Ok(Self { keys, name, issued_ms, signature })
    }
}
