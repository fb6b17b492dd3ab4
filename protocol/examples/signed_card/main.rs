//! Two nodes that trust each other by their cards (`card.rs`), in one process and joined by memory instead of a network:
//! the core touches no socket, so neither does this. Run it with `cargo run --example signed_card`.

mod card;

use card::{Desk, SignedCard};
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::handlers::{Disposition, Handlers};
use p2pnet_protocol::{
    Config, ConnId, Crypto as _, Direction, Event, Instant, Output, PeerNetwork, PublicKey, Seed,
};
use std::error::Error;
use std::sync::Arc;

struct Node {
    name: &'static str,
    net: PeerNetwork<PureCrypto>,
    handlers: Handlers,
}

fn node(
    name: &'static str,
    number: u8,
    on_file: Vec<PublicKey>,
    now: Instant,
) -> Result<Node, Box<dyn Error>> {
    let crypto = PureCrypto::new()?;
    let badge = crypto.signing_key(&[number; 32]);
    let desk = Arc::new(Desk { crypto: PureCrypto::new()?, badge, on_file });
    let mut handlers = Handlers::default();
    handlers.trust_handshake(move |session| SignedCard::new(desk.clone(), session));

    let mut config = Config::default();
    config.lan.enabled = false;
    config.policies.incoming.application_handshake = true;
    // A real node keeps its identity in a file and draws its seed from the operating system.
    let identity = [number + 100; 32];
    let net = PeerNetwork::new(config, &identity, Seed::from_u64(number.into()), crypto, now)?;
    Ok(Node { name, net, handlers })
}

/// Carries what `from` has to say to `to`, and tells whether there was anything.
fn carry(from: (&mut Node, ConnId), to: (&mut Node, ConnId), now: Instant) -> bool {
    let ((node, conn), (other, other_conn)) = (from, to);
    let mut moved = false;
    while let Some(output) = node.net.poll_output() {
        moved = true;
        let Output::Event(event) = output else { continue };
        if node.handlers.on_event(now, &event, &mut node.net) == Disposition::Pass {
            tell(node.name, &event);
        }
    }
    while let Some(bytes) = node.net.poll_write(conn, 64 << 10) {
        moved = true;
        other.net.handle_stream(now, other_conn, &mut bytes.to_vec());
    }
    moved
}

fn tell(name: &str, event: &Event) {
    match event {
        Event::PeerConnected { peer, trust, .. } => println!("{name}: {} is {trust}", peer.short()),
        Event::PeerClosed { reason, .. } => println!("{name}: {reason}"),
        _ => {}
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let now = Instant::ZERO;
    let crypto = PureCrypto::new()?;
    let badge = |number: u8| crypto.public_key(&crypto.signing_key(&[number; 32]));
    let mut ada = node("ada", 1, vec![badge(2)], now)?;
    let mut ben = node("ben", 2, vec![badge(1)], now)?;

    let at = "192.0.2.1:9000".parse()?;
    let ours = ada.net.attach(now, Direction::Outgoing, at, None)?;
    let theirs = ben.net.attach(now, Direction::Incoming, at, None)?;
    loop {
        let forth = carry((&mut ada, ours), (&mut ben, theirs), now);
        let back = carry((&mut ben, theirs), (&mut ada, ours), now);
        if !forth && !back {
            return Ok(());
        }
    }
}
