//! The published test vectors, for each real provider.
#![cfg(any(feature = "pure", feature = "fast"))]

mod common;

use common::{FromScalar, hex, hex_array};
use p2pnet_protocol::Signature;
use p2pnet_protocol::crypto::{Aead, Crypto};

macro_rules! suite {
    ($name:ident, $provider:ty) => {
        mod $name {
            fn crypto() -> $provider {
                <$provider>::new().unwrap()
            }
            #[test]
            fn x25519() {
                super::x25519(&crypto());
            }
            #[test]
            fn x25519_a_thousand_times() {
                super::x25519_a_thousand_times(&crypto());
            }
            #[test]
            fn x25519_refuses_small_order() {
                super::x25519_refuses_small_order(&crypto());
            }
            #[test]
            fn ed25519() {
                super::ed25519(&crypto());
            }
            #[test]
            fn ed25519_edge_cases() {
                super::ed25519_edge_cases(&crypto());
            }
            #[test]
            fn chacha20_poly1305() {
                super::chacha20_poly1305(&crypto());
            }
            #[test]
            fn aes_256_gcm() {
                super::aes_256_gcm(&crypto());
            }
        }
    };
}

#[cfg(feature = "pure")]
suite!(pure, p2pnet_crypto::PureCrypto);
#[cfg(feature = "fast")]
suite!(fast, p2pnet_crypto::FastCrypto);

fn dh<C: FromScalar>(crypto: &C, scalar: [u8; 32], u: [u8; 32]) -> Option<[u8; 32]> {
    crypto.dh(&C::dh_secret(scalar), &u)
}

/// RFC 7748, sections 5.2 (the second has the ignored top bit set) and 6.1 (from either side).
fn x25519<C: FromScalar>(crypto: &C) {
    let agreed = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    let cases = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        (
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            agreed,
        ),
        (
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            agreed,
        ),
    ];
    for (scalar, u, shared) in cases {
        assert_eq!(dh(crypto, hex_array(scalar), hex_array(u)), Some(hex_array(shared)));
    }
}

/// RFC 7748, section 5.2: each result is the next scalar, each scalar the next point.
fn x25519_a_thousand_times<C: FromScalar>(crypto: &C) {
    let mut nine = [0; 32];
    nine[0] = 9;
    let (mut scalar, mut u) = (nine, nine);
    for i in 1..=1_000 {
        (scalar, u) = (dh(crypto, scalar, u).unwrap(), scalar);
        if i == 1 {
            let once = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
            assert_eq!(scalar, hex_array(once));
        }
    }
    let at_last = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
    assert_eq!(scalar, hex_array(at_last));
}

/// The points whose order divides 8, reduced or not, with the ignored top bit clear and set: the list on Bernstein's
/// Curve25519 page.
fn x25519_refuses_small_order<C: FromScalar>(crypto: &C) {
    let weak = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for u in weak.map(hex_array::<32>) {
        let mut high = u;
        high[31] |= 0x80;
        assert_eq!(dh(crypto, [0x5a; 32], u), None);
        assert_eq!(dh(crypto, [0x5a; 32], high), None);
    }
    let mut nine = [0; 32];
    nine[0] = 9;
    assert!(dh(crypto, [0x5a; 32], nine).is_some());
}

/// RFC 8032, section 7.1, tests 1 to 3.
fn ed25519<C: Crypto>(crypto: &C) {
    let cases = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
             5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, public, message, signature) in cases {
        let key = crypto.signing_key(&hex_array(seed));
        let signature = Signature(hex_array(signature));
        assert_eq!(crypto.public_key(&key).0, hex_array(public));
        assert_eq!(crypto.sign(&key, &hex(message)), signature);
        assert!(crypto.verify(&crypto.public_key(&key), &hex(message), &signature));
    }
}

/// Points of small order, points with a part of small order, unreduced points and scalars.
fn ed25519_edge_cases<C: Crypto>(crypto: &C) {
    let mut verdicts = [0; 2];
    for (case, remark) in common::edge_cases() {
        let valid = crypto.verify(&case.key, &case.message, &case.signature);
        assert_eq!(valid, case.valid, "{} {remark}", case.key);
        verdicts[usize::from(valid)] += 1;
    }
    assert_eq!(verdicts, [74, 4]);
}

fn sealed<C: Crypto>(crypto: &C, aead: Aead, [key, nonce, aad, plain]: [&str; 4]) -> Vec<u8> {
    let cipher = crypto.cipher(aead, &hex_array(key));
    let mut buffer = hex(plain);
    let (nonce, aad) = (hex_array(nonce), hex(aad));
    let tag = crypto.seal(&cipher, &nonce, &aad, &mut buffer);
    let all = [&buffer[..], &tag].concat();
    assert_eq!(crypto.open(&cipher, &nonce, &aad, &mut buffer, &tag), Ok(()));
    assert_eq!(buffer, hex(plain));
    all
}

/// RFC 8439, section 2.8.2.
fn chacha20_poly1305<C: Crypto>(crypto: &C) {
    let plain = "
        4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920
        636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c207375
        6e73637265656e20776f756c642062652069742e";
    let result = "
        d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da9272
        8b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831
        d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
    let input = [
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        "070000004041424344454647",
        "50515253c0c1c2c3c4c5c6c7",
        plain,
    ];
    assert_eq!(sealed(crypto, Aead::ChaCha20Poly1305, input), hex(result));
}

/// Test cases 13 to 16 of the GCM specification that NIST SP 800-38D cites (McGrew and Viega).
fn aes_256_gcm<C: Crypto>(crypto: &C) {
    let zero_key = "0000000000000000000000000000000000000000000000000000000000000000";
    let zero_nonce = "000000000000000000000000";
    let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let nonce = "cafebabefacedbaddecaf888";
    let plain = "
        d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b5
        25b16aedf5aa0de657ba637b39";
    let cases = [
        ([zero_key, zero_nonce, "", ""], "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            [zero_key, zero_nonce, "", "00000000000000000000000000000000"],
            "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            [key, nonce, "", &format!("{plain}1aafd255")],
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568288
             38c5f61e6393ba7a0abcc9f662898015ad b094dac5d93471bdec1a502270e3cc6c",
        ),
        (
            [key, nonce, "feedfacedeadbeeffeedfacedeadbeefabaddad2", plain],
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568288
             38c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ];
    for (input, result) in cases {
        assert_eq!(sealed(crypto, Aead::Aes256Gcm, input), hex(result));
    }
}
