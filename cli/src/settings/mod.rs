//! Everything that can be set, from a file, from the environment and from the command line, through one table of keys.

#[cfg(test)]
mod arbitrary;
mod bootstrap;
mod budget;
mod default_file;
mod keys;
mod layers;
mod read;
pub(crate) mod units;
mod value;

pub(crate) use bootstrap::BootstrapFlags;
pub(crate) use budget::LimitsPreset;
pub(crate) use default_file::default_file;
pub(crate) use layers::{Assignment, Layers};
pub(crate) use read::{from_environment, from_file};
pub(crate) use units::{has_scope, parse_duration, show_duration, show_size};
pub(crate) use value::{parse_block_target, show_block_target, show_name};

use crate::log::LogSettings;
use crate::runtime::Runtime;
use crate::store::StoreSettings;
use p2pnet_protocol::trust::policy::{IncomingPeerTrustPolicy, TrustPolicies};
use p2pnet_protocol::{Config, Duration};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What `up` runs with. [`Settings::default`] runs as it is.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the core is told. Its listening addresses and files are filled in when the node starts.
    pub(crate) config: Config,
    /// Where keys, bans and the control socket live; none stands for the default place.
    pub(crate) state: Option<PathBuf>,
    /// Where a listening address has port 0, the first free one of these is taken.
    pub(crate) listen_ports: Option<RangeInclusive<u16>>,
    /// The policy that the flags started from.
    pub(crate) policy: PolicyPreset,
    /// What was said about bootstrap servers.
    pub(crate) bootstrap: BootstrapFlags,
    /// The file that holds the network's secret.
    pub(crate) secret_file: Option<PathBuf>,
    /// The file that lists trusted identities.
    pub(crate) trust_file: Option<PathBuf>,
    /// The key of the network's authority: 64 hex digits, or a file that holds them.
    pub(crate) authority: String,
    /// The key of the authority of bootstrap servers: 64 hex digits, or a file that holds them.
    pub(crate) bootstrap_authority: String,
    /// The file that holds this node's certificate.
    pub(crate) certificate_file: Option<PathBuf>,
    /// The file that the keys of channels are written to.
    pub(crate) key_log_file: Option<PathBuf>,
    /// Where files are kept.
    pub(crate) store: StoreSettings,
    /// What the node runs on.
    pub(crate) runtime: Runtime,
    /// The limits that the single ones started from.
    pub(crate) limits_preset: LimitsPreset,
    /// The most bytes that the limits may add up to.
    pub(crate) memory_budget: Option<u64>,
    /// Logging.
    pub(crate) log: LogSettings,
    /// What a person should know about the files that were read; no key sets it.
    pub(crate) warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut config = Config::default();
        // The core's default is meant for machines that decide. Here a person is asked.
        config.timing.trust_timeout = Duration::from_secs(60);
        Self {
            config,
            state: None,
            listen_ports: None,
            policy: PolicyPreset::Default,
            bootstrap: BootstrapFlags::default(),
            secret_file: None,
            trust_file: None,
            authority: String::new(),
            bootstrap_authority: String::new(),
            certificate_file: None,
            key_log_file: None,
            store: StoreSettings::default(),
            runtime: Runtime::default(),
            limits_preset: LimitsPreset::Default,
            memory_budget: None,
            log: LogSettings::default(),
            warnings: Vec::new(),
        }
    }
}

/// A named starting point for the flags of the trust policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PolicyPreset {
    /// Every proven identity is trusted
    Open,
    /// Whoever proves an identity may exchange messages; whoever also proves membership is trusted
    Default,
    /// Nobody but listed identities and members gets in
    Strict,
}

impl PolicyPreset {
    /// The flags that this policy stands for.
    pub(crate) fn policies(self) -> TrustPolicies {
        let incoming = IncomingPeerTrustPolicy {
            trust_authenticated: self == Self::Open,
            trusted_only: self == Self::Strict,
            ..IncomingPeerTrustPolicy::default()
        };
        TrustPolicies { incoming, ..TrustPolicies::default() }
    }
}
