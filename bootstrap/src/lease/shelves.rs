//! Leases on their shelves: where each is shown, and how many there are at each site.

use super::crowd::{Crowd, Group, Shelf};
use super::place::{Scope, is_shareable, link, site};
use super::slab::{NONE, Slab};
use super::wheel::{Hung, Spoke};
use hashbrown::HashTable;
use p2pnet_protocol::PeerId;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A lease as it is kept: 112 bytes, and its label.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: PeerId,
    pub(super) label: Option<Box<str>>,
    pub(super) freshness: u64,
    /// IPv4 is mapped.
    ip: [u8; 16],
    /// When it ends, or is forgotten if it has ended.
    pub(super) spoke: Spoke,
    /// The second in which it ends.
    pub(super) ends: u32,
    /// Until when its last request could be replayed.
    pub(super) replay_until: u32,
    pub(super) group: u32,
    /// Neighbours in the ring of the group.
    left: u32,
    pub(super) right: u32,
    /// The number of the last task for everybody that the peer has got.
    pub(super) told: u32,
    port: u16,
    /// It changed since it was last copied.
    pub(super) changed: bool,
    /// It has ended, and is kept only so that a replay is known.
    pub(super) over: bool,
}

impl Hung for Entry {
    fn spoke(&mut self) -> &mut Spoke {
        &mut self.spoke
    }
}

impl Entry {
    /// One that lies on no shelf yet.
    pub(super) fn new(peer: PeerId) -> Self {
        Self {
            peer,
            label: None,
            freshness: 0,
            ip: [0; 16],
            spoke: Spoke::until(0),
            ends: 0,
            replay_until: 0,
            group: NONE,
            left: NONE,
            right: NONE,
            told: 0,
            port: 0,
            changed: false,
            over: false,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(Ipv6Addr::from(self.ip).to_canonical(), self.port)
    }

    fn set_address(&mut self, address: SocketAddr) {
        self.port = address.port();
        self.ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
    }

    fn shelf(&self) -> Shelf {
        let ip = self.address().ip();
        let open = !self.over && self.port != 0 && is_shareable(ip);
        if open { Shelf::Open(Scope::of(ip)) } else { Shelf::Hidden }
    }
}

#[derive(Debug)]
pub(super) struct Shelves {
    pub(super) entries: Slab<Entry>,
    pub(super) groups: Slab<Group>,
    by_site: HashTable<u32>,
    pub(super) crowds: Vec<Crowd>,
    pub(super) by_tag: HashMap<[u8; 8], u16>,
    /// Leases by site, over all networks.
    at_sites: HashMap<(bool, u64), u32>,
    /// Leases by /64 of IPv6, likewise.
    at_links: HashMap<u64, u32>,
    /// Clients choose where they come from within their prefixes.
    hasher: RandomState,
}

impl Shelves {
    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            groups: Slab::new(),
            by_site: HashTable::new(),
            crowds: Vec::new(),
            by_tag: HashMap::new(),
            at_sites: HashMap::new(),
            at_links: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn tag_of(&self, at: u32) -> [u8; 8] {
        let group = &self.groups[self.entries[at].group];
        self.crowds[usize::from(group.network)].tag
    }

    /// Leases at the site of `ip`, and at its link.
    pub(super) fn near(&self, ip: IpAddr) -> (u32, u32) {
        let at_site = self.at_sites.get(&(ip.is_ipv4(), site(ip)));
        let at_link = link(ip).and_then(|link| self.at_links.get(&link));
        (at_site.copied().unwrap_or(0), at_link.copied().unwrap_or(0))
    }

    /// Puts `at` on the shelf where it belongs, at this address and in the network with this tag.
    pub(super) fn put(&mut self, at: u32, address: SocketAddr, tag: &[u8; 8]) {
        let ip = address.ip();
        *self.at_sites.entry((ip.is_ipv4(), site(ip))).or_default() += 1;
        if let Some(link) = link(ip) {
            *self.at_links.entry(link).or_default() += 1;
        }
        self.entries[at].set_address(address);
        let (shelf, over) = (self.entries[at].shelf(), self.entries[at].over);
        let network = self.number_of(tag);
        let crowd = &mut self.crowds[usize::from(network)];
        crowd.leases += 1;
        crowd.running += u32::from(!over);
        let group = self.group_for(ip, shelf, network);
        self.entries[at].group = group;
        self.join_ring(at, group);
    }

    /// Takes `at` from its shelf. A network without leases is forgotten.
    pub(super) fn take(&mut self, at: u32) {
        let Entry { group, left, right, over, .. } = self.entries[at];
        let ip = self.entries[at].address().ip();
        take_one(&mut self.at_sites, (ip.is_ipv4(), site(ip)));
        if let Some(link) = link(ip) {
            take_one(&mut self.at_links, link);
        }
        self.entries[left].right = right;
        self.entries[right].left = left;
        self.entries[at].group = NONE;
        let network = self.groups[group].network;
        let kept = &mut self.groups[group];
        kept.leases -= 1;
        kept.head = if kept.head == at { right } else { kept.head };
        if kept.leases == 0 {
            self.remove_group(group);
        }
        let crowd = &mut self.crowds[usize::from(network)];
        crowd.leases -= 1;
        crowd.running -= u32::from(!over);
        if crowd.leases == 0 {
            let tag = crowd.tag;
            self.by_tag.remove(&tag);
        }
    }

    /// Bytes allocated for all of this.
    pub(super) fn bytes(&self) -> usize {
        // A hash table keeps a byte beside each place.
        fn places<T>(capacity: usize) -> usize {
            (capacity * 8 / 7).next_power_of_two() * (size_of::<T>() + 1)
        }
        self.entries.bytes()
            + self.groups.bytes()
            + self.by_site.allocation_size()
            + places::<([u8; 8], u16)>(self.by_tag.capacity())
            + places::<((bool, u64), u32)>(self.at_sites.capacity())
            + places::<(u64, u32)>(self.at_links.capacity())
            + self.crowds.iter().map(Crowd::bytes).sum::<usize>()
    }

    /// The number of the network with this tag, a new one if it has none.
    fn number_of(&mut self, tag: &[u8; 8]) -> u16 {
        if let Some(number) = self.by_tag.get(tag) {
            return *number;
        }
        let number = match self.crowds.iter().position(|crowd| crowd.leases == 0) {
            Some(unused) => unused,
            None => {
                self.crowds.push(Crowd::default());
                self.crowds.len() - 1
            }
        };
        self.crowds[number] = Crowd::new(*tag);
        self.by_tag.insert(*tag, number as u16);
        number as u16
    }

    fn join_ring(&mut self, at: u32, group: u32) {
        let head = self.groups[group].head;
        self.groups[group].leases += 1;
        if head == NONE {
            self.groups[group].head = at;
            (self.entries[at].left, self.entries[at].right) = (at, at);
            return;
        }
        // Last in turn.
        let left = self.entries[head].left;
        (self.entries[at].left, self.entries[at].right) = (left, head);
        self.entries[left].right = at;
        self.entries[head].left = at;
    }

    fn group_for(&mut self, ip: IpAddr, shelf: Shelf, network: u16) -> u32 {
        let (v4, site) = (ip.is_ipv4(), site(ip));
        let hash = self.hasher.hash_one((network, v4, site, shelf));
        let (groups, hasher) = (&self.groups, &self.hasher);
        let is_it = |at: &u32| {
            let group = &groups[*at];
            (group.network, group.v4, group.site, group.shelf) == (network, v4, site, shelf)
        };
        if let Some(at) = self.by_site.find(hash, is_it) {
            return *at;
        }
        let group = Group { site, network, shelf, v4, head: NONE, leases: 0, place: 0 };
        let at = self.groups.insert(group);
        let groups = &self.groups;
        self.by_site.insert_unique(hash, at, |at| {
            let group = &groups[*at];
            hasher.hash_one((group.network, group.v4, group.site, group.shelf))
        });
        self.groups[at].place = self.crowds[usize::from(network)].add(shelf, at);
        at
    }

    fn remove_group(&mut self, at: u32) {
        let Group { site, network, shelf, v4, place, .. } = self.groups[at];
        let hash = self.hasher.hash_one((network, v4, site, shelf));
        if let Ok(found) = self.by_site.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        if let Some(moved) = self.crowds[usize::from(network)].remove(shelf, place) {
            self.groups[moved].place = place;
        }
        self.groups.remove(at);
    }
}

/// Counts one less, and forgets what is at none.
fn take_one<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
