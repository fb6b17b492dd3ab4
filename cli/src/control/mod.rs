//! How commands speak to the running node: one JSON object a line over a Unix socket in its state directory.

mod address;
mod client;
mod files;
mod line;
pub(crate) mod protocol;
mod resolve;
mod server;
mod service;
mod tasks;

pub(crate) use client::Client;
pub(crate) use server::Server;
pub(crate) use service::NodeService;
