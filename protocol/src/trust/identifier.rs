//! The textual network identifier: a label that people can read. It names a node and proves nothing.
//!
//! Who may set it is a policy ([`LocalIdentifierSetPolicy`]), enforced for both origins alike: this node, and the
//! authority of its network.

use crate::time::UnixTime;
use crate::trust::policy::LocalIdentifierSetPolicy;
use crate::wire::packet::IdentityPacket;
use alloc::{borrow::ToOwned as _, format, string::String};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

/// Who sets an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// This node: its operator or its application.
    Local,
    /// The network's authority, over the wire.
    Remote,
}

/// Why an identifier or its policy was not set. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierError {
    /// The policy doesn't let this side set it.
    NotAllowed {
        /// Who tried.
        origin: Origin,
        /// What forbids it.
        policy: LocalIdentifierSetPolicy,
    },
    /// The policy lets it be set once, and it is set.
    Locked(LocalIdentifierSetPolicy),
    /// It is empty, over [`IdentityPacket::LABEL_BYTES_MAX`] bytes, or has control characters.
    BadText,
    /// The node is anonymous.
    Anonymous,
}

impl fmt::Display for IdentifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { origin, policy } => {
                let who = match origin {
                    Origin::Local => "this node",
                    Origin::Remote => "an authority",
                };
                write!(f, "the policy {policy} does not let {who} set the identifier")
            }
            Self::Locked(policy) => {
                write!(f, "the identifier is set, and the policy {policy} lets that happen once")
            }
            Self::Anonymous => f.write_str("an anonymous node has no identifier"),
            Self::BadText => write!(
                f,
                "an identifier has 1 to {} bytes and no control characters",
                IdentityPacket::LABEL_BYTES_MAX
            ),
        }
    }
}

impl core::error::Error for IdentifierError {}

/// This node's textual identifier and the rule for setting it.
#[doc(alias = "Identifier")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentifierLabel {
    policy: LocalIdentifierSetPolicy,
    text: String,
}

impl IdentifierLabel {
    /// No identifier yet.
    pub const fn new(policy: LocalIdentifierSetPolicy) -> Self {
        Self { policy, text: String::new() }
    }

    /// The identifier; empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Sets the identifier if the policy lets `origin` do so.
    ///
    /// # Errors
    /// [`IdentifierError`]; the identifier is then as it was.
    #[doc(alias = "SetIdentifier")]
    pub fn set(&mut self, origin: Origin, text: &str) -> Result<(), IdentifierError> {
        let policy = self.policy;
        let allowed = match origin {
            Origin::Local => policy.allows_local(),
            Origin::Remote => policy.allows_remote(),
        };
        if !allowed {
            return Err(IdentifierError::NotAllowed { origin, policy });
        }
        if self.is_locked() {
            return Err(IdentifierError::Locked(policy));
        }
        let fits = (1..=IdentityPacket::LABEL_BYTES_MAX).contains(&text.len());
        if !fits || text.chars().any(char::is_control) {
            return Err(IdentifierError::BadText);
        }
        text.clone_into(&mut self.text);
        Ok(())
    }

    /// Changes the rule.
    ///
    /// # Errors
    /// [`IdentifierError::Locked`] once the identifier was set under a strict rule.
    pub fn set_policy(&mut self, policy: LocalIdentifierSetPolicy) -> Result<(), IdentifierError> {
        if self.is_locked() && policy != self.policy {
            return Err(IdentifierError::Locked(self.policy));
        }
        self.policy = policy;
        Ok(())
    }

    const fn is_locked(&self) -> bool {
        self.policy.is_strict() && !self.text.is_empty()
    }
}

/// What the default derivation of an identifier starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentifierSource {
    /// The hardware address of the interface in use.
    pub mac: Option<[u8; 6]>,
    /// The wall clock.
    pub time: Option<UnixTime>,
    /// The public IPv6 address, used if there is one.
    pub public_v6: Option<Ipv6Addr>,
    /// The public IPv4 address, used if there is no IPv6 address.
    pub public_v4: Option<Ipv4Addr>,
}

/// The default derivation: `MD5(MD5(MAC " " TIME) IP)`, where `MAC` is six lower-case hex pairs joined by colons,
/// `TIME` is decimal seconds since 1970, the inner digest and the result are lower-case hex, and `IP` is the public
/// address in its usual text form, IPv6 preferred. What is missing is left out as empty text.
///
/// This is a label and nothing more: MD5 resists no attacker, and anyone may claim any label.
pub fn derive(source: &IdentifierSource) -> String {
    let mac = source.mac.map_or_else(String::new, |[a, b, c, d, e, f]| {
        format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    });
    let time = source.time.map_or_else(String::new, |UnixTime(secs)| format!("{secs}"));
    let ip = match (source.public_v6, source.public_v4) {
        (Some(v6), _) => format!("{v6}"),
        (None, Some(v4)) => format!("{v4}"),
        (None, None) => String::new(),
    };
    let host = md5_hex(&format!("{mac} {time}"));
    md5_hex(&format!("{host}{ip}"))
}

fn md5_hex(text: &str) -> String {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    format!("{:032x}", u128::from_be_bytes(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use LocalIdentifierSetPolicy as P;

    const POLICIES: [P; 5] =
        [P::StrictLocalOnly, P::Local, P::LocalAndRemote, P::RemoteOnly, P::StrictRemoteOnly];

    /// Every policy, both origins, first and second attempt.
    #[test]
    fn each_policy_binds_both_origins() {
        // (local first, local again, remote first, remote again)
        let table = [
            (true, false, false, false),
            (true, true, false, false),
            (true, true, true, true),
            (false, false, true, true),
            (false, false, true, false),
        ];
        for (policy, (local, local_again, remote, remote_again)) in POLICIES.into_iter().zip(table)
        {
            for (origin, first, again) in
                [(Origin::Local, local, local_again), (Origin::Remote, remote, remote_again)]
            {
                let mut label = IdentifierLabel::new(policy);
                let forbidden = IdentifierError::NotAllowed { origin, policy };
                let expected = if first { Ok(()) } else { Err(forbidden) };
                assert_eq!(label.set(origin, "one"), expected, "{policy} {origin:?}");
                assert_eq!(label.as_str(), if first { "one" } else { "" });
                let expected = match (first, again) {
                    (true, false) => Err(IdentifierError::Locked(policy)),
                    (false, _) => Err(forbidden),
                    (true, true) => Ok(()),
                };
                assert_eq!(label.set(origin, "two"), expected, "{policy} {origin:?}");
                assert_eq!(
                    label.as_str(),
                    if again {
                        "two"
                    } else if first {
                        "one"
                    } else {
                        ""
                    }
                );
            }
        }
    }

    #[test]
    fn a_strict_policy_can_be_left_only_before_it_took_effect() {
        let mut label = IdentifierLabel::new(P::StrictLocalOnly);
        assert_eq!(label.set_policy(P::StrictRemoteOnly), Ok(()));
        assert_eq!(label.set_policy(P::StrictLocalOnly), Ok(()));
        label.set(Origin::Local, "one").unwrap();
        assert_eq!(label.set_policy(P::Local), Err(IdentifierError::Locked(P::StrictLocalOnly)));
        assert_eq!(label.set_policy(P::StrictLocalOnly), Ok(()));
        let mut label = IdentifierLabel::new(P::Local);
        label.set(Origin::Local, "one").unwrap();
        assert_eq!(label.set_policy(P::RemoteOnly), Ok(()));
    }

    #[test]
    fn the_text_is_bounded() {
        let mut label = IdentifierLabel::new(P::Local);
        for bad in ["", "a\nb", &*"x".repeat(129)] {
            assert_eq!(label.set(Origin::Local, bad), Err(IdentifierError::BadText), "{bad:?}");
        }
        assert_eq!(label.set(Origin::Local, &"x".repeat(128)), Ok(()));
    }

    /// Worked out with `md5sum`.
    #[test]
    fn the_derivation_is_pinned() {
        let mut source = IdentifierSource {
            mac: Some([0x00, 0x1b, 0x21, 0xab, 0xcd, 0xef]),
            time: Some(UnixTime(1_700_000_000)),
            public_v6: Some("2001:db8::1".parse().unwrap()),
            public_v4: Some("192.0.2.1".parse().unwrap()),
        };
        assert_eq!(derive(&source), "beb33c85a302e021993caaebef905cd0");
        source.public_v6 = None;
        assert_eq!(derive(&source), "853ec25dc7a2f4769516f87fde080f60");
        assert_eq!(derive(&IdentifierSource::default()), "a18c43c8b63fa6800a53bb187b9ddd45");
    }
}
