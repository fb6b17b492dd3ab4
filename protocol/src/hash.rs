//! SHA-256 and what is built on it: HMAC (RFC 2104) and HKDF (RFC 5869), for handshakes, proofs and key schedules.
//!
//! Intermediate states are wiped on drop; keys are returned in [`Zeroizing`].

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes that SHA-256 takes in one step.
const BLOCK_BYTES: usize = 64;

/// The SHA-256 digest of `parts`, one after another.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    finish(Sha256::new(), parts)
}

fn finish(mut state: Sha256, parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().for_each(|part| state.update(part));
    state.finalize().into()
}

/// HMAC-SHA256 under one key, which is hashed once however many messages follow.
#[derive(Clone)]
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        if let Some(head) = block.get_mut(..key.len()) {
            head.copy_from_slice(key);
        } else {
            let digest = Zeroizing::new(sha256(&[key]));
            block.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        }
        let keyed = |pad: u8| {
            let mut padded = Zeroizing::new(*block);
            padded.iter_mut().for_each(|byte| *byte ^= pad);
            Sha256::new_with_prefix(padded.as_slice())
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let inner = Zeroizing::new(finish(self.inner.clone(), parts));
        finish(self.outer.clone(), &[inner.as_slice()])
    }
}

/// HMAC-SHA256 (RFC 2104) of `parts`, one after another, under `key` of any length.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    Hmac::new(key).tag(parts)
}

/// Two keys from a chaining key and an input, as the Noise framework's `HKDF` with two outputs (revision 34, section
/// 4.3): RFC 5869 with `salt = chaining_key` and no info.
pub fn hkdf2(chaining_key: &[u8; 32], input: &[u8]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let extracted = Zeroizing::new(hmac_sha256(chaining_key, &[input]));
    let expand = Hmac::new(extracted.as_slice());
    let first = Zeroizing::new(expand.tag(&[&[1]]));
    let second = Zeroizing::new(expand.tag(&[first.as_slice(), &[2]]));
    (first, second)
}

/// A key for the purpose `label` from a uniformly random `key`: RFC 5869's HKDF-Expand with `info = label`, one block.
/// Different labels give independent keys.
pub fn derive(key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hmac_sha256(key, &[label, &[1]]))
}

/// Whether `a` and `b` are equal, in a time that does not tell where they differ: for comparing proofs.
pub fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y));
    core::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn sha256_of_the_standards_example() {
        let digest = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(&[b"abc"]), digest[..]);
        assert_eq!(sha256(&[b"a", b"", b"bc"]), digest[..]);
    }

    /// RFC 4231, sections 4.2, 4.3, 4.4, 4.7 and 4.8.
    #[test]
    fn hmac_vectors() {
        let long = "This is a test using a larger than block-size key and a larger than block-size data. \
                    The key needs to be hashed before being used by the HMAC algorithm.";
        let cases: [(&[u8], &[u8], &str); 5] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                long.as_bytes(),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, tag) in cases {
            assert_eq!(hmac_sha256(key, &[message]), hex(tag)[..]);
            let (head, tail) = message.split_at(3);
            assert_eq!(hmac_sha256(key, &[head, tail]), hex(tag)[..]);
        }
        assert_ne!(hmac_sha256(&[0xff; 64], &[]), hmac_sha256(&[0xff; 65], &[]));
    }

    /// RFC 5869, appendix A.3 (no info), cut to the first 32 bytes; its salt is empty, which HMAC pads to zeros.
    #[test]
    fn hkdf_vector() {
        let input = vec![0x0b; 22];
        let (first, _) = hkdf2(&[0; 32], &input);
        let okm = hex(
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        );
        assert_eq!(first.as_slice(), &okm[..32]);
        let (_, second) = hkdf2(&[0; 32], &input);
        assert_eq!(&second[..10], &okm[32..]);
    }

    /// RFC 5869, appendix A.1: the extracted key expanded with its info.
    #[test]
    fn derive_is_hkdf_expand() {
        let key = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let key: [u8; 32] = key.try_into().unwrap();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        assert_eq!(derive(&key, &info)[..], okm[..]);
        assert_ne!(derive(&key, b"a"), derive(&key, b"b"));
    }

    #[test]
    fn equal_sees_every_bit() {
        for bit in 0..256 {
            let mut other = [7; 32];
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!equal(&[7; 32], &other));
        }
        assert!(equal(&[7; 32], &[7; 32]));
    }
}
