//! What two nodes of the core said, carried in frames, comes out again: whole with keys, sealed without.

#[path = "../../protocol/tests/it/world/mod.rs"]
mod world;

use etherparse::PacketBuilder;
use p2pnet_crypto::PureCrypto;
use p2pnet_inspect::finding::Ending;
use p2pnet_inspect::{Finding, Frame, Inspector, KeyLog, Limits, LinkType, Said, Timestamp, What};
use p2pnet_protocol::{Config, Event, Packet};
use proptest::prelude::*;
use world::{World, quiet};

const TEXT: &str = "the heron flies at dawn";
/// The initiator's first sequence number: its numbers wrap on the way.
const START: u32 = u32::MAX - 300;

/// Which node sent it, its sequence number, and its bytes.
type Segment = (usize, u32, Vec<u8>);

/// Two nodes that trust each other, and what they sent: chunks of at most 500 bytes.
fn conversation() -> (Vec<Segment>, KeyLog) {
    let mut open = Config { key_log: true, ..quiet() };
    open.policies.incoming.trust_authenticated = true;
    let mut world = World::new(vec![open.clone(), open]);
    world.tap = Some(Vec::new());
    world.join(0, 1);
    let b = world.id(1);
    let long: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
    for packet in [Packet::message(TEXT), Packet::misc_data(long)] {
        world.nodes[0].send(world.now, &b, &packet).unwrap();
        world.settle();
    }
    world.nodes[1].shutdown(world.now);
    world.settle();
    let mut keys = KeyLog::default();
    for event in &world.events[0] {
        if let Event::ChannelKeys(logged) = event {
            keys.add(logged.as_ref().clone()).unwrap();
        }
    }
    let mut next = [START.wrapping_add(1), 5001];
    let mut segments = Vec::new();
    for (from, chunk) in world.tap.unwrap() {
        for piece in chunk.chunks(500) {
            segments.push((from, next[from], piece.to_vec()));
            next[from] = next[from].wrapping_add(piece.len() as u32);
        }
    }
    (segments, keys)
}

fn builder(from: usize, sequence: u32) -> etherparse::PacketBuilderStep<etherparse::TcpHeader> {
    let ends = [([192, 0, 2, 1], 40_000), ([192, 0, 2, 2], 9_000)];
    let (source, target) = (ends[from], ends[1 - from]);
    PacketBuilder::ipv4(source.0, target.0, 64).tcp(source.1, target.1, sequence, 64)
}

fn written(builder: etherparse::PacketBuilderStep<etherparse::TcpHeader>, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    builder.write(&mut frame, bytes).unwrap();
    frame
}

/// SYNs, then the segments.
fn frames(segments: &[Segment]) -> Vec<Vec<u8>> {
    let syns = [builder(0, START).syn(), builder(1, 5000).syn().ack(START.wrapping_add(1))];
    let syns = syns.into_iter().map(|syn| written(syn, &[]));
    let data = segments
        .iter()
        .map(|(from, sequence, bytes)| written(builder(*from, *sequence).ack(1), bytes));
    syns.chain(data).collect()
}

fn inspect(frames: &[Vec<u8>], keys: &KeyLog, limits: Limits) -> Vec<What> {
    let mut inspector = Inspector::new(PureCrypto::new().unwrap(), keys.clone(), limits);
    let mut found = Vec::new();
    let mut tell = |finding: Finding| found.push(finding.what);
    for (at, bytes) in (0..).zip(frames) {
        inspector.on_frame(&Frame { at: Timestamp(at), link: LinkType(101), bytes }, &mut tell);
        assert!(inspector.held_bytes() <= limits.held_bytes_max);
    }
    inspector.finish(&mut tell);
    found
}

fn said(found: &[What]) -> Vec<Said> {
    let said = found.iter().filter_map(|what| match what {
        What::Said { said, .. } => Some(said.clone()),
        _ => None,
    });
    said.collect()
}

fn texts(found: &[What]) -> Vec<String> {
    let texts = said(found).into_iter().filter_map(|said| match said {
        Said::PureMessage { text, .. } => Some(text),
        _ => None,
    });
    texts.collect()
}

#[test]
fn with_keys_everything_is_told_and_without_nothing_that_was_said() {
    let (segments, keys) = conversation();
    let frames = frames(&segments);
    let found = inspect(&frames, &keys, Limits::default());
    assert_eq!(texts(&found), [TEXT]);
    let said = said(&found);
    assert!(said.iter().any(|said| matches!(said, Said::DataTransmission { bytes: 40_000, .. })));
    assert!(said.contains(&Said::Disconnect { reason: "shutting down".into() }), "{said:?}");
    let Some(What::Summary(summary)) = found.last() else { panic!("{found:?}") };
    assert_eq!((summary.streams, summary.handshakes, summary.handshakes_with_keys), (1, 1, 1));
    assert!(summary.records > 4 && summary.records == summary.records_opened, "{summary:?}");
    let sizes: Vec<(u8, usize)> = found
        .iter()
        .filter_map(|what| match what {
            What::Handshake { message, bytes, .. } => Some((*message, *bytes)),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [(1, 32 + 8 + 2 + 3), (2, 96 + 2 + 104), (3, 64 + 104)]);

    let sealed = inspect(&frames, &KeyLog::default(), Limits::default());
    assert_eq!(self::said(&sealed), []);
    let Some(What::Summary(summary)) = sealed.last() else { panic!("{sealed:?}") };
    assert_eq!(
        (summary.handshakes, summary.handshakes_with_keys, summary.records_opened),
        (1, 0, 0)
    );
    assert!(summary.records > 4);
    assert!(!format!("{sealed:?}").contains("heron"));
}

#[test]
fn what_is_missing_is_told_and_ends_its_direction_alone() {
    let (segments, keys) = conversation();
    // One segment of the long packet, which the initiator sends.
    let lost = segments.iter().position(|(from, _, bytes)| *from == 0 && bytes.len() == 500);
    let mut frames = frames(&segments);
    frames.remove(2 + lost.unwrap() + 3);
    let found = inspect(&frames, &keys, Limits::default());
    assert_eq!(texts(&found), [TEXT]);
    let gaps: Vec<u64> = found
        .iter()
        .filter_map(|what| if let What::Gap { bytes, .. } = what { Some(*bytes) } else { None })
        .collect();
    assert_eq!(gaps, [500]);
    assert!(said(&found).contains(&Said::Disconnect { reason: "shutting down".into() }));
}

#[test]
fn a_key_that_does_not_fit_is_told_once() {
    let (segments, keys) = conversation();
    let mut frames = frames(&segments);
    // The first record of the initiator, whose last segment before it was handshake message 3.
    let record = segments.iter().enumerate().filter(|(_, (from, ..))| *from == 0).nth(2).unwrap().0;
    *frames[2 + record].last_mut().unwrap() ^= 1;
    let found = inspect(&frames, &keys, Limits::default());
    let unreadable = found.iter().filter(|what| matches!(what, What::Unreadable { .. })).count();
    assert_eq!(unreadable, 1);
    assert_eq!(texts(&found), [""; 0]);
}

#[test]
fn streams_of_others_and_those_whose_start_is_missing_are_counted() {
    let (segments, keys) = conversation();
    let late = frames(&segments[4..]);
    let found = inspect(&late[2..], &keys, Limits::default());
    let [What::Summary(summary)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((summary.streams, summary.streams_other), (0, 1));
    let http = [(0, START.wrapping_add(1), b"GET / HTTP/1.1\r\n".to_vec())];
    let found = inspect(&frames(&http), &keys, Limits::default());
    let [What::Summary(summary)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((summary.streams, summary.streams_other), (0, 1));
}

#[test]
fn a_stream_that_takes_the_place_of_another_is_a_new_one() {
    let (segments, keys) = conversation();
    let once = frames(&segments);
    let mut twice = once.clone();
    twice.push(written(builder(0, START - 9).syn(), &[]));
    twice.push(written(builder(0, START - 8), b"P2P\x01\0\x05hello"));
    twice.push(written(builder(1, 7000).rst(), &[]));
    let found = inspect(&twice, &keys, Limits::default());
    let ends: Vec<Ending> = found
        .iter()
        .filter_map(|what| if let What::Ended { how, .. } = what { Some(*how) } else { None })
        .collect();
    assert_eq!(ends, [Ending::Replaced, Ending::Reset]);
    let mut closed = once;
    let end = |from: usize| {
        let mut ours = segments.iter().filter(|(sender, ..)| *sender == from);
        let (_, sequence, bytes) = ours.next_back().unwrap();
        written(builder(from, sequence.wrapping_add(bytes.len() as u32)).fin(), &[])
    };
    closed.extend([end(0), end(1)]);
    let found = inspect(&closed, &keys, Limits::default());
    assert!(found.iter().any(|what| matches!(what, What::Ended { how: Ending::Closed, .. })));
}

#[test]
fn streams_over_the_bounds_are_given_up_in_order_of_silence() {
    let limits = Limits { conversations_max: 3, ..Limits::default() };
    let mut frames = Vec::new();
    for port in 1..=5u16 {
        let tcp = PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).tcp(port, 9, 0, 64);
        frames.push(written(tcp, b"P2P\x01"));
    }
    let found = inspect(&frames, &KeyLog::default(), limits);
    let forgotten: Vec<(u16, Ending)> = found
        .iter()
        .filter_map(|what| match what {
            What::Ended { way, how, .. } => Some((way.from.port(), *how)),
            _ => None,
        })
        .collect();
    let (gone, end) = (Ending::Forgotten, Ending::CaptureEnded);
    assert_eq!(forgotten, [(1, gone), (2, gone), (3, end), (4, end), (5, end)]);

    let limits = Limits { held_bytes_max: 4000, ..Limits::default() };
    let early: Vec<Vec<u8>> = (1..=9u16)
        .map(|port| {
            let tcp = PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).tcp(port, 9, 0, 64);
            let ahead =
                PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).tcp(port, 9, 500, 64);
            [written(tcp.syn(), &[]), written(ahead, &[7; 900])]
        })
        .collect::<Vec<_>>()
        .concat();
    inspect(&early, &KeyLog::default(), limits);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the order of frames (SYNs first), and whichever come twice, the same is told of each direction.
    #[test]
    fn the_order_of_frames_makes_no_difference(order in Just(()).prop_perturb(|(), rng| rng), twice: u64) {
        let (segments, keys) = conversation();
        let mut rng = order;
        let mut shuffled = segments.clone();
        for at in (1..shuffled.len()).rev() {
            let other = (rng.next_u64() % (at as u64 + 1)) as usize;
            shuffled.swap(at, other);
        }
        let repeated = shuffled[(twice % shuffled.len() as u64) as usize].clone();
        shuffled.push(repeated);
        let told = |segments: &[Segment]| {
            let found = inspect(&frames(segments), &keys, Limits::default());
            let mut said: Vec<String> = said(&found).iter().map(|said| format!("{said:?}")).collect();
            said.sort();
            said
        };
        prop_assert_eq!(told(&shuffled), told(&segments));
    }

    /// Damaged frames do no harm, and memory stays within its bounds.
    #[test]
    fn damaged_frames_are_borne(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..60),
    ) {
        let (segments, keys) = conversation();
        let mut frames = frames(&segments);
        for (frame, at, to) in changes {
            let frame = frame.index(frames.len());
            let at = at.index(frames[frame].len());
            frames[frame][at] = to;
        }
        inspect(&frames, &keys, Limits { held_bytes_max: 20_000, ..Limits::default() });
    }
}
