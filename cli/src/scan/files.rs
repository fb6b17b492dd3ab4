//! Ranges from the command line and from files.

use super::warn;
use crate::failure::Failure;
use flate2::read::MultiGzDecoder;
use p2pnet_protocol::widescan::AddressRange;
use p2pnet_protocol::widescan::input::{BadLine, Entry, Filter, Format, Reader};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// How much of an input is looked at to see what it is.
const GLANCE_BYTES: usize = 16 << 10;

/// No input is longer when it is unpacked.
const INPUT_BYTES_MAX: u64 = 64 << 30;

/// Gives every range of `source`, which is one, or the name of a file of them.
pub(super) fn ranges(
    source: &str,
    filter: &Filter,
    take: impl FnMut(AddressRange),
) -> Result<(), Failure> {
    let mut take = take;
    if let Ok(range) = source.parse() {
        take(range);
        return Ok(());
    }
    let failed = |error: io::Error| {
        Failure::failed(format!("can't read {source}: {error}"))
            .fix("name a prefix such as 2001:db8::/32, or a file of them")
    };
    let input: Box<dyn Read> = match source {
        "-" => Box::new(io::stdin().lock()),
        path => Box::new(File::open(path).map_err(failed)?),
    };
    let mut input = BufReader::with_capacity(GLANCE_BYTES, input);
    let packed = input.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let unpacked: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    let counts = read(unpacked.take(INPUT_BYTES_MAX), filter, &mut take).map_err(failed)?;
    counts.judge(source)
}

#[derive(Debug, Default)]
struct Counts {
    format: Option<Format>,
    taken: u64,
    filtered: u64,
    bad: u64,
    first_bad: Option<BadLine>,
}

impl Counts {
    fn add(
        &mut self,
        said: Result<Entry, BadLine>,
        filter: &Filter,
        take: &mut impl FnMut(AddressRange),
    ) {
        match said {
            Ok(entry) if filter.takes(&entry) => {
                take(entry.range);
                self.taken += 1;
            }
            Ok(_) => self.filtered += 1,
            Err(bad) => {
                self.bad += 1;
                self.first_bad.get_or_insert(bad);
            }
        }
    }

    /// A list that somebody wrote must be right: who misspells an exclusion wants to know. Registries' files have odd lines.
    fn judge(self, source: &str) -> Result<(), Failure> {
        if let Some(bad) = self.first_bad {
            if self.format == Some(Format::List) {
                return Err(Failure::usage(format!("{source}: {bad}"))
                    .fix("correct the line, or make it a comment"));
            }
            warn(format_args!("{source}: passed over {} lines, the first: {bad}", self.bad));
        }
        if self.taken == 0 {
            let left = if self.filtered > 0 { ": the filters leave none" } else { "" };
            warn(format_args!("{source}: no prefixes are in it{left}"));
        }
        Ok(())
    }
}

fn read(
    input: impl Read,
    filter: &Filter,
    take: &mut impl FnMut(AddressRange),
) -> io::Result<Counts> {
    let mut input = BufReader::with_capacity(GLANCE_BYTES, input);
    let format = Format::guess(input.fill_buf()?);
    let (mut reader, mut counts) =
        (Reader::new(format), Counts { format: Some(format), ..Counts::default() });
    loop {
        let piece = input.fill_buf()?;
        let (mut rest, bytes) = (piece, piece.len());
        if bytes == 0 {
            break;
        }
        while let Some(said) = reader.next(&mut rest) {
            counts.add(said, filter, take);
        }
        input.consume(bytes);
    }
    while let Some(said) = reader.finish() {
        counts.add(said, filter, take);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn taken(content: &[u8], filter: &Filter) -> Result<Vec<String>, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let mut found = Vec::new();
        ranges(file.path().to_str().unwrap(), filter, |range| found.push(range.to_string()))?;
        Ok(found)
    }

    #[test]
    fn files_are_read_plain_or_packed() {
        let text = b"ripencc|NL|ipv6|2001:db8::|32|20200101|allocated\nripencc|DE|ipv6|2001:db9::|32|20200101|allocated\n";
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text).unwrap();
        let packed = packer.finish().unwrap();
        let filter = Filter { countries: vec!["NL".into()], ..Filter::default() };
        for content in [&text[..], &packed, &[packed.clone(), packed.clone()].concat()] {
            assert_eq!(taken(content, &filter).unwrap()[0], "2001:db8::/32");
        }
        let cut = taken(&packed[..packed.len() - 9], &filter).unwrap_err().to_string();
        assert!(cut.contains("can't read"), "{cut}");
    }

    #[test]
    fn a_list_must_be_right() {
        assert_eq!(
            taken(b"# mine\n2001:db8::/32\n", &Filter::default()).unwrap(),
            ["2001:db8::/32"]
        );
        let said =
            taken(b"2001:db8::/32\n2001:db8::/322\n", &Filter::default()).unwrap_err().to_string();
        assert!(said.contains("line 2: expected an IPv6 prefix"), "{said}");
        let said = ranges("nowhere", &Filter::default(), |_| {}).unwrap_err().to_string();
        assert!(said.contains("can't read nowhere"), "{said}");
    }
}
