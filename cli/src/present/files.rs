//! What people are told about files.

use crate::story::Line;
use crate::text::{Palette, clean, size};
use p2pnet_protocol::{FileDirection, FileId, PeerId};
use std::collections::BTreeMap;

/// Smaller files are there before anybody reads how far they are.
const PROGRESS_BYTES_MIN: u64 = 16 << 20;
/// Transfers whose quarters are remembered.
const TOLD_MAX: usize = 4_096;

/// The lines about files; quarters of large ones are told once each.
#[derive(Default)]
pub(super) struct FileLines {
    quarters: BTreeMap<(FileId, Option<PeerId>), u64>,
}

impl FileLines {
    /// The text for a line about files; `None` if it isn't worth a person's attention, or isn't about files.
    pub(super) fn show(&mut self, line: &Line, palette: Palette) -> Option<String> {
        let name_of = |peer: &PeerId| palette.name(&peer.short().to_string());
        Some(match line {
            Line::FileOffered { id, peer, name, bytes } => {
                let (who, id) = (name_of(peer), id.short());
                format!(
                    "{who} offers \"{}\" ({}): p2pnet files accept {id}, or refuse {id}",
                    clean(name),
                    size(*bytes)
                )
            }
            Line::FileOpened { name, bytes, direction, peers, .. } => {
                let (doing, way) = match direction {
                    FileDirection::Outgoing => ("offering", "to"),
                    FileDirection::Incoming => ("getting", "from"),
                };
                let peers = names(peers, palette);
                format!("{doing} \"{}\" ({}) {way} {peers}", clean(name), size(*bytes))
            }
            Line::FileProgress { id, name, bytes, total, direction, peer } => {
                let quarter = self.new_quarter((*id, *peer), *bytes, *total)?;
                let doing = match (direction, peer) {
                    (FileDirection::Outgoing, Some(peer)) => format!("to {}", peer.short()),
                    _ => "here".into(),
                };
                palette.faint(&format!(
                    "{} % of \"{}\" ({}) {doing}",
                    25 * quarter,
                    clean(name),
                    size(*total)
                ))
            }
            Line::FileReceived { id, name, bytes, path, from, .. } => {
                self.quarters.remove(&(*id, None));
                let (what, from) = (palette.good("received"), names(from, palette));
                let at = if path == name { String::new() } else { format!(": {}", clean(path)) };
                format!("{what} \"{}\" ({}) from {from}{at}", clean(name), size(*bytes))
            }
            Line::FileSent { id, peer, name, bytes } => {
                self.quarters.remove(&(*id, Some(*peer)));
                format!("{} has \"{}\" ({})", name_of(peer), clean(name), size(*bytes))
            }
            Line::FileSourceDropped { peer, name, reason, .. } => format!(
                "{} is no source of \"{}\" any more: {}",
                name_of(peer),
                clean(name),
                clean(reason)
            ),
            Line::FileFailed { id, name, reason, direction, peer } => {
                if let Some(id) = id {
                    self.quarters
                        .retain(|(told, to), _| told != id || (peer.is_some() && to != peer));
                }
                let what = match (direction, peer) {
                    (Some(FileDirection::Incoming), _) => "did not come".into(),
                    (_, Some(peer)) => format!("did not get to {}", peer.short()),
                    (Some(FileDirection::Outgoing), None) => "is not offered any more".into(),
                    (None, None) => "can't be had".into(),
                };
                format!("{} \"{}\" {what}: {}", palette.bad("note:"), clean(name), clean(reason))
            }
            _ => return None,
        })
    }

    /// The quarter of a large file that was just reached, the first to the third.
    fn new_quarter(
        &mut self,
        way: (FileId, Option<PeerId>),
        bytes: u64,
        total: u64,
    ) -> Option<u64> {
        if total < PROGRESS_BYTES_MIN {
            return None;
        }
        let quarter = bytes / (total / 4).max(1);
        let before = self.quarters.get(&way).copied().unwrap_or(0);
        if self.quarters.len() >= TOLD_MAX {
            self.quarters.clear();
        }
        self.quarters.insert(way, quarter.max(before));
        (quarter > before && quarter < 4).then_some(quarter)
    }
}

/// Some peers' names, and how many more there are.
fn names(peers: &[PeerId], palette: Palette) -> String {
    const SHOWN_MAX: usize = 4;
    let shown = peers.iter().take(SHOWN_MAX).map(|peer| palette.name(&peer.short().to_string()));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = peers.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::Digest;

    const PEER: PeerId = PeerId([0xab; 32]);
    const ID: FileId = FileId([0xcd; 32]);

    fn show(line: &Line) -> String {
        FileLines::default().show(line, Palette::PLAIN).unwrap()
    }

    #[test]
    fn an_offer_says_how_to_answer_it_and_can_not_command_the_terminal() {
        let offered =
            Line::FileOffered { id: ID, peer: PEER, name: "a\u{1b}[2J\n".into(), bytes: 20_000 };
        assert_eq!(
            show(&offered),
            "abababab offers \"a\\u{1b}[2J\\n\" (19 KiB): p2pnet files accept cdcdcdcd, or refuse cdcdcdcd"
        );
    }

    #[test]
    fn quarters_of_large_files_are_told_once() {
        let mut lines = FileLines::default();
        let mut at = |bytes, total| {
            let direction = FileDirection::Incoming;
            let name = String::from("f");
            lines.show(
                &Line::FileProgress { id: ID, name, bytes, total, direction, peer: None },
                Palette::PLAIN,
            )
        };
        let large = 100 << 20;
        let told: Vec<String> = (0..=20).filter_map(|step| at(large / 20 * step, large)).collect();
        assert_eq!(
            told,
            [
                "25 % of \"f\" (100 MiB) here",
                "50 % of \"f\" (100 MiB) here",
                "75 % of \"f\" (100 MiB) here"
            ]
        );
        assert_eq!(at(500, 1_000), None);
    }

    #[test]
    fn ends_are_told_with_place_and_reason() {
        let received = Line::FileReceived {
            id: ID,
            name: "f (2)".into(),
            bytes: 5,
            sha256: Digest([1; 32]),
            root: ID,
            path: "/in/f (2)".into(),
            from: vec![PEER; 6],
        };
        assert_eq!(
            show(&received),
            "received \"f (2)\" (5 B) from abababab, abababab, abababab, abababab and 2 more: /in/f (2)"
        );
        let failed = Line::FileFailed {
            id: Some(ID),
            name: "f".into(),
            reason: "it broke".into(),
            direction: Some(FileDirection::Outgoing),
            peer: Some(PEER),
        };
        assert_eq!(show(&failed), "note: \"f\" did not get to abababab: it broke");
    }
}
