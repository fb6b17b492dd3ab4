//! What users bring: lists of prefixes, statistics of registries, dumps of routing registries.
//!
//! Bytes come in pieces of any size, and what they say comes out entry by entry; nothing is kept but the line or object that
//! is being read, of which there is a longest. Files are the caller's business, and so is unpacking them.

mod delegated;
mod filter;
mod lines;
mod list;
mod rpsl;

pub use filter::Filter;

use super::range::AddressRange;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use lines::{Line, Lines};

/// How an input is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A prefix, a range (`a-b`) or an address a line; what follows it on the line, and comments from `#` or `;` on, say
    /// nothing. Hitlists and lists of aliased prefixes are such lists.
    List,
    /// Statistics of a regional registry, `delegated` or `delegated-extended`: `registry|cc|ipv6|start|length|date|status…`.
    Delegated,
    /// Objects in RPSL: `inet6num` and `route6`, as registries dump them and `whois` prints them (RFC 2622, RFC 4012).
    Rpsl,
    /// A prefix, its length and its origin a line, with tabs between them, as in data sets made from routing tables.
    Origins,
}

impl Format {
    /// What the beginning of an input looks like.
    ///
    /// ```
    /// use p2pnet_protocol::widescan::input::Format;
    /// assert_eq!(Format::guess(b"# mine\n2001:db8::/32\n"), Format::List);
    /// assert_eq!(Format::guess(b"2|ripencc|20260101|3|19830705|20260101|+0100\n"), Format::Delegated);
    /// assert_eq!(Format::guess(b"% a remark\n\ninet6num: 2001:db8::/32\n"), Format::Rpsl);
    /// ```
    pub fn guess(beginning: &[u8]) -> Self {
        let mut lines = beginning.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let told = lines
            .find(|line| !line.is_empty() && !matches!(line.first(), Some(b'#' | b'%' | b';')));
        let line = told.unwrap_or_default();
        if line.iter().filter(|byte| **byte == b'|').count() >= 5 {
            return Self::Delegated;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let value = line.get(name.len().saturating_add(1)..).unwrap_or_default();
        let letters = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        let spaced = value.first().is_none_or(u8::is_ascii_whitespace);
        if letters && spaced && name.iter().any(u8::is_ascii_alphabetic) && line.contains(&b':') {
            return Self::Rpsl;
        }
        if line.iter().filter(|byte| **byte == b'\t').count() == 2 {
            Self::Origins
        } else {
            Self::List
        }
    }
}

/// What an input says about one range of addresses. What it doesn't say is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The addresses.
    pub range: AddressRange,
    /// The number of the line on which it stands, from 1.
    pub line: u64,
    /// The registry or database that says so.
    pub registry: String,
    /// The country, two letters.
    pub country: String,
    /// What became of the addresses: `allocated`, `assigned`, `ALLOCATED-BY-RIR` and so on.
    pub status: String,
    /// Who has them: the registry's opaque id, the name of the network, its organisation, its maintainers.
    pub holders: Vec<String>,
    /// The autonomous systems that announce them.
    pub origins: Vec<u32>,
    /// How long the prefixes are that customers get, where it is told (`assignment-size`).
    pub assignment_length: Option<u8>,
}

impl Entry {
    fn new(range: AddressRange, line: u64) -> Self {
        Self {
            range,
            line,
            registry: String::new(),
            country: String::new(),
            status: String::new(),
            holders: Vec::new(),
            origins: Vec::new(),
            assignment_length: None,
        }
    }
}

/// A line that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: BadInput,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadInput {
    /// It is longer than any line should be.
    TooLong,
    /// There is no range of IPv6 addresses where there should be one.
    NoRange,
    /// It has too few fields, or a number isn't one.
    Fields,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            BadInput::TooLong => "the line is too long",
            BadInput::NoRange => "expected an IPv6 prefix, range or address",
            BadInput::Fields => "a field is missing or no number",
        };
        write!(f, "line {}: {why}", self.line)
    }
}

impl core::error::Error for BadLine {}

/// Reads an input of one format, in pieces.
///
/// ```
/// use p2pnet_protocol::widescan::input::{BadInput, BadLine, Entry, Format, Reader};
/// let mut reader = Reader::new(Format::List);
/// let mut found: Vec<Result<Entry, BadLine>> = Vec::new();
/// for mut piece in [&b"2001:db8::/3"[..], b"2 # mine\nnothing\n2001:db8:1", b":2::1-2001:db8:1:2::9"] {
///     found.extend(core::iter::from_fn(|| reader.next(&mut piece)));
/// }
/// found.extend(reader.finish());
/// assert_eq!(found[0].as_ref().unwrap().range.to_string(), "2001:db8::/32");
/// assert_eq!(found[1], Err(BadLine { line: 2, why: BadInput::NoRange }));
/// assert_eq!(found[2].as_ref().unwrap().line, 3);
/// ```
#[derive(Clone, Debug)]
pub struct Reader {
    format: Format,
    lines: Lines,
    object: rpsl::Object,
}

impl Reader {
    /// A reader at the beginning of an input.
    pub fn new(format: Format) -> Self {
        Self { format, lines: Lines::default(), object: rpsl::Object::default() }
    }

    /// The next entry or bad line. Takes what it needs off the front of `bytes`, and all of it where there is none: then it
    /// wants more, or [`finish`](Self::finish).
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Result<Entry, BadLine>> {
        while let Some(line) = self.lines.next(bytes) {
            let said = Self::read(self.format, &mut self.object, line);
            if said.is_some() {
                return said;
            }
        }
        None
    }

    /// What the end of the input completes: the last line, if nothing ended it, and the last object. Call it until there is
    /// nothing more.
    pub fn finish(&mut self) -> Option<Result<Entry, BadLine>> {
        let last =
            self.lines.finish().and_then(|line| Self::read(self.format, &mut self.object, line));
        last.or_else(|| self.object.finish())
    }

    fn read(
        format: Format,
        object: &mut rpsl::Object,
        line: Line<'_>,
    ) -> Option<Result<Entry, BadLine>> {
        match format {
            Format::List => list::read(&line),
            Format::Origins => list::read_origin(&line),
            Format::Delegated => delegated::read(&line),
            Format::Rpsl => object.read(&line),
        }
    }
}

/// At most so many bytes of a text are kept.
const TEXT_BYTES_MAX: usize = 128;

/// A text of an input: as UTF-8 if it is that, otherwise as Latin-1, and no longer than any that matters.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.trim_ascii();
    let bytes = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    match core::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests;
