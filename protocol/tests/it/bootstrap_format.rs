//! The records of bootstrap servers: golden vectors as `docs/wire.md` prints them, one encoding for one meaning, and
//! signatures that bind them to whom and what they are for.

use bytes::Bytes;
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::discovery::bootstrap::Refusal;
use p2pnet_protocol::discovery::bootstrap::*;
use p2pnet_protocol::trust::bootstrap_policy::BootstrapOffer;
use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::*;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const SPECIFICATION: &str = include_str!("../../../docs/wire.md");
const NOW: UnixTime = UnixTime(1_700_000_000);
const NOW_MS: u64 = 1_700_000_000_000;
const NONCE: RequestNonce = RequestNonce([0xa1; 16]);

fn crypto() -> PureCrypto {
    PureCrypto::new().unwrap()
}

fn public(seed: u8) -> PublicKey {
    let crypto = crypto();
    crypto.public_key(&crypto.signing_key(&[seed; 32]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// The wire key is the seed 01 × 32, the authority's 02 × 32, the node's 03 × 32.
fn delegation() -> Delegation {
    let (crypto, authority, until) = (crypto(), public(2), UnixTime(NOW.0 + 86_400));
    let statement = Delegation::statement(&public(1), &authority, &[0xf0; 20], NOW, until);
    let key = crypto.signing_key(&[2; 32]);
    Delegation {
        authority,
        fingerprint: Bytes::from_static(&[0xf0; 20]),
        not_before: NOW,
        not_after: until,
        signature: openpgp::sign(&crypto, &key, statement.as_bytes(), NOW).into(),
    }
}

fn keys(authority: bool) -> ServerKeys {
    ServerKeys { wire: public(1), delegation: authority.then(delegation) }
}

fn head(authority: bool) -> ReplyHead {
    ReplyHead {
        keys: keys(authority),
        nonce: NONCE,
        issued_ms: NOW_MS,
        expires_ms: NOW_MS + 60_000,
        steering: Steering { interval_secs: 60, jitter_percent: 20, lease_secs: 180 },
    }
}

fn registration() -> Registration {
    let crypto = crypto();
    let unsigned = Registration {
        network: NetworkName::new("office").unwrap(),
        key: PublicKey([0; 32]),
        audience: public(1),
        at_ms: NOW_MS,
        nonce: NONCE,
        port: 9000,
        label: "printer".into(),
        wants: 32,
        signature: Signature([0; 64]),
    };
    unsigned.sign(&crypto, &crypto.signing_key(&[3; 32]))
}

fn heartbeat() -> Heartbeat {
    let crypto = crypto();
    let unsigned = Heartbeat {
        network: NetworkName::new("office").unwrap(),
        key: PublicKey([0; 32]),
        audience: public(1),
        at_ms: NOW_MS + 60_000,
        nonce: NONCE,
        leaving: false,
        received: vec![TaskId([0xb2; 16])],
        signature: Signature([0; 64]),
    };
    unsigned.sign(&crypto, &crypto.signing_key(&[3; 32]))
}

fn list(authority: bool) -> PeerList {
    let crypto = crypto();
    let endpoint = Endpoint::Tcp("192.0.2.7:9000".parse().unwrap());
    let peers = vec![PeerRecord { peer: PeerId([7; 32]), endpoints: vec![endpoint] }];
    let observed = "192.0.2.9".parse().unwrap();
    PeerList::issue(&crypto, &crypto.signing_key(&[1; 32]), head(authority), observed, 2, peers)
}

fn reply() -> HeartbeatReply {
    let crypto = crypto();
    let tasks = vec![Bytes::from_static(b"task")];
    HeartbeatReply::issue(&crypto, &crypto.signing_key(&[1; 32]), head(false), true, tasks)
}

fn identity(authority: bool) -> ServerIdentity {
    let crypto = crypto();
    let wire = crypto.signing_key(&[1; 32]);
    ServerIdentity::issue(&crypto, &wire, keys(authority), "boot".into(), NOW_MS)
}

fn refusal() -> Refusal {
    Refusal { code: RefusalCode::Busy, now_ms: NOW_MS, retry_after_secs: 30 }
}

#[test]
fn the_specification_prints_the_records_as_they_are() {
    let mut lacking = String::new();
    for (name, bytes) in [
        ("Identity, trustless", identity(false).encode()),
        ("Identity, authority", identity(true).encode()),
        ("Registration", registration().encode()),
        ("List, trustless", list(false).encode()),
        ("Heartbeat", heartbeat().encode()),
        ("Heartbeat reply", reply().encode()),
        ("Refusal", refusal().encode()),
    ] {
        let text = hex(&bytes);
        let lines: Vec<&str> =
            text.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let row = format!("{name}\n{}", lines.join("\n"));
        if !SPECIFICATION.contains(&row) {
            lacking += &format!("{row}\n");
        }
    }
    assert!(lacking.is_empty(), "docs/wire.md lacks this:\n{lacking}");
}

/// No byte can be changed or left out unnoticed.
fn holds_together<T>(
    value: &T,
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Option<T>,
    signed: impl Fn(&T) -> bool,
) where
    T: PartialEq + Debug + Serialize + DeserializeOwned,
{
    assert_eq!(decode(bytes).as_ref(), Some(value));
    assert!(signed(value));
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert!(!decode(&changed).is_some_and(|value| signed(&value)), "byte {at}");
        assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
    }
    assert_eq!(decode(&[bytes, &[0]].concat()), None);
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
    let postcard = postcard::to_allocvec(value).unwrap();
    assert_eq!(&postcard::from_bytes::<T>(&postcard).unwrap(), value);
}

#[test]
fn every_changed_byte_of_every_record_is_noticed() {
    let crypto = crypto();
    let value = registration();
    holds_together(
        &value,
        &value.encode(),
        |b| Registration::decode(b).ok(),
        |v| v.is_signed(&crypto),
    );
    let value = heartbeat();
    holds_together(
        &value,
        &value.encode(),
        |b| Heartbeat::decode(b).ok(),
        |v| v.is_signed(&crypto),
    );
    let value = reply();
    holds_together(
        &value,
        &value.encode(),
        |b| HeartbeatReply::decode(b).ok(),
        |v| v.is_signed(&crypto),
    );
    for authority in [false, true] {
        let value = list(authority);
        holds_together(
            &value,
            &value.encode(),
            |b| PeerList::decode(b).ok(),
            |v| v.is_signed(&crypto),
        );
        let value = identity(authority);
        holds_together(
            &value,
            &value.encode(),
            |b| ServerIdentity::decode(b).ok(),
            |v| v.is_signed(&crypto),
        );
    }
    assert_eq!(Refusal::decode(&refusal().encode()), Ok(refusal()));
}

#[test]
fn a_reply_is_for_one_request_and_for_a_while() {
    let crypto = crypto();
    let bytes = list(false).encode();
    let open = |nonce, wall| PeerList::open(&crypto, &bytes, &nonce, wall).map(drop);
    let at = |seconds: u64| Some(UnixTime(seconds));
    assert_eq!(open(NONCE, None), Ok(()));
    assert_eq!(open(NONCE, at(NOW.0)), Ok(()));
    assert_eq!(open(RequestNonce([0; 16]), at(NOW.0)), Err(BadReply::OtherRequest));
    let skew = ReplyHead::SKEW_MS / 1000;
    assert_eq!(open(NONCE, at(NOW.0 + 59 + skew)), Ok(()));
    assert_eq!(open(NONCE, at(NOW.0 + 60 + skew)), Err(BadReply::Expired));
    assert_eq!(open(NONCE, at(NOW.0 - skew)), Ok(()));
    assert_eq!(open(NONCE, at(NOW.0 - skew - 1)), Err(BadReply::Expired));
    assert_eq!(PeerList::open(&crypto, b"", &NONCE, None), Err(BadReply::Malformed));
    // Whoever has no key of its own can only put another in.
    let mut other = list(false);
    other.head.keys.wire = public(9);
    assert_eq!(PeerList::open(&crypto, &other.encode(), &NONCE, None), Err(BadReply::BadSignature));
}

/// What `gpg --detach-sign` of GnuPG 2.2.40 made of the statement, with an Ed25519 key made for this.
#[test]
fn a_delegation_that_gpg_signed_counts() {
    let crypto = crypto();
    let authority: PublicKey =
        "f68493cdc98fba2e7dc488ac58353c90bed936058cf0ca88130751acc3e63019".parse().unwrap();
    let by = |signature: &str| Delegation {
        authority,
        fingerprint: unhex("7dac3a43de12448f043e455fef7cf3433e925c83"),
        not_before: NOW,
        not_after: UnixTime(NOW.0 + 86_400),
        signature: unhex(signature),
    };
    for signature in [
        "887504001608001d1621047dac3a43de12448f043e455fef7cf3433e925c8305026b028fcd000a0910ef7cf3433e925c83549b00fe2ec9fcdee8709b51ef78f2f750e7396be67aab424aae957ad37e6e6ae595b6560100c1c4b97fe50bc4cf159d4b7daa4e16ce12b7de19681f41fba8117d9ee62dbd04",
        "88750400160a001d1621047dac3a43de12448f043e455fef7cf3433e925c8305026b028fcd000a0910ef7cf3433e925c83cd3900ff4e0ebb83776dc2e07734460cecf20697e9319871372a4cb9344a86e0450d8cc300fd143251aae2a24d6b789884d0b17dddc5dc8b48e6f68e98511f7ff4fc7c835201",
    ] {
        let signed = by(signature);
        assert_eq!(signed.verify(&crypto, &public(1), Some(NOW)), Ok(()));
        assert_eq!(signed.verify(&crypto, &public(4), Some(NOW)), Err(BadDelegation::BadSignature));
        let longer = Delegation { not_after: UnixTime(NOW.0 + 86_401), ..signed };
        assert_eq!(longer.verify(&crypto, &public(1), Some(NOW)), Err(BadDelegation::BadSignature));
    }
}

#[test]
fn a_delegation_counts_for_its_wire_key_and_in_its_time() {
    let crypto = crypto();
    let offer = |keys: &ServerKeys, wall: u64| keys.offer(&crypto, Some(UnixTime(wall)));
    let good = keys(true);
    assert_eq!(offer(&good, NOW.0), Ok(BootstrapOffer::Authority(public(2))));
    assert_eq!(offer(&keys(false), NOW.0), Ok(BootstrapOffer::Trustless));
    assert_eq!((good.audience(), keys(false).audience()), (public(2), public(1)));
    assert_eq!(offer(&good, NOW.0 - 1), Err(BadDelegation::NotYetValid));
    assert_eq!(offer(&good, NOW.0 + 86_400), Err(BadDelegation::Expired));
    assert_eq!(good.offer(&crypto, None), Err(BadDelegation::NoWallTime));
    let other = ServerKeys { wire: public(9), ..good };
    assert_eq!(offer(&other, NOW.0), Err(BadDelegation::BadSignature));
}

#[test]
fn what_is_over_its_bounds_is_not_read() {
    let crypto = crypto();
    let key = crypto.signing_key(&[3; 32]);
    let label = Registration { label: "a\nb".into(), ..registration() }.sign(&crypto, &key);
    assert!(Registration::decode(&label.encode()).is_err() && label.check().is_err());
    let wants = Registration { wants: 65, ..registration() }.sign(&crypto, &key);
    assert!(Registration::decode(&wants.encode()).is_err() && wants.check().is_err());
    let received = vec![TaskId([1; 16]); HeartbeatReply::TASKS_MAX + 1];
    let many = Heartbeat { received, ..heartbeat() }.sign(&crypto, &key);
    assert!(Heartbeat::decode(&many.encode()).is_err() && many.check().is_err());
    let mut long = head(false);
    long.expires_ms = long.issued_ms + ReplyHead::LIFE_MS_MAX + 1;
    let wire = crypto.signing_key(&[1; 32]);
    let list = PeerList::issue(&crypto, &wire, long, [192, 0, 2, 1].into(), 0, Vec::new());
    assert!(PeerList::decode(&list.encode()).is_err());
    // What an issuer has too much of is left out.
    let record = PeerRecord { peer: PeerId([1; 32]), endpoints: Vec::new() };
    let all = vec![record; PeerList::PEERS_MAX + 9];
    let list = PeerList::issue(&crypto, &wire, head(false), [192, 0, 2, 1].into(), 0, all);
    assert_eq!(PeerList::decode(&list.encode()).unwrap().peers.len(), PeerList::PEERS_MAX);
    let tasks = vec![Bytes::from(vec![0; 10_000]); HeartbeatReply::TASKS_MAX];
    let reply = HeartbeatReply::issue(&crypto, &wire, head(false), true, tasks);
    assert_eq!(HeartbeatReply::decode(&reply.encode()).unwrap().tasks.len(), 6);
    assert!(reply.encode().len() <= REPLY_BYTES_MAX);
    assert!(registration().encode().len() <= REQUEST_BYTES_MAX);
}

proptest! {
    #[test]
    fn what_decodes_has_no_other_encoding(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400, value: u8) {
        fn check(bytes: &[u8]) {
            if let Ok(read) = Registration::decode(bytes) { assert_eq!(read.encode(), bytes); }
            if let Ok(read) = Heartbeat::decode(bytes) { assert_eq!(read.encode(), bytes); }
            if let Ok(read) = HeartbeatReply::decode(bytes) { assert_eq!(read.encode(), bytes); }
            if let Ok(read) = ServerIdentity::decode(bytes) { assert_eq!(read.encode(), bytes); }
            if let Ok(read) = Refusal::decode(bytes) { assert_eq!(read.encode(), bytes); }
            if let Ok(read) = PeerList::decode(bytes) { assert!(read.encode().len() <= bytes.len()); }
        }
        check(&bytes);
        for mut good in [registration().encode(), heartbeat().encode(), reply().encode(), identity(true).encode(), list(false).encode()] {
            let at = at % good.len();
            good[at] = value;
            check(&good);
        }
    }
}
