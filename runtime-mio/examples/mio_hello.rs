//! Greets every peer that connects and prints what they say: run it twice on one network.

use p2pnet_mio::{Builder, Event};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (node, mut events) = p2pnet_mio::run_in_thread(Builder::default())?;
    while let Some(event) = events.next_blocking() {
        match event {
            Event::PeerConnected { peer, .. } => _ = node.send_blocking(peer, b"hello"),
            Event::Received(packets) => packets.for_each(|packet| println!("{packet:?}")),
            _ => {}
        }
    }
    Ok(())
}
