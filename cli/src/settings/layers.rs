//! Layers of settings: file, then environment, then command line, each over the one before.

use super::budget;
use super::keys::{self, Raw};
use super::{Settings, keys::Key};
use crate::failure::Failure;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of a file.
    File(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// An option of the command line.
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Option(name) => f.write_str(name),
        }
    }
}

/// A value for a key.
pub(crate) struct Assignment {
    key: &'static Key,
    raw: Raw,
    origin: Origin,
}

impl Assignment {
    /// A value for the key called `name`.
    ///
    /// # Errors
    /// There is no such key; the failure names the nearest one.
    pub(crate) fn new(name: &str, raw: Raw, origin: Origin) -> Result<Self, Failure> {
        match keys::find(name) {
            Some(key) => Ok(Self { key, raw, origin }),
            None => Err(unknown_key(name, &origin)),
        }
    }

    /// The same key and origin with another value.
    pub(crate) fn with(self, raw: Raw) -> Self {
        Self { raw, ..self }
    }

    /// Where a message should point: the origin, and the key unless the origin says as much.
    fn place(&self) -> String {
        match self.origin {
            Origin::Option(name) if name != "--set" => name.into(),
            _ => format!("{}: {}", self.origin, self.key.name),
        }
    }

    /// The text of an option for a key that this program names itself.
    pub(crate) fn option(
        name: &str,
        text: impl Into<String>,
        option: &'static str,
    ) -> Result<Self, Failure> {
        Self::new(name, Raw::Text(text.into()), Origin::Option(option))
    }
}

fn unknown_key(name: &str, origin: &Origin) -> Failure {
    let failure = Failure::usage(format!("{origin}: there is no key \"{}\"", name.escape_debug()));
    match keys::nearest(name) {
        Some(near) => failure
            .fix(format!("did you mean \"{near}\"? `p2pnet config --default` lists all keys")),
        None => failure.fix("`p2pnet config --default` lists all keys"),
    }
}

/// Layers, the weakest first.
#[derive(Default)]
pub(crate) struct Layers(Vec<Vec<Assignment>>);

impl Layers {
    /// Puts a layer over the others.
    pub(crate) fn push(&mut self, layer: Vec<Assignment>) {
        self.0.push(layer);
    }

    /// The settings that all layers amount to, checked as far as that needs no files.
    ///
    /// # Errors
    /// A value that doesn't fit its key or the others; the failure names where it came from.
    pub(crate) fn settle(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        for layer in &self.0 {
            // In the table's order, so that a preset comes before what it sets.
            for key in keys::all() {
                for assignment in layer.iter().filter(|assignment| assignment.key.name == key.name)
                {
                    (key.set)(&mut settings, &assignment.raw).map_err(|problem| {
                        Failure::usage(format!("{}: {problem}", assignment.place()))
                    })?;
                }
            }
        }
        if let Some(budget_bytes) = settings.memory_budget {
            settings.config.limits =
                budget::fit(settings.config.limits, settings.limits_preset, budget_bytes)
                    .map_err(|problem| self.refuse("limits.memory_budget", &problem))?;
        }
        settings.config.policies.bootstrap = settings
            .bootstrap
            .policy()
            .map_err(|(key, conflict)| self.refuse(key, &conflict.to_string()))?;
        crate::store::check_image_size(settings.store.image_size)
            .map_err(|problem| self.refuse("files.image_size", &problem))?;
        settings.config.validate().map_err(|error| self.refuse(error.key, &error.problem))?;
        Ok(settings)
    }

    /// A failure that names where the key's value came from, if it came from anywhere.
    fn refuse(&self, name: &str, problem: &str) -> Failure {
        let set = self.0.iter().flatten().rev().find(|assignment| assignment.key.name == name);
        Failure::usage(match set {
            Some(assignment) => format!("{}: {problem}", assignment.place()),
            None => format!("{name}: {problem}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{PolicyPreset, from_environment, from_file};
    use std::path::Path;

    fn file(text: &str) -> Vec<Assignment> {
        from_file(text, Path::new("node.toml")).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn settle(layers: impl IntoIterator<Item = Vec<Assignment>>) -> Result<Settings, Failure> {
        Layers(layers.into_iter().collect()).settle()
    }

    fn problem(layers: impl IntoIterator<Item = Vec<Assignment>>) -> String {
        settle(layers).unwrap_err().to_string()
    }

    #[test]
    fn later_layers_win_and_presets_start_afresh() {
        let variables = from_environment([("P2PNET_NETWORK".into(), "lab".into())]).unwrap();
        let option = Assignment::option("policy", "strict", "--policy").unwrap();
        let settings = settle([
            file("network = \"office\"\n[policies.incoming]\ntrusted_only = false\nallow_default_communication = false"),
            variables,
            vec![option],
        ])
        .unwrap();
        assert_eq!(settings.config.network.as_str(), "lab");
        assert_eq!(settings.policy, PolicyPreset::Strict);
        assert_eq!(settings.config.policies, PolicyPreset::Strict.policies());
    }

    #[test]
    fn flags_refine_the_preset_beside_them() {
        let text = "[policies.incoming]\nallow_default_communication = false\n";
        let settings = settle([file(&format!("policy = \"open\"\n{text}"))]).unwrap();
        assert!(settings.config.policies.incoming.trust_authenticated);
        assert!(!settings.config.policies.incoming.allow_default_communication);
    }

    #[test]
    fn messages_name_the_place_the_key_and_the_fix() {
        assert_eq!(
            problem([file("\n[timing]\nkeep_alive = \"5 parsecs\"")]),
            "p2pnet: node.toml:3: timing.keep_alive: expected a number and a unit, such as 500ms, 5s, 2m or 1h"
        );
        assert!(
            problem([file("[lan]\ndesignated_ports = []")])
                .contains("node.toml:2: lan.designated_ports: name at least one")
        );
        let contradiction = "[policies.incoming]\ntrusted_only = true\ntrust_authenticated = true";
        assert!(
            problem([file(contradiction)])
                .contains("node.toml:2: policies.incoming.trusted_only: contradicts")
        );
        let tiny = Assignment::option("limits.memory_budget", "1KiB", "--set").unwrap();
        assert!(problem([vec![tiny]]).contains("--set: limits.memory_budget: 1KiB can't hold"));
    }
}
