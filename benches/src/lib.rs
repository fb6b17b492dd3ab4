//! Speed against limits and peers, measured side by side.
//!
//! Absolute figures depend on the machine and on what else it does, so everything here is a ratio to something that was
//! measured in the same run: a round measures every peer once, one after another, and medians are taken over rounds.
//!
//! | Module | What |
//! |---|---|
//! | [`job`] | what is measured: bulk, messages, round trips, set-ups, idle channels |
//! | [`peers`] | what is compared; a new library is one more [`Peer`](peers::Peer) |
//! | [`blocking`] | the jobs over a blocking byte [`Pipe`](blocking::Pipe), for peers that are one |
//! | [`mod@core`] | two nodes of this project in one thread |
//! | [`memory`] | AEADs and handshakes without a network: the limits |
//! | [`machine`] | pinning, processor time, resident memory, disturbance |
//! | [`report`] | rounds, medians, and the tables |
//!
//! `cargo run --release -p p2pnet-benches --bin report -- --quick` prints the tables in a minute.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod buffer;
pub mod core;
pub mod job;
pub mod machine;
pub mod memory;
pub mod peers;
pub mod report;
