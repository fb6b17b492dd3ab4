//! What must come of a story: who is trusted how far, and which packets arrive, in which order.

use super::Side;
use p2pnet_protocol::{Lane, Packet, Trust};
use std::collections::VecDeque;

/// What happened, so that a test can show that it wasn't nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Operations, and outputs of both nodes.
    pub steps: u64,
    /// Channels that opened.
    pub channels: u64,
    /// Packets that arrived.
    pub arrived: u64,
    /// Packets that the receiver's gate turned away.
    pub refused: u64,
    /// Streams that the network hurt.
    pub hurt: u64,
}

/// What one side knows of the other, without looking at its node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Side1 {
    pub(super) listed: bool,
    pub(super) blocked: bool,
    /// The trust of the open channel.
    pub(super) trust: Option<Trust>,
}

impl Side1 {
    /// What a new channel's trust must be.
    pub(super) fn at_opening(&self, secret: bool) -> Trust {
        if secret || self.listed { Trust::Trusted } else { Trust::Authenticated }
    }
}

/// The packets that one side sent on one stream and the other has not seen, by lane.
#[derive(Debug, Default)]
pub(super) struct Sent {
    message: VecDeque<Packet>,
    bulk: VecDeque<Packet>,
}

impl Sent {
    pub(super) fn lane(&mut self, lane: Lane) -> &mut VecDeque<Packet> {
        if lane == Lane::Bulk { &mut self.bulk } else { &mut self.message }
    }

    /// A packet arrives: messages are the next ones that were sent; bulk may have lost some to the receiver's gate, and
    /// is in order all the same.
    pub(super) fn on_arrival(&mut self, to: Side, lane: Lane, packet: &Packet) {
        let sent = self.lane(lane);
        while let Some(next) = sent.pop_front() {
            if next == *packet {
                return;
            }
            assert_eq!(lane, Lane::Bulk, "{to} got {packet:?} where {next:?} was sent");
        }
        panic!("{to} got {packet:?}, which was not sent, or twice");
    }

    /// Messages that have not arrived.
    pub(super) fn messages_under_way(&self) -> usize {
        self.message.len()
    }
}
