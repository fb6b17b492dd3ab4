//! The full figures: programs that run for minutes, whose results are kept in `docs/long-runs.md`.

use crate::process::{cargo, command, output, root, show, target};
use crate::{faults, fuzz};
use std::io::Write;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const RECORD: &str = "docs/long-runs.md";

struct Part {
    name: &'static str,
    what: &'static str,
    /// Arguments of `cargo run --release`.
    program: &'static [&'static str],
    /// What of the program's output goes into the record.
    result: fn(&str) -> Option<String>,
    /// Where all that it prints is kept too, instead of what was there.
    page: Option<&'static str>,
}

const PARTS: &[Part] = &[
    Part {
        name: "meet",
        what: "two hosts meet with nothing configured, 50 starts",
        program: &["-p", "p2pnet-lab", "--", "meet", "--starts", "50"],
        result: last_line,
        page: None,
    },
    Part {
        name: "wires",
        what: "the same without multicast, without broadcast, over IPv6 alone, with two interfaces",
        program: &["-p", "p2pnet-lab", "--", "wires", "--starts", "10"],
        result: last_line,
        page: None,
    },
    Part {
        name: "crowd",
        what: "20 members trust each other, a 21st host gets what the policy allows",
        program: &["-p", "p2pnet-lab", "--", "crowd", "--members", "20"],
        result: last_line,
        page: None,
    },
    Part {
        name: "repair",
        what: "a peer killed, the link gone for 30 s, half-open connections, descriptors",
        program: &["-p", "p2pnet-lab", "--", "repair", "--seconds", "30"],
        result: last_line,
        page: None,
    },
    Part {
        name: "storm",
        what: "half a minute of forged and malformed beacons",
        program: &["-p", "p2pnet-lab", "--", "storm", "--seconds", "30"],
        result: last_line,
        page: None,
    },
    Part {
        name: "files",
        what: "4 GiB between two nodes: over loopback, over a long and lossy way, with 20 kills",
        program: &["-p", "p2pnet-lab", "--", "files"],
        result: last_line,
        page: None,
    },
    Part {
        name: "attacks",
        what: "every attack script in full (see docs/attacks.md)",
        program: &["-p", "p2pnet-attacks", "--", "run"],
        result: last_line,
        page: Some("docs/attacks-figures.md"),
    },
    Part {
        name: "inputs",
        what: "ten million random and mutated inputs to the whole state machine",
        program: &["-p", "p2pnet-inputs", "--bin", "p2pnet-inputs", "--", "--inputs", "10000000"],
        result: last_line,
        page: None,
    },
    Part {
        name: "windows",
        what: "no window of 2^24 of a scan's order holds an address twice, for every size of space",
        program: &["-p", "p2pnet-inputs", "--bin", "windows"],
        result: last_line,
        page: None,
    },
    Part {
        name: "swarm",
        what: "10,000 simulated nodes hear 20 broadcasts in one thread",
        program: &["-p", "p2pnet-simulator", "--bin", "figures", "--", "swarm"],
        result: last_line,
        page: None,
    },
    Part {
        name: "hour",
        what: "1,000 simulated nodes for a virtual hour, with faults in its first ten minutes",
        program: &["-p", "p2pnet-simulator", "--bin", "figures", "--", "hour"],
        result: last_line,
        page: None,
    },
    Part {
        name: "lan",
        what: "a simulated LAN of 1,000 hosts started at once, and a newcomer",
        program: &["-p", "p2pnet-simulator", "--bin", "figures", "--", "lan"],
        result: last_line,
        page: None,
    },
    Part {
        name: "seeds",
        what: "64 seeds × 200 simulated nodes through chaos",
        program: &["-p", "p2pnet-simulator", "--bin", "figures", "--", "seeds"],
        result: last_line,
        page: None,
    },
    Part {
        name: "real",
        what: "4 seeds × 50 simulated nodes with real cryptography",
        program: &["-p", "p2pnet-simulator", "--bin", "figures", "--", "real"],
        result: last_line,
        page: None,
    },
    Part {
        name: "conformance",
        what: "the conformance suite 20 times in a row on a busy machine",
        program: &["-p", "p2pnet-conformance", "--bin", "p2pnet-conformance"],
        result: last_line,
        page: None,
    },
    Part {
        name: "idle",
        what: "10,000 idle channels between two processes, on each adapter",
        program: &["-p", "p2pnet-conformance", "--bin", "p2pnet-conformance", "--", "--idle"],
        result: last_line,
        page: None,
    },
    Part {
        name: "runtimes",
        what: "nodes on tokio, smol and mio side by side, against each one's raw TCP",
        program: &["-p", "p2pnet-benches", "--bin", "report", "--", "--runtimes"],
        result: beside,
        page: Some("docs/runtimes-measured.md"),
    },
    Part {
        name: "channels",
        what: "channels against limits and peers, measured in one run",
        program: &["-p", "p2pnet-benches", "--bin", "report"],
        result: goals,
        page: Some("docs/channels.md"),
    },
];

/// The part that isn't one program: its name and what it is.
const FUZZ: (&str, &str) =
    ("fuzz", "each fuzz target for a minute, or `fuzz [SECONDS] [TARGET]...` (see fuzz/LEDGER.md)");

/// Likewise.
const FAULTS: (&str, &str) =
    ("faults", "every planted fault must turn its tests red, or `faults [NAME]...`");

/// Runs the parts named, or all.
pub(crate) fn run(asked: &[String]) -> bool {
    if asked.iter().any(|asked| asked == "--help" || asked == "-h") {
        list();
        return true;
    }
    // What follows the word belongs to it: seconds and targets.
    if let Some((first, arguments)) = asked.split_first()
        && first == FUZZ.0
    {
        return tell(FUZZ, || fuzz::long(arguments));
    }
    if let Some((first, names)) = asked.split_first()
        && first == FAULTS.0
    {
        return tell(FAULTS, || faults::long(names));
    }
    if let Some(unknown) = asked.iter().find(|asked| PARTS.iter().all(|part| part.name != **asked))
    {
        eprintln!("no such part: {unknown}");
        list();
        return false;
    }
    let (mut passed, mut failed) = (0, 0);
    for part in PARTS.iter().filter(|part| asked.is_empty() || asked.iter().any(|a| a == part.name))
    {
        if tell((part.name, part.what), || run_part(part)) { passed += 1 } else { failed += 1 }
    }
    if asked.is_empty() {
        if tell(FUZZ, || fuzz::long(&[])) {
            passed += 1
        } else {
            failed += 1
        }
        if tell(FAULTS, || faults::long(&[])) { passed += 1 } else { failed += 1 }
    }
    println!("{passed} passed, {failed} failed");
    failed == 0
}

/// Runs a part, says how it went and notes it.
fn tell((name, what): (&str, &str), run: impl FnOnce() -> Result<String, String>) -> bool {
    println!("== {name}: {what}");
    let start = Instant::now();
    let result = run();
    let good = result.is_ok();
    let text = result.unwrap_or_else(|failure| format!("FAILED {failure}"));
    println!("   {text} ({:.0} s)", start.elapsed().as_secs_f64());
    if let Err(failure) = record(name, &text) {
        println!("   can't note it: {failure}");
        return false;
    }
    good
}

/// Prints what the parts are.
pub(crate) fn list() {
    println!("parts of `cargo xtask long`:");
    for (name, what) in PARTS.iter().map(|part| (part.name, part.what)).chain([FUZZ, FAULTS]) {
        println!("  {name:<13} {what}");
    }
}

fn run_part(part: &Part) -> Result<String, String> {
    let mut build = cargo();
    show(build.args(["build", "--quiet", "--release", "--package=p2pnet", "--bin=p2pnet"]))?;
    let mut program = cargo();
    program.args(["run", "--quiet", "--release"]).args(part.program);
    program.env("P2PNET_BIN", target().join("release/p2pnet"));
    let said = output(&mut program)?;
    print!("{said}");
    if let Some(page) = part.page {
        let (date, commit) = (today()?, commit()?);
        let title = format!(
            "# Long run: {}\n\n`cargo xtask long {}` on {date} at {commit}.\n",
            part.what, part.name
        );
        std::fs::write(root().join(page), format!("{title}\n{}\n", said.trim_end()))
            .map_err(|error| format!("{page}: {error}"))?;
    }
    (part.result)(&said).ok_or_else(|| "it printed no result".to_owned())
}

/// The rows of the table that holds mio against tokio.
fn beside(said: &str) -> Option<String> {
    let (_, table) = said.split_once("| mio × tokio |")?;
    let rows: Vec<String> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| "))
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let (axis, measured) = (cells.next()?, cells.next()?);
            let verdict = row.trim_end_matches([' ', '|']).rsplit(' ').next()?.trim_matches('*');
            Some(format!("mio × tokio, {axis}: {measured} ({verdict})"))
        })
        .filter(|row| !row.contains("measured (") && !row.contains("---"))
        .collect();
    (!rows.is_empty()).then(|| rows.join("; "))
}

fn last_line(said: &str) -> Option<String> {
    said.lines().last().map(str::to_owned)
}

/// The rows of the report's table of goals: axis, measured value and verdict.
fn goals(said: &str) -> Option<String> {
    let (_, table) = said.split_once("## Goals")?;
    let rows: Vec<String> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| "))
        .filter_map(|row| {
            let cells: Vec<&str> =
                row.trim_end_matches(['|', ' ']).split('|').map(str::trim).collect();
            let [axis, measured, .., verdict] = &cells[..] else { return None };
            Some(format!("{axis}: {measured} ({})", verdict.trim_matches('*')))
        })
        .skip(1)
        .collect();
    (!rows.is_empty()).then(|| rows.join("; "))
}

/// Appends a row to the record.
fn record(part: &str, result: &str) -> Result<(), String> {
    // Where this was run is nobody's concern.
    let here = format!("{}/", root().display());
    let cargo = std::env::var("CARGO").unwrap_or_default();
    let result = result.replace(&here, "");
    let result = if cargo.is_empty() { result } else { result.replace(&cargo, "cargo") };
    let row = format!(
        "| {} | {} | {part} | {} |\n",
        today()?,
        commit()?,
        result.replace('|', "/").replace('\n', " ")
    );
    std::fs::OpenOptions::new()
        .append(true)
        .open(root().join(RECORD))
        .and_then(|mut file| file.write_all(row.as_bytes()))
        .map_err(|error| format!("{RECORD}: {error}"))
}

/// The commit that ran, and whether the tree differed from it.
pub(crate) fn commit() -> Result<String, String> {
    let commit = output(command("git").args(["rev-parse", "--short", "HEAD"]))?;
    // What was learnt about a commit doesn't change it.
    let aside = [":!docs", ":!fuzz/LEDGER.md"];
    let changed = output(command("git").args(["status", "--porcelain", "--", "."]).args(aside))?;
    Ok(format!("{}{}", commit.trim(), if changed.is_empty() { "" } else { " and changes" }))
}

pub(crate) fn today() -> Result<String, String> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| date(since.as_secs()))
        .map_err(|error| format!("the clock is before 1970: {error}"))
}

/// The day of a Unix time, as year-month-day (UTC).
fn date(unix_seconds: u64) -> String {
    let mut days = unix_seconds / 86_400;
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_goals_becomes_one_line() {
        let said = "# Peers\n| a | b |\n\n## Goals\n\nWhy.\n\n| axis | measured | goal | in proportion | |\n\
                    |---|---|---|---|---|\n| bulk | 0.96 | ≥ 0.95 | | met |\n\
                    | round trip | 1.18 | ≤ 1.10 | | **missed** |\n";
        assert_eq!(goals(said).unwrap(), "bulk: 0.96 (met); round trip: 1.18 (missed)");
        assert_eq!(goals("nothing"), None);
        let said = "| mio × tokio | measured | goal | |\n|---|---|---|---|\n| bulk | 1.02 | ≥ 0.95 | met |\n\
                    | set-ups | 0.90 | ≥ 0.95 | **missed** |\n";
        let row = "mio × tokio, bulk: 1.02 (met); mio × tokio, set-ups: 0.90 (missed)";
        assert_eq!(beside(said).unwrap(), row);
        assert_eq!(last_line("one\ntwo\n").unwrap(), "two");
    }

    #[test]
    fn days_are_named() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_767_225_599), "2025-12-31");
        assert_eq!(date(1_767_225_600), "2026-01-01");
    }
}
