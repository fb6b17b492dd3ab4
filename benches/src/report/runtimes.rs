//! The runtimes side by side.

use super::table::Rows;
use super::{Axis, Round, Sample, median};
use crate::peers::{Entry, RUNTIMES};
use std::fmt::Write as _;

const EXPLAINED: &str = "\
Two processes on loopback, one core an end, the program in the same thread as the node's loop. Behind each node stands \
its share of the same runtime's raw TCP, which neither encrypts nor frames, within the same round. \"By CPU\" counts \
processor seconds of the busier end. \"Others\" is the greatest share of the machine that anything else used meanwhile: \
above 0.25, don't trust the row.";

const MIB: f64 = 1_048_576.0;

/// The table of [`RUNTIMES`], whose samples `rounds` has in their order, and what mio comes to beside tokio.
pub fn side_by_side(rounds: &[Round]) -> String {
    let entries: Vec<&Entry> = RUNTIMES.concat();
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = table(&Rows { entries: &entries, rounds }, &mut out);
    let _ = mio_beside_tokio(rounds, &mut out);
    out
}

fn table(rows: &Rows<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{EXPLAINED} Medians of {} rounds.\n", rows.rounds.len())?;
    out.push_str(
        "| | bulk MiB/s | × raw, by CPU | 64 B each M/s | by CPU | RTT p50 / p99 µs | × raw | set-ups/s | by CPU | \
         B/idle | others |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (peer, entry) in rows.entries.iter().enumerate() {
        // Of each pair the first is raw.
        let raw = peer - peer % 2;
        let ratio = |axis: Axis, value: Value| {
            let of = |round: &Round, peer: usize| value(&round.samples[peer][axis as usize]);
            median(rows.rounds, |round| of(round, peer) / of(round, raw))
        };
        let trip = |share: f64| {
            median(rows.rounds, |round| {
                round.samples[peer][Axis::RoundTrip as usize].round_trip_us(share)
            })
        };
        let samples = rows.rounds.iter().flat_map(|round| &round.samples[peer]);
        let others = samples.map(|sample| sample.disturbance).fold(0.0, f64::max);
        writeln!(
            out,
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} / {:.0} | {:.2} | {:.0} | {:.0} | {:.0} | {others:.2} |",
            entry.name,
            rows.rate(peer, Axis::Bulk) / MIB,
            ratio(Axis::Bulk, Sample::processor_rate),
            rows.rate(peer, Axis::SmallEach) / 1e6,
            rows.processor_rate(peer, Axis::SmallEach) / 1e6,
            trip(0.5),
            trip(0.99),
            ratio(Axis::RoundTrip, |sample| sample.round_trip_us(0.5)),
            rows.rate(peer, Axis::SetUps),
            rows.processor_rate(peer, Axis::SetUps),
            rows.idle_bytes(peer),
        )?;
    }
    Ok(())
}

type Value = fn(&Sample) -> f64;

/// What is within the noise of two nodes on the same runtime counts as equal.
const EQUAL: f64 = 0.05;

fn mio_beside_tokio(rounds: &[Round], out: &mut String) -> std::fmt::Result {
    const TOKIO: usize = 1;
    const MIO: usize = 5;
    out.push_str("\n| mio × tokio | measured | goal | |\n|---|---|---|---|\n");
    let rate: Value = Sample::processor_rate;
    let axes: [(&str, Axis, Value); 5] = [
        ("bulk, by CPU", Axis::Bulk, rate),
        ("64 B messages, one call each, by CPU", Axis::SmallEach, rate),
        ("set-ups, by CPU", Axis::SetUps, rate),
        ("round trips a second, at p50", Axis::RoundTrip, |sample| 1e6 / sample.round_trip_us(0.5)),
        ("channels in a mebibyte", Axis::Idle, |sample| MIB / sample.idle_bytes),
    ];
    for (name, axis, value) in axes {
        let of = |round: &Round, peer: usize| value(&round.samples[peer][axis as usize]);
        let measured = median(rounds, |round| of(round, MIO) / of(round, TOKIO));
        let verdict = if measured >= 1.0 - EQUAL { "met" } else { "**missed**" };
        writeln!(out, "| {name} | {measured:.2} | ≥ {:.2} | {verdict} |", 1.0 - EQUAL)?;
    }
    Ok(())
}
