//! What waits to be sent on one channel: control first, then messages, then bulk, each lane in order.

use super::frame::{FIRST, NEXT, OPEN, WHOLE_BYTES_MAX, lane_of, put_first};
use super::record::PLAIN_BYTES_MAX;
use crate::config::Lane;
use crate::wire::codec::{Reader, put_varint, varint_len};
use crate::wire::packet::{Packet, PacketKind};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use bytes::{Bytes, BytesMut};

/// The most bytes packed together: a full record less some room for control frames.
const PACK_BYTES_MAX: usize = PLAIN_BYTES_MAX - 128;
/// The least worth cutting off a large packet to fill a record.
const PART_BYTES_MIN: usize = 512;
/// What a control frame counts beside its bytes: it is kept by itself.
const CONTROL_FRAME_COST: usize = 64;
/// The header of a part: frame kind, length, lane or packet kind and total.
const PART_HEADER_BYTES_MAX: usize = 12;

/// Messages for one peer, packed by whoever sends them: what `send` per message becomes on its way to the core.
///
/// ```
/// use p2pnet_protocol::MessageBatch;
/// let mut batch = MessageBatch::default();
/// assert!(batch.push(b"hello"));
/// assert_eq!((batch.count(), batch.bytes()), (1, 7));
/// assert!(!batch.push(&[0; 9000]), "a long message goes as a packet of its own");
/// ```
#[derive(Clone, Debug, Default)]
pub struct MessageBatch {
    packs: Vec<Pack>,
    bytes: usize,
    count: u32,
    longest: usize,
}

/// Whole frames, at most [`PACK_BYTES_MAX`] bytes of them.
#[derive(Clone, Debug, Default)]
struct Pack {
    frames: Vec<u8>,
    count: u32,
}

impl Pack {
    fn fits(&self, bytes: usize) -> bool {
        self.frames.len().saturating_add(bytes) <= PACK_BYTES_MAX
    }

    fn push(&mut self, kind: PacketKind, head: &[u8], payload: &[u8]) {
        self.frames.push(kind.to_wire());
        put_varint(&mut self.frames, as_u32(head.len().saturating_add(payload.len())));
        self.frames.extend_from_slice(head);
        self.frames.extend_from_slice(payload);
        self.count = self.count.saturating_add(1);
    }
}

impl MessageBatch {
    /// The longest message that can be packed.
    pub const MESSAGE_BYTES_MAX: usize = 8192;

    /// Appends a message; false, and nothing done, if it is longer than
    /// [`MESSAGE_BYTES_MAX`](Self::MESSAGE_BYTES_MAX).
    pub fn push(&mut self, message: &[u8]) -> bool {
        if message.len() > Self::MESSAGE_BYTES_MAX {
            return false;
        }
        let bytes = frame_bytes(message.len());
        if !self.packs.last().is_some_and(|pack| pack.fits(bytes)) {
            // Who fills one pack fills the next as well.
            let reserve = if self.packs.is_empty() { 0 } else { PACK_BYTES_MAX };
            self.packs.push(Pack { frames: Vec::with_capacity(reserve), count: 0 });
        }
        if let Some(pack) = self.packs.last_mut() {
            pack.push(PacketKind::PureMessage, &[], message);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.count = self.count.saturating_add(1);
        self.longest = self.longest.max(message.len());
        true
    }

    /// How many messages there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes they take with their headers.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes the longest has.
    pub const fn longest(&self) -> usize {
        self.longest
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn as_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The length of a frame whose body has `body` bytes.
fn frame_bytes(body: usize) -> usize {
    body.saturating_add(1).saturating_add(varint_len(as_u32(body)))
}

#[derive(Debug)]
enum Item {
    Pack(Pack),
    Large(Box<Large>),
}

/// A packet too long to be packed; `sent` of its `head` and `payload` are on their way.
#[derive(Debug)]
struct Large {
    kind: PacketKind,
    head: Vec<u8>,
    payload: Bytes,
    sent: usize,
}

/// One payload lane.
#[derive(Debug, Default)]
struct LaneQueue {
    items: VecDeque<Item>,
    /// Bytes sent so far, headers included, and how far the other side lets us go.
    sent: u64,
    credit: u64,
}

/// Everything that waits to be sent on one channel.
#[derive(Debug)]
pub(crate) struct SendQueue {
    control: VecDeque<Vec<u8>>,
    /// The most that control frames may count: they have no credit, and a peer could make this side answer each of its
    /// own.
    control_bytes_max: usize,
    /// What the control frames count.
    control_cost: usize,
    message: LaneQueue,
    bulk: LaneQueue,
    bytes: usize,
    packets: u64,
}

impl SendQueue {
    pub(crate) fn new(control_bytes_max: usize) -> Self {
        Self {
            control: VecDeque::new(),
            control_bytes_max,
            control_cost: 0,
            message: LaneQueue::default(),
            bulk: LaneQueue::default(),
            bytes: 0,
            packets: 0,
        }
    }

    /// Payload bytes that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packets that wait, one under way included.
    pub(crate) const fn packets(&self) -> u64 {
        self.packets
    }

    /// Whether one more control packet with a body of so many bytes may wait.
    pub(crate) fn has_control_room(&self, body: usize) -> bool {
        let cost = frame_bytes(body).saturating_add(CONTROL_FRAME_COST);
        self.control_cost.saturating_add(cost) <= self.control_bytes_max
    }

    /// Whether so many control packets wait that the peer should send nothing that calls for more.
    pub(crate) const fn is_control_full(&self) -> bool {
        self.control_cost >= self.control_bytes_max / 2
    }

    /// Whether nothing waits, credit or no credit.
    pub(crate) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.message.items.is_empty() && self.bulk.items.is_empty()
    }

    /// Whether something could be sent right now.
    pub(crate) fn is_ready(&self) -> bool {
        !self.control.is_empty() || self.message.is_ready() || self.bulk.is_ready()
    }

    /// Queues a whole control frame.
    pub(crate) fn push_control(&mut self, frame: Vec<u8>) {
        self.control_cost = self.control_cost.saturating_add(control_cost(&frame));
        self.control.push_back(frame);
    }

    /// Queues a packet. The caller has checked its length and the room.
    pub(crate) fn push(&mut self, packet: &Packet) {
        let mut head = Vec::new();
        packet.encode_head(&mut head);
        self.push_body(packet.kind(), head, packet.payload());
    }

    /// Queues a packet whose body is `head` and then `payload`, which is shared.
    pub(crate) fn push_body(&mut self, kind: PacketKind, head: Vec<u8>, payload: Option<&Bytes>) {
        let bytes = payload.map_or(&[][..], |payload| payload);
        let body = head.len().saturating_add(bytes.len());
        if lane_of(kind) == Lane::Control {
            let mut pack = Pack::default();
            pack.push(kind, &head, bytes);
            return self.push_control(pack.frames);
        }
        self.bytes = self.bytes.saturating_add(frame_bytes(body));
        self.packets = self.packets.saturating_add(1);
        let lane = if lane_of(kind) == Lane::Bulk { &mut self.bulk } else { &mut self.message };
        if body > WHOLE_BYTES_MAX {
            let payload = payload.cloned().unwrap_or_default();
            let large = Large { kind, head, payload, sent: 0 };
            lane.items.push_back(Item::Large(Box::new(large)));
        } else {
            lane.pack(kind, &head, bytes);
        }
    }

    /// Queues messages that are packed already.
    pub(crate) fn push_batch(&mut self, batch: MessageBatch) {
        self.bytes = self.bytes.saturating_add(batch.bytes);
        self.packets = self.packets.saturating_add(u64::from(batch.count));
        for pack in batch.packs {
            match self.message.items.back_mut() {
                // A lone small message joins its neighbours; a full pack stays as it is.
                Some(Item::Pack(last)) if last.fits(pack.frames.len()) => {
                    last.frames.extend_from_slice(&pack.frames);
                    last.count = last.count.saturating_add(pack.count);
                }
                _ => self.message.items.push_back(Item::Pack(pack)),
            }
        }
    }

    /// The other side lets us go further in a lane. Credit never shrinks.
    ///
    /// True if that changes anything.
    pub(crate) fn on_credit(&mut self, lane: Lane, credit: u64) -> bool {
        let known = match lane {
            Lane::Message => &mut self.message.credit,
            Lane::Bulk => &mut self.bulk.credit,
            Lane::Control => return false,
        };
        let more = credit > *known;
        *known = credit.max(*known);
        more
    }

    /// Appends frames to a record with `room` bytes left. True if nothing may follow in this record: an open frame is
    /// the last of its own, since what follows it is judged by what it changes.
    pub(crate) fn fill(&mut self, mut room: usize, out: &mut BytesMut) -> bool {
        while let Some(frame) = self.control.front() {
            if frame.len() > room {
                return false;
            }
            out.extend_from_slice(frame);
            room = room.saturating_sub(frame.len());
            let ends = frame.first() == Some(&OPEN);
            self.control_cost = self.control_cost.saturating_sub(control_cost(frame));
            self.control.pop_front();
            if self.control.is_empty() {
                self.control = VecDeque::new();
            }
            if ends {
                return true;
            }
        }
        let before = out.len();
        for lane in [&mut self.message, &mut self.bulk] {
            let left = room.saturating_sub(out.len().saturating_sub(before));
            let done = lane.fill(left, out);
            self.bytes = self.bytes.saturating_sub(done.bytes);
            self.packets = self.packets.saturating_sub(done.packets);
            // Bulk may use what is left, but only when no message waits for room or credit of its own record.
            if !lane.items.is_empty() && lane.is_ready() {
                return false;
            }
        }
        false
    }
}

fn control_cost(frame: &[u8]) -> usize {
    frame.len().saturating_add(CONTROL_FRAME_COST)
}

/// What left a lane's queue.
#[derive(Default)]
struct Done {
    bytes: usize,
    packets: u64,
}

impl LaneQueue {
    fn room(&self) -> usize {
        usize::try_from(self.credit.saturating_sub(self.sent)).unwrap_or(usize::MAX)
    }

    fn is_ready(&self) -> bool {
        let room = self.room();
        match self.items.front() {
            None => false,
            Some(Item::Pack(pack)) => {
                pack.frames.len() <= room || whole_frames(&pack.frames, room).0 > 0
            }
            Some(Item::Large(large)) => {
                let left = large.bytes().saturating_sub(large.sent);
                room >= left.min(PART_BYTES_MIN).saturating_add(PART_HEADER_BYTES_MAX)
            }
        }
    }

    fn pack(&mut self, kind: PacketKind, head: &[u8], payload: &[u8]) {
        let bytes = frame_bytes(head.len().saturating_add(payload.len()));
        match self.items.back_mut() {
            Some(Item::Pack(pack)) if pack.fits(bytes) => pack.push(kind, head, payload),
            _ => {
                let mut pack = Pack::default();
                pack.push(kind, head, payload);
                self.items.push_back(Item::Pack(pack));
            }
        }
    }

    fn fill(&mut self, room: usize, out: &mut BytesMut) -> Done {
        let start = out.len();
        let mut done = Done::default();
        while let Some(item) = self.items.front_mut() {
            let before = out.len();
            let credit =
                usize::try_from(self.credit.saturating_sub(self.sent)).unwrap_or(usize::MAX);
            let left = room.saturating_sub(before.saturating_sub(start)).min(credit);
            let finished = match item {
                // A pack is cut where the record or the credit begins with it, and not for the few bytes that the one
                // before it left over: cutting moves all that stays.
                Item::Pack(pack) if before > start && pack.frames.len() > left => break,
                Item::Pack(pack) => fill_pack(pack, left, out, &mut done),
                Item::Large(large) => large.fill(left, out, &mut done),
            };
            self.sent = self.sent.saturating_add(out.len().saturating_sub(before) as u64);
            if !finished {
                break;
            }
            self.items.pop_front();
        }
        if self.items.is_empty() {
            // Most channels are silent most of the time, and hold nothing then.
            self.items = VecDeque::new();
        }
        done
    }
}

/// How many bytes, and how many whole frames, of `frames` fit into `room`.
fn whole_frames(frames: &[u8], room: usize) -> (usize, u32) {
    let (mut fit, mut count) = (0usize, 0u32);
    let mut from = Reader::new(frames);
    while !from.is_empty() {
        let skipped = from.u8("frame").and_then(|_| from.prefixed(usize::MAX, "frame"));
        let end = frames.len().saturating_sub(from.rest().len());
        if skipped.is_err() || end > room {
            break;
        }
        fit = end;
        count = count.saturating_add(1);
    }
    (fit, count)
}

/// Appends a pack, or those of its frames that fit. True if nothing is left of it.
fn fill_pack(pack: &mut Pack, room: usize, out: &mut BytesMut, done: &mut Done) -> bool {
    let whole = pack.frames.len() <= room;
    let (fit, count) =
        if whole { (pack.frames.len(), pack.count) } else { whole_frames(&pack.frames, room) };
    out.extend_from_slice(pack.frames.get(..fit).unwrap_or_default());
    done.bytes = done.bytes.saturating_add(fit);
    done.packets = done.packets.saturating_add(u64::from(count));
    if !whole {
        pack.frames.drain(..fit);
        pack.count = pack.count.saturating_sub(count);
    }
    whole
}

impl Large {
    fn bytes(&self) -> usize {
        self.head.len().saturating_add(self.payload.len())
    }

    /// Appends the packet, or the next part of it. True if nothing is left of it.
    fn fill(&mut self, room: usize, out: &mut BytesMut, done: &mut Done) -> bool {
        let total = self.bytes();
        let mut header = Vec::with_capacity(PART_HEADER_BYTES_MAX);
        let take = if self.sent == 0 && frame_bytes(total) <= room {
            header.push(self.kind.to_wire());
            put_varint(&mut header, as_u32(total));
            total
        } else {
            let left = total.saturating_sub(self.sent);
            let take = left.min(room.saturating_sub(PART_HEADER_BYTES_MAX));
            if take < left.min(PART_BYTES_MIN) {
                return false;
            }
            let mut body = Vec::with_capacity(PART_HEADER_BYTES_MAX);
            if self.sent == 0 {
                put_first(&mut body, self.kind, as_u32(total));
            } else {
                body.push(if lane_of(self.kind) == Lane::Bulk { 2 } else { 1 });
            }
            header.push(if self.sent == 0 { FIRST } else { NEXT });
            put_varint(&mut header, as_u32(body.len().saturating_add(take)));
            header.extend_from_slice(&body);
            take
        };
        out.extend_from_slice(&header);
        let end = self.sent.saturating_add(take);
        let split = self.head.len();
        let head = self.head.get(self.sent.min(split)..end.min(split));
        out.extend_from_slice(head.unwrap_or_default());
        let payload = self.payload.get(self.sent.saturating_sub(split)..end.saturating_sub(split));
        out.extend_from_slice(payload.unwrap_or_default());
        self.sent = end;
        if end == total {
            done.bytes = done.bytes.saturating_add(frame_bytes(total));
            done.packets = done.packets.saturating_add(1);
        }
        end == total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const CONTROL_BYTES_MAX: usize = 64 << 10;

    fn drain(queue: &mut SendQueue, room: usize) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while queue.is_ready() {
            let mut out = BytesMut::new();
            queue.fill(room, &mut out);
            assert!(!out.is_empty() && out.len() <= room, "{} of {room}", out.len());
            records.push(out.to_vec());
        }
        records
    }

    #[test]
    fn control_overtakes_messages_and_messages_overtake_bulk() {
        let mut queue = SendQueue::new(CONTROL_BYTES_MAX);
        queue.on_credit(Lane::Message, 1 << 20);
        queue.on_credit(Lane::Bulk, 1 << 20);
        queue.push(&Packet::misc_data(vec![7; 40_000]));
        let mut out = BytesMut::new();
        queue.fill(PLAIN_BYTES_MAX, &mut out);
        assert_eq!(out.first(), Some(&FIRST));
        queue.push(&Packet::message("now"));
        queue.push_control(vec![0x01, 0]);
        let mut out = BytesMut::new();
        queue.fill(PLAIN_BYTES_MAX, &mut out);
        assert_eq!(&out[..7], &[0x01, 0, 0x14, 3, b'n', b'o', b'w']);
        assert_eq!(out[7], NEXT);
        assert_eq!(drain(&mut queue, PLAIN_BYTES_MAX).len(), 1);
        assert!(queue.is_empty());
        assert_eq!((queue.bytes(), queue.packets()), (0, 0));
    }

    #[test]
    fn nothing_passes_beyond_the_credit() {
        let mut queue = SendQueue::new(CONTROL_BYTES_MAX);
        for _ in 0..10 {
            queue.push(&Packet::message("0123456789"));
        }
        assert!(!queue.is_ready());
        queue.on_credit(Lane::Message, 30);
        let sent: usize = drain(&mut queue, PLAIN_BYTES_MAX).iter().map(Vec::len).sum();
        assert_eq!(sent, 24, "two whole frames of twelve bytes");
        assert_eq!((queue.packets(), queue.bytes()), (8, 96));
        queue.on_credit(Lane::Message, 20);
        assert!(!queue.is_ready(), "credit never shrinks and never grows by itself");
        queue.on_credit(Lane::Message, 120);
        let sent: usize = drain(&mut queue, 50).iter().map(Vec::len).sum();
        assert_eq!(sent, 96);
    }

    #[test]
    fn control_packets_have_a_bound_and_give_it_back() {
        let mut queue = SendQueue::new(CONTROL_BYTES_MAX);
        let step = |bytes: usize| {
            let message = vec![7; bytes].into();
            Packet::TrustStep(crate::wire::packet::TrustStepPacket { message })
        };
        for bytes in [0, 100, PLAIN_BYTES_MAX - 3] {
            let mut count = 0;
            while queue.has_control_room(bytes) {
                queue.push(&step(bytes));
                count += 1;
            }
            assert!(queue.is_control_full() && count * (bytes + 64) <= CONTROL_BYTES_MAX);
            assert!(count <= 1024, "empty ones are bounded too");
            drain(&mut queue, PLAIN_BYTES_MAX);
            assert!(queue.is_empty() && queue.control_cost == 0 && !queue.is_control_full());
        }
    }

    #[test]
    fn batches_keep_their_order_with_single_messages() {
        let mut queue = SendQueue::new(CONTROL_BYTES_MAX);
        queue.on_credit(Lane::Message, 1 << 20);
        queue.push(&Packet::message("a"));
        let mut batch = MessageBatch::default();
        assert!(batch.push(b"b"));
        queue.push_batch(batch);
        queue.push(&Packet::message("c"));
        let all: Vec<u8> = drain(&mut queue, PLAIN_BYTES_MAX).concat();
        assert_eq!(all, [0x14, 1, b'a', 0x14, 1, b'b', 0x14, 1, b'c']);
    }
}
