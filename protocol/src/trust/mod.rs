//! Who may do what: policies, the gate table, proofs of membership, certificates, identifiers.

pub mod bootstrap_policy;
pub mod certificate;
pub mod gate;
pub mod handshake;
pub mod identifier;
pub mod membership;
pub mod policy;
pub mod secret;
pub(crate) mod settle;
