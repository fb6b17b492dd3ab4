//! `figures swarm|hour|lan|seeds|real`: the simulator's large runs, each held to its figure. The last line is the result.

use p2pnet_simulator::{CryptoKind, LimitsKind, Phases, Report, Scenario, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

fn main() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    let start = Instant::now();
    let result = match part.as_str() {
        "swarm" => swarm(),
        "hour" => hour(),
        "lan" => lan(),
        "seeds" => seeds(64, CryptoKind::Simulated, 200),
        "real" => seeds(4, CryptoKind::Real, 50),
        _ => {
            eprintln!("usage: figures swarm|hour|lan|seeds|real");
            return ExitCode::from(2);
        }
    };
    let seconds = start.elapsed().as_secs();
    match result {
        Ok(text) => {
            println!("{text}, in {seconds} s");
            ExitCode::SUCCESS
        }
        Err(text) => {
            println!("FAILED after {seconds} s: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a scenario in this thread; broken promises are an error.
fn held(scenario: &Scenario) -> Result<Report, String> {
    let mut told = 0;
    let report = run(scenario, None, |at| {
        let tenth = at.virtual_ms * 10 / at.virtual_ms_total.max(1);
        if tenth > told {
            told = tenth;
            eprintln!(
                "{}0 %: {} nodes, {} messages heard",
                tenth, at.running, at.counts.messages_heard
            );
        }
    })?;
    match report.failures.first() {
        None => Ok(report),
        Some(first) => Err(format!("{} broken promises, first {first}", report.failures.len())),
    }
}

fn need(holds: bool, text: String) -> Result<String, String> {
    if holds { Ok(text) } else { Err(text) }
}

/// Ten thousand nodes hear twenty broadcasts in one thread.
fn swarm() -> Result<String, String> {
    let report = held(&Scenario {
        nodes: 10_000,
        lan_nodes: 5,
        wan_links: 1,
        channels_auto_max: 2,
        limits: LimitsKind::Small,
        faults: Vec::new(),
        phases: Phases { form_ms: 30_000, chaos_ms: 0, calm_ms: 60_000 },
        talk_every_ms: 3_600_000,
        ..Scenario::default()
    })?;
    let (bytes, heard) = (report.bytes_per_node, report.broadcast_heard_min);
    need(
        bytes <= 32 << 10 && heard == 10_000,
        format!(
            "10,000 nodes, {} channels, 20 broadcasts heard by {heard} each, {bytes} bytes a node (at most 32,768)",
            report.counts.channels / 2
        ),
    )
}

/// A thousand nodes for an hour: memory stays flat.
fn hour() -> Result<String, String> {
    let report = held(&Scenario {
        nodes: 1000,
        phases: Phases { form_ms: 30_000, chaos_ms: 570_000, calm_ms: 3_000_000 },
        talk_every_ms: 5000,
        ..Scenario::default()
    })?;
    let [first, last] = report.resident_bytes.map(|bytes| bytes >> 20);
    need(
        last <= first + first / 20,
        format!(
            "1,000 nodes for a virtual hour, {} messages heard, {first} MiB when calm began and {last} MiB 50 minutes later",
            report.messages_heard
        ),
    )
}

/// A LAN of a thousand hosts switched on together, then one more.
fn lan() -> Result<String, String> {
    let report = held(&Scenario {
        nodes: 1000,
        lan_nodes: 1000,
        newcomers: 1,
        channels_auto_max: 64,
        faults: Vec::new(),
        phases: Phases { form_ms: 35_000, chaos_ms: 0, calm_ms: 40_000 },
        ..Scenario::default()
    })?;
    let (formed, found) = (report.formed_ms, report.newcomer_found_ms);
    let loudest = report.counts.lan_bytes_per_second_max;
    need(
        formed.is_some_and(|ms| ms <= 30_000)
            && found.is_some_and(|ms| ms <= 5000)
            && loudest <= 50_000,
        format!(
            "1,000 hosts started at once knew each other after {formed:?} ms (at most 30,000), a newcomer was found by \
             all in {found:?} ms (at most 5,000), at most {loudest} bytes of beacons in a second (at most 50,000)"
        ),
    )
}

/// Many seeds, on all cores.
fn seeds(count: u64, crypto: CryptoKind, nodes: u32) -> Result<String, String> {
    let (next, failures, heard) = (AtomicU64::new(1), Mutex::new(Vec::new()), AtomicU64::new(0));
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Relaxed)).filter(|seed| *seed <= count) {
            let scenario = Scenario { nodes, seed, crypto, ..Scenario::ci() };
            match run(&scenario, None, |_| {}) {
                Ok(report) => {
                    heard.fetch_add(report.messages_heard, Relaxed);
                    let told = report.failures.iter().map(|one| format!("seed {seed}: {one}"));
                    failures.lock().unwrap_or_else(|e| e.into_inner()).extend(told);
                }
                Err(problem) => failures.lock().unwrap_or_else(|e| e.into_inner()).push(problem),
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (1..cores).for_each(|_| _ = scope.spawn(work));
        work();
    });
    let failures = failures.into_inner().unwrap_or_default();
    let heard = heard.into_inner();
    let text = format!("{count} seeds × {nodes} nodes, {crypto} crypto, {heard} messages heard");
    match failures.first() {
        None => Ok(format!("{text}, every promise held")),
        Some(first) => Err(format!("{text}; {} broken promises, first {first}", failures.len())),
    }
}
