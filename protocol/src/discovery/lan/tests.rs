use super::super::testing::{ToyCrypto, ethernet, loopback};
use super::*;
use crate::rng::{Rng, Seed};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::{format, vec};
use proptest::prelude::*;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn key(n: u8) -> [u8; 32] {
    [n; 32]
}

/// Node `n` at 192.0.2.n and fe80::n, accepting on port 9000 + n, started at time zero.
fn node(n: u8, start: u64) -> Lan {
    configured(n, start, &LanConfig::default(), &Limits::default())
}

fn configured(n: u8, start: u64, config: &LanConfig, limits: &Limits) -> Lan {
    let rng = Rng::new(Seed::from_u64(u64::from(n)), "lan");
    let me = PublicKey(key(n));
    let mut lan = Lan::new(at(0), config, limits, &NetworkName::default(), me, start, rng);
    lan.on_interfaces(
        at(0),
        &[ethernet(2, &[&format!("192.0.2.{n}/24"), &format!("fe80::{n}/64")])],
    );
    lan.set_listeners(at(0), &[format!("[::]:{}", 9000 + u16::from(n)).parse().unwrap()]);
    lan
}

/// What `lan` sends until `millis`, with the times.
fn run(lan: &mut Lan, millis: u64) -> Vec<(u64, Transmit)> {
    let private = lan.me.0;
    let mut sent = Vec::new();
    while let Some(next) = lan.next_deadline().filter(|next| *next <= at(millis)) {
        let mut out = Vec::new();
        lan.on_timeout(next, &ToyCrypto, &private, &mut out);
        assert!(lan.next_deadline().is_none_or(|later| later > next), "time must go on");
        sent.extend(out.into_iter().map(|transmit| (next.as_nanos() / 1_000_000, transmit)));
    }
    sent
}

/// The source address of a datagram of node `n`.
fn source(n: u8) -> SocketAddr {
    format!("192.0.2.{n}:8001").parse().unwrap()
}

fn made(n: u8, start: u64, counter: u64) -> Vec<u8> {
    let network = NetworkName::default().tag();
    let tcp_port = 9000 + u16::from(n);
    let beacon = Beacon { network, flags: 0, tcp_port, key: PublicKey(key(n)), start, counter };
    beacon.encode(&[], &ToyCrypto, &key(n))
}

fn hear(lan: &mut Lan, millis: u64, from: SocketAddr, bytes: &[u8]) -> Heard {
    lan.on_datagram(at(millis), &ToyCrypto, from, bytes)
}

fn candidate(n: u8, new: bool) -> Heard {
    let key = PublicKey(key(n));
    let at = SocketAddr::new(source(n).ip(), 9000 + u16::from(n));
    Heard::Candidate { peer: PeerId::of(&key), key, at, new }
}

#[test]
fn the_first_burst_takes_every_family_of_every_interface() {
    let mut lan = node(1, 7);
    let two = [
        loopback(),
        ethernet(2, &["192.0.2.1/24", "fe80::1/64"]),
        ethernet(3, &["198.51.100.1/24"]),
    ];
    let status = lan.on_interfaces(at(0), &two);
    let expected = DiscoveryStatus { broadcast_v4: 2, multicast_v4: 2, multicast_v6: 1 };
    assert_eq!(status, Some(expected));
    assert_eq!(lan.on_interfaces(at(0), &two), None);
    let sent = run(&mut lan, 40);
    let to: Vec<String> = sent.iter().map(|(_, transmit)| transmit.to.to_string()).collect();
    assert_eq!(
        to,
        [
            "127.255.255.255:8001",
            "192.0.2.255:8001",
            "239.255.80.50:8001",
            "[ff12::7032:7032%2]:8001",
            "198.51.100.255:8001",
            "239.255.80.50:8001",
        ]
    );
    assert!(sent.iter().all(|(_, transmit)| transmit.contents.len() == 128));
    let distinct: BTreeSet<_> =
        sent.iter().map(|(_, transmit)| transmit.contents.clone()).collect();
    assert_eq!(distinct.len(), sent.len(), "each datagram has its own counter");
}

#[test]
fn in_steady_state_families_take_turns() {
    let mut lan = node(1, 7);
    let sent = run(&mut lan, 120_000);
    let steady: Vec<&SocketAddr> =
        sent.iter().filter(|(time, _)| *time > 5000).map(|(_, transmit)| &transmit.to).collect();
    assert!((20..=30).contains(&steady.len()), "{}", steady.len());
    for three in steady.windows(3) {
        let distinct: BTreeSet<_> = three.iter().collect();
        assert_eq!(distinct.len(), 3, "{three:?}");
    }
}

#[test]
fn rotation_changes_where_a_running_node_sends() {
    let mut lan = node(1, 7);
    let ports = |sent: Vec<(u64, Transmit)>| -> BTreeSet<u16> {
        sent.iter().map(|(_, transmit)| transmit.to.port()).collect()
    };
    assert_eq!(ports(run(&mut lan, 30_000)), [8001].into());
    assert_eq!((lan.rotate_port(), lan.broadcast_port()), (8002, 8002));
    assert_eq!(ports(run(&mut lan, 60_000)), [8002].into());
    assert_eq!((lan.rotate_port(), lan.rotate_port()), (8003, 8001));
    assert_eq!(ports(run(&mut lan, 90_000)), [8001].into());
}

#[test]
fn an_interface_that_comes_later_is_used_at_once() {
    let mut lan = configured(1, 7, &LanConfig::default(), &Limits::default());
    lan.on_interfaces(at(0), &[]);
    assert_eq!(lan.next_deadline(), None);
    assert_eq!(run(&mut lan, 10_000), []);
    lan.on_interfaces(at(20_000), &[ethernet(2, &["192.0.2.1/24"])]);
    let sent = run(&mut lan, 20_300);
    assert!(sent.len() >= 4, "{sent:?}");
    assert!(sent[0].0 >= 20_000);

    // An address that is gained in steady state starts the quick phase again, one that is lost doesn't.
    run(&mut lan, 60_000);
    lan.on_interfaces(at(60_000), &[ethernet(2, &["192.0.2.1/24", "fe80::1/64"])]);
    assert!(run(&mut lan, 60_300).iter().any(|(_, transmit)| transmit.to.is_ipv6()));
    run(&mut lan, 90_000);
    lan.on_interfaces(at(90_000), &[ethernet(2, &["192.0.2.1/24"])]);
    assert!(run(&mut lan, 90_300).len() <= 1);
}

#[test]
fn the_port_announced_is_the_one_that_works_there() {
    let mut lan = node(1, 7);
    lan.on_interfaces(at(0), &[loopback(), ethernet(2, &["192.0.2.1/24", "fe80::1/64"])]);
    let mut announced = |listeners: &[&str], millis: u64| -> Vec<u16> {
        let listeners: Vec<SocketAddr> = listeners.iter().map(|at| at.parse().unwrap()).collect();
        lan.set_listeners(at(millis), &listeners);
        let sent = run(&mut lan, millis + 150);
        sent[..4]
            .iter()
            .map(|(_, transmit)| {
                SignedBeacon::decode(&transmit.contents).unwrap().claims().tcp_port
            })
            .collect()
    };
    // Loopback broadcast, broadcast, IPv4 multicast, IPv6 multicast.
    assert_eq!(announced(&["[::]:9"], 10_000), [9, 9, 9, 9]);
    assert_eq!(announced(&["0.0.0.0:8"], 20_000), [8, 8, 8, 0]);
    assert_eq!(announced(&["127.0.0.1:7"], 30_000), [7, 0, 0, 0]);
    assert_eq!(announced(&["[::]:6", "192.0.2.1:5"], 40_000), [6, 5, 5, 6]);
    assert_eq!(announced(&[], 50_000), [0, 0, 0, 0]);
}

#[test]
fn a_beacon_makes_a_candidate_at_its_source_address() {
    let mut lan = node(1, 7);
    assert_eq!(hear(&mut lan, 10, source(2), &made(2, 5, 0)), candidate(2, true));
    // Its address may come IPv4-mapped from a dual-stack socket.
    let mapped = "[::ffff:192.0.2.3]:8002".parse().unwrap();
    assert_eq!(hear(&mut lan, 10, mapped, &made(3, 5, 0)), candidate(3, true));
    let scoped = "[fe80::4%2]:8001".parse().unwrap();
    let Heard::Candidate { at: address, .. } = hear(&mut lan, 10, scoped, &made(4, 5, 0)) else {
        panic!("refused");
    };
    assert_eq!(address.to_string(), "[fe80::4%2]:9004");
    assert_eq!(lan.stats().accepted, 3);
    assert!(lan.wants(&PeerId::of(&PublicKey(key(2)))));
}

#[test]
fn several_nodes_share_an_address() {
    let mut lan = node(1, 7);
    for n in 2..100 {
        let heard = hear(&mut lan, 10, source(1), &made(n, 5, 0));
        assert!(matches!(heard, Heard::Candidate { new: true, .. }), "{n}: {heard:?}");
    }
}

#[test]
fn a_peer_that_accepts_nothing_is_present_and_no_candidate() {
    let mut lan = node(1, 7);
    let mut silent = node(2, 7);
    silent.set_listeners(at(0), &[]);
    let (_, first) = &run(&mut silent, 40)[0];
    let peer = PeerId::of(&PublicKey(key(2)));
    let heard = hear(&mut lan, 40, source(2), &first.contents);
    assert_eq!(heard, Heard::Present { peer, key: PublicKey(key(2)), new: true });
    assert!(!lan.wants(&peer));
}

#[test]
fn whatever_is_wrong_costs_a_counter_and_nothing_else() {
    let mut lan = node(1, 7);
    let good = made(2, 5, 0);
    let (mut version, mut network, mut forged, mut torn) =
        (good.clone(), good.clone(), good.clone(), good.clone());
    version[4] = 9;
    network[9] ^= 1;
    forged[100] ^= 1;
    torn.insert(64, 1);
    let off_link = "198.51.100.2:8001".parse().unwrap();
    for (bytes, from, refusal) in [
        (&b"{\"IP\":\"192.0.2.9\"}"[..], source(2), BeaconRefusal::Foreign),
        (b"", source(2), BeaconRefusal::Foreign),
        (&version, source(2), BeaconRefusal::Foreign),
        (&network, source(2), BeaconRefusal::OtherNetwork),
        (&torn, source(2), BeaconRefusal::Malformed),
        (&good, off_link, BeaconRefusal::OffLink),
        (&forged, source(2), BeaconRefusal::Forged),
    ] {
        assert_eq!(hear(&mut lan, 10, from, bytes), Heard::Refused(refusal));
    }
    assert_eq!(lan.neighbours.present(), 0);
    assert_eq!((lan.stats().refused(), lan.stats().heard), (7, 7));
    assert_eq!(hear(&mut lan, 10, source(2), &good), candidate(2, true));
    assert_eq!(hear(&mut lan, 10, source(2), &good), Heard::Refused(BeaconRefusal::Stale));
    assert_eq!(hear(&mut lan, 10, source(1), &made(1, 7, 0)), Heard::Own);
    let off = LanConfig { enabled: false, ..LanConfig::default() };
    let mut off = configured(3, 7, &off, &Limits::default());
    assert_eq!(hear(&mut off, 10, source(2), &good), Heard::Refused(BeaconRefusal::Off));
    assert_eq!(off.next_deadline(), None);
}

#[test]
fn replays_are_refused_from_wherever_they_come_and_restarts_are_not() {
    let mut lan = node(1, 7);
    let recorded: Vec<_> = (0..5).map(|counter| made(2, 5, counter)).collect();
    for bytes in &recorded {
        hear(&mut lan, 10, source(2), bytes);
    }
    // Repeats that taught nothing were not verified, so the record of them may be played once more, but says nothing.
    for bytes in &recorded {
        let heard = hear(&mut lan, 11, source(2), bytes);
        assert!(
            matches!(heard, Heard::Repeated | Heard::Refused(BeaconRefusal::Stale)),
            "{heard:?}"
        );
    }
    hear(&mut lan, 8000, source(2), &made(2, 5, 70));
    for bytes in &recorded {
        assert_eq!(hear(&mut lan, 8000, source(66), bytes), Heard::Refused(BeaconRefusal::Stale));
    }
    assert_eq!(hear(&mut lan, 9000, source(2), &made(2, 6, 0)), candidate(2, true));
    assert_eq!(
        hear(&mut lan, 9001, source(66), &made(2, 5, 70)),
        Heard::Refused(BeaconRefusal::Stale)
    );
    assert_eq!(hear(&mut lan, 20_000, source(2), &made(2, 6, 1)), candidate(2, false));
}

#[test]
fn what_says_nothing_new_is_not_verified_each_time() {
    let mut lan = node(1, 7);
    hear(&mut lan, 10, source(2), &made(2, 5, 0));
    for (counter, millis) in (1..).zip([100, 250, 500, 1000]) {
        assert_eq!(hear(&mut lan, millis, source(2), &made(2, 5, counter)), Heard::Repeated);
    }
    assert_eq!(lan.stats().accepted, 1);
    // A forged one with a huge counter changes nothing either.
    let mut forged = made(2, 5, u64::MAX);
    forged[100] ^= 1;
    hear(&mut lan, 1001, source(2), &forged);
    assert_eq!(hear(&mut lan, 6000, source(2), &made(2, 5, 6)), candidate(2, false));
}

#[test]
fn who_falls_silent_is_forgotten_and_new_again_when_heard() {
    let mut lan = node(1, 7);
    hear(&mut lan, 10, source(2), &made(2, 5, 0));
    let peer = PeerId::of(&PublicKey(key(2)));
    run(&mut lan, 20_000);
    assert!(lan.wants(&peer));
    run(&mut lan, 60_000);
    assert!(!lan.wants(&peer));
    assert_eq!(lan.crowd(), 1);
    assert_eq!(hear(&mut lan, 60_000, source(2), &made(2, 5, 9)), candidate(2, true));
}

#[test]
fn a_newcomer_is_answered_soon_and_with_no_more_than_it_sent() {
    let mut lan = node(1, 7);
    run(&mut lan, 30_000);
    let quiet_until = lan.cadence.next();
    let heard = made(2, 5, 0);
    hear(&mut lan, 30_000, source(2), &heard);
    assert!(lan.next_deadline().unwrap() <= at(30_030));
    let answers = run(&mut lan, 30_100);
    assert_eq!(answers.len(), 1, "one beacon of one family");
    assert!(answers[0].1.contents.len() <= heard.len());
    assert!(answers[0].1.to.is_ipv4());
    assert_eq!(lan.cadence.next(), quiet_until, "the steady beat is left alone");
    // A hundred newcomers at once get no more than one in a second.
    for n in 3..103 {
        hear(&mut lan, 31_000, source(n), &made(n, 5, 0));
    }
    let again = run(&mut lan, 33_000);
    let extra = again.iter().filter(|(time, _)| at(*time) < quiet_until).count();
    assert!(extra <= 1, "{again:?}");
}

#[test]
fn newcomers_that_trickle_in_are_answered_once_a_second() {
    let mut lan = node(1, 7);
    run(&mut lan, 30_000);
    let mut sent = 0;
    for n in 2..102u8 {
        let now = 30_000 + u64::from(n) * 100;
        hear(&mut lan, now, source(n), &made(n, 5, 0));
        sent += run(&mut lan, now + 99).len();
    }
    // Ten seconds: at most eleven answers, and the steady beat.
    assert!((5..=11 + 3).contains(&sent), "{sent}");
}

#[test]
fn whoever_made_room_in_the_table_is_not_wanted_any_more() {
    let limits = Limits { known_peers_max: 8, ..Limits::default() };
    let mut lan = configured(1, 7, &LanConfig::default(), &limits);
    for n in 2..30 {
        hear(&mut lan, u64::from(n), source(n), &made(n, 5, 0));
    }
    let wanted = (2..30u8).filter(|n| lan.wants(&PeerId::of(&PublicKey(key(*n))))).count();
    assert_eq!(wanted, 8);
}

#[test]
fn a_crowd_is_noticed_although_the_budget_or_the_table_is_too_small_for_it() {
    for (beacon_checks_per_second_max, known_peers_max, hosts) in
        [(300, 4096, 600), (10_000, 16, 600), (10_000, 16, 1)]
    {
        let limits = Limits { beacon_checks_per_second_max, known_peers_max, ..Limits::default() };
        let mut lan = configured(1, 7, &LanConfig::default(), &limits);
        run(&mut lan, 10_000);
        for n in 0..600u64 {
            let mut private = [0; 32];
            private[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            let network = NetworkName::default().tag();
            let key = PublicKey(private);
            let beacon = Beacon { network, flags: 0, tcp_port: 1, key, start: 1, counter: 1 };
            let from = format!("[fe80::1:{:x}%2]:8001", n % hosts).parse().unwrap();
            hear(&mut lan, 10_000, from, &beacon.encode(&[], &ToyCrypto, &private));
        }
        assert!((500..=601).contains(&lan.crowd()), "{}", lan.crowd());
    }
}

#[test]
fn answers_come_by_one_family_after_the_other() {
    let mut lan = node(1, 7);
    run(&mut lan, 30_000);
    let mut to = BTreeSet::new();
    for n in 2..6u8 {
        let now = 30_000 + u64::from(n) * 1200;
        hear(&mut lan, now, source(n), &made(n, 5, 0));
        to.extend(run(&mut lan, now + 100).into_iter().map(|(_, transmit)| transmit.to.ip()));
    }
    assert!(to.contains(&"192.0.2.255".parse().unwrap()), "{to:?}");
    assert!(to.contains(&"239.255.80.50".parse().unwrap()), "{to:?}");
}

#[test]
fn a_flood_of_forgeries_stays_within_the_budget_and_newcomers_get_through() {
    let mut lan = node(1, 7);
    let mut flood = 0u64;
    for millis in 0..2000 {
        for n in 0..50u64 {
            // Each claims another identity; half come from one address, half from all over the subnet.
            let mut forged = made(200, 5, 0);
            forged[16..24].copy_from_slice(&(millis * 50 + n).to_be_bytes());
            let from = if n % 2 == 0 { source(9) } else { source(10 + (millis % 100) as u8) };
            let heard = hear(&mut lan, millis, from, &forged);
            assert!(matches!(heard, Heard::Refused(_)));
            flood += 1;
        }
    }
    let stats = lan.stats();
    assert_eq!(flood, 100_000);
    let checked = stats.forged;
    assert!(checked <= 1000, "{checked} signatures checked in two seconds, each charged twice");
    assert_eq!(stats.forged + stats.over_budget, flood);
    assert_eq!(lan.neighbours.present(), 0);

    // One address alone, however loud, takes its share only: newcomers are checked at once.
    for millis in 4000..6000 {
        for n in 0..50u64 {
            let mut forged = made(200, 5, 0);
            forged[16..24].copy_from_slice(&(millis * 50 + n).to_be_bytes());
            hear(&mut lan, millis, source(9), &forged);
        }
    }
    assert_eq!(hear(&mut lan, 6000, source(2), &made(2, 5, 0)), candidate(2, true));
}

/// Forged beacons under ever new keys, from one address and from all over the link.
#[test]
fn forgeries_don_t_make_a_group_quiet() {
    let mut lan = node(1, 7);
    for n in 2..12 {
        hear(&mut lan, 10, source(n), &made(n, 5, 0));
    }
    run(&mut lan, 10_000);
    assert_eq!(lan.crowd(), 11);
    for millis in 10_000..12_000 {
        for n in 0..20u64 {
            let mut forged = made(200, 5, 0);
            forged[16..24].copy_from_slice(&(millis * 20 + n).to_be_bytes());
            let anywhere = format!("[fe80::{millis:x}:{n:x}%2]:8001").parse().unwrap();
            hear(&mut lan, millis, if n % 2 == 0 { source(250) } else { anywhere }, &forged);
        }
    }
    assert!(lan.stats().over_budget > 10_000);
    assert!(lan.crowd() <= 1 + 10 * 5, "{}", lan.crowd());
}

/// A forgery under a newcomer's key is not answered, however little it says that is new.
#[test]
fn only_what_was_verified_is_answered() {
    let mut lan = node(1, 7);
    run(&mut lan, 30_000);
    hear(&mut lan, 30_000, source(2), &made(2, 5, 0));
    let settled = |lan: &mut Lan, until| {
        let quiet_until = lan.cadence.next();
        let sent = run(lan, until);
        sent.into_iter().filter(|(time, _)| at(*time) < quiet_until).count()
    };
    assert_eq!(settled(&mut lan, 31_500), 1);
    let mut forged = made(2, 5, 9);
    forged[100] ^= 1;
    hear(&mut lan, 31_500, source(2), &forged);
    assert_eq!(settled(&mut lan, 32_000), 0);
    hear(&mut lan, 32_000, source(2), &made(2, 5, 1));
    assert_eq!(settled(&mut lan, 32_500), 1, "its own next one is");
}

#[test]
fn two_runs_of_an_anonymous_node_share_nothing_but_constants() {
    let beacons = |n: u8, start: u64| -> Vec<Vec<u8>> {
        let mut lan = node(n, start);
        lan.set_listeners(at(0), &["[::]:9000".parse().unwrap()]);
        run(&mut lan, 3000).into_iter().map(|(_, transmit)| transmit.contents.to_vec()).collect()
    };
    // Keys and start nonces are fresh; the beacons of two runs then agree in what is the same for everyone, in the
    // listening port (chosen by the operating system unless configured) and in counters that all runs begin alike.
    let (one, other) =
        (&beacons(1, 0x1111_1111_1111_1111)[0], &beacons(2, 0x2222_2222_2222_2222)[0]);
    assert_eq!(one[..16], other[..16]);
    assert_eq!(one[56..64], other[56..64]);
    for range in [16..48, 48..56, 64..128] {
        assert!(one[range.clone()].iter().zip(&other[range]).filter(|(a, b)| a == b).count() <= 4);
    }
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let play = || {
        let mut lan = node(1, 7);
        let mut sent = run(&mut lan, 10_000);
        for n in 2..50 {
            hear(&mut lan, 10_000 + u64::from(n), source(n), &made(n, 5, 0));
        }
        sent.extend(run(&mut lan, 60_000));
        (sent, lan.stats())
    };
    assert_eq!(play(), play());
}

proptest! {
    /// Whatever arrives from wherever, whenever: no panic, every datagram is counted once, and this node never sends
    /// more than its own beat and one answer a second.
    #[test]
    fn arbitrary_datagrams_do_no_harm(
        steps in prop::collection::vec(
            (
                0u64..2000,
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..200),
                    (0u8..6, 0u64..3, 0u64..40).prop_map(|(n, start, counter)| made(n, start, counter)),
                    (0u8..6, 0u64..40, 0usize..128, any::<u8>()).prop_map(|(n, counter, at, byte)| {
                        let mut bytes = made(n, 5, counter);
                        bytes[at] = byte;
                        bytes
                    }),
                ],
                prop_oneof![
                    any::<SocketAddr>(),
                    (0u8..6).prop_map(source),
                ],
            ),
            0..100,
        ),
    ) {
        let mut lan = node(1, 7);
        let mut millis = 10_000;
        run(&mut lan, millis);
        let (begun, before) = (millis, lan.stats().sent);
        for (pass, bytes, from) in &steps {
            millis += pass;
            run(&mut lan, millis);
            let heard = hear(&mut lan, millis, *from, bytes);
            if let Heard::Candidate { at, .. } = heard {
                prop_assert_eq!(at.ip(), net::canonical(*from).ip());
                prop_assert!(lan.links.interface_of(*from).is_some());
            }
        }
        let stats = lan.stats();
        prop_assert_eq!(stats.heard, steps.len() as u64);
        prop_assert_eq!(stats.heard, stats.accepted + stats.repeated + stats.own + stats.refused());
        let sent = stats.sent - before;
        prop_assert!(sent <= (millis - begun) / 1000 + (millis - begun) / 4000 + 2);
        prop_assert!(sent <= steps.len() as u64 + (millis - begun) / 4000 + 2);
    }
}

#[test]
fn two_nodes_on_one_host_hear_each_other_on_loopback() {
    let only_loopback = |n: u8| {
        let mut lan = node(n, u64::from(n));
        lan.on_interfaces(at(0), &[loopback()]);
        lan
    };
    let (mut one, mut other) = (only_loopback(1), only_loopback(2));
    let sent = run(&mut one, 40);
    assert_eq!(vec![sent[0].1.to.to_string()], ["127.255.255.255:8001"]);
    let from = SocketAddr::new(sent[0].1.from, 8001);
    let heard = hear(&mut other, 40, from, &sent[0].1.contents);
    let Heard::Candidate { at: address, .. } = heard else { panic!("{heard:?}") };
    assert_eq!(address.to_string(), "127.0.0.1:9001");
}
