//! What the core asks of cryptography, as one trait. The `p2pnet-crypto` crate holds the providers.
//!
//! Hashing (SHA-256) is not here: it is part of formats, deterministic, and cheap, so the core calls `sha2` itself.
//! Key material is drawn through [`Crypto::random`] and never from the node's [`Seed`](crate::Seed): a simulation may
//! hand the core a repeatable provider, a release build cannot.

use crate::id::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

/// An authenticated cipher for records. Both take a 32-byte key, a 12-byte nonce and a 16-byte tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Aead {
    /// AES-256-GCM (NIST SP 800-38D): the quicker one where the processor has AES instructions.
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439): the quicker one elsewhere, and the one that every node supports.
    ChaCha20Poly1305,
}

impl Aead {
    /// The number that names this cipher on the wire.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::ChaCha20Poly1305 => 1,
            Self::Aes256Gcm => 2,
        }
    }

    /// The cipher that `byte` names, if this version knows it.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::ChaCha20Poly1305),
            2 => Some(Self::Aes256Gcm),
            _ => None,
        }
    }
}

/// A Diffie-Hellman public value (X25519, RFC 7748).
pub type DhPublic = [u8; 32];
/// What two sides of a Diffie-Hellman exchange share.
pub type DhShared = [u8; 32];
/// An AEAD tag.
pub type Tag = [u8; 16];
/// An AEAD nonce.
pub type Nonce = [u8; 12];

/// The ciphertext or its tag was not made with this key and nonce. Nothing of the plaintext may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTag;

/// A provider of X25519, Ed25519, AEADs and secret randomness.
///
/// Implementations must reject small-order Diffie-Hellman values (an all-zero shared secret) and verify signatures
/// strictly (RFC 8032 with canonical `S`; small-order keys refused), so that all providers agree on what is valid.
pub trait Crypto {
    /// A private X25519 scalar, wiped on drop.
    type DhSecret;
    /// A private Ed25519 key in whatever expanded form signs fastest, wiped on drop.
    type SigningKey;
    /// A cipher keyed for one direction of one channel, wiped on drop.
    type Cipher;

    /// Fills `out` with bytes that nobody can predict.
    fn random(&mut self, out: &mut [u8]);

    /// Ciphers in this machine's order of preference, quickest first. Never empty.
    fn aeads(&self) -> &[Aead];

    /// A fresh Diffie-Hellman key pair.
    fn dh_generate(&mut self) -> (Self::DhSecret, DhPublic);

    /// The secret shared with the holder of `public`; `None` if it would be all zero.
    fn dh(&self, secret: &Self::DhSecret, public: &DhPublic) -> Option<DhShared>;

    /// Expands a 32-byte Ed25519 seed.
    fn signing_key(&self, seed: &[u8; 32]) -> Self::SigningKey;

    /// The public half of `key`.
    fn public_key(&self, key: &Self::SigningKey) -> PublicKey;

    /// Signs `message` (Ed25519, RFC 8032, deterministic).
    fn sign(&self, key: &Self::SigningKey, message: &[u8]) -> Signature;

    /// Whether `signature` over `message` was made by the holder of `key`.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;

    /// Keys a cipher. `aead` is one that [`aeads`](Self::aeads) named.
    fn cipher(&self, aead: Aead, key: &[u8; 32]) -> Self::Cipher;

    /// Encrypts `buffer` in place and returns its tag. A nonce must never be used twice with one cipher.
    fn seal(&self, cipher: &Self::Cipher, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag;

    /// Decrypts `buffer` in place.
    ///
    /// # Errors
    /// [`BadTag`] if `tag` does not fit; the buffer's content is then unspecified.
    fn open(
        &self,
        cipher: &Self::Cipher,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag>;
}
