//! Planted faults (`testing/faults/`): small changes for the worse, each of which must turn a suite red.
//!
//! A fault is a text that must stand exactly once in a file, and what to put in its place; so it fails loudly when the code
//! has moved on. Faults are applied to a copy of the tree, with a target directory of its own that is kept from fault to
//! fault.

mod list;
mod tree;

use crate::cargo_tests;
use crate::process::{command, output, run_for};
use crate::suite::Findings;
use list::Fault;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use tree::Tree;

/// Tests that take longer than this on a faulty tree stand still, which is red as well.
const TEST_MAX: Duration = Duration::from_secs(180);
/// Building one test after a change to the core may take so long on a busy machine.
const BUILD_MAX: Duration = Duration::from_secs(15 * 60);

/// So many faults are tried in the quick suite.
const TRIED_QUICKLY: usize = 2;

/// What became of a fault.
#[derive(Debug)]
enum Fate {
    /// These tests failed.
    Caught(Vec<String>),
    /// The tests stood still.
    Hung,
    /// Everything stayed green.
    Escaped,
    /// It can't be tried, and why.
    Broken(String),
}

/// The quick suite's part: every fault can still be applied, and a few of the core, chosen by the commit, turn their tests
/// red. That those are green without them the rest of the suite shows.
pub(crate) fn quick() -> Findings {
    let faults = match list::read_all() {
        Ok(faults) => faults,
        Err(failure) => return Findings::one(Err(failure)),
    };
    let mut findings = Findings::default();
    for fault in &faults {
        findings.add(fault.check());
    }
    let core: Vec<&Fault> = faults.iter().filter(|fault| fault.area == "core").collect();
    for fault in chosen(&core, &commit()) {
        findings.add(caught(fault));
    }
    findings
}

/// The commit's number, or nothing where there is none.
fn commit() -> String {
    output(command("git").args(["rev-parse", "HEAD"])).unwrap_or_default()
}

/// A few of the faults: each commit has its own, and all have their turn.
fn chosen<'a>(faults: &[&'a Fault], commit: &str) -> Vec<&'a Fault> {
    let number = commit.get(..8).and_then(|head| usize::from_str_radix(head, 16).ok());
    let first = number.unwrap_or(0) % faults.len().max(1);
    faults.iter().cycle().skip(first).take(TRIED_QUICKLY.min(faults.len())).copied().collect()
}

fn caught(fault: &Fault) -> Result<(), String> {
    match fate_planted(fault, &Tree::synced()?.beside_the_tree()) {
        Fate::Caught(by) => {
            println!("{}: caught by {}", fault.name, by.join(", "));
            Ok(())
        }
        Fate::Hung => Ok(()),
        Fate::Escaped => Err(format!(
            "the fault {} escaped: `cargo test {}` is green though it breaks that {}",
            fault.name, fault.test, fault.breaks
        )),
        Fate::Broken(why) => Err(format!("the fault {}: {why}", fault.name)),
    }
}

/// Runs the faults named, or all, and prints what became of each.
///
/// # Errors
/// The names of those that escaped or can't be tried.
pub(crate) fn long(names: &[String]) -> Result<String, String> {
    let faults = list::read_all()?;
    if let Some(unknown) = names.iter().find(|name| faults.iter().all(|fault| fault.name != **name))
    {
        return Err(format!("no such fault: {unknown}"));
    }
    let asked: Vec<&Fault> =
        faults.iter().filter(|fault| names.is_empty() || names.contains(&fault.name)).collect();
    let mut sound = BTreeMap::new();
    let (mut caught, mut escaped, mut broken) = (0, Vec::new(), Vec::new());
    for fault in &asked {
        let start = Instant::now();
        let fate = fate_of(fault, &mut sound);
        let verdict = match &fate {
            Fate::Caught(by) => {
                caught += 1;
                let more = if by.len() > 2 {
                    format!(" and {} more", by.len() - 2)
                } else {
                    String::new()
                };
                format!(
                    "caught by {}{more}",
                    by.iter().take(2).cloned().collect::<Vec<_>>().join(", ")
                )
            }
            Fate::Hung => {
                caught += 1;
                "caught: the tests stood still".to_owned()
            }
            Fate::Escaped => {
                escaped.push(fault.name.clone());
                "ESCAPED".to_owned()
            }
            Fate::Broken(why) => {
                broken.push(fault.name.clone());
                format!("BROKEN: {why}")
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        println!("{:<9} {:<32} {seconds:>6.0} s  {verdict}", fault.area, fault.name);
    }
    if escaped.is_empty() && broken.is_empty() {
        return Ok(format!("{caught} planted faults, each caught"));
    }
    Err(format!(
        "{caught} of {} planted faults caught; escaped: {}; can't be tried: {}",
        asked.len(),
        names_or_none(&escaped),
        names_or_none(&broken)
    ))
}

fn names_or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Applies a fault and runs its tests. `sound` remembers whether a test command is green without any fault.
fn fate_of(fault: &Fault, sound: &mut BTreeMap<String, Result<(), String>>) -> Fate {
    let tree = match Tree::synced() {
        Ok(tree) => tree,
        Err(failure) => return Fate::Broken(failure),
    };
    let green = sound.entry(fault.test.clone()).or_insert_with(|| green_without(fault, &tree));
    if let Err(failure) = green {
        return Fate::Broken(failure.clone());
    }
    fate_planted(fault, &tree)
}

/// Plants a fault, runs its tests, and takes it out again.
fn fate_planted(fault: &Fault, tree: &Tree) -> Fate {
    let fate = match fault.plant(&tree.root) {
        Ok(()) => fate_in(fault, tree),
        Err(failure) => Fate::Broken(failure),
    };
    match tree.restore(&fault.file) {
        Ok(()) => fate,
        Err(failure) => Fate::Broken(failure),
    }
}

/// A command that is red in any case, or runs nothing, proves nothing.
fn green_without(fault: &Fault, tree: &Tree) -> Result<(), String> {
    match fate_in(fault, tree) {
        Fate::Escaped => Ok(()),
        Fate::Caught(by) => Err(format!("`{}` is red without it: {}", fault.test, by.join(", "))),
        Fate::Hung => Err(format!("`{}` stands still without it", fault.test)),
        Fate::Broken(why) => Err(why),
    }
}

fn fate_in(fault: &Fault, tree: &Tree) -> Fate {
    let (build, _) = fault.test.split_once(" -- ").unwrap_or((&fault.test, ""));
    match run_for(cargo_test(tree).args(build.split_whitespace()).arg("--no-run"), BUILD_MAX) {
        Ok(built) if built.status.success() => {}
        Ok(built) => {
            let first = built.stderr.lines().find(|line| line.starts_with("error")).unwrap_or("?");
            return Fate::Broken(format!("it doesn't compile: {first}"));
        }
        Err(failure) => return Fate::Broken(failure),
    }
    let tests = match run_for(cargo_test(tree).args(fault.test.split_whitespace()), TEST_MAX) {
        Ok(tests) => tests,
        Err(failure) => return Fate::Broken(failure),
    };
    let ran = cargo_tests::parse(&tests.stdout);
    let failed: Vec<String> =
        ran.iter().filter(|(_, good)| !good).map(|(name, _)| name.clone()).collect();
    if tests.timed_out {
        Fate::Hung
    } else if !failed.is_empty() {
        Fate::Caught(failed)
    } else if !tests.status.success() {
        // A panic in a thread that isn't the test's, an abort, an overflow of the stack.
        Fate::Caught(vec![format!("{}", tests.status)])
    } else if ran.is_empty() {
        Fate::Broken(format!("`cargo test {}` runs no test", fault.test))
    } else {
        Fate::Escaped
    }
}

/// `cargo test` in the copy: quick to build, since it is built for each fault.
fn cargo_test(tree: &Tree) -> Command {
    let mut cargo = crate::process::cargo();
    cargo.current_dir(&tree.root).arg("test");
    for package in ["p2pnet-protocol", "p2pnet-crypto", "p2pnet-simulator"] {
        cargo.args(["--config", &format!("profile.test.package.{package}.opt-level=1")]);
    }
    cargo.env("CARGO_TARGET_DIR", &tree.target);
    // Only what changed is compiled again. A cache of whole compilations stands in the way of that.
    cargo.env("CARGO_INCREMENTAL", "1").env_remove("RUSTC_WRAPPER");
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_commit_tries_a_few_and_all_have_their_turn() {
        let faults = list::read_all().unwrap();
        let core: Vec<&Fault> = faults.iter().filter(|fault| fault.area == "core").collect();
        let mut seen = std::collections::BTreeSet::new();
        for commit in 0..core.len() {
            let few = chosen(&core, &format!("{commit:08x}0123"));
            assert_eq!(few.len(), TRIED_QUICKLY);
            seen.extend(few.iter().map(|fault| fault.name.clone()));
        }
        assert_eq!(seen.len(), core.len());
        assert_eq!(chosen(&core, "").len(), TRIED_QUICKLY, "without a commit");
        assert!(chosen(&[], "00000000").is_empty());
    }
}
