//! Reads captures of network traffic and tells what P2PNet nodes said in them.
//!
//! ```
//! use p2pnet_inspect::{Capture, Inspector, KeyLog, Limits};
//! use p2pnet_crypto::PureCrypto;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
//! let mut capture = Capture::open(file)?;
//! let mut inspector = Inspector::new(PureCrypto::new()?, KeyLog::default(), Limits::default());
//! let mut tell = |finding| println!("{finding:?}");
//! while let Some(frame) = capture.next_frame()? {
//!     inspector.on_frame(&frame, &mut tell);
//! }
//! inspector.finish(&mut tell);
//! # Ok(()) }
//! ```
//!
//! # The way of a byte
//!
//! | Module | From | To |
//! |---|---|---|
//! | [`capture`] | a pcap or pcapng file | frames with their time |
//! | [`packet`] | a frame | a datagram, or a segment of a TCP stream |
//! | [`reassembly`] | the segments of one direction, in any order, repeated or missing | its bytes in order, and gaps |
//! | `conversation` | both directions | which of them opened the stream, and when it is over |
//! | `dialogue` | the bytes of both | handshake messages, records, frames, packets |
//! | [`finding`] | | the vocabulary of what is told, as values and as JSON |
//! | [`key_log`] | the keys that nodes wrote down | the keys of a handshake |
//!
//! # The contract
//!
//! No capture makes this crate panic, and memory stays within [`Limits::total_bytes_max`]: a file may be damaged, or
//! made with malice. Formats are decoded by [`p2pnet_protocol`]'s own types, so that this crate can't differ from the
//! nodes about what they mean. There is no clock and no socket here, and no file but what the caller reads from.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod capture;
mod conversation;
mod dialogue;
pub mod finding;
mod inspector;
pub mod key_log;
mod limits;
pub mod packet;
pub mod reassembly;
mod speech;
pub mod timestamp;

pub use capture::{Capture, CaptureError, Frame, LinkType};
pub use finding::{Finding, Said, Summary, What};
pub use inspector::Inspector;
pub use key_log::{KeyLog, KeyLogError};
pub use limits::Limits;
pub use timestamp::Timestamp;
