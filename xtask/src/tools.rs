//! What must be installed before anything else can run.

use crate::process::{cargo, command, show, works};
use crate::suite::{Findings, Run};

/// What tests run, and the Debian package that holds it.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("dumpcap", "tshark"),
    ("tshark", "tshark"),
    ("python3", "python3-minimal"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("git", "git"),
    ("ps", "procps"),
    ("cc", "gcc"),
    ("qemu-img", "qemu-utils"),
    ("fsck.fat", "dosfstools"),
    ("mcopy", "mtools"),
    ("fusefat", "fusefat"),
    // Debian keeps it off the path; the bootstrap server's tests start a database of their own.
    ("/usr/lib/postgresql/*/bin/initdb", "postgresql"),
    // libFuzzer is C++.
    ("c++", "g++"),
];

pub(crate) fn run(_run: &mut Run) -> Findings {
    let mut findings = Findings::default();
    for component in ["fmt", "clippy"] {
        findings.add(component_is_there(component));
    }
    findings.add(packages_are_there());
    findings
}

fn component_is_there(subcommand: &str) -> Result<(), String> {
    if works(cargo().args([subcommand, "--version"])) {
        return Ok(());
    }
    let component = if subcommand == "fmt" { "rustfmt" } else { subcommand };
    show(command("rustup").args(["component", "add", component])).map_err(|failure| {
        format!("{component} is missing: rustup component add {component} ({failure})")
    })
}

fn packages_are_there() -> Result<(), String> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "missing: {}; get them by `sudo apt-get install {}`",
        missing.join(", "),
        missing.join(" ")
    );
    if !is_root() || !works(command("apt-get").arg("--version")) {
        return Err(by_hand);
    }
    let install = || {
        let mut install = command("apt-get");
        install.args([
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "--yes",
            "--no-install-recommends",
        ]);
        // tshark's package asks a question otherwise.
        show(install.args(&missing).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A fresh machine may not know its packages yet, and an old one may know those of yesterday.
    if install().is_err() {
        show(command("apt-get").args(["-o", "DPkg::Lock::Timeout=300", "update"]))?;
        install()?;
    }
    if missing_packages().is_empty() { Ok(()) } else { Err(by_hand) }
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !works(command("sh").args(["-c", &format!("command -v {program}")])))
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    missing
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
