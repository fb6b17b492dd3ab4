//! Proofs of membership, as they travel inside a finished channel.

use super::codec::{Malformed, Reader, put_prefixed, put_varint};
use crate::trust::certificate::Certificate;
use alloc::vec::Vec;

const SECRET: u8 = 1;
const CERTIFICATE: u8 = 2;
/// The most bytes one proof may have, of whatever kind.
const PROOF_BYTES_MAX: usize = 255;

/// Something that shows membership. Kinds that this version doesn't know are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The prover knows the network's secret.
    Secret {
        /// HMAC-SHA256 over the prover's role and the channel's transcript (`docs/wire.md`).
        mac: [u8; 32],
    },
    /// The network's authority vouches for the prover.
    Certificate(Certificate),
}

impl Proof {
    /// The most proofs that one side shows.
    pub const COUNT_MAX: usize = 4;

    const fn kind(&self) -> u8 {
        match self {
            Self::Secret { .. } => SECRET,
            Self::Certificate(_) => CERTIFICATE,
        }
    }

    /// Appends the encoding of `proofs`: a count, then each with its kind and length, kinds in ascending order. What is
    /// over [`COUNT_MAX`](Self::COUNT_MAX) is left out.
    pub fn encode_all(proofs: &[Self], out: &mut Vec<u8>) {
        let mut kept: Vec<&Self> = proofs.iter().take(Self::COUNT_MAX).collect();
        kept.sort_by_key(|proof| proof.kind());
        put_varint(out, u32::try_from(kept.len()).unwrap_or(0));
        for proof in kept {
            out.push(proof.kind());
            match proof {
                Self::Secret { mac } => put_prefixed(out, mac),
                Self::Certificate(certificate) => {
                    let mut body = Vec::with_capacity(Certificate::BYTES);
                    certificate.encode(&mut body);
                    put_prefixed(out, &body);
                }
            }
        }
    }

    /// Reads what [`encode_all`](Self::encode_all) wrote, to the last byte.
    ///
    /// # Errors
    /// [`Malformed`] on a bad count, order, length or body. Proofs of unknown kind are skipped.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut from = Reader::new(bytes);
        let count = usize::try_from(from.varint("proof count")?).unwrap_or(usize::MAX);
        if count > Self::COUNT_MAX {
            return Err(Malformed("proof count"));
        }
        let mut proofs = Vec::with_capacity(count);
        let mut last_kind = 0;
        for _ in 0..count {
            let kind = from.u8("proof kind")?;
            if kind < last_kind {
                return Err(Malformed("order of proofs"));
            }
            last_kind = kind;
            proofs.extend(Self::decode(kind, from.prefixed(PROOF_BYTES_MAX, "proof")?)?);
        }
        from.end("proofs")?;
        Ok(proofs)
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut from = Reader::new(body);
        let proof = match kind {
            SECRET => Self::Secret { mac: from.array("proof")? },
            CERTIFICATE => Self::Certificate(Certificate::decode(&mut from)?),
            _ => return Ok(None),
        };
        from.end("proof")?;
        Ok(Some(proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{PeerId, PublicKey, Signature};
    use crate::time::UnixTime;
    use alloc::vec;
    use proptest::prelude::*;

    const SECRET_PROOF: Proof = Proof::Secret { mac: [7; 32] };

    fn certificate_proof() -> Proof {
        Proof::Certificate(Certificate {
            network: [1; 8],
            peer: PeerId([2; 32]),
            authority: PublicKey([3; 32]),
            not_before: UnixTime(4),
            not_after: UnixTime(5),
            signature: Signature([6; 64]),
        })
    }

    fn encoded(proofs: &[Proof]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Proof::encode_all(proofs, &mut bytes);
        bytes
    }

    #[test]
    fn proofs_round_trip_in_order_of_kind() {
        for proofs in [vec![], vec![SECRET_PROOF], vec![SECRET_PROOF, certificate_proof()]] {
            assert_eq!(Proof::decode_all(&encoded(&proofs)), Ok(proofs));
        }
        let turned = encoded(&[certificate_proof(), SECRET_PROOF]);
        assert_eq!(turned, encoded(&[SECRET_PROOF, certificate_proof()]));
        assert_eq!(encoded(&[SECRET_PROOF; 9]), encoded(&[SECRET_PROOF; 4]));
    }

    #[test]
    fn unknown_kinds_are_skipped() {
        let mut bytes = vec![2];
        bytes.extend_from_slice(&encoded(&[SECRET_PROOF])[1..]);
        bytes.extend_from_slice(&[200, 3, 1, 2, 3]);
        assert_eq!(Proof::decode_all(&bytes), Ok(vec![SECRET_PROOF]));
    }

    #[test]
    fn malformed_proofs_are_refused() {
        let good = encoded(&[SECRET_PROOF, certificate_proof()]);
        for end in 0..good.len() {
            assert!(Proof::decode_all(&good[..end]).is_err(), "{end}");
        }
        let descending = [&[2, 200, 0][..], &encoded(&[SECRET_PROOF])[1..]].concat();
        for bad in [&[5][..], &[1, 1, 31, 0], &[1, 1, 33, 0], &[0, 0], &descending] {
            assert!(Proof::decode_all(bad).is_err(), "{bad:x?}");
        }
        let long = [&[1, 200, 0x80, 2][..], &[0; 256]].concat();
        assert_eq!(Proof::decode_all(&long), Err(Malformed("proof")));
    }

    proptest! {
        /// One value, one byte string: what decodes without an unknown kind encodes to the same bytes.
        #[test]
        fn decoding_is_canonical(
            macs in prop::collection::vec(any::<[u8; 32]>(), 0..3),
            flip in any::<prop::sample::Index>(),
            to: u8,
        ) {
            let mut proofs: Vec<_> = macs.into_iter().map(|mac| Proof::Secret { mac }).collect();
            proofs.push(certificate_proof());
            let mut bytes = encoded(&proofs);
            let at = flip.index(bytes.len());
            bytes[at] = to;
            if let Ok(decoded) = Proof::decode_all(&bytes)
                && decoded.len() == usize::from(bytes[0])
            {
                prop_assert_eq!(encoded(&decoded), bytes);
            }
        }
    }
}
