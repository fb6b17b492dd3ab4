//! Packets as they come out of a channel, in batches: one event for all that a record held.

use crate::channel::frame::Frame;
use crate::config::Lane;
use crate::id::{ConnId, PeerId};
use crate::wire::codec::Reader;
use crate::wire::packet::{DataPayloadFormat, Packet, PacketKind};
use bytes::{Buf as _, Bytes};

/// Packets of one kind from one peer, in order. Iterate to take them.
///
/// The bytes count against the peer until they are given back with
/// [`PeerNetwork::consumed`](crate::PeerNetwork::consumed); drivers do that when the application takes the event.
#[doc(alias = "OnDataReceived")]
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Who sent them: proved, and the holder of the channel they came on.
    pub peer: PeerId,
    /// The channel they came on.
    pub conn: ConnId,
    /// What they are.
    pub kind: PacketKind,
    /// The lane they came in.
    pub lane: Lane,
    /// What they count for, in bytes.
    pub bytes: u32,
    packets: Packets,
}

#[derive(Clone, Debug, PartialEq)]
enum Packets {
    /// Whole frames (kind, length, body), one after another.
    Frames(Bytes),
    /// One body that came in parts.
    Whole(Option<Bytes>),
}

impl Received {
    /// A run of whole frames of one kind. Their bodies were checked by [`Packet::decode`] unless every body is valid.
    pub(crate) fn frames(
        peer: PeerId,
        conn: ConnId,
        kind: PacketKind,
        lane: Lane,
        run: Bytes,
    ) -> Self {
        let bytes = u32::try_from(run.len()).unwrap_or(u32::MAX);
        Self { peer, conn, kind, lane, bytes, packets: Packets::Frames(run) }
    }

    /// One packet that came in parts and counts for `bytes`.
    pub(crate) fn whole(
        peer: PeerId,
        conn: ConnId,
        kind: PacketKind,
        lane: Lane,
        bytes: u32,
        body: Bytes,
    ) -> Self {
        Self { peer, conn, kind, lane, bytes, packets: Packets::Whole(Some(body)) }
    }

    /// Takes the first `count` packets off, if there are more than that.
    pub fn split_off_front(&mut self, count: usize) -> Option<Self> {
        let Packets::Frames(frames) = &mut self.packets else { return None };
        let mut from = Reader::new(frames);
        for _ in 0..count {
            Frame::next(&mut from).ok()??;
        }
        if from.is_empty() {
            return None;
        }
        let bytes = frames.len().saturating_sub(from.rest().len());
        let first = frames.split_to(bytes);
        let first = Self::frames(self.peer, self.conn, self.kind, self.lane, first);
        self.bytes = self.bytes.saturating_sub(first.bytes);
        Some(first)
    }

    /// Messages as a channel gives them, for tests of what becomes of events.
    #[doc(hidden)]
    pub fn of_frames(peer: PeerId, conn: ConnId, kind: PacketKind, frames: Bytes) -> Self {
        Self::frames(peer, conn, kind, Lane::Message, frames)
    }

    /// The payloads of the packets that are left, borrowed: for those who only look at them. Packets without one
    /// (Identity, PeerGroup) are passed over.
    ///
    /// ```
    /// # fn lengths(received: &p2pnet_protocol::Received) -> Vec<usize> {
    /// received.payloads().map(<[u8]>::len).collect()
    /// # }
    /// ```
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let (frames, whole) = match &self.packets {
            Packets::Frames(frames) => (&frames[..], None),
            Packets::Whole(body) => (&[][..], body.as_deref()),
        };
        let mut from = Reader::new(frames);
        let bodies = core::iter::from_fn(move || Some(Frame::next(&mut from).ok()??.body));
        let skipped = match self.kind {
            PacketKind::PureMessage | PacketKind::TrustStep => Some(0),
            PacketKind::DataTransmission => Some(1),
            PacketKind::Identity | PacketKind::PeerGroup | PacketKind::Disconnect => None,
        };
        bodies.chain(whole).filter_map(move |body| body.get(skipped?..))
    }

    /// The format of the packets, if they are data transmissions and all have one and the same.
    pub(crate) fn format(&self) -> Option<DataPayloadFormat> {
        let (frames, whole) = match &self.packets {
            Packets::Frames(frames) => (&frames[..], None),
            Packets::Whole(body) => (&[][..], body.as_deref()),
        };
        let mut from = Reader::new(frames);
        let bodies = core::iter::from_fn(move || Some(Frame::next(&mut from).ok()??.body));
        let mut formats = bodies.chain(whole).map(|body| body.first());
        let first = formats.next()??;
        let same =
            self.kind == PacketKind::DataTransmission && formats.all(|other| other == Some(first));
        same.then(|| DataPayloadFormat::from_wire(*first)).flatten()
    }

    /// The same packets, each by itself, with what it counts for.
    pub(crate) fn apart(self) -> impl Iterator<Item = Self> {
        let Self { peer, conn, kind, lane, bytes, packets } = self;
        let (mut frames, mut whole) = match packets {
            Packets::Frames(frames) => (frames, None),
            Packets::Whole(body) => (Bytes::new(), Some(Packets::Whole(body))),
        };
        core::iter::from_fn(move || {
            if let Some(packets) = whole.take() {
                return Some(Self { peer, conn, kind, lane, bytes, packets });
            }
            let frame = Frame::next(&mut Reader::new(&frames)).ok()??.bytes;
            Some(Self::frames(peer, conn, kind, lane, frames.split_to(frame)))
        })
    }

    fn next_body(&mut self) -> Option<Bytes> {
        let frames = match &mut self.packets {
            Packets::Whole(body) => return body.take(),
            Packets::Frames(frames) => frames,
        };
        let frame = Frame::next(&mut Reader::new(frames)).ok()??;
        let (whole, head) = (frame.bytes, frame.bytes.saturating_sub(frame.body.len()));
        let mut body = frames.split_to(whole);
        body.advance(head);
        Some(body)
    }
}

impl Iterator for Received {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        let body = self.next_body()?;
        // Bodies were checked when they came, so this doesn't fail; if it did, the batch would end here.
        Packet::from_body(self.kind, body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::frame::put_frame;
    use alloc::vec::Vec;

    #[test]
    fn a_batch_gives_its_packets_in_order() {
        let mut run = Vec::new();
        for text in [&b"one"[..], b"", b"three"] {
            put_frame(&mut run, PacketKind::PureMessage.to_wire(), text);
        }
        let kind = PacketKind::PureMessage;
        let batch = Received::frames(PeerId([1; 32]), ConnId(1), kind, Lane::Message, run.into());
        let looked_at: Vec<_> = batch.payloads().collect();
        assert_eq!(looked_at, [&b"one"[..], b"", b"three"]);
        let texts: Vec<_> = batch.map(|packet| packet.payload().cloned().unwrap()).collect();
        assert_eq!(texts, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn a_batch_comes_apart_into_packets_that_count_for_as_much() {
        let task = Packet::DataTransmission(crate::DataTransmissionPacket {
            format: DataPayloadFormat::Task,
            payload: Bytes::from_static(b"do"),
        });
        let mut run = Vec::new();
        for packet in [&Packet::misc_data("data"), &task] {
            put_frame(&mut run, packet.kind().to_wire(), &packet.encode());
        }
        let (peer, conn, kind) = (PeerId([1; 32]), ConnId(1), PacketKind::DataTransmission);
        let whole = run.len();
        let batch = Received::frames(peer, conn, kind, Lane::Bulk, run.into());
        assert_eq!(batch.format(), None, "there are two");
        let mut parts: Vec<_> = batch.apart().collect();
        let formats: Vec<_> = parts.iter().map(Received::format).collect();
        assert_eq!(formats, [Some(DataPayloadFormat::MiscData), Some(DataPayloadFormat::Task)]);
        assert_eq!(parts.iter().map(|part| part.bytes as usize).sum::<usize>(), whole);
        assert_eq!(parts[1].next(), Some(task.clone()));
        let long = Received::whole(peer, conn, kind, Lane::Bulk, 9, task.encode().into());
        assert_eq!(long.format(), Some(DataPayloadFormat::Task));
        let mut parts: Vec<_> = long.apart().collect();
        assert_eq!((parts.len(), parts[0].bytes, parts[0].next()), (1, 9, Some(task)));
    }

    #[test]
    fn the_first_few_come_off_with_their_bytes() {
        let mut run = Vec::new();
        for text in [&b"one"[..], b"two", b"three"] {
            put_frame(&mut run, PacketKind::PureMessage.to_wire(), text);
        }
        let kind = PacketKind::PureMessage;
        let all = Received::frames(PeerId([1; 32]), ConnId(1), kind, Lane::Message, run.into());
        let mut rest = all.clone();
        let first = rest.split_off_front(2).unwrap();
        assert_eq!((first.bytes, rest.bytes), (10, 7));
        let both = first.chain(rest);
        assert_eq!(both.collect::<Vec<_>>(), all.clone().collect::<Vec<_>>());
        assert_eq!(all.clone().split_off_front(3), None, "there is no more than that");
        assert_eq!(all.clone().split_off_front(9), None);
    }

    #[test]
    fn payloads_can_be_looked_at_without_being_taken() {
        let data = Packet::misc_data("data");
        let mut run = Vec::new();
        put_frame(&mut run, data.kind().to_wire(), &data.encode());
        let (peer, conn) = (PeerId([1; 32]), ConnId(1));
        let few = Received::frames(peer, conn, data.kind(), Lane::Bulk, run.into());
        let body = data.encode().into();
        let whole = Received::whole(peer, conn, data.kind(), Lane::Bulk, 9, body);
        for mut batch in [few, whole] {
            assert_eq!(batch.payloads().collect::<Vec<_>>(), [b"data"]);
            assert_eq!(batch.next(), Some(data.clone()));
            assert_eq!(batch.payloads().count(), 0, "it was taken");
        }
    }
}
