//! Files that others may read or change: told, or refused.

mod common;

use common::{Node, Place, fail, succeed, text};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn set_mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_secret_that_others_may_read_is_told_with_the_fix() {
    let place = Place::new();
    let secret = place.file("secret", "correct horse battery staple\n");
    let list = place.file("trusted", "# nobody yet\n");
    set_mode(&secret, 0o644);
    set_mode(&list, 0o666);
    let options = ["--secret", text(&secret), "--trust", text(&list)];
    let mut node = Node::quiet(&place, "a", &options);
    for (file, fix) in [(&secret, "chmod 600"), (&list, "chmod go-w")] {
        let fix = format!("{fix} {}", file.display());
        node.wait("warning", |line| line["text"].as_str().unwrap().contains(&fix));
    }
    set_mode(&secret, 0o600);
    set_mode(&list, 0o644);
    let mut node = Node::quiet(&place, "b", &options);
    node.succeed(&["stop"]);
    let told = node.wait_and_keep("stopped");
    assert!(told.iter().all(|line| line["event"] != "warning"), "{told:?}");
}

#[test]
fn the_authority_s_key_is_watched_too() {
    let place = Place::new();
    let key = place.path("office.key");
    succeed(["authority", "new", text(&key)]);
    set_mode(&key, 0o640);
    let id = "ab".repeat(32);
    let out = place.path("certificate");
    let issued = common::run(["authority", "issue", &id, "--key", text(&key), "--out", text(&out)]);
    let said = String::from_utf8(issued.stderr).unwrap();
    assert!(issued.status.success() && said.contains("chmod 600"), "{said}");
    let config = place.file("node.toml", format!("[membership]\nauthority = '{}'\n", text(&key)));
    set_mode(&config, 0o622);
    let checked = common::run(["config", "--check", text(&config)]);
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success(), "{said}");
    assert!(said.contains(&format!("chmod go-w {}", config.display())), "{said}");
    assert!(said.contains(&format!("chmod 600 {}", key.display())), "{said}");
}

#[test]
fn a_state_that_others_may_write_to_is_refused() {
    let place = Place::new();
    let node = Node::quiet(&place, "a", &[]);
    let state = node.state.clone();
    node.stop();
    set_mode(&state, 0o770);
    let up = ["up", "--no-lan", "--state", text(&state)];
    let (code, said) = fail(up);
    assert!(code == 1 && said.contains("others may change what is in it"), "{said}");
    assert!(said.contains(&format!("chmod 700 {}", state.display())), "{said}");
    set_mode(&state, 0o700);
    set_mode(&state.join("identity.key"), 0o644);
    let (code, said) = fail(up);
    assert!(code == 1 && said.contains("identity.key has mode 644"), "{said}");
}
