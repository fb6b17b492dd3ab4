//! What comes back from a task.

use super::body::{put_count, read_bool, read_count};
use super::data::{DataEntry, put_key, read_key};
use super::refusal::TaskRefusal;
use crate::id::PublicKey;
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a task that was done gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// It is done.
    Done,
    /// The entry of the key; none if there is no such key. Entries that were deleted are found without a value.
    Entry(Option<DataEntry>),
    /// So many entries were taken, and so many more had no place.
    Merged {
        /// Entries that were new here.
        taken: u32,
        /// Entries that had no place.
        left_out: u32,
    },
    /// How the data areas differ in the span that was asked about.
    Synchronized {
        /// What the issuer lacks, or has in an older version.
        entries: Vec<DataEntry>,
        /// Keys that the issuer has in a newer version.
        wanted: Vec<String>,
        /// More is to be had: ask about the same span again.
        more: bool,
    },
    /// Yes or no.
    Verdict(bool),
    /// A public key.
    PublicKey(PublicKey),
    /// The application's own bytes.
    Opaque(Bytes),
}

/// Why nothing came of a task, as its issuer learns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskFailure {
    /// The peer turned it away; see [`TaskRefusal::describe`].
    Refused(u8),
    /// The peer tried, and could not do it.
    Failed(String),
    /// Nothing came in time.
    TimedOut,
    /// The channel ended before an answer came: it may have been done, or not.
    Lost,
}

impl TaskFailure {
    /// The most bytes of a reason.
    pub const REASON_BYTES_MAX: usize = 256;

    /// A failure with a reason, cut to its bound.
    pub fn because(reason: impl fmt::Display) -> Self {
        let mut text = alloc::format!("{reason}");
        let mut end = text.len().min(Self::REASON_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
        Self::Failed(text)
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => f.write_str(TaskRefusal::describe(*code)),
            Self::Failed(reason) => f.write_str(reason),
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::Lost => f.write_str("the channel ended before an answer came"),
        }
    }
}

impl core::error::Error for TaskFailure {}

pub(super) fn encode_answer(answer: &Result<TaskOutcome, TaskFailure>, out: &mut Vec<u8>) {
    match answer {
        Ok(TaskOutcome::Done) => out.push(0),
        Ok(TaskOutcome::Entry(entry)) => {
            out.extend_from_slice(&[1, u8::from(entry.is_some())]);
            if let Some(entry) = entry {
                entry.encode(out);
            }
        }
        Ok(TaskOutcome::Merged { taken, left_out }) => {
            out.push(2);
            out.extend_from_slice(&taken.to_be_bytes());
            out.extend_from_slice(&left_out.to_be_bytes());
        }
        Ok(TaskOutcome::Synchronized { entries, wanted, more }) => {
            out.extend_from_slice(&[3, u8::from(*more)]);
            DataEntry::encode_all(entries, out);
            put_count(out, wanted.len());
            wanted.iter().for_each(|key| put_key(out, key));
        }
        Ok(TaskOutcome::Verdict(yes)) => out.extend_from_slice(&[4, u8::from(*yes)]),
        Ok(TaskOutcome::PublicKey(key)) => {
            out.push(5);
            out.extend_from_slice(&key.0);
        }
        Ok(TaskOutcome::Opaque(bytes)) => {
            out.push(6);
            out.extend_from_slice(bytes);
        }
        Err(TaskFailure::Refused(code)) => out.extend_from_slice(&[0x80, *code]),
        Err(TaskFailure::Failed(reason)) => {
            out.push(0x81);
            put_prefixed(out, reason.as_bytes());
        }
        Err(TaskFailure::TimedOut) => out.push(0x82),
        Err(TaskFailure::Lost) => out.push(0x83),
    }
}

pub(super) fn decode_answer(
    from: &mut Reader<'_>,
) -> Result<Result<TaskOutcome, TaskFailure>, Malformed> {
    const WHAT: &str = "answer";
    Ok(Ok(match from.u8(WHAT)? {
        0 => TaskOutcome::Done,
        1 => {
            let found = read_bool(from, WHAT)?;
            TaskOutcome::Entry(if found { Some(DataEntry::decode(from)?) } else { None })
        }
        2 => TaskOutcome::Merged { taken: from.u32(WHAT)?, left_out: from.u32(WHAT)? },
        3 => {
            let more = read_bool(from, WHAT)?;
            let entries = DataEntry::decode_all(from)?;
            let count = read_count(from, DataEntry::COUNT_MAX, WHAT)?;
            let wanted = (0..count).map(|_| read_key(from)).collect::<Result<_, _>>()?;
            TaskOutcome::Synchronized { entries, wanted, more }
        }
        4 => TaskOutcome::Verdict(read_bool(from, WHAT)?),
        5 => TaskOutcome::PublicKey(PublicKey(from.array(WHAT)?)),
        6 => {
            let rest = from.rest();
            TaskOutcome::Opaque(Bytes::copy_from_slice(from.take(rest.len(), WHAT)?))
        }
        0x80 => return Ok(Err(TaskFailure::Refused(from.u8(WHAT)?))),
        0x81 => {
            let reason = from.text(TaskFailure::REASON_BYTES_MAX, WHAT)?;
            return Ok(Err(TaskFailure::Failed(reason.into())));
        }
        0x82 => return Ok(Err(TaskFailure::TimedOut)),
        0x83 => return Ok(Err(TaskFailure::Lost)),
        _ => return Err(Malformed(WHAT)),
    }))
}
