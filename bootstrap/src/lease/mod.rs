//! Who is there: leases, each of which ends by itself unless its peer renews it.
//!
//! The table lives in memory and touches neither clock nor database: the caller says what time it is, in seconds since a
//! start of its own. Granting, renewing and ending a lease costs the same however many there are, and a sample costs what
//! it holds. Nothing ever moves a large block of memory, so that no request waits for another's growth.
//!
//! | Module | What it is |
//! |---|---|
//! | `place` | scopes of addresses, and the prefixes that belong to one holder |
//! | `slab` | numbered entries that stay where they are |
//! | `wheel` | when leases end |
//! | `crowd` | leases of one network, by site, for samples |
//! | `shelves` | leases and groups, and the counts at sites |
//! | `table` | all of it together |

mod crowd;
#[cfg(test)]
mod model;
mod place;
mod shelves;
mod slab;
mod table;
mod wheel;

pub use place::Scope;
pub use table::{Asker, Granted, Lease, LeaseLimits, LeaseRefusal, Leases, Offer, Sign};
