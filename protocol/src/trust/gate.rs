//! The gate: the one table that decides which packets pass, the same for what is sent and for what is received.
//!
//! [`TABLE`] is data. It says what has to hold for each kind of packet at each level of trust; what it doesn't name
//! doesn't pass. The frames that a channel needs for itself (keep-alive, credit, proofs, closing) are no packets and
//! don't come here: they exist only once a peer has proved who it is.

use crate::config::Trust;
use crate::trust::policy::IncomingPeerTrustPolicy;
use crate::wire::packet::PacketKind;
use alloc::string::String;
use core::fmt::{self, Write as _};

/// What has to hold for a packet to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing helps.
    Never,
    /// Nothing is asked.
    Always,
    /// The policy allows the everyday packets, or all of them, before a peer is trusted.
    DefaultCommunication,
    /// The policy allows all packets before a peer is trusted.
    EnhancedExchange,
    /// The application's own trust handshake is under way.
    DuringHandshake,
}

impl Condition {
    const fn holds(self, policy: &IncomingPeerTrustPolicy, handshaking: bool) -> bool {
        let enhanced = policy.allow_enhanced_packet_exchange && !policy.trusted_only;
        let default = policy.allow_default_communication && !policy.trusted_only;
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::DefaultCommunication => default || enhanced,
            Self::EnhancedExchange => enhanced,
            Self::DuringHandshake => handshaking,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "no",
            Self::Always => "yes",
            Self::DefaultCommunication => {
                "with `allow_default_communication` or `allow_enhanced_packet_exchange`, \
                 and without `trusted_only`"
            }
            Self::EnhancedExchange => {
                "with `allow_enhanced_packet_exchange` and without `trusted_only`"
            }
            Self::DuringHandshake => "while the application's trust handshake runs",
        })
    }
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind of packet that this row is about.
    pub kind: PacketKind,
    /// What has to hold while nothing is proved.
    pub unproven: Condition,
    /// What has to hold once the peer has proved its identity.
    pub authenticated: Condition,
    /// What has to hold once the peer is trusted.
    pub trusted: Condition,
}

impl Row {
    const fn at(&self, trust: Trust) -> Condition {
        match trust {
            Trust::Unproven => self.unproven,
            Trust::Authenticated => self.authenticated,
            Trust::Trusted => self.trusted,
        }
    }
}

/// The gate, as data: a row for each kind, in the order of [`PacketKind::ALL`].
pub const TABLE: [Row; PacketKind::ALL.len()] = {
    use Condition::{Always, DefaultCommunication, DuringHandshake, EnhancedExchange, Never};
    const fn row(kind: PacketKind, authenticated: Condition, trusted: Condition) -> Row {
        Row { kind, unproven: Never, authenticated, trusted }
    }
    [
        row(PacketKind::Identity, EnhancedExchange, Always),
        row(PacketKind::Disconnect, Always, Always),
        row(PacketKind::PeerGroup, EnhancedExchange, Always),
        row(PacketKind::DataTransmission, EnhancedExchange, Always),
        row(PacketKind::PureMessage, DefaultCommunication, Always),
        row(PacketKind::TrustStep, DuringHandshake, DuringHandshake),
    ]
};

/// Whether a packet of this kind passes between this node and a peer trusted so far. `handshaking` tells whether the
/// application's own trust handshake is under way with the peer.
pub fn gate(
    trust: Trust,
    policy: &IncomingPeerTrustPolicy,
    handshaking: bool,
    kind: PacketKind,
) -> bool {
    TABLE
        .iter()
        .find(|row| row.kind == kind)
        .is_some_and(|row| row.at(trust).holds(policy, handshaking))
}

/// The gate's answers for one peer, worked out once for each change of its trust: a channel asks on every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate(u8);

impl Gate {
    /// Lets nothing pass.
    pub const CLOSED: Self = Self(0);

    /// The answers at this trust. See [`gate`] for the arguments.
    pub fn new(trust: Trust, policy: &IncomingPeerTrustPolicy, handshaking: bool) -> Self {
        let open = PacketKind::ALL
            .into_iter()
            .filter(|kind| gate(trust, policy, handshaking, *kind))
            .fold(0, |mask, kind| mask | Self::bit(kind));
        Self(open)
    }

    /// Whether a packet of this kind passes.
    pub const fn passes(self, kind: PacketKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    const fn bit(kind: PacketKind) -> u8 {
        match kind {
            PacketKind::Identity => 1,
            PacketKind::Disconnect => 1 << 1,
            PacketKind::PeerGroup => 1 << 2,
            PacketKind::DataTransmission => 1 << 3,
            PacketKind::PureMessage => 1 << 4,
            PacketKind::TrustStep => 1 << 5,
        }
    }
}

/// The table as Markdown, as it stands in `docs/trust.md`.
pub fn markdown() -> String {
    let mut text =
        String::from("| Packet | Unproven | Authenticated | Trusted |\n|---|---|---|---|\n");
    for row in TABLE {
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "| {:?} | {} | {} | {} |",
            row.kind, row.unproven, row.authenticated, row.trusted
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const TRUST: [Trust; 3] = [Trust::Unproven, Trust::Authenticated, Trust::Trusted];

    /// Every combination of the policy's flags.
    pub(crate) fn policies() -> Vec<IncomingPeerTrustPolicy> {
        (0..64u8)
            .map(|bits| IncomingPeerTrustPolicy {
                allow_default_communication: bits & 1 != 0,
                allow_enhanced_packet_exchange: bits & 2 != 0,
                run_default_trust_protocol: bits & 4 != 0,
                trust_authenticated: bits & 8 != 0,
                trusted_only: bits & 16 != 0,
                application_handshake: bits & 32 != 0,
            })
            .collect()
    }

    /// The rules once more, in the order in which one would explain them, and without the table.
    fn rules(
        trust: Trust,
        p: &IncomingPeerTrustPolicy,
        handshaking: bool,
        kind: PacketKind,
    ) -> bool {
        if trust == Trust::Unproven {
            return false;
        }
        if kind == PacketKind::TrustStep {
            return handshaking;
        }
        if kind == PacketKind::Disconnect || trust == Trust::Trusted {
            return true;
        }
        if p.trusted_only {
            return false;
        }
        p.allow_enhanced_packet_exchange
            || (p.allow_default_communication && kind == PacketKind::PureMessage)
    }

    #[test]
    fn the_table_is_the_rules() {
        let mut asked = 0;
        for policy in policies() {
            for (trust, handshaking) in TRUST.into_iter().flat_map(|t| [(t, false), (t, true)]) {
                let answers = Gate::new(trust, &policy, handshaking);
                for kind in PacketKind::ALL {
                    let expected = rules(trust, &policy, handshaking, kind);
                    let what = (trust, policy, handshaking, kind);
                    assert_eq!(gate(trust, &policy, handshaking, kind), expected, "{what:?}");
                    assert_eq!(answers.passes(kind), expected, "{what:?}");
                    asked += 1;
                }
            }
        }
        assert_eq!(asked, 64 * 3 * 2 * 6);
    }

    #[test]
    fn the_table_has_each_kind_once() {
        let kinds: Vec<_> = TABLE.iter().map(|row| row.kind).collect();
        assert_eq!(kinds, PacketKind::ALL);
        assert!(PacketKind::ALL.into_iter().all(|kind| !Gate::CLOSED.passes(kind)));
    }

    /// Flipping any one flag that the gate reads changes at least one answer.
    #[test]
    fn each_flag_of_the_gate_counts() {
        let base = IncomingPeerTrustPolicy {
            allow_default_communication: false,
            ..IncomingPeerTrustPolicy::default()
        };
        let message = |policy: &IncomingPeerTrustPolicy| {
            gate(Trust::Authenticated, policy, false, PacketKind::PureMessage)
        };
        assert!(!message(&base));
        let default = IncomingPeerTrustPolicy { allow_default_communication: true, ..base };
        assert!(message(&default));
        assert!(!message(&IncomingPeerTrustPolicy { trusted_only: true, ..default }));
        let group = |policy: &IncomingPeerTrustPolicy| {
            gate(Trust::Authenticated, policy, false, PacketKind::PeerGroup)
        };
        assert!(!group(&default));
        assert!(group(&IncomingPeerTrustPolicy { allow_enhanced_packet_exchange: true, ..base }));
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let docs = include_str!("../../../docs/trust.md");
        assert!(docs.contains(&markdown()), "put this into docs/trust.md:\n{}", markdown());
    }
}
