//! The conformance suite on async-std's executor. async-std is discontinued (RUSTSEC-2025-0052), so this stands outside
//! the workspace and its lock file.

use crate::cargo_tests::{EXECUTABLE_MAX, note, parse, twice_as_many_at_once};
use crate::process::{cargo, run_for, target};
use crate::suite::{Findings, Run};
use std::time::Duration;

/// Where the package is, seen from the root.
pub(crate) const MANIFEST: &str = "testing/async-std/Cargo.toml";

const BUILD_MAX: Duration = Duration::from_secs(15 * 60);

/// What its tests' names begin with in the ledger.
const PREFIX: &str = "p2pnet_async_std::executor";

pub(crate) fn run(run: &mut Run) -> Findings {
    match test(&["--no-run"], BUILD_MAX) {
        Ok(built) if built.status.success() => {}
        Ok(built) => {
            return Findings::one(Err(format!("{MANIFEST} doesn't build:\n{}", built.stderr)));
        }
        Err(failure) => return Findings::one(Err(failure)),
    }
    let mut findings = Findings::default();
    for (kind, prefix) in [("--test=executor", PREFIX), ("--doc", "doc")] {
        let of_this = match test(&[kind], EXECUTABLE_MAX) {
            Ok(finished) => note(run, prefix, parse(&finished.stdout), &finished),
            Err(failure) => Findings::one(Err(failure)),
        };
        findings.append(of_this);
    }
    findings
}

fn test(arguments: &[&str], limit: Duration) -> Result<crate::process::Finished, String> {
    let mut test = cargo();
    test.args(["test", "--quiet", "--locked", "--manifest-path", MANIFEST, "--target-dir"]);
    // Beside what the workspace has built: most of what both stand on is the same.
    test.arg(target()).args(arguments);
    if !arguments.contains(&"--no-run") {
        test.args(["--", "--format=pretty"]);
        twice_as_many_at_once(&mut test);
    }
    run_for(&mut test, limit)
}
