//! The host: state directory, running node, clock, descriptors.

use super::Finding;
use crate::control::Client;
use crate::control::protocol::{Request, Response};
use crate::state_path;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The state directory and what lies in it.
pub(super) fn state(path: &Path) -> Vec<Finding> {
    const CHECK: &str = "state";
    let shown = path.display();
    if let Err(failure) = state_path::check(path) {
        let fix = failure.remedy().unwrap_or("name another one with --state DIR");
        return vec![Finding::bad(CHECK, failure.problem(), fix)];
    }
    let Ok(there) = fs::metadata(path) else {
        return vec![will_be_made(path)];
    };
    let mut findings = Vec::new();
    if there.permissions().mode() & 0o077 != 0 {
        findings.push(Finding::note(
            CHECK,
            format!("others may look into {shown}"),
            format!("chmod 700 {shown}"),
        ));
    }
    let key = path.join("identity.key");
    if let Ok(there) = fs::metadata(&key) {
        let at = key.display();
        if there.permissions().mode() & 0o077 != 0 {
            findings.push(Finding::bad(
                CHECK,
                format!("others may read the identity's key {at}, so a node refuses it"),
                format!(
                    "chmod 600 {at}; if someone may have read it, move it away for a new identity"
                ),
            ));
        }
        if there.len() != 32 {
            findings.push(Finding::bad(
                CHECK,
                format!("the identity's key {at} has {} bytes where 32 belong", there.len()),
                "restore it, or move it away to get a new identity",
            ));
        }
    }
    if findings.is_empty() {
        findings
            .push(Finding::good(CHECK, format!("{shown} is yours alone and can be written to")));
    }
    findings
}

/// A directory that doesn't exist is made by the first `up`, if its nearest ancestor lets it.
fn will_be_made(path: &Path) -> Finding {
    let ancestor = path.ancestors().skip(1).find(|ancestor| ancestor.exists());
    let ancestor = match ancestor {
        Some(ancestor) if !ancestor.as_os_str().is_empty() => ancestor,
        _ => Path::new("."),
    };
    if rustix::fs::access(ancestor, rustix::fs::Access::WRITE_OK).is_ok() {
        Finding::good("state", format!("{} will be made by `p2pnet up`", path.display()))
    } else {
        Finding::bad(
            "state",
            format!(
                "{} can't be made: {} is not yours to write",
                path.display(),
                ancestor.display()
            ),
            "name another one with --state DIR",
        )
    }
}

/// Whether a node runs.
pub(super) fn node(path: &Path) -> Vec<Finding> {
    const CHECK: &str = "node";
    let Ok(mut client) = Client::connect(path) else {
        return vec![Finding::note(CHECK, "no node is running on this state", "p2pnet up")];
    };
    let (id, peers) = match (client.ask(&Request::Id), client.ask(&Request::Peers)) {
        (Ok(Response::Id(id)), Ok(Response::Peers(peers))) => (id, peers),
        _ => {
            let fix = "end it with Ctrl-C in its terminal and start it again";
            return vec![Finding::bad(CHECK, "a node is running but doesn't answer", fix)];
        }
    };
    let count = match peers.len() {
        1 => String::from("1 peer"),
        more => format!("{more} peers"),
    };
    let text = format!("{} is running and knows {count}", id.short());
    if peers.is_empty() {
        let fix = "start a second node on another machine of this network, with the same --network; \
                   or name one with `p2pnet connect IP:PORT`";
        return vec![Finding::note(CHECK, text, fix)];
    }
    vec![Finding::good(CHECK, text)]
}

/// Whether the clock can be right.
pub(super) fn clock() -> Vec<Finding> {
    vec![clock_at(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())]
}

fn clock_at(since_1970: Duration) -> Finding {
    const YEAR_SECS: u64 = 31_556_952;
    let year = 1970 + since_1970.as_secs() / YEAR_SECS;
    if (2025..2100).contains(&year) {
        Finding::good("clock", format!("it shows the year {year}"))
    } else {
        Finding::bad(
            "clock",
            format!("it shows the year {year}, so no certificate can be checked"),
            "timedatectl set-ntp true, or set it by hand with `date --set`",
        )
    }
}

/// Whether the process may open as many sockets as the limits foresee.
pub(super) fn descriptors(connections_max: u32) -> Vec<Finding> {
    const CHECK: &str = "descriptors";
    /// Listeners, designated ports, files and the like.
    const OTHERS: u64 = 64;
    let needed = u64::from(connections_max) + OTHERS;
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(allowed) if allowed < needed => vec![Finding::note(
            CHECK,
            format!(
                "{allowed} open files are allowed; {connections_max} connections want {needed}"
            ),
            format!("ulimit -n {needed}, or a lower limits.connections_max"),
        )],
        Some(allowed) => vec![Finding::good(CHECK, format!("{allowed} open files are allowed"))],
        None => vec![Finding::good(CHECK, "any number of open files is allowed")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_bad() {
        assert_eq!(clock_at(Duration::from_secs(0)).level, Level::Bad);
        assert_eq!(clock_at(Duration::from_secs(1_790_000_000)).level, Level::Good);
    }

    #[test]
    fn states_are_judged() {
        let outer = tempfile::tempdir().unwrap();
        let level = |path: &Path| {
            state(path).into_iter().map(|finding| finding.level).max_by_key(|level| *level as u8)
        };
        assert_eq!(level(&outer.path().join("new/one")), Some(Level::Good));
        let path = outer.path().join("state");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(level(&path), Some(Level::Note));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(level(&path), Some(Level::Good));
        let key = path.join("identity.key");
        fs::write(&key, [0; 32]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(level(&path), Some(Level::Bad));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(level(&path), Some(Level::Good));
        fs::write(&key, [0; 31]).unwrap();
        assert_eq!(level(&path), Some(Level::Bad));
        assert_eq!(level(&key), Some(Level::Bad));
    }
}
