//! What a run came to.

use serde::Serialize;
use std::fmt;

/// The part of a run that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nodes start and find each other.
    Form,
    /// Things go wrong.
    Chaos,
    /// Nothing goes wrong any more.
    Calm,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "form",
            Self::Chaos => "chaos",
            Self::Calm => "calm",
        })
    }
}

/// What must hold, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checker {
    /// Every accepted packet comes at most once, in order, from whom it says.
    NoDuplicateDelivery,
    /// After a channel was told to be closed, nothing comes from it.
    NothingFromAClosedPeer,
    /// Nobody is trusted who can't prove membership.
    NoTrustWithoutProof,
    /// Lists stay within limits, and calls within their contract.
    BoundsHold,
    /// At the end of calm, all know each other and hear each other.
    AllConverge,
    /// What was accepted before a graceful close arrives.
    NothingLostOnClose,
    /// Something that a run is for never happened.
    SomethingHappened,
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDuplicateDelivery => "no-duplicate-delivery",
            Self::NothingFromAClosedPeer => "nothing-from-a-closed-peer",
            Self::NoTrustWithoutProof => "no-trust-without-proof",
            Self::BoundsHold => "bounds-hold",
            Self::AllConverge => "all-converge",
            Self::NothingLostOnClose => "nothing-lost-on-close",
            Self::SomethingHappened => "something-happened",
        })
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which.
    pub checker: Checker,
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// At which node.
    pub node: Option<u32>,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at_ms as f64 / 1000.0;
        write!(f, "{} at {seconds:.3} s", self.checker)?;
        if let Some(node) = self.node {
            write!(f, ", node {node}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened, by number.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counts {
            /// Names and numbers.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counts! {
    /// Things that happened in the world.
    events,
    /// Nodes that were started, again or for the first time.
    starts,
    /// Processes that died.
    crashes,
    /// Hosts that lost power.
    power_cuts,
    /// Nodes that were shut down gracefully.
    restarts,
    /// Times that the network fell in two.
    partitions,
    /// Cables that were pulled.
    cables_pulled,
    /// Hosts that slept.
    suspends,
    /// Clocks that jumped.
    clock_jumps,
    /// Applications that read late for a while.
    slow_readers,
    /// Peers that were blocked.
    blocks,
    /// Channels that an application ended.
    disconnects,
    /// Streams that nodes dialled.
    dials,
    /// Streams that broke.
    resets,
    /// Bytes over streams.
    stream_bytes,
    /// Packets that links lost.
    packets_lost,
    /// Beacons sent.
    datagrams,
    /// Beacons that came twice.
    datagrams_doubled,
    /// Beacons that were overtaken.
    datagrams_reordered,
    /// Streams that a NAT forgot.
    nat_mappings_expired,
    /// Dials that a NAT kept out.
    nat_filtered,
    /// Channels that opened (each side counts).
    channels,
    /// Channels with trust on this side.
    channels_trusted,
    /// Proofs that did not hold.
    proofs_refused,
    /// Channels that closed with a word from the other side.
    closed_gracefully,
    /// Channels that were lost.
    closed_lost,
    /// Channels whose peer fell silent.
    closed_silent,
    /// Packets that a gate turned away.
    packets_refused,
    /// Sends that found a full queue.
    queue_full,
    /// Packets accepted for sending.
    messages_sent,
    /// Packets that applications heard.
    messages_heard,
    /// The most that one LAN's beacons took in a second of calm.
    lan_bytes_per_second_max,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many nodes.
    pub nodes: u32,
    /// The seed.
    pub seed: u64,
    /// The fingerprint of everything that every node did.
    pub trace_hash: String,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Packets accepted for sending.
    pub messages_sent: u64,
    /// Packets that applications heard.
    pub messages_heard: u64,
    /// When every node had first heard of all others on its LAN, in virtual milliseconds, if ever.
    pub formed_ms: Option<u64>,
    /// How long until a newcomer was found by all, in milliseconds, at the most; if all were.
    pub newcomer_found_ms: Option<u64>,
    /// Messages passed on to all, and how many nodes heard each at least.
    pub broadcasts: u32,
    /// The fewest nodes that heard one of them.
    pub broadcast_heard_min: u32,
    /// Resident memory at its highest, less what the program took before the run, for each node. 0 where the system
    /// doesn't tell.
    pub bytes_per_node: u64,
    /// Resident memory of the whole program when calm began and when it ended.
    pub resident_bytes: [u64; 2],
    /// Everything counted.
    pub counts: Counts,
    /// Broken promises; empty is success.
    pub failures: Vec<Failure>,
}
