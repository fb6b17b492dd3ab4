//! A TCP stream: the segments of both directions, from its first to its end.

use crate::dialogue::{Both, Cx, Dialogue, End};
use crate::finding::Ending;
use crate::limits::Limits;
use crate::packet::Segment;
use crate::reassembly::Reassembly;
use p2pnet_protocol::crypto::Crypto;
use std::net::SocketAddr;

/// Names a stream for as long as it lasts: its two ends, the smaller one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(SocketAddr, SocketAddr);

impl Key {
    /// The stream that a segment belongs to, and which end sent it.
    pub(crate) fn of(segment: &Segment<'_>) -> (Self, End) {
        if segment.from <= segment.to {
            (Self(segment.from, segment.to), End::A)
        } else {
            (Self(segment.to, segment.from), End::B)
        }
    }
}

/// A stream that is being followed, or whose end is remembered.
pub(crate) struct Conversation<C: Crypto> {
    directions: Both<Reassembly>,
    dialogue: Dialogue<C>,
    over: bool,
}

impl<C: Crypto> Conversation<C> {
    pub(crate) fn new(key: Key, limits: &Limits) -> Self {
        let Key(a, b) = key;
        let direction = || Reassembly::new(limits.early_bytes_max);
        Self {
            directions: Both { a: direction(), b: direction() },
            dialogue: Dialogue::new(Both { a, b }, limits),
            over: false,
        }
    }

    /// What is held for it.
    pub(crate) fn held_bytes(&self) -> usize {
        let (a, b) = (self.directions.a.held_bytes(), self.directions.b.held_bytes());
        self.dialogue.held_bytes().saturating_add(a).saturating_add(b)
    }

    /// Whether a segment begins another stream between the same two ends.
    pub(crate) fn is_replaced_by(&self, segment: &Segment<'_>, end: End) -> bool {
        segment.syn && (self.over || self.directions.of(end).is_other(segment.sequence))
    }

    /// Takes a segment that `end` sent.
    pub(crate) fn on_segment(&mut self, segment: &Segment<'_>, end: End, cx: &mut Cx<'_, C>) {
        if self.over {
            return;
        }
        let Self { directions, dialogue, .. } = self;
        let direction = directions.of_mut(end);
        let mut sequence = segment.sequence;
        if segment.syn {
            dialogue.on_opener(if segment.ack { end.other() } else { end });
            direction.on_syn(sequence);
            // It takes a number of its own.
            sequence = sequence.wrapping_add(1);
        }
        direction
            .on_bytes(sequence, segment.payload, &mut |piece| dialogue.on_piece(end, piece, cx));
        if segment.fin {
            // Sequence numbers wrap, so the low half of a length is enough.
            direction.on_fin(sequence.wrapping_add(segment.payload.len() as u32));
        }
        if segment.rst {
            self.finish(Ending::Reset, cx);
        } else if self.directions.a.is_ended() && self.directions.b.is_ended() {
            self.finish(Ending::Closed, cx);
        }
    }

    /// No more will come: tells what is held, and the end.
    pub(crate) fn finish(&mut self, how: Ending, cx: &mut Cx<'_, C>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let Self { directions, dialogue, .. } = self;
        for end in [End::A, End::B] {
            directions.of_mut(end).finish(&mut |piece| dialogue.on_piece(end, piece, cx));
        }
        dialogue.on_end(how, cx);
    }
}
