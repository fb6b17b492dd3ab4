//! Interfaces that come and go, in a network namespace of the test's own. It needs the right to make one.

mod common;

use common::{node, quiet, until};
use p2pnet_driver::protocol::{Duration, Event};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::process::Command;
use std::time::Instant;

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().expect("ip(8), of iproute2");
    assert!(done.success(), "ip {arguments}");
}

/// Leaves this thread, and the threads it starts from now on, in a network of their own.
fn leave() -> rustix::io::Result<()> {
    // SAFETY: only the network namespace changes, which no memory depends on.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Runs the test once more, as the root of a user namespace: without rights, no thread of this process may leave.
fn again_as_pretended_root() {
    const PRETENDS: &str = "P2PNET_TEST_PRETENDS_ROOT";
    let needs = "this test needs a network namespace: run it as root, or where users may make \
                 namespaces of their own (sysctl kernel.unprivileged_userns_clone=1, \
                 kernel.apparmor_restrict_unprivileged_userns=0)";
    assert!(std::env::var_os(PRETENDS).is_none(), "{needs}");
    let me = std::env::current_exe().unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--net"]).arg(me).arg("--exact").arg(NAME);
    let done = unshare.env(PRETENDS, "1").status();
    assert!(done.is_ok_and(|status| status.success()), "{needs}");
}

const NAME: &str = "interfaces_are_noticed_when_they_come_and_go";

/// It fails where it can't be run: a test that passes unseen hides what is missing.
#[test]
fn interfaces_are_noticed_when_they_come_and_go() {
    std::thread::spawn(|| {
        if leave().is_err() {
            return again_as_pretended_root();
        }
        ip("link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(come_and_go());
    })
    .join()
    .unwrap();
}

async fn come_and_go() {
    let mut config = quiet();
    config.lan.enabled = true;
    let (_node, mut events) = node(config);
    let links = |wanted: u16| {
        move |event: &Event| match event {
            Event::DiscoveryStatus(status) if status.broadcast_v4 == wanted => Some(()),
            _ => None,
        }
    };
    // Loopback is there from the start, and reaches nobody else.
    until(&mut events, links(0)).await;
    for round in 0..3 {
        ip("link add p2pnet0 type veth peer name p2pnet1");
        ip("link set p2pnet0 up");
        ip("link set p2pnet1 up");
        ip("addr add 192.0.2.1/24 broadcast + dev p2pnet0");
        let came = Instant::now();
        until(&mut events, links(1)).await;
        assert!(came.elapsed() < Duration::from_millis(200), "round {round}: {:?}", came.elapsed());
        ip("link del p2pnet0");
        let went = Instant::now();
        until(&mut events, links(0)).await;
        assert!(went.elapsed() < Duration::from_millis(200), "round {round}: {:?}", went.elapsed());
    }
}
