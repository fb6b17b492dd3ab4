//! Choices made by bytes: what turns a fuzzer's input into a story.

/// Reads choices off a byte string. At its end every choice is the first one, so that any input is a whole story.
#[derive(Clone, Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// At most `max` further bytes, as many as the next byte says.
    pub(crate) fn bytes(&mut self, max: usize) -> &'a [u8] {
        let count = usize::from(self.byte()).min(max).min(self.0.len());
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        head
    }

    /// Like [`bytes`](Self::bytes), with a length of two bytes.
    pub(crate) fn long_bytes(&mut self, max: usize) -> &'a [u8] {
        let count = usize::from(self.word()).min(max).min(self.0.len());
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        head
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// `honest` as it is, or changed at a place and in a way of the script's choice.
    pub(crate) fn alter(&mut self, honest: &mut Vec<u8>) -> bool {
        let before = honest.clone();
        let way = self.byte() % 8;
        if way < 2 {
            return false;
        }
        let at = usize::from(self.word()) % (honest.len() + 1);
        match way {
            2 => honest.truncate(at),
            3 => honest.extend_from_within(at..),
            4 => drop(
                honest.drain(at..(at + 1 + usize::from(self.byte())).min(before.len()).max(at)),
            ),
            5 => {
                if let Some(byte) = honest.get_mut(at) {
                    *byte ^= 1 << (self.byte() % 8);
                }
            }
            6 => {
                let put = self.bytes(64);
                honest.splice(at..at, put.iter().copied());
            }
            _ => *honest = self.bytes(255).to_vec(),
        }
        *honest != before
    }
}
