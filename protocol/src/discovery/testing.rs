//! What the tests of discovery share.

use crate::crypto::{Aead, BadTag, Crypto, DhPublic, DhShared, Nonce, Tag};
use crate::id::{PublicKey, Signature};
use crate::net::{Interface, InterfaceAddress, IpPrefix};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

/// An interface with these addresses, such as `192.0.2.7/24`.
pub(crate) fn interface(index: u32, loopback: bool, addresses: &[&str]) -> Interface {
    let address = |text: &&str| {
        let (address, length) = text.split_once('/').unwrap();
        let address: IpAddr = address.parse().unwrap();
        let length: u8 = length.parse().unwrap();
        let broadcast = match address {
            IpAddr::V4(ip) if length < 31 && !loopback => {
                let hosts = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                Some(Ipv4Addr::from_bits(ip.to_bits() | hosts))
            }
            _ => None,
        };
        InterfaceAddress { prefix: IpPrefix::new(address, length).unwrap(), address, broadcast }
    };
    let addresses: Vec<_> = addresses.iter().map(address).collect();
    let name = alloc::format!("if{index}");
    Interface { index, name, loopback, multicast: !loopback, addresses }
}

pub(crate) fn ethernet(index: u32, addresses: &[&str]) -> Interface {
    interface(index, false, addresses)
}

pub(crate) fn loopback() -> Interface {
    interface(1, true, &["127.0.0.1/8", "::1/128"])
}

/// Signatures that cost a few nanoseconds and keep nobody out: for simulations of thousands of nodes. Private and
/// public keys are the same bytes. Its ciphers leave everything as it is, so that a test can say what it likes in a
/// record. Nothing else works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToyCrypto;

/// FNV-1a over eight-byte words, four lanes, finished with a multiply and shift.
fn digest(key: &[u8; 32], message: &[u8]) -> Signature {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut lanes = [0xcbf2_9ce4_8422_2325, 1, 2, message.len() as u64];
    let words = key.chunks(8).chain(message.chunks(8));
    for (n, word) in words.enumerate() {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        let lane = &mut lanes[n % 4];
        *lane = (*lane ^ u64::from_le_bytes(padded)).wrapping_mul(PRIME).rotate_left(23);
    }
    let mixed = lanes.iter().fold(0u64, |mixed, lane| {
        (mixed.rotate_left(17) ^ lane).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    let mut signature = [0; 64];
    for (n, word) in signature.chunks_mut(8).enumerate() {
        word.copy_from_slice(&mixed.rotate_left(n as u32 * 8).to_le_bytes());
    }
    Signature(signature)
}

impl Crypto for ToyCrypto {
    type DhSecret = ();
    type SigningKey = [u8; 32];
    type Cipher = ();

    fn random(&mut self, _out: &mut [u8]) {
        unreachable!("discovery draws no secrets")
    }
    fn aeads(&self) -> &[Aead] {
        &[]
    }
    fn dh_generate(&mut self) -> ((), DhPublic) {
        unreachable!("discovery exchanges no keys")
    }
    fn dh(&self, (): &(), _public: &DhPublic) -> Option<DhShared> {
        None
    }
    fn signing_key(&self, seed: &[u8; 32]) -> [u8; 32] {
        *seed
    }
    fn public_key(&self, key: &[u8; 32]) -> PublicKey {
        PublicKey(*key)
    }
    fn sign(&self, key: &[u8; 32], message: &[u8]) -> Signature {
        digest(key, message)
    }
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        digest(&key.0, message) == *signature
    }
    fn cipher(&self, _aead: Aead, _key: &[u8; 32]) {}
    fn seal(&self, (): &(), _nonce: &Nonce, _aad: &[u8], _buffer: &mut [u8]) -> Tag {
        [0; 16]
    }
    fn open(
        &self,
        (): &(),
        _nonce: &Nonce,
        _aad: &[u8],
        _buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        if *tag == [0; 16] { Ok(()) } else { Err(BadTag) }
    }
}
