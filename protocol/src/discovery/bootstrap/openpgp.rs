//! Detached signatures of OpenPGP over a document, as `gpg --detach-sign` makes them, as far as an Ed25519 key makes them.
//!
//! An authority keeps an OpenPGP key so that its users can check it with the tools that they have. Nodes need none of
//! these: what such a key signs in the end is a digest, by plain Ed25519. This reads one signature packet of version 4
//! (RFC 4880, section 5.2.3; RFC 9580, section 5.2.3) by EdDSALegacy or Ed25519, over SHA-256 or SHA-512.

use crate::crypto::Crypto;
use crate::id::{PublicKey, Signature};
use crate::time::UnixTime;
use crate::wire::codec::{Malformed, Reader};
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256, Sha512};

/// The most bytes of a signature packet.
pub const PACKET_BYTES_MAX: usize = 1024;

/// The tag of a signature packet.
const SIGNATURE_TAG: u8 = 2;
const VERSION_4: u8 = 4;
/// A signature of a binary document.
const BINARY: u8 = 0;
const EDDSA_LEGACY: u8 = 22;
const ED25519: u8 = 27;
const SHA256: u8 = 8;
const SHA512: u8 = 10;

/// A signature packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What is hashed after the document: the packet from its version to the end of the hashed subpackets.
    hashed: &'a [u8],
    /// The digest's first two bytes.
    left: [u8; 2],
    hash: u8,
    signature: Signature,
}

impl<'a> Packet<'a> {
    /// Reads exactly one packet.
    ///
    /// # Errors
    /// [`Malformed`] if it is anything but a signature of a binary document by an Ed25519 key.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        const BAD: Malformed = Malformed("OpenPGP signature");
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(BAD);
        }
        let body = unwrap_packet(bytes)?;
        let mut from = Reader::new(body);
        let [version, kind, algorithm, hash] = from.array("OpenPGP signature")?;
        if version != VERSION_4 || kind != BINARY || ![SHA256, SHA512].contains(&hash) {
            return Err(BAD);
        }
        let hashed_bytes = usize::from(from.u16("OpenPGP signature")?);
        from.take(hashed_bytes, "OpenPGP signature")?;
        let hashed = body.get(..hashed_bytes.saturating_add(6)).ok_or(BAD)?;
        let unhashed = usize::from(from.u16("OpenPGP signature")?);
        from.take(unhashed, "OpenPGP signature")?;
        let left = from.array("OpenPGP signature")?;
        let signature = match algorithm {
            ED25519 => Signature(from.array("OpenPGP signature")?),
            EDDSA_LEGACY => {
                let (r, s) = (number(&mut from)?, number(&mut from)?);
                let mut signature = [0; 64];
                let halves = r.into_iter().chain(s);
                signature.iter_mut().zip(halves).for_each(|(to, from)| *to = from);
                Signature(signature)
            }
            _ => return Err(BAD),
        };
        from.end("OpenPGP signature")?;
        Ok(Self { hashed, left, hash, signature })
    }

    /// Whether the holder of `key` signed `document`.
    pub fn is_signed<C: Crypto>(&self, crypto: &C, key: &PublicKey, document: &[u8]) -> bool {
        let digest = self.digest(document);
        digest.starts_with(&self.left) && crypto.verify(key, &digest, &self.signature)
    }

    fn digest(&self, document: &[u8]) -> Vec<u8> {
        let length = u32::try_from(self.hashed.len()).unwrap_or(u32::MAX).to_be_bytes();
        let parts = [document, self.hashed, &[VERSION_4, 0xff], &length].concat();
        match self.hash {
            SHA512 => Sha512::digest(&parts).to_vec(),
            _ => Sha256::digest(&parts).to_vec(),
        }
    }
}

/// Signs a document as an Ed25519 key of OpenPGP does, in the shortest form: a packet with the time of signing and no more.
/// Keys that live in OpenPGP's own files are for OpenPGP's own tools; this is for those that don't.
pub fn sign<C: Crypto>(
    crypto: &C,
    key: &C::SigningKey,
    document: &[u8],
    made: UnixTime,
) -> Vec<u8> {
    const CREATED: u8 = 2;
    let mut body = Vec::from([VERSION_4, BINARY, ED25519, SHA256, 0, 6, 5, CREATED]);
    body.extend_from_slice(&u32::try_from(made.0).unwrap_or(u32::MAX).to_be_bytes());
    let packet =
        Packet { hashed: &body, left: [0; 2], hash: SHA256, signature: Signature([0; 64]) };
    let digest = packet.digest(document);
    let signature = crypto.sign(key, &digest);
    body.extend_from_slice(&[0, 0]);
    body.extend(digest.iter().take(2));
    body.extend_from_slice(&signature.0);
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    [&[0xc0 | SIGNATURE_TAG, length][..], &body].concat()
}

/// The body of the one packet that `bytes` are, a signature (RFC 9580, section 4.2).
fn unwrap_packet(bytes: &[u8]) -> Result<&[u8], Malformed> {
    const BAD: Malformed = Malformed("OpenPGP packet");
    let mut from = Reader::new(bytes);
    let head = from.u8("OpenPGP packet")?;
    let tag = match head {
        0x80..0xc0 => (head >> 2) & 0x0f,
        0xc0.. => head & 0x3f,
        _ => return Err(BAD),
    };
    if tag != SIGNATURE_TAG {
        return Err(BAD);
    }
    let length = if head >= 0xc0 {
        match from.u8("OpenPGP packet")? {
            short @ 0..192 => u32::from(short),
            high @ 192..224 => {
                let low = from.u8("OpenPGP packet")?;
                (u32::from(high).saturating_sub(192) << 8)
                    .saturating_add(u32::from(low))
                    .saturating_add(192)
            }
            0xff => from.u32("OpenPGP packet")?,
            _ => return Err(BAD),
        }
    } else {
        match head & 3 {
            0 => u32::from(from.u8("OpenPGP packet")?),
            1 => u32::from(from.u16("OpenPGP packet")?),
            2 => from.u32("OpenPGP packet")?,
            _ => return Err(BAD),
        }
    };
    let body = from.take(usize::try_from(length).map_err(|_| BAD)?, "OpenPGP packet")?;
    from.end("OpenPGP packet")?;
    Ok(body)
}

/// A multiprecision integer of at most 256 bits, as 32 bytes with its leading zeros.
fn number(from: &mut Reader<'_>) -> Result<[u8; 32], Malformed> {
    const BAD: Malformed = Malformed("OpenPGP number");
    let bits = usize::from(from.u16("OpenPGP number")?);
    let bytes = from.take(bits.div_ceil(8), "OpenPGP number")?;
    let leading = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    // The length in bits is that of the number itself: one number, one encoding.
    if bytes.len().saturating_mul(8).saturating_sub(leading) != bits {
        return Err(BAD);
    }
    let mut number = [0; 32];
    let start = number.len().checked_sub(bytes.len()).ok_or(BAD)?;
    number.get_mut(start..).ok_or(BAD)?.copy_from_slice(bytes);
    Ok(number)
}
