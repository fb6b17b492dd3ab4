//! What others see of the transfers, and what survives a restart.

use super::super::incoming::{Incoming, SOURCES_MAX, Source, Stage};
use super::super::{
    FileDirection, SavedIncoming, SavedOutgoing, SavedTransfers, TransferState, TransferView,
};
use super::{COMPLETE_MAX, Opening, Out, Transfers};
use crate::id::PeerId;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

impl Transfers {
    pub(crate) fn views(&self) -> Vec<TransferView> {
        let incoming = self.incoming.values().map(|incoming| TransferView {
            file: incoming.info.clone(),
            direction: FileDirection::Incoming,
            state: match incoming.stage {
                Stage::Offered => TransferState::Offered,
                Stage::Finishing => TransferState::Finishing,
                Stage::Running if !incoming.has_usable_source() => TransferState::Waiting,
                Stage::Running | Stage::Beginning => TransferState::Running,
            },
            done_bytes: incoming.done_bytes,
            peers: incoming.sources.keys().copied().collect(),
        });
        let outgoing = self.outgoing.values().map(|outgoing| TransferView {
            file: outgoing.info.clone(),
            direction: FileDirection::Outgoing,
            state: if outgoing.recipients.values().any(|recipient| recipient.present) {
                TransferState::Running
            } else {
                TransferState::Waiting
            },
            done_bytes: outgoing.recipients.values().map(|to| to.sent_bytes).max().unwrap_or(0),
            peers: outgoing.recipients.keys().copied().collect(),
        });
        incoming.chain(outgoing).collect()
    }

    pub(crate) fn saved(&self) -> SavedTransfers {
        let accepted = self.incoming.values().filter(|file| file.stage != Stage::Offered);
        let incoming = accepted.map(|incoming| SavedIncoming {
            file: incoming.info.clone(),
            sources: incoming
                .sources
                .iter()
                .map(|(peer, source)| (*peer, source.offers.last().copied().unwrap_or(0)))
                .collect(),
        });
        let named = self.outgoing.values().filter(|outgoing| !outgoing.name.is_empty());
        let outgoing = named.flat_map(|outgoing| {
            let mut offers: BTreeMap<u64, Vec<PeerId>> = BTreeMap::new();
            outgoing
                .offered()
                .for_each(|(peer, offer)| offers.entry(offer).or_default().push(peer));
            let (name, file) = (outgoing.name.clone(), outgoing.info.id);
            let saved = move |(offer, to)| SavedOutgoing { name: name.clone(), file, offer, to };
            offers.into_iter().map(saved)
        });
        let opening = self.opening.values().filter_map(|opening| match opening {
            Opening::Offer { name, to, offer, expect: Some(file), .. } => Some(SavedOutgoing {
                name: name.clone(),
                file: *file,
                offer: *offer,
                to: to.clone(),
            }),
            _ => None,
        });
        SavedTransfers {
            incoming: incoming.collect(),
            outgoing: outgoing.chain(opening).collect(),
            complete: self.complete.iter().copied().collect(),
        }
    }

    /// Goes on with what was saved. Files to be sent are opened again by [`offer`](Self::offer).
    pub(crate) fn restore(&mut self, now: Instant, saved: SavedTransfers, out: &mut Out) {
        self.complete.extend(saved.complete.into_iter().take(COMPLETE_MAX));
        for SavedIncoming { file, sources } in saved.incoming {
            let fits = file.chunks() <= self.chunks_max && self.has_room_in();
            if !fits || self.incoming.contains_key(&file.id) {
                continue;
            }
            let handle = self.handle();
            let id = file.id;
            let mut incoming = Incoming::new(file, handle);
            for (peer, offer) in sources.into_iter().take(SOURCES_MAX) {
                let mut source = Source::new(now);
                source.present = self.is_present(&peer);
                source.offers.push(offer);
                incoming.sources.insert(peer, source);
            }
            self.incoming.insert(id, incoming);
            self.begin(id, out);
        }
    }
}
