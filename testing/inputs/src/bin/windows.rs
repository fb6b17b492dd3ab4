//! `windows [BITS]`: no window of the order of a scan holds a value twice. For every size of space up to 2⁶² and the seeds 1 to
//! 3, both for powers of two and for other sizes, 2^BITS consecutive indices (24 unless told) are sorted and compared, and their
//! values taken back to their indices. The last line is the result.

use p2pnet_protocol::widescan::Permutation;
use std::process::ExitCode;

fn main() -> ExitCode {
    let bits = std::env::args().nth(1).map_or(Some(24), |bits| bits.parse().ok());
    let Some(bits) = bits.filter(|bits| (1..=28).contains(bits)) else {
        eprintln!("usage: windows [BITS]");
        return ExitCode::FAILURE;
    };
    let mut values = Vec::new();
    let mut windows = 0;
    for width in bits..=62 {
        // A power of two, the next number and one in the middle; and a seed and a window for each.
        for (seed, last) in [
            (1u64, (1u64 << width) - 1),
            (2, 1 << width),
            (3, (1 << width) + (1 << (width - 1)) - 7),
        ] {
            let order = Permutation::new(last.into(), seed);
            let room = last - (1u64 << bits) + 1;
            let first = if room == 0 {
                0
            } else {
                (seed << 60).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(width) % room
            };
            if let Some(twice) = repeats(&order, first, bits, &mut values) {
                println!(
                    "FAILED: {twice} comes twice in a space of {last} + 1 with the seed {seed}, from {first}"
                );
                return ExitCode::FAILURE;
            }
            windows += 1;
        }
    }
    println!(
        "{windows} windows of 2^{bits} indices, every width from {bits} to 62: no value twice, and each leads back"
    );
    ExitCode::SUCCESS
}

/// A value that comes twice, or doesn't lead back to its index.
fn repeats(order: &Permutation, first: u64, bits: u32, values: &mut Vec<u64>) -> Option<u64> {
    values.clear();
    for index in first..first + (1 << bits) {
        let value = order.at(index.into()).expect("an index in the space");
        if index % 61 == 0 && order.index_of(value) != Some(index.into()) {
            return Some(u64::try_from(value).unwrap_or(u64::MAX));
        }
        values.push(u64::try_from(value).expect("a value in the space"));
    }
    values.sort_unstable();
    values.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
