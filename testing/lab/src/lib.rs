//! Real nodes on pretended hosts: Linux network namespaces joined by bridges, with `p2pnet` running inside.
//!
//! A test says what the world looks like, starts the real program in it, and waits for the events that the program
//! prints:
//!
//! ```no_run
//! use p2pnet_lab::{HostSpec, Lab, LanSpec, Node, NodeSpec};
//! use std::time::Duration;
//!
//! # fn main() -> p2pnet_lab::Outcome<()> {
//! let lab = Lab::new()?;
//! let lan = lab.lan(LanSpec::default())?;
//! let (left, right) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
//! let a = Node::up(&lab, &left, &NodeSpec::default())?;
//! let b = Node::up(&lab, &right, &NodeSpec::default())?;
//! a.wait_connected(b.id(), Duration::from_secs(2))?;
//! # Ok(()) }
//! ```
//!
//! The parts, from the bottom up:
//!
//! | Module | Holds |
//! |---|---|
//! | [`shell`] | running `ip`, `nft` and friends, with errors that say what was run |
//! | [`netns`] | one namespace, deleted when dropped; leftovers of dead processes are swept |
//! | [`lan`] | bridges, hosts, addresses, and what can go wrong with a wire |
//! | [`far`] | a long way between two hosts, with delay and loss |
//! | [`capture`] | what really left an interface, by dumpcap and tshark |
//! | [`events`] | the program's JSON lines with the moment each was read |
//! | [`node`] | the program itself: start, command, kill, count descriptors |
//! | [`scenario`] | the stories, each a function with a count, told short by the tests and in full by the `p2pnet-lab` program |
//!
//! Namespaces need root, or a user namespace in which one is root: `unshare --user --map-root-user --net --mount`.

pub mod capture;
pub mod events;
pub mod far;
pub mod lan;
pub mod netns;
pub mod node;
pub mod scenario;
pub mod shell;

pub use capture::Capture;
pub use events::Heard;
pub use lan::{Host, HostSpec, Lab, Lan, LanSpec};
pub use netns::Namespace;
pub use node::{Node, NodeSpec};
pub use shell::{Failure, Outcome};
