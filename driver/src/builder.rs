//! From a configuration to a node that is ready to run.

use crate::clock::Clock;
use crate::events::Events;
use crate::files::{Files, Manager};
use crate::handle::{Handle, Shared};
use crate::key_log::KeyLog;
use crate::outbox::Outbox;
use crate::state::{StateDir, StateError};
use crate::udp::{self, Ear};
use crate::{Node, NodeCrypto};
use crate::{interfaces, listen};
use p2pnet_protocol::handlers::Handlers;
use p2pnet_protocol::trust::policy::IncomingPeerTrustPolicy;
use p2pnet_protocol::{Config, ConfigError, Duration, Keeps, PeerId, SavedTransfers, Seed};
#[cfg(feature = "files")]
use p2pnet_storage::FileManager;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Everything that is decided before a node starts: the configuration, where its identity comes from, where it listens.
///
/// ```
/// use p2pnet_driver::{Builder, Config};
/// let mut config = Config::default();
/// config.lan.enabled = false;
/// config.listen = vec!["127.0.0.1:0".parse().unwrap()];
/// let (handle, _events, _driver) = Builder::new(config).start()?;
/// println!("{} would listen on {:?}", handle.id().short(), handle.listening());
/// # Ok::<(), p2pnet_driver::StartError>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    config: Config,
    identity: Identity,
    state_dir: Option<PathBuf>,
    listen_ports: Option<RangeInclusive<u16>>,
    handlers: Handlers,
    without_aes: bool,
    key_log: Option<PathBuf>,
    files: Manager,
}

enum Identity {
    /// From the state directory, or a fresh one if there is none.
    Kept,
    Seed(Zeroizing<[u8; 32]>),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "Kept",
            Self::Seed(_) => "Seed(..)",
        })
    }
}

/// Why a node could not start. Nothing is left behind: no socket, no lock.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration can't be run.
    Config(ConfigError),
    /// The state directory can't be used.
    State(StateError),
    /// Another program, or another node, listens on this address.
    AddressInUse(SocketAddr),
    /// The operating system doesn't let the node listen on this address.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The file for the keys of channels can't be used.
    KeyLog {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The operating system has no randomness to give.
    NoRandomness,
    /// The runtime could not be started.
    Runtime(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::AddressInUse(address) => {
                write!(f, "{address} is in use: choose another port, or 0 for any that is free")
            }
            Self::Listen { address, error } => write!(f, "can't listen on {address}: {error}"),
            Self::KeyLog { path, error } => {
                write!(f, "can't write keys to {}: {error}", path.display())
            }
            Self::NoRandomness => f.write_str("the operating system gives no randomness"),
            Self::Runtime(error) => write!(f, "can't start the runtime: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Builder {
    /// A node with this configuration and a fresh identity.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            identity: Identity::Kept,
            state_dir: None,
            listen_ports: None,
            handlers: Handlers::default(),
            without_aes: false,
            key_log: None,
            files: Manager::default(),
        }
    }

    /// Keeps files with this manager: received ones go there, and what peers ask for is looked for there. Without one the
    /// node sends files and takes none.
    #[cfg(feature = "files")]
    pub fn file_manager(self, manager: impl FileManager + 'static) -> Self {
        self.files.set(Some(Box::new(manager)));
        self
    }

    /// The identity with this Ed25519 seed.
    pub fn identity_seed(mut self, seed: [u8; 32]) -> Self {
        self.identity = Identity::Seed(Zeroizing::new(seed));
        self
    }

    /// Keeps the identity and the lists in this directory (see [`state`](crate::state)). An
    /// [`anonymous`](Config::anonymous) node draws a fresh identity all the same.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// Where a [`listen`](Config::listen) address has port 0, takes the first free one of these.
    pub fn listen_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.listen_ports = Some(ports);
        self
    }

    /// Never chooses AES, whatever the hardware: for those who measure or distrust it. Both sides then use
    /// ChaCha20-Poly1305.
    pub fn without_aes(mut self) -> Self {
        self.without_aes = true;
        self
    }

    /// Writes the keys of every channel to this file (mode 0600, made if it isn't there, added to if it is), so that
    /// `p2pnet inspect` can read a capture of the traffic. For debugging alone: whoever reads the file reads all that the
    /// channels say. The events with the keys then go no further than the file.
    pub fn key_log(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_log = Some(path.into());
        self
    }

    /// Calls the application's own code where it replaces what is built in. Handlers run between two steps of the node,
    /// whether or not [`Events`] are taken; keep them short.
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        self.handlers = handlers;
        self
    }

    /// Opens everything the node needs. It begins to run when the [`Driver`] does; adapters such as `p2pnet-tokio` do
    /// both.
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub fn start(self) -> Result<(Handle, Events, Driver), StartError> {
        let Self {
            mut config,
            identity,
            state_dir,
            listen_ports,
            mut handlers,
            without_aes,
            key_log,
            files,
        } = self;
        config.validate()?;
        if config.may_derive_label() && (config.derive_label || handlers.replaces_identifier()) {
            config.label = handlers.identifier(&interfaces::identifier_source());
            config.derive_label = false;
            config.validate()?;
        }
        let state = state_dir.map(StateDir::open).transpose()?;
        let open =
            |path: PathBuf| KeyLog::open(&path).map_err(|error| StartError::KeyLog { path, error });
        let key_log = key_log.map(open).transpose()?;
        config.key_log |= key_log.is_some();
        if let Some(state) = &state {
            let lists = state.lists()?;
            merge(&mut config.blocked, lists.blocked);
            merge(&mut config.allowed, lists.allowed);
            merge::<PeerId>(&mut config.membership.trusted, lists.trusted);
            config.bootstrap.durable = true;
            config.bootstrap.saved = state.kept(Keeps::Bootstrap)?.map(Into::into);
            // Whatever an anonymous node remembered would link one run to another.
            if !config.is_anonymous() {
                config.tasks.durable = true;
                config.tasks.saved = state.kept(Keeps::Tasks)?.map(Into::into);
                config.tasks.saved_data = state.kept(Keeps::Data)?.map(Into::into);
            }
        }
        let identity = match (identity, &state) {
            (Identity::Seed(seed), _) => seed,
            (Identity::Kept, Some(state)) if !config.is_anonymous() => state.identity()?,
            (Identity::Kept, _) => random()?,
        };
        let listeners = open_listeners(&config, listen_ports.as_ref())?;
        let listening = listeners.iter().filter_map(|open| open.local_addr().ok()).collect();
        let (ears, warnings) = udp::ears(&config.lan);
        let watch = interfaces::watch().ok();

        let clock = Clock::new();
        let linger = config.timing.linger;
        let policy = config.policies.incoming;
        let anonymous = config.is_anonymous();
        let crypto = NodeCrypto::new().map_err(|_| StartError::NoRandomness)?;
        let crypto = if without_aes { crypto.without_aes() } else { crypto };
        let net = Node::new(config, &identity, Seed(*random()?), crypto, clock.now())?;
        let limits = *net.limits();
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let outbox = Outbox::new(size(limits.send_queue_bytes_max / 4).min(LANE_BYTES_MAX));
        let shared = Arc::new(Shared::new(net.id(), listening, Vec::new(), outbox, files.clone()));
        let files = Files::new(files, Arc::downgrade(&shared));
        let remembered = state.as_ref().filter(|_| !anonymous);
        let transfers = remembered.map(StateDir::transfers).transpose()?.unwrap_or_default();
        warnings.into_iter().for_each(|warning| shared.warn(warning));
        let owed_bytes_max = (limits.message_window_bytes / 4).min(64 << 10);
        let events =
            Events::new(Arc::clone(&shared.events), Arc::clone(&shared.wake), owed_bytes_max);
        let handle = Handle::new(Arc::clone(&shared));
        let driver = Driver {
            net,
            shared,
            clock,
            listeners,
            ears,
            watch,
            state,
            linger,
            policy,
            handlers,
            key_log,
            anonymous,
            files,
            transfers,
        };
        Ok((handle, events, driver))
    }
}

/// A node that is ready to run: hand it to a runtime with `run`, or take its [`Turns`](crate::turns::Turns).
pub struct Driver {
    pub(crate) net: Node,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) ears: Vec<Ear>,
    pub(crate) watch: Option<UdpSocket>,
    pub(crate) state: Option<StateDir>,
    pub(crate) linger: Duration,
    pub(crate) policy: IncomingPeerTrustPolicy,
    pub(crate) handlers: Handlers,
    pub(crate) key_log: Option<KeyLog>,
    pub(crate) anonymous: bool,
    pub(crate) files: Files,
    /// The transfers of an earlier run.
    pub(crate) transfers: SavedTransfers,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

/// A lane of the outbox holds no more than this, so that what the application writes is still in the processor's cache
/// when the loop encrypts it.
const LANE_BYTES_MAX: usize = 256 << 10;

fn merge<T: Ord + Copy>(into: &mut Vec<T>, more: Vec<T>) {
    let known: BTreeSet<T> = into.iter().copied().collect();
    into.extend(more.into_iter().filter(|entry| !known.contains(entry)));
}

fn random() -> Result<Zeroizing<[u8; 32]>, StartError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| StartError::NoRandomness)?;
    Ok(bytes)
}

fn open_listeners(
    config: &Config,
    ports: Option<&RangeInclusive<u16>>,
) -> Result<Vec<TcpListener>, StartError> {
    let open = |address: &SocketAddr| {
        listen::listen(*address, ports).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse(*address),
            _ => StartError::Listen { address: *address, error },
        })
    };
    config.listen.iter().map(open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_protocol::trust::policy::LocalIdentifierSetPolicy;

    fn config() -> Config {
        let mut config =
            Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        config.lan.enabled = false;
        config
    }

    #[test]
    fn an_address_in_use_is_named() {
        let (first, _events, _driver) = Builder::new(config()).start().unwrap();
        let address = first.listening()[0];
        let second = Config { listen: vec![address], ..config() };
        let error = Builder::new(second).start().err().unwrap();
        assert!(matches!(error, StartError::AddressInUse(at) if at == address), "{error}");
        assert!(error.to_string().contains(&address.to_string()));
    }

    #[test]
    fn identities_are_kept_given_or_fresh() {
        let outer = tempfile::tempdir().unwrap();
        let id = |builder: Builder| builder.start().unwrap().0.id();
        let kept = || Builder::new(config()).state_dir(outer.path().join("state"));
        assert_eq!(id(kept()), id(kept()));
        assert_eq!(
            id(kept().identity_seed([7; 32])),
            id(Builder::new(config()).identity_seed([7; 32]))
        );
        assert_ne!(id(Builder::new(config())), id(Builder::new(config())));
        let anonymous = Config { anonymous: true, ..config() };
        assert_ne!(id(Builder::new(anonymous).state_dir(outer.path().join("state"))), id(kept()));
    }

    #[test]
    fn a_label_is_derived_at_start_where_that_is_asked_for() {
        let label = |config: Config, handlers: Handlers| {
            let (_handle, _events, driver) =
                Builder::new(config).handlers(handlers).start().unwrap();
            driver.net.label().to_owned()
        };
        assert_eq!(label(config(), Handlers::default()), "");
        let derives = || Config { derive_label: true, ..config() };
        let derived = label(derives(), Handlers::default());
        assert!(derived.len() == 32 && derived.bytes().all(|b| b.is_ascii_hexdigit()), "{derived}");
        let own = || {
            let mut own = Handlers::default();
            own.set_identifier(|source| {
                assert!(source.time.is_some());
                "ada's laptop".into()
            });
            own
        };
        assert_eq!(label(config(), own()), "ada's laptop");
        assert_eq!(label(derives(), own()), "ada's laptop");
        assert_eq!(label(Config { label: "given".into(), ..config() }, own()), "given");
        assert_eq!(label(Config { anonymous: true, ..config() }, own()), "");
        let mut policed = config();
        let policy = &mut policed.policies.identifier.local_identifier_set_policy;
        *policy = LocalIdentifierSetPolicy::RemoteOnly;
        assert_eq!(label(policed.clone(), own()), "");
        policed.derive_label = true;
        assert_eq!(policed.validate().unwrap_err().key, "derive_label");
        // Asked to derive one, a node under the strictest policy has a name and isn't anonymous.
        let strict = LocalIdentifierSetPolicy::StrictLocalOnly;
        policed.policies.identifier.local_identifier_set_policy = strict;
        assert_eq!(label(policed, Handlers::default()).len(), 32);
        let mut bad = Handlers::default();
        bad.set_identifier(|_| "two\nlines".into());
        let error = Builder::new(config()).handlers(bad).start().err();
        assert!(matches!(error, Some(StartError::Config(error)) if error.key == "label"));
    }

    #[test]
    fn a_second_node_on_one_state_directory_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let builder = || Builder::new(config()).state_dir(outer.path());
        let _first = builder().start().unwrap();
        assert!(matches!(builder().start().err(), Some(StartError::State(StateError::InUse(_)))));
    }

    #[test]
    fn a_bad_configuration_touches_nothing() {
        let outer = tempfile::tempdir().unwrap();
        let mut bad = config();
        bad.limits.outputs_max = 0;
        let error = Builder::new(bad).state_dir(outer.path().join("state")).start().err();
        assert!(matches!(error, Some(StartError::Config(_))));
        assert!(!outer.path().join("state").exists());
    }
}
