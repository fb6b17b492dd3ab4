//! The suite again and again while the machine is busy with something else, and its largest scenario in full.
//!
//! `p2pnet-conformance [--runs N]`: N runs in a row (20), then ten thousand idle channels on each adapter. The last line
//! says what came of it.

use p2pnet_conformance::scenario::crowd::CHANNELS;
use std::error::Error;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const RUNS: usize = 20;
const CHANNELS_FULL: &str = "10000";
const CROWD: &str = "idle_channels_cost_little_memory_and_no_time";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--runs").skip(1);
    let runs = arguments.next().map_or(Ok(RUNS), |runs| runs.parse())?;
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
            println!("run {run} of {runs}: {passed} scenarios");
            Ok(passed)
        });
        done.store(true, Ordering::Relaxed);
        scenarios.map_err(|error: Box<dyn Error>| error.to_string())
    })?;
    let crowds = suite(&[CROWD, "--nocapture", "--test-threads=1"], Some(CHANNELS_FULL))?;
    passed(&crowds)?;
    let said = String::from_utf8_lossy(&crowds.stdout);
    let figures: Vec<String> = said.lines().filter_map(figure).collect();
    println!(
        "{scenarios} scenarios on all adapters and pairs, {runs} times in a row beside {busy} busy threads: all passed; \
         {CHANNELS_FULL} idle channels: {}",
        figures.join("; ")
    );
    Ok(())
}

/// Runs the suite, or what of it is asked for.
fn suite(arguments: &[&str], channels: Option<&str>) -> Result<Output, Box<dyn Error>> {
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.args(["test", "--quiet", "--package=p2pnet-conformance", "--test=adapters", "--"]);
    Ok(test.args(arguments).envs(channels.map(|count| (CHANNELS, count))).output()?)
}

/// How many scenarios passed.
fn passed(run: &Output) -> Result<usize, Box<dyn Error>> {
    let said = String::from_utf8_lossy(&run.stdout);
    if !run.status.success() {
        let errors = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{said}\n{errors}\nthe suite failed: {}", run.status).into());
    }
    let verdict = said.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    let count = verdict.and_then(|verdict| verdict.split(' ').next()).ok_or("no verdict")?;
    Ok(count.parse()?)
}

/// `test tokio_in_a_thread::… ... 10000 idle channels: FIGURES`, cut down to the adapter and its figures.
fn figure(line: &str) -> Option<String> {
    let (test, figures) = line.split_once(" idle channels: ")?;
    let adapter = test.trim_start_matches("test ").split("::").next()?;
    Some(format!("{adapter} {figures}"))
}
