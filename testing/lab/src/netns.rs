//! One network namespace: a host without a machine.

use crate::shell::{Failure, Outcome, output_of, run, run_with_input};
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every namespace of ours is called `p2p<pid>-<number>-<role>`, so that leftovers tell whose they were.
const PREFIX: &str = "p2p";

/// A network namespace that lives as long as this value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A fresh namespace with nothing but a loopback interface, which is up. `role` becomes part of its name.
    ///
    /// # Errors
    /// If the kernel refuses: usually for want of root.
    pub fn new(role: &str) -> Outcome<Self> {
        static SWEEP: Once = Once::new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(sweep);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", std::process::id());
        run("ip", &["netns", "add", &name]).map_err(|failure| {
            failure.during("a network namespace needs root (or a user namespace of one's own)")
        })?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        // Forwarding is off in a fresh namespace only if it is off in the one that made it.
        namespace.set("ipv4/ip_forward", "0")?;
        // Otherwise IPv6 addresses vanish with the carrier, which real hosts' network managers prevent.
        namespace.set("ipv6/conf/all/keep_addr_on_down", "1")?;
        namespace.set("ipv6/conf/default/keep_addr_on_down", "1")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` commands in it, one a line.
    ///
    /// # Errors
    /// With `ip`'s complaint and the line's number.
    pub fn ip(&self, lines: &str) -> Outcome<()> {
        run_with_input("ip", &["-n", &self.name, "-batch", "-"], &format!("{lines}\n")).map(drop)
    }

    /// What `ip ARGUMENTS` prints in it.
    ///
    /// # Errors
    /// With `ip`'s complaint.
    pub fn ip_show(&self, arguments: &[&str]) -> Outcome<String> {
        output_of(Command::new("ip").args(["-n", &self.name]).args(arguments))
    }

    /// Loads an nftables script in it.
    ///
    /// # Errors
    /// With `nft`'s complaint.
    pub fn nft(&self, script: &str) -> Outcome<()> {
        run_with_input("nsenter", &[&self.entry(), "nft", "-f", "-"], script).map(drop)
    }

    /// Sets `/proc/sys/net/KEY` in it.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn set(&self, key: &str, value: &str) -> Outcome<()> {
        let script = format!("echo {value} > /proc/sys/net/{key}");
        output_of(self.command("sh").args(["-c", &script])).map(drop)
    }

    /// The content of a file as seen from inside: `/proc/net/...` differs from namespace to namespace.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read(&self, path: &str) -> Outcome<String> {
        output_of(self.command("cat").arg(path))
    }

    /// A command that runs inside. The process that it starts *is* the program: its pid can be signalled.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(self.entry()).arg(program.as_ref());
        command
    }

    fn entry(&self) -> String {
        format!("--net=/run/netns/{}", self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Processes inside keep it alive without a name until they end; their owners drop them first.
        if let Err(failure) = run("ip", &["netns", "delete", &self.name]) {
            eprintln!("left behind: {failure}");
        }
    }
}

/// Deletes namespaces whose makers were killed before they could clean up.
fn sweep() {
    let Ok(list) = run("ip", &["netns", "list"]) else { return };
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let dead = maker(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if dead && let Err(failure) = run("ip", &["netns", "delete", name]) {
            eprintln!("can't sweep: {failure}");
        }
    }
}

/// The process that a namespace's name tells of, if the name is one of ours.
fn maker(name: &str) -> Option<u32> {
    let (pid, _role) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

/// Fails with the names of the tools that are missing, and how to get them.
///
/// # Errors
/// If one of the tools that scenarios shell out to isn't installed.
pub fn require_tools() -> Outcome<()> {
    let missing: Vec<&str> = [("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux")]
        .into_iter()
        .filter(|(tool, _)| run("sh", &["-c", &format!("command -v {tool}")]).is_err())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "missing Debian packages: apt-get install {} (or `cargo xtask test tools` as root)",
        missing.join(" ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_tell_a_maker() {
        assert_eq!(maker("p2p4711-0-switch"), Some(4711));
        assert_eq!(maker("p2px-0"), None);
        assert_eq!(maker("docker"), None);
    }

    #[test]
    fn a_namespace_goes_with_its_value_even_in_a_panic() {
        let name = std::panic::catch_unwind(|| {
            let namespace = Namespace::new("doomed").unwrap();
            std::panic::panic_any(namespace.name().to_owned());
        })
        .unwrap_err()
        .downcast::<String>()
        .unwrap();
        assert!(!Path::new("/run/netns").join(*name).exists());
    }

    #[test]
    fn the_leftovers_of_a_dead_process_are_swept() {
        let dead = Command::new("true").spawn().unwrap();
        let pid = dead.id();
        drop(dead.wait_with_output());
        let name = format!("{PREFIX}{pid}-0-leftover");
        run("ip", &["netns", "add", &name]).unwrap();
        sweep();
        assert!(!Path::new("/run/netns").join(name).exists());
    }
}
