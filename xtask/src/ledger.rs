//! `docs/features.md`: every feature with the tests that show it; `docs/old-faults.md`: every fault of the earlier system
//! with the tests that keep it mended. The tests must exist, and run, and pass.

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

/// How many faults of the earlier system are listed.
const OLD_FAULTS: usize = 18;

/// One row of a ledger.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// The feature's letter and number, or the fault's number.
    feature: String,
    state: String,
    tests: Vec<String>,
}

pub(crate) fn run(run: &mut Run) -> Findings {
    let known = if run.complete {
        run.ran.clone()
    } else {
        println!("   not all tests belong to this run: checking that the ledger's tests exist");
        match cargo_tests::list() {
            Ok(names) => names,
            Err(failure) => return Findings::one(Err(failure)),
        }
    };
    let mut findings = Findings::default();
    for (page, expected) in [("docs/features.md", features()), ("docs/old-faults.md", faults())] {
        match std::fs::read_to_string(root().join(page)) {
            Ok(text) => check(page, &parse(&text), &expected, &known, &mut findings),
            Err(error) => findings.add(Err(format!("{page}: {error}"))),
        }
    }
    findings
}

fn check(
    page: &str,
    rows: &[Row],
    expected: &BTreeSet<String>,
    known: &BTreeMap<String, bool>,
    findings: &mut Findings,
) {
    findings.add(each_once(page, rows, expected));
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
}

fn features() -> BTreeSet<String> {
    FEATURES
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .collect()
}

fn faults() -> BTreeSet<String> {
    (1..=OLD_FAULTS).map(|number| number.to_string()).collect()
}

fn each_once(page: &str, rows: &[Row], expected: &BTreeSet<String>) -> Result<(), String> {
    let found: BTreeSet<String> = rows.iter().map(|row| row.feature.clone()).collect();
    if found != *expected || rows.len() != expected.len() {
        return Err(format!(
            "{page} lacks {:?}, has {:?} too many, and {} rows for {}",
            expected.difference(&found).collect::<Vec<_>>(),
            found.difference(expected).collect::<Vec<_>>(),
            rows.len(),
            expected.len()
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
            // Whatever carries a number is a row: a letter too many or a missing one is told, not skipped.
            feature.ends_with(|digit: char| digit.is_ascii_digit()).then(|| Row {
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
        let failures = |tests: &[&str]| {
            let (mut findings, expected) = (Findings::default(), BTreeSet::from(["N1".to_owned()]));
            check("page", &[row("built", tests)], &expected, &known, &mut findings);
            findings.failed
        };
        assert_eq!(failures(&["good"]), [""; 0]);
        assert!(failures(&["bad"])[0].contains("failed"));
        assert!(failures(&["gone"])[0].contains("missing"));
    }

    #[test]
    fn each_is_listed_once() {
        let expected = features();
        assert_eq!(expected.len(), 71);
        assert!(
            each_once("page", &[row("built", &["a"])], &BTreeSet::from(["N1".to_owned()])).is_ok()
        );
        assert!(each_once("page", &[row("built", &["a"])], &expected).is_err());
        let twice = [row("built", &["a"]), row("built", &["a"])];
        assert!(each_once("page", &twice, &BTreeSet::from(["N1".to_owned()])).is_err());
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
