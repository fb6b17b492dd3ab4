//! What every runtime adapter must do, told once.
//!
//! A scenario is a function that gets nodes from [`On`]: each of its two sides runs on some adapter, which is no more to
//! it than a function that starts a node. The tests run the [`suite!`] for each adapter alone, and the part of it that
//! is about two nodes ([`crosswise!`]) for each pair of different ones: who talks to a node can't tell what it runs on.
//! What needs no socket of the operating system's ([`apart!`]) also runs on a network in memory.
//!
//! Scenarios are told from a thread without any runtime: whoever waits here does it with a limit ([`Soon`]), and a node
//! that stands still fails a scenario instead of holding it up.

pub mod alone;
pub mod heap;
mod nodes;
pub mod scenario;
mod soon;
mod suite;

pub use nodes::{
    On, Spawn, at, connected, descriptors, numbered, processor_time, quiet, received,
    take_numbered, threads, until,
};
pub use soon::{Soon, eventually};
