//! A routine of one's own: once a second, the time goes to everybody. Run it on two machines, or twice on one.

use p2pnet_smol::driver::Handlers;
use p2pnet_smol::driver::protocol::{Command, RoutineChange};
use p2pnet_smol::{Builder, Event, Packet};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(async {
        let mut handlers = Handlers::default();
        handlers.on_routine("time signal", |wishes| {
            let signal =
                format!("{} s since the machine started", wishes.now.as_nanos() / 1_000_000_000);
            wishes.command(Command::SendAll { packet: Packet::message(signal) });
        });
        let (node, mut events) = p2pnet_smol::spawn(Builder::default().handlers(handlers))?;
        let each = RoutineChange::Add { interval: Duration::from_secs(1), jitter_percent: 10 };
        node.routine("time signal", each).await?;
        node.routine("time signal", RoutineChange::Start).await?;
        while let Some(event) = events.next().await {
            let Event::Received(packets) = event else { continue };
            for packet in packets {
                if let Packet::PureMessage(said) = packet {
                    println!("heard: {}", said.text());
                }
            }
        }
        Ok(())
    })
}
