//! What an operator can set: by a file (TOML or JSON), by the environment, by options.
//!
//! Unknown names are refused everywhere, since a slip that is ignored is a setting that silently isn't.

use crate::lease::{LeaseLimits, Leases};
use crate::rate::Rate;
use p2pnet_protocol::{IpPrefix, NetworkName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The prefix of variables of the environment.
pub const VARIABLE_PREFIX: &str = "P2PNET_BOOTSTRAP_";

/// The default configuration as a file, with an explanation of everything.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// A configuration that can't be used, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadConfig(pub String);

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadConfig {}

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    )*};
}

sections! {
    /// Everything. What each setting means is said in [`DEFAULT_FILE`].
    Config {
        /// The server itself.
        server: ServerConfig = ServerConfig::default();
        /// Where data are kept.
        database: DatabaseConfig = DatabaseConfig::default();
        /// Who is listed, how many, how long.
        leases: LeasesConfig = LeasesConfig::default();
        /// What one client may use.
        limits: LimitsConfig = LimitsConfig::default();
        /// Who stands in front of the server.
        proxies: ProxiesConfig = ProxiesConfig::default();
        /// Encryption of connections.
        tls: TlsConfig = TlsConfig::default();
        /// Numbers for Prometheus.
        metrics: MetricsConfig = MetricsConfig::default();
        /// What is logged.
        log: LogConfig = LogConfig::default();
    }
    /// `[server]`.
    ServerConfig {
        /// What people see of this server.
        name: String = "p2pnet bootstrap".into();
        /// Where it listens.
        listen: Vec<SocketAddr> = vec![SocketAddr::from(([0_u16; 8], 8470))];
        /// Where it keeps its key and its database.
        state: Option<PathBuf> = None;
        /// The networks that it serves; none for any.
        networks: Vec<NetworkName> = Vec::new();
        /// Seconds that connections have to end.
        drain_secs: u32 = 10;
    }
    /// `[database]`.
    DatabaseConfig {
        /// Where data are kept.
        url: String = "sqlite".into();
        /// How often to look for changes, in milliseconds.
        poll_ms: u32 = 250;
        /// How often leases are copied, in seconds.
        copy_leases_secs: u32 = 15;
    }
    /// `[leases]`.
    LeasesConfig {
        /// Leases in all.
        leases_max: u32 = 1_000_000;
        /// Networks.
        networks_max: u16 = 1024;
        /// Leases at one /24 of IPv4.
        per_v4_24_max: u32 = 64;
        /// Leases at one /64 of IPv6.
        per_v6_64_max: u32 = 64;
        /// Leases at one /48 of IPv6.
        per_v6_48_max: u32 = 256;
        /// How often peers come, in seconds.
        interval_secs: u32 = 300;
        /// How rarely they are asked to, at most.
        interval_secs_max: u32 = 1800;
        /// How far they stray from that.
        jitter_percent: u8 = 20;
        /// How many requests a second are welcome.
        requests_per_sec: u32 = 2000;
        /// How many intervals a lease lasts.
        intervals_kept: u32 = 3;
    }
    /// `[limits]`.
    LimitsConfig {
        /// Connections in all.
        connections_max: u32 = 8192;
        /// Connections from one address.
        connections_per_address_max: u32 = 64;
        /// Connections from one subnet.
        connections_per_subnet_max: u32 = 256;
        /// Seconds for a request's head.
        header_secs: u32 = 5;
        /// Seconds for the rest of a request and its answer.
        request_secs: u32 = 10;
        /// Bytes of a request's body.
        body_bytes_max: u32 = 8192;
        /// Requests a minute from one key.
        key_per_minute: u32 = 20;
        /// At once.
        key_burst: u32 = 20;
        /// Requests a minute from one address.
        address_per_minute: u32 = 600;
        /// At once.
        address_burst: u32 = 300;
        /// Requests a minute from one subnet.
        subnet_per_minute: u32 = 3000;
        /// At once.
        subnet_burst: u32 = 1000;
    }
    /// `[proxies]`.
    ProxiesConfig {
        /// Whose forwarded headers are believed.
        trusted: Vec<IpPrefix> = Vec::new();
    }
    /// `[tls]`.
    TlsConfig {
        /// The certificate with its chain.
        certificate: Option<PathBuf> = None;
        /// Its key.
        key: Option<PathBuf> = None;
    }
    /// `[metrics]`.
    MetricsConfig {
        /// The file with the token.
        token_file: Option<PathBuf> = None;
        /// A listener of their own.
        listen: Option<SocketAddr> = None;
    }
    /// `[log]`.
    LogConfig {
        /// How much.
        level: LogLevel = LogLevel::Info;
        /// For whom.
        format: LogFormat = LogFormat::Plain;
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are the levels that everybody knows")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Plain,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads a file's text: JSON if its name ends so, else TOML.
    ///
    /// # Errors
    /// [`BadConfig`] names the file, the line and the slip.
    pub fn from_file(path: &Path, text: &str) -> Result<Self, BadConfig> {
        let bad = |slip: String| BadConfig(format!("{}: {}", path.display(), slip.trim_end()));
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            serde_json::from_str(text).map_err(|error| bad(error.to_string()))
        } else {
            toml::from_str(text).map_err(|error| bad(error.to_string()))
        }
    }

    /// Changes what variables of the environment say: those whose names begin with [`VARIABLE_PREFIX`].
    ///
    /// # Errors
    /// [`BadConfig`] names the variable and the slip, and what was probably meant.
    pub fn with_variables(
        self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BadConfig> {
        let mut values =
            serde_json::to_value(&self).map_err(|error| BadConfig(error.to_string()))?;
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else { continue };
            let Some(value) = leaf(&mut values, name) else {
                return Err(BadConfig(format!(
                    "{variable} is no setting; their names are as in the default configuration, with _ for the dot"
                )));
            };
            let read = read_like(value, &text).ok_or_else(|| {
                BadConfig(format!("{variable}: \"{}\" is no number", text.escape_debug()))
            })?;
            let before = std::mem::replace(value, read);
            // One at a time, so that the slip has a name.
            if let Err(error) = Self::deserialize(&values) {
                return Err(BadConfig(format!("{variable}: {error} (it was {before})")));
            }
        }
        Self::deserialize(&values).map_err(|error| BadConfig(error.to_string()))
    }

    /// Every setting's name, as in `server.name`.
    pub fn names() -> Vec<String> {
        let values = serde_json::to_value(Self::default()).unwrap_or_default();
        let sections = values.as_object().into_iter().flatten();
        sections
            .flat_map(|(section, fields)| {
                let fields = fields.as_object().into_iter().flatten();
                fields.map(move |(field, _)| format!("{section}.{field}"))
            })
            .collect()
    }

    /// Whether all of it makes sense together.
    ///
    /// # Errors
    /// [`BadConfig`] names the setting and what it may be.
    pub fn check(&self) -> Result<(), BadConfig> {
        let (leases, limits) = (&self.leases, &self.limits);
        let kept_secs = u64::from(leases.interval_secs_max) * u64::from(leases.intervals_kept);
        let name_fits = (1..=64).contains(&self.server.name.len())
            && !self.server.name.chars().any(char::is_control);
        let rules = [
            (name_fits, "server.name has 1 to 64 bytes without control characters"),
            (!self.server.listen.is_empty(), "server.listen names one address at least"),
            ((10..=60_000).contains(&self.database.poll_ms), "database.poll_ms is 10 to 60000"),
            (
                (1..=3600).contains(&self.database.copy_leases_secs),
                "database.copy_leases_secs is 1 to 3600",
            ),
            ((1..=50_000_000).contains(&leases.leases_max), "leases.leases_max is 1 to 50000000"),
            (leases.networks_max > 0, "leases.networks_max is 1 at least"),
            (leases.interval_secs > 0, "leases.interval_secs is 1 at least"),
            (
                leases.interval_secs <= leases.interval_secs_max,
                "leases.interval_secs is not over leases.interval_secs_max",
            ),
            (leases.jitter_percent <= 50, "leases.jitter_percent is 0 to 50"),
            (leases.requests_per_sec > 0, "leases.requests_per_sec is 1 at least"),
            (
                leases.intervals_kept >= 2,
                "leases.intervals_kept is 2 at least, so that one lost heartbeat loses no lease",
            ),
            (
                kept_secs <= Leases::LIFETIME_SECS_MAX.into(),
                "leases.interval_secs_max times leases.intervals_kept is at most 7200",
            ),
            (limits.connections_max > 0, "limits.connections_max is 1 at least"),
            ((1..=60).contains(&limits.header_secs), "limits.header_secs is 1 to 60"),
            ((1..=300).contains(&limits.request_secs), "limits.request_secs is 1 to 300"),
            (
                (2048..=1 << 20).contains(&limits.body_bytes_max),
                "limits.body_bytes_max is 2048 to 1048576",
            ),
            (
                self.tls.certificate.is_some() == self.tls.key.is_some(),
                "tls.certificate and tls.key go together",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(BadConfig((*rule).to_owned())),
            None => Ok(()),
        }
    }

    /// What the table of leases may hold.
    pub fn lease_limits(&self) -> LeaseLimits {
        let LeasesConfig {
            leases_max,
            networks_max,
            per_v4_24_max,
            per_v6_64_max,
            per_v6_48_max,
            ..
        } = self.leases;
        LeaseLimits { leases_max, networks_max, per_v4_24_max, per_v6_64_max, per_v6_48_max }
    }
}

impl LimitsConfig {
    /// How often one key may ask.
    pub fn key_rate(&self) -> Rate {
        Rate { per_minute: self.key_per_minute, burst: self.key_burst }
    }

    /// How often one address may ask.
    pub fn address_rate(&self) -> Rate {
        Rate { per_minute: self.address_per_minute, burst: self.address_burst }
    }

    /// How often one subnet may ask.
    pub fn subnet_rate(&self) -> Rate {
        Rate { per_minute: self.subnet_per_minute, burst: self.subnet_burst }
    }
}

/// The setting that a variable means: `LIMITS_HEADER_SECS` is `limits.header_secs`.
fn leaf<'a>(values: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let mut sections = values.as_object_mut()?.iter_mut();
    let (section, rest) = sections.find_map(|(section, fields)| {
        let rest = name.strip_prefix(&section.to_uppercase())?.strip_prefix('_')?;
        Some((fields, rest))
    })?;
    let fields = section.as_object_mut()?;
    fields.iter_mut().find_map(|(field, value)| (field.to_uppercase() == rest).then_some(value))
}

/// The text as a value of the same kind; `None` if it should be a number and is none.
fn read_like(like: &Value, text: &str) -> Option<Value> {
    Some(match like {
        Value::Number(_) => text.trim().parse::<u64>().ok()?.into(),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(Value::from).collect()
        }
        _ if text.is_empty() && like.is_null() => Value::Null,
        _ => text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> Result<Config, BadConfig> {
        Config::from_file(Path::new("server.toml"), text)
    }

    #[test]
    fn the_printed_default_is_the_default() {
        let read = toml(DEFAULT_FILE).unwrap();
        assert_eq!(read, Config::default());
        assert_eq!(read.check(), Ok(()));
    }

    #[test]
    fn the_printed_default_names_every_setting() {
        let mut section = "";
        let mut named = Vec::new();
        for line in DEFAULT_FILE.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ")
                && !name.contains(' ')
            {
                named.push(format!("{section}.{name}"));
            }
        }
        let mut names = Config::names();
        names.sort();
        named.sort();
        assert_eq!(named, names);
    }

    #[test]
    fn what_is_not_set_and_commented_can_be_set() {
        let uncommented: String = DEFAULT_FILE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if rest.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) =>
                {
                    rest
                }
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let read = toml(&uncommented).unwrap();
        assert_eq!(read.metrics.listen, Some("127.0.0.1:8471".parse().unwrap()));
        assert_eq!(read.check(), Ok(()));
    }

    #[test]
    fn json_says_the_same() {
        let text = serde_json::to_string(&Config::default()).unwrap();
        assert_eq!(Config::from_file(Path::new("appsettings.json"), &text), Ok(Config::default()));
        let slip =
            Config::from_file(Path::new("a.JSON"), "{\"server\": {\"nam\": 1}}").unwrap_err();
        assert!(slip.0.contains("a.JSON: unknown field `nam`"), "{slip}");
    }

    #[test]
    fn unknown_names_are_refused_with_their_line() {
        let slip = toml("[server]\nname = \"a\"\nnme = \"b\"\n").unwrap_err();
        assert!(slip.0.contains("server.toml: ") && slip.0.contains("line 3"), "{slip}");
        assert!(slip.0.contains("unknown field `nme`"), "{slip}");
        assert!(toml("[sever]\n").is_err());
    }

    #[test]
    fn variables_set_everything_and_slips_are_named() {
        let set = |name: &str, value: &str| {
            let variable = (format!("{VARIABLE_PREFIX}{name}"), value.to_owned());
            Config::default().with_variables([variable, ("HOME".into(), "elsewhere".into())])
        };
        assert_eq!(set("LIMITS_HEADER_SECS", "7").unwrap().limits.header_secs, 7);
        assert_eq!(set("LEASES_PER_V4_24_MAX", "9").unwrap().leases.per_v4_24_max, 9);
        assert_eq!(set("SERVER_NAME", "ours").unwrap().server.name, "ours");
        assert_eq!(set("SERVER_STATE", "/x").unwrap().server.state, Some("/x".into()));
        let listen = set("SERVER_LISTEN", "127.0.0.1:1, [::1]:2").unwrap().server.listen;
        assert_eq!(listen, ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]);
        assert_eq!(set("METRICS_LISTEN", "").unwrap().metrics.listen, None);
        for (name, value, said) in [
            ("SERVER_NAM", "x", "P2PNET_BOOTSTRAP_SERVER_NAM is no setting"),
            ("LIMITS_HEADER_SECS", "soon", "\"soon\" is no number"),
            ("LIMITS_HEADER_SECS", "99999999999", "P2PNET_BOOTSTRAP_LIMITS_HEADER_SECS: "),
            ("LOG_LEVEL", "loud", "unknown variant `loud`"),
            ("PROXIES_TRUSTED", "10.0.0.0/8,x", "P2PNET_BOOTSTRAP_PROXIES_TRUSTED: "),
        ] {
            let slip = set(name, value).unwrap_err();
            assert!(slip.0.contains(said), "{slip}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, said) in [
            ("[server]\nname = \"\"", "server.name"),
            ("[server]\nlisten = []", "server.listen"),
            ("[leases]\nintervals_kept = 1", "leases.intervals_kept"),
            ("[leases]\ninterval_secs_max = 3600", "at most 7200"),
            ("[leases]\ninterval_secs = 0", "leases.interval_secs is 1"),
            ("[limits]\nbody_bytes_max = 100", "limits.body_bytes_max"),
            ("[tls]\nkey = \"k\"", "go together"),
        ] {
            let slip = toml(text).unwrap().check().unwrap_err();
            assert!(slip.0.contains(said), "{slip}");
        }
    }
}
