//! The one buffer that all streams are read into.

/// Bytes taken from a stream in one read at most.
pub(super) const READ_BYTES: usize = 256 << 10;
const PAGE_BYTES: usize = 4096;

/// Page-aligned memory. Where a copy's source and destination lie a few bytes apart modulo the page size some
/// processors copy many times slower; large allocations begin 16 bytes into a page, so the start is chosen here.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    memory: Vec<u8>,
    start: usize,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        let memory = vec![0; READ_BYTES + PAGE_BYTES];
        let start = memory.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        Self { memory, start }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + READ_BYTES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_and_long_enough() {
        let mut buffer = ReadBuffer::new();
        assert_eq!(buffer.bytes().as_ptr() as usize % PAGE_BYTES, 0);
        assert_eq!(buffer.bytes().len(), READ_BYTES);
    }
}
