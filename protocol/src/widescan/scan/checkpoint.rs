//! What a scan goes on from.

use super::super::walk::{Cursor, CursorError};
use alloc::vec::Vec;

/// Where a scan was, with the targets that were waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub(super) cursor: Cursor,
    /// Positions in the walk.
    pub(super) waiting: Vec<u128>,
}

impl Checkpoint {
    /// How far the walk is.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// As bytes: the cursor, and 16 for each target that waits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.cursor.to_bytes().to_vec();
        self.waiting.iter().for_each(|position| bytes.extend_from_slice(&position.to_be_bytes()));
        bytes
    }

    /// From bytes that were kept; a cursor alone is one too.
    ///
    /// # Errors
    /// As [`Cursor::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CursorError> {
        let (cursor, rest) = bytes.split_at_checked(Cursor::BYTES).ok_or(CursorError::Malformed)?;
        let (waiting, odd) = rest.as_chunks();
        if !odd.is_empty() {
            return Err(CursorError::Malformed);
        }
        let waiting = waiting.iter().map(|bytes| u128::from_be_bytes(*bytes)).collect();
        Ok(Self { cursor: Cursor::from_bytes(cursor)?, waiting })
    }
}
