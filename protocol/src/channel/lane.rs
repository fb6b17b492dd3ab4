//! One payload lane, inbound: what came, what the application has not given back, and how far the peer may go.

use crate::config::Lane;
use crate::error::Violation;
use crate::wire::packet::PacketKind;
use alloc::boxed::Box;
use bytes::BytesMut;

/// A packet that comes in parts.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) kind: PacketKind,
    pub(super) total: usize,
    pub(super) body: BytesMut,
    pub(super) cost: u32,
}

/// One payload lane, inbound.
#[derive(Debug)]
pub(super) struct LaneIn {
    pub(super) lane: Lane,
    pub(super) window: u64,
    /// Bytes received so far, headers included, and how far we let the peer go.
    pub(super) received: u64,
    pub(super) granted: u64,
    /// Bytes that the application has not given back.
    pub(super) unreleased: u64,
    pub(super) assembly: Option<Box<Assembly>>,
    pub(super) credit_due: bool,
}

impl LaneIn {
    pub(super) fn new(lane: Lane, window: u32) -> Self {
        let window = u64::from(window);
        Self {
            lane,
            window,
            received: 0,
            granted: 0,
            unreleased: 0,
            assembly: None,
            credit_due: false,
        }
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Violation> {
        self.received = self.received.saturating_add(bytes as u64);
        self.unreleased = self.unreleased.saturating_add(bytes as u64);
        if self.received > self.granted {
            Err(Violation::CreditExceeded(self.lane))
        } else {
            Ok(())
        }
    }

    pub(super) fn release(&mut self, bytes: u64) {
        self.unreleased = self.unreleased.saturating_sub(bytes);
        let reach = self.received.saturating_sub(self.unreleased).saturating_add(self.window);
        // A quarter of the window at a time: rarely enough to cost nothing, soon enough never to stall.
        if reach.saturating_sub(self.granted) >= self.window / 4 {
            self.credit_due = true;
        }
    }

    pub(super) fn credit(&mut self) -> u64 {
        self.credit_due = false;
        self.granted = self.received.saturating_sub(self.unreleased).saturating_add(self.window);
        self.granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_takes_what_it_granted_and_not_a_byte_more() {
        let mut lane = LaneIn::new(Lane::Bulk, 1000);
        assert_eq!(lane.take(1), Err(Violation::CreditExceeded(Lane::Bulk)), "none was granted");
        let mut lane = LaneIn::new(Lane::Bulk, 1000);
        assert_eq!(lane.credit(), 1000);
        assert_eq!(lane.take(400), Ok(()));
        assert_eq!(lane.take(600), Ok(()));
        lane.release(249);
        assert!(!lane.credit_due, "less than a quarter of the window isn't worth a record");
        lane.release(1);
        assert!(lane.credit_due);
        assert_eq!(lane.credit(), 1250);
        assert_eq!(lane.take(250), Ok(()));
        assert_eq!(lane.take(1), Err(Violation::CreditExceeded(Lane::Bulk)));
    }
}
