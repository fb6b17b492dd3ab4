//! [`FastCrypto`]: AEADs from ring, curves from aws-lc.

use crate::{NoRandomness, edwards, preference, random};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _};
use p2pnet_protocol::crypto::{Aead, BadTag, Crypto, DhPublic, DhShared, Nonce, Tag};
use p2pnet_protocol::{PublicKey, Signature};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

/// The quickest provider on x86-64 and aarch64: ring's AEADs, aws-lc's curves.
///
/// aws-lc wipes private keys when they are dropped. ring does not wipe AEAD keys, and lets nobody do it for it; such a
/// key lives as long as its channel.
#[derive(Clone, Debug)]
pub struct FastCrypto {
    order: &'static [Aead],
}

impl FastCrypto {
    /// Looks at the processor, and makes sure that there is randomness.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system gives none.
    pub fn new() -> Result<Self, NoRandomness> {
        random::probe()?;
        Ok(Self { order: preference::order() })
    }

    /// The same without AES, for those who measure or distrust it.
    #[must_use]
    pub fn without_aes(self) -> Self {
        Self { order: preference::CHACHA_ONLY }
    }
}

// Both libraries give errors for keys of wrong length and for buffers of many GiB. The types rule out the former, and no
// record comes near the latter, so the `expect`s below can't fail.
impl Crypto for FastCrypto {
    type DhSecret = PrivateKey;
    type SigningKey = Ed25519KeyPair;
    type Cipher = LessSafeKey;

    fn random(&mut self, out: &mut [u8]) {
        random::fill(out);
    }

    fn aeads(&self) -> &[Aead] {
        self.order
    }

    fn dh_generate(&mut self) -> (PrivateKey, DhPublic) {
        let mut scalar = Zeroizing::new([0; 32]);
        random::fill(scalar.as_mut_slice());
        let secret = PrivateKey::from_private_key(&X25519, scalar.as_slice()).expect("32 bytes");
        let public = secret.compute_public_key().expect("an X25519 key has a public half");
        let public = public.as_ref().try_into().expect("of 32 bytes");
        (secret, public)
    }

    fn dh(&self, secret: &PrivateKey, public: &DhPublic) -> Option<DhShared> {
        // The library gives an error when the shared value is all zero (RFC 7748, section 6.1).
        let public = UnparsedPublicKey::new(&X25519, public);
        agreement::agree(secret, public, (), |shared| shared.try_into().map_err(|_| ())).ok()
    }

    fn signing_key(&self, seed: &[u8; 32]) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes")
    }

    fn public_key(&self, key: &Ed25519KeyPair) -> PublicKey {
        PublicKey(key.public_key().as_ref().try_into().expect("32 bytes"))
    }

    fn sign(&self, key: &Ed25519KeyPair, message: &[u8]) -> Signature {
        Signature(key.sign(message).as_ref().try_into().expect("64 bytes"))
    }

    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let r_is_acceptable = signature.0.first_chunk().is_some_and(edwards::is_acceptable);
        r_is_acceptable
            && edwards::is_acceptable(&key.0)
            && aws_lc_rs::signature::UnparsedPublicKey::new(&ED25519, &key.0)
                .verify(message, &signature.0)
                .is_ok()
    }

    fn cipher(&self, aead: Aead, key: &[u8; 32]) -> LessSafeKey {
        let algorithm = match aead {
            Aead::Aes256Gcm => &AES_256_GCM,
            _ => &CHACHA20_POLY1305,
        };
        LessSafeKey::new(UnboundKey::new(algorithm, key).expect("32 bytes"))
    }

    fn seal(&self, cipher: &LessSafeKey, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag {
        let nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
        let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer);
        let tag = tag.expect("a record is shorter than 64 GiB");
        tag.as_ref().try_into().expect("16 bytes")
    }

    fn open(
        &self,
        cipher: &LessSafeKey,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        let nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
        cipher
            .open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buffer, 0..)
            .map(|_| ())
            .map_err(|_| BadTag)
    }
}
