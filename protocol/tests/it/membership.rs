//! Proofs of membership with real signatures: golden vectors, worked out with another implementation, and every way in
//! which a proof must fail.

use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::trust::certificate::{Certificate, CertificateError};
use p2pnet_protocol::trust::membership::{Refusal, Standing, Verdict};
use p2pnet_protocol::trust::secret::{NetworkSecret, SecretTooShort};
use p2pnet_protocol::wire::Reader;
use p2pnet_protocol::wire::proof::Proof;
use p2pnet_protocol::{
    Crypto, Direction, Membership, NetworkName, PeerId, PublicKey, TrustChange, UnixTime,
};

const PEER: PeerId = PeerId([7; 32]);
const NOON: UnixTime = UnixTime(1_750_000_000);
const START: UnixTime = UnixTime(1_700_000_000);
const END: UnixTime = UnixTime(1_800_000_000);

/// The authority's key is the Ed25519 seed 01…01, the network "office", the secret "correct horse battery staple", the
/// transcript 00 01 … 1f; made with Python's hmac and the cryptography package.
const MAC_OF_DIALLER: &str = "22e242264cc21ed721f7d28dfc5120e1b2d9c62582e7730c51002dab1459e3ee";
const MAC_OF_LISTENER: &str = "f1a93232236557a567a06c87465ff0b31efc0634e0e531831d9edd8cacb77739";
const CERTIFICATE: &str = "bd39ccebe8594f0a\
    0707070707070707070707070707070707070707070707070707070707070707\
    8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\
    000000006553f100000000006b49d200\
    5af3710a3110a94614875364cd21e121e21890204fbc8d686f53d4aa9faa8620\
    bae73316e22ee7f5dbf118721ecffd39c8164e9e8174c0a0ab7200052e5ec704";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn transcript() -> [u8; 32] {
    core::array::from_fn(|i| i as u8)
}

fn network() -> NetworkName {
    NetworkName::new("office").unwrap()
}

fn crypto() -> PureCrypto {
    PureCrypto::new().unwrap()
}

fn authority(crypto: &PureCrypto, seed: u8) -> PublicKey {
    crypto.public_key(&crypto.signing_key(&[seed; 32]))
}

fn issue(crypto: &PureCrypto, seed: u8, network: &NetworkName, peer: PeerId) -> Certificate {
    Certificate::issue(crypto, &crypto.signing_key(&[seed; 32]), network, peer, START, END).unwrap()
}

fn with_secret(secret: &str, network: &NetworkName) -> Standing {
    let secret = Some(NetworkSecret::new(secret).unwrap());
    Standing::new(&Membership { secret, ..Membership::default() }, network)
}

fn knowing(secret: &str) -> Standing {
    with_secret(secret, &network())
}

fn under(authority: PublicKey) -> Standing {
    let membership = Membership { authority: Some(authority), ..Membership::default() };
    Standing::new(&membership, &network())
}

#[test]
fn the_secret_proof_is_pinned() {
    let standing = knowing("correct horse battery staple");
    for (role, golden) in
        [(Direction::Outgoing, MAC_OF_DIALLER), (Direction::Incoming, MAC_OF_LISTENER)]
    {
        let proofs = standing.proofs(&transcript(), role, None);
        let [Proof::Secret { mac }] = proofs[..] else { panic!("{proofs:?}") };
        assert_eq!(hex(&mac), golden);
    }
}

#[test]
fn the_certificate_and_the_encoding_of_proofs_are_pinned() {
    let crypto = crypto();
    let certificate = issue(&crypto, 1, &network(), PEER);
    let mut bytes = Vec::new();
    certificate.encode(&mut bytes);
    assert_eq!(hex(&bytes), CERTIFICATE);
    assert_eq!(Certificate::decode(&mut Reader::new(&bytes)), Ok(certificate));
    assert_eq!(certificate.to_string(), format!("p2pnet-certificate-v1:{CERTIFICATE}"));

    let secret = Some(NetworkSecret::new("correct horse battery staple").unwrap());
    let membership = Membership { secret, certificate: Some(certificate), ..Membership::default() };
    let proofs =
        Standing::new(&membership, &network()).proofs(&transcript(), Direction::Outgoing, None);
    let mut bytes = Vec::new();
    Proof::encode_all(&proofs, &mut bytes);
    assert_eq!(hex(&bytes), format!("020120{MAC_OF_DIALLER}029801{CERTIFICATE}"));
}

#[test]
fn both_sides_raise_each_other_by_the_secret() {
    let (crypto, both) = (crypto(), knowing("correct horse battery staple"));
    for role in [Direction::Outgoing, Direction::Incoming] {
        let proofs = both.proofs(&transcript(), role, None);
        let verdict = both.check(&crypto, &PEER, &transcript(), role, &proofs, None);
        assert_eq!(verdict, Verdict::Raise(TrustChange::Secret));
    }
}

#[test]
fn a_secret_proof_counts_for_one_channel_one_side_one_network_and_one_secret() {
    let (crypto, prover) = (crypto(), knowing("correct horse battery staple"));
    let proofs = prover.proofs(&transcript(), Direction::Outgoing, None);
    let refused = Verdict::Stay(vec![Refusal::OtherSecret]);
    let check = |standing: &Standing, transcript: &[u8; 32], role| {
        standing.check(&crypto, &PEER, transcript, role, &proofs, None)
    };
    let raised = Verdict::Raise(TrustChange::Secret);
    assert_eq!(check(&prover, &transcript(), Direction::Outgoing), raised);
    // Sent back to its prover, who takes it for the proof of the other side.
    assert_eq!(check(&prover, &transcript(), Direction::Incoming), refused);
    // Replayed in another channel: every bit of the transcript counts.
    for bit in 0..256 {
        let mut other = transcript();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check(&prover, &other, Direction::Outgoing), refused);
    }
    let other_secret = knowing("correct horse battery stable");
    assert_eq!(check(&other_secret, &transcript(), Direction::Outgoing), refused);
    let other_network =
        with_secret("correct horse battery staple", &NetworkName::new("offices").unwrap());
    assert_eq!(check(&other_network, &transcript(), Direction::Outgoing), refused);
    let none = Standing::new(&Membership::default(), &network());
    let refused = Verdict::Stay(vec![Refusal::NoSecretHere]);
    assert_eq!(check(&none, &transcript(), Direction::Outgoing), refused);
}

#[test]
fn every_bit_of_a_mac_counts() {
    let (crypto, both) = (crypto(), knowing("correct horse battery staple"));
    let proofs = both.proofs(&transcript(), Direction::Outgoing, None);
    let [Proof::Secret { mac }] = proofs[..] else { panic!("{proofs:?}") };
    for bit in 0..256 {
        let mut mac = mac;
        mac[bit / 8] ^= 1 << (bit % 8);
        let forged = [Proof::Secret { mac }];
        let verdict = both.check(&crypto, &PEER, &transcript(), Direction::Outgoing, &forged, None);
        assert_eq!(verdict, Verdict::Stay(vec![Refusal::OtherSecret]), "{bit}");
    }
}

#[test]
fn a_certificate_raises_its_holder_in_its_time() {
    let crypto = crypto();
    let standing = under(authority(&crypto, 1));
    let proofs = [Proof::Certificate(issue(&crypto, 1, &network(), PEER))];
    let check = |peer: &PeerId, wall| {
        standing.check(&crypto, peer, &transcript(), Direction::Outgoing, &proofs, wall)
    };
    let refused = |error| Verdict::Stay(vec![Refusal::Certificate(error)]);
    for wall in [START, NOON, UnixTime(END.0 - 1)] {
        assert_eq!(check(&PEER, Some(wall)), Verdict::Raise(TrustChange::Certificate));
    }
    let early = CertificateError::NotYetValid { from: START };
    assert_eq!(check(&PEER, Some(UnixTime(START.0 - 1))), refused(early));
    assert_eq!(check(&PEER, Some(END)), refused(CertificateError::Expired { since: END }));
    assert_eq!(check(&PEER, None), refused(CertificateError::NoWallTime));
    // Somebody else who holds a copy.
    assert_eq!(check(&PeerId([8; 32]), Some(NOON)), refused(CertificateError::OtherPeer));
}

#[test]
fn foreign_and_forged_certificates_are_refused() {
    let crypto = crypto();
    let standing = under(authority(&crypto, 1));
    let check = |certificate| {
        let proofs = [Proof::Certificate(certificate)];
        standing.check(&crypto, &PEER, &transcript(), Direction::Outgoing, &proofs, Some(NOON))
    };
    let refused = |error| Verdict::Stay(vec![Refusal::Certificate(error)]);
    let good = issue(&crypto, 1, &network(), PEER);
    assert_eq!(check(good), Verdict::Raise(TrustChange::Certificate));
    let other_network = issue(&crypto, 1, &NetworkName::new("garden").unwrap(), PEER);
    assert_eq!(check(other_network), refused(CertificateError::OtherNetwork));
    let impostor = issue(&crypto, 2, &network(), PEER);
    assert_eq!(check(impostor), refused(CertificateError::OtherAuthority));
    let posing = Certificate { authority: authority(&crypto, 1), ..impostor };
    assert_eq!(check(posing), refused(CertificateError::BadSignature));
    for longer in [
        Certificate { not_after: UnixTime(END.0 + 1), ..good },
        Certificate { not_before: UnixTime(START.0 - 1), ..good },
    ] {
        assert_eq!(check(longer), refused(CertificateError::BadSignature));
    }
    let stranger = Standing::new(&Membership::default(), &network());
    let verdict = stranger.check(
        &crypto,
        &PEER,
        &transcript(),
        Direction::Outgoing,
        &[Proof::Certificate(good)],
        Some(NOON),
    );
    assert_eq!(verdict, Verdict::Stay(vec![Refusal::NoAuthorityHere]));
}

#[test]
fn one_good_proof_is_enough_and_each_bad_one_is_told() {
    let crypto = crypto();
    let secret = Some(NetworkSecret::new("correct horse battery staple").unwrap());
    let authority = Some(authority(&crypto, 1));
    let standing =
        Standing::new(&Membership { secret, authority, ..Membership::default() }, &network());
    let bad = Proof::Secret { mac: [0; 32] };
    let good = Proof::Certificate(issue(&crypto, 1, &network(), PEER));
    let check = |proofs: &[Proof], wall| {
        standing.check(&crypto, &PEER, &transcript(), Direction::Incoming, proofs, wall)
    };
    assert_eq!(check(&[bad, good], Some(NOON)), Verdict::Raise(TrustChange::Certificate));
    let reasons = vec![Refusal::OtherSecret, Refusal::Certificate(CertificateError::NoWallTime)];
    assert_eq!(check(&[bad, good], None), Verdict::Stay(reasons));
    assert_eq!(check(&[], Some(NOON)), Verdict::Stay(vec![]));
}

#[test]
fn what_is_shown_and_accepted_follows_from_what_was_configured() {
    let crypto = crypto();
    let nothing = Standing::new(&Membership::default(), &network());
    assert!(!nothing.accepts_proofs());
    assert_eq!(nothing.proofs(&transcript(), Direction::Outgoing, Some(NOON)), vec![]);
    assert!(knowing("correct horse battery staple").accepts_proofs());
    assert!(under(authority(&crypto, 1)).accepts_proofs());

    let certificate = Some(issue(&crypto, 1, &network(), PEER));
    let holder = Standing::new(&Membership { certificate, ..Membership::default() }, &network());
    assert!(!holder.accepts_proofs());
    let shown = |wall| holder.proofs(&transcript(), Direction::Outgoing, wall).len();
    assert_eq!((shown(Some(NOON)), shown(None), shown(Some(END))), (1, 1, 0));
    assert!(!format!("{:?}", knowing("correct horse battery staple")).contains("horse"));
}

#[test]
fn an_own_certificate_that_proves_nothing_is_a_configuration_error() {
    let crypto = crypto();
    let good = issue(&crypto, 1, &network(), PEER);
    let check = |certificate, authority| {
        let membership =
            Membership { certificate: Some(certificate), authority, ..Membership::default() };
        membership.check_certificate(&crypto, &network(), &PEER)
    };
    assert_eq!(check(good, None), Ok(()));
    assert_eq!(check(good, Some(authority(&crypto, 1))), Ok(()));
    assert_eq!(Membership::default().check_certificate(&crypto, &network(), &PEER), Ok(()));
    for (certificate, named) in [
        (issue(&crypto, 1, &network(), PeerId([8; 32])), None),
        (issue(&crypto, 1, &NetworkName::new("garden").unwrap(), PEER), None),
        (good, Some(authority(&crypto, 2))),
        (Certificate { not_after: UnixTime(END.0 + 1), ..good }, None),
    ] {
        let error = check(certificate, named).unwrap_err();
        assert_eq!(error.key, "membership.certificate", "{error}");
    }
}

#[test]
fn issuing_needs_a_window_and_a_secret_needs_length() {
    let crypto = crypto();
    let key = crypto.signing_key(&[1; 32]);
    assert!(Certificate::issue(&crypto, &key, &network(), PEER, END, END).is_err());
    assert_eq!(NetworkSecret::new("fifteen letters"), Err(SecretTooShort));
    assert!(NetworkSecret::new("sixteen letters!").is_ok());
}
