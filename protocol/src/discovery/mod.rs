//! Finding peers.

pub mod bootstrap;
mod budget;
mod cadence;
mod crowd;
mod freshness;
pub(crate) mod lan;
mod links;
mod neighbours;
#[cfg(test)]
mod simulation;
mod stats;
mod subset;
#[cfg(test)]
pub(crate) mod testing;

pub use lan::LanStats;

use core::net::{Ipv4Addr, Ipv6Addr};

/// The IPv4 group that beacons go to (administratively scoped, RFC 2365).
pub const MULTICAST_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 80, 50);
/// The IPv6 group that beacons go to (link-local scope, transient, RFC 4291).
pub const MULTICAST_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x7032, 0x7032);
