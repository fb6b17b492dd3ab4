//! Measures channels against limits and peers in one run, and prints the tables.
//!
//! `report [--quick] [--rounds N] [PEER…]`: without names, all peers. `report --runtimes` compares the runtimes instead. `report --job JOB [PEER…]` does one job (say
//! `bulk:1000`, `each:64:1000`, `roundtrip:1000`, `setups:1000` or `idle:1000`; the last number is milliseconds, or
//! channels) and tells both ends' processor time: for a profiler. `--serve PEER JOB` is the child's part.

use p2pnet_benches::job::Job;
use p2pnet_benches::machine;
use p2pnet_benches::peers::{ALL, Entry, RUNTIMES, find};
use p2pnet_benches::report::{Extent, Round, measure, serve, side_by_side, tables};
use std::error::Error;
use std::time::Instant;

const USAGE: &str = "usage: report [--quick] [--rounds N] [--runtimes] [--job JOB] [PEER…]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, peer, job] = &arguments[..]
        && flag == "--serve"
    {
        let entry = find(peer).ok_or("no such peer")?;
        let job = job.parse().map_err(|_| "no such job")?;
        return Ok(serve(entry, job)?);
    }
    let Options { extent, entries, job, runtimes } = Options::parse(arguments)?;
    if cfg!(debug_assertions) {
        eprintln!("warning: a debug build; the figures mean nothing");
    }
    machine::pin(machine::CLIENT_CORE)?;
    if let Some(job) = job {
        for entry in (0..extent.rounds).flat_map(|_| &entries) {
            let sample = measure(entry, job)?;
            let [client, server] = sample.processor_s;
            println!(
                "{} {job}: {:.0}/s, for a processor second of the busier end {:.0}; {:.2} ns each at the client, {:.2} \
                 at the server, {:.2} passed; round trip {:.1} µs; idle {:.0} B; others {:.2}",
                entry.name,
                sample.rate(),
                sample.processor_rate(),
                client * 1e9 / sample.outcome.count as f64,
                server * 1e9 / sample.outcome.count as f64,
                sample.outcome.seconds * 1e9 / sample.outcome.count as f64,
                sample.round_trip_us(0.5),
                sample.idle_bytes,
                sample.disturbance,
            );
        }
        return Ok(());
    }
    let start = Instant::now();
    let mut rounds = Vec::new();
    for round in 1..=extent.rounds {
        rounds.push(Round::measure(&entries, &extent)?);
        eprintln!(
            "round {round} of {} after {:.0} s",
            extent.rounds,
            start.elapsed().as_secs_f64()
        );
    }
    println!("{}", if runtimes { side_by_side(&rounds) } else { tables(&entries, &rounds) });
    Ok(())
}

struct Options {
    extent: Extent,
    entries: Vec<&'static Entry>,
    job: Option<Job>,
    runtimes: bool,
}

impl Options {
    fn parse(arguments: Vec<String>) -> Result<Self, Box<dyn Error>> {
        let mut extent = Extent::FULL;
        let (mut entries, mut rounds, mut job) = (Vec::new(), None, None);
        let mut runtimes = false;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--quick" => extent = Extent::QUICK,
                "--runtimes" => runtimes = true,
                "--rounds" => rounds = Some(arguments.next().ok_or(USAGE)?.parse()?),
                "--job" => {
                    let text = arguments.next().ok_or(USAGE)?;
                    job = Some(text.parse().map_err(|_| format!("{USAGE}\nnot a job: {text}"))?);
                }
                name => entries.push(find(name).ok_or_else(|| {
                    let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
                    format!("{USAGE}\npeers: {}", names.join(" "))
                })?),
            }
        }
        if runtimes {
            entries = RUNTIMES.concat();
        } else if entries.is_empty() {
            entries = ALL.iter().collect();
        }
        extent.rounds = rounds.unwrap_or(extent.rounds).max(1);
        Ok(Self { extent, entries, job, runtimes })
    }
}
