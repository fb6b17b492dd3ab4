//! What happens to a peer's trust once it has proved its identity: the flags that aren't about packets.

use crate::config::Trust;
use crate::io::TrustChange;
use crate::trust::policy::IncomingPeerTrustPolicy;

/// How a channel's trust begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Why the peer is trusted at once, if it is; else it is authenticated.
    pub(crate) raised: Option<TrustChange>,
    /// What its trust waits for.
    pub(crate) waits_for: WaitsFor,
    /// Whether this node shows its own proofs of membership. It does so even to a peer that it trusts already: that
    /// peer may not trust this node yet.
    pub(crate) shows_proofs: bool,
}

/// What decides about a peer that is not settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Nothing: trust is settled.
    Nothing,
    /// The peer's proofs of membership.
    Proofs,
    /// The application's own handshake, which both sides must run. It may demote a peer that the policy trusted at once;
    /// for one that the operator listed it runs for the other side's sake, and decides nothing.
    Handshake,
}

/// What the policy makes of a peer that has just proved its identity. `listed` tells whether the operator's list of
/// trusted identities has it, `proofs_count` whether this node could accept any proof at all
/// ([`Standing::accepts_proofs`](crate::trust::membership::Standing::accepts_proofs)).
pub(crate) const fn opening(
    policy: &IncomingPeerTrustPolicy,
    listed: bool,
    proofs_count: bool,
) -> Opening {
    let raised = if listed {
        Some(TrustChange::Listed)
    } else if policy.trust_authenticated {
        Some(TrustChange::Policy)
    } else {
        None
    };
    let waits_for = if policy.application_handshake {
        WaitsFor::Handshake
    } else if policy.run_default_trust_protocol && proofs_count && raised.is_none() {
        WaitsFor::Proofs
    } else {
        WaitsFor::Nothing
    };
    Opening { raised, waits_for, shows_proofs: policy.run_default_trust_protocol }
}

/// Whether a peer whose trust is settled may keep its channel.
pub(crate) const fn may_stay(policy: &IncomingPeerTrustPolicy, trust: Trust) -> bool {
    match trust {
        Trust::Unproven => false,
        Trust::Authenticated => !policy.trusted_only,
        Trust::Trusted => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: IncomingPeerTrustPolicy = IncomingPeerTrustPolicy {
        allow_default_communication: true,
        allow_enhanced_packet_exchange: false,
        run_default_trust_protocol: false,
        trust_authenticated: false,
        trusted_only: false,
        application_handshake: false,
    };

    fn opened(raised: Option<TrustChange>, waits_for: WaitsFor, shows_proofs: bool) -> Opening {
        Opening { raised, waits_for, shows_proofs }
    }

    /// Nobody is trusted without a reason that the policy names.
    #[test]
    fn an_authenticated_peer_stays_authenticated() {
        assert_eq!(opening(&PLAIN, false, true), opened(None, WaitsFor::Nothing, false));
    }

    #[test]
    fn run_default_trust_protocol_shows_and_awaits_proofs() {
        let policy = IncomingPeerTrustPolicy { run_default_trust_protocol: true, ..PLAIN };
        assert_eq!(opening(&policy, false, true), opened(None, WaitsFor::Proofs, true));
        assert_eq!(opening(&policy, false, false), opened(None, WaitsFor::Nothing, true));
    }

    #[test]
    fn trust_authenticated_trusts_at_once() {
        let policy = IncomingPeerTrustPolicy { trust_authenticated: true, ..PLAIN };
        let trusted = Some(TrustChange::Policy);
        assert_eq!(opening(&policy, false, true), opened(trusted, WaitsFor::Nothing, false));
        let policy = IncomingPeerTrustPolicy { run_default_trust_protocol: true, ..policy };
        assert_eq!(opening(&policy, false, true), opened(trusted, WaitsFor::Nothing, true));
    }

    #[test]
    fn a_listed_peer_is_trusted_at_once() {
        let trusted = Some(TrustChange::Listed);
        assert_eq!(opening(&PLAIN, true, true), opened(trusted, WaitsFor::Nothing, false));
    }

    #[test]
    fn the_application_handshake_runs_with_everyone() {
        let policy = IncomingPeerTrustPolicy {
            application_handshake: true,
            run_default_trust_protocol: true,
            ..PLAIN
        };
        assert_eq!(opening(&policy, false, true), opened(None, WaitsFor::Handshake, true));
        let trusted = Some(TrustChange::Listed);
        assert_eq!(opening(&policy, true, true), opened(trusted, WaitsFor::Handshake, true));
    }

    #[test]
    fn trusted_only_turns_the_others_away() {
        let strict = IncomingPeerTrustPolicy { trusted_only: true, ..PLAIN };
        assert!(may_stay(&PLAIN, Trust::Authenticated) && !may_stay(&strict, Trust::Authenticated));
        assert!(may_stay(&PLAIN, Trust::Trusted) && may_stay(&strict, Trust::Trusted));
        assert!(!may_stay(&PLAIN, Trust::Unproven) && !may_stay(&strict, Trust::Unproven));
    }
}
