//! Lists of prefixes, ranges and addresses, and of prefixes with their origins.

use super::lines::Line;
use super::{BadInput, BadLine, Entry};
use crate::widescan::range::AddressRange;
use alloc::format;

/// What is on the line before a comment.
fn content(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| matches!(byte, b'#' | b';')).next().unwrap_or_default().trim_ascii()
}

pub(super) fn read(line: &Line<'_>) -> Option<Result<Entry, BadLine>> {
    let content = content(line.bytes);
    if content.is_empty() && !line.cut {
        return None;
    }
    let range = str::from_utf8(content).ok().and_then(range);
    Some(match range {
        Some(range) => Ok(Entry::new(range, line.number)),
        None if line.cut => Err(BadLine { line: line.number, why: BadInput::TooLong }),
        None => Err(BadLine { line: line.number, why: BadInput::NoRange }),
    })
}

/// The first word, or three with a dash between them.
fn range(content: &str) -> Option<AddressRange> {
    let mut words = content
        .split(|c: char| c == ',' || c == '"' || c.is_whitespace())
        .filter(|word| !word.is_empty());
    let first = words.next()?;
    if words.clone().next() == Some("-") {
        return AddressRange::new(first.parse().ok()?, words.nth(1)?.parse().ok()?).ok();
    }
    first.parse().ok()
}

pub(super) fn read_origin(line: &Line<'_>) -> Option<Result<Entry, BadLine>> {
    let content = content(line.bytes);
    if content.is_empty() && !line.cut {
        return None;
    }
    Some(origin(content, line.number).map_err(|why| BadLine { line: line.number, why }))
}

fn origin(content: &[u8], line: u64) -> Result<Entry, BadInput> {
    let mut words =
        str::from_utf8(content).map_err(|_| BadInput::NoRange)?.split_ascii_whitespace();
    let mut word = || words.next().ok_or(BadInput::Fields);
    let (address, length, systems) = (word()?, word()?, word()?);
    let range = format!("{address}/{length}").parse().map_err(|_| BadInput::NoRange)?;
    let mut entry = Entry::new(range, line);
    // Several announce it (`_`), or one of a set (`,`).
    for system in systems.split(['_', ',']).take(super::filter::VALUES_MAX) {
        entry.origins.push(system.parse().map_err(|_| BadInput::Fields)?);
    }
    Ok(entry)
}
