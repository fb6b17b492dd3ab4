//! What was handed to the application and not given back, by count.

use crate::config::Lane;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// The sizes of the events with packets of one peer that the application still has. Many small ones cost more than their
/// bytes, so they are bounded by [`Limits::unread_events_max`](crate::Limits::unread_events_max) beside the credit.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<Box<[HeldLane; 3]>>);

#[derive(Debug, Default)]
struct HeldLane {
    sizes: VecDeque<u32>,
    /// Bytes given back of the first.
    given_back: u32,
}

impl Held {
    /// The fewest bytes of a stream that become an event: a record with one empty message.
    const STREAM_BYTES_MIN: usize = 2 + 2 + 16;

    fn lane(&mut self, lane: Lane) -> &mut HeldLane {
        let [control, message, bulk] = &mut **self.0.get_or_insert_default();
        match lane {
            Lane::Control => control,
            Lane::Message => message,
            Lane::Bulk => bulk,
        }
    }

    pub(crate) fn on_received(&mut self, lane: Lane, bytes: u32) {
        self.lane(lane).sizes.push_back(bytes);
    }

    /// The application may give back many at once, or a part: what counts is the sum.
    pub(crate) fn on_consumed(&mut self, lane: Lane, bytes: u32) {
        let lane = self.lane(lane);
        let mut paid = lane.given_back.saturating_add(bytes);
        while let Some(first) = lane.sizes.front()
            && let Some(rest) = paid.checked_sub(*first)
        {
            paid = rest;
            lane.sizes.pop_front();
        }
        lane.given_back = if lane.sizes.is_empty() { 0 } else { paid };
    }

    /// To be called now and then: a silent channel keeps nothing.
    pub(crate) fn trim(&mut self) {
        if self.count() == 0 {
            self.0 = None;
        }
    }

    /// Bytes that the application still has, of whatever lane.
    pub(crate) fn bytes(&self) -> u64 {
        let lanes = self.0.iter().flat_map(|lanes| lanes.iter());
        lanes.fold(0, |sum: u64, lane| {
            let held =
                lane.sizes.iter().fold(0, |sum: u64, size| sum.saturating_add((*size).into()));
            sum.saturating_add(held.saturating_sub(lane.given_back.into()))
        })
    }

    fn count(&self) -> usize {
        let lanes = self.0.iter().flat_map(|lanes| lanes.iter());
        lanes.fold(0, |sum, lane| sum.saturating_add(lane.sizes.len()))
    }

    /// How many bytes may be read without going over `events_max`, whatever they are.
    pub(crate) fn read_window(&self, events_max: u32) -> usize {
        let left = (events_max as usize).saturating_sub(self.count());
        left.saturating_mul(Self::STREAM_BYTES_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_counts_by_its_bytes_in_whatever_pieces() {
        let mut held = Held::default();
        for _ in 0..10 {
            held.on_received(Lane::Message, 3);
        }
        held.on_received(Lane::Bulk, 1000);
        held.on_consumed(Lane::Message, 4);
        assert_eq!(held.count(), 10);
        held.on_consumed(Lane::Message, 5);
        assert_eq!(held.count(), 8, "nine bytes are three messages");
        assert_eq!(held.bytes(), 7 * 3 + 1000);
        assert_eq!(held.read_window(8), 0);
        assert_eq!(held.read_window(10), 2 * Held::STREAM_BYTES_MIN);
        held.on_consumed(Lane::Message, 1_000_000);
        held.on_received(Lane::Message, 3);
        assert_eq!(held.count(), 2, "too much given back pays for nothing later");
        held.trim();
        held.on_consumed(Lane::Message, 3);
        held.on_consumed(Lane::Bulk, 1000);
        held.trim();
        assert!(held.0.is_none());
    }
}
