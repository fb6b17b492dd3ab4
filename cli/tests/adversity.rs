//! A node where something is amiss: what it is asked for can't be, or what it says can't be written.

mod common;

use common::{Node, PATIENCE, Place, p2pnet, run, succeed, text};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn it_runs_although_its_standard_error_is_full() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let state = place.path("a");
    let mut node = p2pnet(["up", "--no-lan", "--listen", "127.0.0.1:0", "--state", text(&state)])
        .stdout(Stdio::null())
        .stderr(full)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !run(["peers", "--state", text(&state)]).status.success() {
        assert_eq!(node.try_wait().unwrap(), None, "it goes on");
        assert!(Instant::now() < deadline, "it doesn't start");
        std::thread::sleep(Duration::from_millis(5));
    }
    succeed(["stop", "--state", text(&state)]);
    assert!(node.wait().unwrap().success());
}

#[test]
fn what_can_not_be_done_is_refused() {
    let place = Place::new();
    let node = Node::quiet(&place, "a", &[]);
    for address in ["127.0.0.1:0", "0.0.0.0:9000", "[ff02::1]:9000"] {
        let (code, said) = node.fail(&["connect", address]);
        assert!(code == 2 && said.contains("no address that can be connected to"), "{said}");
    }
    let (code, said) = node.fail(&["connect", "[fe80::1]:9000"]);
    assert!(code == 2 && said.contains("[fe80::1%2]:9000"), "{said}");
    let stranger = "ab".repeat(32);
    let (code, said) = node.fail(&["untrust", &stranger]);
    assert!(code == 1 && said.contains("not on the list of trusted"), "{said}");
    let (code, said) = node.fail(&["routine", "interval", "RotateBroadcastPort", "0s"]);
    assert!(code == 2 && said.contains("out of its range"), "{said}");
}
