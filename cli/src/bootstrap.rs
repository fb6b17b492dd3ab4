//! `bootstrap`: the server at which nodes meet, and what its operator does with it.
//!
//! Commands to a server go into its database, which it watches: they need no way in of their own, and reach every server
//! that shares it.

use crate::failure::Failure;
use crate::files::SmallFile;
use crate::log::{self, LogConsole, LogSettings};
use crate::out::{note, out};
use crate::text::clean;
use crate::{options, signals, state_path, up};
use clap::{Args, Subcommand};
use p2pnet_bootstrap::config::{BadConfig, Config, DEFAULT_FILE, LogFormat, VARIABLE_PREFIX};
use p2pnet_bootstrap::store::{self, AuditEntry, Ban, BanSubject, Store, StoreError};
use p2pnet_bootstrap::{Server, server};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{SystemTime, UNIX_EPOCH};

/// `bootstrap`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  p2pnet bootstrap                            a server on port 8470, with a database of its own
  p2pnet bootstrap --print-config > server.toml
  p2pnet bootstrap --config server.toml
  p2pnet bootstrap block 192.0.2.0/24 --reason \"floods\"

Every setting can also come from the environment: P2PNET_BOOTSTRAP_SERVER_NAME is server.name.")]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    place: Place,
    /// Listen here instead: IP:PORT; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Print the default configuration, with an explanation of everything, and end
    #[arg(long)]
    print_config: bool,
    /// Check the configuration and end
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    order: Option<Order>,
}

/// Which server is meant.
#[derive(Args, Debug)]
struct Place {
    /// A configuration file: TOML, or JSON if its name ends in .json
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The server's directory [default: $XDG_STATE_HOME/p2pnet-bootstrap or
    /// ~/.local/state/p2pnet-bootstrap]
    #[arg(long = "state", value_name = "DIR", global = true)]
    state: Option<PathBuf>,
    /// Where data are kept: sqlite, sqlite:FILE or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL", global = true)]
    database: Option<String>,
}

/// What an operator has the servers of a database do.
#[derive(Debug, Subcommand)]
enum Order {
    /// Serve somebody no longer, and end the leases: a peer id, an address, a prefix, label:TEXT
    Block {
        /// Whom
        #[arg(value_name = "WHOM")]
        whom: BanSubject,
        /// Why, for those who read the list
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// For how long [default: until it is lifted]
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
        hours: Option<u32>,
    },
    /// Lift a block
    Unblock {
        /// Whose, as the list says it
        #[arg(value_name = "WHOM")]
        whom: BanSubject,
    },
    /// List who is blocked
    Blocked,
    /// List what was done, the latest first
    Audit {
        /// At most so many entries
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        most: u32,
    },
    /// List the servers that share the database
    Servers,
}

impl From<BadConfig> for Failure {
    fn from(BadConfig(problem): BadConfig) -> Self {
        Self::usage(problem).fix("p2pnet bootstrap --print-config explains every setting")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::failed(error.to_string())
    }
}

/// Runs the server until it is stopped, or does what the operator wants.
///
/// # Errors
/// It can't be started, or the order can't be carried out.
pub(crate) fn run(args: Bootstrap) -> Result<(), Failure> {
    if args.print_config {
        return out().bytes(DEFAULT_FILE.as_bytes());
    }
    let (config, state) = settle(&args)?;
    if args.check {
        return out().line("The configuration is fine.");
    }
    match args.order {
        None => serve(config, state),
        Some(order) => carry_out(&order, store::open(&config.database.url, &state)?),
    }
}

/// What the file, the environment and the options say together, and the state directory.
fn settle(args: &Bootstrap) -> Result<(Config, PathBuf), Failure> {
    let mut config = match &args.place.config {
        None => Config::default(),
        Some(path) => {
            let file = SmallFile::read(path)?;
            file.change_warning("what the server does").into_iter().for_each(note);
            Config::from_file(path, file.text()?)?
        }
    };
    let variables = options::variables()?;
    let ours = variables.into_iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX));
    config = config.with_variables(ours)?;
    if !args.listen.is_empty() {
        config.server.listen.clone_from(&args.listen);
    }
    if let Some(url) = &args.place.database {
        config.database.url.clone_from(url);
    }
    config.check()?;
    let state = args.place.state.clone().or_else(|| config.server.state.clone());
    let state = match state {
        Some(state) => state,
        None => state_path::of_bootstrap_server()?,
    };
    Ok((config, state))
}

fn serve(config: Config, state: PathBuf) -> Result<(), Failure> {
    let level = format!("{:?}", config.log.level).to_lowercase();
    log::start(&LogSettings {
        filter: level.parse().map_err(Failure::usage)?,
        console: LogConsole::On,
        file: None,
        format: match config.log.format {
            LogFormat::Plain => log::LogFormat::Plain,
            LogFormat::Json => log::LogFormat::Json,
        },
    })?;
    up::allow_descriptors(config.limits.connections_max);
    let (ask, wishes) = channel();
    signals::stop_when_told(ask)?;
    let begun = |server: &Server| {
        let at: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
        note(format_args!("p2pnet bootstrap: listening on {}", at.join(", ")));
        if let Some(at) = server.metrics_address() {
            note(format_args!("p2pnet bootstrap: metrics on {at}"));
        }
        let key = server.wire_key();
        note(format_args!("p2pnet bootstrap: trustless, with the key {key}"));
    };
    let stop = move || {
        // It ends when a signal comes, or when none can come any more.
        let _ = wishes.recv();
        note("p2pnet bootstrap: stopping");
    };
    server::run(config, &state, begun, stop).map_err(|problem| Failure::failed(problem.to_string()))
}

fn carry_out(order: &Order, mut store: Store) -> Result<(), Failure> {
    let now_ms = now_ms();
    match order {
        Order::Block { whom, reason, hours } => {
            let until_ms = hours.map(|hours| now_ms + u64::from(hours) * 3_600_000);
            let actor = actor();
            let ban = Ban {
                subject: whom.clone(),
                reason: reason.clone(),
                actor,
                at_ms: now_ms,
                until_ms,
            };
            store.add_ban(&ban)?;
            noted(&mut store, now_ms, "block", whom, reason)?;
            out().line(format_args!("{} is blocked.", clean(&whom.to_string())))
        }
        Order::Unblock { whom } => {
            if !store.lift_ban(whom)? {
                let problem = format!("{} is not blocked", clean(&whom.to_string()));
                return Err(Failure::failed(problem).fix("p2pnet bootstrap blocked lists who is"));
            }
            noted(&mut store, now_ms, "unblock", whom, "")?;
            out().line(format_args!("{} is not blocked any more.", clean(&whom.to_string())))
        }
        Order::Blocked => {
            for Ban { subject, reason, until_ms, .. } in store.bans(now_ms)? {
                let left = until_ms.map_or_else(String::new, |until_ms| {
                    format!("  for {} min more", (until_ms - now_ms).div_ceil(60_000))
                });
                let reason = if reason.is_empty() { reason } else { format!("  ({reason})") };
                let line = format!("{subject}{left}{reason}");
                out().line(clean(&line))?;
            }
            Ok(())
        }
        Order::Audit { most } => {
            for (_, entry) in store.audit(None, *most)? {
                let AuditEntry { at_ms, actor, action, subject, detail, .. } = entry;
                let secs_ago = now_ms.saturating_sub(at_ms) / 1000;
                let line = format!("{secs_ago} s ago  {actor}  {action}  {subject}  {detail}");
                out().line(clean(line.trim_end()))?;
            }
            Ok(())
        }
        Order::Servers => {
            for server in store.servers()? {
                let secs_ago = now_ms.saturating_sub(server.seen_ms) / 1000;
                let (wire, name, leases) = (server.wire, clean(&server.name), server.leases);
                out()
                    .line(format_args!("{wire}  {name}  {leases} leases  seen {secs_ago} s ago"))?;
            }
            Ok(())
        }
    }
}

fn noted(
    store: &mut Store,
    at_ms: u64,
    action: &str,
    whom: &BanSubject,
    detail: &str,
) -> Result<(), StoreError> {
    store.note(&AuditEntry {
        at_ms,
        server: String::new(),
        actor: actor(),
        action: action.into(),
        subject: whom.to_string(),
        detail: detail.into(),
    })
}

/// Who gives the order, as the system knows him.
fn actor() -> String {
    format!("user {}", rustix::process::getuid().as_raw())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
