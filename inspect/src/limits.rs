//! How much may be remembered.

/// Bounds on what an [`Inspector`](crate::Inspector) remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// TCP streams that are followed at a time; over it, the one that was silent longest is given up.
    pub conversations_max: usize,
    /// Bytes of one direction that came before those in front of them; over it, what is missing counts as lost.
    pub early_bytes_max: usize,
    /// Bytes of a packet that came in parts; of a longer one only the length is told.
    pub packet_bytes_max: usize,
    /// Bytes held for all streams together; over it, the one that was silent longest is given up.
    pub held_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            conversations_max: 4096,
            early_bytes_max: 1 << 20,
            packet_bytes_max: 1 << 20,
            held_bytes_max: 64 << 20,
        }
    }
}

impl Limits {
    /// What a followed stream costs besides the bytes that are held for it: states, buffers' slack, keyed ciphers.
    const CONVERSATION_BYTES: usize = 8 << 10;
    /// One frame, which may be added before the bounds are checked, and what reading it takes.
    const FRAME_BYTES: usize = 2 * crate::capture::FRAME_BYTES_MAX;

    /// The most memory that all bounds together allow, key log not counted.
    pub const fn total_bytes_max(&self) -> usize {
        let conversations = self.conversations_max.saturating_mul(Self::CONVERSATION_BYTES);
        conversations.saturating_add(self.held_bytes_max).saturating_add(Self::FRAME_BYTES)
    }
}
