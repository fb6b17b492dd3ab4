//! A trust handshake of the application's own: both sides show a card, signed with a badge key that has nothing to do
//! with the node's identity, and trust whom they have on file.
//!
//! ```text
//! dialler                        listener
//!    │ ── card ──────────────────▶ │  checks it, trusts the dialler for now
//!    │ ◀────────────────── card ── │
//!    │  checks it, trusts          │
//!    │ ── welcome ───────────────▶ │  confirms
//! ```

use p2pnet_protocol::trust::handshake::{PeerTrustHandshake, Step, TrustSession};
use p2pnet_protocol::{Crypto, Direction, PublicKey, Signature, Trust};
use std::sync::Arc;
use std::time::Duration;

const WELCOME: &[u8] = b"welcome";

/// What one node needs for every handshake: its badge, and the badges it accepts.
pub(crate) struct Desk<C: Crypto> {
    pub(crate) crypto: C,
    pub(crate) badge: C::SigningKey,
    pub(crate) on_file: Vec<PublicKey>,
}

/// The handshake with one peer.
pub(crate) struct SignedCard<C: Crypto> {
    desk: Arc<Desk<C>>,
    session: TrustSession,
    accepted: bool,
}

impl<C: Crypto> SignedCard<C> {
    pub(crate) fn new(desk: Arc<Desk<C>>, session: &TrustSession) -> Self {
        Self { desk, session: *session, accepted: false }
    }

    /// A card is the badge's key and its signature.
    fn card(&self) -> Vec<u8> {
        let Desk { crypto, badge, .. } = &*self.desk;
        let message = self.signed(self.session.direction);
        [&crypto.public_key(badge).0[..], &crypto.sign(badge, &message).0].concat()
    }

    fn accepts(&self, card: &[u8]) -> bool {
        let Some((key, signature)) = card.split_first_chunk() else { return false };
        let Ok(signature) = signature.try_into() else { return false };
        let theirs = match self.session.direction {
            Direction::Outgoing => Direction::Incoming,
            Direction::Incoming => Direction::Outgoing,
        };
        let key = PublicKey(*key);
        self.desk.on_file.contains(&key)
            && self.desk.crypto.verify(&key, &self.signed(theirs), &Signature(signature))
    }

    /// What a badge signs: a label of this protocol alone, the signer's side, so that a card can't be sent back, and
    /// the channel's transcript, so that it counts in this one channel.
    fn signed(&self, side: Direction) -> Vec<u8> {
        let side = match side {
            Direction::Outgoing => b"dialler ",
            Direction::Incoming => b"listener",
        };
        [b"example.org card v1 ", &side[..], &self.session.transcript].concat()
    }
}

impl<C> PeerTrustHandshake for SignedCard<C>
where
    C: Crypto + Send + Sync,
    C::SigningKey: Send + Sync,
{
    fn on_start(&mut self) -> Vec<Step> {
        let patience = Step::Wait(Duration::from_secs(5));
        match self.session.direction {
            Direction::Outgoing => vec![Step::Send(self.card().into()), patience],
            Direction::Incoming => vec![patience],
        }
    }

    fn on_message(&mut self, message: &[u8]) -> Vec<Step> {
        match (self.session.direction, self.accepted) {
            (Direction::Incoming, true) if message == WELCOME => {
                vec![Step::Confirm(Trust::Trusted)]
            }
            (_, false) if self.accepts(message) => {
                self.accepted = true;
                match self.session.direction {
                    Direction::Outgoing => {
                        vec![Step::Send(WELCOME.into()), Step::Confirm(Trust::Trusted)]
                    }
                    Direction::Incoming => vec![
                        Step::Raise(Trust::Trusted),
                        Step::Send(self.card().into()),
                        Step::Wait(Duration::from_secs(5)),
                    ],
                }
            }
            _ => vec![Step::Refuse],
        }
    }
}
