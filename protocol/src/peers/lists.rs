//! The operator's lists: who is blocked, who alone is allowed, who is trusted without further proof.

use crate::error::CommandError;
use crate::id::PeerId;
use crate::io::BlockTarget;
use crate::limits::Limits;
use crate::net::IpPrefix;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Blocks, the allow-list and the trusted list. Blocks are bounded by [`Limits::blocked_max`], the other two by
/// [`Limits::listed_max`] each.
#[doc(alias = "BlockedIPs")]
#[doc(alias = "BlockedIdentifiers")]
#[derive(Clone, Debug)]
pub struct Lists {
    blocked: Targets,
    allowed: Targets,
    trusted: BTreeSet<PeerId>,
    trusted_max: usize,
    /// Turned away for a label that the authority gave them.
    labelled: BTreeSet<PeerId>,
}

/// Identities and prefixes, up to a number of them.
#[derive(Clone, Debug)]
struct Targets {
    max: usize,
    /// The key of the bound, for errors.
    limit: &'static str,
    peers: BTreeSet<PeerId>,
    prefixes: BTreeSet<IpPrefix>,
    /// How many of the prefixes have this family (true for IPv4) and length: what a look-up has to probe.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl Targets {
    fn new(max: usize, limit: &'static str) -> Self {
        let (peers, prefixes, lengths) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { max, limit, peers, prefixes, lengths }
    }

    fn add(&mut self, target: BlockTarget) -> Result<bool, CommandError> {
        let known = match target {
            BlockTarget::Peer(peer) => self.peers.contains(&peer),
            BlockTarget::Prefix(prefix) => self.prefixes.contains(&prefix),
        };
        if known {
            return Ok(false);
        }
        if self.len() >= self.max {
            return Err(CommandError::LimitReached(self.limit));
        }
        match target {
            BlockTarget::Peer(peer) => {
                self.peers.insert(peer);
            }
            BlockTarget::Prefix(prefix) => {
                self.prefixes.insert(prefix);
                let same = self.lengths.entry(length_of(&prefix)).or_default();
                *same = same.saturating_add(1);
            }
        }
        Ok(true)
    }

    fn remove(&mut self, target: BlockTarget) -> bool {
        match target {
            BlockTarget::Peer(peer) => self.peers.remove(&peer),
            BlockTarget::Prefix(prefix) => {
                let found = self.prefixes.remove(&prefix);
                let length = length_of(&prefix);
                if found && let Some(same) = self.lengths.get_mut(&length) {
                    *same = same.saturating_sub(1);
                    if *same == 0 {
                        self.lengths.remove(&length);
                    }
                }
                found
            }
        }
    }

    fn has(&self, peer: Option<&PeerId>, ip: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.peers.contains(peer)) || ip.is_some_and(|ip| self.has_ip(ip))
    }

    /// The cost grows with the number of distinct prefix lengths in use, at most 33 for IPv4 and 129 for IPv6, and only
    /// with the logarithm of the number of prefixes.
    fn has_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.lengths
            .keys()
            .filter(|(is_ipv4, _)| *is_ipv4 == ip.is_ipv4())
            .filter_map(|(_, length)| IpPrefix::new(ip, *length).ok())
            .any(|prefix| self.prefixes.contains(&prefix))
    }

    fn all(&self) -> Vec<BlockTarget> {
        let peers = self.peers.iter().copied().map(BlockTarget::Peer);
        peers.chain(self.prefixes.iter().copied().map(BlockTarget::Prefix)).collect()
    }

    fn len(&self) -> usize {
        self.peers.len().saturating_add(self.prefixes.len())
    }
}

impl Lists {
    /// Empty lists with the bounds of `limits`.
    pub fn new(limits: &Limits) -> Self {
        let count = |bound: u32| usize::try_from(bound).unwrap_or(usize::MAX);
        Self {
            blocked: Targets::new(count(limits.blocked_max), "limits.blocked_max"),
            allowed: Targets::new(count(limits.listed_max), "limits.listed_max"),
            trusted: BTreeSet::new(),
            labelled: BTreeSet::new(),
            trusted_max: count(limits.listed_max),
        }
    }

    /// Blocks `target` and tells whether that changed anything.
    ///
    /// # Errors
    /// [`CommandError::LimitReached`] if so much is blocked already.
    pub fn block(&mut self, target: BlockTarget) -> Result<bool, CommandError> {
        self.blocked.add(target)
    }

    /// Lifts the block on exactly `target` and tells whether there was one. Lifting the block on an address leaves it
    /// blocked while a blocked prefix contains it.
    pub fn unblock(&mut self, target: BlockTarget) -> bool {
        self.blocked.remove(target)
    }

    /// Whether the identity or the address is blocked.
    pub fn is_blocked(&self, peer: Option<&PeerId>, ip: Option<IpAddr>) -> bool {
        self.blocked.has(peer, ip) || peer.is_some_and(|peer| self.labelled.contains(peer))
    }

    /// Turns exactly these away too, whatever else is blocked: the authority gave them a label that is.
    pub fn set_labelled(&mut self, labelled: BTreeSet<PeerId>) {
        self.labelled = labelled;
    }

    /// All blocks: identities first, then prefixes, each in order.
    pub fn blocked(&self) -> Vec<BlockTarget> {
        self.blocked.all()
    }

    /// Adds `target` to the allow-list and tells whether it is new there. The first entry turns the list on.
    ///
    /// # Errors
    /// [`CommandError::LimitReached`] if the list is full.
    pub fn allow(&mut self, target: BlockTarget) -> Result<bool, CommandError> {
        self.allowed.add(target)
    }

    /// Takes exactly `target` off the allow-list and tells whether it was there. The last entry's end turns the list off.
    pub fn disallow(&mut self, target: BlockTarget) -> bool {
        self.allowed.remove(target)
    }

    /// Whether the allow-list lets `peer` at `ip` in: it is empty, or has the identity or the address.
    pub fn is_allowed(&self, peer: &PeerId, ip: IpAddr) -> bool {
        self.allowed.len() == 0 || self.allowed.has(Some(peer), Some(ip))
    }

    /// The allow-list: identities first, then prefixes, each in order.
    pub fn allowed(&self) -> Vec<BlockTarget> {
        self.allowed.all()
    }

    /// Adds `peer` to the trusted list and tells whether it is new there.
    ///
    /// # Errors
    /// [`CommandError::LimitReached`] if the list is full.
    pub fn trust(&mut self, peer: PeerId) -> Result<bool, CommandError> {
        if self.trusted.len() >= self.trusted_max && !self.trusted.contains(&peer) {
            return Err(CommandError::LimitReached("limits.listed_max"));
        }
        Ok(self.trusted.insert(peer))
    }

    /// Takes `peer` off the trusted list and tells whether it was there.
    pub fn untrust(&mut self, peer: &PeerId) -> bool {
        self.trusted.remove(peer)
    }

    /// Whether the trusted list has `peer`.
    pub fn is_trusted(&self, peer: &PeerId) -> bool {
        self.trusted.contains(peer)
    }

    /// The trusted list, in order.
    pub fn trusted(&self) -> Vec<PeerId> {
        self.trusted.iter().copied().collect()
    }
}

fn length_of(prefix: &IpPrefix) -> (bool, u8) {
    (prefix.address().is_ipv4(), prefix.length())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn lists() -> Lists {
        Lists::new(&Limits::default())
    }

    fn prefix(text: &str) -> BlockTarget {
        BlockTarget::Prefix(text.parse().unwrap())
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn identities_addresses_and_prefixes_are_blocked_and_unblocked() {
        let mut lists = lists();
        let peer = PeerId([1; 32]);
        assert_eq!(lists.block(BlockTarget::Peer(peer)), Ok(true));
        assert_eq!(lists.block(BlockTarget::Peer(peer)), Ok(false));
        assert!(lists.is_blocked(Some(&peer), None));
        assert!(lists.is_blocked(Some(&peer), ip("192.0.2.1")));
        assert!(!lists.is_blocked(Some(&PeerId([2; 32])), ip("192.0.2.1")));
        assert!(!lists.is_blocked(None, None));

        assert_eq!(lists.block(prefix("192.0.2.0/24")), Ok(true));
        assert_eq!(lists.block(prefix("192.0.2.7")), Ok(true));
        assert_eq!(lists.block(prefix("2001:db8::/32")), Ok(true));
        for blocked in ["192.0.2.1", "::ffff:192.0.2.200", "2001:db8:1::1"] {
            assert!(lists.is_blocked(None, ip(blocked)), "{blocked}");
        }
        for free in ["192.0.3.1", "2001:db9::1", "::1", "::c000:201"] {
            assert!(!lists.is_blocked(None, ip(free)), "{free}");
        }

        assert!(lists.unblock(prefix("192.0.2.0/24")));
        assert!(!lists.unblock(prefix("192.0.2.0/24")));
        assert!(!lists.is_blocked(None, ip("192.0.2.1")));
        assert!(lists.is_blocked(None, ip("192.0.2.7")));
        let left = vec![BlockTarget::Peer(peer), prefix("192.0.2.7/32"), prefix("2001:db8::/32")];
        assert_eq!(lists.blocked(), left);
        assert!(lists.unblock(BlockTarget::Peer(peer)));
        assert!(!lists.is_blocked(Some(&peer), None));
    }

    #[test]
    fn the_widest_prefixes_block_their_family_and_no_other() {
        let mut lists = lists();
        lists.block(prefix("0.0.0.0/0")).unwrap();
        assert!(lists.is_blocked(None, ip("203.0.113.9")));
        assert!(!lists.is_blocked(None, ip("2001:db8::9")));
    }

    #[test]
    fn the_bounds_hold() {
        let limits = Limits { blocked_max: 2, listed_max: 1, ..Limits::default() };
        let mut lists = Lists::new(&limits);
        lists.block(prefix("192.0.2.1")).unwrap();
        lists.block(BlockTarget::Peer(PeerId([1; 32]))).unwrap();
        let full = Err(CommandError::LimitReached("limits.blocked_max"));
        assert_eq!(lists.block(prefix("192.0.2.2")), full);
        assert_eq!(lists.block(prefix("192.0.2.1")), Ok(false));
        lists.unblock(prefix("192.0.2.1"));
        assert_eq!(lists.block(prefix("192.0.2.2")), Ok(true));

        let full = Err(CommandError::LimitReached("limits.listed_max"));
        assert_eq!(lists.trust(PeerId([1; 32])), Ok(true));
        assert_eq!(lists.trust(PeerId([1; 32])), Ok(false));
        assert_eq!(lists.trust(PeerId([2; 32])), full);
        assert_eq!(lists.allow(BlockTarget::Peer(PeerId([1; 32]))), Ok(true));
        assert_eq!(lists.allow(prefix("192.0.2.1")), full);
    }

    #[test]
    fn an_empty_allow_list_allows_all_and_a_filled_one_only_its_own() {
        let mut lists = lists();
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        let (near, far) = (ip("192.0.2.1").unwrap(), ip("198.51.100.1").unwrap());
        assert!(lists.is_allowed(&a, far) && lists.is_allowed(&b, far));
        lists.allow(BlockTarget::Peer(a)).unwrap();
        assert!(lists.is_allowed(&a, far) && !lists.is_allowed(&b, far));
        lists.allow(prefix("192.0.2.0/24")).unwrap();
        assert!(lists.is_allowed(&b, near) && lists.is_allowed(&a, far));
        assert_eq!(lists.allowed(), vec![BlockTarget::Peer(a), prefix("192.0.2.0/24")]);
        assert!(lists.disallow(BlockTarget::Peer(a)) && !lists.disallow(BlockTarget::Peer(a)));
        assert!(!lists.is_allowed(&a, far) && lists.is_allowed(&a, near));
        assert!(lists.disallow(prefix("192.0.2.0/24")));
        assert!(lists.is_allowed(&a, far), "an empty list is off");
    }

    #[test]
    fn the_trusted_list_keeps_and_forgets() {
        let mut lists = lists();
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        lists.trust(b).unwrap();
        lists.trust(a).unwrap();
        assert_eq!(lists.trusted(), vec![a, b]);
        assert!(lists.is_trusted(&a));
        assert!(lists.untrust(&a) && !lists.untrust(&a));
        assert!(!lists.is_trusted(&a) && lists.is_trusted(&b));
    }

    proptest! {
        /// The quick look-up gives what comparing with every block gives.
        #[test]
        fn looks_up_as_a_list_would(
            edits in prop::collection::vec((any::<bool>(), 0u32..64, 24u8..=32), 0..40),
            asked in 0u32..64,
        ) {
            let address = |host: u32| IpAddr::from(core::net::Ipv4Addr::from_bits(0xc000_0200 | host));
            let mut lists = lists();
            let mut model: Vec<IpPrefix> = Vec::new();
            for (add, host, length) in edits {
                let prefix = IpPrefix::new(address(host), length).unwrap();
                if add {
                    let new = !model.contains(&prefix);
                    prop_assert_eq!(lists.block(BlockTarget::Prefix(prefix)), Ok(new));
                    if new { model.push(prefix); }
                } else {
                    let there = model.contains(&prefix);
                    prop_assert_eq!(lists.unblock(BlockTarget::Prefix(prefix)), there);
                    model.retain(|kept| *kept != prefix);
                }
            }
            let expected = model.iter().any(|prefix| prefix.contains(address(asked)));
            prop_assert_eq!(lists.is_blocked(None, Some(address(asked))), expected);
        }
    }
}
