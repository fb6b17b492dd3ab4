//! Files that come.

use super::super::ask::{FileAnswer, FileError, FileHandle, FileRequest};
use super::super::finding::{Finding, Found};
use super::super::incoming::{Came, Incoming, SOURCES_MAX, Source, Stage};
use super::super::info::FileInfo;
use super::super::message::{FileMessage, OfferReply, RefusalReason};
use super::super::{FileAcceptance, FileDirection, SourceFault};
use super::{Asked, COMPLETE_MAX, FileEffect, OFFERS_PER_PEER_MAX, Out, PROGRESS_EVERY, Transfers};
use crate::config::Trust;
use crate::id::{FileId, PeerId};
use crate::io::Event;
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;

impl Transfers {
    pub(super) fn on_offer(
        &mut self,
        now: Instant,
        peer: PeerId,
        offer: u64,
        info: FileInfo,
        out: &mut Out,
    ) {
        let say = |file, reply, out: &mut Out| {
            out.push(FileEffect::Say(peer, FileMessage::Reply { file, reply }));
        };
        let file = info.id;
        let name = info.name.clone();
        if self.on_found(now, &peer, &name, Found::Offer(offer, info.clone()), out) {
            return;
        }
        if self.complete.contains(&(peer, offer)) {
            return say(file, OfferReply::Complete, out);
        }
        if let Some(incoming) = self.incoming.get_mut(&file) {
            let full = incoming.sources.len() >= SOURCES_MAX;
            if full && !incoming.sources.contains_key(&peer) {
                return say(file, OfferReply::Refused(RefusalReason::Busy), out);
            }
            let source = incoming.sources.entry(peer).or_insert_with(|| Source::new(now));
            source.present = true;
            let fresh =
                !source.offers.contains(&offer) && source.offers.len() < OFFERS_PER_PEER_MAX;
            if fresh {
                source.offers.push(offer);
            }
            if source.fault != Some(SourceFault::WrongBytes) {
                source.fault = None;
            }
            let offered = incoming.stage == Stage::Offered;
            incoming.refill(now, peer, out);
            if fresh && !offered {
                out.push(FileEffect::Changed);
            }
            self.look_again_at(Some(now));
            if offered && let Some(trust) = self.trust_that_decides(&peer) {
                return self.judge(file, &peer, trust, out);
            }
            return say(file, if offered { OfferReply::Noted } else { OfferReply::Accepted }, out);
        }
        let waiting = |incoming: &&Incoming| {
            incoming.stage == Stage::Offered && incoming.sources.contains_key(&peer)
        };
        let crowded = self.incoming.values().filter(waiting).count() >= OFFERS_PER_PEER_MAX;
        let refusal = if self.config.accept == FileAcceptance::Never {
            Some(RefusalReason::Declined)
        } else if crowded || !self.make_room_in(out) {
            Some(RefusalReason::Busy)
        } else if info.chunks() > self.chunks_max {
            Some(RefusalReason::NoRoom)
        } else {
            None
        };
        if let Some(reason) = refusal {
            return say(file, OfferReply::Refused(reason), out);
        }
        let handle = self.handle();
        let mut incoming = Incoming::new(info.clone(), handle);
        let mut source = Source::new(now);
        source.present = true;
        source.offers.push(offer);
        incoming.sources.insert(peer, source);
        self.incoming.insert(file, incoming);
        if let Some(trust) = self.trust_that_decides(&peer) {
            return self.judge(file, &peer, trust, out);
        }
        if self.config.accept != FileAcceptance::Trusted {
            out.push(FileEffect::Tell(Event::FileOffered { peer, file: info }));
        }
        say(file, OfferReply::Noted, out);
    }

    /// How far a peer is trusted, if that decides about its offers by now.
    fn trust_that_decides(&self, peer: &PeerId) -> Option<Trust> {
        let standing = self.peers.get(peer).filter(|standing| standing.settled)?;
        (self.config.accept == FileAcceptance::Trusted).then_some(standing.trust)
    }

    /// Takes a file that a peer offers if the peer is trusted. If not, it is no source; others may be.
    pub(super) fn judge(&mut self, file: FileId, peer: &PeerId, trust: Trust, out: &mut Out) {
        if trust == Trust::Trusted {
            return self.begin(file, out);
        }
        let Some(incoming) = self.incoming.get_mut(&file) else { return };
        incoming.sources.remove(peer);
        if incoming.sources.is_empty() {
            self.incoming.remove(&file);
        }
        let reply = OfferReply::Refused(RefusalReason::NotTrusted);
        out.push(FileEffect::Say(*peer, FileMessage::Reply { file, reply }));
    }

    /// Whether there is room for another file. An offer that nobody has decided about makes it, if whoever made it is gone:
    /// it is made again when they come back.
    fn make_room_in(&mut self, out: &mut Out) -> bool {
        if self.has_room_in() {
            return true;
        }
        let forsaken = |incoming: &Incoming| {
            incoming.stage == Stage::Offered && incoming.sources.values().all(|s| !s.present)
        };
        let Some(file) = self.incoming.iter().find(|(_, file)| forsaken(file)).map(|(id, _)| *id)
        else {
            return false;
        };
        self.give_up(file, RefusalReason::Busy, Some(FileError::Busy), out);
        self.has_room_in()
    }

    /// An answer to what was asked for by name, if it is one, or one that is repeated.
    pub(super) fn on_found(
        &mut self,
        now: Instant,
        peer: &PeerId,
        name: &str,
        found: Found,
        out: &mut Out,
    ) -> bool {
        let asked = |finding: &&mut Finding| finding.name == name && finding.counts(peer, &found);
        let Some(finding) = self.finding.iter_mut().find(asked) else { return false };
        finding.on_answer(now, peer, found);
        if finding.cancelled {
            Self::turn_away(&self.incoming, finding, peer, out);
        }
        let until = finding.until;
        self.look_again_at(Some(until));
        self.settle_findings(now, out);
        true
    }

    pub(super) fn settle_findings(&mut self, now: Instant, out: &mut Out) {
        while let Some(at) = self.finding.iter().position(|finding| finding.is_over(now)) {
            let finding = self.finding.swap_remove(at);
            if finding.cancelled {
                continue;
            }
            let (ticket, name) = (finding.ticket, finding.name.clone());
            let agreed = match finding.agree() {
                Ok(agreed) if agreed.file.chunks() <= self.chunks_max => agreed,
                Ok(_) => {
                    let error = FileError::TooLarge;
                    out.push(FileEffect::Tell(Event::FileNotOpened { ticket, name, error }));
                    continue;
                }
                Err(reason) => {
                    let error = FileError::Gone(reason);
                    out.push(FileEffect::Tell(Event::FileNotOpened { ticket, name, error }));
                    continue;
                }
            };
            let file = agreed.file.id;
            let peers = agreed.sources.iter().map(|(peer, _)| *peer).collect();
            out.push(FileEffect::Tell(Event::FileOpened {
                ticket,
                file: agreed.file.clone(),
                direction: FileDirection::Incoming,
                peers,
            }));
            for peer in agreed.others {
                let fault = SourceFault::OtherContent;
                out.push(FileEffect::Tell(Event::FileSourceDropped { file, peer, fault }));
            }
            let handle = self.handle();
            let incoming =
                self.incoming.entry(file).or_insert_with(|| Incoming::new(agreed.file, handle));
            for (peer, offer) in agreed.sources {
                let present = self.peers.get(&peer).is_some_and(|standing| standing.present);
                let source = incoming.sources.entry(peer).or_insert_with(|| Source::new(now));
                source.present = present;
                source.offers.push(offer);
            }
            match incoming.stage {
                Stage::Offered => self.begin(file, out),
                _ => incoming.refill_all(now, out),
            }
        }
    }

    /// Nobody wants any more what was looked for, unless it comes in another way.
    pub(super) fn turn_away(
        incoming: &BTreeMap<FileId, Incoming>,
        finding: &Finding,
        peer: &PeerId,
        out: &mut Out,
    ) {
        if let Some(file) = finding.offered(peer).filter(|file| !incoming.contains_key(file)) {
            let reply = OfferReply::Refused(RefusalReason::Cancelled);
            out.push(FileEffect::Say(*peer, FileMessage::Reply { file, reply }));
        }
    }

    /// Accepts an offer: room is made first.
    pub(super) fn begin(&mut self, file: FileId, out: &mut Out) {
        let Some(incoming) = self.incoming.get_mut(&file) else { return };
        incoming.stage = Stage::Beginning;
        let handle = incoming.handle;
        let request = FileRequest::Begin { handle, file: incoming.info.clone() };
        out.push(FileEffect::Ask(request, Asked::Begin { file, handle }));
        for (peer, _) in incoming.sources.iter().filter(|(_, source)| source.present) {
            let reply = OfferReply::Accepted;
            out.push(FileEffect::Say(*peer, FileMessage::Reply { file, reply }));
        }
        out.push(FileEffect::Changed);
    }

    /// Ends an incoming transfer without its file; what came of it is thrown away. Told with `error`, if there is one.
    pub(super) fn give_up(
        &mut self,
        file: FileId,
        reason: RefusalReason,
        error: Option<FileError>,
        out: &mut Out,
    ) {
        let Some(incoming) = self.incoming.remove(&file) else { return };
        if incoming.stage != Stage::Offered {
            let request = FileRequest::Abort { handle: incoming.handle };
            out.push(FileEffect::Ask(request, Asked::Nothing));
            out.push(FileEffect::Changed);
        }
        for (peer, _) in incoming.sources.iter().filter(|(_, source)| source.present) {
            let reply = OfferReply::Refused(reason);
            out.push(FileEffect::Say(*peer, FileMessage::Reply { file, reply }));
        }
        if let Some(error) = error {
            out.push(FileEffect::Tell(Event::FileFailed {
                file: incoming.info,
                direction: FileDirection::Incoming,
                peer: None,
                error,
            }));
        }
    }

    pub(super) fn on_part(&mut self, now: Instant, file: FileId, came: Came, out: &mut Out) {
        let (peer, conn, cost) = (came.peer, came.conn, came.cost);
        if came.offset == 0 {
            // A peer sends one chunk after the other: what it left unfinished won't be finished.
            self.incoming.values_mut().for_each(|incoming| incoming.forget_part(&peer));
        }
        let Some(incoming) = self.incoming.get_mut(&file) else {
            out.push(FileEffect::Release(conn, cost));
            return;
        };
        if let Some(fault) = incoming.on_part(now, came, out) {
            self.on_fault(now, &file, &peer, fault, out);
        }
        self.look_again_at(Some(now + Duration::from_secs(1)));
    }

    pub(super) fn on_fault(
        &mut self,
        now: Instant,
        file: &FileId,
        peer: &PeerId,
        fault: SourceFault,
        out: &mut Out,
    ) {
        let Some(incoming) = self.incoming.get_mut(file) else { return };
        let Some(source) = incoming.sources.get_mut(peer) else { return };
        if source.fault.is_some() {
            return;
        }
        source.fault = Some(fault);
        incoming.release(peer);
        let (file, peer) = (*file, *peer);
        out.push(FileEffect::Tell(Event::FileSourceDropped { file, peer, fault }));
        if incoming.sources.values().any(Source::is_hopeful) {
            return incoming.refill_all(now, out);
        }
        let lied = incoming.sources.values().any(|s| s.fault == Some(SourceFault::WrongBytes));
        let error = match fault {
            _ if lied => FileError::WrongBytes,
            SourceFault::Gone(reason) => FileError::Gone(reason),
            _ => FileError::WrongBytes,
        };
        self.give_up(file, RefusalReason::Failed, Some(error), out);
    }

    pub(super) fn tell_progress(&mut self, now: Instant, file: &FileId, out: &mut Out) {
        let Some(incoming) = self.incoming.get_mut(file) else { return };
        let due = incoming.told.is_none_or(|told| now.since(told) >= PROGRESS_EVERY);
        if due || incoming.is_whole() {
            incoming.told = Some(now);
            out.push(FileEffect::Tell(Event::FileProgress {
                file: *file,
                direction: FileDirection::Incoming,
                peer: None,
                done_bytes: incoming.done_bytes,
                total_bytes: incoming.info.bytes,
            }));
        }
    }

    pub(super) fn finish_if_whole(&mut self, file: &FileId, out: &mut Out) {
        let Some(incoming) = self.incoming.get_mut(file).filter(|file| file.is_whole()) else {
            return;
        };
        incoming.stage = Stage::Finishing;
        let handle = incoming.handle;
        let request = FileRequest::Finish { handle };
        out.push(FileEffect::Ask(request, Asked::Finish { file: *file, handle }));
    }

    pub(super) fn on_finished(
        &mut self,
        file: FileId,
        handle: FileHandle,
        answer: FileAnswer,
        out: &mut Out,
    ) {
        let ours = self.incoming.get(&file).is_some_and(|incoming| incoming.handle == handle);
        if !ours {
            return;
        }
        let (name, place, sha256) = match answer {
            FileAnswer::Finished { name, place, sha256 } => (name, place, sha256),
            FileAnswer::Failed(error) => {
                return self.give_up(file, error.as_refusal(), Some(error), out);
            }
            _ => return self.give_up(file, RefusalReason::Failed, Some(FileError::Io), out),
        };
        let Some(incoming) = self.incoming.remove(&file) else { return };
        for (peer, source) in &incoming.sources {
            for offer in &source.offers {
                if self.complete.len() >= COMPLETE_MAX {
                    self.complete.pop_front();
                }
                self.complete.push_back((*peer, *offer));
            }
            if source.present {
                let reply = OfferReply::Complete;
                out.push(FileEffect::Say(*peer, FileMessage::Reply { file, reply }));
            }
        }
        let honest = incoming.sources.iter().filter(|(_, source)| source.fault.is_none());
        let from = honest.map(|(peer, _)| *peer).collect();
        out.push(FileEffect::Tell(Event::FileReceived {
            file: incoming.info,
            name,
            place,
            sha256,
            from,
        }));
        out.push(FileEffect::Changed);
    }
}
