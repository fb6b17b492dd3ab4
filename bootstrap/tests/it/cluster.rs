//! A throwaway PostgreSQL cluster: made for the tests that run, gone after the last of them.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

const NEEDS: &str =
    "install PostgreSQL (Debian: apt-get install postgresql); `cargo xtask test tools` does it";

/// A server on a socket in a directory of its own; nobody else can reach it.
pub(crate) struct Cluster {
    server: Child,
    directory: tempfile::TempDir,
    databases: AtomicU32,
}

/// The one that runs, or a new one.
pub(crate) fn cluster() -> Arc<Cluster> {
    static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start());
        *running = Arc::downgrade(&cluster);
        cluster
    })
}

/// Where Debian puts what isn't on the path, the latest version.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect(NEEDS);
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let latest = versions.map(|entry| entry.unwrap().path()).max_by_key(version);
    latest.expect(NEEDS).join("bin")
}

/// A command as somebody who isn't root, as whom PostgreSQL doesn't run.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((user, group)) = user() {
        command.args([
            format!("--reuid={user}"),
            format!("--regid={group}"),
            "--clear-groups".into(),
        ]);
    }
    command.arg("--").arg(program).stdin(Stdio::null());
    command
}

/// Whom to be, if this is root: the user that the package made.
fn user() -> Option<(u32, u32)> {
    (std::fs::metadata("/proc/self").unwrap().uid() == 0).then(|| {
        let home = std::fs::metadata("/var/lib/postgresql").expect(NEEDS);
        (home.uid(), home.gid())
    })
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("p2pnet-pg-").tempdir().unwrap();
        if let Some((user, group)) = user() {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let data = directory.path().join("data");
        let mut initdb = as_nobody(&programs().join("initdb"));
        initdb.args(["--auth=trust", "--username=p2pnet", "--no-sync", "--no-locale"]);
        let made = initdb.args(["--encoding=UTF8", "-D"]).arg(&data).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = as_nobody(&programs().join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(directory.path());
        for setting in
            ["listen_addresses=", "fsync=off", "max_connections=60", "shared_buffers=16MB"]
        {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let server = server.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let cluster = Self { server, directory, databases: AtomicU32::new(0) };
        let patience = Instant::now() + Duration::from_secs(60);
        while p2pnet_bootstrap::store::postgres::Postgres::open(&cluster.url("postgres")).is_err() {
            let log = || std::fs::read_to_string(cluster.directory.path().join("log")).unwrap();
            assert!(Instant::now() < patience, "PostgreSQL doesn't start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        cluster
    }

    fn url(&self, database: &str) -> String {
        let path = self.directory.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://p2pnet@{path}/{database}")
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self) -> String {
        use p2pnet_bootstrap::store::{Backend as _, postgres::Postgres};
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut any = Postgres::open(&self.url("postgres")).unwrap();
        any.batch(&format!("CREATE DATABASE {name}")).unwrap();
        self.url(&name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = self.server.id().to_string();
        // SIGQUIT is PostgreSQL's immediate shutdown: its processes end too.
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}
