//! The keys of a channel, for whoever wants to look at the node's own traffic: as a value, and as a line of a key log
//! (`docs/inspect.md`, "The key log").
//!
//! A node hands them out only when [`Config::key_log`](crate::Config::key_log) is set. Whoever has them reads all that
//! the channel said and will say.

use crate::channel::open::Established;
use crate::crypto::Aead;
use crate::id::{Hex, NetworkName, NotHex, PeerId, parse_hex};
use crate::io::Direction;
use alloc::format;
use alloc::string::String;
use core::fmt;
use zeroize::Zeroizing;

/// What a line of a key log begins with.
pub const LABEL: &str = "p2pnet-channel-keys-v1";
/// No line is longer, its end included.
pub const LINE_BYTES_MAX: usize = 512;

/// The two keys of a channel, and what tells the channel apart.
///
/// `Debug` leaves the keys out, so that no log holds them by accident; only [`to_line`](Self::to_line) writes them.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelKeys {
    /// The network that the channel belongs to.
    pub network: NetworkName,
    /// The final hash of the handshake: whoever saw the handshake and knows the network's name can compute it
    /// ([`observe::transcript`](crate::channel::observe::transcript)).
    pub transcript: [u8; 32],
    /// The cipher of the records.
    pub aead: Aead,
    /// Who opened the stream.
    pub initiator: PeerId,
    /// Who answered.
    pub responder: PeerId,
    /// The first key of what the initiator sends (`docs/wire.md`, Records 1).
    pub initiator_key: Zeroizing<[u8; 32]>,
    /// The first key of what the responder sends.
    pub responder_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for ChannelKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelKeys")
            .field("initiator", &self.initiator)
            .field("responder", &self.responder)
            .finish_non_exhaustive()
    }
}

/// Why a line is none of a key log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKeyLine {
    /// It begins with something else.
    Label,
    /// A field is missing, or too long or too short, or not in hex.
    Field(&'static str),
}

impl fmt::Display for BadKeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label => write!(f, "expected a line that begins with {LABEL}"),
            Self::Field(field) => write!(f, "no usable {field}"),
        }
    }
}

impl core::error::Error for BadKeyLine {}

const fn name_of(aead: Aead) -> &'static str {
    match aead {
        Aead::Aes256Gcm => "aes-256-gcm",
        Aead::ChaCha20Poly1305 => "chacha20-poly1305",
    }
}

impl ChannelKeys {
    /// Those of a channel that begins, as `me` has it.
    pub(crate) fn of(
        channel: &Established,
        me: PeerId,
        network: &NetworkName,
        direction: Direction,
    ) -> Self {
        let (ours, theirs) = ((me, &channel.seal), (channel.peer, &channel.open));
        let (initiator, responder) = match direction {
            Direction::Outgoing => (ours, theirs),
            Direction::Incoming => (theirs, ours),
        };
        Self {
            network: network.clone(),
            transcript: channel.transcript,
            aead: channel.seal.aead(),
            initiator: initiator.0,
            responder: responder.0,
            initiator_key: initiator.1.key().clone(),
            responder_key: responder.1.key().clone(),
        }
    }

    /// The line of a key log that holds them, without its end.
    pub fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{LABEL} {} {} {} {} {} {} {}",
            Hex(self.transcript),
            name_of(self.aead),
            self.initiator,
            self.responder,
            Hex(*self.initiator_key),
            Hex(*self.responder_key),
            self.network,
        ))
    }

    /// Reads what [`to_line`](Self::to_line) wrote.
    ///
    /// # Errors
    /// [`BadKeyLine`] says what is wrong with it.
    pub fn from_line(line: &str) -> Result<Self, BadKeyLine> {
        let mut fields = line.splitn(8, ' ');
        if fields.next() != Some(LABEL) {
            return Err(BadKeyLine::Label);
        }
        let mut field = |name| fields.next().ok_or(BadKeyLine::Field(name));
        let hex = |text: &str, name| {
            parse_hex(text).map_err(|_: NotHex| BadKeyLine::Field(name)).map(Zeroizing::new)
        };
        Ok(Self {
            transcript: *hex(field("transcript")?, "transcript")?,
            aead: match field("cipher")? {
                "aes-256-gcm" => Aead::Aes256Gcm,
                "chacha20-poly1305" => Aead::ChaCha20Poly1305,
                _ => return Err(BadKeyLine::Field("cipher")),
            },
            initiator: PeerId(*hex(field("initiator")?, "initiator")?),
            responder: PeerId(*hex(field("responder")?, "responder")?),
            initiator_key: hex(field("initiator's key")?, "initiator's key")?,
            responder_key: hex(field("responder's key")?, "responder's key")?,
            network: NetworkName::new(field("network")?)
                .map_err(|_| BadKeyLine::Field("network"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(aead: Aead, network: &str) -> ChannelKeys {
        ChannelKeys {
            network: NetworkName::new(network).unwrap(),
            transcript: [0xaa; 32],
            aead,
            initiator: PeerId([1; 32]),
            responder: PeerId([2; 32]),
            initiator_key: Zeroizing::new([0xb1; 32]),
            responder_key: Zeroizing::new([0xc2; 32]),
        }
    }

    #[test]
    fn the_line_is_pinned_and_reads_back() {
        let all = keys(Aead::Aes256Gcm, "the office");
        let line = all.to_line();
        let hex = |byte: &str| byte.repeat(32);
        let pinned = [
            LABEL,
            &hex("aa"),
            "aes-256-gcm",
            &hex("01"),
            &hex("02"),
            &hex("b1"),
            &hex("c2"),
            "the office",
        ];
        assert_eq!(*line, pinned.join(" "));
        assert_eq!(ChannelKeys::from_line(&line), Ok(all));
        let other = keys(Aead::ChaCha20Poly1305, "x");
        assert_eq!(ChannelKeys::from_line(&other.to_line()), Ok(other));
        let longest = keys(Aead::ChaCha20Poly1305, &"n".repeat(NetworkName::BYTES_MAX));
        assert!(longest.to_line().len() < LINE_BYTES_MAX);
    }

    #[test]
    fn debug_tells_no_key() {
        let shown = format!("{:?}", keys(Aead::Aes256Gcm, "default"));
        assert!(shown.contains("initiator: PeerId(0101"), "{shown}");
        for secret in ["b1b1", "c2c2", "177, 177", "194, 194"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let line = keys(Aead::Aes256Gcm, "default").to_line();
        let fields: alloc::vec::Vec<&str> = line.split(' ').collect();
        assert_eq!(ChannelKeys::from_line(""), Err(BadKeyLine::Label));
        assert_eq!(ChannelKeys::from_line("CLIENT_RANDOM 00 00"), Err(BadKeyLine::Label));
        let problem = |count: usize| ChannelKeys::from_line(&fields[..count].join(" "));
        assert_eq!(problem(1), Err(BadKeyLine::Field("transcript")));
        assert_eq!(problem(6), Err(BadKeyLine::Field("responder's key")));
        assert_eq!(problem(7), Err(BadKeyLine::Field("network")));
        for at in [1, 2, 3, 4, 5, 6] {
            let mut bad = fields.clone();
            bad[at] = "00";
            assert!(ChannelKeys::from_line(&bad.join(" ")).is_err(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(text in "\\PC*", cut in 0usize..500) {
            let whole = keys(Aead::Aes256Gcm, "default").to_line();
            let cut = &whole[..cut.min(whole.len())];
            for line in [text.clone(), format!("{LABEL} {text}"), format!("{cut}{text}")] {
                if let Ok(read) = ChannelKeys::from_line(&line) {
                    prop_assert_eq!(read.to_line().to_lowercase(), line.to_lowercase());
                }
            }
        }
    }
}
