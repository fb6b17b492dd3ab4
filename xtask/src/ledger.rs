//! `docs/features.md`: every feature with the tests that show it. The tests must exist, and run, and pass.

use crate::cargo_tests;
use crate::process::root;
use crate::suite::{Findings, Run};
use std::collections::{BTreeMap, BTreeSet};

/// The features, by letter and how many each has.
const FEATURES: &[(char, usize)] = &[
    ('N', 10),
    ('D', 5),
    ('C', 6),
    ('P', 4),
    ('T', 8),
    ('K', 4),
    ('R', 2),
    ('F', 5),
    ('B', 7),
    ('W', 9),
    ('X', 7),
    ('Y', 4),
];

/// One row of the ledger.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    feature: String,
    state: String,
    tests: Vec<String>,
}

pub(crate) fn run(run: &mut Run) -> Findings {
    let text = match std::fs::read_to_string(root().join("docs/features.md")) {
        Ok(text) => text,
        Err(error) => return Findings::one(Err(format!("docs/features.md: {error}"))),
    };
    let known = if run.complete {
        run.ran.clone()
    } else {
        println!("   not all tests belong to this run: checking that the ledger's tests exist");
        match cargo_tests::list() {
            Ok(names) => names,
            Err(failure) => return Findings::one(Err(failure)),
        }
    };
    check(&parse(&text), &known)
}

fn check(rows: &[Row], known: &BTreeMap<String, bool>) -> Findings {
    let mut findings = Findings::default();
    findings.add(every_feature_once(rows));
    for row in rows {
        findings.add(state_fits(row));
        for test in &row.tests {
            findings.add(match known.get(test) {
                Some(true) => Ok(()),
                Some(false) => Err(format!("{}: {test} failed", row.feature)),
                None => Err(format!("{}: {test} is missing or did not run", row.feature)),
            });
        }
    }
    findings
}

fn every_feature_once(rows: &[Row]) -> Result<(), String> {
    let expected: BTreeSet<String> = FEATURES
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .collect();
    let found: BTreeSet<String> = rows.iter().map(|row| row.feature.clone()).collect();
    if found != expected || rows.len() != expected.len() {
        return Err(format!(
            "docs/features.md lacks {:?} and has {:?} too many",
            expected.difference(&found).collect::<Vec<_>>(),
            found.difference(&expected).collect::<Vec<_>>()
        ));
    }
    Ok(())
}

fn state_fits(row: &Row) -> Result<(), String> {
    match (row.state.as_str(), row.tests.is_empty()) {
        ("built" | "partly", false) | ("planned", true) => Ok(()),
        ("built" | "partly", true) => Err(format!("{}: {} without a test", row.feature, row.state)),
        ("planned", false) => Err(format!("{}: planned, yet it names tests", row.feature)),
        (other, _) => Err(format!("{}: odd state \"{other}\"", row.feature)),
    }
}

/// Rows look like `| N1 | what | built | `crate::test`, ... | where to see it |`.
fn parse(text: &str) -> Vec<Row> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
            let [feature, _what, state, tests, ..] = cells.as_slice() else { return None };
            let mut characters = feature.chars();
            let letter = characters.next()?;
            let is_row = FEATURES.iter().any(|(known, _)| *known == letter)
                && !characters.as_str().is_empty()
                && characters.all(|digit| digit.is_ascii_digit());
            is_row.then(|| Row {
                feature: (*feature).to_owned(),
                state: (*state).to_owned(),
                tests: backticked(tests),
            })
        })
        .collect()
}

/// What stands between backticks.
pub(crate) fn backticked(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, tests: &[&str]) -> Row {
        Row {
            feature: "N1".to_owned(),
            state: state.to_owned(),
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
        }
    }

    #[test]
    fn rows_are_read_and_other_lines_are_not() {
        let text = "# Ledger\n| # | Feature | State | Tests | See |\n|---|---|---|---|---|\n\
                    | N1 | Many nodes | built | `a::b`, `c::d` | `up` |\n| Now | x | built | | |\n";
        assert_eq!(parse(text), [row("built", &["a::b", "c::d"])]);
    }

    #[test]
    fn a_missing_or_failed_test_is_a_failure() {
        let known = BTreeMap::from([("good".to_owned(), true), ("bad".to_owned(), false)]);
        let failures = |tests: &[&str]| check(&[row("built", tests)], &known).failed;
        // The first failure is that this ledger has one row only.
        assert_eq!(failures(&["good"]).len(), 1);
        assert!(failures(&["bad"])[1].contains("failed"));
        assert!(failures(&["gone"])[1].contains("missing"));
    }

    #[test]
    fn a_feature_is_built_with_tests_or_planned_without() {
        assert!(state_fits(&row("built", &["a"])).is_ok());
        assert!(state_fits(&row("planned", &[])).is_ok());
        assert!(state_fits(&row("built", &[])).is_err());
        assert!(state_fits(&row("partly", &[])).is_err());
        assert!(state_fits(&row("planned", &["a"])).is_err());
        assert!(state_fits(&row("soon", &[])).is_err());
    }
}
