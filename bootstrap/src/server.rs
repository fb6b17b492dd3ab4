//! The server as a whole: started, kept going, stopped.

use crate::clock::Clock;
use crate::config::{BadConfig, Config};
use crate::desk::Desk;
use crate::http::client::Proxies;
use crate::http::serve::{Gate, Listening};
use crate::http::{self, App};
use crate::state::StateDir;
use crate::store::keeper::Keeper;
use crate::store::{self, StoreError};
use crate::{chores, tls};
use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::crypto::Crypto as _;
use p2pnet_protocol::{PublicKey, Seed};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// Why the server doesn't run, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CantStart(pub String);

impl fmt::Display for CantStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CantStart {}

impl From<String> for CantStart {
    fn from(problem: String) -> Self {
        Self(problem)
    }
}

impl From<BadConfig> for CantStart {
    fn from(BadConfig(problem): BadConfig) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for CantStart {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    gate: Arc<Gate>,
    addresses: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Ends by itself when nobody needs the database any more.
    store_thread: JoinHandle<()>,
    _state: StateDir,
}

impl Server {
    /// Starts a server that keeps its data in the directory `state`. It serves when this returns.
    ///
    /// # Errors
    /// [`CantStart`].
    pub async fn start(config: Config, state: &Path) -> Result<Self, CantStart> {
        config.check()?;
        let state = StateDir::open(state)?;
        let mut crypto = FastCrypto::new()
            .map_err(|_| CantStart("the operating system gives no randomness".into()))?;
        let wire_seed = state.wire_seed(|seed| crypto.random(seed))?;
        let mut seed = Seed([0; 32]);
        crypto.random(&mut seed.0);
        let tls = tls::acceptor(&config.tls)?;
        let metrics_token = metrics_token(&config)?;
        let proxies = Proxies(config.proxies.trusted.clone());
        let (url, directory) = (config.database.url.clone(), state.path().to_owned());
        let opened = tokio::task::spawn_blocking(move || store::open(&url, &directory)).await;
        let store = opened.map_err(|error| CantStart(error.to_string()))??;
        tracing::info!(target: "p2pnet::bootstrap", place = store.place(), "the database is open");
        let (keeper, store_thread) = Keeper::start(store).map_err(|e| CantStart(e.to_string()))?;
        let clock = Clock::start();
        let gate = Gate::new(config.limits.clone(), proxies.clone());
        let desk = Arc::new(Desk::new(config, crypto, &wire_seed, seed, clock.now()));
        let app = Arc::new(App { desk, clock, keeper, proxies, metrics_token });
        chores::restore(&app).await?;

        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let listening = Listening {
            router: http::public(app.clone()),
            gate: gate.clone(),
            tls,
            stop: stopped.clone(),
            desk: app.desk.clone(),
        };
        let mut addresses = Vec::new();
        for address in &app.desk.config().server.listen {
            let (listener, at) = listen(*address).await?;
            addresses.push(at);
            tasks.spawn(listening.clone().accept(listener));
        }
        let mut metrics = None;
        if let Some(address) = app.desk.config().metrics.listen {
            let (listener, at) = listen(address).await?;
            metrics = Some(at);
            let router = http::metrics_only(app.clone());
            tasks.spawn(Listening { router, tls: None, ..listening }.accept(listener));
        }
        tasks.spawn(chores::tick(app.clone(), stopped.clone()));
        tasks.spawn(chores::watch_changes(app.clone(), stopped.clone()));
        tasks.spawn(chores::copy_leases(app.clone(), stopped));
        Ok(Self { app, gate, addresses, metrics, stop, tasks, store_thread, _state: state })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where its metrics are, if they have a listener of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// The key that it signs with.
    pub fn wire_key(&self) -> PublicKey {
        self.app.desk.keys().wire
    }

    /// Where peers are served.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.app.desk
    }

    /// The database.
    pub fn keeper(&self) -> &Keeper {
        &self.app.keeper
    }

    /// Stops it: nobody is accepted any more, what is under way has [`drain_secs`](crate::config::ServerConfig::drain_secs)
    /// to end, and leases are copied to the database.
    pub async fn stop(mut self) {
        self.app.desk.drain();
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        let drain = Duration::from_secs(self.app.desk.config().server.drain_secs.into());
        let drained = tokio::time::timeout(drain, async {
            while self.gate.open() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let left = drained.await.map_or_else(|_| self.gate.open(), |()| 0);
        if let Err(error) = chores::copy_all(&self.app).await {
            tracing::warn!(target: "p2pnet::bootstrap", %error, "leases are not copied");
        }
        tracing::info!(target: "p2pnet::bootstrap", connections_cut = left, "stopped");
        let Self { app, store_thread, .. } = self;
        if left == 0 {
            drop(app);
            // It writes what waits, and ends with its last user.
            let _ = tokio::task::spawn_blocking(|| store_thread.join()).await;
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CantStart> {
    let bound = TcpListener::bind(address).await;
    let listening = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    match listening {
        Ok((at, listener)) => Ok((listener, at)),
        Err(error) => Err(CantStart(format!("can't listen on {address}: {error}"))),
    }
}

fn metrics_token(config: &Config) -> Result<Option<Zeroizing<String>>, CantStart> {
    let Some(path) = &config.metrics.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let token = text.trim();
    if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = "holds no token: 16 printable characters or more, without spaces";
        return Err(CantStart(format!("{} {problem}", path.display())));
    }
    Ok(Some(Zeroizing::new(token.to_owned())))
}

/// Runs a server in this thread: `begun` sees it when it serves, and it stops when `stop`, in another thread, returns.
///
/// # Errors
/// [`CantStart`].
pub fn run(
    config: Config,
    state: &Path,
    begun: impl FnOnce(&Server),
    stop: impl FnOnce() + Send + 'static,
) -> Result<(), CantStart> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_name("p2pnet-bootstrap").build();
    let runtime = runtime.map_err(|error| CantStart(format!("can't start threads: {error}")))?;
    runtime.block_on(async {
        let server = Server::start(config, state).await?;
        begun(&server);
        let (tell, told) = tokio::sync::oneshot::channel();
        let wait = move || {
            stop();
            // Nobody listens any more only when all is over.
            let _ = tell.send(());
        };
        let waiting = std::thread::Builder::new().name("p2pnet-bootstrap-stop".into()).spawn(wait);
        waiting.map_err(|error| CantStart(format!("can't start threads: {error}")))?;
        let _ = told.await;
        server.stop().await;
        Ok(())
    })
}
