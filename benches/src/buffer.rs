//! Page-aligned buffers.
//!
//! On some processors a copy runs many times slower when its destination lies 1 to 16 bytes past its source within the
//! page, which is where allocators put large blocks against the kernel's own page-aligned buffers. A benchmark that
//! left this to chance would measure the allocator.

use std::ops::{Deref, DerefMut};

const PAGE_BYTES: usize = 4_096;

/// Zeroed bytes that begin at the start of a page.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// A buffer of `len` bytes.
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE_BYTES];
        let start = bytes.as_ptr().addr().wrapping_neg() % PAGE_BYTES;
        Self { bytes, start, len }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_a_page() {
        for len in [1, 4_096, 65_536, 1 << 20] {
            let buffer = Buffer::new(len);
            assert_eq!(buffer.as_ptr().addr() % PAGE_BYTES, 0);
            assert_eq!(buffer.len(), len);
        }
    }
}
