//! What every provider of `Crypto` must do, run for each of them.

use p2pnet_protocol::crypto::{Aead, BadTag, Crypto};
use p2pnet_protocol::{PublicKey, Signature};

/// Makes the suite a module of tests for one provider.
macro_rules! suite {
    ($name:ident, $make:expr) => {
        mod $name {
            #[test]
            fn randomness_differs() {
                super::randomness_differs(&mut $make);
            }
            #[test]
            fn names_a_cipher_that_all_support() {
                super::names_a_cipher_that_all_support(&$make);
            }
            #[test]
            fn both_sides_share_a_secret() {
                super::both_sides_share_a_secret(&mut $make);
            }
            #[test]
            fn only_the_holder_signs() {
                super::only_the_holder_signs(&mut $make);
            }
            #[test]
            fn sealed_pieces_open_whole_or_not_at_all() {
                super::sealed_pieces_open_whole_or_not_at_all(&$make);
            }
            #[test]
            fn keys_nonces_and_ciphers_are_apart() {
                super::keys_nonces_and_ciphers_are_apart(&$make);
            }
        }
    };
}

#[cfg(feature = "pure")]
suite!(pure, p2pnet_crypto::PureCrypto::new().unwrap());
#[cfg(feature = "pure")]
suite!(pure_without_aes, p2pnet_crypto::PureCrypto::new().unwrap().without_aes());
#[cfg(feature = "fast")]
suite!(fast, p2pnet_crypto::FastCrypto::new().unwrap());
#[cfg(feature = "simulated")]
suite!(simulated, p2pnet_crypto::SimulatedCrypto::new(p2pnet_protocol::Seed::from_u64(1)));

/// Lengths around the block sizes of the ciphers and of the implementations' inner loops.
const LENGTHS: [usize; 16] =
    [0, 1, 7, 8, 15, 16, 17, 31, 63, 64, 65, 255, 256, 1_023, 4_097, 65_519];

const AEADS: [Aead; 2] = [Aead::Aes256Gcm, Aead::ChaCha20Poly1305];

fn randomness_differs<C: Crypto>(crypto: &mut C) {
    let mut draws = [[0; 32]; 64];
    draws.iter_mut().for_each(|draw| crypto.random(draw));
    let mut sorted = draws;
    sorted.sort_unstable();
    assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]));
    // 16,384 fair bits have a standard deviation of 64; ten of them are enough for anybody.
    let ones: u32 = draws.iter().flatten().map(|byte| byte.count_ones()).sum();
    assert!((7_552..8_832).contains(&ones), "{ones}");
    crypto.random(&mut []);
}

fn names_a_cipher_that_all_support<C: Crypto>(crypto: &C) {
    assert!(crypto.aeads().contains(&Aead::ChaCha20Poly1305));
    assert!(crypto.aeads().iter().all(|aead| AEADS.contains(aead)));
}

fn both_sides_share_a_secret<C: Crypto>(crypto: &mut C) {
    let (a, a_public) = crypto.dh_generate();
    let (b, b_public) = crypto.dh_generate();
    let (c, c_public) = crypto.dh_generate();
    assert_ne!(a_public, b_public);
    let shared = crypto.dh(&a, &b_public).unwrap();
    assert_eq!(crypto.dh(&b, &a_public), Some(shared));
    assert_eq!(crypto.dh(&a, &b_public), Some(shared), "a secret can be used again");
    assert_ne!(crypto.dh(&c, &a_public), Some(shared));
    assert_ne!(crypto.dh(&a, &c_public), Some(shared));
    assert_eq!(crypto.dh(&a, &[0; 32]), None);
}

fn only_the_holder_signs<C: Crypto>(crypto: &mut C) {
    let mut seed = [0; 32];
    crypto.random(&mut seed);
    let key = crypto.signing_key(&seed);
    let public = crypto.public_key(&key);
    assert_eq!(crypto.public_key(&crypto.signing_key(&seed)), public);
    seed[0] ^= 1;
    let other = crypto.signing_key(&seed);
    assert_ne!(crypto.public_key(&other), public);

    for message in [&b""[..], b"hello", &[0xa5; 1_000]] {
        let signature = crypto.sign(&key, message);
        assert_eq!(crypto.sign(&key, message), signature, "signing is deterministic");
        assert!(crypto.verify(&public, message, &signature));
        assert!(!crypto.verify(&crypto.public_key(&other), message, &signature));
        assert!(!crypto.verify(&public, &[message, b"!"].concat(), &signature));
        assert!(!crypto.verify(&public, message, &crypto.sign(&other, message)));
        for bit in 0..512 {
            let mut forged = signature;
            forged.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!crypto.verify(&public, message, &forged), "bit {bit}");
        }
    }
    let signature = crypto.sign(&key, b"hello");
    for bit in 0..256 {
        let mut wrong = public;
        wrong.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!crypto.verify(&wrong, b"hello", &signature), "bit {bit}");
    }
    assert!(!crypto.verify(&PublicKey([0; 32]), b"hello", &Signature([0; 64])));
}

fn sealed_pieces_open_whole_or_not_at_all<C: Crypto>(crypto: &C) {
    for aead in AEADS {
        let cipher = crypto.cipher(aead, &[3; 32]);
        for length in LENGTHS {
            let plain: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let mut sealed = plain.clone();
            let tag = crypto.seal(&cipher, &[9; 12], b"aad", &mut sealed);
            assert!(length < 16 || sealed != plain);

            let mut opened = sealed.clone();
            assert_eq!(crypto.open(&cipher, &[9; 12], b"aad", &mut opened, &tag), Ok(()));
            assert_eq!(opened, plain);

            let refused = |buffer: &[u8], nonce: u8, aad: &[u8], tag| {
                crypto.open(&cipher, &[nonce; 12], aad, &mut buffer.to_vec(), &tag) == Err(BadTag)
            };
            assert!(refused(&sealed, 8, b"aad", tag));
            assert!(refused(&sealed, 9, b"aae", tag));
            assert!(refused(&sealed, 9, b"", tag));
            for bit in 0..128 {
                let mut wrong = tag;
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(refused(&sealed, 9, b"aad", wrong));
            }
            for at in [0, length / 2, length.saturating_sub(1)] {
                if let Some(byte) = sealed.get(at) {
                    let mut wrong = sealed.clone();
                    wrong[at] = byte ^ 0x80;
                    assert!(refused(&wrong, 9, b"aad", tag));
                    assert!(refused(&sealed[1..], 9, b"aad", tag));
                    assert!(refused(&sealed[..length - 1], 9, b"aad", tag));
                }
            }
        }
    }
}

fn keys_nonces_and_ciphers_are_apart<C: Crypto>(crypto: &C) {
    let mut seen = Vec::new();
    for aead in AEADS {
        for key in [[1; 32], [2; 32]] {
            for nonce in [[1; 12], [2; 12]] {
                let mut buffer = [0; 64];
                let tag = crypto.seal(&crypto.cipher(aead, &key), &nonce, b"", &mut buffer);
                seen.push((buffer, tag));
            }
        }
    }
    for (i, one) in seen.iter().enumerate() {
        assert!(seen[..i].iter().all(|other| other.0 != one.0 && other.1 != one.1));
    }
}
