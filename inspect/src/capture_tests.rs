//! Captures made by hand, byte for byte.

use super::*;
use proptest::prelude::*;

const TIMES: [(u32, u32); 2] = [(1_340_954_905, 298_858), (1_340_954_906, 1)];
const FRAMES: [&[u8]; 2] = [b"first frame", b"the second"];

/// A pcap file with both frames.
fn pcap(magic: u32, order: Order) -> Vec<u8> {
    let u32 = |value: u32| match order {
        Order::Big => value.to_be_bytes(),
        Order::Little => value.to_le_bytes(),
    };
    let mut file = [u32(magic), u32(2 << 16 | 4), [0; 4], [0; 4], u32(262_144), u32(113)].concat();
    for ((seconds, fraction), frame) in TIMES.into_iter().zip(FRAMES) {
        let length = frame.len() as u32;
        file.extend([u32(seconds), u32(fraction), u32(length), u32(length + 9)].concat());
        file.extend(frame);
    }
    file
}

/// A block of a pcapng file.
fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().wrapping_neg() & 3];
    let length = (12 + body.len() + padding.len()) as u32;
    let u32 = |value: u32| match order {
        Order::Big => value.to_be_bytes(),
        Order::Little => value.to_le_bytes(),
    };
    [&u32(kind), &u32(length), body, &padding, &u32(length)].concat()
}

fn section(order: Order) -> Vec<u8> {
    let magic = match order {
        Order::Big => 0x1a2b_3c4du32.to_be_bytes(),
        Order::Little => 0x1a2b_3c4du32.to_le_bytes(),
    };
    block(order, SECTION, &[&magic[..], &[1, 0, 0, 0], &[0xff; 8]].concat())
}

/// A pcapng file in little-endian with a section of two interfaces, and all three kinds of packet block.
fn pcapng() -> Vec<u8> {
    let order = Order::Little;
    let plain = [&[1, 0, 0, 0][..], &[4, 0, 0, 0]].concat();
    let nanos =
        [&[113, 0, 0, 0][..], &[0, 0, 4, 0], &[9, 0, 1, 0, 9, 0, 0, 0], &[0, 0, 0, 0]].concat();
    let micros = 1_340_954_905_298_858u64;
    let time = [((micros >> 32) as u32).to_le_bytes(), (micros as u32).to_le_bytes()].concat();
    let nine = [9, 0, 0, 0];
    let eleven = [11, 0, 0, 0];
    let enhanced = [&[0; 4][..], &time, &eleven, &eleven, b"first frame"].concat();
    let second = [&[1, 0, 0, 0][..], &[0; 4], &[7, 0, 0, 0], &nine, &nine, b"the secon"].concat();
    let obsolete = [&[1, 0, 3, 0][..], &[0; 8], &[2, 0, 0, 0], &nine, b"ob"].concat();
    [
        section(order),
        block(order, INTERFACE, &plain),
        block(order, INTERFACE, &nanos),
        block(order, 4, b"names, which are skipped"),
        block(order, ENHANCED_PACKET, &enhanced),
        block(order, ENHANCED_PACKET, &second),
        block(order, PACKET, &obsolete),
        block(order, SIMPLE_PACKET, &[&eleven[..], b"simp"].concat()),
    ]
    .concat()
}

type Read1 = (u64, u32, Vec<u8>);

fn read(file: &[u8]) -> Result<(Vec<Read1>, bool), CaptureError> {
    let mut capture = Capture::open(file)?;
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame()? {
        frames.push((frame.at.0, frame.link.0, frame.bytes.to_vec()));
    }
    Ok((frames, capture.is_cut_short()))
}

#[test]
fn pcap_is_read_in_both_orders_and_resolutions() {
    for (magic, order, factor) in [
        (0xa1b2_c3d4, Order::Big, 1000),
        (0xa1b2_c3d4, Order::Little, 1000),
        (0xa1b2_3c4d, Order::Big, 1),
        (0xa1b2_3c4d, Order::Little, 1),
    ] {
        let (frames, cut) = read(&pcap(magic, order)).unwrap();
        let expected: Vec<Read1> = TIMES
            .into_iter()
            .zip(FRAMES)
            .map(|((seconds, fraction), frame)| {
                let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * factor;
                (nanos, 113, frame.to_vec())
            })
            .collect();
        assert_eq!((frames, cut), (expected, false));
    }
}

#[test]
fn pcapng_is_read_with_its_interfaces_and_all_kinds_of_packet() {
    let (frames, cut) = read(&pcapng()).unwrap();
    assert!(!cut);
    assert_eq!(
        frames,
        [
            (1_340_954_905_298_858_000, 1, b"first frame".to_vec()),
            (7, 113, b"the secon".to_vec()),
            (0, 113, b"ob".to_vec()),
            (0, 1, b"simp".to_vec()),
        ]
    );
}

#[test]
fn a_new_section_has_its_own_order_and_interfaces() {
    let order = Order::Big;
    let big = [
        section(order),
        block(order, INTERFACE, &[0, 101, 0, 0, 0, 0, 0, 0]),
        block(order, SIMPLE_PACKET, b"\0\0\0\x04late"),
    ]
    .concat();
    let (frames, _) = read(&[pcapng(), big].concat()).unwrap();
    assert_eq!(frames.len(), 5);
    assert_eq!(frames[4], (0, 101, b"late".to_vec()));
    let foreign = block(order, ENHANCED_PACKET, &[&[0, 0, 0, 9][..], &[0; 16]].concat());
    let error = read(&[section(order), foreign].concat()).unwrap_err();
    assert!(matches!(error, CaptureError::Malformed("an interface's number")), "{error}");
}

#[test]
fn resolutions_are_powers_of_ten_and_of_two() {
    assert_eq!(resolution(3).unwrap(), 1000);
    assert_eq!(resolution(0x80 | 10).unwrap(), 1024);
    assert!(resolution(20).is_err() && resolution(0x80 | 64).is_err());
}

#[test]
fn a_file_that_ends_too_soon_is_read_as_far_as_it_goes() {
    for whole in [pcap(0xa1b2_c3d4, Order::Little), pcapng()] {
        let (all, _) = read(&whole).unwrap();
        for end in 0..whole.len() {
            match read(&whole[..end]) {
                Ok((frames, _)) => assert_eq!(frames, all[..frames.len()]),
                Err(error) => assert!(matches!(error, CaptureError::NotACapture), "{end}: {error}"),
            }
        }
    }
    let cut = &pcap(0xa1b2_c3d4, Order::Big)[..60];
    assert!(read(cut).unwrap().1);
}

#[test]
fn other_files_are_named() {
    assert!(matches!(read(b""), Err(CaptureError::NotACapture)));
    assert!(matches!(read(b"#!/bin/sh\n"), Err(CaptureError::NotACapture)));
    assert!(matches!(read(&[0x1f, 0x8b, 8, 0]), Err(CaptureError::Compressed)));
    assert!(matches!(read(&[0x34, 0xcd, 0xb2, 0xa1]), Err(CaptureError::Unsupported(_))));
}

#[test]
fn lengths_that_lie_are_refused_before_they_cost_anything() {
    let mut file = pcap(0xa1b2_c3d4, Order::Big)[..24].to_vec();
    file.extend([&[0; 8][..], &[0xff; 8]].concat());
    assert!(matches!(read(&file), Err(CaptureError::TooLong { bytes: u32::MAX })));
    let block = |length: u32| {
        [section(Order::Big), [1u32.to_be_bytes(), length.to_be_bytes()].concat()].concat()
    };
    assert!(matches!(read(&block(13)), Err(CaptureError::Malformed(_))));
    assert!(matches!(read(&block(8)), Err(CaptureError::Malformed(_))));
    assert!(matches!(read(&block(u32::MAX - 3)), Err(CaptureError::TooLong { .. })));
    let many: Vec<u8> =
        (0..=INTERFACES_MAX).flat_map(|_| self::block(Order::Big, INTERFACE, &[0; 8])).collect();
    let error = read(&[section(Order::Big), many].concat()).unwrap_err();
    assert!(matches!(error, CaptureError::TooManyInterfaces), "{error}");
}

proptest! {
    #[test]
    fn damage_anywhere_is_borne(
        ng: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = if ng { pcapng() } else { pcap(0xa1b2_c3d4, Order::Little) };
        for (at, to) in changes {
            let at = at.index(file.len());
            file[at] = to;
        }
        let _ = read(&file);
    }
}
