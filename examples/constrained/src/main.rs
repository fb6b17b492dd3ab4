//! A node for a small machine, say a lamp in a house: one thread, cryptography in Rust, [`Limits::tiny`].
//!
//! `p2pnet-constrained [LISTEN]` answers "on" and "off" with what the lamp does now. Build it small with
//! `cargo build --package p2pnet-constrained --profile size`.

use p2pnet_mio::driver::protocol::{Limits, Packet};
use p2pnet_mio::{Builder, Config, Event};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config { limits: Limits::tiny(), ..Config::default() };
    if let Some(listen) = std::env::args().nth(1) {
        config.listen = vec![listen.parse()?];
        config.lan.enabled = false;
    }
    let (node, mut events) = p2pnet_mio::run_in_thread(Builder::new(config))?;
    println!("{} listens on {:?}", node.id(), node.listening());
    while let Some(event) = events.next_blocking() {
        if let Event::Received(packets) = event {
            let peer = packets.peer;
            for packet in packets {
                let Packet::PureMessage(said) = packet else { continue };
                let answer = match &*said.text() {
                    "on" => "the lamp is on",
                    "off" => "the lamp is off",
                    _ => "say on or off",
                };
                // A peer that asks and reads no answers gets none.
                let _ = node.try_send(peer, answer.as_bytes());
            }
        }
    }
    Ok(())
}
