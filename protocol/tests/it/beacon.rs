//! The beacon's golden vectors under real Ed25519. `docs/wire.md` prints them; they were made with another
//! implementation.

use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::wire::{Beacon, SignedBeacon};
use p2pnet_protocol::{Crypto as _, NetworkName};

const PLAIN: &str = include_str!("../vectors/beacon.hex");
const EXTENDED: &str = include_str!("../vectors/beacon-extended.hex");

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn golden_vectors_are_what_we_sign() {
    let crypto = PureCrypto::new().unwrap();
    let seed: [u8; 32] = core::array::from_fn(|n| n as u8);
    let private = crypto.signing_key(&seed);
    let beacon = Beacon {
        network: NetworkName::default().tag(),
        flags: 0,
        tcp_port: 40001,
        key: crypto.public_key(&private),
        start: 0x0102_0304_0506_0708,
        counter: 7,
    };
    assert_eq!(beacon.encode(&[], &crypto, &private), bytes_of(PLAIN));
    assert_eq!(beacon.encode(&[(0x20, b"abc")], &crypto, &private), bytes_of(EXTENDED));
}

#[test]
fn golden_vectors_verify_and_no_flipped_bit_does() {
    let crypto = PureCrypto::new().unwrap();
    for vector in [PLAIN, EXTENDED] {
        let mut bytes = bytes_of(vector);
        assert!(SignedBeacon::decode(&bytes).unwrap().verify(&crypto));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let survives = SignedBeacon::decode(&bytes).is_ok_and(|beacon| beacon.verify(&crypto));
            assert!(!survives, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn the_specification_prints_these_vectors() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let pages = std::fs::read_dir(docs).unwrap().map(|page| page.unwrap().path());
    let pages: Vec<String> = pages
        .filter(|page| page.is_file())
        .map(|page| std::fs::read_to_string(page).unwrap())
        .collect();
    for vector in [PLAIN, EXTENDED] {
        assert!(pages.iter().any(|page| page.contains(vector.trim())), "{vector}");
    }
}
