//! The P2PNet program: run a node, send, receive, explain.

fn main() {}
