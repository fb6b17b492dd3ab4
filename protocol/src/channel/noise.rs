//! `Noise_XX_25519_ChaChaPoly_SHA256`: the handshake of the Noise Protocol Framework, revision 34, over [`Crypto`].
//!
//! ```text
//! initiator                                   responder
//! write_1  --  e ------------------------->   read_1
//! read_2   <-  e, ee, s, es --------------    write_2
//! write_3  --  s, se --------------------->   read_3
//! ```
//!
//! Each arrow carries a payload of the caller's. The first travels in the clear; the second is encrypted to whoever
//! sent the first message; the third only to the holder of the static key that the second message showed.
//!
//! A state has only the methods that are legal next, and each method consumes its state, so no step can be skipped,
//! repeated or taken after a failure:
//!
//! | State | Next step | Leads to |
//! |---|---|---|
//! | – | [`write_1`] | [`Sent1`] |
//! | [`Sent1`] | [`read_2`](Sent1::read_2) | [`Read2`] |
//! | [`Read2`] | [`write_3`](Read2::write_3) | [`Finished`] |
//! | – | [`read_1`] | [`Read1`] |
//! | [`Read1`] | [`write_2`](Read1::write_2) | [`Sent2`] |
//! | [`Sent2`] | [`read_3`](Sent2::read_3) | [`Finished`] |
//!
//! Message lengths are the transport's business: every `read` takes one whole message. Payloads are decrypted where
//! they lie, in the caller's buffer.
//!
//! ```
//! use p2pnet_crypto::PureCrypto;
//! use p2pnet_protocol::channel::noise::{
//!     Finished, NoiseError, Read1, Read2, Sent1, Sent2, StaticKey, read_1, write_1,
//! };
//!
//! # fn main() -> Result<(), NoiseError> {
//! let mut crypto = PureCrypto::new().expect("this host has randomness");
//! let (alice, bob) = (StaticKey::generate(&mut crypto), StaticKey::generate(&mut crypto));
//! let [mut first, mut second, mut third] = [const { Vec::new() }; 3];
//!
//! let sent: Sent1<_> = write_1(&mut crypto, b"both say this", b"hello", &mut first)?;
//! let (read, payload): (Read1, _) = read_1(b"both say this", &mut first)?;
//! assert_eq!(payload, b"hello");
//! let waits: Sent2<_> = read.write_2(&mut crypto, &bob, b"and you?", &mut second)?;
//! let (read, payload): (Read2<_>, _) = sent.read_2(&crypto, &mut second)?;
//! assert_eq!(payload, b"and you?");
//! let ours: Finished = read.write_3(&crypto, &alice, b"well", &mut third)?;
//! let (theirs, payload) = waits.read_3(&crypto, &mut third)?;
//! assert_eq!(payload, b"well");
//! assert_eq!(ours.transcript, theirs.transcript);
//!
//! assert_eq!(read_1(b"", &mut [0; 5]).err(), Some(NoiseError::TooShort));
//! # Ok(()) }
//! ```

use crate::crypto::{Aead, Crypto, DhPublic, DhShared, Nonce};
use crate::hash::{hkdf2, sha256};
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// The protocol's name, which is also the first transcript hash: it fills a SHA-256 digest exactly.
const NAME: [u8; 32] = *b"Noise_XX_25519_ChaChaPoly_SHA256";

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The most bytes a message may have (Noise, section 3).
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// What the first message has besides its payload: an ephemeral key.
pub const OVERHEAD_1_BYTES: usize = KEY_BYTES;
/// What the second message has besides its payload: an ephemeral key, a sealed static key, and the payload's tag.
pub const OVERHEAD_2_BYTES: usize = 2 * KEY_BYTES + 2 * TAG_BYTES;
/// What the third message has besides its payload: a sealed static key, and the payload's tag.
pub const OVERHEAD_3_BYTES: usize = KEY_BYTES + 2 * TAG_BYTES;

/// Why a handshake ends. All but [`TooLong`](Self::TooLong) on writing are the other side's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseError {
    /// The message ends before its keys and tags do.
    TooShort,
    /// The message, or the one that would have to be written, has more than [`MESSAGE_BYTES_MAX`] bytes.
    TooLong,
    /// A part does not authenticate: it was altered, or the sides differ in keys or prologue.
    BadTag,
    /// A Diffie-Hellman value has small order: the secret would be known to everybody.
    WeakKey,
}

impl fmt::Display for NoiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "handshake message too short",
            Self::TooLong => "handshake message too long",
            Self::BadTag => "handshake message does not authenticate",
            Self::WeakKey => "Diffie-Hellman value of small order",
        })
    }
}

impl core::error::Error for NoiseError {}

/// A static Diffie-Hellman key: a node has one and shows it, encrypted, in each handshake.
pub struct StaticKey<C: Crypto> {
    /// The private half.
    pub secret: C::DhSecret,
    /// The public half.
    pub public: DhPublic,
}

impl<C: Crypto> StaticKey<C> {
    /// A fresh one.
    pub fn generate(crypto: &mut C) -> Self {
        let (secret, public) = crypto.dh_generate();
        Self { secret, public }
    }
}

/// What a handshake leaves behind.
pub struct Finished {
    /// The hash of all that was sent: unique to this handshake, the same on both sides if nobody interfered. Proofs
    /// bind to it (Noise, section 11.2).
    pub transcript: [u8; 32],
    /// Keys what this side sends.
    pub send_key: Zeroizing<[u8; 32]>,
    /// Keys what the other side sends.
    pub receive_key: Zeroizing<[u8; 32]>,
    /// The other side's static key. It has proved to hold it; whose it is, payloads must tell.
    pub remote_static: DhPublic,
}

/// The initiator, with the first message written.
pub struct Sent1<C: Crypto> {
    symmetric: Symmetric,
    ephemeral: C::DhSecret,
}

/// The initiator, with the second message read: the responder is known.
pub struct Read2<C: Crypto> {
    symmetric: Symmetric,
    key: C::Cipher,
    remote_ephemeral: DhPublic,
    remote_static: DhPublic,
}

/// The responder, with the first message read.
pub struct Read1 {
    symmetric: Symmetric,
    remote_ephemeral: DhPublic,
}

/// The responder, with the second message written.
pub struct Sent2<C: Crypto> {
    symmetric: Symmetric,
    key: C::Cipher,
    ephemeral: C::DhSecret,
}

/// Starts as initiator: appends the first message, with `payload` in the clear, to `out`.
///
/// `prologue` is context that both sides must agree on, bound into everything that follows but not sent.
///
/// # Errors
/// [`NoiseError::TooLong`] if `payload` does not fit. `out` is then as it was.
pub fn write_1<C: Crypto>(
    crypto: &mut C,
    prologue: &[u8],
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<Sent1<C>, NoiseError> {
    fits(payload, OVERHEAD_1_BYTES)?;
    let mut symmetric = Symmetric::new(prologue);
    let (ephemeral, public) = crypto.dh_generate();
    symmetric.write_clear(&public, out);
    symmetric.write_clear(payload, out);
    Ok(Sent1 { symmetric, ephemeral })
}

/// Starts as responder: reads the first message and gives its payload, which proves nothing yet.
///
/// # Errors
/// [`NoiseError::TooShort`] or [`NoiseError::TooLong`].
pub fn read_1<'m>(
    prologue: &[u8],
    message: &'m mut [u8],
) -> Result<(Read1, &'m mut [u8]), NoiseError> {
    let mut symmetric = Symmetric::new(prologue);
    let (remote_ephemeral, payload) = symmetric.read_key(message)?;
    symmetric.mix_hash(payload);
    Ok((Read1 { symmetric, remote_ephemeral }, payload))
}

impl Read1 {
    /// Appends the second message, with `payload` sealed, to `out`.
    ///
    /// # Errors
    /// [`NoiseError::WeakKey`] if the initiator's ephemeral key has small order, [`NoiseError::TooLong`] if `payload`
    /// does not fit. `out` is then as it was.
    pub fn write_2<C: Crypto>(
        self,
        crypto: &mut C,
        local: &StaticKey<C>,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Sent2<C>, NoiseError> {
        fits(payload, OVERHEAD_2_BYTES)?;
        let Self { mut symmetric, remote_ephemeral } = self;
        let (ephemeral, public) = crypto.dh_generate();
        let ee = agree(crypto, &ephemeral, &remote_ephemeral)?;
        let es = agree(crypto, &local.secret, &remote_ephemeral)?;
        symmetric.write_clear(&public, out);
        let key = symmetric.mix_key(crypto, &ee);
        symmetric.write_sealed(crypto, &key, 0, &local.public, out);
        let key = symmetric.mix_key(crypto, &es);
        symmetric.write_sealed(crypto, &key, 0, payload, out);
        Ok(Sent2 { symmetric, key, ephemeral })
    }
}

impl<C: Crypto> Sent1<C> {
    /// Reads the second message and gives its payload, which the holder of
    /// [`remote_static`](Read2::remote_static) sent, perhaps long ago to somebody else: only the transport's first
    /// record proves that it is there now.
    ///
    /// # Errors
    /// Any [`NoiseError`].
    pub fn read_2<'m>(
        self,
        crypto: &C,
        message: &'m mut [u8],
    ) -> Result<(Read2<C>, &'m mut [u8]), NoiseError> {
        let Self { mut symmetric, ephemeral } = self;
        let (remote_ephemeral, rest) = symmetric.read_key(message)?;
        let ee = agree(crypto, &ephemeral, &remote_ephemeral)?;
        let key = symmetric.mix_key(crypto, &ee);
        let (remote_static, rest) = symmetric.read_sealed_key(crypto, &key, 0, rest)?;
        let es = agree(crypto, &ephemeral, &remote_static)?;
        let key = symmetric.mix_key(crypto, &es);
        let payload = symmetric.read_sealed(crypto, &key, 0, rest)?;
        Ok((Read2 { symmetric, key, remote_ephemeral, remote_static }, payload))
    }
}

impl<C: Crypto> Read2<C> {
    /// The responder's static key, for deciding whether to show it ours.
    pub const fn remote_static(&self) -> &DhPublic {
        &self.remote_static
    }

    /// The transcript after two messages, for a proof in the third message's payload to bind to.
    pub const fn transcript(&self) -> &[u8; 32] {
        &self.symmetric.hash
    }

    /// Appends the third message, with `payload` sealed, to `out`.
    ///
    /// # Errors
    /// [`NoiseError::WeakKey`] if the responder's ephemeral key has small order, [`NoiseError::TooLong`] if `payload`
    /// does not fit. `out` is then as it was.
    pub fn write_3(
        self,
        crypto: &C,
        local: &StaticKey<C>,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Finished, NoiseError> {
        fits(payload, OVERHEAD_3_BYTES)?;
        let Self { mut symmetric, key, remote_ephemeral, remote_static } = self;
        let se = agree(crypto, &local.secret, &remote_ephemeral)?;
        // The second sealing under this key: the second message's payload was the first.
        symmetric.write_sealed(crypto, &key, 1, &local.public, out);
        let key = symmetric.mix_key(crypto, &se);
        symmetric.write_sealed(crypto, &key, 0, payload, out);
        let (send_key, receive_key) = symmetric.split();
        Ok(Finished { transcript: symmetric.hash, send_key, receive_key, remote_static })
    }
}

impl<C: Crypto> Sent2<C> {
    /// Reads the third message and gives its payload, which the holder of [`Finished::remote_static`] sent in this
    /// very handshake.
    ///
    /// # Errors
    /// Any [`NoiseError`].
    pub fn read_3<'m>(
        self,
        crypto: &C,
        message: &'m mut [u8],
    ) -> Result<(Finished, &'m mut [u8]), NoiseError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(NoiseError::TooLong);
        }
        let Self { mut symmetric, key, ephemeral } = self;
        let (remote_static, rest) = symmetric.read_sealed_key(crypto, &key, 1, message)?;
        let se = agree(crypto, &ephemeral, &remote_static)?;
        let key = symmetric.mix_key(crypto, &se);
        let payload = symmetric.read_sealed(crypto, &key, 0, rest)?;
        let (receive_key, send_key) = symmetric.split();
        Ok((Finished { transcript: symmetric.hash, send_key, receive_key, remote_static }, payload))
    }
}

/// The final hash of a handshake, from what went over the wire; `None` if a message is too short to be one. It proves
/// nothing about the messages: only the two sides can tell whether they are well made.
pub fn transcript(prologue: &[u8], messages: [&[u8]; 3]) -> Option<[u8; 32]> {
    const SEALED_KEY_BYTES: usize = KEY_BYTES + TAG_BYTES;
    let mut symmetric = Symmetric::new(prologue);
    let parts: [&[usize]; 3] = [&[KEY_BYTES], &[KEY_BYTES, SEALED_KEY_BYTES], &[SEALED_KEY_BYTES]];
    for (mut rest, parts) in messages.into_iter().zip(parts) {
        for bytes in parts {
            let (part, after) = rest.split_at_checked(*bytes)?;
            symmetric.mix_hash(part);
            rest = after;
        }
        symmetric.mix_hash(rest);
    }
    Some(symmetric.hash)
}

fn fits(payload: &[u8], overhead: usize) -> Result<(), NoiseError> {
    let length = payload.len().saturating_add(overhead);
    if length > MESSAGE_BYTES_MAX { Err(NoiseError::TooLong) } else { Ok(()) }
}

fn agree<C: Crypto>(
    crypto: &C,
    secret: &C::DhSecret,
    public: &DhPublic,
) -> Result<Zeroizing<DhShared>, NoiseError> {
    crypto.dh(secret, public).map(Zeroizing::new).ok_or(NoiseError::WeakKey)
}

/// Noise's `SymmetricState` without its key, which the states above hold: in XX it is known at each step which key
/// seals and for the how manieth time.
struct Symmetric {
    hash: [u8; 32],
    chaining_key: Zeroizing<[u8; 32]>,
}

impl Symmetric {
    fn new(prologue: &[u8]) -> Self {
        Self { hash: sha256(&[&NAME, prologue]), chaining_key: Zeroizing::new(NAME) }
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = sha256(&[&self.hash, data]);
    }

    fn mix_key<C: Crypto>(&mut self, crypto: &C, shared: &DhShared) -> C::Cipher {
        let (chaining_key, key) = hkdf2(&self.chaining_key, shared);
        self.chaining_key = chaining_key;
        crypto.cipher(Aead::ChaCha20Poly1305, &key)
    }

    fn write_clear(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.mix_hash(data);
        out.extend_from_slice(data);
    }

    fn write_sealed<C: Crypto>(
        &mut self,
        crypto: &C,
        key: &C::Cipher,
        nth: u8,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.extend_from_slice(plain);
        let body = out.get_mut(start..).unwrap_or_default();
        let tag = crypto.seal(key, &nonce(nth), &self.hash, body);
        self.hash = sha256(&[&self.hash, body, &tag]);
        out.extend_from_slice(&tag);
    }

    /// The key that a first or second message begins with, and the rest of it.
    fn read_key<'m>(
        &mut self,
        message: &'m mut [u8],
    ) -> Result<(DhPublic, &'m mut [u8]), NoiseError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(NoiseError::TooLong);
        }
        let (key, rest) = message.split_first_chunk_mut().ok_or(NoiseError::TooShort)?;
        self.mix_hash(key);
        Ok((*key, rest))
    }

    fn read_sealed_key<'m, C: Crypto>(
        &mut self,
        crypto: &C,
        key: &C::Cipher,
        nth: u8,
        message: &'m mut [u8],
    ) -> Result<(DhPublic, &'m mut [u8]), NoiseError> {
        let split = message.split_at_mut_checked(KEY_BYTES.saturating_add(TAG_BYTES));
        let (sealed, rest) = split.ok_or(NoiseError::TooShort)?;
        let public = self.read_sealed(crypto, key, nth, sealed)?;
        Ok((*public.first_chunk().ok_or(NoiseError::TooShort)?, rest))
    }

    fn read_sealed<'m, C: Crypto>(
        &mut self,
        crypto: &C,
        key: &C::Cipher,
        nth: u8,
        sealed: &'m mut [u8],
    ) -> Result<&'m mut [u8], NoiseError> {
        let after = sha256(&[&self.hash, sealed]);
        let (body, tag) = sealed.split_last_chunk_mut().ok_or(NoiseError::TooShort)?;
        crypto.open(key, &nonce(nth), &self.hash, body, tag).map_err(|_| NoiseError::BadTag)?;
        self.hash = after;
        Ok(body)
    }

    /// The initiator's sending key, then the responder's.
    fn split(&self) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
        hkdf2(&self.chaining_key, &[])
    }
}

/// Noise's nonce for ChaCha20-Poly1305: four zeros, then the count in little-endian (section 12.3).
const fn nonce(nth: u8) -> Nonce {
    [0, 0, 0, 0, nth, 0, 0, 0, 0, 0, 0, 0]
}
