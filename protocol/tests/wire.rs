//! Golden vectors of packets, as `docs/wire.md` prints them, and canonical encoding: what decodes encodes to the same
//! bytes.

use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::*;
use proptest::prelude::*;

const SPECIFICATION: &str = include_str!("../../docs/wire.md");

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
