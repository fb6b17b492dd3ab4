//! Everything that can be set before a node starts. Drivers add nothing to it.

use crate::discovery::bootstrap::BootstrapConfig;
use crate::distribution::FileConfig;
use crate::error::ConfigError;
use crate::id::{NetworkName, PeerId, PublicKey};
use crate::io::BlockTarget;
use crate::limits::Limits;
use crate::task::TaskConfig;
use crate::time::Duration;
use crate::trust::certificate::Certificate;
use crate::trust::identifier::{IdentifierLabel, Origin};
use crate::trust::policy::{LocalIdentifierSetPolicy, TrustPolicies};
use crate::trust::secret::NetworkSecret;
use alloc::{format, string::String, vec, vec::Vec};
use core::fmt;
use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use serde::{Deserialize, Serialize};

/// How far a peer is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nothing is proved.
    Unproven,
    /// The peer proved that it holds its identity's key.
    Authenticated,
    /// The peer also proved what the policy asks for: membership, a place on the operator's list, or the application's
    /// own handshake.
    Trusted,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unproven => "unproven",
            Self::Authenticated => "authenticated",
            Self::Trusted => "trusted",
        })
    }
}

/// A lane of a channel. Each is ordered in itself; control overtakes messages, and messages overtake bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// What the channel itself says. Never held back by credit.
    Control,
    /// Messages and small packets.
    Message,
    /// Data transmissions.
    Bulk,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Message => "message",
            Self::Bulk => "bulk",
        })
    }
}

/// Where incoming peers go once they have proved who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncomingPeerPlacement {
    /// They wait in a bounded queue until the application takes them.
    #[serde(alias = "QueueBased")]
    QueueBased,
    /// They are let in, and events tell of it.
    #[default]
    #[serde(alias = "EventBased")]
    EventBased,
    /// They wait in the queue, and an event tells of each.
    #[serde(alias = "QueueAndEventBased")]
    QueueAndEventBased,
}

/// A node's configuration. [`Config::default`] runs as it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Separates networks that share a wire.
    pub network: NetworkName,
    /// Where to accept streams; port 0 lets the operating system choose. The driver binds these.
    #[doc(alias = "ListeningPort")]
    pub listen: Vec<SocketAddr>,
    /// Whether incoming connections are accepted.
    #[doc(alias = "AcceptInboundPeers")]
    pub accept_inbound: bool,
    /// What to do with incoming peers.
    pub placement: IncomingPeerPlacement,
    /// LAN discovery.
    pub lan: LanConfig,
    /// Discovery beyond the links.
    pub bootstrap: BootstrapConfig,
    /// Who may do what.
    pub policies: TrustPolicies,
    /// What this node can prove and what it accepts as proof.
    pub membership: Membership,
    /// What the node does about files.
    pub files: FileConfig,
    /// The textual network identifier, a label without meaning for security.
    pub label: String,
    /// Whether the driver makes up a label at start where none is given: by the
    /// [default derivation](crate::trust::identifier::derive), or by the application's
    /// ([`Handlers::set_identifier`](crate::handlers::Handlers::set_identifier), which asks for it by itself).
    pub derive_label: bool,
    /// A fresh identity that nothing links to an earlier run: no label, no note.
    pub anonymous: bool,
    /// Hands out the keys of every channel ([`Event::ChannelKeys`](crate::Event::ChannelKeys)), so that captured traffic
    /// can be read. For debugging alone: whoever gets hold of them reads all that the channels say.
    pub key_log: bool,
    /// Who is turned away from the start, as loaded from a state directory.
    pub blocked: Vec<BlockTarget>,
    /// If not empty, only these identities, and whoever comes from these addresses and prefixes, get a channel.
    pub allowed: Vec<BlockTarget>,
    /// How long things may take.
    pub timing: Timing,
    /// How much things may take.
    pub limits: Limits,
    /// How tasks are judged and kept.
    pub tasks: TaskConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: NetworkName::default(),
            listen: vec![SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0))],
            accept_inbound: true,
            placement: IncomingPeerPlacement::default(),
            lan: LanConfig::default(),
            bootstrap: BootstrapConfig::default(),
            policies: TrustPolicies::default(),
            membership: Membership::default(),
            files: FileConfig::default(),
            label: String::new(),
            derive_label: false,
            anonymous: false,
            key_log: false,
            blocked: Vec::new(),
            allowed: Vec::new(),
            timing: Timing::default(),
            limits: Limits::default(),
            tasks: TaskConfig::default(),
        }
    }
}

/// LAN discovery (features D1 to D4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanConfig {
    /// Whether beacons are sent and heard at all.
    #[doc(alias = "StartBroadcastingLAN")]
    #[doc(alias = "StopBroadcastingLAN")]
    pub enabled: bool,
    /// Whether to send by IPv4 broadcast.
    pub broadcast: bool,
    /// Whether to send by IPv4 multicast, to [`MULTICAST_V4`](crate::discovery::MULTICAST_V4).
    pub multicast_v4: bool,
    /// Whether to send by IPv6 link-local multicast, to [`MULTICAST_V6`](crate::discovery::MULTICAST_V6).
    pub multicast_v6: bool,
    /// The UDP ports that are listened on; beacons go to one of them at a time (`DesignatedPorts`).
    #[doc(alias = "DesignatedPorts")]
    pub designated_ports: Vec<u16>,
    /// Whether discovered peers are dialled without being asked for.
    pub connect: bool,
}

impl Default for LanConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            broadcast: true,
            multicast_v4: true,
            multicast_v6: true,
            designated_ports: vec![8001, 8002, 8003],
            connect: true,
        }
    }
}

/// What this node can prove, and what it accepts as proof (feature T8).
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// The network's shared secret.
    pub secret: Option<NetworkSecret>,
    /// The key of the network's authority: whose certificates are accepted.
    pub authority: Option<PublicKey>,
    /// This node's own certificate.
    pub certificate: Option<Certificate>,
    /// Identities that the operator trusts without further proof.
    pub trusted: Vec<PeerId>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the start of a dial to its stream.
    pub dial_timeout: Duration,
    /// From a stream to a proved identity.
    pub handshake_timeout: Duration,
    /// How long trust may take to settle before the channel is reported with what is proved so far.
    pub trust_settle: Duration,
    /// How long the application's own trust handshake may take.
    pub trust_timeout: Duration,
    /// How long an incoming peer may wait to be accepted (queue placement).
    pub pending_timeout: Duration,
    /// After so much silence a ping is sent.
    pub keep_alive: Duration,
    /// After so much silence the peer counts as gone.
    pub silence_timeout: Duration,
    /// How long a graceful close may take.
    pub linger: Duration,
    /// The first wait before a lost peer is dialled again; it doubles each time.
    pub redial_min: Duration,
    /// The longest wait between dials.
    pub redial_max: Duration,
    /// How many dials in a row may fail before a peer is given up until it is heard of again.
    pub redial_attempts_max: u32,
}

impl Timing {
    /// The least that a timeout or the wait between signs of life may be.
    const SHORTEST: Duration = Duration::from_millis(10);
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            trust_settle: Duration::from_millis(500),
            trust_timeout: Duration::from_secs(10),
            pending_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(8),
            silence_timeout: Duration::from_secs(20),
            linger: Duration::from_secs(5),
            redial_min: Duration::from_millis(500),
            redial_max: Duration::from_secs(60),
            redial_attempts_max: 20,
        }
    }
}

impl Config {
    /// Whether nothing shall link this run to another: asked for by [`anonymous`](Self::anonymous), or by the policy
    /// [`StrictLocalOnly`](LocalIdentifierSetPolicy::StrictLocalOnly) with no label. The driver then draws a fresh
    /// identity.
    pub fn is_anonymous(&self) -> bool {
        let policy = self.policies.identifier.local_identifier_set_policy;
        let unnamed = self.label.is_empty() && !self.derive_label;
        self.anonymous || (policy == LocalIdentifierSetPolicy::StrictLocalOnly && unnamed)
    }

    /// What holds of these settings of files: an anonymous node shares no stored file, since that could show which one it
    /// was in an earlier run.
    pub(crate) fn shareable(&self, files: FileConfig) -> FileConfig {
        FileConfig { share: files.share && !self.is_anonymous(), ..files }
    }

    /// Whether this node may give itself a label, and has none.
    pub fn may_derive_label(&self) -> bool {
        let policy = self.policies.identifier.local_identifier_set_policy;
        self.label.is_empty() && !self.is_anonymous() && policy.allows_local()
    }

    /// The identifier that the configuration gives, if the policy lets this node set one.
    pub(crate) fn first_label(&self) -> Result<IdentifierLabel, ConfigError> {
        let policy = self.policies.identifier.local_identifier_set_policy;
        let mut label = IdentifierLabel::new(policy);
        if !self.label.is_empty() {
            label
                .set(Origin::Local, &self.label)
                .map_err(|error| ConfigError { key: "label", problem: format!("{error}") })?;
        }
        Ok(label)
    }

    /// Checks what types can't.
    ///
    /// # Errors
    /// [`ConfigError`] names the key at fault and what would do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |key, problem: &str| Err(ConfigError { key, problem: problem.into() });
        if self.lan.enabled && self.lan.designated_ports.is_empty() {
            return error(
                "lan.designated_ports",
                "name at least one UDP port, or turn lan.enabled off",
            );
        }
        if self.lan.designated_ports.contains(&0) {
            return error("lan.designated_ports", "0 is no port");
        }
        if self.lan.designated_ports.len() > 16 {
            return error("lan.designated_ports", "at most 16 ports");
        }
        self.first_label()?;
        if self.anonymous && !self.label.is_empty() {
            return error("label", "an anonymous node has no label: drop one of the two");
        }
        if self.derive_label && !self.label.is_empty() {
            return error("derive_label", "there is a label already: drop one of the two");
        }
        if self.derive_label && !self.may_derive_label() {
            return error(
                "derive_label",
                "an anonymous node has no label, and a policy that leaves it to an authority derives none",
            );
        }
        if self.is_anonymous() && self.membership.certificate.is_some() {
            return error(
                "membership.certificate",
                "a certificate names an identity, so an anonymous node can't show one",
            );
        }
        let timing = &self.timing;
        // Less time than a machine needs to answer at all would end every channel, or fill it with pings.
        let spans = [
            ("timing.dial_timeout", timing.dial_timeout),
            ("timing.handshake_timeout", timing.handshake_timeout),
            ("timing.trust_timeout", timing.trust_timeout),
            ("timing.pending_timeout", timing.pending_timeout),
            ("timing.keep_alive", timing.keep_alive),
        ];
        if let Some((key, _)) = spans.iter().find(|(_, span)| *span < Timing::SHORTEST) {
            return error(key, "must be at least 10ms");
        }
        if timing.keep_alive >= timing.silence_timeout {
            return error("timing.keep_alive", "must be shorter than timing.silence_timeout");
        }
        if timing.redial_min > timing.redial_max || timing.redial_min.is_zero() {
            return error("timing.redial_min", "must be over zero and at most timing.redial_max");
        }
        self.policies.validate()?;
        self.bootstrap
            .validate()
            .map_err(|(key, problem)| ConfigError { key, problem: problem.into() })?;
        self.limits
            .validate()
            .map_err(|(key, problem)| ConfigError { key, problem: problem.into() })
    }
}
