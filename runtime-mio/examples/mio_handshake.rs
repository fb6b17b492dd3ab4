//! A trust handshake of one's own: each side shows the ticket it was given, and trusts whoever shows the other one.
//!
//! Run it with `red blue`, and on another machine (or twice on one) with `blue red`.

use p2pnet_mio::driver::Handlers;
use p2pnet_mio::driver::protocol::Trust;
use p2pnet_mio::driver::protocol::trust::handshake::{PeerTrustHandshake, Step};
use p2pnet_mio::{Builder, Config, Event};

/// One is made for each channel. It touches neither sockets nor clocks.
struct Tickets {
    ours: String,
    theirs: String,
}

impl PeerTrustHandshake for Tickets {
    fn on_start(&mut self) -> Vec<Step> {
        vec![Step::Send(self.ours.clone().into())]
    }

    fn on_message(&mut self, message: &[u8]) -> Vec<Step> {
        let fits = message == self.theirs.as_bytes();
        vec![if fits { Step::Confirm(Trust::Trusted) } else { Step::Refuse }]
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut tickets = std::env::args().skip(1);
    let [ours, theirs] = [(); 2].map(|()| tickets.next().expect("two tickets: ours, and theirs"));
    let mut handlers = Handlers::default();
    handlers.trust_handshake(move |_| Tickets { ours: ours.clone(), theirs: theirs.clone() });
    let mut config = Config::default();
    config.policies.incoming.application_handshake = true;
    let (_node, mut events) = p2pnet_mio::run_in_thread(Builder::new(config).handlers(handlers))?;
    while let Some(event) = events.next_blocking() {
        match event {
            Event::PeerConnected { peer, trust, .. } => println!("{} is {trust}", peer.short()),
            Event::PeerClosed { peer, reason, .. } => println!("{}: {reason}", peer.short()),
            _ => {}
        }
    }
    Ok(())
}
