//! Nodes and their bootstrap servers: finding each other, policies that no server can talk a node out of, and what a server
//! that lies, or whoever stands in between, can't do.

use crate::world::server::{Server, Tamper};
use crate::world::{World, address, quiet};
use bytes::Bytes;
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::discovery::bootstrap::Refusal;
use p2pnet_protocol::discovery::bootstrap::*;
use p2pnet_protocol::io::{Fetch, Fetched};
use p2pnet_protocol::task::body::PeerTarget;
use p2pnet_protocol::task::envelope::Terms;
use p2pnet_protocol::task::{Audience, NetworkTask, TaskBody};
use p2pnet_protocol::trust::bootstrap_policy::BootstrapRefused;
use p2pnet_protocol::trust::policy::TrustPolicies;
use p2pnet_protocol::wire::{Endpoint, PeerRecord};
use p2pnet_protocol::*;
use std::cell::RefCell;
use std::rc::Rc;

const URL: &str = "http://198.51.100.1:8080";
const OTHER: &str = "http://198.51.100.2:8080";
const WIRE: u8 = 101;
const AUTHORITY: u8 = 102;

fn away(url: &str) -> Config {
    let mut config = quiet();
    config.bootstrap.servers.push(url.into());
    config
}

/// A node that insists on an authority.
fn insists(url: &str) -> Config {
    let mut config = away(url);
    config.policies.bootstrap.set_must_be_authority(true).unwrap();
    config
}

fn locks(url: &str) -> Config {
    let mut config = away(url);
    config.policies.bootstrap.set_first_single_locking_authority(true).unwrap();
    config
}

/// A world with a server at [`URL`] whose nodes know the time.
fn world(server: Server, configs: Vec<Config>) -> World {
    let mut world = World::new(configs);
    world.servers.insert(URL.into(), server);
    set_clocks(&mut world);
    world
}

fn set_clocks(world: &mut World) {
    let since = world.now.since(Instant::from_nanos(1_000_000_000)).as_secs();
    for node in &mut world.nodes {
        node.handle_wall_time(world.now, Some(UnixTime(1_700_000_000 + since)));
    }
}

fn server(world: &mut World) -> &mut Server {
    world.servers.get_mut(URL).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Why servers were of no use to node `index`, each reason once.
fn failures(world: &World, index: usize) -> Vec<BootstrapError> {
    let mut found = Vec::new();
    for event in &world.events[index] {
        if let Event::BootstrapFailed { error, .. } = event
            && !found.contains(error)
        {
            found.push(*error);
        }
    }
    found
}

fn successes(world: &World, index: usize) -> usize {
    world.saw(index, |event| matches!(event, Event::BootstrapOk { .. }))
}

#[test]
fn nodes_find_each_other_through_a_server_and_again_when_it_is_back() {
    let mut world = world(Server::new(WIRE, None), vec![away(URL), away(URL), away(URL)]);
    world.pass(seconds(5));
    for node in 0..3 {
        assert_eq!(world.connected(node).len(), 2, "node {node}");
        assert!(successes(&world, node) >= 1);
        assert_eq!(failures(&world, node), []);
    }
    let told = world.events[2].iter().find_map(|event| match event {
        Event::BootstrapOk { server, authority, observed, peers, new, total } => {
            Some((server.as_str(), *authority, *observed, *peers, *new, *total))
        }
        _ => None,
    });
    assert_eq!(told, Some((URL, None, address(2).ip(), 2, 2, 2)));
    // The server forgets everything, and hears of all of them again within one interval.
    server(&mut world).leases.clear();
    world.pass(seconds(75));
    assert_eq!(server(&mut world).leases.len(), 3);
    // And is told of those who go.
    world.nodes[1].shutdown(world.now);
    world.settle();
    assert_eq!(server(&mut world).leases.len(), 2);
    assert!(server(&mut world).heartbeats.iter().any(|beat| beat.leaving));
}

#[test]
fn a_server_that_is_away_is_asked_ever_less_often_and_takes_nothing_from_the_others() {
    let mut both = away(URL);
    both.bootstrap.servers.push(OTHER.into());
    let mut world = world(Server::new(WIRE, None), vec![both.clone(), both]);
    world.away.push(OTHER.into());
    world.pass(seconds(5));
    assert_eq!(world.connected(0).len(), 1);
    assert_eq!(failures(&world, 0), [BootstrapError::NoAnswer]);
    world.pass(seconds(3600));
    let retries: Vec<Duration> = world.events[0]
        .iter()
        .filter_map(|event| match event {
            Event::BootstrapFailed { retry_in, .. } => Some(*retry_in),
            _ => None,
        })
        .collect();
    assert!((10..30).contains(&retries.len()), "{}", retries.len());
    assert!(retries[0] <= seconds(2) && retries.iter().all(|wait| *wait <= seconds(375)));
    assert!(*retries.last().unwrap() >= seconds(225));
    // It comes to life.
    world.servers.insert(OTHER.into(), Server::new(55, None));
    world.away.clear();
    world.pass(seconds(400));
    assert_eq!(world.servers[OTHER].leases.len(), 2);
}

#[test]
fn a_server_says_how_often_it_is_asked_within_bounds() {
    for (interval_secs, fewest, most) in [(0, 200, 400), (60, 45, 75), (u32::MAX, 2, 4)] {
        let mut world = world(Server::new(WIRE, None), vec![away(URL), away(URL)]);
        server(&mut world).steering.interval_secs = interval_secs;
        world.pass(seconds(5));
        let before = server(&mut world).asked.len();
        world.pass(seconds(3600));
        let asked = server(&mut world).asked.len() - before;
        // Of two nodes.
        assert!((fewest..=2 * most).contains(&asked), "{interval_secs} s: {asked}");
        assert_eq!(failures(&world, 0), []);
    }
}

#[test]
fn a_server_that_refuses_is_obeyed_and_corrects_clocks() {
    let mut world = world(Server::new(WIRE, None), vec![away(URL)]);
    let busy = Refusal { code: RefusalCode::Busy, now_ms: 0, retry_after_secs: 120 };
    server(&mut world).refuses = Some(busy);
    world.pass(seconds(100));
    assert_eq!(server(&mut world).count(PEERS_PATH), 1);
    assert_eq!(failures(&world, 0), [BootstrapError::Refused(RefusalCode::Busy, 120)]);
    server(&mut world).refuses = None;
    world.pass(seconds(80));
    assert_eq!(successes(&world, 0), 1);
    // Somebody has made the node believe in another time; the server puts it right.
    let mut skewed = Server::new(WIRE, None);
    skewed.tamper = Some(Box::new(|fetch: &Fetch, mut answer: Fetched| {
        if fetch.url.ends_with(IDENTITY_PATH) {
            let wire = PureCrypto::new().unwrap().signing_key(&[WIRE; 32]);
            let keys = ServerIdentity::decode(&answer.body).unwrap().keys;
            let crypto = PureCrypto::new().unwrap();
            let late = 1_900_000_000_000;
            answer.body = ServerIdentity::issue(&crypto, &wire, keys, "x".into(), late).encode();
        }
        Some(answer)
    }));
    let mut world = self::world(skewed, vec![away(URL)]);
    world.pass(seconds(10));
    assert_eq!(failures(&world, 0), [BootstrapError::Refused(RefusalCode::Stale, 0)]);
    assert_eq!(successes(&world, 0), 1);
}

/// Runs two nodes whose way to the server is in somebody's hands, and gives what the second one says of it. It never hears
/// of the first.
fn tampered(tamper: Tamper) -> Vec<BootstrapError> {
    let mut world = world(Server::new(WIRE, None), vec![away(URL)]);
    world.pass(seconds(1));
    server(&mut world).tamper = Some(tamper);
    world.add(away(URL), [2; 32], 2);
    set_clocks(&mut world);
    world.pass(seconds(30));
    assert_eq!(world.connected(1), [], "a list that was tampered with was used");
    assert_eq!(world.saw(1, |event| matches!(event, Event::PeerDiscovered { .. })), 0);
    failures(&world, 1)
}

fn for_lists(change: impl Fn(Fetched) -> Fetched + 'static) -> Tamper {
    Box::new(move |fetch, answer| {
        Some(if fetch.url.ends_with(PEERS_PATH) { change(answer) } else { answer })
    })
}

#[test]
fn whoever_stands_in_between_can_change_nothing() {
    use BadReply::{BadSignature, Expired, Malformed, OtherRequest};
    let changed = for_lists(|mut answer| {
        // A peer's address.
        let at = answer.body.len() - 66;
        answer.body[at] ^= 1;
        answer
    });
    assert_eq!(tampered(changed), [BootstrapError::Reply(BadSignature)]);
    let cut = for_lists(|mut answer| {
        answer.body.pop();
        answer
    });
    assert_eq!(tampered(cut), [BootstrapError::Reply(Malformed)]);
    let html = for_lists(|answer| Fetched { media_type: "text/html".into(), ..answer });
    assert_eq!(tampered(html), [BootstrapError::ContentType]);
    let moved = for_lists(|answer| Fetched { status: 302, ..answer });
    assert_eq!(tampered(moved), [BootstrapError::Status(302)]);

    // Another server, with a key of its own, answers in the place of the one that was asked.
    let resigned = |issued_ms: u64, seed: u8| {
        for_lists(move |mut answer| {
            let (crypto, list) =
                (PureCrypto::new().unwrap(), PeerList::decode(&answer.body).unwrap());
            let wire = crypto.signing_key(&[seed; 32]);
            let keys = ServerKeys { wire: crypto.public_key(&wire), delegation: None };
            let expires_ms = issued_ms + 60_000;
            let head = ReplyHead { keys, issued_ms, expires_ms, ..list.head };
            let list = PeerList::issue(&crypto, &wire, head, list.observed, list.total, list.peers);
            answer.body = list.encode();
            answer
        })
    };
    assert_eq!(tampered(resigned(1_700_000_000_000, 77)), [BootstrapError::OtherServer]);
    // A server whose key was stolen, or whose clock is wrong: its own signature doesn't help an old list.
    assert_eq!(tampered(resigned(1_699_000_000_000, WIRE)), [BootstrapError::Reply(Expired)]);

    // The list of an earlier request, as it was.
    let recorded: Rc<RefCell<Option<Fetched>>> = Rc::default();
    let mut world = world(Server::new(WIRE, None), vec![away(URL)]);
    let tape = Rc::clone(&recorded);
    server(&mut world).tamper = Some(Box::new(move |fetch, answer| {
        if fetch.url.ends_with(PEERS_PATH) {
            *tape.borrow_mut() = Some(answer.clone());
        }
        Some(answer)
    }));
    world.pass(seconds(1));
    let old = recorded.borrow_mut().take().unwrap();
    let replayed = for_lists(move |_| old.clone());
    assert_eq!(tampered(replayed), [BootstrapError::Reply(OtherRequest)]);
}

#[test]
fn a_policy_that_insists_on_an_authority_registers_with_no_other_server() {
    let mut world = world(Server::new(WIRE, None), vec![insists(URL), away(URL)]);
    world.pass(seconds(3600));
    let refused = BootstrapRefused::TrustlessNotAllowed;
    assert_eq!(failures(&world, 0), [BootstrapError::Policy(refused)]);
    let asked = |world: &mut World, node: usize| -> Vec<String> {
        let from = address(node).ip();
        let asked = server(world).asked.iter().filter(|(_, by)| *by == from);
        asked.map(|(path, _)| path.clone()).collect()
    };
    assert!(asked(&mut world, 0).iter().all(|path| path == IDENTITY_PATH));
    assert_eq!(world.connected(0), []);
    // Who doesn't insist uses it, and who allows no authority doesn't use one.
    assert_eq!(successes(&world, 1), 1);
    let mut world = self::world(Server::new(WIRE, Some(AUTHORITY)), vec![away(URL), insists(URL)]);
    world.pass(seconds(5));
    let refused = BootstrapRefused::AuthorityNotAllowed;
    assert_eq!(failures(&world, 0), [BootstrapError::Policy(refused)]);
    assert!(asked(&mut world, 0).iter().all(|path| path == IDENTITY_PATH));
    assert_eq!((successes(&world, 1), failures(&world, 1)), (1, vec![]));
}

#[test]
fn nobody_becomes_an_authority_without_its_key() {
    // The server shows an authority's delegation for another wire key.
    let forged = |fetch: &Fetch, mut answer: Fetched| {
        if fetch.url.ends_with(IDENTITY_PATH) {
            let crypto = PureCrypto::new().unwrap();
            let wire = crypto.signing_key(&[66; 32]);
            let true_keys = Server::new(WIRE, Some(AUTHORITY)).keys();
            let keys = ServerKeys { wire: crypto.public_key(&wire), ..true_keys };
            answer.body =
                ServerIdentity::issue(&crypto, &wire, keys, "x".into(), 1_700_000_000_000).encode();
        }
        Some(answer)
    };
    let mut server = Server::new(66, Some(AUTHORITY));
    server.tamper = Some(Box::new(forged));
    let mut world = world(server, vec![insists(URL)]);
    world.pass(seconds(100));
    let bad = BadReply::Delegation(BadDelegation::BadSignature);
    assert_eq!(failures(&world, 0), [BootstrapError::Reply(bad)]);
    assert_eq!(self::server(&mut world).count(PEERS_PATH), 0);
    // A node that doesn't know the time can't tell whether a delegation is valid.
    let mut world = World::new(vec![insists(URL)]);
    world.servers.insert(URL.into(), Server::new(WIRE, Some(AUTHORITY)));
    world.pass(seconds(100));
    let bad = BadReply::Delegation(BadDelegation::NoWallTime);
    assert_eq!(failures(&world, 0), [BootstrapError::Reply(bad)]);
    assert_eq!(self::server(&mut world).count(PEERS_PATH), 0);
}

#[test]
fn the_key_that_was_given_is_the_only_one() {
    let given = |seed: u8| {
        let mut config = insists(URL);
        config.bootstrap.authority = Some(Server::public(seed));
        config
    };
    let mut world = world(Server::new(WIRE, Some(AUTHORITY)), vec![given(AUTHORITY), given(9)]);
    world.pass(seconds(30));
    assert_eq!((successes(&world, 0), failures(&world, 0)), (1, vec![]));
    assert_eq!(failures(&world, 1), [BootstrapError::NotTheGivenAuthority]);
    assert_eq!((server(&mut world).leases.len(), world.connected(1).len()), (1, 0));
}

#[test]
fn the_first_authority_is_pinned_and_the_pin_outlives_the_process() {
    let durable = |world: &World| {
        let mut config = insists(URL);
        config.policies.bootstrap = Default::default();
        config.policies.bootstrap.set_allow_bootstrap_authority_connection(true).unwrap();
        config.bootstrap.durable = true;
        config.bootstrap.saved = world.saved.get(&(0, Keeps::Bootstrap)).cloned();
        config
    };
    let empty = World::new(Vec::new());
    let mut world = world(Server::new(WIRE, Some(AUTHORITY)), vec![durable(&empty)]);
    world.pass(seconds(5));
    assert_eq!(successes(&world, 0), 1);
    // The same authority with another server is as good.
    world.servers.insert(URL.into(), Server::new(44, Some(AUTHORITY)));
    let config = durable(&world);
    world.restart(0, config, 5);
    set_clocks(&mut world);
    world.pass(seconds(5));
    assert_eq!((successes(&world, 0), failures(&world, 0)), (1, vec![]));
    // Another authority there, or none, is not, although the policy allows both.
    for other in [Server::new(WIRE, Some(33)), Server::new(WIRE, None)] {
        world.servers.insert(URL.into(), other);
        let config = durable(&world);
        world.restart(0, config, 6);
        set_clocks(&mut world);
        world.pass(seconds(600));
        let pinned = BootstrapError::NotThePinnedAuthority(Server::public(AUTHORITY));
        assert_eq!((successes(&world, 0), failures(&world, 0)), (0, vec![pinned]));
        assert_eq!(server(&mut world).count(PEERS_PATH), 0);
    }
}

#[test]
fn the_lock_keeps_the_first_authority_of_all_servers_and_lets_it_reconnect() {
    let config = |world: Option<&World>| {
        let mut config = locks(URL);
        config.bootstrap.servers.push(OTHER.into());
        config.bootstrap.durable = true;
        config.bootstrap.saved =
            world.and_then(|world| world.saved.get(&(0, Keeps::Bootstrap)).cloned());
        config
    };
    let mut world = world(Server::new(WIRE, Some(AUTHORITY)), vec![config(None)]);
    world.servers.insert(OTHER.into(), Server::new(44, Some(33)));
    world.pass(seconds(30));
    let first = Server::public(AUTHORITY);
    let refused = [BootstrapError::Policy(BootstrapRefused::OtherAuthority(first))];
    assert_eq!((successes(&world, 0), failures(&world, 0)), (1, refused.to_vec()));
    assert_eq!(world.servers[OTHER].count(PEERS_PATH), 0);
    // After a restart, with the first one away, the other still is no choice, and the first one is when it is back.
    world.away.push(URL.into());
    let restarted = config(Some(&world));
    world.restart(0, restarted, 7);
    set_clocks(&mut world);
    world.pass(seconds(30));
    assert_eq!(failures(&world, 0), [BootstrapError::NoAnswer, refused[0]]);
    world.away.clear();
    world.pass(seconds(60));
    assert_eq!(successes(&world, 0), 1);
    assert_eq!(world.servers[OTHER].count(PEERS_PATH), 0);
}

#[test]
fn no_authority_is_used_before_its_key_is_safe() {
    let mut config = locks(URL);
    config.bootstrap.durable = true;
    let mut world = world(Server::new(WIRE, Some(AUTHORITY)), vec![config]);
    world.full_disk = true;
    world.pass(seconds(60));
    assert_eq!(failures(&world, 0), [BootstrapError::NotSaved]);
    assert_eq!(server(&mut world).count(PEERS_PATH), 0);
    world.full_disk = false;
    world.pass(seconds(120));
    assert_eq!(successes(&world, 0), 1);
    assert!(world.saved.contains_key(&(0, Keeps::Bootstrap)));
}

fn task(seed: u8, to: PeerId, body: &TaskBody, sequence: u64) -> Bytes {
    let crypto = PureCrypto::new().unwrap();
    let terms = Terms {
        network: NetworkName::default().tag(),
        id: TaskId([sequence as u8; 16]),
        audience: Audience::One(to),
        sequence,
        not_before: UnixTime(1_699_999_000),
        not_after: UnixTime(1_700_003_000),
        in_reply_to: None,
    };
    NetworkTask::issue(&crypto, &crypto.signing_key(&[seed; 32]), &terms, body)
        .unwrap()
        .encode()
        .into()
}

#[test]
fn tasks_that_waited_come_with_a_heartbeat_and_an_authority_speaks_by_its_servers_key() {
    let victim = PeerId([9; 32]);
    let block = TaskBody::BlockAndRemovePeer(PeerTarget::Peer(victim));
    for authority in [Some(AUTHORITY), None] {
        let config = if authority.is_some() { insists(URL) } else { away(URL) };
        // Two of them: a lonely node asks for peers all the time.
        let mut world = world(Server::new(WIRE, authority), vec![config.clone(), config]);
        world.pass(seconds(5));
        let (me, key) = (world.id(0), world.nodes[0].public_key());
        let message = TaskBody::SendMessage("hello".into());
        let waiting = vec![
            task(WIRE, me, &message, 1),
            task(WIRE, me, &block, 2),
            // Somebody else's, and one for another node.
            task(77, me, &block, 3),
            task(WIRE, world.id(1), &message, 4),
        ];
        server(&mut world).tasks.insert(key, waiting);
        world.pass(seconds(300));
        let done = world.saw(0, |event| matches!(event, Event::TaskExecuted { .. }));
        assert_eq!(done, if authority.is_some() { 2 } else { 1 }, "{:?}", world.events[0]);
        let blocked = world.nodes[0].blocked().contains(&BlockTarget::Peer(victim));
        assert_eq!(blocked, authority.is_some());
        // Every one came once, and the server knows.
        let received: Vec<TaskId> = (1..5).map(|n| TaskId([n; 16])).collect();
        assert_eq!(server(&mut world).received, received);
        assert!(world.saw(1, |event| matches!(event, Event::TaskReceived { .. })) == 0);
    }
}

/// Whom a server names is dialled a few times, where it said and nowhere else, and has to prove who it is.
#[test]
fn addresses_from_a_server_are_dialled_within_bounds_and_prove_nothing() {
    let mut lying = Server::new(WIRE, None);
    let at = |n: usize| Endpoint::Tcp(format!("203.0.113.{n}:1000").parse().unwrap());
    lying.made_up = (0..60)
        .map(|n| PeerRecord { peer: PeerId([n as u8 + 100; 32]), endpoints: vec![at(n / 10)] })
        .collect();
    // Another peer's name with this node's address, and addresses that are nobody's.
    lying
        .made_up
        .push(PeerRecord { peer: PeerId([9; 32]), endpoints: vec![Endpoint::Tcp(address(1))] });
    for bad in ["127.0.0.1:22", "0.0.0.0:80", "224.0.0.1:80", "[fe80::1]:80", "169.254.1.1:80"] {
        let endpoints = vec![Endpoint::Tcp(bad.parse().unwrap())];
        lying.made_up.push(PeerRecord { peer: PeerId([8; 32]), endpoints });
    }
    let mut world = world(lying, vec![away(URL), quiet()]);
    world.pass(seconds(3600));
    let mut dials = std::collections::BTreeMap::<_, usize>::new();
    for event in &world.events[0] {
        if let Event::ConnectionAttempt { at, direction: Direction::Outgoing, .. } = event {
            *dials.entry(*at).or_default() += 1;
        }
    }
    let named = |n: usize| format!("203.0.113.{n}:1000").parse().unwrap();
    for (at, count) in &dials {
        assert!((0..6).any(|n| *at == named(n)) || *at == address(1), "{at} was dialled");
        // Ten peers to an address, three tries for each, and one more in each quarter of an hour.
        assert!(*count <= 10 * (3 + 4), "{at}: {count}");
    }
    assert!(dials.len() > 3, "{dials:?}");
    assert_eq!(world.connected(0), [], "somebody passed for another");
    assert!(
        world.saw(0, |event| matches!(
            event,
            Event::DialFailed { error: DialError::WrongPeer(_), .. }
        )) > 0
    );
    assert_eq!(failures(&world, 0), []);
}

#[test]
fn a_blocked_peer_is_not_dialled_because_a_server_names_it() {
    let mut config = away(URL);
    let mut world = world(Server::new(WIRE, None), vec![away(URL)]);
    config.blocked.push(BlockTarget::Peer(world.id(0)));
    world.pass(seconds(1));
    world.add(config, [2; 32], 2);
    set_clocks(&mut world);
    world.pass(seconds(60));
    assert_eq!(world.connected(1), []);
    assert_eq!(world.saw(1, |event| matches!(event, Event::PeerDiscovered { .. })), 0);
}

/// With the server gone, whoever is trusted learns of the others from a peer; who isn't learns of nobody.
#[test]
fn trusted_peers_tell_each_other_of_those_they_know() {
    let member = |secret: bool| {
        let mut config = away(URL);
        config.policies = TrustPolicies::default();
        if secret {
            let secret = trust::secret::NetworkSecret::new(b"sixteen bytes at least").unwrap();
            config.membership.secret = Some(secret);
        }
        config
    };
    for trusted in [true, false] {
        let mut world =
            world(Server::new(WIRE, None), vec![member(true), member(true), member(true)]);
        world.pass(seconds(10));
        world.away.push(URL.into());
        let late = world.add(member(trusted), [9; 32], 9);
        set_clocks(&mut world);
        world.nodes[late].connect(world.now, address(0), None).unwrap();
        world.pass(seconds(30));
        let met: Vec<PeerId> = world.connected(late).iter().map(|(peer, _)| *peer).collect();
        if trusted {
            assert_eq!(met.len(), 3, "{:?}", world.events[late]);
            let via = |event: &Event| {
                matches!(event, Event::PeerDiscovered { via: DiscoverySource::Exchange, .. })
            };
            assert_eq!(world.saw(late, via), 2);
        } else {
            assert_eq!(met, [world.id(0)]);
            assert_eq!(world.nodes[late].peers().len(), 1);
        }
    }
}

#[test]
fn the_public_address_is_what_the_sources_say() {
    let source = |n: u8| format!("http://198.51.100.{n}");
    let mut config = quiet();
    config.bootstrap.public_ip.policy = PublicIpv4GetPolicy::UrlListConsensus;
    config.bootstrap.public_ip.sources =
        (1..=4).map(|n| format!("{}{PUBLIC_IP_PATH}", source(n))).collect();
    let mut world = World::new(vec![config]);
    for n in 1..=4 {
        world.servers.insert(source(n), Server::new(n, None));
    }
    // One is away, one says something else: two of three agree.
    world.away.push(source(1));
    let lie =
        |_: &Fetch, answer: Fetched| Some(Fetched { body: b"203.0.113.77".to_vec(), ..answer });
    world.servers.get_mut(&source(2)).unwrap().tamper = Some(Box::new(lie));
    world.pass(seconds(5));
    let std::net::IpAddr::V4(address) = address(0).ip() else { panic!("nodes are on IPv4") };
    assert_eq!(world.nodes[0].public_ipv4(), Some(address));
    let found = Event::PublicAddress { address: Some(address) };
    assert_eq!(world.saw(0, |event| *event == found), 1);
    // Nobody is asked who isn't named.
    let mut nobody = World::new(vec![quiet()]);
    nobody.servers.insert("http://".into(), Server::new(1, None));
    nobody.pass(seconds(3600));
    assert!(nobody.servers["http://"].asked.is_empty());
}
