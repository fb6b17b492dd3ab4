//! Distribution: payloads to one peer, to several, to all, and files, which are the large ones.
//!
//! A file is an offer, then requests for chunks, then chunks, each with its proof: see [`message`] and `docs/wire.md`. The
//! receiver asks, so that it decides how much is under way, resumes where it was, and can ask several sources at once.
//! What concerns the file system is asked of the world ([`FileRequest`]); what comes from peers is checked before that.

pub mod ask;
mod bits;
mod finding;
mod incoming;
mod info;
pub mod message;
mod outgoing;
mod transfers;
pub mod tree;

pub use ask::{FileAnswer, FileError, FileHandle, FileRequest};
pub use info::FileInfo;
pub use message::{FileMessage, GoneReason, OfferReply, RefusalReason};
pub(crate) use transfers::{Asked, FileEffect, NextRead, Standing, Transfers};

use crate::id::{FileId, PeerId};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The size of a chunk of most files, in bytes.
pub const CHUNK_BYTES: u32 = 64 << 10;
/// The size of a chunk of the largest files, in bytes.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;
/// The most chunks of one file.
pub const CHUNKS_MAX: u32 = 1 << 20;
/// The longest file: 1 TiB.
pub const FILE_BYTES_MAX: u64 = (CHUNKS_MAX as u64) * (CHUNK_BYTES_MAX as u64);
/// The longest name of a file, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The most chunks that one message wants.
pub const WANT_CHUNKS_MAX: u16 = 64;

/// Which offers are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAcceptance {
    /// The application is asked about each.
    #[default]
    Ask,
    /// Those of trusted peers are accepted, others refused.
    Trusted,
    /// None is.
    Never,
}

/// What the node does about files (feature F1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// Which offers are accepted.
    pub accept: FileAcceptance,
    /// Whether peers that may send data transmissions get the stored files that they ask for by name.
    pub share: bool,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self { accept: FileAcceptance::Ask, share: true }
    }
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileDirection {
    /// To this node.
    Incoming,
    /// From this node.
    Outgoing,
}

/// What a peer did, so that it is no source of a file any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFault {
    /// It sent bytes that are not the file's.
    WrongBytes,
    /// It offered another content under the name that most use for this one.
    OtherContent,
    /// It doesn't serve it (any more).
    Gone(GoneReason),
}

/// Where a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Offered, and nobody has decided yet.
    Offered,
    /// Under way.
    Running,
    /// Under way, and none of its peers is connected.
    Waiting,
    /// All is there and is being put in place.
    Finishing,
}

/// One transfer, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView {
    /// The file.
    pub file: FileInfo,
    /// Which way it goes.
    pub direction: FileDirection,
    /// Where it is.
    pub state: TransferState,
    /// Bytes that are stored, or that were sent to whoever has most.
    pub done_bytes: u64,
    /// Its sources, or those that it goes to.
    pub peers: Vec<PeerId>,
}

/// What survives a restart, for the application to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTransfers {
    /// Accepted and not complete.
    pub incoming: Vec<SavedIncoming>,
    /// Offered and not complete with everyone.
    pub outgoing: Vec<SavedOutgoing>,
    /// Offers that were complete: who made them, and their numbers.
    pub complete: Vec<(PeerId, u64)>,
}

/// A file that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedIncoming {
    /// The file.
    pub file: FileInfo,
    /// Its sources and the numbers of their offers; 0 where there was none.
    pub sources: Vec<(PeerId, u64)>,
}

/// A file that was offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOutgoing {
    /// What the application calls it ([`offer_file`](crate::PeerNetwork::offer_file)).
    pub name: String,
    /// Which file that was.
    pub file: FileId,
    /// The offer's number.
    pub offer: u64,
    /// Who has not got it yet.
    pub to: Vec<PeerId>,
}
