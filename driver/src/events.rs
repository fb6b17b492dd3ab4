//! What happened, on its way to the application.
//!
//! The loop never waits for the application. Payload is bounded by credit: what the application has not taken is not
//! given back to the peer, so a slow reader slows its senders. Other events are bounded for each peer and in all; what
//! is over is dropped and counted. The end of a channel whose opening was told is always told.
//!
//! The events of one peer come in order. Where several peers' events wait they come in turn, a few packets of each, so
//! that nobody waits behind all that somebody else has sent.

use crate::counters::Counts;
use crate::wake::{Sleeper, Wake, block_on};
use p2pnet_protocol::{ConnId, DiscoverySource, Event, Lane, PeerId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Events other than payload that may wait for one peer.
const EVENTS_PER_PEER_MAX: u32 = 64;
/// Events other than payload that may wait in all.
const EVENTS_MAX: u32 = 16_384;

/// Where the loop leaves events.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    state: Mutex<State>,
    sleeper: Sleeper,
}

/// Packets that one peer gets through in a turn when others wait too.
const PACKETS_PER_TURN: usize = 16;

/// Events that wait, by whom they are from.
#[derive(Debug, Default)]
struct Waiting {
    by_sender: BTreeMap<Option<PeerId>, VecDeque<Event>>,
    /// Whoever has events that wait, in the order of their turns.
    turns: VecDeque<Option<PeerId>>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn push(&mut self, event: Event) {
        let sender = sender_of(&event);
        let waiting = self.by_sender.entry(sender).or_default();
        if waiting.is_empty() {
            self.turns.push_back(sender);
        }
        waiting.push_back(event);
    }

    /// Moves what comes next into `taken`: all there is of the only sender, or a turn of each.
    fn take_round(&mut self, taken: &mut VecDeque<Event>) {
        if let [only] = self.turns.make_contiguous() {
            let only = *only;
            self.turns.clear();
            if let Some(mut events) = self.by_sender.remove(&only) {
                taken.append(&mut events);
            }
            return;
        }
        for _ in 0..self.turns.len() {
            let Some(sender) = self.turns.pop_front() else { return };
            let Some(events) = self.by_sender.get_mut(&sender) else { continue };
            match events.front_mut() {
                Some(Event::Received(received)) => match received.split_off_front(PACKETS_PER_TURN)
                {
                    Some(first) => taken.push_back(Event::Received(first)),
                    None => taken.extend(events.pop_front()),
                },
                _ => taken.extend(events.pop_front()),
            }
            if events.is_empty() {
                self.by_sender.remove(&sender);
            } else {
                self.turns.push_back(sender);
            }
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = Event> {
        self.turns.clear();
        std::mem::take(&mut self.by_sender).into_values().flatten()
    }
}

/// Whose turn an event takes. What a peer tells of others takes none of theirs.
fn sender_of(event: &Event) -> Option<PeerId> {
    match event {
        Event::Received(received) => Some(received.peer),
        Event::PeerDiscovered { via: DiscoverySource::Exchange, .. } => None,
        _ => peer_of(event),
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    /// Waiting events that are no payload, by peer, and in all.
    by_peer: BTreeMap<Option<PeerId>, u32>,
    others: u32,
    /// Channels whose opening was told and whose end was not.
    told_open: BTreeSet<ConnId>,
    credits: Vec<(ConnId, Lane, u32)>,
    /// The loop is gone: no more will come.
    ended: bool,
    /// Nobody takes events any more.
    deaf: bool,
}

impl EventQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves an event. Payload that nobody will take is to be credited at once: says whether it is, since nobody else
    /// will wake the loop for it.
    #[must_use]
    pub(crate) fn push(&self, event: Event, counts: &Counts) -> bool {
        let mut state = self.lock();
        if state.deaf {
            let Event::Received(received) = &event else { return false };
            state.credits.push((received.conn, received.lane, received.bytes));
            return true;
        }
        if !state.admits(&event) {
            counts.events_missed.add(1);
            return false;
        }
        let first = state.waiting.is_empty();
        state.waiting.push(event);
        if first {
            drop(state);
            self.sleeper.wake();
        }
        false
    }

    /// The payload bytes that the application has taken since the last call.
    pub(crate) fn take_credits(&self, into: &mut Vec<(ConnId, Lane, u32)>) {
        into.append(&mut self.lock().credits);
    }

    /// The loop is gone.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.sleeper.wake();
    }
}

impl State {
    fn admits(&mut self, event: &Event) -> bool {
        if let Event::Received(_) = event {
            return true;
        }
        if let Event::PeerClosed { conn, .. } = event
            && self.told_open.remove(conn)
        {
            return true;
        }
        if self.others >= EVENTS_MAX {
            return false;
        }
        let peer = self.by_peer.entry(peer_of(event)).or_default();
        // Progress leaves room for what comes of it.
        let most = match event {
            Event::FileProgress { .. } => EVENTS_PER_PEER_MAX / 2,
            _ => EVENTS_PER_PEER_MAX,
        };
        if *peer >= most {
            return false;
        }
        *peer += 1;
        self.others += 1;
        if let Event::PeerConnected { conn, .. } = event {
            self.told_open.insert(*conn);
        }
        true
    }
}

impl State {
    /// An event that was admitted waits no longer.
    fn forget(&mut self, event: &Event) {
        if matches!(event, Event::Received(_)) {
            return;
        }
        // The end of a channel is admitted over all bounds and not counted; then there may be nothing left to take off.
        if let Entry::Occupied(mut count) = self.by_peer.entry(peer_of(event)) {
            self.others = self.others.saturating_sub(1);
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The peer that an event counts against; what names none shares one bound.
fn peer_of(event: &Event) -> Option<PeerId> {
    match event {
        Event::PeerDiscovered { peer, .. }
        | Event::PeerPending { peer, .. }
        | Event::PeerConnected { peer, .. }
        | Event::TrustChanged { peer, .. }
        | Event::TrustRefused { peer, .. }
        | Event::PacketsRefused { peer, .. }
        | Event::TrustHandshakeStarted { peer, .. }
        | Event::SendReady { peer }
        | Event::TaskReceived { peer, .. }
        | Event::TaskExecuted { peer, .. }
        | Event::TaskRefused { peer, .. }
        | Event::TaskAnswered { peer, .. }
        | Event::IdentifierAssigned { peer, .. }
        | Event::DataChanged { from: Some(peer), .. }
        | Event::FileOffered { peer, .. }
        | Event::FileSent { peer, .. }
        | Event::FileSourceDropped { peer, .. }
        | Event::PeerClosed { peer, .. } => Some(*peer),
        Event::DialFailed { peer, .. }
        | Event::FileProgress { peer, .. }
        | Event::FileFailed { peer, .. } => *peer,
        Event::FileReceived { from, .. } => from.first().copied(),
        _ => None,
    }
}

/// The events of a node, for one taker. Dropping it lets the node go on unheard.
#[derive(Debug)]
pub struct Events {
    queue: Arc<EventQueue>,
    wake: Arc<Wake>,
    /// Taken out of the queue in one go.
    taken: VecDeque<Event>,
    /// Payload handed to the application and not yet credited.
    owed: Vec<(ConnId, Lane, u32)>,
    owed_bytes: u32,
    /// Owed bytes that are worth waking the loop for.
    owed_bytes_max: u32,
}

impl Events {
    pub(crate) fn new(queue: Arc<EventQueue>, wake: Arc<Wake>, owed_bytes_max: u32) -> Self {
        Self {
            queue,
            wake,
            taken: VecDeque::new(),
            owed: Vec::new(),
            owed_bytes: 0,
            owed_bytes_max,
        }
    }

    /// The next event; `None` once the node has stopped and everything was taken.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) for threads without a runtime. Never call it on the thread that runs the node.
    pub fn next_blocking(&mut self) -> Option<Event> {
        block_on(self.next())
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        if self.taken.is_empty() {
            self.refill();
        }
        self.hand_over()
    }

    /// [`next`](Self::next) for those who write futures by hand.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        if self.taken.is_empty() && !self.refill() {
            self.queue.sleeper.register(cx.waker());
            if !self.refill() {
                return if self.queue.lock().ended { Poll::Ready(None) } else { Poll::Pending };
            }
        }
        Poll::Ready(self.hand_over())
    }

    /// Swaps what waits in, and gives back what was handed over. Says whether there is anything now.
    fn refill(&mut self) -> bool {
        let mut state = self.queue.lock();
        let owing = !self.owed.is_empty();
        state.credits.append(&mut self.owed);
        self.owed_bytes = 0;
        state.waiting.take_round(&mut self.taken);
        self.taken.iter().for_each(|event| state.forget(event));
        drop(state);
        if owing {
            self.wake.tell();
        }
        !self.taken.is_empty()
    }

    fn hand_over(&mut self) -> Option<Event> {
        let event = self.taken.pop_front()?;
        if let Event::Received(received) = &event {
            let key = (received.conn, received.lane);
            match self.owed.last_mut() {
                Some((conn, lane, bytes)) if (*conn, *lane) == key => *bytes += received.bytes,
                _ => self.owed.push((received.conn, received.lane, received.bytes)),
            }
            self.owed_bytes = self.owed_bytes.saturating_add(received.bytes);
            if self.owed_bytes >= self.owed_bytes_max {
                self.owed_bytes = 0;
                self.queue.lock().credits.append(&mut self.owed);
                self.wake.tell();
            }
        }
        Some(event)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.deaf = true;
        let waiting = state.waiting.drain();
        for event in self.taken.drain(..).chain(waiting) {
            if let Event::Received(received) = event {
                self.owed.push((received.conn, received.lane, received.bytes));
            }
        }
        state.credits.append(&mut self.owed);
        drop(state);
        self.wake.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::distribution::SourceFault;
    use p2pnet_protocol::{
        CloseReason, Digest, Direction, DisconnectReason, FileDirection, FileError, FileId,
        FileInfo, PacketKind, Received, Trust,
    };

    const PEER: PeerId = PeerId([3; 32]);

    fn queue() -> (Arc<EventQueue>, Events, Counts) {
        let queue = Arc::new(EventQueue::default());
        let events = Events::new(Arc::clone(&queue), Arc::default(), 1000);
        (queue, events, Counts::default())
    }

    fn connected(conn: u64) -> Event {
        Event::PeerConnected {
            peer: PEER,
            conn: ConnId(conn),
            at: ([127, 0, 0, 1], 1).into(),
            direction: Direction::Incoming,
            trust: Trust::Authenticated,
        }
    }

    fn closed(conn: u64) -> Event {
        Event::PeerClosed {
            peer: PEER,
            conn: ConnId(conn),
            at: ([127, 0, 0, 1], 1).into(),
            reason: CloseReason::Local(DisconnectReason::Requested),
            unsent: 0,
        }
    }

    #[test]
    fn a_peer_that_comes_and_goes_is_bounded_and_its_ends_are_told() {
        let (queue, mut events, counts) = queue();
        for conn in 0..1000 {
            assert!(!queue.push(connected(conn), &counts));
            assert!(!queue.push(closed(conn), &counts));
        }
        let all: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(all.len() <= 2 * EVENTS_PER_PEER_MAX as usize, "{}", all.len());
        let opened = all.iter().filter(|event| matches!(event, Event::PeerConnected { .. }));
        assert_eq!(opened.count() * 2, all.len(), "each opening has its end");
        assert_eq!(counts.read().events_missed, 2000 - all.len() as u64);
        assert!(!queue.push(connected(5000), &counts));
        assert_eq!(events.try_next(), Some(connected(5000)), "taking makes room");
    }

    fn file() -> FileInfo {
        FileInfo { id: FileId([7; 32]), name: "f".into(), bytes: 9, sha256: Digest([8; 32]) }
    }

    fn progress(peer: Option<PeerId>) -> Event {
        let (direction, file) = (FileDirection::Outgoing, file().id);
        Event::FileProgress { file, direction, peer, done_bytes: 1, total_bytes: 9 }
    }

    #[test]
    fn what_comes_of_a_file_is_told_however_much_else_waits() {
        let (queue, mut events, counts) = queue();
        for _ in 0..1000 {
            assert!(!queue.push(progress(Some(PEER)), &counts));
            assert!(!queue.push(progress(None), &counts));
            assert!(!queue.push(Event::ListsChanged, &counts));
        }
        let (direction, error) = (FileDirection::Outgoing, FileError::Changed);
        let results = [
            Event::FileOffered { peer: PEER, file: file() },
            Event::FileSent { file: file(), peer: PEER },
            Event::FileFailed { file: file(), direction, peer: Some(PEER), error },
            Event::FileSourceDropped {
                file: file().id,
                peer: PEER,
                fault: SourceFault::WrongBytes,
            },
            Event::FileReceived {
                file: file(),
                name: "f".into(),
                place: "/f".into(),
                sha256: Digest([8; 32]),
                from: vec![PEER],
            },
        ];
        for event in &results {
            assert!(!queue.push(event.clone(), &counts));
        }
        let all: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(results.iter().all(|result| all.contains(result)));
        assert!(all.len() <= 2 * EVENTS_PER_PEER_MAX as usize, "{}", all.len());
    }

    fn received(peer: u8, packets: usize) -> Event {
        let frame = [0x14, 1, b'x'];
        let kind = PacketKind::PureMessage;
        let frames = frame.repeat(packets).into();
        Event::Received(Received::of_frames(PeerId([peer; 32]), ConnId(peer.into()), kind, frames))
    }

    /// How many packets each of the events that wait holds, with its sender.
    fn turns(events: &mut Events) -> Vec<(u8, usize)> {
        std::iter::from_fn(|| events.try_next())
            .map(|event| match event {
                Event::Received(received) => (received.peer.0[0], received.count()),
                _ => (0, 0),
            })
            .collect()
    }

    #[test]
    fn nobody_waits_behind_all_that_another_has_sent() {
        let (queue, mut events, counts) = queue();
        for _ in 0..50 {
            assert!(!queue.push(received(1, 100), &counts));
        }
        assert!(!queue.push(received(2, 1), &counts));
        let turns = turns(&mut events);
        assert_eq!(
            turns[..3],
            [(1, 16), (2, 1), (1, 84)],
            "in turn while two wait, then all at once"
        );
        assert_eq!(turns.iter().map(|(_, packets)| packets).sum::<usize>(), 5001);
        let mut owed = Vec::new();
        assert_eq!(events.try_next(), None, "which gives back what is owed");
        queue.take_credits(&mut owed);
        assert_eq!(owed.iter().map(|(_, _, bytes)| bytes).sum::<u32>(), 5001 * 3);
    }

    #[test]
    fn a_peer_that_tells_of_many_others_has_one_turn() {
        let (queue, mut events, counts) = queue();
        for n in 0..200 {
            let (peer, at) = (PeerId([n; 32]), ([127, 0, 0, 1], 1).into());
            let via = DiscoverySource::Exchange;
            assert!(!queue.push(Event::PeerDiscovered { peer, at, via }, &counts));
        }
        assert!(!queue.push(received(9, 1), &counts));
        assert_eq!(turns(&mut events)[..3], [(0, 0), (9, 1), (0, 0)]);
    }

    #[test]
    fn the_end_comes_after_everything_else() {
        let (queue, mut events, counts) = queue();
        assert!(!queue.push(Event::ListsChanged, &counts));
        queue.end();
        assert_eq!(events.next_blocking(), Some(Event::ListsChanged));
        assert_eq!(events.next_blocking(), None);
    }

    #[test]
    fn nobody_listening_keeps_nothing() {
        let (queue, events, counts) = queue();
        drop(events);
        assert!(!queue.push(Event::ListsChanged, &counts));
        assert!(queue.lock().waiting.is_empty());
        assert!(queue.push(received(9, 4), &counts), "the loop has a credit to give");
        let mut owed = Vec::new();
        queue.take_credits(&mut owed);
        assert_eq!(owed.iter().map(|(_, _, bytes)| bytes).sum::<u32>(), 4 * 3);
    }
}
