//! What every P2PNet runtime adapter shares: the real clock, the [`Handle`], the state directory, the sockets of LAN
//! discovery, and the one loop that carries bytes between sockets and the core.
//!
//! | Module | What it is |
//! |---|---|
//! | [`Builder`] | from a [`Config`] to a node that is ready to run |
//! | [`Handle`], [`Events`] | the application's two ends: what it wants, and what it hears |
//! | [`Driver`], [`runtime`] | the loop, and the few things it asks of an asynchronous runtime |
//! | [`state`] | identity, lock and lists on disk |
//! | [`interfaces`] | the host's network interfaces |
//!
//! Nothing here decides anything about peers, channels or trust: that is the core, [`p2pnet_protocol`].

mod builder;
pub mod clock;
mod completion;
mod counters;
mod events;
mod fetch;
mod handle;
pub mod interfaces;
mod key_log;
mod listen;
mod outbox;
mod reply;
pub mod runtime;
pub mod state;
mod udp;
mod wake;

pub use builder::{Builder, StartError};
pub use completion::Driver;
pub use counters::Counters;
pub use events::Events;
pub use handle::{Handle, ListError, Sending};
pub use p2pnet_protocol as protocol;
pub use p2pnet_protocol::handlers::Handlers;
pub use p2pnet_protocol::{Config, ConnId, Event, Packet, PeerId};
pub use reply::{Reply, Stopped};

/// The core with the provider of cryptography that every adapter uses.
pub type Node = p2pnet_protocol::PeerNetwork<p2pnet_crypto::FastCrypto>;
