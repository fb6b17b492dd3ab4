//! Texts that people write: ids, keys, prefixes, names, labels, policies.

use crate::script::Script;
use p2pnet_protocol::net::{canonical, subnet};
use p2pnet_protocol::trust::bootstrap_policy::BootstrapTrustPolicy;
use p2pnet_protocol::trust::identifier::{IdentifierLabel, Origin};
use p2pnet_protocol::trust::policy::{LocalIdentifierSetPolicy, TrustPolicies};
use p2pnet_protocol::wire::packet::IdentityPacket;
use p2pnet_protocol::{
    BlockTarget, Config, IpPrefix, Limits, NetworkName, PeerId, PublicKey, Signature,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Reads a text, and if it has a meaning, its canonical form has the same one.
fn round_trip<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T>
where
    T::Err: Debug,
{
    let value: T = text.parse().ok()?;
    let shown = value.to_string();
    assert_eq!(shown.parse::<T>().expect("what was shown can be read"), value);
    Some(value)
}

/// Ids, keys and signatures in hex, and the short forms of ids.
pub(crate) fn hex(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Some(id) = round_trip::<PeerId>(text) {
        assert_eq!(text.len(), 64);
        assert!(id.starts_with(text) && id.starts_with(&id.short().to_string()));
        assert_eq!(id.to_string(), text.to_lowercase());
    } else {
        // Whatever isn't hex begins no id.
        let id = PeerId([0xab; 32]);
        assert_eq!(id.starts_with(text), id.to_string().starts_with(&text.to_ascii_lowercase()));
    }
    if let Some(key) = round_trip::<PublicKey>(text) {
        assert_eq!(key.to_string(), text.to_lowercase());
    }
    if round_trip::<Signature>(text).is_some() {
        assert_eq!(text.len(), 128);
    }
}

/// Names of files that were received.
pub(crate) fn stored_name(data: &[u8]) {
    p2pnet_storage::fuzzing::name(&String::from_utf8_lossy(data));
}

/// Prefixes and addresses.
pub(crate) fn prefix(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Some(prefix) = round_trip::<IpPrefix>(text) {
        let first = prefix.address();
        assert!(prefix.contains(first), "{prefix} begins with {first}");
        assert!(prefix.length() <= if first.is_ipv4() { 32 } else { 128 });
        assert_eq!(first, first.to_canonical());
        assert!(prefix.contains(IpAddr::V6(match first {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        })));
        assert_eq!(IpPrefix::new(first, prefix.length()), Ok(prefix));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        assert!(subnet(ip).contains(ip));
        assert!(IpPrefix::single(ip).contains(ip));
    }
    if let Ok(at) = text.parse::<SocketAddr>() {
        assert_eq!(canonical(canonical(at)), canonical(at));
    }
}

/// Names of networks, and labels under every policy.
pub(crate) fn names(data: &[u8]) {
    let mut script = Script::new(data);
    let choice = script.byte();
    let Ok(text) = core::str::from_utf8(script.rest()) else { return };
    if let Ok(name) = NetworkName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!((1..=NetworkName::BYTES_MAX).contains(&text.len()));
        assert_eq!(NetworkName::new(name.to_string()), Ok(name));
    }
    const POLICIES: [LocalIdentifierSetPolicy; 5] = [
        LocalIdentifierSetPolicy::StrictLocalOnly,
        LocalIdentifierSetPolicy::Local,
        LocalIdentifierSetPolicy::LocalAndRemote,
        LocalIdentifierSetPolicy::RemoteOnly,
        LocalIdentifierSetPolicy::StrictRemoteOnly,
    ];
    let policy = POLICIES[usize::from(choice) % POLICIES.len()];
    let origin = if choice & 0x80 == 0 { Origin::Local } else { Origin::Remote };
    let mut label = IdentifierLabel::new(policy);
    match label.set(origin, text) {
        Ok(()) => {
            assert_eq!(label.as_str(), text);
            assert!((1..=IdentityPacket::LABEL_BYTES_MAX).contains(&text.len()));
            assert_eq!(label.set(origin, "other").is_err(), policy.is_strict());
        }
        Err(_) => assert_eq!(label.as_str(), ""),
    }
}

fn json<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(text).ok()?;
    let shown = serde_json::to_vec(&value).expect("what was read can be shown");
    assert_eq!(serde_json::from_slice::<T>(&shown).expect("what was shown can be read"), value);
    Some(value)
}

/// The core's own configuration types, from a self-describing format: policies, limits, targets. What passes the
/// checks makes a node.
pub(crate) fn settings(data: &[u8]) {
    let mut script = Script::new(data);
    let choice = script.byte();
    let text = script.rest();
    let mut config = Config { limits: Limits::small(), ..Config::default() };
    match choice % 4 {
        0 => config.policies = json::<TrustPolicies>(text).unwrap_or_default(),
        1 => config.limits = json::<Limits>(text).unwrap_or(config.limits),
        2 => config.blocked = json::<Vec<BlockTarget>>(text).unwrap_or_default(),
        _ => {
            let Some(policy) = json::<BootstrapTrustPolicy>(text) else { return };
            assert!(!policy.must_be_authority() || !policy.allow_bootstrap_trustless_connection());
            assert!(!policy.first_single_locking_authority() || policy.must_be_authority());
        }
    }
    let fits = config.blocked.len() <= config.limits.blocked_max as usize;
    let valid = config.validate().is_ok();
    let total = config.limits.total_bytes_max();
    if valid {
        assert!(total >= u64::from(config.limits.connections_max));
    }
    let node = crate::node::with(config, 0);
    assert!(node.is_ok() == valid || !fits, "a node runs just when its configuration is sound");
}
