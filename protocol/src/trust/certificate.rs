//! Certificates of membership, issued by a network's authority.

use crate::id::{PeerId, PublicKey, Signature};
use crate::time::UnixTime;

/// The authority's word that an identity is a member for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The network's tag ([`NetworkName::tag`](crate::NetworkName::tag)).
    pub network: [u8; 8],
    /// Who the member is.
    pub peer: PeerId,
    /// The authority's key.
    pub authority: PublicKey,
    /// Not valid before.
    pub not_before: UnixTime,
    /// Not valid from then on.
    pub not_after: UnixTime,
    /// The authority's signature over all of the above.
    pub signature: Signature,
}
