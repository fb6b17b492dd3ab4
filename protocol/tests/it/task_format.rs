//! The format of tasks: golden vectors as `docs/wire.md` prints them, and one encoding for one meaning.

use bytes::Bytes;
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::task::body::PeerTarget;
use p2pnet_protocol::task::data::{DataEntry, Span, Version};
use p2pnet_protocol::task::envelope::{BadTerms, Terms};
use p2pnet_protocol::task::{
    Audience, NetworkTask, Setting, TaskBody, TaskFailure, TaskKind, TaskOutcome, TaskRefusal,
};
use p2pnet_protocol::*;
use proptest::prelude::*;

const SPECIFICATION: &str = include_str!("../../../docs/wire.md");
const FROM: UnixTime = UnixTime(1_700_000_000);
const TO: UnixTime = UnixTime(1_700_000_060);

fn crypto() -> PureCrypto {
    PureCrypto::new().unwrap()
}

fn terms(audience: Audience, in_reply_to: Option<TaskId>) -> Terms {
    Terms {
        network: NetworkName::new("office").unwrap().tag(),
        id: TaskId([0xa1; 16]),
        audience,
        sequence: 5,
        not_before: FROM,
        not_after: TO,
        in_reply_to,
    }
}

fn issue(terms: &Terms, body: &TaskBody) -> NetworkTask {
    let crypto = crypto();
    NetworkTask::issue(&crypto, &crypto.signing_key(&[1; 32]), terms, body).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the tables in `docs/wire.md` show.
fn examples() -> Vec<(&'static str, NetworkTask)> {
    let one = Audience::One(PeerId([7; 32]));
    let message = TaskBody::SendMessage("hello".into());
    let answer = TaskBody::Answer(Ok(TaskOutcome::Done));
    vec![
        ("SendMessage `hello` to all", issue(&terms(Audience::All, None), &message)),
        ("Answer, done, to one", issue(&terms(one, Some(TaskId([0xb2; 16]))), &answer)),
    ]
}

#[test]
fn the_specification_prints_the_tasks_as_they_are() {
    for (name, task) in examples() {
        let row = format!("{name}\n{}", wrapped(&hex(&task.encode())));
        assert!(SPECIFICATION.contains(&row), "docs/wire.md lacks this:\n{row}");
    }
}

fn wrapped(text: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

#[test]
fn every_changed_bit_is_noticed() {
    let crypto = crypto();
    for (name, task) in examples() {
        let bytes = task.encode();
        assert_eq!(NetworkTask::decode(&bytes.clone().into()), Ok(task.clone()), "{name}");
        assert!(task.is_signed(&crypto), "{name}");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let good =
                NetworkTask::decode(&changed.into()).is_ok_and(|task| task.is_signed(&crypto));
            assert!(!good, "{name}: byte {at}");
            let cut = Bytes::copy_from_slice(&bytes[..at]);
            assert!(NetworkTask::decode(&cut).is_err(), "{name}: cut at {at}");
        }
    }
}

#[test]
fn what_nobody_could_take_is_not_issued() {
    let crypto = crypto();
    let key = crypto.signing_key(&[1; 32]);
    let issue =
        |terms: &Terms, body: &TaskBody| NetworkTask::issue(&crypto, &key, terms, body).err();
    let all = terms(Audience::All, None);
    assert_eq!(issue(&all, &TaskBody::RequestPublicKey), Some(BadTerms::AudienceTooWide));
    let ping = TaskBody::PingPeer;
    assert_eq!(issue(&Terms { not_after: FROM, ..all }, &ping), Some(BadTerms::Window));
    let late = FROM.plus_secs(NetworkTask::WINDOW_SECS_MAX + 1);
    assert_eq!(issue(&Terms { not_after: late, ..all }, &ping), Some(BadTerms::Window));
    let long = TaskBody::SendMessage("x".repeat(TaskBody::TEXT_BYTES_MAX + 1));
    assert!(matches!(issue(&all, &long), Some(BadTerms::Body(_))));
    let settings = TaskBody::UpdateSettings(Vec::new());
    assert!(matches!(issue(&all, &settings), Some(BadTerms::Body(_))));
}

fn peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 32]>().prop_map(PeerId)
}

fn key() -> impl Strategy<Value = String> {
    "[a-zäö /._-]{1,30}"
}

fn version() -> impl Strategy<Value = Version> {
    (0..=Version::COUNTER_MAX, peer()).prop_map(|(counter, writer)| Version { counter, writer })
}

fn payload() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn entry() -> impl Strategy<Value = DataEntry> {
    (key(), version(), prop::option::of(payload())).prop_map(|(key, version, value)| DataEntry {
        key,
        version,
        value,
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        any::<bool>().prop_map(Setting::AcceptInbound),
        Just(Setting::Placement(IncomingPeerPlacement::QueueBased)),
        any::<u32>().prop_map(Setting::KeepAliveMs),
        any::<u32>().prop_map(Setting::PacketsPerSecondMax),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    let held = prop::collection::btree_map(key(), version(), 0..20);
    (held, any::<bool>()).prop_map(|(held, open)| {
        let held: Vec<_> = held.into_iter().collect();
        let up_to = held.last().map(|(key, _)| key.clone()).filter(|_| !open);
        Span { after: None, up_to, held }
    })
}

fn answer() -> impl Strategy<Value = Result<TaskOutcome, TaskFailure>> {
    prop_oneof![
        Just(Ok(TaskOutcome::Done)),
        prop::option::of(entry()).prop_map(|entry| Ok(TaskOutcome::Entry(entry))),
        any::<(u32, u32)>()
            .prop_map(|(taken, left_out)| Ok(TaskOutcome::Merged { taken, left_out })),
        (prop::collection::vec(entry(), 0..5), prop::collection::vec(key(), 0..5), any::<bool>())
            .prop_map(|(entries, wanted, more)| {
                Ok(TaskOutcome::Synchronized { entries, wanted, more })
            }),
        any::<bool>().prop_map(|yes| Ok(TaskOutcome::Verdict(yes))),
        any::<[u8; 32]>().prop_map(|key| Ok(TaskOutcome::PublicKey(PublicKey(key)))),
        payload().prop_map(|bytes| Ok(TaskOutcome::Opaque(bytes))),
        any::<u8>().prop_map(|code| Err(TaskFailure::Refused(code))),
        ".{0,60}".prop_map(|why| Err(TaskFailure::because(why))),
        Just(Err(TaskFailure::TimedOut)),
        Just(Err(TaskFailure::Lost)),
    ]
}

fn body() -> impl Strategy<Value = TaskBody> {
    let plain = prop_oneof![
        Just(TaskBody::PingPeer),
        Just(TaskBody::RequestPublicKey),
        Just(TaskBody::Heartbeat),
        peer().prop_map(TaskBody::DisconnectPeer),
        peer().prop_map(TaskBody::AuthorizePeer),
        peer().prop_map(TaskBody::RevokePeerAuthorization),
        peer().prop_map(|peer| TaskBody::BlockAndRemovePeer(PeerTarget::Peer(peer))),
        key().prop_map(|label| TaskBody::BlockAndRemovePeer(PeerTarget::Label(label))),
        any::<[u8; 32]>().prop_map(TaskBody::RequestVerifyHashRecord),
    ];
    let prefix = (any::<std::net::IpAddr>(), 0u8..=32)
        .prop_filter_map("a prefix", |(ip, length)| IpPrefix::new(ip, length).ok());
    let tasks = prop::collection::vec(payload(), 0..5);
    let signature = (any::<[u8; 32]>(), payload(), prop::collection::vec(any::<u8>(), 64));
    prop_oneof![
        plain,
        prefix.prop_map(TaskBody::BlockIp),
        ".{0,60}".prop_map(TaskBody::SendMessage),
        key().prop_map(TaskBody::RequestData),
        prop::collection::vec(entry(), 1..5).prop_map(TaskBody::SendData),
        span().prop_map(TaskBody::SynchronizeData),
        prop::collection::vec(setting(), 1..=Setting::COUNT_MAX).prop_map(TaskBody::UpdateSettings),
        signature.prop_map(|(key, message, signature)| TaskBody::RequestVerifySignature {
            key: PublicKey(key),
            message,
            signature: Signature(signature.try_into().unwrap()),
        }),
        tasks.prop_map(TaskBody::HeartbeatResponse),
        key().prop_map(TaskBody::SetLocalIdentifier),
        (peer(), key()).prop_map(|(peer, label)| TaskBody::AssignIdentifierToPeer { peer, label }),
        answer().prop_map(TaskBody::Answer),
        (TaskKind::APPLICATION.., payload())
            .prop_map(|(number, payload)| TaskBody::Application { number, payload }),
    ]
}

proptest! {
    #[test]
    fn any_body_round_trips_on_the_wire_and_in_a_recording(body in body()) {
        let bytes = Bytes::from(body.encode());
        prop_assert!(bytes.len() <= TaskBody::BYTES_MAX);
        prop_assert_eq!(TaskBody::decode(body.kind(), &bytes), Ok(body.clone()));
        for cut in 0..bytes.len().min(200) {
            if !matches!(body, TaskBody::Application { .. } | TaskBody::Answer(Ok(TaskOutcome::Opaque(_)))) {
                prop_assert!(TaskBody::decode(body.kind(), &bytes.slice(..cut)).is_err());
            }
        }
        let command = Input::Command(Command::IssueTask {
            audience: Audience::All,
            body: Box::new(body),
            valid: None,
        });
        let json = serde_json::to_string(&command).unwrap();
        prop_assert_eq!(serde_json::from_str::<Input>(&json).unwrap(), command);
    }

    #[test]
    fn what_decodes_as_a_body_encodes_to_the_same_bytes(
        kind in 0usize..21,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let kind = TaskKind::all().nth(kind).unwrap();
        let bytes = Bytes::from(bytes);
        // Addresses of unknown kinds are skipped, so that a list which had some is shorter.
        if let Ok(body) = TaskBody::decode(kind, &bytes)
            && kind != TaskKind::BootstrapInitialization
        {
            prop_assert_eq!(body.encode(), bytes);
        }
    }

    #[test]
    fn any_task_round_trips(body in body(), to_one: bool, reply: bool, sequence: u64) {
        let audience = if to_one || !body.kind().row().to_all {
            Audience::One(PeerId([7; 32]))
        } else {
            Audience::All
        };
        let terms = Terms { sequence, ..terms(audience, reply.then_some(TaskId([3; 16]))) };
        let task = issue(&terms, &body);
        let bytes = Bytes::from(task.encode());
        prop_assert!(bytes.len() <= NetworkTask::BYTES_MAX);
        prop_assert_eq!(NetworkTask::decode(&bytes), Ok(task.clone()));
        prop_assert_eq!(task.read_body(), Ok(body));
        prop_assert_eq!(task.check_time(Some(FROM)), Ok(FROM));
        prop_assert_eq!(task.check_time(Some(TO)), Err(TaskRefusal::Stale { since: TO }));
    }
}
