//! Greets every peer that connects and prints what they say: run it twice on one network.

use p2pnet_tokio::{Builder, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (node, mut events) = p2pnet_tokio::spawn(Builder::default())?;
    while let Some(event) = events.next().await {
        match event {
            Event::PeerConnected { peer, .. } => _ = node.send(peer, b"hello").await,
            Event::Received(packets) => packets.for_each(|packet| println!("{packet:?}")),
            _ => {}
        }
    }
    Ok(())
}
