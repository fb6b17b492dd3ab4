//! How many other people's crates each layer stands on, and under which licences.

use crate::process::{cargo, output};
use crate::suite::Findings;
use std::collections::BTreeSet;

/// The most crates below each layer, itself not counted, procedural macros neither.
const BUDGETS: &[(&str, &[&str], usize)] = &[
    ("the core", &["-p", "p2pnet-protocol"], 30),
    (
        "the core with pure-Rust crypto",
        &["-p", "p2pnet-crypto", "--no-default-features", "--features", "pure"],
        45,
    ),
    ("a node on mio", &["-p", "p2pnet-mio", "--no-default-features"], 60),
    ("a node on smol", &["-p", "p2pnet-smol"], 130),
    ("a node on tokio", &["-p", "p2pnet-tokio"], 130),
    ("the bootstrap server", &["-p", "p2pnet-bootstrap"], 260),
];

/// Licences that ask for no more than a notice.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(crate) fn run() -> Findings {
    let mut findings = Findings::default();
    for (layer, selection, most) in BUDGETS {
        findings.add(count(layer, selection, *most));
    }
    match licences() {
        Ok(found) => found.into_iter().for_each(|result| findings.add(result)),
        Err(failure) => findings.add(Err(failure)),
    }
    findings
}

fn count(layer: &str, selection: &[&str], most: usize) -> Result<(), String> {
    let mut tree = cargo();
    tree.args(["tree", "--quiet", "-e", "normal,no-proc-macro", "--prefix=none", "--format={p}"]);
    let listed = output(tree.args(selection))?;
    // A crate that was shown before has a mark at its end.
    let crates: BTreeSet<&str> = listed
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    let below = crates.len().saturating_sub(1);
    println!("   {layer}: {below} crates, at most {most}");
    if below <= most {
        Ok(())
    } else {
        Err(format!("{layer} stands on {below} crates, at most {most}"))
    }
}

fn licences() -> Result<Vec<Result<(), String>>, String> {
    let mut tree = cargo();
    tree.args(["tree", "--quiet", "--workspace", "-e", "normal,build,dev", "--prefix=none"]);
    let listed = output(tree.arg("--format={p}|{l}"))?;
    let crates: BTreeSet<&str> = listed
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    Ok(crates
        .into_iter()
        .map(|line| {
            let (package, licence) = line.split_once('|').unwrap_or((line, ""));
            if is_permissive(licence) {
                Ok(())
            } else {
                Err(format!(
                    "{package} is under \"{licence}\", which isn't among the permissive ones"
                ))
            }
        })
        .collect())
}

/// Whether an SPDX expression can be met with permissive licences alone. `OR` binds weaker than `AND`; old packages
/// write `/` for `OR`.
fn is_permissive(expression: &str) -> bool {
    let expression = expression.trim().replace('/', " OR ");
    let alternatives = split_outside(&expression, " OR ");
    if alternatives.len() > 1 {
        return alternatives.into_iter().any(is_permissive);
    }
    let requirements = split_outside(&expression, " AND ");
    if requirements.len() > 1 {
        return requirements.into_iter().all(is_permissive);
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_permissive(inner),
        None => PERMISSIVE.contains(&expression.trim()),
    }
}

/// Splits at `separator` wherever it stands outside parentheses.
fn split_outside<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && at >= start && text[at..].starts_with(separator) => {
                pieces.push(&text[start..at]);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_needs_one_permissive_licence_and_a_sum_needs_all() {
        assert!(is_permissive("MIT"));
        assert!(is_permissive("MIT/Apache-2.0"));
        assert!(is_permissive("GPL-3.0 OR MIT"));
        assert!(is_permissive("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(is_permissive("ISC AND (Apache-2.0 OR GPL-2.0) AND MIT"));
        assert!(is_permissive("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT"));
    }

    #[test]
    fn copyleft_and_silence_are_refused() {
        assert!(!is_permissive(""));
        assert!(!is_permissive("MPL-2.0"));
        assert!(!is_permissive("MIT AND GPL-3.0-only"));
        assert!(!is_permissive("(GPL-2.0 OR LGPL-3.0) AND MIT"));
    }
}
