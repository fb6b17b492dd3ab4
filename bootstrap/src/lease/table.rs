//! The table of leases.

use super::crowd::distinct;
use super::place::Scope;
use super::shelves::{Entry, Shelves};
use super::slab::NONE;
use super::wheel::{Spoke, Wheel};
use hashbrown::HashTable;
use p2pnet_protocol::{PeerId, net::canonical};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

/// What the table may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLimits {
    /// Leases in all, with those that ended lately.
    pub leases_max: u32,
    /// Networks with leases.
    pub networks_max: u16,
    /// Leases at one /24 of IPv4 addresses.
    pub per_v4_24_max: u32,
    /// Leases at one /64 of IPv6 addresses.
    pub per_v6_64_max: u32,
    /// Leases at one /48 of IPv6 addresses.
    pub per_v6_48_max: u32,
}

impl Default for LeaseLimits {
    fn default() -> Self {
        Self {
            leases_max: 1_000_000,
            networks_max: 1024,
            per_v4_24_max: 64,
            per_v6_64_max: 64,
            per_v6_48_max: 256,
        }
    }
}

/// A sign of life, whose signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Who it is.
    pub peer: PeerId,
    /// The tag of the network in which it wants to be found.
    pub network: [u8; 8],
    /// Where it was observed.
    pub ip: IpAddr,
    /// Grows with each request of this peer; an equal or smaller one is a replay.
    pub freshness: u64,
    /// The second until which this request could be replayed.
    pub replay_until: u32,
    /// For how many seconds the peer is listed, at most [`Leases::LIFETIME_SECS_MAX`].
    pub lifetime_secs: u32,
}

/// A peer's wish for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who and where.
    pub sign: Sign,
    /// The port that it claims to be dialled at; nobody is told of a peer with port 0.
    pub port: u16,
    /// What it calls itself; empty for nothing.
    pub label: String,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// There was no lease.
    New,
    /// It lasts longer now.
    Renewed,
    /// Likewise, at another address.
    Moved,
}

/// Why there is no lease, or no longer one than before. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseRefusal {
    /// The table is full.
    Full,
    /// There are too many networks.
    TooManyNetworks,
    /// The subnet of the address has as many as it may have.
    SubnetFull,
    /// An equal or later request of this peer was seen.
    Replayed,
}

impl fmt::Display for LeaseRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the server has as many leases as it may have",
            Self::TooManyNetworks => "the server has as many networks as it may have",
            Self::SubnetFull => "the subnet has as many leases as it may have",
            Self::Replayed => "this request, or a later one, was seen before",
        })
    }
}

impl std::error::Error for LeaseRefusal {}

/// Who asks for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Who it is: it isn't told of itself.
    pub peer: PeerId,
    /// The network's tag.
    pub network: [u8; 8],
    /// Where it was observed.
    pub scope: Scope,
}

/// A lease as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub peer: PeerId,
    /// The tag of its network.
    pub network: [u8; 8],
    /// Where the peer can be dialled.
    pub address: SocketAddr,
    /// What the peer calls itself; empty for nothing.
    pub label: String,
    /// What its last request carried.
    pub freshness: u64,
    /// The second in which it ends.
    pub ends: u32,
}

/// All leases.
#[derive(Debug)]
pub struct Leases {
    limits: LeaseLimits,
    /// Peers choose their keys, so where a key hashes to must be secret.
    hasher: RandomState,
    by_peer: HashTable<u32>,
    shelves: Shelves,
    wheel: Wheel,
    /// How many have ended and are kept only to know replays by.
    over: usize,
}

impl Leases {
    /// The longest lease.
    pub const LIFETIME_SECS_MAX: u32 = 7200;

    /// An empty table. `now` is the second it is.
    pub fn new(limits: LeaseLimits, now: u32) -> Self {
        Self {
            limits,
            hasher: RandomState::new(),
            by_peer: HashTable::new(),
            shelves: Shelves::new(),
            wheel: Wheel::new(now),
            over: 0,
        }
    }

    /// How many leases there are.
    pub fn len(&self) -> usize {
        self.by_peer.len() - self.over
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many networks have leases.
    pub fn networks(&self) -> usize {
        self.shelves.by_tag.len()
    }

    /// How many leases the network with this tag has.
    pub fn in_network(&self, tag: &[u8; 8]) -> u32 {
        let number = self.shelves.by_tag.get(tag);
        number.map_or(0, |at| self.shelves.crowds[usize::from(*at)].running)
    }

    /// Changes what the table may hold. What it holds already stays until it ends.
    pub fn set_limits(&mut self, limits: LeaseLimits) {
        self.limits = limits;
    }

    /// Grants or renews a lease.
    ///
    /// # Errors
    /// [`LeaseRefusal`]; a lease that was there stays as it was.
    pub fn grant(&mut self, now: u32, offer: &Offer) -> Result<Granted, LeaseRefusal> {
        let sign = &offer.sign;
        let address = canonical(SocketAddr::new(sign.ip, offer.port));
        let label = (!offer.label.is_empty()).then(|| offer.label.as_str().into());
        let Some(at) = self.find(&sign.peer, &sign.network) else {
            self.room_for_one(sign, address.ip())?;
            let at = self.shelves.entries.insert(Entry::new(sign.peer));
            self.shelves.entries[at].label = label;
            self.shelves.put(at, address, &sign.network);
            self.index(at);
            self.wheel.hang(&mut self.shelves.entries, at);
            self.prolong(now, at, sign);
            return Ok(Granted::New);
        };
        let was_over = self.shelves.entries[at].over;
        let moved = self.refresh(now, at, address, sign)?;
        self.shelves.entries[at].label = label;
        Ok(match (was_over, moved) {
            (true, _) => Granted::New,
            (false, true) => Granted::Moved,
            (false, false) => Granted::Renewed,
        })
    }

    /// Renews a lease, at the port that it has; false if there is none.
    ///
    /// # Errors
    /// [`LeaseRefusal`]; a lease that was there stays as it was.
    pub fn renew(&mut self, now: u32, sign: &Sign) -> Result<bool, LeaseRefusal> {
        let Some(at) = self.find(&sign.peer, &sign.network) else { return Ok(false) };
        let entry = &self.shelves.entries[at];
        if sign.freshness <= entry.freshness {
            return Err(LeaseRefusal::Replayed);
        }
        if entry.over {
            return Ok(false);
        }
        let address = canonical(SocketAddr::new(sign.ip, entry.address().port()));
        self.refresh(now, at, address, sign).map(|_| true)
    }

    /// Ends a lease because its peer says so; false if there is none.
    ///
    /// # Errors
    /// [`LeaseRefusal::Replayed`].
    pub fn leave(&mut self, now: u32, sign: &Sign) -> Result<bool, LeaseRefusal> {
        let Some(at) = self.find(&sign.peer, &sign.network) else { return Ok(false) };
        let entry = &mut self.shelves.entries[at];
        if sign.freshness <= entry.freshness {
            return Err(LeaseRefusal::Replayed);
        }
        entry.freshness = sign.freshness;
        entry.replay_until = sign.replay_until;
        entry.changed = true;
        let running = !entry.over;
        self.finish(now, at);
        Ok(running)
    }

    /// Takes over what another server, or this one before it was started again, knew of a lease: like
    /// [`grant`](Self::grant), but what is known already, or later, is no error, and it isn't copied again. A lifetime of 0
    /// ends the lease. Returns whether anything changed.
    ///
    /// # Errors
    /// [`LeaseRefusal`]: it doesn't fit.
    pub fn adopt(&mut self, now: u32, offer: &Offer) -> Result<bool, LeaseRefusal> {
        let sign = &offer.sign;
        let known = self.freshness(&sign.peer, &sign.network);
        if known.is_some_and(|known| known >= sign.freshness) {
            return Ok(false);
        }
        if sign.lifetime_secs > 0 {
            self.grant(now, offer)?;
        } else if known.is_some() {
            self.leave(now, sign)?;
        }
        if let Some(at) = self.find(&sign.peer, &sign.network) {
            self.shelves.entries[at].changed = false;
        }
        Ok(sign.lifetime_secs > 0 || known.is_some())
    }

    /// What the last request of `peer` carried, if any could still be replayed.
    pub fn freshness(&self, peer: &PeerId, network: &[u8; 8]) -> Option<u64> {
        self.find(peer, network).map(|at| self.shelves.entries[at].freshness)
    }

    /// The number of the last task for everybody that the peer has got; 0 for none.
    pub fn told(&self, peer: &PeerId, network: &[u8; 8]) -> u32 {
        self.find(peer, network).map_or(0, |at| self.shelves.entries[at].told)
    }

    /// The peer has got all tasks for everybody up to this number.
    pub fn tell(&mut self, peer: &PeerId, network: &[u8; 8], number: u32) {
        if let Some(at) = self.find(peer, network) {
            let told = &mut self.shelves.entries[at].told;
            *told = number.max(*told);
        }
    }

    /// Ends every lease that `condemned` names, by looking at all of them; returns how many.
    pub fn end_where(&mut self, now: u32, mut condemned: impl FnMut(&Lease) -> bool) -> usize {
        let entries = &self.shelves.entries;
        let running = self.by_peer.iter().copied().filter(|at| !entries[*at].over);
        let ending: Vec<u32> = running.filter(|at| condemned(&self.lease(*at))).collect();
        ending.iter().for_each(|at| self.finish(now, *at));
        ending.len()
    }

    /// Ends leases whose time has come, at most `most` of them; returns how many it looked at. As long as that is `most`,
    /// there may be more.
    pub fn expire(&mut self, now: u32, most: usize) -> usize {
        let mut seen = 0;
        while seen < most
            && let Some(at) = self.wheel.due(&mut self.shelves.entries, now)
        {
            self.finish(now, at);
            seen += 1;
        }
        seen
    }

    /// The lease of `peer` in the network with this tag.
    pub fn get(&self, peer: &PeerId, network: &[u8; 8]) -> Option<Lease> {
        let at = self.find(peer, network)?;
        (!self.shelves.entries[at].over).then(|| self.lease(at))
    }

    /// All leases with numbers from `from` on, at most `most` numbers of them, and the number to go on with; `None` at the
    /// end. A lease that comes or goes between two calls may be in neither or both.
    pub fn page(&self, from: u32, most: u32) -> (Vec<Lease>, Option<u32>) {
        let entries = &self.shelves.entries;
        let end = entries.end().min(from.saturating_add(most));
        let running = |at: &u32| entries[*at].group != NONE && !entries[*at].over;
        let leases = (from..end).filter(running).map(|at| self.lease(at)).collect();
        (leases, (end < entries.end()).then_some(end))
    }

    /// Leases that changed since they were last returned here, in pages like those of [`page`](Self::page); those that
    /// ended early are among them, with an end that is past.
    pub fn changed(&mut self, from: u32, most: u32) -> (Vec<Lease>, Option<u32>) {
        let end = self.shelves.entries.end().min(from.saturating_add(most));
        let mut leases = Vec::new();
        for at in from..end {
            let entry = &mut self.shelves.entries[at];
            if entry.group != NONE && std::mem::take(&mut entry.changed) {
                leases.push(self.lease(at));
            }
        }
        (leases, (end < self.shelves.entries.end()).then_some(end))
    }

    /// At most `wanted` leases that `asker` may be told of, each at most once, none that has ended, and not its own:
    /// one of each of so many sites drawn at random, then a second of each, and so on. `below(n)` draws a number below
    /// `n`. Within a site leases take turns. Costs what it returns, not what the table holds.
    pub fn sample(
        &mut self,
        now: u32,
        asker: &Asker,
        wanted: usize,
        mut below: impl FnMut(u64) -> u64,
    ) -> Vec<(PeerId, SocketAddr)> {
        let shelves = &mut self.shelves;
        let Some(number) = shelves.by_tag.get(&asker.network) else { return Vec::new() };
        let crowd = &shelves.crowds[usize::from(*number)];
        // One more than wanted, since the asker may be alone at one of them.
        let drawn = distinct(crowd.visible(asker.scope), wanted.saturating_add(1), &mut below);
        let mut open: Vec<(u32, u32)> = drawn
            .into_iter()
            .map(|n| crowd.nth(n))
            .map(|group| (group, shelves.groups[group].leases))
            .collect();
        let mut found = Vec::with_capacity(wanted.min(64));
        while !open.is_empty() && found.len() < wanted {
            open.retain_mut(|(group, left)| {
                let group = &mut shelves.groups[*group];
                while *left > 0 && found.len() < wanted {
                    *left -= 1;
                    let entry = &shelves.entries[group.head];
                    group.head = entry.right;
                    if asker.peer != entry.peer && entry.ends > now {
                        found.push((entry.peer, entry.address()));
                        break;
                    }
                }
                *left > 0
            });
        }
        found
    }

    /// Bytes allocated for all of this, labels apart.
    pub fn bytes(&self) -> usize {
        self.shelves.bytes() + self.wheel.bytes() + self.by_peer.allocation_size()
    }

    fn find(&self, peer: &PeerId, network: &[u8; 8]) -> Option<u32> {
        let shelves = &self.shelves;
        let number = *shelves.by_tag.get(network)?;
        let hash = self.hasher.hash_one((*peer, *network));
        let found = self.by_peer.find(hash, |at| {
            let entry = &shelves.entries[*at];
            entry.peer == *peer && shelves.groups[entry.group].network == number
        });
        found.copied()
    }

    fn index(&mut self, at: u32) {
        let (shelves, hasher) = (&self.shelves, &self.hasher);
        let hash = |at: &u32| hasher.hash_one((shelves.entries[*at].peer, shelves.tag_of(*at)));
        self.by_peer.insert_unique(hash(&at), at, hash);
    }

    fn lease(&self, at: u32) -> Lease {
        let entry = &self.shelves.entries[at];
        Lease {
            peer: entry.peer,
            network: self.shelves.tag_of(at),
            address: entry.address(),
            label: entry.label.as_deref().unwrap_or_default().to_owned(),
            freshness: entry.freshness,
            ends: entry.ends,
        }
    }

    /// Whether a new lease fits.
    fn room_for_one(&self, sign: &Sign, ip: IpAddr) -> Result<(), LeaseRefusal> {
        let by_tag = &self.shelves.by_tag;
        if self.by_peer.len() >= self.limits.leases_max as usize {
            Err(LeaseRefusal::Full)
        } else if !by_tag.contains_key(&sign.network)
            && by_tag.len() >= usize::from(self.limits.networks_max)
        {
            Err(LeaseRefusal::TooManyNetworks)
        } else {
            self.room_at(ip)
        }
    }

    /// Whether a lease more fits at `ip`.
    fn room_at(&self, ip: IpAddr) -> Result<(), LeaseRefusal> {
        let limits = &self.limits;
        let site_max = if ip.is_ipv4() { limits.per_v4_24_max } else { limits.per_v6_48_max };
        let (at_site, at_link) = self.shelves.near(ip);
        if at_site >= site_max || at_link >= limits.per_v6_64_max {
            return Err(LeaseRefusal::SubnetFull);
        }
        Ok(())
    }

    /// A known peer is alive, maybe elsewhere; returns whether it moved.
    fn refresh(
        &mut self,
        now: u32,
        at: u32,
        address: SocketAddr,
        sign: &Sign,
    ) -> Result<bool, LeaseRefusal> {
        let entry = &self.shelves.entries[at];
        let (before, was_over) = (entry.address(), entry.over);
        if sign.freshness <= entry.freshness {
            return Err(LeaseRefusal::Replayed);
        }
        let moved = before != address;
        if moved || was_over {
            // Leaving first makes room where it goes; if there is none, it goes back.
            self.shelves.take(at);
            if let Err(refusal) = self.room_at(address.ip()) {
                self.shelves.put(at, before, &sign.network);
                return Err(refusal);
            }
            self.shelves.entries[at].over = false;
            self.shelves.put(at, address, &sign.network);
            self.over -= usize::from(was_over);
        }
        self.prolong(now, at, sign);
        Ok(moved)
    }

    fn prolong(&mut self, now: u32, at: u32, sign: &Sign) {
        self.wheel.take(&mut self.shelves.entries, at);
        let entry = &mut self.shelves.entries[at];
        entry.freshness = sign.freshness;
        entry.replay_until = sign.replay_until;
        entry.changed = true;
        entry.ends = now.saturating_add(sign.lifetime_secs.min(Self::LIFETIME_SECS_MAX));
        entry.spoke = Spoke::until(entry.ends);
        self.wheel.hang(&mut self.shelves.entries, at);
    }

    /// Ends a lease, and forgets it as soon as no request of it could be replayed.
    fn finish(&mut self, now: u32, at: u32) {
        let tag = self.shelves.tag_of(at);
        self.wheel.take(&mut self.shelves.entries, at);
        let entry = &mut self.shelves.entries[at];
        let (address, was_over) = (entry.address(), entry.over);
        entry.ends = entry.ends.min(now);
        if entry.replay_until > now {
            entry.spoke = Spoke::until(entry.replay_until);
            if !was_over {
                self.shelves.take(at);
                self.shelves.entries[at].over = true;
                self.shelves.entries[at].label = None;
                self.shelves.put(at, address, &tag);
                self.over += 1;
            }
            self.wheel.hang(&mut self.shelves.entries, at);
            return;
        }
        let hash = self.hasher.hash_one((self.shelves.entries[at].peer, tag));
        if let Ok(found) = self.by_peer.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        self.shelves.take(at);
        self.shelves.entries[at].label = None;
        self.shelves.entries.remove(at);
        self.over -= usize::from(was_over);
    }
}
