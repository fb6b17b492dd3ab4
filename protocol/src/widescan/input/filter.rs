//! Which entries of an input are meant.

use super::Entry;
use alloc::string::String;
use alloc::vec::Vec;

/// At most so many holders or origins of one entry are kept.
pub(super) const VALUES_MAX: usize = 16;

/// Which entries to take: each list that isn't empty must have one of the entry's values. Case doesn't matter.
///
/// ```
/// use p2pnet_protocol::widescan::input::{Filter, Format, Reader};
/// let mut text = &b"ripencc|NL|ipv6|2001:db8::|32|20200101|allocated|abc\n\
///                   ripencc|NL|ipv6|2001:db9::|32||available|\n"[..];
/// let filter = Filter { countries: vec!["nl".into()], ..Filter::default() };
/// let mut reader = Reader::new(Format::Delegated);
/// let taken: Vec<bool> =
///     core::iter::from_fn(|| reader.next(&mut text)).map(|entry| filter.takes(&entry.unwrap())).collect();
/// assert_eq!(taken, [true, false], "nobody is there");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Countries, two letters each.
    pub countries: Vec<String>,
    /// Registries or databases.
    pub registries: Vec<String>,
    /// What became of the addresses. Without one, everything that isn't `available` or `reserved`.
    pub statuses: Vec<String>,
    /// Who has them.
    pub holders: Vec<String>,
    /// Autonomous systems.
    pub origins: Vec<u32>,
    /// Whether space that is `available` or `reserved` counts without being asked for.
    pub all: bool,
}

impl Filter {
    /// The filter that takes every entry, also of space that nobody has.
    pub fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Whether an entry is meant.
    pub fn takes(&self, entry: &Entry) -> bool {
        let status = if self.statuses.is_empty() {
            self.all
                || !["available", "reserved"]
                    .iter()
                    .any(|free| entry.status.eq_ignore_ascii_case(free))
        } else {
            has(&self.statuses, &entry.status)
        };
        status
            && (self.countries.is_empty() || has(&self.countries, &entry.country))
            && (self.registries.is_empty() || has(&self.registries, &entry.registry))
            && (self.holders.is_empty()
                || entry.holders.iter().any(|holder| has(&self.holders, holder)))
            && (self.origins.is_empty()
                || entry.origins.iter().any(|origin| self.origins.contains(origin)))
    }
}

fn has(wanted: &[String], value: &str) -> bool {
    wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
}
