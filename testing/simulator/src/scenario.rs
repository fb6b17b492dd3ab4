//! What is simulated: a run follows from its [`Scenario`] alone.

use p2pnet_protocol::Duration;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that decides how a run goes. Equal scenarios give equal runs, byte for byte, on every platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// How many hosts, with a node on each.
    pub nodes: u32,
    /// What all chance follows from.
    pub seed: u64,
    /// How long it lasts, in virtual time.
    pub phases: Phases,
    /// Whether keys and ciphers are real.
    pub crypto: CryptoKind,
    /// Hosts on one LAN.
    pub lan_nodes: u32,
    /// Hosts of other LANs that each node is told to connect to.
    pub wan_links: u32,
    /// How many of a hundred LANs are behind a NAT. The first never is.
    pub nat_percent: u8,
    /// How those NATs behave.
    pub nat: NatBehaviour,
    /// How many of a hundred nodes know the network's secret; some of the others believe in another one.
    pub members_percent: u8,
    /// The links.
    pub links: Links,
    /// What goes wrong in the chaos phase.
    pub faults: Vec<Fault>,
    /// The mean time from one thing that a node's application does to the next.
    pub talk_every_ms: u32,
    /// Messages that are passed on from node to node in the calm phase until all have them.
    pub broadcasts: u32,
    /// Hosts that join the first LAN in the middle of the calm phase.
    pub newcomers: u32,
    /// Channels that a node opens without being asked to ([`Limits`](p2pnet_protocol::Limits)).
    pub channels_auto_max: u32,
    /// How much a node may take.
    pub limits: LimitsKind,
    /// A fault that is built into the world on purpose, to see a checker turn red.
    pub planted: Option<Planted>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            nodes: 100,
            seed: 1,
            phases: Phases::of_minutes(5),
            crypto: CryptoKind::Simulated,
            lan_nodes: 20,
            wan_links: 2,
            nat_percent: 20,
            nat: NatBehaviour::default(),
            members_percent: 70,
            links: Links::default(),
            faults: Fault::ALL.to_vec(),
            talk_every_ms: 2000,
            broadcasts: 20,
            newcomers: 0,
            channels_auto_max: 16,
            limits: LimitsKind::Default,
            planted: None,
        }
    }
}

/// The three parts of a run: nodes start and find each other; things go wrong; nothing goes wrong any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Starting and finding, in milliseconds.
    pub form_ms: u64,
    /// Faults, in milliseconds.
    pub chaos_ms: u64,
    /// Calm, in milliseconds: at its end everything must be mended.
    pub calm_ms: u64,
}

impl Phases {
    /// Two peers that gave each other up are on speaking terms again after so long.
    const CALM_MS_MIN: u64 = 90_000;

    /// A run of so many minutes, shared out. At least two.
    pub fn of_minutes(minutes: u64) -> Self {
        let total = minutes.max(2).saturating_mul(60_000);
        let form_ms = (total / 8).clamp(15_000, 60_000);
        let calm_ms = (total / 3).clamp(Self::CALM_MS_MIN, 600_000);
        Self { form_ms, chaos_ms: total.saturating_sub(form_ms + calm_ms), calm_ms }
    }

    /// The whole run.
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.form_ms + self.chaos_ms + self.calm_ms)
    }
}

/// Which crypto provider the nodes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CryptoKind {
    /// A keyed hash of honest sizes: a forged proof still fails.
    Simulated,
    /// The real one, with keys that follow from the seed.
    Real,
}

/// Which preset of [`Limits`](p2pnet_protocol::Limits) the nodes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitsKind {
    /// A desktop's or server's.
    Default,
    /// A small host's.
    Small,
}

/// What links do to what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The mean one-way latency between LANs, in microseconds; each pair of hosts has its own, within ±50 %.
    pub wan_latency_us: u32,
    /// The one-way latency within a LAN, in microseconds.
    pub lan_latency_us: u32,
    /// Packets of a million that are lost.
    pub loss_ppm: u32,
    /// How many packets in a row are lost when one is.
    pub loss_burst: u32,
    /// Datagrams of a million that come twice.
    pub duplicate_ppm: u32,
    /// Datagrams of a million that are overtaken by later ones.
    pub reorder_ppm: u32,
    /// What a host sends in a second at most; 0 is no limit.
    pub rate_bytes_per_second: u64,
    /// The longest packet, headers included. A longer datagram is lost.
    pub mtu_bytes: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            wan_latency_us: 30_000,
            lan_latency_us: 300,
            loss_ppm: 10_000,
            loss_burst: 2,
            duplicate_ppm: 2_000,
            reorder_ppm: 5_000,
            rate_bytes_per_second: 12_500_000,
            mtu_bytes: 1500,
        }
    }
}

/// How a NAT keys its mappings and filters what comes in (RFC 4787, sections 4.1 and 5; RFC 5382 for streams).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatBehaviour {
    /// What an outgoing flow's external port depends on.
    pub mapping: Dependence,
    /// From whom an external port takes packets.
    pub filtering: Dependence,
    /// How long an idle mapping lives, in milliseconds.
    pub expiry_ms: u64,
}

impl Default for NatBehaviour {
    fn default() -> Self {
        Self {
            mapping: Dependence::Independent,
            filtering: Dependence::AddressAndPort,
            expiry_ms: 60_000,
        }
    }
}

/// How much of the other side's endpoint counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependence {
    /// Nothing: endpoint-independent.
    Independent,
    /// Its address.
    Address,
    /// Its address and port.
    AddressAndPort,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A process dies and comes back with what its state directory held.
    Crash,
    /// A host loses power; nobody is told.
    PowerCut,
    /// A node is shut down gracefully and started again.
    Restart,
    /// The network falls in two.
    Partition,
    /// A host's cable is pulled.
    LinkDown,
    /// A host sleeps; its clock may stand still meanwhile.
    Suspend,
    /// A host's clocks jump.
    ClockJump,
    /// An application reads late.
    SlowReader,
    /// A peer is blocked, and pardoned later.
    Block,
    /// An application ends a channel.
    Disconnect,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Crash,
        Self::PowerCut,
        Self::Restart,
        Self::Partition,
        Self::LinkDown,
        Self::Suspend,
        Self::ClockJump,
        Self::SlowReader,
        Self::Block,
        Self::Disconnect,
    ];
}

/// A fault of the world itself: each must turn the checker of its name red.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Planted {
    /// An application hears one message twice.
    DoubleDelivery,
    /// An application hears from a channel that has ended.
    AfterClose,
    /// A node that knows no secret counts as a member.
    FalseMember,
    /// A message is lost on its way to the application before a graceful close.
    LostMessage,
    /// A node is kept off its LAN in the calm phase.
    Hermit,
    /// Hosts are served in the order of a hash set, which differs from run to run.
    HashOrder,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DoubleDelivery,
        Self::AfterClose,
        Self::FalseMember,
        Self::LostMessage,
        Self::Hermit,
        Self::HashOrder,
    ];
}

/// The name in a file or on a command line.
fn name_of(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap_or_default().trim_matches('"').to_owned()
}

/// Finds a value by its name.
fn named<T: for<'a> Deserialize<'a>>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

macro_rules! by_name {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&name_of(self))
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownName;
            fn from_str(name: &str) -> Result<Self, UnknownName> {
                named(name).ok_or_else(|| UnknownName(name.to_owned()))
            }
        }
    )*};
}
by_name!(CryptoKind, Dependence, Fault, LimitsKind, Planted);

/// No value has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName(String);

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown name {:?}", self.0)
    }
}

impl std::error::Error for UnknownName {}

impl Scenario {
    /// Short, with everything in it: what is run for many seeds.
    pub fn ci() -> Self {
        let phases = Phases { form_ms: 15_000, chaos_ms: 60_000, calm_ms: 100_000 };
        Self { phases, ..Self::default() }
    }

    /// The most nodes: their addresses must fit.
    pub const NODES_MAX: u32 = 1_000_000;

    /// Checks what types can't.
    ///
    /// # Errors
    /// What is wrong, and what would do.
    pub fn validate(&self) -> Result<(), String> {
        let in_range = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}: from {least} to {most} will do"))
            }
        };
        in_range("the number of nodes", self.nodes.into(), 2, Self::NODES_MAX.into())?;
        in_range("the number of hosts on a LAN", self.lan_nodes.into(), 1, 60_000)?;
        in_range("the percentage of NATs", self.nat_percent.into(), 0, 100)?;
        in_range("the percentage of members", self.members_percent.into(), 0, 100)?;
        in_range("the loss in parts of a million", self.links.loss_ppm.into(), 0, 500_000)?;
        in_range("the number of losses in a row", self.links.loss_burst.into(), 1, 100)?;
        in_range("the MTU", self.links.mtu_bytes.into(), 576, 65_535)?;
        in_range("the time between actions in ms", self.talk_every_ms.into(), 10, 3_600_000)?;
        in_range("the number of automatic channels", self.channels_auto_max.into(), 1, 4096)?;
        in_range("the number of newcomers", self.newcomers.into(), 0, 1000)?;
        let slowest = self.links.rate_bytes_per_second;
        if slowest > 0 {
            in_range("the rate in bytes a second", slowest, 1000, u64::MAX)?;
        }
        if self.nodes > self.lan_nodes && self.wan_links == 0 {
            return Err("several LANs without links between them can't become one network: \
                        allow at least one link to other LANs for each node, or one large LAN"
                .to_owned());
        }
        Ok(())
    }

    /// How many LANs there are.
    pub(crate) const fn lans(&self) -> u32 {
        self.nodes.div_ceil(self.lan_nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!("power-cut".parse(), Ok(Fault::PowerCut));
        assert!("flood".parse::<Fault>().is_err());
    }

    #[test]
    fn phases_share_out_the_time() {
        for minutes in [0, 2, 5, 60] {
            let phases = Phases::of_minutes(minutes);
            assert_eq!(phases.total(), Duration::from_secs(60 * minutes.max(2)));
            assert!(phases.calm_ms >= Phases::CALM_MS_MIN);
        }
    }

    #[test]
    fn what_cant_be_run_is_refused_by_name() {
        assert_eq!(Scenario::default().validate(), Ok(()));
        let one = Scenario { nodes: 1, ..Scenario::default() };
        assert!(one.validate().unwrap_err().contains("number of nodes"));
        let apart = Scenario { wan_links: 0, ..Scenario::default() };
        assert!(apart.validate().unwrap_err().contains("LAN"));
    }
}
