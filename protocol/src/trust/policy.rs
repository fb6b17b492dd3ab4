//! Policies: what the operator allows, as plain flags. The gate table (`trust::gate`) turns them into decisions.

use crate::error::ConfigError;
use crate::trust::bootstrap_policy::BootstrapTrustPolicy;
use core::fmt;
use serde::{Deserialize, Serialize};

/// All policies of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustPolicies {
    /// What peers may do.
    pub incoming: IncomingPeerTrustPolicy,
    /// How the node's textual identifier may be set.
    pub identifier: PeerNetworkTrustPolicy,
    /// Which bootstrap servers may be used.
    pub bootstrap: BootstrapTrustPolicy,
}

/// What peers may do before and after they are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IncomingPeerTrustPolicy {
    /// Whether authenticated peers may exchange messages (`AllowDefaultCommunication`).
    #[doc(alias = "AllowDefaultCommunication")]
    pub allow_default_communication: bool,
    /// Whether authenticated peers may exchange every other packet too (`AllowEnhancedPacketExchange`).
    #[doc(alias = "AllowEnhancedPacketExchange")]
    pub allow_enhanced_packet_exchange: bool,
    /// Whether proofs of membership are shown and checked (`RunDefaultTrustProtocol`).
    #[doc(alias = "RunDefaultTrustProtocol")]
    pub run_default_trust_protocol: bool,
    /// Whether every proven identity is trusted at once (the `open` policy).
    pub trust_authenticated: bool,
    /// Whether peers that end up untrusted are turned away (the `strict` policy).
    pub trusted_only: bool,
    /// Whether the application's own handshake decides about trust (`PeerTrustHandshake`).
    pub application_handshake: bool,
}

impl Default for IncomingPeerTrustPolicy {
    fn default() -> Self {
        Self {
            allow_default_communication: true,
            allow_enhanced_packet_exchange: false,
            run_default_trust_protocol: true,
            trust_authenticated: false,
            trusted_only: false,
            application_handshake: false,
        }
    }
}

/// How the textual network identifier may be set (`PeerNetworkTrustPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerNetworkTrustPolicy {
    /// Who may set it.
    #[doc(alias = "LocalIdentifierSetPolicy")]
    pub local_identifier_set_policy: LocalIdentifierSetPolicy,
}

/// Who may set this node's textual identifier, and how often.
#[doc(alias = "LocalIdentifierSetPolicyType")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalIdentifierSetPolicy {
    /// Once, by this node.
    #[serde(alias = "StrictLocalOnly")]
    StrictLocalOnly,
    /// By this node alone.
    #[serde(alias = "Local")]
    Local,
    /// By this node and by an authority.
    #[default]
    #[serde(alias = "LocalAndRemote")]
    LocalAndRemote,
    /// By an authority alone.
    #[serde(alias = "RemoteOnly")]
    RemoteOnly,
    /// Once, by an authority.
    #[serde(alias = "StrictRemoteOnly")]
    StrictRemoteOnly,
}

impl LocalIdentifierSetPolicy {
    /// Whether the identifier is locked once it is set.
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::StrictLocalOnly | Self::StrictRemoteOnly)
    }

    /// Whether this node may set it.
    pub const fn allows_local(self) -> bool {
        matches!(self, Self::StrictLocalOnly | Self::Local | Self::LocalAndRemote)
    }

    /// Whether an authority may set it.
    pub const fn allows_remote(self) -> bool {
        matches!(self, Self::LocalAndRemote | Self::RemoteOnly | Self::StrictRemoteOnly)
    }
}

impl fmt::Display for LocalIdentifierSetPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StrictLocalOnly => "strict-local-only",
            Self::Local => "local",
            Self::LocalAndRemote => "local-and-remote",
            Self::RemoteOnly => "remote-only",
            Self::StrictRemoteOnly => "strict-remote-only",
        })
    }
}

impl TrustPolicies {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let incoming = &self.incoming;
        if incoming.trusted_only && incoming.trust_authenticated {
            return Err(ConfigError {
                key: "policies.incoming.trusted_only",
                problem: "contradicts trust_authenticated: keep one of the two".into(),
            });
        }
        Ok(())
    }
}
