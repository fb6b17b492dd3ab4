//! What a widescan reads: lists and registries' files, texts, cursors.

use crate::script::Script;
use p2pnet_protocol::widescan::input::{Format, Reader};
use p2pnet_protocol::widescan::{
    AddressRange, Checkpoint, Contact, Cursor, Heard, Meeting, Oui, Pattern, ProbeConfig, Prober,
    RangeSet, Shard, SpaceLimits, Strategy, Targets,
};
use std::net::Ipv6Addr;

/// Inputs of every format, whole and in pieces.
pub(crate) fn input(data: &[u8]) {
    let mut script = Script::new(data);
    let choice = script.byte();
    let text = script.rest();
    let formats =
        [Format::guess(text), Format::List, Format::Delegated, Format::Rpsl, Format::Origins];
    let format = formats[usize::from(choice) % formats.len()];
    let (mut whole, mut pieces) = (Reader::new(format), Reader::new(format));
    let (mut rest, size) = (text, usize::from(choice / 5) + 1);
    let mut chunks = text.chunks(size);
    let mut piece: &[u8] = &[];
    loop {
        let one = whole.next(&mut rest).or_else(|| whole.finish());
        let other = loop {
            if let Some(said) = pieces.next(&mut piece) {
                break Some(said);
            }
            match chunks.next() {
                Some(next) => piece = next,
                None => break pieces.finish(),
            }
        };
        assert_eq!(one, other, "pieces say what the whole says");
        let Some(said) = one else { return };
        if let Ok(entry) = said {
            let shown = entry.range.to_string();
            assert_eq!(shown.parse(), Ok(entry.range));
        }
    }
}

/// Ranges, patterns, vendors and shards as text, and a space made of them.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut targets = Targets::new();
    targets.allow_special();
    let mut ranges = RangeSet::new();
    for line in text.lines().take(8) {
        if let Ok(range) = line.parse::<AddressRange>() {
            assert_eq!(range.to_string().parse(), Ok(range));
            targets.add(range);
            ranges.insert(range);
        }
        if let Some(range) = line.strip_prefix('!').and_then(|line| line.parse().ok()) {
            targets.exclude(range);
        }
        if let Ok(pattern) = line.parse::<Pattern>() {
            targets.strategy(&Strategy::Patterns(vec![pattern]));
        }
        if let Ok(oui) = line.parse::<Oui>() {
            targets.strategy(&Strategy::Eui64 { ouis: vec![oui] });
        }
        if let Ok(shard) = line.parse::<Shard>() {
            assert_eq!(shard.to_string().parse(), Ok(shard));
        }
    }
    let limits = SpaceLimits { prefixes_max: 16, segments_max: 512, digits_max: 4096 };
    let Ok(space) = targets.compile(&limits) else { return };
    let last = space.last_index();
    for index in [0, 1, last / 3, last / 2, last.saturating_sub(1), last] {
        if let Some(address) = space.address(index) {
            assert_eq!(space.index_of(address), Some(index.min(last)), "{address}");
            assert!(ranges.contains(address), "{address} is in no prefix");
        }
    }
    assert_eq!(space.index_of(Ipv6Addr::UNSPECIFIED), None);
}

/// A scan's prober, whose key is known here alone.
pub(crate) fn prober() -> Prober {
    let contact = Contact::new("mailto:noc@example.org").expect("a contact");
    let meeting = Some(Meeting { port: 4000, peer: [9; 16] });
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    Prober::new([7; 16], ProbeConfig { source, hop_limit: 64, contact, meeting })
}

/// Packets: whole, and as messages whose checksum is put right.
pub(crate) fn packet(data: &[u8]) {
    let prober = prober();
    prober.hear(data);
    let (Some((ip, message)), true) = (data.split_first_chunk::<40>(), data.len() >= 48) else {
        return;
    };
    let from = |at: usize| <[u8; 16]>::try_from(&ip[at..at + 16]).expect("16 bytes");
    let (source, destination) = (from(8), from(24));
    let mut message = message.to_vec();
    let sum = checksum(source, destination, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    match prober.hear_icmp(source.into(), destination.into(), &message) {
        Heard::Reply(reply) => assert_eq!(reply.target, Ipv6Addr::from(source)),
        Heard::OptOut(target) => assert_eq!(target, Ipv6Addr::from(source)),
        Heard::Advert(advert) => {
            assert!(
                advert.meeting.port != 0 && advert.contact.as_str().len() <= Contact::BYTES_MAX
            );
        }
        Heard::Error(error) => assert_eq!(error.from, Ipv6Addr::from(source)),
        Heard::Forged | Heard::Other => {}
    }
}

/// RFC 4443, section 2.3, by hand.
fn checksum(source: [u8; 16], destination: [u8; 16], message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let whole = [
        &source[..],
        &destination,
        &length,
        &[0, 0, 0, 58],
        &message[..2],
        &[0, 0],
        &message[4..],
        &[0],
    ]
    .concat();
    let mut sum = whole
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// Cursors and checkpoints.
pub(crate) fn cursor(data: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::from_bytes(data) {
        assert_eq!(checkpoint.to_bytes(), data);
        assert!(data.starts_with(&checkpoint.cursor().to_bytes()));
    }
    if let Ok(cursor) = Cursor::from_bytes(data) {
        assert_eq!(cursor.to_bytes(), data);
    }
}
