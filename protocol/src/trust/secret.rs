//! The network's shared secret.

use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// A secret that all members of a network know. At least [`BYTES_MIN`](Self::BYTES_MIN) long, wiped on drop, never
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkSecret(Zeroizing<Vec<u8>>);

/// The secret is shorter than [`NetworkSecret::BYTES_MIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretTooShort;

impl NetworkSecret {
    /// The fewest bytes a secret may have.
    pub const BYTES_MIN: usize = 16;

    /// Checks and keeps `secret`.
    ///
    /// # Errors
    /// [`SecretTooShort`] if it has fewer than [`BYTES_MIN`](Self::BYTES_MIN) bytes.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, SecretTooShort> {
        let secret = Zeroizing::new(secret.into());
        if secret.len() < Self::BYTES_MIN { Err(SecretTooShort) } else { Ok(Self(secret)) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NetworkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkSecret(..)")
    }
}

impl fmt::Display for SecretTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a network secret has at least {} bytes", NetworkSecret::BYTES_MIN)
    }
}

impl core::error::Error for SecretTooShort {}
