//! P2PNet on tokio.
