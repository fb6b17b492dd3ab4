//! One direction of a TCP stream: from segments that come in any order, repeated or not at all, to its bytes in order.
//!
//! Of two segments that differ about a byte, the one that came first is believed. What never came is told as a gap: at the
//! latest when more than a bound waits behind it.

use std::collections::BTreeMap;

/// What a direction gives, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of the stream.
    Bytes(&'a [u8]),
    /// So many bytes are missing here.
    Gap(u64),
}

/// The bytes of one direction, on their way into order.
#[derive(Debug)]
pub struct Reassembly {
    /// The sequence number of the next byte that is wanted, once the direction has begun.
    next: Option<u32>,
    /// How many bytes came before it.
    position: u64,
    /// What came early, by the position of its first byte; no two overlap, and none is empty.
    early: BTreeMap<u64, Vec<u8>>,
    /// What that costs.
    early_bytes: usize,
    early_bytes_max: usize,
    /// The position after the last byte, once the direction was ended.
    end: Option<u64>,
}

/// What a piece that came early costs beside its bytes.
const EARLY_OVERHEAD_BYTES: usize = 96;

impl Reassembly {
    /// Holds at most `early_bytes_max` of what came early.
    pub const fn new(early_bytes_max: usize) -> Self {
        Self {
            next: None,
            position: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            early_bytes_max,
            end: None,
        }
    }

    /// What it holds.
    pub const fn held_bytes(&self) -> usize {
        self.early_bytes
    }

    /// Whether everything up to the direction's end has been given.
    pub fn is_ended(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// Whether the direction has begun at another sequence number than a SYN with `sequence` says: it is another stream
    /// then.
    pub fn is_other(&self, sequence: u32) -> bool {
        let start = self.next.map(|next| next.wrapping_sub(self.position as u32));
        start.is_some_and(|start| start != sequence.wrapping_add(1))
    }

    /// The direction begins after a SYN with this sequence number.
    pub fn on_syn(&mut self, sequence: u32) {
        self.next.get_or_insert(sequence.wrapping_add(1));
    }

    /// The direction ends after the byte before `sequence`.
    pub fn on_fin(&mut self, sequence: u32) {
        if let Some(end) = self.position_of(sequence) {
            self.end.get_or_insert(end.max(0).unsigned_abs());
        }
    }

    /// Takes a segment's bytes, of which the first has number `sequence`, and gives what follows in order. A direction
    /// whose SYN wasn't seen begins with the first segment that was.
    pub fn on_bytes(&mut self, sequence: u32, bytes: &[u8], give: &mut impl FnMut(Piece<'_>)) {
        if bytes.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next).cast_signed();
        // What was given already is repeated: cut it off.
        let known = usize::try_from(ahead.min(0).unsigned_abs()).unwrap_or(usize::MAX);
        let Some(bytes) = bytes.get(known..).filter(|rest| !rest.is_empty()) else { return };
        if ahead <= 0 && self.early.is_empty() {
            return self.give(bytes, give);
        }
        let start = self.position.saturating_add(u64::from(ahead.max(0).unsigned_abs()));
        self.keep(start, bytes);
        self.give_early(give);
        while self.early_bytes > self.early_bytes_max {
            self.skip_gap(give);
        }
    }

    /// Gives everything that is held, with the gaps in it: no more will come.
    pub fn finish(&mut self, give: &mut impl FnMut(Piece<'_>)) {
        while !self.early.is_empty() {
            self.skip_gap(give);
        }
    }

    /// Where a sequence number stands, if that can be told.
    fn position_of(&self, sequence: u32) -> Option<i64> {
        let ahead = i64::from(sequence.wrapping_sub(self.next?).cast_signed());
        i64::try_from(self.position).ok().map(|position| position.saturating_add(ahead))
    }

    fn give(&mut self, bytes: &[u8], give: &mut impl FnMut(Piece<'_>)) {
        give(Piece::Bytes(bytes));
        self.advance(bytes.len() as u64);
    }

    fn advance(&mut self, bytes: u64) {
        self.position = self.position.saturating_add(bytes);
        // Sequence numbers wrap, so the low half of a count is enough.
        self.next = self.next.map(|next| next.wrapping_add(bytes as u32));
    }

    /// Keeps those parts that nothing was kept for before.
    fn keep(&mut self, start: u64, bytes: &[u8]) {
        let end = start.saturating_add(bytes.len() as u64);
        let before = self.early.range(..=start).next_back();
        let mut from = before.map_or(start, |(at, kept)| end_of(*at, kept).max(start));
        while from < end {
            let next =
                self.early.range(from..end).next().map(|(at, kept)| (*at, end_of(*at, kept)));
            let (to, resume) = next.unwrap_or((end, end));
            let offset = |position: u64| usize::try_from(position.saturating_sub(start));
            if let (Ok(low), Ok(high)) = (offset(from), offset(to))
                && let Some(part) = bytes.get(low..high).filter(|part| !part.is_empty())
            {
                let cost = part.len().saturating_add(EARLY_OVERHEAD_BYTES);
                self.early_bytes = self.early_bytes.saturating_add(cost);
                self.early.insert(from, part.to_vec());
            }
            from = resume;
        }
    }

    /// Gives what came early and is due.
    fn give_early(&mut self, give: &mut impl FnMut(Piece<'_>)) {
        while let Some(first) =
            self.early.first_entry().filter(|first| *first.key() <= self.position)
        {
            let (_, bytes) = first.remove_entry();
            let cost = bytes.len().saturating_add(EARLY_OVERHEAD_BYTES);
            self.early_bytes = self.early_bytes.saturating_sub(cost);
            self.give(&bytes, give);
        }
    }

    /// Gives up what is missing before the first piece that came early.
    fn skip_gap(&mut self, give: &mut impl FnMut(Piece<'_>)) {
        let Some(at) = self.early.first_key_value().map(|(at, _)| *at) else { return };
        let missing = at.saturating_sub(self.position);
        give(Piece::Gap(missing));
        self.advance(missing);
        self.give_early(give);
    }
}

fn end_of(at: u64, kept: &[u8]) -> u64 {
    at.saturating_add(kept.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What came out: bytes, and where gaps of which length were.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Heard {
        bytes: Vec<u8>,
        gaps: Vec<(usize, u64)>,
    }

    impl Heard {
        fn hear(&mut self, piece: Piece<'_>) {
            match piece {
                Piece::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
                Piece::Gap(bytes) => self.gaps.push((self.bytes.len(), bytes)),
            }
        }
    }

    fn run(
        segments: &[(u32, &[u8])],
        syn: Option<u32>,
        early_bytes_max: usize,
    ) -> (Heard, Reassembly) {
        let (mut heard, mut stream) = (Heard::default(), Reassembly::new(early_bytes_max));
        if let Some(syn) = syn {
            stream.on_syn(syn);
        }
        for (sequence, bytes) in segments {
            stream.on_bytes(*sequence, bytes, &mut |piece| heard.hear(piece));
        }
        (heard, stream)
    }

    #[test]
    fn order_repetition_and_overlap_make_no_difference() {
        for segments in [
            &[(1, &b"abc"[..]), (4, b"def"), (7, b"ghi")][..],
            &[(7, b"ghi"), (4, b"def"), (1, b"abc")],
            &[(4, b"def"), (7, b"ghi"), (4, b"def"), (1, b"abc"), (1, b"abcdef")],
            &[(3, b"cde"), (2, b"bcdefg"), (8, b"hi"), (1, b"abcd")],
            &[(1, b""), (1, b"abcdefghi"), (1, b"abcdefghi")],
        ] {
            let (heard, stream) = run(segments, Some(0), 1000);
            assert_eq!(heard, Heard { bytes: b"abcdefghi".to_vec(), gaps: vec![] }, "{segments:?}");
            assert_eq!(stream.held_bytes(), 0);
        }
    }

    #[test]
    fn the_first_word_counts() {
        let (heard, _) = run(&[(3, b"cC"), (2, b"Bxxx"), (1, b"a"), (1, b"zzzz")], Some(0), 1000);
        assert_eq!(heard.bytes, b"aBcCx");
    }

    #[test]
    fn what_never_came_is_told() {
        let (mut heard, mut stream) = run(&[(1, b"ab"), (6, b"f"), (9, b"i")], Some(0), 1000);
        assert_eq!(heard.bytes, b"ab");
        stream.finish(&mut |piece| heard.hear(piece));
        assert_eq!(heard, Heard { bytes: b"abfi".to_vec(), gaps: vec![(2, 3), (3, 2)] });
        assert_eq!(stream.held_bytes(), 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (heard, stream) = run(&[(100, &[7; 900]), (3000, &[8; 900])], Some(0), 1000);
        assert_eq!(heard.gaps, [(0, 99)]);
        assert_eq!(heard.bytes, [7; 900]);
        assert!(stream.held_bytes() <= 1000);
        let crumbs: Vec<u32> = (0..10_000).map(|n| 2 + 2 * n).collect();
        let crumbs: Vec<(u32, &[u8])> = crumbs.iter().map(|at| (*at, &b"x"[..])).collect();
        let (_, stream) = run(&crumbs, Some(0), 1000);
        assert!(stream.early.len() <= 1000 / EARLY_OVERHEAD_BYTES + 1);
    }

    #[test]
    fn ends_and_other_streams_are_told_apart() {
        let (_, mut stream) = run(&[(1, b"abc")], Some(0), 1000);
        assert!(!stream.is_other(0) && stream.is_other(1));
        stream.on_fin(6);
        assert!(!stream.is_ended());
        stream.on_bytes(4, b"de", &mut |_| {});
        assert!(stream.is_ended());
        let (_, mut stream) = run(&[], Some(9), 1000);
        assert!(!stream.is_other(9) && stream.is_other(8));
        stream.on_fin(10);
        assert!(stream.is_ended());
    }

    #[test]
    fn a_direction_whose_start_was_missed_begins_where_it_was_first_seen() {
        let (heard, _) = run(&[(500, b"cd"), (498, b"ab"), (502, b"ef")], None, 1000);
        assert_eq!(heard.bytes, b"cdef");
    }

    proptest! {
        /// Any order and any repetition of any cut of a stream gives the stream, wherever its numbers begin.
        #[test]
        fn any_order_and_duplication_gives_the_same_stream(
            bytes in prop::collection::vec(any::<u8>(), 1..400),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..60), 0..60),
            start: u32,
        ) {
            let mut segments: Vec<(u32, &[u8])> = Vec::new();
            for (at, length) in cuts {
                let low = at.index(bytes.len());
                let high = (low + length).min(bytes.len());
                segments.push((start.wrapping_add(1 + low as u32), &bytes[low..high]));
            }
            // Whatever the cuts left out comes last, and backwards.
            for (at, chunk) in bytes.chunks(7).enumerate().collect::<Vec<_>>().into_iter().rev() {
                segments.push((start.wrapping_add(1 + 7 * at as u32), chunk));
            }
            let (heard, stream) = run(&segments, Some(start), 1 << 20);
            prop_assert_eq!(heard, Heard { bytes, gaps: vec![] });
            prop_assert_eq!(stream.held_bytes(), 0);
        }

        /// With segments missing, what is given and what is told as missing add up, and the bytes are the stream's own.
        #[test]
        fn gaps_and_bytes_add_up(
            length in 1usize..2000,
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..200), 1..40),
            early_bytes_max in 0usize..1500,
            start: u32,
        ) {
            let byte = |at: usize| (at * 31 % 251) as u8;
            let bytes: Vec<u8> = (0..length).map(byte).collect();
            let mut segments: Vec<(u32, &[u8])> = Vec::new();
            let mut reach = 0;
            for (at, wanted) in cuts {
                let low = at.index(length);
                let high = (low + wanted).min(length);
                reach = reach.max(high);
                segments.push((start.wrapping_add(1 + low as u32), &bytes[low..high]));
            }
            let (mut heard, mut stream) = run(&segments, Some(start), early_bytes_max);
            prop_assert!(stream.held_bytes() <= early_bytes_max);
            stream.finish(&mut |piece| heard.hear(piece));
            let missing: u64 = heard.gaps.iter().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(heard.bytes.len() as u64 + missing, reach as u64);
            let (mut position, mut given) = (0, 0);
            for (at, gap) in heard.gaps.iter().copied().chain([(heard.bytes.len(), 0)]) {
                while given < at {
                    prop_assert_eq!(heard.bytes[given], byte(position));
                    given += 1;
                    position += 1;
                }
                position += gap as usize;
            }
        }

        /// Segments with numbers from anywhere do no harm.
        #[test]
        fn any_numbers_are_borne(
            segments in prop::collection::vec((any::<u32>(), 0usize..50, 0u8..4), 0..60),
        ) {
            let mut stream = Reassembly::new(500);
            let mut given = 0;
            for (sequence, length, what) in segments {
                match what {
                    0 => stream.on_syn(sequence),
                    1 => stream.on_fin(sequence),
                    _ => stream.on_bytes(sequence, &vec![1; length], &mut |_| given += 1),
                }
                let _ = stream.is_other(sequence);
                prop_assert!(stream.held_bytes() <= 500);
            }
            stream.finish(&mut |_| given += 1);
            prop_assert_eq!(stream.held_bytes(), 0);
        }
    }
}
