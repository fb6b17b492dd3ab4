//! Statistics of the regional registries. Each line has fields between bars; lines about IPv4, autonomous systems and sums
//! are passed over.

use super::lines::Line;
use super::{BadInput, BadLine, Entry, text};
use crate::widescan::range::AddressRange;
use core::net::Ipv6Addr;

pub(super) fn read(line: &Line<'_>) -> Option<Result<Entry, BadLine>> {
    let bytes = line.bytes.trim_ascii();
    if bytes.is_empty() || bytes.starts_with(b"#") {
        return None;
    }
    let mut fields = bytes.split(|byte| *byte == b'|');
    let (registry, country, kind) = (fields.next()?, fields.next()?, fields.next()?);
    // The first line has the date there; sums have a star in place of the country.
    if kind != b"ipv6" || country == b"*" || bytes.ends_with(b"|summary") {
        return None;
    }
    let range = match (fields.next(), fields.next()) {
        (Some(start), Some(length)) => prefix(start, length),
        _ => Err(BadInput::Fields),
    };
    let range = match range {
        Ok(range) => range,
        Err(why) => return Some(Err(BadLine { line: line.number, why })),
    };
    let mut entry = Entry::new(range, line.number);
    entry.registry = text(registry);
    entry.country = text(country);
    let _date = fields.next();
    entry.status = text(fields.next().unwrap_or_default());
    entry.holders.extend(fields.next().map(text).filter(|holder| !holder.is_empty()));
    Some(Ok(entry))
}

fn prefix(start: &[u8], length: &[u8]) -> Result<AddressRange, BadInput> {
    let number = |bytes| str::from_utf8(bytes).ok().and_then(|text: &str| text.parse().ok());
    let length = number(length).ok_or(BadInput::Fields)?;
    let start: Ipv6Addr =
        str::from_utf8(start).ok().and_then(|text| text.parse().ok()).ok_or(BadInput::NoRange)?;
    AddressRange::prefix(start, length).map_err(|_| BadInput::NoRange)
}
