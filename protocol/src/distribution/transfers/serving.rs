//! Files that go.

use super::super::FileDirection;
use super::super::ask::{FileAnswer, FileError, FileHandle, FileRequest};
use super::super::info::FileInfo;
use super::super::message::{FileMessage, GoneReason, OfferReply};
use super::super::outgoing::{Outgoing, Recipient};
use super::{Asked, FileEffect, Opening, Out, Transfers};
use crate::id::{FileId, PeerId};
use crate::io::Event;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

/// A chunk to be read.
pub(crate) struct NextRead {
    pub(crate) file: FileId,
    pub(crate) handle: FileHandle,
    pub(crate) chunk: u32,
    pub(crate) bytes: u32,
}

impl Transfers {
    pub(super) fn on_reply(
        &mut self,
        file: &FileId,
        peer: &PeerId,
        reply: OfferReply,
        out: &mut Out,
    ) {
        let Some(outgoing) = self.outgoing.get_mut(file) else { return };
        let Some(recipient) = outgoing.recipients.get_mut(peer) else { return };
        recipient.answered();
        let (file, peer) = (outgoing.info.clone(), *peer);
        let event = match reply {
            OfferReply::Noted | OfferReply::Accepted => return,
            OfferReply::Complete => Event::FileSent { file, peer },
            OfferReply::Refused(reason) => Event::FileFailed {
                file,
                direction: FileDirection::Outgoing,
                peer: Some(peer),
                error: FileError::Refused(reason),
            },
        };
        // Who only got what it asked for is nobody's concern here.
        let offered = outgoing.recipients.remove(&peer).is_some_and(|recipient| !recipient.asked);
        if offered {
            out.push(FileEffect::Tell(event));
            out.push(FileEffect::Changed);
        }
        if outgoing.recipients.is_empty() {
            let id = outgoing.info.id;
            self.close(&id, out);
        }
    }

    /// Forgets an outgoing file.
    pub(super) fn close(&mut self, file: &FileId, out: &mut Out) {
        if let Some(outgoing) = self.outgoing.remove(file) {
            let request = FileRequest::Close { handle: outgoing.handle };
            out.push(FileEffect::Ask(request, Asked::Nothing));
        }
    }

    /// An outgoing file can't be served any more.
    pub(super) fn withdraw(&mut self, file: &FileId, error: FileError, out: &mut Out) {
        let Some(outgoing) = self.outgoing.get(file) else { return };
        for (peer, _) in outgoing.recipients.iter().filter(|(_, recipient)| recipient.present) {
            let gone = FileMessage::Gone { file: *file, reason: error.as_gone() };
            out.push(FileEffect::Say(*peer, gone));
        }
        if outgoing.offered().next().is_some() {
            out.push(FileEffect::Tell(Event::FileFailed {
                file: outgoing.info.clone(),
                direction: FileDirection::Outgoing,
                peer: None,
                error,
            }));
            out.push(FileEffect::Changed);
        }
        self.close(file, out);
    }

    /// A peer asks for a stored file.
    pub(super) fn on_asked(&mut self, peer: PeerId, name: String, out: &mut Out) {
        let same = |opening: &Opening| matches!(opening, Opening::Asked { peer: other, .. } if *other == peer);
        let reason = if !self.config.share {
            GoneReason::NotFound
        } else if !self.has_room_out() || self.opening.values().filter(|o| same(o)).count() >= 2 {
            GoneReason::Busy
        } else {
            let handle = self.handle();
            let request = FileRequest::Open { handle, name: name.clone(), local: false };
            self.opening.insert(handle, Opening::Asked { name, peer });
            out.push(FileEffect::Ask(request, Asked::Open { handle }));
            return;
        };
        out.push(FileEffect::Say(peer, FileMessage::Unknown { name, reason }));
    }

    pub(super) fn on_opened(
        &mut self,
        now: Instant,
        handle: FileHandle,
        answer: FileAnswer,
        out: &mut Out,
    ) {
        let Some(opening) = self.opening.remove(&handle) else {
            // It was cancelled meanwhile.
            if matches!(answer, FileAnswer::Opened(_)) {
                out.push(FileEffect::Ask(FileRequest::Close { handle }, Asked::Nothing));
            }
            return;
        };
        let opened = match answer {
            FileAnswer::Opened(info) => Ok(info),
            FileAnswer::Failed(error) => Err(error),
            _ => Err(FileError::Io),
        };
        match (opening, opened) {
            (Opening::Offer { name, ticket, to, offer, expect }, Ok(info)) => {
                if expect.is_some_and(|expect| expect != info.id) {
                    out.push(FileEffect::Ask(FileRequest::Close { handle }, Asked::Nothing));
                    let error = FileError::Changed;
                    out.push(FileEffect::Tell(Event::FileNotOpened { ticket, name, error }));
                    out.push(FileEffect::Changed);
                    return;
                }
                out.push(FileEffect::Tell(Event::FileOpened {
                    ticket,
                    file: info.clone(),
                    direction: FileDirection::Outgoing,
                    peers: to.clone(),
                }));
                self.serve(now, handle, info, (name, offer), &to, out);
                out.push(FileEffect::Changed);
            }
            (Opening::Offer { name, ticket, .. }, Err(error)) => {
                out.push(FileEffect::Tell(Event::FileNotOpened { ticket, name, error }));
                out.push(FileEffect::Changed);
            }
            // Who asked by name is answered by the name that it knows.
            (Opening::Asked { name, peer }, Ok(info)) if self.is_present(&peer) => {
                let info = FileInfo { name, ..info };
                let offer = self.numbers.next_u64();
                self.serve(now, handle, info, (String::new(), offer), &[peer], out);
            }
            (Opening::Asked { .. }, Ok(_)) => {
                out.push(FileEffect::Ask(FileRequest::Close { handle }, Asked::Nothing));
            }
            (Opening::Asked { name, peer }, Err(error)) => {
                let reason = error.as_gone();
                out.push(FileEffect::Say(peer, FileMessage::Unknown { name, reason }));
            }
        }
    }

    /// Has a file for these peers from now on.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        handle: FileHandle,
        info: FileInfo,
        (name, offer): (String, u64),
        to: &[PeerId],
        out: &mut Out,
    ) {
        let file = info.id;
        let present: BTreeSet<PeerId> =
            to.iter().copied().filter(|peer| self.is_present(peer)).collect();
        let (asked, called) = (name.is_empty(), info.name.clone());
        let recipients = BTreeMap::new();
        let fresh = Outgoing { info, handle, name, recipients };
        let outgoing = match self.outgoing.remove(&file) {
            // The file that was opened last is read from now on, for everyone who waits for it.
            Some(mut before) => {
                let request = FileRequest::Close { handle: before.handle };
                out.push(FileEffect::Ask(request, Asked::Nothing));
                before.handle = handle;
                if before.name.is_empty() {
                    before.name = fresh.name;
                }
                before
            }
            None => fresh,
        };
        let outgoing = self.outgoing.entry(file).or_insert(outgoing);
        for peer in to {
            let recipient = outgoing.recipients.entry(*peer);
            let recipient = recipient.or_insert_with(|| Recipient::new(asked, offer));
            recipient.asked &= asked;
            recipient.call(&called);
        }
        for peer in present {
            outgoing.offer_to(now, peer, out);
        }
        self.look_again_at(Some(now));
    }

    /// The next chunk to read for a peer; files take turns.
    pub(crate) fn next_read(
        &mut self,
        peer: PeerId,
        after: &mut Option<FileId>,
    ) -> Option<NextRead> {
        let wants = |outgoing: &Outgoing| {
            outgoing.recipients.get(&peer).is_some_and(|to| to.present && to.has_wants())
        };
        let later = |id: &FileId| after.is_none_or(|after| *id > after);
        let mut waiting = self.outgoing.iter().filter(|(_, outgoing)| wants(outgoing));
        let first = waiting.clone().next().map(|(id, _)| *id);
        let file = waiting.find(|(id, _)| later(id)).map(|(id, _)| *id).or(first)?;
        *after = Some(file);
        let outgoing = self.outgoing.get_mut(&file)?;
        let chunk = outgoing.recipients.get_mut(&peer)?.next_want()?;
        // A chunk that there isn't: whoever asks for it gets nothing.
        let bytes = outgoing.info.bytes_of(chunk);
        Some(NextRead { file, handle: outgoing.handle, chunk, bytes })
    }

    /// Whether a peer asked for something.
    pub(crate) fn has_wants(&self, peer: &PeerId) -> bool {
        let of = |outgoing: &Outgoing| outgoing.recipients.get(peer).is_some_and(|r| r.has_wants());
        self.outgoing.values().any(of)
    }
}
