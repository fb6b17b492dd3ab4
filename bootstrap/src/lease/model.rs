//! The table against a list that does the same by looking at everything.

use super::place::is_shareable;
use super::*;
use p2pnet_protocol::{IpPrefix, PeerId, Rng, Seed, net::subnet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

const LIMITS: LeaseLimits = LeaseLimits {
    leases_max: 12,
    networks_max: 2,
    per_v4_24_max: 3,
    per_v6_64_max: 2,
    per_v6_48_max: 3,
};

/// Few of each, so that they meet: sites of one and of several, all scopes, what nobody can be told of.
const ADDRESSES: [&str; 14] = [
    "9.1.1.1",
    "9.1.1.2",
    "9.1.1.3",
    "9.1.1.4",
    "9.2.2.1",
    "9.3.3.1",
    "10.0.0.1",
    "10.0.0.2",
    "127.0.0.1",
    "2a00:1:1:1::1",
    "2a00:1:1:1::2",
    "2a00:1:1:2::1",
    "2a00:1:1:3::1",
    "fe80::1",
];

#[derive(Clone, Debug)]
struct Kept {
    address: SocketAddr,
    label: String,
    freshness: u64,
    ends: u32,
    replay_until: u32,
    over: bool,
}

#[derive(Default)]
struct Model {
    kept: BTreeMap<(PeerId, [u8; 8]), Kept>,
}

impl Model {
    fn room_at(&self, ip: IpAddr) -> bool {
        let near = |length| {
            let prefix = IpPrefix::new(ip, length).unwrap();
            self.kept.values().filter(|kept| prefix.contains(kept.address.ip())).count() as u32
        };
        match ip {
            IpAddr::V4(_) => near(24) < LIMITS.per_v4_24_max,
            IpAddr::V6(_) => near(48) < LIMITS.per_v6_48_max && near(64) < LIMITS.per_v6_64_max,
        }
    }

    fn networks(&self) -> BTreeSet<[u8; 8]> {
        self.kept.keys().map(|(_, network)| *network).collect()
    }

    fn refresh(&mut self, now: u32, sign: &Sign, port: u16) -> Result<bool, LeaseRefusal> {
        let at = (sign.peer, sign.network);
        let before = self.kept[&at].clone();
        if sign.freshness <= before.freshness {
            return Err(LeaseRefusal::Replayed);
        }
        let address = SocketAddr::new(sign.ip, port);
        if before.over || address != before.address {
            self.kept.remove(&at);
            if !self.room_at(sign.ip) {
                self.kept.insert(at, before);
                return Err(LeaseRefusal::SubnetFull);
            }
        }
        let kept = Kept {
            address,
            freshness: sign.freshness,
            ends: now + sign.lifetime_secs,
            replay_until: sign.replay_until,
            over: false,
            label: before.label,
        };
        self.kept.insert(at, kept);
        Ok(address != before.address)
    }

    fn grant(&mut self, now: u32, offer: &Offer) -> Result<Granted, LeaseRefusal> {
        let sign = &offer.sign;
        let at = (sign.peer, sign.network);
        let granted = match self.kept.get(&at).map(|kept| kept.over) {
            Some(over) => match (over, self.refresh(now, sign, offer.port)?) {
                (true, _) => Granted::New,
                (false, true) => Granted::Moved,
                (false, false) => Granted::Renewed,
            },
            None if self.kept.len() as u32 >= LIMITS.leases_max => return Err(LeaseRefusal::Full),
            None if !self.networks().contains(&sign.network) && self.networks().len() >= 2 => {
                return Err(LeaseRefusal::TooManyNetworks);
            }
            None if !self.room_at(sign.ip) => return Err(LeaseRefusal::SubnetFull),
            None => {
                let kept = Kept {
                    address: SocketAddr::new(sign.ip, offer.port),
                    label: String::new(),
                    freshness: sign.freshness,
                    ends: now + sign.lifetime_secs,
                    replay_until: sign.replay_until,
                    over: false,
                };
                self.kept.insert(at, kept);
                Granted::New
            }
        };
        self.kept.get_mut(&at).unwrap().label = offer.label.clone();
        Ok(granted)
    }

    fn finish(&mut self, now: u32, at: (PeerId, [u8; 8])) {
        let kept = self.kept.get_mut(&at).unwrap();
        if kept.replay_until > now {
            kept.over = true;
            kept.ends = kept.ends.min(now);
        } else {
            self.kept.remove(&at);
        }
    }

    fn expire(&mut self, now: u32) {
        let due = |kept: &Kept| now >= if kept.over { kept.replay_until } else { kept.ends };
        let ended: Vec<_> =
            self.kept.iter().filter(|(_, kept)| due(kept)).map(|(at, _)| *at).collect();
        ended.into_iter().for_each(|at| self.finish(now, at));
    }

    fn may_be_told(&self, now: u32, asker: &Asker) -> Vec<(PeerId, SocketAddr)> {
        self.kept
            .iter()
            .filter(|((peer, network), kept)| {
                let ip = kept.address.ip();
                !kept.over
                    && kept.ends > now
                    && *network == asker.network
                    && *peer != asker.peer
                    && kept.address.port() != 0
                    && is_shareable(ip)
                    && asker.scope.sees(Scope::of(ip))
            })
            .map(|((peer, _), kept)| (*peer, kept.address))
            .collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Grant { peer: u8, network: u8, from: usize, port: u16, later: i8, life: u32, label: bool },
    Renew { peer: u8, network: u8, from: usize, later: i8, life: u32 },
    Leave { peer: u8, network: u8, later: i8 },
    EndAt { from: usize },
    Pass { secs: u32 },
    Expire { most: usize },
    Sample { peer: u8, network: u8, from: usize, wanted: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (peer, network, from) = (0..9_u8, 0..3_u8, 0..ADDRESSES.len());
    let (later, life) = (-1..4_i8, 1..60_u32);
    let who = (peer, network, from);
    let step = prop_oneof![
        6 => (who.clone(), 0..4_u16, later.clone(), life.clone(), any::<bool>()).prop_map(
            |((peer, network, from), port, later, life, label)| Step::Grant { peer, network, from, port, later, life, label }),
        2 => (who.clone(), later.clone(), life).prop_map(
            |((peer, network, from), later, life)| Step::Renew { peer, network, from, later, life }),
        1 => (who.clone(), later).prop_map(
            |((peer, network, _), later)| Step::Leave { peer, network, later }),
        1 => (0..ADDRESSES.len()).prop_map(|from| Step::EndAt { from }),
        2 => prop_oneof![0..20_u32, 8000..17_000_u32].prop_map(|secs| Step::Pass { secs }),
        2 => prop_oneof![Just(usize::MAX), 0..3_usize].prop_map(|most| Step::Expire { most }),
        4 => (who, 0..8_usize).prop_map(
            |((peer, network, from), wanted)| Step::Sample { peer, network, from, wanted }),
    ];
    prop::collection::vec(step, 1..80)
}

struct World {
    leases: Leases,
    model: Model,
    rng: Rng,
    now: u32,
}

impl World {
    fn sign(&self, peer: u8, network: u8, from: usize, later: i8, life: u32) -> Sign {
        let (peer, network) = (PeerId([peer; 32]), [network; 8]);
        let before = self.model.kept.get(&(peer, network)).map_or(100, |kept| kept.freshness);
        Sign {
            peer,
            network,
            ip: ADDRESSES[from].parse().unwrap(),
            freshness: before.saturating_add_signed(later.into()),
            replay_until: self.now + 30,
            lifetime_secs: life,
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Grant { peer, network, from, port, later, life, label } => {
                let sign = self.sign(peer, network, from, later, life);
                let label = if label { format!("peer {peer}") } else { String::new() };
                let offer = Offer { sign, port, label };
                let wanted = self.model.grant(self.now, &offer);
                assert_eq!(self.leases.grant(self.now, &offer), wanted);
            }
            Step::Renew { peer, network, from, later, life } => {
                let sign = self.sign(peer, network, from, later, life);
                let wanted = match self.model.kept.get(&(sign.peer, sign.network)) {
                    None => Ok(false),
                    Some(kept) if sign.freshness <= kept.freshness => Err(LeaseRefusal::Replayed),
                    Some(kept) if kept.over => Ok(false),
                    Some(kept) => {
                        let port = kept.address.port();
                        self.model.refresh(self.now, &sign, port).map(|_| true)
                    }
                };
                assert_eq!(self.leases.renew(self.now, &sign), wanted);
            }
            Step::Leave { peer, network, later } => {
                let sign = self.sign(peer, network, 0, later, 1);
                let at = (sign.peer, sign.network);
                let wanted = match self.model.kept.get_mut(&at) {
                    None => Ok(false),
                    Some(kept) if sign.freshness <= kept.freshness => Err(LeaseRefusal::Replayed),
                    Some(kept) => {
                        kept.freshness = sign.freshness;
                        kept.replay_until = sign.replay_until;
                        let running = !kept.over;
                        self.model.finish(self.now, at);
                        Ok(running)
                    }
                };
                assert_eq!(self.leases.leave(self.now, &sign), wanted);
            }
            Step::EndAt { from } => {
                let ip: IpAddr = ADDRESSES[from].parse().unwrap();
                let there = self.model.kept.iter();
                let there = there.filter(|(_, kept)| !kept.over && kept.address.ip() == ip);
                let ending: Vec<_> = there.map(|(at, _)| *at).collect();
                let ended = self.leases.end_where(self.now, |lease| lease.address.ip() == ip);
                assert_eq!(ended, ending.len());
                ending.into_iter().for_each(|at| self.model.finish(self.now, at));
            }
            Step::Pass { secs } => self.now += secs,
            Step::Expire { most } => {
                while self.leases.expire(self.now, most.max(1)) == most.max(1) {}
                self.model.expire(self.now);
            }
            Step::Sample { peer, network, from, wanted } => {
                self.sample(peer, network, from, wanted)
            }
        }
        self.compare();
    }

    fn sample(&mut self, peer: u8, network: u8, from: usize, wanted: usize) {
        let scope = Scope::of(ADDRESSES[from].parse().unwrap());
        let asker = Asker { peer: PeerId([peer; 32]), network: [network; 8], scope };
        let (now, rng) = (self.now, &mut self.rng);
        let told = self.leases.sample(now, &asker, wanted, |n| rng.below(n));
        let may: BTreeSet<_> = self.model.may_be_told(now, &asker).into_iter().collect();
        let distinct: BTreeSet<_> = told.iter().copied().collect();
        assert_eq!(distinct.len(), told.len(), "somebody twice");
        assert!(distinct.is_subset(&may), "{distinct:?} of {may:?}");
        // With leases that ended and wait for their turn to be taken off, a sample may be short.
        let waiting = self.model.kept.values().any(|kept| !kept.over && kept.ends <= now);
        if waiting {
            return;
        }
        assert_eq!(told.len(), wanted.min(may.len()));
        let at = |site: IpPrefix, of: &BTreeSet<(PeerId, SocketAddr)>| {
            of.iter().filter(|(_, address)| subnet(address.ip()) == site).count()
        };
        let sites: BTreeSet<IpPrefix> =
            may.iter().map(|(_, address)| subnet(address.ip())).collect();
        let most = sites.iter().map(|site| at(*site, &distinct)).max().unwrap_or(0);
        let left_behind = sites.iter().filter(|site| at(**site, &distinct) < at(**site, &may));
        if let Some(least) = left_behind.map(|site| at(*site, &distinct)).min() {
            assert!(most <= least + 1, "{distinct:?} of {may:?} isn't spread");
        }
    }

    fn compare(&self) {
        let running = |kept: &&Kept| !kept.over;
        let (leases, model) = (&self.leases, &self.model);
        assert_eq!(leases.len(), model.kept.values().filter(running).count());
        assert_eq!(leases.networks(), model.networks().len());
        for network in 0..3_u8 {
            let of = model.kept.iter().filter(|((_, at), kept)| *at == [network; 8] && !kept.over);
            assert_eq!(leases.in_network(&[network; 8]) as usize, of.count());
            for peer in 0..9_u8 {
                let at = (PeerId([peer; 32]), [network; 8]);
                let wanted = model.kept.get(&at).filter(running).map(|kept| Lease {
                    peer: at.0,
                    network: at.1,
                    address: kept.address,
                    label: kept.label.clone(),
                    freshness: kept.freshness,
                    ends: kept.ends,
                });
                assert_eq!(leases.get(&at.0, &at.1), wanted);
            }
        }
        let (mut paged, mut from) = (0, Some(0));
        while let Some(at) = from {
            let (page, next) = leases.page(at, 5);
            paged += page.len();
            from = next;
        }
        assert_eq!(paged, leases.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_model_does(steps in steps(), seed: u64) {
        let rng = Rng::new(Seed::from_u64(seed), "model");
        let leases = Leases::new(LIMITS, 1000);
        let mut world = World { leases, model: Model::default(), rng, now: 1000 };
        steps.iter().for_each(|step| world.run(step));
        // In the end everything ends.
        world.now += 20_000;
        world.run(&Step::Expire { most: usize::MAX });
        assert!(world.leases.is_empty() && world.leases.networks() == 0);
    }
}

/// Keys, subnets and labels of a large network: a few peers at each site.
#[test]
fn a_lease_takes_less_than_two_hundred_bytes() {
    const LEASES: u32 = 200_000;
    for a_site in [1, 5] {
        let mut leases = Leases::new(LeaseLimits::default(), 0);
        for number in 0..LEASES {
            let (site, host) = (number / a_site, number % a_site + 1);
            let mut peer = [0; 32];
            peer[..4].copy_from_slice(&number.to_be_bytes());
            let sign = Sign {
                peer: PeerId(peer),
                network: [1; 8],
                ip: std::net::Ipv4Addr::from_bits(0x0b00_0000 + (site << 8) + host).into(),
                freshness: 1,
                replay_until: 300,
                lifetime_secs: 1000 + number % 1000,
            };
            let offer = Offer { sign, port: 4000, label: String::new() };
            assert_eq!(leases.grant(0, &offer), Ok(Granted::New));
        }
        let each = leases.bytes() / LEASES as usize;
        println!("{a_site} at each site: {each} bytes a lease");
        assert!(each < 200, "{each} bytes a lease with {a_site} at each site");
        assert_eq!(leases.expire(1500, usize::MAX), LEASES as usize / 1000 * 501);
        assert_eq!(leases.expire(3000, usize::MAX), LEASES as usize / 1000 * 499);
        assert!(leases.is_empty());
    }
}
