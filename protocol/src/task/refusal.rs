//! Why a task was turned away. Nothing of it was done.

use super::trust::Requirement;
use crate::time::UnixTime;
use crate::wire::Malformed;
use core::fmt;

/// Why a task was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskRefusal {
    /// The bytes are no task.
    Malformed(Malformed),
    /// It is for another network.
    OtherNetwork,
    /// It is addressed to another peer.
    OtherAudience,
    /// A kind that must be addressed to one peer is addressed to all.
    AudienceTooWide,
    /// The issuer didn't sign it.
    BadSignature,
    /// This node doesn't know the time, so it can't tell whether the task is in time.
    NoWallTime,
    /// It may not be done yet.
    Early {
        /// From when on it may.
        from: UnixTime,
    },
    /// It may not be done any more.
    Stale {
        /// Since when.
        since: UnixTime,
    },
    /// It was seen before, or is older than what the window remembers of its issuer.
    Replayed,
    /// The issuer answers a task that nobody here asked it, or asked long ago.
    NothingAsked,
    /// This version knows no such kind.
    UnknownKind(u16),
    /// The kind is ignored here.
    Ignored,
    /// The kind takes this, and the task doesn't have it.
    NotAllowed(Requirement),
    /// So many issuers are remembered that one more would let a replay in.
    TooManyIssuers,
    /// So many tasks are under way that this one found no place.
    QueueFull,
    /// That it was seen could not be saved, so after a restart it might be done twice.
    NotSaved,
}

impl TaskRefusal {
    /// Whether the issuer may be told. Not if the bytes may be somebody else's, or were answered before.
    pub const fn is_told(&self) -> bool {
        !matches!(
            self,
            Self::Malformed(_)
                | Self::OtherNetwork
                | Self::OtherAudience
                | Self::BadSignature
                | Self::Replayed
                | Self::NothingAsked
        )
    }

    /// The number that stands for it in an answer; 0 for what is not told.
    pub const fn code(&self) -> u8 {
        match self {
            Self::AudienceTooWide => 1,
            Self::NoWallTime => 2,
            Self::Early { .. } => 3,
            Self::Stale { .. } => 4,
            Self::UnknownKind(_) => 5,
            Self::Ignored => 6,
            Self::NotAllowed(_) => 7,
            Self::TooManyIssuers => 8,
            Self::QueueFull => 9,
            Self::NotSaved => 10,
            _ => 0,
        }
    }

    /// What a [`code`](Self::code) in an answer says.
    pub const fn describe(code: u8) -> &'static str {
        match code {
            1 => "this kind of task must be addressed to one peer",
            2 => "the peer's clock is not set",
            3 => "it is too early",
            4 => "it is too late",
            5 => "the peer knows no such kind of task",
            6 => "the peer ignores this kind of task",
            7 => "the peer does not let this issuer have this done",
            8 => "the peer remembers as many issuers as it can",
            9 => "the peer has too many tasks under way",
            10 => "the peer could not save that it saw the task",
            _ => "refused",
        }
    }
}

impl fmt::Display for TaskRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::OtherNetwork => f.write_str("the task is for another network"),
            Self::OtherAudience => f.write_str("the task is for another peer"),
            Self::AudienceTooWide => f.write_str("this kind of task must be addressed to one peer"),
            Self::BadSignature => f.write_str("the issuer did not sign the task"),
            Self::NoWallTime => {
                f.write_str("this host's clock is not set, so no task can be checked")
            }
            Self::Early { from } => {
                write!(f, "the task may be done only from {} s since 1970 on", from.0)
            }
            Self::Stale { since } => write!(f, "the task is out of time since {} s", since.0),
            Self::Replayed => f.write_str("the task was seen before, or is older than that"),
            Self::NothingAsked => f.write_str("the answer belongs to nothing that was asked"),
            Self::UnknownKind(number) => write!(f, "there is no kind of task {number:#06x}"),
            Self::Ignored => f.write_str("this kind of task is ignored"),
            Self::NotAllowed(unmet) => write!(f, "this kind of task takes {}", unmet.name()),
            Self::TooManyIssuers => f.write_str("the limit limits.task_issuers_max is reached"),
            Self::QueueFull => f.write_str("the limit limits.tasks_max is reached"),
            Self::NotSaved => f.write_str("that the task was seen could not be saved"),
        }
    }
}

impl core::error::Error for TaskRefusal {}
