//! Every public type is shown at work.
//!
//! A type counts as shown if its name stands in code that the suite compiles for readers: a piece of code in the
//! documentation of its crate or of one of the others here, a page of the guide, or an example program. What documentation
//! hides from readers needs none.

use crate::suite::Findings;
use std::collections::BTreeSet;

/// Whose public types are looked at.
const CRATES: &[&str] = &["protocol", "driver", "runtime-tokio", "runtime-smol", "runtime-mio"];

/// A door for fuzz targets, which the documentation leaves out whole.
const HIDDEN: &str = "protocol/src/fuzzing.rs";

/// Checks the tracked files, given by path and content.
pub(crate) fn run(files: &[(String, String)]) -> Findings {
    let mut findings = Findings::default();
    let shown: BTreeSet<&str> =
        files.iter().flat_map(|(path, text)| words(shown_in(path, text))).collect();
    let sources = files.iter().filter(|(path, _)| is_source(path));
    for (path, text) in sources {
        for name in public_types(text) {
            findings.add(if shown.contains(name) {
                Ok(())
            } else {
                Err(format!("{path}: no example shows the public type {name}"))
            });
        }
    }
    findings
}

fn is_source(path: &str) -> bool {
    let of = |name: &&&str| path.starts_with(&format!("{name}/src/"));
    CRATES.iter().any(|name| of(&name)) && path.ends_with(".rs") && path != HIDDEN
}

/// The lines of a file that are code for readers.
fn shown_in<'a>(path: &str, text: &'a str) -> Vec<&'a str> {
    if path.contains("/examples/") || path.starts_with("examples/") {
        return text.lines().collect();
    }
    let comment = |line: &'a str| {
        let line = line.trim_start();
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim_start)
    };
    if is_source(path) {
        fenced(text.lines().filter_map(comment))
    } else if path.starts_with("docs/guide/") {
        fenced(text.lines())
    } else {
        Vec::new()
    }
}

/// What stands in fences of Rust: without a language or marker, code in documentation is Rust.
fn fenced<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut fence, mut found) = (None, Vec::new());
    for line in lines {
        match (line.strip_prefix("```"), fence) {
            (Some(_), Some(_)) => fence = None,
            (Some(language), None) => fence = Some(["", "rust", "no_run"].contains(&language)),
            (None, Some(true)) => found.push(line),
            (None, _) => {}
        }
    }
    found
}

fn words(lines: Vec<&str>) -> impl Iterator<Item = &str> {
    lines.into_iter().flat_map(|line| {
        line.split(|character: char| !character.is_alphanumeric() && character != '_')
    })
}

/// The types that a source file declares for everybody, tests and hidden ones left out.
fn public_types(text: &str) -> Vec<&str> {
    let mut hidden = false;
    let mut found = Vec::new();
    for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
        let line = line.trim_start();
        hidden |= line == "#[doc(hidden)]";
        let Some(declared) = line.strip_prefix("pub ") else { continue };
        let mut parts = declared.split(|c: char| !c.is_alphanumeric() && c != '_');
        let is_type = matches!(parts.next(), Some("struct" | "enum" | "trait" | "type" | "union"));
        let name = parts.next().filter(|name| is_type && !hidden && !name.is_empty());
        found.extend(name);
        hidden = false;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    #[test]
    fn a_type_without_an_example_is_found() {
        let source = "pub struct Shown;\n/// Words: Bare\npub enum Bare {}\n#[doc(hidden)]\npub struct Hidden;\n\
                      pub(crate) struct Inner;\n#[cfg(test)]\npub struct Test;\n";
        let guide = "```rust\nlet it = Shown;\n```\n```text\nBare\n```\n";
        let files = [file("driver/src/a.rs", source), file("docs/guide/a.md", guide)];
        let findings = run(&files);
        assert_eq!(findings.passed, 1);
        assert_eq!(findings.failed, ["driver/src/a.rs: no example shows the public type Bare"]);
        let own = "/// ```\n/// Bare::new();\n/// ```\npub struct Bare;\n";
        assert_eq!(run(&[file("driver/src/b.rs", own)]).passed, 1);
        assert_eq!(run(&[file("cli/src/c.rs", "pub struct Elsewhere;\n")]).failed, [""; 0]);
    }
}
