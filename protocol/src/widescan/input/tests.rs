use super::*;
use alloc::format;
use alloc::string::ToString as _;
use proptest::prelude::*;

/// Everything an input says, when it comes in pieces of such sizes.
fn read(format: Format, input: &[u8], sizes: &[usize]) -> Vec<Result<Entry, BadLine>> {
    let (mut reader, mut found, mut rest) = (Reader::new(format), Vec::new(), input);
    for size in sizes.iter().cycle() {
        let (mut piece, after) = rest.split_at((*size).max(1).min(rest.len()));
        while let Some(said) = reader.next(&mut piece) {
            found.push(said);
        }
        assert!(piece.is_empty());
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    while let Some(said) = reader.finish() {
        found.push(said);
    }
    found
}

fn shown(format: Format, input: &str) -> Vec<String> {
    read(format, input.as_bytes(), &[5])
        .into_iter()
        .map(|said| match said {
            Ok(entry) => format!(
                "{}: {} {} {} {} {:?} {:?} {:?}",
                entry.line,
                entry.range,
                entry.registry,
                entry.country,
                entry.status,
                entry.holders,
                entry.origins,
                entry.assignment_length
            ),
            Err(bad) => bad.to_string(),
        })
        .collect()
}

const LIST: &str = "\
# prefixes
2001:db8::/32 a tag
2001:db8:1::1\t# one

2001:db8::1-2001:db8::5
2001:db8::1 - 2001:db8::5
\"2001:db8:2::/48\",alias,1
2001:db8:1:2
  2001:db8:3::/48;x\r
1.2.3.4
::/0";

const DELEGATED: &str = "\
2|ripencc|1700000000|4|19830705|20260101|+0100
ripencc|*|ipv4|*|2|summary
ripencc|*|ipv6|*|2|summary
ripencc|NL|ipv4|192.0.2.0|256|20200101|allocated
ripencc|NL|ipv6|2001:db8::|32|20200101|allocated|0c9e-4a
ripencc||ipv6|2001:db9::|32||available|
ripencc|DE|ipv6|2001:dba::|129|20200101|assigned
ripencc|DE|ipv6|2001:dba::|x|20200101|assigned
ripencc|DE|ipv6
ripencc|DE|asn|64500|1|20200101|assigned
";

const RPSL: &str = "\
% a server's remark

inet6num:       2001:db8::/32
netname:        EXAMPLE-NET
descr:          words: with a colon
country:        NL
org:            ORG-EX1-TEST
status:         AGGREGATED-BY-LIR
assignment-size: 56
mnt-by:         ONE-MNT, TWO-MNT # and a comment
                THREE-MNT
+
+               FOUR-MNT
source:         TEST

person:         Nobody
origin:         AS1


route6:         2001:db8:1::/48
origin:         AS64500
source:         TEST

route6:         192.0.2.0/24
origin:         AS64501

Inet6num :2001:db8:2::/48
origin: as64502";

#[test]
fn lists_are_read() {
    let line = |number: u64, range: &str| format!("{number}: {range}    [] [] None");
    assert_eq!(
        shown(Format::List, LIST),
        [
            line(2, "2001:db8::/32"),
            line(3, "2001:db8:1::1/128"),
            line(5, "2001:db8::1-2001:db8::5"),
            line(6, "2001:db8::1-2001:db8::5"),
            line(7, "2001:db8:2::/48"),
            line(8, "2001:db8:1:2::/64"),
            line(9, "2001:db8:3::/48"),
            "line 10: expected an IPv6 prefix, range or address".into(),
            line(11, "::/0"),
        ]
    );
}

#[test]
fn statistics_are_read() {
    assert_eq!(
        shown(Format::Delegated, DELEGATED),
        [
            "5: 2001:db8::/32 ripencc NL allocated [\"0c9e-4a\"] [] None",
            "6: 2001:db9::/32 ripencc  available [] [] None",
            "line 7: expected an IPv6 prefix, range or address",
            "line 8: a field is missing or no number",
            "line 9: a field is missing or no number",
        ]
    );
}

#[test]
fn objects_are_read() {
    assert_eq!(
        shown(Format::Rpsl, RPSL),
        [
            "3: 2001:db8::/32 TEST NL AGGREGATED-BY-LIR [\"EXAMPLE-NET\", \"ORG-EX1-TEST\", \"ONE-MNT\", \"TWO-MNT\", \
             \"THREE-MNT\", \"FOUR-MNT\"] [] Some(56)",
            "20: 2001:db8:1::/48 TEST   [] [64500] None",
            "line 24: expected an IPv6 prefix, range or address",
            "27: 2001:db8:2::/48    [] [64502] None",
        ]
    );
}

#[test]
fn origins_are_read() {
    let text = "2001:db8::\t32\t64500\n2001:db9::\t32\t64501_64502,64503\n2001:db9::\t32\n2001:db9::\t32\tx\n";
    assert_eq!(
        shown(Format::Origins, text),
        [
            "1: 2001:db8::/32    [] [64500] None",
            "2: 2001:db9::/32    [] [64501, 64502, 64503] None",
            "line 3: a field is missing or no number",
            "line 4: a field is missing or no number",
        ]
    );
}

#[test]
fn formats_are_guessed() {
    for (text, format) in [
        (LIST, Format::List),
        (DELEGATED, Format::Delegated),
        (RPSL, Format::Rpsl),
        ("2001:db8::\t32\t64500\n", Format::Origins),
        ("fd00::1\n", Format::List),
        ("::1\n", Format::List),
        ("face:b00c::/32", Format::List),
        ("", Format::List),
    ] {
        assert_eq!(Format::guess(text.as_bytes()), format, "{text}");
    }
}

#[test]
fn long_lines_are_cut_and_told() {
    let long = "x".repeat(100_000);
    let list = format!("2001:db8::/32 {long}\n{long}\n2001:db9::/32\n{long}");
    for sizes in [&[1][..], &[100_000_000], &[4096]] {
        let said: Vec<String> = read(Format::List, list.as_bytes(), sizes)
            .into_iter()
            .map(|said| said.map_or_else(|bad| bad.to_string(), |entry| entry.range.to_string()))
            .collect();
        let too_long = |line| format!("line {line}: the line is too long");
        assert_eq!(
            said,
            ["2001:db8::/32".into(), too_long(2), "2001:db9::/32".into(), too_long(4)]
        );
    }
    let object = format!(
        "route6: 2001:db8::/32\nremarks: {long}\norigin: AS1\nmnt-by: {}\n",
        "A,".repeat(10_000)
    );
    let said = read(Format::Rpsl, object.as_bytes(), &[999]);
    let entry = said[0].as_ref().unwrap();
    assert_eq!((&entry.origins[..], entry.holders.len()), (&[1][..], filter::VALUES_MAX));
}

#[test]
fn each_filter_counts() {
    let entry = read(Format::Rpsl, RPSL.as_bytes(), &[100]).swap_remove(0).unwrap();
    let route = read(Format::Rpsl, RPSL.as_bytes(), &[100]).swap_remove(1).unwrap();
    assert!(Filter::default().takes(&entry) && Filter::default().takes(&route));
    let list = |text: &str| Vec::from([text.into()]);
    for (filter, takes) in [
        (Filter { countries: list("nl"), ..Filter::default() }, true),
        (Filter { countries: list("de"), ..Filter::default() }, false),
        (Filter { registries: list("test"), ..Filter::default() }, true),
        (Filter { registries: list("other"), ..Filter::default() }, false),
        (Filter { statuses: list("aggregated-by-lir"), ..Filter::default() }, true),
        (Filter { statuses: list("allocated"), ..Filter::default() }, false),
        (Filter { holders: list("three-mnt"), ..Filter::default() }, true),
        (Filter { holders: list("nobody"), ..Filter::default() }, false),
        (Filter { origins: Vec::from([64500]), ..Filter::default() }, false),
        (Filter { countries: list("nl"), holders: list("nobody"), ..Filter::default() }, false),
    ] {
        assert_eq!(filter.takes(&entry), takes, "{filter:?}");
    }
    assert!(Filter { origins: Vec::from([64500]), ..Filter::default() }.takes(&route));
    let reserved = read(Format::Delegated, DELEGATED.as_bytes(), &[100]).swap_remove(1).unwrap();
    assert!(!Filter::default().takes(&reserved));
    assert!(Filter { statuses: list("available"), ..Filter::default() }.takes(&reserved));
}

const FORMATS: [Format; 4] = [Format::List, Format::Delegated, Format::Rpsl, Format::Origins];

proptest! {
    /// How the bytes are cut changes nothing, whatever they are.
    #[test]
    fn pieces_of_any_size_say_the_same(
        lines in prop::collection::vec(
            prop_oneof![
                Just(LIST.to_string()), Just(DELEGATED.to_string()), Just(RPSL.to_string()),
                ".{0,60}", "[0-9a-f:/|#%+ \t\r\n-]{0,60}",
            ],
            0..6,
        ),
        sizes in prop::collection::vec(1usize..70, 1..8),
    ) {
        let input = lines.join("\n");
        for format in FORMATS {
            prop_assert_eq!(read(format, input.as_bytes(), &sizes), read(format, input.as_bytes(), &[usize::MAX]));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in FORMATS {
            for entry in read(format, &bytes, &[7]).into_iter().flatten() {
                prop_assert!(entry.range.first() <= entry.range.last());
                prop_assert!(entry.holders.len() <= filter::VALUES_MAX);
                prop_assert!(entry.origins.len() <= filter::VALUES_MAX);
            }
        }
    }
}
