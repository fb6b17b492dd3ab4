//! What an attacker's process does. The scripts start such processes on hosts of their own, with [`Orders`] as their only
//! argument; each prints one object of counts when its time is up, and if told to hold keeps what it has open until it is
//! killed.

mod beacons;
mod channels;
mod floods;
mod local;
mod pump;
mod slow;
mod theft;
mod wrong;

use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a process of attackers is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The attack, by its name in the table of this module.
    pub kind: String,
    /// The victim.
    pub to: SocketAddr,
    /// Another party: the honest peer, or the bystander that a reflection is to hit.
    pub other: SocketAddr,
    /// Addresses to come from, in turn.
    pub from: Vec<IpAddr>,
    /// For how long.
    pub seconds: f64,
    /// ... and on until this much of something was done, where the machine has so much else to do that little was.
    pub least: u64,
    /// How many connections at once, where there are several.
    pub count: usize,
    /// How many datagrams a second.
    pub rate: u64,
    /// Ports, where there are several.
    pub ports: Vec<u16>,
    /// The victim's control socket.
    pub control: PathBuf,
    /// What else there is to know.
    pub detail: String,
    /// Whether to keep everything open afterwards.
    pub hold: bool,
}

/// What was done, by name.
pub type Counts = BTreeMap<String, u64>;

/// An attack that has done too little goes on for this long at most.
const LATER_MAX: Duration = Duration::from_secs(10);

type Attack = fn(&mut Assault) -> io::Result<()>;

/// Every attack that a process can be told to do.
const ATTACKS: &[(&str, Attack)] = &[
    ("silent", slow::silent),
    ("drip_first", slow::drip_first),
    ("drip_third", slow::drip_third),
    ("endless_record", slow::endless_record),
    ("garbage", floods::garbage),
    ("first", floods::first),
    ("full", floods::full),
    ("churn", floods::churn),
    ("ports", floods::ports),
    ("lengths", wrong::lengths),
    ("frames", wrong::frames),
    ("overruns", wrong::overruns),
    ("proof_lists", wrong::proof_lists),
    ("downgrade", wrong::downgrade),
    ("replay", wrong::replay),
    ("channels", channels::idle),
    ("unread", channels::unread),
    ("empty", channels::empty),
    ("pings", channels::pings),
    ("skipped", channels::skipped),
    ("gated", channels::gated),
    ("trust_steps", channels::trust_steps),
    ("questions", channels::questions),
    ("peer_groups", channels::peer_groups),
    ("credits", channels::credits),
    ("messages", channels::messages),
    ("stolen", theft::stolen),
    ("proofs", theft::proofs),
    ("returns", theft::returns),
    ("impostor", theft::impostor),
    ("forged_beacons", beacons::forged),
    ("altered_beacons", beacons::altered),
    ("replayed_beacons", beacons::replayed),
    ("spoofed_beacons", beacons::spoofed),
    ("local", local::abuse),
];

/// One attack under way.
pub struct Assault {
    orders: Orders,
    until: Instant,
    counts: Counts,
    /// What is kept open if so told.
    held: Vec<TcpStream>,
    connected: usize,
    noise: u64,
}

/// Does what the orders say, prints the counts, and holds on if told to.
///
/// # Errors
/// If there is no such attack, or it can't even begin.
pub fn run(orders: &str) -> io::Result<()> {
    let orders: Orders = serde_json::from_str(orders).map_err(io::Error::other)?;
    let attack = ATTACKS.iter().find(|(name, _)| *name == orders.kind);
    let (_, attack) = attack.ok_or_else(|| io::Error::other(format!("no {}", orders.kind)))?;
    let hold = orders.hold;
    let mut assault = Assault {
        until: Instant::now() + Duration::from_secs_f64(orders.seconds),
        orders,
        counts: Counts::new(),
        held: Vec::new(),
        connected: 0,
        noise: 0x9e37_79b9_7f4a_7c15,
    };
    attack(&mut assault)?;
    println!("{}", serde_json::to_string(&assault.counts).map_err(io::Error::other)?);
    io::stdout().flush()?;
    if hold {
        // Until the script closes this process's standard input, or kills it.
        io::copy(&mut io::stdin(), &mut io::sink())?;
    }
    Ok(())
}

impl Assault {
    fn is_on(&self) -> bool {
        let now = Instant::now();
        let mut things = self.counts.iter().filter(|(what, _)| *what != "bytes");
        let too_little = things.all(|(_, count)| *count < self.orders.least);
        now < self.until || (too_little && now < self.until + LATER_MAX)
    }

    fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    fn add(&mut self, what: &str, more: u64) {
        *self.counts.entry(what.to_owned()).or_default() += more;
    }

    /// A number that looks random, the same in each run.
    fn random(&mut self) -> u64 {
        // xorshift64*: quick, and repeatable.
        self.noise ^= self.noise >> 12;
        self.noise ^= self.noise << 25;
        self.noise ^= self.noise >> 27;
        self.noise.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn random_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.random().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// A stream to the victim, from the next address.
    fn connect(&mut self) -> io::Result<TcpStream> {
        self.connect_to(self.orders.to)
    }

    fn connect_to(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        let from = self.orders.from.get(self.connected % self.orders.from.len().max(1)).copied();
        self.connected += 1;
        self.count("streams");
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        if let Some(from) = from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        socket.connect_timeout(&SockAddr::from(to), Duration::from_millis(500))?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.set_write_timeout(Some(Duration::from_secs(2)))?;
        Ok(stream)
    }
}

/// Whether the other side ends the stream within so long, whatever it says before.
fn ends_within(stream: &mut TcpStream, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    let mut scrap = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return false;
        }
        match stream.read(&mut scrap) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if is_not_yet(&error) => return false,
            Err(_) => return true,
        }
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
