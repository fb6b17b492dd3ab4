//! The kinds of tasks, and the one table that says for each what it takes by default.

use super::trust::{Requirement, Requirements};
use alloc::string::String;
use core::fmt::{self, Write as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a task is about.
#[doc(alias = "TaskType")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskKind {
    /// Block an identity or an assigned label, and end its channel.
    BlockAndRemovePeer,
    /// Block an address or a prefix, and end its channels.
    #[doc(alias = "BlockIP")]
    BlockIp,
    /// A message for whoever reads at the other end.
    SendMessage,
    /// Answer, so that the issuer knows you are there.
    PingPeer,
    /// End the channel to a peer.
    DisconnectPeer,
    /// Put a peer on the list of trusted ones.
    AuthorizePeer,
    /// Take a peer off that list.
    RevokePeerAuthorization,
    /// Answer with the entry of a key.
    RequestData,
    /// Take these entries into the data area.
    SendData,
    /// Compare a part of the data areas, and answer with what the issuer lacks.
    SynchronizeData,
    /// Change settings of the running node.
    UpdateSettings,
    /// Answer whether you issued a task with this hash.
    RequestVerifyHashRecord,
    /// Answer whether a signature is good.
    RequestVerifySignature,
    /// Answer with your public key.
    RequestPublicKey,
    /// Peers to begin with.
    BootstrapInitialization,
    /// A sign of life, answered with the tasks that wait for the issuer.
    Heartbeat,
    /// The tasks that waited, each in its own envelope.
    HeartbeatResponse,
    /// Take this label.
    SetLocalIdentifier,
    /// Know that an identity has this label; the one that has it takes it.
    AssignIdentifierToPeer,
    /// What became of an earlier task.
    Answer,
    /// A kind of the application's own, from [`APPLICATION`](Self::APPLICATION) on.
    Application(u16),
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: TaskKind,
    /// Its number on the wire.
    pub number: u16,
    /// Its name in files and on the command line.
    pub name: &'static str,
    /// Whether it may be addressed to every member of the network at once.
    pub to_all: bool,
    /// Who may have it done, unless the operator says otherwise.
    pub requirements: Requirements,
}

const fn row(
    kind: TaskKind,
    number: u16,
    name: &'static str,
    to_all: bool,
    requirements: Requirements,
) -> Row {
    Row { kind, number, name, to_all, requirements }
}

/// Every built-in kind, in order of its number. The last row stands for all kinds of applications.
pub const TABLE: [Row; 21] = {
    use Requirement::{AuthorityBootstrapServer, MustHaveSignedHash, TrustedPeer};
    const SIGNED: Requirements = Requirements::of(&[MustHaveSignedHash]);
    const TRUSTED: Requirements = Requirements::of(&[TrustedPeer, MustHaveSignedHash]);
    const AUTHORITY: Requirements =
        Requirements::of(&[AuthorityBootstrapServer, MustHaveSignedHash]);
    [
        row(TaskKind::BlockAndRemovePeer, 0, "block-and-remove-peer", true, AUTHORITY),
        row(TaskKind::BlockIp, 1, "block-ip", true, AUTHORITY),
        row(TaskKind::SendMessage, 2, "send-message", true, SIGNED),
        row(TaskKind::PingPeer, 3, "ping-peer", true, SIGNED),
        row(TaskKind::DisconnectPeer, 4, "disconnect-peer", true, AUTHORITY),
        row(TaskKind::AuthorizePeer, 5, "authorize-peer", true, AUTHORITY),
        row(TaskKind::RevokePeerAuthorization, 6, "revoke-peer-authorization", true, AUTHORITY),
        row(TaskKind::RequestData, 7, "request-data", false, TRUSTED),
        row(TaskKind::SendData, 8, "send-data", true, TRUSTED),
        row(TaskKind::SynchronizeData, 9, "synchronize-data", false, TRUSTED),
        row(TaskKind::UpdateSettings, 10, "update-settings", true, AUTHORITY),
        row(TaskKind::RequestVerifyHashRecord, 11, "request-verify-hash-record", false, TRUSTED),
        row(TaskKind::RequestVerifySignature, 12, "request-verify-signature", false, TRUSTED),
        row(TaskKind::RequestPublicKey, 13, "request-public-key", false, SIGNED),
        row(TaskKind::BootstrapInitialization, 14, "bootstrap-initialization", true, AUTHORITY),
        row(TaskKind::Heartbeat, 15, "heartbeat", false, SIGNED),
        row(TaskKind::HeartbeatResponse, 16, "heartbeat-response", false, SIGNED),
        row(TaskKind::SetLocalIdentifier, 17, "set-local-identifier", false, AUTHORITY),
        row(TaskKind::AssignIdentifierToPeer, 18, "assign-identifier-to-peer", true, AUTHORITY),
        row(TaskKind::Answer, 0x0100, "answer", false, SIGNED),
        row(TaskKind::Application(TaskKind::APPLICATION), 0x8000, "application", true, TRUSTED),
    ]
};

impl TaskKind {
    /// The first kind that belongs to applications; all above are theirs too.
    pub const APPLICATION: u16 = 0x8000;

    /// The kind with this number, if this version knows it.
    pub fn from_number(number: u16) -> Option<Self> {
        if number >= Self::APPLICATION {
            return Some(Self::Application(number));
        }
        TABLE.iter().find(|row| row.number == number).map(|row| row.kind)
    }

    /// Its row of the table; applications share the last one.
    pub fn row(self) -> &'static Row {
        let [rows @ .., last] = &TABLE;
        rows.iter().find(|row| row.kind == self).unwrap_or(last)
    }

    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::Application(number) => number.max(Self::APPLICATION),
            known => known.row().number,
        }
    }

    /// Whether this answers a task, and is judged by whether there is one to answer.
    pub const fn is_reply(self) -> bool {
        matches!(self, Self::Answer | Self::HeartbeatResponse)
    }

    /// Every built-in kind and one of an application's.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(number) => write!(f, "{number:#06x}"),
            known => f.write_str(known.row().name),
        }
    }
}

/// The text names no kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchKind;

impl fmt::Display for NoSuchKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a kind of task such as send-message, or 0x8000 to 0xffff")
    }
}

impl core::error::Error for NoSuchKind {}

impl core::str::FromStr for TaskKind {
    type Err = NoSuchKind;

    fn from_str(text: &str) -> Result<Self, NoSuchKind> {
        if let Some(digits) = text.strip_prefix("0x") {
            let number = u16::from_str_radix(digits, 16).map_err(|_| NoSuchKind)?;
            return (number >= Self::APPLICATION)
                .then_some(Self::Application(number))
                .ok_or(NoSuchKind);
        }
        let [rows @ .., _] = &TABLE;
        rows.iter().find(|row| row.name == text).map(|row| row.kind).ok_or(NoSuchKind)
    }
}

/// As its name for people, as its number for machines.
impl Serialize for TaskKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u16(self.number())
        }
    }
}

impl<'de> Deserialize<'de> for TaskKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            let number = u16::deserialize(deserializer)?;
            Self::from_number(number).ok_or_else(|| D::Error::custom(NoSuchKind))
        }
    }
}

/// The table as Markdown, as it stands in `docs/tasks.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "| Kind | Number | May be addressed to all | Takes by default |\n|---|---|---|---|\n",
    );
    for row in &TABLE {
        let to_all = if row.to_all { "yes" } else { "no" };
        let range = if matches!(row.kind, TaskKind::Application(_)) { " to 0xffff" } else { "" };
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "| `{}` | {:#06x}{range} | {to_all} | {} |",
            row.name, row.number, row.requirements
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::ToString as _;

    #[test]
    fn numbers_and_names_are_unique_and_read_back() {
        let numbers: BTreeSet<u16> = TABLE.iter().map(|row| row.number).collect();
        let names: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!((numbers.len(), names.len()), (TABLE.len(), TABLE.len()));
        for kind in TaskKind::all() {
            assert_eq!(TaskKind::from_number(kind.number()), Some(kind));
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("0x7fff".parse::<TaskKind>(), Err(NoSuchKind));
        assert_eq!("0xbeef".parse(), Ok(TaskKind::Application(0xbeef)));
        assert_eq!(TaskKind::from_number(19), None);
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let docs = include_str!("../../../docs/tasks.md");
        assert!(docs.contains(&markdown()), "put this into docs/tasks.md:\n{}", markdown());
    }
}
