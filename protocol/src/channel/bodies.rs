//! The memory that payloads come in: what the application has let go of is taken again for the next.
//!
//! Without this a node that receives bulk allocates as much as it receives, and an allocator that returns memory to
//! the system spends a third of the receiver's time on page faults.

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

/// Smaller ones are left to the allocator, which is good at them.
const REUSED_BYTES_MIN: usize = 4 << 10;
/// How many are looked at before a new one is made. Applications mostly let go in the order of arrival.
const LOOKED_AT_MAX: usize = 3;

/// Buffers lent to the application, and how many bytes they have.
#[derive(Debug)]
pub(crate) struct Bodies {
    lent: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
    /// Something was lent since the last rest.
    busy: bool,
}

impl Bodies {
    /// Keeps an eye on `bytes_max` of what is lent.
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { lent: VecDeque::new(), bytes: 0, bytes_max, busy: false }
    }

    /// An empty buffer with room for `bytes`.
    pub(crate) fn take(&mut self, bytes: usize) -> BytesMut {
        if bytes >= REUSED_BYTES_MIN {
            for _ in 0..LOOKED_AT_MAX {
                let Some(body) = self.lent.pop_front() else { break };
                let length = body.len();
                match body.try_into_mut() {
                    Ok(mut body) => {
                        self.bytes = self.bytes.saturating_sub(length);
                        body.clear();
                        if body.capacity() >= bytes {
                            return body;
                        }
                    }
                    Err(in_use) => self.lent.push_back(in_use),
                }
            }
        }
        BytesMut::with_capacity(bytes)
    }

    /// Hands a buffer to the application.
    pub(crate) fn lend(&mut self, body: BytesMut) -> Bytes {
        let body = body.freeze();
        if body.len() >= REUSED_BYTES_MIN {
            self.busy = true;
            self.bytes = self.bytes.saturating_add(body.len());
            self.lent.push_back(body.clone());
            while self.bytes > self.bytes_max {
                let Some(oldest) = self.lent.pop_front() else { break };
                self.bytes = self.bytes.saturating_sub(oldest.len());
            }
        }
        body
    }

    /// To be called now and then: when nothing was lent since the last time, everything is left to the allocator.
    pub(crate) fn rest(&mut self) {
        if !core::mem::take(&mut self.busy) {
            self.lent = VecDeque::new();
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lend(bodies: &mut Bodies, byte: u8) -> Bytes {
        let mut body = bodies.take(8192);
        body.resize(8192, byte);
        bodies.lend(body)
    }

    #[test]
    fn what_is_let_go_of_is_used_again_and_what_is_held_is_not() {
        let mut bodies = Bodies::new(1 << 20);
        let held = lend(&mut bodies, 1);
        let gone = lend(&mut bodies, 2);
        let place = gone.as_ptr();
        drop(gone);
        let next = lend(&mut bodies, 3);
        assert_eq!(next.as_ptr(), place);
        assert!(held.iter().all(|byte| *byte == 1) && next.iter().all(|byte| *byte == 3));
        // A part that is held holds the whole.
        let part = next.slice(100..200);
        drop(next);
        let other = lend(&mut bodies, 4);
        assert_ne!(other.as_ptr(), place);
        assert!(part.iter().all(|byte| *byte == 3));
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let mut bodies = Bodies::new(20_000);
        let held: alloc::vec::Vec<_> = (0..9).map(|byte| lend(&mut bodies, byte)).collect();
        assert_eq!((bodies.lent.len(), bodies.bytes), (2, 16_384));
        drop(held);
        bodies.rest();
        assert_eq!(bodies.lent.len(), 2);
        bodies.rest();
        assert_eq!((bodies.lent.len(), bodies.bytes), (0, 0));
    }

    #[test]
    fn one_that_is_too_small_is_dropped() {
        let mut bodies = Bodies::new(1 << 20);
        drop(lend(&mut bodies, 1));
        assert!(bodies.take(100_000).capacity() >= 100_000);
        assert_eq!((bodies.lent.len(), bodies.bytes), (0, 0));
    }
}
