use super::super::range::low_bits;
use super::super::strategy::{Ipv4Form, Oui, Strategy};
use super::super::targets::Targets;
use super::*;
use alloc::collections::BTreeSet;
use alloc::vec;
use proptest::prelude::*;

fn compile(
    prefixes: &[&str],
    excluded: &[&str],
    strategies: &[Strategy],
) -> Result<Space, SpaceError> {
    let mut targets = Targets::new();
    targets.allow_special();
    prefixes.iter().for_each(|prefix| targets.add(prefix.parse().unwrap()));
    excluded.iter().for_each(|range| targets.exclude(range.parse().unwrap()));
    strategies.iter().for_each(|strategy| targets.strategy(strategy));
    targets.compile(&SpaceLimits::default())
}

/// Every address, and that each index and its address stand for each other.
fn all(space: &Space) -> BTreeSet<Ipv6Addr> {
    let mut seen = BTreeSet::new();
    for index in 0..=space.last_index() {
        let Some(address) = space.address(index) else {
            assert!(space.may_overlap());
            continue;
        };
        assert!(seen.insert(address), "{address} came twice");
        assert_eq!(space.index_of(address), Some(index), "{address}");
    }
    assert_eq!(space.address(space.last_index() + 1), None);
    seen
}

#[test]
fn excluded_addresses_have_no_index_and_their_neighbours_have() {
    let space = compile(
        &["fd00::/112", "fd00:1::/120"],
        &["fd00::10-fd00::1f", "fd00::ff00/120", "fd00:1::", "fd00:1::ff", "fd00:1::80/127"],
        &[],
    );
    let space = space.unwrap();
    let seen = all(&space);
    assert_eq!(seen.len(), 65_536 - 16 - 256 + 256 - 4);
    for (address, there) in [
        ("fd00::f", true),
        ("fd00::10", false),
        ("fd00::1f", false),
        ("fd00::20", true),
        ("fd00::feff", true),
        ("fd00::ff00", false),
        ("fd00::ffff", false),
        ("fd00:1::", false),
        ("fd00:1::1", true),
        ("fd00:1::7f", true),
        ("fd00:1::80", false),
        ("fd00:1::81", false),
        ("fd00:1::82", true),
        ("fd00:1::fe", true),
        ("fd00:1::ff", false),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(seen.contains(&address), there, "{address}");
        assert_eq!(space.index_of(address).is_some(), there, "{address}");
    }
}

#[test]
fn special_space_is_left_out_unless_it_is_allowed() {
    let mut targets = Targets::new();
    targets.add("::/0".parse().unwrap());
    let space = targets.clone().compile(&SpaceLimits::default()).unwrap();
    for special in super::super::special::SPECIAL {
        let range = special.range();
        assert_eq!(space.index_of(range.first()), None, "{range}");
        assert_eq!(space.index_of(range.last()), None, "{range}");
    }
    assert!(space.index_of("2a00::1".parse().unwrap()).is_some());
    targets.allow_special();
    let space = targets.compile(&SpaceLimits::default()).unwrap();
    assert!(space.index_of("fd00::1".parse().unwrap()).is_some());
    assert_eq!(space.index_of("ff02::1".parse().unwrap()), None);
    let mut local = Targets::new();
    local.add("fd00::/8".parse().unwrap());
    assert_eq!(local.compile(&SpaceLimits::default()).err(), Some(SpaceError::Empty));
}

#[test]
fn prefixes_within_others_add_nothing_and_overlaps_are_taken_once() {
    let prefixes = [
        "fd00::100/120",
        "fd00::/112",
        "fd00::fff0-fd00::1:f",
        "fd00::/112",
        "fd00:0:0:0:0:0:1:20/127",
    ];
    let space = compile(&prefixes, &[], &[]).unwrap();
    assert_eq!(space.prefixes(), 3);
    assert_eq!(all(&space).len(), 65_536 + 16 + 2);
    assert_eq!(space.prefix_of("fd00::1:3".parse().unwrap()), Some(1));
    assert_eq!(space.prefix_of("fd00::1:10".parse().unwrap()), None);
}

/// Strategies that overlap each other, in prefixes that cut their parts in several places.
fn mixed() -> Vec<Strategy> {
    vec![
        Strategy::Ports { ports: vec![80, 443], number_max: 3 },
        Strategy::LowByte { bits: 9 },
        Strategy::Words { words: vec![0xcafe, 0xbeef, 1, 0x80], groups: 2 },
        Strategy::Ipv4 { networks: vec![([192, 0, 2, 0].into(), 27)], form: Ipv4Form::Hexadecimal },
        Strategy::Ipv4 { networks: vec![([192, 0, 2, 0].into(), 27)], form: Ipv4Form::Decimal },
        Strategy::Patterns(vec![
            "fd00::[0-2]?:[17]f".parse().unwrap(),
            "fd00::1?:?f".parse().unwrap(),
        ]),
    ]
}

#[test]
fn the_union_of_strategies_has_each_address_once() {
    let prefixes = [
        "fd00::/63",
        "fd00:0:0:4::/112",
        "fd00:0:0:5::cafe:0/120",
        "fd00:0:0:6::c000:200/121",
        "fd00:0:0:7::40/122",
    ];
    let excluded = ["fd00::40/122", "fd00:0:0:1::cafe:0/112", "fd00::81"];
    let space = compile(&prefixes, &excluded, &mixed()).unwrap();
    let seen = all(&space);
    let patterns: Vec<Pattern> = mixed().iter().flat_map(Strategy::patterns).collect();
    for address in &seen {
        assert!(patterns.iter().any(|pattern| pattern.contains(*address)), "{address}");
    }
    // The other way round: everything that patterns and prefixes hold, built from the patterns alone.
    let excluded: RangeSet = excluded.iter().map(|text| text.parse().unwrap()).collect();
    let mut wanted = BTreeSet::new();
    for prefix in prefixes {
        let range: AddressRange = prefix.parse().unwrap();
        for subnet in (range.first_bits() >> 64)..=(range.last_bits() >> 64) {
            for pattern in &patterns {
                let within = AddressRange::block(subnet << 64, 64);
                wanted.extend(
                    brute(pattern, within)
                        .into_iter()
                        .filter(|address| range.contains(*address) && !excluded.contains(*address)),
                );
            }
        }
    }
    assert_eq!(seen.len(), wanted.len());
    assert!(seen == wanted);
    assert!(seen.len() < space.last_index() as usize, "some are in several strategies");
}

/// The addresses of a /64 that have a pattern, part by part.
fn brute(pattern: &Pattern, within: AddressRange) -> Vec<Ipv6Addr> {
    use super::super::pattern::Values;
    let mut found = vec![0u128];
    let mut below = 128;
    for field in pattern.fields() {
        below -= field.width;
        let upper = within.first_bits() >> below.min(127) & low_bits(field.width);
        let values: Vec<u128> = match &field.values {
            Values::Any if below >= 64 => vec![upper],
            Values::Any => (0..=low_bits(field.width)).collect(),
            Values::One(value) => vec![*value],
            Values::Between(first, last) => (*first..=*last).map(u128::from).collect(),
            Values::Listed(values) => values.iter().map(|value| u128::from(*value)).collect(),
        };
        found = found
            .iter()
            .flat_map(|base| values.iter().map(move |value| base | value << below))
            .collect();
    }
    found.into_iter().map(Ipv6Addr::from_bits).filter(|address| within.contains(*address)).collect()
}

#[test]
fn a_prefix_longer_than_a_part_cuts_it() {
    let vendors = Strategy::Eui64 {
        ouis: vec![Oui([0, 0x16, 0x3e]), Oui([0, 0x16, 0x3f]), Oui([0x52, 0x54, 0])],
    };
    // 88 bits: the part with the vendor ends there. 80: it is cut in two.
    for (prefix, size) in [
        ("fd00::216:3e00:0:0/88", 1 << 24),
        ("fd00::216:0:0:0/80", 2 << 24),
        ("fd00::5054:0:0:0/80", 1 << 24),
        ("fd00::216:3eff:fe00:0/120", 256),
    ] {
        let space = compile(&[prefix], &[], core::slice::from_ref(&vendors)).unwrap();
        assert_eq!(space.last_index() + 1, size, "{prefix}");
        for index in [0, 1, size / 2, size - 1] {
            assert_eq!(space.index_of(space.address(index).unwrap()), Some(index));
        }
    }
    for without in ["fd00::217:0:0:0/80", "fd00::216:3eff:0:0/108"] {
        assert_eq!(
            compile(&[without], &[], core::slice::from_ref(&vendors)).err(),
            Some(SpaceError::Empty)
        );
    }
}

#[test]
fn the_largest_spaces_are_counted() {
    let mut targets = Targets::new();
    targets.allow_special();
    targets.add("::/0".parse().unwrap());
    let space = targets.compile(&SpaceLimits::default()).unwrap();
    for index in [
        0,
        1,
        u128::from(u64::MAX),
        space.last_index() / 3,
        space.last_index() - 1,
        space.last_index(),
    ] {
        assert_eq!(space.index_of(space.address(index).unwrap()), Some(index));
    }
    assert_eq!(space.address(0), Some("::1".parse().unwrap()));
}

#[test]
fn limits_are_kept() {
    let limits = SpaceLimits { prefixes_max: 4, segments_max: 8, digits_max: 8 };
    let build = |prefixes: &[&str], excluded: &[&str], split: Option<u8>| {
        let mut targets = Targets::new();
        targets.allow_special();
        prefixes.iter().for_each(|prefix| targets.add(prefix.parse().unwrap()));
        excluded.iter().for_each(|range| targets.exclude(range.parse().unwrap()));
        split.into_iter().for_each(|length| targets.split_at(length));
        targets.strategy(&Strategy::LowByte { bits: 8 });
        targets.compile(&limits).map(|space| space.prefixes())
    };
    assert_eq!(build(&["fd00::/62"], &[], Some(64)), Ok(4));
    assert_eq!(build(&["fd00::/61"], &[], Some(64)), Err(SpaceError::TooManyPrefixes));
    assert_eq!(build(&["fd00::/16"], &[], Some(128)), Err(SpaceError::TooManyPrefixes));
    assert_eq!(
        build(&["fd00::/32"], &["fd00::ffff:0/126"], None),
        Err(SpaceError::TooManySegments)
    );
    assert_eq!(build(&["fd00::/64"], &["fd00::/64"], None), Err(SpaceError::Empty));
}

#[test]
fn another_space_has_another_digest() {
    let build = |prefixes: &[&str], excluded: &[&str], strategies: &[Strategy]| {
        *compile(prefixes, excluded, strategies).unwrap().digest()
    };
    let low = [Strategy::LowByte { bits: 8 }];
    let vendor = |last: u8| [Strategy::Eui64 { ouis: vec![Oui([0, 0, last]), Oui([9, 9, 9])] }];
    let digests = [
        build(&["fd00::/48"], &[], &low),
        build(&["fd00::/48"], &["fd00::/128"], &low),
        build(&["fd00::/47"], &[], &low),
        build(&["fd00::/48"], &[], &[]),
        build(&["fd00::/48"], &[], &[Strategy::LowByte { bits: 9 }]),
        build(&["fd00::/48"], &[], &vendor(1)),
        build(&["fd00::/48"], &[], &vendor(2)),
        build(&["fd00::/49", "fd00:0:0:8000::/49"], &[], &low),
    ];
    assert_eq!(BTreeSet::from(digests).len(), digests.len());
    assert_eq!(digests[0], build(&["fd00::/48", "fd00::/64"], &["fe00::/16"], &low));
}

proptest! {
    /// Any few ranges and exclusions among 2¹² addresses, against the plainest model.
    #[test]
    fn a_space_is_its_prefixes_less_its_exclusions(
        prefixes in prop::collection::vec(any::<(u16, u8)>(), 1..6),
        excluded in prop::collection::vec(any::<(u16, u8)>(), 0..6),
        low in prop::option::of(0u8..12),
    ) {
        let base = 0xfdu128 << 120;
        let range = |(at, length): &(u16, u8)| {
            let first = u128::from(at % 4096);
            AddressRange::from_bits(base + first, base + (first + u128::from(*length)).min(4095)).unwrap()
        };
        let mut targets = Targets::new();
        targets.allow_special();
        prefixes.iter().for_each(|prefix| targets.add(range(prefix)));
        excluded.iter().for_each(|prefix| targets.exclude(range(prefix)));
        if let Some(bits) = low {
            targets.strategy(&Strategy::LowByte { bits });
        }
        let wanted: BTreeSet<Ipv6Addr> = (base..base + 4096)
            .filter(|address| prefixes.iter().any(|prefix| range(prefix).holds(*address)))
            .filter(|address| !excluded.iter().any(|prefix| range(prefix).holds(*address)))
            .filter(|address| low.is_none_or(|bits| address - base <= low_bits(bits.into())))
            .map(Ipv6Addr::from_bits)
            .collect();
        match targets.compile(&SpaceLimits::default()) {
            Ok(space) => prop_assert!(all(&space) == wanted),
            Err(error) => {
                prop_assert_eq!(error, SpaceError::Empty);
                prop_assert!(wanted.is_empty());
            }
        }
    }
}
