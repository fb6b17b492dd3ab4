//! `docs/names.md`: every name of the earlier system with its item here. The items must exist and be findable.

use crate::ledger::backticked;
use crate::process::{command, output, root};
use crate::suite::Findings;
use std::collections::BTreeSet;

/// One row: an earlier name, and the item that took its place.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    earlier: String,
    /// `crate::path::Item`, or `crate::path::Type::member`; empty for a name that has no item.
    item: String,
    state: String,
}

pub(crate) fn run() -> Findings {
    let mut findings = Findings::default();
    let loaded = std::fs::read_to_string(root().join("docs/names.md"))
        .map_err(|error| format!("docs/names.md: {error}"))
        .and_then(|text| Ok((parse(&text), sources()?)));
    let (rows, sources) = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => return Findings::one(Err(failure)),
    };
    if rows.is_empty() {
        findings.add(Err("docs/names.md has no rows".to_owned()));
    }
    let mut seen = BTreeSet::new();
    for row in &rows {
        findings.add(if seen.insert(&row.earlier) {
            check(row, &sources)
        } else {
            Err(format!("docs/names.md has {} twice", row.earlier))
        });
    }
    findings
}

/// Every tracked source file: its crate's name and its text.
fn sources() -> Result<Vec<(String, String)>, String> {
    let listed = output(command("git").args(["ls-files", "*.rs"]))?;
    let mut sources = Vec::new();
    for path in listed.lines() {
        let Some((directory, _)) = path.split_once("/src/") else { continue };
        let manifest = std::fs::read_to_string(root().join(directory).join("Cargo.toml"));
        let Ok(manifest) = manifest else { continue };
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \""))
            .map(|rest| rest.trim_end_matches('"').replace('-', "_"))
            .ok_or_else(|| format!("{directory}/Cargo.toml names no package"))?;
        let text = std::fs::read_to_string(root().join(path));
        sources.push((name, text.map_err(|error| format!("{path}: {error}"))?));
    }
    Ok(sources)
}

fn check(row: &Row, sources: &[(String, String)]) -> Result<(), String> {
    let Row { earlier, item, state } = row;
    match state.as_str() {
        "planned" | "left out" => return Ok(()),
        "built" => {}
        other => return Err(format!("{earlier}: odd state \"{other}\"")),
    }
    let (crate_name, _) =
        item.split_once("::").ok_or_else(|| format!("{earlier}: {item} names no crate"))?;
    let last = item.rsplit("::").next().unwrap_or_default();
    let of_crate: Vec<&str> = sources
        .iter()
        .filter(|(name, _)| name == crate_name)
        .map(|(_, text)| text.as_str())
        .collect();
    if last == earlier {
        let defined = of_crate.iter().any(|text| text.lines().any(|line| defines(line, last)));
        return if defined { Ok(()) } else { Err(format!("{earlier}: there is no {item}")) };
    }
    if of_crate.iter().any(|text| has_alias(text, earlier, last)) {
        return Ok(());
    }
    Err(format!("{earlier}: no {item} with #[doc(alias = \"{earlier}\")]"))
}

/// Whether an item called `item` in `text` carries the alias: in its attributes, before anything else is defined.
fn has_alias(text: &str, alias: &str, item: &str) -> bool {
    let quoted = format!("\"{alias}\"");
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        line.contains("doc(alias")
            && line.contains(&quoted)
            && lines
                .iter()
                .skip(at + 1)
                .map(|line| line.trim())
                .find(|line| !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty())
                .is_some_and(|line| defines(line, item))
    })
}

/// Whether this line begins the definition of `item`: an item, a field, or a variant.
fn defines(line: &str, item: &str) -> bool {
    const KEYWORDS: &[&str] =
        &["struct", "enum", "trait", "fn", "type", "const", "mod", "static", "macro_rules!"];
    let line = line.trim();
    let words: Vec<&str> =
        line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!')).collect();
    let by_keyword = words
        .windows(2)
        .any(|pair| matches!(pair, [keyword, name] if KEYWORDS.contains(keyword) && *name == item));
    let declaration =
        line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
    let as_member = declaration.strip_prefix(item).is_some_and(|rest| {
        rest.is_empty()
            || rest.starts_with([',', ':', '(', '='])
            || rest.starts_with(" {")
            || rest.starts_with(" =")
    });
    by_keyword || as_member
}

/// Rows look like `| `Earlier` | `crate::Item` | built | ... |`.
fn parse(text: &str) -> Vec<Row> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
            let [earlier, item, state, ..] = cells.as_slice() else { return None };
            Some(Row {
                earlier: backticked(earlier).into_iter().next()?,
                item: backticked(item).into_iter().next().unwrap_or_default(),
                state: (*state).to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
/// A packet.
#[doc(alias = \"CollectionSharePacket\")]
#[derive(Debug)]
pub struct PeerGroupPacket {
    #[doc(alias(\"A\", \"B\"))]
    pub peers: u8,
}
#[doc(alias = \"Stray\")]
pub struct Other;
";

    fn verdict(earlier: &str, item: &str) -> Result<(), String> {
        let row = Row { earlier: earlier.into(), item: item.into(), state: "built".into() };
        check(&row, &[("here".to_owned(), SOURCE.to_owned())])
    }

    #[test]
    fn an_item_with_its_alias_is_found() {
        assert_eq!(verdict("CollectionSharePacket", "here::packet::PeerGroupPacket"), Ok(()));
        assert_eq!(verdict("B", "here::PeerGroupPacket::peers"), Ok(()));
        assert_eq!(verdict("Other", "here::Other"), Ok(()));
    }

    #[test]
    fn a_missing_item_a_missing_alias_and_a_stray_one_are_told() {
        assert!(verdict("Gone", "here::Gone").is_err());
        assert!(verdict("Unnamed", "here::Other").is_err());
        assert!(verdict("Stray", "here::PeerGroupPacket").is_err());
        assert!(verdict("Other", "elsewhere::Other").is_err());
    }

    #[test]
    fn rows_are_read() {
        let text = "| Earlier | Here | State |\n|---|---|---|\n| `IPeer` | `p::PeerView` | built |\n\
                    | `GetFile` | | planned |\n";
        let rows = parse(text);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].item, "p::PeerView");
        assert_eq!(rows[1].state, "planned");
    }
}
