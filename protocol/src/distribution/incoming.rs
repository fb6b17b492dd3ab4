//! One file on its way here: which chunks are stored, which are asked of whom, and what came of it.

use super::ask::{FileHandle, FileRequest};
use super::bits::Bits;
use super::info::FileInfo;
use super::message::FileMessage;
use super::transfers::{Asked, FileEffect};
use super::tree::{Hash, leaf, verify};
use super::{SourceFault, WANT_CHUNKS_MAX};
use crate::id::{ConnId, PeerId};
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Bytes that are asked of one source ahead of what came.
const AHEAD_BYTES: u32 = 2 << 20;
/// A source that sends nothing for so long has its chunks given to others.
const STALL: Duration = Duration::from_secs(15);
/// The most sources of one file.
pub(super) const SOURCES_MAX: usize = 16;

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has decided yet.
    Offered,
    /// Room is being made.
    Beginning,
    /// Chunks come.
    Running,
    /// All is stored and is being put in place.
    Finishing,
}

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) info: FileInfo,
    pub(super) stage: Stage,
    pub(super) handle: FileHandle,
    pub(super) sources: BTreeMap<PeerId, Source>,
    /// Handed to the storage.
    stored: Bits,
    /// Handed to the storage, or asked of a source.
    claimed: Bits,
    /// Nothing before it is unclaimed.
    low: u32,
    /// Handed to the storage and not confirmed.
    writing: u32,
    /// Bytes that the storage has confirmed.
    pub(super) done_bytes: u64,
    pub(super) told: Option<Instant>,
}

/// Somebody who has the file.
#[derive(Debug)]
pub(super) struct Source {
    /// The numbers of its offers.
    pub(super) offers: Vec<u64>,
    /// It can be asked now.
    pub(super) present: bool,
    pub(super) fault: Option<SourceFault>,
    /// Asked and not come, in order.
    wants: VecDeque<u32>,
    part: Option<Part>,
    heard: Instant,
}

/// A chunk that comes in parts.
#[derive(Debug)]
struct Part {
    chunk: u32,
    proof: Vec<Hash>,
    body: BytesMut,
}

/// A part of a chunk, as it came.
pub(super) struct Came {
    pub(super) peer: PeerId,
    pub(super) conn: ConnId,
    /// What it counts for in its lane.
    pub(super) cost: u32,
    pub(super) chunk: u32,
    pub(super) offset: u32,
    pub(super) proof: Vec<Hash>,
    pub(super) bytes: Bytes,
}

impl Source {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            offers: Vec::new(),
            present: false,
            fault: None,
            wants: VecDeque::new(),
            part: None,
            heard: now,
        }
    }

    /// Whether it may have something for us, now or later.
    pub(super) const fn is_hopeful(&self) -> bool {
        self.fault.is_none()
    }

    const fn is_usable(&self) -> bool {
        self.present && self.fault.is_none()
    }
}

impl Incoming {
    pub(super) fn new(info: FileInfo, handle: FileHandle) -> Self {
        Self {
            info,
            stage: Stage::Offered,
            handle,
            sources: BTreeMap::new(),
            stored: Bits::default(),
            claimed: Bits::default(),
            low: 0,
            writing: 0,
            done_bytes: 0,
            told: None,
        }
    }

    /// Storage has room, and these chunks already.
    pub(super) fn begin(&mut self, have: &[u8]) {
        self.stored = Bits::from_bytes(self.info.chunks(), have);
        self.claimed = self.stored.clone();
        let last = self.info.chunks().saturating_sub(1);
        let full = u64::from(self.stored.count()).saturating_mul(self.info.chunk_bytes().into());
        let short = u64::from(self.info.chunk_bytes().saturating_sub(self.info.bytes_of(last)));
        self.done_bytes = if self.stored.has(last) { full.saturating_sub(short) } else { full };
        self.stage = Stage::Running;
    }

    /// Whether everything is stored.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::Running) && self.writing == 0 && self.stored.is_full()
    }

    /// Whether somebody could send something now.
    pub(super) fn has_usable_source(&self) -> bool {
        self.sources.values().any(Source::is_usable)
    }

    /// A source went away, or is no source any more: others get what was asked of it.
    pub(super) fn release(&mut self, peer: &PeerId) {
        let Some(source) = self.sources.get_mut(peer) else { return };
        source.part = None;
        for chunk in source.wants.drain(..) {
            if !self.stored.has(chunk) {
                self.claimed.remove(chunk);
                self.low = self.low.min(chunk);
            }
        }
    }

    /// A source begins another chunk.
    pub(super) fn forget_part(&mut self, peer: &PeerId) {
        if let Some(source) = self.sources.get_mut(peer) {
            source.part = None;
        }
    }

    /// Asks every source for more.
    pub(super) fn refill_all(&mut self, now: Instant, out: &mut Vec<FileEffect>) {
        let peers: Vec<PeerId> = self.sources.keys().copied().collect();
        for peer in peers {
            self.refill(now, peer, out);
        }
    }

    /// Asks a source for more, once half of what was asked of it has come.
    pub(super) fn refill(&mut self, now: Instant, peer: PeerId, out: &mut Vec<FileEffect>) {
        if self.stage != Stage::Running {
            return;
        }
        let ahead = AHEAD_BYTES.checked_div(self.info.chunk_bytes()).unwrap_or(0).max(2) as usize;
        let Some(source) = self.sources.get_mut(&peer).filter(|source| source.is_usable()) else {
            return;
        };
        if source.wants.len() > ahead / 2 {
            return;
        }
        if source.wants.is_empty() {
            source.heard = now;
        }
        let mut fresh = Vec::new();
        while source.wants.len() < ahead
            && let Some(chunk) = self.claimed.first_gap(self.low)
        {
            self.claimed.insert(chunk);
            self.low = chunk.saturating_add(1);
            source.wants.push_back(chunk);
            fresh.push(chunk);
        }
        if fresh.is_empty() && source.wants.is_empty() {
            fresh = self.take_over(&peer);
        }
        let file = self.info.id;
        for (first, count) in runs(&fresh) {
            out.push(FileEffect::Say(peer, FileMessage::Want { file, first, count }));
        }
    }

    /// Nothing is left to ask for, and this source is idle: it gets the last half of what waits longest elsewhere. What
    /// still comes from there counts all the same.
    fn take_over(&mut self, idle: &PeerId) -> Vec<u32> {
        let most = self.sources.iter().filter(|(peer, _)| *peer != idle);
        let most = most.max_by_key(|(_, source)| source.wants.len()).map(|(peer, _)| *peer);
        let Some(slow) = most.and_then(|peer| self.sources.get_mut(&peer)) else {
            return Vec::new();
        };
        let keep = slow.wants.len().div_ceil(2);
        let taken: Vec<u32> = slow.wants.drain(keep..).collect();
        if let Some(source) = self.sources.get_mut(idle) {
            source.wants.extend(&taken);
        }
        taken
    }

    /// Sources that were asked and sent nothing for long lose what they were asked for. Gives when to look again.
    pub(super) fn on_time(&mut self, now: Instant, out: &mut Vec<FileEffect>) -> Option<Instant> {
        let late = |source: &Source| !source.wants.is_empty() && now.since(source.heard) >= STALL;
        let stalled: Vec<PeerId> =
            self.sources.iter().filter(|(_, source)| late(source)).map(|(peer, _)| *peer).collect();
        for peer in &stalled {
            self.release(peer);
        }
        if !stalled.is_empty() {
            // Others first.
            let others: Vec<PeerId> =
                self.sources.keys().copied().filter(|peer| !stalled.contains(peer)).collect();
            for peer in others.into_iter().chain(stalled) {
                self.refill(now, peer, out);
            }
        }
        let waiting = self.sources.values().filter(|source| !source.wants.is_empty());
        waiting.map(|source| source.heard + STALL).min()
    }

    /// A part of a chunk came. The fault, if it shows that its sender is no source.
    pub(super) fn on_part(
        &mut self,
        now: Instant,
        came: Came,
        out: &mut Vec<FileEffect>,
    ) -> Option<SourceFault> {
        let Came { peer, conn, cost, chunk, offset, proof, bytes } = came;
        let size = self.info.bytes_of(chunk) as usize;
        let usable = |source: &&mut Source| source.is_usable();
        let source = self.sources.get_mut(&peer).filter(usable);
        let wanted = self.stage == Stage::Running && !self.stored.has(chunk) && size > 0;
        let (Some(source), true) = (source, wanted) else {
            out.push(FileEffect::Release(conn, cost));
            return None;
        };
        source.heard = now;
        let (bytes, proof) = match source.put_together(chunk, offset, proof, bytes, size) {
            Ok(Some(whole)) => whole,
            Ok(None) => {
                out.push(FileEffect::Release(conn, cost));
                return None;
            }
            Err(fault) => {
                out.push(FileEffect::Release(conn, cost));
                return Some(fault);
            }
        };
        source.wants.retain(|want| *want != chunk);
        if !verify(&self.info.id.0, self.info.chunks(), chunk, &leaf(&bytes), &proof) {
            self.claimed.remove(chunk);
            self.low = self.low.min(chunk);
            out.push(FileEffect::Release(conn, cost));
            return Some(SourceFault::WrongBytes);
        }
        for other in self.sources.values_mut() {
            other.wants.retain(|want| *want != chunk);
        }
        self.stored.insert(chunk);
        self.claimed.insert(chunk);
        self.writing = self.writing.saturating_add(1);
        let (handle, file) = (self.handle, self.info.id);
        out.push(FileEffect::Ask(
            FileRequest::Write { handle, chunk, bytes },
            Asked::Write { file, handle, chunk, conn, cost },
        ));
        self.refill(now, peer, out);
        None
    }

    /// The storage has a chunk for good.
    pub(super) fn on_written(&mut self, chunk: u32) {
        self.writing = self.writing.saturating_sub(1);
        self.done_bytes = self.done_bytes.saturating_add(self.info.bytes_of(chunk).into());
    }
}

impl Source {
    /// The whole chunk, once it is there.
    fn put_together(
        &mut self,
        chunk: u32,
        offset: u32,
        proof: Vec<Hash>,
        bytes: Bytes,
        size: usize,
    ) -> Result<Option<(Bytes, Vec<Hash>)>, SourceFault> {
        if offset == 0 {
            self.part = None;
            if bytes.len() >= size {
                let exact = bytes.len() == size;
                return if exact { Ok(Some((bytes, proof))) } else { Err(SourceFault::WrongBytes) };
            }
            let mut body = BytesMut::with_capacity(size);
            body.extend_from_slice(&bytes);
            self.part = Some(Part { chunk, proof, body });
            return Ok(None);
        }
        let Some(part) = self.part.as_mut().filter(|part| part.chunk == chunk) else {
            // The rest of one that was given up.
            return Ok(None);
        };
        if part.body.len() != offset as usize || part.body.len().saturating_add(bytes.len()) > size
        {
            return Err(SourceFault::WrongBytes);
        }
        part.body.extend_from_slice(&bytes);
        if part.body.len() < size {
            return Ok(None);
        }
        Ok(self.part.take().map(|part| (part.body.freeze(), part.proof)))
    }
}

/// Numbers in a row, as first and count.
fn runs(chunks: &[u32]) -> Vec<(u32, u16)> {
    let mut runs: Vec<(u32, u16)> = Vec::new();
    for &chunk in chunks {
        match runs.last_mut() {
            Some((first, count))
                if first.saturating_add((*count).into()) == chunk && *count < WANT_CHUNKS_MAX =>
            {
                *count = count.saturating_add(1);
            }
            _ => runs.push((chunk, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn chunks_in_a_row_are_wanted_in_one_message() {
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[4, 5, 6, 9, 10, 3]), [(4, 3), (9, 2), (3, 1)]);
        let many: Vec<u32> = (0..100).collect();
        assert_eq!(runs(&many), vec![(0, 64), (64, 36)]);
    }
}
