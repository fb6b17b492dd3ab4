//! Records: the encrypted pieces of a stream. A two-byte length, the ciphertext, a tag (`docs/wire.md`, "Records").

use super::ciphers::{CipherId, Ciphers};
use crate::crypto::{Aead, BadTag, Crypto, Nonce, Tag};
use crate::error::Violation;
use crate::hash::derive;
use crate::wire::codec::Malformed;
use bytes::BytesMut;
use zeroize::Zeroizing;

/// The most plaintext bytes of one record. Sixteen kibibytes stay in the first-level cache while they are copied,
/// encrypted and parsed.
pub const PLAIN_BYTES_MAX: usize = 16_384;
/// A peer that takes short packets gets short records: so much longer than its longest packet, and never shorter than
/// [`PLAIN_BYTES_LEAST`].
const PLAIN_BYTES_OVER_PACKET: usize = 512;
/// Every peer takes records as long as this, which what is said before the lanes are open fits into.
const PLAIN_BYTES_LEAST: usize = 2048;
/// The length prefix.
pub const HEADER_BYTES: usize = 2;
/// The tag.
pub const TAG_BYTES: usize = 16;
/// The largest record on the wire.
pub const RECORD_BYTES_MAX: usize = HEADER_BYTES + PLAIN_BYTES_MAX + TAG_BYTES;
/// After so many records a direction takes its next key: 2²⁰ full records are 16 GiB, far below AES-GCM's bounds.
const REKEY_AFTER: u64 = 1 << 20;

/// The most plaintext bytes of one record to a peer that takes packets of up to `packet_bytes_max` bytes.
pub(crate) const fn plain_bytes_max(packet_bytes_max: usize) -> usize {
    match packet_bytes_max.saturating_add(PLAIN_BYTES_OVER_PACKET) {
        ..PLAIN_BYTES_LEAST => PLAIN_BYTES_LEAST,
        PLAIN_BYTES_MAX.. => PLAIN_BYTES_MAX,
        bytes => bytes,
    }
}

/// The length of the record that `bytes` begins with, header and tag included; `None` if the header isn't whole.
///
/// # Errors
/// [`Violation`] if no record has this length.
pub fn record_length(bytes: &[u8]) -> Result<Option<usize>, Violation> {
    record_length_within(bytes, PLAIN_BYTES_MAX)
}

/// [`record_length`] where no record has more than `plain_max` bytes of plaintext.
pub(crate) fn record_length_within(
    bytes: &[u8],
    plain_max: usize,
) -> Result<Option<usize>, Violation> {
    let Some(header) = bytes.first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*header));
    if length <= TAG_BYTES {
        return Err(Malformed("record length").into());
    }
    let whole = length.saturating_add(HEADER_BYTES);
    if length > plain_max.saturating_add(TAG_BYTES) {
        Err(Violation::TooLong("record"))
    } else {
        Ok(Some(whole))
    }
}

/// One direction of a channel: a key and the number of the next record.
pub(crate) struct Half {
    /// What its cipher is kept under, once the channel it belongs to is known.
    id: CipherId,
    aead: Aead,
    key: Zeroizing<[u8; 32]>,
    next: u64,
}

impl Half {
    /// Keys one direction from the handshake's output, bound to the chosen cipher.
    pub(crate) fn new(aead: Aead, chain: &[u8; 32]) -> Self {
        let label: &[u8] = match aead {
            Aead::Aes256Gcm => b"p2pnet record v1 aes-256-gcm",
            Aead::ChaCha20Poly1305 => b"p2pnet record v1 chacha20-poly1305",
        };
        Self { id: CipherId::default(), aead, key: derive(chain, label), next: 0 }
    }

    /// One direction with the first key of its own, as a key log has it.
    pub(crate) fn from_key(aead: Aead, key: &Zeroizing<[u8; 32]>) -> Self {
        Self { id: CipherId::default(), aead, key: key.clone(), next: 0 }
    }

    pub(crate) const fn aead(&self) -> Aead {
        self.aead
    }

    /// The present key.
    pub(crate) const fn key(&self) -> &Zeroizing<[u8; 32]> {
        &self.key
    }

    /// Gives it to a channel.
    pub(crate) fn named(self, id: CipherId) -> Self {
        Self { id, ..self }
    }

    pub(crate) const fn id(&self) -> CipherId {
        self.id
    }

    /// The cipher of the present key.
    pub(crate) fn cipher<C: Crypto>(&self, crypto: &C) -> C::Cipher {
        crypto.cipher(self.aead, &self.key)
    }

    fn nonce(&self) -> Nonce {
        let [a, b, c, d, e, f, g, h] = self.next.to_be_bytes();
        [0, 0, 0, 0, a, b, c, d, e, f, g, h]
    }

    fn advance<C: Crypto>(&mut self, ciphers: &mut Ciphers<C>) {
        self.next = self.next.saturating_add(1);
        if self.next == REKEY_AFTER {
            self.key = derive(&self.key, b"p2pnet rekey v1");
            self.next = 0;
            ciphers.forget(self.id);
        }
    }

    /// Turns what was appended to `out` from `start` on (a header's room and at most [`PLAIN_BYTES_MAX`] bytes of
    /// plaintext) into a record.
    pub(crate) fn seal<C: Crypto>(
        &mut self,
        crypto: &C,
        ciphers: &mut Ciphers<C>,
        out: &mut BytesMut,
        start: usize,
    ) {
        let record = out.get_mut(start..).and_then(|record| record.split_first_chunk_mut());
        let (Some((header, plain)), Some(cipher)) = (record, ciphers.get(crypto, self)) else {
            // Never: the caller appended the header's room. Plaintext must not leave in any case.
            return out.truncate(start);
        };
        let length = plain.len().saturating_add(TAG_BYTES);
        debug_assert!(
            length <= PLAIN_BYTES_MAX + TAG_BYTES,
            "a record is never too long: {length}"
        );
        *header = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let tag = crypto.seal(cipher, &self.nonce(), &[], plain);
        out.extend_from_slice(&tag);
        self.advance(ciphers);
    }

    /// Decrypts a record's body (ciphertext and tag) in place and gives its plaintext.
    pub(crate) fn open<'a, C: Crypto>(
        &mut self,
        crypto: &C,
        ciphers: &mut Ciphers<C>,
        body: &'a mut [u8],
    ) -> Result<&'a mut [u8], BadTag> {
        let (text, tag) = body.split_last_chunk_mut::<TAG_BYTES>().ok_or(BadTag)?;
        let tag: Tag = *tag;
        let cipher = ciphers.get(crypto, self).ok_or(BadTag)?;
        crypto.open(cipher, &self.nonce(), &[], text, &tag)?;
        self.advance(ciphers);
        Ok(text)
    }
}
