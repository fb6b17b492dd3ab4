//! `simulate` and `replay`: a world of nodes in virtual time, and one of its nodes again.

mod options;

pub(crate) use options::Simulate;

use crate::failure::Failure;
use crate::out::{note, out};
use clap::Args;
use options::command;
use p2pnet_protocol::{Event, Instant, Output};
use p2pnet_simulator::{Progress, Report, Scenario, Shown, TraceFile, replay, run, shrink};
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// `replay`.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// A recording, as `p2pnet simulate --trace` makes it
    file: PathBuf,
    /// Show every input and every output, not only what the node told its application
    #[arg(long)]
    all: bool,
    /// Print only the result, as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `simulate`.
pub(crate) fn simulate(args: &Simulate) -> Result<(), Failure> {
    let first = args.scenario()?;
    let trace = match args.traced()? {
        Some((node, file)) => Some(TraceFile::create(node, &file).map_err(|error| {
            Failure::failed(format!("can't write {}: {error}", file.display()))
        })?),
        None => None,
    };
    let reports = run_all(&first, args.seeds, trace)?;
    for report in &reports {
        tell_failures(&first, report, args.shrink);
    }
    match &reports[..] {
        [report] if args.json => out().json(report)?,
        _ if args.json => out().json(&Sum::of(&reports))?,
        _ => print(&reports)?,
    }
    let broken = reports.iter().filter(|report| !report.failures.is_empty()).count();
    match broken {
        0 => Ok(()),
        _ => {
            let runs = reports.len();
            Err(Failure::failed(format!("promises were broken in {broken} of {runs} runs")))
        }
    }
}

/// Runs one seed after the other, as many at a time as there are cores.
fn run_all(first: &Scenario, seeds: u32, trace: Option<TraceFile>) -> Result<Vec<Report>, Failure> {
    let (next, done) = (AtomicU32::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds as usize);
    let line = Line::new(seeds);
    let work = || {
        while let Some(nth) = Some(next.fetch_add(1, Relaxed)).filter(|nth| *nth < seeds) {
            let seed = first.seed.wrapping_add(u64::from(nth));
            let scenario = Scenario { seed, ..first.clone() };
            // One seed is recorded, the first.
            let trace = trace.clone().filter(|_| nth == 0);
            let report = run(&scenario, trace, |progress| line.show(&progress));
            line.finished();
            if let Ok(mut done) = done.lock() {
                done.push((nth, report));
            }
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| _ = scope.spawn(work));
        work();
    });
    line.clear();
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(nth, _)| *nth);
    done.into_iter().map(|(_, report)| report.map_err(Failure::usage)).collect()
}

/// The progress of a run, for a person: one line that changes on a terminal, a line for each tenth elsewhere.
struct Line {
    terminal: bool,
    seeds: u32,
    finished: AtomicU32,
    told: Mutex<u64>,
}

impl Line {
    fn new(seeds: u32) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, seeds, finished: AtomicU32::new(0), told: Mutex::new(0) }
    }

    fn show(&self, at: &Progress) {
        if self.seeds > 1 {
            return;
        }
        let text = format!(
            "{:>5} s of {} s, {}: {} nodes, {} channels opened, {} messages heard, {} broken promises",
            at.virtual_ms / 1000,
            at.virtual_ms_total / 1000,
            at.phase,
            at.running,
            at.counts.channels,
            at.counts.messages_heard,
            at.failures
        );
        let tenth = at.virtual_ms * 10 / at.virtual_ms_total.max(1);
        let Ok(mut told) = self.told.lock() else { return };
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
        } else if *told != tenth {
            *told = tenth;
            note(text);
        }
    }

    fn finished(&self) {
        let finished = 1 + self.finished.fetch_add(1, Relaxed);
        if self.seeds == 1 {
            return;
        }
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r{finished} of {} runs\x1b[K", self.seeds);
        } else if finished.is_multiple_of(self.seeds.div_ceil(8)) {
            note(format_args!("{finished} of {} runs", self.seeds));
        }
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Tells which promises were broken, and the command that breaks them again.
fn tell_failures(first: &Scenario, report: &Report, smaller: bool) {
    const TOLD_MAX: usize = 10;
    const RUNS_MAX: u32 = 60;
    let Some(worst) = report.failures.first() else { return };
    let scenario = Scenario { seed: report.seed, ..first.clone() };
    for failure in report.failures.iter().take(TOLD_MAX) {
        note(format_args!("broken: {failure}"));
    }
    if report.failures.len() > TOLD_MAX {
        note(format_args!("and {} more", report.failures.len() - TOLD_MAX));
    }
    note(format_args!("again: {}", command(&scenario)));
    if smaller {
        let small = shrink(&scenario, worst.checker, RUNS_MAX, |tried, fails| {
            let verdict = if fails { "fails too" } else { "holds" };
            note(format_args!("  {verdict}: {}", command(tried)));
        });
        note(format_args!("smallest that fails: {}", command(&small)));
    }
}

/// Several runs as one.
#[derive(Serialize)]
struct Sum {
    nodes: u32,
    seed: u64,
    seeds: usize,
    trace_hash: String,
    messages_sent: u64,
    messages_heard: u64,
    bytes_per_node: u64,
    failures: Vec<SeedFailure>,
}

#[derive(Serialize)]
struct SeedFailure {
    seed: u64,
    #[serde(flatten)]
    failure: p2pnet_simulator::Failure,
}

impl Sum {
    fn of(reports: &[Report]) -> Self {
        let hashes: Vec<u8> = reports.iter().flat_map(|report| report.trace_hash.bytes()).collect();
        let digest = p2pnet_protocol::hash::sha256(&[&hashes]);
        let failures = reports.iter().flat_map(|report| {
            let seed = report.seed;
            report.failures.iter().cloned().map(move |failure| SeedFailure { seed, failure })
        });
        Self {
            nodes: reports.first().map_or(0, |report| report.nodes),
            seed: reports.first().map_or(0, |report| report.seed),
            seeds: reports.len(),
            trace_hash: digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
            messages_sent: reports.iter().map(|report| report.messages_sent).sum(),
            messages_heard: reports.iter().map(|report| report.messages_heard).sum(),
            bytes_per_node: reports.iter().map(|report| report.bytes_per_node).max().unwrap_or(0),
            failures: failures.collect(),
        }
    }
}

fn print(reports: &[Report]) -> Result<(), Failure> {
    let mut out = out();
    if let [report] = reports {
        for (name, count) in report.counts.all() {
            out.line(format_args!("{count:>12}  {}", name.replace('_', " ")))?;
        }
        match report.formed_ms {
            Some(ms) => {
                out.line(format_args!("all of each LAN had found each other by {ms} ms"))?
            }
            None => out.line("not all of each LAN found each other")?,
        }
        if let Some(ms) = report.newcomer_found_ms {
            out.line(format_args!("newcomers were found by all within {ms} ms"))?;
        }
        let (heard, sent) = (report.broadcast_heard_min, report.broadcasts);
        out.line(format_args!("{sent} broadcasts, each heard by at least {heard} nodes"))?;
        out.line(format_args!("{} bytes of memory a node", report.bytes_per_node))?;
    }
    for report in reports {
        let verdict = match report.failures.len() {
            0 => "every promise held".to_owned(),
            broken => format!("{broken} promises broken"),
        };
        out.line(format_args!(
            "{} nodes, seed {}: {verdict}, trace hash {}",
            report.nodes, report.seed, report.trace_hash
        ))?;
    }
    Ok(())
}

/// Runs `replay`.
pub(crate) fn replay_file(args: &Replay) -> Result<(), Failure> {
    let mut written = Ok(());
    let mut started = None;
    let result = replay(&args.file, |shown| {
        let text = match shown {
            Shown::Life { life, peer } => {
                started = None;
                Some(format!("life {life} of {peer}"))
            }
            Shown::Input(at, input) => {
                let clock = clock(at, *started.get_or_insert(at));
                args.all.then(|| format!("{clock} <- {}", brief(&format!("{input:?}"))))
            }
            Shown::Event(at, event) => {
                let clock = clock(at, started.unwrap_or(at));
                Some(format!("{clock}    {}", tell(event)))
            }
            Shown::Output(at, output) => {
                let clock = clock(at, started.unwrap_or(at));
                args.all.then(|| format!("{clock} -> {}", wanted(output)))
            }
            _ => None,
        };
        if let Some(text) = text.filter(|_| written.is_ok() && !args.json) {
            written = out().line(text);
        }
    });
    written?;
    let replayed = result.map_err(|error| Failure::failed(error.to_string()))?;
    if args.json {
        return out().json(&replayed);
    }
    out().line(format_args!(
        "{} lives, {} inputs, {} events as recorded; trace hash {}",
        replayed.lives, replayed.inputs, replayed.events, replayed.trace_hash
    ))
}

fn clock(at: Instant, from: Instant) -> String {
    format!("{:>10.3}", at.since(from).as_secs_f64())
}

fn tell(event: &Event) -> String {
    brief(&format!("{event:?}"))
}

fn wanted(output: &Output) -> String {
    brief(&format!("{output:?}"))
}

/// The head of a long text. Nothing in it can steer a terminal: debug formats escape.
fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
