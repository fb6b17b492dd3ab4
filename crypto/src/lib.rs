//! Crypto providers for `p2pnet-protocol`, behind its [`Crypto`](p2pnet_protocol::Crypto) trait.
//!
//! | Provider | Feature | Made of | Needs |
//! |---|---|---|---|
//! | [`PureCrypto`] | `pure` (default) | RustCrypto's AEADs, dalek's curves | `core`, `alloc`, a source of randomness |
//! | [`FastCrypto`] | `fast` | ring's AEADs, aws-lc's curves | `std`, a C compiler |
//! | [`SimulatedCrypto`] | `simulated` | a keyed 64-bit mixer | `core`; **protects nothing** |
//! | [`SeededCrypto`] | `pure` and `simulated` | as `PureCrypto`, with secrets from a seed | `core`, `alloc`; **protects nothing** |
//!
//! The first two agree bit for bit: what one seals the other opens, and they give the same verdict on every signature,
//! edge cases included. Both draw secrets from the operating system alone. The third is for
//! simulations of many nodes: repeatable, cheap, of honest sizes, and never reachable by default features.
//!
//! ```
//! # #[cfg(feature = "pure")] {
//! use p2pnet_crypto::PureCrypto;
//! use p2pnet_protocol::Crypto as _;
//!
//! let mut crypto = PureCrypto::new()?;
//! let (ours, our_public) = crypto.dh_generate();
//! let (theirs, their_public) = crypto.dh_generate();
//! assert_eq!(crypto.dh(&ours, &their_public), crypto.dh(&theirs, &our_public));
//! # }
//! # Ok::<(), p2pnet_crypto::NoRandomness>(())
//! ```
#![cfg_attr(not(feature = "fast"), no_std)]
#![deny(unsafe_code)]

#[cfg(feature = "pure")]
extern crate alloc;

#[cfg(any(feature = "pure", feature = "fast"))]
mod edwards;
#[cfg(feature = "fast")]
mod fast;
#[cfg(any(feature = "pure", feature = "fast"))]
mod preference;
#[cfg(feature = "pure")]
mod pure;
#[cfg(any(feature = "pure", feature = "fast"))]
mod random;
#[cfg(all(feature = "pure", feature = "simulated"))]
mod seeded;
#[cfg(feature = "simulated")]
mod simulated;

#[cfg(feature = "fast")]
pub use fast::FastCrypto;
#[cfg(feature = "pure")]
pub use pure::{PureCipher, PureCrypto};
#[cfg(any(feature = "pure", feature = "fast"))]
pub use random::NoRandomness;
#[cfg(all(feature = "pure", feature = "simulated"))]
pub use seeded::SeededCrypto;
#[cfg(feature = "simulated")]
pub use simulated::{SimulatedCipher, SimulatedCrypto, SimulatedSecret};
