//! The core's integration tests: one program, so that what they all use is compiled once.

mod beacon;
mod bootstrap;
mod bootstrap_format;
mod bounds;
#[path = "../../examples/signed_card/card.rs"]
mod card;
mod channel;
mod contract;
mod dialling;
mod files;
mod membership;
mod noise;
mod observe;
mod pending;
mod routines;
mod signed_card;
mod task_format;
mod tasks;
mod trust;
mod wire;
mod world;
