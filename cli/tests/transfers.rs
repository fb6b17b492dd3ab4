//! `p2pnet send --file`, `get` and `files` between real nodes: what arrives, what is refused, and what a kill leaves.

mod common;

use common::{Node, PATIENCE, Place, meet, p2pnet, text};
use serde_json::Value;
use std::fs::read;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Bytes that no two places of a file have in common.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64 / 8 + 1)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(length)
        .collect()
}

fn sha256sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum runs");
    let said = String::from_utf8(output.stdout).unwrap();
    said.split(' ').next().unwrap().trim_start_matches('\\').into()
}

fn secret(place: &Place) -> PathBuf {
    place.file("secret", "correct horse battery staple\n")
}

/// A node that trusts whoever knows the secret.
fn member(place: &Place, name: &str, options: &[&str]) -> Node {
    let secret = secret(place);
    let mut all = vec!["--secret", text(&secret)];
    all.extend(options);
    Node::quiet(place, name, &all)
}

/// Two nodes that trust each other; the second one has these options.
fn pair(place: &Place, options: &[&str]) -> (Node, Node) {
    let (mut a, mut b) = (member(place, "a", &[]), member(place, "b", options));
    a.succeed(&["connect", &b.addr]);
    let (here, there) = meet(&mut a, &mut b);
    assert_eq!((&here["trust"], &there["trust"]), (&"trusted".into(), &"trusted".into()));
    (a, b)
}

/// A command that goes on while the test does something else.
fn begin(node: &Node, arguments: &[&str]) -> Child {
    let mut command = p2pnet(arguments);
    command.arg("--state").arg(&node.state).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program runs")
}

fn end(mut command: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while command.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            command.kill().unwrap();
            let mut said = String::new();
            command.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it doesn't end: {said}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    command.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_that_is_accepted_arrives_as_it_was() {
    let place = Place::new();
    let (mut a, mut b) = pair(&place, &[]);
    let file = place.file("report.bin", content(3_000_001));
    // The path is the command's own, whatever directory the node was started in.
    let mut command = p2pnet(["send", "--file", "report.bin", "--to", &b.id, "--json", "--state"]);
    command.arg(&a.state).current_dir(file.parent().unwrap());
    let sending = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let offered = b.wait_for("file_offered", &a);
    assert_eq!((&offered["name"], &offered["bytes"]), (&"report.bin".into(), &3_000_001.into()));
    let id = offered["id"].as_str().unwrap();
    let listed: Value = serde_json::from_str(&b.succeed(&["files", "--json"])).unwrap();
    assert_eq!((&listed["id"], &listed["state"]), (&offered["id"], &"offered".into()));
    assert_eq!(listed["direction"], "incoming");
    assert!(a.succeed(&["files"]).contains("offered"));
    let said = b.succeed(&["files", "accept", &id[..8]]);
    assert_eq!(said, "coming: report.bin (2929 KiB)\n");
    let received = b.wait("file_received", |_| true);
    let (sum, path) = (sha256sum(&file), received["path"].as_str().unwrap());
    assert_eq!(received["sha256"], sum.as_str());
    assert_eq!((&received["root"], &received["from"][0]), (&offered["id"], &a.id.as_str().into()));
    assert_eq!(path, text(&b.state.join("inbox/report.bin")));
    assert_eq!(sha256sum(Path::new(path)), sum);
    let mode = b.state.join("inbox").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(a.wait_for("file_sent", &b)["name"], "report.bin");
    let output = end(sending);
    assert!(output.status.success(), "{}", stderr(&output));
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&told["peer"], &told["sent"]), (&b.id.as_str().into(), &true.into()));
    assert_eq!(told["sha256"], sum.as_str());
    assert_eq!(a.succeed(&["files", "--json"]), "");
    let progress = b.seen().iter().find(|told| told["event"] == "file_progress").expect("progress");
    assert_eq!((&progress["name"], &progress["total"]), (&"report.bin".into(), &3_000_001.into()));
}

#[test]
fn a_file_that_is_refused_is_told_at_both_ends() {
    let place = Place::new();
    let (mut a, mut b) = pair(&place, &[]);
    let file = place.file("f", "words");
    let sending = begin(&a, &["send", "--file", text(&file), "--to", &b.id[..8]]);
    let id = b.wait_for("file_offered", &a)["id"].as_str().unwrap().to_owned();
    b.succeed(&["files", "refuse", &id]);
    let output = end(sending);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("refused by the receiver"), "{}", stderr(&output));
    let failed = a.wait_for("file_failed", &b);
    assert_eq!((&failed["name"], &failed["direction"]), (&"f".into(), &"outgoing".into()));
    assert!(failed["reason"].as_str().unwrap().starts_with("refused by the receiver"));
    assert_eq!(b.succeed(&["files", "--json"]), "");
    assert!(!b.state.join("inbox/f").exists());
}

#[test]
fn the_policy_answers_for_the_person() {
    let place = Place::new();
    let (a, mut never) = pair(&place, &["--accept", "never"]);
    let mut trusting = member(&place, "c", &["--accept", "trusted"]);
    a.succeed(&["connect", &trusting.addr]);
    trusting.wait("peer_connected", |_| true);
    let file = place.file("f.txt", content(70_000));
    // One takes it and one doesn't: that is enough, and each is told.
    let output = end(begin(&a, &["send", "--file", text(&file), "--all"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("sent to {}: f.txt (68 KiB)\n", &trusting.id[..8]));
    assert!(stderr(&output).contains(&format!("not sent to {}", &never.id[..8])));
    let received = trusting.wait("file_received", |_| true);
    assert_eq!(received["sha256"], sha256sum(&file).as_str());
    let output = end(begin(&a, &["send", "--file", text(&file), "--to", &never.id]));
    assert_eq!(output.status.code(), Some(1));
    never.succeed(&["stop"]);
    let told = never.wait_and_keep("stopped");
    assert!(told.iter().all(|line| line["event"] != "file_offered"), "nobody is asked");
}

#[test]
fn strangers_get_no_files_and_hear_why() {
    let place = Place::new();
    let mut a = Node::quiet(&place, "a", &[]);
    let mut b = Node::quiet(&place, "b", &["--accept", "trusted"]);
    a.succeed(&["connect", &b.addr]);
    meet(&mut a, &mut b);
    let file = place.file("f", "words");
    for arguments in [
        &["send", "--file", text(&file), "--to", &b.id][..],
        &["send", "--file", text(&file), "--all"],
        &["get", "f", "--from", &b.id],
    ] {
        let (code, said) = a.fail(arguments);
        assert!(code == 1 && said.contains("files pass only between trusted"), "{said}");
    }
    // Trusted on both sides, it passes.
    a.succeed(&["trust", &b.id]);
    b.succeed(&["trust", &a.id]);
    b.wait_for("trust_changed", &a);
    let output = end(begin(&a, &["send", "--file", text(&file), "--to", &b.id]));
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_clash_of_names_gets_a_number_and_a_quota_is_kept() {
    let place = Place::new();
    let options = ["--accept", "trusted", "--set", "files.quota=100KiB"];
    let (a, mut b) = pair(&place, &options);
    let file = place.file("f.txt", "first");
    for (words, name) in [("first", "f.txt"), ("second", "f (2).txt"), ("third", "f (3).txt")] {
        std::fs::write(&file, words).unwrap();
        a.succeed(&["send", "--file", text(&file), "--to", &b.id]);
        let received = b.wait("file_received", |_| true);
        assert_eq!(received["name"], name);
        assert_eq!(read(received["path"].as_str().unwrap()).unwrap(), words.as_bytes());
    }
    let large = place.file("large", content(200_000));
    let output = end(begin(&a, &["send", "--file", text(&large), "--to", &b.id]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("refused by the receiver"), "{}", stderr(&output));
    let failed = b.wait("file_failed", |_| true);
    assert_eq!(
        (&failed["name"], &failed["reason"]),
        (&"large".into(), &"the quota is used up".into())
    );
    let stored = b.succeed(&["files", "stored"]);
    assert!(stored.contains("f (2).txt") && !stored.contains("large"), "{stored}");
}

#[test]
fn a_file_is_got_by_name_from_several_peers() {
    let place = Place::new();
    let (mut a, b) = pair(&place, &[]);
    let c = member(&place, "c", &[]);
    a.succeed(&["connect", &c.addr]);
    a.wait_for("peer_connected", &c);
    let bytes = content(5_000_000);
    for node in [&b, &c] {
        std::fs::write(node.state.join("inbox/shared.bin"), &bytes).unwrap();
    }
    let got = a.succeed(&["get", "shared.bin", "--from", &b.id, "--from", &c.id[..8], "--json"]);
    let got: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["from"].as_array().unwrap().len(), 2, "{got}");
    assert!(read(got["path"].as_str().unwrap()).unwrap() == bytes);
    assert_eq!(got["sha256"], sha256sum(&b.state.join("inbox/shared.bin")).as_str());
    a.wait("file_received", |told| told["name"] == "shared.bin");
    let (code, said) = a.fail(&["get", "nothing", "--from", &b.id]);
    assert!(code == 1 && said.contains("there is no such file"), "{said}");
    let (code, said) = a.fail(&["get", "../identity.key", "--from", &b.id]);
    assert!(code == 1 && said.contains("not served by its source"), "{said}");

    // Who shares nothing has nothing.
    let d = member(&place, "d", &["--set", "files.share=false"]);
    std::fs::write(d.state.join("inbox/shared.bin"), &bytes).unwrap();
    a.succeed(&["connect", &d.addr]);
    a.wait_for("peer_connected", &d);
    let (code, said) = a.fail(&["get", "shared.bin", "--from", &d.id]);
    assert!(code == 1 && said.contains("there is no such file"), "{said}");
    let (code, said) = a.fail(&["get", "x", "--from", &"ab".repeat(32)]);
    assert!(code == 1 && said.contains("p2pnet connect"), "{said}");
}

#[test]
fn wrong_wishes_are_explained() {
    let place = Place::new();
    let (a, b) = pair(&place, &[]);
    let nothing = place.path("nothing");
    let (code, said) = a.fail(&["send", "--file", text(&nothing), "--to", &b.id]);
    assert!(code == 1 && said.contains("can't read") && said.contains("nothing"), "{said}");
    let (code, said) = a.fail(&["send", "--file", text(&a.state), "--to", &b.id]);
    assert!(code == 1 && said.contains("is a directory"), "{said}");
    let (code, said) = a.fail(&["send", "--file", "/dev/null", "--to", &b.id]);
    assert!(code == 1 && said.contains("is no regular file"), "{said}");
    let (code, said) = a.fail(&["files", "accept", "01234567"]);
    assert!(code == 1 && said.contains("no file that is offered here"), "{said}");
    let (code, said) = a.fail(&["files", "cancel", "01234567"]);
    assert!(code == 1 && said.contains("no file that is under way"), "{said}");
    let (code, said) = a.fail(&["files", "refuse", "what"]);
    assert!(code == 2 && said.contains("names no file"), "{said}");
    let file = place.file("f", "x");
    let (code, said) = a.fail(&["send", "text", "--file", text(&file), "--to", &b.id]);
    assert!(code == 2 && said.contains("cannot be used with"), "{said}");
    let (code, said) = a.fail(&["send", "--to", &b.id]);
    assert!(code == 2 && said.contains("--file"), "{said}");
    let (code, said) = a.fail(&["send", "text", "--detach", "--to", &b.id]);
    assert!(code == 2 && said.contains("cannot be used with"), "{said}");
    let (code, said) = a.fail(&["get", "f"]);
    assert!(code == 2 && said.contains("--from"), "{said}");
    // An inbox has one node.
    let inbox = b.state.join("inbox");
    let state = place.path("c");
    let up = ["up", "--no-lan", "--inbox", text(&inbox), "--state", text(&state)];
    let (code, said) = common::fail(up);
    assert!(code == 1 && said.contains("another node keeps its files in"), "{said}");
    let image = ["up", "--no-lan", "--state", text(&state), "--image"];
    let (code, said) = common::fail([&image[..], &[text(&file)]].concat());
    assert!(code == 1 && said.contains("can't keep files in the image"), "{said}");
    let (code, said) = common::fail([&image[..], &["i.vhd", "--image-size", "1MiB"]].concat());
    assert!(code == 2 && said.contains("--image-size"), "{said}");
}

#[test]
fn an_offer_is_detached_from_cancelled_and_interrupted() {
    let place = Place::new();
    let (mut a, mut b) = pair(&place, &[]);
    let file = place.file("f", content(100_000));
    let said = a.succeed(&["send", "--file", text(&file), "--to", &b.id, "--detach"]);
    assert!(said.starts_with(&format!("offered to {}: f (97 KiB)", &b.id[..8])), "{said}");
    let id = b.wait_for("file_offered", &a)["id"].as_str().unwrap().to_owned();
    assert_eq!(a.succeed(&["files", "cancel", &id[..8]]), "cancelled: f (97 KiB)\n");
    a.wait("file_failed", |told| told["reason"] == "it was cancelled here");
    b.wait("file_failed", |told| told["id"] == id.as_str());
    // Ctrl-C takes it back.
    std::fs::write(&file, content(200_000)).unwrap();
    let sending = begin(&a, &["send", "--file", text(&file), "--to", &b.id]);
    let id = b.wait_for("file_offered", &a)["id"].as_str().unwrap().to_owned();
    let pid = sending.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = end(sending);
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("cancelled"), "{}", stderr(&output));
    b.wait("file_failed", |told| told["id"] == id.as_str());
    assert_eq!(a.succeed(&["files", "--json"]), "");
}

#[test]
fn an_image_holds_what_came() {
    let place = Place::new();
    let image = place.path("store.vhd");
    let options = ["--accept", "trusted", "--image", text(&image), "--image-size", "64MiB"];
    let (a, mut b) = pair(&place, &options);
    let file = place.file("report.bin", content(1_000_003));
    for name in ["report.bin", "report (2).bin"] {
        a.succeed(&["send", "--file", text(&file), "--to", &b.id]);
        let received = b.wait("file_received", |_| true);
        assert_eq!(received["name"], name);
        assert_eq!(received["sha256"], sha256sum(&file).as_str());
    }
    // What is in the image can be got.
    let got = a.succeed(&["get", "report (2).bin", "--from", &b.id, "--json"]);
    let got: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(sha256sum(Path::new(got["path"].as_str().unwrap())), sha256sum(&file));
    assert_eq!(b.stop(), 0);
    let raw = place.path("store.raw");
    run("qemu-img", &["convert", "-f", "vpc", "-O", "raw", text(&image), text(&raw)]);
    let at = format!("{}@@1M", raw.display());
    let out = place.path("out");
    for name in ["::report.bin", "::report (2).bin"] {
        run("mcopy", &["-n", "-i", &at, name, text(&out)]);
        assert_eq!(sha256sum(&out), sha256sum(&file));
        std::fs::remove_file(&out).unwrap();
    }
    let partition = place.file("partition", &read(&raw).unwrap()[1 << 20..]);
    run("fsck.fat", &["-n", text(&partition)]);
}

/// Runs a program that must be there and succeed.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} does not run ({error}): apt-get install qemu-utils mtools dosfstools")
    });
    assert!(output.status.success(), "{program} {arguments:?}: {}", stderr(&output));
}

/// Waits until so much of the file that comes to `node` is there.
fn wait_for_bytes(node: &Node, bytes: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = node.succeed(&["files", "--json"]);
        let rows = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        if rows.into_iter().any(|row| row["done"].as_u64().unwrap() >= bytes) {
            return;
        }
        assert!(Instant::now() < deadline, "it doesn't get on: {listed}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_kill_of_either_side_loses_nothing() {
    const BYTES: usize = 48 << 20;
    let place = Place::new();
    let accept = ["--accept", "trusted"];
    let (mut a, mut b) = pair(&place, &accept);
    let file = place.file("large", content(BYTES));
    a.succeed(&["send", "--file", text(&file), "--to", &b.id, "--detach"]);
    // The receiver dies.
    wait_for_bytes(&b, BYTES as u64 / 5);
    drop(b);
    b = member(&place, "b", &accept);
    a.succeed(&["connect", &b.addr]);
    b.wait_for("peer_connected", &a);
    let first = b.wait("file_progress", |_| true);
    assert_eq!(first["name"], "large", "a file of an earlier run has its name");
    assert!(first["bytes"].as_u64().unwrap() > BYTES as u64 / 10, "it went on: {first}");
    // The sender dies.
    wait_for_bytes(&b, BYTES as u64 / 5 * 2);
    drop(a);
    a = member(&place, "a", &[]);
    a.succeed(&["connect", &b.addr]);
    let received = b.wait("file_received", |_| true);
    assert_eq!(received["sha256"], sha256sum(&file).as_str());
    assert_eq!(sha256sum(Path::new(received["path"].as_str().unwrap())), sha256sum(&file));
    a.wait_for("file_sent", &b);
    let left = std::fs::read_dir(b.state.join("inbox/.p2pnet")).unwrap();
    let names: Vec<String> =
        left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.ends_with(".part")), "{names:?}");
}

#[test]
fn an_anonymous_node_remembers_no_transfers() {
    let place = Place::new();
    let (a, b) = pair(&place, &["--anonymous"]);
    let file = place.file("f", "words");
    a.succeed(&["send", "--file", text(&file), "--to", &b.id, "--detach"]);
    b.succeed(&["send", "--file", text(&file), "--to", &a.id, "--detach"]);
    let state = b.state.clone();
    assert_eq!(b.stop(), 0);
    assert!(a.state.join("transfers.json").exists());
    for name in ["transfers.json", "tasks.bin", "data.bin", "identity.key"] {
        assert!(!state.join(name).exists(), "{name}");
    }
}
