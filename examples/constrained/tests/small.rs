//! How small a node can be: the program built for size, its length, and its memory while peers talk to it.

use p2pnet_mio::driver::protocol::{Event, Packet};
use p2pnet_mio::{Builder, Config, Events, Handle, PeerId};
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM_BYTES_MAX: u64 = 3 << 19;
const RESIDENT_KIB_MAX: u64 = 4 << 10;

type Failure = Box<dyn Error>;

/// Builds the program as a device would get it.
fn built() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package=p2pnet-constrained", "--profile=size"]);
    let built = build.arg("--target-dir").arg(&target).current_dir(&root).status()?;
    assert!(built.success(), "{built}");
    Ok(target.join("size/p2pnet-constrained"))
}

/// A running lamp, which goes out with the test.
struct Lamp {
    process: Child,
    at: SocketAddr,
}

impl Drop for Lamp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Lamp {
    fn start(program: &Path) -> Result<Self, Failure> {
        let mut process =
            Command::new(program).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn()?;
        let said = process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let at = line.split(['[', ']']).nth(1).ok_or("no address")?.parse()?;
        Ok(Self { process, at })
    }

    /// The most memory that was ever resident, in KiB: shared libraries and the program's own code included.
    fn resident_kib_max(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?.parse()?)
    }
}

fn until<T>(events: &mut Events, mut pick: impl FnMut(Event) -> Option<T>) -> Result<T, Failure> {
    while let Some(event) = events.next_blocking() {
        if let Some(found) = pick(event) {
            return Ok(found);
        }
    }
    Err("the node stopped".into())
}

/// An ordinary node with a channel to the lamp.
fn guest(lamp: &Lamp) -> Result<(Handle, Events, PeerId), Failure> {
    let mut config = Config { listen: Vec::new(), ..Config::default() };
    config.lan.enabled = false;
    let (node, mut events) = p2pnet_mio::run_in_thread(Builder::new(config))?;
    node.connect(lamp.at, None).wait()?;
    let peer = until(&mut events, |event| match event {
        Event::PeerConnected { peer, .. } => Some(peer),
        _ => None,
    })?;
    Ok((node, events, peer))
}

#[test]
fn a_constrained_node_is_small_on_disk_and_in_memory() -> Result<(), Failure> {
    let program = built()?;
    let bytes = std::fs::metadata(&program)?.len();
    let lamp = Lamp::start(&program)?;
    let mut guests = [guest(&lamp)?, guest(&lamp)?];
    for round in 0..500 {
        let (say, expected) =
            if round % 2 == 0 { ("on", "the lamp is on") } else { ("off", "the lamp is off") };
        for (node, events, peer) in &mut guests {
            node.send_blocking(*peer, say.as_bytes())?;
            let heard = until(events, |event| match event {
                Event::Received(mut packets) => packets.next(),
                _ => None,
            })?;
            assert_eq!(heard, Packet::message(expected));
        }
    }
    // As much as it takes at once: what is unread waits at the guests.
    for (node, _, peer) in &guests {
        for _ in 0..500 {
            node.send_blocking(*peer, &[b'x'; 1000])?;
        }
    }
    let resident_kib = lamp.resident_kib_max()?;
    println!("{} KiB of program, {resident_kib} KiB resident at most", bytes >> 10);
    assert!(bytes <= PROGRAM_BYTES_MAX, "{bytes} bytes of program");
    assert!(resident_kib <= RESIDENT_KIB_MAX, "{resident_kib} KiB resident");
    Ok(())
}
