//! A connection's life: the handshake, then the open channel with its records, frames and lanes.

pub(crate) mod bodies;
pub(crate) mod ciphers;
pub(crate) mod frame;
pub(crate) mod handshake;
mod lane;
#[doc(hidden)]
pub mod noise;
pub mod observe;
pub(crate) mod open;
pub(crate) mod queue;
pub(crate) mod record;

pub use queue::MessageBatch;
