//! The reader and writer beneath every wire type.
//!
//! Integers are big-endian and of fixed size, lengths are varints (LEB128 in their shortest form). A decoder must
//! consume its input to the last byte, so that one value has one byte string and no other.

use alloc::vec::Vec;
use core::fmt;

/// Bytes that are no valid encoding, and the part that gave it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}", self.0)
    }
}

impl core::error::Error for Malformed {}

/// A cursor over bytes that a peer sent. `what` names the field in errors.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    #[inline]
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed(what))?;
        self.0 = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Malformed(what))?;
        self.0 = tail;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed`] at the end.
    #[inline]
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed`] if fewer are left.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A varint of at most 32 bits in its shortest form.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short, too large, or longer than it need be.
    #[inline]
    pub fn varint(&mut self, what: &'static str) -> Result<u32, Malformed> {
        // One byte is by far the most frequent form.
        if let Some((&byte, tail)) = self.0.split_first()
            && byte < 0x80
        {
            self.0 = tail;
            return Ok(u32::from(byte));
        }
        let mut value = 0u64;
        for shift in [0u32, 7, 14, 21, 28] {
            let byte = self.u8(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                return if overlong {
                    Err(Malformed(what))
                } else {
                    u32::try_from(value).map_err(|_| Malformed(what))
                };
            }
        }
        Err(Malformed(what))
    }

    /// A varint length, then so many bytes, at most `max`.
    ///
    /// # Errors
    /// [`Malformed`] if the length is over `max` or over what is left.
    #[inline]
    pub fn prefixed(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(self.varint(what)?).map_err(|_| Malformed(what))?;
        if count > max { Err(Malformed(what)) } else { self.take(count, what) }
    }

    /// Like [`prefixed`](Self::prefixed), and the bytes are UTF-8.
    ///
    /// # Errors
    /// [`Malformed`] likewise, or if it is not UTF-8.
    pub fn text(&mut self, max: usize, what: &'static str) -> Result<&'a str, Malformed> {
        core::str::from_utf8(self.prefixed(max, what)?).map_err(|_| Malformed(what))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`Malformed`] if something is.
    pub fn end(self, what: &'static str) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }
}

/// Appends `value` as a varint in its shortest form.
pub fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
pub const fn varint_len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Appends the length of `bytes` as a varint, then `bytes`. The caller bounds `bytes` below 4 GiB.
pub fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip_in_their_shortest_form(value: u32) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_len(value));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint("n"), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn what_decodes_as_a_varint_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.varint("n") {
                let used = bytes.len() - reader.rest().len();
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(&again[..], &bytes[..used]);
            }
        }
    }

    #[test]
    fn overlong_and_oversized_varints_are_refused() {
        for bytes in [&[0x80, 0x00][..], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80; 6], &[0x81]] {
            assert_eq!(Reader::new(bytes).varint("n"), Err(Malformed("n")), "{bytes:x?}");
        }
    }

    #[test]
    fn prefixed_is_bounded() {
        assert_eq!(Reader::new(&[3, 1, 2]).prefixed(9, "x"), Err(Malformed("x")));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).prefixed(2, "x"), Err(Malformed("x")));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).prefixed(3, "x"), Ok(&[1, 2, 3][..]));
        assert_eq!(Reader::new(&[1, 0xff]).text(3, "x"), Err(Malformed("x")));
    }
}
