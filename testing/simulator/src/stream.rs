//! Byte streams as a transport gives them: in order and whole, late by what was lost, broken when a side is gone.

use crate::queue::{Carried, HostId, Life};
use p2pnet_protocol::{ConnId, Duration, Instant};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// One end of one stream. The generation tells it from a later stream in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndId {
    pub(crate) stream: u32,
    generation: u32,
    side: u8,
}

impl EndId {
    pub(crate) const fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

/// Where one end is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndState {
    /// Not yet connected.
    Opening,
    /// Carries bytes.
    Open,
    /// The node is done with it; what still comes is discarded up to its end.
    Closing,
    /// Nobody is there.
    Gone,
}

/// Payload of one kind over one end, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Accepted for sending.
    pub(crate) said: u32,
    /// Came to this end's application.
    pub(crate) heard: u32,
    /// Were turned away by this end's gate.
    pub(crate) refused: u32,
    /// The least number that may come next.
    pub(crate) next: u32,
}

/// What waits for a path, in order.
#[derive(Debug)]
pub(crate) struct Stalled {
    pub(crate) waiting: Vec<Carried>,
    pub(crate) since: Instant,
    /// How long the next try waits.
    pub(crate) retry_after: Duration,
}

/// One end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) life: Life,
    pub(crate) conn: Option<ConnId>,
    pub(crate) state: EndState,
    /// What arrived and was not read.
    pub(crate) inbox: VecDeque<Box<[u8]>>,
    pub(crate) inbox_bytes: usize,
    /// The other side's stream ended, after what is in the inbox.
    pub(crate) ended: bool,
    /// Bytes on their way here.
    pub(crate) under_way: usize,
    /// Nothing arrives here before then: what was sent earlier comes first.
    pub(crate) not_before: Instant,
    /// What waits for a path.
    pub(crate) stalled: Option<Box<Stalled>>,
    /// This side sent its end.
    pub(crate) end_sent: bool,
    /// This side has more to write than there was room for.
    pub(crate) wants_room: bool,
    /// What the applications said and heard: messages, then data.
    pub(crate) tallies: [Tally; 2],
}

impl End {
    const fn new(host: HostId, life: Life) -> Self {
        Self {
            host,
            life,
            conn: None,
            state: EndState::Opening,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            ended: false,
            under_way: 0,
            not_before: Instant::ZERO,
            stalled: None,
            end_sent: false,
            wants_room: false,
            tallies: [Tally { said: 0, heard: 0, refused: 0, next: 0 }; 2],
        }
    }
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    generation: u32,
    pub(crate) ends: [End; 2],
    /// Where the dialler wanted to go, and what it looks like from there.
    pub(crate) to: SocketAddr,
    pub(crate) from: SocketAddr,
    /// How long a NAT on the way remembers an idle stream.
    pub(crate) expiry: Option<Duration>,
    /// When anything was last sent over it.
    pub(crate) used: Instant,
    /// A NAT on the way has forgotten it.
    pub(crate) forgotten: bool,
    /// How often the dial was tried.
    pub(crate) tries: u32,
}

/// All streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Option<Box<Stream>>>,
    free: Vec<u32>,
    generation: u32,
}

impl Streams {
    /// A stream that `from` dials; the end that is the dialler's.
    pub(crate) fn open(
        &mut self,
        (host, life): (HostId, Life),
        target: HostId,
        (from, to): (SocketAddr, SocketAddr),
        expiry: Option<Duration>,
        now: Instant,
    ) -> EndId {
        self.generation = self.generation.wrapping_add(1);
        let stream = Box::new(Stream {
            generation: self.generation,
            ends: [End::new(host, life), End::new(target, 0)],
            to,
            from,
            expiry,
            used: now,
            forgotten: false,
            tries: 0,
        });
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots[at as usize] = Some(stream);
        EndId { stream: at, generation: self.generation, side: 0 }
    }

    pub(crate) fn get(&self, end: EndId) -> Option<&Stream> {
        let stream = self.slots.get(end.stream as usize)?.as_deref()?;
        (stream.generation == end.generation).then_some(stream)
    }

    pub(crate) fn get_mut(&mut self, end: EndId) -> Option<&mut Stream> {
        let stream = self.slots.get_mut(end.stream as usize)?.as_deref_mut()?;
        (stream.generation == end.generation).then_some(stream)
    }

    pub(crate) fn end(&self, id: EndId) -> Option<&End> {
        self.get(id).map(|stream| &stream.ends[usize::from(id.side)])
    }

    pub(crate) fn end_mut(&mut self, id: EndId) -> Option<&mut End> {
        self.get_mut(id).map(|stream| &mut stream.ends[usize::from(id.side)])
    }

    /// Forgets a stream.
    pub(crate) fn free(&mut self, id: EndId) {
        if self.get(id).is_some() {
            self.slots[id.stream as usize] = None;
            self.free.push(id.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing() {
        let mut streams = Streams::default();
        let at: SocketAddr = "11.0.0.1:1".parse().unwrap();
        let open = |streams: &mut Streams| streams.open((0, 1), 1, (at, at), None, Instant::ZERO);
        let first = open(&mut streams);
        streams.free(first);
        let second = open(&mut streams);
        assert_eq!(first.stream, second.stream, "the place is used again");
        assert!(streams.get(first).is_none());
        assert!(streams.end(second.other()).is_some());
        streams.free(first);
        assert!(streams.get(second).is_some());
    }
}
