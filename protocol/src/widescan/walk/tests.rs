use super::super::plan::Order;
use super::super::range::AddressRange;
use super::super::strategy::Strategy;
use super::super::targets::{SpaceLimits, Targets};
use super::*;
use alloc::collections::BTreeSet;
use alloc::string::ToString as _;
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

fn plan(prefixes: &[&str], strategies: &[Strategy], order: Order, seed: u64) -> Plan {
    let mut targets = Targets::new();
    targets.allow_special();
    prefixes.iter().for_each(|prefix| targets.add(prefix.parse().unwrap()));
    strategies.iter().for_each(|strategy| targets.strategy(strategy));
    Plan::new(targets.compile(&SpaceLimits::default()).unwrap(), order, seed)
}

/// Everything that a walk has left, asked for in batches of such sizes.
fn rest(plan: &Plan, walk: &mut Walk, batches: &[usize]) -> Vec<Ipv6Addr> {
    let mut all = Vec::new();
    for size in batches.iter().cycle() {
        if walk.is_finished() {
            return all;
        }
        let mut batch = vec![Ipv6Addr::UNSPECIFIED; *size];
        let filled = walk.fill(plan, &RangeSet::new(), &mut batch);
        all.extend(&batch[..filled]);
    }
    all
}

fn whole(plan: &Plan) -> Vec<Ipv6Addr> {
    (0..=plan.space().last_index()).filter_map(|index| plan.address(index)).collect()
}

const ODD: &[&str] =
    &["fd00::/120", "fd00:1::/119", "fd00:2::-fd00:2::2a", "fd00:3::", "fd00:4::1-fd00:4::ff"];

/// Plans of every kind: one run or many, both orders, with overlapping strategies.
fn plans(seed: u64) -> Vec<Plan> {
    let strategies =
        [Strategy::LowByte { bits: 7 }, Strategy::Ports { ports: vec![80, 443], number_max: 0 }];
    let mut plans = Vec::new();
    for order in [Order::Even, Order::Random] {
        plans.push(plan(&["fd00::/118"], &[], order, seed));
        plans.push(plan(&["fd00::-fd00::3e7"], &[], order, seed));
        plans.push(plan(ODD, &[], order, seed));
        plans.push(plan(ODD, &strategies, order, seed));
        plans.push(plan(&["fd00::/59"], &strategies, order, seed));
    }
    plans
}

#[test]
fn batches_of_any_size_give_the_whole_in_order() {
    for plan in plans(1) {
        let all = whole(&plan);
        for batches in [&[1][..], &[7, 64, 1], &[10_000], &[16, 33]] {
            assert_eq!(rest(&plan, &mut Walk::new(&plan, Shard::default()), batches), all);
        }
    }
}

#[test]
fn shards_are_equal_parts_and_together_the_whole() {
    for plan in plans(2) {
        let all = whole(&plan);
        for count in [1, 2, 3, 7, 64, 5000] {
            let (mut together, mut sizes) = (Vec::new(), BTreeSet::new());
            for number in 1..=count {
                let mut walk = Walk::new(&plan, Shard::new(number, count).unwrap());
                sizes.insert(walk.left().map_or(0, |left| left + 1));
                together.extend(rest(&plan, &mut walk, &[13]));
            }
            assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1, "{sizes:?}");
            assert_eq!(together.len(), all.len());
            assert!(BTreeSet::from_iter(together) == BTreeSet::from_iter(all.iter().copied()));
        }
    }
}

proptest! {
    #[test]
    fn resuming_at_any_cuts_is_one_uninterrupted_walk(
        kind in 0usize..10, seed in any::<u64>(), number in 1u32..4, cuts in prop::collection::vec(0usize..200, 1..20),
    ) {
        let plan = plans(seed).swap_remove(kind);
        let shard = Shard::new(number, 3).unwrap();
        let uninterrupted = rest(&plan, &mut Walk::new(&plan, shard), &[50]);
        let mut cursor = Walk::new(&plan, shard).cursor(&plan);
        let mut pieces = Vec::new();
        for cut in cuts {
            let mut walk = Cursor::from_bytes(&cursor.to_bytes()).unwrap().resume(&plan).unwrap();
            let mut batch = vec![Ipv6Addr::UNSPECIFIED; cut];
            let filled = walk.fill(&plan, &RangeSet::new(), &mut batch);
            pieces.extend(&batch[..filled]);
            cursor = walk.cursor(&plan);
        }
        pieces.extend(rest(&plan, &mut cursor.resume(&plan).unwrap(), &[11]));
        prop_assert_eq!(pieces, uninterrupted);
    }

    #[test]
    fn what_opts_out_midway_never_comes_again_and_moves_nothing(
        kind in 0usize..10, seed in any::<u64>(), first in any::<u16>(), length in 0u16..300, after in 0usize..400,
    ) {
        let plan = plans(seed).swap_remove(kind);
        let first = (0xfd << 120) + u128::from(first % 512);
        let range = AddressRange::from_bits(first, first + u128::from(length)).unwrap();
        let all = whole(&plan);
        let mut walk = Walk::new(&plan, Shard::default());
        let mut batch = vec![Ipv6Addr::UNSPECIFIED; after];
        let filled = walk.fill(&plan, &RangeSet::new(), &mut batch);
        let mut seen = batch[..filled].to_vec();
        let skipped = RangeSet::from_iter([range]);
        while !walk.is_finished() {
            let mut batch = [Ipv6Addr::UNSPECIFIED; 37];
            let filled = walk.fill(&plan, &skipped, &mut batch);
            seen.extend(&batch[..filled]);
        }
        let (before, later) = all.split_at(filled);
        let wanted: Vec<_> =
            before.iter().chain(later.iter().filter(|address| !range.contains(**address))).copied().collect();
        prop_assert_eq!(seen, wanted);
    }

    #[test]
    fn bytes_are_a_cursor_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100), flip in 0usize..640) {
        prop_assert!(Cursor::from_bytes(&bytes).is_err());
        let plan = plan(ODD, &[], Order::Even, 1);
        let mut good = Walk::new(&plan, Shard::default()).cursor(&plan).to_bytes();
        good[flip / 8] ^= 1 << (flip % 8);
        prop_assert!(Cursor::from_bytes(&good).is_err());
    }
}

#[test]
fn a_cursor_of_another_plan_is_refused() {
    let plan_of = |prefix: &str, order, seed| plan(&[prefix], &[], order, seed);
    let mine = plan_of("fd00::/64", Order::Even, 1);
    let mut walk = Walk::new(&mine, Shard::new(2, 3).unwrap());
    walk.skip(1000);
    let cursor = walk.cursor(&mine);
    assert_eq!(cursor.resume(&mine), Ok(walk));
    assert_eq!(
        (cursor.seed(), cursor.order(), cursor.shard().to_string()),
        (1, Order::Even, "2/3".to_string())
    );
    for other in [
        plan_of("fd00::/65", Order::Even, 1),
        plan_of("fd00::/64", Order::Random, 1),
        plan_of("fd00::/64", Order::Even, 2),
    ] {
        assert_eq!(cursor.resume(&other), Err(CursorError::OtherPlan));
    }
}

#[test]
fn the_end_is_kept_too() {
    let plan = plan(&["fd00::/124"], &[], Order::Random, 1);
    let mut walk = Walk::new(&plan, Shard::default());
    assert_eq!(rest(&plan, &mut walk, &[16]).len(), 16);
    assert!(walk.is_finished() && walk.index().is_none() && walk.left().is_none());
    assert!(walk.cursor(&plan).resume(&plan).unwrap().is_finished());
    assert_eq!(walk.fill(&plan, &RangeSet::new(), &mut [Ipv6Addr::UNSPECIFIED; 3]), 0);
    // More shards than targets: some have nothing to do.
    let mut idle = Walk::new(&plan, Shard::new(17, 17).unwrap());
    assert!(idle.is_finished());
    assert_eq!(idle.fill(&plan, &RangeSet::new(), &mut [Ipv6Addr::UNSPECIFIED; 3]), 0);
    assert!(idle.cursor(&plan).resume(&plan).unwrap().is_finished());
}

#[test]
fn the_largest_space_has_an_end() {
    for order in [Order::Random, Order::Even] {
        let plan = plan(&["::/0"], &[], order, 1);
        let mut walk = Walk::new(&plan, Shard::default());
        walk.skip(plan.space().last_index() - 2);
        assert_eq!(rest(&plan, &mut walk, &[2]).len(), 3);
        assert!(walk.is_finished());
        let mut walk = Walk::new(&plan, Shard::default());
        walk.skip(u128::MAX);
        assert!(walk.is_finished());
    }
}

#[test]
fn the_longest_strategies_walk_in_no_memory() {
    let plan = plan(
        &["fd00::/16", "fd01::/20"],
        &[Strategy::LowByte { bits: 8 }, Strategy::Words { words: vec![0xcafe], groups: 4 }],
        Order::Even,
        4,
    );
    let mut walk = Walk::new(&plan, Shard::default());
    let mut batch = [Ipv6Addr::UNSPECIFIED; 1000];
    let filled = walk.fill(&plan, &RangeSet::new(), &mut batch);
    let seen: BTreeSet<_> = batch[..filled].iter().collect();
    assert_eq!(seen.len(), filled);
    assert!(filled > 900, "{filled}");
}

#[test]
fn shards_are_named_from_one() {
    for (text, good) in [
        ("1/1", true),
        ("3/3", true),
        ("4/3", false),
        ("0/0", false),
        ("1/0", false),
        ("1", false),
        ("-1/2", false),
        ("1/4294967296", false),
    ] {
        assert_eq!(text.parse::<Shard>().is_ok(), good, "{text}");
    }
}
