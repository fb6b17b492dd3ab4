//! Every bound, with its unit in its name, in one place.
//!
//! [`Limits::total_bytes_max`] is the most that a node's state and queues can take, whatever its peers do. It counts
//! the core; an adapter adds one read buffer for the node and the kernel's socket buffers.

use crate::channel::record;
use crate::distribution::{CHUNK_BYTES, CHUNK_BYTES_MAX, CHUNKS_MAX};
use crate::task::NetworkTask;
use serde::{Deserialize, Serialize};

/// How much a node may take. Start from a preset:
///
/// | Preset | For | Channels | [`total_bytes_max`](Limits::total_bytes_max) |
/// |---|---|---|---|
/// | [`tiny`](Limits::tiny) | a sensor or a lamp that talks to a few | 2 | 64 KiB |
/// | [`small`](Limits::small) | a host with a few megabytes to spare | 32 | 23 MiB |
/// | [`default`](Limits::default) | a desktop or a server among hundreds of peers | 256 | 3 GiB |
/// | [`large`](Limits::large) | a hub with ten thousand peers | 16,384 | 80 GiB |
///
/// The sums are for peers that all do their worst at the same time. An idle channel takes less than three kibibytes.
///
/// ```
/// use p2pnet_protocol::{Config, Limits};
/// let limits = Limits { connections_max: 64, ..Limits::small() };
/// println!("at most {} KiB", limits.total_bytes_max() >> 10);
/// let config = Config { limits, ..Config::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections in any state: closing ones, and those that are gone and whose payload the application still has.
    pub connections_max: u32,
    /// Incoming connections in any state from one address.
    pub connections_per_address_max: u32,
    /// Incoming connections in any state from one subnet (/24 or /48).
    pub connections_per_subnet_max: u32,
    /// Handshakes in progress.
    pub handshakes_max: u32,
    /// Handshakes in progress from one host: an IPv4 address, a link-local IPv6 address, or a /64.
    pub handshakes_per_address_max: u32,
    /// Handshakes in progress from one subnet (/24 or /48). Below half of all, so that no subnet keeps the others out.
    pub handshakes_per_subnet_max: u32,
    /// Peers that wait to be accepted.
    pub pending_max: u32,
    /// Channels that are opened without being asked for (LAN discovery).
    pub channels_auto_max: u32,
    /// Peers that are remembered while not connected, and as many identities heard on the LAN.
    pub known_peers_max: u32,
    /// Blocked identities, addresses and prefixes.
    pub blocked_max: u32,
    /// Identities on the list of trusted ones, and as many on the allow-list.
    pub listed_max: u32,
    /// Routines.
    pub routines_max: u32,
    /// Bytes of one packet.
    pub packet_bytes_max: u32,
    /// Bytes queued for sending to one peer.
    pub send_queue_bytes_max: u32,
    /// Bytes of control packets of one peer that the application has not given back, and as many that wait to be sent to it.
    pub control_bytes_max: u32,
    /// Bytes of the message lane that one peer may have under way to us and unread.
    pub message_window_bytes: u32,
    /// Bytes of the bulk lane that one peer may have under way to us and unread.
    pub bulk_window_bytes: u32,
    /// Events with packets of one peer that the application has not given back. Packets that come one to a record cost an
    /// event each, which is more than their bytes.
    pub unread_events_max: u32,
    /// Frames a second that one peer may send for long, whatever they are: packets, parts of long ones, signs of life.
    /// Bursts of one second's worth pass.
    pub packets_per_second_max: u32,
    /// Signatures of beacons verified a second.
    pub beacon_checks_per_second_max: u32,
    /// Files that may be on their way here, offers included, and as many on their way from here.
    pub transfers_max: u32,
    /// Chunks of one file that may come: 65,536 of 64 KiB are 4 GiB.
    pub file_chunks_max: u32,
    /// Outputs that may wait; over it, incoming connections are refused and reading stops.
    pub outputs_max: u32,
    /// Network tasks under way: as many of others here, of ours there, and kept for peers that are away.
    pub tasks_max: u32,
    /// Issuers of tasks that are remembered against replays, besides the authority.
    pub task_issuers_max: u32,
    /// Keys in the data area, deleted ones included.
    pub data_entries_max: u32,
    /// Bytes of the data area.
    pub data_bytes_max: u32,
    /// Labels that the authority gave to identities, and as many blocked ones.
    pub labels_max: u32,
}

impl Default for Limits {
    /// For a desktop or a server among hundreds of peers.
    fn default() -> Self {
        Self {
            connections_max: 256,
            connections_per_address_max: 64,
            connections_per_subnet_max: 192,
            handshakes_max: 128,
            handshakes_per_address_max: 32,
            handshakes_per_subnet_max: 60,
            pending_max: 64,
            channels_auto_max: 64,
            known_peers_max: 4096,
            blocked_max: 4096,
            listed_max: 4096,
            routines_max: 64,
            packet_bytes_max: 128 << 10,
            send_queue_bytes_max: 1 << 20,
            control_bytes_max: 64 << 10,
            message_window_bytes: 512 << 10,
            bulk_window_bytes: 1 << 20,
            unread_events_max: 16_384,
            packets_per_second_max: 0,
            beacon_checks_per_second_max: 500,
            transfers_max: 64,
            file_chunks_max: 1 << 20,
            outputs_max: 65_536,
            tasks_max: 128,
            task_issuers_max: 1024,
            data_entries_max: 4096,
            data_bytes_max: 1 << 20,
            labels_max: 4096,
        }
    }
}

impl Limits {
    /// The most bytes that an application keeps with one channel, if a packet may be that long.
    pub const CHANNEL_DATA_BYTES_MAX: usize = 4096;

    /// The most bytes that an application keeps with one channel.
    pub const fn channel_data_bytes_max(&self) -> usize {
        let packet = self.packet_bytes_max as usize;
        if packet < Self::CHANNEL_DATA_BYTES_MAX { packet } else { Self::CHANNEL_DATA_BYTES_MAX }
    }

    /// The longest record that a peer may send, with its length prefix and tag.
    const fn record_bytes_max(&self) -> usize {
        record::plain_bytes_max(self.packet_bytes_max as usize)
            .saturating_add(record::HEADER_BYTES + record::TAG_BYTES)
    }

    /// For a sensor or a lamp that talks to a few: the whole core takes at most 64 KiB, cryptography apart. It takes no
    /// network tasks, which are longer than its packets, and no files.
    pub fn tiny() -> Self {
        Self {
            connections_max: 2,
            connections_per_address_max: 2,
            connections_per_subnet_max: 2,
            handshakes_max: 2,
            handshakes_per_address_max: 1,
            handshakes_per_subnet_max: 1,
            pending_max: 1,
            channels_auto_max: 1,
            known_peers_max: 4,
            blocked_max: 8,
            listed_max: 8,
            routines_max: 8,
            packet_bytes_max: 1024,
            send_queue_bytes_max: 2048,
            control_bytes_max: 2048,
            message_window_bytes: 1440,
            bulk_window_bytes: 1440,
            unread_events_max: 16,
            packets_per_second_max: 1000,
            beacon_checks_per_second_max: 10,
            transfers_max: 0,
            file_chunks_max: 0,
            outputs_max: 32,
            tasks_max: 0,
            task_issuers_max: 0,
            data_entries_max: 0,
            data_bytes_max: 0,
            labels_max: 0,
        }
    }

    /// For a host with a few megabytes to spare.
    pub fn small() -> Self {
        Self {
            connections_max: 32,
            connections_per_address_max: 8,
            connections_per_subnet_max: 16,
            handshakes_max: 16,
            handshakes_per_address_max: 4,
            handshakes_per_subnet_max: 7,
            pending_max: 8,
            channels_auto_max: 16,
            known_peers_max: 256,
            blocked_max: 256,
            listed_max: 256,
            routines_max: 16,
            packet_bytes_max: 16 << 10,
            send_queue_bytes_max: 64 << 10,
            control_bytes_max: 64 << 10,
            message_window_bytes: 64 << 10,
            bulk_window_bytes: 64 << 10,
            unread_events_max: 512,
            packets_per_second_max: 10_000,
            beacon_checks_per_second_max: 50,
            transfers_max: 4,
            file_chunks_max: 1 << 16,
            outputs_max: 1024,
            tasks_max: 16,
            task_issuers_max: 64,
            data_entries_max: 256,
            data_bytes_max: 64 << 10,
            labels_max: 256,
        }
    }

    /// For a hub with ten thousand peers.
    pub fn large() -> Self {
        Self {
            connections_max: 16_384,
            connections_per_address_max: 256,
            connections_per_subnet_max: 4096,
            handshakes_max: 1024,
            handshakes_per_address_max: 64,
            handshakes_per_subnet_max: 500,
            pending_max: 1024,
            channels_auto_max: 256,
            known_peers_max: 65_536,
            blocked_max: 65_536,
            unread_events_max: 4096,
            listed_max: 65_536,
            task_issuers_max: 16_384,
            labels_max: 65_536,
            ..Self::default()
        }
    }

    /// Checks that the bounds fit together.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let needed = [
            ("limits.connections_max", self.connections_max),
            ("limits.connections_per_address_max", self.connections_per_address_max),
            ("limits.connections_per_subnet_max", self.connections_per_subnet_max),
            ("limits.handshakes_max", self.handshakes_max),
            ("limits.handshakes_per_address_max", self.handshakes_per_address_max),
            ("limits.handshakes_per_subnet_max", self.handshakes_per_subnet_max),
            ("limits.known_peers_max", self.known_peers_max),
            ("limits.listed_max", self.listed_max),
            ("limits.beacon_checks_per_second_max", self.beacon_checks_per_second_max),
        ];
        if let Some((key, _)) = needed.iter().find(|(_, value)| *value == 0) {
            return Err((key, "must be at least 1"));
        }
        if self.packet_bytes_max < 1024 {
            return Err(("limits.packet_bytes_max", "must be at least 1024"));
        }
        if self.send_queue_bytes_max < self.packet_bytes_max {
            return Err((
                "limits.send_queue_bytes_max",
                "must hold one packet: at least limits.packet_bytes_max",
            ));
        }
        let windows = [
            ("limits.message_window_bytes", self.message_window_bytes),
            ("limits.bulk_window_bytes", self.bulk_window_bytes),
        ];
        let stalls = |bytes| self.packet_bytes_max > Self::packet_bytes_in(bytes);
        if let Some((key, _)) = windows.iter().find(|(_, bytes)| stalls(*bytes)) {
            return Err((
                key,
                "must be at least 7/5 of limits.packet_bytes_max, which else stalls",
            ));
        }
        if self.control_bytes_max < 2048 {
            return Err(("limits.control_bytes_max", "must be at least 2048"));
        }
        if self.unread_events_max < 16 {
            return Err(("limits.unread_events_max", "must be at least 16"));
        }
        if self.outputs_max < 32 {
            return Err(("limits.outputs_max", "must be at least 32"));
        }
        Ok(())
    }

    /// The longest packet that always gets through a lane with a window of so many bytes.
    ///
    /// The credit of a packet comes back once it is whole and consumed, and is told when a quarter of the window has come
    /// together. So three quarters must hold the packet and the headers of its parts: at most 12 bytes for each 512.
    pub const fn packet_bytes_in(window_bytes: u32) -> u32 {
        (window_bytes / 7).saturating_mul(5)
    }

    /// The most bytes that one connection can take: its own state, what is queued to be sent, what was received and
    /// not yet consumed, packets under reassembly, and a record cut in two.
    pub fn connection_bytes_max(&self) -> u64 {
        const STATE_BYTES: u64 = 2048;
        /// An event on its way to the application, beside its payload.
        const EVENT_BYTES: u64 = 256;
        STATE_BYTES
            // Control packets that the application has not taken, and as much of those that wait to be sent.
            .saturating_add(u64::from(self.control_bytes_max).saturating_mul(2))
            .saturating_add(self.channel_data_bytes_max() as u64)
            .saturating_add(self.file_messages_bytes_max().into())
            // A chunk that comes in parts.
            .saturating_add(self.chunk_bytes_max().into())
            .saturating_add(u64::from(self.send_queue_bytes_max))
            .saturating_add(u64::from(self.message_window_bytes))
            .saturating_add(u64::from(self.bulk_window_bytes))
            // One packet under reassembly in each lane: its room is made when its first part comes.
            .saturating_add(u64::from(self.packet_bytes_max).saturating_mul(2))
            .saturating_add(u64::from(self.unread_events_max).saturating_mul(EVENT_BYTES))
            .saturating_add(self.record_bytes_max() as u64)
    }

    /// Messages about files that may wait to be sent beside what counts as the send queue.
    pub(crate) const fn file_messages_bytes_max(&self) -> u32 {
        if self.transfers_max == 0 { 0 } else { 64 << 10 }
    }

    /// The size of the largest chunk that may come or go.
    pub(crate) const fn chunk_bytes_max(&self) -> u32 {
        if self.transfers_max == 0 {
            return 0;
        }
        if self.file_chunks_max < CHUNKS_MAX { CHUNK_BYTES } else { CHUNK_BYTES_MAX }
    }

    /// The most bytes that one file on its way here and one on its way from here can take, beside what counts for their
    /// connections.
    pub fn transfer_bytes_max(&self) -> u64 {
        /// Names, sources with what is asked of them, and recipients with what they asked for.
        const STATE_BYTES: u64 = 4096;
        const SOURCE_BYTES: u64 = 16 * 1024;
        const RECIPIENT_BYTES: u64 = 1024;
        // Two bits for each chunk.
        let chunks = u64::from(self.file_chunks_max);
        STATE_BYTES
            .saturating_add(SOURCE_BYTES)
            .saturating_add(u64::from(self.connections_max).saturating_mul(RECIPIENT_BYTES))
            .saturating_add(chunks / 4)
    }

    /// The most bytes that the whole core can take.
    pub fn total_bytes_max(&self) -> u64 {
        const KNOWN_PEER_BYTES: u64 = 512;
        // 500 measured with random keys; if the trees were half empty, about 700.
        const NEIGHBOUR_BYTES: u64 = 768;
        const BLOCK_BYTES: u64 = 64;
        /// One entry of the trusted list and one of the allow-list.
        const LISTED_BYTES: u64 = 2 * 64;
        const ROUTINE_BYTES: u64 = 256;
        const OUTPUT_BYTES: u64 = 256;
        /// The node itself, with nobody known and nothing to do.
        const FIXED_BYTES: u64 = 4 << 10;
        /// A task of another, one of ours that waits for its answer, and one that waits for its receiver.
        const TASK_BYTES: u64 = 3 * (NetworkTask::BYTES_MAX as u64 + 1024);
        /// What was seen of an issuer, and its encoding while it is saved.
        const ISSUER_BYTES: u64 = 2 * (64 * 24 + 256);
        /// A key in the data area, beside its bytes, and again in an encoding.
        const ENTRY_BYTES: u64 = 256;
        /// A label with an identity, a blocked one, and their encoding.
        const LABEL_BYTES: u64 = 4 * 256;
        let times = |count: u32, bytes: u64| u64::from(count).saturating_mul(bytes);
        [
            times(self.connections_max, self.connection_bytes_max()),
            times(self.known_peers_max, KNOWN_PEER_BYTES),
            times(self.known_peers_max, NEIGHBOUR_BYTES),
            times(self.blocked_max, BLOCK_BYTES),
            times(self.listed_max, LISTED_BYTES),
            times(self.routines_max, ROUTINE_BYTES),
            times(self.outputs_max, OUTPUT_BYTES),
            times(self.tasks_max, TASK_BYTES),
            times(self.task_issuers_max, ISSUER_BYTES),
            times(self.data_entries_max, ENTRY_BYTES),
            // The area, and its encoding while it is saved.
            u64::from(self.data_bytes_max).saturating_mul(2),
            times(self.labels_max, LABEL_BYTES),
            times(self.transfers_max, self.transfer_bytes_max()),
            // Payload memory that is kept to be used again.
            u64::from(self.bulk_window_bytes),
        ]
        .into_iter()
        // What the packets of one record come to while they are looked at.
        .fold(FIXED_BYTES.saturating_add(self.record_bytes_max() as u64), u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_must_hold_a_packet() {
        for limits in [Limits::tiny(), Limits::small(), Limits::default(), Limits::large()] {
            assert_eq!(limits.validate(), Ok(()));
        }
        let tight = 70_000;
        let packet_bytes_max = Limits::packet_bytes_in(tight);
        let fits = Limits { packet_bytes_max, bulk_window_bytes: tight, ..Limits::default() };
        assert_eq!(fits.validate(), Ok(()));
        let over = Limits { packet_bytes_max: packet_bytes_max + 1, ..fits };
        assert_eq!(over.validate().unwrap_err().0, "limits.bulk_window_bytes");
        let message = Limits { message_window_bytes: 69_000, ..fits };
        assert_eq!(message.validate().unwrap_err().0, "limits.message_window_bytes");
    }
}
