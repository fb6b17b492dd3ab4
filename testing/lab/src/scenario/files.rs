//! A large file between two nodes: how fast, in how much memory, and what kills at any moment cost.

use crate::far::{self, FarSpec};
use crate::lan::{Host, Lab};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome, output_of};
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a transfer may go without being over.
const TRANSFER_MAX: Duration = Duration::from_secs(1_800);
/// The most memory of a node that may be resident while a file passes, whatever its size.
const RESIDENT_KIB_MAX: u64 = 64 << 10;
/// How long a restarted node may take to meet its peer again.
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// The size of a chunk of files below 64 GiB.
const CHUNK_BYTES: u64 = 64 << 10;

/// What a transfer took.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    /// From the offer until the file was in place.
    pub time: Duration,
    /// Bytes a second in that time.
    pub bytes_per_second: f64,
    /// The most resident memory of either node, in KiB, as sampled.
    pub resident_kib: u64,
}

impl std::fmt::Display for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = self.bytes_per_second / f64::from(1 << 20);
        let (seconds, resident) = (self.time.as_secs_f64(), self.resident_kib as f64 / 1024.0);
        write!(f, "{mib:.0} MiB/s ({seconds:.1} s), {resident:.0} MiB resident at most")
    }
}

/// What this machine does in the same run: SHA-256 by `sha256sum`, and a file written and synced, in bytes a second.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Hashing.
    pub sha256: f64,
    /// Writing.
    pub write: f64,
}

/// The story: a file of `mib` MiB over loopback, over a long way, and with `kills` kills of either side.
///
/// # Errors
/// If the file doesn't arrive as it was.
pub fn tell(mib: u64, kills: u32) -> Outcome<String> {
    let lab = Lab::new()?;
    let (source, write) = make_file(&lab, mib << 20)?;
    let begun = Instant::now();
    let digest = sha256sum(&source)?;
    let machine = Machine { sha256: rate(mib << 20, begun.elapsed()), write };
    let near = loopback(&lab, &source, &digest)?;
    println!("over loopback: {near}");
    let spec = FarSpec { delay: Duration::from_millis(40), lost_per_thousand: 10 };
    let far = far_away(&lab, &source, &digest, spec)?;
    println!("over 40 ms each way with 1 % loss: {far}");
    let killed = with_kills(&lab, &source, &digest, kills)?;
    println!("with {kills} kills: {killed:?}");
    let mib_of = |rate: f64| rate / f64::from(1 << 20);
    Ok(format!(
        "{mib} MiB identical each time: loopback {near}; 40 ms each way and 1 % loss {far}; {kills} kills of either side in {:.0} s, \
         nothing lost that was written; beside it SHA-256 {:.0} MiB/s, written files {:.0} MiB/s",
        killed.as_secs_f64(),
        mib_of(machine.sha256),
        mib_of(machine.write)
    ))
}

fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// A file whose places have nothing in common, and how fast it was written.
fn make_file(lab: &Lab, bytes: u64) -> Outcome<(PathBuf, f64)> {
    let path = lab.file("large");
    let mut file = File::create(&path)?;
    let mut piece = vec![0u8; 1 << 20];
    let (begun, mut at) = (Instant::now(), 0u64);
    let mut writing = Duration::ZERO;
    while at < bytes {
        for (n, word) in (at / 8..).zip(piece.chunks_exact_mut(8)) {
            word.copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        }
        let length = (bytes - at).min(piece.len() as u64) as usize;
        let since = begun.elapsed();
        file.write_all(&piece[..length])?;
        writing += begun.elapsed() - since;
        at += length as u64;
    }
    let since = Instant::now();
    file.sync_all()?;
    Ok((path, rate(bytes, writing + since.elapsed())))
}

fn sha256sum(path: &Path) -> Outcome<String> {
    let said = output_of(Command::new("sha256sum").arg(path))?;
    let digest = said.split_whitespace().next().map(str::to_owned);
    digest.ok_or_else(|| Failure::new("sha256sum printed nothing"))
}

/// Two nodes that trust each other, on two hosts or on one.
struct Pair<'a> {
    lab: &'a Lab,
    hosts: [&'a Host; 2],
    addresses: [Ipv4Addr; 2],
    secret: PathBuf,
    a: Node,
    b: Node,
}

impl<'a> Pair<'a> {
    fn new(lab: &'a Lab, hosts: [&'a Host; 2], addresses: [Ipv4Addr; 2]) -> Outcome<Self> {
        let secret = lab.file("secret");
        std::fs::write(&secret, "a common secret of the lab\n")?;
        let a = Node::up(lab, hosts[0], &spec(&secret))?;
        let b = Node::up(lab, hosts[1], &spec(&secret))?;
        let pair = Self { lab, hosts, addresses, secret, a, b };
        pair.meet()?;
        Ok(pair)
    }

    fn meet(&self) -> Outcome<()> {
        let (at, marks) = (self.addresses[1], (self.a.mark(), self.b.mark()));
        self.a.command(&["connect", &format!("{at}:{}", self.b.port())])?;
        let (a, b) = (self.a.id().to_owned(), self.b.id().to_owned());
        let trusted = "trusted";
        self.a.wait_after(marks.0, "the peer", AGAIN_MAX, |heard| {
            heard.is("peer_connected", &b) && heard.text("trust") == trusted
        })?;
        self.b.wait_after(marks.1, "the peer", AGAIN_MAX, |heard| {
            heard.is("peer_connected", &a) && heard.text("trust") == trusted
        })?;
        Ok(())
    }

    fn offer(&self, file: &Path) -> Outcome<()> {
        let path = file.to_str().ok_or_else(|| Failure::new("an odd path"))?;
        self.a.command(&["send", "--file", path, "--to", self.b.id(), "--detach"]).map(drop)
    }

    /// The digest and place of the file that came, and how it did.
    fn see_it_arrive(&self, bytes: u64, digest: &str) -> Outcome<Passage> {
        let mut resident_kib = 0;
        let deadline = Instant::now() + TRANSFER_MAX;
        while !self.b.has_heard(|heard| heard.name() == "file_received") {
            let failed = |heard: &crate::Heard| heard.name() == "file_failed";
            if let Some(failure) = self.b.events_that(failed).first() {
                return Err(Failure::new(format!("it did not come: {}", failure.json)));
            }
            if Instant::now() > deadline {
                return Err(Failure::new("it never came"));
            }
            resident_kib = resident_kib.max(self.a.resident_kib()?).max(self.b.resident_kib()?);
            std::thread::sleep(Duration::from_millis(50));
        }
        if resident_kib > RESIDENT_KIB_MAX {
            return Err(Failure::new(format!("{resident_kib} KiB were resident")));
        }
        let named = |name| move |heard: &crate::Heard| heard.name() == name;
        let received = self.b.wait("file_received", AGAIN_MAX, named("file_received"))?;
        let path = Path::new(received.text("path"));
        if received.text("sha256") != digest || sha256sum(path)? != digest {
            return Err(Failure::new(format!("another file came: {}", received.json)));
        }
        std::fs::remove_file(path)?;
        let offered = self.a.events_that(named("file_opened"));
        let since = offered.first().map_or(received.at, |offered| offered.at);
        let time = received.at.saturating_duration_since(since);
        Ok(Passage { time, bytes_per_second: rate(bytes, time), resident_kib })
    }

    /// The bytes of the file that are at the receiver.
    fn arrived(&self) -> Outcome<u64> {
        let listed = self.b.command(&["files", "--json"])?;
        let rows = listed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(rows.filter_map(|row| row["done"].as_u64()).max().unwrap_or(0))
    }

    /// Kills one of them and starts it again. Says how much of the file was there before.
    fn restart(self, receiver: bool) -> Outcome<(Self, u64)> {
        let before = self.arrived()?;
        let Self { lab, hosts, addresses, secret, a, b } = self;
        let (a, b) = if receiver {
            let state = b.kill()?;
            (a, Node::up(lab, hosts[1], &spec(&secret).in_state(state))?)
        } else {
            let state = a.kill()?;
            (Node::up(lab, hosts[0], &spec(&secret).in_state(state))?, b)
        };
        let pair = Self { lab, hosts, addresses, secret, a, b };
        pair.meet()?;
        Ok((pair, before))
    }
}

fn spec(secret: &Path) -> NodeSpec {
    let words = ["--no-lan", "--listen", "0.0.0.0:0", "--accept", "trusted", "--secret"];
    NodeSpec::default().with(words).with([secret])
}

fn length_of(file: &Path) -> Outcome<u64> {
    Ok(std::fs::metadata(file)?.len())
}

fn loopback(lab: &Lab, file: &Path, digest: &str) -> Outcome<Passage> {
    let host = Host::alone()?;
    let pair = Pair::new(lab, [&host, &host], [Ipv4Addr::LOCALHOST; 2])?;
    pair.offer(file)?;
    pair.see_it_arrive(length_of(file)?, digest)
}

fn far_away(lab: &Lab, file: &Path, digest: &str, way: FarSpec) -> Outcome<Passage> {
    let (left, right) = (Host::alone()?, Host::alone()?);
    let (a, b) = far::join(&left, &right, way)?;
    let control = left.namespace().read("/proc/sys/net/ipv4/tcp_congestion_control")?;
    println!("congestion control: {}", control.trim());
    let pair = Pair::new(lab, [&left, &right], [a, b])?;
    pair.offer(file)?;
    pair.see_it_arrive(length_of(file)?, digest)
}

/// Kills either side again and again while the file is on its way. Gives how long all of it took.
fn with_kills(lab: &Lab, file: &Path, digest: &str, kills: u32) -> Outcome<Duration> {
    let (left, right) = (Host::alone()?, Host::alone()?);
    // Slow enough that there is something left to kill.
    let way = FarSpec { delay: Duration::from_millis(10), lost_per_thousand: 0 };
    let (a, b) = far::join(&left, &right, way)?;
    let mut pair = Pair::new(lab, [&left, &right], [a, b])?;
    let begun = Instant::now();
    pair.offer(file)?;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for kill in 0..kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((seed >> 33) % 400));
        if pair.b.has_heard(|heard| heard.name() == "file_received") {
            return Err(Failure::new(format!(
                "it was there after {kill} kills: take a larger file"
            )));
        }
        let before;
        (pair, before) = pair.restart(seed >> 63 == 0)?;
        // What was accepted is begun before anybody is met.
        let now = pair.arrived()?;
        if now.saturating_add(CHUNK_BYTES) < before {
            return Err(Failure::new(format!("kill {kill} lost {} bytes", before - now)));
        }
    }
    pair.see_it_arrive(length_of(file)?, digest)?;
    Ok(begun.elapsed())
}
