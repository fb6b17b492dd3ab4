//! A file that was asked for by name, until it is clear which content is meant.

use super::info::FileInfo;
use super::message::GoneReason;
use crate::id::{FileId, PeerId, RequestId};
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// How long to wait for whom was asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait for the others once somebody has answered.
const PATIENCE_OTHERS: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) ticket: RequestId,
    pub(super) asked: BTreeMap<PeerId, Option<Found>>,
    pub(super) until: Instant,
    /// The application doesn't want it any more: whoever still answers is told so.
    pub(super) cancelled: bool,
}

/// What somebody answered.
#[derive(Debug)]
pub(super) enum Found {
    Offer(u64, FileInfo),
    Nothing(GoneReason),
}

/// What most have.
pub(super) struct Agreed {
    pub(super) file: FileInfo,
    pub(super) sources: Vec<(PeerId, u64)>,
    /// Those that have something else under this name.
    pub(super) others: Vec<PeerId>,
}

impl Finding {
    pub(super) fn new(now: Instant, name: String, ticket: RequestId, peers: &[PeerId]) -> Self {
        let asked = peers.iter().map(|peer| (*peer, None)).collect();
        Self { name, ticket, asked, until: now + PATIENCE, cancelled: false }
    }

    /// Whether this answers the question, for the first time or again.
    pub(super) fn counts(&self, peer: &PeerId, found: &Found) -> bool {
        match (self.asked.get(peer), found) {
            (Some(None), _) => true,
            (Some(Some(Found::Offer(_, before))), Found::Offer(_, again)) => before.id == again.id,
            _ => false,
        }
    }

    /// Somebody answered.
    pub(super) fn on_answer(&mut self, now: Instant, peer: &PeerId, found: Found) {
        let Some(place @ None) = self.asked.get_mut(peer) else { return };
        *place = Some(found);
        if matches!(place, Some(Found::Offer(..))) {
            self.until = self.until.min(now + PATIENCE_OTHERS);
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.until || self.asked.values().all(Option::is_some)
    }

    /// The file that a peer offered.
    pub(super) fn offered(&self, peer: &PeerId) -> Option<FileId> {
        match self.asked.get(peer) {
            Some(Some(Found::Offer(_, info))) => Some(info.id),
            _ => None,
        }
    }

    /// The content that most have, and among equals the one with the lowest id; or why there is none.
    pub(super) fn agree(self) -> Result<Agreed, GoneReason> {
        let mut votes: BTreeMap<FileId, (u32, FileInfo)> = BTreeMap::new();
        for found in self.asked.values() {
            if let Some(Found::Offer(_, info)) = found {
                let (count, _) = votes.entry(info.id).or_insert_with(|| (0, info.clone()));
                *count = count.saturating_add(1);
            }
        }
        let most = votes.into_values().reduce(|a, b| if b.0 > a.0 { b } else { a });
        let Some((_, file)) = most else {
            let reasons = self.asked.values().find_map(|found| match found {
                Some(Found::Nothing(reason)) => Some(*reason),
                _ => None,
            });
            return Err(reasons.unwrap_or(GoneReason::NotFound));
        };
        let (mut sources, mut others) = (Vec::new(), Vec::new());
        for (peer, found) in self.asked {
            match found {
                Some(Found::Offer(offer, info)) if info.id == file.id => {
                    sources.push((peer, offer));
                }
                Some(Found::Offer(..)) => others.push(peer),
                _ => {}
            }
        }
        Ok(Agreed { file, sources, others })
    }
}
