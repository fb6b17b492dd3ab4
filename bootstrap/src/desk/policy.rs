//! Who isn't served, from memory.

use crate::store::{Ban, BanSubject};
use p2pnet_protocol::{IpPrefix, PeerId};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// All bans, arranged so that asking costs the same however many there are.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    peers: HashMap<PeerId, Until>,
    prefixes: HashMap<IpPrefix, Until>,
    /// The lengths of those prefixes, so that only these are tried.
    v4_lengths: BTreeSet<u8>,
    v6_lengths: BTreeSet<u8>,
    labels: HashMap<String, Until>,
}

/// The millisecond since 1970 in which a ban ends.
type Until = u64;

impl Bans {
    /// Arranges `bans`.
    pub fn new(bans: Vec<Ban>) -> Self {
        let mut all = Self::default();
        for Ban { subject, until_ms, .. } in bans {
            let until = until_ms.unwrap_or(u64::MAX);
            match subject {
                BanSubject::Peer(peer) => _ = all.peers.insert(peer, until),
                BanSubject::Label(label) => _ = all.labels.insert(label, until),
                BanSubject::Prefix(prefix) => {
                    let v4 = prefix.address().is_ipv4();
                    let lengths = if v4 { &mut all.v4_lengths } else { &mut all.v6_lengths };
                    lengths.insert(prefix.length());
                    all.prefixes.insert(prefix, until);
                }
            }
        }
        all
    }

    /// Whether somebody with this key, address and label isn't served at `now_ms`.
    pub fn hit(&self, now_ms: u64, peer: &PeerId, ip: IpAddr, label: &str) -> bool {
        let holds = |until: Option<&Until>| until.is_some_and(|until| *until > now_ms);
        holds(self.peers.get(peer))
            || self.hit_address(now_ms, ip)
            || (!label.is_empty() && holds(self.labels.get(label)))
    }

    /// Whether nobody from this address is served at `now_ms`.
    pub fn hit_address(&self, now_ms: u64, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let lengths = if ip.is_ipv4() { &self.v4_lengths } else { &self.v6_lengths };
        lengths.iter().any(|length| {
            let prefix = IpPrefix::new(ip, *length).ok();
            let until = prefix.and_then(|prefix| self.prefixes.get(&prefix));
            until.is_some_and(|until| *until > now_ms)
        })
    }

    /// Whether nobody is banned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bans there are.
    pub fn len(&self) -> usize {
        self.peers.len() + self.prefixes.len() + self.labels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(subject: &str, until_ms: Option<u64>) -> Ban {
        let subject = subject.parse().unwrap();
        Ban { subject, reason: String::new(), actor: String::new(), at_ms: 0, until_ms }
    }

    #[test]
    fn each_kind_of_ban_hits_and_only_whom_it_means() {
        let (peer, other) = (PeerId([1; 32]), PeerId([2; 32]));
        let bans = Bans::new(vec![
            ban(&peer.to_string(), None),
            ban("9.1.1.1", None),
            ban("9.2.0.0/16", None),
            ban("2a00:1::/32", None),
            ban("label:spam", None),
        ]);
        assert_eq!(bans.len(), 5);
        let hit = |peer: &PeerId, ip: &str, label| bans.hit(0, peer, ip.parse().unwrap(), label);
        assert!(hit(&peer, "8.8.8.8", ""));
        assert!(!hit(&other, "8.8.8.8", ""));
        assert!(hit(&other, "9.1.1.1", "") && hit(&other, "::ffff:9.1.1.1", ""));
        assert!(!hit(&other, "9.1.1.2", ""));
        assert!(hit(&other, "9.2.200.1", "") && !hit(&other, "9.3.0.0", ""));
        assert!(hit(&other, "2a00:1:ffff::1", "") && !hit(&other, "2a00:2::1", ""));
        assert!(hit(&other, "8.8.8.8", "spam") && !hit(&other, "8.8.8.8", "spammer"));
    }

    #[test]
    fn a_ban_ends_when_it_said() {
        let bans = Bans::new(vec![ban("9.1.1.1", Some(100)), ban("label:x", Some(50))]);
        let (peer, ip) = (PeerId([1; 32]), "9.1.1.1".parse().unwrap());
        assert!(bans.hit(99, &peer, ip, ""));
        assert!(!bans.hit(100, &peer, ip, ""));
        assert!(bans.hit(49, &peer, "9.1.1.2".parse().unwrap(), "x"));
        assert!(!bans.hit(50, &peer, "9.1.1.2".parse().unwrap(), "x"));
    }
}
