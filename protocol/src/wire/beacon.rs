//! The beacon: one datagram by which a node tells its LAN that it is there (`docs/wire.md`, section "Beacons").
//!
//! ```text
//!  0  magic "P2PB"      4 bytes      16  identity key   32 bytes
//!  4  version = 1       1            48  start nonce     8
//!  5  flags             1            56  counter         8
//!  6  TCP port          2            64  extensions      0 to 384, each kind (1), length (varint), body
//!  8  network tag       8          len - 64  signature  64
//! ```
//!
//! Reading goes from cheap to dear: [`network_of`] looks at sixteen bytes, [`SignedBeacon::decode`] at the layout, and
//! [`SignedBeacon::verify`] alone does public-key cryptography.

use super::codec::{Malformed, Reader, put_prefixed};
use crate::crypto::Crypto;
use crate::id::{PublicKey, Signature};
use alloc::vec::Vec;

/// The most bytes a beacon may have.
pub const BEACON_BYTES_MAX: usize = 512;
/// The bytes of a beacon without extensions, the fewest it may have.
pub const BEACON_BYTES_MIN: usize = HEAD_BYTES + SIGNATURE_BYTES;
/// The version that this code speaks.
pub const BEACON_VERSION: u8 = 1;

const MAGIC: [u8; 4] = *b"P2PB";
const HEAD_BYTES: usize = 64;
const SIGNATURE_BYTES: usize = 64;
/// Keeps a signature over a beacon from ever being one over something else.
const SIGNING_LABEL: &[u8] = b"p2pnet beacon v1\0";

/// What a beacon says, apart from extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// The tag of the network ([`NetworkName::tag`](crate::NetworkName::tag)).
    pub network: [u8; 8],
    /// Bits that later versions may give a meaning: sent as zero, ignored when received.
    pub flags: u8,
    /// The TCP port on which the sender accepts at the address that the beacon came from; 0 if it accepts none there.
    pub tcp_port: u16,
    /// Who the sender is.
    pub key: PublicKey,
    /// Drawn at random when the sender started.
    pub start: u64,
    /// Larger in each beacon of one start.
    pub counter: u64,
}

/// Why a datagram is no beacon for us, found without cryptography.
///
/// ```
/// use p2pnet_protocol::wire::beacon::{NoBeacon, network_of};
/// assert_eq!(network_of(b"something else on this port"), Err(NoBeacon::Foreign));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBeacon {
    /// It doesn't begin as beacons do, or its size is out of bounds.
    Foreign,
    /// It is a beacon of a version that this code doesn't know.
    Version(u8),
    /// It is a beacon that breaks the layout.
    Malformed(Malformed),
}

impl From<Malformed> for NoBeacon {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The network tag of a datagram that looks like a beacon of this version.
///
/// # Errors
/// [`NoBeacon::Foreign`] or [`NoBeacon::Version`] if it doesn't.
pub fn network_of(datagram: &[u8]) -> Result<[u8; 8], NoBeacon> {
    let (head, _) = datagram.split_first_chunk::<16>().ok_or(NoBeacon::Foreign)?;
    let &[a, b, c, d, version, _, _, _, ref tag @ ..] = head;
    if [a, b, c, d] != MAGIC {
        Err(NoBeacon::Foreign)
    } else if version != BEACON_VERSION {
        Err(NoBeacon::Version(version))
    } else if !(BEACON_BYTES_MIN..=BEACON_BYTES_MAX).contains(&datagram.len()) {
        Err(NoBeacon::Foreign)
    } else {
        Ok(*tag)
    }
}

/// An extension: a kind and a body. Kinds that the reader doesn't know are skipped, but the signature covers them.
pub type Extension<'a> = (u8, &'a [u8]);

impl Beacon {
    /// The datagram, signed with `key`, which must be the private half of [`Beacon::key`].
    ///
    /// `extensions` come in ascending order of kind, each kind once. What doesn't fit into [`BEACON_BYTES_MAX`] is left
    /// out.
    pub fn encode<C: Crypto>(
        &self,
        extensions: &[Extension<'_>],
        crypto: &C,
        key: &C::SigningKey,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(BEACON_BYTES_MIN.saturating_add(SIGNING_LABEL.len()));
        out.extend_from_slice(SIGNING_LABEL);
        self.put_head(&mut out);
        let fits = BEACON_BYTES_MAX.saturating_sub(SIGNATURE_BYTES);
        for (kind, body) in extensions {
            let before = out.len();
            out.push(*kind);
            put_prefixed(&mut out, body);
            if out.len() > fits.saturating_add(SIGNING_LABEL.len()) {
                out.truncate(before);
            }
        }
        let signature = crypto.sign(key, &out);
        out.drain(..SIGNING_LABEL.len());
        out.extend_from_slice(&signature.0);
        out
    }

    fn put_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[BEACON_VERSION, self.flags]);
        out.extend_from_slice(&self.tcp_port.to_be_bytes());
        out.extend_from_slice(&self.network);
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&self.counter.to_be_bytes());
    }
}

/// A beacon that follows the layout. Nothing in it is proved before [`verify`](Self::verify).
#[derive(Clone, Copy, Debug)]
pub struct SignedBeacon<'a> {
    beacon: Beacon,
    extensions: &'a [u8],
    signed: &'a [u8],
    signature: Signature,
}

impl<'a> SignedBeacon<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`NoBeacon`] if `datagram` is not exactly one beacon of this version.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, NoBeacon> {
        let network = network_of(datagram)?;
        let signed_bytes = datagram.len().saturating_sub(SIGNATURE_BYTES);
        let mut whole = Reader::new(datagram);
        let signed = whole.take(signed_bytes, "beacon")?;
        let signature = Signature(whole.array("beacon signature")?);
        let mut from = Reader::new(signed);
        from.take(MAGIC.len().saturating_add(1), "beacon magic")?;
        let flags = from.u8("beacon flags")?;
        let tcp_port = from.u16("beacon port")?;
        from.take(network.len(), "beacon network tag")?;
        let key = PublicKey(from.array("beacon key")?);
        let start = from.u64("beacon start nonce")?;
        let counter = from.u64("beacon counter")?;
        let extensions = from.rest();
        check_extensions(from)?;
        let beacon = Beacon { network, flags, tcp_port, key, start, counter };
        Ok(Self { beacon, extensions, signed, signature })
    }

    /// What it claims.
    pub const fn claims(&self) -> &Beacon {
        &self.beacon
    }

    /// The body of its extension `kind`.
    pub fn extension(&self, kind: u8) -> Option<&'a [u8]> {
        let mut from = Reader::new(self.extensions);
        while let Ok((found, body)) = next_extension(&mut from) {
            if found == kind {
                return Some(body);
            }
        }
        None
    }

    /// Whether the holder of the key that it names signed all of it.
    pub fn verify<C: Crypto>(&self, crypto: &C) -> bool {
        let mut message = Vec::with_capacity(self.signed.len().saturating_add(SIGNING_LABEL.len()));
        message.extend_from_slice(SIGNING_LABEL);
        message.extend_from_slice(self.signed);
        crypto.verify(&self.beacon.key, &message, &self.signature)
    }
}

fn next_extension<'a>(from: &mut Reader<'a>) -> Result<Extension<'a>, Malformed> {
    Ok((from.u8("beacon extension")?, from.prefixed(BEACON_BYTES_MAX, "beacon extension")?))
}

/// Ascending kinds give one set of extensions one encoding.
fn check_extensions(mut from: Reader<'_>) -> Result<(), Malformed> {
    let mut last = None;
    while !from.is_empty() {
        let (kind, _) = next_extension(&mut from)?;
        if last.is_some_and(|last| last >= kind) {
            return Err(Malformed("order of beacon extensions"));
        }
        last = Some(kind);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::testing::ToyCrypto;
    use crate::id::NetworkName;
    use proptest::prelude::*;

    // `tests/beacon.rs` checks the signatures of these.
    const GOLDEN: &str = include_str!("../../tests/vectors/beacon.hex");
    const GOLDEN_EXTENDED: &str = include_str!("../../tests/vectors/beacon-extended.hex");

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn golden_beacon() -> Beacon {
        let key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        Beacon {
            network: NetworkName::default().tag(),
            flags: 0,
            tcp_port: 40001,
            key: key.parse().unwrap(),
            start: 0x0102_0304_0506_0708,
            counter: 7,
        }
    }

    #[test]
    fn golden_vectors_decode() {
        let bytes = bytes_of(GOLDEN);
        assert_eq!(bytes.len(), BEACON_BYTES_MIN);
        let beacon = SignedBeacon::decode(&bytes).unwrap();
        assert_eq!(*beacon.claims(), golden_beacon());
        assert_eq!(network_of(&bytes), Ok(NetworkName::default().tag()));

        let bytes = bytes_of(GOLDEN_EXTENDED);
        let beacon = SignedBeacon::decode(&bytes).unwrap();
        assert_eq!(*beacon.claims(), golden_beacon());
        assert_eq!(beacon.extension(0x20), Some(&b"abc"[..]));
        assert_eq!(beacon.extension(0x21), None);
    }

    #[test]
    fn golden_vectors_are_what_we_write() {
        for (hex, extensions) in [(GOLDEN, &[][..]), (GOLDEN_EXTENDED, &[(0x20, &b"abc"[..])][..])]
        {
            let bytes = bytes_of(hex);
            let mut out = Vec::new();
            golden_beacon().put_head(&mut out);
            for (kind, body) in extensions {
                out.push(*kind);
                put_prefixed(&mut out, body);
            }
            assert_eq!(out, bytes[..bytes.len() - SIGNATURE_BYTES]);
        }
    }

    fn any_beacon() -> impl Strategy<Value = Beacon> {
        (any::<[u8; 8]>(), any::<u8>(), any::<u16>(), any::<[u8; 32]>(), any::<u64>(), any::<u64>())
            .prop_map(|(network, flags, tcp_port, seed, start, counter)| {
                let key = ToyCrypto.public_key(&ToyCrypto.signing_key(&seed));
                Beacon { network, flags, tcp_port, key, start, counter }
            })
    }

    fn any_extensions() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        let body = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::btree_map(any::<u8>(), body, 0..6)
            .prop_map(|map| map.into_iter().collect())
    }

    fn encoded(beacon: &Beacon, extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let extensions: Vec<Extension<'_>> =
            extensions.iter().map(|(kind, body)| (*kind, &body[..])).collect();
        // The toy scheme's private and public keys are the same bytes.
        beacon.encode(&extensions, &ToyCrypto, &beacon.key.0)
    }

    proptest! {
        #[test]
        fn beacons_round_trip(beacon in any_beacon(), extensions in any_extensions()) {
            let bytes = encoded(&beacon, &extensions);
            let read = SignedBeacon::decode(&bytes).unwrap();
            prop_assert_eq!(*read.claims(), beacon);
            prop_assert!(read.verify(&ToyCrypto));
            for (kind, body) in &extensions {
                prop_assert_eq!(read.extension(*kind), Some(&body[..]));
            }
        }

        #[test]
        fn any_changed_byte_is_found(
            beacon in any_beacon(),
            extensions in any_extensions(),
            at: prop::sample::Index,
            flip in 1u8..,
        ) {
            let mut bytes = encoded(&beacon, &extensions);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let survives = SignedBeacon::decode(&bytes).is_ok_and(|read| read.verify(&ToyCrypto));
            prop_assert!(!survives, "byte {at}");
        }

        #[test]
        fn any_cut_or_addition_is_found(
            beacon in any_beacon(),
            extensions in any_extensions(),
            at: prop::sample::Index,
            more in prop::collection::vec(any::<u8>(), 1..80),
        ) {
            let bytes = encoded(&beacon, &extensions);
            let survives =
                |bytes: &[u8]| SignedBeacon::decode(bytes).is_ok_and(|read| read.verify(&ToyCrypto));
            prop_assert!(!survives(&bytes[..at.index(bytes.len())]));
            prop_assert!(!survives(&[&bytes[..], &more].concat()));
        }

        #[test]
        fn arbitrary_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut beacon_like = golden_head();
            beacon_like.extend_from_slice(&bytes);
            for candidate in [&bytes, &beacon_like] {
                if let Ok(read) = SignedBeacon::decode(candidate) {
                    prop_assert!((BEACON_BYTES_MIN..=BEACON_BYTES_MAX).contains(&candidate.len()));
                    prop_assert_eq!(network_of(candidate), Ok(read.claims().network));
                }
            }
        }
    }

    fn golden_head() -> Vec<u8> {
        let mut head = Vec::new();
        golden_beacon().put_head(&mut head);
        head
    }

    #[test]
    fn other_formats_and_versions_are_told_apart() {
        let mut bytes = bytes_of(GOLDEN);
        bytes[4] = 2;
        assert_eq!(network_of(&bytes), Err(NoBeacon::Version(2)));
        bytes[0] = b'{';
        assert_eq!(network_of(&bytes), Err(NoBeacon::Foreign));
        assert_eq!(network_of(b""), Err(NoBeacon::Foreign));
        let long = [golden_head(), alloc::vec![0; 449]].concat();
        assert_eq!(long.len(), BEACON_BYTES_MAX + 1);
        assert_eq!(network_of(&long), Err(NoBeacon::Foreign));
    }

    #[test]
    fn disordered_repeated_and_torn_extensions_are_malformed() {
        for extensions in
            [&[2, 0, 1, 0][..], &[1, 0, 1, 0], &[1], &[1, 2, 0], &[1, 0x80, 0x00], &[1, 0xff]]
        {
            let bytes = [&golden_head(), extensions, &[0; SIGNATURE_BYTES][..]].concat();
            let read = SignedBeacon::decode(&bytes).map(|read| *read.claims());
            assert!(matches!(read, Err(NoBeacon::Malformed(_))), "{extensions:x?}: {read:?}");
        }
    }

    #[test]
    fn extensions_that_do_not_fit_are_left_out() {
        let beacon = golden_beacon();
        let bytes = encoded(
            &beacon,
            &[(1, alloc::vec![7; 380]), (2, alloc::vec![8; 2]), (3, alloc::vec![])],
        );
        assert!(bytes.len() <= BEACON_BYTES_MAX);
        let read = SignedBeacon::decode(&bytes).unwrap();
        assert_eq!(read.extension(1).map(<[u8]>::len), Some(380));
        assert_eq!(read.extension(2), None);
        assert!(read.verify(&ToyCrypto));
    }
}
