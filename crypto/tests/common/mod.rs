//! What several test files share.

use p2pnet_protocol::Crypto;

/// A provider whose private keys a test can give, which the trait doesn't allow.
pub(crate) trait FromScalar: Crypto {
    fn dh_secret(scalar: [u8; 32]) -> Self::DhSecret;
}

#[cfg(feature = "pure")]
impl FromScalar for p2pnet_crypto::PureCrypto {
    fn dh_secret(scalar: [u8; 32]) -> Self::DhSecret {
        scalar.into()
    }
}

#[cfg(feature = "fast")]
impl FromScalar for p2pnet_crypto::FastCrypto {
    fn dh_secret(scalar: [u8; 32]) -> Self::DhSecret {
        use aws_lc_rs::agreement::{PrivateKey, X25519};
        PrivateKey::from_private_key(&X25519, &scalar).unwrap()
    }
}

/// The bytes that `text` names; spaces and line ends between digits are skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8);
    let digits: Vec<u8> = digits.collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The same, of known length.
pub(crate) fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// Key, signature, message, verdict and remark of each line of `vectors/ed25519-edge-cases.txt`.
pub(crate) fn edge_cases() -> impl Iterator<Item = (EdgeCase, &'static str)> {
    let lines = include_str!("../vectors/ed25519-edge-cases.txt").lines();
    lines.filter(|line| !line.starts_with('#')).map(|line| {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().unwrap();
        let case = EdgeCase {
            key: p2pnet_protocol::PublicKey(hex_array(word())),
            signature: p2pnet_protocol::Signature(hex_array(word())),
            message: hex(word()),
            valid: match word() {
                "valid" => true,
                "invalid" => false,
                other => panic!("{other}"),
            },
        };
        (case, word())
    })
}

pub(crate) struct EdgeCase {
    pub(crate) key: p2pnet_protocol::PublicKey,
    pub(crate) signature: p2pnet_protocol::Signature,
    pub(crate) message: Vec<u8>,
    pub(crate) valid: bool,
}
