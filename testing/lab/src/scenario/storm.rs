//! A host that sends forged and malformed beacons, and what comes of it: nothing.

use super::meet::time_to_meet;
use super::talk;
use crate::capture::Capture;
use crate::lan::{HostSpec, Lab, LanSpec};
use crate::node::{Node, NodeSpec};
use crate::shell::{Failure, Outcome};
use std::process::Stdio;
use std::time::Duration;

/// Catches one genuine beacon, then sends, for some seconds and as fast as it can: noise of all lengths, the genuine
/// beacon cut short, with flipped bits and with the victim's address written over its bytes, the text format of the
/// earlier system with the victim's address in it, and copies of the genuine one from an address off this network.
const STORM: &str = r#"
import os, random, socket, sys, time
victim, off_link, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
random.seed(7)
listen = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listen.bind(('', 8001))
listen.settimeout(60)
genuine = listen.recv(2000)
def sender(source):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind((source, 0))
    return s
own, foreign = sender('0.0.0.0'), sender(off_link)
address = socket.inet_aton(victim)
def forged():
    kind = random.randrange(6)
    body = bytearray(genuine)
    if kind == 0:
        return os.urandom(random.randrange(1400))
    if kind == 1:
        return bytes(body[:random.randrange(len(body))])
    if kind == 2:
        body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    if kind == 3:
        at = random.randrange(len(body) - 4)
        body[at:at + 4] = address
    if kind == 4:
        return ('{"PeerID":"x","IP":"%s","Port":8080}' % victim).encode()
    if kind == 5:
        body += os.urandom(random.randrange(64))
    return bytes(body)
sent, end = 0, time.time() + seconds
while time.time() < end:
    try:
        own.sendto(forged(), ('255.255.255.255', random.choice((8001, 8002, 8003))))
        if sent % 16 == 0:
            foreign.sendto(genuine, ('10.77.0.255', 8001))
        sent += 1
    except OSError:
        time.sleep(0.001)
print(sent)
"#;

/// Lets a storm blow for so long. Meanwhile a newcomer is found as ever, nobody dials the host that the forgeries name,
/// and nobody dials off the wire. Gives how many datagrams the storm had.
///
/// # Errors
/// If a node dies, discovery stops, or someone dials the victim.
pub fn forged_beacons(seconds: u64) -> Outcome<u64> {
    const OFF_LINK: &str = "10.99.0.1";
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let host = || lan.host(HostSpec::v4());
    let (left, right, attacker, victim) = (host()?, host()?, host()?, host()?);
    attacker.namespace().ip(&format!("addr add {OFF_LINK}/32 dev eth0"))?;
    // The nodes could reach the foreign address if they tried: a dial would be seen.
    for node_host in [&left, &right] {
        node_host
            .namespace()
            .ip(&format!("neigh replace {} lladdr 02:00:00:00:00:01 dev eth0", "10.77.0.254"))?;
    }
    let storm = attacker
        .command("python3")
        .args(["-c", STORM, &victim.v4(0)?.to_string(), OFF_LINK, &seconds.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let syn = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn";
    let captures = (Capture::start(&lab, &left, 0, syn)?, Capture::start(&lab, &right, 0, syn)?);
    let mut a = Node::up(&lab, &left, &NodeSpec::default())?;
    std::thread::sleep(Duration::from_secs(1));
    let mut b = Node::up(&lab, &right, &NodeSpec::default())?;
    time_to_meet(&a, &b, b.spawned())?;
    let output = storm.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let sent: u64 = said.trim().parse().map_err(|_| {
        Failure::new(format!("the storm failed: {}", String::from_utf8_lossy(&output.stderr)))
    })?;
    a.require_alive()?;
    b.require_alive()?;
    talk(&a, &b)?;
    let forbidden = [victim.v4(0)?.to_string(), OFF_LINK.to_owned()];
    let mut dials = 0;
    for capture in [captures.0, captures.1] {
        for row in capture.finish(&["ip.dst", "tcp.dstport"])? {
            dials += 1;
            if row.first().is_some_and(|to| forbidden.contains(to)) {
                return Err(Failure::new(format!("a forged beacon made a node dial {row:?}")));
            }
        }
    }
    if dials == 0 {
        return Err(Failure::new("the captures missed even the dials that must be there"));
    }
    // And after the storm: someone new is found as ever.
    let late = Node::up(&lab, &victim, &NodeSpec::default())?;
    time_to_meet(&a, &late, late.spawned())?;
    Ok(sent)
}
