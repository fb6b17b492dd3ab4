//! The quick suite: its parts, their times, and the verdict.

use crate::{
    async_std, cargo_tests, dependencies, faults, fuzz, ledger, names, nostd, process, rules, tools,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The suite fails when it takes longer than this, so that it stays quick.
const SUITE_MAX: Duration = Duration::from_secs(40 * 60);

/// What a part found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How many tests, or checks that count as one, passed.
    pub(crate) passed: usize,
    /// Each failed test or check, in words.
    pub(crate) failed: Vec<String>,
}

impl Findings {
    /// A part that is one check.
    pub(crate) fn one(result: Result<(), String>) -> Self {
        let mut findings = Self::default();
        findings.add(result);
        findings
    }

    /// Counts one check.
    pub(crate) fn add(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(failure) => self.failed.push(failure),
        }
    }

    /// Takes in what another part found.
    pub(crate) fn append(&mut self, others: Self) {
        self.passed += others.passed;
        self.failed.extend(others.failed);
    }
}

/// What parts leave for later ones.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Every test that ran, as `crate::path::name`, and whether it passed.
    pub(crate) ran: BTreeMap<String, bool>,
    /// Whether all parts that run tests belong to this run: only then must the ledger's tests have run.
    pub(crate) complete: bool,
}

struct Part {
    name: &'static str,
    what: &'static str,
    run: fn(&mut Run) -> Findings,
}

/// In order: what is cheap and often broken first; the ledger after the tests that it speaks of.
const PARTS: &[Part] = &[
    Part {
        name: "tools",
        what: "the toolchain and the Debian packages are there",
        run: tools::run,
    },
    Part { name: "fmt", what: "cargo fmt --check", run: |_| fmt() },
    Part { name: "rules", what: "the house rules about files and words", run: |_| rules::run() },
    Part { name: "clippy", what: "cargo clippy, warnings are errors", run: |_| clippy() },
    Part {
        name: "dependencies",
        what: "how many there are and under which licences",
        run: |_| dependencies::run(),
    },
    Part {
        name: "nostd",
        what: "the core links without std, and builds for wasm32 and a microcontroller",
        run: |_| nostd::run(),
    },
    Part {
        name: "tests",
        what: "unit, property and integration tests",
        run: cargo_tests::ordinary,
    },
    Part {
        name: "doctests",
        what: "the examples in the documentation",
        run: cargo_tests::doctests,
    },
    Part {
        name: "namespaces",
        what: "the program on pretended hosts, each scenario once",
        run: cargo_tests::namespaces,
    },
    Part {
        name: "async-std",
        what: "the conformance suite on async-std's executor",
        run: async_std::run,
    },
    Part {
        name: "fuzz",
        what: "every fuzz target for a few seconds (their corpora are among the tests)",
        run: |_| fuzz::quick(),
    },
    Part {
        name: "faults",
        what: "planted faults: each can still be applied, and two of the core are caught (`cargo xtask long faults` tries all)",
        run: |_| faults::quick(),
    },
    Part { name: "docs", what: "cargo doc, warnings are errors", run: |_| docs() },
    Part {
        name: "ledger",
        what: "docs/features.md and docs/old-faults.md name tests that ran",
        run: ledger::run,
    },
    Part { name: "names", what: "docs/names.md names items that exist", run: |_| names::run() },
];

/// Runs the parts named, or all.
pub(crate) fn run(asked: &[String]) -> bool {
    let unknown: Vec<&String> =
        asked.iter().filter(|asked| PARTS.iter().all(|part| part.name != *asked)).collect();
    if !unknown.is_empty() {
        eprintln!("no such part: {unknown:?}");
        list();
        return false;
    }
    let chosen: Vec<&Part> = PARTS
        .iter()
        .filter(|part| asked.is_empty() || asked.iter().any(|asked| asked == part.name))
        .collect();
    let has = |name: &str| chosen.iter().any(|part| part.name == name);
    let mut run = Run {
        complete: ["tests", "doctests", "namespaces"].into_iter().all(has),
        ..Run::default()
    };
    let start = Instant::now();
    let mut rows = Vec::new();
    for part in chosen {
        println!("== {}: {}", part.name, part.what);
        let part_start = Instant::now();
        let findings = (part.run)(&mut run);
        for failure in &findings.failed {
            println!("   FAILED {failure}");
        }
        rows.push((part.name, part_start.elapsed(), findings));
    }
    verdict(&rows, start.elapsed())
}

/// Prints what the parts are.
pub(crate) fn list() {
    println!("parts of `cargo xtask test`:");
    for part in PARTS {
        println!("  {:<13} {}", part.name, part.what);
    }
}

fn verdict(rows: &[(&str, Duration, Findings)], took: Duration) -> bool {
    println!("\n{:<13} {:>8} {:>8} {:>8}", "part", "seconds", "passed", "failed");
    let (mut passed, mut failed) = (0, 0);
    for (name, time, findings) in rows {
        let (good, bad) = (findings.passed, findings.failed.len());
        println!("{name:<13} {:>8.1} {good:>8} {bad:>8}", time.as_secs_f64());
        passed += good;
        failed += bad;
    }
    println!("{:<13} {:>8.1}", "all", took.as_secs_f64());
    for failure in rows.iter().flat_map(|(_, _, findings)| &findings.failed) {
        println!("FAILED {}", failure.lines().next().unwrap_or_default());
    }
    if took > SUITE_MAX {
        println!("FAILED the quick suite took over {} minutes", SUITE_MAX.as_secs() / 60);
        failed += 1;
    }
    println!("{passed} passed, {failed} failed");
    failed == 0
}

fn fmt() -> Findings {
    let mut findings =
        Findings::one(process::show(process::cargo().args(["fmt", "--all", "--check"])));
    let mut nostd = process::cargo();
    nostd.args(["fmt", "--check", "--manifest-path", nostd::MANIFEST]);
    findings.add(process::show(&mut nostd));
    let mut executor = process::cargo();
    executor.args(["fmt", "--check", "--manifest-path", async_std::MANIFEST]);
    findings.add(process::show(&mut executor));
    let mut targets = process::cargo();
    targets.args(["fmt", "--check", "--manifest-path", fuzz::MANIFEST]);
    findings.add(process::show(&mut targets));
    findings
}

fn clippy() -> Findings {
    let mut clippy = process::cargo();
    clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    Findings::one(process::show(&mut clippy))
}

fn docs() -> Findings {
    let mut doc = process::cargo();
    doc.args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    Findings::one(process::show(&mut doc))
}
