//! The command line of `task` and `data`.

use crate::args::Node;
use clap::{Args, Subcommand};
use std::path::PathBuf;

const KINDS: &str = "\
Kinds, and what each takes:
  send-message TEXT                     tell the peer something
  ping-peer                             have it answer
  request-public-key                    ask for its key
  request-data KEY                      ask for an entry of its data area
  send-data KEY VALUE                   hand it an entry
  synchronize-data                      see `p2pnet data sync`
  request-verify-hash-record SHA256     whether it issued a task with this digest
  request-verify-signature KEY SIGNATURE TEXT
  heartbeat                             fetch what it keeps for this node
  0x8000 to 0xffff TEXT                 a kind of an application's own
These take the authority's signature (--sign-with), unless the peer is set up otherwise:
  block-and-remove-peer PEER|label:TEXT block it there, by its id or by an assigned label
  block-ip ADDR|PREFIX                  block an address or a prefix there
  disconnect-peer PEER                  end the peer's channel to that one
  authorize-peer PEER                   have it trusted there
  revoke-peer-authorization PEER        and no longer
  update-settings NAME=VALUE...         accept_inbound, placement, keep_alive_ms,
                                        packets_per_second_max
  set-local-identifier LABEL            give the peer a label
  assign-identifier-to-peer PEER LABEL  tell it which label a peer has

Examples:
  p2pnet task send ping-peer --to 3fa94c01
  p2pnet task send block-ip 192.0.2.0/24 --all --sign-with authority.key
  p2pnet task send 0x8001 \"rotate logs\" --to 3fa94c01 --valid 5m

Exit code 0 if the peer did it (with --all or --keep: if it went out), else 1.";

/// `task`.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Ask a peer, or everyone, to do something, and tell what came of it
    #[command(after_help = KINDS)]
    Send(TaskSend),
    /// List the tasks under way: of others here, of ours there, and those kept for peers that are away
    List(Node),
}

/// `task send`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("receiver").required(true))]
pub(crate) struct TaskSend {
    /// What kind of task; see below
    pub(crate) kind: String,
    /// What the kind takes
    pub(crate) arguments: Vec<String>,
    /// One peer: its id, or its first 8 digits or more
    #[arg(long, value_name = "PEER", group = "receiver")]
    pub(crate) to: Option<String>,
    /// Everyone with an open channel, where the kind allows that; `up` tells the answers
    #[arg(long, group = "receiver")]
    pub(crate) all: bool,
    /// Sign it with the authority's key in this file instead of the node's own
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_with: Option<PathBuf>,
    /// For how long it may be done, such as 60s or 2h, at most 7 days
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) valid: String,
    /// Keep it until the peer asks for it by a heartbeat
    #[arg(long, conflicts_with_all = ["all", "sign_with"])]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `data`.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Print the value of a key
    Get(OneKey),
    /// Write a value; trusted peers get it at once, others when they meet
    #[command(after_help = "\
The last writer wins: see docs/tasks.md.

Example:
  p2pnet data set printer/room \"2.14\"")]
    Set {
        #[command(flatten)]
        key: OneKey,
        /// The value, at most 8 KiB
        value: String,
    },
    /// Delete a key, here and at every trusted peer
    Delete(OneKey),
    /// List all keys with their values
    List(Node),
    /// Compare with a trusted peer until both have the same
    Sync {
        /// The peer's id, or its first 8 digits or more
        #[arg(value_name = "PEER")]
        peer: String,
        #[command(flatten)]
        node: Node,
    },
}

/// One key of the data area.
#[derive(Args, Debug)]
pub(crate) struct OneKey {
    /// The key: 1 to 128 bytes of text
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) node: Node,
}
