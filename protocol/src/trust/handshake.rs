//! Trust handshakes of the application's own: what has to happen between two authenticated peers before they trust each
//! other.
//!
//! A handshake is a small state machine. It is told what happened and answers with [`Step`]s; it touches no socket and
//! no clock, so a test drives it by calling it. One is made for each channel while
//! [`application_handshake`](crate::trust::policy::IncomingPeerTrustPolicy::application_handshake) is on, on both sides,
//! and [`Handlers`](crate::handlers::Handlers) runs it. Its messages travel as
//! [`TrustStepPacket`](crate::TrustStepPacket)s, encrypted, in order, and only while it runs. It must end within
//! [`Timing::trust_timeout`](crate::Timing::trust_timeout), or the channel ends.
//!
//! `examples/signed_card.rs` is a whole one that exchanges signed messages before it raises trust.

use crate::config::Trust;
use crate::id::{ConnId, PeerId};
use crate::io::Direction;
use crate::time::Duration;
use alloc::{vec, vec::Vec};
use bytes::Bytes;

/// A trust handshake with one peer. Made anew for each channel.
///
/// ```
/// use p2pnet_protocol::Trust;
/// use p2pnet_protocol::trust::handshake::{PeerTrustHandshake, Step};
///
/// /// Trusts whoever answers the question of the house. (A shared word is no secret: sign something instead.)
/// struct Riddle;
///
/// impl PeerTrustHandshake for Riddle {
///     fn on_start(&mut self) -> Vec<Step> {
///         vec![Step::Send("mellon".into())]
///     }
///     fn on_message(&mut self, message: &[u8]) -> Vec<Step> {
///         if message == b"mellon" { vec![Step::Confirm(Trust::Trusted)] } else { vec![Step::Refuse] }
///     }
/// }
/// ```
#[doc(alias = "DefaultTrustProtocol")]
pub trait PeerTrustHandshake: Send {
    /// The channel is ready.
    fn on_start(&mut self) -> Vec<Step>;

    /// The peer's handshake wrote this. It is what a peer says: nothing about it is true unless it is proved here.
    fn on_message(&mut self, message: &[u8]) -> Vec<Step>;

    /// The time given with [`Step::Wait`] is over, and no message came.
    fn on_timeout(&mut self) -> Vec<Step> {
        vec![Step::Refuse]
    }
}

/// What a handshake wants next. Steps are taken in order; what follows [`Confirm`](Self::Confirm) or
/// [`Refuse`](Self::Refuse) is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this to the peer's handshake.
    Send(Bytes),
    /// Trust the peer so far for now; the handshake goes on.
    Raise(Trust),
    /// Call [`on_timeout`](PeerTrustHandshake::on_timeout) after this long, unless a message comes first. It replaces
    /// an earlier wait.
    Wait(Duration),
    /// The handshake is over, and the peer is trusted so far.
    Confirm(Trust),
    /// The handshake has failed: the peer is demoted and its channel ends.
    Refuse,
}

/// What a handshake may want to know of its channel when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustSession {
    /// Who the peer is: proved.
    pub peer: PeerId,
    /// The channel.
    pub conn: ConnId,
    /// A digest that both sides of this one channel share and no other channel has. What is signed should hold it, so
    /// that nobody can use the signature elsewhere.
    pub transcript: [u8; 32],
    /// Which side of the channel this node is. What is signed should hold it too, so that it can't be sent back.
    pub direction: Direction,
}
