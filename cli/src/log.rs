//! Logging: off unless asked, to the console, to a file or both, by category, without secrets.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged and where to.
#[doc(alias = "Logging")]
#[doc(alias = "ConsoleDebugger")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// What is logged.
    pub(crate) filter: Filter,
    /// Whether the console (standard error) gets it.
    #[doc(alias = "EmitConsoleMessages")]
    pub(crate) console: LogConsole,
    /// The file that gets it.
    #[doc(alias = "LogToFile")]
    pub(crate) file: Option<PathBuf>,
    /// How a line looks.
    pub(crate) format: LogFormat,
}

/// Whether log lines go to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogConsole {
    /// Unless a file is named.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Plain,
    /// One JSON object a line
    Json,
}

/// What log lines speak of. Each is the second part of a `tracing` target: `p2pnet::lan`.
pub(crate) const CATEGORIES: [&str; 6] =
    ["lan", "bootstrap", "peers", "widescan", "files", "driver"];

/// A level for everything, and levels for single categories over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    all: LevelFilter,
    categories: Vec<(&'static str, LevelFilter)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { all: LevelFilter::OFF, categories: Vec::new() }
    }
}

impl Filter {
    fn is_off(&self) -> bool {
        self.categories
            .iter()
            .map(|(_, level)| level)
            .chain([&self.all])
            .all(|l| *l == LevelFilter::OFF)
    }

    fn targets(&self) -> Targets {
        let targets = Targets::new().with_target("p2pnet", self.all);
        targets.with_targets(
            self.categories.iter().map(|(name, level)| (format!("p2pnet::{name}"), *level)),
        )
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.all)?;
        self.categories.iter().try_for_each(|(name, level)| write!(f, ",{name}={level}"))
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = |text: &str| {
            let known = !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit());
            let level = text.parse::<LevelFilter>().ok().filter(|_| known);
            level.ok_or_else(|| {
                format!(
                    "\"{}\" is no level: choose off, error, warn, info, debug or trace",
                    text.escape_debug()
                )
            })
        };
        let mut filter = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None => filter.all = level(part)?,
                Some((name, wanted)) => {
                    let category = CATEGORIES.iter().find(|category| **category == name.trim());
                    let category = category.ok_or_else(|| {
                        format!(
                            "\"{}\" is no category: choose one of {}",
                            name.escape_debug(),
                            CATEGORIES.join(", ")
                        )
                    })?;
                    filter.categories.push((category, level(wanted.trim())?));
                }
            }
        }
        Ok(filter)
    }
}

/// Starts logging for the whole program. Call it once.
///
/// # Errors
/// The file can't be opened.
pub(crate) fn start(settings: &LogSettings) -> Result<(), Failure> {
    if settings.filter.is_off() {
        return Ok(());
    }
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    if let Some(path) = &settings.file {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            Failure::failed(format!("can't write the log file {}: {error}", path.display()))
                .fix("name another one with --log-file, or make its directory")
        })?;
        layers.push(match settings.format {
            LogFormat::Plain => plain().with_writer(Mutex::new(file)).boxed(),
            LogFormat::Json => json().with_writer(Mutex::new(file)).boxed(),
        });
    }
    let console = match settings.console {
        LogConsole::Auto => settings.file.is_none(),
        LogConsole::On => true,
        LogConsole::Off => false,
    };
    if console {
        layers.push(match settings.format {
            LogFormat::Plain => plain().with_writer(std::io::stderr).boxed(),
            LogFormat::Json => json().with_writer(std::io::stderr).boxed(),
        });
    }
    let subscriber =
        tracing_subscriber::registry().with(layers.with_filter(settings.filter.targets()));
    subscriber.try_init().map_err(|error| Failure::failed(format!("can't start logging: {error}")))
}

type Plain = tracing_subscriber::fmt::Layer<Registry>;

fn plain() -> Plain {
    tracing_subscriber::fmt::layer().with_ansi(false)
}

fn json() -> tracing_subscriber::fmt::Layer<
    Registry,
    tracing_subscriber::fmt::format::JsonFields,
    tracing_subscriber::fmt::format::Format<tracing_subscriber::fmt::format::Json>,
> {
    tracing_subscriber::fmt::layer().json().flatten_event(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn filters_take_levels_and_categories() {
        let filter: Filter = "warn,lan=debug".parse().unwrap();
        assert_eq!(filter.to_string(), "warn,lan=debug");
        assert_eq!(filter.to_string().parse(), Ok(filter.clone()));
        let targets = filter.targets();
        assert!(targets.would_enable("p2pnet::lan", &Level::DEBUG));
        assert!(!targets.would_enable("p2pnet::peers", &Level::INFO));
        assert!(targets.would_enable("p2pnet::peers", &Level::WARN));
        assert!(!targets.would_enable("other", &Level::ERROR));
    }

    #[test]
    fn logging_is_off_unless_asked() {
        assert!(Filter::default().is_off());
        assert!("off".parse::<Filter>().unwrap().is_off());
        assert!(!"off,files=trace".parse::<Filter>().unwrap().is_off());
    }

    #[test]
    fn slips_are_named() {
        assert!("loud".parse::<Filter>().unwrap_err().contains("\"loud\" is no level"));
        assert!("3".parse::<Filter>().is_err());
        assert!("lam=info".parse::<Filter>().unwrap_err().contains("choose one of lan, bootstrap"));
        assert!("lan=".parse::<Filter>().is_err());
    }
}
