//! Payload that came and passed the gate: who unwraps it.
//!
//! Data transmissions are unwrapped once and go by their format: parts of files to the transfers, tasks to the queue, the
//! rest to the application. Where the application replaces what the node does with them
//! ([`set_default_action`](PeerNetwork::set_default_action)), everything goes there.

use super::PeerNetwork;
use super::held::Held;
use crate::config::Lane;
use crate::crypto::Crypto;
use crate::id::ConnId;
use crate::io::Event;
use crate::received::Received;
use crate::wire::packet::{DataPayloadFormat, PacketKind};

impl<C: Crypto> PeerNetwork<C> {
    pub(super) fn on_received(&mut self, received: Received) {
        let replaced = self.replaced.contains(&PacketKind::DataTransmission);
        if received.kind != PacketKind::DataTransmission || replaced {
            return self.hand_over(received);
        }
        if received.format() == Some(DataPayloadFormat::MiscData) {
            return self.hand_over(received);
        }
        for packet in received.apart() {
            match packet.format() {
                Some(DataPayloadFormat::Task) => self.on_task(packet),
                Some(DataPayloadFormat::File) => self.on_file_packet(packet),
                _ => self.hand_over(packet),
            }
        }
    }

    /// Leaves packets to the application, which gives them back with [`consumed`](Self::consumed).
    pub(super) fn hand_over(&mut self, received: Received) {
        if let Some(link) = self.link_mut(received.conn) {
            link.held.on_received(received.lane, received.bytes);
        }
        self.cx.tell(Event::Received(received));
    }

    /// Somebody is done with so many payload bytes; `note` writes down what the application had of them.
    pub(super) fn give_back(
        &mut self,
        conn: ConnId,
        lane: Lane,
        bytes: u32,
        note: fn(&mut Held, Lane, u32),
    ) {
        let limits = self.cx.limits;
        let Some(link) = self.link_mut(conn) else { return };
        let before = link.read_window(&limits);
        link.channel.consumed(lane, bytes);
        note(&mut link.held, lane, bytes);
        if before == 0 && link.read_window(&limits) > 0 {
            self.resume_reading(conn);
        }
        self.announce_write(conn);
    }
}
