//! The keys that nodes wrote down (`p2pnet up --keylog FILE`).

use p2pnet_protocol::key_log::{BadKeyLine, LINE_BYTES_MAX};
use p2pnet_protocol::{ChannelKeys, NetworkName};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};

/// The most channels whose keys are kept.
const CHANNELS_MAX: usize = 100_000;

/// Keys of channels, found by what an onlooker sees of their handshakes. `Debug` tells how many, and no key.
#[derive(Clone, Default)]
pub struct KeyLog {
    by_transcript: BTreeMap<[u8; 32], ChannelKeys>,
    networks: BTreeMap<[u8; 8], NetworkName>,
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog").field("channels", &self.len()).finish_non_exhaustive()
    }
}

/// Why a file is no key log.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyLogError {
    /// It could not be read.
    Io(io::Error),
    /// A line makes no sense.
    Line {
        /// Its number, from 1 on.
        number: u64,
        /// What is wrong with it.
        problem: BadKeyLine,
    },
    /// It has more lines than are kept.
    TooMany,
}

impl fmt::Display for KeyLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Line { number, problem } => write!(f, "line {number}: {problem}"),
            Self::TooMany => write!(f, "it holds the keys of more than {CHANNELS_MAX} channels"),
        }
    }
}

impl std::error::Error for KeyLogError {}

impl KeyLog {
    /// Reads a key log. Empty lines and those that begin with `#` are skipped; both sides of a channel may have written
    /// its keys.
    ///
    /// # Errors
    /// [`KeyLogError`] if it can't be read or isn't a key log.
    pub fn read(from: impl BufRead) -> Result<Self, KeyLogError> {
        let mut log = Self::default();
        log.read_more(from)?;
        Ok(log)
    }

    /// Reads another key log to this one.
    ///
    /// # Errors
    /// As [`read`](Self::read). What came before stays.
    pub fn read_more(&mut self, mut from: impl BufRead) -> Result<(), KeyLogError> {
        let mut line = Vec::new();
        let mut number = 0u64;
        loop {
            line.clear();
            number = number.saturating_add(1);
            let bounded = from.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line);
            if bounded.map_err(KeyLogError::Io)? == 0 {
                return Ok(());
            }
            // A line that isn't text has no label either.
            let text = std::str::from_utf8(&line).unwrap_or_default();
            let text = text.strip_suffix('\n').unwrap_or(text);
            if text.starts_with('#') || (text.is_empty() && line == b"\n") {
                continue;
            }
            let keys = ChannelKeys::from_line(text);
            self.add(keys.map_err(|problem| KeyLogError::Line { number, problem })?)?;
        }
    }

    /// Adds the keys of a channel.
    ///
    /// # Errors
    /// [`KeyLogError::TooMany`] if there is no room for them.
    pub fn add(&mut self, keys: ChannelKeys) -> Result<(), KeyLogError> {
        if self.by_transcript.len() >= CHANNELS_MAX {
            return Err(KeyLogError::TooMany);
        }
        self.networks.insert(keys.network.tag(), keys.network.clone());
        self.by_transcript.insert(keys.transcript, keys);
        Ok(())
    }

    /// Of how many channels it has the keys.
    pub fn len(&self) -> usize {
        self.by_transcript.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.by_transcript.is_empty()
    }

    /// The network with this tag, if a key belongs to it or it is the default one.
    pub fn network(&self, tag: &[u8; 8]) -> Option<NetworkName> {
        let default = || Some(NetworkName::default()).filter(|network| network.tag() == *tag);
        self.networks.get(tag).cloned().or_else(default)
    }

    /// The keys of the channel whose handshake ended with this hash.
    pub fn keys(&self, transcript: &[u8; 32]) -> Option<&ChannelKeys> {
        self.by_transcript.get(transcript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::PeerId;
    use p2pnet_protocol::crypto::Aead;
    use zeroize::Zeroizing;

    fn keys(byte: u8, network: &str) -> ChannelKeys {
        ChannelKeys {
            network: NetworkName::new(network).unwrap(),
            transcript: [byte; 32],
            aead: Aead::Aes256Gcm,
            initiator: PeerId([1; 32]),
            responder: PeerId([2; 32]),
            initiator_key: Zeroizing::new([0x33; 32]),
            responder_key: Zeroizing::new([0x44; 32]),
        }
    }

    #[test]
    fn keys_are_found_by_their_transcript() {
        let (one, two) = (keys(1, "office"), keys(2, "default"));
        let text =
            format!("# a comment\n\n{}\n{}\n{}", *one.to_line(), *two.to_line(), *one.to_line());
        let log = KeyLog::read(text.as_bytes()).unwrap();
        assert_eq!(log.len(), 2);
        assert_eq!(log.keys(&[1; 32]), Some(&one));
        assert_eq!(log.keys(&[3; 32]), None);
        assert_eq!(log.network(&one.network.tag()), Some(one.network));
        assert_eq!(log.network(&[0; 8]), None);
        let shown = format!("{log:?}");
        assert!(!shown.contains("51, 51") && !shown.contains("3333"), "{shown}");
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        let refused = |text: &[u8]| KeyLog::read(text).unwrap_err().to_string();
        assert!(refused(b"\n# x\nCLIENT_RANDOM 00").starts_with("line 3: expected"));
        assert!(refused(b"p2pnet-channel-keys-v1 00").contains("transcript"));
        assert!(refused(&[0xff; 100]).starts_with("line 1"));
        assert!(refused(&[b'x'; 100_000]).starts_with("line 1"), "a line without end");
        assert!(KeyLog::read(&b""[..]).unwrap().is_empty());
        let default = NetworkName::default();
        assert_eq!(KeyLog::default().network(&default.tag()), Some(default));
    }
}
