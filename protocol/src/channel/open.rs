//! An open channel: records in and out, lanes, credit, signs of life. It knows one stream and nothing of the node.

mod check;

use super::bodies::Bodies;
use super::ciphers::{CipherId, Ciphers};
use super::frame::{self, Frame, Open, lane_of};
use super::lane::{Assembly, LaneIn};
use super::queue::{MessageBatch, SendQueue};
use super::record::{HEADER_BYTES, Half, RECORD_BYTES_MAX, plain_bytes_max, record_length_within};
use crate::config::Lane;
use crate::crypto::Crypto;
use crate::error::Violation;
use crate::id::{ConnId, PeerId};
use crate::limits::Limits;
use crate::received::Received;
use crate::time::{Duration, Instant};
use crate::wire::codec::{Malformed, Reader};
use crate::wire::packet::{DisconnectReason, IdentityPacket, Packet, PacketKind, PeerGroupPacket};
use crate::wire::proof::Proof;
use alloc::{boxed::Box, vec::Vec};
use bytes::{Bytes, BytesMut};
use check::{check_body, check_lengths, tell_node};
use core::mem;

/// What a channel tells the node about the bytes it was given.
#[derive(Debug)]
pub(crate) enum ChannelEffect {
    /// The other side lets us in.
    Opened(Open),
    /// Packets for the application.
    Received(Received),
    /// Packets that the gate turned away.
    Refused { kind: PacketKind, count: u64 },
    /// How the peer describes itself.
    Identity(IdentityPacket),
    /// Peers that the peer knows.
    PeerGroup(PeerGroupPacket),
    /// The peer ends the channel.
    Goodbye(DisconnectReason),
    /// The first ping was answered, or a later one: the round trip took so long.
    RoundTrip,
}

/// What came of bytes, and the memory that payloads are put in.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) effects: Vec<ChannelEffect>,
    pub(crate) bodies: Bodies,
}

/// Frames that carry nothing and have no credit: signs of life that nobody asked for, credit that changes nothing, frames
/// of later versions, control packets that the gate turns away. Reading slower doesn't help against those, since a peer
/// can leave millions in the kernel's buffers and go: so many may come at once, and so many a second for long.
const IDLE_FRAMES_MAX: u32 = 1000;
const IDLE_FRAMES_PER_SECOND: u64 = 100;

/// How many frames that carry nothing came lately.
#[derive(Clone, Copy, Debug)]
struct Idling {
    level: u32,
    at: Instant,
}

impl Idling {
    fn count(&mut self, now: Instant) -> Result<(), Violation> {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let forgotten = millis.saturating_mul(IDLE_FRAMES_PER_SECOND) / 1000;
        if forgotten > 0 {
            self.at = now;
            self.level = self.level.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        }
        self.level = self.level.saturating_add(1);
        if self.level > IDLE_FRAMES_MAX { Err(Violation::TooFast) } else { Ok(()) }
    }
}

/// The kinds of packet that the gate lets in at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passes(u8);

impl Passes {
    /// The kinds for which `pass` holds.
    pub(crate) fn new(mut pass: impl FnMut(PacketKind) -> bool) -> Self {
        let bits = PacketKind::ALL.into_iter().filter(|kind| pass(*kind)).map(Self::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    fn bit(kind: PacketKind) -> u8 {
        1 << (kind.to_wire() & 7)
    }

    pub(crate) fn has(self, kind: PacketKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }
}

/// Counters of one channel (feature C6).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
}

/// One channel, after the handshake.
pub(crate) struct Channel {
    pub(crate) peer: PeerId,
    pub(crate) conn: ConnId,
    /// The handshake's transcript hash: what proofs of membership are bound to.
    pub(crate) transcript: [u8; 32],
    /// Names the peer's present run.
    pub(crate) start_nonce: u64,
    pub(crate) counts: Counts,
    /// Frames received, whatever became of them.
    pub(crate) frames_received: u64,
    /// When the last whole, authentic record came. Bytes of one that never ends are no sign of life.
    pub(crate) last_heard: Instant,
    pub(crate) last_payload: Instant,
    pub(crate) round_trip: Option<Duration>,
    seal: Half,
    open: Half,
    partial: Vec<u8>,
    queue: SendQueue,
    message: LaneIn,
    bulk: LaneIn,
    /// Bytes of control packets that the application has not given back. They have no credit of their own, so this much
    /// of them may wait for the application, and no more.
    control_held: u64,
    control_held_max: u64,
    passes: Passes,
    packet_bytes_max: usize,
    peer_packet_bytes_max: usize,
    idling: Idling,
    ping: Option<u32>,
    pong: Option<u32>,
    pinged: Option<(u32, Instant)>,
    farewell: Option<DisconnectReason>,
    ended: bool,
    /// The peer has said goodbye: nothing it says afterwards counts.
    parted: bool,
}

/// What the handshake hands over.
pub(crate) struct Established {
    pub(crate) peer: PeerId,
    pub(crate) start_nonce: u64,
    pub(crate) transcript: [u8; 32],
    pub(crate) seal: Half,
    pub(crate) open: Half,
}

impl Channel {
    pub(crate) fn new(from: Established, conn: ConnId, limits: &Limits, now: Instant) -> Self {
        Self {
            peer: from.peer,
            conn,
            transcript: from.transcript,
            start_nonce: from.start_nonce,
            counts: Counts::default(),
            frames_received: 0,
            last_heard: now,
            last_payload: now,
            round_trip: None,
            seal: from.seal.named(CipherId::sends(conn)),
            open: from.open.named(CipherId::receives(conn)),
            partial: Vec::new(),
            queue: SendQueue::new(limits.control_bytes_max as usize),
            message: LaneIn::new(Lane::Message, limits.message_window_bytes),
            bulk: LaneIn::new(Lane::Bulk, limits.bulk_window_bytes),
            control_held: 0,
            control_held_max: u64::from(limits.control_bytes_max),
            passes: Passes::default(),
            packet_bytes_max: limits.packet_bytes_max as usize,
            peer_packet_bytes_max: 0,
            idling: Idling { level: 0, at: now },
            ping: None,
            pong: None,
            pinged: None,
            farewell: None,
            ended: false,
            parted: false,
        }
    }

    // Sending.

    /// Lets the other side in: tells what this side takes and what it can prove. With `holds` the payload lanes stay
    /// shut until [`open_lanes`](Self::open_lanes).
    pub(crate) fn admit(&mut self, listen_port: u16, proofs: Vec<Proof>, holds: bool) {
        for lane in [&mut self.message, &mut self.bulk] {
            lane.granted = if holds { 0 } else { lane.window };
        }
        let window = |lane: &LaneIn| u32::try_from(lane.granted).unwrap_or(u32::MAX);
        let open = Open {
            packet_bytes_max: u32::try_from(self.packet_bytes_max).unwrap_or(u32::MAX),
            message_credit: window(&self.message),
            bulk_credit: window(&self.bulk),
            listen_port,
            proofs,
        };
        let mut frame = Vec::new();
        open.put(&mut frame);
        self.queue.push_control(frame);
    }

    /// Lets payload come if it was held back.
    pub(crate) fn open_lanes(&mut self) {
        for lane in [&mut self.message, &mut self.bulk] {
            lane.credit_due |= lane.granted == 0;
        }
    }

    /// The longest packet that both sides take.
    pub(crate) fn packet_bytes_max(&self) -> usize {
        self.packet_bytes_max.min(self.peer_packet_bytes_max)
    }

    pub(crate) fn push(&mut self, packet: &Packet) {
        self.queue.push(packet);
        self.counts.packets_sent = self.counts.packets_sent.saturating_add(1);
    }

    /// Queues a data transmission whose body is `head` and then `payload`, which is shared.
    pub(crate) fn push_data(&mut self, head: Vec<u8>, payload: &Bytes) {
        self.queue.push_body(PacketKind::DataTransmission, head, Some(payload));
        self.counts.packets_sent = self.counts.packets_sent.saturating_add(1);
    }

    pub(crate) fn push_batch(&mut self, batch: MessageBatch) {
        self.counts.packets_sent =
            self.counts.packets_sent.saturating_add(u64::from(batch.count()));
        self.queue.push_batch(batch);
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Whether one more control packet with a body of so many bytes may wait.
    pub(crate) fn has_control_room(&self, body: usize) -> bool {
        self.queue.has_control_room(body)
    }

    /// Whether so many control packets wait that the peer is not read for now.
    pub(crate) const fn is_control_full(&self) -> bool {
        self.queue.is_control_full()
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.queue.packets()
    }

    /// Says goodbye once everything queued has been sent.
    pub(crate) fn say_goodbye(&mut self, reason: DisconnectReason) {
        self.farewell.get_or_insert(reason);
    }

    /// Whether everything has been handed out, the goodbye included.
    pub(crate) const fn is_flushed(&self) -> bool {
        self.ended
    }

    /// Asks for a sign of life.
    pub(crate) fn ping(&mut self, now: Instant) {
        let number = self.pinged.map_or(1, |(number, _)| number.wrapping_add(1));
        self.pinged = Some((number, now));
        self.ping = Some(number);
    }

    /// Whether [`poll_write`](Self::poll_write) would give something.
    pub(crate) fn wants_write(&self) -> bool {
        self.has_signals() || self.queue.is_ready() || self.goodbye_due()
    }

    fn has_signals(&self) -> bool {
        self.ping.is_some()
            || self.pong.is_some()
            || self.message.credit_due
            || self.bulk.credit_due
    }

    fn goodbye_due(&self) -> bool {
        self.farewell.is_some() && !self.ended && self.queue.is_empty()
    }

    /// Appends records to `out`, at least one if anything can be sent, and no more than fit in `bytes_max`.
    pub(crate) fn poll_write<C: Crypto>(
        &mut self,
        crypto: &C,
        ciphers: &mut Ciphers<C>,
        bytes_max: usize,
        out: &mut BytesMut,
    ) {
        let start = out.len();
        loop {
            let record = out.len();
            out.extend_from_slice(&[0; HEADER_BYTES]);
            self.fill_record(out);
            let empty = record.saturating_add(HEADER_BYTES);
            if out.len() == empty {
                out.truncate(record);
                break;
            }
            self.seal.seal(crypto, ciphers, out, record);
            if out.len().saturating_sub(start).saturating_add(RECORD_BYTES_MAX) > bytes_max {
                break;
            }
        }
        let written = out.len().saturating_sub(start) as u64;
        self.counts.bytes_sent = self.counts.bytes_sent.saturating_add(written);
    }

    fn fill_record(&mut self, out: &mut BytesMut) {
        let start = out.len();
        if self.has_signals() {
            let mut signals = Vec::with_capacity(48);
            if let Some(number) = self.ping.take() {
                frame::put_ping(&mut signals, frame::PING, number);
            }
            if let Some(number) = self.pong.take() {
                frame::put_ping(&mut signals, frame::PONG, number);
            }
            for lane in [&mut self.message, &mut self.bulk] {
                if lane.credit_due {
                    frame::put_credit(&mut signals, lane.lane, lane.credit());
                }
            }
            out.extend_from_slice(&signals);
        }
        let plain_max = plain_bytes_max(self.peer_packet_bytes_max);
        let room = plain_max.saturating_sub(out.len().saturating_sub(start));
        let complete = self.queue.fill(room, out);
        if self.goodbye_due() && !complete {
            let packet = Packet::Disconnect(crate::wire::packet::DisconnectPacket {
                reason: self.farewell.unwrap_or(DisconnectReason::Requested),
            });
            let mut goodbye = Vec::with_capacity(3);
            frame::put_frame(&mut goodbye, PacketKind::Disconnect.to_wire(), &packet.encode());
            if out.len().saturating_sub(start).saturating_add(goodbye.len()) <= plain_max {
                out.extend_from_slice(&goodbye);
                self.ended = true;
            }
        }
    }

    // Receiving.

    pub(crate) fn set_passes(&mut self, passes: Passes) {
        self.passes = passes;
    }

    pub(crate) fn passes(&self, kind: PacketKind) -> bool {
        self.passes.has(kind)
    }

    /// How many bytes may be read from the stream.
    pub(crate) fn read_window(&self) -> usize {
        let limit = self
            .message
            .window
            .saturating_add(self.bulk.window)
            .saturating_add(RECORD_BYTES_MAX as u64);
        let held = self.message.unreleased.saturating_add(self.bulk.unreleased);
        usize::try_from(limit.saturating_sub(held)).unwrap_or(usize::MAX)
    }

    /// The application is done with so many payload bytes.
    pub(crate) fn consumed(&mut self, lane: Lane, bytes: u32) {
        match lane {
            Lane::Message => self.message.release(u64::from(bytes)),
            Lane::Bulk => self.bulk.release(u64::from(bytes)),
            Lane::Control => self.control_held = self.control_held.saturating_sub(u64::from(bytes)),
        }
    }

    /// Bytes kept for a record or a packet that has not come whole.
    pub(crate) fn trim(&mut self) {
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
    }

    /// Takes bytes from the stream, in whatever pieces they come, and decrypts in place. Gives how many it took: fewer
    /// than all only after an [`Opened`](ChannelEffect::Opened), which the node must see before the rest. After the peer's
    /// goodbye it takes everything and looks at nothing.
    pub(crate) fn on_stream<C: Crypto>(
        &mut self,
        crypto: &C,
        ciphers: &mut Ciphers<C>,
        now: Instant,
        mut bytes: &mut [u8],
        out: &mut Heard,
    ) -> Result<usize, Violation> {
        let before = bytes.len();
        let plain_max = plain_bytes_max(self.packet_bytes_max);
        while !bytes.is_empty() {
            if self.parted {
                bytes = &mut [];
                break;
            }
            // What follows an open frame is judged by what the node makes of it.
            if matches!(out.effects.last(), Some(ChannelEffect::Opened(_))) {
                break;
            }
            if self.partial.is_empty()
                && let Some(length) = record_length_within(bytes, plain_max)?
                && bytes.len() >= length
            {
                let (record, rest) = bytes.split_at_mut_checked(length).unwrap_or_default();
                bytes = rest;
                self.on_record(crypto, ciphers, now, record, out)?;
                continue;
            }
            // A record that comes in pieces is put together here; only this case copies.
            let want = record_length_within(&self.partial, plain_max)?.unwrap_or(HEADER_BYTES);
            let missing = want.saturating_sub(self.partial.len()).min(bytes.len());
            let (head, rest) = bytes.split_at_mut_checked(missing).unwrap_or_default();
            self.partial.reserve_exact(want.saturating_sub(self.partial.len()));
            self.partial.extend_from_slice(head);
            bytes = rest;
            if record_length_within(&self.partial, plain_max)? == Some(self.partial.len()) {
                let mut record = mem::take(&mut self.partial);
                self.on_record(crypto, ciphers, now, &mut record, out)?;
                record.clear();
                self.partial = record;
            }
        }
        let used = before.saturating_sub(bytes.len());
        self.counts.bytes_received = self.counts.bytes_received.saturating_add(used as u64);
        Ok(used)
    }

    fn on_record<C: Crypto>(
        &mut self,
        crypto: &C,
        ciphers: &mut Ciphers<C>,
        now: Instant,
        record: &mut [u8],
        out: &mut Heard,
    ) -> Result<(), Violation> {
        let body = record.get_mut(HEADER_BYTES..).unwrap_or_default();
        let plain = self.open.open(crypto, ciphers, body).map_err(|_| Violation::BadTag)?;
        self.last_heard = now;
        let plain = &*plain;
        let mut from = Reader::new(plain);
        let mut run = Run::default();
        while let Some(frame) = Frame::next(&mut from)? {
            // Most frames are followed by one of their kind, so that comes first.
            if let Some(kind) = run.kind
                && kind.to_wire() == frame.kind
            {
                check_body(kind, frame.body)?;
                run.end = plain.len().saturating_sub(from.rest().len());
                run.count = run.count.saturating_add(1);
                continue;
            }
            self.end_run(now, plain, &mut run, out)?;
            let Some(kind) = PacketKind::from_wire(frame.kind) else {
                self.count_frames(1);
                self.on_frame(now, frame, out)?;
                if frame.kind == frame::OPEN && !from.is_empty() {
                    return Err(Violation::Unexpected("frame after the open frame"));
                }
                continue;
            };
            check_body(kind, frame.body)?;
            if lane_of(kind) == Lane::Control {
                self.count_frames(1);
                self.on_control_packet(now, kind, frame, out)?;
                if self.parted {
                    return Ok(());
                }
            } else {
                let end = plain.len().saturating_sub(from.rest().len());
                let start = end.saturating_sub(frame.bytes);
                run = Run { kind: Some(kind), start, end, count: 1 };
            }
        }
        self.end_run(now, plain, &mut run, out)
    }

    fn count_frames(&mut self, count: u64) {
        self.frames_received = self.frames_received.saturating_add(count);
    }

    fn lane(&mut self, kind: PacketKind) -> &mut LaneIn {
        if lane_of(kind) == Lane::Bulk { &mut self.bulk } else { &mut self.message }
    }

    /// Hands over the packets of one kind that stood in a row, or turns them away.
    fn end_run(
        &mut self,
        now: Instant,
        plain: &[u8],
        run: &mut Run,
        out: &mut Heard,
    ) -> Result<(), Violation> {
        let Some(kind) = run.kind.take() else { return Ok(()) };
        let frames = plain.get(run.start..run.end).unwrap_or_default();
        self.count_frames(run.count);
        let lane = self.lane(kind);
        lane.take(frames.len())?;
        if lane.assembly.is_some() {
            return Err(Violation::Unexpected("packet within a packet"));
        }
        // Records are short, so that this is rarely worth a look.
        if frames.len() > self.packet_bytes_max {
            check_lengths(frames, self.packet_bytes_max)?;
        }
        if !self.may_deliver(kind) {
            self.lane(kind).release(frames.len() as u64);
            out.effects.push(ChannelEffect::Refused { kind, count: run.count });
            return Ok(());
        }
        self.last_payload = now;
        self.counts.packets_received = self.counts.packets_received.saturating_add(run.count);
        if matches!(kind, PacketKind::PeerGroup | PacketKind::Identity) {
            tell_node(kind, frames, &mut out.effects);
        }
        let mut body = out.bodies.take(frames.len());
        body.extend_from_slice(frames);
        let frames = out.bodies.lend(body);
        let received = Received::frames(self.peer, self.conn, kind, lane_of(kind), frames);
        out.effects.push(ChannelEffect::Received(received));
        Ok(())
    }

    fn may_deliver(&self, kind: PacketKind) -> bool {
        self.passes.has(kind) && self.farewell.is_none() && !self.parted
    }

    fn on_control_packet(
        &mut self,
        now: Instant,
        kind: PacketKind,
        frame: Frame<'_>,
        out: &mut Heard,
    ) -> Result<(), Violation> {
        if frame.body.len() > self.packet_bytes_max {
            return Err(Violation::TooLong("packet"));
        }
        let body = Bytes::copy_from_slice(frame.body);
        let packet = Packet::decode(kind, &body)?;
        if let Packet::Disconnect(packet) = packet {
            self.parted = true;
            out.effects.push(ChannelEffect::Goodbye(packet.reason));
            return Ok(());
        }
        if !self.may_deliver(kind) {
            self.idling.count(now)?;
            out.effects.push(ChannelEffect::Refused { kind, count: 1 });
            return Ok(());
        }
        self.last_payload = now;
        self.counts.packets_received = self.counts.packets_received.saturating_add(1);
        let bytes = u32::try_from(frame.bytes).unwrap_or(u32::MAX);
        self.control_held = self.control_held.saturating_add(u64::from(bytes));
        if self.control_held > self.control_held_max {
            return Err(Violation::CreditExceeded(Lane::Control));
        }
        let received = Received::whole(self.peer, self.conn, kind, Lane::Control, bytes, body);
        out.effects.push(ChannelEffect::Received(received));
        Ok(())
    }

    fn on_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        out: &mut Heard,
    ) -> Result<(), Violation> {
        match frame.kind {
            frame::PING => {
                self.idling.count(now)?;
                self.pong = Some(frame::parse_ping(frame.body)?);
            }
            frame::PONG => {
                let number = frame::parse_ping(frame.body)?;
                if let Some((sent, at)) = self.pinged
                    && sent == number
                {
                    self.round_trip = Some(now.since(at));
                    out.effects.push(ChannelEffect::RoundTrip);
                }
                self.idling.count(now)?;
            }
            frame::CREDIT => {
                let (lane, limit) = frame::parse_credit(frame.body)?;
                if !self.queue.on_credit(lane, limit) {
                    self.idling.count(now)?;
                }
            }
            frame::OPEN => {
                if self.peer_packet_bytes_max != 0 {
                    return Err(Violation::Unexpected("second open frame"));
                }
                let open = Open::parse(frame.body)?;
                self.peer_packet_bytes_max = open.packet_bytes_max as usize;
                if self.peer_packet_bytes_max < frame::WHOLE_BYTES_MAX {
                    return Err(Malformed("longest packet").into());
                }
                self.queue.on_credit(Lane::Message, u64::from(open.message_credit));
                self.queue.on_credit(Lane::Bulk, u64::from(open.bulk_credit));
                out.effects.push(ChannelEffect::Opened(open));
            }
            frame::FIRST => self.on_first(frame, &mut out.bodies)?,
            frame::NEXT => self.on_next(now, frame, out)?,
            kind if kind >= frame::SKIPPABLE => self.idling.count(now)?,
            kind => return Err(Violation::UnknownPacket(kind)),
        }
        Ok(())
    }

    fn on_first(&mut self, frame: Frame<'_>, bodies: &mut Bodies) -> Result<(), Violation> {
        let (kind, total, part) = frame::parse_first(frame.body)?;
        let total = total as usize;
        if total > self.packet_bytes_max {
            return Err(Violation::TooLong("packet"));
        }
        let short = total <= frame::WHOLE_BYTES_MAX;
        if lane_of(kind) == Lane::Control || short || part.is_empty() || part.len() >= total {
            return Err(Violation::Unexpected("first part"));
        }
        let lane = self.lane(kind);
        lane.take(frame.bytes)?;
        if lane.assembly.is_some() {
            return Err(Violation::Unexpected("first part within a packet"));
        }
        let mut body = bodies.take(total);
        body.extend_from_slice(part);
        let cost = u32::try_from(frame.bytes).unwrap_or(u32::MAX);
        lane.assembly = Some(Box::new(Assembly { kind, total, body, cost }));
        Ok(())
    }

    fn on_next(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        out: &mut Heard,
    ) -> Result<(), Violation> {
        let (number, part) = frame.body.split_first().ok_or(Malformed("next part"))?;
        let lane = match number {
            1 => &mut self.message,
            2 => &mut self.bulk,
            _ => return Err(Malformed("lane").into()),
        };
        lane.take(frame.bytes)?;
        let Some(assembly) = &mut lane.assembly else {
            return Err(Violation::Unexpected("next part without a first"));
        };
        if part.is_empty() || part.len() > assembly.total.saturating_sub(assembly.body.len()) {
            return Err(Violation::TooLong("packet part"));
        }
        assembly.body.extend_from_slice(part);
        assembly.cost =
            assembly.cost.saturating_add(u32::try_from(frame.bytes).unwrap_or(u32::MAX));
        if assembly.body.len() < assembly.total {
            return Ok(());
        }
        let Some(whole) = lane.assembly.take() else { return Ok(()) };
        check_body(whole.kind, &whole.body)?;
        if !self.may_deliver(whole.kind) {
            self.lane(whole.kind).release(u64::from(whole.cost));
            out.effects.push(ChannelEffect::Refused { kind: whole.kind, count: 1 });
            return Ok(());
        }
        self.last_payload = now;
        self.counts.packets_received = self.counts.packets_received.saturating_add(1);
        let body = out.bodies.lend(whole.body);
        if whole.kind == PacketKind::PeerGroup
            && let Ok(Packet::PeerGroup(group)) = Packet::decode(whole.kind, &body)
        {
            out.effects.push(ChannelEffect::PeerGroup(group));
        }
        let lane = lane_of(whole.kind);
        let received = Received::whole(self.peer, self.conn, whole.kind, lane, whole.cost, body);
        out.effects.push(ChannelEffect::Received(received));
        Ok(())
    }
}

/// Packets of one kind that stand in a row in a record.
#[derive(Debug, Default)]
struct Run {
    kind: Option<PacketKind>,
    start: usize,
    end: usize,
    count: u64,
}

#[cfg(test)]
mod tests;
