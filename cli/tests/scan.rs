//! `p2pnet scan --list`: the addresses of a scan, as other programs get them.

mod common;

use common::{Place, fail, p2pnet, succeed, text};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::Ipv6Addr;
use std::process::Stdio;

/// The addresses that a list prints, of networks that need no permission to be printed.
fn list(options: &[&str]) -> Vec<Ipv6Addr> {
    let said = succeed([&["scan", "--list", "--allow-special"], options].concat());
    said.lines()
        .map(|line| {
            let address: Ipv6Addr = line.parse().unwrap_or_else(|_| panic!("{line:?}"));
            assert_eq!(address.to_string(), line, "as RFC 5952 has it");
            address
        })
        .collect()
}

fn set(addresses: &[Ipv6Addr]) -> BTreeSet<Ipv6Addr> {
    let set: BTreeSet<Ipv6Addr> = addresses.iter().copied().collect();
    assert_eq!(set.len(), addresses.len(), "each once");
    set
}

#[test]
fn each_address_once_and_none_that_is_excluded() {
    let place = Place::new();
    let prefixes =
        place.file("prefixes", "# mine\nfd00:1::/118\nfd00:2::10-fd00:2::4f\nfd00:3::5\n");
    let excluded = place.file("excluded", "fd00:1::40/122 asked us to\nfd00:2::20\n");
    let options = [
        "--prefixes",
        text(&prefixes),
        "--prefixes",
        "fd00:4::/124",
        "--exclude",
        text(&excluded),
        "--exclude",
        "fd00:3::5",
    ];
    let all = set(&list(&options));
    assert_eq!(all.len(), 1024 - 64 + 64 - 1 + 16);
    for (address, there) in [
        ("fd00:1::3f", true),
        ("fd00:1::40", false),
        ("fd00:1::7f", false),
        ("fd00:1::80", true),
        ("fd00:2::f", false),
        ("fd00:2::10", true),
        ("fd00:2::1f", true),
        ("fd00:2::20", false),
        ("fd00:2::21", true),
        ("fd00:3::5", false),
    ] {
        assert_eq!(all.contains(&address.parse().unwrap()), there, "{address}");
    }
    // Another seed and order: other places, the same addresses.
    let first = list(&options);
    for other in [["--seed", "7"], ["--order", "random"]] {
        let others = list(&[&options[..], &other].concat());
        assert_ne!(first, others);
        assert_eq!(set(&others), all);
    }
}

#[test]
fn shards_are_the_whole_and_binary_is_the_same() {
    let options = [
        "--prefixes",
        "fd00::/62",
        "--strategy",
        "low-byte:6",
        "--strategy",
        "ports:53,80,443",
        "--seed",
        "3",
    ];
    let all = list(&options);
    assert!(all.len() > 4 * 64);
    let mut shards = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        shards.extend(list(&[&options[..], &["--shard", shard]].concat()));
    }
    assert_eq!(set(&shards), set(&all));
    let output =
        common::run([&["scan", "--list", "--allow-special", "--binary"], &options[..]].concat());
    let binary: Vec<Ipv6Addr> =
        output.stdout.as_chunks::<16>().0.iter().map(|bytes| (*bytes).into()).collect();
    assert_eq!((binary.len() * 16, &binary), (output.stdout.len(), &all));
}

#[test]
fn a_list_that_was_cut_goes_on() {
    let place = Place::new();
    let cursor = place.path("cursor");
    let options = ["--prefixes", "fd00::/114", "--exclude", "fd00::1:0/112", "--seed", "5"];
    let whole = list(&options);
    let mut pieces = Vec::new();
    for count in ["1", "5000", "7", "100000"] {
        // What the cursor knows needn't be said again.
        let options = if pieces.is_empty() { &options[..] } else { &options[..4] };
        pieces.extend(list(&[options, &["--count", count, "--resume", text(&cursor)]].concat()));
    }
    assert_eq!(pieces, whole);
    assert_eq!(
        list(&[&options[..], &["--resume", text(&cursor)]].concat()),
        [Ipv6Addr::UNSPECIFIED; 0],
        "it is done"
    );
    for other in [
        &["--prefixes", "fd00::/113"][..],
        &["--prefixes", "fd00::/114", "--seed", "6"],
        &["--prefixes", "fd00::/114", "--shard", "1/2"],
    ] {
        let (code, said) = fail(
            [&["scan", "--list", "--allow-special", "--resume", text(&cursor)], other].concat(),
        );
        assert!(
            code == 2 && (said.contains("another scan") || said.contains("of shard 1/1")),
            "{said}"
        );
    }
    std::fs::write(&cursor, "words").unwrap();
    let (code, said) = fail(
        [&["scan", "--list", "--allow-special", "--resume", text(&cursor)], &options[..]].concat(),
    );
    assert!(code == 2 && said.contains("no cursor"), "{said}");
}

#[test]
fn an_endless_list_ends_with_its_reader() {
    let mut listing = p2pnet(["scan", "--list", "--prefixes", "2a00::/16"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 1 << 16];
    listing.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert!(listing.wait().unwrap().success());
}

#[test]
fn files_of_registries_are_filtered() {
    let place = Place::new();
    let statistics = place.file(
        "delegated",
        "2|ripencc|1700000000|3|19830705|20260101|+0100\n\
         ripencc|NL|ipv6|2a00:1::|124|20200101|allocated|one\n\
         ripencc|DE|ipv6|2a00:2::|124|20200101|assigned|two\n\
         ripencc||ipv6|2a00:3::|124||available|\n",
    );
    let routes = place.file(
        "route6.db",
        "route6: 2a00:4::/124\norigin: AS64500\nsource: TEST\n\nroute6: 2a00:5::/124\norigin: AS64501\nsource: TEST\n",
    );
    let count = |options: &[&str]| succeed([&["scan", "--list"], options].concat()).lines().count();
    assert_eq!(count(&["--prefixes", text(&statistics)]), 32);
    assert_eq!(count(&["--prefixes", text(&statistics), "--country", "nl"]), 16);
    assert_eq!(
        count(&["--prefixes", text(&statistics), "--holder", "two", "--status", "assigned"]),
        16
    );
    assert_eq!(count(&["--prefixes", text(&routes), "--origin", "as64501"]), 16);
    let (code, said) = fail(["scan", "--list", "--prefixes", text(&statistics), "--country", "fr"]);
    assert!(code == 1 && said.contains("the filters leave none"), "{said}");
}

#[test]
fn known_addresses_lead_to_their_neighbours() {
    let place = Place::new();
    let known = place.file("known", "fd00::11\nfd00::13\nfd00::16\nfd00:0:0:1::80\n");
    let seeds = format!("seeds:100:{}", text(&known));
    let all = set(&list(&["--prefixes", "fd00::/56", "--strategy", &seeds]));
    assert!((10..=100).contains(&all.len()), "{}", all.len());
    for address in ["fd00::11", "fd00::12", "fd00::14", "fd00:0:0:1::80"] {
        assert!(all.contains(&address.parse().unwrap()), "{address}");
    }
    assert_eq!(list(&["--prefixes", "fd00:0:0:1::/64", "--strategy", &seeds]).len(), 16);
}

#[test]
fn what_makes_no_scan_is_named() {
    let place = Place::new();
    let wrong = place.file("wrong", "2a00::/16\n2a00::/129\n");
    for (options, words) in [
        (&["--list", "--prefixes", "fd00::/64"][..], "--allow-special"),
        (&["--list", "--prefixes", "2a00::/64", "--exclude", "2a00::/32"], "nothing is left"),
        (&["--list", "--prefixes", "2a00::/16", "--split", "48"], "smaller --split"),
        (&["--list", "--prefixes", text(&wrong)], "line 2"),
        (&["--list", "--prefixes", "/nowhere/x"], "can't read /nowhere/x"),
        (&["--list", "--prefixes", "2a00::/64", "--strategy", "guess"], "expected full, low-byte"),
        (&["--list", "--prefixes", "2a00::/64", "--shard", "0/2"], "counted from 1"),
        (&["--list"], "--prefixes"),
        (&["--prefixes", "2a00::/64"], "--list"),
    ] {
        let (_, said) = fail([&["scan"], options].concat());
        assert!(said.contains(words), "{options:?}: {said}");
    }
}
