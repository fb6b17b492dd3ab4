//! Bridges, the hosts on them, and what can go wrong with a wire.

use crate::netns::Namespace;
use crate::shell::{Failure, Outcome, run};
use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A place for one scenario: its directory, and the turn to use the machine.
///
/// Scenarios measure time, so those of one process take turns.
#[derive(Debug)]
pub struct Lab {
    directory: tempfile::TempDir,
    lans: Cell<u8>,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// Waits for this process's turn and makes an empty directory.
    ///
    /// # Errors
    /// If tools are missing or the directory can't be made.
    pub fn new() -> Outcome<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        crate::netns::require_tools()?;
        Ok(Self {
            // A scenario that failed poisons nothing: it leaves no state.
            _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
            // Short: a Unix socket's path has 108 bytes at most.
            directory: tempfile::Builder::new().prefix("p2plab").tempdir()?,
            lans: Cell::new(0),
        })
    }

    /// Where this scenario's state directories, captures and logs go. Deleted with the lab.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file of that name in the lab's directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A new wire with no host on it.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn lan(&self, spec: LanSpec) -> Outcome<Lan> {
        let number = self.lans.get();
        self.lans.set(number + 1);
        let switch = Namespace::new("switch")?;
        switch.ip("link add br0 type bridge\nlink set br0 up")?;
        // A switch forwards frames; it has no addresses of its own and says nothing by itself.
        switch.set("ipv6/conf/br0/disable_ipv6", "1")?;
        let lan = Lan { switch, number, hosts: Cell::new(0) };
        lan.filter(&spec)?;
        Ok(lan)
    }
}

/// What a wire lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LanSpec {
    /// UDP to multicast groups is dropped, as many access points do. (Neighbour discovery passes, or IPv6 were dead.)
    pub block_multicast: bool,
    /// UDP to broadcast addresses is dropped. (ARP passes, or IPv4 were dead.)
    pub block_broadcast: bool,
}

/// A bridge in a namespace of its own.
#[derive(Debug)]
pub struct Lan {
    switch: Namespace,
    number: u8,
    hosts: Cell<u8>,
}

/// Which addresses a host gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// An IPv4 address and a default route, so that 255.255.255.255 works.
    pub v4: bool,
    /// A link-local and a unique local IPv6 address.
    pub v6: bool,
    /// Whether IPv6 addresses are first checked for duplicates, which takes about two seconds, as on a real host.
    pub duplicate_detection: bool,
}

impl HostSpec {
    /// IPv4 and IPv6, usable at once.
    pub const fn dual() -> Self {
        Self { v4: true, v6: true, duplicate_detection: false }
    }

    /// IPv4 alone.
    pub const fn v4() -> Self {
        Self { v6: false, ..Self::dual() }
    }

    /// IPv6 alone.
    pub const fn v6() -> Self {
        Self { v4: false, ..Self::dual() }
    }
}

impl Lan {
    /// A new host, plugged in by its interface `eth0`.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn host(&self, spec: HostSpec) -> Outcome<Host> {
        let mut host = Host { namespace: Namespace::new("host")?, legs: Vec::new() };
        self.plug(&mut host, spec)?;
        Ok(host)
    }

    /// Plugs a host that exists into this wire too, by a further interface.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn plug(&self, host: &mut Host, spec: HostSpec) -> Outcome<()> {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let namespace = &host.namespace;
        let interface = format!("eth{}", host.legs.len());
        let port = format!("port{number}");
        let (switch, name) = (self.switch.name(), namespace.name());
        // The pair is made inside the switch: nothing ever shows up in the namespace that we run in.
        self.switch.ip(&format!(
            "link add {port} type veth peer name {interface} netns {name}\n\
             link set {port} master br0"
        ))?;
        namespace
            .set(&format!("ipv6/conf/{interface}/disable_ipv6"), if spec.v6 { "0" } else { "1" })?;
        namespace.set(
            &format!("ipv6/conf/{interface}/accept_dad"),
            if spec.duplicate_detection { "1" } else { "0" },
        )?;
        let v4 = Ipv4Addr::new(10, 77, self.number, number);
        let v6 = Ipv6Addr::new(0xfd77, 0, 0, u16::from(self.number), 0, 0, 0, u16::from(number));
        let mut lines = String::new();
        if spec.v4 {
            lines += &format!("addr add {v4}/24 brd + dev {interface}\n");
        }
        lines += &format!("link set {interface} up\n");
        if spec.v6 {
            let check = if spec.duplicate_detection { "" } else { " nodad" };
            lines += &format!("addr add {v6}/64 dev {interface}{check}\n");
        }
        if spec.v4 && host.legs.is_empty() {
            lines += &format!("route add default via 10.77.{}.254 dev {interface}\n", self.number);
        }
        namespace.ip(&lines).map_err(|failure| failure.during("giving a host its addresses"))?;
        self.switch.ip(&format!("link set {port} up"))?;
        let leg = Leg {
            interface,
            switch: switch.to_owned(),
            port,
            v4: spec.v4.then_some(v4),
            v6: spec.v6.then_some(v6),
        };
        let forwarding = poll(LINK_MAX, || leg.is_forwarding())?;
        host.legs.push(leg);
        if forwarding { Ok(()) } else { Err(Failure::new("the bridge never forwards this port")) }
    }

    /// Changes what the wire lets through. Partitions stay.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn filter(&self, spec: &LanSpec) -> Outcome<()> {
        let rule = |on: bool, kind: &str| {
            if on { format!("meta pkttype {kind} meta l4proto udp drop\n") } else { String::new() }
        };
        self.switch.nft(&format!(
            "add table bridge filter\ndelete table bridge filter\n\
             table bridge filter {{\nchain forward {{\ntype filter hook forward priority 0\n{}{}}}\n}}\n",
            rule(spec.block_multicast, "multicast"),
            rule(spec.block_broadcast, "broadcast"),
        ))
    }

    /// Silently drops every frame between two hosts, in both directions, while their links stay up: what a half-open
    /// connection is made of. [`heal`](Self::heal) ends it.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn part(&self, left: &Host, right: &Host) -> Outcome<()> {
        let (a, b) = (left.port_on(self)?, right.port_on(self)?);
        self.switch.nft(&format!(
            "table bridge partition {{\nchain forward {{\ntype filter hook forward priority -1\n\
             iifname \"{a}\" oifname \"{b}\" drop\niifname \"{b}\" oifname \"{a}\" drop\n}}\n}}\n"
        ))
    }

    /// Ends all partitions.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn heal(&self) -> Outcome<()> {
        self.switch.nft("add table bridge partition\ndelete table bridge partition\n")
    }
}

/// How long a link may take from plugged in to usable: the kernel looks at links once a second, and checks IPv6
/// addresses for about two.
const LINK_MAX: Duration = Duration::from_secs(10);

/// Asks again and again until the answer is yes (true) or the time is up (false).
fn poll(timeout: Duration, mut question: impl FnMut() -> Outcome<bool>) -> Outcome<bool> {
    let deadline = Instant::now() + timeout;
    while !question()? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// A host on one or more wires.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    legs: Vec<Leg>,
}

/// One of a host's interfaces, and the bridge port at its other end.
#[derive(Debug)]
struct Leg {
    interface: String,
    switch: String,
    port: String,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Leg {
    fn is_forwarding(&self) -> Outcome<bool> {
        let shown = run("ip", &["-n", &self.switch, "-d", "link", "show", &self.port])?;
        Ok(shown.contains("state forwarding"))
    }
}

impl Host {
    /// A host with a loopback interface and no wire.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn alone() -> Outcome<Self> {
        Ok(Self { namespace: Namespace::new("alone")?, legs: Vec::new() })
    }

    /// The namespace that it is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A command that runs on it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.namespace.command(program)
    }

    /// The name of its interface number `leg`.
    ///
    /// # Errors
    /// If it has no such interface.
    pub fn interface(&self, leg: usize) -> Outcome<&str> {
        self.leg(leg).map(|leg| leg.interface.as_str())
    }

    /// Its IPv4 address on interface number `leg`.
    ///
    /// # Errors
    /// If it has none.
    pub fn v4(&self, leg: usize) -> Outcome<Ipv4Addr> {
        self.leg(leg)?.v4.ok_or_else(|| Failure::new("this host has no IPv4 address there"))
    }

    /// Its unique local IPv6 address on interface number `leg`.
    ///
    /// # Errors
    /// If it has none.
    pub fn v6(&self, leg: usize) -> Outcome<Ipv6Addr> {
        self.leg(leg)?.v6.ok_or_else(|| Failure::new("this host has no IPv6 address there"))
    }

    /// The hardware address of its interface number `leg`.
    ///
    /// # Errors
    /// If it has no such interface.
    pub fn hardware_address(&self, leg: usize) -> Outcome<String> {
        let shown = self.namespace.ip_show(&["-o", "link", "show", self.interface(leg)?])?;
        shown
            .split_whitespace()
            .skip_while(|word| *word != "link/ether")
            .nth(1)
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(format!("no hardware address in {shown}")))
    }

    /// Pulls the plug of interface number `leg`: the host sees its carrier go.
    ///
    /// # Errors
    /// If it has no such interface.
    pub fn pull(&self, leg: usize) -> Outcome<()> {
        self.set_port(leg, "down")
    }

    /// Plugs interface number `leg` in again.
    ///
    /// # Errors
    /// If it has no such interface.
    pub fn plug_in(&self, leg: usize) -> Outcome<()> {
        self.set_port(leg, "up")
    }

    /// Waits until the bridge forwards every leg and no address is still being checked for duplicates, and gives the
    /// moment at which that was first seen.
    ///
    /// # Errors
    /// If that doesn't come in ten seconds.
    pub fn wait_usable(&self) -> Outcome<Instant> {
        let usable = poll(LINK_MAX, || {
            for leg in &self.legs {
                if !leg.is_forwarding()? {
                    return Ok(false);
                }
            }
            let addresses = self.namespace.ip_show(&["addr", "show"])?;
            Ok(!addresses.contains("tentative") && !addresses.contains("NO-CARRIER"))
        })?;
        if usable { Ok(Instant::now()) } else { Err(Failure::new("addresses never got usable")) }
    }

    fn leg(&self, number: usize) -> Outcome<&Leg> {
        self.legs.get(number).ok_or_else(|| Failure::new(format!("no interface eth{number}")))
    }

    fn set_port(&self, number: usize, state: &str) -> Outcome<()> {
        let leg = self.leg(number)?;
        run("ip", &["-n", &leg.switch, "link", "set", &leg.port, state]).map(drop)
    }

    fn port_on(&self, lan: &Lan) -> Outcome<&str> {
        self.legs
            .iter()
            .find(|leg| leg.switch == lan.switch.name())
            .map(|leg| leg.port.as_str())
            .ok_or_else(|| Failure::new("that host isn't on this wire"))
    }
}
