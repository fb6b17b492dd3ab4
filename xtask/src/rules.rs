//! House rules that no compiler checks.

use crate::examples;
use crate::process::{command, output, root};
use crate::suite::Findings;
use std::path::Path;

/// A file is one concept.
const FILE_LINES_MAX: usize = 700;

/// An adapter carries bytes and time, and decides nothing: its lines of code. Where there is a runtime, that does the most.
const ADAPTERS: &[(&str, usize)] =
    &[("runtime-tokio", 150), ("runtime-smol", 150), ("runtime-mio", 300)];

/// Driving the core by hand must stay a page.
const BY_HAND: (&str, usize) = ("protocol/examples/blocking.rs", 100);

pub(crate) fn run() -> Findings {
    let mut findings = Findings::default();
    let files = match tracked_files() {
        Ok(files) => files,
        Err(failure) => return Findings::one(Err(failure)),
    };
    let violations: Vec<String> =
        files.iter().flat_map(|(path, text)| faults(path, text)).collect();
    findings.passed += files.len();
    findings.failed.extend(violations);
    for (adapter, lines_max) in ADAPTERS {
        findings.add(adapter_is_thin(adapter, *lines_max, &files));
    }
    findings.add(driving_by_hand_is_a_page(&files));
    findings.append(examples::run(&files));
    findings.add(readme_shows_the_hello_example(&files));
    findings.add(ci_runs_the_same_command(&files));
    findings
}

/// Every tracked text file, or one that is about to be: its path and content.
fn tracked_files() -> Result<Vec<(String, String)>, String> {
    let mut list = command("git");
    let listed = output(list.args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    // What isn't text or was just deleted has no lines to look at.
    Ok(listed
        .lines()
        .filter_map(|path| {
            Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?))
        })
        .collect())
}

fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if path.ends_with(".rs") {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"));
        }
        // Written in pieces, so that this file doesn't find itself.
        for word in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")]
        {
            faults.extend(places(path, text, word));
        }
    }
    if path.ends_with(".md") {
        faults.extend(dead_links(path, text));
    }
    if !path.ends_with(".lock") {
        for place in machine_paths() {
            faults.extend(places(path, text, &place));
        }
    }
    faults
}

/// Directories that exist on one machine only.
fn machine_paths() -> Vec<String> {
    let mut paths = vec![concat!("/ho", "me/").to_owned(), concat!("/Us", "ers/").to_owned()];
    paths.push(root().display().to_string());
    if let Some(home) = std::env::var("HOME").ok().filter(|home| home.len() > 1) {
        paths.push(format!("{home}/"));
    }
    paths
}

fn places(path: &str, text: &str, word: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.contains(word))
        .map(|(at, _)| format!("{path}:{}: contains {word}", at + 1))
        .collect()
}

/// Relative links of a page that lead nowhere.
fn dead_links(path: &str, text: &str) -> Vec<String> {
    let here = Path::new(path).parent().unwrap_or(Path::new(""));
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter_map(|link| link.split('#').next())
        .filter(|link| !link.is_empty() && !link.contains("://") && !link.contains(' '))
        .filter(|link| !root().join(here).join(link).exists())
        .map(|link| format!("{path}: the link to {link} leads nowhere"))
        .collect()
}

fn driving_by_hand_is_a_page(files: &[(String, String)]) -> Result<(), String> {
    let (wanted, lines_max) = BY_HAND;
    let lines = files.iter().find(|(path, _)| path == wanted).map(|(_, text)| text.lines().count());
    match lines {
        Some(lines) if lines <= lines_max => Ok(()),
        Some(lines) => Err(format!("{wanted} has {lines} lines, at most {lines_max}")),
        None => Err(format!("{wanted} is missing")),
    }
}

fn adapter_is_thin(
    adapter: &str,
    lines_max: usize,
    files: &[(String, String)],
) -> Result<(), String> {
    let source = format!("{adapter}/src/");
    let lines: usize = files
        .iter()
        .filter(|(path, _)| path.starts_with(&source))
        .map(|(_, text)| code_lines(text))
        .sum();
    println!("   {adapter}: {lines} lines of code, at most {lines_max}");
    if lines > lines_max {
        return Err(format!("{adapter} has {lines} lines of code, at most {lines_max}"));
    }
    Ok(())
}

/// Lines that are neither empty nor comments nor tests at a file's end.
fn code_lines(text: &str) -> usize {
    text.lines()
        .map(str::trim)
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

/// The README's program is the example file, which is compiled and run.
fn readme_shows_the_hello_example(files: &[(String, String)]) -> Result<(), String> {
    const EXAMPLE: &str = "runtime-tokio/examples/tokio_hello.rs";
    let text = |wanted: &str| {
        files
            .iter()
            .find(|(path, _)| path == wanted)
            .map(|(_, text)| text.as_str())
            .ok_or_else(|| format!("{wanted} is missing"))
    };
    let program: Vec<&str> = text(EXAMPLE)?
        .lines()
        .skip_while(|line| line.starts_with("//") || line.is_empty())
        .collect();
    let lines = program.iter().filter(|line| !line.trim().is_empty()).count();
    if lines > 15 {
        return Err(format!("{EXAMPLE} has {lines} lines, at most 15"));
    }
    if text("README.md")?.contains(&format!("```rust\n{}\n```", program.join("\n"))) {
        return Ok(());
    }
    Err(format!("README.md doesn't show {EXAMPLE} as it is"))
}

fn ci_runs_the_same_command(files: &[(String, String)]) -> Result<(), String> {
    for (path, wanted) in [
        (".ci/run", "cargo xtask test"),
        ("README.md", "cargo xtask test"),
        ("README.md", "cargo run --release -- up"),
    ] {
        let found = files.iter().any(|(known, text)| known == path && text.contains(wanted));
        if !found {
            return Err(format!("{path} doesn't say `{wanted}`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_ignored_tests_and_giants_are_found() {
        let text =
            ["fn f() { ", concat!("todo", "!() }"), "\n", concat!("#[", "ignore]"), "\n"].concat();
        assert_eq!(faults("a.rs", &text).len(), 2);
        assert_eq!(faults("a.rs", &"x\n".repeat(FILE_LINES_MAX)).len(), 0);
        assert_eq!(faults("a.rs", &"x\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn machine_paths_are_found() {
        let text = format!("see {}/x", root().display());
        assert!(!faults("a.md", &text).is_empty());
        assert!(faults("Cargo.lock", &text).is_empty());
    }

    #[test]
    fn links_must_lead_somewhere() {
        assert_eq!(
            dead_links("README.md", "[a](xtask/Cargo.toml) [b](https://example.org)"),
            [""; 0]
        );
        assert_eq!(dead_links("README.md", "[a](no/such/file.md#part)").len(), 1);
    }

    #[test]
    fn comments_blanks_and_tests_are_no_code() {
        assert_eq!(
            code_lines("//! doc\n\nuse x;\n// why\nfn f() {}\n#[cfg(test)]\nmod tests {}\n"),
            2
        );
    }
}
