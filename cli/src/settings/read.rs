//! Reading layers: a TOML file and the environment.

use super::keys::{self, Key, Raw};
use super::layers::{Assignment, Origin};
use super::value::Value;
use crate::failure::Failure;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a file's text. `path` is only named in messages.
///
/// # Errors
/// The text is no TOML, or has a key that doesn't exist or a value of a kind that no key takes.
pub(crate) fn from_file(text: &str, path: &Path) -> Result<Vec<Assignment>, Failure> {
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let problem = error.message().lines().collect::<Vec<_>>().join(", ");
        Failure::usage(format!("{}:{line}: {problem}", path.display()))
            .fix("`p2pnet config --default` prints a file to start from")
    })?;
    let mut found = Vec::new();
    walk(
        root.get_ref(),
        "",
        &|offset| Origin::File(path.into(), line_of(text, offset)),
        &mut found,
    )?;
    Ok(found)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn walk(
    table: &DeTable<'_>,
    prefix: &str,
    origin: &dyn Fn(usize) -> Origin,
    found: &mut Vec<Assignment>,
) -> Result<(), Failure> {
    for (name, value) in table.iter() {
        let full = format!("{prefix}{}", name.get_ref());
        let origin_here = origin(name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) if is_section(&full) => {
                walk(inner, &format!("{full}."), origin, found)?;
            }
            _ => {
                // An unknown key is told before what it holds is looked at.
                let assignment =
                    Assignment::new(&full, Raw::Text(String::new()), origin_here.clone())?;
                let value = plain(value).map_err(|kind| {
                    Failure::usage(format!("{origin_here}: {full}: no key holds {kind}"))
                })?;
                found.push(assignment.with(Raw::Typed(value)));
            }
        }
    }
    Ok(())
}

fn is_section(name: &str) -> bool {
    keys::all().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn plain(value: &Spanned<DeValue<'_>>) -> Result<Value, &'static str> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| "so large a number")?,
        ),
        DeValue::Array(values) => Value::List(values.iter().map(plain).collect::<Result<_, _>>()?),
        DeValue::Float(_) => return Err("a fraction"),
        DeValue::Datetime(_) => return Err("a date"),
        DeValue::Table(_) => return Err("a table"),
    })
}

/// Variables that the program reads itself and that are no keys.
const OTHER_VARIABLES: [&str; 1] = ["P2PNET_CONFIG"];

/// Reads the `P2PNET_*` among `variables`.
///
/// # Errors
/// A variable of that form names no key.
pub(crate) fn from_environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Assignment>, Failure> {
    let ours = variables.into_iter().filter(|(name, _)| {
        name.starts_with("P2PNET_") && !OTHER_VARIABLES.contains(&name.as_str())
    });
    ours.map(|(name, text)| match keys::all().find(|key| key.variable() == name) {
        Some(key) => Assignment::new(key.name, Raw::Text(text), Origin::Variable(name)),
        None => Err(unknown_variable(&name)),
    })
    .collect()
}

fn unknown_variable(name: &str) -> Failure {
    let guess = name.trim_start_matches("P2PNET_").to_lowercase();
    let near = keys::nearest(&guess)
        .or_else(|| keys::nearest(&guess.replacen('_', ".", 1)))
        .and_then(keys::find)
        .map(Key::variable);
    let failure = Failure::usage(format!("the environment has {name}, which names no key"));
    match near {
        Some(near) => failure.fix(format!("did you mean {near}? Otherwise unset it")),
        None => failure.fix("unset it; `p2pnet config --default` lists all keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        from_file(text, Path::new("node.toml")).err().expect(text).to_string()
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest() {
        let said = problem("network = \"a\"\n[lan]\nenable = true\n");
        assert!(
            said.starts_with("p2pnet: node.toml:3: there is no key \"lan.enable\"\n"),
            "{said}"
        );
        assert!(said.contains("did you mean \"lan.enabled\"?"), "{said}");
        assert!(problem("[lam]\nenabled = true").contains("there is no key \"lam\""));
        assert!(problem("lan = 3").contains("there is no key \"lan\""));
        assert!(problem("network = { a = 1 }").contains("no key holds a table"));
        assert!(problem("network = 1.5").contains("no key holds a fraction"));
        assert!(problem("network = ").starts_with("p2pnet: node.toml:1: "));
        assert!(problem("network = \"a\"\nnetwork = \"b\"").contains("node.toml:2: duplicate key"));
    }

    #[test]
    fn unknown_variables_are_named_with_the_nearest() {
        let read = |name: &str| from_environment([(name.to_owned(), String::from("x"))]);
        assert!(read("PATH").unwrap_or_else(|_| panic!("refused")).is_empty());
        assert_eq!(read("P2PNET_LAN_ENABLED").unwrap_or_else(|_| panic!("refused")).len(), 1);
        let said = read("P2PNET_NETWROK").err().expect("accepted").to_string();
        assert!(said.contains("did you mean P2PNET_NETWORK?"), "{said}");
        let said = read("P2PNET_LAN_ENABLE").err().expect("accepted").to_string();
        assert!(said.contains("did you mean P2PNET_LAN_ENABLED?"), "{said}");
    }
}
