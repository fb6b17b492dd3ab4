//! Arbitrary files and variables: whatever is refused is refused with the place of the fault, and whatever settles can
//! be run and written down again.

use super::{Layers, Settings, default_file, from_environment, from_file, keys};
use crate::failure::Failure;
use proptest::prelude::*;
use std::path::Path;

fn settle(text: &str) -> Result<Settings, Failure> {
    let mut layers = Layers::default();
    layers.push(from_file(text, Path::new("node.toml"))?);
    layers.settle()
}

fn check(text: &str) -> Result<(), TestCaseError> {
    match settle(text) {
        Ok(settings) => prop_assert!(settings.config.validate().is_ok()),
        Err(failure) => {
            let said = failure.to_string();
            prop_assert!(said.lines().all(|line| !line.chars().any(char::is_control)), "{said:?}");
        }
    }
    Ok(())
}

const VALUES: [&str; 16] = [
    "true",
    "0",
    "-1",
    "70000",
    "\"\"",
    "\"5s\"",
    "\"64MiB\"",
    "\"strict\"",
    "[]",
    "[1, 2]",
    "[\"192.0.2.0/24\"]",
    "1.5",
    "1979-05-27",
    "{ a = 1 }",
    "\"é\\u0007\"",
    "9223372036854775807",
];

/// Keys, values as people write them, and what lies between.
fn line() -> impl Strategy<Value = String> {
    let names: Vec<&str> = keys::all().map(|key| key.name).collect();
    (prop::sample::select(names), prop::sample::select(&VALUES[..]))
        .prop_map(|(name, value)| format!("{name} = {value}"))
}

proptest! {
    #[test]
    fn any_lines_settle_or_say_why(lines in prop::collection::vec(line(), 0..5)) {
        check(&lines.join("\n"))?;
    }

    #[test]
    fn any_text_settles_or_says_why(text: String) {
        check(&text)?;
    }

    #[test]
    fn the_default_file_with_any_change_settles_or_says_why(
        at: prop::sample::Index,
        until in 0usize..40,
        put in "[ -~\n]{0,12}",
    ) {
        let mut text = default_file();
        let start = at.index(text.len());
        let end = (start + until).min(text.len());
        text.replace_range(start..end, &put);
        check(&text)?;
    }

    #[test]
    fn any_variables_settle_or_say_why(
        which in prop::sample::select(keys::all().map(|key| key.variable()).collect::<Vec<_>>()),
        value: String,
        other in "P2PNET_[A-Z_]{0,12}",
    ) {
        let mut layers = Layers::default();
        if let Ok(layer) = from_environment([(which, value)]) {
            layers.push(layer);
        }
        if let Ok(settings) = layers.settle() {
            prop_assert!(settings.config.validate().is_ok());
        }
        let known = keys::all().any(|key| key.variable() == other) || other == "P2PNET_CONFIG";
        prop_assert_eq!(from_environment([(other, String::new())]).is_ok(), known);
    }
}
