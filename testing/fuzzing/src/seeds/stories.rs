//! Seeds that are stories: streams, channels, beacons, inputs, two nodes.

use super::{Seeds, beacon, each_packet};
use crate::node::{self, START};
use crate::recorded::recording;
use crate::speaker::{MAGIC, Speaker, framed};
use p2pnet_protocol::io::Fetched;
use p2pnet_protocol::trust::identifier::Origin;
use p2pnet_protocol::wire::codec::{put_prefixed, put_varint};
use p2pnet_protocol::{
    Answer, BlockTarget, CloseCause, Command, Config, ConnId, DisconnectReason, Duration, Input,
    Lane, ListenerId, Packet, PacketKind, PeerId, RequestId, RoutineChange, Trust, UnixTime,
};

pub(super) fn add(seeds: &mut Seeds) {
    channels(seeds);
    strangers(seeds);
    beacons(seeds);
    inputs(seeds);
    pairs(seeds);
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    put_prefixed(&mut out, body);
    out
}

/// Ping, pong, credit for both lanes, and a kind that is skipped.
pub(super) fn signals() -> Vec<u8> {
    let credit = |lane: u8| frame(3, &[&[lane][..], &10_000u64.to_be_bytes()].concat());
    let number = 7u32.to_be_bytes();
    [frame(1, &number), frame(2, &number), credit(1), credit(2), frame(0x80, b"later")].concat()
}

/// Lets the other side in.
pub(super) fn open_frame() -> Vec<u8> {
    let mut body = Vec::new();
    for number in [1024u32, 4096, 4096] {
        body.extend_from_slice(&number.to_be_bytes());
    }
    body.extend_from_slice(&9000u16.to_be_bytes());
    put_prefixed(&mut body, &[0]);
    frame(4, &body)
}

/// A bulk packet of so many bytes in two parts.
pub(super) fn parts(bytes: usize) -> Vec<u8> {
    let whole = [&[2][..], &vec![9; bytes - 1]].concat();
    let (head, tail) = whole.split_at(bytes / 2);
    let mut first = vec![PacketKind::DataTransmission.to_wire()];
    put_varint(&mut first, u32::try_from(bytes).expect("it is short"));
    first.extend_from_slice(head);
    [frame(5, &first), frame(6, &[&[2][..], tail].concat())].concat()
}

/// The script of a record that holds `plain`, handed over whole.
fn says(plain: &[u8]) -> Vec<u8> {
    let length = u8::try_from(plain.len()).expect("a seed's record is short");
    [&[0, length][..], plain, &[0]].concat()
}

fn channels(seeds: &mut Seeds) {
    // The policy trusts everybody and lets every packet pass; the node's queue is written.
    let opened = [vec![3], says(&open_frame()), vec![7]].concat();
    let told = |more: &[Vec<u8>]| [&opened[..], &more.concat()].concat();
    seeds.add("channel", "open", opened.clone());
    seeds.add("channel", "signals", told(&[says(&signals()), vec![7]]));
    // A bulk packet of 1,192 bytes, which no record holds here: a first part of 200, and two of 496 each.
    let mut first = vec![PacketKind::DataTransmission.to_wire()];
    put_varint(&mut first, 1192);
    first.extend_from_slice(&[&[2][..], &[9; 199]].concat());
    let others = vec![3, 1, 6, 1, 2, 31, 0];
    seeds.add("channel", "parts", told(&[says(&frame(5, &first)), others]));
    for packet in each_packet() {
        let name = format!("{:?}", packet.kind()).to_lowercase();
        seeds.add(
            "channel",
            name,
            told(&[says(&frame(packet.kind().to_wire(), &packet.encode()))]),
        );
    }
    // 32 messages of some 200 bytes are more than a lane takes; then they are given back, and time passes.
    let flood = [vec![3, 20, 0x14, 5], b"flood".to_vec(), vec![12, 0]].concat();
    seeds.add("channel", "flood", told(&[flood.clone(), vec![6, 11, 0xff, 0xff], flood]));
    seeds.add("channel", "silence", told(&[vec![5, 0x4e, 0x20], vec![7], vec![5, 0x4e, 0x20]]));
    for what in 0..12u8 {
        seeds.add(
            "channel",
            format!("application-{what:02}"),
            told(&[vec![6, what, 1, 0], vec![7]]),
        );
    }
    let handshake = [vec![4], says(&open_frame()), vec![6, 4, 7]].concat();
    seeds.add("channel", "application-handshake", handshake);
    let pending = [vec![8], vec![6, 0], says(&open_frame())].concat();
    seeds.add("channel", "pending", pending);
    seeds.add("channel", "broken", told(&[vec![4, 3, 0x14, 1, 65, 5, 0, 4, 1, 0]]));
    let after = [says(&open_frame()), says(&signals())].concat();
    seeds.add("handshake_in", "honest", [&[3, 0, 0][..], &after].concat());
    seeds.add("handshake_out", "honest", [&[3, 1, 3, 0][..], &after].concat());
    seeds.add("handshake_out", "expected", [&[3, 1, 2, 0][..], &after].concat());
    seeds.add("handshake_out", "oneself", vec![3, 0, 0]);
    seeds.add("handshake_out", "other", vec![3, 0, 1, 0]);
    for (name, alteration) in [
        ("cut", [2, 0, 9].as_slice()),
        ("flip", &[5, 0, 3, 1]),
        ("more", &[6, 0, 104, 5, 1, 2, 3, 4, 5]),
        ("cipher", &[6, 0, 11, 1, 1]),
    ] {
        seeds.add("handshake_in", format!("offer-{name}"), [&[3][..], alteration, &[0]].concat());
        seeds.add("handshake_in", format!("intro-{name}"), [&[3, 0][..], alteration].concat());
        seeds.add("handshake_out", format!("answer-{name}"), [&[3, 1, 3][..], alteration].concat());
    }
}

fn strangers(seeds: &mut Seeds) {
    let come = [0, 1, 0x9c, 0x40];
    let (_, first) = Speaker::new(1).begin(&Speaker::new(1).offer()).expect("it fits");
    let say = |bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("a seed's piece is short");
        [&[2, length][..], bytes].concat()
    };
    seeds.add("strangers", "hello", [&come[..], &say(&first)].concat());
    seeds.add("strangers", "other", [&come[..], &say(b"GET / HTTP/1.1\r\n")].concat());
    let long = [&MAGIC[..], &framed(&[0; 600])].concat();
    let length = u16::try_from(long.len()).expect("it is short").to_be_bytes();
    seeds.add("strangers", "long", [&come[..], &[5], &length, &long].concat());
    seeds.add("strangers", "refusal", [&[1, 0][..], &say(&[0, 0, 1])].concat());
    seeds.add("strangers", "slow", [&come[..], &say(&MAGIC), &[7, 0x20, 0]].concat());
    seeds.add("strangers", "crowd", come.repeat(8));
    seeds.add("strangers", "gone", [&come[..], &say(&first), &[6]].concat());
}

fn beacons(seeds: &mut Seeds) {
    // Signer 1, no flags, port 9000, start 1, counter 5, no extension, unaltered, from 192.0.2.9.
    let heard = [0, 1, 0, 0x23, 0x28, 1, 0, 5, 0, 0, 4, 9];
    seeds.add("lan", "heard", [&heard[..], &[7, 0x07, 0xd0]].concat());
    let other = [0, 2, 0, 0x23, 0x28, 1, 0, 5, 2, 65, 66, 0, 4, 10];
    seeds.add("lan", "two", [&heard[..], &other, &[7, 0x07, 0xd0, 4, 4, 11]].concat());
    seeds.add("lan", "foreign", [&[0, 0x81][..], &heard[2..]].concat());
    let forged = [0, 1, 0, 0x23, 0x28, 1, 0, 6, 0, 5, 0, 20, 3, 4, 9];
    seeds.add("lan", "forged", forged);
    let away = [0, 1, 0, 0x23, 0x28, 1, 0, 6, 0, 0, 0, 9];
    seeds.add("lan", "off-link", [&away[..], &heard].concat());
    seeds.add(
        "lan",
        "moved",
        [&[6, 2, 0xc6, 3, 24, 0x86, 4, 16][..], &heard, &[7, 0x70, 0]].concat(),
    );
    seeds.add("lan", "noise", [&[5, 4, 9, 30][..], b"P2PB\x01 and what follows it here"].concat());
    seeds.add("lan", "time", [7, 0x40, 0].repeat(6));
}

fn pairs(seeds: &mut Seeds) {
    let all = [0xff, 0xff];
    let carry = |side: u8| [&[1 | side << 7][..], &all].concat();
    let opened = [vec![0], [carry(1), carry(0)].concat().repeat(3)].concat();
    let story = |setup: u8, more: &[u8]| [&[setup][..], &opened, more].concat();
    for setup in 0..8 {
        seeds.add("pair", format!("meet-{setup}"), story(setup, &[]));
    }
    let message = [6, 0, 100];
    let bulk = [0x46, 3, 0xf0];
    let talk = [&message[..], &bulk, &carry(1), &[0x89, 0xff, 0xff], &carry(0)].concat();
    seeds.add("pair", "talk", story(1, &talk.repeat(3)));
    seeds.add("pair", "pieces", story(1, &[&message[..], &[1 | 0x80, 0, 3].repeat(12)].concat()));
    for hurt in 0..5 {
        let hurts = [&message[..], &carry(0), &[0x81, 0, 1], &[14 | 0x80, hurt, 0, 30], &carry(1)];
        seeds.add("pair", format!("hurt-{hurt}"), story(0, &hurts.concat()));
    }
    for decision in 0..9 {
        let decided = [&[12, decision][..], &message, &carry(1), &carry(0), &[0, 10, 0x20, 0]];
        seeds.add("pair", format!("decide-{decision}"), story(decision % 4, &decided.concat()));
    }
    seeds.add("pair", "both-dial", [&[0, 0, 0x80][..], &opened[1..]].concat());
    seeds.add("pair", "silence", story(0, &[11, 0xff, 0xff]));
}

/// Inputs of every kind, one by one for the encoding and as recordings for the node.
fn inputs(seeds: &mut Seeds) {
    let each = each_input();
    for (number, (_, input)) in each.iter().enumerate() {
        let bytes = postcard::to_allocvec(input).expect("any input can be encoded");
        seeds.add("input", format!("{number:02}"), bytes);
    }
    seeds.add("node", "each", recording(&each));
    let commands: Vec<(u16, Input)> = commands(PeerId([1; 32])).map(timed).collect();
    seeds.add("node", "commands", recording(&commands));
    for (number, command) in commands.into_iter().enumerate() {
        let mut open = open_channel();
        open.push(command);
        open.push((1000, Input::Timeout));
        seeds.add("node", format!("open-{number:02}"), recording(&open));
    }
}

fn timed(command: Command) -> (u16, Input) {
    (0, Input::Command(command))
}

fn each_input() -> Vec<(u16, Input)> {
    let conn = ConnId(1);
    vec![
        (0, Input::Listening { listener: ListenerId(0), at: node::address(0) }),
        (0, Input::Interfaces(vec![node::interface(0)])),
        (0, Input::WallTime(Some(UnixTime(1_700_000_000)))),
        (20, Input::Incoming { listener: ListenerId(0), from: node::dialling(1, 40_000) }),
        (0, Input::Stream { conn, bytes: MAGIC.to_vec() }),
        (0, Input::Datagram { from: node::address(2), bytes: beacon(&[]) }),
        (3000, Input::Timeout),
        (0, Input::Connected { conn: ConnId(2), local: node::dialling(0, 40_001) }),
        (0, Input::PollWrite { conn: ConnId(2), bytes_max: 4096 }),
        (0, Input::Closed { conn, cause: CloseCause::Reset }),
        (0, Input::Consumed { conn, lane: Lane::Message, bytes: 7 }),
        (
            0,
            Input::Answer {
                request: RequestId(1),
                answer: Answer::Fetched(Fetched {
                    status: 200,
                    media_type: "text/plain".into(),
                    body: vec![1, 2],
                }),
            },
        ),
        (0, Input::Answer { request: RequestId(2), answer: Answer::Failed }),
        (0, Input::WallTime(None)),
        (0, Input::Command(Command::Shutdown)),
        (60_000, Input::Timeout),
    ]
}

fn commands(peer: PeerId) -> impl Iterator<Item = Command> {
    let prefix = "192.0.2.0/24".parse().expect("a prefix");
    let routine = |change| Command::Routine { name: "own".into(), change };
    let hour = Duration::from_secs(1);
    [
        Command::Connect { to: node::address(3), expect: None },
        Command::Connect { to: node::address(3), expect: Some(peer) },
        Command::Send { peer, packet: Packet::message("hello") },
        Command::SendAll { packet: Packet::misc_data("data") },
        Command::SetChannelData { peer, data: vec![1; 9] },
        Command::Trust(peer),
        Command::TrustStep { conn: ConnId(1), message: "step".into() },
        Command::SetTrust { conn: ConnId(1), trust: Trust::Trusted },
        Command::FinishTrust { conn: ConnId(1), trust: None },
        Command::Untrust(peer),
        Command::Allow(BlockTarget::Peer(peer)),
        Command::Disallow(BlockTarget::Peer(peer)),
        Command::Block(BlockTarget::Prefix(prefix)),
        Command::Unblock(BlockTarget::Prefix(prefix)),
        Command::Block(BlockTarget::Peer(peer)),
        Command::Unblock(BlockTarget::Peer(peer)),
        Command::Accept(peer),
        Command::Refuse(peer),
        Command::AcceptInbound(false),
        Command::AcceptInbound(true),
        Command::SetLabel { origin: Origin::Local, text: "alpha".into() },
        Command::DefaultAction { kind: PacketKind::PeerGroup, on: false },
        routine(RoutineChange::Add { interval: hour, jitter_percent: 10 }),
        routine(RoutineChange::Start),
        routine(RoutineChange::SetInterval(hour)),
        routine(RoutineChange::Stop),
        routine(RoutineChange::Remove),
        Command::Disconnect { peer, reason: DisconnectReason::Requested },
        Command::Shutdown,
    ]
    .into_iter()
}

/// The recording of a peer that comes, proves who it is, and says hello: it replays, since all keys follow from seeds.
fn open_channel() -> Vec<(u16, Input)> {
    let config = Config { limits: node::tight(), ..Config::default() };
    let mut node = node::with(config, 0).expect("it is sound");
    let mut speaker = Speaker::new(1);
    let mut inputs = vec![each_input().swap_remove(0)];
    let from = node::dialling(1, 40_000);
    let conn = node.handle_incoming(START, ListenerId(0), from).expect("there is room");
    inputs.push((0, Input::Incoming { listener: ListenerId(0), from }));
    let (sent, first) = speaker.begin(&speaker.offer()).expect("it fits");
    node.handle_stream(START, conn, &mut first.clone());
    inputs.push((0, Input::Stream { conn, bytes: first }));
    let answer = node.poll_write(conn, 4096).expect("the node answers");
    let (mut line, third) =
        speaker.finish(sent, &answer, &speaker.introduction()).expect("it is honest");
    inputs.push((0, Input::Stream { conn, bytes: third }));
    for plain in [open_frame(), frame(0x14, b"hello")] {
        let bytes = speaker.record(&mut line, &plain);
        inputs.push((0, Input::Stream { conn, bytes }));
    }
    inputs
}
