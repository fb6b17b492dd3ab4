//! Building and running the workspace's tests, and noting which ran.

use crate::process::{Finished, cargo, command, run_for};
use crate::suite::{Findings, Run};
use crate::tools::is_root;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A test executable that runs longer hangs.
pub(crate) const EXECUTABLE_MAX: Duration = Duration::from_secs(15 * 60);

/// The packages whose tests need network namespaces.
const LABS: &[&str] = &["p2pnet_lab", "p2pnet_attacks"];

/// Tests that mostly wait: more of them run at once.
const WAITING: &str = "p2pnet_conformance::adapters";

/// Programs of tests that bear company: those that take long on one core and which no clock concerns, and those of the lab
/// that mostly wait, for seconds. They run side by side, and all others alone.
const SOCIABLE: &[&str] = &[
    "p2pnet_constrained::small",
    "p2pnet_protocol",
    "p2pnet_storage",
    "p2pnet_lab::discovery",
    "p2pnet_lab::plumbing",
    "p2pnet_lab::repair",
];

/// A package's integration test of this name holds all of them, each file as a module.
const ONE_FOR_ALL: &str = "it";

/// A test executable as cargo describes it.
#[derive(Debug, PartialEq, Eq)]
struct Executable {
    path: PathBuf,
    /// Where its package is: tests run there.
    directory: PathBuf,
    /// What its tests' names begin with: the crate, and for an integration test that is a file of its own, the file.
    prefix: String,
}

/// What a build of the tests gave.
#[derive(Debug)]
struct Built {
    executables: Vec<Executable>,
    /// The program `p2pnet`, which its own tests start too: built with the features that the whole workspace asks for,
    /// so that nothing is built twice.
    program: PathBuf,
}

pub(crate) fn ordinary(run: &mut Run) -> Findings {
    run_executables(run, |executable| !belongs_to_lab(executable))
}

pub(crate) fn namespaces(run: &mut Run) -> Findings {
    run_executables(run, belongs_to_lab)
}

pub(crate) fn doctests(run: &mut Run) -> Findings {
    let mut test = cargo();
    test.args(["test", "--quiet", "--workspace", "--doc", "--", "--format=pretty"]);
    let finished = match run_for(&mut test, EXECUTABLE_MAX) {
        Ok(finished) => finished,
        Err(failure) => return Findings::one(Err(failure)),
    };
    // A documentation test is called by its file, its item and its line; the line is no name.
    let tests = parse(&finished.stdout)
        .into_iter()
        .map(|(name, good)| (name.split(" (line").next().unwrap_or_default().to_owned(), good))
        .collect();
    note(run, "doc", tests, &finished)
}

fn belongs_to_lab(executable: &Executable) -> bool {
    executable.prefix.split("::").next().is_some_and(|package| LABS.contains(&package))
}

fn run_executables(run: &mut Run, chosen: impl Fn(&Executable) -> bool) -> Findings {
    let start = Instant::now();
    let built = match build() {
        Ok(built) => built,
        Err(failure) => return Findings::one(Err(failure)),
    };
    println!("   {:<53} {:>7.1} s", "(building them)", start.elapsed().as_secs_f64());
    let (together, alone): (Vec<_>, Vec<_>) = built
        .executables
        .iter()
        .filter(|executable| chosen(executable))
        .partition(|executable| SOCIABLE.contains(&executable.prefix.as_str()));
    let mut findings = Findings::default();
    let mut add = |executable: &Executable, outcome: Result<Finished, String>, took: Duration| {
        let of_this = match outcome {
            Ok(finished) => note(run, &executable.prefix, parse(&finished.stdout), &finished),
            Err(failure) => Findings::one(Err(failure)),
        };
        if of_this.passed > 0 || !of_this.failed.is_empty() {
            let (name, passed, seconds) = (&executable.prefix, of_this.passed, took.as_secs_f64());
            println!("   {name:<40} {passed:>5} passed {seconds:>7.1} s");
        }
        findings.append(of_this);
    };
    let execute = |executable: &Executable| {
        let start = Instant::now();
        let outcome = run_for(&mut prepared(executable, &built.program), EXECUTABLE_MAX);
        (outcome, start.elapsed())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = together
            .into_iter()
            .map(|executable| (executable, scope.spawn(|| execute(executable))))
            .collect();
        for (executable, running) in running {
            let broke_off = |_| (Err(format!("{}: broke off", executable.prefix)), start.elapsed());
            let (outcome, took) = running.join().unwrap_or_else(broke_off);
            add(executable, outcome, took);
        }
    });
    for executable in alone {
        let (outcome, took) = execute(executable);
        add(executable, outcome, took);
    }
    findings
}

/// The command that runs an executable's tests.
fn prepared(executable: &Executable, program: &Path) -> std::process::Command {
    let in_lab = belongs_to_lab(executable);
    let mut test = if in_lab && !is_root() {
        as_pretended_root(&executable.path)
    } else {
        command(&executable.path.to_string_lossy())
    };
    test.current_dir(&executable.directory);
    test.env("CARGO_MANIFEST_DIR", &executable.directory);
    if in_lab {
        test.env("P2PNET_BIN", program);
    }
    if executable.prefix == WAITING {
        twice_as_many_at_once(&mut test);
    }
    test
}

/// For tests that mostly wait: so many of them at once as would keep every core busy twice.
pub(crate) fn twice_as_many_at_once(test: &mut std::process::Command) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    test.env("RUST_TEST_THREADS", (2 * cores).to_string());
}

/// A user without rights gets namespaces of their own, in which they are root.
fn as_pretended_root(program: &Path) -> std::process::Command {
    let mut unshare = command("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c"]);
    unshare.arg("mount -t tmpfs tmpfs /run && exec \"$0\" \"$@\"").arg(program);
    unshare
}

/// Records what an executable's tests said, and shows its output if something is wrong with it.
pub(crate) fn note(
    run: &mut Run,
    prefix: &str,
    tests: Vec<(String, bool)>,
    finished: &Finished,
) -> Findings {
    let mut findings = Findings::default();
    for (name, good) in tests {
        let name = format!("{prefix}::{name}");
        findings.add(if good { Ok(()) } else { Err(name.clone()) });
        run.ran.insert(name, good);
    }
    let told: usize = finished.stdout.lines().filter_map(passed_in_summary).sum();
    if finished.timed_out {
        findings.failed.push(format!("{prefix}: still running after {EXECUTABLE_MAX:?}"));
    } else if told != findings.passed {
        findings.failed.push(format!("{prefix}: {told} passed, but {} were read", findings.passed));
    } else if !finished.status.success() && findings.failed.is_empty() {
        findings.failed.push(format!("{prefix}: ended with {}", finished.status));
    }
    if !findings.failed.is_empty() {
        println!("{}{}", finished.stdout, finished.stderr);
    }
    findings
}

/// The tests in libtest's output, and whether each passed.
pub(crate) fn parse(output: &str) -> Vec<(String, bool)> {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.rsplit_once(" ... "))
        .filter_map(|(name, verdict)| {
            let name = name.strip_suffix(" - should panic").unwrap_or(name).to_owned();
            match verdict.split_whitespace().next()? {
                "ok" => Some((name, true)),
                "FAILED" => Some((name, false)),
                _ => None,
            }
        })
        .collect()
}

/// The count in `test result: ok. 12 passed; 0 failed; ...`.
fn passed_in_summary(line: &str) -> Option<usize> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    rest.split_once(" passed")?.0.parse().ok()
}

/// Every test of the workspace by name, without running any: for a run of the ledger alone.
pub(crate) fn list() -> Result<BTreeMap<String, bool>, String> {
    let mut names = BTreeMap::new();
    for executable in build()?.executables {
        let mut list = command(&executable.path.to_string_lossy());
        let finished = run_for(list.arg("--list"), EXECUTABLE_MAX)?;
        for name in finished.stdout.lines().filter_map(|line| line.strip_suffix(": test")) {
            names.insert(format!("{}::{name}", executable.prefix), true);
        }
    }
    Ok(names)
}

/// Prints what [`list`] gives.
pub(crate) fn print_names() -> bool {
    match list() {
        Ok(names) => names.keys().for_each(|name| println!("{name}")),
        Err(failure) => {
            eprintln!("{failure}");
            return false;
        }
    }
    true
}

fn build() -> Result<Built, String> {
    let mut build = cargo();
    build.args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    let messages = crate::process::output(&mut build)?;
    Ok(Built {
        executables: messages.lines().filter_map(test_executable).collect(),
        program: messages.lines().find_map(program).ok_or("cargo doesn't say where p2pnet is")?,
    })
}

/// Reads one of cargo's messages, if it tells of a test executable.
fn test_executable(message: &str) -> Option<Executable> {
    let target = target_built(message, true)?;
    let directory = Path::new(text(message, "manifest_path")?).parent()?.to_path_buf();
    let package = package_name(text(message, "package_id")?)?.replace('-', "_");
    let name = text(target, "name")?.replace('-', "_");
    let is_integration_test = target.starts_with("\"kind\":[\"test\"]");
    Some(Executable {
        path: PathBuf::from(text(message, "executable")?),
        directory,
        prefix: match name.as_str() {
            ONE_FOR_ALL if is_integration_test => package,
            _ if is_integration_test => format!("{package}::{name}"),
            _ => name,
        },
    })
}

/// Reads one of cargo's messages, if it tells of the program itself.
fn program(message: &str) -> Option<PathBuf> {
    let target = target_built(message, false)?;
    let is_it = target.starts_with("\"kind\":[\"bin\"]") && text(target, "name")? == "p2pnet";
    is_it.then(|| text(message, "executable").map(PathBuf::from)).flatten()
}

/// What a message says of the target that it tells was built, as a test or not. (A target that can be tested says so in
/// either case: what was built as a test is told by the profile.)
fn target_built(message: &str, as_test: bool) -> Option<&str> {
    if !message.contains("\"reason\":\"compiler-artifact\"") {
        return None;
    }
    let profile = message.split_once("\"profile\":{")?.1.split('}').next()?;
    if profile.contains("\"test\":true") != as_test {
        return None;
    }
    // The target's own name comes after the package's keys; `target` opens its object.
    Some(message.split_once("\"target\":{")?.1)
}

/// The name in `path+file:///somewhere/directory#name@0.1.0` or, if the directory is called alike, `...name#0.1.0`.
fn package_name(id: &str) -> Option<&str> {
    let (path, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => path.rsplit('/').next(),
    }
}

/// The text under `key` in one line of JSON. Cargo's paths and names need no escapes on the systems we test on.
fn text<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{key}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        let output = "running 3 tests\ntest a::b ... ok\ntest c - should panic ... ok\n\
                      test d ... FAILED\n\ntest result: FAILED. 2 passed; 1 failed; 0 ignored\n";
        let expected = [("a::b", true), ("c", true), ("d", false)];
        assert_eq!(parse(output), expected.map(|(name, good)| (name.to_owned(), good)));
        assert_eq!(output.lines().find_map(passed_in_summary), Some(2));
    }

    #[test]
    fn cargo_messages_are_read() {
        let message = concat!(
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/testing/lab#p2pnet-lab@0.1.0","#,
            r#""manifest_path":"/x/testing/lab/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"#,
            r#""name":"plumbing","test":true},"profile":{"opt_level":"1","test":true},"executable":"/x/plumbing-1"}"#
        );
        let executable = test_executable(message).unwrap();
        assert_eq!(executable.prefix, "p2pnet_lab::plumbing");
        assert_eq!(executable.path, Path::new("/x/plumbing-1"));
        assert_eq!(executable.directory, Path::new("/x/testing/lab"));
        let all = test_executable(&message.replace("plumbing", ONE_FOR_ALL)).unwrap();
        assert_eq!(all.prefix, "p2pnet_lab");
        assert_eq!(program(message), None);
        // The program itself can be tested, and isn't a test.
        let built = message
            .replace("\"opt_level\":\"1\",\"test\":true", "\"opt_level\":\"1\",\"test\":false")
            .replace("plumbing", "p2pnet")
            .replace("[\"test\"]", "[\"bin\"]");
        assert_eq!(test_executable(&built), None);
        assert_eq!(program(&built), Some("/x/p2pnet-1".into()));
    }

    #[test]
    fn package_ids_give_their_names() {
        assert_eq!(
            package_name("path+file:///x/protocol#p2pnet-protocol@0.1.0"),
            Some("p2pnet-protocol")
        );
        assert_eq!(package_name("path+file:///x/xtask#0.1.0"), Some("xtask"));
    }
}
