//! Fuzz targets: built once with coverage counters, run for seconds by the quick suite and for longer by
//! `cargo xtask long fuzz`, whose executions `fuzz/LEDGER.md` counts.
//!
//! The flags are those of cargo-fuzz without a sanitizer, which needs no nightly: the core forbids `unsafe`, so that a
//! sanitizer would find little, and an execution is several times quicker without. `cargo fuzz run TARGET` works too.

use crate::long::{commit, today};
use crate::process::{cargo, command, output, root, run_for, show};
use crate::suite::Findings;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Where the targets' package is, seen from the root.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

const LEDGER: &str = "fuzz/LEDGER.md";

/// How long the quick suite runs each target.
const QUICK_SECONDS: u64 = 2;

/// How long `cargo xtask long fuzz` runs each target unless it is told.
const LONG_SECONDS: u64 = 60;

const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// What a run of one target came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ran {
    executions: u64,
    steps: u64,
    /// What it found, in a line.
    finding: Option<String>,
}

/// The quick suite's part: each target for a few seconds.
pub(crate) fn quick() -> Findings {
    let (programs, targets) = match build().and_then(|programs| Ok((programs, targets()?))) {
        Ok(both) => both,
        Err(failure) => {
            return Findings::one(Err(format!("the fuzz targets don't build: {failure}")));
        }
    };
    let (queue, findings) = (Mutex::new(targets), Mutex::new(Findings::default()));
    let work = || {
        while let Some(target) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
            let result = run(&programs, &target, QUICK_SECONDS, false);
            if let Ok(mut findings) = findings.lock() {
                findings.add(verdict(&target, result));
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (0..cores).for_each(|_| drop(scope.spawn(work)));
    });
    findings.into_inner().unwrap_or_else(|_| Findings::one(Err("a run broke off".into())))
}

fn verdict(target: &str, result: Result<Ran, String>) -> Result<(), String> {
    let ran = result.map_err(|failure| format!("{target}: {failure}"))?;
    match ran.finding {
        Some(finding) => Err(format!("{target}: {finding}")),
        None if ran.steps == 0 => Err(format!("{target}: nothing was run")),
        None => Ok(()),
    }
}

/// The long run: each target, or those named, for so many seconds, one after the other, with a row in the ledger for
/// each.
pub(crate) fn long(arguments: &[String]) -> Result<String, String> {
    let number = arguments.iter().find_map(|argument| argument.parse().ok());
    let seconds: u64 = number.unwrap_or(LONG_SECONDS);
    let named: Vec<&String> =
        arguments.iter().filter(|argument| argument.parse::<u64>().is_err()).collect();
    let programs = build()?;
    let (mut executions, mut steps, mut found) = (0, 0, Vec::new());
    for target in targets()? {
        if !named.is_empty() && !named.contains(&&target) {
            continue;
        }
        let ran = run(&programs, &target, seconds, true)?;
        println!("   {target:<16} {:>12} executions {:>12} steps", ran.executions, ran.steps);
        note(&target, seconds, &ran)?;
        executions += ran.executions;
        steps += ran.steps;
        found.extend(ran.finding.map(|finding| format!("{target}: {finding}")));
    }
    if !found.is_empty() {
        return Err(found.join("; "));
    }
    Ok(format!("{executions} executions with {steps} steps, {seconds} s each; nothing found"))
}

/// Appends a row to the ledger.
fn note(target: &str, seconds: u64, ran: &Ran) -> Result<(), String> {
    let here = format!("{}/", root().display());
    let finding =
        ran.finding.as_deref().unwrap_or("none").replace(&here, "").replace(['|', '\n'], " ");
    let row = format!(
        "| {} | {} | {target} | {} | {} | {seconds} | {finding} |\n",
        today()?,
        commit()?,
        ran.executions,
        ran.steps
    );
    std::fs::OpenOptions::new()
        .append(true)
        .open(root().join(LEDGER))
        .and_then(|mut file| file.write_all(row.as_bytes()))
        .map_err(|error| format!("{LEDGER}: {error}"))
}

/// The names of all targets.
fn targets() -> Result<Vec<String>, String> {
    let directory = root().join("fuzz/fuzz_targets");
    let entries =
        std::fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Builds every target and gives the directory of the programs.
fn build() -> Result<PathBuf, String> {
    let version = output(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc doesn't say what host this is")?;
    let directory = root().join("target/fuzz");
    let mut build = cargo();
    // With a target of its own, build scripts and macros are built without counters.
    build.args(["build", "--quiet", "--locked", "--release", "--manifest-path", MANIFEST]);
    build.args(["--target", host, "--target-dir"]).arg(&directory);
    build.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    show(&mut build)?;
    Ok(directory.join(host).join("release"))
}

/// Runs one target on its corpus and what comes of it. With `keeps`, new inputs are kept for the next run, beside the
/// build: the corpus in the repository stays as it is.
fn run(programs: &Path, target: &str, seconds: u64, keeps: bool) -> Result<Ran, String> {
    let work = root().join("target/fuzz");
    let (own, found) = (work.join(if keeps { "corpus" } else { "quick" }), work.join("findings"));
    let own = own.join(target);
    if !keeps && own.exists() {
        std::fs::remove_dir_all(&own).map_err(|error| format!("{}: {error}", own.display()))?;
    }
    for directory in [&own, &found] {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut fuzz = command(&programs.join(target).to_string_lossy());
    // New inputs go to the first directory.
    fuzz.arg(&own).arg(root().join("fuzz/corpus").join(target));
    let dictionary = root().join("fuzz/dictionaries").join(target);
    if dictionary.exists() {
        fuzz.arg(format!("-dict={}", dictionary.display()));
    }
    fuzz.arg(format!("-max_total_time={seconds}"));
    if !keeps {
        // The quick suite judges a commit, so that it goes the same way each time; the long run looks further.
        fuzz.arg("-seed=1");
    }
    fuzz.arg(format!("-artifact_prefix={}/{target}-", found.display()));
    fuzz.args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=1024"]);
    let finished = run_for(&mut fuzz, Duration::from_secs(seconds + 120))?;
    let mut ran = read(&finished.stderr);
    if finished.timed_out || !finished.status.success() {
        let said = ran.finding.take().unwrap_or_else(|| format!("ended with {}", finished.status));
        let input = finished.stderr.lines().rev().find_map(|line| line.split_once("written to "));
        let input = input.map_or("", |(_, path)| path.trim());
        ran.finding = Some(format!("{said} {input}"));
    }
    Ok(ran)
}

/// What libFuzzer printed at its end.
fn read(said: &str) -> Ran {
    let number = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
        found.and_then(|rest| rest.trim_start_matches(':').trim().parse().ok()).unwrap_or(0)
    };
    let mut lines = said.lines().skip_while(|line| !line.contains("panicked at"));
    let finding = lines.next().map(|place| {
        let place = place.split_once("panicked at ").map_or(place, |(_, place)| place);
        format!("{place} {}", lines.next().unwrap_or_default())
    });
    Ran {
        executions: number("number_of_executed_units"),
        steps: number("number_of_steps"),
        finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let said = "#2 INITED\nstat::number_of_executed_units: 1234\nstat::average_exec_per_sec:     7\n\
                    stat::number_of_steps: 5678\n";
        assert_eq!(read(said), Ran { executions: 1234, steps: 5678, finding: None });
        let said = "thread '<unnamed>' panicked at a.rs:1:2:\nwhat happened\nnote: more\n";
        assert_eq!(read(said).finding.as_deref(), Some("a.rs:1:2: what happened"));
    }

    #[test]
    fn a_finding_and_an_empty_run_fail() {
        assert!(verdict("x", Ok(Ran::default())).is_err());
        assert!(verdict("x", Ok(Ran { executions: 1, steps: 1, finding: None })).is_ok());
        let found = Ran { executions: 1, steps: 1, finding: Some("a panic".into()) };
        assert_eq!(verdict("x", Ok(found)), Err("x: a panic".into()));
    }
}
