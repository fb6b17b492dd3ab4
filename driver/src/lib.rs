//! What every P2PNet runtime adapter shares: the real clock, the [`Handle`], the state directory, the sockets of LAN
//! discovery, and the turns in which a loop carries bytes between sockets and the core.
//!
//! | Module | What it is |
//! |---|---|
//! | [`Builder`] | from a [`Config`] to a node that is ready to run |
//! | [`Handle`], [`Events`] | the application's two ends: what it wants, and what it hears |
//! | [`turns`], [`sockets`] | what every loop does, and the few things that it asks of whoever watches sockets |
//! | [`Driver`], [`runtime`] | the loop for asynchronous runtimes (feature `async`), and the few things that it asks of one |
//! | [`state`] | identity, lock and lists on disk |
//! | [`interfaces`] | the host's network interfaces |
//!
//! Nothing here decides anything about peers, channels or trust: that is the core, [`p2pnet_protocol`].

mod builder;
pub mod clock;
#[cfg(feature = "async")]
mod completion;
mod counters;
mod events;
#[cfg_attr(not(feature = "fetch"), path = "no_fetch.rs")]
mod fetch;
#[cfg_attr(not(feature = "files"), path = "no_files.rs")]
mod files;
mod handle;
pub mod interfaces;
mod key_log;
mod listen;
mod outbox;
mod reply;
pub mod runtime;
pub mod sockets;
pub mod state;
pub mod turns;
mod udp;
mod wake;

pub use builder::{Builder, Driver, StartError};
pub use counters::Counters;
pub use events::Events;
pub use handle::{AskError, FilePeer, FileRecord, Handle, ListError, Sending, StoredFile};
pub use p2pnet_protocol as protocol;
pub use p2pnet_protocol::handlers::Handlers;
pub use p2pnet_protocol::{Config, ConnId, Event, Packet, PeerId};
#[cfg(feature = "files")]
pub use p2pnet_storage as storage;
pub use reply::{Reply, Stopped};

#[cfg(not(any(feature = "fast", feature = "pure")))]
compile_error!("choose the cryptography: feature `fast`, or `pure`");

/// The provider of cryptography that every adapter uses.
#[cfg(feature = "fast")]
pub type NodeCrypto = p2pnet_crypto::FastCrypto;
/// The provider of cryptography that every adapter uses.
#[cfg(all(feature = "pure", not(feature = "fast")))]
pub type NodeCrypto = p2pnet_crypto::PureCrypto;

/// The core with that provider.
pub type Node = p2pnet_protocol::PeerNetwork<NodeCrypto>;
