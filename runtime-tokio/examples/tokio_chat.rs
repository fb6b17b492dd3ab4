//! A line that you type reaches everybody, and theirs reach you: run it on two machines, or twice on one.

use p2pnet_tokio::{Builder, Event, Packet};
use std::thread;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (node, mut events) = p2pnet_tokio::spawn(Builder::default())?;
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _everybody = node.send_all(Packet::message(line)).wait();
        }
        // The last handle goes with this thread, and the node shuts down.
    });
    while let Some(event) = events.next().await {
        match event {
            Event::PeerConnected { peer, .. } => println!("{} is here", peer.short()),
            Event::PeerClosed { peer, .. } => println!("{} is gone", peer.short()),
            Event::Received(packets) => {
                let who = packets.peer.short().to_string();
                packets.for_each(|packet| match packet {
                    Packet::PureMessage(said) => println!("{who}: {}", said.text()),
                    _ => println!("{who} sent something else"),
                });
            }
            _ => {}
        }
    }
    Ok(())
}
