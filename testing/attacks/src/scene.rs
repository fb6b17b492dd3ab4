//! Where a script plays: four hosts on one wire, the victim, the honest peer, and processes of attackers.

use crate::attacker::{Counts, Orders};
use crate::control::{Counters, socket_of};
use crate::probe::Felt;
use crate::report::REAPED_MAX;
use p2pnet_lab::{Failure, Heard, Host, HostSpec, Lab, Lan, LanSpec, Node, NodeSpec, Outcome};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// Subnets that attackers come from, and hosts in each.
const SUBNETS: u8 = 8;
const HOSTS: u8 = 8;
/// Further addresses of the attackers' host that are on the victim's own link.
const ON_LINK: std::ops::Range<u8> = 100..132;
/// A node that starts settles for this long before its memory counts as idle.
const SETTLES: Duration = Duration::from_millis(300);

/// How long the phases are.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The honest peer talks so long before the attack.
    pub quiet: Duration,
    /// The attack takes so long.
    pub attack: Duration,
    /// The victim has so long to give everything back.
    pub reaped: Duration,
    /// Whether the victim's time-outs are shortened, so that what is reaped by them is reaped soon, and scripts on one
    /// scene share one quiet phase.
    pub hurried: bool,
}

impl Form {
    /// A second or two, for every run of the tests.
    pub const SHORT: Self = Self {
        quiet: Duration::from_millis(700),
        attack: Duration::from_millis(800),
        reaped: Duration::from_secs(10),
        hurried: true,
    };
    /// For the record.
    pub const FULL: Self = Self {
        quiet: Duration::from_secs(3),
        attack: Duration::from_secs(8),
        reaped: REAPED_MAX,
        hurried: false,
    };

    fn settings(&self) -> &'static [&'static str] {
        match self.hurried {
            true => &[
                "timing.handshake_timeout=1s",
                "timing.linger=1s",
                "timing.keep_alive=1s",
                "timing.silence_timeout=3s",
            ],
            false => &[],
        }
    }
}

/// A victim and an honest peer that know each other, and a host for attackers.
pub struct Scene {
    attacks: Vec<Attack>,
    /// The node under attack.
    pub victim: Node,
    /// Who talks to it meanwhile.
    pub honest: Node,
    victim_host: Host,
    honest_host: Host,
    attacker_host: Host,
    bystander_host: Host,
    _lan: Lan,
    /// Where everything lies.
    pub lab: Lab,
    /// How long the phases are.
    pub form: Form,
    /// What the victim had resident just after its start.
    pub idle_kib: u64,
    /// What the honest peer felt in quiet, where scripts share it.
    pub quiet: Option<Felt>,
    /// What it had counted when the attack began.
    pub before: Option<Counters>,
    mark: usize,
    program: PathBuf,
}

impl Scene {
    /// Sets it up; `settings` are the victim's own. `program` is the one that attackers are run by.
    ///
    /// # Errors
    /// If the nodes don't start or don't meet.
    pub fn new(program: &Path, form: Form, settings: &[&str]) -> Outcome<Self> {
        let lab = Lab::new()?;
        let lan = lab.lan(LanSpec::default())?;
        let host = || lan.host(HostSpec::v4());
        let (victim_host, honest_host, attacker_host, bystander_host) =
            (host()?, host()?, host()?, host()?);
        let mut lines = String::new();
        for address in far_addresses().into_iter().chain(near_addresses()) {
            lines += &format!("addr add {address}/32 dev eth0\n");
        }
        attacker_host.namespace().ip(&lines)?;
        let route = format!("route add 10.78.0.0/16 via {} dev eth0", attacker_host.v4(0)?);
        for there in [&victim_host, &honest_host, &bystander_host] {
            there.namespace().ip(&route)?;
        }
        bystander_host.namespace().nft(&format!(
            "table inet count {{\nchain input {{\ntype filter hook input priority 0\n\
             ip saddr {} counter\n}}\n}}\n",
            victim_host.v4(0)?
        ))?;
        // What both sides of a secret know, for scripts about trust.
        let secret = lab.file("secret");
        std::fs::write(&secret, "known to the victim and to the honest peer\n")?;
        let wants_secret = settings.contains(&"secret");
        let set = |settings: &[&str]| {
            let mut spec = NodeSpec::default();
            for setting in settings.iter().filter(|setting| **setting != "secret") {
                spec = spec.with(["--set", setting]);
            }
            if wants_secret { spec.with(["--secret".as_ref(), secret.as_os_str()]) } else { spec }
        };
        let mut all = vec!["limits.preset=small"];
        all.extend(form.settings());
        all.extend(settings);
        let victim = Node::up(&lab, &victim_host, &set(&all))?;
        std::thread::sleep(SETTLES);
        let idle_kib = victim.resident_kib()?;
        let honest = Node::up(&lab, &honest_host, &set(form.settings()))?;
        honest.wait_connected(victim.id(), Duration::from_secs(10))?;
        victim.wait_connected(honest.id(), Duration::from_secs(10))?;
        Ok(Self {
            attacks: Vec::new(),
            victim,
            honest,
            victim_host,
            honest_host,
            attacker_host,
            bystander_host,
            _lan: lan,
            lab,
            form,
            idle_kib,
            quiet: None,
            before: None,
            mark: 0,
            program: program.to_owned(),
        })
    }

    /// From here on, what is counted and told belongs to the next attack.
    ///
    /// # Errors
    /// If the victim gives no answer.
    pub fn begin(&mut self) -> Outcome<()> {
        self.attacks.clear();
        self.before = Some(Counters::of(&self.victim)?);
        self.mark = self.victim.mark();
        self.victim.forget_peak()
    }

    /// The victim's address for streams.
    ///
    /// # Errors
    /// Never, since it has one.
    pub fn victim_at(&self) -> Outcome<SocketAddr> {
        Ok((self.victim_host.v4(0)?, self.victim.port()).into())
    }

    /// The attackers' own address on the link.
    ///
    /// # Errors
    /// Never, since they have one.
    pub fn attacker_at(&self) -> Outcome<Ipv4Addr> {
        self.attacker_host.v4(0)
    }

    /// The bystander's address.
    ///
    /// # Errors
    /// Never, since it has one.
    pub fn bystander_at(&self) -> Outcome<Ipv4Addr> {
        self.bystander_host.v4(0)
    }

    /// Orders for an attack from all far addresses, to be changed as wanted.
    ///
    /// # Errors
    /// Never, since everybody has an address.
    pub fn orders(&self, kind: &str) -> Outcome<Orders> {
        Ok(Orders {
            kind: kind.to_owned(),
            to: self.victim_at()?,
            other: (self.honest_host.v4(0)?, self.honest.port()).into(),
            from: far_addresses(),
            seconds: self.form.attack.as_secs_f64(),
            least: 24,
            count: 64,
            rate: 50_000,
            ports: vec![8001, 8002, 8003],
            control: socket_of(&self.victim),
            detail: String::new(),
            hold: false,
        })
    }

    /// Runs an attack of that kind with plain orders to its end.
    ///
    /// # Errors
    /// If the process fails.
    pub fn attack(&mut self, kind: &str) -> Outcome<Counts> {
        self.attack_with(kind, |_| {})
    }

    /// Runs an attack with changed orders to its end.
    ///
    /// # Errors
    /// If the process fails.
    pub fn attack_with(&mut self, kind: &str, change: impl FnOnce(&mut Orders)) -> Outcome<Counts> {
        let number = self.start_attack(kind, change)?;
        self.finish_attack(number)
    }

    /// Starts a process of attackers, and gives its number.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_attack(&mut self, kind: &str, change: impl FnOnce(&mut Orders)) -> Outcome<usize> {
        let mut orders = self.orders(kind)?;
        change(&mut orders);
        let orders =
            serde_json::to_string(&orders).map_err(|error| Failure::new(error.to_string()))?;
        // Attackers have machines of their own: here they get what processor time the others leave.
        let mut process = self
            .attacker_host
            .command("setpriv")
            .args(["--pdeathsig", "KILL", "--", "nice", "-n", "19"])
            .arg(&self.program)
            .args(["attacker", &orders])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().map(BufReader::new);
        let stdout = stdout.ok_or_else(|| Failure::new("no standard output"))?;
        self.attacks.push(Attack { process, stdin, stdout, kind: kind.to_owned() });
        Ok(self.attacks.len() - 1)
    }

    /// The next line that a process of attackers prints.
    ///
    /// # Errors
    /// If it ends without one.
    pub fn attackers_line(&mut self, number: usize) -> Outcome<Value> {
        let attack = self.attacks.get_mut(number).ok_or_else(|| Failure::new("no such attack"))?;
        attack.line()
    }

    /// Lets attackers that wait for a word go on.
    ///
    /// # Errors
    /// If they are gone.
    pub fn tell_attackers(&mut self, number: usize) -> Outcome<()> {
        let stdin = self.attacks.get_mut(number).and_then(|attack| attack.stdin.as_mut());
        Ok(stdin.ok_or_else(|| Failure::new("no such attack"))?.write_all(b"go on\n")?)
    }

    /// Waits for the counts of an attack.
    ///
    /// # Errors
    /// If it fails.
    pub fn finish_attack(&mut self, number: usize) -> Outcome<Counts> {
        let line = self.attackers_line(number)?;
        serde_json::from_value(line).map_err(|error| Failure::new(error.to_string()))
    }

    /// What the victim counted since the attack began.
    ///
    /// # Errors
    /// If it gives no answer.
    pub fn since(&self, name: &str) -> Outcome<u64> {
        let before = self.before.as_ref().ok_or_else(|| Failure::new("nothing has begun"))?;
        Counters::of(&self.victim)?.since(before, name)
    }

    /// What the victim told since the attack began that `matches`.
    pub fn told(&self, matches: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        self.victim.events_after(self.mark, matches)
    }

    /// How often the victim told of `event` about somebody else than the honest peer.
    pub fn told_of_others(&self, event: &str) -> u64 {
        let honest = self.honest.id();
        self.told(|heard| heard.name() == event && heard.text("peer") != honest).len() as u64
    }

    /// How often the victim told of `event` about the honest peer.
    pub fn told_of_honest(&self, event: &str) -> u64 {
        let honest = self.honest.id();
        self.told(|heard| heard.is(event, honest)).len() as u64
    }

    /// The bytes that came to the bystander from the victim, IP headers included.
    ///
    /// # Errors
    /// If nft doesn't say.
    pub fn bytes_to_bystander(&self) -> Outcome<u64> {
        let mut list = self.bystander_host.command("nft");
        let shown = p2pnet_lab::shell::output_of(list.args(["list", "table", "inet", "count"]))?;
        let bytes = shown.split("bytes ").nth(1).and_then(|rest| rest.split_whitespace().next());
        bytes
            .and_then(|bytes| bytes.parse().ok())
            .ok_or_else(|| Failure::new(format!("no counter in {shown}")))
    }

    /// The UDP ports that the victim has open.
    ///
    /// # Errors
    /// If the kernel doesn't say.
    pub fn victims_udp_ports(&self) -> Outcome<Vec<u16>> {
        let table = self.victim_host.namespace().read("/proc/net/udp")?;
        let port = |row: &str| {
            let local = row.split_whitespace().nth(1)?;
            u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
        };
        Ok(table.lines().skip(1).filter_map(port).collect())
    }

    /// Waits until the victim has no more connections and descriptors than given, and gives how long that took, or what
    /// it still has.
    ///
    /// # Errors
    /// If the victim is gone.
    pub fn wait_reaped(
        &self,
        connections: u64,
        descriptors: usize,
        timeout: Duration,
    ) -> Outcome<Result<Duration, String>> {
        let began = Instant::now();
        loop {
            let kept = Counters::of(&self.victim)?.get("connections")?;
            let held = self.victim.descriptors()?;
            if kept <= connections && held <= descriptors {
                return Ok(Ok(began.elapsed()));
            }
            if began.elapsed() > timeout {
                return Ok(Err(format!(
                    "{kept} connections and {held} descriptors, before it {connections} and {descriptors}"
                )));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Ends all processes of attackers.
    pub fn end_attacks(&mut self) {
        self.attacks.clear();
    }
}

/// One process of attackers. Dropping it kills it.
struct Attack {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    kind: String,
}

impl Attack {
    fn line(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line)
            .map_err(|_| Failure::new(format!("the attackers of {} failed: {line:?}", self.kind)))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Addresses that the victim reaches by a router, in several subnets.
pub fn far_addresses() -> Vec<IpAddr> {
    // One of each subnet after the other: whoever takes the first few has them from different subnets.
    let hosts = (1..=HOSTS).flat_map(|host| (1..=SUBNETS).map(move |net| (net, host)));
    hosts.map(|(net, host)| IpAddr::from([10, 78, net, host])).collect()
}

/// Addresses on the victim's own link.
pub fn near_addresses() -> Vec<IpAddr> {
    ON_LINK.map(|host| IpAddr::from([10, 77, 0, host])).collect()
}
