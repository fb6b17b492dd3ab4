//! The options of `simulate`, what scenario they make, and how a scenario is written as options again.

use crate::failure::Failure;
use crate::settings::units::{parse_duration, show_duration};
use clap::Args;
use p2pnet_protocol::Duration;
use p2pnet_simulator::{CryptoKind, Dependence, Fault, LimitsKind, Phases, Planted, Scenario};
use std::path::PathBuf;

/// `simulate`.
#[derive(Args, Debug)]
#[command(after_help = "\
A run has three phases: nodes start and find each other, things go wrong, nothing goes wrong any more. At the end
everything must be mended; checkers watch all the time. Exit code 0 if every promise held, else 1.

Examples:
  p2pnet simulate --nodes 1000 --seed 7 --minutes 10 --loss 5%
  p2pnet simulate --nodes 200 --seeds 64 --json
  p2pnet simulate --nodes 1000 --lan-size 1000 --faults none --newcomers 1
  p2pnet simulate --trace 3=node3.trace && p2pnet replay node3.trace

A run follows from its options alone: the same options give the same trace hash on every machine.")]
pub(crate) struct Simulate {
    /// How many hosts, with a node on each
    #[arg(long, value_name = "N", default_value_t = 100)]
    nodes: u32,
    /// What all chance follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many runs, with seeds that follow each other, on all cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seeds: u32,
    /// How long a run lasts, in virtual minutes; at least 2
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "phases")]
    minutes: u64,
    /// The three phases by themselves, as in 15s,60s,100s
    #[arg(long, value_name = "FORM,CHAOS,CALM")]
    phases: Option<String>,
    /// Hosts on one LAN [default: 20]
    #[arg(long, value_name = "N")]
    lan_size: Option<u32>,
    /// Hosts beyond its LAN that each node is told to connect to [default: 2]
    #[arg(long, value_name = "N")]
    wan_links: Option<u32>,
    /// How many LANs are behind a NAT [default: 20%]
    #[arg(long, value_name = "PERCENT")]
    nat: Option<String>,
    /// What a NAT's mapping depends on: independent (default), address, address-and-port
    #[arg(long, value_name = "WHAT")]
    nat_mapping: Option<Dependence>,
    /// What a NAT's filter depends on: independent, address, address-and-port (default)
    #[arg(long, value_name = "WHAT")]
    nat_filtering: Option<Dependence>,
    /// After how long a NAT forgets an idle stream [default: 60s]
    #[arg(long, value_name = "TIME")]
    nat_expiry: Option<String>,
    /// How many nodes know the network's secret [default: 70%]
    #[arg(long, value_name = "PERCENT")]
    members: Option<String>,
    /// How many packets are lost [default: 1%]
    #[arg(long, value_name = "PERCENT")]
    loss: Option<String>,
    /// How many packets in a row are lost when one is [default: 2]
    #[arg(long, value_name = "N")]
    loss_burst: Option<u32>,
    /// How many datagrams come twice [default: 0.2%]
    #[arg(long, value_name = "PERCENT")]
    duplicate: Option<String>,
    /// How many datagrams are overtaken [default: 0.5%]
    #[arg(long, value_name = "PERCENT")]
    reorder: Option<String>,
    /// The mean one-way latency between LANs [default: 30ms]
    #[arg(long, value_name = "TIME")]
    latency: Option<String>,
    /// What a host sends in a second at most, in bytes; 0 is no limit [default: 12500000]
    #[arg(long, value_name = "BYTES")]
    rate: Option<u64>,
    /// The longest packet in bytes [default: 1500]
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
    /// What goes wrong: all, none, or some of crash, power-cut, restart, partition, link-down, suspend,
    /// clock-jump, slow-reader, block, disconnect
    #[arg(long, value_name = "LIST", default_value = "all")]
    faults: String,
    /// The mean time between two things that one application does [default: 2s]
    #[arg(long, value_name = "TIME")]
    talk_every: Option<String>,
    /// Messages passed on from node to node in the calm phase until all have them [default: 20]
    #[arg(long, value_name = "N")]
    broadcasts: Option<u32>,
    /// Hosts that join the first LAN in the middle of the calm phase [default: 0]
    #[arg(long, value_name = "N")]
    newcomers: Option<u32>,
    /// Channels that a node opens without being asked to [default: 16]
    #[arg(long, value_name = "N")]
    channels: Option<u32>,
    /// How much a node may take: default, or small as on a small host
    #[arg(long, value_name = "PRESET", default_value = "default")]
    limits: LimitsKind,
    /// simulated or real keys and ciphers
    #[arg(long, value_name = "KIND", default_value = "simulated")]
    crypto: CryptoKind,
    /// Break the world on purpose, to see a checker turn red: double-delivery, after-close,
    /// false-member, lost-message, hermit, hash-order
    #[arg(long, value_name = "FAULT")]
    plant: Option<Planted>,
    /// Record all inputs of one node, for `p2pnet replay`
    #[arg(long, value_name = "NODE=FILE")]
    pub(crate) trace: Option<String>,
    /// Look for a smaller run that fails the same way, if one fails
    #[arg(long)]
    pub(crate) shrink: bool,
    /// Print the report as one JSON object on a line
    #[arg(long)]
    pub(crate) json: bool,
}

impl Simulate {
    /// The scenario that these options describe.
    pub(crate) fn scenario(&self) -> Result<Scenario, Failure> {
        let mut scenario = Scenario {
            nodes: self.nodes,
            seed: self.seed,
            crypto: self.crypto,
            limits: self.limits,
            planted: self.plant,
            faults: faults(&self.faults)?,
            phases: match &self.phases {
                Some(phases) => parse_phases(phases)?,
                None => Phases::of_minutes(self.minutes),
            },
            ..Scenario::default()
        };
        set(&mut scenario.lan_nodes, self.lan_size);
        set(&mut scenario.wan_links, self.wan_links);
        set(&mut scenario.nat.mapping, self.nat_mapping);
        set(&mut scenario.nat.filtering, self.nat_filtering);
        set(&mut scenario.links.loss_burst, self.loss_burst);
        set(&mut scenario.links.rate_bytes_per_second, self.rate);
        set(&mut scenario.links.mtu_bytes, self.mtu);
        set(&mut scenario.broadcasts, self.broadcasts);
        set(&mut scenario.newcomers, self.newcomers);
        set(&mut scenario.channels_auto_max, self.channels);
        set(&mut scenario.nat_percent, whole_percent("--nat", self.nat.as_deref())?);
        set(&mut scenario.members_percent, whole_percent("--members", self.members.as_deref())?);
        set(&mut scenario.links.loss_ppm, ppm("--loss", self.loss.as_deref())?);
        set(&mut scenario.links.duplicate_ppm, ppm("--duplicate", self.duplicate.as_deref())?);
        set(&mut scenario.links.reorder_ppm, ppm("--reorder", self.reorder.as_deref())?);
        let expiry = time("--nat-expiry", self.nat_expiry.as_deref())?;
        set(&mut scenario.nat.expiry_ms, expiry.map(millis));
        let latency = time("--latency", self.latency.as_deref())?;
        let micros = |span: Duration| u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        set(&mut scenario.links.wan_latency_us, latency.map(micros));
        let talk = time("--talk-every", self.talk_every.as_deref())?;
        let talk = talk.map(|span| u32::try_from(millis(span)).unwrap_or(u32::MAX));
        set(&mut scenario.talk_every_ms, talk);
        scenario.validate().map_err(Failure::usage)?;
        Ok(scenario)
    }

    /// Which node is recorded, and where.
    pub(crate) fn traced(&self) -> Result<Option<(u32, PathBuf)>, Failure> {
        let Some(text) = &self.trace else { return Ok(None) };
        let wrong = || {
            Failure::usage(format!("--trace {text}: expected NODE=FILE, as in 3=node3.trace"))
                .fix(format!("a node from 0 to {}", self.nodes.saturating_sub(1)))
        };
        let (node, file) = text.split_once('=').ok_or_else(wrong)?;
        let node: u32 = node.parse().map_err(|_| wrong())?;
        if node >= self.nodes || file.is_empty() {
            return Err(wrong());
        }
        Ok(Some((node, file.into())))
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn time(option: &str, text: Option<&str>) -> Result<Option<Duration>, Failure> {
    let read = |text| {
        parse_duration(text)
            .map_err(|problem| Failure::usage(format!("{option} {text}: {problem}")))
    };
    text.map(read).transpose()
}

/// Reads `5%` or `0.1%` as parts of a million.
fn ppm(option: &str, text: Option<&str>) -> Result<Option<u32>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let parse = |text: &str| {
        let number = text.trim().strip_suffix('%')?.trim();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.len() > 4 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part: u32 = format!("{part:0<4}").parse().ok()?;
        whole.parse::<u32>().ok()?.checked_mul(10_000)?.checked_add(part)
    };
    match parse(text).filter(|ppm| *ppm <= 1_000_000) {
        Some(ppm) => Ok(Some(ppm)),
        None => {
            Err(Failure::usage(format!("{option} {text}: expected a share such as 5% or 0.1%")))
        }
    }
}

fn whole_percent(option: &str, text: Option<&str>) -> Result<Option<u8>, Failure> {
    let Some(ppm) = ppm(option, text)? else { return Ok(None) };
    if ppm % 10_000 > 0 {
        return Err(Failure::usage(format!("{option}: a whole number of percent will do")));
    }
    Ok(u8::try_from(ppm / 10_000).ok())
}

fn faults(text: &str) -> Result<Vec<Fault>, Failure> {
    match text {
        "all" => return Ok(Fault::ALL.to_vec()),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    let known: Vec<String> = Fault::ALL.iter().map(ToString::to_string).collect();
    let read = |name: &str| {
        name.trim().parse().map_err(|_| {
            Failure::usage(format!("--faults: there is no fault {name:?}"))
                .fix(format!("all, none, or some of {}", known.join(", ")))
        })
    };
    text.split(',').map(read).collect()
}

fn parse_phases(text: &str) -> Result<Phases, Failure> {
    let spans: Result<Vec<u64>, String> =
        text.split(',').map(|span| parse_duration(span).map(millis)).collect();
    let spans = spans.map_err(|problem| Failure::usage(format!("--phases {text}: {problem}")))?;
    match spans[..] {
        [form_ms, chaos_ms, calm_ms] => Ok(Phases { form_ms, chaos_ms, calm_ms }),
        _ => Err(Failure::usage(format!("--phases {text}: three times, as in 15s,60s,100s"))),
    }
}

/// The command that runs a scenario again: every option that is not as usual.
pub(crate) fn command(scenario: &Scenario) -> String {
    let head = format!("p2pnet simulate --nodes {} --seed {}", scenario.nodes, scenario.seed);
    let usual = written(&Scenario::default());
    let options = written(scenario).into_iter().zip(usual);
    let unusual = options.filter(|(value, usually)| value != usually);
    let unusual = unusual.map(|((name, value), _)| format!(" --{name} {value}"));
    let planted = scenario.planted.map(|planted| format!(" --plant {planted}"));
    std::iter::once(head).chain(unusual).chain(planted).collect()
}

/// Every option that has a usual value, as written.
fn written(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let time = |ms: u64| show_duration(Duration::from_millis(ms));
    let percent = |ppm: u32| format!("{}.{:04}%", ppm / 10_000, ppm % 10_000);
    let (phases, links, nat) = (&scenario.phases, &scenario.links, &scenario.nat);
    let spans = [phases.form_ms, phases.chaos_ms, phases.calm_ms].map(time);
    let faults: Vec<String> = scenario.faults.iter().map(ToString::to_string).collect();
    let latency = Duration::from_micros(links.wan_latency_us.into());
    vec![
        ("phases", spans.join(",")),
        ("lan-size", scenario.lan_nodes.to_string()),
        ("wan-links", scenario.wan_links.to_string()),
        ("nat", format!("{}%", scenario.nat_percent)),
        ("nat-mapping", nat.mapping.to_string()),
        ("nat-filtering", nat.filtering.to_string()),
        ("nat-expiry", time(nat.expiry_ms)),
        ("members", format!("{}%", scenario.members_percent)),
        ("loss", percent(links.loss_ppm)),
        ("loss-burst", links.loss_burst.to_string()),
        ("duplicate", percent(links.duplicate_ppm)),
        ("reorder", percent(links.reorder_ppm)),
        ("latency", show_duration(latency)),
        ("rate", links.rate_bytes_per_second.to_string()),
        ("mtu", links.mtu_bytes.to_string()),
        ("faults", if faults.is_empty() { "none".to_owned() } else { faults.join(",") }),
        ("talk-every", time(scenario.talk_every_ms.into())),
        ("broadcasts", scenario.broadcasts.to_string()),
        ("newcomers", scenario.newcomers.to_string()),
        ("channels", scenario.channels_auto_max.to_string()),
        ("limits", scenario.limits.to_string()),
        ("crypto", scenario.crypto.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;
    use p2pnet_simulator::{Links, NatBehaviour};

    fn parse(line: &str) -> Result<Scenario, Failure> {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Simulate(args) => args.scenario(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_printed_command_makes_the_same_scenario() {
        let usual = Scenario::default();
        assert_eq!(parse(&command(&usual)).unwrap(), usual);
        assert_eq!(command(&usual), "p2pnet simulate --nodes 100 --seed 1");
        let nat = NatBehaviour {
            mapping: Dependence::AddressAndPort,
            filtering: Dependence::Independent,
            expiry_ms: 7500,
        };
        let links = Links {
            wan_latency_us: 1,
            lan_latency_us: Links::default().lan_latency_us,
            loss_ppm: 12_345,
            loss_burst: 9,
            duplicate_ppm: 1,
            reorder_ppm: 0,
            rate_bytes_per_second: 0,
            mtu_bytes: 600,
        };
        let odd = Scenario {
            nodes: 7,
            seed: 99,
            phases: Phases { form_ms: 1, chaos_ms: 0, calm_ms: 90_001 },
            crypto: CryptoKind::Real,
            lan_nodes: 3,
            wan_links: 1,
            nat_percent: 0,
            nat,
            members_percent: 100,
            links,
            faults: vec![Fault::Crash, Fault::LinkDown],
            talk_every_ms: 77,
            broadcasts: 0,
            newcomers: 2,
            channels_auto_max: 5,
            limits: LimitsKind::Small,
            planted: Some(Planted::Hermit),
        };
        assert_eq!(parse(&command(&odd)).unwrap(), odd);
        let calm = Scenario { faults: Vec::new(), ..usual };
        assert_eq!(parse(&command(&calm)).unwrap(), calm);
    }

    #[test]
    fn wrong_values_are_named() {
        for (options, words) in [
            ("--loss 5", "--loss 5: expected a share"),
            ("--loss 101%", "--loss 101%: expected a share"),
            ("--loss 60%", "the loss in parts of a million"),
            ("--faults flood", "there is no fault \"flood\""),
            ("--phases 1s,2s", "three times"),
            ("--latency soon", "--latency soon: expected a number and a unit"),
            ("--nodes 1", "the number of nodes is 1"),
        ] {
            let error = parse(&format!("p2pnet simulate {options}")).unwrap_err().to_string();
            assert!(error.contains(words), "{options}: {error}");
        }
        assert_eq!(parse("p2pnet simulate --loss 0.5%").unwrap().links.loss_ppm, 5000);
    }
}
