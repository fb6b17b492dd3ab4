//! The default trust protocol: proofs of membership (feature T8).
//!
//! Inside a finished channel, each side shows what it can prove and raises the other only on a proof that it checked
//! itself. A proof of the network's secret is bound to this one channel by its transcript, and to one side of it by the
//! prover's role, so it can be neither replayed nor sent back. A certificate names its holder, whom the channel has
//! authenticated.

use crate::config::Membership;
use crate::crypto::Crypto;
use crate::error::ConfigError;
use crate::hash;
use crate::id::{NetworkName, PeerId, PublicKey};
use crate::io::{Direction, TrustChange};
use crate::time::UnixTime;
use crate::trust::certificate::{Certificate, CertificateError};
use crate::trust::secret::NetworkSecret;
use crate::wire::proof::Proof;
use alloc::{format, string::String, vec::Vec};
use core::fmt;
use zeroize::Zeroizing;

/// What this node can prove and what it accepts as proof, ready for use.
#[doc(alias = "DefaultTrustProtocol")]
#[derive(Clone)]
pub struct Standing {
    network: [u8; 8],
    /// Made from the network's secret and name.
    proof_key: Option<Zeroizing<[u8; 32]>>,
    authority: Option<PublicKey>,
    certificate: Option<Certificate>,
}

/// What a peer's proofs come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The peer is a member, and this proof shows it.
    Raise(TrustChange),
    /// Nothing shows it. One reason for each proof that failed; none if nothing was shown.
    Stay(Vec<Refusal>),
}

/// Why a peer's trust was not raised: why a proof doesn't count, or how the application's handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node has no secret to compare with.
    NoSecretHere,
    /// The peer knows another secret, or none.
    OtherSecret,
    /// This node was told of no authority.
    NoAuthorityHere,
    /// See [`CertificateError`].
    Certificate(CertificateError),
    /// The application's handshake decided against the peer.
    Handshake,
    /// The application's handshake took longer than
    /// [`Timing::trust_timeout`](crate::Timing::trust_timeout).
    HandshakeTimedOut,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecretHere => f.write_str("this node has no network secret to compare with"),
            Self::OtherSecret => f.write_str("the peer does not know this network's secret"),
            Self::NoAuthorityHere => f.write_str("this node knows no authority to check it by"),
            Self::Certificate(error) => error.fmt(f),
            Self::Handshake => f.write_str("the trust handshake decided against it"),
            Self::HandshakeTimedOut => f.write_str("the trust handshake was not done in time"),
        }
    }
}

impl core::error::Error for Refusal {}

impl Standing {
    /// Derives the keys for the proofs of one network.
    pub fn new(membership: &Membership, network: &NetworkName) -> Self {
        Self {
            network: network.tag(),
            proof_key: membership.secret.as_ref().map(|secret| proof_key(secret, network)),
            authority: membership.authority,
            certificate: membership.certificate,
        }
    }

    /// Whether any proof could raise a peer's trust here.
    pub const fn accepts_proofs(&self) -> bool {
        self.proof_key.is_some() || self.authority.is_some()
    }

    /// This node's proofs for the channel with this transcript; `role` tells which side of it this node is. A
    /// certificate that is known to be out of its time is not shown.
    pub fn proofs(
        &self,
        transcript: &[u8; 32],
        role: Direction,
        wall: Option<UnixTime>,
    ) -> Vec<Proof> {
        let secret =
            self.proof_key.as_ref().map(|key| Proof::Secret { mac: mac(key, role, transcript) });
        let timely =
            |certificate: &&Certificate| wall.is_none_or(|wall| certificate.in_time(wall).is_ok());
        let certificate = self.certificate.as_ref().filter(timely);
        secret.into_iter().chain(certificate.copied().map(Proof::Certificate)).collect()
    }

    /// What the proofs of `peer` come to. `prover_role` tells which side of the channel the peer is: the other one than
    /// this node's. `wall` is needed for certificates alone.
    pub fn check<C: Crypto>(
        &self,
        crypto: &C,
        peer: &PeerId,
        transcript: &[u8; 32],
        prover_role: Direction,
        proofs: &[Proof],
        wall: Option<UnixTime>,
    ) -> Verdict {
        let mut refusals = Vec::new();
        for proof in proofs.iter().take(Proof::COUNT_MAX) {
            let checked = match proof {
                Proof::Secret { mac } => self.check_secret(mac, prover_role, transcript),
                Proof::Certificate(certificate) => {
                    self.check_certificate(crypto, certificate, peer, wall)
                }
            };
            match checked {
                Ok(because) => return Verdict::Raise(because),
                Err(refusal) => refusals.push(refusal),
            }
        }
        Verdict::Stay(refusals)
    }

    fn check_secret(
        &self,
        shown: &[u8; 32],
        prover_role: Direction,
        transcript: &[u8; 32],
    ) -> Result<TrustChange, Refusal> {
        let key = self.proof_key.as_ref().ok_or(Refusal::NoSecretHere)?;
        if hash::equal(shown, &mac(key, prover_role, transcript)) {
            Ok(TrustChange::Secret)
        } else {
            Err(Refusal::OtherSecret)
        }
    }

    fn check_certificate<C: Crypto>(
        &self,
        crypto: &C,
        shown: &Certificate,
        peer: &PeerId,
        wall: Option<UnixTime>,
    ) -> Result<TrustChange, Refusal> {
        let authority = self.authority.as_ref().ok_or(Refusal::NoAuthorityHere)?;
        shown
            .verify(crypto, authority, &self.network, peer, wall)
            .map(|()| TrustChange::Certificate)
            .map_err(Refusal::Certificate)
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("secret", &self.proof_key.is_some())
            .field("authority", &self.authority)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// HKDF (RFC 5869): extracted from the secret, expanded for this purpose and this network.
fn proof_key(secret: &NetworkSecret, network: &NetworkName) -> Zeroizing<[u8; 32]> {
    let extracted =
        Zeroizing::new(hash::hmac_sha256(b"p2pnet network secret v1", &[secret.as_bytes()]));
    // A network's name has no control characters, so the zero byte ends the label for sure.
    let purpose = [b"membership proof\0", network.as_str().as_bytes()].concat();
    hash::derive(&extracted, &purpose)
}

fn mac(key: &[u8; 32], prover: Direction, transcript: &[u8; 32]) -> [u8; 32] {
    let role = match prover {
        Direction::Outgoing => 0,
        Direction::Incoming => 1,
    };
    hash::hmac_sha256(key, &[&[role], transcript])
}

impl Membership {
    /// Checks that this node's own certificate can prove something: it names this node and this network, and the
    /// authority signed it, which is the one that this node accepts, if it accepts any. Its time is not looked at, since
    /// that may come.
    ///
    /// # Errors
    /// [`ConfigError`] for `membership.certificate`.
    pub fn check_certificate<C: Crypto>(
        &self,
        crypto: &C,
        network: &NetworkName,
        me: &PeerId,
    ) -> Result<(), ConfigError> {
        let Some(certificate) = &self.certificate else { return Ok(()) };
        let authority = self.authority.as_ref().unwrap_or(&certificate.authority);
        let in_time = Some(certificate.not_before);
        let problem: String = match certificate.verify(
            crypto,
            authority,
            &network.tag(),
            me,
            in_time,
        ) {
            Ok(()) => return Ok(()),
            Err(CertificateError::OtherPeer) => format!(
                "the certificate names {}, but this node is {me}: ask the authority for one that names this node",
                certificate.peer
            ),
            Err(CertificateError::OtherNetwork) => {
                format!("the certificate is for another network than {network}")
            }
            Err(CertificateError::OtherAuthority) => format!(
                "the certificate is from the authority {}, but membership.authority is {authority}",
                certificate.authority
            ),
            Err(other) => format!("{other}"),
        };
        Err(ConfigError { key: "membership.certificate", problem })
    }
}
