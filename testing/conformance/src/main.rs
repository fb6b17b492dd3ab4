//! The suite again and again while the machine is busy with something else, and its largest scenario in full.
//!
//! `p2pnet-conformance [--runs N]`: N runs in a row (20). `p2pnet-conformance --idle [N]`: N idle channels (10,000) on
//! each adapter. The last line says what came of it.

use p2pnet_conformance::scenario::crowd::CHANNELS;
use std::error::Error;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const RUNS: usize = 20;
const CHANNELS_FULL: usize = 10_000;
const CROWD: &str = "idle_channels_cost_little_memory_and_no_time";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse::<usize>();
    match &arguments[..] {
        [] => again_and_again(RUNS),
        [flag, runs] if flag == "--runs" => again_and_again(number(runs)?),
        [flag] if flag == "--idle" => idle(CHANNELS_FULL),
        [flag, channels] if flag == "--idle" => idle(number(channels)?),
        _ => Err("usage: p2pnet-conformance [--runs N | --idle [N]]".into()),
    }
}

/// Runs the whole suite `runs` times in a row, beside as many busy threads as there are processors.
fn again_and_again(runs: usize) -> Result<(), Box<dyn Error>> {
    let busy = thread::available_parallelism()?.get();
    let done = AtomicBool::new(false);
    let scenarios = thread::scope(|scope| {
        for _ in 0..busy {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let scenarios = (1..=runs).try_fold(0, |_, run| {
            let passed = passed(&suite(&[], None)?)?;
            eprintln!("run {run} of {runs}: {passed} scenarios");
            Ok(passed)
        });
        done.store(true, Ordering::Relaxed);
        scenarios.map_err(|error: Box<dyn Error>| error.to_string())
    })?;
    println!(
        "{scenarios} scenarios on all adapters and pairs, {runs} times in a row beside {busy} busy threads: all passed"
    );
    Ok(())
}

/// Opens that many channels on each adapter, between two processes, and tells what one costs.
fn idle(channels: usize) -> Result<(), Box<dyn Error>> {
    let run = suite(&[CROWD, "--nocapture", "--test-threads=1"], Some(channels))?;
    let adapters = passed(&run)?;
    let said = String::from_utf8_lossy(&run.stdout);
    let figures: Vec<String> = said.lines().filter_map(figure).collect();
    if figures.len() != adapters {
        return Err(format!("{said}\n{adapters} adapters and {} figures", figures.len()).into());
    }
    println!("{channels} idle channels between two processes: {}", figures.join("; "));
    Ok(())
}

/// Runs the suite, or what of it is asked for.
fn suite(arguments: &[&str], channels: Option<usize>) -> Result<Output, Box<dyn Error>> {
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.args(["test", "--quiet", "--package=p2pnet-conformance", "--test=adapters", "--"]);
    Ok(test.args(arguments).envs(channels.map(|count| (CHANNELS, count.to_string()))).output()?)
}

/// How many scenarios passed.
fn passed(run: &Output) -> Result<usize, Box<dyn Error>> {
    let said = String::from_utf8_lossy(&run.stdout);
    if !run.status.success() {
        let errors = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{said}\n{errors}\nthe suite failed: {}", run.status).into());
    }
    // The last verdict is this program's: scenarios in processes of their own have theirs before.
    let verdict = said.lines().rev().find_map(|line| line.strip_prefix("test result: ok. "));
    let count = verdict.and_then(|verdict| verdict.split(' ').next()).ok_or("no verdict")?;
    Ok(count.parse()?)
}

/// `test tokio_in_a_thread::… ... 10000 idle channels: FIGURES`, cut down to the adapter and its figures.
fn figure(line: &str) -> Option<String> {
    let (test, figures) = line.split_once(" idle channels: ")?;
    let adapter = test.trim_start_matches("test ").split("::").next()?;
    Some(format!("{adapter} {figures}"))
}
