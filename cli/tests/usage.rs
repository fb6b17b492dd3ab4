//! Wrong options, keys, values and files: each is named, with a fix, before anything is started.

mod common;

use common::{Place, fail, p2pnet, run, succeed, text};

/// `up` with these options must fail with exit code 2 and leave no state behind.
fn refused(place: &Place, options: &[&str]) -> String {
    let state = place.path("state");
    let mut arguments = vec!["up", "--state", text(&state)];
    arguments.extend(options);
    let (code, said) = fail(&arguments);
    assert_eq!(code, 2, "{said}");
    assert!(!state.exists(), "nothing was made");
    said
}

#[test]
fn the_default_file_loads_unchanged() {
    let place = Place::new();
    let file = place.file("default.toml", succeed(["config", "--default"]));
    assert!(succeed(["config", "--check", text(&file)]).contains("is fine"));
}

#[test]
fn unknown_keys_are_named_with_the_nearest() {
    let place = Place::new();
    let file = place.file("node.toml", "network = \"office\"\n[lan]\ndesignated_port = [1]\n");
    let said = refused(&place, &["--config", text(&file)]);
    assert!(said.contains("node.toml:3: there is no key \"lan.designated_port\""), "{said}");
    assert!(said.contains("did you mean \"lan.designated_ports\"?"), "{said}");
    let said = refused(&place, &["--set", "netwrok=office"]);
    assert!(said.contains("did you mean \"network\"?"), "{said}");
    let state = place.path("state");
    let output =
        p2pnet(["up", "--state", text(&state)]).env("P2PNET_POLICYY", "open").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean P2PNET_POLICY?"), "{said}");
}

#[test]
fn bad_values_are_named() {
    let place = Place::new();
    for (options, words) in [
        (&["--listen", "nowhere"][..], "--listen: expected IP:PORT"),
        (&["--set", "timing.keep_alive=5"], "timing.keep_alive: expected a number and a unit"),
        (&["--set", "timing.keep_alive=1h"], "timing.keep_alive: must be shorter than"),
        (&["--set", "timing.handshake_timeout=0s"], "timing.handshake_timeout: must be at least"),
        (&["--set", "timing.keep_alive=1ns"], "timing.keep_alive: must be at least 10ms"),
        (&["--set", "limits.bulk_window_bytes=1"], "limits.bulk_window_bytes: must be at least"),
        (&["--set", "lan.enabled=maybe"], "lan.enabled: expected true or false"),
        (&["--set", "lan.enabled"], "has no ="),
        (&["--set", "limits.memory_budget=1KiB"], "1KiB can't hold the limits"),
        (&["--network", ""], "a network name has 1 to 64 bytes"),
        (&["--log", "loud"], "\"loud\" is no level"),
        (&["--policy", "lax"], "lax"),
        (&["--anonymous", "--set", "label=me"], "an anonymous node has no label"),
    ] {
        let said = refused(&place, options);
        assert!(said.contains(words), "{options:?}: {said}");
    }
}

#[test]
fn bad_files_are_named() {
    let place = Place::new();
    let short = place.file("short", "tiny\n");
    let said = refused(&place, &["--secret", text(&short)]);
    assert!(said.contains("short: a network secret has at least 16 bytes"), "{said}");
    assert!(!said.contains("tiny"), "a secret is not shown");
    let list = place.file("list", "# fine\nnot an id\n");
    let said = refused(&place, &["--trust", text(&list)]);
    assert!(said.contains("list:2: \"not an id\" is no peer id"), "{said}");
    let said = refused(&place, &["--certificate", text(&list)]);
    assert!(said.contains("p2pnet-certificate-v1:"), "{said}");
    let said = refused(&place, &["--authority", "1234"]);
    assert!(said.contains("neither 64 hex digits nor a file"), "{said}");
    let (code, said) = fail(["up", "--config", "/nonexistent.toml"]);
    assert!(code == 1 && said.contains("/nonexistent.toml"), "{said}");
}

#[test]
fn a_state_that_is_no_directory_is_named() {
    let place = Place::new();
    let file = place.file("file", "mine");
    let (code, said) = fail(["up", "--state", text(&file)]);
    assert!(code == 1 && said.contains("is not a directory"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[test]
fn addresses_that_nobody_can_listen_on_are_refused() {
    let place = Place::new();
    let state = place.path("state");
    for (at, words) in [
        ("", "no address in it"),
        ("127.0.0.1,", "no address in it"),
        ("localhost", "found \"localhost\""),
        ("224.0.0.1:9000", "belongs to many hosts"),
        ("fe80::1", "as in [fe80::1%2]:0"),
    ] {
        let (code, said) = fail(["up", "--no-lan", "--state", text(&state), "--listen", at]);
        assert!(code == 2 && said.contains(words), "{at}: {said}");
    }
    assert!(!state.exists(), "nothing is left behind");
}

#[test]
fn a_state_that_others_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let state = place.path("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    for command in ["up", "doctor"] {
        let output = run([command, "--state", text(&state)]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("has mode 777") && said.contains("chmod 700"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn few_descriptors_are_named_as_the_cause() {
    let place = Place::new();
    let state = place.path("state");
    let program = env!("CARGO_BIN_EXE_p2pnet");
    let script = "ulimit -n 8 && exec \"$0\" up --no-lan --state \"$1\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, program, text(&state)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ulimit -n"), "{said}");
}

#[test]
fn commands_without_a_node_say_so() {
    let place = Place::new();
    let state = place.path("state");
    for command in [
        &["peers"][..],
        &["send", "--all", "x"],
        &["stop"],
        &["id"],
        &["pending"],
        &["routine", "list"],
        &["block"],
        &["connect", "127.0.0.1:1"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--state", text(&state)]);
        let (code, said) = fail(&arguments);
        assert_eq!(code, 1, "{command:?}");
        assert!(said.contains("no node is running") && said.contains("p2pnet up"), "{said}");
    }
}

#[test]
fn authorities_overwrite_nothing_and_check_their_input() {
    let place = Place::new();
    let key = place.path("a.key");
    let said = succeed(["authority", "new", text(&key)]);
    let public = std::fs::read_to_string(place.path("a.key.pub")).unwrap();
    assert!(said.contains(public.trim()) && public.trim().len() == 64, "{said}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let (code, said) = fail(["authority", "new", text(&key)]);
    assert!(code == 1 && said.contains("exists already"), "{said}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
    // Where only the public half is in the way, no key stays that isn't its other half.
    let lost = place.path("b.key");
    place.file("b.key.pub", &public);
    let (code, said) = fail(["authority", "new", text(&lost)]);
    assert!(code == 1 && said.contains("b.key.pub exists already"), "{said}");
    assert!(!lost.exists());
    let (code, said) = fail(["authority", "issue", "1234", "--key", text(&key)]);
    assert!(code == 2 && said.contains("all 64 hex digits"), "{said}");
    let id = "ab".repeat(32);
    let public = place.path("a.key.pub");
    let (code, said) = fail(["authority", "issue", &id, "--key", text(&public)]);
    assert!(code == 2 && said.contains("holds no authority's key"), "{said}");
}

#[test]
fn help_teaches_and_completions_are_printed() {
    let help = succeed(["--help"]);
    for words in ["p2pnet up", "p2pnet send --all", "p2pnet doctor", "umask 077", "Exit codes"] {
        assert!(help.contains(words), "{words}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeed(["completions", shell]).contains("p2pnet"));
    }
    assert_eq!(run(["nonsense"]).status.code(), Some(2));
}

#[test]
fn nobody_needs_to_read_what_is_printed() {
    let place = Place::new();
    let default = place.file("node.toml", succeed(["config", "--default"]));
    let (key, state) = (place.path("a.key"), place.path("state"));
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for arguments in [
        &["completions", "zsh"][..],
        &["config", "--default"],
        &["config", "--check", text(&default)],
        &["authority", "new", text(&key)],
        &["doctor", "--state", text(&state)],
    ] {
        let output = p2pnet(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("can't write to standard output"), "{arguments:?}: {said}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let _ = std::fs::remove_file(&key);
        let _ = std::fs::remove_file(place.path("a.key.pub"));
        let output = p2pnet(arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked") && output.status.code() != Some(101), "{said}");
    }
    // A complaint that can't be made doesn't change the exit code.
    let unheard = p2pnet(["up", "--network", ""]).stderr(full()).status().unwrap();
    assert_eq!(unheard.code(), Some(2));
}

#[test]
fn the_doctor_speaks_plainly_and_in_json() {
    let place = Place::new();
    let state = place.path("state");
    let output = run(["doctor", "--json", "--state", text(&state)]);
    let text_out = String::from_utf8(output.stdout).unwrap();
    let findings: Vec<serde_json::Value> =
        text_out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for check in ["state", "node", "interface", "lan", "port", "listen", "firewall", "clock"] {
        assert!(findings.iter().any(|finding| finding["check"] == check), "{check}");
    }
    let bad = findings.iter().any(|finding| finding["level"] == "bad");
    assert_eq!(output.status.code(), Some(i32::from(bad)));
    for finding in findings.iter().filter(|finding| finding["level"] != "good") {
        assert!(finding["fix"].is_string(), "{finding}");
    }
    let file = place.file("file", "x");
    let (code, said) = fail(["doctor", "--state", text(&file)]);
    assert!(code == 1 && said.contains("in the way"), "{said}");
}
