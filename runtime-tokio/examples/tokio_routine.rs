//! A routine of one's own: once a second, the time goes to everybody. Run it on two machines, or twice on one.

use p2pnet_tokio::driver::Handlers;
use p2pnet_tokio::driver::protocol::{Command, RoutineChange};
use p2pnet_tokio::{Builder, Event, Packet};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut handlers = Handlers::default();
    handlers.on_routine("time signal", |wishes| {
        let signal =
            format!("{} s since the machine started", wishes.now.as_nanos() / 1_000_000_000);
        wishes.command(Command::SendAll { packet: Packet::message(signal) });
    });
    let (node, mut events) = p2pnet_tokio::spawn(Builder::default().handlers(handlers))?;
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
}
