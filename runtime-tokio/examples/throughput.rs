//! How fast one channel is: `throughput serve`, and then `throughput messages|bulk ADDRESS` in another terminal.

use p2pnet_tokio::driver::protocol::{Config, Packet};
use p2pnet_tokio::{Builder, Event};
use std::time::{Duration, Instant};

const MESSAGE: [u8; 64] = [7; 64];
const BULK_BYTES: usize = 64 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut config = Config::default();
    config.lan.enabled = false;
    config.policies.incoming.trust_authenticated = true;
    let (node, mut events) = p2pnet_tokio::spawn(Builder::new(config))?;
    let [kind, address] = arguments.as_slice() else {
        println!("listening on {:?}", node.listening());
        return serve(&mut events).await;
    };
    node.connect(address.parse()?, None).await?;
    let peer = loop {
        match events.next().await {
            Some(Event::PeerConnected { peer, .. }) => break peer,
            Some(_) => {}
            None => return Err("the node stopped".into()),
        }
    };
    let seconds = Duration::from_secs(5);
    let started = Instant::now();
    let mut count = 0u64;
    let bulk = Packet::misc_data(vec![7; BULK_BYTES]);
    while !count.is_multiple_of(64) || started.elapsed() < seconds {
        match kind.as_str() {
            "bulk" => node.send_packet(peer, bulk.clone()).await?,
            _ => node.send(peer, &MESSAGE).await?,
        }
        count += 1;
    }
    let per_second = count as f64 / started.elapsed().as_secs_f64();
    match kind.as_str() {
        "bulk" => println!("{:.0} MiB/s", per_second * BULK_BYTES as f64 / f64::from(1 << 20)),
        _ => println!("{:.2} million messages/s", per_second / 1e6),
    }
    println!("{:?}", node.counters());
    node.shutdown().await?;
    Ok(())
}

async fn serve(events: &mut p2pnet_tokio::Events) -> Result<(), Box<dyn std::error::Error>> {
    let (mut packets, mut bytes) = (0u64, 0u64);
    while let Some(event) = events.next().await {
        match event {
            Event::Received(received) => {
                for packet in received {
                    packets += 1;
                    bytes += packet.payload().map_or(0, |payload| payload.len() as u64);
                }
            }
            Event::PeerClosed { reason, .. } => {
                println!("{packets} packets, {bytes} bytes; {reason}");
                (packets, bytes) = (0, 0);
            }
            _ => {}
        }
    }
    Ok(())
}
