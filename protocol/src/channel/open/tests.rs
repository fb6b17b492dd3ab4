use super::*;
use crate::channel::frame::{FIRST, NEXT, PING, put_first, put_frame, put_ping};
use crate::channel::record::TAG_BYTES;
use crate::crypto::Aead;
use crate::discovery::testing::ToyCrypto;
use crate::wire::codec::put_varint;
use alloc::vec;

/// One side of a channel, to which a test says whatever it likes.
struct Ear {
    channel: Channel,
    ciphers: Ciphers<ToyCrypto>,
}

const MESSAGE: u8 = 0x14;
const DATA: u8 = 0x13;

impl Ear {
    fn new(packet_bytes_max: u32) -> Self {
        let half = || Half::new(Aead::ChaCha20Poly1305, &[1; 32]);
        let peer = PeerId([2; 32]);
        let (seal, open) = (half(), half());
        let from = Established { peer, start_nonce: 3, transcript: [4; 32], seal, open };
        let limits = Limits { packet_bytes_max, ..Limits::default() };
        let mut channel = Channel::new(from, ConnId(5), &limits, Instant::ZERO);
        channel.admit(0, vec![], false);
        channel.set_passes(Passes::new(|_| true));
        Self { channel, ciphers: Ciphers::new() }
    }

    /// Hears one record.
    fn hear(&mut self, plain: &[u8]) -> Result<Vec<ChannelEffect>, Violation> {
        let mut record = Vec::from(((plain.len() + TAG_BYTES) as u16).to_be_bytes());
        record.extend_from_slice(plain);
        record.extend_from_slice(&[0; TAG_BYTES]);
        let mut heard = Heard { effects: Vec::new(), bodies: Bodies::new(0) };
        let (ciphers, now) = (&mut self.ciphers, Instant::ZERO);
        let used = self.channel.on_stream(&ToyCrypto, ciphers, now, &mut record, &mut heard)?;
        assert_eq!(used, plain.len() + HEADER_BYTES + TAG_BYTES);
        Ok(heard.effects)
    }
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_frame(&mut frame, kind, body);
    frame
}

fn first(kind: PacketKind, total: usize, part: usize) -> Vec<u8> {
    let mut body = Vec::new();
    put_first(&mut body, kind, total as u32);
    body.extend(vec![0; part]);
    frame(FIRST, &body)
}

fn next(lane: u8, part: usize) -> Vec<u8> {
    let mut body = vec![lane];
    body.extend(vec![0; part]);
    frame(NEXT, &body)
}

fn packets(effects: &[ChannelEffect]) -> usize {
    let received = effects.iter().filter_map(|effect| match effect {
        ChannelEffect::Received(received) => Some(received.clone().count()),
        _ => None,
    });
    received.sum()
}

#[test]
fn a_whole_packet_is_held_to_the_longest_that_this_side_takes() {
    for kind in [MESSAGE, DATA] {
        let short = [frame(kind, &[0; 400]), frame(kind, &[0; 1])].concat();
        let many = [&short[..], &frame(kind, &[0; 2000])].concat();
        assert_eq!(packets(&Ear::new(2000).hear(&many).unwrap()), 3);
        let one_too_long = [&short[..], &frame(kind, &[0; 2001])].concat();
        let refused = Ear::new(2000).hear(&one_too_long).unwrap_err();
        assert_eq!(refused, Violation::TooLong("packet"));
    }
    let step = PacketKind::TrustStep.to_wire();
    assert!(Ear::new(2000).hear(&frame(step, &[0; 2000])).is_ok());
    let refused = Ear::new(2000).hear(&frame(step, &[0; 2001])).unwrap_err();
    assert_eq!(refused, Violation::TooLong("packet"));
}

#[test]
fn a_record_is_held_to_what_this_side_said_it_takes() {
    let of = |bytes: usize| vec![frame(MESSAGE, &[0; 500]); bytes / 503 + 1].concat();
    assert!(Ear::new(2000).hear(&of(2012)[..2012]).is_ok());
    assert_eq!(Ear::new(2000).hear(&of(3000)).unwrap_err(), Violation::TooLong("record"));
    assert!(Ear::new(3000).hear(&of(3000)).is_ok());
    // Before anything is said, and to who takes least.
    assert_eq!((plain_bytes_max(0), plain_bytes_max(1024)), (2048, 2048));
    assert_eq!(plain_bytes_max(1 << 17), 16_384);
}

#[test]
fn nothing_of_a_lane_stands_between_the_parts_of_its_packet() {
    let begins = first(PacketKind::PureMessage, 3000, 2000);
    let ends = next(1, 1000);
    let within =
        |between: Vec<u8>| Ear::new(1 << 17).hear(&[&begins[..], &between, &ends].concat());
    let refused = within(frame(MESSAGE, b"x")).unwrap_err();
    assert_eq!(refused, Violation::Unexpected("packet within a packet"));
    assert!(within(begins.clone()).is_err());
    // Another lane's packets may, and control.
    assert_eq!(packets(&within(frame(DATA, &[2, 1])).unwrap()), 2);
    assert_eq!(packets(&within(frame(PacketKind::TrustStep.to_wire(), b"x")).unwrap()), 2);
}

#[test]
fn a_packet_that_any_record_holds_does_not_come_in_parts() {
    for (total, fits) in [(1, false), (1024, false), (1025, true)] {
        let parts = [first(PacketKind::PureMessage, total, total / 2), next(1, total - total / 2)];
        let heard = Ear::new(1 << 17).hear(&parts.concat());
        assert_eq!(heard.is_ok_and(|effects| packets(&effects) == 1), fits, "{total}");
    }
    let refused = Ear::new(1 << 17).hear(&first(PacketKind::PureMessage, 2000, 0)).unwrap_err();
    assert_eq!(refused, Violation::Unexpected("first part"), "no part is empty");
}

fn open_frame(packet_bytes_max: u32, listen_port: u16) -> Vec<u8> {
    let credit = 1000;
    let (message_credit, bulk_credit) = (credit, credit);
    let open = Open { packet_bytes_max, message_credit, bulk_credit, listen_port, proofs: vec![] };
    let mut frame = Vec::new();
    open.put(&mut frame);
    frame
}

#[test]
fn every_side_takes_packets_of_a_kibibyte() {
    assert!(Ear::new(1 << 17).hear(&open_frame(1024, 0)).is_ok());
    assert!(Ear::new(1 << 17).hear(&open_frame(1023, 0)).is_err());
}

#[test]
fn nothing_counts_after_a_disconnect() {
    let goodbye = frame(PacketKind::Disconnect.to_wire(), &[0]);
    let mut ear = Ear::new(1 << 17);
    let effects = ear.hear(&[goodbye, open_frame(2000, 9), vec![0x7f]].concat()).unwrap();
    assert!(matches!(&effects[..], [ChannelEffect::Goodbye(DisconnectReason::Requested)]));
    for after in [open_frame(2000, 9), frame(MESSAGE, b"x"), frame(PING, &[0; 4]), vec![0x7f]] {
        assert!(ear.hear(&after).unwrap().is_empty());
    }
    assert_eq!(ear.channel.packet_bytes_max(), 0, "the open frame said nothing");
    assert!(!ear.channel.has_signals(), "no ping is answered");
}

#[test]
fn every_frame_counts_whatever_becomes_of_it() {
    let mut ear = Ear::new(1 << 17);
    ear.channel.set_passes(Passes::default());
    let mut plain = Vec::new();
    put_ping(&mut plain, PING, 1);
    plain.extend([frame(MESSAGE, b"x"), frame(MESSAGE, b"y"), frame(DATA, &[2])].concat());
    plain.extend([first(PacketKind::PureMessage, 2000, 1000), next(1, 1000)].concat());
    plain.extend([frame(0x80, b""), frame(PacketKind::TrustStep.to_wire(), b"")].concat());
    plain.extend(open_frame(2000, 0));
    ear.hear(&plain).unwrap();
    assert_eq!((ear.channel.frames_received, ear.channel.counts.packets_received), (9, 0));
}

/// The varint of a frame's length has one form, whatever the frame.
#[test]
fn overlong_lengths_are_refused() {
    let mut good = vec![MESSAGE];
    put_varint(&mut good, 1);
    assert!(Ear::new(1 << 17).hear(&[&good[..], b"x"].concat()).is_ok());
    assert!(Ear::new(1 << 17).hear(&[MESSAGE, 0x81, 0x00, b'x']).is_err());
}

/// What carries nothing and has no credit is bounded by number; what carries something, or gives new credit, isn't.
#[test]
fn frames_that_carry_nothing_end_a_channel_beyond_a_number() {
    let credit = |limit: u64| {
        let mut out = Vec::new();
        frame::put_credit(&mut out, Lane::Bulk, limit);
        out
    };
    let mut growing = Ear::new(1 << 17);
    for limit in 1..5000 {
        growing.hear(&credit(limit)).unwrap();
    }
    let mut ping = Vec::new();
    put_ping(&mut ping, PING, 1);
    let mut pong = Vec::new();
    put_ping(&mut pong, frame::PONG, 1);
    for idle in [ping, pong, credit(0), frame(0x80, b"later")] {
        let mut ear = Ear::new(1 << 17);
        assert!(ear.hear(&idle.repeat(1000)).is_ok());
        assert_eq!(ear.hear(&idle).unwrap_err(), Violation::TooFast);
    }
    let step = frame(PacketKind::TrustStep.to_wire(), b"");
    let mut turned_away = Ear::new(1 << 17);
    turned_away.channel.set_passes(Passes::default());
    assert_eq!(turned_away.hear(&step.repeat(1001)).unwrap_err(), Violation::TooFast);
    assert!(Ear::new(1 << 17).hear(&frame(MESSAGE, b"").repeat(5000)).is_ok());
}

#[test]
fn frames_that_carry_nothing_are_forgotten_with_time() {
    let mut idling = Idling { level: 0, at: Instant::ZERO };
    let mut now = Instant::ZERO;
    for _ in 0..50_000 {
        now = now + Duration::from_millis(10);
        assert_eq!(idling.count(now), Ok(()));
    }
    assert!(idling.level <= 2);
    let burst = (0..2000).take_while(|_| idling.count(now).is_ok()).count();
    assert!((998..=1000).contains(&burst), "{burst}");
}
