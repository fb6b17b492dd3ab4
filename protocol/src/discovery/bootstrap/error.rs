//! Why a bootstrap server was of no use.

use super::{BadDelegation, BadReply, RefusalCode};
use crate::id::PublicKey;
use crate::trust::bootstrap_policy::BootstrapRefused;
use crate::wire::codec::Malformed;
use core::fmt;

/// Why a bootstrap server was of no use. The others go on, and this one is asked again.
///
/// ```
/// use p2pnet_protocol::Event;
/// use p2pnet_protocol::discovery::bootstrap::{BootstrapError, RefusalCode};
/// let is_blocked = |event: &Event| {
///     let blocked = BootstrapError::Refused(RefusalCode::Blocked, 0);
///     matches!(event, Event::BootstrapFailed { error, .. } if *error == blocked)
/// };
/// assert!(!is_blocked(&Event::ListsChanged));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootstrapError {
    /// It could not be reached, or said nothing that an HTTP client takes.
    NoAnswer,
    /// It answered with this HTTP status, and not in the protocol's words.
    Status(u16),
    /// It doesn't serve the request: why, and after how many seconds to come again, if it says so (0 if not).
    Refused(RefusalCode, u32),
    /// The answer is of another type than what was asked for.
    ContentType,
    /// What it said is of no use.
    Reply(BadReply),
    /// Another server answered than the one that was asked.
    OtherServer,
    /// The policy doesn't let the node use it.
    Policy(BootstrapRefused),
    /// It doesn't show the authority whose key was given in advance.
    NotTheGivenAuthority,
    /// It doesn't show the authority that was met there first: this one.
    NotThePinnedAuthority(PublicKey),
    /// The authority's key could not be kept, and is not used before it is.
    NotSaved,
}

impl BootstrapError {
    /// Whether trying again soon would be in vain.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Policy(_)
                | Self::NotTheGivenAuthority
                | Self::NotThePinnedAuthority(_)
                | Self::Refused(RefusalCode::Blocked | RefusalCode::OtherNetwork, _)
        )
    }
}

impl fmt::Display for BootstrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no usable answer came"),
            Self::Status(status) => write!(f, "it answered with HTTP status {status}"),
            Self::Refused(code, _) => code.fmt(f),
            Self::ContentType => {
                f.write_str("its answer is of another type: is it a bootstrap server?")
            }
            Self::Reply(bad) => bad.fmt(f),
            Self::OtherServer => f.write_str("another server answered in its place"),
            Self::Policy(refused) => refused.fmt(f),
            Self::NotTheGivenAuthority => {
                f.write_str("it doesn't show the authority whose key was given")
            }
            Self::NotThePinnedAuthority(first) => {
                write!(f, "it doesn't show the authority that was met there first, {first}")
            }
            Self::NotSaved => f.write_str("the authority's key could not be kept"),
        }
    }
}

impl core::error::Error for BootstrapError {}

impl From<BadReply> for BootstrapError {
    fn from(bad: BadReply) -> Self {
        Self::Reply(bad)
    }
}

impl From<Malformed> for BootstrapError {
    fn from(_: Malformed) -> Self {
        Self::Reply(BadReply::Malformed)
    }
}

impl From<BadDelegation> for BootstrapError {
    fn from(bad: BadDelegation) -> Self {
        Self::Reply(BadReply::Delegation(bad))
    }
}

impl From<BootstrapRefused> for BootstrapError {
    fn from(refused: BootstrapRefused) -> Self {
        Self::Policy(refused)
    }
}
