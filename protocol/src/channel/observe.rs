//! What an onlooker reads of a channel: the clear parts of its handshake, the lengths of its records, and, with the keys
//! of a [key log](crate::key_log), every frame.
//!
//! | From | Read |
//! |---|---|
//! | the initiator's stream | [`MAGIC`], then messages 1 and 3 ([`message_length`]), then records |
//! | the responder's stream | message 2 or a refusal ([`refusal`]), then records |
//! | message 1 | the [`Offer`] |
//! | all three messages | the [`transcript`], which finds the keys in a key log |
//! | a record ([`record_length`]) | with a [`RecordOpener`] its plaintext, and from that each [`Frame`] |
//!
//! Nothing here changes or checks what the two sides do.

use super::ciphers::Ciphers;
use super::record::Half;
use super::{handshake, noise};
use crate::crypto::{BadTag, Crypto};
use crate::id::NetworkName;
use crate::io::Direction;
use crate::key_log::ChannelKeys;

pub use super::frame::{
    CREDIT, FIRST, Frame, NEXT, OPEN, Open, PING, PONG, SKIPPABLE, lane_of, parse_credit,
    parse_first, parse_ping,
};
pub use super::handshake::{MAGIC, MESSAGE_BYTES_MAX, Offer, message_length, refusal};
pub use super::record::{
    HEADER_BYTES, PLAIN_BYTES_MAX, RECORD_BYTES_MAX, TAG_BYTES, record_length,
};

/// The payload of a handshake's first message: what follows the ephemeral key.
pub fn payload_1(message: &[u8]) -> Option<&[u8]> {
    message.get(noise::OVERHEAD_1_BYTES..)
}

/// The final hash of a handshake of this network, from its three messages; `None` if one of them is too short.
pub fn transcript(network: &NetworkName, messages: [&[u8]; 3]) -> Option<[u8; 32]> {
    noise::transcript(&handshake::prologue(network), messages)
}

/// Opens the records of one direction, one after another.
pub struct RecordOpener<C: Crypto> {
    half: Half,
    ciphers: Ciphers<C>,
}

impl<C: Crypto> RecordOpener<C> {
    /// For what the initiator sends ([`Direction::Outgoing`]) or the responder.
    pub fn new(keys: &ChannelKeys, direction: Direction) -> Self {
        let key = match direction {
            Direction::Outgoing => &keys.initiator_key,
            Direction::Incoming => &keys.responder_key,
        };
        Self { half: Half::from_key(keys.aead, key), ciphers: Ciphers::new() }
    }

    /// Decrypts a record's body (what follows its length) in place and gives its plaintext.
    ///
    /// # Errors
    /// [`BadTag`] if it isn't the next record of this direction; it is still waited for then.
    pub fn open<'a>(&mut self, crypto: &C, body: &'a mut [u8]) -> Result<&'a [u8], BadTag> {
        self.half.open(crypto, &mut self.ciphers, body).map(|plain| &*plain)
    }
}
