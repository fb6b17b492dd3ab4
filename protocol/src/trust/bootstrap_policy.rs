//! Which bootstrap servers a node may use (`BootstrapTrustPolicy`), and the lock on the first authority.

use crate::id::PublicKey;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Which bootstrap servers a node may use. Two settings that contradict each other can't be held: a flag left unset
/// follows from those that are set, and a setting that contradicts another is refused.
///
/// ```
/// use p2pnet_protocol::trust::bootstrap_policy::BootstrapTrustPolicy;
/// let mut policy = BootstrapTrustPolicy::default();
/// assert!(policy.allow_bootstrap_trustless_connection());
/// policy.set_must_be_authority(true).unwrap();
/// assert!(!policy.allow_bootstrap_trustless_connection());
/// assert!(policy.set_allow_bootstrap_trustless_connection(true).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Flags", into = "Flags")]
pub struct BootstrapTrustPolicy(Flags);

/// The flags as they were set; none where nobody said anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_bootstrap_trustless_connection: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_bootstrap_authority_connection: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    must_be_authority: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_single_locking_authority: Option<bool>,
}

/// Two settings that can't both hold. Nothing has changed.
#[doc(alias = "TrustPolicyConflictException")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyConflict {
    /// A lock on an authority, without insisting on one.
    LockWithoutAuthority,
    /// Insisting on an authority, without allowing one.
    AuthorityNotAllowed,
    /// Insisting on an authority, and allowing servers without one.
    TrustlessAllowed,
}

impl fmt::Display for PolicyConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LockWithoutAuthority => {
                "first_single_locking_authority needs must_be_authority: drop one of the two settings"
            }
            Self::AuthorityNotAllowed => {
                "must_be_authority needs allow_bootstrap_authority_connection: drop one of the two settings"
            }
            Self::TrustlessAllowed => {
                "must_be_authority contradicts allow_bootstrap_trustless_connection: drop one of the two settings"
            }
        })
    }
}

impl core::error::Error for PolicyConflict {}

impl BootstrapTrustPolicy {
    /// Whether servers without an authority's key may be used. True unless [`must_be_authority`](Self::must_be_authority).
    #[doc(alias = "AllowBootstrapTrustlessConnection")]
    pub fn allow_bootstrap_trustless_connection(&self) -> bool {
        self.0.trustless()
    }

    /// Whether servers with an authority's key may be used. False unless [`must_be_authority`](Self::must_be_authority).
    #[doc(alias = "AllowBootstrapAuthorityConnection")]
    pub fn allow_bootstrap_authority_connection(&self) -> bool {
        self.0.authority()
    }

    /// Whether only servers with an authority's key may be used.
    #[doc(alias = "MustBeAuthority")]
    pub fn must_be_authority(&self) -> bool {
        self.0.must()
    }

    /// Whether the first authority met is the only one from then on ([`AuthorityLock`]).
    #[doc(alias = "FirstSingleLockingAuthority")]
    pub fn first_single_locking_authority(&self) -> bool {
        self.0.lock()
    }

    /// Sets [`allow_bootstrap_trustless_connection`](Self::allow_bootstrap_trustless_connection).
    ///
    /// # Errors
    /// [`PolicyConflict`] if another setting contradicts it.
    pub fn set_allow_bootstrap_trustless_connection(
        &mut self,
        allow: bool,
    ) -> Result<(), PolicyConflict> {
        self.replace(Flags { allow_bootstrap_trustless_connection: Some(allow), ..self.0 })
    }

    /// Sets [`allow_bootstrap_authority_connection`](Self::allow_bootstrap_authority_connection).
    ///
    /// # Errors
    /// [`PolicyConflict`] if another setting contradicts it.
    pub fn set_allow_bootstrap_authority_connection(
        &mut self,
        allow: bool,
    ) -> Result<(), PolicyConflict> {
        self.replace(Flags { allow_bootstrap_authority_connection: Some(allow), ..self.0 })
    }

    /// Sets [`must_be_authority`](Self::must_be_authority).
    ///
    /// # Errors
    /// [`PolicyConflict`] if another setting contradicts it.
    pub fn set_must_be_authority(&mut self, must: bool) -> Result<(), PolicyConflict> {
        self.replace(Flags { must_be_authority: Some(must), ..self.0 })
    }

    /// Sets [`first_single_locking_authority`](Self::first_single_locking_authority).
    ///
    /// # Errors
    /// [`PolicyConflict`] if another setting contradicts it.
    pub fn set_first_single_locking_authority(&mut self, lock: bool) -> Result<(), PolicyConflict> {
        self.replace(Flags { first_single_locking_authority: Some(lock), ..self.0 })
    }

    fn replace(&mut self, flags: Flags) -> Result<(), PolicyConflict> {
        *self = flags.try_into()?;
        Ok(())
    }
}

impl Flags {
    fn lock(&self) -> bool {
        self.first_single_locking_authority.unwrap_or(false)
    }

    fn must(&self) -> bool {
        self.must_be_authority.unwrap_or(self.lock())
    }

    fn authority(&self) -> bool {
        self.allow_bootstrap_authority_connection.unwrap_or(self.must())
    }

    fn trustless(&self) -> bool {
        self.allow_bootstrap_trustless_connection.unwrap_or(!self.must())
    }
}

impl TryFrom<Flags> for BootstrapTrustPolicy {
    type Error = PolicyConflict;
    fn try_from(flags: Flags) -> Result<Self, PolicyConflict> {
        if flags.lock() && !flags.must() {
            Err(PolicyConflict::LockWithoutAuthority)
        } else if flags.must() && !flags.authority() {
            Err(PolicyConflict::AuthorityNotAllowed)
        } else if flags.must() && flags.trustless() {
            Err(PolicyConflict::TrustlessAllowed)
        } else {
            Ok(Self(flags))
        }
    }
}

impl From<BootstrapTrustPolicy> for Flags {
    fn from(policy: BootstrapTrustPolicy) -> Self {
        policy.0
    }
}

/// What a bootstrap server shows.
#[doc(alias = "BootstrapTrustPolicyType")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapOffer {
    /// Peers, and no key.
    Trustless,
    /// Peers in a list signed by this authority; the caller has checked the signature.
    Authority(PublicKey),
}

/// Why a bootstrap server may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapRefused {
    /// `allow_bootstrap_trustless_connection` is off.
    TrustlessNotAllowed,
    /// `allow_bootstrap_authority_connection` is off.
    AuthorityNotAllowed,
    /// `first_single_locking_authority` is on, and another authority came first: this one.
    OtherAuthority(PublicKey),
}

impl fmt::Display for BootstrapRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrustlessNotAllowed => {
                f.write_str("the policy allows no bootstrap server without an authority")
            }
            Self::AuthorityNotAllowed => {
                f.write_str("the policy allows no bootstrap server with an authority")
            }
            Self::OtherAuthority(first) => write!(f, "the node is locked to the authority {first}"),
        }
    }
}

impl core::error::Error for BootstrapRefused {}

/// The authority that a node is locked to, if it is (`FirstSingleLockingAuthoritySet`). Keep it across restarts.
#[doc(alias = "FirstSingleLockingAuthoritySet")]
#[doc(alias = "SetFirstLockingAuthority")]
#[doc(alias = "InitialAuthorityLockedException")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityLock(Option<PublicKey>);

impl AuthorityLock {
    /// A lock on `authority`, as loaded from a state directory.
    pub const fn on(authority: PublicKey) -> Self {
        Self(Some(authority))
    }

    /// The authority that the node is locked to.
    pub const fn authority(&self) -> Option<&PublicKey> {
        self.0.as_ref()
    }

    /// Whether `policy` lets the node use a server that shows `offer`. Under `first_single_locking_authority`, the first
    /// authority let through becomes the only one; it may be used again at any time.
    ///
    /// # Errors
    /// [`BootstrapRefused`]; the lock is then as it was.
    pub fn admit(
        &mut self,
        policy: &BootstrapTrustPolicy,
        offer: BootstrapOffer,
    ) -> Result<(), BootstrapRefused> {
        let key = match offer {
            BootstrapOffer::Trustless if policy.allow_bootstrap_trustless_connection() => {
                return Ok(());
            }
            BootstrapOffer::Trustless => return Err(BootstrapRefused::TrustlessNotAllowed),
            BootstrapOffer::Authority(key) => key,
        };
        if !policy.allow_bootstrap_authority_connection() {
            return Err(BootstrapRefused::AuthorityNotAllowed);
        }
        if policy.first_single_locking_authority() {
            match self.0 {
                Some(first) if first != key => return Err(BootstrapRefused::OtherAuthority(first)),
                _ => self.0 = Some(key),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PublicKey = PublicKey([1; 32]);
    const B: PublicKey = PublicKey([2; 32]);

    fn shown(policy: &BootstrapTrustPolicy) -> [bool; 4] {
        [
            policy.allow_bootstrap_trustless_connection(),
            policy.allow_bootstrap_authority_connection(),
            policy.must_be_authority(),
            policy.first_single_locking_authority(),
        ]
    }

    #[test]
    fn what_is_unset_follows_from_what_is_set() {
        let mut policy = BootstrapTrustPolicy::default();
        assert_eq!(shown(&policy), [true, false, false, false]);
        policy.set_must_be_authority(true).unwrap();
        assert_eq!(shown(&policy), [false, true, true, false]);
        policy.set_first_single_locking_authority(true).unwrap();
        assert_eq!(shown(&policy), [false, true, true, true]);
        let mut policy = BootstrapTrustPolicy::default();
        policy.set_first_single_locking_authority(true).unwrap();
        assert_eq!(shown(&policy), [false, true, true, true]);
        let mut policy = BootstrapTrustPolicy::default();
        policy.set_allow_bootstrap_authority_connection(true).unwrap();
        assert_eq!(shown(&policy), [true, true, false, false]);
    }

    /// Of all 3⁴ ways to set, leave and clear the flags, what is accepted never contradicts itself, and what is refused
    /// couldn't have been meant.
    #[test]
    fn contradictions_are_refused_when_set() {
        let choices = [None, Some(false), Some(true)];
        let (mut accepted, mut refused) = (0, 0);
        for n in 0..81usize {
            let choice = |place: usize| choices[n / 3usize.pow(place as u32) % 3];
            let flags = Flags {
                allow_bootstrap_trustless_connection: choice(0),
                allow_bootstrap_authority_connection: choice(1),
                must_be_authority: choice(2),
                first_single_locking_authority: choice(3),
            };
            let insists = choice(2) == Some(true) || choice(3) == Some(true);
            let contradicts = (choice(3) == Some(true) && choice(2) == Some(false))
                || (insists && choice(0) == Some(true))
                || (insists && choice(1) == Some(false));
            match BootstrapTrustPolicy::try_from(flags) {
                Ok(policy) => {
                    let [trustless, authority, must, lock] = shown(&policy);
                    assert!(!contradicts, "{flags:?}");
                    assert!(!must || (authority && !trustless), "{flags:?}");
                    assert!(!lock || must, "{flags:?}");
                    accepted += 1;
                }
                Err(_) => {
                    assert!(contradicts, "{flags:?}");
                    refused += 1;
                }
            }
        }
        assert!(accepted > 20 && refused > 20, "{accepted} {refused}");
    }

    #[test]
    fn a_refused_setting_changes_nothing() {
        let mut policy = BootstrapTrustPolicy::default();
        policy.set_must_be_authority(true).unwrap();
        let before = policy;
        assert_eq!(
            policy.set_allow_bootstrap_trustless_connection(true),
            Err(PolicyConflict::TrustlessAllowed)
        );
        assert_eq!(
            policy.set_allow_bootstrap_authority_connection(false),
            Err(PolicyConflict::AuthorityNotAllowed)
        );
        assert_eq!(policy, before);
        policy.set_first_single_locking_authority(true).unwrap();
        assert_eq!(policy.set_must_be_authority(false), Err(PolicyConflict::LockWithoutAuthority));
    }

    #[test]
    fn each_flag_decides_about_offers() {
        let mut lock = AuthorityLock::default();
        let mut policy = BootstrapTrustPolicy::default();
        let refused = Err(BootstrapRefused::AuthorityNotAllowed);
        assert_eq!(lock.admit(&policy, BootstrapOffer::Trustless), Ok(()));
        assert_eq!(lock.admit(&policy, BootstrapOffer::Authority(A)), refused);
        policy.set_allow_bootstrap_authority_connection(true).unwrap();
        assert_eq!(lock.admit(&policy, BootstrapOffer::Authority(A)), Ok(()));
        assert_eq!(lock.admit(&policy, BootstrapOffer::Authority(B)), Ok(()));
        assert_eq!(lock.authority(), None);
        policy.set_must_be_authority(true).unwrap();
        let refused = Err(BootstrapRefused::TrustlessNotAllowed);
        assert_eq!(lock.admit(&policy, BootstrapOffer::Trustless), refused);
        let mut none = BootstrapTrustPolicy::default();
        none.set_allow_bootstrap_trustless_connection(false).unwrap();
        assert_eq!(lock.admit(&none, BootstrapOffer::Trustless), refused);
    }

    #[test]
    fn the_lock_keeps_the_first_authority_and_lets_it_reconnect() {
        let mut policy = BootstrapTrustPolicy::default();
        policy.set_first_single_locking_authority(true).unwrap();
        let mut lock = AuthorityLock::default();
        assert_eq!(lock.admit(&policy, BootstrapOffer::Authority(A)), Ok(()));
        let refused = Err(BootstrapRefused::OtherAuthority(A));
        assert_eq!(lock.admit(&policy, BootstrapOffer::Authority(B)), refused);
        assert_eq!(lock.admit(&policy, BootstrapOffer::Authority(A)), Ok(()));
        assert_eq!(lock, AuthorityLock::on(A));
    }
}
