//! The tables, in Markdown.

use super::{Axis, Round, Sample, goals, median};
use crate::memory::{AeadTimes, CoreRates, SIZES, serial_bound};
use crate::peers::{Entry, Protection, RAW, RAW_TOKIO};
use std::fmt::Write as _;

const EXPLAINED: &str = "\
Two processes on loopback, one core an end. Ratios are taken within a round. \"By CPU\" counts \
processor seconds of the busier end instead of time, which holds on a busy machine too. \"Others\" is the \
greatest share of the machine that anything else used meanwhile: above 0.25, don't trust the row.";

const MIB: f64 = 1_048_576.0;

/// A peer's place in the rounds, and what to compute for it.
pub(super) struct Rows<'r> {
    pub(super) entries: &'r [&'static Entry],
    pub(super) rounds: &'r [Round],
}

impl Rows<'_> {
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// The median rate of `peer` on `axis`, a second.
    pub(super) fn rate(&self, peer: usize, axis: Axis) -> f64 {
        median(self.rounds, |round| round.samples[peer][axis as usize].rate())
    }

    /// The same for each processor second of the busier end.
    pub(super) fn processor_rate(&self, peer: usize, axis: Axis) -> f64 {
        median(self.rounds, |round| round.samples[peer][axis as usize].processor_rate())
    }

    /// The median over rounds of bulk divided by the same round's bulk of `other`.
    pub(super) fn bulk_ratio(&self, peer: usize, other: Option<usize>) -> f64 {
        let bulk = Axis::Bulk as usize;
        median(self.rounds, |round| {
            let limit = other.map_or(f64::NAN, |other| round.samples[other][bulk].rate());
            round.samples[peer][bulk].rate() / limit
        })
    }

    /// The median over rounds of bulk divided by the same round's serial bound, both by `rate`.
    pub(super) fn bound_ratio(&self, peer: usize, rate: fn(&Sample) -> f64) -> f64 {
        let raw = self.index(RAW);
        median(self.rounds, |round| {
            let mib_s = |peer: usize| rate(&round.samples[peer][Axis::Bulk as usize]) / MIB;
            let raw = raw.map_or(f64::NAN, mib_s);
            let bound = match self.entries[peer].protection {
                Protection::None => raw,
                Protection::Aes(record) => {
                    serial_bound(raw, open_ns(&round.aeads.aes, record), record)
                }
                Protection::ChaCha(record) => {
                    serial_bound(raw, open_ns(&round.aeads.chacha, record), record)
                }
            };
            mib_s(peer) / bound
        })
    }

    /// The median over rounds of the round trip's p50 divided by the same round's under raw tokio.
    pub(super) fn round_trip_ratio(&self, peer: usize) -> f64 {
        let tokio = self.index(RAW_TOKIO);
        let p50 = |round: &Round, peer: usize| {
            round.samples[peer][Axis::RoundTrip as usize].round_trip_us(0.5)
        };
        median(self.rounds, |round| {
            p50(round, peer) / tokio.map_or(f64::NAN, |tokio| p50(round, tokio))
        })
    }

    pub(super) fn idle_bytes(&self, peer: usize) -> f64 {
        median(self.rounds, |round| round.samples[peer][Axis::Idle as usize].idle_bytes)
    }
}

/// The time to open a record, from the measured size next to it.
fn open_ns(times: &[AeadTimes; SIZES.len()], record_bytes: usize) -> f64 {
    let measured = SIZES.iter().position(|&size| size >= record_bytes).unwrap_or(SIZES.len() - 1);
    times[measured].open_ns * record_bytes as f64 / SIZES[measured] as f64
}

/// All tables of `rounds`, whose samples are those of `entries`.
pub fn tables(entries: &[&'static Entry], rounds: &[Round]) -> String {
    let rows = Rows { entries, rounds };
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = channels(&rows, &mut out);
    let _ = aeads(rounds, &mut out);
    let _ = goals::table(&rows, &mut out);
    out
}

fn channels(rows: &Rows<'_>, out: &mut String) -> std::fmt::Result {
    let rounds = rows.rounds.len();
    writeln!(out, "## Channels\n\n{EXPLAINED} Medians of {rounds} rounds.\n")?;
    out.push_str(
        "| peer | bulk MiB/s | × raw | × serial bound | same by CPU | CPU s/GiB | 64 B batched M/s | 64 B each k/s \
         | 1 KiB batched k/s | RTT p50 / p99 µs | × tokio | set-ups/s | B/idle | others |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (peer, entry) in rows.entries.iter().enumerate() {
        let processor = median(rows.rounds, |round| {
            let bulk = &round.samples[peer][Axis::Bulk as usize];
            bulk.processor_s.iter().sum::<f64>() / (bulk.outcome.count as f64 / MIB / 1_024.0)
        });
        let trip = |share| {
            median(rows.rounds, |round| {
                round.samples[peer][Axis::RoundTrip as usize].round_trip_us(share)
            })
        };
        let samples = rows.rounds.iter().flat_map(|round| &round.samples[peer]);
        let others = samples.map(|sample| sample.disturbance).fold(0.0, f64::max);
        writeln!(
            out,
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {processor:.2} | {:.1} | {:.0} | {:.0} | {:.1} / {:.0} | {:.2} | {:.0} \
             | {:.0} | {others:.2} |",
            entry.name,
            rows.rate(peer, Axis::Bulk) / MIB,
            rows.bulk_ratio(peer, rows.index(RAW)),
            rows.bound_ratio(peer, Sample::rate),
            rows.bound_ratio(peer, Sample::processor_rate),
            rows.rate(peer, Axis::Small) / 1e6,
            rows.rate(peer, Axis::SmallEach) / 1e3,
            rows.rate(peer, Axis::Medium) / 1e3,
            trip(0.5),
            trip(0.99),
            rows.round_trip_ratio(peer),
            rows.rate(peer, Axis::SetUps),
            rows.idle_bytes(peer),
        )?;
    }
    Ok(())
}

fn aeads(rounds: &[Round], out: &mut String) -> std::fmt::Result {
    out.push_str(
        "\n## Limits in memory\n\n| ring | 64 B ns | 1 KiB ns | 16 KiB GiB/s | 64 KiB GiB/s |\n|---|---|---|---|---|\n",
    );
    type Pick = fn(&Round) -> &[AeadTimes; SIZES.len()];
    let ciphers: [(&str, Pick); 2] = [
        ("AES-256-GCM", |round| &round.aeads.aes),
        ("ChaCha20-Poly1305", |round| &round.aeads.chacha),
    ];
    for (name, pick) in ciphers {
        for step in ["seal", "open"] {
            let ns = |times: &AeadTimes| if step == "seal" { times.seal_ns } else { times.open_ns };
            write!(out, "| {name}, {step} |")?;
            for (at, size) in SIZES.into_iter().enumerate() {
                let ns = median(rounds, |round| ns(&pick(round)[at]));
                if size <= 1_024 {
                    write!(out, " {ns:.0} |")?;
                } else {
                    write!(out, " {:.2} |", size as f64 / ns * 1e9 / 1024.0 / MIB)?;
                }
            }
            out.push('\n');
        }
    }
    out.push_str("\n| Noise XX in memory, both ends on one core | pairs/s |\n|---|---|\n");
    let fast = median(rounds, |round| round.handshakes.fast);
    let pure = median(rounds, |round| round.handshakes.pure);
    let snow = median(rounds, |round| round.handshakes.snow);
    writeln!(out, "| ours, `FastCrypto`, one Ed25519 verification a side | {fast:.0} |")?;
    writeln!(out, "| ours, `PureCrypto`, one Ed25519 verification a side | {pure:.0} |")?;
    writeln!(out, "| snow, no signatures | {snow:.0} |")?;
    let core = |figure: fn(&CoreRates) -> f64| median(rounds, |round| figure(&round.core));
    out.push_str("\n| The core alone, both ends on one core | |\n|---|---|\n");
    writeln!(
        out,
        "| bulk, AES where the machine has it | {:.0} MiB/s |",
        core(|core| core.bulk) / MIB
    )?;
    writeln!(
        out,
        "| bulk, ChaCha20-Poly1305 | {:.0} MiB/s |",
        core(|core| core.bulk_chacha) / MIB
    )?;
    let (each, packed) = (core(|core| core.messages) / 1e6, core(|core| core.packed) / 1e6);
    writeln!(out, "| 64-byte messages, one call each / packed | {each:.2} / {packed:.2} M/s |")?;
    writeln!(out, "| channels opened and closed | {:.0} /s |", core(|core| core.set_ups))
}
