//! Captures made with malice: memory stays within the bound that the limits add up to.

use etherparse::PacketBuilder;
use p2pnet_crypto::PureCrypto;
use p2pnet_inputs::heap;
use p2pnet_inspect::capture::FRAME_BYTES_MAX;
use p2pnet_inspect::{
    Capture, CaptureError, Frame, Inspector, KeyLog, Limits, LinkType, Timestamp,
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const LIMITS: Limits = Limits {
    conversations_max: 200,
    early_bytes_max: 64 << 10,
    packet_bytes_max: 64 << 10,
    held_bytes_max: 1 << 20,
};

/// A frame of the stream with this number: its bytes stand at `at`.
fn segment(stream: u32, at: u32, bytes: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = stream.to_be_bytes();
    let mut frame = Vec::new();
    let tcp = PacketBuilder::ipv4([10, a, b, 1], [10, 0, 0, 2], 64).tcp(
        u16::from_be_bytes([c, d]) | 1 << 15,
        9000,
        at,
        64,
    );
    tcp.write(&mut frame, bytes).unwrap();
    frame
}

/// A stream's beginning up to its records.
fn opening() -> Vec<u8> {
    let message = |bytes: usize| [(bytes as u16).to_be_bytes().to_vec(), vec![1; bytes]].concat();
    [b"P2P\x01".to_vec(), message(45), message(168)].concat()
}

/// Feeds the frames of an attack and gives how much more memory was in use at the worst moment.
fn peak_of(attack: impl Fn(u32) -> Vec<Vec<u8>>, rounds: u32) -> usize {
    let (crypto, keys) = (PureCrypto::new().unwrap(), KeyLog::default());
    let before = heap::used();
    heap::restart_peak();
    let mut inspector = Inspector::new(crypto, keys, LIMITS);
    let mut found = 0u64;
    for round in 0..rounds {
        for bytes in attack(round) {
            let frame = Frame { at: Timestamp(0), link: LinkType(101), bytes: &bytes };
            inspector.on_frame(&frame, &mut |_| found += 1);
        }
    }
    let frames = inspector.summary().frames;
    inspector.finish(&mut |_| found += 1);
    assert!(frames >= u64::from(rounds) && found > 0);
    heap::peak() - before
}

/// One test, since all share the allocator.
#[test]
fn no_capture_takes_more_memory_than_the_limits_allow() {
    let record = [&[0x40, 0x10][..], &[7; 0x4010]].concat();
    // The limits' sum without the frame at hand, which the caller holds here.
    let bound = LIMITS.total_bytes_max() - 2 * FRAME_BYTES_MAX;
    let half_a_record =
        |stream| vec![segment(stream, 0, &opening()), segment(stream, 217, &record[..16_000])];
    let whole_records = |stream| {
        let many = [&record[..], &record, &record, &record[..1]].concat();
        vec![segment(stream, 0, &opening()), segment(stream, 217, &many)]
    };
    let early = |stream| {
        let mut frames = vec![segment(stream, 0, b"P2P\x01")];
        frames.extend((1..30).map(|n| segment(stream, n * 5000, &[9; 4000])));
        frames
    };
    let crumbs = |stream| {
        let mut frames = vec![segment(stream, 0, b"P2P\x01")];
        frames.extend((3..900).map(|n| segment(stream, n * 2, b"x")));
        frames
    };
    let undecided = |stream| vec![segment(stream, 0, b"P2P")];
    let empty = |stream| vec![segment(stream, 0, b"")];
    println!("the limits allow {bound} bytes");
    for (name, peak) in [
        ("half a record each", peak_of(half_a_record, 3000)),
        ("whole records each", peak_of(whole_records, 3000)),
        ("what comes early", peak_of(early, 1000)),
        ("crumbs", peak_of(crumbs, 1000)),
        ("streams that begin alike", peak_of(undecided, 5000)),
        ("streams that say nothing", peak_of(empty, 5000)),
    ] {
        println!("{name}: {peak} bytes at the most");
        assert!(peak <= bound, "{name}: {peak} bytes, at most {bound}");
    }
    lying_lengths_cost_nothing();
}

/// A frame that says it has 4 MiB, in a file that ends there.
fn lying_lengths_cost_nothing() {
    let u32 = |value: u32| value.to_le_bytes();
    let head = [u32(0xa1b2_c3d4), [0; 4], [0; 4], [0; 4], [0; 4], u32(1)].concat();
    let file = [&head[..], &[0; 8], &u32(4 << 20), &u32(4 << 20), &[0; 100]].concat();
    let before = heap::used();
    heap::restart_peak();
    let mut capture = Capture::open(&file[..]).unwrap();
    assert!(matches!(capture.next_frame(), Ok(None)));
    assert!(capture.is_cut_short());
    assert!(heap::peak() - before < 64 << 10);
    let longer = [&head[..], &[0; 8], &u32(5 << 20), &u32(5 << 20)].concat();
    let refused = Capture::open(&longer[..]).unwrap().next_frame().map(|_| ());
    assert!(matches!(refused, Err(CaptureError::TooLong { .. })));
}
