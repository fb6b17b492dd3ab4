//! Nodes for targets: small, with simulated cryptography, in virtual time.

use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::{
    Config, ConfigError, Instant, Interface, InterfaceAddress, IpPrefix, Limits, ListenerId,
    PeerNetwork, Seed,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) type Node = PeerNetwork<SimulatedCrypto>;

/// When every story begins.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000);

/// Bounds that a short story reaches.
pub(crate) fn tight() -> Limits {
    Limits {
        connections_max: 6,
        connections_per_address_max: 3,
        connections_per_subnet_max: 4,
        handshakes_max: 3,
        handshakes_per_address_max: 2,
        handshakes_per_subnet_max: 2,
        pending_max: 2,
        channels_auto_max: 2,
        known_peers_max: 8,
        blocked_max: 4,
        listed_max: 4,
        routines_max: 6,
        packet_bytes_max: 1280,
        send_queue_bytes_max: 4096,
        control_bytes_max: 64 << 10,
        message_window_bytes: 4096,
        bulk_window_bytes: 4096,
        unread_events_max: 64,
        packets_per_second_max: 200,
        beacon_checks_per_second_max: 20,
        transfers_max: 2,
        file_chunks_max: 16,
        outputs_max: 64,
        tasks_max: 3,
        task_issuers_max: 2,
        data_entries_max: 4,
        data_bytes_max: 4096,
        labels_max: 2,
    }
}

/// A node of this configuration; its identity, keys and choices follow from `place`.
pub(crate) fn with(config: Config, place: u8) -> Result<Node, ConfigError> {
    let seed = Seed::from_u64(u64::from(place) + 1);
    Node::new(config, &seed.0, seed, SimulatedCrypto::new(seed), START)
}

/// A node that listens, without LAN discovery.
pub(crate) fn quiet(mut config: Config, place: u8) -> Node {
    config.lan.enabled = false;
    let mut node = with(config, place).expect("the configuration is sound");
    node.handle_listening(START, ListenerId(0), address(place));
    node
}

/// As [`quiet`], on a machine without AES instructions.
pub(crate) fn quiet_without_aes(mut config: Config, place: u8) -> Node {
    config.lan.enabled = false;
    let seed = Seed::from_u64(u64::from(place) + 1);
    let crypto = SimulatedCrypto::new(seed).without_aes();
    let mut node = Node::new(config, &seed.0, seed, crypto, START).expect("it is sound");
    node.handle_listening(START, ListenerId(0), address(place));
    node
}

/// Where the node at `place` listens.
pub(crate) fn address(place: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, place.wrapping_add(1)], 9000))
}

/// The one interface of the node at `place`, on the LAN of all.
pub(crate) fn interface(place: u8) -> Interface {
    let own = address(place).ip();
    Interface {
        index: 2,
        name: "eth0".into(),
        loopback: false,
        multicast: true,
        addresses: vec![InterfaceAddress {
            prefix: IpPrefix::new(own, 24).expect("24 is a length"),
            address: own,
            broadcast: Some(Ipv4Addr::new(192, 0, 2, 255)),
        }],
    }
}

/// The address that a peer at `place` would dial from.
pub(crate) fn dialling(place: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, place.wrapping_add(1))), port.max(1))
}
