//! The lab itself: wires carry what they should and lose what they should, without any `p2pnet`.

use p2pnet_lab::{Capture, Host, HostSpec, Lab, LanSpec, Outcome};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A listener for datagrams in Python, which every Debian has: the lab is checked by something that isn't ours.
const HEAR: &str = "
import socket, struct, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.bind(('', 7000))
s.settimeout(2)
if sys.argv[1].startswith('239.'):
    s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(sys.argv[1]) + socket.inet_aton(sys.argv[2]))
if sys.argv[1].startswith('ff02'):
    s.setsockopt(41, 20, socket.inet_pton(family, sys.argv[1]) + struct.pack('i', socket.if_nametoindex('eth0')))
print('ready', flush=True)
try:
    print('heard', s.recvfrom(99)[0].decode(), flush=True)
except TimeoutError:
    print('silence', flush=True)
";

const SAY: &str = "
import socket, sys
to = sys.argv[1]
family = socket.AF_INET6 if ':' in to else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
scope = socket.if_nametoindex('eth0') if to.startswith('ff02') else 0
for _ in range(3):
    s.sendto(b'hello', (to, 7000, 0, scope) if scope or ':' in to else (to, 7000))
";

/// Whether a datagram from `from` to `address` is heard on `on`.
fn carries(from: &Host, on: &Host, address: &str) -> Outcome<bool> {
    let own = on.v4(0).map(|v4| v4.to_string()).unwrap_or_default();
    let mut hear: Child =
        on.command("python3").args(["-c", HEAR, address, &own]).stdout(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(hear.stdout.take().unwrap());
    let mut ready = String::new();
    said.read_line(&mut ready)?;
    assert_eq!(ready, "ready\n");
    assert!(from.command("python3").args(["-c", SAY, address]).status()?.success());
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    hear.wait()?;
    Ok(rest == "heard hello\n")
}

/// Whether `address` answers at all: nothing listens there, so a reachable host refuses.
fn answers(from: &Host, address: impl ToString) -> Outcome<bool> {
    const KNOCK: &str = "
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), 1)
except ConnectionRefusedError:
    sys.exit(0)
except OSError:
    sys.exit(1)
";
    let mut knock = from.command("python3");
    Ok(knock.args(["-c", KNOCK, &address.to_string()]).status()?.success())
}

fn answers_at_last(from: &Host, address: impl ToString + Copy) -> Outcome<bool> {
    for _ in 0..10 {
        if answers(from, address)? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    Ok(false)
}

const ALL_KINDS: [&str; 4] = ["10.77.0.255", "255.255.255.255", "239.255.77.1", "ff02::7777"];

#[test]
fn a_wire_carries_unicast_broadcast_and_multicast() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (a, b) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    assert!(answers(&a, b.v4(0)?)?);
    assert!(answers(&a, b.v6(0)?)?);
    for kind in ALL_KINDS {
        assert!(carries(&a, &b, kind)?, "{kind} got lost");
    }
    Ok(())
}

#[test]
fn blocks_hold_back_what_they_name_and_nothing_else() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec { block_multicast: true, ..LanSpec::default() })?;
    let (a, b) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    for (kind, passes) in ALL_KINDS.into_iter().zip([true, true, false, false]) {
        assert_eq!(carries(&a, &b, kind)?, passes, "{kind} with multicast blocked");
    }
    lan.filter(&LanSpec { block_broadcast: true, ..LanSpec::default() })?;
    for (kind, passes) in ALL_KINDS.into_iter().zip([false, false, true, true]) {
        assert_eq!(carries(&a, &b, kind)?, passes, "{kind} with broadcast blocked");
    }
    lan.filter(&LanSpec { block_multicast: true, block_broadcast: true })?;
    assert!(answers(&a, b.v4(0)?)? && answers(&a, b.v6(0)?)?, "unicast must pass");
    Ok(())
}

#[test]
fn a_single_family_host_has_only_that() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (v4, v6) = (lan.host(HostSpec::v4())?, lan.host(HostSpec::v6())?);
    assert!(!v4.namespace().ip_show(&["addr", "show", "eth0"])?.contains("inet6"));
    assert!(!v6.namespace().ip_show(&["addr", "show", "eth0"])?.contains("inet "));
    assert!(v6.namespace().ip_show(&["addr", "show", "eth0"])?.contains("fe80::"));
    Ok(())
}

#[test]
fn duplicate_detection_takes_its_time_and_then_addresses_are_usable() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let host = lan.host(HostSpec { duplicate_detection: true, ..HostSpec::v6() })?;
    assert!(host.namespace().ip_show(&["addr"])?.contains("tentative"));
    host.wait_usable()?;
    assert!(!host.namespace().ip_show(&["addr"])?.contains("tentative"));
    Ok(())
}

#[test]
fn a_pulled_plug_takes_the_carrier_and_keeps_the_addresses() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let (a, b) = (lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?);
    b.pull(0)?;
    assert!(!answers(&a, b.v4(0)?)?);
    let shown = b.namespace().ip_show(&["addr", "show", "eth0"])?;
    assert!(shown.contains("NO-CARRIER") && shown.contains("fd77:"), "{shown}");
    b.plug_in(0)?;
    b.wait_usable()?;
    assert!(answers(&a, b.v4(0)?)? && answers(&a, b.v6(0)?)?);
    Ok(())
}

#[test]
fn a_partition_parts_two_and_no_third() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let hosts =
        [lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?, lan.host(HostSpec::dual())?];
    lan.part(&hosts[0], &hosts[1])?;
    assert!(!answers(&hosts[0], hosts[1].v4(0)?)? && !answers(&hosts[1], hosts[0].v6(0)?)?);
    assert!(answers(&hosts[0], hosts[2].v4(0)?)?);
    lan.heal()?;
    // The kernel may still hold the neighbour for unreachable, for a second or so.
    assert!(answers_at_last(&hosts[0], hosts[1].v4(0)?)?);
    Ok(())
}

#[test]
fn a_host_may_stand_on_two_wires() -> Outcome<()> {
    let lab = Lab::new()?;
    let (one, two) = (lab.lan(LanSpec::default())?, lab.lan(LanSpec::default())?);
    let mut middle = one.host(HostSpec::dual())?;
    two.plug(&mut middle, HostSpec::dual())?;
    let (a, b) = (one.host(HostSpec::dual())?, two.host(HostSpec::dual())?);
    assert!(answers(&a, middle.v4(0)?)?);
    assert!(answers(&b, middle.v4(1)?)?);
    assert!(!answers(&a, b.v4(0)?)?, "nothing is forwarded");
    Ok(())
}

#[test]
fn a_capture_sees_what_leaves() -> Outcome<()> {
    let lab = Lab::new()?;
    let lan = lab.lan(LanSpec::default())?;
    let a = lan.host(HostSpec::dual())?;
    let capture = Capture::start(&lab, &a, 0, "udp")?;
    for kind in ALL_KINDS {
        assert!(a.command("python3").args(["-c", SAY, kind]).status()?.success());
    }
    let seen = capture.finish(&["ip.dst", "ipv6.dst", "udp.dstport"])?;
    for kind in ALL_KINDS {
        let column = usize::from(kind.contains(':'));
        let hits = seen.iter().filter(|row| row[column] == kind && row[2] == "7000").count();
        assert_eq!(hits, 3, "{kind}: {seen:?}");
    }
    Ok(())
}
