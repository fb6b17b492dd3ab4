//! What must outlive the process, in one piece: what was seen, how far this node's own numbers went, who has which label.

use super::labels::Labels;
use super::window::ReplayWindow;
use crate::limits::Limits;
use crate::wire::codec::{Malformed, Reader};
use alloc::vec::Vec;

/// The memory of a node for tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskMemory {
    /// What was seen of each issuer.
    pub window: ReplayWindow,
    /// The last number that this node gave to a task of its own.
    pub issued: u64,
    /// Labels that the authority gave.
    pub labels: Labels,
}

const VERSION: u8 = 1;

impl TaskMemory {
    /// Nothing yet.
    pub fn new(limits: &Limits) -> Self {
        let count = |bound: u32| usize::try_from(bound).unwrap_or(usize::MAX);
        Self {
            window: ReplayWindow::new(count(limits.task_issuers_max)),
            issued: 0,
            labels: Labels::new(count(limits.labels_max)),
        }
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = alloc::vec![VERSION];
        out.extend_from_slice(&self.issued.to_be_bytes());
        self.window.encode(&mut out);
        self.labels.encode(&mut out);
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is something else.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        if from.u8("version")? != VERSION {
            return Err(Malformed("version"));
        }
        let mut memory = Self::new(limits);
        let count = |bound: u32| usize::try_from(bound).unwrap_or(usize::MAX);
        memory.issued = from.u64("issued")?;
        memory.window = ReplayWindow::decode(&mut from, count(limits.task_issuers_max))?;
        memory.labels = Labels::decode(&mut from, count(limits.labels_max))?;
        from.end("end")?;
        Ok(memory)
    }
}
