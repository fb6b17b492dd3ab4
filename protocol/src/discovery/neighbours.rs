//! The identities heard on the LAN: a bounded table that newcomers can't flush.
//!
//! When it is full, the identity that makes room is one that fell silent, else the newcomer that was silent longest.
//! Whoever has been heard repeatedly and is still heard never makes room, whatever number of keys an attacker invents.
//! One address holds a quarter of the table at most.

use super::freshness::{Age, Freshness};
use crate::id::PublicKey;
use crate::time::{Duration, Instant};
use crate::wire::Beacon;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, SocketAddr};

/// After so many beacons over so long a newcomer is settled.
const SETTLED_AFTER: (u8, Duration) = (3, Duration::from_secs(4));

/// How much an identity has earned. The lowest one makes room first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Silent for so long that it counts as gone; remembered for its freshness alone.
    Absent,
    New,
    Settled,
}

/// What is known of one identity.
#[derive(Clone, Debug)]
struct Neighbour {
    standing: Standing,
    /// Where its last beacons came from, with the announced port, the latest first: most hosts have an address of
    /// each family.
    places: [SocketAddr; 2],
    freshness: Freshness,
    /// Since when it is present.
    since: Instant,
    heard: Instant,
    /// Beacons accepted since then.
    beacons: u8,
}

impl Neighbour {
    /// The address that it counts for.
    fn source(&self) -> IpAddr {
        let [latest, _] = self.places;
        latest.ip()
    }

    /// Notes a verified beacon. Tells whether the identity was absent or started anew.
    fn renew(&mut self, now: Instant, beacon: &Beacon, at: SocketAddr) -> bool {
        let was_absent = self.standing == Standing::Absent;
        let restarted = self.freshness.age(beacon.start, beacon.counter) == Age::Restart;
        if was_absent || restarted {
            self.since = now;
        }
        if was_absent {
            self.standing = Standing::New;
            self.beacons = 0;
        }
        self.beacons = self.beacons.saturating_add(1);
        let (beacons, span) = SETTLED_AFTER;
        if self.beacons >= beacons && now.since(self.since) >= span {
            self.standing = Standing::Settled;
        }
        self.freshness.accept(beacon.start, beacon.counter);
        self.heard = self.heard.max(now);
        let [latest, _] = self.places;
        if latest != at {
            self.places = [at, latest];
        }
        was_absent || restarted
    }
}

/// What a claimed beacon would change if it is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// An identity that is not present.
    Unknown,
    /// A present identity that started anew or moved.
    Changed,
    /// Present, the same start, the same place; it was last verified so long ago.
    Alive { verified_ago: Duration },
    /// Heard before.
    Stale,
}

/// What accepting a beacon did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Noted; `appeared` if the identity was not present or started anew.
    Noted { appeared: bool, forgotten: Option<PublicKey> },
    /// The table has no room for this one.
    Full,
}

#[derive(Debug)]
pub(crate) struct Neighbours {
    known: BTreeMap<PublicKey, Neighbour>,
    /// All of `known`, in the order in which they make room.
    queue: BTreeSet<(Standing, Instant, PublicKey)>,
    /// How many present identities each address has.
    per_source: BTreeMap<IpAddr, u32>,
    present: u32,
    capacity: usize,
}

impl Neighbours {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            known: BTreeMap::new(),
            queue: BTreeSet::new(),
            per_source: BTreeMap::new(),
            present: 0,
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
        }
    }

    /// How many identities are present.
    pub(crate) fn present(&self) -> u32 {
        self.present
    }

    /// What `beacon` from `at` (source address, announced port) would change. Nothing of it is proved yet.
    pub(crate) fn news(&self, now: Instant, beacon: &Beacon, at: SocketAddr) -> News {
        let Some(known) = self.known.get(&beacon.key) else { return News::Unknown };
        match known.freshness.age(beacon.start, beacon.counter) {
            Age::Stale => News::Stale,
            _ if known.standing == Standing::Absent => News::Unknown,
            Age::Fresh if known.places.contains(&at) => {
                News::Alive { verified_ago: now.since(known.heard) }
            }
            Age::Fresh | Age::Restart => News::Changed,
        }
    }

    /// Whether `key` has been here for less than `span`.
    pub(crate) fn is_newcomer(&self, now: Instant, key: &PublicKey, span: Duration) -> bool {
        self.known.get(key).is_some_and(|known| now.since(known.since) < span)
    }

    /// Whether a beacon of `key` from `source` is what is usually heard from there.
    pub(crate) fn is_familiar(&self, key: &PublicKey, source: IpAddr) -> bool {
        self.known.get(key).is_some_and(|known| {
            known.standing == Standing::Settled && known.places.iter().any(|at| at.ip() == source)
        })
    }

    /// Notes a verified beacon that was not [`News::Stale`].
    pub(crate) fn accept(&mut self, now: Instant, beacon: &Beacon, at: SocketAddr) -> Accepted {
        let Some(known) = self.known.get_mut(&beacon.key) else {
            return self.add(now, beacon, at);
        };
        let (standing, heard, source) = (known.standing, known.heard, known.source());
        let appeared = known.renew(now, beacon, at);
        let renewed = (known.standing, known.heard, beacon.key);
        self.queue.remove(&(standing, heard, beacon.key));
        self.queue.insert(renewed);
        if standing == Standing::Absent {
            self.join(at.ip());
        } else if source != at.ip() {
            self.leave(source);
            self.join(at.ip());
        }
        Accepted::Noted { appeared, forgotten: None }
    }

    fn add(&mut self, now: Instant, beacon: &Beacon, at: SocketAddr) -> Accepted {
        let held = self.per_source.get(&at.ip()).copied().unwrap_or(0);
        if usize::try_from(held).unwrap_or(usize::MAX) >= self.capacity.div_ceil(4) {
            return Accepted::Full;
        }
        let forgotten = if self.known.len() >= self.capacity {
            match self.make_room() {
                None => return Accepted::Full,
                forgotten => forgotten,
            }
        } else {
            None
        };
        let freshness = Freshness::new(beacon.start, beacon.counter);
        let standing = Standing::New;
        let places = [at; 2];
        let known = Neighbour { standing, places, freshness, since: now, heard: now, beacons: 1 };
        self.queue.insert((standing, now, beacon.key));
        self.known.insert(beacon.key, known);
        self.join(at.ip());
        Accepted::Noted { appeared: true, forgotten }
    }

    fn make_room(&mut self) -> Option<PublicKey> {
        let &(standing, heard, key) = self.queue.first()?;
        if standing == Standing::Settled {
            return None;
        }
        self.queue.remove(&(standing, heard, key));
        if let Some(known) = self.known.remove(&key)
            && standing != Standing::Absent
        {
            self.leave(known.source());
        }
        Some(key)
    }

    /// Turns those that were not heard since `before` into absent ones, and names them.
    pub(crate) fn expire(&mut self, before: Instant, mut gone: impl FnMut(PublicKey)) {
        for standing in [Standing::New, Standing::Settled] {
            let lowest = (standing, Instant::ZERO, PublicKey([0; 32]));
            while let Some(&entry) = self.queue.range(lowest..).next() {
                let (found, heard, key) = entry;
                if found != standing || heard >= before {
                    break;
                }
                self.queue.remove(&entry);
                self.queue.insert((Standing::Absent, heard, key));
                if let Some(known) = self.known.get_mut(&key) {
                    known.standing = Standing::Absent;
                    let source = known.source();
                    self.leave(source);
                }
                gone(key);
            }
        }
    }

    /// Counts one more present identity at `source`.
    fn join(&mut self, source: IpAddr) {
        let count = self.per_source.entry(source).or_default();
        *count = count.saturating_add(1);
        self.present = self.present.saturating_add(1);
    }

    /// Counts one less.
    fn leave(&mut self, source: IpAddr) {
        self.present = self.present.saturating_sub(1);
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn beacon(n: u64, counter: u64) -> Beacon {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        Beacon { network: [0; 8], flags: 0, tcp_port: 1, key: PublicKey(key), start: 1, counter }
    }

    fn host(n: u64) -> SocketAddr {
        SocketAddr::new(IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()), 1)
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    /// Every count agrees with the entries it counts.
    fn check(table: &Neighbours) {
        let present = table.known.values().filter(|known| known.standing != Standing::Absent);
        let mut per_source = BTreeMap::<IpAddr, u32>::new();
        for known in present.clone() {
            *per_source.entry(known.source()).or_default() += 1;
        }
        assert_eq!(table.per_source, per_source);
        assert_eq!(table.present as usize, present.count());
        let queue: BTreeSet<_> =
            table.known.iter().map(|(key, known)| (known.standing, known.heard, *key)).collect();
        assert_eq!(table.queue, queue);
        assert!(table.known.len() <= table.capacity);
    }

    /// Ten hosts that are heard every ten seconds.
    fn settled(capacity: u32) -> Neighbours {
        let mut table = Neighbours::new(capacity);
        for round in 0..4 {
            for n in 0..10 {
                table.accept(at(round * 10), &beacon(n, round), host(n));
            }
        }
        table
    }

    #[test]
    fn a_flood_of_keys_does_not_evict_whoever_is_heard_repeatedly() {
        let mut table = settled(64);
        for n in 0..1_000_000 {
            // From one address, then from ever new ones.
            let source = host(if n % 2 == 0 { 7 } else { 1000 + n });
            table.accept(at(31), &beacon(100 + n, 0), source);
        }
        check(&table);
        for n in 0..10 {
            let news = table.news(at(31), &beacon(n, 4), host(n));
            assert_eq!(news, News::Alive { verified_ago: Duration::from_secs(1) });
            assert!(table.is_familiar(&beacon(n, 4).key, host(n).ip()));
        }
        assert!(table.per_source[&host(7).ip()] <= 16);
    }

    #[test]
    fn a_flood_that_repeats_its_keys_does_not_either() {
        let mut table = settled(64);
        for round in 0..20 {
            for n in 0..200 {
                let beacon = beacon(100 + n, round);
                if table.news(at(31 + round), &beacon, host(1000 + n)) != News::Stale {
                    table.accept(at(31 + round), &beacon, host(1000 + n));
                }
            }
        }
        check(&table);
        for n in 0..10 {
            assert_ne!(table.news(at(51), &beacon(n, 4), host(n)), News::Unknown, "{n}");
        }
    }

    #[test]
    fn the_silent_make_room_first_and_keep_their_freshness_until_then() {
        let mut table = settled(12);
        let mut gone = Vec::new();
        table.accept(at(60), &beacon(3, 9), host(3));
        table.expire(at(50), |key| gone.push(key));
        assert_eq!(gone.len(), 9);
        assert_eq!(table.present(), 1);
        // A replay is refused although the identity counts as gone.
        assert_eq!(table.news(at(61), &beacon(4, 3), host(4)), News::Stale);
        assert_eq!(table.news(at(61), &beacon(4, 4), host(4)), News::Unknown);
        let accepted = table.accept(at(61), &beacon(4, 4), host(4));
        assert_eq!(accepted, Accepted::Noted { appeared: true, forgotten: None });
        for n in 20..40 {
            table.accept(at(61), &beacon(n, 0), host(n));
        }
        check(&table);
        assert_ne!(table.news(at(62), &beacon(3, 10), host(3)), News::Unknown);
    }

    #[test]
    fn a_table_of_settled_ones_has_no_room() {
        let mut table = settled(10);
        assert_eq!(table.accept(at(31), &beacon(50, 0), host(50)), Accepted::Full);
        for n in 0..10 {
            assert_ne!(table.news(at(31), &beacon(n, 4), host(n)), News::Unknown, "{n}");
        }
    }

    #[test]
    fn what_would_change_is_told_before_verification() {
        let table = settled(64);
        let news = |beacon: Beacon, source| table.news(at(35), &beacon, source);
        assert_eq!(news(beacon(50, 0), host(1)), News::Unknown);
        assert_eq!(news(beacon(1, 3), host(1)), News::Stale);
        assert_eq!(news(beacon(1, 4), host(2)), News::Changed);
        assert_eq!(news(Beacon { start: 2, ..beacon(1, 0) }, host(1)), News::Changed);
        let verified_ago = Duration::from_secs(5);
        assert_eq!(news(beacon(1, 4), host(1)), News::Alive { verified_ago });
    }

    proptest! {
        #[test]
        fn counts_hold_whatever_happens(
            steps in prop::collection::vec((0u64..40, 0u64..12, 0u64..4, 0u64..30), 1..300),
        ) {
            let mut table = Neighbours::new(16);
            let mut now = Instant::ZERO;
            for (n, source, pass, counter) in steps {
                now = now + Duration::from_secs(pass);
                table.expire(now - Duration::from_secs(20), |_| ());
                let beacon = beacon(n, counter);
                if table.news(now, &beacon, host(source)) != News::Stale {
                    table.accept(now, &beacon, host(source));
                }
                check(&table);
            }
        }
    }
}
