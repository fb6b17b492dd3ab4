//! What two nodes say to each other about files: the payload of data transmissions with the format `File`.

use super::info::FileInfo;
use super::tree::{Hash, PROOF_HASHES_MAX};
use super::{CHUNK_BYTES_MAX, CHUNKS_MAX, NAME_BYTES_MAX, WANT_CHUNKS_MAX};
use crate::id::FileId;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One message about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileMessage {
    /// "I have this file for you."
    Offer {
        /// The offer's number: the same each time that it is repeated.
        offer: u64,
        /// The file.
        file: FileInfo,
    },
    /// What becomes of an offer.
    Reply {
        /// The file.
        file: FileId,
        /// What becomes of it.
        reply: OfferReply,
    },
    /// "Send me these chunks."
    Want {
        /// The file.
        file: FileId,
        /// The first of them.
        first: u32,
        /// How many, at least 1 and at most [`WANT_CHUNKS_MAX`].
        count: u16,
    },
    /// A part of a chunk. The parts of one chunk come in order, with nothing else about the file between them.
    Part {
        /// The file.
        file: FileId,
        /// The chunk.
        chunk: u32,
        /// Where in the chunk it begins. The part at 0 has the proof, the others none.
        offset: u32,
        /// The hashes beside the chunk's way up the tree.
        proof: Vec<Hash>,
        /// The bytes, at least one.
        bytes: Bytes,
    },
    /// "I don't serve this file to you (any more)."
    Gone {
        /// The file.
        file: FileId,
        /// Why.
        reason: GoneReason,
    },
    /// "Offer me the file that you call so."
    Ask {
        /// Its name.
        name: String,
    },
    /// There will be no offer in answer to [`Ask`](Self::Ask).
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Why.
        reason: GoneReason,
    },
}

/// What becomes of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OfferReply {
    /// Somebody will decide about it.
    Noted,
    /// It is wanted; requests for chunks follow.
    Accepted,
    /// It came whole and is stored.
    Complete,
    /// It is not wanted.
    Refused(RefusalReason),
}

/// Why an offer is not wanted, or no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalReason {
    /// The receiver's operator or policy said no.
    Declined,
    /// The sender is not trusted enough.
    NotTrusted,
    /// Too many transfers are under way.
    Busy,
    /// The receiver has no room: a quota, a full disk, or a file larger than it can hold.
    NoRoom,
    /// The receiver could not store it.
    Failed,
    /// The receiver changed its mind.
    Cancelled,
}

/// Why a file is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GoneReason {
    /// There is no such file, or not for this peer.
    NotFound,
    /// It changed since it was offered.
    Changed,
    /// The sender changed its mind.
    Cancelled,
    /// The sender could not read it.
    Failed,
    /// Too many files are being served.
    Busy,
}

macro_rules! numbered {
    ($type:ident, $what:literal: $($variant:ident = $number:literal $text:literal,)*) => {
        impl $type {
            fn to_wire(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }
            fn from_wire(byte: u8) -> Result<Self, Malformed> {
                match byte { $($number => Ok(Self::$variant),)* _ => Err(Malformed($what)) }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

numbered! { RefusalReason, "refusal reason":
    Declined = 0 "it is not wanted",
    NotTrusted = 1 "the sender is not trusted enough",
    Busy = 2 "too many transfers are under way",
    NoRoom = 3 "there is no room for it",
    Failed = 4 "it could not be stored",
    Cancelled = 5 "the receiver cancelled it",
}

numbered! { GoneReason, "gone reason":
    NotFound = 0 "there is no such file",
    Changed = 1 "the file changed since it was offered",
    Cancelled = 2 "the sender cancelled it",
    Failed = 3 "the sender could not read it",
    Busy = 4 "the sender serves too many files",
}

impl FileMessage {
    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Offer { offer, file } => {
                out.push(0);
                out.extend_from_slice(&offer.to_be_bytes());
                file.encode(&mut out);
            }
            Self::Reply { file, reply } => {
                out.push(1);
                out.extend_from_slice(&file.0);
                match reply {
                    OfferReply::Noted => out.push(0),
                    OfferReply::Accepted => out.push(1),
                    OfferReply::Complete => out.push(2),
                    OfferReply::Refused(reason) => out.extend([3, reason.to_wire()]),
                }
            }
            Self::Want { file, first, count } => {
                out.push(2);
                out.extend_from_slice(&file.0);
                out.extend_from_slice(&first.to_be_bytes());
                out.extend_from_slice(&count.to_be_bytes());
            }
            Self::Part { file, chunk, offset, proof, bytes } => {
                out.reserve(bytes.len());
                put_part_head(&mut out, file, *chunk, *offset, proof);
                out.extend_from_slice(bytes);
            }
            Self::Gone { file, reason } => {
                out.push(4);
                out.extend_from_slice(&file.0);
                out.push(reason.to_wire());
            }
            Self::Ask { name } => {
                out.push(5);
                put_prefixed(&mut out, name.as_bytes());
            }
            Self::Unknown { name, reason } => {
                out.push(6);
                put_prefixed(&mut out, name.as_bytes());
                out.push(reason.to_wire());
            }
        }
        out
    }

    /// Reads one message. The bytes of a part are a slice of `payload`.
    ///
    /// # Errors
    /// [`Malformed`] if `payload` is not exactly one.
    pub fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut from = Reader::new(payload);
        let message = match from.u8("file message")? {
            0 => {
                Self::Offer { offer: from.u64("offer number")?, file: FileInfo::decode(&mut from)? }
            }
            1 => Self::Reply {
                file: FileId(from.array("file id")?),
                reply: match from.u8("offer reply")? {
                    0 => OfferReply::Noted,
                    1 => OfferReply::Accepted,
                    2 => OfferReply::Complete,
                    3 => OfferReply::Refused(RefusalReason::from_wire(from.u8("offer reply")?)?),
                    _ => return Err(Malformed("offer reply")),
                },
            },
            2 => {
                let file = FileId(from.array("file id")?);
                let (first, count) = (from.u32("first chunk")?, from.u16("chunk count")?);
                let end = first.saturating_add(u32::from(count));
                if count == 0 || count > WANT_CHUNKS_MAX || end > CHUNKS_MAX {
                    return Err(Malformed("chunk count"));
                }
                Self::Want { file, first, count }
            }
            3 => return Self::decode_part(from, payload),
            4 => Self::Gone {
                file: FileId(from.array("file id")?),
                reason: GoneReason::from_wire(from.u8("gone reason")?)?,
            },
            5 => Self::Ask { name: file_name(&mut from)? },
            6 => Self::Unknown {
                name: file_name(&mut from)?,
                reason: GoneReason::from_wire(from.u8("gone reason")?)?,
            },
            _ => return Err(Malformed("file message")),
        };
        from.end("file message")?;
        Ok(message)
    }

    fn decode_part(mut from: Reader<'_>, payload: &Bytes) -> Result<Self, Malformed> {
        let file = FileId(from.array("file id")?);
        let (chunk, offset) = (from.u32("chunk number")?, from.u32("chunk offset")?);
        let mut proof = Vec::new();
        if offset == 0 {
            let hashes = usize::from(from.u8("chunk proof")?);
            if hashes > PROOF_HASHES_MAX {
                return Err(Malformed("chunk proof"));
            }
            proof.reserve_exact(hashes);
            for _ in 0..hashes {
                proof.push(from.array("chunk proof")?);
            }
        }
        let start = payload.len().saturating_sub(from.rest().len());
        let bytes = payload.slice(start..);
        let end = (offset as usize).saturating_add(bytes.len());
        if bytes.is_empty() || end > CHUNK_BYTES_MAX as usize || chunk >= CHUNKS_MAX {
            return Err(Malformed("chunk"));
        }
        Ok(Self::Part { file, chunk, offset, proof, bytes })
    }
}

/// What stands before the bytes of a part.
pub(crate) fn put_part_head(
    out: &mut Vec<u8>,
    file: &FileId,
    chunk: u32,
    offset: u32,
    proof: &[Hash],
) {
    out.push(3);
    out.extend_from_slice(&file.0);
    out.extend_from_slice(&chunk.to_be_bytes());
    out.extend_from_slice(&offset.to_be_bytes());
    if offset == 0 {
        out.push(u8::try_from(proof.len()).unwrap_or(u8::MAX));
        proof.iter().for_each(|hash| out.extend_from_slice(hash));
    }
}

fn file_name(from: &mut Reader<'_>) -> Result<String, Malformed> {
    let name = from.text(NAME_BYTES_MAX, "file name")?;
    if name.is_empty() { Err(Malformed("file name")) } else { Ok(name.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn round_trip(message: &FileMessage) {
        let bytes = Bytes::from(message.encode());
        assert_eq!(FileMessage::decode(&bytes).as_ref(), Ok(message));
        // A part may be cut anywhere in its bytes and is one still; nothing else is.
        let part = matches!(message, FileMessage::Part { .. });
        for end in (0..bytes.len()).filter(|_| !part) {
            assert!(FileMessage::decode(&bytes.slice(..end)).is_err(), "{message:?} cut at {end}");
        }
    }

    #[test]
    fn messages_round_trip_and_cut_ones_are_refused() {
        let file = FileId([3; 32]);
        let info = FileInfo {
            id: file,
            name: "a.txt".into(),
            bytes: 7,
            sha256: crate::id::Digest([9; 32]),
        };
        round_trip(&FileMessage::Offer { offer: 11, file: info });
        for reply in [OfferReply::Noted, OfferReply::Accepted, OfferReply::Complete] {
            round_trip(&FileMessage::Reply { file, reply });
        }
        for byte in 0..6 {
            let reply = OfferReply::Refused(RefusalReason::from_wire(byte).unwrap());
            round_trip(&FileMessage::Reply { file, reply });
        }
        assert!(RefusalReason::from_wire(6).is_err() && GoneReason::from_wire(5).is_err());
        for byte in 0..5 {
            let reason = GoneReason::from_wire(byte).unwrap();
            round_trip(&FileMessage::Gone { file, reason });
            round_trip(&FileMessage::Unknown { name: "x".into(), reason });
        }
        round_trip(&FileMessage::Ask { name: "ü".into() });
        round_trip(&FileMessage::Want { file, first: 5, count: WANT_CHUNKS_MAX });
    }

    #[test]
    fn what_could_never_be_meant_is_malformed() {
        let file = FileId([3; 32]);
        let refused = |message: &FileMessage| {
            assert!(FileMessage::decode(&message.encode().into()).is_err(), "{message:?}");
        };
        for (first, count) in [(0, 0), (0, WANT_CHUNKS_MAX + 1), (CHUNKS_MAX, 1), (u32::MAX, 1)] {
            refused(&FileMessage::Want { file, first, count });
        }
        let part = |chunk, offset, bytes: &'static [u8], proof| FileMessage::Part {
            file,
            chunk,
            offset,
            proof,
            bytes: Bytes::from_static(bytes),
        };
        refused(&part(0, 0, b"", vec![]));
        refused(&part(CHUNKS_MAX, 0, b"x", vec![]));
        refused(&part(0, CHUNK_BYTES_MAX, b"x", vec![]));
        refused(&part(0, 0, b"x", vec![[0; 32]; PROOF_HASHES_MAX + 1]));
        refused(&FileMessage::Ask { name: String::new() });
        refused(&FileMessage::Ask { name: "x".repeat(NAME_BYTES_MAX + 1) });
    }

    proptest! {
        #[test]
        fn parts_round_trip(
            chunk in 0..CHUNKS_MAX,
            offset in 0..1000u32,
            hashes in 0..PROOF_HASHES_MAX,
            bytes in prop::collection::vec(any::<u8>(), 1..300),
        ) {
            let proof = if offset == 0 { vec![[5; 32]; hashes] } else { vec![] };
            let part = FileMessage::Part {
                file: FileId([3; 32]), chunk, offset, proof, bytes: bytes.into(),
            };
            prop_assert_eq!(FileMessage::decode(&part.encode().into()), Ok(part));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            if let Ok(message) = FileMessage::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes.to_vec());
            }
        }
    }
}
