//! Names of things: peers, keys, networks, connections.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// An Ed25519 public key (RFC 8032): who a peer is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// The name of a peer: the SHA-256 digest of its [`PublicKey`], written as 64 lower-case hex digits.
///
/// ```
/// use p2pnet_protocol::{PeerId, PublicKey};
/// let id = PeerId::of(&PublicKey([7; 32]));
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(id.short().to_string().len(), 8);
/// ```
#[doc(alias = "Identifier")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

/// The name of a network task: drawn at random by its issuer, who correlates answers by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub [u8; 16]);

impl PeerId {
    /// The id of the holder of `key`.
    pub fn of(key: &PublicKey) -> Self {
        Self(Sha256::digest(key.0).into())
    }

    /// The first 8 hex digits, enough for people to tell the peers of one network apart.
    pub fn short(&self) -> impl fmt::Display {
        let [a, b, c, d, ..] = self.0;
        Hex([a, b, c, d])
    }

    /// Whether the id's hex form begins with `prefix` (any case).
    pub fn starts_with(&self, prefix: &str) -> bool {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        prefix.len() <= 64
            && prefix.chars().zip(digits).all(|(c, digit)| c.to_digit(16) == Some(u32::from(digit)))
    }
}

pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not the right number of hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHex {
    /// How many hex digits were wanted.
    pub digits: usize,
}

impl fmt::Display for NotHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} hex digits", self.digits)
    }
}

impl core::error::Error for NotHex {}

pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let wrong = NotHex { digits: N.saturating_mul(2) };
    let digits = text.as_bytes();
    if digits.len() != wrong.digits {
        return Err(wrong);
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(wrong);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return Err(wrong) };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Ok(bytes)
}

macro_rules! hex_text {
    ($($name:ident, $len:literal;)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Hex(self.0).fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl core::str::FromStr for $name {
            type Err = NotHex;
            fn from_str(text: &str) -> Result<Self, NotHex> {
                parse_hex(text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    let bytes = <&[u8]>::deserialize(deserializer)?;
                    let wrong = || D::Error::custom(NotHex { digits: $len * 2 });
                    bytes.try_into().map(Self).map_err(|_| wrong())
                }
            }
        }
    )*};
}

/// Which file: the root of the SHA-256 tree over its chunks ([`distribution::tree`](crate::distribution::tree)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub [u8; 32]);

impl FileId {
    /// The first 8 hex digits, enough for people to tell the files at hand apart.
    pub fn short(&self) -> impl fmt::Display {
        let [a, b, c, d, ..] = self.0;
        Hex([a, b, c, d])
    }
}

/// A SHA-256 digest, written as `sha256sum` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A number that is used once: it binds a reply to its request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNonce(pub [u8; 16]);

hex_text! {
    PeerId, 32; PublicKey, 32; Signature, 64; FileId, 32; Digest, 32; TaskId, 16; RequestNonce, 16;
}

/// The name that separates networks which share a wire: 1 to 64 bytes of UTF-8 without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(String);

/// The text can't name a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadNetworkName;

impl fmt::Display for BadNetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network name has 1 to 64 bytes and no control characters")
    }
}

impl core::error::Error for BadNetworkName {}

impl NetworkName {
    /// The most bytes a name may have.
    pub const BYTES_MAX: usize = 64;

    /// Checks `name`.
    ///
    /// # Errors
    /// [`BadNetworkName`] if it is empty, too long, or has control characters.
    pub fn new(name: impl Into<String>) -> Result<Self, BadNetworkName> {
        let name = name.into();
        let fits = (1..=Self::BYTES_MAX).contains(&name.len());
        if fits && !name.chars().any(char::is_control) {
            Ok(Self(name))
        } else {
            Err(BadNetworkName)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Eight bytes that stand for this network on the wire: the start of a SHA-256 digest of the name.
    pub fn tag(&self) -> [u8; 8] {
        let digest =
            Sha256::new().chain_update(b"p2pnet network v1\0").chain_update(&self.0).finalize();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

impl Default for NetworkName {
    fn default() -> Self {
        Self(String::from("default"))
    }
}

impl TryFrom<String> for NetworkName {
    type Error = BadNetworkName;
    fn try_from(name: String) -> Result<Self, BadNetworkName> {
        Self::new(name)
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.0
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($int:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

number! {
    /// A byte stream, from the wish to dial or the accept to its end. Numbers are never used again.
    ConnId(u64);
    /// A listening socket, numbered by the driver.
    ListenerId(u32);
    /// A question to the world ([`Output::Ask`](crate::Output::Ask)). Numbers are never used again.
    RequestId(u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn hex_round_trips_and_refuses_the_rest() {
        let id = PeerId([0xa5; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<PeerId>(), Err(NotHex { digits: 64 }));
        assert_eq!("zz".repeat(32).parse::<PeerId>(), Err(NotHex { digits: 64 }));
        assert!(id.starts_with("A5a5"));
        assert!(!id.starts_with("a6"));
        assert!(!id.starts_with(&"a5".repeat(33)));
    }

    #[test]
    fn network_names_are_bounded() {
        assert!(NetworkName::new("office").is_ok());
        assert_eq!(NetworkName::new(""), Err(BadNetworkName));
        assert_eq!(NetworkName::new("a\nb"), Err(BadNetworkName));
        assert_eq!(NetworkName::new("x".repeat(65)), Err(BadNetworkName));
        assert_ne!(NetworkName::new("a").unwrap().tag(), NetworkName::new("b").unwrap().tag());
    }
}
