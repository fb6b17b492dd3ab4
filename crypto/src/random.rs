//! Secret randomness, from the operating system alone.

use core::fmt;

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gives no randomness")
    }
}

impl core::error::Error for NoRandomness {}

/// Draws once, so that a machine without randomness is told apart when a provider is made, not later.
pub(crate) fn probe() -> Result<(), NoRandomness> {
    getrandom::fill(&mut [0; 32]).map_err(|_| NoRandomness)
}

/// Fills `out`.
///
/// # Panics
/// If the operating system has stopped giving randomness since [`probe`]. To go on with predictable keys would be
/// worse than to end.
pub(crate) fn fill(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system stopped giving randomness");
}
