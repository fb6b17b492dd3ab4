//! Entries that keep their number, in pieces: growing never moves what is there, so that no request waits for it.

/// Entries in one piece.
const PIECE: usize = 4096;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// Numbered entries; a number freed is used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pieces: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { pieces: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, entry: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self[at] = entry;
            return at;
        }
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(entry),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(entry);
                self.pieces.push(piece);
            }
        }
        let last = self.pieces.len() - 1;
        (last * PIECE + self.pieces[last].len() - 1) as u32
    }

    /// Frees the number `at`, which must be in use.
    pub(super) fn remove(&mut self, at: u32) {
        self.free.push(at);
    }

    /// One more than the largest number ever in use.
    pub(super) fn end(&self) -> u32 {
        match self.pieces.last() {
            None => 0,
            Some(last) => ((self.pieces.len() - 1) * PIECE + last.len()) as u32,
        }
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.pieces.len() * PIECE * size_of::<T>()
            + self.free.capacity() * size_of::<u32>()
            + self.pieces.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, at: u32) -> &T {
        &self.pieces[at as usize / PIECE][at as usize % PIECE]
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.pieces[at as usize / PIECE][at as usize % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_last_and_are_used_again() {
        let mut slab = Slab::new();
        let numbers: Vec<u32> = (0..PIECE as u32 * 2 + 3).map(|n| slab.insert(n)).collect();
        assert!(numbers.iter().enumerate().all(|(at, n)| at as u32 == *n && slab[*n] == *n));
        assert_eq!(slab.end(), PIECE as u32 * 2 + 3);
        slab.remove(5);
        assert_eq!(slab.insert(77), 5);
        assert_eq!((slab[5], slab.end()), (77, PIECE as u32 * 2 + 3));
    }
}
