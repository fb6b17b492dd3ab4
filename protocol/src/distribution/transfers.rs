//! All transfers of a node: what is offered, under way and asked for.
//!
//! Nothing here sends, reads or tells: every method appends [`FileEffect`]s, which the node carries out.

mod receiving;
mod serving;
mod views;

pub(crate) use serving::NextRead;

use super::ask::{FileAnswer, FileError, FileHandle, FileRequest};
use super::finding::{Finding, Found};
use super::incoming::{Came, Incoming, SOURCES_MAX, Stage};
use super::message::{FileMessage, GoneReason, RefusalReason};
use super::outgoing::Outgoing;
use super::tree::Hash;
use super::{FileAcceptance, FileConfig, FileDirection, SourceFault};
use crate::config::Trust;
use crate::id::{ConnId, FileId, PeerId, RequestId};
use crate::io::Event;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Complete offers that are remembered, so that one that is repeated isn't received twice.
const COMPLETE_MAX: usize = 256;
/// Progress of one file with one peer is told no more often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Offers of one peer that wait for a decision.
const OFFERS_PER_PEER_MAX: usize = 16;

/// What shall be done.
#[derive(Debug)]
pub(crate) enum FileEffect {
    /// Send a message to a peer.
    Say(PeerId, FileMessage),
    /// Send a chunk to a peer.
    SendChunk { peer: PeerId, file: FileId, chunk: u32, proof: Vec<Hash>, bytes: Bytes },
    /// Ask the world.
    Ask(FileRequest, Asked),
    /// Tell the application.
    Tell(Event),
    /// So many bytes that came on a connection are dealt with.
    Release(ConnId, u32),
    /// A peer asked for chunks: read some.
    Serve(PeerId),
    /// What is to survive a restart changed.
    Changed,
}

/// What a question to the world was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Open { handle: FileHandle },
    Read { file: FileId, handle: FileHandle, peer: PeerId, conn: ConnId, chunk: u32, bytes: u32 },
    Begin { file: FileId, handle: FileHandle },
    Write { file: FileId, handle: FileHandle, chunk: u32, conn: ConnId, cost: u32 },
    Finish { file: FileId, handle: FileHandle },
    Nothing,
}

/// Why a file is being opened.
#[derive(Debug)]
enum Opening {
    /// The application offers it.
    Offer { name: String, ticket: RequestId, to: Vec<PeerId>, offer: u64, expect: Option<FileId> },
    /// A peer asked for it.
    Asked { name: String, peer: PeerId },
}

/// A peer as the transfers see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Data transmissions pass to it and from it.
    pub(crate) present: bool,
    pub(crate) trust: Trust,
    /// Its trust won't change by itself.
    pub(crate) settled: bool,
}

#[derive(Debug)]
pub(crate) struct Transfers {
    config: FileConfig,
    transfers_max: usize,
    chunks_max: u32,
    peers: BTreeMap<PeerId, Standing>,
    opening: BTreeMap<FileHandle, Opening>,
    outgoing: BTreeMap<FileId, Outgoing>,
    incoming: BTreeMap<FileId, Incoming>,
    finding: Vec<Finding>,
    complete: VecDeque<(PeerId, u64)>,
    handles: u64,
    /// The numbers of offers.
    numbers: Rng,
    due: Option<Instant>,
}

/// What is to be done, in order.
type Out = Vec<FileEffect>;

impl Transfers {
    pub(crate) const fn new(
        config: FileConfig,
        transfers_max: u32,
        chunks_max: u32,
        numbers: Rng,
    ) -> Self {
        Self {
            config,
            transfers_max: transfers_max as usize,
            chunks_max,
            peers: BTreeMap::new(),
            opening: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            finding: Vec::new(),
            complete: VecDeque::new(),
            handles: 0,
            numbers,
            due: None,
        }
    }

    pub(crate) const fn config(&self) -> FileConfig {
        self.config
    }

    pub(crate) const fn set_config(&mut self, config: FileConfig) {
        self.config = config;
    }

    const fn handle(&mut self) -> FileHandle {
        self.handles = self.handles.saturating_add(1);
        FileHandle(self.handles)
    }

    fn is_present(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|standing| standing.present)
    }

    fn has_room_out(&self) -> bool {
        self.outgoing.len().saturating_add(self.opening.len()) < self.transfers_max
    }

    fn has_room_in(&self) -> bool {
        self.incoming.len().saturating_add(self.finding.len()) < self.transfers_max
    }

    // What the application wants.

    /// Offers a file to peers, those that come later included.
    pub(crate) fn offer(
        &mut self,
        name: &str,
        mut to: Vec<PeerId>,
        (ticket, offer): (RequestId, Option<u64>),
        expect: Option<FileId>,
        out: &mut Out,
    ) -> Result<(), FileError> {
        if !self.has_room_out() {
            return Err(FileError::Busy);
        }
        to.sort_unstable();
        to.dedup();
        let offer = offer.unwrap_or_else(|| self.numbers.next_u64());
        let handle = self.handle();
        let name = String::from(name);
        let request = FileRequest::Open { handle, name: name.clone(), local: true };
        self.opening.insert(handle, Opening::Offer { name, ticket, to, offer, expect });
        out.push(FileEffect::Ask(request, Asked::Open { handle }));
        Ok(())
    }

    /// Asks peers for a file by name.
    pub(crate) fn fetch(
        &mut self,
        now: Instant,
        name: &str,
        from: &[PeerId],
        ticket: RequestId,
        out: &mut Out,
    ) -> Result<(), FileError> {
        if !self.has_room_in() || from.len() > SOURCES_MAX {
            return Err(FileError::Busy);
        }
        for peer in from.iter().filter(|peer| self.is_present(peer)) {
            out.push(FileEffect::Say(*peer, FileMessage::Ask { name: name.into() }));
        }
        self.finding.push(Finding::new(now, name.into(), ticket, from));
        self.look_again_at(self.finding.last().map(|finding| finding.until));
        Ok(())
    }

    /// The application decides about an offer.
    pub(crate) fn decide(&mut self, file: &FileId, accept: bool, out: &mut Out) -> bool {
        let offered = |incoming: &&mut Incoming| incoming.stage == Stage::Offered;
        if self.incoming.get_mut(file).filter(offered).is_none() {
            return false;
        }
        if accept {
            self.begin(*file, out);
        } else {
            self.give_up(*file, RefusalReason::Declined, None, out);
        }
        true
    }

    /// Ends a transfer.
    pub(crate) fn cancel(&mut self, file: &FileId, way: FileDirection, out: &mut Out) -> bool {
        match way {
            FileDirection::Incoming if self.incoming.contains_key(file) => {
                self.give_up(*file, RefusalReason::Cancelled, Some(FileError::Cancelled), out);
            }
            FileDirection::Outgoing if self.outgoing.contains_key(file) => {
                self.withdraw(file, FileError::Cancelled, out);
            }
            _ => return false,
        }
        true
    }

    /// Ends what was asked for under this ticket, while it isn't known which file it is.
    pub(crate) fn cancel_request(&mut self, ticket: RequestId, out: &mut Out) -> bool {
        let opened = |opening: &Opening| match opening {
            Opening::Offer { ticket: of, .. } => *of == ticket,
            Opening::Asked { .. } => false,
        };
        let opening = self.opening.iter().find(|(_, opening)| opened(opening));
        let opening = opening.map(|(handle, _)| *handle);
        let looked_for = |finding: &&mut Finding| finding.ticket == ticket && !finding.cancelled;
        let name = if let Some(opening) = opening.and_then(|handle| self.opening.remove(&handle)) {
            let (Opening::Offer { name, .. } | Opening::Asked { name, .. }) = opening;
            name
        } else if let Some(finding) = self.finding.iter_mut().find(looked_for) {
            finding.cancelled = true;
            for peer in finding.asked.keys() {
                Self::turn_away(&self.incoming, finding, peer, out);
            }
            finding.name.clone()
        } else {
            return false;
        };
        let error = FileError::Cancelled;
        out.push(FileEffect::Tell(Event::FileNotOpened { ticket, name, error }));
        out.push(FileEffect::Changed);
        true
    }

    // What the world did.

    /// A channel opened, closed, or its gate or trust changed.
    pub(crate) fn on_peer(&mut self, now: Instant, peer: PeerId, to: Standing, out: &mut Out) {
        let was = self.is_present(&peer);
        if to.present {
            self.peers.insert(peer, to);
        } else {
            self.peers.remove(&peer);
        }
        if to.present && !was {
            self.on_arrival(now, peer, out);
        } else if was && !to.present {
            self.on_departure(now, &peer, out);
        }
        if to.present && to.settled && self.config.accept == FileAcceptance::Trusted {
            self.decide_waiting(&peer, to.trust, out);
        }
    }

    fn on_arrival(&mut self, now: Instant, peer: PeerId, out: &mut Out) {
        for outgoing in self.outgoing.values_mut() {
            outgoing.offer_to(now, peer, out);
        }
        for finding in &self.finding {
            if matches!(finding.asked.get(&peer), Some(None)) {
                out.push(FileEffect::Say(peer, FileMessage::Ask { name: finding.name.clone() }));
            }
        }
        for incoming in self.incoming.values_mut() {
            if let Some(source) = incoming.sources.get_mut(&peer) {
                source.present = true;
                incoming.refill(now, peer, out);
            }
        }
        self.look_again_at(Some(now));
    }

    fn on_departure(&mut self, now: Instant, peer: &PeerId, out: &mut Out) {
        for outgoing in self.outgoing.values_mut() {
            outgoing.leave(peer);
        }
        for incoming in self.incoming.values_mut() {
            if let Some(source) = incoming.sources.get_mut(peer) {
                source.present = false;
                incoming.release(peer);
                incoming.refill_all(now, out);
            }
        }
        self.close_idle(out);
    }

    /// Closes files that nobody is to have any more.
    fn close_idle(&mut self, out: &mut Out) {
        let idle = |outgoing: &Outgoing| outgoing.recipients.is_empty();
        let gone: Vec<FileId> =
            self.outgoing.iter().filter(|(_, file)| idle(file)).map(|(id, _)| *id).collect();
        for file in gone {
            self.close(&file, out);
        }
    }

    fn decide_waiting(&mut self, peer: &PeerId, trust: Trust, out: &mut Out) {
        let waits = |incoming: &Incoming| {
            incoming.stage == Stage::Offered && incoming.sources.contains_key(peer)
        };
        let waiting: Vec<FileId> =
            self.incoming.iter().filter(|(_, file)| waits(file)).map(|(id, _)| *id).collect();
        for file in waiting {
            self.judge(file, peer, trust, out);
        }
    }

    /// A message about a file came. `cost` is what it counts for on its connection.
    pub(crate) fn on_message(
        &mut self,
        now: Instant,
        peer: PeerId,
        conn: ConnId,
        cost: u32,
        message: FileMessage,
        out: &mut Out,
    ) {
        if let FileMessage::Part { file, chunk, offset, proof, bytes } = message {
            let came = Came { peer, conn, cost, chunk, offset, proof, bytes };
            return self.on_part(now, file, came, out);
        }
        out.push(FileEffect::Release(conn, cost));
        match message {
            FileMessage::Offer { offer, file } => self.on_offer(now, peer, offer, file, out),
            FileMessage::Reply { file, reply } => self.on_reply(&file, &peer, reply, out),
            FileMessage::Want { file, first, count } => {
                let outgoing = self.outgoing.get_mut(&file);
                match outgoing.and_then(|outgoing| outgoing.recipients.get_mut(&peer)) {
                    Some(recipient) => {
                        recipient.on_want(first, count);
                        out.push(FileEffect::Serve(peer));
                    }
                    None => {
                        let reason = GoneReason::NotFound;
                        out.push(FileEffect::Say(peer, FileMessage::Gone { file, reason }));
                    }
                }
            }
            FileMessage::Gone { file, reason } => {
                self.on_fault(now, &file, &peer, SourceFault::Gone(reason), out);
            }
            FileMessage::Ask { name } => self.on_asked(peer, name, out),
            FileMessage::Unknown { name, reason } => {
                self.on_found(now, &peer, &name, Found::Nothing(reason), out);
            }
            FileMessage::Part { .. } => {}
        }
    }

    pub(crate) fn on_answer(
        &mut self,
        now: Instant,
        asked: Asked,
        answer: FileAnswer,
        out: &mut Out,
    ) {
        match asked {
            Asked::Open { handle } => self.on_opened(now, handle, answer, out),
            Asked::Read { file, handle, peer, chunk, .. } => {
                let ours = |outgoing: &&mut Outgoing| outgoing.handle == handle;
                let Some(outgoing) = self.outgoing.get_mut(&file).filter(ours) else { return };
                let (bytes, proof) = match answer {
                    FileAnswer::Chunk { bytes, proof } => (bytes, proof),
                    FileAnswer::Failed(error) => return self.withdraw(&file, error, out),
                    _ => return self.withdraw(&file, FileError::Io, out),
                };
                let info = outgoing.info.clone();
                let Some(recipient) = outgoing.recipients.get_mut(&peer) else { return };
                if !recipient.present {
                    return;
                }
                let more = recipient.sent_bytes.saturating_add(bytes.len() as u64);
                recipient.sent_bytes = more.min(info.bytes);
                let due = recipient.told.is_none_or(|told| now.since(told) >= PROGRESS_EVERY);
                if due && !recipient.asked {
                    recipient.told = Some(now);
                    out.push(FileEffect::Tell(Event::FileProgress {
                        file,
                        direction: FileDirection::Outgoing,
                        peer: Some(peer),
                        done_bytes: recipient.sent_bytes,
                        total_bytes: info.bytes,
                    }));
                }
                out.push(FileEffect::SendChunk { peer, file, chunk, proof, bytes });
            }
            Asked::Begin { file, handle } => {
                let ours = |incoming: &&mut Incoming| incoming.handle == handle;
                let Some(incoming) = self.incoming.get_mut(&file).filter(ours) else { return };
                match answer {
                    FileAnswer::Begun { have } => {
                        incoming.begin(&have);
                        incoming.refill_all(now, out);
                        self.finish_if_whole(&file, out);
                        self.look_again_at(Some(now + Duration::from_secs(1)));
                    }
                    FileAnswer::Failed(error) => {
                        self.give_up(file, error.as_refusal(), Some(error), out);
                    }
                    _ => self.give_up(file, RefusalReason::Failed, Some(FileError::Io), out),
                }
            }
            Asked::Write { file, handle, chunk, conn, cost } => {
                out.push(FileEffect::Release(conn, cost));
                let ours = |incoming: &&mut Incoming| incoming.handle == handle;
                let Some(incoming) = self.incoming.get_mut(&file).filter(ours) else { return };
                match answer {
                    FileAnswer::Written => {
                        incoming.on_written(chunk);
                        self.tell_progress(now, &file, out);
                        self.finish_if_whole(&file, out);
                    }
                    FileAnswer::Failed(error) => {
                        self.give_up(file, error.as_refusal(), Some(error), out);
                    }
                    _ => self.give_up(file, RefusalReason::Failed, Some(FileError::Io), out),
                }
            }
            Asked::Finish { file, handle } => self.on_finished(file, handle, answer, out),
            Asked::Nothing => {}
        }
    }

    fn look_again_at(&mut self, at: Option<Instant>) {
        self.due = [self.due, at].into_iter().flatten().min();
    }

    /// When [`on_time`](Self::on_time) is due.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn on_time(&mut self, now: Instant, out: &mut Out) {
        self.settle_findings(now, out);
        let later = Some(now + Duration::from_millis(1));
        let mut due: Option<Instant> = self.finding.iter().map(|finding| finding.until).min();
        for outgoing in self.outgoing.values_mut() {
            due = [due, outgoing.on_time(now, out)].into_iter().flatten().min();
        }
        for incoming in self.incoming.values_mut() {
            due = [due, incoming.on_time(now, out)].into_iter().flatten().min();
        }
        self.due = due.max(due.and(later));
    }
}
