//! The word of an authority's OpenPGP key for the key that a server signs with.
//!
//! The authority's key is protected by a passphrase, so a server that restarts by itself can't use it. It signs, now and
//! then, that a wire key may speak for it for a while.
//!
//! ```
//! use p2pnet_crypto::PureCrypto;
//! use p2pnet_protocol::UnixTime;
//! use p2pnet_protocol::crypto::Crypto as _;
//! use p2pnet_protocol::discovery::bootstrap::{BadDelegation, Delegation, openpgp};
//!
//! let crypto = PureCrypto::new().unwrap();
//! let (key, wire) = (crypto.signing_key(&[1; 32]), crypto.public_key(&crypto.signing_key(&[2; 32])));
//! let (authority, from, until) = (crypto.public_key(&key), UnixTime(1000), UnixTime(2000));
//! let statement = Delegation::statement(&wire, &authority, &[5; 20], from, until);
//! let delegation = Delegation {
//!     authority,
//!     fingerprint: vec![5; 20].into(),
//!     not_before: from,
//!     not_after: until,
//!     // What `gpg --detach-sign` would make of it.
//!     signature: openpgp::sign(&crypto, &key, statement.as_bytes(), from).into(),
//! };
//! assert_eq!(delegation.verify(&crypto, &wire, Some(from)), Ok(()));
//! assert_eq!(delegation.verify(&crypto, &wire, Some(until)), Err(BadDelegation::Expired));
//! assert_eq!(delegation.verify(&crypto, &authority, Some(from)), Err(BadDelegation::BadSignature));
//! ```

use super::openpgp::{self, Packet};
use super::signed::hex_bytes;
use crate::crypto::Crypto;
use crate::id::PublicKey;
use crate::time::UnixTime;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An authority's word that a wire key speaks for it for a while. It is well-formed, and nothing more is known of it:
/// see [`verify`](Self::verify).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The Ed25519 key inside the OpenPGP key: who the authority is.
    pub authority: PublicKey,
    /// The OpenPGP key's fingerprint, 20 bytes (version 4) to 32 (version 6), for people who compare it.
    #[serde(with = "hex_bytes")]
    pub fingerprint: Bytes,
    /// Not valid before.
    pub not_before: UnixTime,
    /// Not valid from then on.
    pub not_after: UnixTime,
    /// The detached signature over [`statement`](Self::statement): one binary OpenPGP packet.
    #[serde(with = "hex_bytes")]
    pub signature: Bytes,
}

/// Why a delegation proves nothing here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadDelegation {
    /// The authority's key didn't sign it for this wire key.
    BadSignature,
    /// This host's clock is not set, so that nobody can tell whether it is valid.
    NoWallTime,
    /// It is not valid yet.
    NotYetValid,
    /// It is not valid any more.
    Expired,
}

impl fmt::Display for BadDelegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSignature => "the authority did not sign the delegation",
            Self::NoWallTime => "this host's clock is not set, so no delegation can be checked",
            Self::NotYetValid => "the delegation is not valid yet",
            Self::Expired => "the delegation has expired",
        })
    }
}

impl core::error::Error for BadDelegation {}

impl Delegation {
    /// The longest time for which a wire key may speak.
    pub const WINDOW_SECS_MAX: u64 = 90 * 24 * 3600;
    /// The least and most bytes of a fingerprint.
    const FINGERPRINT_BYTES: core::ops::RangeInclusive<usize> = 20..=32;

    /// The text that the authority signs for `wire`: people can read it, and `gpg --verify` can check it.
    pub fn statement(
        wire: &PublicKey,
        authority: &PublicKey,
        fingerprint: &[u8],
        not_before: UnixTime,
        not_after: UnixTime,
    ) -> String {
        format!(
            "p2pnet bootstrap delegation v1\nwire key {wire}\nauthority {authority}\nfingerprint {}\nfrom {}\nuntil {}\n",
            hex_bytes::text(fingerprint),
            not_before.0,
            not_after.0
        )
    }

    /// Whether the authority lets `wire` speak for it at the time `wall`.
    ///
    /// # Errors
    /// [`BadDelegation`] says why it doesn't.
    pub fn verify<C: Crypto>(
        &self,
        crypto: &C,
        wire: &PublicKey,
        wall: Option<UnixTime>,
    ) -> Result<(), BadDelegation> {
        let wall = wall.ok_or(BadDelegation::NoWallTime)?;
        if wall < self.not_before {
            return Err(BadDelegation::NotYetValid);
        }
        if wall >= self.not_after {
            return Err(BadDelegation::Expired);
        }
        let Self { authority, fingerprint, not_before, not_after, .. } = self;
        let statement = Self::statement(wire, authority, fingerprint, *not_before, *not_after);
        let packet = Packet::decode(&self.signature).map_err(|_| BadDelegation::BadSignature)?;
        if packet.is_signed(crypto, authority, statement.as_bytes()) {
            Ok(())
        } else {
            Err(BadDelegation::BadSignature)
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.authority.0);
        put_prefixed(out, &self.fingerprint);
        out.extend_from_slice(&self.not_before.0.to_be_bytes());
        out.extend_from_slice(&self.not_after.0.to_be_bytes());
        put_prefixed(out, &self.signature);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let authority = PublicKey(from.array("authority")?);
        let fingerprint = from.prefixed(*Self::FINGERPRINT_BYTES.end(), "fingerprint")?;
        if !Self::FINGERPRINT_BYTES.contains(&fingerprint.len()) {
            return Err(Malformed("fingerprint"));
        }
        let (not_before, not_after) =
            (UnixTime(from.u64("delegation")?), UnixTime(from.u64("delegation")?));
        let length = not_after.0.saturating_sub(not_before.0);
        if !(1..=Self::WINDOW_SECS_MAX).contains(&length) {
            return Err(Malformed("delegation window"));
        }
        let signature = from.prefixed(openpgp::PACKET_BYTES_MAX, "delegation signature")?;
        Packet::decode(signature)?;
        Ok(Self {
            authority,
            fingerprint: Bytes::copy_from_slice(fingerprint),
            not_before,
            not_after,
            signature: Bytes::copy_from_slice(signature),
        })
    }
}
