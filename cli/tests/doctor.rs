//! The doctor on hosts that have something wrong with them.

mod common;

use common::{Place, text};
use p2pnet_lab::{Host, HostSpec, Lab, LanSpec};
use serde_json::Value;

/// What the doctor finds on `host`, and its exit code.
fn examine(host: &Host) -> (Vec<Value>, i32) {
    let place = Place::new();
    let mut doctor = host.command(env!("CARGO_BIN_EXE_p2pnet"));
    let state = place.path("state");
    let output =
        doctor.args(["doctor", "--json", "--state", text(&state)]).output().expect("it runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let findings = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (findings, output.status.code().expect("no signal"))
}

fn has(findings: &[Value], check: &str, level: &str, words: &str) -> bool {
    let fits = |finding: &&Value| {
        finding["check"] == check
            && finding["level"] == level
            && finding["text"].as_str().is_some_and(|text| text.contains(words))
    };
    findings.iter().find(fits).is_some()
}

#[test]
fn a_healthy_host_is_well_and_a_firewall_is_found() {
    let lab = Lab::new().expect("a lab");
    let lan = lab.lan(LanSpec::default()).expect("a wire");
    let host = lan.host(HostSpec::dual()).expect("a host");
    host.wait_usable().expect("its addresses");
    let (findings, code) = examine(&host);
    assert_eq!(code, 0, "{findings:#?}");
    for way in ["IPv4 broadcast", "IPv4 multicast", "IPv6 multicast"] {
        assert!(has(&findings, "lan", "good", way), "{way}: {findings:#?}");
    }

    let only_designated = "add table inet f\n\
        add chain inet f in { type filter hook input priority 0; policy drop; }\n\
        add rule inet f in udp dport { 8001, 8002, 8003 } accept\n";
    host.namespace().nft(only_designated).expect("rules");
    let (findings, code) = examine(&host);
    assert_eq!(code, 0, "discovery works on the designated ports: {findings:#?}");
    assert!(has(&findings, "firewall", "note", "turn traffic away"), "{findings:#?}");

    host.namespace().nft("flush chain inet f in\n").expect("rules");
    let (findings, code) = examine(&host);
    assert_eq!(code, 1, "{findings:#?}");
    assert!(
        has(&findings, "lan", "bad", "no interface can broadcast or multicast"),
        "{findings:#?}"
    );
    assert!(has(&findings, "lan", "note", "a firewall on this host drops it"), "{findings:#?}");
}

#[test]
fn a_host_without_a_network_is_told_so() {
    let host = Host::alone().expect("a network namespace");
    let (findings, code) = examine(&host);
    assert_eq!(code, 1);
    assert!(has(&findings, "interface", "bad", "none but loopback"), "{findings:#?}");
}
