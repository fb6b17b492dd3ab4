//! The proof that the core needs no `std`: a program without one that links it and runs.

use crate::process::{cargo, command, root, run_for};
use crate::suite::Findings;
use std::process::Command;
use std::time::Duration;

/// Where the program is, seen from the root.
pub(crate) const MANIFEST: &str = "testing/nostd/Cargo.toml";

const BUILD_MAX: Duration = Duration::from_secs(600);

/// What the program ends with when all went well.
const GOOD: i32 = 42;

pub(crate) fn run() -> Findings {
    let mut findings = Findings::default();
    findings.add(links_and_runs());
    findings.add(a_leak_is_caught());
    findings
}

fn links_and_runs() -> Result<(), String> {
    // Warnings are clippy's business: this build is shown only if it fails.
    let built = run_for(&mut build(), BUILD_MAX)?;
    if !built.status.success() {
        return Err(format!("the program without std doesn't build:\n{}", built.stderr));
    }
    let program = root().join("target/nostd/debug/p2pnet-nostd");
    let finished = run_for(&mut command(&program.to_string_lossy()), Duration::from_secs(60))?;
    match finished.status.code() {
        Some(GOOD) => Ok(()),
        _ => Err(format!("the program without std ended with {}, not {GOOD}", finished.status)),
    }
}

/// Without this, a proof that can't fail would look the same.
fn a_leak_is_caught() -> Result<(), String> {
    let finished = run_for(build().args(["--features", "leak"]), BUILD_MAX)?;
    let complaint = finished.stderr;
    if finished.status.success() {
        return Err("a dependency on std went unnoticed: the proof proves nothing".to_owned());
    }
    if complaint.contains("E0152") && complaint.contains("`leaky` depends on") {
        return Ok(());
    }
    Err(format!("with std, the build failed for another reason than E0152:\n{complaint}"))
}

fn build() -> Command {
    let mut build = cargo();
    // From its own directory: its settings are in `.cargo` there.
    build.current_dir(root().join("testing/nostd"));
    build.args(["build", "--locked", "--target-dir"]).arg(root().join("target/nostd"));
    build
}
