//! The commented default file, printed from the table of keys.

use super::{Settings, keys};

const HEAD: &str = "\
# P2PNet's configuration: every key, with its default. Use it with `p2pnet up --config FILE`.
#
# Each key can also be set by a variable, as in P2PNET_LAN_ENABLED=false, or an option, as in
# `p2pnet up --set lan.enabled=false`. Options win over variables, and variables over this file.
# Times have a unit (500ms, 5s, 2m, 1h), sizes too (512KiB, 64MiB). An unknown key is an error.
# What is commented out follows a preset (policy, limits.preset): uncomment it to set it on its own.
";

/// The file that `p2pnet config --default` prints: it loads unchanged and equals the defaults.
pub(crate) fn default_file() -> String {
    let settings = Settings::default();
    let mut text = String::from(HEAD);
    let mut section = "";
    // Plain keys come first: TOML has no way back out of a section.
    let (plain, in_sections): (Vec<_>, Vec<_>) =
        keys::all().partition(|key| !key.name.contains('.'));
    for key in plain.into_iter().chain(in_sections) {
        let (key_section, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if key_section != section {
            text.push_str(&format!("\n[{key_section}]\n"));
            section = key_section;
        } else {
            text.push('\n');
        }
        for line in key.doc.lines() {
            text.push_str(&format!("# {line}\n"));
        }
        let hidden = if key.follows_preset { "#" } else { "" };
        text.push_str(&format!("{hidden}{name} = {}\n", (key.show)(&settings)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layers, from_file};
    use std::path::Path;

    fn loaded(text: &str) -> Settings {
        let mut layers = Layers::default();
        layers.push(from_file(text, Path::new("default.toml")).unwrap_or_else(|f| panic!("{f}")));
        layers.settle().unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn values(settings: &Settings) -> Vec<String> {
        keys::all().map(|key| format!("{} = {}", key.name, (key.show)(settings))).collect()
    }

    #[test]
    fn it_loads_unchanged_and_equals_the_defaults() {
        let text = default_file();
        assert_eq!(values(&loaded(&text)), values(&Settings::default()));
        assert_eq!(format!("{:?}", loaded(&text)), format!("{:?}", Settings::default()));
    }

    #[test]
    fn what_is_commented_out_loads_too() {
        let is_key =
            |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ");
        let text = default_file();
        assert_eq!(
            text.lines().filter(is_key).count(),
            keys::all().filter(|key| key.follows_preset).count()
        );
        let all: String = text
            .lines()
            .map(|line| format!("{}\n", if is_key(&line) { &line[1..] } else { line }))
            .collect();
        assert_eq!(values(&loaded(&all)), values(&Settings::default()));
    }

    #[test]
    fn every_key_is_explained() {
        for key in keys::all() {
            assert!(key.doc.ends_with('.'), "{}", key.name);
            assert!(key.doc.lines().all(|line| line.len() <= 100), "{}", key.name);
        }
    }
}
