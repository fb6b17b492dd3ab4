//! The command line of what concerns files.

use clap::{Args, ValueEnum};
use p2pnet_protocol::FileAcceptance;
use std::path::PathBuf;

/// What `up` is told about files.
#[derive(Args, Debug, Default)]
pub(crate) struct Store {
    /// Keep received files in this directory [default: inbox in the state directory]
    #[arg(long, value_name = "DIR", conflicts_with = "image")]
    pub(crate) inbox: Option<PathBuf>,
    /// Keep them in this disk image (VHD with FAT32) instead; made if it isn't there
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// How large the disk of a new image is; only what is used takes room [default: 4GiB]
    #[arg(long, value_name = "SIZE", requires = "image")]
    pub(crate) image_size: Option<String>,
    /// Which files are taken [default: ask]
    #[arg(long, value_enum)]
    pub(crate) accept: Option<Accept>,
}

/// Which files are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accept {
    /// Offers wait for `p2pnet files accept`
    Ask,
    /// Those of trusted peers
    Trusted,
    /// None
    Never,
}

impl Accept {
    /// What the core calls it.
    pub(crate) fn acceptance(self) -> FileAcceptance {
        match self {
            Self::Ask => FileAcceptance::Ask,
            Self::Trusted => FileAcceptance::Trusted,
            Self::Never => FileAcceptance::Never,
        }
    }
}
