use super::super::plan::{Order, Plan};
use super::super::targets::{SpaceLimits, Targets};
use super::*;
use alloc::{vec, vec::Vec};
use core::net::Ipv6Addr;
use proptest::prelude::*;

const VECTORS: &str = include_str!("../../../tests/vectors/perm-v1.txt");

/// Another implementation made them, from the specification alone.
#[test]
fn golden_vectors() {
    let (mut whole, mut even) = (0, 0);
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "even" {
            let mut targets = Targets::new();
            targets.allow_special();
            words[2].split(',').for_each(|prefix| targets.add(prefix.parse().unwrap()));
            let space = targets.compile(&SpaceLimits::default()).unwrap();
            let plan = Plan::new(space, Order::Even, words[1].parse().unwrap());
            assert_eq!(
                plan.address(words[3].parse().unwrap()),
                Some(words[4].parse().unwrap()),
                "{line}"
            );
            even += 1;
            continue;
        }
        // 2¹²⁸ is the one size that is no number here.
        let last = words[0].parse::<u128>().map_or(u128::MAX, |size| size - 1);
        let purpose =
            [Purpose::Whole, Purpose::Within, Purpose::Among][words[2].parse::<usize>().unwrap()];
        let (geometry, keys) = (Geometry::new(last), Keys::new(words[1].parse().unwrap(), purpose));
        let (tweak, index, value) =
            (words[3].parse().unwrap(), words[4].parse().unwrap(), words[5].parse().unwrap());
        assert_eq!(geometry.forward(&keys, tweak, index), value, "{line}");
        assert_eq!(geometry.backward(&keys, tweak, value), index, "{line}");
        whole += 1;
    }
    assert_eq!((whole, even), (168, 36));
}

/// Every index once, and back.
fn is_bijective(geometry: &Geometry, keys: &Keys, size: usize) {
    let mut seen = vec![false; size];
    for index in 0..size {
        let value = geometry.forward(keys, 0, index as u128);
        let slot = &mut seen[usize::try_from(value).unwrap()];
        assert!(!*slot, "{value} of {size} came twice");
        *slot = true;
        assert_eq!(geometry.backward(keys, 0, value), index as u128, "{value} of {size}");
    }
}

#[test]
fn every_size_up_to_4096_is_a_bijection() {
    let keys = Keys::new(1, Purpose::Whole);
    for size in 1..=4096 {
        is_bijective(&Geometry::new(size as u128 - 1), &keys, size);
    }
}

#[test]
fn every_power_of_two_up_to_22_bits_is_a_bijection() {
    let keys = Keys::new(2, Purpose::Whole);
    for bits in 0..=22 {
        is_bijective(&Geometry::new((1 << bits) - 1), &keys, 1 << bits);
    }
}

/// The geometries of the largest spaces, on spaces that are small enough to be looked through.
#[test]
fn wide_halves_make_bijections_too() {
    let keys = Keys::new(3, Purpose::Whole);
    for size in [2, 3, 5, 6, 7, 10, 99, 1000, 4095, 65_537] {
        is_bijective(&Geometry::of_digits_wide(size as u128 - 1), &keys, size);
    }
    for bits in 1..=14u32 {
        let (left, right) = (low_bits(bits - bits / 2) as u64, low_bits(bits / 2) as u64);
        is_bijective(&Geometry::BitsWide { left, right, right_bits: bits / 2 }, &keys, 1 << bits);
    }
}

#[test]
fn windows_of_every_width_hold_no_value_twice() {
    for bits in 23..=128u32 {
        for last in [low_bits(bits), low_bits(bits) - u128::from(bits), low_bits(bits - 1) + 2] {
            let geometry = Geometry::new(last);
            let keys = Keys::new(bits.into(), Purpose::Whole);
            let first =
                (u128::from(bits) << 113).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (last - 2048);
            let mut seen: Vec<u128> =
                (first..first + 2048).map(|index| geometry.forward(&keys, 0, index)).collect();
            assert!(seen.iter().all(|value| *value <= last));
            assert_eq!(geometry.backward(&keys, 0, seen[77]), first + 77);
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 2048, "{bits} bits");
        }
    }
}

#[test]
fn filling_gives_what_asking_one_by_one_gives() {
    for last in [
        65_535,
        99_999,
        low_bits(40),
        5_000_000_000_000,
        low_bits(62) - 5,
        low_bits(64),
        low_bits(64) + 1,
        low_bits(100),
    ] {
        let (geometry, keys) = (Geometry::new(last), Keys::new(4, Purpose::Whole));
        for (first, stride) in [
            (0, 1),
            (1, 1),
            (0xffff_fff0, 1),
            (last - 1000, 1),
            (7, 3),
            (2, 977),
            (0, u32::MAX.into()),
        ] {
            let count = (last.saturating_sub(first) / stride).min(100) as usize;
            let base = 0xfd << 120;
            let mut filled = vec![Ipv6Addr::UNSPECIFIED; count];
            if first > last {
                continue;
            }
            geometry.fill(&keys, base, first, stride, &mut filled);
            for (nth, address) in filled.iter().enumerate() {
                let index = first + stride * nth as u128;
                assert_eq!(
                    address.to_bits(),
                    base + geometry.forward(&keys, 0, index),
                    "{last} {index}"
                );
            }
        }
    }
}

/// A changed bit of the index, or of the seed, changes half of the value's bits: on average to a hundredth.
#[test]
fn neighbours_go_far_apart() {
    for bits in [20u32, 32, 48, 64, 100] {
        let geometry = Geometry::new(low_bits(bits));
        let keys = Keys::new(5, Purpose::Whole);
        let (mut changed, mut all) = (0u64, 0u64);
        for index in 0..4096u128 {
            let index =
                index.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) & low_bits(bits);
            let value = geometry.forward(&keys, 0, index);
            for bit in 0..bits {
                let other = geometry.forward(&keys, 0, index ^ 1 << bit);
                changed += u64::from((value ^ other).count_ones());
                all += u64::from(bits);
            }
        }
        let share = changed as f64 / all as f64;
        assert!((0.49..=0.51).contains(&share), "{bits} bits: {share}");
    }
}

/// Consecutive indices fall into sixteen equal parts of the space as often as chance would have it.
#[test]
fn consecutive_indices_spread_evenly() {
    for (nth, last) in
        [(1 << 20) - 1, 1_000_002, low_bits(32), 5_000_000_000_000, low_bits(64), low_bits(96)]
            .into_iter()
            .enumerate()
    {
        let (geometry, keys) = (Geometry::new(last), Keys::new(nth as u64, Purpose::Whole));
        let mut counts = [0i64; 16];
        for index in 0..16_000u128 {
            let value = geometry.forward(&keys, 0, index);
            counts[(value / (last / 16 + 1)) as usize] += 1;
        }
        let chi: f64 =
            counts.iter().map(|count| ((count - 1000) * (count - 1000)) as f64 / 1000.0).sum();
        // 15 degrees of freedom: beyond 45 once in 10,000 times.
        assert!(chi < 45.0, "{last}: {chi} {counts:?}");
    }
}

proptest! {
    #[test]
    fn back_and_forth(last in any::<u128>(), shift in 0u32..128, index in any::<u128>(), seed in any::<u64>(), tweak in any::<u32>()) {
        let last = last >> shift;
        let index = if last == u128::MAX { index } else { index % (last + 1) };
        let (geometry, keys) = (Geometry::new(last), Keys::new(seed, Purpose::Within));
        let value = geometry.forward(&keys, tweak, index);
        prop_assert!(value <= last);
        prop_assert_eq!(geometry.backward(&keys, tweak, value), index);
        let order = Permutation::new(last, seed);
        prop_assert_eq!(order.at(index).and_then(|value| order.index_of(value)), Some(index));
    }
}
