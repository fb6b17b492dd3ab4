//! Transfers that outlive the process.

use super::Turns;
use crate::sockets::Sockets;
use p2pnet_protocol::SavedTransfers;

impl<S: Sockets> Turns<S> {
    /// Goes on with the transfers of an earlier run.
    pub(super) fn resume_transfers(&mut self, saved: SavedTransfers) {
        for offered in &saved.outgoing {
            let (to, offer, expect) = (offered.to.clone(), offered.offer, Some(offered.file));
            let again = self.net.offer_again(self.now, &offered.name, to, offer, expect);
            if let Err(error) = again {
                self.shared.warn(format!("{} is not offered any more: {error}", offered.name));
            }
        }
        self.net.restore_transfers(self.now, saved);
    }

    /// Saves them if they changed in this turn. An anonymous node doesn't: that would link one run to another.
    pub(super) fn save_transfers(&mut self) {
        if !std::mem::take(&mut self.transfers_changed) || self.anonymous {
            return;
        }
        let Some(state) = &self.state else { return };
        if let Err(error) = state.save_transfers(&self.net.saved_transfers()) {
            self.shared.warn(format!("the transfers were not saved: {error}"));
        }
    }
}
