//! A packet handler of one's own: messages come back in capital letters, whether or not anybody takes events. Run it on
//! two machines, or twice on one.

use p2pnet_mio::driver::Handlers;
use p2pnet_mio::{Builder, Event, Packet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut handlers = Handlers::default();
    handlers.on_pure_message(|wishes, peer, said| {
        let said = said.text().into_owned();
        println!("{} said: {said}", peer.short());
        // An answer in capitals gets none.
        if said != said.to_uppercase() {
            wishes.send(peer, Packet::message(said.to_uppercase()));
        }
    });
    let (node, mut events) = p2pnet_mio::run_in_thread(Builder::default().handlers(handlers))?;
    while let Some(event) = events.next_blocking() {
        if let Event::PeerConnected { peer, .. } = event {
            node.send_blocking(peer, b"good morning")?;
        }
    }
    Ok(())
}
