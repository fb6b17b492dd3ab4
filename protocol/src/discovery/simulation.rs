//! Many [`Lan`]s on one simulated link, in virtual time: do they find each other soon, and do they keep quiet enough?

use super::lan::{Heard, Lan};
use super::testing::{ToyCrypto, ethernet};
use crate::config::LanConfig;
use crate::id::{NetworkName, PublicKey};
use crate::io::Transmit;
use crate::limits::Limits;
use crate::rng::{Rng, Seed};
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// What is sent in one tick is heard at its end.
const TICK: Duration = Duration::from_millis(2);
const NEVER: u32 = u32::MAX;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn millis(at: Instant) -> u32 {
    u32::try_from(at.as_nanos() / 1_000_000).unwrap()
}

struct Node {
    lan: Lan,
    key: [u8; 32],
    v4: SocketAddr,
    v6: SocketAddr,
    /// From when on its link carries datagrams.
    usable: Instant,
    wakes: Option<Instant>,
    /// When it first heard of each other node, in milliseconds.
    found: Vec<u32>,
}

enum Happening {
    Wakes(usize),
    /// What is under way arrives.
    Arrivals,
}

struct Datagram {
    sender: usize,
    from: SocketAddr,
    contents: Bytes,
}

/// One link, with the share of datagrams that each receiver misses.
struct Link {
    now: Instant,
    loss_percent: u64,
    rng: Rng,
    config: LanConfig,
    limits: Limits,
    nodes: Vec<Node>,
    queue: BTreeMap<(Instant, u64), Happening>,
    queued: u64,
    under_way: Vec<Datagram>,
    /// What was sent in each second, with the headers of UDP and IP.
    bytes_per_second: Vec<u64>,
    datagrams_per_second: Vec<u64>,
}

impl Link {
    fn new(seed: u64, loss_percent: u64) -> Self {
        Self {
            now: Instant::ZERO,
            loss_percent,
            rng: Rng::new(Seed::from_u64(seed), "link"),
            config: LanConfig::default(),
            limits: Limits::default(),
            nodes: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            under_way: Vec::new(),
            bytes_per_second: Vec::new(),
            datagrams_per_second: Vec::new(),
        }
    }

    /// Starts a node now whose link carries datagrams `late` later.
    fn start(&mut self, late: Duration) -> usize {
        let n = self.nodes.len();
        let mut key = [0; 32];
        for word in key.chunks_mut(8) {
            word.copy_from_slice(&self.rng.next_u64().to_be_bytes());
        }
        let start = self.rng.next_u64();
        let rng = Rng::new(Seed::from_u64(start), "lan");
        let network = NetworkName::default();
        let me = PublicKey(key);
        let mut lan = Lan::new(self.now, &self.config, &self.limits, &network, me, start, rng);
        let (v4, v6) = (format!("10.0.{}.{}", n / 250, n % 250 + 1), format!("fe80::1:{n:x}"));
        lan.on_interfaces(self.now, &[ethernet(2, &[&format!("{v4}/16"), &format!("{v6}/64")])]);
        lan.set_listeners(self.now, &["[::]:4000".parse().unwrap()]);
        let v4 = format!("{v4}:8001").parse().unwrap();
        let v6 = format!("[{v6}%2]:8001").parse().unwrap();
        let usable = self.now + late;
        self.nodes.push(Node { lan, key, v4, v6, usable, wakes: None, found: Vec::new() });
        self.plan(n);
        n
    }

    fn push(&mut self, at: Instant, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    /// Makes sure that the node wakes at its deadline. Late and early wakes are harmless.
    fn plan(&mut self, n: usize) {
        let deadline = self.nodes[n].lan.next_deadline();
        if let Some(deadline) =
            deadline.filter(|at| self.nodes[n].wakes.is_none_or(|wakes| *at < wakes))
        {
            self.nodes[n].wakes = Some(deadline);
            self.push(deadline, Happening::Wakes(n));
        }
    }

    fn run_until(&mut self, end: Instant) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            match happening {
                Happening::Wakes(n) => self.wake(n),
                Happening::Arrivals => self.deliver(),
            }
        }
        self.now = end;
    }

    fn wake(&mut self, n: usize) {
        let (now, node) = (self.now, &mut self.nodes[n]);
        let mut out = Vec::new();
        node.wakes = None;
        node.lan.on_timeout(now, &ToyCrypto, &node.key, &mut out);
        let (usable, v4, v6) = (node.usable, node.v4, node.v6);
        for Transmit { to, contents, .. } in out {
            if usable <= now {
                let (from, headers) = if to.is_ipv4() { (v4, 28) } else { (v6, 48) };
                self.count(contents.len() as u64 + headers);
                if self.under_way.is_empty() {
                    self.push(now + TICK, Happening::Arrivals);
                }
                self.under_way.push(Datagram { sender: n, from, contents });
            }
        }
        self.plan(n);
    }

    fn count(&mut self, bytes: u64) {
        let second = self.now.as_nanos() as usize / 1_000_000_000;
        self.bytes_per_second.resize(self.bytes_per_second.len().max(second + 1), 0);
        self.datagrams_per_second.resize(self.bytes_per_second.len(), 0);
        self.bytes_per_second[second] += bytes;
        self.datagrams_per_second[second] += 1;
    }

    fn deliver(&mut self) {
        let datagrams = core::mem::take(&mut self.under_way);
        // One receiver after the other, for the processor's caches.
        for n in 0..self.nodes.len() {
            for Datagram { sender, from, contents } in &datagrams {
                let lost = *sender != n && self.rng.below(100) < self.loss_percent;
                if !lost && self.nodes[n].usable <= self.now {
                    self.hear(n, *sender, *from, contents);
                }
            }
            self.plan(n);
        }
    }

    fn hear(&mut self, n: usize, sender: usize, from: SocketAddr, contents: &[u8]) {
        let (now, node) = (self.now, &mut self.nodes[n]);
        match node.lan.on_datagram(now, &ToyCrypto, from, contents) {
            Heard::Candidate { .. } => {
                node.found.resize(node.found.len().max(sender + 1), NEVER);
                node.found[sender] = node.found[sender].min(millis(now));
            }
            Heard::Own => assert_eq!(n, sender),
            Heard::Present { .. } | Heard::Repeated | Heard::Refused(_) => {}
        }
    }

    /// When `n` first heard of `other`.
    fn found(&self, n: usize, other: usize) -> u32 {
        self.nodes[n].found.get(other).copied().unwrap_or(NEVER)
    }

    /// The times at which any node heard of any other one, in order.
    fn all_found(&self) -> Vec<u32> {
        let nodes = 0..self.nodes.len();
        let mut found: Vec<u32> = nodes
            .clone()
            .flat_map(|n| {
                nodes.clone().filter(move |other| *other != n).map(move |other| (n, other))
            })
            .map(|(n, other)| self.found(n, other))
            .collect();
        found.sort_unstable();
        found
    }

    /// The most that was sent in any one second of `from..to`.
    fn loudest(&self, from: usize, to: usize) -> (u64, u64) {
        let in_span =
            |sums: &[u64]| sums[from.min(sums.len())..to.min(sums.len())].iter().max().copied();
        (
            in_span(&self.bytes_per_second).unwrap_or(0),
            in_span(&self.datagrams_per_second).unwrap_or(0),
        )
    }
}

fn percentile(sorted: &[u32], percent: usize) -> u32 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Two nodes that start within two seconds of each other, whose links carry nothing at first, and that miss a fifth of
/// what is sent: counted from when both links are usable.
#[test]
fn two_nodes_meet_within_two_seconds_in_every_start() {
    let mut meetings = Vec::new();
    let mut both = Vec::new();
    for seed in 0..1000 {
        let mut link = Link::new(seed, 20);
        let late = Duration::from_millis(link.rng.below(1500));
        link.start(late);
        let later = at(link.rng.below(2000));
        link.run_until(later);
        let late = Duration::from_millis(link.rng.below(1500));
        link.start(late);
        link.run_until(at(60_000));
        let usable = millis(link.nodes[0].usable.max(link.nodes[1].usable));
        let (one, other) = (link.found(0, 1), link.found(1, 0));
        meetings.push(one.min(other).saturating_sub(usable));
        both.push(one.max(other).saturating_sub(usable));
    }
    meetings.sort_unstable();
    both.sort_unstable();
    assert!(percentile(&meetings, 50) <= 400, "p50 {} ms", percentile(&meetings, 50));
    assert!(percentile(&meetings, 100) <= 1500, "worst {:?} ms", meetings.last());
    assert!(percentile(&both, 99) <= 1500, "both p99 {} ms", percentile(&both, 99));
}

/// A node that joins one that has been alone for long: either hears of the other.
#[test]
fn a_newcomer_meets_a_settled_node_and_is_met() {
    let mut both = Vec::new();
    for seed in 0..300 {
        let mut link = Link::new(seed, 10);
        link.start(Duration::ZERO);
        let joined = 60_000 + link.rng.below(5000);
        link.run_until(at(joined));
        link.start(Duration::ZERO);
        link.run_until(at(joined + 20_000));
        both.push(
            link.found(0, 1).max(link.found(1, 0)).saturating_sub(u32::try_from(joined).unwrap()),
        );
    }
    both.sort_unstable();
    assert!(percentile(&both, 50) <= 200, "p50 {} ms", percentile(&both, 50));
    assert!(percentile(&both, 99) <= 2000, "p99 {} ms", percentile(&both, 99));
}

#[test]
fn twenty_nodes_all_know_each_other_soon_and_fall_quiet() {
    for seed in 0..20 {
        let mut link = Link::new(seed, 10);
        for _ in 0..20 {
            link.start(Duration::ZERO);
        }
        link.run_until(at(60_000));
        let found = link.all_found();
        assert!(found[found.len() - 1] <= 2000, "last {:?} ms", found.last());
        let (bytes, datagrams) = link.loudest(6, 60);
        assert!(datagrams <= 20, "{datagrams} datagrams, {bytes} bytes in one second");
    }
}

/// Hundreds of hosts switched on together, then one more. (The long run `lan` has a thousand, with all of the node.)
#[test]
fn hundreds_of_hosts_find_each_other_and_stay_quiet() {
    const HOSTS: usize = 400;
    let mut link = Link::new(1, 5);
    for _ in 0..HOSTS {
        link.start(Duration::ZERO);
    }
    link.run_until(at(20_000));
    let found = link.all_found();
    assert!(percentile(&found, 99) <= 5000, "p99 {} ms", percentile(&found, 99));
    let missed = found.iter().filter(|found| **found == NEVER).count();
    assert!(missed * 10_000 <= found.len(), "{missed} of {} not found", found.len());
    let (bytes, datagrams) = link.loudest(5, 20);
    assert!(bytes <= 50_000 && datagrams <= 300, "{bytes} bytes, {datagrams} datagrams a second");
    let start: u64 = link.bytes_per_second[..5].iter().sum();
    assert!(start <= 1_500_000, "{start} bytes in the first five seconds");

    link.run_until(at(30_000));
    let newcomer = link.start(Duration::ZERO);
    link.run_until(at(32_000));
    let mut heard: Vec<u32> =
        (0..HOSTS).map(|n| link.found(n, newcomer).saturating_sub(30_000)).collect();
    heard.sort_unstable();
    assert!(percentile(&heard, 100) <= 1000, "by the last {} ms", percentile(&heard, 100));
    let (bytes, datagrams) = link.loudest(28, 32);
    assert!(bytes <= 50_000 && datagrams <= 250, "{bytes} bytes, {datagrams} datagrams a second");
}

/// With fifty checks a second and room for a third of the hosts, nodes still keep to their rate.
#[test]
fn many_small_hosts_stay_quiet() {
    let mut link = Link::new(2, 5);
    link.limits = Limits::small();
    for _ in 0..700 {
        link.start(Duration::ZERO);
    }
    link.run_until(at(20_000));
    let (bytes, datagrams) = link.loudest(5, 20);
    assert!(bytes <= 50_000 && datagrams <= 250, "{bytes} bytes, {datagrams} datagrams a second");
}
