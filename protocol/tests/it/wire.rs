//! Golden vectors of packets, as `docs/wire.md` prints them, and canonical encoding: what decodes encodes to the same
//! bytes.

use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::*;
use proptest::prelude::*;

const SPECIFICATION: &str = include_str!("../../../docs/wire.md");

fn frame(packet: &Packet) -> Vec<u8> {
    let body = packet.encode();
    assert!(body.len() < 128, "one byte of length");
    let mut frame = vec![packet.kind().to_wire(), body.len() as u8];
    frame.extend(body);
    frame
}

fn examples() -> Vec<(&'static str, Packet)> {
    let endpoints = vec![
        Endpoint::Tcp("192.0.2.7:9000".parse().unwrap()),
        Endpoint::Tcp("[2001:db8::7]:9001".parse().unwrap()),
    ];
    let record = PeerRecord { peer: PeerId([0xab; 32]), endpoints };
    vec![
        ("PureMessage `hello`", Packet::message("hello")),
        ("DataTransmission, MiscData `01 02`", Packet::misc_data(vec![1, 2])),
        ("Disconnect, shutting down", disconnect(DisconnectReason::ShuttingDown)),
        ("Disconnect, an unknown reason 200", disconnect(DisconnectReason::Other(200))),
        (
            "Identity `alpha`, note `lab`",
            Packet::Identity(IdentityPacket { label: "alpha".into(), note: "lab".into() }),
        ),
        (
            "PeerGroup of one peer with two addresses",
            Packet::PeerGroup(PeerGroupPacket { peers: vec![record] }),
        ),
        ("TrustStep `ff`", Packet::TrustStep(TrustStepPacket { message: vec![0xff].into() })),
    ]
}

fn disconnect(reason: DisconnectReason) -> Packet {
    Packet::Disconnect(DisconnectPacket { reason })
}

#[test]
fn the_specification_prints_the_packets_as_they_are() {
    for (name, packet) in examples() {
        let hex: Vec<String> = frame(&packet).iter().map(|byte| format!("{byte:02x}")).collect();
        let row = format!("| {name} | `{}` |", hex.join(" "));
        assert!(SPECIFICATION.contains(&row), "docs/wire.md lacks this row:\n{row}");
    }
}

#[test]
fn packets_round_trip_and_have_a_json_view() {
    for (name, packet) in examples() {
        let body = packet.encode().into();
        assert_eq!(Packet::decode(packet.kind(), &body), Ok(packet.clone()), "{name}");
        let json = serde_json::to_string(&packet).unwrap();
        assert_eq!(serde_json::from_str::<Packet>(&json).unwrap(), packet, "{name}: {json}");
    }
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(
        kind in 0usize..PacketKind::ALL.len(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let kind = PacketKind::ALL[kind];
        if let Ok(packet) = Packet::decode(kind, &body.clone().into()) {
            prop_assert_eq!(packet.kind(), kind);
            // Addresses of unknown kind are skipped, so a group that had some is shorter.
            if kind != PacketKind::PeerGroup {
                prop_assert_eq!(packet.encode(), body);
            }
        }
    }

    #[test]
    fn groups_of_known_addresses_are_canonical(
        peers in prop::collection::vec((any::<[u8; 32]>(), prop::collection::vec((any::<u32>(), 1u16..), 0..9)), 0..5),
    ) {
        let record = |(id, at): ([u8; 32], Vec<(u32, u16)>)| PeerRecord {
            peer: PeerId(id),
            endpoints: at
                .into_iter()
                .map(|(ip, port)| Endpoint::Tcp((std::net::Ipv4Addr::from(ip), port).into()))
                .take(PeerRecord::ENDPOINTS_MAX)
                .collect(),
        };
        let packet =
            Packet::PeerGroup(PeerGroupPacket { peers: peers.into_iter().map(record).collect() });
        let body = packet.encode();
        prop_assert_eq!(Packet::decode(PacketKind::PeerGroup, &body.clone().into()), Ok(packet));
        for cut in 0..body.len() {
            prop_assert!(Packet::decode(PacketKind::PeerGroup, &body[..cut].to_vec().into()).is_err());
        }
    }
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let v4 = (any::<[u8; 4]>(), 1u16..).prop_map(|at| Endpoint::Tcp(at.into()));
    let v6 = (any::<[u16; 8]>(), 1u16..).prop_map(|at| Endpoint::Tcp(at.into()));
    prop_oneof![v4, v6]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..500);
    // At most 32 characters of at most 4 bytes.
    let text = || prop::collection::vec(any::<char>(), 0..=32).prop_map(String::from_iter);
    let record = (any::<[u8; 32]>(), prop::collection::vec(any_endpoint(), 0..=8))
        .prop_map(|(id, endpoints)| PeerRecord { peer: PeerId(id), endpoints });
    let format = prop_oneof![
        Just(DataPayloadFormat::File),
        Just(DataPayloadFormat::Task),
        Just(DataPayloadFormat::MiscData),
    ];
    prop_oneof![
        (text(), text()).prop_map(|(label, note)| Packet::Identity(IdentityPacket { label, note })),
        prop::collection::vec(record, 0..6)
            .prop_map(|peers| Packet::PeerGroup(PeerGroupPacket { peers })),
        (format, bytes()).prop_map(|(format, payload)| {
            Packet::DataTransmission(DataTransmissionPacket { format, payload: payload.into() })
        }),
        bytes().prop_map(Packet::message),
        bytes().prop_map(|step| Packet::TrustStep(TrustStepPacket { message: step.into() })),
    ]
}

proptest! {
    #[test]
    fn any_packet_round_trips_on_the_wire_and_in_a_recording(packet in any_packet()) {
        let body = packet.encode();
        prop_assert_eq!(body.len(), packet.body_bytes());
        prop_assert_eq!(Packet::decode(packet.kind(), &body.into()), Ok(packet.clone()));
        let command = Command::SendAll { packet };
        let json = serde_json::to_string(&Input::Command(command.clone())).unwrap();
        prop_assert_eq!(serde_json::from_str::<Input>(&json).unwrap(), Input::Command(command));
    }
}

/// A disconnect is one byte, and each byte is one reason.
#[test]
fn every_reason_round_trips() {
    for byte in 0..=u8::MAX {
        let packet = Packet::decode(PacketKind::Disconnect, &vec![byte].into()).unwrap();
        assert_eq!(packet.encode(), [byte]);
    }
}

/// A recording holds inputs, commands with packets among them, in a format that knows no names; JSON shows them to people.
#[test]
fn packets_and_inputs_round_trip_in_formats_for_people_and_for_machines() {
    let peer = PeerId([7; 32]);
    let packets = [
        Packet::message("hello"),
        Packet::misc_data(vec![0, 255]),
        Packet::Identity(IdentityPacket { label: "a".into(), note: String::new() }),
        Packet::Disconnect(DisconnectPacket { reason: DisconnectReason::Idle }),
        Packet::PeerGroup(PeerGroupPacket::default()),
        Packet::TrustStep(TrustStepPacket { message: vec![1, 2].into() }),
    ];
    for packet in packets {
        let text = serde_json::to_string(&packet).unwrap();
        assert!(text.contains("\"type\":"), "{text}");
        assert_eq!(serde_json::from_str::<Packet>(&text).unwrap(), packet);
        let input = Input::Command(Command::Send { peer, packet });
        let bytes = postcard::to_allocvec(&input).unwrap();
        assert_eq!(postcard::from_bytes::<Input>(&bytes).unwrap(), input);
    }
    let prefix = "192.0.2.0/24".parse().unwrap();
    let from = "[fe80::1%7]:8001".parse().unwrap();
    let inputs = [
        Input::Command(Command::Block(BlockTarget::Prefix(prefix))),
        Input::Datagram { from, bytes: vec![1] },
        Input::Command(Command::Connect { to: from, expect: None }),
    ];
    for input in inputs {
        let bytes = postcard::to_allocvec(&input).unwrap();
        assert_eq!(postcard::from_bytes::<Input>(&bytes).unwrap(), input, "scopes included");
        let text = serde_json::to_string(&input).unwrap();
        assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input, "{text}");
    }
}
