//! A long way between two hosts: what leaves one arrives at the other after a while, or never.
//!
//! The kernel here need not have `netem`: each host has one end of a tunnel, and threads of this process carry the packets.

use crate::lan::Host;
use crate::netns::Namespace;
use crate::shell::{Failure, Outcome, run};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Packets that may be on the way at once; more are lost, as at a router whose queue is full.
const ON_THE_WAY_MAX: usize = 65_536;
/// The longest packet that the tunnel takes.
const MTU: usize = 1_500;

/// What happens to packets on the way, in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarSpec {
    /// How long they take.
    pub delay: Duration,
    /// How many of a thousand are lost.
    pub lost_per_thousand: u32,
}

/// Joins two hosts by a long way, and gives their addresses on it. It lasts as long as their namespaces.
///
/// # Errors
/// If the kernel refuses.
pub fn join(left: &Host, right: &Host, spec: FarSpec) -> Outcome<(Ipv4Addr, Ipv4Addr)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) as u8;
    let (a, b) = (Ipv4Addr::new(10, 78, number, 1), Ipv4Addr::new(10, 78, number, 2));
    let ours = end_of_tunnel(left.namespace(), &format!("p2pl{number}"), a, b)?;
    let theirs = end_of_tunnel(right.namespace(), &format!("p2pr{number}"), b, a)?;
    carry(ours.try_clone()?, theirs.try_clone()?, spec, 0x9e37_79b9_7f4a_7c15);
    carry(theirs, ours, spec, 0xd1b5_4a32_d192_ed03);
    Ok((a, b))
}

/// A tunnel's end in a namespace: whoever holds the file holds the other one.
fn end_of_tunnel(host: &Namespace, role: &str, own: Ipv4Addr, peer: Ipv4Addr) -> Outcome<File> {
    // Made here and moved: the name is this process's own for that moment.
    let name = format!("{role}{}", std::process::id() % 100_000);
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    attach(&file, &name).map_err(|error| Failure::new(format!("a tunnel needs root: {error}")))?;
    run("ip", &["link", "set", &name, "netns", host.name()])?;
    host.ip(&format!(
        "addr add {own} peer {peer} dev {name}\nlink set {name} mtu {MTU} txqueuelen 10000 up"
    ))?;
    Ok(file)
}

/// Makes the file one end of a tunnel of IP packets.
fn attach(file: &File, name: &str) -> io::Result<()> {
    // SAFETY: a `ifreq` of zeroes is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: the name is cut, never unterminated.
    let room = request.ifr_name.len() - 1;
    for (to, byte) in request.ifr_name.iter_mut().take(room).zip(name.bytes()) {
        *to = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open, and TUNSETIFF reads and writes one `ifreq`.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Carries packets one way until either namespace is gone.
fn carry(from: File, to: File, spec: FarSpec, seed: u64) {
    let (under_way, arriving) = sync_channel(ON_THE_WAY_MAX);
    thread::spawn(move || take(from, &under_way, spec, seed));
    thread::spawn(move || give(to, &arriving));
}

fn take(mut from: File, under_way: &SyncSender<(Instant, Vec<u8>)>, spec: FarSpec, mut seed: u64) {
    let mut buffer = vec![0; MTU];
    while let Ok(length) = from.read(&mut buffer) {
        // A linear congruential generator: the same losses each time.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if (seed >> 33) % 1_000 < u64::from(spec.lost_per_thousand) {
            continue;
        }
        let packet = (Instant::now() + spec.delay, buffer[..length].to_vec());
        if let Err(TrySendError::Disconnected(_)) = under_way.try_send(packet) {
            return;
        }
    }
}

fn give(mut to: File, arriving: &Receiver<(Instant, Vec<u8>)>) {
    for (due, packet) in arriving {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // One that the host has no room for is lost; a host that is gone reads no more either.
        if to.write(&packet).is_err_and(|error| error.raw_os_error() == Some(libc::EBADFD)) {
            return;
        }
    }
}
