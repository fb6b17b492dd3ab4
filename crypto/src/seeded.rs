//! [`SeededCrypto`]: real cryptography whose secrets follow from a seed.

use crate::PureCrypto;
use p2pnet_protocol::crypto::{Aead, BadTag, Crypto, DhPublic, DhShared, Nonce, Tag};
use p2pnet_protocol::{PublicKey, Rng, Seed, Signature};

/// [`PureCrypto`] with predictable secrets, for simulations that repeat. **It protects nothing**: whoever knows the seed
/// knows every key.
#[derive(Clone, Debug)]
pub struct SeededCrypto {
    pure: PureCrypto,
    random: Rng,
}

impl SeededCrypto {
    /// A provider whose randomness follows from `seed`, and that prefers ciphers the same way on every machine.
    pub fn new(seed: Seed) -> Self {
        let pure = PureCrypto::repeatable();
        Self { pure, random: Rng::new(seed, "seeded crypto") }
    }
}

impl Crypto for SeededCrypto {
    type DhSecret = <PureCrypto as Crypto>::DhSecret;
    type SigningKey = <PureCrypto as Crypto>::SigningKey;
    type Cipher = <PureCrypto as Crypto>::Cipher;

    fn random(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            let word = self.random.next_u64().to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
    }

    fn aeads(&self) -> &[Aead] {
        self.pure.aeads()
    }

    fn dh_generate(&mut self) -> (Self::DhSecret, DhPublic) {
        let mut scalar = [0; 32];
        self.random(&mut scalar);
        let secret = Self::DhSecret::from(scalar);
        let public = x25519_dalek::PublicKey::from(&secret).to_bytes();
        (secret, public)
    }

    fn dh(&self, secret: &Self::DhSecret, public: &DhPublic) -> Option<DhShared> {
        self.pure.dh(secret, public)
    }

    fn signing_key(&self, seed: &[u8; 32]) -> Self::SigningKey {
        self.pure.signing_key(seed)
    }

    fn public_key(&self, key: &Self::SigningKey) -> PublicKey {
        self.pure.public_key(key)
    }

    fn sign(&self, key: &Self::SigningKey, message: &[u8]) -> Signature {
        self.pure.sign(key, message)
    }

    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        self.pure.verify(key, message, signature)
    }

    fn cipher(&self, aead: Aead, key: &[u8; 32]) -> Self::Cipher {
        self.pure.cipher(aead, key)
    }

    fn seal(&self, cipher: &Self::Cipher, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag {
        self.pure.seal(cipher, nonce, aad, buffer)
    }

    fn open(
        &self,
        cipher: &Self::Cipher,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        self.pure.open(cipher, nonce, aad, buffer, tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_keys_that_agree() {
        let mut one = SeededCrypto::new(Seed::from_u64(1));
        let mut same = SeededCrypto::new(Seed::from_u64(1));
        let mut other = SeededCrypto::new(Seed::from_u64(2));
        let (ours, our_public) = one.dh_generate();
        assert_eq!(same.dh_generate().1, our_public);
        let (theirs, their_public) = other.dh_generate();
        assert_ne!(their_public, our_public);
        assert_eq!(one.dh(&ours, &their_public), other.dh(&theirs, &our_public));
    }
}
