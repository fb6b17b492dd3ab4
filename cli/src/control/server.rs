//! The node's end of the control socket: plain threads, one a connection, bounded in number.

use super::address::Address;
use super::line;
use super::protocol::{Request, Response};
use crate::failure::Failure;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections that are served at once.
const CONNECTIONS_MAX: usize = 32;
/// How long a connection may say nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long [`Server::finish`] waits for the last answers to be written.
const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// What serves the requests. [`Request::Stop`] only begins the end; the server answers it when all is over.
pub(crate) trait Service: Send + Sync + 'static {
    /// Does what is asked.
    fn serve(&self, request: Request) -> Response;
}

/// A running control socket. Dropped, it is removed.
pub(crate) struct Server {
    address: Address,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    service: Box<dyn Service>,
    /// The longest request that is kept.
    request_bytes_max: u64,
    closing: AtomicBool,
    connections: AtomicUsize,
    ending: Mutex<Ending>,
    changed: Condvar,
}

/// Who waits for the node's end.
#[derive(Default)]
struct Ending {
    over: bool,
    waiting: usize,
}

impl Server {
    /// Opens the socket in `state`, which the caller has locked, so that a socket which is there is a dead one. All
    /// connections together keep no more than [`CONNECTIONS_MAX`] requests of `request_bytes_max`.
    ///
    /// # Errors
    /// The socket can't be made.
    pub(crate) fn start(
        state: &Path,
        request_bytes_max: u64,
        service: impl Service,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!(
                "can't make the control socket in {}: {error}",
                state.display()
            ))
            .fix("name another state with --state DIR, on a file system that has sockets")
        };
        let address = Address::in_state(state).map_err(failed)?;
        let listener = listen(address.path()).map_err(failed)?;
        let shared = Arc::new(Shared {
            service: Box::new(service),
            request_bytes_max,
            closing: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            ending: Mutex::default(),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let acceptor = std::thread::Builder::new()
            .name("p2pnet-control".into())
            .spawn(move || accept(&listener, &for_thread))
            .map_err(failed)?;
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Takes no more requests and removes the socket. Call it before the state is unlocked, so that a successor's socket
    /// isn't taken for this one.
    pub(crate) fn close(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.closing.store(true, Ordering::Release);
        // The acceptor sees the flag when it wakes; if it can't be woken it ends with the process.
        if UnixStream::connect(self.address.path()).is_ok() {
            let _ = acceptor.join();
        }
        let _ = fs::remove_file(self.address.path());
    }

    /// Everything is over: those who asked for the end are told.
    pub(crate) fn finish(mut self) {
        self.close();
        let mut ending = self.shared.ending();
        ending.over = true;
        self.shared.changed.notify_all();
        let deadline = Instant::now() + LAST_ANSWERS_TIMEOUT;
        while ending.waiting > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(ending, left);
            ending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn ending(&self) -> std::sync::MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the end, waits for it, and answers.
    fn stop(&self, to: &mut UnixStream) -> io::Result<()> {
        self.ending().waiting += 1;
        let response = self.service.serve(Request::Stop);
        if response == Response::Done {
            let mut ending = self.ending();
            while !ending.over {
                ending = self.changed.wait(ending).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let written = line::write(to, &response);
        self.ending().waiting -= 1;
        self.changed.notify_all();
        written
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something else is in its place",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fioclex(&socket)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Nobody can connect before `listen`, so there is no moment at which others could.
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket.into())
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: let others give some back.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if shared.connections.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
            let busy =
                Failure::failed("the node serves too many commands at once").fix("again later");
            let _ = line::write(&mut &stream, &Response::Failed(busy));
            continue;
        }
        let for_thread = Arc::clone(shared);
        let serve = move || {
            // A connection that breaks concerns nobody but its other end.
            let _ = converse(&stream, &for_thread);
            for_thread.connections.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("p2pnet-command".into()).spawn(serve).is_err() {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn converse(stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let mut to = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    loop {
        match line::read_up_to::<Request>(shared.request_bytes_max, &mut from) {
            Ok(None) => return Ok(()),
            Ok(Some(Request::Stop)) => return shared.stop(&mut to),
            Ok(Some(request)) => line::write(&mut to, &shared.service.serve(request))?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                let failure =
                    Failure::usage(format!("the node doesn't know this request: {error}"))
                        .fix("use the same version of p2pnet for both");
                return line::write(&mut to, &Response::Failed(failure));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Client;
    use p2pnet_protocol::PeerId;
    use std::io::{BufRead as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;

    const REQUEST_BYTES_MAX: u64 = 64 << 10;

    struct Fixed;

    impl Service for Fixed {
        fn serve(&self, request: Request) -> Response {
            match request {
                Request::Id => Response::Id(PeerId([1; 32])),
                Request::Stop => Response::Done,
                _ => Response::Failed(Failure::failed("not here")),
            }
        }
    }

    fn state() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn requests_are_answered_over_a_private_socket() {
        let state = state();
        let _server = Server::start(state.path(), REQUEST_BYTES_MAX, Fixed).unwrap();
        let mode = fs::metadata(state.path().join("control.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut client = Client::connect(state.path()).unwrap();
        assert_eq!(client.ask(&Request::Id), Ok(Response::Id(PeerId([1; 32]))));
        assert!(client.ask(&Request::Peers).is_err());
        assert_eq!(client.ask(&Request::Id), Ok(Response::Id(PeerId([1; 32]))));
    }

    #[test]
    fn a_dead_socket_is_replaced_and_something_else_is_not() {
        let state = state();
        let path = state.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        let server = Server::start(state.path(), REQUEST_BYTES_MAX, Fixed).unwrap();
        assert!(Client::connect(state.path()).is_ok());
        drop(server);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(Server::start(state.path(), REQUEST_BYTES_MAX, Fixed).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_state_with_a_long_path_works() {
        let state = state();
        let long = state.path().join("x".repeat(200));
        fs::create_dir(&long).unwrap();
        let server = Server::start(&long, REQUEST_BYTES_MAX, Fixed).unwrap();
        assert!(Client::connect(&long).unwrap().ask(&Request::Id).is_ok());
        drop(server);
        assert!(!long.join("control.sock").exists());
    }

    #[test]
    fn stop_is_answered_when_all_is_over() {
        let state = state();
        let server = Server::start(state.path(), REQUEST_BYTES_MAX, Fixed).unwrap();
        let path = state.path().to_owned();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let asking = std::thread::spawn(move || {
            let answer = Client::connect(&path).unwrap().ask(&Request::Stop);
            (answer, seen.load(Ordering::SeqCst))
        });
        while server.shared.ending().waiting == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        over.store(true, Ordering::SeqCst);
        server.finish();
        assert_eq!(asking.join().unwrap(), (Ok(Response::Done), true));
    }

    #[test]
    fn nonsense_and_endless_lines_cost_only_their_connection() {
        let state = state();
        let _server = Server::start(state.path(), REQUEST_BYTES_MAX, Fixed).unwrap();
        let mut stream = UnixStream::connect(state.path().join("control.sock")).unwrap();
        stream.write_all(b"{\"command\":\"fly\"}\n").unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        assert!(answer.contains("doesn't know this request"), "{answer}");
        let mut stream = UnixStream::connect(state.path().join("control.sock")).unwrap();
        let chunk = vec![b'x'; 1 << 20];
        let written = (0..64).try_for_each(|_| stream.write_all(&chunk));
        assert!(written.is_err(), "the node stopped reading");
        assert!(Client::connect(state.path()).unwrap().ask(&Request::Id).is_ok());
    }

    #[test]
    fn connections_are_bounded() {
        let state = state();
        let _server = Server::start(state.path(), REQUEST_BYTES_MAX, Fixed).unwrap();
        let mut held: Vec<Client> = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut client = Client::connect(state.path()).unwrap();
            client.ask(&Request::Id).unwrap();
            held.push(client);
        }
        let refused = Client::connect(state.path()).unwrap().ask(&Request::Id).unwrap_err();
        assert!(!refused.problem().is_empty());
        held.pop();
        let again = || Client::connect(state.path()).unwrap().ask(&Request::Id).is_ok();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !again() {
            assert!(Instant::now() < deadline, "a place that was given back can be had");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
