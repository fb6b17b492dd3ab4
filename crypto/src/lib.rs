//! Crypto providers for p2pnet-protocol: pure Rust, fast, and simulated.
