//! Beacons through a whole node: signed by anybody, mutilated, from any address, at any time.

use crate::node::{self, START};
use crate::script::Script;
use crate::watch::Watch;
use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::crypto::Crypto as _;
use p2pnet_protocol::wire::Beacon;
use p2pnet_protocol::{
    CloseCause, Config, Duration, Input, Interface, IpPrefix, ListenerId, NetworkName, Output,
    PeerId, PublicKey, Seed,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The node dials none but on-link sources of beacons that were signed.
pub(crate) fn beacons(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let mut node = node::with(Config { limits: node::tight(), ..Config::default() }, 0)
        .expect("the configuration is sound");
    node.handle_listening(START, ListenerId(0), node::address(0));
    node.handle(START, Input::Interfaces(vec![node::interface(0)]));
    let mut watch = Watch::default();
    let crypto = SimulatedCrypto::new(Seed::from_u64(9));
    let mut on_link = vec![node::interface(0)];
    let mut signers: BTreeSet<PeerId> = BTreeSet::new();
    let mut sources: BTreeSet<IpAddr> = BTreeSet::new();
    let (mut now, mut steps) = (START, 0);
    let mut last = Vec::new();
    while !script.is_over() {
        steps += 1;
        let outputs = match script.byte() % 8 {
            0..=3 => {
                let (beacon, mut bytes) = signed(&crypto, &mut script);
                let altered = script.alter(&mut bytes);
                let from = source(&mut script);
                if !altered {
                    signers.insert(PeerId::of(&beacon.key));
                }
                if is_on_link(&on_link, from.ip()) {
                    sources.insert(from.ip().to_canonical());
                }
                last.clone_from(&bytes);
                node.handle_datagram(now, from, &bytes);
                watch.drain(&mut node)
            }
            4 => {
                let from = source(&mut script);
                if is_on_link(&on_link, from.ip()) {
                    sources.insert(from.ip().to_canonical());
                }
                node.handle_datagram(now, from, &last);
                watch.drain(&mut node)
            }
            5 => {
                node.handle_datagram(now, source(&mut script), script.bytes(255));
                watch.drain(&mut node)
            }
            6 => {
                on_link = interfaces(&mut script);
                node.handle(now, Input::Interfaces(on_link.clone()));
                watch.drain(&mut node)
            }
            _ => {
                now = now + Duration::from_millis(u64::from(script.word()));
                watch.pass(&mut node, now)
            }
        };
        for output in outputs {
            if let Output::Connect { conn, to } = output {
                assert!(sources.contains(&to.ip()), "{to} sent no beacon that counts");
                node.handle_closed(now, conn, CloseCause::Refused);
                watch.on_closed(conn);
            }
        }
        watch.drain(&mut node);
        assert!(node.peers().iter().all(|view| signers.contains(&view.peer)), "heard of by proof");
    }
    steps
}

fn is_on_link(interfaces: &[Interface], ip: IpAddr) -> bool {
    let prefixes = interfaces.iter().flat_map(|interface| &interface.addresses);
    let ip = ip.to_canonical();
    let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local || prefixes.into_iter().any(|address| address.prefix.contains(ip))
}

/// A beacon by one of a few signers.
fn signed(crypto: &SimulatedCrypto, script: &mut Script<'_>) -> (Beacon, Vec<u8>) {
    let choice = script.byte();
    let key: PublicKey = crypto.signing_key(&[choice % 16; 32]);
    let network = if choice & 0x80 == 0 { NetworkName::default().tag() } else { [7; 8] };
    let beacon = Beacon {
        network,
        flags: script.byte(),
        tcp_port: script.word(),
        key,
        start: u64::from(script.byte() % 4),
        counter: u64::from(script.word()),
    };
    let body = script.bytes(60);
    let extensions: &[(u8, &[u8])] = if body.is_empty() { &[] } else { &[(choice, body)] };
    (beacon, beacon.encode(extensions, crypto, &key))
}

fn source(script: &mut Script<'_>) -> SocketAddr {
    let (choice, last, port) = (script.byte(), script.byte(), 8001);
    match choice % 6 {
        0 => ([198, 51, 100, last], port).into(),
        1 => ([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(last)], port).into(),
        2 => ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0200 | u16::from(last)], port).into(),
        3 => ([choice, last, script.byte(), script.byte()], port).into(),
        _ => ([192, 0, 2, last], port).into(),
    }
}

/// Up to three interfaces with up to two addresses each.
fn interfaces(script: &mut Script<'_>) -> Vec<Interface> {
    let mut all = Vec::new();
    for index in 0..script.byte() % 4 {
        let choice = script.byte();
        let mut interface = Interface { index: u32::from(index), ..node::interface(script.byte()) };
        interface.loopback = choice & 1 != 0;
        interface.multicast = choice & 2 != 0;
        let mut address = interface.addresses[0];
        if choice & 4 != 0 {
            address.broadcast = None;
        }
        if let Ok(prefix) = IpPrefix::new(address.address, script.byte() % 40) {
            address.prefix = prefix;
        }
        interface.addresses = vec![address; usize::from(choice >> 6)];
        all.push(interface);
    }
    all
}
