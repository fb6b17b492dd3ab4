//! The part of the story that is about files.

use super::Line;
use p2pnet_protocol::distribution::SourceFault;
use p2pnet_protocol::{Event, FileDirection, FileId, PeerId, TransferView};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Progress of one file with one peer is told no more often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Files whose names are remembered; more than are under way at once with common limits.
const NAMES_MAX: usize = 4_096;

/// A file on its way to one peer, or to here.
type Way = (FileId, FileDirection, Option<PeerId>);

/// What is remembered of files, so that their progress is told by name and not too often.
#[derive(Default)]
pub(super) struct FileStory {
    names: BTreeMap<FileId, String>,
    told: BTreeMap<Way, Instant>,
}

impl FileStory {
    /// The line that an event about files is worth; `None` if it is worth none, or is about something else.
    pub(super) fn line(
        &mut self,
        event: &Event,
        now: Instant,
        under_way: impl FnOnce() -> Vec<TransferView>,
    ) -> Option<Line> {
        Some(match event {
            Event::FileOffered { peer, file } => {
                self.remember(file.id, &file.name);
                let (id, name, bytes) = (file.id, file.name.clone(), file.bytes);
                Line::FileOffered { id, peer: *peer, name, bytes }
            }
            Event::FileOpened { file, direction, peers, .. } => {
                self.remember(file.id, &file.name);
                let (id, name, bytes) = (file.id, file.name.clone(), file.bytes);
                Line::FileOpened { id, name, bytes, direction: *direction, peers: peers.clone() }
            }
            Event::FileNotOpened { name, error, .. } => Line::FileFailed {
                id: None,
                name: name.clone(),
                reason: error.to_string(),
                direction: None,
                peer: None,
            },
            Event::FileProgress { file, direction, peer, done_bytes, total_bytes } => {
                let whole = done_bytes >= total_bytes;
                if !self.is_due((*file, *direction, *peer), whole, now) {
                    return None;
                }
                Line::FileProgress {
                    id: *file,
                    name: self.name(*file, under_way),
                    bytes: *done_bytes,
                    total: *total_bytes,
                    direction: *direction,
                    peer: *peer,
                }
            }
            Event::FileReceived { file, name, place, sha256, from } => {
                self.forget((file.id, FileDirection::Incoming, None));
                Line::FileReceived {
                    id: file.id,
                    name: name.clone(),
                    bytes: file.bytes,
                    sha256: *sha256,
                    root: file.id,
                    path: place.clone(),
                    from: from.clone(),
                }
            }
            Event::FileSent { file, peer } => {
                self.forget((file.id, FileDirection::Outgoing, Some(*peer)));
                let (id, name, bytes) = (file.id, file.name.clone(), file.bytes);
                Line::FileSent { id, peer: *peer, name, bytes }
            }
            Event::FileSourceDropped { file, peer, fault } => Line::FileSourceDropped {
                id: *file,
                peer: *peer,
                name: self.name(*file, under_way),
                reason: fault_words(*fault).into(),
            },
            Event::FileFailed { file, direction, peer, error } => {
                self.forget((file.id, *direction, *peer));
                Line::FileFailed {
                    id: Some(file.id),
                    name: file.name.clone(),
                    reason: error.to_string(),
                    direction: Some(*direction),
                    peer: *peer,
                }
            }
            _ => return None,
        })
    }

    fn remember(&mut self, id: FileId, name: &str) {
        if self.names.len() >= NAMES_MAX {
            // They are found again if they are needed.
            self.names.clear();
        }
        self.names.insert(id, name.into());
    }

    fn name(&mut self, id: FileId, under_way: impl FnOnce() -> Vec<TransferView>) -> String {
        if !self.names.contains_key(&id)
            && let Some(view) = under_way().into_iter().find(|view| view.file.id == id)
        {
            self.remember(id, &view.file.name);
        }
        // It may be over by now.
        self.names.get(&id).cloned().unwrap_or_else(|| id.short().to_string())
    }

    fn is_due(&mut self, way: Way, whole: bool, now: Instant) -> bool {
        let told = self.told.get(&way);
        let due = told.is_none_or(|told| now.duration_since(*told) >= PROGRESS_EVERY);
        if due {
            if self.told.len() >= NAMES_MAX {
                self.told.clear();
            }
            self.told.insert(way, now);
        }
        due || whole
    }

    /// A transfer is over; without a peer, for all of them.
    fn forget(&mut self, way: Way) {
        match way {
            (id, direction, None) => {
                self.told.retain(|(told, way, _), _| (*told, *way) != (id, direction));
            }
            one => drop(self.told.remove(&one)),
        }
        if self.told.keys().all(|(told, ..)| *told != way.0) {
            self.names.remove(&way.0);
        }
    }
}

/// What a source did, in words.
pub(crate) const fn fault_words(fault: SourceFault) -> &'static str {
    match fault {
        SourceFault::WrongBytes => "it sent bytes that are not the file's",
        SourceFault::OtherContent => "it has other content under this name than most",
        SourceFault::Gone(_) => "it doesn't serve it any more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::{Digest, FileError, FileInfo, RequestId, TransferState};

    const PEER: PeerId = PeerId([0xab; 32]);

    fn file() -> FileInfo {
        FileInfo { id: FileId([7; 32]), name: "f".into(), bytes: 100, sha256: Digest([8; 32]) }
    }

    fn progress(done_bytes: u64) -> Event {
        Event::FileProgress {
            file: file().id,
            direction: FileDirection::Incoming,
            peer: None,
            done_bytes,
            total_bytes: 100,
        }
    }

    fn json(story: &mut FileStory, event: Event) -> serde_json::Value {
        let line = story.line(&event, Instant::now(), Vec::new).unwrap();
        serde_json::to_value(&line).unwrap()
    }

    #[test]
    fn events_have_the_promised_names_and_keys() {
        let mut story = FileStory::default();
        let (peer, id) = ("ab".repeat(32), "07".repeat(32));
        let said = json(&mut story, Event::FileOffered { peer: PEER, file: file() });
        assert_eq!(
            said,
            serde_json::json!({"event": "file_offered", "id": id, "peer": peer, "name": "f", "bytes": 100})
        );
        let said = json(&mut story, progress(5));
        assert_eq!((&said["event"], &said["name"]), (&"file_progress".into(), &"f".into()));
        assert_eq!((&said["bytes"], &said["total"]), (&5.into(), &100.into()));
        let said = json(
            &mut story,
            Event::FileReceived {
                file: file(),
                name: "f (2)".into(),
                place: "/in/f (2)".into(),
                sha256: Digest([8; 32]),
                from: vec![PEER],
            },
        );
        assert_eq!(
            said,
            serde_json::json!({
                "event": "file_received", "id": id, "name": "f (2)", "bytes": 100,
                "sha256": "08".repeat(32), "root": id, "path": "/in/f (2)", "from": [peer],
            })
        );
        let said = json(&mut story, Event::FileSent { file: file(), peer: PEER });
        assert_eq!((&said["event"], &said["peer"]), (&"file_sent".into(), &peer.as_str().into()));
        let said = json(
            &mut story,
            Event::FileFailed {
                file: file(),
                direction: FileDirection::Outgoing,
                peer: Some(PEER),
                error: FileError::Changed,
            },
        );
        assert_eq!((&said["event"], &said["name"]), (&"file_failed".into(), &"f".into()));
        assert_eq!(said["reason"], "the file changed since it was offered");
        let (ticket, name) = (RequestId(1), "nothing".into());
        let error = FileError::NotFound;
        let said = json(&mut story, Event::FileNotOpened { ticket, name, error });
        assert_eq!((&said["event"], &said["name"]), (&"file_failed".into(), &"nothing".into()));
        assert!(story.names.is_empty() && story.told.is_empty(), "nothing is under way");
    }

    #[test]
    fn progress_is_told_twice_a_second_and_at_the_end() {
        let mut story = FileStory::default();
        let begun = Instant::now();
        let told: Vec<u64> = (0..=50)
            .filter(|step| {
                let now = begun + Duration::from_millis(40 * step);
                story.line(&progress(2 * step), now, Vec::new).is_some()
            })
            .collect();
        assert_eq!(told, [0, 13, 26, 39, 50]);
    }

    #[test]
    fn a_file_of_an_earlier_run_has_its_name() {
        let mut story = FileStory::default();
        let view = TransferView {
            file: file(),
            direction: FileDirection::Incoming,
            state: TransferState::Running,
            done_bytes: 0,
            peers: Vec::new(),
        };
        let line = story.line(&progress(1), Instant::now(), || vec![view]);
        assert!(matches!(&line, Some(Line::FileProgress { name, .. }) if name == "f"), "{line:?}");
    }
}
