//! One file on its way from here: who is to have it, and what each asked for.

use super::FileHandle;
use super::info::FileInfo;
use super::message::FileMessage;
use super::transfers::FileEffect;
use crate::id::PeerId;
use crate::time::{Duration, Instant};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

/// Requests of one peer that wait. A peer that asks for more before it has got any loses what is over.
const WANTS_MAX: usize = 64;
/// How long to wait for a reply before an offer is repeated: the peer's gate may have been closed.
const REPEAT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const REPEAT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) info: FileInfo,
    pub(super) handle: FileHandle,
    /// What the application calls it; empty if a peer asked for it.
    pub(super) name: String,
    pub(super) recipients: BTreeMap<PeerId, Recipient>,
}

/// Somebody who is to have the file.
#[derive(Debug, Default)]
pub(super) struct Recipient {
    pub(super) present: bool,
    /// It asked for the file by name, and was not offered it: it is forgotten when it leaves.
    pub(super) asked: bool,
    /// The offer's number: each recipient is told one, and no other offer to it has the same.
    pub(super) offer: u64,
    /// What the offer calls the file.
    called: String,
    /// When to repeat the offer, and how long to wait after that; none once it was answered.
    repeat: Option<(Instant, Duration)>,
    wants: VecDeque<(u32, u16)>,
    pub(super) sent_bytes: u64,
    pub(super) told: Option<Instant>,
}

impl Recipient {
    pub(super) fn new(asked: bool, offer: u64) -> Self {
        Self { asked, offer, ..Self::default() }
    }

    /// From now on the offer to it bears this name.
    pub(super) fn call(&mut self, name: &str) {
        self.called = name.into();
    }

    fn offered(&self, file: &FileInfo) -> FileMessage {
        let file = FileInfo { name: self.called.clone(), ..file.clone() };
        FileMessage::Offer { offer: self.offer, file }
    }

    /// The next chunk that it asked for.
    pub(super) fn next_want(&mut self) -> Option<u32> {
        let (first, count) = self.wants.front_mut()?;
        let chunk = *first;
        *first = first.saturating_add(1);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.wants.pop_front();
        }
        Some(chunk)
    }

    pub(super) fn has_wants(&self) -> bool {
        !self.wants.is_empty()
    }

    /// It answered.
    pub(super) const fn answered(&mut self) {
        self.repeat = None;
    }

    pub(super) fn on_want(&mut self, first: u32, count: u16) {
        self.repeat = None;
        if self.wants.len() < WANTS_MAX {
            self.wants.push_back((first, count));
        }
    }
}

impl Outgoing {
    /// Whom it was offered to, with the number of the offer.
    pub(super) fn offered(&self) -> impl Iterator<Item = (PeerId, u64)> {
        let offered = self.recipients.iter().filter(|(_, recipient)| !recipient.asked);
        offered.map(|(peer, recipient)| (*peer, recipient.offer))
    }

    /// Somebody went away, with what it wanted.
    pub(super) fn leave(&mut self, peer: &PeerId) {
        let Some(recipient) = self.recipients.get_mut(peer) else { return };
        if recipient.asked {
            self.recipients.remove(peer);
        } else {
            recipient.present = false;
            recipient.repeat = None;
            recipient.wants = VecDeque::new();
        }
    }

    /// Offers it to somebody who is there.
    pub(super) fn offer_to(&mut self, now: Instant, peer: PeerId, out: &mut Vec<FileEffect>) {
        let Some(recipient) = self.recipients.get_mut(&peer) else { return };
        recipient.present = true;
        recipient.repeat = Some((now + REPEAT_FIRST, REPEAT_FIRST));
        out.push(FileEffect::Say(peer, recipient.offered(&self.info)));
    }

    /// Repeats offers that got no answer. Gives when to look again.
    pub(super) fn on_time(&mut self, now: Instant, out: &mut Vec<FileEffect>) -> Option<Instant> {
        for (peer, recipient) in &mut self.recipients {
            let Some((at, waited)) = recipient.repeat.filter(|(at, _)| *at <= now) else {
                continue;
            };
            let wait = waited.saturating_add(waited).min(REPEAT_MAX);
            recipient.repeat = Some((at.max(now) + wait, wait));
            out.push(FileEffect::Say(*peer, recipient.offered(&self.info)));
        }
        self.recipients.values().filter_map(|recipient| Some(recipient.repeat?.0)).min()
    }
}
