//! Why a server does not serve a request. Nobody signs it, so a node takes it for a hint and no more.

use super::VERSION;
use crate::wire::codec::{Malformed, Reader};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The body of every answer but 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// The node should come again after so many seconds; 0 if the server doesn't say.
    pub retry_after_secs: u32,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $status:literal, $text:literal;)*) => {
        /// Why a server does not serve a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)*
        }

        impl RefusalCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number in the encoding.
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// The code with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }
        }

        impl fmt::Display for RefusalCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

codes! {
    /// The body is no such record.
    Malformed = 0, 400, "the request is malformed";
    /// The key in the request didn't sign it.
    BadSignature = 1, 401, "the request's signature is wrong";
    /// The key, the address or the label is blocked.
    Blocked = 2, 403, "the server has blocked this node";
    /// The time of the request is not near the server's, or no later than that of an earlier one.
    Stale = 3, 409, "the request is too old for the server, or was seen before";
    /// The request names another server: the node asks anew who this one is.
    OtherAudience = 4, 421, "the request was for another server";
    /// The server doesn't serve this network.
    OtherNetwork = 5, 404, "the server doesn't serve this network";
    /// The key or the address asks too often, or its network has too many leases.
    TooMany = 6, 429, "the server has heard too much from here";
    /// The server is overloaded or going down.
    Busy = 7, 503, "the server is busy";
    /// The body's type is none that the server reads.
    ContentType = 8, 415, "the server doesn't read this content type";
    /// The body is too long.
    TooLarge = 9, 413, "the request is too large";
}

impl Refusal {
    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(14);
        out.extend_from_slice(&[VERSION, self.code.number()]);
        out.extend_from_slice(&self.now_ms.to_be_bytes());
        out.extend_from_slice(&self.retry_after_secs.to_be_bytes());
        out
    }

    /// Reads one refusal.
    ///
    /// # Errors
    /// [`Malformed`] if `bytes` is not exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        super::signed::version(&mut from, "refusal version")?;
        let code = RefusalCode::from_number(from.u8("refusal")?).ok_or(Malformed("refusal"))?;
        let (now_ms, retry_after_secs) = (from.u64("refusal")?, from.u32("refusal")?);
        from.end("refusal")?;
        Ok(Self { code, now_ms, retry_after_secs })
    }
}
