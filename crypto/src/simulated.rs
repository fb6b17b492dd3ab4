//! [`SimulatedCrypto`]: the shape of cryptography without its substance.

use p2pnet_protocol::crypto::{Aead, BadTag, Crypto, DhPublic, DhShared, Nonce, Tag};
use p2pnet_protocol::{PublicKey, Seed, Signature};

/// An imitation for simulations. **It protects nothing**: anybody can compute every secret and forge every proof by
/// reading this file.
///
/// It behaves like the real thing towards code that only calls the trait: sizes are the same, a wrong key does not
/// open, a flipped bit is noticed, a signature by another key fails, plaintext does not appear in ciphertext. It is
/// repeatable: equal seeds and equal calls give equal bytes on every platform.
#[derive(Clone, Debug)]
pub struct SimulatedCrypto {
    random: Mixer,
    drawn: u64,
    order: &'static [Aead],
}

/// A keyed cipher of [`SimulatedCrypto`].
#[derive(Clone)]
pub struct SimulatedCipher(Mixer);

/// A secret of [`SimulatedCrypto`]; knowing it is the only thing that is simulated, so the public half is enough.
#[derive(Clone)]
pub struct SimulatedSecret([u8; 32]);

impl SimulatedCrypto {
    /// A provider whose randomness follows from `seed`.
    pub fn new(seed: Seed) -> Self {
        let random = Mixer::new(Purpose::Random).absorb(&seed.0);
        Self { random, drawn: 0, order: &[Aead::Aes256Gcm, Aead::ChaCha20Poly1305] }
    }

    /// The same on a machine without AES instructions.
    #[must_use]
    pub fn without_aes(self) -> Self {
        Self { order: &[Aead::ChaCha20Poly1305], ..self }
    }
}

fn signature(key: &PublicKey, message: &[u8]) -> Signature {
    Signature(Mixer::new(Purpose::Sign).absorb(&key.0).absorb(message).output())
}

impl Crypto for SimulatedCrypto {
    type DhSecret = SimulatedSecret;
    type SigningKey = PublicKey;
    type Cipher = SimulatedCipher;

    fn random(&mut self, out: &mut [u8]) {
        self.drawn = self.drawn.wrapping_add(1);
        self.random.absorb_word(self.drawn).fill(out);
    }

    fn aeads(&self) -> &[Aead] {
        self.order
    }

    fn dh_generate(&mut self) -> (SimulatedSecret, DhPublic) {
        let mut public = [0; 32];
        self.random(&mut public);
        (SimulatedSecret(public), public)
    }

    fn dh(&self, secret: &SimulatedSecret, public: &DhPublic) -> Option<DhShared> {
        let (low, high) =
            if secret.0 <= *public { (&secret.0, public) } else { (public, &secret.0) };
        let shared = || Mixer::new(Purpose::Agree).absorb(low).absorb(high).output();
        (*public != [0; 32]).then(shared)
    }

    fn signing_key(&self, seed: &[u8; 32]) -> PublicKey {
        PublicKey(Mixer::new(Purpose::Identity).absorb(seed).output())
    }

    fn public_key(&self, key: &PublicKey) -> PublicKey {
        *key
    }

    fn sign(&self, key: &PublicKey, message: &[u8]) -> Signature {
        signature(key, message)
    }

    fn verify(&self, key: &PublicKey, message: &[u8], claimed: &Signature) -> bool {
        key.0 != [0; 32] && signature(key, message) == *claimed
    }

    fn cipher(&self, aead: Aead, key: &[u8; 32]) -> SimulatedCipher {
        SimulatedCipher(Mixer::new(Purpose::Cipher).absorb_word(aead.to_wire().into()).absorb(key))
    }

    fn seal(&self, cipher: &SimulatedCipher, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag {
        let keyed = cipher.0.absorb(nonce);
        keyed.mask(buffer);
        keyed.absorb(aad).absorb(buffer).output()
    }

    fn open(
        &self,
        cipher: &SimulatedCipher,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        let keyed = cipher.0.absorb(nonce);
        let right: Tag = keyed.absorb(aad).absorb(buffer).output();
        if right != *tag {
            return Err(BadTag);
        }
        keyed.mask(buffer);
        Ok(())
    }
}

/// What a [`Mixer`] is for: different purposes give unrelated outputs.
#[derive(Clone, Copy)]
enum Purpose {
    Random = 1,
    Agree,
    Identity,
    Sign,
    Cipher,
}

/// A 128-bit state stirred by folded multiplication (the two halves of a 128-bit product, added without carry).
/// Quick, well spread, and without any claim to security.
#[derive(Clone, Copy, Debug)]
struct Mixer(u64, u64);

// Odd constants with as many ones as zeros: the first digits of the golden ratio's, e's and pi's fractions.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const E: u64 = 0xb7e1_5162_8aed_2a6b;
const PI: u64 = 0x243f_6a88_85a3_08d3;

const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Mixer {
    const fn new(purpose: Purpose) -> Self {
        Self(GOLDEN, E).absorb_word(purpose as u64)
    }

    #[must_use]
    const fn absorb_word(self, word: u64) -> Self {
        self.stir(word, PI)
    }

    /// Both halves depend on both words, and each half keeps what it held.
    const fn stir(self, low: u64, high: u64) -> Self {
        let first = fold(self.0 ^ low, high ^ GOLDEN) ^ self.1;
        let second = fold(self.1 ^ high, low ^ E) ^ self.0.rotate_left(29);
        Self(first, second)
    }

    /// The bytes and their number, so that `absorb(a).absorb(b)` differs from `absorb(ab)`.
    #[must_use]
    fn absorb(self, bytes: &[u8]) -> Self {
        let (chunks, rest) = bytes.as_chunks::<16>();
        let mixed = chunks.iter().fold(self, |state, chunk| state.stir_bytes(chunk));
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        mixed.stir_bytes(&last).absorb_word(bytes.len() as u64)
    }

    fn stir_bytes(self, bytes: &[u8; 16]) -> Self {
        let both = u128::from_le_bytes(*bytes);
        self.stir(both as u64, (both >> 64) as u64)
    }

    /// The `i`-th word of the output.
    const fn word(self, i: u64) -> u64 {
        let spread = i.wrapping_mul(GOLDEN);
        fold(self.0.wrapping_add(spread) ^ PI, self.1 ^ spread.rotate_left(32) ^ E)
    }

    fn fill(self, out: &mut [u8]) {
        for (i, piece) in (0..).zip(out.chunks_mut(8)) {
            let word = self.word(i).to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
    }

    fn output<const N: usize>(self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// Adds the output, without carry: the second time takes it off again.
    fn mask(self, buffer: &mut [u8]) {
        let (words, rest) = buffer.as_chunks_mut::<8>();
        let mut i = 0;
        for bytes in words {
            *bytes = (u64::from_le_bytes(*bytes) ^ self.word(i)).to_le_bytes();
            i += 1;
        }
        rest.iter_mut().zip(self.word(i).to_le_bytes()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings of simulations depend on these bytes.
    #[test]
    fn outputs_are_pinned() {
        let mut crypto = SimulatedCrypto::new(Seed::from_u64(1));
        let mut drawn = [0; 16];
        crypto.random(&mut drawn);
        assert_eq!(u128::from_le_bytes(drawn), 330_713_537_941_249_345_004_637_303_748_154_987_936);
        let cipher = crypto.cipher(Aead::ChaCha20Poly1305, &[7; 32]);
        let mut text = *b"the quick brown fox";
        let tag = crypto.seal(&cipher, &[1; 12], b"header", &mut text);
        assert_eq!(u128::from_le_bytes(tag), 171_118_016_024_789_989_902_831_363_143_006_420_182);
    }

    /// Flipping any one bit flips between a quarter and three quarters of the output.
    #[test]
    fn every_bit_counts() {
        let message = [0x5a_u8; 47];
        let whole: [u8; 32] = Mixer::new(Purpose::Sign).absorb(&message).output();
        for bit in 0..message.len() * 8 {
            let mut other = message;
            other[bit / 8] ^= 1 << (bit % 8);
            let changed: [u8; 32] = Mixer::new(Purpose::Sign).absorb(&other).output();
            let flips: u32 = whole.iter().zip(changed).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!((64..192).contains(&flips), "bit {bit}: {flips}");
        }
    }
}
