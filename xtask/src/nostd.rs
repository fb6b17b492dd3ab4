//! The proof that the core needs no `std`: a program without one that links it and runs.

use crate::process::{cargo, command, output, root, run_for, works};
use crate::suite::Findings;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Where the program is, seen from the root.
pub(crate) const MANIFEST: &str = "testing/nostd/Cargo.toml";

const BUILD_MAX: Duration = Duration::from_secs(600);

/// What the program ends with when all went well.
const GOOD: i32 = 42;

pub(crate) fn run() -> Findings {
    // Each builds the core alone, which leaves processors idle: side by side.
    std::thread::scope(|scope| {
        let bare = scope.spawn(builds_for_bare_targets);
        let mut findings = Findings::default();
        findings.add(links_and_runs());
        findings.add(a_leak_is_caught());
        let broke_off = |_| Findings::one(Err("the builds for bare targets broke off".to_owned()));
        findings.append(bare.join().unwrap_or_else(broke_off));
        findings
    })
}

/// Without an operating system there is no `std` to lean on.
const TARGETS: &[&str] = &["wasm32-unknown-unknown", "thumbv7em-none-eabi"];

fn builds_for_bare_targets() -> Findings {
    let mut findings = Findings::default();
    let mut had = Vec::new();
    for target in TARGETS {
        match has(target) {
            Ok(true) => had.push(*target),
            Ok(false) => println!(
                "   NOT BUILT for {target}: rustup can't get it here; elsewhere, rustup target add {target}"
            ),
            Err(failure) => findings.add(Err(failure)),
        }
    }
    if !had.is_empty() {
        findings.append(builds_for(&had));
    }
    findings
}

/// Builds the core and its cryptography in Rust for bare targets: their `core` and `alloc` must be installed.
fn builds_for(targets: &[&str]) -> Findings {
    let mut build = cargo();
    build.args(["build", "--locked", "--package=p2pnet-protocol", "--package=p2pnet-crypto"]);
    build.args(["--no-default-features", "--features=p2pnet-crypto/pure,p2pnet-protocol/widescan"]);
    build.args(targets.iter().map(|target| format!("--target={target}")));
    build.arg("--target-dir").arg(root().join("target/bare"));
    // Where the randomness comes from is the device's business: a program links it.
    build.env("RUSTFLAGS", "--cfg getrandom_backend=\"custom\"");
    // Nobody runs what comes out.
    build.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
    let mut findings = Findings::default();
    match run_for(&mut build, BUILD_MAX) {
        Ok(built) if built.status.success() => targets.iter().for_each(|_| findings.add(Ok(()))),
        Ok(built) => findings.add(Err(format!(
            "the core doesn't build for {}:\n{}",
            targets.join(" and "),
            built.stderr
        ))),
        Err(failure) => findings.add(Err(failure)),
    }
    findings
}

/// Whether a target can be built for: it is installed, or rustup can get it.
fn has(target: &str) -> Result<bool, String> {
    Ok(is_installed(target)? || works(command("rustup").args(["target", "add", target])))
}

fn is_installed(target: &str) -> Result<bool, String> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").exists())
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
