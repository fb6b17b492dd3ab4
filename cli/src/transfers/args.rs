//! The command line of what concerns files.

use crate::args::Node;
use clap::{Args, Subcommand, ValueEnum};
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

/// `get`.
#[derive(Args, Debug)]
#[command(after_help = "\
The file goes to this node's inbox (or image) and keeps its name there; a clash gets a number, as
in \"report (2).pdf\". Peers give what is in their inboxes to those whom they trust.

Ctrl-C cancels; --detach lets the node go on by itself.

Examples:
  p2pnet get report.pdf --from 3fa94c01
  p2pnet get big.iso --from 3fa94c01 --from 77be02d4     from both at once")]
pub(crate) struct Get {
    /// The file's name there
    pub(crate) name: String,
    /// A peer that has it: its id, or its first 8 digits or more; may be repeated
    #[arg(long, value_name = "PEER", required = true)]
    pub(crate) from: Vec<String>,
    /// Return once it is asked for
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `files`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Files {
    /// What to do
    #[command(subcommand)]
    pub(crate) action: Option<FilesAction>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// What to do about files.
#[derive(Debug, Subcommand)]
pub(crate) enum FilesAction {
    /// Take an offered file
    Accept(OneFile),
    /// Turn an offered file down
    Refuse(OneFile),
    /// End a transfer, whichever way it goes; what came of a file is thrown away
    Cancel(OneFile),
    /// List the files of the inbox or image, which trusted peers can get by name
    Stored(Node),
}

/// One file.
#[derive(Args, Debug)]
pub(crate) struct OneFile {
    /// The file's id, or its first digits, as `p2pnet files` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) node: Node,
}
