//! Certificates of membership, issued by a network's authority.
//!
//! A file may hold comments for people (`#` to the end of the line) and one line for machines:
//! [`Certificate::TEXT_PREFIX`] and the encoding in hex, in one word that a double click selects.

use crate::crypto::Crypto;
use crate::id::{Hex, NetworkName, PeerId, PublicKey, Signature, parse_hex};
use crate::time::UnixTime;
use crate::wire::codec::{Malformed, Reader};
use alloc::vec::Vec;
use core::fmt;

/// The authority's word that an identity is a member for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The network's tag ([`NetworkName::tag`](crate::NetworkName::tag)).
    pub network: [u8; 8],
    /// Who the member is.
    pub peer: PeerId,
    /// The authority's key.
    pub authority: PublicKey,
    /// Not valid before.
    pub not_before: UnixTime,
    /// Not valid from then on.
    pub not_after: UnixTime,
    /// The authority's signature over all of the above.
    pub signature: Signature,
}

/// Why a certificate proves nothing here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// It is for another network.
    OtherNetwork,
    /// It names another identity.
    OtherPeer,
    /// Another authority issued it.
    OtherAuthority,
    /// This node doesn't know the time, so it can't tell whether the certificate is valid.
    NoWallTime,
    /// It is not valid yet.
    NotYetValid {
        /// When it will be.
        from: UnixTime,
    },
    /// It is not valid any more.
    Expired {
        /// When it ceased to be.
        since: UnixTime,
    },
    /// The authority didn't sign it.
    BadSignature,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherNetwork => f.write_str("the certificate is for another network"),
            Self::OtherPeer => f.write_str("the certificate names another peer"),
            Self::OtherAuthority => f.write_str("the certificate is from another authority"),
            Self::NoWallTime => {
                f.write_str("this host's clock is not set, so no certificate can be checked")
            }
            Self::NotYetValid { from } => {
                write!(f, "the certificate is valid only from {} s since 1970 on", from.0)
            }
            Self::Expired { since } => {
                write!(f, "the certificate expired at {} s since 1970", since.0)
            }
            Self::BadSignature => f.write_str("the authority did not sign the certificate"),
        }
    }
}

impl core::error::Error for CertificateError {}

/// A certificate must be valid for a second at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverValid;

impl fmt::Display for NeverValid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate would expire before it becomes valid")
    }
}

impl core::error::Error for NeverValid {}

impl Certificate {
    /// The size of the encoding.
    pub const BYTES: usize = 8 + 32 + 32 + 8 + 8 + 64;
    /// How the line for machines begins in a file.
    pub const TEXT_PREFIX: &'static str = "p2pnet-certificate-v1:";
    /// How far back an issuer should date a certificate, since the clocks of members differ.
    pub const BACKDATE_SECS: u64 = 3600;

    /// Issues a certificate: `peer` is a member of `network` from `not_before` until just before `not_after`.
    ///
    /// # Errors
    /// [`NeverValid`] if that is no time at all.
    pub fn issue<C: Crypto>(
        crypto: &C,
        authority: &C::SigningKey,
        network: &NetworkName,
        peer: PeerId,
        not_before: UnixTime,
        not_after: UnixTime,
    ) -> Result<Self, NeverValid> {
        if not_before >= not_after {
            return Err(NeverValid);
        }
        let unsigned = Self {
            network: network.tag(),
            peer,
            authority: crypto.public_key(authority),
            not_before,
            not_after,
            signature: Signature([0; 64]),
        };
        Ok(Self { signature: crypto.sign(authority, &unsigned.signed()), ..unsigned })
    }

    /// Whether this certificate proves that `peer` is a member of `network` in the eyes of `authority`, at the time
    /// `wall`. The signature is checked last, so that a certificate which can't count costs next to nothing.
    ///
    /// # Errors
    /// [`CertificateError`] says why it doesn't.
    pub fn verify<C: Crypto>(
        &self,
        crypto: &C,
        authority: &PublicKey,
        network: &[u8; 8],
        peer: &PeerId,
        wall: Option<UnixTime>,
    ) -> Result<(), CertificateError> {
        if self.network != *network {
            return Err(CertificateError::OtherNetwork);
        }
        if self.peer != *peer {
            return Err(CertificateError::OtherPeer);
        }
        if self.authority != *authority {
            return Err(CertificateError::OtherAuthority);
        }
        self.in_time(wall.ok_or(CertificateError::NoWallTime)?)?;
        if crypto.verify(authority, &self.signed(), &self.signature) {
            Ok(())
        } else {
            Err(CertificateError::BadSignature)
        }
    }

    /// Whether `wall` lies in the certificate's window.
    pub(crate) fn in_time(&self, wall: UnixTime) -> Result<(), CertificateError> {
        if wall < self.not_before {
            Err(CertificateError::NotYetValid { from: self.not_before })
        } else if wall >= self.not_after {
            Err(CertificateError::Expired { since: self.not_after })
        } else {
            Ok(())
        }
    }

    /// What the authority signs: a label that no other signature begins with, and every field before the signature.
    fn signed(&self) -> Vec<u8> {
        let mut message = Vec::from(b"p2pnet certificate v1\0");
        self.put_fields(&mut message);
        message
    }

    fn put_fields(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.network);
        out.extend_from_slice(&self.peer.0);
        out.extend_from_slice(&self.authority.0);
        out.extend_from_slice(&self.not_before.0.to_be_bytes());
        out.extend_from_slice(&self.not_after.0.to_be_bytes());
    }

    /// Appends the encoding, [`BYTES`](Self::BYTES) long.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.put_fields(out);
        out.extend_from_slice(&self.signature.0);
    }

    /// Reads one certificate. It is well-formed then, and nothing more: see [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short or could never be valid.
    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let certificate = Self {
            network: from.array("certificate")?,
            peer: PeerId(from.array("certificate")?),
            authority: PublicKey(from.array("certificate")?),
            not_before: UnixTime(from.u64("certificate")?),
            not_after: UnixTime(from.u64("certificate")?),
            signature: Signature(from.array("certificate")?),
        };
        if certificate.not_before >= certificate.not_after {
            return Err(Malformed("certificate"));
        }
        Ok(certificate)
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::TEXT_PREFIX)?;
        let mut bytes = Vec::with_capacity(Self::BYTES);
        self.encode(&mut bytes);
        bytes.into_iter().try_for_each(|byte| Hex([byte]).fmt(f))
    }
}

/// The text holds no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCertificateText;

impl fmt::Display for BadCertificateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected one line of {} followed by {} hex digits, besides # comments",
            Certificate::TEXT_PREFIX,
            Certificate::BYTES.saturating_mul(2)
        )
    }
}

impl core::error::Error for BadCertificateText {}

impl core::str::FromStr for Certificate {
    type Err = BadCertificateText;

    /// Reads a file's text: empty lines and lines that begin with `#` are skipped, and one certificate is left.
    fn from_str(text: &str) -> Result<Self, BadCertificateText> {
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(BadCertificateText);
        };
        let digits = line.strip_prefix(Self::TEXT_PREFIX).ok_or(BadCertificateText)?;
        let bytes: [u8; Self::BYTES] = parse_hex(digits).map_err(|_| BadCertificateText)?;
        Self::decode(&mut Reader::new(&bytes)).map_err(|_| BadCertificateText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    fn certificate() -> Certificate {
        Certificate {
            network: [1; 8],
            peer: PeerId([2; 32]),
            authority: PublicKey([3; 32]),
            not_before: UnixTime(4),
            not_after: UnixTime(5),
            signature: Signature([6; 64]),
        }
    }

    #[test]
    fn bytes_round_trip_and_cut_ones_are_refused() {
        let mut bytes = Vec::new();
        certificate().encode(&mut bytes);
        assert_eq!(bytes.len(), Certificate::BYTES);
        assert_eq!(Certificate::decode(&mut Reader::new(&bytes)), Ok(certificate()));
        for end in 0..bytes.len() {
            assert!(Certificate::decode(&mut Reader::new(&bytes[..end])).is_err(), "{end}");
        }
        let mut never = Vec::new();
        Certificate { not_after: UnixTime(4), ..certificate() }.encode(&mut never);
        assert_eq!(Certificate::decode(&mut Reader::new(&never)), Err(Malformed("certificate")));
    }

    #[test]
    fn text_round_trips_among_comments() {
        let text = certificate().to_string();
        assert_eq!(text.parse(), Ok(certificate()));
        assert_eq!(format!("# for Ada\n\n  {text}\r\n# end\n").parse(), Ok(certificate()));
        assert_eq!(
            text.to_uppercase().replace("P2PNET-CERTIFICATE-V", "p2pnet-certificate-v").parse(),
            Ok(certificate())
        );
        let cut = &text[..text.len() - 2];
        for bad in [
            "",
            "# only\n",
            cut,
            &format!("{text}\n{text}"),
            &format!("{text}00"),
            "p2pnet-certificate-v2:00",
        ] {
            assert_eq!(bad.parse::<Certificate>(), Err(BadCertificateText), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_certificate_round_trips_as_bytes_and_as_text(
            network: [u8; 8],
            peer: [u8; 32],
            authority: [u8; 32],
            times: [u64; 2],
            signature in prop::collection::vec(any::<u8>(), 64),
        ) {
            let certificate = Certificate {
                network,
                peer: PeerId(peer),
                authority: PublicKey(authority),
                not_before: UnixTime(times[0]),
                not_after: UnixTime(times[1]),
                signature: Signature(signature.try_into().unwrap()),
            };
            let mut bytes = Vec::new();
            certificate.encode(&mut bytes);
            let read = Certificate::decode(&mut Reader::new(&bytes));
            if times[0] < times[1] {
                prop_assert_eq!(read, Ok(certificate));
                prop_assert_eq!(certificate.to_string().parse(), Ok(certificate));
            } else {
                prop_assert_eq!(read, Err(Malformed("certificate")));
            }
        }
    }
}
