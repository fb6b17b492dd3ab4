//! Measures channels against limits and peers in one run, and prints the tables.
//!
//! `report [--quick] [--rounds N] [PEER…]`: without names, all peers. `--serve PEER JOB` is the child's part.

use p2pnet_benches::machine;
use p2pnet_benches::peers::{ALL, Entry, find};
use p2pnet_benches::report::{Extent, Round, serve, tables};
use std::error::Error;
use std::time::Instant;

const USAGE: &str = "usage: report [--quick] [--rounds N] [PEER…]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, peer, job] = &arguments[..]
        && flag == "--serve"
    {
        let entry = find(peer).ok_or("no such peer")?;
        let job = job.parse().map_err(|_| "no such job")?;
        return Ok(serve(entry, job)?);
    }
    let (extent, entries) = options(arguments)?;
    if cfg!(debug_assertions) {
        eprintln!("warning: a debug build; the figures mean nothing");
    }
    machine::pin(machine::CLIENT_CORE)?;
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
    println!("{}", tables(&entries, &rounds));
    Ok(())
}

fn options(arguments: Vec<String>) -> Result<(Extent, Vec<&'static Entry>), Box<dyn Error>> {
    let mut extent = Extent::FULL;
    let mut entries = Vec::new();
    let mut rounds = None;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--quick" => extent = Extent::QUICK,
            "--rounds" => rounds = Some(arguments.next().ok_or(USAGE)?.parse()?),
            name => entries.push(find(name).ok_or_else(|| {
                let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
                format!("{USAGE}\npeers: {}", names.join(" "))
            })?),
        }
    }
    if entries.is_empty() {
        entries = ALL.iter().collect();
    }
    extent.rounds = rounds.unwrap_or(extent.rounds).max(1);
    Ok((extent, entries))
}
