//! Tasks as they are sent, bodies of the longer kinds, and what is kept.

use super::{Seeds, crypto, record};
use bytes::Bytes;
use p2pnet_protocol::crypto::Crypto as _;
use p2pnet_protocol::task::body::PeerTarget;
use p2pnet_protocol::task::data::{DataArea, Span};
use p2pnet_protocol::task::envelope::Terms;
use p2pnet_protocol::task::memory::TaskMemory;
use p2pnet_protocol::task::{Audience, NetworkTask, Setting, TaskBody, TaskKind, TaskOutcome};
use p2pnet_protocol::{Limits, NetworkName, PeerId, PublicKey, TaskId, UnixTime};

pub(super) fn add(seeds: &mut Seeds) {
    let crypto = crypto();
    let key = crypto.signing_key(&[3; 32]);
    let mut area = DataArea::new(8, 1024);
    for (name, value) in [("colour", Some("blue")), ("shape", Some("round")), ("gone", None)] {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        area.put(name, value, PeerId([3; 32])).expect("there is room");
    }
    let entries: Vec<_> = area.iter().collect();
    let span: Span = area.span(None, 1000);
    let bodies = [
        ("message", TaskBody::SendMessage("hello".into())),
        ("block", TaskBody::BlockAndRemovePeer(PeerTarget::Label("host-7".into()))),
        ("block_ip", TaskBody::BlockIp("192.0.2.0/24".parse().expect("a prefix"))),
        ("data", TaskBody::SendData(entries.clone())),
        ("span", TaskBody::SynchronizeData(span)),
        (
            "settings",
            TaskBody::UpdateSettings(vec![Setting::AcceptInbound(true), Setting::KeepAliveMs(500)]),
        ),
        ("peers", TaskBody::BootstrapInitialization(vec![record(5)])),
        (
            "assign",
            TaskBody::AssignIdentifierToPeer { peer: PeerId([5; 32]), label: "host-7".into() },
        ),
        (
            "answer",
            TaskBody::Answer(Ok(TaskOutcome::Synchronized {
                entries,
                wanted: vec!["size".into()],
                more: true,
            })),
        ),
        ("own", TaskBody::Application { number: 0x8001, payload: Bytes::from_static(b"do") }),
    ];
    for (at, (name, body)) in bodies.into_iter().enumerate() {
        let kind = TaskKind::all().position(|kind| kind == body.kind());
        if let Some(kind) = kind {
            // Each kind has a first byte of its own above those of envelopes and of what is kept.
            let first = u8::try_from(kind + 21).expect("few kinds");
            seeds.add("task", format!("body_{name}"), [&[first], &body.encode()[..]].concat());
        }
        let one = Audience::One(PeerId([7; 32]));
        let terms = Terms {
            network: NetworkName::default().tag(),
            id: TaskId([at as u8; 16]),
            audience: if body.kind().row().to_all { Audience::All } else { one },
            sequence: at as u64,
            not_before: UnixTime(1_700_000_000),
            not_after: UnixTime(1_700_000_060),
            in_reply_to: (body.kind() == TaskKind::Answer).then_some(TaskId([9; 16])),
        };
        let task = NetworkTask::issue(&crypto, &key, &terms, &body).expect("it can be issued");
        seeds.add("task", name, [&[0], &task.encode()[..]].concat());
    }
    let mut memory = TaskMemory::new(&Limits::small());
    for number in [1, 5, 3] {
        let noted =
            memory.window.note(&PublicKey([3; 32]), number, UnixTime(100), UnixTime(50), false);
        noted.expect("it is new");
    }
    memory.labels.assign(PeerId([5; 32]), "host-7").expect("there is room");
    seeds.add("task", "memory", [&[1], &memory.encode()[..]].concat());
    let mut kept = vec![2];
    area.encode(&mut kept);
    seeds.add("task", "area", kept);
}
