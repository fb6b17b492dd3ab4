//! Known peers: who was heard of, where they can be dialled, and when to try again.

use crate::config::Timing;
use crate::id::{ConnId, PeerId};
use crate::network::cx::Cx;
use crate::time::{Duration, Instant};
use crate::timers::TimerKey;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;

/// Addresses to dial that are kept for one peer, and as many of hearsay, the most recent first.
const ADDRESSES_MAX: usize = 4;

/// From one beacon that makes a peer dialled sooner than its failures would to the next.
const HURRY: Duration = Duration::from_secs(30);

/// One known peer.
#[derive(Debug)]
pub(crate) struct Known {
    /// Where it was met, or where the application or its own beacons say that it is: what is dialled.
    addresses: Vec<SocketAddr>,
    /// Where others say that it is. Never dialled.
    hearsay: Vec<SocketAddr>,
    pub(crate) label: String,
    pub(crate) listen_port: Option<u16>,
    /// The connection that carries this peer's channel, from a proved identity to its end.
    pub(crate) conn: Option<ConnId>,
    /// A dial under way that expects this peer.
    pub(crate) dialing: Option<ConnId>,
    /// The application asked for this peer: dial again when it is lost.
    pub(crate) manual: bool,
    /// Discovery asked for this peer: likewise.
    pub(crate) automatic: bool,
    /// Its beacons were heard: it is on the LAN, and a channel to it may be an automatic one from either side.
    pub(crate) on_lan: bool,
    /// Dials that failed in a row.
    pub(crate) attempts: u32,
    pub(crate) redial: Option<TimerKey>,
    /// When it was last dialled.
    pub(crate) dialed: Option<Instant>,
    /// When a beacon last cut the wait after a failed dial short, unless the peer was met since.
    hurried: Option<Instant>,
    /// When a new start last ended a hold.
    freed: Option<Instant>,
    /// Until then it is not dialled unless the application asks.
    pub(crate) hold_until: Option<Instant>,
    heard: Instant,
    /// Known by what others say alone: it gives way to everybody who was met or heard.
    only_told_of: bool,
}

impl Known {
    fn new(now: Instant) -> Self {
        Self {
            addresses: Vec::new(),
            hearsay: Vec::new(),
            label: String::new(),
            listen_port: None,
            conn: None,
            dialing: None,
            manual: false,
            automatic: false,
            on_lan: false,
            attempts: 0,
            redial: None,
            dialed: None,
            hurried: None,
            freed: None,
            hold_until: None,
            heard: now,
            only_told_of: false,
        }
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.manual || self.automatic
    }

    const fn is_busy(&self) -> bool {
        self.conn.is_some() || self.dialing.is_some() || self.manual
    }

    /// Remembers where the peer can be dialled: where it was met, where its own beacon came from, or what the
    /// application named. True if that is news.
    pub(crate) fn add_address(&mut self, at: SocketAddr) -> bool {
        put_first(&mut self.addresses, at)
    }

    /// Remembers where somebody else says that the peer is. It is shown and never dialled: whoever tells of a peer could
    /// else choose whom others dial. True if that is news.
    pub(crate) fn add_hearsay(&mut self, at: SocketAddr) -> bool {
        !self.addresses.contains(&at) && put_first(&mut self.hearsay, at)
    }

    /// Remembers where a bootstrap server, or a trusted peer, says that the peer is: dialled after all that is known
    /// better. True if that is news.
    pub(crate) fn add_candidate(&mut self, at: SocketAddr) -> bool {
        if self.addresses.contains(&at) {
            return false;
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            if !self.only_told_of {
                return false;
            }
            self.addresses.pop();
        }
        self.addresses.push(at);
        true
    }

    /// After how many dials that failed it is given up. One that nobody here has met has few.
    pub(crate) fn attempts_max(&self, timing: &Timing) -> u32 {
        const UNMET: u32 = 3;
        let most = timing.redial_attempts_max;
        if self.only_told_of { most.min(UNMET) } else { most }
    }

    /// Whether there is an address to dial.
    pub(crate) const fn can_be_dialled(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// The address that is dialled first.
    pub(crate) fn dialled_at(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// The address to show: the one to dial, or else what others say.
    pub(crate) fn likely_address(&self) -> Option<SocketAddr> {
        self.addresses.first().or(self.hearsay.first()).copied()
    }

    /// A dial begins.
    pub(crate) const fn on_dial(&mut self, now: Instant) {
        self.attempts = self.attempts.saturating_add(1);
        self.dialed = Some(now);
    }

    /// The peer was met: earlier failures count no more.
    pub(crate) const fn on_met(&mut self) {
        self.attempts = 0;
        self.hurried = None;
    }

    /// The peer has started anew, as its beacon says. That ends a hold, but not again and again: else new starts, which
    /// cost nothing, would make everybody dial.
    pub(crate) fn on_restart(&mut self, now: Instant) {
        let Some(until) = self.hold_until else { return };
        match self.freed.map(|freed| freed + HURRY) {
            Some(again) if again > now => self.hold_until = Some(until.min(again)),
            _ => {
                self.freed = Some(now);
                self.hold_until = None;
            }
        }
    }

    /// A beacon of the peer was heard. A peer that is heard of is there, so that the wait after failed dials is over;
    /// but only once in a while until it is met, since beacons prove no address.
    pub(crate) fn on_beacon(&mut self, now: Instant, rest: Duration) -> Turn {
        let since = self.dialed.map_or(rest, |dialed| now.since(dialed));
        if self.attempts > 0 {
            let hurried = self.hurried.is_some_and(|hurried| now.since(hurried) < HURRY);
            if hurried || since < rest {
                return Turn::Later;
            }
            self.hurried = Some(now);
        }
        Turn::In(rest.saturating_sub(since))
    }

    /// The address for the next dial: the most recent first, the others in turn when it fails.
    pub(crate) fn next_address(&self) -> Option<SocketAddr> {
        let turn = usize::try_from(self.attempts).unwrap_or(0).checked_rem(self.addresses.len())?;
        self.addresses.get(turn).copied()
    }
}

/// Puts an address in front of a short list. True if it was not in it.
fn put_first(list: &mut Vec<SocketAddr>, at: SocketAddr) -> bool {
    if list.first() == Some(&at) {
        return false;
    }
    let known = list.iter().position(|address| *address == at);
    if let Some(position) = known {
        list.remove(position);
    }
    list.reserve_exact(1);
    list.insert(0, at);
    list.truncate(ADDRESSES_MAX);
    known.is_none()
}

/// When to dial a peer that a beacon was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Now, or after a rest since the last dial.
    In(Duration),
    /// When the wait after the dials that failed is over.
    Later,
}

/// How long to wait before dial number `attempts` (from 0): doubling from `min` to `max`.
pub(crate) fn backoff(attempts: u32, min: Duration, max: Duration) -> Duration {
    min.saturating_mul(1u32.checked_shl(attempts.min(31)).unwrap_or(u32::MAX)).min(max)
}

/// The known peers, at most a given number of them.
#[derive(Debug)]
pub(crate) struct Book {
    peers: BTreeMap<PeerId, Known>,
    /// Peers by when they were last heard of, for making room.
    by_heard: BTreeSet<(Instant, PeerId)>,
    /// Those that are known by what others say alone, by when that was first said.
    by_told: BTreeSet<(Instant, PeerId)>,
    known_peers_max: usize,
}

impl Book {
    pub(crate) fn new(known_peers_max: u32) -> Self {
        Self {
            peers: BTreeMap::new(),
            by_heard: BTreeSet::new(),
            by_told: BTreeSet::new(),
            known_peers_max: known_peers_max as usize,
        }
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Known> {
        self.peers.get(peer)
    }

    pub(crate) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Known> {
        self.peers.get_mut(peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Known)> {
        self.peers.iter()
    }

    /// The entry of a peer that was just met or heard; true if it is new. Room for a new one is made by forgetting
    /// whoever is known by what others say alone, or else was silent for longest.
    pub(crate) fn hear(&mut self, cx: &mut Cx, peer: PeerId) -> (&mut Known, bool) {
        let now = cx.now;
        let new = !self.peers.contains_key(&peer);
        if new
            && self.peers.len() >= self.known_peers_max
            && let Some(timer) = self.make_room()
        {
            cx.timers.cancel(timer);
        }
        let known = self.peers.entry(peer).or_insert_with(|| Known::new(now));
        self.by_heard.remove(&(known.heard, peer));
        if known.only_told_of {
            known.only_told_of = false;
            self.by_told.remove(&(known.heard, peer));
        }
        known.heard = now;
        self.by_heard.insert((now, peer));
        (known, new)
    }

    /// The entry of a peer that somebody else tells of; true if it is new. Whoever tells of many pushes out nobody but
    /// others that are known by hearsay, which have half of the room at most; `None` if there is none.
    pub(crate) fn hear_of(&mut self, cx: &mut Cx, peer: PeerId) -> Option<(&mut Known, bool)> {
        let now = cx.now;
        let new = !self.peers.contains_key(&peer);
        if new {
            let full = self.peers.len() >= self.known_peers_max;
            if full || self.by_told.len() >= self.known_peers_max / 2 {
                let (_, gone) = self.by_told.pop_first()?;
                if let Some(timer) = self.peers.remove(&gone).and_then(|gone| gone.redial) {
                    cx.timers.cancel(timer);
                }
            }
            self.by_told.insert((now, peer));
        }
        let known = self.peers.entry(peer).or_insert_with(|| Known::new(now));
        known.only_told_of |= new;
        Some((known, new))
    }

    /// Forgets one peer, and gives the timer that it leaves behind.
    fn make_room(&mut self) -> Option<TimerKey> {
        if let Some((_, peer)) = self.by_told.pop_first() {
            return self.peers.remove(&peer)?.redial;
        }
        let is = |peer: &PeerId, test: fn(&Known) -> bool| self.peers.get(peer).is_none_or(test);
        let idle = |known: &Known| !known.is_busy() && known.redial.is_none();
        let idle = self.by_heard.iter().copied().find(|(_, peer)| is(peer, idle));
        // If nobody is idle, whoever waits to be dialled again goes.
        let waits = |known: &Known| !known.is_busy();
        let gone = idle.or_else(|| self.by_heard.iter().copied().find(|(_, peer)| is(peer, waits)));
        let (heard, peer) = gone?;
        self.by_heard.remove(&(heard, peer));
        self.peers.remove(&peer)?.redial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::network::cx::TimerFor;
    use crate::rng::{Rng, Seed};

    fn id(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    fn cx() -> Cx {
        let jitter = Rng::new(Seed::from_u64(1), "jitter");
        Cx::new(Instant::ZERO, Limits::default(), Timing::default(), jitter)
    }

    #[test]
    fn the_longest_silent_idle_peer_makes_room() {
        let mut book = Book::new(3);
        let mut cx = cx();
        let mut hear = |book: &mut Book, ms, n| {
            cx.at(Instant::ZERO + Duration::from_millis(ms));
            book.hear(&mut cx, id(n)).1
        };
        hear(&mut book, 0, 0);
        book.get_mut(&id(0)).unwrap().conn = Some(ConnId(1));
        hear(&mut book, 1, 1);
        hear(&mut book, 2, 2);
        hear(&mut book, 3, 1);
        assert!(hear(&mut book, 4, 3));
        assert_eq!(book.iter().count(), 3);
        assert!(book.get(&id(2)).is_none(), "2 was silent for longest and had no channel");
        assert!(book.get(&id(0)).is_some());
    }

    #[test]
    fn hearsay_pushes_out_nobody_but_hearsay() {
        let (mut book, mut cx) = (Book::new(8), cx());
        for n in 0..6 {
            book.hear(&mut cx, id(n));
        }
        for n in 100..200 {
            let told = book.hear_of(&mut cx, id(n));
            assert!(told.is_some_and(|(_, new)| new));
        }
        assert_eq!(book.iter().count(), 8);
        assert!((0..6).all(|n| book.get(&id(n)).is_some()), "who was met stays");
        // Who was told of and is then met counts as met, and the next one gives way.
        let told = book.iter().map(|(peer, _)| *peer).find(|peer| *peer > id(99)).unwrap();
        assert!(!book.hear(&mut cx, told).1);
        assert!(book.hear(&mut cx, id(50)).1);
        assert!(book.get(&told).is_some() && book.get(&id(50)).is_some());
        assert!((0..6).all(|n| book.get(&id(n)).is_some()));
        assert!(book.hear_of(&mut cx, id(201)).is_none(), "all the room is taken by who was met");
        assert!(book.hear_of(&mut cx, told).is_some_and(|(_, new)| !new));
        // And alone, hearsay has half of the room.
        let mut book = Book::new(8);
        for n in 0..100 {
            book.hear_of(&mut cx, id(n));
        }
        assert_eq!(book.iter().count(), 4);
    }

    #[test]
    fn a_forgotten_peer_leaves_no_timer_behind() {
        let (mut book, mut cx) = (Book::new(1), cx());
        let timer = cx.arm(Duration::from_secs(9), TimerFor::Redial(id(1)));
        book.hear(&mut cx, id(1)).0.redial = Some(timer);
        assert!(book.hear(&mut cx, id(2)).1);
        assert_eq!(cx.timers.next(), None);
    }

    #[test]
    fn a_beacon_hurries_a_dial_once_in_a_while_until_the_peer_is_met() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let rest = Duration::from_secs(1);
        let mut known = Known::new(at(0));
        assert_eq!(known.on_beacon(at(0), rest), Turn::In(Duration::ZERO));
        known.on_dial(at(0));
        assert_eq!(known.on_beacon(at(0), rest), Turn::Later);
        assert_eq!(known.on_beacon(at(1), rest), Turn::In(Duration::ZERO));
        for second in 2..31 {
            assert_eq!(known.on_beacon(at(second), rest), Turn::Later);
        }
        assert_eq!(known.on_beacon(at(31), rest), Turn::In(Duration::ZERO));
        known.on_dial(at(31));
        assert_eq!(known.on_beacon(at(33), rest), Turn::Later);
        // Who was met and is lost is dialled again at once when it is heard of.
        known.on_met();
        assert_eq!(known.on_beacon(at(33), rest), Turn::In(Duration::ZERO));
        known.on_dial(at(40));
        assert_eq!(known.on_beacon(at(45), rest), Turn::In(Duration::ZERO));
    }

    #[test]
    fn a_new_start_ends_a_hold_once_in_a_while() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut known = Known::new(at(0));
        known.on_restart(at(0));
        known.hold_until = Some(Instant::FAR_FUTURE);
        known.on_restart(at(1));
        assert_eq!(known.hold_until, None, "the first start that came to a hold");
        known.hold_until = Some(Instant::FAR_FUTURE);
        known.on_restart(at(2));
        assert_eq!(known.hold_until, Some(at(31)));
        known.hold_until = Some(at(10));
        known.on_restart(at(3));
        assert_eq!(known.hold_until, Some(at(10)), "no hold grows");
        known.on_restart(at(31));
        assert_eq!(known.hold_until, None);
    }

    #[test]
    fn addresses_rotate_when_dials_fail() {
        let mut known = Known::new(Instant::ZERO);
        let (a, b) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        assert_eq!(known.next_address(), None);
        assert!(known.add_address(a));
        assert!(known.add_address(b));
        assert!(!known.add_address(b));
        assert_eq!(known.next_address(), Some(b));
        known.attempts = 1;
        assert_eq!(known.next_address(), Some(a));
        for n in 0..10 {
            known.add_address(SocketAddr::new([192, 0, 2, n].into(), 9));
        }
        assert_eq!(known.addresses.len(), ADDRESSES_MAX);
    }

    #[test]
    fn hearsay_is_shown_only_where_nothing_better_is_known_and_never_dialled() {
        let mut known = Known::new(Instant::ZERO);
        let at = |n: u8| SocketAddr::new([192, 0, 2, n].into(), 9);
        assert!(known.add_hearsay(at(1)) && !known.add_hearsay(at(1)));
        assert_eq!((known.next_address(), known.likely_address()), (None, Some(at(1))));
        assert!(!known.can_be_dialled());
        known.add_address(at(2));
        for n in 2..40 {
            known.add_hearsay(at(n));
            known.attempts = u32::from(n);
            assert_eq!((known.next_address(), known.likely_address()), (Some(at(2)), Some(at(2))));
        }
        assert_eq!((known.addresses.len(), known.hearsay.len()), (1, ADDRESSES_MAX));
    }

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        let (min, max) = (Duration::from_millis(500), Duration::from_secs(60));
        assert_eq!(backoff(0, min, max), min);
        assert_eq!(backoff(3, min, max), Duration::from_secs(4));
        assert_eq!(backoff(40, min, max), max);
    }
}
