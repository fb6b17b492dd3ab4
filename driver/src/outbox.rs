//! What the application sends, on its way to the core.
//!
//! Each open channel has a lane here. A message is copied once, into the lane's current [`MessageBatch`], under the one
//! lock of the outbox; the loop takes whole batches out and hands them to the core. So a call per message costs about a
//! copy, while an idle channel sends its first message at once: the loop is woken by it and takes a batch of one.
//!
//! A lane is bounded in bytes. A full one makes its own senders wait and nobody else's, because what the core's queue
//! has no room for stays in its lane.

use p2pnet_protocol::{ConnId, Lane as Way, MessageBatch, Packet, PacketKind, PeerId, SendError};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What a packet counts for beyond its payload.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// All lanes.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// A lane with this much in one of its ways takes no more there.
    lane_bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    by_peer: HashMap<PeerId, usize>,
    lanes: Vec<Option<Lane>>,
    free: Vec<usize>,
    /// Where the last message went: the next one often goes there too.
    last: usize,
    /// Lanes with something for the core, in turn.
    ready: VecDeque<usize>,
}

#[derive(Debug)]
struct Lane {
    peer: PeerId,
    conn: ConnId,
    packet_bytes_max: usize,
    /// Messages and small packets, in order.
    messages: Queue,
    /// Data transmissions, in order.
    bulk: Queue,
    in_ready: bool,
    /// No more is taken: the channel is being closed gracefully.
    closing: bool,
    /// A bit for each kind that the gate turned away at the present level of trust.
    not_allowed: u8,
    waiting: Vec<Waker>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// What was accepted and isn't in the core yet.
    bytes: usize,
    /// The core had no room; wait until it has.
    held: bool,
}

/// What one step hands to the core.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Messages(MessageBatch),
    Packet(Packet),
}

impl Item {
    fn packets(&self) -> u64 {
        match self {
            Self::Messages(batch) => batch.count().into(),
            Self::Packet(_) => 1,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Messages(batch) => batch.bytes(),
            Self::Packet(packet) => packet_bytes(packet),
        }
    }
}

/// An item, who it is for, and where it came from.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) peer: PeerId,
    pub(crate) item: Item,
    pub(crate) bytes: usize,
    pub(crate) way: Way,
    lane: usize,
}

fn kind_bit(kind: PacketKind) -> u8 {
    1 << (kind as u8)
}

fn packet_bytes(packet: &Packet) -> usize {
    packet.payload().map_or(0, bytes::Bytes::len) + PACKET_OVERHEAD_BYTES
}

fn way_of(packet: &Packet) -> Way {
    match packet.kind() {
        PacketKind::DataTransmission => Way::Bulk,
        _ => Way::Message,
    }
}

impl Outbox {
    pub(crate) fn new(lane_bytes_max: usize) -> Self {
        Self { state: Mutex::default(), lane_bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message, or says why not. If the lane is full, `waker` is woken when it has room.
    pub(crate) fn message(
        &self,
        peer: &PeerId,
        message: &[u8],
        waker: Option<&Waker>,
    ) -> Result<(), SendError> {
        let mut state = self.lock();
        let (state, at) = state.find(peer)?;
        let Some(lane) = &mut state.lanes[at] else { return Err(SendError::NotConnected) };
        lane.fits(message.len())?;
        lane.admit(PacketKind::PureMessage, Way::Message, self.lane_bytes_max, waker)?;
        lane.messages.push(message);
        lane.announce(at, &mut state.ready);
        Ok(())
    }

    /// Takes a packet, or says why not. If the lane is full, `waker` is woken when it has room.
    pub(crate) fn packet(
        &self,
        peer: &PeerId,
        packet: &Packet,
        waker: Option<&Waker>,
    ) -> Result<(), SendError> {
        let mut state = self.lock();
        let (state, at) = state.find(peer)?;
        let Some(lane) = &mut state.lanes[at] else { return Err(SendError::NotConnected) };
        let way = way_of(packet);
        lane.fits(packet.body_bytes())?;
        lane.admit(packet.kind(), way, self.lane_bytes_max, waker)?;
        let queue = lane.queue(way);
        queue.bytes += packet_bytes(packet);
        queue.items.push_back(Item::Packet(packet.clone()));
        lane.announce(at, &mut state.ready);
        Ok(())
    }

    /// A channel opened. If it takes over from another one to the same peer, what waits goes through it.
    /// Both sides take packets of up to `packet_bytes_max`.
    pub(crate) fn open(&self, peer: PeerId, conn: ConnId, packet_bytes_max: usize) {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(&at) = state.by_peer.get(&peer)
            && let Some(lane) = &mut state.lanes[at]
        {
            lane.conn = conn;
            lane.packet_bytes_max = packet_bytes_max;
            lane.closing = false;
            return;
        }
        let lane = Lane {
            peer,
            conn,
            packet_bytes_max,
            messages: Queue::default(),
            bulk: Queue::default(),
            in_ready: false,
            closing: false,
            not_allowed: 0,
            waiting: Vec::new(),
        };
        let at = state.free.pop().unwrap_or(state.lanes.len());
        if at == state.lanes.len() {
            state.lanes.push(Some(lane));
        } else {
            state.lanes[at] = Some(lane);
        }
        state.by_peer.insert(peer, at);
    }

    /// The channel `conn` (any, if `None`) to `peer` ended. Says how many packets were taken and never reached the core.
    pub(crate) fn remove(&self, peer: &PeerId, conn: Option<ConnId>) -> u64 {
        let mut state = self.lock();
        let Some(&at) = state.by_peer.get(peer) else { return 0 };
        if state.lanes[at].as_ref().is_some_and(|lane| conn.is_some_and(|c| c != lane.conn)) {
            return 0;
        }
        state.by_peer.remove(peer);
        state.ready.retain(|ready| *ready != at);
        state.free.push(at);
        let Some(lane) = state.lanes[at].take() else { return 0 };
        drop(state);
        lane.waiting.into_iter().for_each(Waker::wake);
        lane.messages.items.iter().chain(&lane.bulk.items).map(Item::packets).sum()
    }

    /// Every channel is gone, and no more will come.
    pub(crate) fn remove_all(&self) {
        let peers: Vec<PeerId> = self.lock().by_peer.keys().copied().collect();
        for peer in peers {
            self.remove(&peer, None);
        }
    }

    /// Takes no more for `peer` (for anyone, if `None`).
    pub(crate) fn close(&self, peer: Option<&PeerId>) {
        let mut state = self.lock();
        let mut woken = Vec::new();
        for lane in state.lanes.iter_mut().flatten() {
            if peer.is_none_or(|peer| *peer == lane.peer) {
                lane.closing = true;
                woken.append(&mut lane.waiting);
            }
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Whether everything that was accepted for `peer` (for anyone, if `None`) is in the core.
    pub(crate) fn is_drained(&self, peer: Option<&PeerId>) -> bool {
        let state = self.lock();
        let drained = |lane: &Lane| lane.messages.bytes + lane.bulk.bytes == 0;
        match peer {
            None => state.lanes.iter().flatten().all(drained),
            Some(peer) => {
                state.by_peer.get(peer).and_then(|at| state.lanes[*at].as_ref()).is_none_or(drained)
            }
        }
    }

    /// The gate decides anew what may pass to `peer`.
    pub(crate) fn allow(&self, peer: &PeerId, allowed: impl Fn(PacketKind) -> bool) {
        let mut state = self.lock();
        let Ok((state, at)) = state.find(peer) else { return };
        if let Some(lane) = &mut state.lanes[at] {
            let refused = PacketKind::ALL.into_iter().filter(|kind| !allowed(*kind));
            lane.not_allowed = refused.map(kind_bit).sum();
        }
    }

    /// The core may have room for `peer` again. Says whether something waits for that.
    pub(crate) fn retry(&self, peer: &PeerId) -> bool {
        let mut state = self.lock();
        let Ok((state, at)) = state.find(peer) else { return false };
        let Some(lane) = &mut state.lanes[at] else { return false };
        let held = lane.messages.held || lane.bulk.held;
        lane.messages.held = false;
        lane.bulk.held = false;
        if held {
            lane.announce(at, &mut state.ready);
        }
        held
    }

    /// The next thing for the core; peers take turns. Answer with [`settle`](Self::settle) before asking again.
    pub(crate) fn take(&self) -> Option<Parcel> {
        let mut state = self.lock();
        let state = &mut *state;
        while let Some(at) = state.ready.pop_front() {
            let Some(lane) = &mut state.lanes[at] else { continue };
            let found = [(Way::Message, &mut lane.messages), (Way::Bulk, &mut lane.bulk)]
                .into_iter()
                .filter(|(_, queue)| !queue.held)
                .find_map(|(way, queue)| queue.items.pop_front().map(|item| (way, item)));
            let Some((way, item)) = found else {
                lane.in_ready = false;
                continue;
            };
            state.ready.push_back(at);
            let bytes = item.bytes();
            return Some(Parcel { peer: lane.peer, item, bytes, way, lane: at });
        }
        None
    }

    /// What became of a parcel. One that found the core full goes back to the front of its queue.
    pub(crate) fn settle(&self, parcel: Parcel, result: Result<(), SendError>) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(lane) = &mut state.lanes[parcel.lane] else { return };
        let queue = lane.queue(parcel.way);
        if result == Err(SendError::QueueFull) {
            queue.items.push_front(parcel.item);
            queue.held = true;
            return;
        }
        queue.bytes = queue.bytes.saturating_sub(parcel.bytes);
        if queue.items.is_empty() {
            // Most lanes are silent most of the time, and hold nothing then.
            queue.items = VecDeque::new();
        }
        let roomy = queue.bytes <= self.lane_bytes_max / 2;
        if result == Err(SendError::NotAllowed) {
            lane.not_allowed |= match &parcel.item {
                Item::Messages(_) => kind_bit(PacketKind::PureMessage),
                Item::Packet(packet) => kind_bit(packet.kind()),
            };
        }
        if roomy {
            lane.waiting.drain(..).for_each(Waker::wake);
        }
    }
}

impl State {
    /// The lane of `peer`.
    fn find(&mut self, peer: &PeerId) -> Result<(&mut Self, usize), SendError> {
        let same = |lane: &Option<Lane>| lane.as_ref().is_some_and(|lane| lane.peer == *peer);
        if !self.lanes.get(self.last).is_some_and(same) {
            self.last = *self.by_peer.get(peer).ok_or(SendError::NotConnected)?;
        }
        let at = self.last;
        Ok((self, at))
    }
}

impl Queue {
    /// Adds a message to the last batch, or begins one. A long message goes as a packet of its own.
    fn push(&mut self, message: &[u8]) {
        if message.len() > MessageBatch::MESSAGE_BYTES_MAX {
            let packet = Packet::message(message.to_vec());
            self.bytes += packet_bytes(&packet);
            return self.items.push_back(Item::Packet(packet));
        }
        if !matches!(self.items.back(), Some(Item::Messages(_))) {
            self.items.push_back(Item::Messages(MessageBatch::default()));
        }
        if let Some(Item::Messages(batch)) = self.items.back_mut() {
            let before = batch.bytes();
            batch.push(message);
            self.bytes += batch.bytes() - before;
        }
    }
}

impl Lane {
    fn queue(&mut self, way: Way) -> &mut Queue {
        match way {
            Way::Bulk => &mut self.bulk,
            Way::Control | Way::Message => &mut self.messages,
        }
    }

    fn fits(&self, body_bytes: usize) -> Result<(), SendError> {
        if body_bytes > self.packet_bytes_max { Err(SendError::TooLarge) } else { Ok(()) }
    }

    fn admit(
        &mut self,
        kind: PacketKind,
        way: Way,
        bytes_max: usize,
        waker: Option<&Waker>,
    ) -> Result<(), SendError> {
        if self.closing {
            return Err(SendError::NotConnected);
        }
        if self.not_allowed & kind_bit(kind) != 0 {
            return Err(SendError::NotAllowed);
        }
        if self.queue(way).bytes < bytes_max {
            return Ok(());
        }
        if let Some(waker) = waker
            && !self.waiting.iter().any(|waiting| waiting.will_wake(waker))
        {
            self.waiting.push(waker.clone());
        }
        Err(SendError::QueueFull)
    }

    fn announce(&mut self, at: usize, ready: &mut VecDeque<usize>) {
        if !self.in_ready {
            self.in_ready = true;
            ready.push_back(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn outbox() -> Outbox {
        let outbox = Outbox::new(1000);
        outbox.open(A, ConnId(1), 10_000);
        outbox.open(B, ConnId(2), 10_000);
        outbox
    }

    fn drain(outbox: &Outbox) -> Vec<(PeerId, Way)> {
        std::iter::from_fn(|| {
            let parcel = outbox.take()?;
            let seen = (parcel.peer, parcel.way);
            outbox.settle(parcel, Ok(()));
            Some(seen)
        })
        .collect()
    }

    #[test]
    fn messages_gather_in_one_batch_and_keep_their_order_with_packets() {
        let outbox = outbox();
        outbox.message(&A, b"one", None).unwrap();
        outbox.message(&A, b"two", None).unwrap();
        outbox.packet(&A, &Packet::message("three"), None).unwrap();
        outbox.message(&A, b"four", None).unwrap();
        let parcels: Vec<_> = std::iter::from_fn(|| {
            let parcel = outbox.take()?;
            let count = match &parcel.item {
                Item::Messages(batch) => batch.count(),
                Item::Packet(_) => 0,
            };
            outbox.settle(parcel, Ok(()));
            Some(count)
        })
        .collect();
        assert_eq!(parcels, [2, 0, 1]);
        assert!(outbox.is_drained(None));
    }

    #[test]
    fn a_full_lane_holds_up_nobody_else_and_resumes_in_order() {
        let outbox = outbox();
        let taken = (0..100).take_while(|_| outbox.message(&A, &[7; 100], None).is_ok()).count();
        assert!((9..=10).contains(&taken), "{taken}");
        assert_eq!(outbox.message(&A, b"x", None), Err(SendError::QueueFull));
        outbox.message(&B, b"y", None).unwrap();
        let first = outbox.take().unwrap();
        assert_eq!(first.peer, A);
        outbox.settle(first, Err(SendError::QueueFull));
        assert_eq!(drain(&outbox), [(B, Way::Message)]);
        assert!(!outbox.is_drained(Some(&A)) && outbox.is_drained(Some(&B)));
        outbox.retry(&A);
        assert_eq!(drain(&outbox), [(A, Way::Message)]);
        outbox.message(&A, b"x", None).unwrap();
    }

    #[test]
    fn bulk_that_waits_does_not_hold_up_messages() {
        let outbox = outbox();
        outbox.packet(&A, &Packet::misc_data(vec![0; 5000]), None).unwrap();
        let bulk = outbox.take().unwrap();
        assert_eq!(bulk.way, Way::Bulk);
        outbox.settle(bulk, Err(SendError::QueueFull));
        assert_eq!(
            outbox.packet(&A, &Packet::misc_data("more"), None),
            Err(SendError::QueueFull),
            "bulk is full"
        );
        outbox.message(&A, b"quick", None).unwrap();
        assert_eq!(drain(&outbox), [(A, Way::Message)]);
    }

    #[test]
    fn peers_take_turns() {
        let outbox = outbox();
        for _ in 0..2 {
            outbox.packet(&A, &Packet::message("a"), None).unwrap();
            outbox.packet(&B, &Packet::message("b"), None).unwrap();
        }
        let order: Vec<PeerId> = drain(&outbox).into_iter().map(|(peer, _)| peer).collect();
        assert_eq!(order, [A, B, A, B]);
    }

    #[test]
    fn refusals_name_their_reason() {
        let outbox = outbox();
        assert_eq!(outbox.message(&A, &[0; 10_001], None), Err(SendError::TooLarge));
        assert_eq!(outbox.message(&PeerId([9; 32]), b"", None), Err(SendError::NotConnected));
        outbox.allow(&A, |kind| kind != PacketKind::PureMessage);
        assert_eq!(outbox.message(&A, b"", None), Err(SendError::NotAllowed));
        outbox.packet(&A, &Packet::misc_data("fine"), None).unwrap();
        outbox.close(Some(&A));
        assert_eq!(
            outbox.packet(&A, &Packet::misc_data("late"), None),
            Err(SendError::NotConnected)
        );
        assert_eq!(
            outbox.remove(&A, Some(ConnId(99))),
            0,
            "another channel's end is not this one's"
        );
        assert_eq!(outbox.remove(&A, Some(ConnId(1))), 1, "one packet was taken and not sent");
        assert_eq!(outbox.message(&A, b"", None), Err(SendError::NotConnected));
    }
}
