//! The server at which P2PNet peers meet beyond their own network.
//!
//! Peers register with a signature, become leases, and are told of each other. Everything the server decides is at the
//! [`desk`], which touches no clock, socket or database; the rest brings requests to it and answers back.
//!
//! | Module | What it is |
//! |---|---|
//! | [`desk`] | who is served, and with what |
//! | [`lease`] | who is there |
//! | [`rate`] | how often somebody may ask |
//! | [`store`] | what must outlast the server: SQLite or PostgreSQL |
//! | [`http`] | the paths, the bodies, the connections |
//! | [`server`] | all of it, started and stopped |
//! | [`config`], [`state`], [`tls`], [`clock`] | what an operator sets, the server's directory, encryption, time |
//!
//! Architecture invariant: formats, signatures and their checks are [`p2pnet_protocol`]'s alone.

#![forbid(unsafe_code)]

mod chores;
pub mod clock;
pub mod config;
pub mod desk;
pub mod http;
pub mod lease;
pub mod rate;
pub mod server;
pub mod state;
pub mod store;
pub mod tls;

pub use config::Config;
pub use server::{CantStart, Server};
