//! Connections: accepted, limited, encrypted, drained.

use super::client::{Observed, Proxies};
use crate::config::LimitsConfig;
use crate::desk::counts::Counts;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use p2pnet_protocol::IpPrefix;
use p2pnet_protocol::net::subnet;
use std::collections::HashMap;
use std::hash::Hash;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long to wait for descriptors to come free.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);
/// How many of those that are turned away are told so properly, at a time, and for how long.
const TOLD_MAX: usize = 64;
const TOLD_FOR: Duration = Duration::from_secs(1);
/// What they are told.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// How many connections there are, and from where.
#[derive(Debug)]
pub struct Gate {
    limits: LimitsConfig,
    proxies: Proxies,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: u32,
    /// By address (a /64 of IPv6), and by subnet.
    near: HashMap<IpPrefix, u32>,
    wide: HashMap<IpPrefix, u32>,
}

/// A connection's place; free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    near: Option<(IpPrefix, IpPrefix)>,
}

impl Gate {
    /// Nobody is in yet.
    pub fn new(limits: LimitsConfig, proxies: Proxies) -> Arc<Self> {
        Arc::new(Self { limits, proxies, open: Mutex::default() })
    }

    /// How many connections there are.
    pub fn open(&self) -> u32 {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// A place for a connection from `ip`, if there is one. Proxies bring many clients, and only the limit of all holds
    /// for them.
    pub fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.limits.connections_max {
            return None;
        }
        let length = if ip.is_ipv4() { 32 } else { 64 };
        let near = IpPrefix::new(ip, length).ok().filter(|_| !self.proxies.has(ip));
        let near = near.map(|near| (near, subnet(ip)));
        if let Some((near, wide)) = &near {
            let count = |counts: &HashMap<_, u32>, at| counts.get(at).copied().unwrap_or(0);
            if count(&open.near, near) >= self.limits.connections_per_address_max
                || count(&open.wide, wide) >= self.limits.connections_per_subnet_max
            {
                return None;
            }
            *open.near.entry(*near).or_default() += 1;
            *open.wide.entry(*wide).or_default() += 1;
        }
        open.all += 1;
        Some(Place { gate: self.clone(), near })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some((near, wide)) = &self.near {
            one_less(&mut open.near, near);
            one_less(&mut open.wide, wide);
        }
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// What a listener's connections share.
#[derive(Clone)]
pub struct Listening {
    /// What is served.
    pub router: Router,
    /// Who may connect.
    pub gate: Arc<Gate>,
    /// With encryption.
    pub tls: Option<TlsAcceptor>,
    /// Becomes true when the server goes down.
    pub stop: watch::Receiver<bool>,
    /// What is counted.
    pub desk: Arc<crate::desk::Desk>,
}

impl Listening {
    fn counts(&self) -> &Counts {
        &self.desk.counts
    }

    /// Accepts connections until the server goes down.
    pub async fn accept(self, listener: TcpListener) {
        let told = Arc::new(Semaphore::new(TOLD_MAX));
        let mut stop = self.stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopped(&mut stop) => return,
            };
            match accepted {
                Ok((stream, from)) => self.begin(stream, from, &told),
                Err(error) => {
                    tracing::warn!(target: "p2pnet::bootstrap", %error, "can't accept");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    }

    fn begin(&self, stream: TcpStream, from: SocketAddr, told: &Arc<Semaphore>) {
        self.counts().connections_accepted.up();
        match self.gate.enter(from.ip()) {
            Some(place) => drop(tokio::spawn(self.clone().serve(stream, from, place))),
            None => {
                self.counts().connections_refused.up();
                let plain = self.tls.is_none();
                if let Ok(permit) = told.clone().try_acquire_owned()
                    && plain
                {
                    tokio::spawn(async move {
                        turn_away(stream).await;
                        drop(permit);
                    });
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, from: SocketAddr, place: Place) {
        // An answer is one piece, and shouldn't wait for another.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.talk(stream, from).await,
            Some(tls) => {
                let time = Duration::from_secs(self.gate.limits.header_secs.into());
                match tokio::time::timeout(time, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.talk(stream, from).await,
                    Ok(Err(_)) | Err(_) => self.counts().tls_failures.up(),
                }
            }
        }
        drop(place);
    }

    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin, from: SocketAddr) {
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Observed(from.ip().to_canonical()));
            self.router.clone().call(request)
        });
        let time = Duration::from_secs(self.gate.limits.header_secs.into());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(time)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut stop = self.stop.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(target: "p2pnet::bootstrap", %error, "a connection broke");
        }
    }
}

/// Returns when the server goes down.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A server that is gone has stopped too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Tells whoever finds no place to come later, and waits until he has read it: closing a socket with unread input throws
/// away what was sent.
async fn turn_away(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else { return };
    // A new socket has room for that.
    if stream.write_all(TOO_MANY).is_err() || stream.shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    let mut ignored = [0; 1024];
    let _ = tokio::time::timeout(TOLD_FOR, async {
        while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(proxies: &[&str]) -> Arc<Gate> {
        let limits = LimitsConfig {
            connections_max: 6,
            connections_per_address_max: 2,
            connections_per_subnet_max: 3,
            ..LimitsConfig::default()
        };
        Gate::new(limits, Proxies(proxies.iter().map(|text| text.parse().unwrap()).collect()))
    }

    #[test]
    fn each_limit_of_connections_bites_and_places_come_free() {
        let gate = gate(&[]);
        let enter = |ip: &str| gate.enter(ip.parse().unwrap());
        let first = (enter("9.1.1.1").unwrap(), enter("::ffff:9.1.1.1").unwrap());
        assert!(enter("9.1.1.1").is_none());
        let second = enter("9.1.1.2").unwrap();
        assert!(enter("9.1.1.3").is_none());
        let others =
            (enter("9.1.2.1").unwrap(), enter("2a00::1").unwrap(), enter("2a00::2").unwrap());
        assert!(enter("9.1.3.1").is_none());
        drop(first);
        assert!(enter("2a00::3").is_none());
        assert!(enter("9.1.1.1").is_some());
        drop((second, others));
        assert_eq!(gate.open(), 0);
        let open = gate.open.lock().unwrap();
        assert!(open.near.is_empty() && open.wide.is_empty());
    }

    #[test]
    fn proxies_have_only_the_limit_of_all() {
        let gate = gate(&["10.0.0.1"]);
        let places: Vec<_> =
            (0..7).filter_map(|_| gate.enter("10.0.0.1".parse().unwrap())).collect();
        assert_eq!(places.len(), 6);
    }
}
