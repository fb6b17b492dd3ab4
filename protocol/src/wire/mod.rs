//! Formats on the wire: one file for each, with its bounds, its parsed form and its round trip.
//!
//! `docs/wire.md` is the specification. Parsed values are valid by construction; decoding gives
//! `Result<_, Malformed>`, encoding can't fail.

pub mod address;
pub mod beacon;
#[doc(hidden)]
pub mod codec;
pub mod packet;
pub mod proof;

pub use address::{Endpoint, PeerRecord};
pub use beacon::{Beacon, SignedBeacon};
pub use codec::{Malformed, Reader};
