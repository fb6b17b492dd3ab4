//! Where nodes get their cryptography from.

use p2pnet_crypto::{SeededCrypto, SimulatedCrypto};
use p2pnet_protocol::{Crypto, Seed};

/// A kind of crypto whose secrets follow from a seed.
pub(crate) trait Provider: 'static {
    /// The provider.
    type Crypto: Crypto;
    /// One node's.
    fn provide(seed: Seed) -> Self::Crypto;
}

/// [`SimulatedCrypto`].
#[derive(Debug)]
pub(crate) enum Simulated {}

impl Provider for Simulated {
    type Crypto = SimulatedCrypto;
    fn provide(seed: Seed) -> SimulatedCrypto {
        SimulatedCrypto::new(seed)
    }
}

/// Real curves and ciphers.
#[derive(Debug)]
pub(crate) enum Real {}

impl Provider for Real {
    type Crypto = SeededCrypto;
    fn provide(seed: Seed) -> SeededCrypto {
        SeededCrypto::new(seed)
    }
}
