use super::*;
use crate::store::{Ban, QueuedTask};
use p2pnet_protocol::Signature;
use p2pnet_protocol::UnixTime;
use p2pnet_protocol::task::envelope::Terms;
use p2pnet_protocol::task::{Audience, NetworkTask, TaskBody};

const START_MS: u64 = 1_700_000_000_000;

fn at(secs: u64) -> Now {
    Now { micros: secs * 1_000_000, wall_ms: START_MS + secs * 1000 }
}

fn desk_with(change: impl FnOnce(&mut Config)) -> Desk {
    let mut config = Config::default();
    change(&mut config);
    config.check().unwrap();
    Desk::new(config, FastCrypto::new().unwrap(), &[1; 32], Seed::from_u64(1), at(0))
}

fn desk() -> Desk {
    desk_with(|_| {})
}

/// A peer that behaves, until a test changes what it says.
struct Peer {
    crypto: FastCrypto,
    key: WireKey,
}

impl Peer {
    fn new(number: u8) -> Self {
        let crypto = FastCrypto::new().unwrap();
        Self { key: crypto.signing_key(&[number; 32]), crypto }
    }

    fn id(&self) -> PeerId {
        PeerId::of(&self.crypto.public_key(&self.key))
    }

    fn registration(&self, desk: &Desk, now: Now) -> Registration {
        Registration {
            network: NetworkName::default(),
            key: PublicKey([0; 32]),
            audience: desk.keys().audience(),
            at_ms: now.wall_ms,
            nonce: RequestNonce([7; 16]),
            port: 4000,
            label: String::new(),
            wants: 50,
            signature: Signature([0; 64]),
        }
    }

    fn register(&self, desk: &Desk, now: Now, from: &str) -> Result<PeerList, RefusalCode> {
        self.register_as(desk, now, from, |_| {})
    }

    fn register_as(
        &self,
        desk: &Desk,
        now: Now,
        from: &str,
        change: impl FnOnce(&mut Registration),
    ) -> Result<PeerList, RefusalCode> {
        let mut registration = self.registration(desk, now);
        change(&mut registration);
        let signed = registration.sign(&self.crypto, &self.key);
        desk.register(now, from.parse().unwrap(), &signed).map_err(|refusal| refusal.code)
    }

    fn beat(
        &self,
        desk: &Desk,
        now: Now,
        from: &str,
        leaving: bool,
        received: &[TaskId],
    ) -> Result<Beat, RefusalCode> {
        let beat = Heartbeat {
            network: NetworkName::default(),
            key: PublicKey([0; 32]),
            audience: desk.keys().audience(),
            at_ms: now.wall_ms,
            nonce: RequestNonce([8; 16]),
            leaving,
            received: received.to_vec(),
            signature: Signature([0; 64]),
        };
        let signed = beat.sign(&self.crypto, &self.key);
        desk.heartbeat(now, from.parse().unwrap(), &signed).map_err(|refusal| refusal.code)
    }
}

fn told(list: &PeerList) -> Vec<String> {
    let address = |peer: &PeerRecord| match peer.endpoints[..] {
        [Endpoint::Tcp(address)] => address.to_string(),
        _ => panic!("{peer:?}"),
    };
    let mut all: Vec<_> = list.peers.iter().map(address).collect();
    all.sort();
    all
}

fn hit(desk: &Desk, bans: &[&str]) -> usize {
    let ban = |subject: &&str| Ban {
        subject: subject.parse().unwrap(),
        reason: String::new(),
        actor: String::new(),
        at_ms: 0,
        until_ms: None,
    };
    desk.set_bans(at(50), Bans::new(bans.iter().map(ban).collect()))
}

#[test]
fn peers_are_told_of_each_other_where_they_were_seen() {
    let desk = desk();
    let (one, two) = (Peer::new(1), Peer::new(2));
    let alone = one.register(&desk, at(1), "9.1.1.1").unwrap();
    assert_eq!((told(&alone), alone.total), (vec![], 1));
    let list = two.register(&desk, at(2), "2a00:1::2").unwrap();
    assert_eq!((told(&list), list.total), (vec!["9.1.1.1:4000".to_owned()], 2));
    assert_eq!(list.peers[0].peer, one.id());
    assert_eq!(list.observed, "2a00:1::2".parse::<IpAddr>().unwrap());
    let bytes = list.encode();
    let wall = Some(UnixTime(at(2).wall_ms / 1000));
    let opened = PeerList::open(&one.crypto, &bytes, &RequestNonce([7; 16]), wall);
    assert_eq!(opened.as_ref(), Ok(&list));
    assert_eq!(list.head.keys.wire, desk.keys().wire);
    assert!(list.head.expires_ms > list.head.issued_ms);
    // Nobody of another network.
    let elsewhere = one.register_as(&desk, at(3), "9.1.1.1", |registration| {
        registration.network = NetworkName::new("other").unwrap();
    });
    assert_eq!(elsewhere.unwrap().total, 1);
}

#[test]
fn a_peer_without_a_port_is_told_of_others_and_nobody_of_it() {
    let desk = desk();
    Peer::new(1).register_as(&desk, at(1), "9.1.1.1", |r| r.port = 0).unwrap();
    let list = Peer::new(2).register(&desk, at(2), "9.2.2.2").unwrap();
    assert_eq!((told(&list), list.total), (vec![], 2));
    let list = Peer::new(1).register_as(&desk, at(3), "9.1.1.1", |r| r.port = 0).unwrap();
    assert_eq!(told(&list), ["9.2.2.2:4000"]);
}

#[test]
fn private_addresses_are_for_private_clients() {
    let desk = desk();
    Peer::new(1).register(&desk, at(1), "10.0.0.1").unwrap();
    Peer::new(2).register(&desk, at(1), "127.0.0.1").unwrap();
    Peer::new(3).register(&desk, at(1), "9.1.1.1").unwrap();
    Peer::new(4).register(&desk, at(1), "fe80::1").unwrap();
    let of = |secs, from| told(&Peer::new(9).register(&desk, at(secs), from).unwrap());
    assert_eq!(of(10, "8.8.8.8"), ["9.1.1.1:4000"]);
    assert_eq!(of(20, "192.168.0.1"), ["10.0.0.1:4000", "9.1.1.1:4000"]);
    let everything = ["10.0.0.1:4000", "127.0.0.1:4000", "9.1.1.1:4000"];
    assert_eq!(of(30, "::1"), everything);
}

#[test]
fn a_list_is_never_longer_than_wanted_or_allowed() {
    let desk = desk_with(|config| config.limits.key_per_minute = 0);
    for number in 0..100 {
        Peer::new(number).register(&desk, at(1), &format!("9.1.{number}.1")).unwrap();
    }
    for (wants, gets) in [(0, 0), (1, 1), (64, 64)] {
        let now = at(10 + u64::from(wants));
        let list = Peer::new(200).register_as(&desk, now, "9.2.2.2", |r| r.wants = wants).unwrap();
        assert_eq!(list.peers.len(), gets);
    }
}

#[test]
fn what_is_forged_replayed_or_meant_for_others_is_refused_and_changes_nothing() {
    let desk = desk_with(|config| config.server.networks = vec![NetworkName::default()]);
    let (peer, other) = (Peer::new(1), Peer::new(2));
    let now = at(100);
    let from: IpAddr = "9.1.1.1".parse().unwrap();
    let refused = |change: &dyn Fn(&mut Registration)| {
        peer.register_as(&desk, now, "9.1.1.1", change).unwrap_err()
    };
    assert_eq!(refused(&|r| r.audience = PublicKey([5; 32])), RefusalCode::OtherAudience);
    assert_eq!(refused(&|r| r.network = NetworkName::new("x").unwrap()), RefusalCode::OtherNetwork);
    assert_eq!(refused(&|r| r.at_ms += FRESH_MS + 1), RefusalCode::Stale);
    assert_eq!(refused(&|r| r.at_ms = START_MS - 1), RefusalCode::Stale);
    let honest = peer.registration(&desk, now).sign(&peer.crypto, &peer.key);
    // Every field is under the signature.
    let forgeries: [&dyn Fn(&mut Registration); 5] = [
        &|r| r.key = other.crypto.public_key(&other.key),
        &|r| r.port = 1,
        &|r| r.label = "x".into(),
        &|r| r.at_ms += 1,
        &|r| r.nonce.0[0] ^= 1,
    ];
    for forge in forgeries {
        let mut forged = honest.clone();
        forge(&mut forged);
        let refusal = desk.register(now, from, &forged).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::BadSignature);
        assert_eq!(refusal.now_ms, now.wall_ms);
    }
    assert!(desk.leases().is_empty());
    assert!(desk.register(now, from, &honest).is_ok());
    // A replay, from wherever, moves nothing.
    let elsewhere: IpAddr = "6.6.6.6".parse().unwrap();
    for later in [100, 101, 399, 400] {
        let refusal = desk.register(at(later), elsewhere, &honest).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Stale, "{later}");
    }
    let lease = desk.leases().get(&peer.id(), &NetworkName::default().tag()).unwrap();
    assert_eq!(lease.address, "9.1.1.1:4000".parse().unwrap());
    assert_eq!(desk.counts.refusals(RefusalCode::BadSignature), 5);
}

#[test]
fn a_replay_is_known_after_its_peer_left_and_after_its_lease_ended() {
    let desk = desk_with(|config| {
        config.leases.interval_secs = 1;
        config.leases.interval_secs_max = 1;
    });
    let (gone, lost) = (Peer::new(1), Peer::new(2));
    let from: IpAddr = "6.6.6.6".parse().unwrap();
    let record = |peer: &Peer| peer.registration(&desk, at(1)).sign(&peer.crypto, &peer.key);
    let (of_gone, of_lost) = (record(&gone), record(&lost));
    desk.register(at(1), from, &of_gone).unwrap();
    desk.register(at(1), from, &of_lost).unwrap();
    gone.beat(&desk, at(2), "9.1.1.1", true, &[]).unwrap();
    desk.leases().expire(60, usize::MAX);
    assert_eq!(desk.leases().len(), 0);
    for secs in [61, 250, 301] {
        desk.leases().expire(secs, usize::MAX);
        for record in [&of_gone, &of_lost] {
            let refusal = desk.register(at(secs.into()), from, record).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::Stale, "{secs}");
        }
    }
    // Both may come back with something new.
    gone.register(&desk, at(302), "9.1.1.1").unwrap();
    lost.register(&desk, at(302), "9.1.1.2").unwrap();
    assert_eq!(desk.leases().len(), 2);
}

#[test]
fn heartbeats_renew_move_and_end_leases() {
    let desk = desk();
    let peer = Peer::new(1);
    let tag = NetworkName::default().tag();
    let unknown = peer.beat(&desk, at(1), "9.1.1.1", false, &[]).unwrap();
    assert!(!unknown.reply.renewed);
    assert!(desk.leases().is_empty(), "only a registration makes a lease");
    peer.register(&desk, at(2), "9.1.1.1").unwrap();
    let before = desk.leases().get(&peer.id(), &tag).unwrap().ends;
    let renewed = peer.beat(&desk, at(100), "9.1.1.2", false, &[]).unwrap();
    assert!(renewed.reply.renewed);
    assert!(renewed.reply.is_signed(&peer.crypto));
    assert_eq!(renewed.reply.head.nonce, RequestNonce([8; 16]));
    let lease = desk.leases().get(&peer.id(), &tag).unwrap();
    assert_eq!(lease.address, "9.1.1.2:4000".parse().unwrap());
    assert!(lease.ends > before);
    assert_eq!(peer.beat(&desk, at(100), "9.1.1.2", false, &[]).unwrap_err(), RefusalCode::Stale);
    let left = peer.beat(&desk, at(101), "9.1.1.2", true, &[]).unwrap();
    assert!(!left.reply.renewed);
    assert!(desk.leases().is_empty());
}

#[test]
fn an_unrenewed_lease_ends_when_the_reply_said() {
    let desk = desk();
    let list = Peer::new(1).register(&desk, at(1), "9.1.1.1").unwrap();
    let ends = 1 + list.head.steering.lease_secs;
    desk.leases().expire(ends - 1, usize::MAX);
    assert_eq!(desk.leases().len(), 1);
    desk.leases().expire(ends, usize::MAX);
    assert_eq!(desk.leases().len(), 0);
}

#[test]
fn the_limit_of_a_subnet_bites_and_spares_others() {
    let desk = desk_with(|config| config.leases.per_v4_24_max = 64);
    for number in 0..64 {
        Peer::new(number).register(&desk, at(1), &format!("9.1.1.{number}")).unwrap();
    }
    assert_eq!(
        Peer::new(70).register(&desk, at(1), "9.1.1.200").unwrap_err(),
        RefusalCode::TooMany
    );
    assert!(Peer::new(71).register(&desk, at(1), "9.1.2.1").is_ok());
    // Who is in can stay.
    assert!(Peer::new(3).register(&desk, at(2), "9.1.1.3").is_ok());
}

#[test]
fn a_full_server_says_so_and_when_to_come_again() {
    let desk = desk_with(|config| config.leases.leases_max = 1);
    Peer::new(1).register(&desk, at(1), "9.1.1.1").unwrap();
    let peer = Peer::new(2);
    let record = peer.registration(&desk, at(1)).sign(&peer.crypto, &peer.key);
    let refusal = desk.register(at(1), "9.2.2.2".parse().unwrap(), &record).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Busy);
    assert!((5..=10).contains(&refusal.retry_after_secs));
}

#[test]
fn rates_of_keys_addresses_and_subnets_bite() {
    let desk = desk_with(|config| {
        config.limits.key_per_minute = 1;
        config.limits.key_burst = 2;
        config.limits.address_per_minute = 1;
        config.limits.address_burst = 3;
        config.limits.subnet_per_minute = 1;
        config.limits.subnet_burst = 5;
    });
    let peer = Peer::new(1);
    peer.register(&desk, at(1), "9.1.1.1").unwrap();
    peer.register(&desk, at(2), "9.1.1.1").unwrap();
    assert_eq!(peer.register(&desk, at(3), "9.1.1.1").unwrap_err(), RefusalCode::TooMany);
    assert!(Peer::new(2).register(&desk, at(3), "9.1.1.1").is_ok());
    // Somebody else can't use up a key's rate.
    let victim = Peer::new(3);
    for secs in 4..20 {
        let mut forged = victim.registration(&desk, at(secs)).sign(&victim.crypto, &victim.key);
        forged.port += 1;
        let refusal = desk.register(at(secs), "6.6.6.6".parse().unwrap(), &forged).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::BadSignature);
    }
    assert!(victim.register(&desk, at(20), "9.1.1.1").is_ok());
    let enter = |ip: &str| desk.enter(at(30), ip.parse().unwrap());
    assert!((0..3).all(|_| enter("9.1.1.1").is_ok()));
    let refusal = enter("9.1.1.1").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooMany);
    assert_eq!(refusal.retry_after_secs, 60);
    assert!(enter("9.1.1.2").is_ok() && enter("9.1.1.3").is_ok());
    assert_eq!(enter("9.1.1.4").unwrap_err().code, RefusalCode::TooMany);
    assert!(enter("9.1.2.1").is_ok());
    // All of a /64 is one host.
    assert!(enter("2a00::1").is_ok() && enter("2a00::2").is_ok() && enter("2a00::3").is_ok());
    assert!(enter("2a00::4").is_err());
}

#[test]
fn a_ban_ends_leases_at_once_and_keeps_them_out() {
    let desk = desk();
    let (one, two, three) = (Peer::new(1), Peer::new(2), Peer::new(3));
    one.register(&desk, at(1), "9.1.1.1").unwrap();
    two.register(&desk, at(1), "9.2.2.2").unwrap();
    three.register_as(&desk, at(1), "9.3.3.3", |r| r.label = "spam".into()).unwrap();
    assert_eq!(hit(&desk, &[&one.id().to_string(), "9.2.0.0/16", "label:spam"]), 3);
    assert!(desk.leases().is_empty());
    assert_eq!(one.register(&desk, at(60), "9.8.8.8").unwrap_err(), RefusalCode::Blocked);
    assert_eq!(two.register(&desk, at(60), "9.2.9.9").unwrap_err(), RefusalCode::Blocked);
    assert!(desk.enter(at(60), "9.2.9.9".parse().unwrap()).is_err());
    let again = three.register_as(&desk, at(60), "9.4.4.4", |r| r.label = "spam".into());
    assert_eq!(again.unwrap_err(), RefusalCode::Blocked);
    assert_eq!(hit(&desk, &[]), 0);
    assert!(one.register(&desk, at(61), "9.8.8.8").is_ok());
}

#[test]
fn a_desk_that_drains_serves_nobody() {
    let desk = desk();
    desk.drain();
    assert_eq!(desk.enter(at(1), "9.1.1.1".parse().unwrap()).unwrap_err().code, RefusalCode::Busy);
}

#[test]
fn the_identity_is_signed_once_a_second() {
    let desk = desk();
    let crypto = FastCrypto::new().unwrap();
    let first = desk.identity(at(5));
    assert!(first.is_signed(&crypto) && first.issued_ms == at(5).wall_ms);
    assert!(Arc::ptr_eq(&first, &desk.identity(Now { wall_ms: first.issued_ms + 999, ..at(5) })));
    assert_eq!(desk.identity(at(6)).issued_ms, at(6).wall_ms);
    // A clock that was set back doesn't freeze it.
    assert_eq!(desk.identity(at(0)).issued_ms, at(0).wall_ms);
}

fn task(number: u8, audience: Audience, network: &str) -> QueuedTask {
    let crypto = FastCrypto::new().unwrap();
    let terms = Terms {
        network: NetworkName::new(network).unwrap().tag(),
        id: TaskId([number; 16]),
        audience,
        sequence: number.into(),
        not_before: UnixTime(START_MS / 1000),
        not_after: UnixTime(START_MS / 1000 + 1000),
        in_reply_to: None,
    };
    let body = TaskBody::SendMessage("hello".into());
    let task = NetworkTask::issue(&crypto, &crypto.signing_key(&[1; 32]), &terms, &body).unwrap();
    let peer = match audience {
        Audience::One(peer) => Some(peer),
        Audience::All => None,
    };
    let until_ms = START_MS + 1_000_000;
    QueuedTask { number: number.into(), id: terms.id, peer, task: task.encode(), until_ms }
}

fn ids(beat: &Beat) -> Vec<u8> {
    let id = |task: &bytes::Bytes| NetworkTask::decode(task).unwrap().id.0[0];
    beat.reply.tasks.iter().map(id).collect()
}

#[test]
fn tasks_go_only_to_the_key_that_they_were_queued_for_until_it_got_them() {
    let desk = desk();
    let (one, two) = (Peer::new(1), Peer::new(2));
    one.register(&desk, at(1), "9.1.1.1").unwrap();
    two.register(&desk, at(1), "9.2.2.2").unwrap();
    let queued = vec![
        task(1, Audience::One(one.id()), "default"),
        task(2, Audience::All, "default"),
        task(3, Audience::One(one.id()), "other"),
        task(4, Audience::All, "default"),
    ];
    desk.set_tasks(TaskBook::new(queued.clone()));
    assert_eq!(desk.tasks(), 4);
    let got = |peer: &Peer, secs, from, received: &[u8]| {
        let received: Vec<TaskId> = received.iter().map(|id| TaskId([*id; 16])).collect();
        peer.beat(&desk, at(secs), from, false, &received).unwrap()
    };
    assert_eq!(ids(&got(&two, 2, "9.2.2.2", &[])), [2, 4]);
    assert_eq!(ids(&got(&one, 2, "9.1.1.1", &[])), [1, 2, 4]);
    // They come again until they were received, those for everybody without a gap.
    assert_eq!(ids(&got(&one, 3, "9.1.1.1", &[4])), [1, 2, 4]);
    let beat = got(&one, 4, "9.1.1.1", &[1, 2]);
    assert_eq!((ids(&beat), beat.received), (vec![4], vec![TaskId([1; 16])]));
    assert!(ids(&got(&one, 5, "9.1.1.1", &[4])).is_empty());
    // What another received is still there for whom it is.
    assert_eq!(ids(&got(&two, 5, "9.2.2.2", &[1])), [2, 4]);
    // What a peer has got, it isn't sent again when tasks are read anew; nor is anything when it is stale.
    desk.set_tasks(TaskBook::new(queued));
    assert_eq!(ids(&got(&one, 6, "9.1.1.1", &[])), [1]);
    let late = two.beat(&desk, at(1001), "9.2.2.2", false, &[]);
    assert!(ids(&late.unwrap()).is_empty());
}
