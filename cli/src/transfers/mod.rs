//! Files from peer to peer, as commands speak of them.

pub(crate) mod args;
