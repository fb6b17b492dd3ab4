//! Records of bootstrap servers.

use super::{Seeds, crypto, record};
use bytes::Bytes;
use p2pnet_protocol::crypto::Crypto as _;
use p2pnet_protocol::discovery::bootstrap::memory::Memory;
use p2pnet_protocol::discovery::bootstrap::{
    Delegation, Heartbeat, HeartbeatReply, PeerList, Refusal, RefusalCode, Registration, ReplyHead,
    ServerIdentity, ServerKeys, Steering, openpgp,
};
use p2pnet_protocol::trust::bootstrap_policy::AuthorityLock;
use p2pnet_protocol::{NetworkName, PublicKey, RequestNonce, Signature, TaskId, UnixTime};

const MS: u64 = 1_700_000_000_000;

pub(super) fn add(seeds: &mut Seeds) {
    let crypto = crypto();
    let (node, wire) = (crypto.signing_key(&[3; 32]), crypto.signing_key(&[1; 32]));
    let mut tagged = |tag: u8, name: &str, bytes: Vec<u8>| {
        seeds.add("bootstrap", name, [&[tag], &bytes[..]].concat());
    };
    let (network, nonce) = (NetworkName::default(), RequestNonce([5; 16]));
    let audience = crypto.public_key(&wire);
    let registration = Registration {
        network: network.clone(),
        key: PublicKey([0; 32]),
        audience,
        at_ms: MS,
        nonce,
        port: 9000,
        label: "host-7".into(),
        wants: 32,
        signature: Signature([0; 64]),
    };
    tagged(0, "registration", registration.sign(&crypto, &node).encode());
    let heartbeat = Heartbeat {
        network,
        key: PublicKey([0; 32]),
        audience,
        at_ms: MS,
        nonce,
        leaving: false,
        received: vec![TaskId([7; 16])],
        signature: Signature([0; 64]),
    };
    tagged(1, "heartbeat", heartbeat.sign(&crypto, &node).encode());
    for (name, delegation) in [("trustless", None), ("authority", Some(delegation(&audience)))] {
        let keys = ServerKeys { wire: audience, delegation };
        let steering = Steering { interval_secs: 60, jitter_percent: 20, lease_secs: 180 };
        let head = ReplyHead {
            keys: keys.clone(),
            nonce,
            issued_ms: MS,
            expires_ms: MS + 60_000,
            steering,
        };
        let tasks = vec![Bytes::from_static(b"task")];
        let reply = HeartbeatReply::issue(&crypto, &wire, head.clone(), true, tasks);
        tagged(2, &format!("reply_{name}"), reply.encode());
        let identity = ServerIdentity::issue(&crypto, &wire, keys, "boot".into(), MS);
        tagged(3, &format!("identity_{name}"), identity.encode());
        let peers = vec![record(5), record(6)];
        let list = PeerList::issue(&crypto, &wire, head, [192, 0, 2, 1].into(), 9, peers);
        tagged(6, &format!("list_{name}"), list.encode());
    }
    let refusal = Refusal { code: RefusalCode::Busy, now_ms: MS, retry_after_secs: 30 };
    tagged(4, "refusal", refusal.encode());
    let mut memory = Memory::default();
    memory.lock = AuthorityLock::on(audience);
    memory.set_pin("https://boot.example.org", audience, |_| true);
    tagged(5, "memory", memory.encode());
    tagged(7, "openpgp", openpgp::sign(&crypto, &wire, b"document", UnixTime(MS / 1000)));
    tagged(8, "url", b"https://[2001:db8::1]:443/net/".to_vec());
}

fn delegation(wire: &PublicKey) -> Delegation {
    let crypto = crypto();
    let key = crypto.signing_key(&[2; 32]);
    let authority = crypto.public_key(&key);
    let (from, until) = (UnixTime(1_700_000_000), UnixTime(1_700_086_400));
    let statement = Delegation::statement(wire, &authority, &[4; 20], from, until);
    Delegation {
        authority,
        fingerprint: Bytes::from_static(&[4; 20]),
        not_before: from,
        not_after: until,
        signature: openpgp::sign(&crypto, &key, statement.as_bytes(), from).into(),
    }
}
