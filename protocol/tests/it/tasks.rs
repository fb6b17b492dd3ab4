//! Tasks between nodes: what is done, what is refused and why, what comes back, and what a restart remembers.

use crate::world::{Node, World, quiet};
use bytes::Bytes;
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::task::body::PeerTarget;
use p2pnet_protocol::task::envelope::Terms;
use p2pnet_protocol::task::{
    Audience, NetworkTask, Requirement, Requirements, Setting, TaskBody, TaskFailure, TaskKind,
    TaskOutcome, TaskRefusal,
};
use p2pnet_protocol::trust::policy::LocalIdentifierSetPolicy;
use p2pnet_protocol::*;

const NOON: UnixTime = UnixTime(1_750_000_000);
const AUTHORITY: [u8; 32] = [99; 32];

fn crypto() -> PureCrypto {
    PureCrypto::new().unwrap()
}

fn public(seed: [u8; 32]) -> PublicKey {
    let crypto = crypto();
    crypto.public_key(&crypto.signing_key(&seed))
}

/// A node that trusts whoever proves an identity, under an authority.
fn member() -> Config {
    let mut config = quiet();
    config.policies.incoming.trust_authenticated = true;
    config.membership.authority = Some(public(AUTHORITY));
    config
}

fn world(configs: Vec<Config>) -> World {
    let mut world = World::new(configs);
    for node in &mut world.nodes {
        node.handle_wall_time(world.now, Some(NOON));
    }
    world
}

fn pair() -> World {
    let mut world = world(vec![member(), member()]);
    world.join(0, 1);
    world
}

/// The terms of a task from node 0 to node 1.
fn terms(world: &World, sequence: u64) -> Terms {
    Terms {
        network: NetworkName::default().tag(),
        id: TaskId([sequence as u8; 16]),
        audience: Audience::One(world.id(1)),
        sequence,
        not_before: NOON,
        not_after: NOON.plus_secs(60),
        in_reply_to: None,
    }
}

fn signed(seed: [u8; 32], terms: &Terms, body: &TaskBody) -> Bytes {
    let crypto = crypto();
    NetworkTask::issue(&crypto, &crypto.signing_key(&seed), terms, body).unwrap().encode().into()
}

/// Node 0 sends these bytes as a task, whatever they are.
fn send(world: &mut World, bytes: &Bytes) {
    let packet = Packet::DataTransmission(DataTransmissionPacket {
        format: DataPayloadFormat::Task,
        payload: bytes.clone(),
    });
    let to = world.id(1);
    world.nodes[0].send(world.now, &to, &packet).unwrap();
    world.settle();
}

fn refusals(world: &World, index: usize) -> Vec<TaskRefusal> {
    let refused = world.events[index].iter().filter_map(|event| match event {
        Event::TaskRefused { why, .. } => Some(*why),
        _ => None,
    });
    refused.collect()
}

fn executed(world: &World, index: usize) -> Vec<(TaskKind, Result<TaskOutcome, TaskFailure>)> {
    let done = world.events[index].iter().filter_map(|event| match event {
        Event::TaskExecuted { kind, result, .. } => Some((*kind, result.clone())),
        _ => None,
    });
    done.collect()
}

/// Node 0 asks node 1, and says what came back.
fn ask(world: &mut World, body: &TaskBody) -> Result<TaskOutcome, TaskFailure> {
    let to = world.id(1);
    let asked = world.nodes[0].issue_task(world.now, Audience::One(to), body, None).unwrap();
    answer(world, asked)
}

/// Node 0 hands on what the authority has signed, and says what came back.
fn order(world: &mut World, sequence: u64, body: &TaskBody) -> Result<TaskOutcome, TaskFailure> {
    let task = signed(AUTHORITY, &terms(world, sequence), body);
    let asked = world.nodes[0].deliver_task(world.now, &task).unwrap();
    answer(world, asked)
}

fn answer(world: &mut World, asked: TaskId) -> Result<TaskOutcome, TaskFailure> {
    world.settle();
    let mut answers = world.events[0].iter().filter_map(|event| match event {
        Event::TaskAnswered { task, result, .. } if *task == asked => Some(result.clone()),
        _ => None,
    });
    answers.next().expect("an answer came")
}

const DONE: Result<TaskOutcome, TaskFailure> = Ok(TaskOutcome::Done);

#[test]
fn messages_pings_and_keys_come_back_to_who_asked() {
    let mut world = pair();
    assert_eq!(ask(&mut world, &TaskBody::SendMessage("hello".into())), DONE);
    let message = TaskBody::SendMessage("hello".into());
    let got = |event: &Event| matches!(event, Event::TaskReceived { body, waits: false, .. } if **body == message);
    assert_eq!(world.saw(1, got), 1);
    assert_eq!(ask(&mut world, &TaskBody::PingPeer), DONE);
    let key = world.nodes[1].public_key();
    assert_eq!(ask(&mut world, &TaskBody::RequestPublicKey), Ok(TaskOutcome::PublicKey(key)));
    assert_eq!(executed(&world, 1).len(), 3);
    assert!(world.nodes.iter().all(|node| node.tasks().is_empty()));
}

#[test]
fn signatures_and_records_of_issued_tasks_are_verified() {
    let mut world = pair();
    let crypto = crypto();
    let (key, message) = (public([5; 32]), Bytes::from_static(b"words"));
    let signature = crypto.sign(&crypto.signing_key(&[5; 32]), &message);
    let verify = |message: &'static [u8]| TaskBody::RequestVerifySignature {
        key,
        message: Bytes::from_static(message),
        signature,
    };
    assert_eq!(ask(&mut world, &verify(b"words")), Ok(TaskOutcome::Verdict(true)));
    assert_eq!(ask(&mut world, &verify(b"other")), Ok(TaskOutcome::Verdict(false)));

    // Node 1 issues a task; node 0 asks whether it did, by the digest of what came.
    let to = world.id(0);
    world.nodes[1].issue_task(world.now, Audience::One(to), &TaskBody::PingPeer, None).unwrap();
    world.settle();
    let unknown = TaskBody::RequestVerifyHashRecord([0; 32]);
    assert_eq!(ask(&mut world, &unknown), Ok(TaskOutcome::Verdict(false)));
}

/// Old fault 10: a task counts by its signature, its audience, its time and its number, and by nothing that it claims.
#[test]
fn whatever_is_wrong_with_a_task_it_is_refused_and_nothing_is_done() {
    let mut world = pair();
    let me = [1; 32];
    let body = TaskBody::SendMessage("no".into());
    let good = terms(&world, 1);
    let third = Audience::One(PeerId([9; 32]));
    let mut forged = signed(me, &good, &body).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let unknown = {
        // Signed by hand: no issuer of this version makes such a task.
        let mut task = NetworkTask::decode(&signed(me, &good, &body)).unwrap();
        task.kind = 0x0077;
        let mut message = b"p2pnet task v1\0".to_vec();
        let bytes = task.encode();
        message.extend_from_slice(&bytes[..bytes.len() - 64]);
        let crypto = crypto();
        task.signature = crypto.sign(&crypto.signing_key(&me), &message);
        Bytes::from(task.encode())
    };
    let (early, late) = (NOON.plus_secs(5), UnixTime(NOON.0 - 5));
    let cases: [(Bytes, TaskRefusal); 9] = [
        (signed(me, &Terms { network: [0; 8], ..good }, &body), TaskRefusal::OtherNetwork),
        (signed(me, &Terms { audience: third, ..good }, &body), TaskRefusal::OtherAudience),
        (forged.into(), TaskRefusal::BadSignature),
        (
            signed(me, &Terms { not_before: early, ..good }, &body),
            TaskRefusal::Early { from: early },
        ),
        (
            signed(
                me,
                &Terms { not_before: UnixTime(1_749_999_000), not_after: late, ..good },
                &body,
            ),
            TaskRefusal::Stale { since: late },
        ),
        // Somebody else's task, passed on; and one that only the authority may issue.
        (signed([8; 32], &good, &body), TaskRefusal::NotAllowed(Requirement::MustHaveSignedHash)),
        (
            signed(me, &good, &TaskBody::BlockIp("192.0.2.0/24".parse().unwrap())),
            TaskRefusal::NotAllowed(Requirement::AuthorityBootstrapServer),
        ),
        (unknown, TaskRefusal::UnknownKind(0x0077)),
        (signed(me, &good, &TaskBody::Answer(DONE)), TaskRefusal::NothingAsked),
    ];
    for (bytes, why) in cases {
        send(&mut world, &bytes);
        assert_eq!(refusals(&world, 1).last(), Some(&why));
    }
    assert!(executed(&world, 1).is_empty());
    assert!(world.nodes[1].blocked().is_empty());
    // None of these has used up the number.
    send(&mut world, &signed(me, &good, &body));
    assert_eq!(executed(&world, 1).len(), 1);
    send(&mut world, &Bytes::from_static(b"no task at all"));
    assert!(matches!(refusals(&world, 1).last(), Some(TaskRefusal::Malformed(_))));
}

#[test]
fn without_a_clock_nothing_is_done() {
    let mut world = pair();
    let task = signed([1; 32], &terms(&world, 1), &TaskBody::PingPeer);
    world.nodes[1].handle_wall_time(world.now, None);
    send(&mut world, &task);
    assert_eq!(refusals(&world, 1), [TaskRefusal::NoWallTime]);
    let to = world.id(0);
    let issued = world.nodes[1].issue_task(world.now, Audience::One(to), &TaskBody::PingPeer, None);
    assert_eq!(issued, Err(CommandError::NoWallTime));
}

/// Old fault 10: what was seen is refused, in one run and after a restart; a task is done only once that is safe.
#[test]
fn replays_are_refused_also_after_a_restart() {
    let durable = || {
        let mut config = member();
        config.tasks.durable = true;
        config
    };
    let mut first = world(vec![member(), durable()]);
    first.join(0, 1);
    let task = signed([1; 32], &terms(&first, 7), &TaskBody::SendMessage("once".into()));
    send(&mut first, &task);
    send(&mut first, &task);
    assert_eq!(executed(&first, 1).len(), 1);
    assert_eq!(refusals(&first, 1), [TaskRefusal::Replayed]);

    let saved = first.saved[&(1, Keeps::Tasks)].clone();
    let mut config = durable();
    config.tasks.saved = Some(saved);
    let mut again = world(vec![member(), config]);
    again.join(0, 1);
    send(&mut again, &task);
    assert_eq!(refusals(&again, 1), [TaskRefusal::Replayed]);
    assert!(executed(&again, 1).is_empty());
    // A number that is new still counts, also one below.
    let lower = signed([1; 32], &terms(&again, 6), &TaskBody::PingPeer);
    send(&mut again, &lower);
    assert_eq!(executed(&again, 1).len(), 1);

    // A node that can't save it doesn't do it either.
    again.full_disk = true;
    let third = signed([1; 32], &terms(&again, 8), &TaskBody::PingPeer);
    send(&mut again, &third);
    assert_eq!(executed(&again, 1).len(), 1);
    assert_eq!(refusals(&again, 1).last(), Some(&TaskRefusal::NotSaved));
    let mut config = durable();
    config.tasks.saved = Some(Bytes::from_static(b"junk"));
    let broken = Node::new(config, &[2; 32], Seed::from_u64(1), crypto(), Instant::ZERO);
    assert_eq!(broken.err().unwrap().key, "tasks.saved");
}

#[test]
fn orders_of_the_authority_are_carried_out() {
    let mut world = world(vec![member(), member(), member()]);
    world.join(0, 1);
    world.join(1, 2);
    let third = world.id(2);
    assert_eq!(order(&mut world, 1, &TaskBody::AuthorizePeer(third)), DONE);
    assert_eq!(world.nodes[1].trusted(), [third]);
    assert_eq!(order(&mut world, 2, &TaskBody::RevokePeerAuthorization(third)), DONE);
    assert!(world.nodes[1].trusted().is_empty());
    assert_eq!(order(&mut world, 3, &TaskBody::DisconnectPeer(third)), DONE);
    assert_eq!(world.connected(1).len(), 1);
    let block = TaskBody::BlockAndRemovePeer(PeerTarget::Peer(third));
    assert_eq!(order(&mut world, 4, &block), DONE);
    let prefix = "198.51.100.0/24".parse().unwrap();
    assert_eq!(order(&mut world, 5, &TaskBody::BlockIp(prefix)), DONE);
    let blocked = world.nodes[1].blocked();
    assert_eq!(blocked, [BlockTarget::Peer(third), BlockTarget::Prefix(prefix)]);

    let settings = vec![Setting::AcceptInbound(false), Setting::PacketsPerSecondMax(500)];
    assert_eq!(order(&mut world, 6, &TaskBody::UpdateSettings(settings)), DONE);
    assert_eq!(world.nodes[1].limits().packets_per_second_max, 500);
    // One bad setting, and none of them is set.
    let settings = vec![Setting::PacketsPerSecondMax(1000), Setting::KeepAliveMs(1)];
    assert!(matches!(
        order(&mut world, 7, &TaskBody::UpdateSettings(settings)),
        Err(TaskFailure::Failed(_))
    ));
    assert_eq!(world.nodes[1].limits().packets_per_second_max, 500);

    let endpoints = vec![wire::Endpoint::Tcp("192.0.2.77:9000".parse().unwrap())];
    let record = wire::PeerRecord { peer: PeerId([77; 32]), endpoints };
    assert_eq!(order(&mut world, 8, &TaskBody::BootstrapInitialization(vec![record])), DONE);
    assert!(world.nodes[1].peer(&PeerId([77; 32])).is_some());
    let oneself = world.id(1);
    let suicide = TaskBody::BlockAndRemovePeer(PeerTarget::Peer(oneself));
    assert!(order(&mut world, 9, &suicide).is_err());
}

#[test]
fn kinds_that_are_ignored_or_opened_are() {
    let mut config = member();
    config.tasks.trust.set(TaskKind::PingPeer, Requirements::of(&[Requirement::IgnoreAll]));
    config.tasks.trust.set(TaskKind::SendMessage, Requirements::of(&[Requirement::Open]));
    let mut world = world(vec![member(), config]);
    world.join(0, 1);
    assert_eq!(ask(&mut world, &TaskBody::PingPeer), Err(TaskFailure::Refused(6)));
    // Open: also what somebody else has signed, and this peer passes on.
    let passed_on = signed([8; 32], &terms(&world, 3), &TaskBody::SendMessage("hi".into()));
    send(&mut world, &passed_on);
    assert_eq!(executed(&world, 1), [(TaskKind::SendMessage, DONE)]);
}

/// Old fault 14: what waits for a peer goes to the key that it was kept for, and to nobody else.
#[test]
fn kept_tasks_go_only_to_the_key_they_were_kept_for() {
    let mut world = world(vec![member(), member(), member()]);
    world.join(0, 1);
    let (first, second, third) = (world.id(0), world.id(1), world.id(2));
    let valid = Duration::from_secs(600);
    let body = TaskBody::SendMessage("for the third".into());
    world.nodes[0].keep_task(world.now, third, &body, valid).unwrap();
    world.nodes[1].issue_task(world.now, Audience::One(first), &TaskBody::Heartbeat, None).unwrap();
    world.settle();
    let got = |event: &Event| matches!(event, Event::TaskReceived { body: b, .. } if **b == body);
    assert_eq!(world.saw(1, got), 0, "it is not for {second}");
    world.join(2, 0);
    let asked =
        world.nodes[2].issue_task(world.now, Audience::One(first), &TaskBody::Heartbeat, None);
    asked.unwrap();
    world.settle();
    assert_eq!(world.saw(2, got), 1);
    // And what became of it is told to who kept it.
    let answered = |event: &Event| matches!(event, Event::TaskAnswered { peer, result, .. } if *peer == third && *result == DONE);
    assert_eq!(world.saw(0, answered), 1);
}

#[test]
fn the_application_does_its_own_kinds_and_those_it_takes_over() {
    let mut world = pair();
    let (first, second) = (world.id(0), world.id(1));
    world.nodes[1].set_task_handler(world.now, TaskKind::PingPeer, true);
    let own = TaskBody::Application { number: 0x8007, payload: Bytes::from_static(b"do it") };
    for body in [own, TaskBody::PingPeer] {
        let asked =
            world.nodes[0].issue_task(world.now, Audience::One(second), &body, None).unwrap();
        world.settle();
        assert_eq!(world.nodes[1].tasks().len(), 1);
        let result = Ok(TaskOutcome::Opaque(Bytes::from_static(b"did it")));
        world.nodes[1].finish_task(world.now, &first, asked, result.clone()).unwrap();
        assert_eq!(answer(&mut world, asked), result);
        let twice = world.nodes[1].finish_task(world.now, &first, asked, result);
        assert_eq!(twice, Err(CommandError::NoSuchTask));
    }
    // An application that never answers is not waited for.
    let asked = world.nodes[0]
        .issue_task(world.now, Audience::One(second), &TaskBody::PingPeer, None)
        .unwrap();
    world.pass(Duration::from_secs(40));
    assert_eq!(answer(&mut world, asked), Err(TaskFailure::TimedOut));
    assert!(world.nodes.iter().all(|node| node.tasks().is_empty()));
}

#[test]
fn the_queue_is_bounded() {
    let mut config = member();
    config.limits.tasks_max = 2;
    let mut world = world(vec![member(), config]);
    world.join(0, 1);
    world.nodes[1].set_task_handler(world.now, TaskKind::PingPeer, true);
    for sequence in 1..=3 {
        let task = signed([1; 32], &terms(&world, sequence), &TaskBody::PingPeer);
        send(&mut world, &task);
    }
    assert_eq!(refusals(&world, 1), [TaskRefusal::QueueFull]);
    assert_eq!(world.nodes[1].tasks().len(), 2);
}

/// The five policies, each against the authority's word; how a node sets its own label has a table of its own.
#[test]
fn the_policy_decides_whether_the_authority_names_this_node() {
    use LocalIdentifierSetPolicy as P;
    for (policy, first, second) in [
        (P::StrictLocalOnly, false, false),
        (P::Local, false, false),
        (P::LocalAndRemote, true, true),
        (P::RemoteOnly, true, true),
        (P::StrictRemoteOnly, true, false),
    ] {
        let mut config = member();
        config.policies.identifier.local_identifier_set_policy = policy;
        if policy == P::StrictLocalOnly {
            config.label = "mine".into();
        }
        let before = config.label.clone();
        let mut world = world(vec![member(), config]);
        world.join(0, 1);
        let one = order(&mut world, 1, &TaskBody::SetLocalIdentifier("one".into()));
        assert_eq!(one.is_ok(), first, "{policy}: {one:?}");
        assert_eq!(world.nodes[1].label(), if first { "one" } else { &before });
        let peer = world.id(1);
        let two = TaskBody::AssignIdentifierToPeer { peer, label: "two".into() };
        assert_eq!(order(&mut world, 2, &two).is_ok(), second, "{policy}");
        assert_eq!(world.nodes[1].label() == "two", second, "{policy}");
        // Whoever isn't the authority names nobody, whatever the policy.
        let named = ask(&mut world, &TaskBody::SetLocalIdentifier("me".into()));
        assert_eq!(named, Err(TaskFailure::Refused(7)));
    }
}

/// Feature N8: by a label that the authority signed, never by one that a peer claims.
#[test]
fn a_label_that_the_authority_gave_is_blocked_under_every_key() {
    let claims = Config { label: "host-7".into(), ..member() };
    let mut durable = member();
    durable.tasks.durable = true;
    let mut meeting = world(vec![member(), durable.clone(), claims]);
    meeting.join(0, 1);
    let block = TaskBody::BlockAndRemovePeer(PeerTarget::Label("host-7".into()));
    assert_eq!(order(&mut meeting, 1, &block), DONE);
    meeting.join(2, 1);
    assert_eq!(meeting.connected(1).len(), 2, "a label that is only claimed blocks nobody");
    let (old, label) = (meeting.id(2), String::from("host-7"));
    let assign = |peer| TaskBody::AssignIdentifierToPeer { peer, label: label.clone() };
    assert_eq!(order(&mut meeting, 2, &assign(old)), DONE);
    meeting.settle();
    assert_eq!(meeting.connected(1).len(), 1, "its channel ended at once");
    assert_eq!(meeting.nodes[1].peer(&old).unwrap().assigned.as_deref(), Some("host-7"));

    // It comes back under a new key: once the authority has given that the label, it is blocked too.
    let new = meeting.add(member(), [44; 32], 44);
    meeting.nodes[new].handle_wall_time(meeting.now, Some(NOON));
    meeting.join(new, 1);
    assert_eq!(meeting.connected(1).len(), 2);
    let new_id = meeting.id(new);
    assert_eq!(order(&mut meeting, 3, &assign(new_id)), DONE);
    meeting.settle();
    assert_eq!(meeting.connected(1).len(), 1);

    // A restart remembers, and the block can be lifted.
    durable.tasks.saved = Some(meeting.saved[&(1, Keeps::Tasks)].clone());
    let mut again = world(vec![member(), durable, member()]);
    assert_eq!(again.nodes[1].blocked_labels(), ["host-7"]);
    again.join(2, 1);
    assert!(again.connected(1).is_empty(), "node 2 has the key that has the label");
    again.nodes[1].unblock_label(again.now, "host-7");
    again.join(2, 1);
    assert_eq!(again.connected(1).len(), 1);
}

fn put(world: &mut World, index: usize, key: &str, value: Option<&str>) {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    world.nodes[index].put_data(world.now, key, value).unwrap();
    world.settle();
}

#[test]
fn what_is_written_reaches_trusted_peers_at_once_and_strangers_never() {
    let mut stranger = member();
    stranger.policies.incoming.trust_authenticated = false;
    let mut world = world(vec![member(), member(), stranger]);
    world.join(0, 1);
    world.join(0, 2);
    put(&mut world, 0, "colour", Some("blue"));
    let value = |world: &World, index: usize| {
        world.nodes[index].data("colour").and_then(|entry| entry.value)
    };
    assert_eq!(value(&world, 1).as_deref(), Some(&b"blue"[..]));
    assert_eq!(value(&world, 2), None, "it trusts nobody, so it takes nothing");
    let key = TaskBody::RequestData("colour".into());
    let found = world.nodes[0].data("colour");
    assert_eq!(ask(&mut world, &key), Ok(TaskOutcome::Entry(found)));
    let missing = TaskBody::RequestData("shape".into());
    assert_eq!(ask(&mut world, &missing), Ok(TaskOutcome::Entry(None)));
}

/// Two nodes write while they are apart; when they meet again they hold the same, whoever dials.
#[test]
fn two_nodes_converge_after_a_partition() {
    for dialler in [0, 1] {
        let mut world = pair();
        put(&mut world, 0, "shared", Some("before"));
        put(&mut world, 0, "deleted", Some("soon"));
        world.cut = true;
        world.pass(Duration::from_secs(60));
        assert!(world.connected(0).is_empty() && world.connected(1).is_empty());
        put(&mut world, 0, "shared", Some("zero"));
        put(&mut world, 1, "shared", Some("one"));
        put(&mut world, 1, "shared", Some("one again"));
        put(&mut world, 1, "deleted", None);
        for number in 0..300 {
            let key = format!("key {number}");
            put(&mut world, number % 2, &key, Some(&"x".repeat(number)));
        }
        world.cut = false;
        world.join(dialler, 1 - dialler);
        world.pass(Duration::from_secs(120));
        let here = world.nodes[0].data_entries();
        assert_eq!(here, world.nodes[1].data_entries());
        assert_eq!(here.len(), 302);
        let shared = world.nodes[0].data("shared").unwrap();
        assert_eq!(shared.value.as_deref(), Some(&b"one again"[..]), "it was written later");
        assert_eq!(world.nodes[0].data("deleted").unwrap().value, None);
        // Once more, by hand: nothing is left to do, and that is told.
        let peer = world.id(1);
        let asked = world.nodes[0].sync_data(world.now, peer).unwrap();
        world.settle();
        assert_eq!(answer(&mut world, asked), DONE);
    }
}

#[test]
fn the_data_area_survives_a_restart() {
    let mut config = member();
    config.tasks.durable = true;
    let mut first = world(vec![member(), config.clone()]);
    first.join(0, 1);
    put(&mut first, 0, "from afar", Some("1"));
    put(&mut first, 1, "here", Some("2"));
    let entries = first.nodes[1].data_entries();
    assert_eq!(entries.len(), 2);
    config.tasks.saved_data = Some(first.saved[&(1, Keeps::Data)].clone());
    let again = world(vec![config]);
    assert_eq!(again.nodes[0].data_entries(), entries);
}

#[test]
fn an_answer_that_is_owed_ends_with_the_channel() {
    let mut world = pair();
    let second = world.id(1);
    world.nodes[1].set_task_handler(world.now, TaskKind::PingPeer, true);
    let to = Audience::One(second);
    let asked = world.nodes[0].issue_task(world.now, to, &TaskBody::PingPeer, None).unwrap();
    world.settle();
    let first = world.id(0);
    world.nodes[1].block(world.now, BlockTarget::Peer(first)).unwrap();
    assert_eq!(answer(&mut world, asked), Err(TaskFailure::Lost));
}
