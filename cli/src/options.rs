//! The settings of `up`: file, environment and command line put together.

use crate::args;
use crate::failure::Failure;
use crate::files::SmallFile;
use crate::settings::{self, Assignment, Layers, Settings};
use std::path::PathBuf;

/// Puts the layers together: file, environment, options.
///
/// # Errors
/// A file can't be read, or a key or value makes no sense.
pub(crate) fn settle(up: &args::Up) -> Result<Settings, Failure> {
    let mut layers = Layers::default();
    let mut warnings = Vec::new();
    let named = std::env::var_os("P2PNET_CONFIG").filter(|path| !path.is_empty());
    if let Some(path) = up.config.clone().or_else(|| named.map(PathBuf::from)) {
        let file = SmallFile::read(&path)?;
        layers.push(settings::from_file(file.text()?, &path)?);
        warnings.extend(file.change_warning("what this node does"));
    }
    layers.push(settings::from_environment(variables()?)?);
    layers.push(options(up)?);
    Ok(Settings { warnings, ..layers.settle()? })
}

/// The environment's variables that this program may mean.
///
/// # Errors
/// One of them is no text.
pub(crate) fn variables() -> Result<Vec<(String, String)>, Failure> {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with("P2PNET_").then_some((name, value))
    });
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Failure::usage(format!("the variable {name} is no text (UTF-8)"))),
    })
    .collect()
}

/// The options of the command line as values of keys.
fn options(up: &args::Up) -> Result<Vec<Assignment>, Failure> {
    let mut layer = Vec::new();
    for pair in &up.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--set \"{}\" has no =", pair.escape_debug()))
                .fix("write KEY=VALUE, such as --set lan.enabled=false")
        })?;
        layer.push(Assignment::option(key.trim(), value.trim(), "--set")?);
    }
    let mut option = |key: &str, value: Option<String>, name: &'static str| match value {
        Some(value) => Assignment::option(key, value, name).map(|option| layer.push(option)),
        None => Ok(()),
    };
    let path = |path: &Option<PathBuf>, name: &str| match path {
        None => Ok(None),
        Some(path) => match path.to_str() {
            Some(text) if !text.is_empty() => Ok(Some(String::from(text))),
            _ => Err(Failure::usage(format!(
                "{name} \"{}\" is no path that can be used",
                path.display()
            ))),
        },
    };
    if up.listen.iter().any(|at| at.split(',').any(|at| at.trim().is_empty())) {
        return Err(Failure::usage("--listen: there is no address in it").fix(
            "give IP:PORT, IP or PORT; --no-inbound is for a node that accepts no connections",
        ));
    }
    let flag = |set: bool, value: &str| set.then(|| String::from(value));
    let level = up.log.clone().or_else(|| up.log_file.as_ref().map(|_| "info".into()));
    option("state", path(&up.state.dir, "--state")?, "--state")?;
    option("network", up.network.clone(), "--network")?;
    option("policy", up.policy.map(|policy| settings::show_name(&policy)), "--policy")?;
    option("membership.secret_file", path(&up.secret, "--secret")?, "--secret")?;
    option("membership.trust_file", path(&up.trust, "--trust")?, "--trust")?;
    option("membership.authority", up.authority.clone(), "--authority")?;
    option(
        "membership.certificate_file",
        path(&up.certificate, "--certificate")?,
        "--certificate",
    )?;
    option("anonymous", flag(up.anonymous, "true"), "--anonymous")?;
    option("listen", flag(!up.listen.is_empty(), &up.listen.join(",")), "--listen")?;
    option("accept_inbound", flag(up.no_inbound, "false"), "--no-inbound")?;
    option("lan.enabled", flag(up.no_lan, "false"), "--no-lan")?;
    let beyond = &up.beyond;
    let list = |urls: &[String]| flag(!urls.is_empty(), &urls.join(","));
    option("bootstrap.servers", list(&beyond.bootstrap), "--bootstrap")?;
    option("bootstrap.authority_key", beyond.authority_key.clone(), "--authority-key")?;
    option("bootstrap.public_ip_policy", beyond.public_ip_policy.clone(), "--public-ip-policy")?;
    option("bootstrap.public_ip_sources", list(&beyond.public_ip_source), "--public-ip-source")?;
    if let Some(policy) = beyond.bootstrap_policy {
        use args::BootstrapPolicy::{Authority, Trustless};
        let allowed = |allowed: bool| Some(String::from(if allowed { "true" } else { "false" }));
        let trustless = "policies.bootstrap.allow_bootstrap_trustless_connection";
        let authority = "policies.bootstrap.allow_bootstrap_authority_connection";
        option(trustless, allowed(policy != Authority), "--bootstrap-policy")?;
        option(authority, allowed(policy != Trustless), "--bootstrap-policy")?;
    }
    let must = "policies.bootstrap.must_be_authority";
    option(must, flag(beyond.must_be_authority, "true"), "--must-be-authority")?;
    let lock = "policies.bootstrap.first_single_locking_authority";
    option(lock, flag(beyond.lock_first_authority, "true"), "--lock-first-authority")?;
    option("placement", up.placement.clone(), "--placement")?;
    let accept = up.files.accept.map(|accept| settings::show_name(&accept.acceptance()));
    // A directory that is asked for is used, whatever image a file names.
    option("files.image", flag(up.files.inbox.is_some(), ""), "--inbox")?;
    option("files.inbox", path(&up.files.inbox, "--inbox")?, "--inbox")?;
    option("files.image", path(&up.files.image, "--image")?, "--image")?;
    option("files.image_size", up.files.image_size.clone(), "--image-size")?;
    option("files.accept", accept, "--accept")?;
    option("key_log_file", path(&up.keylog, "--keylog")?, "--keylog")?;
    option("runtime", up.runtime.map(|runtime| settings::show_name(&runtime)), "--runtime")?;
    option("log.filter", level, "--log")?;
    option("log.file", path(&up.log_file, "--log-file")?, "--log-file")?;
    option("log.format", up.log_format.map(|format| settings::show_name(&format)), "--log-format")?;
    Ok(layer)
}
