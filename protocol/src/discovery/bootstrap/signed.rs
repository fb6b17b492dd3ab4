//! What all records share: the version in front, the signature at the end, over a label and all that is between.

use super::VERSION;
use crate::crypto::Crypto;
use crate::id::{PublicKey, Signature};
use crate::wire::codec::{Malformed, Reader};
use alloc::vec::Vec;

/// The start of a record's fields.
pub(super) fn begin(bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes);
    out.push(VERSION);
    out
}

/// Reads the version.
pub(super) fn version(from: &mut Reader<'_>, what: &'static str) -> Result<(), Malformed> {
    if from.u8(what)? == VERSION { Ok(()) } else { Err(Malformed(what)) }
}

fn message(label: &[u8], fields: &[u8]) -> Vec<u8> {
    [label, fields].concat()
}

/// Signs fields under a label that no other signature begins with.
pub(super) fn sign<C: Crypto>(
    crypto: &C,
    key: &C::SigningKey,
    label: &[u8],
    fields: &[u8],
) -> Signature {
    crypto.sign(key, &message(label, fields))
}

/// Whether the holder of `key` signed these fields under this label.
pub(super) fn is_signed<C: Crypto>(
    crypto: &C,
    key: &PublicKey,
    label: &[u8],
    fields: &[u8],
    signature: &Signature,
) -> bool {
    crypto.verify(key, &message(label, fields), signature)
}

/// The bytes of a record before its signature: what was signed, whatever of it this version understands.
pub(super) fn fields_of(bytes: &[u8]) -> &[u8] {
    bytes.split_last_chunk::<64>().map_or(&[], |(fields, _)| fields)
}

/// Bytes as hex for people, as bytes for machines.
pub(super) mod hex_bytes {
    use alloc::string::String;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use core::fmt::Write as _;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    pub(in super::super) fn text(bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len().saturating_mul(2));
        for byte in bytes {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    pub(in super::super) fn parse(text: &str) -> Option<Vec<u8>> {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            &[high, low] => Some((digit(high)? << 4) | digit(low)?),
            _ => None,
        });
        pairs.collect()
    }

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&text(bytes))
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            parse(&text).map(Bytes::from).ok_or_else(|| D::Error::custom("expected hex digits"))
        } else {
            Bytes::deserialize(deserializer)
        }
    }
}
