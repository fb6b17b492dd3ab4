//! A connection's life: dialling, the handshake, the open channel, closing.

pub mod noise;
