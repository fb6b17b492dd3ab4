//! What became of a transfer with each peer, told once.

use crate::failure::Failure;
use crate::out::{note, out};
use crate::text::{clean, size};
use p2pnet_driver::{FilePeer, FileRecord};
use p2pnet_protocol::{Digest, FileError, FileId, FileInfo, PeerId};
use serde::Serialize;

/// What was told of a transfer, so that nothing is told twice.
#[derive(Default)]
pub(super) struct Told(Vec<PeerId>);

impl Told {
    /// Tells of the peers whose part was settled since the last time.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn tell_new(&mut self, record: &FileRecord, json: bool) -> Result<(), Failure> {
        let Some(file) = &record.file else { return Ok(()) };
        for peer in &record.peers {
            if self.0.contains(&peer.peer) {
                continue;
            }
            if let Some(outcome) = &peer.outcome {
                self.0.push(peer.peer);
                tell_outcome(file, peer.peer, *outcome, json)?;
            } else if let Some(fault) = peer.fault {
                self.0.push(peer.peer);
                let words = crate::story::fault_words(fault);
                note(format_args!("{} is no source of it: {words}", peer.peer.short()));
            }
        }
        Ok(())
    }

    /// Whether there is something to tell.
    pub(super) fn has_new(&self, record: &FileRecord) -> bool {
        let settled = |peer: &&FilePeer| peer.outcome.is_some() || peer.fault.is_some();
        record.peers.iter().filter(settled).any(|peer| !self.0.contains(&peer.peer))
    }
}

/// How a file got to one peer, as JSON.
#[derive(Serialize)]
struct Sent<'a> {
    id: FileId,
    name: &'a str,
    bytes: u64,
    sha256: Digest,
    peer: PeerId,
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn tell_outcome(
    file: &FileInfo,
    peer: PeerId,
    outcome: Result<(), FileError>,
    json: bool,
) -> Result<(), Failure> {
    let reason = outcome.err().map(|error| error.to_string());
    let FileInfo { id, name, bytes, sha256 } = file;
    match (json, reason) {
        (true, reason) => {
            let sent = reason.is_none();
            out().json(&Sent { id: *id, name, bytes: *bytes, sha256: *sha256, peer, sent, reason })
        }
        (false, None) => {
            let what = clean(name);
            out().line(format_args!("sent to {}: {what} ({})", peer.short(), size(*bytes)))
        }
        (false, Some(reason)) => {
            note(format_args!("not sent to {}: {reason}", peer.short()));
            Ok(())
        }
    }
}
