//! What happened, on its way to the application.
//!
//! The loop never waits for the application. Payload is bounded by credit: what the application has not taken is not
//! given back to the peer, so a slow reader slows its senders. Other events are bounded for each peer and in all; what
//! is over is dropped and counted. The end of a channel whose opening was told is always told.

use crate::counters::Counts;
use crate::wake::{Sleeper, Wake, block_on};
use p2pnet_protocol::{ConnId, Event, Lane, PeerId};
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

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
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

    /// Leaves an event. Payload that nobody will take is credited at once.
    pub(crate) fn push(&self, event: Event, counts: &Counts) {
        let mut state = self.lock();
        if state.deaf {
            if let Event::Received(received) = &event {
                state.credits.push((received.conn, received.lane, received.bytes));
            }
            return;
        }
        if !state.admits(&event) {
            counts.events_missed.add(1);
            return;
        }
        state.waiting.push_back(event);
        if state.waiting.len() == 1 {
            drop(state);
            self.sleeper.wake();
        }
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
        if *peer >= EVENTS_PER_PEER_MAX {
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
        | Event::PeerClosed { peer, .. } => Some(*peer),
        Event::DialFailed { peer, .. } => *peer,
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
        std::mem::swap(&mut state.waiting, &mut self.taken);
        state.by_peer.clear();
        state.others = 0;
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
        let waiting = std::mem::take(&mut state.waiting);
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
    use p2pnet_protocol::{CloseReason, Direction, DisconnectReason, Trust};

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
            queue.push(connected(conn), &counts);
            queue.push(closed(conn), &counts);
        }
        let all: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(all.len() <= 2 * EVENTS_PER_PEER_MAX as usize, "{}", all.len());
        let opened = all.iter().filter(|event| matches!(event, Event::PeerConnected { .. }));
        assert_eq!(opened.count() * 2, all.len(), "each opening has its end");
        assert_eq!(counts.read().events_missed, 2000 - all.len() as u64);
        queue.push(connected(5000), &counts);
        assert_eq!(events.try_next(), Some(connected(5000)), "taking makes room");
    }

    #[test]
    fn the_end_comes_after_everything_else() {
        let (queue, mut events, counts) = queue();
        queue.push(Event::ListsChanged, &counts);
        queue.end();
        assert_eq!(events.next_blocking(), Some(Event::ListsChanged));
        assert_eq!(events.next_blocking(), None);
    }

    #[test]
    fn nobody_listening_keeps_nothing() {
        let (queue, events, counts) = queue();
        drop(events);
        queue.push(Event::ListsChanged, &counts);
        assert!(queue.lock().waiting.is_empty());
    }
}
