//! [`PureCrypto`]: RustCrypto and dalek.

use crate::{NoRandomness, edwards, preference, random};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit as _, inout::InOutBuf};
use alloc::boxed::Box;
use chacha20poly1305::ChaCha20Poly1305;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use p2pnet_protocol::crypto::{Aead, BadTag, Crypto, DhPublic, DhShared, Nonce, Tag};
use p2pnet_protocol::{PublicKey, Signature};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// The provider without C: runs wherever Rust and [`getrandom`] do, and in `no_std`.
///
/// Its AEADs cost a microsecond or two a call besides the bytes, so it suits small machines more than small messages.
#[derive(Clone, Debug)]
pub struct PureCrypto {
    order: &'static [Aead],
}

/// A keyed cipher of [`PureCrypto`].
pub struct PureCipher(Keyed);

enum Keyed {
    // Ten times the size of the other: its round keys and tables are laid out in advance.
    Aes(Box<Aes256Gcm>),
    ChaCha(ChaCha20Poly1305),
}

impl PureCrypto {
    /// Looks at the processor, and makes sure that there is randomness.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system gives none.
    pub fn new() -> Result<Self, NoRandomness> {
        random::probe()?;
        Ok(Self { order: preference::order() })
    }

    /// The same on every machine, whatever its processor; for a provider with randomness of its own.
    #[cfg(feature = "simulated")]
    pub(crate) const fn repeatable() -> Self {
        Self { order: preference::AES_FIRST }
    }

    /// The same without AES, for those who measure or distrust it.
    #[must_use]
    pub fn without_aes(self) -> Self {
        Self { order: preference::CHACHA_ONLY }
    }
}

impl Crypto for PureCrypto {
    type DhSecret = StaticSecret;
    type SigningKey = SigningKey;
    type Cipher = PureCipher;

    fn random(&mut self, out: &mut [u8]) {
        random::fill(out);
    }

    fn aeads(&self) -> &[Aead] {
        self.order
    }

    fn dh_generate(&mut self) -> (StaticSecret, DhPublic) {
        let mut scalar = Zeroizing::new([0; 32]);
        random::fill(scalar.as_mut_slice());
        let secret = StaticSecret::from(*scalar);
        let public = x25519_dalek::PublicKey::from(&secret).to_bytes();
        (secret, public)
    }

    fn dh(&self, secret: &StaticSecret, public: &DhPublic) -> Option<DhShared> {
        let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(*public));
        shared.was_contributory().then(|| shared.to_bytes())
    }

    fn signing_key(&self, seed: &[u8; 32]) -> SigningKey {
        SigningKey::from_bytes(seed)
    }

    fn public_key(&self, key: &SigningKey) -> PublicKey {
        PublicKey(key.verifying_key().to_bytes())
    }

    fn sign(&self, key: &SigningKey, message: &[u8]) -> Signature {
        Signature(key.sign(message).to_bytes())
    }

    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        edwards::is_acceptable(&key.0)
            && VerifyingKey::from_bytes(&key.0)
                .and_then(|key| key.verify_strict(message, &signature))
                .is_ok()
    }

    fn cipher(&self, aead: Aead, key: &[u8; 32]) -> PureCipher {
        PureCipher(match aead {
            Aead::Aes256Gcm => Keyed::Aes(Box::new(Aes256Gcm::new(key.into()))),
            _ => Keyed::ChaCha(ChaCha20Poly1305::new(key.into())),
        })
    }

    fn seal(&self, cipher: &PureCipher, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag {
        match &cipher.0 {
            Keyed::Aes(cipher) => seal(&**cipher, nonce, aad, buffer),
            Keyed::ChaCha(cipher) => seal(cipher, nonce, aad, buffer),
        }
    }

    fn open(
        &self,
        cipher: &PureCipher,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        let (buffer, tag) = (InOutBuf::from(buffer), tag.into());
        match &cipher.0 {
            Keyed::Aes(cipher) => cipher.decrypt_inout_detached(nonce.into(), aad, buffer, tag),
            Keyed::ChaCha(cipher) => cipher.decrypt_inout_detached(nonce.into(), aad, buffer, tag),
        }
        .map_err(|_| BadTag)
    }
}

/// Seals with either cipher: both take a 12-byte nonce and give a 16-byte tag.
///
/// # Panics
/// If `buffer` is longer than the ciphers' limit, 64 GiB at the least.
fn seal<A>(cipher: &A, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag
where
    A: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>,
{
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, InOutBuf::from(buffer));
    tag.expect("a record is shorter than 64 GiB").into()
}
