//! Objects in RPSL. Blank lines stand between them; a line is `attribute: value`, or goes on with the value before it if it
//! begins with a blank or `+`; `#` begins a comment, `%` a remark of the server.

use super::filter::VALUES_MAX;
use super::lines::Line;
use super::{BadInput, BadLine, Entry, text};
use crate::widescan::range::AddressRange;

/// The object that is being read: of it only what an [`Entry`] has.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// There from its first line on, if that names IPv6 addresses.
    entry: Option<Result<Entry, BadLine>>,
    /// Whether its first line was read.
    begun: bool,
    /// What a line that goes on belongs to.
    attribute: Attribute,
}

#[derive(Clone, Copy, Debug, Default)]
enum Attribute {
    #[default]
    Other,
    Holder,
    Origin,
}

impl Object {
    /// Takes a line. A blank one completes the object.
    pub(super) fn read(&mut self, line: &Line<'_>) -> Option<Result<Entry, BadLine>> {
        if line.bytes.first() == Some(&b'%') {
            return None;
        }
        if line.bytes.trim_ascii().is_empty() && line.bytes.first() != Some(&b'+') {
            return self.finish();
        }
        let content = line.bytes.split(|byte| *byte == b'#').next().unwrap_or_default();
        if matches!(content.first(), Some(b' ' | b'\t' | b'+')) {
            self.value(self.attribute, content.get(1..).unwrap_or_default());
            return None;
        }
        let mut halves = content.splitn(2, |byte| *byte == b':');
        let name = halves.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        self.attribute(&name, halves.next().unwrap_or_default().trim_ascii(), line);
        None
    }

    /// The end of an object.
    pub(super) fn finish(&mut self) -> Option<Result<Entry, BadLine>> {
        core::mem::take(self).entry
    }

    fn attribute(&mut self, name: &[u8], value: &[u8], line: &Line<'_>) {
        self.attribute = Attribute::Other;
        if !core::mem::replace(&mut self.begun, true) {
            if matches!(name, b"inet6num" | b"route6") {
                let range: Option<AddressRange> = text(value).parse().ok();
                let why = if line.cut { BadInput::TooLong } else { BadInput::NoRange };
                let entry = range.map(|range| Entry::new(range, line.number));
                self.entry = Some(entry.ok_or(BadLine { line: line.number, why }));
            }
            return;
        }
        let Some(Ok(entry)) = &mut self.entry else { return };
        match name {
            b"country" if entry.country.is_empty() => entry.country = text(value),
            b"status" if entry.status.is_empty() => entry.status = text(value),
            b"source" if entry.registry.is_empty() => entry.registry = text(value),
            b"assignment-size" => {
                entry.assignment_length = text(value).parse().ok().filter(|length| *length <= 128)
            }
            b"netname" | b"org" | b"mnt-by" => self.attribute = Attribute::Holder,
            b"origin" => self.attribute = Attribute::Origin,
            _ => {}
        }
        self.value(self.attribute, value);
    }

    /// A value, or more of it, of an attribute that is a list.
    fn value(&mut self, attribute: Attribute, value: &[u8]) {
        let Some(Ok(entry)) = &mut self.entry else { return };
        let words = value
            .split(|byte| *byte == b',' || byte.is_ascii_whitespace())
            .filter(|word| !word.is_empty());
        for word in words {
            match attribute {
                Attribute::Holder if entry.holders.len() < VALUES_MAX => {
                    entry.holders.push(text(word))
                }
                Attribute::Origin if entry.origins.len() < VALUES_MAX => {
                    let number = word
                        .strip_prefix(b"AS")
                        .or_else(|| word.strip_prefix(b"as"))
                        .unwrap_or(word);
                    entry.origins.extend(text(number).parse::<u32>().ok());
                }
                _ => return,
            }
        }
    }
}
