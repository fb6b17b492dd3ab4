//! The first corpora: real encodings and short stories, so that a fuzzer begins behind every magic number and tag.

mod bootstrap;
mod scan;
mod stories;
mod tasks;

use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::channel::noise::{self, StaticKey};
use p2pnet_protocol::crypto::Crypto as _;
use p2pnet_protocol::trust::bootstrap_policy::BootstrapTrustPolicy;
use p2pnet_protocol::trust::certificate::Certificate;
use p2pnet_protocol::trust::policy::TrustPolicies;
use p2pnet_protocol::wire::address::encode_endpoints;
use p2pnet_protocol::wire::codec::{put_prefixed, put_varint};
use p2pnet_protocol::wire::proof::Proof;
use p2pnet_protocol::wire::{Beacon, Endpoint, PeerRecord};
use p2pnet_protocol::{
    BlockTarget, DataPayloadFormat, DataTransmissionPacket, DisconnectPacket, DisconnectReason,
    IdentityPacket, Limits, NetworkName, Packet, PacketKind, PeerGroupPacket, PeerId, Seed,
    TrustStepPacket, UnixTime,
};

/// One file of a corpus.
#[derive(Clone, Debug)]
pub struct SeedFile {
    /// The target.
    pub target: &'static str,
    /// The file's name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct Seeds(Vec<SeedFile>);

impl Seeds {
    fn add(&mut self, target: &'static str, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push(SeedFile { target, name: name.into(), bytes: bytes.into() });
    }
}

/// Every seed of every target.
pub fn all() -> Vec<SeedFile> {
    let mut seeds = Seeds::default();
    formats(&mut seeds);
    packets(&mut seeds);
    texts(&mut seeds);
    handshakes(&mut seeds);
    bootstrap::add(&mut seeds);
    tasks::add(&mut seeds);
    scan::add(&mut seeds);
    stories::add(&mut seeds);
    for (target, name, bytes) in p2pnet_storage::fuzzing::seeds() {
        seeds.add(target, name, bytes);
    }
    seeds.0
}

fn crypto() -> SimulatedCrypto {
    SimulatedCrypto::new(Seed::from_u64(1))
}

fn formats(seeds: &mut Seeds) {
    let mut numbers = Vec::new();
    for value in [0, 127, 128, 16_384, 2_097_152, u32::MAX] {
        numbers.push(0);
        put_varint(&mut numbers, value);
    }
    seeds.add("codec", "varints", numbers.clone());
    for what in [1, 2] {
        numbers.push(what);
        put_prefixed(&mut numbers, "bytes and täxt".as_bytes());
    }
    seeds.add("codec", "mixed", [&numbers[..], &[3; 41]].concat());
    for (name, extensions) in [("plain", &[][..]), ("extended", &[(1, &b"one"[..]), (0x20, b"")])] {
        seeds.add("beacon", name, beacon(extensions));
    }
    let mut bytes = Vec::new();
    encode_endpoints(&endpoints(), &mut bytes);
    bytes[0] += 1;
    bytes.extend_from_slice(&[200, 3, 1, 2, 3]);
    seeds.add("addresses", "three", bytes);
    let mut bytes = Vec::new();
    record(5).encode(&mut bytes);
    seeds.add("addresses", "record", bytes);
    for (name, proofs) in [
        ("none", vec![]),
        ("secret", vec![Proof::Secret { mac: [7; 32] }]),
        ("both", vec![Proof::Secret { mac: [7; 32] }, Proof::Certificate(certificate())]),
    ] {
        let mut bytes = Vec::new();
        Proof::encode_all(&proofs, &mut bytes);
        seeds.add("proofs", name, bytes);
    }
    let mut bytes = Vec::new();
    certificate().encode(&mut bytes);
    seeds.add("certificate", "bytes", bytes);
    seeds.add("certificate", "text", format!("# for Ada\n\n{}\n", certificate()));
}

fn beacon(extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let crypto = crypto();
    let key = crypto.signing_key(&[3; 32]);
    let network = NetworkName::default().tag();
    let beacon = Beacon { network, flags: 0, tcp_port: 9000, key, start: 5, counter: 6 };
    beacon.encode(extensions, &crypto, &key)
}

fn certificate() -> Certificate {
    let crypto = crypto();
    let key = crypto.signing_key(&[4; 32]);
    let (from, to) = (UnixTime(1_700_000_000), UnixTime(1_800_000_000));
    let network = NetworkName::default();
    Certificate::issue(&crypto, &key, &network, PeerId([5; 32]), from, to).expect("it has time")
}

fn endpoints() -> Vec<Endpoint> {
    ["192.0.2.7:9000", "[2001:db8::7]:9001"]
        .into_iter()
        .map(|at| Endpoint::Tcp(at.parse().expect("an address")))
        .collect()
}

fn record(id: u8) -> PeerRecord {
    PeerRecord { peer: PeerId([id; 32]), endpoints: endpoints() }
}

/// One packet of each kind.
fn each_packet() -> Vec<Packet> {
    vec![
        Packet::Identity(IdentityPacket { label: "alpha".into(), note: "lab".into() }),
        Packet::Disconnect(DisconnectPacket { reason: DisconnectReason::Requested }),
        Packet::PeerGroup(PeerGroupPacket { peers: vec![record(1), record(2)] }),
        Packet::DataTransmission(DataTransmissionPacket {
            format: DataPayloadFormat::Task,
            payload: vec![1, 2, 3].into(),
        }),
        Packet::message("hello"),
        Packet::TrustStep(TrustStepPacket { message: vec![0xff].into() }),
    ]
}

fn packets(seeds: &mut Seeds) {
    let mut all = Vec::new();
    for packet in each_packet() {
        let place = PacketKind::ALL.iter().position(|kind| *kind == packet.kind());
        let place = u8::try_from(place.expect("every kind is listed")).expect("there are few");
        let body = packet.encode();
        let name = format!("{:?}", packet.kind()).to_lowercase();
        seeds.add("packet", &name, [&[place][..], &body].concat());
        let mut frame = vec![packet.kind().to_wire()];
        put_prefixed(&mut frame, &body);
        seeds.add("frames", &name, frame.clone());
        all.extend(frame);
    }
    seeds.add("frames", "packets", all);
    seeds.add("frames", "signals", stories::signals());
    seeds.add("frames", "open", stories::open_frame());
    seeds.add("frames", "parts", stories::parts(300));
}

fn texts(seeds: &mut Seeds) {
    seeds.add("hex", "id", "0123456789abcdef".repeat(4));
    seeds.add("hex", "upper", "ABCDEFabcdef0123".repeat(8));
    seeds.add("hex", "short", "abab");
    for (name, text) in [
        ("v4", "192.0.2.0/24"),
        ("v6", "2001:db8::/32"),
        ("mapped", "::ffff:192.0.2.0/120"),
        ("all", "::/0"),
        ("single", "192.0.2.9"),
        ("socket", "[fe80::1%3]:9000"),
    ] {
        seeds.add("prefix", name, text);
    }
    seeds.add("names", "office", "\u{2}office");
    seeds.add("names", "long", [&[0x83][..], "ü".repeat(64).as_bytes()].concat());
    let json = |choice: u8, text: String| [&[choice][..], text.as_bytes()].concat();
    let shown = |value: &dyn Fn() -> serde_json::Result<String>| value().expect("it can be shown");
    let policies = shown(&|| serde_json::to_string(&TrustPolicies::default()));
    seeds.add("settings", "policies", json(0, policies));
    seeds.add("settings", "limits", json(1, shown(&|| serde_json::to_string(&Limits::small()))));
    let prefix = "192.0.2.0/24".parse().expect("a prefix");
    let targets = [BlockTarget::Peer(PeerId([1; 32])), BlockTarget::Prefix(prefix)];
    seeds.add("settings", "targets", json(2, shown(&|| serde_json::to_string(&targets))));
    let mut policy = BootstrapTrustPolicy::default();
    policy.set_must_be_authority(true).expect("nothing contradicts it");
    seeds.add("settings", "bootstrap", json(3, shown(&|| serde_json::to_string(&policy))));
}

/// Messages that the other side of each Noise target would send.
fn handshakes(seeds: &mut Seeds) {
    const PROLOGUE: &[u8] = b"fuzzing";
    let (mut one, mut other) = (crypto(), SimulatedCrypto::new(Seed::from_u64(2)));
    let key = StaticKey::generate(&mut one);
    let other_key = StaticKey::generate(&mut other);
    let mut first = Vec::new();
    let sent = noise::write_1(&mut one, PROLOGUE, b"offer", &mut first).expect("it fits");
    let (read, _) = noise::read_1(PROLOGUE, &mut first).expect("it is honest");
    let mut second = Vec::new();
    read.write_2(&mut other, &other_key, b"answer", &mut second).expect("it fits");
    seeds.add("noise_initiator", "answer", second.clone());
    let (read, _) = sent.read_2(&one, &mut second).expect("it is honest");
    let mut third = Vec::new();
    read.write_3(&one, &key, b"introduction", &mut third).expect("it fits");
    let length = u16::try_from(first.len()).expect("it is short").to_be_bytes();
    seeds.add("noise_responder", "both", [&length[..], &first, &third].concat());
    seeds.add("noise_both", "honest", *b"\x03one\x03two\x05three\0\0\0");
    for (name, alteration) in [("cut", [2, 0, 40]), ("flipped", [5, 0, 50]), ("more", [3, 0, 90])] {
        for place in 0..3 {
            let mut story = b"\x03one\x03two\x05three".to_vec();
            story.extend(std::iter::repeat_n(0, place));
            story.extend_from_slice(&alteration);
            seeds.add("noise_both", format!("{name}-{place}"), story);
        }
    }
}
