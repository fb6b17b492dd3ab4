//! What is compared.

mod noise;
mod on;
mod ours;
mod raw;
mod raw_async;
mod raw_tokio;
mod tls;

use crate::blocking::{self, Connector};
use crate::job::{Job, Outcome, Served};
use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpListener};

/// A way to make channels between two processes.
pub trait Peer {
    /// Listens on a port of its own on loopback, tells it to `ready`, and does the server's part of `job`.
    ///
    /// # Errors
    /// If a connection breaks.
    fn serve(&self, job: Job, ready: Ready<'_>) -> io::Result<Served>;

    /// Does the client's part of `job`.
    ///
    /// # Errors
    /// If a connection breaks.
    fn run(&self, server: SocketAddr, job: Job) -> io::Result<Outcome>;
}

/// Is told where a server listens.
pub type Ready<'r> = &'r mut dyn FnMut(SocketAddr);

/// A blocking byte pipe is a peer: its jobs are written once.
struct Blocking<C>(C);

impl<C: Connector> Peer for Blocking<C> {
    fn serve(&self, job: Job, ready: Ready<'_>) -> io::Result<Served> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        ready(listener.local_addr()?);
        blocking::serve(&self.0, &listener, job)
    }

    fn run(&self, server: SocketAddr, job: Job) -> io::Result<Outcome> {
        blocking::run(&self.0, server, job)
    }
}

/// The AEAD that a peer protects records with, and the bytes in one: what its serial bound is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// None: the limit itself.
    None,
    /// AES-256-GCM.
    Aes(usize),
    /// ChaCha20-Poly1305.
    ChaCha(usize),
}

/// A peer by name.
pub struct Entry {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// Its AEAD.
    pub protection: Protection,
    /// Whether it is this project's: its row is held against the goals.
    pub ours: bool,
    /// Makes it.
    pub make: fn() -> Box<dyn Peer>,
}

const KIB: usize = 1_024;

/// All peers, in the order of the tables. The first two are the limits that ratios refer to.
pub const ALL: &[Entry] = &[
    Entry {
        name: RAW,
        protection: Protection::None,
        ours: false,
        make: || Box::new(Blocking(raw::Raw)),
    },
    Entry {
        name: RAW_TOKIO,
        protection: Protection::None,
        ours: false,
        make: || Box::new(raw_tokio::RawTokio),
    },
    Entry {
        name: "p2pnet-tokio",
        protection: Protection::Aes(16 * KIB),
        ours: true,
        make: || Box::new(ours::Ours { aes: true, on: &on::TOKIO }),
    },
    Entry {
        name: "p2pnet-tokio-chacha",
        protection: Protection::ChaCha(16 * KIB),
        ours: true,
        make: || Box::new(ours::Ours { aes: false, on: &on::TOKIO }),
    },
    Entry {
        name: NOISE,
        protection: Protection::Aes(64 * KIB),
        ours: false,
        make: || Box::new(Blocking(noise::Noise::new(&ring::aead::AES_256_GCM, 64 * KIB))),
    },
    Entry {
        name: "noise-aes-16k",
        protection: Protection::Aes(16 * KIB),
        ours: false,
        make: || Box::new(Blocking(noise::Noise::new(&ring::aead::AES_256_GCM, 16 * KIB))),
    },
    Entry {
        name: "noise-chacha-64k",
        protection: Protection::ChaCha(64 * KIB),
        ours: false,
        make: || Box::new(Blocking(noise::Noise::new(&ring::aead::CHACHA20_POLY1305, 64 * KIB))),
    },
    Entry {
        name: "rustls",
        protection: Protection::Aes(16 * KIB),
        ours: false,
        make: || Box::new(Blocking(tls::Tls::new(false))),
    },
    Entry {
        name: "rustls-mutual",
        protection: Protection::Aes(16 * KIB),
        ours: false,
        make: || Box::new(Blocking(tls::Tls::new(true))),
    },
];

/// The runtimes side by side: each one's raw TCP, and this project's node on it.
pub const RUNTIMES: [[&Entry; 2]; 3] =
    [[&ALL[1], &ALL[2]], [&ON_OTHERS[0], &ON_OTHERS[1]], [&ON_OTHERS[2], &ON_OTHERS[3]]];

/// What is compared with tokio alone.
const ON_OTHERS: &[Entry] = &[
    Entry {
        name: "raw-smol",
        protection: Protection::None,
        ours: false,
        make: || Box::new(raw_async::Raw::<on::Smol>(PhantomData)),
    },
    Entry {
        name: "p2pnet-smol",
        protection: Protection::Aes(16 * KIB),
        ours: true,
        make: || Box::new(ours::Ours { aes: true, on: &on::SMOL_NODES }),
    },
    Entry {
        name: "raw-mio",
        protection: Protection::None,
        ours: false,
        make: || Box::new(raw_async::Raw::<on::Mio>(PhantomData)),
    },
    Entry {
        name: "p2pnet-mio",
        protection: Protection::Aes(16 * KIB),
        ours: true,
        make: || Box::new(ours::Ours { aes: true, on: &on::MIO }),
    },
];

/// Raw TCP, blocking: what bulk is a part of.
pub const RAW: &str = "raw-std";
/// Raw TCP under tokio: what a round trip is a multiple of.
pub const RAW_TOKIO: &str = "raw-tokio";

/// Hand-framed Noise: what one does without this library.
pub const NOISE: &str = "noise-aes-64k";

/// What a child process must find in its environment.
pub fn inheritance() -> (&'static str, &'static str) {
    (tls::AUTHORITY, tls::authority())
}

/// The peer called `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().chain(ON_OTHERS).find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Every job runs on every peer, in one process: whatever is measured later works.
    #[test]
    fn every_peer_does_every_job() {
        let span = Duration::from_millis(20);
        let jobs = [
            Job::Bulk(span),
            Job::Messages { bytes: 64, each: false, span },
            Job::Messages { bytes: 64, each: true, span },
            Job::RoundTrip(span),
            Job::SetUps(span),
            Job::Idle(10),
        ];
        for entry in ALL.iter().chain(ON_OTHERS) {
            for job in jobs {
                let (tell, told) = std::sync::mpsc::channel();
                // The peer is made twice, as in two processes.
                let server = std::thread::spawn(move || {
                    (entry.make)().serve(job, &mut |address| tell.send(address).unwrap())
                });
                let address = told.recv().unwrap();
                let outcome = (entry.make)().run(address, job).unwrap();
                server.join().unwrap().unwrap();
                assert!(outcome.count > 0, "{} {job}", entry.name);
                assert!(outcome.seconds > 0.0);
            }
        }
    }
}
