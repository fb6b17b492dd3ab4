//! Key logs and captures: where keys go, and what is said about files that aren't what they should be. What a capture
//! tells is shown in the lab.

mod common;

use common::{Node, PATIENCE, Place, fail, meet, p2pnet, run, succeed, text};
use p2pnet_protocol::ChannelKeys;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The keys in a file.
fn keys(path: &Path) -> Vec<ChannelKeys> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| ChannelKeys::from_line(line).unwrap()).collect()
}

#[test]
fn the_keys_of_each_channel_are_added_to_a_private_file() {
    let place = Place::new();
    let (of_a, of_b) = (place.path("a.keys"), place.path("b.keys"));
    for channels in [1, 2] {
        let mut a = Node::quiet(&place, "a", &["--keylog", text(&of_a), "--network", "the office"]);
        let setting = format!("key_log_file={}", text(&of_b));
        let mut b = Node::quiet(&place, "b", &["--set", &setting, "--network", "the office"]);
        a.succeed(&["connect", &b.addr]);
        meet(&mut a, &mut b);
        let (ours, theirs) = (keys(&of_a), keys(&of_b));
        assert_eq!(ours.len(), channels);
        assert_eq!(ours, theirs, "both sides have the same");
        let last = ours.last().unwrap();
        assert_eq!(
            (last.initiator.to_string(), last.responder.to_string()),
            (a.id.clone(), b.id.clone())
        );
        assert_eq!(last.network.as_str(), "the office");
        assert_eq!((a.stop(), b.stop()), (0, 0));
    }
    assert_eq!(fs::metadata(&of_a).unwrap().mode() & 0o777, 0o600);
    let ours = keys(&of_a);
    assert_ne!(ours[0].initiator_key, ours[1].initiator_key);
}

#[test]
fn a_key_log_is_warned_of_and_none_is_written_unasked() {
    let place = Place::new();
    for asked in [true, false] {
        let (state, log) = (place.path("state"), place.path("keys"));
        let mut up = p2pnet(["up", "--no-lan", "--listen", "127.0.0.1:0", "--state", text(&state)]);
        if asked {
            up.env("P2PNET_KEY_LOG_FILE", &log);
        }
        let said = place.path("said");
        up.stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
        let mut node = up.spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !run(["id", "--state", text(&state)]).status.success()
            || !run(["stop", "--state", text(&state)]).status.success()
        {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(&said).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(node.wait().unwrap().success());
        let said = fs::read_to_string(said).unwrap();
        assert_eq!(said.contains("warning: the keys of every channel go to"), asked, "{said}");
        assert_eq!(log.exists(), asked);
        if asked {
            fs::remove_file(log).unwrap();
        }
    }
}

#[test]
fn a_key_log_that_others_may_read_is_refused() {
    let place = Place::new();
    let log = place.file("keys", "");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
    let state = place.path("state");
    let (code, said) = fail(["up", "--no-lan", "--state", text(&state), "--keylog", text(&log)]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("chmod 600") && said.contains("--keylog"), "{said}");
}

/// A pcap file without a frame.
fn empty_capture() -> Vec<u8> {
    let u32 = |value: u32| value.to_le_bytes();
    [u32(0xa1b2_c3d4), u32(4 << 16 | 2), [0; 4], [0; 4], u32(65_535), u32(1)].concat()
}

#[test]
fn wrong_files_are_named() {
    let place = Place::new();
    let capture = place.file("empty.pcap", empty_capture());
    let said = succeed(["inspect", text(&capture)]);
    assert!(said.contains("0 frames: 0 beacons"), "{said}");
    let json = succeed(["inspect", text(&capture), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["event"], &json["frames"]), (&"summary".into(), &0.into()));

    let (code, said) = fail(["inspect", text(&place.path("none.pcap"))]);
    assert!(code == 1 && said.contains("none.pcap"), "{said}");
    let script = place.file("script", "#!/bin/sh\necho hello\n");
    let (code, said) = fail(["inspect", text(&script)]);
    assert!(code == 2 && said.contains("neither pcap nor pcapng"), "{said}");
    let gzip = place.file("traffic.pcap.gz", [0x1f, 0x8b, 8, 0, 0]);
    let (code, said) = fail(["inspect", text(&gzip)]);
    assert!(code == 2 && said.contains("gunzip"), "{said}");
    let (code, said) = fail(["inspect", text(&capture), "--keylog", text(&script)]);
    assert!(code == 2 && said.contains("is no key log: line 2"), "{said}");
    assert!(said.contains("up --keylog"), "{said}");
    let (code, _) = fail(["inspect", text(&capture), "--keylog", text(&place.path("none"))]);
    assert_eq!(code, 1);

    let mut lying = empty_capture();
    lying.extend([[0; 8], [0xff; 8]].concat());
    let (code, said) = fail(["inspect", text(&place.file("lying.pcap", lying))]);
    assert!(code == 2 && said.contains("a frame says it has 4294967295 bytes"), "{said}");
}
