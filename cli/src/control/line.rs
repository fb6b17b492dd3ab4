//! Lines of bounded length.

use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, BufRead, Read as _, Write};

/// The longest line that either side reads: a message of the largest packet size, escaped, fits.
pub(crate) const LINE_BYTES_MAX: u64 = 8 << 20;

/// Reads one line; `None` at the end of the stream.
///
/// # Errors
/// The stream failed, the line is too long or ends without a line feed, or it isn't what was expected.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    read_up_to(LINE_BYTES_MAX, from)
}

/// As [`read`], but keeps no line of more than `kept_max` bytes: the rest of it is read and dropped, so that whoever
/// writes it comes to its end and hears why it was refused.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_up_to<T: DeserializeOwned>(
    kept_max: u64,
    from: &mut impl BufRead,
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.by_ref().take(kept_max.min(LINE_BYTES_MAX)).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if line.len() as u64 >= kept_max.min(LINE_BYTES_MAX) => {
            drop(line);
            skip_line(from)?;
            Err(invalid("the line is too long"))
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads to the end of the line, or as far as a line may go.
fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    let mut skipped = 0;
    while skipped < LINE_BYTES_MAX {
        let piece = from.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let bytes = end.map_or(piece.len(), |at| at + 1);
        from.consume(bytes);
        skipped += bytes as u64;
        if end.is_some() || bytes == 0 {
            break;
        }
    }
    Ok(())
}

/// Writes one line.
///
/// # Errors
/// The stream failed, or the line is longer than the other side reads ([`io::ErrorKind::InvalidInput`]).
pub(crate) fn write<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the line is too long"));
    }
    to.write_all(&line)?;
    to.flush()
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_and_end() {
        let mut from: &[u8] = b"1\n2\n3";
        assert_eq!(read::<u8>(&mut from).unwrap(), Some(1));
        assert_eq!(read::<u8>(&mut from).unwrap(), Some(2));
        assert_eq!(read::<u8>(&mut from).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read::<u8>(&mut from).unwrap(), None);
        assert!(read::<u8>(&mut &b"{\n"[..]).is_err());
    }

    #[test]
    fn a_line_beyond_what_is_kept_is_read_to_its_end_and_refused() {
        let mut from: &[u8] = b"\"0123456789\"\n7\n";
        let refused = read_up_to::<String>(8, &mut from).unwrap_err();
        assert_eq!(refused.to_string(), "the line is too long");
        assert_eq!(read_up_to::<u8>(8, &mut from).unwrap(), Some(7));
        assert_eq!(read_up_to::<String>(8, &mut &b"\"12345\"\n"[..]).unwrap().unwrap(), "12345");
    }

    #[test]
    fn lines_are_bounded_both_ways() {
        let mut endless = io::BufReader::new(io::repeat(b'1'));
        assert_eq!(read::<String>(&mut endless).unwrap_err().to_string(), "the line is too long");
        let long = "x".repeat(LINE_BYTES_MAX as usize);
        let mut sink = Vec::new();
        assert_eq!(write(&mut sink, &long).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(sink.is_empty(), "nothing of it was written");
    }
}
