//! Trust in whole nodes: every policy flag has a test here that fails when the flag is ignored.

mod expiry;
mod handshake;

use crate::world::{self, World, quiet};
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::handlers::Handlers;
use p2pnet_protocol::trust::certificate::Certificate;
use p2pnet_protocol::trust::identifier::Origin;
use p2pnet_protocol::trust::policy::{IncomingPeerTrustPolicy, LocalIdentifierSetPolicy};
use p2pnet_protocol::trust::secret::NetworkSecret;
use p2pnet_protocol::*;

const NOON: UnixTime = UnixTime(1_750_000_000);

fn config(change: impl FnOnce(&mut IncomingPeerTrustPolicy)) -> Config {
    let mut config = quiet();
    change(&mut config.policies.incoming);
    config
}

fn with_secret(mut config: Config, secret: &str) -> Config {
    config.membership.secret = Some(NetworkSecret::new(secret).unwrap());
    config
}

/// Two nodes that have just met. Node 0 dialled.
fn joined(a: Config, b: Config) -> World {
    let mut world = World::new(vec![a, b]);
    world.join(0, 1);
    world.pass(Duration::from_secs(1));
    world
}

/// How far each of the two trusts the other; none if it has no channel.
fn trust(world: &World) -> [Option<Trust>; 2] {
    [0, 1].map(|index| world.connected(index).first().map(|(_, trust)| *trust))
}

fn send(world: &mut World, from: usize, packet: &Packet) -> Result<(), SendError> {
    let to = world.id(1 - from);
    let sent = world.nodes[from].send(world.now, &to, packet);
    world.settle();
    sent
}

fn received(world: &World, index: usize, kind: PacketKind) -> usize {
    world.saw(index, |event| matches!(event, Event::Received(received) if received.kind == kind))
}

fn turned_away(world: &World, index: usize, kind: PacketKind) -> usize {
    world.saw(index, |event| matches!(event, Event::PacketsRefused { kind: k, .. } if *k == kind))
}

const BOTH_AUTHENTICATED: [Option<Trust>; 2] = [Some(Trust::Authenticated); 2];
const BOTH_TRUSTED: [Option<Trust>; 2] = [Some(Trust::Trusted); 2];

#[test]
fn by_default_strangers_exchange_messages_and_nothing_else() {
    let mut world = joined(quiet(), quiet());
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
    assert_eq!(send(&mut world, 0, &Packet::message("hello")), Ok(()));
    assert_eq!(world.messages(1), ["hello"]);
    let refused = Err(SendError::NotAllowed);
    assert_eq!(send(&mut world, 0, &Packet::misc_data("data")), refused);
    assert_eq!(send(&mut world, 0, &Packet::PeerGroup(PeerGroupPacket::default())), refused);
    assert_eq!(send(&mut world, 0, &Packet::Identity(IdentityPacket::default())), refused);
}

#[test]
fn allow_default_communication_binds_sender_and_receiver() {
    let silent = || config(|policy| policy.allow_default_communication = false);
    let mut world = joined(silent(), quiet());
    assert_eq!(send(&mut world, 0, &Packet::message("hello")), Err(SendError::NotAllowed));
    assert_eq!(send(&mut world, 1, &Packet::message("hello")), Ok(()));
    assert_eq!((world.messages(0).len(), turned_away(&world, 0, PacketKind::PureMessage)), (0, 1));
}

#[test]
fn allow_enhanced_packet_exchange_binds_sender_and_receiver() {
    let open = || config(|policy| policy.allow_enhanced_packet_exchange = true);
    let data = Packet::misc_data("data");
    let mut world = joined(open(), open());
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
    assert_eq!(send(&mut world, 0, &data), Ok(()));
    assert_eq!(received(&world, 1, PacketKind::DataTransmission), 1);
    let mut world = joined(open(), quiet());
    assert_eq!(send(&mut world, 0, &data), Ok(()));
    assert_eq!(received(&world, 1, PacketKind::DataTransmission), 0);
    assert_eq!(turned_away(&world, 1, PacketKind::DataTransmission), 1);
    assert_eq!(send(&mut world, 1, &data), Err(SendError::NotAllowed));
}

#[test]
fn run_default_trust_protocol_decides_whether_proofs_are_shown_and_checked() {
    let (member, secret) = (quiet, "a secret of the network");
    let mut world = joined(with_secret(member(), secret), with_secret(member(), secret));
    assert_eq!(trust(&world), BOTH_TRUSTED);
    assert_eq!(send(&mut world, 0, &Packet::misc_data("data")), Ok(()));
    assert_eq!(received(&world, 1, PacketKind::DataTransmission), 1);
    // One side neither shows nor checks, so neither side is raised.
    let mute = config(|policy| policy.run_default_trust_protocol = false);
    let world = joined(with_secret(mute, secret), with_secret(member(), secret));
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
}

/// Why node `index` did not raise its peer.
fn refusals(world: &World, index: usize) -> Vec<Refusal> {
    let refusals = world.events[index].iter().filter_map(|event| match event {
        Event::TrustRefused { peer, refusal } if *peer == world.id(1 - index) => Some(*refusal),
        _ => None,
    });
    refusals.collect()
}

#[test]
fn why_a_proof_was_refused_is_told() {
    let (one, two) = ("the secret of one network", "another secret of two");
    let world = joined(with_secret(quiet(), one), with_secret(quiet(), two));
    for index in [0, 1] {
        assert_eq!(refusals(&world, index), [Refusal::OtherSecret]);
        let reason = |event: &Event| matches!(event, Event::TrustRefused { .. });
        let told = world.events[index].iter().position(reason);
        let connected = world.events[index]
            .iter()
            .position(|event| matches!(event, Event::PeerConnected { .. }));
        assert!(told < connected, "the reason comes before what follows from it");
    }
    // A node that asks for no proof, or is shown none, has nothing to tell.
    let world = joined(with_secret(quiet(), one), quiet());
    assert_eq!([refusals(&world, 0), refusals(&world, 1)], [[], []]);
    let world = joined(with_secret(quiet(), one), with_secret(quiet(), one));
    assert_eq!([refusals(&world, 0), refusals(&world, 1)], [[], []]);
    // A strict node tells it before it turns the stranger away.
    let strict = with_secret(config(|policy| policy.trusted_only = true), one);
    let world = joined(strict, with_secret(quiet(), two));
    assert_eq!(refusals(&world, 0), [Refusal::OtherSecret]);
}

#[test]
fn another_secret_raises_nobody() {
    let world = joined(
        with_secret(quiet(), "the secret of one network"),
        with_secret(quiet(), "another secret of two"),
    );
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
    let world = joined(with_secret(quiet(), "the secret of one network"), quiet());
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
}

#[test]
fn trust_authenticated_trusts_every_proven_identity_on_this_side() {
    let world = joined(config(|policy| policy.trust_authenticated = true), quiet());
    assert_eq!(trust(&world), [Some(Trust::Trusted), Some(Trust::Authenticated)]);
}

#[test]
fn trusted_only_turns_strangers_away_and_lets_members_in() {
    let strict = || config(|policy| policy.trusted_only = true);
    let secret = "a secret of the network";
    for strict_dials in [true, false] {
        let pair = |stranger: Config| {
            let house = with_secret(strict(), secret);
            if strict_dials { joined(house, stranger) } else { joined(stranger, house) }
        };
        let strict_one = usize::from(!strict_dials);
        let world = pair(quiet());
        assert_eq!(trust(&world), [None, None]);
        let told = world.saw(1 - strict_one, |event| {
            let told = CloseReason::Remote(DisconnectReason::NotAuthorized);
            matches!(event, Event::PeerClosed { reason, .. } if *reason == told)
        });
        assert_eq!(told, 1);
        assert_eq!(world.saw(strict_one, |event| matches!(event, Event::PeerConnected { .. })), 0);
        assert_eq!(trust(&pair(with_secret(quiet(), "some other secret"))), [None, None]);
        assert_eq!(trust(&pair(with_secret(quiet(), secret))), BOTH_TRUSTED);
    }
}

#[test]
fn a_listed_peer_is_trusted_and_may_be_taken_off_the_list() {
    let mut strict = config(|policy| policy.trusted_only = true);
    let stranger = World::new(vec![quiet(), quiet()]).id(1);
    strict.membership.trusted = vec![stranger];
    let mut world = joined(strict, quiet());
    assert_eq!(trust(&world), [Some(Trust::Trusted), Some(Trust::Authenticated)]);
    world.nodes[0].untrust(world.now, stranger).unwrap();
    world.settle();
    assert_eq!(trust(&world), [None, None]);

    let mut world = joined(quiet(), quiet());
    world.nodes[0].trust(world.now, stranger).unwrap();
    assert_eq!(trust(&world), [Some(Trust::Trusted), Some(Trust::Authenticated)]);
    world.nodes[0].untrust(world.now, stranger).unwrap();
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
}

/// Certificates for both nodes; the clock of node 1 is set, that of node 0 isn't.
#[test]
fn a_certificate_raises_where_the_time_is_known() {
    let crypto = PureCrypto::new().unwrap();
    let key = crypto.signing_key(&[200; 32]);
    let ids = World::new(vec![quiet(), quiet()]);
    let member = |index: usize| {
        let mut config = quiet();
        let (from, to) = (UnixTime(NOON.0 - 10), UnixTime(NOON.0 + 10));
        let certificate =
            Certificate::issue(&crypto, &key, &config.network, ids.id(index), from, to).unwrap();
        config.membership.authority = Some(crypto.public_key(&key));
        config.membership.certificate = Some(certificate);
        config
    };
    let mut world = World::new(vec![member(0), member(1)]);
    let now = world.now;
    world.nodes[1].handle_wall_time(now, Some(NOON));
    world.join(0, 1);
    assert_eq!(trust(&world), [Some(Trust::Authenticated), Some(Trust::Trusted)]);
}

/// The earlier system trusted whoever sent "Ping from" three times.
#[test]
fn no_text_raises_trust() {
    let mut world = joined(quiet(), quiet());
    for _ in 0..6 {
        send(&mut world, 0, &Packet::message("Ping from 192.0.2.1")).unwrap();
    }
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
    assert_eq!(world.saw(1, |event| matches!(event, Event::TrustChanged { .. })), 0);
}

/// A packet speaks for the channel it came on: ending a channel ends no other.
#[test]
fn a_disconnect_ends_its_own_channel_alone() {
    let mut world = World::new(vec![quiet(), quiet(), quiet()]);
    world.join(0, 1);
    world.join(0, 2);
    world.pass(Duration::from_secs(1));
    let hub = world.id(0);
    world.nodes[1].disconnect(world.now, &hub, DisconnectReason::Requested).unwrap();
    world.settle();
    let left: Vec<_> = world.connected(0).into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(left, [world.id(2)]);
}

#[test]
fn a_block_ends_the_channel_at_once_and_keeps_the_peer_out_both_ways() {
    let mut world = joined(quiet(), quiet());
    let (a, b) = (world.id(0), world.id(1));
    world.nodes[0].block(world.now, BlockTarget::Peer(b)).unwrap();
    world.settle();
    assert_eq!(trust(&world), [None, None]);
    world.pass(Duration::from_secs(300));
    assert_eq!(trust(&world), [None, None], "dialled again");
    let _refused = world.nodes[1].connect(world.now, world::address(0), Some(a));
    world.settle();
    assert_eq!(trust(&world), [None, None]);
    let out = world.nodes[0].connect(world.now, world::address(1), Some(b));
    assert_eq!(out, Err(CommandError::Blocked));
    world.nodes[0].unblock(world.now, BlockTarget::Peer(b)).unwrap();
    world.join(0, 1);
    assert_eq!(trust(&world), BOTH_AUTHENTICATED);
}

#[test]
fn the_allow_list_bites_at_once_both_ways_and_by_address_too() {
    let mut world = World::new(vec![quiet(), quiet(), quiet()]);
    world.join(1, 0);
    world.join(0, 2);
    world.pass(Duration::from_secs(1));
    let (hub, b, c) = (world.id(0), world.id(1), world.id(2));
    let open = |world: &World| -> Vec<PeerId> {
        world.connected(0).into_iter().map(|(peer, _)| peer).collect()
    };
    let sorted = |mut ids: Vec<PeerId>| {
        ids.sort();
        ids
    };
    assert_eq!(open(&world), sorted(vec![b, c]));
    world.nodes[0].allow(world.now, BlockTarget::Peer(b)).unwrap();
    world.settle();
    assert_eq!(open(&world), [b], "whoever is not on the list goes at once");
    let told = CloseReason::Remote(DisconnectReason::NotAuthorized);
    assert_eq!(
        world.saw(2, |event| matches!(event, Event::PeerClosed { reason, .. } if *reason == told)),
        1
    );
    world.pass(Duration::from_secs(300));
    let _refused = world.nodes[2].connect(world.now, world::address(0), Some(hub));
    world.settle();
    let out = world.nodes[0].connect(world.now, world::address(2), Some(c));
    assert_eq!(out, Err(CommandError::NotListed));
    // Whose name isn't told is turned away when it is proved.
    world.nodes[0].connect(world.now, world::address(2), None).unwrap();
    world.settle();
    assert_eq!(open(&world), [b]);
    // By address; and back.
    let address = IpPrefix::single(world::address(2).ip());
    world.nodes[0].allow(world.now, BlockTarget::Prefix(address)).unwrap();
    world.nodes[0].connect(world.now, world::address(2), Some(c)).unwrap();
    world.settle();
    assert_eq!(open(&world), sorted(vec![b, c]));
    world.nodes[0].disallow(world.now, BlockTarget::Peer(b));
    world.settle();
    assert_eq!(open(&world), [c]);
    world.nodes[0].disallow(world.now, BlockTarget::Prefix(address));
    world.settle();
    // Who was asked for is dialled again once the hold is over.
    world.pass(Duration::from_secs(61));
    assert_eq!(open(&world), sorted(vec![b, c]), "an empty list is off");
}

// The textual identifier.

fn labelled(policy: LocalIdentifierSetPolicy, label: &str) -> Config {
    let mut config = with_secret(quiet(), "a secret of the network");
    config.policies.identifier.local_identifier_set_policy = policy;
    config.label = label.into();
    config
}

/// The label of node 0, as node 1 knows it.
fn label_heard(world: &World) -> String {
    world.nodes[1].peer(&world.id(0)).map(|view| view.label).unwrap_or_default()
}

#[test]
fn the_identifier_policy_decides_who_sets_the_label_of_a_running_node() {
    use LocalIdentifierSetPolicy as P;
    for (policy, local, remote) in [
        (P::StrictLocalOnly, true, false),
        (P::Local, true, false),
        (P::LocalAndRemote, true, true),
        (P::RemoteOnly, false, true),
        (P::StrictRemoteOnly, false, true),
    ] {
        for (origin, allowed) in [(Origin::Local, local), (Origin::Remote, remote)] {
            let mut world = joined(labelled(policy, ""), labelled(P::Local, ""));
            let now = world.now;
            let set = world.nodes[0].set_label(now, origin, "ada");
            world.settle();
            assert_eq!(set.is_ok(), allowed, "{policy} {origin:?}");
            assert_eq!(label_heard(&world), if allowed { "ada" } else { "" });
            if allowed {
                let again = world.nodes[0].set_label(now, origin, "eve");
                assert_eq!(again.is_err(), policy.is_strict(), "{policy} {origin:?}");
            }
        }
    }
}

#[test]
fn a_configured_label_obeys_the_policy_and_is_told_to_trusted_peers_alone() {
    use LocalIdentifierSetPolicy as P;
    let world = joined(labelled(P::Local, "ada"), labelled(P::Local, ""));
    assert_eq!(label_heard(&world), "ada");
    let world = joined(labelled(P::Local, "ada"), quiet());
    assert_eq!(label_heard(&world), "");
    let error = labelled(P::RemoteOnly, "ada").validate().unwrap_err();
    assert_eq!(error.key, "label");
}

#[test]
fn an_anonymous_node_has_no_label() {
    let anonymous = Config { anonymous: true, ..quiet() };
    assert!(anonymous.is_anonymous() && !quiet().is_anonymous());
    let mut world = joined(anonymous, quiet());
    let set = world.nodes[0].set_label(world.now, Origin::Local, "ada");
    assert!(set.is_err());
    // The policy that lets the label be set once, and no label: the same.
    let strict = LocalIdentifierSetPolicy::StrictLocalOnly;
    assert!(labelled(strict, "").is_anonymous() && !labelled(strict, "ada").is_anonymous());
}

/// The Identity packets that node `index` has let in, by label; a question is empty.
fn identities(world: &World, index: usize) -> Vec<String> {
    let received = world.events[index].iter().filter_map(|event| match event {
        Event::Received(received) => Some(received.clone()),
        _ => None,
    });
    let label = |packet| match packet {
        Packet::Identity(identity) => Some(identity.label),
        _ => None,
    };
    received.flatten().filter_map(label).collect()
}

fn named(label: &str) -> Config {
    Config { label: label.into(), ..quiet() }
}

#[test]
fn whoever_trusts_late_hears_the_label_all_the_same_and_each_hears_it_once() {
    // Both trust at once.
    let secret = "a secret of the network";
    let world = joined(with_secret(named("ada"), secret), with_secret(named("bob"), secret));
    assert_eq!([identities(&world, 0), identities(&world, 1)], [["bob"], ["ada"]]);
    // Both let everything pass, and one trusts later: no news.
    let open = |label: &str| {
        let mut config = named(label);
        config.policies.incoming.allow_enhanced_packet_exchange = true;
        config
    };
    let mut world = joined(open("ada"), open("bob"));
    let (a, b) = (world.id(0), world.id(1));
    world.nodes[0].trust(world.now, b).unwrap();
    world.settle();
    assert_eq!([identities(&world, 0), identities(&world, 1)], [["bob"], ["ada"]]);
    // One trusts at once, the other a minute later and has a label or none.
    for theirs in ["bob", ""] {
        let mut world = joined(config(|policy| policy.trust_authenticated = true), named(theirs));
        let now = world.now;
        world.nodes[0].set_label(now, Origin::Local, "ada").unwrap();
        world.pass(Duration::from_secs(60));
        assert_eq!(label_heard(&world), "", "the gate is closed");
        for _ in 0..3 {
            world.nodes[1].trust(world.now, a).unwrap();
            world.settle();
            assert_eq!(label_heard(&world), "ada");
            world.nodes[1].untrust(world.now, a).unwrap();
            world.settle();
        }
        assert_eq!(identities(&world, 1), ["ada"]);
        let heard: Vec<_> = if theirs.is_empty() { vec![""] } else { vec!["", theirs] };
        assert_eq!(identities(&world, 0), heard, "a question, and the other's own label");
    }
}

#[test]
fn a_new_label_is_asked_for_again_and_nobody_answers_twice() {
    let mut world = joined(config(|policy| policy.trust_authenticated = true), quiet());
    let a = world.id(0);
    for label in ["ada", "eve"] {
        let now = world.now;
        world.nodes[0].set_label(now, Origin::Local, label).unwrap();
        world.settle();
        world.nodes[1].trust(now, a).unwrap();
        world.settle();
        assert_eq!(label_heard(&world), label);
        // Whoever asks on and on hears nothing more.
        for _ in 0..5 {
            send(&mut world, 1, &Packet::Identity(IdentityPacket::default())).unwrap();
        }
        world.nodes[1].untrust(world.now, a).unwrap();
        world.settle();
    }
    assert_eq!(identities(&world, 1), ["ada", "eve"]);
}

// Packet handlers.

#[test]
fn an_empty_handler_silences_what_the_node_does_by_default() {
    for silenced in [false, true] {
        let member = || with_secret(quiet(), "a secret of the network");
        let mut world = World::new(vec![member(), member()]);
        let mut handlers = Handlers::default();
        if silenced {
            handlers.on_peer_group(|_, _, _| {});
            handlers.on_identity(|_, _, _| {});
        }
        handlers.install(world.now, &mut world.nodes[1]);
        world.join(0, 1);
        world.pass(Duration::from_secs(1));
        let now = world.now;
        world.nodes[0].set_label(now, Origin::Local, "ada").unwrap();
        let endpoints = vec![wire::Endpoint::Tcp(world::address(7))];
        let record = wire::PeerRecord { peer: PeerId([77; 32]), endpoints };
        let group = Packet::PeerGroup(PeerGroupPacket { peers: vec![record] });
        send(&mut world, 0, &group).unwrap();
        let discovered = world.saw(1, |event| matches!(event, Event::PeerDiscovered { peer, .. } if *peer == PeerId([77; 32])));
        assert_eq!(discovered, usize::from(!silenced));
        assert_eq!(label_heard(&world), if silenced { "" } else { "ada" });
        // The packets themselves came all the same.
        assert_eq!(received(&world, 1, PacketKind::PeerGroup), 1);
        assert_eq!(received(&world, 1, PacketKind::Identity), 1);
    }
}

fn crypto() -> PureCrypto {
    PureCrypto::new().unwrap()
}
