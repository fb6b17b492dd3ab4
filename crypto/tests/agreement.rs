//! The real providers against each other: the same bytes from the same keys, the same verdict on every input.
#![cfg(all(feature = "pure", feature = "fast"))]

mod common;

use common::FromScalar as _;
use p2pnet_crypto::{FastCrypto, PureCrypto};
use p2pnet_protocol::channel::noise::{self, Finished, StaticKey};
use p2pnet_protocol::crypto::{Aead, BadTag, Crypto};
use p2pnet_protocol::{PublicKey, Signature};

fn both() -> (PureCrypto, FastCrypto) {
    (PureCrypto::new().unwrap(), FastCrypto::new().unwrap())
}

fn drawn<const N: usize>(crypto: &mut impl Crypto) -> [u8; N] {
    let mut bytes = [0; N];
    crypto.random(&mut bytes);
    bytes
}

#[test]
fn what_one_seals_the_other_opens() {
    let (mut pure, fast) = both();
    for aead in [Aead::Aes256Gcm, Aead::ChaCha20Poly1305] {
        for length in [0, 1, 15, 16, 17, 63, 64, 65, 191, 192, 193, 1_500, 16_384, 65_519] {
            let (key, nonce) = (drawn(&mut pure), drawn(&mut pure));
            let aad: [u8; 21] = drawn(&mut pure);
            let mut plain = vec![0; length];
            pure.random(&mut plain);
            let (by_pure, by_fast) = (pure.cipher(aead, &key), fast.cipher(aead, &key));

            let mut sealed = plain.clone();
            let tag = pure.seal(&by_pure, &nonce, &aad, &mut sealed);
            let mut same = plain.clone();
            assert_eq!(fast.seal(&by_fast, &nonce, &aad, &mut same), tag);
            assert_eq!(sealed, same);

            assert_eq!(fast.open(&by_fast, &nonce, &aad, &mut sealed, &tag), Ok(()));
            assert_eq!(pure.open(&by_pure, &nonce, &aad, &mut same, &tag), Ok(()));
            assert_eq!((&sealed, &same), (&plain, &plain));

            let other = drawn(&mut pure);
            assert_eq!(fast.open(&by_fast, &other, &aad, &mut sealed, &tag), Err(BadTag));
            assert_eq!(pure.open(&by_pure, &other, &aad, &mut same, &tag), Err(BadTag));
        }
    }
}

#[test]
fn both_agree_on_secrets() {
    let (mut pure, mut fast) = both();
    for _ in 0..32 {
        let (ours, our_public) = pure.dh_generate();
        let (theirs, their_public) = fast.dh_generate();
        let shared = pure.dh(&ours, &their_public);
        assert!(shared.is_some());
        assert_eq!(fast.dh(&theirs, &our_public), shared);

        // Any 32 bytes are a scalar, and any a point of the curve or of its twist, reduced or not.
        let scalar = drawn(&mut pure);
        let mut u: [u8; 32] = drawn(&mut pure);
        let (a, b) = (PureCrypto::dh_secret(scalar), FastCrypto::dh_secret(scalar));
        assert_eq!(pure.dh(&a, &u), fast.dh(&b, &u));
        u[1..].fill(0xff);
        assert_eq!(pure.dh(&a, &u), fast.dh(&b, &u));
    }
}

#[test]
fn both_sign_alike_and_accept_each_other() {
    let (mut pure, fast) = both();
    for length in [0, 1, 63, 64, 111, 112, 128, 1_000] {
        let seed = drawn(&mut pure);
        let mut message = vec![0; length];
        pure.random(&mut message);
        let (a, b) = (pure.signing_key(&seed), fast.signing_key(&seed));
        let public = pure.public_key(&a);
        assert_eq!(fast.public_key(&b), public);
        let signature = pure.sign(&a, &message);
        assert_eq!(fast.sign(&b, &message), signature);
        assert!(pure.verify(&public, &message, &signature));
        assert!(fast.verify(&public, &message, &signature));
    }
}

/// Every edge case combined with every other's key, `R`, `S` and message, and with single bits flipped.
#[test]
fn both_give_the_same_verdict() {
    let (pure, fast) = both();
    let mut accepted = 0;
    let mut check = |key: PublicKey, message: &[u8], signature: Signature| {
        let verdict = pure.verify(&key, message, &signature);
        assert_eq!(fast.verify(&key, message, &signature), verdict, "{key} {signature}");
        accepted += u32::from(verdict);
    };
    let cases: Vec<_> = common::edge_cases().map(|(case, _)| case).collect();
    for (i, case) in cases.iter().enumerate() {
        assert_eq!(pure.verify(&case.key, &case.message, &case.signature), case.valid);
        check(case.key, &case.message, case.signature);
        for bit in (i % 7..512).step_by(7) {
            let mut other = case.signature;
            other.0[bit / 8] ^= 1 << (bit % 8);
            check(case.key, &case.message, other);
        }
        for other in &cases {
            let mut mixed = case.signature;
            check(other.key, &case.message, mixed);
            mixed.0[..32].copy_from_slice(&other.signature.0[..32]);
            check(case.key, &case.message, mixed);
        }
    }
    assert!(accepted >= 4, "{accepted}");
}

/// Any encodings of points near zero, near the modulus and at random, on the curve or not, under an equation that holds
/// for points of small order: `S = 0` and `R = -[k]A`.
#[test]
fn both_refuse_the_same_keys() {
    let (mut pure, fast) = both();
    let mut points: Vec<[u8; 32]> = Vec::new();
    for low in 0..=255 {
        for high in [0x00, 0x80, 0x7f, 0xff] {
            let mut point = [if high & 0x7f == 0 { 0x00 } else { 0xff }; 32];
            (point[0], point[31]) = (low, high);
            points.push(point);
        }
        points.push(drawn(&mut pure));
    }
    for key in points {
        for r in [0_u8, 1] {
            let mut signature = Signature([0; 64]);
            signature.0[0] = r;
            let verdict = pure.verify(&PublicKey(key), b"message", &signature);
            assert_eq!(fast.verify(&PublicKey(key), b"message", &signature), verdict);
            assert!(!verdict);
        }
    }
}

/// A whole handshake with a different provider at each end.
#[test]
fn both_shake_hands() {
    fn shake(mut a: impl Crypto, mut b: impl Crypto) -> (Finished, Finished) {
        let (a_static, b_static) = (StaticKey::generate(&mut a), StaticKey::generate(&mut b));
        let mut wire = Vec::new();
        let sent = noise::write_1(&mut a, b"", b"one", &mut wire).unwrap();
        let (read, _) = noise::read_1(b"", &mut wire).unwrap();
        let mut wire = Vec::new();
        let sent_2 = read.write_2(&mut b, &b_static, b"two", &mut wire).unwrap();
        let (read_2, payload) = sent.read_2(&a, &mut wire).unwrap();
        assert_eq!(payload, b"two");
        let mut wire = Vec::new();
        let ours = read_2.write_3(&a, &a_static, b"three", &mut wire).unwrap();
        let (theirs, payload) = sent_2.read_3(&b, &mut wire).unwrap();
        assert_eq!(payload, b"three");
        (ours, theirs)
    }
    let (pure, fast) = both();
    for (ours, theirs) in [shake(pure.clone(), fast.clone()), shake(fast, pure)] {
        assert_eq!(ours.transcript, theirs.transcript);
        assert_eq!(*ours.send_key, *theirs.receive_key);
        assert_eq!(*ours.receive_key, *theirs.send_key);
    }
}
