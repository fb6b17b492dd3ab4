//! `doctor`: explains in plain words what stands in the way.

mod firewall;
mod host;
mod network;
mod probe;

use crate::args;
use crate::failure::Failure;
use crate::files::SmallFile;
use crate::settings::{self, Layers};
use crate::text::{Palette, clean};
use crate::{options, state_path};
use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It stands in the way.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    check: &'static str,
    level: Level,
    /// What was found.
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Good, text: text.into(), fix: None }
    }

    fn note(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Note, text: text.into(), fix: Some(fix.into()) }
    }

    fn bad(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Bad, text: text.into(), fix: Some(fix.into()) }
    }
}

/// Looks at everything and tells.
///
/// # Errors
/// Something stands in the way, or the configuration makes no sense.
pub(crate) fn run(args: &args::Doctor) -> Result<(), Failure> {
    let mut layers = Layers::default();
    if let Some(path) = &args.config {
        layers.push(settings::from_file(SmallFile::read(path)?.text()?, path)?);
    }
    layers.push(settings::from_environment(options::variables()?)?);
    let settings = layers.settle()?;
    let config = &settings.config;
    let named = args.node.state.dir.as_deref().or(settings.state.as_deref());
    let state = state_path::choose(named)?;

    let mut findings = host::state(&state);
    findings.extend(host::node(&state));
    findings.extend(network::interfaces());
    findings.extend(network::lan(&config.lan));
    findings.extend(network::listening(config));
    findings.extend(firewall::look(&config.lan.designated_ports));
    findings.extend(host::clock());
    findings.extend(host::descriptors(config.limits.connections_max));
    tell(&findings, args.node.json)?;
    match findings.iter().filter(|finding| finding.level == Level::Bad).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing stands in the way")),
        more => Err(Failure::failed(format!("{more} things stand in the way"))),
    }
}

fn tell(findings: &[Finding], json: bool) -> Result<(), Failure> {
    let palette = Palette::for_stdout();
    let mut out = String::new();
    for finding in findings {
        if json {
            let line = serde_json::to_string(finding);
            out.push_str(&line.map_err(|error| Failure::failed(error.to_string()))?);
            out.push('\n');
            continue;
        }
        let mark = match finding.level {
            Level::Good => palette.good("ok   "),
            Level::Note => palette.name("note "),
            Level::Bad => palette.bad("BAD  "),
        };
        out.push_str(&format!("{mark}{}: {}\n", finding.check, clean(&finding.text)));
        if let Some(fix) = &finding.fix {
            out.push_str(&format!("       {}\n", palette.faint(&format!("try: {}", clean(fix)))));
        }
    }
    if !json && findings.iter().all(|finding| finding.level != Level::Bad) {
        out.push_str("Nothing stands in the way.\n");
    }
    crate::out::out().bytes(out.as_bytes())
}
