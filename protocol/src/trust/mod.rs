//! Who may do what: policies, the gate table, proofs of membership, certificates, identifiers.

pub mod certificate;
pub mod policy;
pub mod secret;
