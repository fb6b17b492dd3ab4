//! Decoders of the wire: whatever bytes decode have one meaning, and that meaning has one encoding, the same bytes.

use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::trust::certificate::Certificate;
use p2pnet_protocol::wire::address::{decode_endpoints, encode_endpoints};
use p2pnet_protocol::wire::beacon::{BEACON_BYTES_MAX, SignedBeacon, network_of};
use p2pnet_protocol::wire::codec::{Reader, put_varint, varint_len};
use p2pnet_protocol::wire::proof::Proof;
use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::{Packet, PacketKind, Seed};

/// Varints, lengths and text, read one after another as the first bytes say.
pub(crate) fn codec(data: &[u8]) {
    let mut from = Reader::new(data);
    while !from.is_empty() {
        let before = from.clone();
        let Ok(what) = from.u8("what") else { return };
        match what % 4 {
            0 => {
                let at = from.rest();
                let Ok(value) = from.varint("number") else { return };
                let mut again = Vec::new();
                put_varint(&mut again, value);
                assert_eq!(again.len(), varint_len(value));
                assert!(at.starts_with(&again), "{value} is written as {again:x?}");
                assert_eq!(at.len() - from.rest().len(), again.len());
            }
            1 => {
                let Ok(bytes) = from.prefixed(300, "bytes") else { return };
                assert!(bytes.len() <= 300);
            }
            2 => {
                let Ok(text) = from.text(300, "text") else { return };
                assert!(text.len() <= 300);
            }
            _ => drop(from.u64("number").and_then(|_| from.array::<32>("array"))),
        }
        assert!(from.rest().len() < before.rest().len());
    }
    assert!(from.end("input").is_ok());
}

/// Beacons: layout, extensions, signature.
pub(crate) fn beacon(data: &[u8]) {
    let read = SignedBeacon::decode(data);
    let network = network_of(data);
    let Ok(read) = read else { return };
    assert_eq!(network, Ok(read.claims().network));
    assert!(data.len() <= BEACON_BYTES_MAX);
    let unsigned = data.len() - 64;
    let mut from = Reader::new(&data[64..unsigned]);
    let mut extensions = Vec::new();
    while let Ok(kind) = from.u8("kind") {
        let body = from.prefixed(BEACON_BYTES_MAX, "body").expect("extensions were checked");
        assert_eq!(read.extension(kind), Some(body));
        extensions.push((kind, body));
    }
    let crypto = SimulatedCrypto::new(Seed::from_u64(1));
    // The simulated scheme's private key is its public one, so that any beacon can be signed again.
    let again = read.claims().encode(&extensions, &crypto, &read.claims().key);
    assert_eq!(again[..unsigned], data[..unsigned], "one meaning, one encoding");
    assert_eq!(read.verify(&crypto), again == data && read.claims().key.0 != [0; 32]);
}

/// Packets of every kind: the first byte is the kind.
pub(crate) fn packet(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let kind = PacketKind::ALL[usize::from(*first) % PacketKind::ALL.len()];
    let body = bytes::Bytes::copy_from_slice(body);
    let Ok(packet) = Packet::decode(kind, &body) else { return };
    assert_eq!(packet.kind(), kind);
    let again = packet.encode();
    assert_eq!(again.len(), packet.body_bytes());
    // Addresses of unknown kind are skipped, so that a group which had some is shorter.
    if kind == PacketKind::PeerGroup && again.len() < body.len() {
        assert_eq!(Packet::decode(kind, &again.into()), Ok(packet));
    } else {
        assert_eq!(again, body);
    }
}

/// Addresses and records of peers.
pub(crate) fn addresses(data: &[u8]) {
    let mut from = Reader::new(data);
    if let Ok(endpoints) = decode_endpoints(&mut from) {
        assert!(endpoints.len() <= PeerRecord::ENDPOINTS_MAX);
        let used = data.len() - from.rest().len();
        let mut again = Vec::new();
        encode_endpoints(&endpoints, &mut again);
        assert!(again.len() <= used);
        let good = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp(at) if at.port() != 0);
        assert!(endpoints.iter().all(good));
        if endpoints.len() == usize::from(data[0]) {
            assert_eq!(again, data[..used]);
        }
        assert_eq!(decode_endpoints(&mut Reader::new(&again)), Ok(endpoints));
    }
    let mut from = Reader::new(data);
    if let Ok(record) = PeerRecord::decode(&mut from) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(PeerRecord::decode(&mut Reader::new(&again)), Ok(record));
    }
}

/// What a record holds: frames of every kind, open frames among them.
pub(crate) fn frames(data: &[u8]) {
    let Ok(frames) = p2pnet_protocol::fuzzing::frames(data) else { return };
    if !frames.skipped {
        assert_eq!(frames.again, data, "one meaning, one encoding");
    }
    let again = p2pnet_protocol::fuzzing::frames(&frames.again).expect("what was written reads");
    assert_eq!(again.again, frames.again);
}

/// Proofs of membership.
pub(crate) fn proofs(data: &[u8]) {
    let Ok(proofs) = Proof::decode_all(data) else { return };
    assert!(proofs.len() <= Proof::COUNT_MAX);
    let mut again = Vec::new();
    Proof::encode_all(&proofs, &mut again);
    if proofs.len() == usize::from(data[0]) {
        assert_eq!(again, data);
    }
    assert_eq!(Proof::decode_all(&again), Ok(proofs));
}

/// Certificates, as bytes and as a file's text.
pub(crate) fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::decode(&mut Reader::new(data)) {
        let mut again = Vec::new();
        certificate.encode(&mut again);
        assert_eq!(again, data[..Certificate::BYTES]);
        assert_eq!(certificate.to_string().parse(), Ok(certificate));
        let crypto = SimulatedCrypto::new(Seed::from_u64(1));
        let verdict = certificate.verify(
            &crypto,
            &certificate.authority,
            &certificate.network,
            &certificate.peer,
            Some(certificate.not_before),
        );
        let _ = verdict.map_err(|error| error.to_string());
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(certificate) = text.parse::<Certificate>()
    {
        assert_eq!(certificate.to_string().parse(), Ok(certificate));
        assert!(certificate.not_before < certificate.not_after);
    }
}
