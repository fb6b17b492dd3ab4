//! Widescan: finding peers in IPv6 prefixes, by asking chosen addresses in an order that nobody has to remember.
//!
//! IPv6 is too large to scan and too sparse to guess blindly. What can be done: name prefixes, choose
//! [strategies](Strategy) for the addresses within them, and visit each address exactly once, spread evenly, from as many
//! machines as one likes, with a pause of any length. `docs/widescan.md` is the guide; everything that sends or listens is
//! elsewhere.
//!
//! [`Targets`] are compiled to a [`Space`], where every index stands for an address and every address for an index, with what
//! is [special](SPECIAL) or excluded taken out. A [`Plan`] is a space in an [`Order`] that a seed chooses, by a
//! [`Permutation`]; a [`Walk`] goes through one [`Shard`] of it, and a [`Cursor`] of 80 bytes goes on later.
//!
//! ```
//! use p2pnet_protocol::widescan::{Order, Plan, RangeSet, Shard, SpaceLimits, Strategy, Targets, Walk};
//! use core::net::Ipv6Addr;
//!
//! let mut targets = Targets::new();
//! targets.add("2a00:1::/48".parse()?);
//! targets.add("2a00:2::/56".parse()?);
//! targets.strategy(&Strategy::LowByte { bits: 8 });
//! let plan = Plan::new(targets.compile(&SpaceLimits::default())?, Order::Even, 42);
//!
//! let mut walk = Walk::new(&plan, Shard::default());
//! let mut batch = [Ipv6Addr::UNSPECIFIED; 1024];
//! let mut opted_out = RangeSet::new();
//! let mut count = 0;
//! while !walk.is_finished() {
//!     count += walk.fill(&plan, &opted_out, &mut batch);
//!     opted_out.insert("2a00:1:0:7::/64".parse()?); // nothing else moves
//! }
//! assert!(count < (65_536 + 256) * 256);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod input;
mod learn;
mod lease;
mod pattern;
mod permutation;
mod plan;
mod probe;
mod range;
mod scan;
mod segment;
mod siphash;
mod space;
mod special;
mod strategy;
mod targets;
mod walk;

pub use learn::Learner;
pub use lease::{Lease, Leases};
pub use pattern::{BadPattern, Pattern};
pub use permutation::Permutation;
pub use plan::{Order, Plan};
#[doc(hidden)]
pub use probe::echo_of;
pub use probe::{
    Advert, BadContact, Contact, ErrorKind, Heard, Meeting, ProbeConfig, ProbeError, ProbeNote,
    Prober, Reply,
};
pub use range::{AddressRange, BadRange, RangeSet};
pub use scan::{Checkpoint, Phase, Progress, Scan, ScanConfig, ScanOutput};
pub use space::Space;
pub use special::{SPECIAL, Special, special_of};
pub use strategy::{BadOui, Ipv4Form, Oui, Strategy};
pub use targets::{SpaceError, SpaceLimits, Targets};
pub use walk::{BadShard, Cursor, CursorError, Shard, Walk};
