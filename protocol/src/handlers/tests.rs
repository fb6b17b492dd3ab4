use super::*;
use crate::config::{Lane, Trust};
use crate::io::{CloseCause, Direction};
use crate::time::Duration;
use crate::wire::codec::put_prefixed;
use crate::wire::packet::{DataPayloadFormat, DisconnectReason};
use alloc::sync::Arc;
use alloc::vec;
use bytes::Bytes;
use std::sync::Mutex;

extern crate std;

const PEER: PeerId = PeerId([1; 32]);
const CONN: ConnId = ConnId(7);
const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn received(packets: &[Packet]) -> Event {
    let kind = packets[0].kind();
    let mut run = Vec::new();
    for packet in packets {
        run.push(kind.to_wire());
        put_prefixed(&mut run, &packet.encode());
    }
    Event::Received(Received::frames(PEER, CONN, kind, Lane::Message, run.into()))
}

fn step(message: &'static [u8]) -> Event {
    let message = Bytes::from_static(message);
    received(&[Packet::TrustStep(TrustStepPacket { message })])
}

fn started() -> Event {
    started_on(CONN)
}

fn started_on(conn: ConnId) -> Event {
    let direction = Direction::Outgoing;
    let (listed, transcript) = (false, [9; 32]);
    Event::TrustHandshakeStarted { peer: PEER, conn, listed, transcript, direction }
}

fn closed(reason: CloseReason) -> Event {
    let at = "192.0.2.1:9".parse().unwrap();
    Event::PeerClosed { peer: PEER, conn: CONN, at, reason, unsent: 0 }
}

fn react(handlers: &mut Handlers, event: &Event) -> (Disposition, Vec<Command>) {
    let mut commands = Vec::new();
    let disposition = handlers.react(NOW, event, &mut commands);
    (disposition, commands)
}

fn every_kind() -> [Packet; 4] {
    [
        Packet::Identity(IdentityPacket { label: "ada".into(), note: String::new() }),
        Packet::PeerGroup(PeerGroupPacket::default()),
        Packet::misc_data("data"),
        Packet::message("hello"),
    ]
}

#[test]
fn without_handlers_everything_passes() {
    let mut handlers = Handlers::default();
    for packet in every_kind() {
        assert_eq!(react(&mut handlers, &received(&[packet])), (Disposition::Pass, vec![]));
    }
    for event in [step(b"x"), started(), Event::RoutineDue { name: "mine".into() }] {
        assert_eq!(react(&mut handlers, &event), (Disposition::Pass, vec![]));
    }
}

#[test]
fn each_kind_goes_to_its_handler_with_its_sender() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut handlers = Handlers::default();
    let note = |what: &'static str| {
        let heard = heard.clone();
        move |peer: PeerId| heard.lock().unwrap().push((what, peer))
    };
    let (identity, group, data, message) =
        (note("identity"), note("group"), note("data"), note("message"));
    handlers
        .on_identity(move |_, peer, packet| {
            assert_eq!(packet.label, "ada");
            identity(peer);
        })
        .on_peer_group(move |_, peer, _| group(peer))
        .on_data_transmission(move |_, peer, packet| {
            assert_eq!(packet.format, DataPayloadFormat::MiscData);
            data(peer);
        })
        .on_pure_message(move |_, peer, packet| {
            assert_eq!(packet.text(), "hello");
            message(peer);
        });
    for packet in every_kind() {
        assert_eq!(react(&mut handlers, &received(&[packet])), (Disposition::Consumed, vec![]));
    }
    let expected = ["identity", "group", "data", "message"].map(|what| (what, PEER));
    assert_eq!(*heard.lock().unwrap(), expected);
    assert_eq!(handlers.handled().count(), 4);
}

#[test]
fn a_handler_sees_every_packet_of_a_batch_in_order_and_can_answer() {
    let mut handlers = Handlers::default();
    handlers.on_pure_message(|wishes, peer, said| wishes.send(peer, Packet::PureMessage(said)));
    let packets = ["one", "two", "three"].map(Packet::message);
    let (disposition, commands) = react(&mut handlers, &received(&packets));
    assert_eq!(disposition, Disposition::Consumed);
    assert_eq!(commands, packets.map(|packet| Command::Send { peer: PEER, packet }));
}

#[test]
fn an_empty_handler_silences_and_forgetting_it_brings_the_default_back() {
    let mut handlers = Handlers::default();
    handlers.on_pure_message(|_, _, _| {});
    let event = received(&[Packet::message("hello")]);
    assert_eq!(react(&mut handlers, &event), (Disposition::Consumed, vec![]));
    handlers.forget_packet(PacketKind::PureMessage);
    assert_eq!(react(&mut handlers, &event), (Disposition::Pass, vec![]));
}

#[test]
fn the_raw_stream_passes_what_handlers_took_and_leaves_it_whole() {
    let mut handlers = Handlers::default();
    let heard = Arc::new(Mutex::new(0));
    let count = heard.clone();
    handlers.on_pure_message(move |_, _, _| *count.lock().unwrap() += 1).raw_stream(true);
    let event = received(&[Packet::message("hello")]);
    assert_eq!(react(&mut handlers, &event).0, Disposition::Pass);
    assert_eq!(*heard.lock().unwrap(), 1);
    let Event::Received(left) = event else { panic!() };
    assert_eq!(left.collect::<Vec<_>>(), [Packet::message("hello")]);
}

#[test]
fn a_disconnect_by_the_peer_is_told_and_goes_on() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let reasons = heard.clone();
    let mut handlers = Handlers::default();
    handlers
        .on_disconnect(move |_, peer, packet| reasons.lock().unwrap().push((peer, packet.reason)));
    for reason in [
        CloseReason::Remote(DisconnectReason::ShuttingDown),
        CloseReason::Local(DisconnectReason::Requested),
        CloseReason::Lost(CloseCause::Reset),
    ] {
        assert_eq!(react(&mut handlers, &closed(reason)), (Disposition::Pass, vec![]));
    }
    assert_eq!(*heard.lock().unwrap(), [(PEER, DisconnectReason::ShuttingDown)]);
}

#[test]
fn routines_go_to_their_handlers_by_name() {
    let mut handlers = Handlers::default();
    handlers.on_routine("mine", |wishes| {
        assert_eq!(wishes.now, NOW);
        wishes.command(Command::SendAll { packet: Packet::message("tick") });
    });
    let tick = Command::SendAll { packet: Packet::message("tick") };
    let mine = react(&mut handlers, &Event::RoutineDue { name: "mine".into() });
    assert_eq!(mine, (Disposition::Consumed, vec![tick]));
    let other = react(&mut handlers, &Event::RoutineDue { name: "other".into() });
    assert_eq!(other, (Disposition::Pass, vec![]));
}

#[test]
fn the_identifier_is_derived_by_default_and_replaceable() {
    let mut handlers = Handlers::default();
    let source = IdentifierSource::default();
    assert_eq!(handlers.identifier(&source), identifier::derive(&source));
    handlers.set_identifier(|_| "ada's laptop".into());
    assert_eq!(handlers.identifier(&source), "ada's laptop");
}

/// A handshake that does what the peer's messages say, to try every step.
struct Puppet {
    session: TrustSession,
}

impl PeerTrustHandshake for Puppet {
    fn on_start(&mut self) -> Vec<Step> {
        assert_eq!(self.session.transcript, [9; 32]);
        vec![Step::Send(Bytes::from_static(b"hello")), Step::Wait(Duration::from_secs(3))]
    }

    fn on_message(&mut self, message: &[u8]) -> Vec<Step> {
        match message {
            b"raise" => vec![Step::Raise(Trust::Trusted), Step::Wait(Duration::from_secs(1))],
            b"confirm" => vec![Step::Confirm(Trust::Trusted), Step::Send(Bytes::new())],
            b"refuse" => vec![Step::Refuse],
            _ => vec![],
        }
    }

    fn on_timeout(&mut self) -> Vec<Step> {
        vec![Step::Send(Bytes::from_static(b"still there?")), Step::Wait(Duration::from_secs(2))]
    }
}

fn with_puppet() -> Handlers {
    let mut handlers = Handlers::default();
    handlers.trust_handshake(|session| Puppet { session: *session });
    let (disposition, commands) = react(&mut handlers, &started());
    assert_eq!((disposition, commands), (Disposition::Consumed, vec![send(b"hello")]));
    assert_eq!(handlers.poll_timeout(), Some(NOW + Duration::from_secs(3)));
    handlers
}

fn send(message: &'static [u8]) -> Command {
    Command::TrustStep { conn: CONN, message: Bytes::from_static(message) }
}

#[test]
fn a_handshake_sends_raises_and_confirms() {
    let mut handlers = with_puppet();
    let raise = Command::SetTrust { conn: CONN, trust: Trust::Trusted };
    assert_eq!(react(&mut handlers, &step(b"raise")), (Disposition::Consumed, vec![raise]));
    let confirm = Command::FinishTrust { conn: CONN, trust: Some(Trust::Trusted) };
    assert_eq!(react(&mut handlers, &step(b"confirm")), (Disposition::Consumed, vec![confirm]));
    // It is over: nothing runs, and what comes late is dropped.
    assert_eq!(handlers.poll_timeout(), None);
    assert_eq!(react(&mut handlers, &step(b"refuse")), (Disposition::Consumed, vec![]));
}

#[test]
fn a_refused_handshake_ends_the_channel() {
    let mut handlers = with_puppet();
    let refuse = Command::FinishTrust { conn: CONN, trust: None };
    assert_eq!(react(&mut handlers, &step(b"refuse")), (Disposition::Consumed, vec![refuse]));
}

#[test]
fn messages_after_the_end_in_the_same_batch_are_dropped() {
    let mut handlers = with_puppet();
    let messages = [&b"confirm"[..], b"refuse"]
        .map(|message| Packet::TrustStep(TrustStepPacket { message: Bytes::from_static(message) }));
    let confirm = Command::FinishTrust { conn: CONN, trust: Some(Trust::Trusted) };
    let batch = react(&mut handlers, &received(&messages));
    assert_eq!(batch, (Disposition::Consumed, vec![confirm]));
}

#[test]
fn a_wait_ends_in_a_timeout_unless_a_message_comes_first() {
    let mut handlers = with_puppet();
    let mut commands = Vec::new();
    handlers.wake(NOW + Duration::from_secs(2), &mut commands);
    assert_eq!(commands, vec![]);
    handlers.wake(NOW + Duration::from_secs(3), &mut commands);
    assert_eq!(commands, vec![send(b"still there?")]);
    assert_eq!(handlers.poll_timeout(), Some(NOW + Duration::from_secs(5)));
    let _ = react(&mut handlers, &step(b"anything"));
    assert_eq!(handlers.poll_timeout(), None);
}

#[test]
fn the_default_timeout_refuses() {
    struct Patient;
    impl PeerTrustHandshake for Patient {
        fn on_start(&mut self) -> Vec<Step> {
            vec![Step::Wait(Duration::from_secs(1))]
        }
        fn on_message(&mut self, _: &[u8]) -> Vec<Step> {
            vec![]
        }
    }
    let mut handlers = Handlers::default();
    handlers.trust_handshake(|_| Patient);
    assert_eq!(react(&mut handlers, &started()), (Disposition::Consumed, vec![]));
    let mut commands = Vec::new();
    handlers.wake(NOW + Duration::from_secs(1), &mut commands);
    assert_eq!(commands, [Command::FinishTrust { conn: CONN, trust: None }]);
    assert_eq!(handlers.poll_timeout(), None);
}

/// What belongs to one channel never reaches another one to the same peer.
#[test]
fn a_channel_that_takes_over_ends_the_handshake_of_the_one_before() {
    let mut handlers = with_puppet();
    let next = ConnId(8);
    let hello = Command::TrustStep { conn: next, message: Bytes::from_static(b"hello") };
    assert_eq!(react(&mut handlers, &started_on(next)), (Disposition::Consumed, vec![hello]));
    // A message that the old channel still had.
    assert_eq!(react(&mut handlers, &step(b"confirm")), (Disposition::Consumed, vec![]));
    let mut commands = Vec::new();
    handlers.wake(NOW + Duration::from_secs(3), &mut commands);
    let again = Command::TrustStep { conn: next, message: Bytes::from_static(b"still there?") };
    assert_eq!(commands, [again], "one is awake, and not two");
}

#[test]
fn a_closed_channel_ends_its_handshake() {
    let mut handlers = with_puppet();
    let silent = react(&mut handlers, &closed(CloseReason::Silent));
    assert_eq!(silent, (Disposition::Pass, vec![]));
    assert_eq!(handlers.poll_timeout(), None);
    assert_eq!(react(&mut handlers, &step(b"confirm")), (Disposition::Consumed, vec![]));
}
