//! One node of the simulation: a real [`PeerNetwork`], and what its application knows.

use crate::chance::{mix, rng};
use crate::host::{Host, Member};
use crate::provider::Provider;
use crate::queue::{HostId, Life};
use crate::scenario::{LimitsKind, Planted, Scenario};
use crate::stream::EndId;
use crate::trace::Recorder;
use p2pnet_protocol::trust::secret::NetworkSecret;
use p2pnet_protocol::{
    BlockTarget, Config, ConnId, Crypto, Input, Instant, Limits, ListenerId, PeerId, PeerNetwork,
    Seed, Trust,
};
use std::collections::BTreeMap;

/// An open channel as the application knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) peer: PeerId,
    pub(crate) end: EndId,
    pub(crate) trust: Trust,
}

/// A running node.
pub(crate) struct Node<C: Crypto> {
    pub(crate) net: PeerNetwork<C>,
    pub(crate) ends: BTreeMap<ConnId, EndId>,
    /// When it is going to be woken, in the world's time.
    pub(crate) wake: Option<Instant>,
    pub(crate) channels: BTreeMap<ConnId, Channel>,
    pub(crate) stopping: bool,
    pub(crate) recorder: Option<Recorder>,
}

impl<C: Crypto> Node<C> {
    /// The open channel to a peer; the newest, where a new one takes an old one's place.
    pub(crate) fn channel_to(&self, peer: &PeerId) -> Option<&Channel> {
        self.channels.values().rev().find(|channel| channel.peer == *peer)
    }

    /// Hands in something rare.
    pub(crate) fn give(&mut self, now: Instant, input: Input) {
        self.record(now, || input.clone());
        self.net.handle(now, input);
    }

    pub(crate) fn record(&mut self, now: Instant, input: impl FnOnce() -> Input) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input());
        }
    }

    /// Bytes to write on a stream.
    pub(crate) fn poll_write(
        &mut self,
        now: Instant,
        conn: ConnId,
        bytes_max: usize,
    ) -> Option<Box<[u8]>> {
        let bytes = u32::try_from(bytes_max).unwrap_or(u32::MAX);
        self.record(now, || Input::PollWrite { conn, bytes_max: bytes });
        self.net.poll_write(conn, bytes as usize).map(|bytes| (*bytes).into())
    }

    pub(crate) fn incoming(&mut self, now: Instant, from: std::net::SocketAddr) -> Option<ConnId> {
        let listener = ListenerId(1);
        self.record(now, || Input::Incoming { listener, from });
        self.net.handle_incoming(now, listener, from)
    }

    pub(crate) fn stream(&mut self, now: Instant, conn: ConnId, bytes: &mut [u8]) {
        let given = self.recorder.is_some().then(|| bytes.to_vec());
        if let Some(bytes) = given {
            self.record(now, || Input::Stream { conn, bytes });
        }
        self.net.handle_stream(now, conn, bytes);
    }
}

/// Everything that decides what a node does, beside its inputs: it follows from the scenario and what its state
/// directory held.
pub(crate) fn config(scenario: &Scenario, member: Member, blocked: &[BlockTarget]) -> Config {
    let right = || format!("the secret of network {}", scenario.seed);
    let secret = match member {
        Member::No if scenario.planted == Some(Planted::FalseMember) => Some(right()),
        Member::Yes => Some(right()),
        Member::Mistaken => Some(format!("another idea of it {}", scenario.seed)),
        Member::No => None,
    };
    let secret = secret.and_then(|secret| NetworkSecret::new(secret).ok());
    let preset = match scenario.limits {
        LimitsKind::Default => Limits::default(),
        LimitsKind::Small => Limits::small(),
    };
    let limits = Limits {
        connections_max: preset.connections_max.max(2 * scenario.channels_auto_max),
        channels_auto_max: scenario.channels_auto_max,
        known_peers_max: preset.known_peers_max.max(2 * scenario.lan_nodes),
        ..preset
    };
    let mut config = Config { blocked: blocked.to_vec(), limits, ..Config::default() };
    config.membership.secret = secret;
    config
}

/// The seed of one life of one node.
pub(crate) fn seed(scenario: &Scenario, host: HostId, life: Life) -> Seed {
    let mut chance = rng(mix(scenario.seed, host.into()), &format!("life {life}"));
    let mut seed = [0; 32];
    for word in seed.chunks_mut(8) {
        word.copy_from_slice(&chance.next_u64().to_le_bytes());
    }
    Seed(seed)
}

/// Starts the core of a node.
///
/// # Errors
/// What the core refuses.
pub(crate) fn start<P: Provider>(
    scenario: &Scenario,
    id: HostId,
    host: &Host,
    now: Instant,
) -> Result<Node<P::Crypto>, String> {
    let seed = seed(scenario, id, host.life);
    let config = config(scenario, host.member, &host.blocked);
    let net = PeerNetwork::new(config, &host.identity, seed, P::provide(seed), now)
        .map_err(|error| error.to_string())?;
    Ok(Node {
        net,
        ends: BTreeMap::new(),
        wake: None,
        channels: BTreeMap::new(),
        stopping: false,
        recorder: None,
    })
}
