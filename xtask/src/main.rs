//! The project's own chores.
//!
//! `cargo xtask test [PART]...` runs the quick suite, or parts of it; `cargo xtask long [PART]...` runs the full figures
//! and notes them in `docs/long-runs.md`. Neither needs more than a stable toolchain; as root on Debian, the first
//! installs the packages that the tests need.

mod async_std;
mod cargo_tests;
mod dependencies;
mod examples;
mod faults;
mod fuzz;
mod ledger;
mod long;
mod names;
mod nostd;
mod process;
mod rules;
mod suite;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [PART]...   the quick suite, or parts of it
       cargo xtask long [PART]...   the full figures, noted in docs/long-runs.md
       cargo xtask parts            what the parts are
       cargo xtask names            every test by the name that docs/features.md uses";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (chore, parts) = match arguments.split_first() {
        Some((chore, parts)) => (chore.as_str(), parts),
        None => ("", [].as_slice()),
    };
    let good = match chore {
        "test" => suite::run(parts),
        "long" => long::run(parts),
        "parts" => {
            suite::list();
            long::list();
            true
        }
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            true
        }
        "names" => cargo_tests::print_names(),
        _ => {
            eprintln!("{USAGE}");
            false
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
