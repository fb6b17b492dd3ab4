//! What became of the files that the application offered or asked for, for those who would rather look than listen.

use p2pnet_protocol::{
    Digest, Event, FileDirection, FileError, FileInfo, PeerId, RequestId, SourceFault,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files that are remembered; beyond it, those that are over are forgotten first, the oldest first of all.
const RECORDS_MAX: usize = 256;

/// What became so far of a file that the application [offered](super::Handle::offer_file) or
/// [asked for](super::Handle::fetch_file).
///
/// ```
/// use p2pnet_driver::protocol::RequestId;
/// use p2pnet_driver::{FilePeer, FileRecord, Handle, StoredFile};
///
/// fn tell(node: &Handle, ticket: RequestId) {
///     let Some(FileRecord { peers, stored, .. }) = node.file_record(ticket) else { return };
///     for FilePeer { peer, outcome, .. } in peers {
///         match outcome {
///             None => println!("{peer} is getting it"),
///             Some(Ok(())) => println!("{peer} has it"),
///             Some(Err(why)) => println!("{peer} did not get it: {why}"),
///         }
///     }
///     if let Some(StoredFile { place, .. }) = stored {
///         println!("it is here: {place}");
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Which way it goes; none if it could not be opened or found.
    pub direction: Option<FileDirection>,
    /// The file; none if it could not be opened or found.
    pub file: Option<FileInfo>,
    /// To whom it goes, or from whom it comes.
    pub peers: Vec<FilePeer>,
    /// Bytes of an incoming file that are stored.
    pub stored_bytes: u64,
    /// Where an incoming file is, once it is here.
    pub stored: Option<StoredFile>,
    /// Why nothing came of it, if that is over for all peers.
    pub error: Option<FileError>,
}

/// One peer's part in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePeer {
    /// The peer.
    pub peer: PeerId,
    /// Bytes of an outgoing file that were sent to it.
    pub sent_bytes: u64,
    /// Whether it has an outgoing file, or why not; none until that is settled.
    pub outcome: Option<Result<(), FileError>>,
    /// Why it is no source of an incoming file any more, if so.
    pub fault: Option<SourceFault>,
}

/// A file that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The name that it got.
    pub name: String,
    /// Where it is, for people.
    pub place: String,
    /// The digest of what is stored.
    pub sha256: Digest,
}

impl FileRecord {
    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        let settled = match self.direction {
            None => false,
            Some(FileDirection::Incoming) => self.stored.is_some(),
            Some(FileDirection::Outgoing) => self.peers.iter().all(|peer| peer.outcome.is_some()),
        };
        settled || self.error.is_some()
    }

    /// Whether everybody who was to have the file has it.
    pub fn is_done(&self) -> bool {
        let has_it = |peer: &FilePeer| peer.outcome == Some(Ok(()));
        match self.direction {
            None => false,
            Some(FileDirection::Incoming) => self.stored.is_some(),
            Some(FileDirection::Outgoing) => self.peers.iter().all(has_it),
        }
    }

    const fn new(direction: Option<FileDirection>) -> Self {
        Self {
            direction,
            file: None,
            peers: Vec::new(),
            stored_bytes: 0,
            stored: None,
            error: None,
        }
    }

    fn peer_mut(&mut self, id: &PeerId) -> Option<&mut FilePeer> {
        self.peers.iter_mut().find(|peer| peer.peer == *id)
    }

    /// Takes an event about its file in.
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::FileProgress { peer: Some(to), done_bytes, .. } => {
                if let Some(peer) = self.peer_mut(to) {
                    peer.sent_bytes = *done_bytes;
                }
            }
            Event::FileProgress { peer: None, done_bytes, .. } => self.stored_bytes = *done_bytes,
            Event::FileSent { peer: to, file } => {
                if let Some(peer) = self.peer_mut(to) {
                    peer.sent_bytes = file.bytes;
                    peer.outcome = Some(Ok(()));
                }
            }
            Event::FileFailed { peer: Some(to), error, .. } => {
                if let Some(peer) = self.peer_mut(to) {
                    peer.outcome = Some(Err(*error));
                }
            }
            Event::FileFailed { peer: None, error, .. } => {
                let outgoing = self.direction == Some(FileDirection::Outgoing);
                for peer in self.peers.iter_mut().filter(|peer| outgoing && peer.outcome.is_none())
                {
                    peer.outcome = Some(Err(*error));
                }
                self.error = Some(*error);
            }
            Event::FileSourceDropped { peer: from, fault, .. } => match self.peer_mut(from) {
                Some(peer) => peer.fault = Some(*fault),
                None => self.peers.push(FilePeer { fault: Some(*fault), ..one(*from) }),
            },
            Event::FileReceived { name, place, sha256, .. } => {
                self.stored =
                    Some(StoredFile { name: name.clone(), place: place.clone(), sha256: *sha256 });
            }
            _ => {}
        }
    }
}

const fn one(peer: PeerId) -> FilePeer {
    FilePeer { peer, sent_bytes: 0, outcome: None, fault: None }
}

/// The records, by the tickets of their commands.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<BTreeMap<RequestId, FileRecord>>);

impl Records {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, FileRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the command with this ticket; none while its file is being read for its hashes, or looked for.
    pub(super) fn get(&self, ticket: RequestId) -> Option<FileRecord> {
        self.lock().get(&ticket).cloned()
    }

    /// Takes an event about files in.
    pub(crate) fn on_event(&self, event: &Event) {
        let mut records = self.lock();
        match event {
            Event::FileOpened { ticket, file, direction, peers } => {
                let peers = peers.iter().copied().map(one).collect();
                let file = Some(file.clone());
                add(
                    &mut records,
                    *ticket,
                    FileRecord { file, peers, ..FileRecord::new(Some(*direction)) },
                );
            }
            Event::FileNotOpened { ticket, error, .. } => {
                let record = FileRecord::new(None);
                add(&mut records, *ticket, FileRecord { error: Some(*error), ..record });
            }
            other => {
                let Some((file, direction)) = subject(other) else { return };
                let meant = |record: &&mut FileRecord| {
                    let known = record.file.as_ref().is_some_and(|known| known.id == file);
                    known && record.direction == Some(direction) && !record.is_over()
                };
                records.values_mut().filter(meant).for_each(|record| record.on_event(other));
            }
        }
    }
}

/// The file that an event is about, and which way it goes.
const fn subject(event: &Event) -> Option<(p2pnet_protocol::FileId, FileDirection)> {
    match event {
        Event::FileProgress { file, direction, .. } => Some((*file, *direction)),
        Event::FileFailed { file, direction, .. } => Some((file.id, *direction)),
        Event::FileSent { file, .. } => Some((file.id, FileDirection::Outgoing)),
        Event::FileReceived { file, .. } => Some((file.id, FileDirection::Incoming)),
        Event::FileSourceDropped { file, .. } => Some((*file, FileDirection::Incoming)),
        _ => None,
    }
}

fn add(records: &mut BTreeMap<RequestId, FileRecord>, ticket: RequestId, record: FileRecord) {
    if records.len() >= RECORDS_MAX {
        let over = records.iter().find(|(_, record)| record.is_over()).map(|(ticket, _)| *ticket);
        if let Some(oldest) = over.or_else(|| records.keys().next().copied()) {
            records.remove(&oldest);
        }
    }
    records.insert(ticket, record);
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::{FileId, RefusalReason};

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn file() -> FileInfo {
        FileInfo { id: FileId([7; 32]), name: "f".into(), bytes: 100, sha256: Digest([8; 32]) }
    }

    fn opened(ticket: u64, direction: FileDirection, peers: &[PeerId]) -> Event {
        let (ticket, peers) = (RequestId(ticket), peers.to_vec());
        Event::FileOpened { ticket, file: file(), direction, peers }
    }

    #[test]
    fn each_receiver_has_a_result_of_its_own() {
        let records = Records::default();
        assert_eq!(records.get(RequestId(1)), None);
        records.on_event(&opened(1, FileDirection::Outgoing, &[A, B]));
        records.on_event(&Event::FileProgress {
            file: file().id,
            direction: FileDirection::Outgoing,
            peer: Some(A),
            done_bytes: 40,
            total_bytes: 100,
        });
        let record = records.get(RequestId(1)).unwrap();
        assert_eq!((record.peers[0].sent_bytes, record.peers[1].sent_bytes), (40, 0));
        records.on_event(&Event::FileSent { file: file(), peer: A });
        assert!(!records.get(RequestId(1)).unwrap().is_over());
        let error = FileError::Refused(RefusalReason::Declined);
        let direction = FileDirection::Outgoing;
        records.on_event(&Event::FileFailed { file: file(), direction, peer: Some(B), error });
        let record = records.get(RequestId(1)).unwrap();
        assert!(record.is_over());
        let outcomes: Vec<_> = record.peers.iter().map(|peer| peer.outcome).collect();
        assert_eq!(outcomes, [Some(Ok(())), Some(Err(error))]);
        // Offered again, it is another matter, and the one that is over stays as it was.
        records.on_event(&opened(2, FileDirection::Outgoing, &[B]));
        records.on_event(&Event::FileSent { file: file(), peer: B });
        assert_eq!(records.get(RequestId(2)).unwrap().peers[0].outcome, Some(Ok(())));
        assert_eq!(records.get(RequestId(1)).unwrap(), record);
    }

    #[test]
    fn the_end_for_all_is_the_end_for_each() {
        let records = Records::default();
        records.on_event(&opened(1, FileDirection::Outgoing, &[A, B]));
        records.on_event(&Event::FileSent { file: file(), peer: A });
        let (direction, error) = (FileDirection::Outgoing, FileError::Cancelled);
        records.on_event(&Event::FileFailed { file: file(), direction, peer: None, error });
        let record = records.get(RequestId(1)).unwrap();
        assert!(record.is_over());
        let outcomes: Vec<_> = record.peers.iter().map(|peer| peer.outcome).collect();
        assert_eq!(outcomes, [Some(Ok(())), Some(Err(FileError::Cancelled))]);
    }

    #[test]
    fn what_comes_is_told_with_its_place_and_its_liars() {
        let records = Records::default();
        records.on_event(&opened(1, FileDirection::Incoming, &[A, B]));
        let (file_id, fault) = (file().id, SourceFault::WrongBytes);
        records.on_event(&Event::FileSourceDropped { file: file_id, peer: B, fault });
        records.on_event(&Event::FileReceived {
            file: file(),
            name: "f (2)".into(),
            place: "/in/f (2)".into(),
            sha256: Digest([8; 32]),
            from: vec![A],
        });
        let record = records.get(RequestId(1)).unwrap();
        assert!(record.is_over());
        assert_eq!(record.peers[1].fault, Some(fault));
        assert_eq!(record.stored.unwrap().name, "f (2)");
    }

    #[test]
    fn only_so_many_are_remembered_and_those_under_way_the_longest() {
        let records = Records::default();
        records.on_event(&opened(0, FileDirection::Outgoing, &[A]));
        for ticket in 1..=2 * RECORDS_MAX as u64 {
            let (ticket, name) = (RequestId(ticket), "n".into());
            let error = FileError::NotFound;
            records.on_event(&Event::FileNotOpened { ticket, name, error });
        }
        assert_eq!(records.lock().len(), RECORDS_MAX);
        assert!(records.get(RequestId(0)).is_some());
        assert!(records.get(RequestId(1)).is_none());
    }
}
