//! Network tasks that came.

use super::PeerNetwork;
use crate::crypto::Crypto;
use crate::received::Received;

impl<C: Crypto> PeerNetwork<C> {
    /// A packet with one task came.
    pub(super) fn on_task(&mut self, received: Received) {
        self.hand_over(received);
    }
}
