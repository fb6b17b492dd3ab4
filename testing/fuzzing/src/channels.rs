//! A node and a peer that authenticates well and says anything at all.

use crate::node::{self, Node, START};
use crate::script::Script;
use crate::speaker::{Line, Speaker};
use crate::watch::Watch;
use p2pnet_protocol::trust::policy::{IncomingPeerTrustPolicy, TrustPolicies};
use p2pnet_protocol::{
    CloseCause, Config, ConnId, Duration, Event, IncomingPeerPlacement, Instant, Lane, ListenerId,
    Output,
};

/// The most that a record may hold.
const PLAIN_BYTES_MAX: usize = 16_384;

/// A configuration by the script's choice: trust, placement, the application's handshake.
fn config(script: &mut Script<'_>) -> Config {
    let choice = script.byte();
    let incoming = IncomingPeerTrustPolicy {
        trust_authenticated: choice & 1 != 0,
        allow_enhanced_packet_exchange: choice & 2 != 0,
        application_handshake: choice & 4 != 0,
        ..IncomingPeerTrustPolicy::default()
    };
    let placement = if choice & 8 != 0 {
        IncomingPeerPlacement::QueueAndEventBased
    } else {
        IncomingPeerPlacement::EventBased
    };
    Config {
        policies: TrustPolicies { incoming, ..TrustPolicies::default() },
        placement,
        limits: node::tight(),
        ..Config::default()
    }
}

fn received(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Event(Event::Received(_))))
}

/// The node accepts; the payloads of the caller's handshake messages are altered, or not.
pub(crate) fn handshake_in(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let mut node = node::quiet(config(&mut script), 0);
    let mut watch = Watch::default();
    let mut speaker = Speaker::new(1);
    let conn = node.handle_incoming(START, ListenerId(0), node::dialling(1, 40_000));
    let conn = conn.expect("there is room");
    let (mut offer, mut introduction) = (speaker.offer(), speaker.introduction());
    let offer_altered = script.alter(&mut offer);
    let proof = introduction[..96].to_vec();
    script.alter(&mut introduction);
    let proved = introduction.starts_with(&proof) && introduction.len() >= 104;
    let line = speaker.call(&mut node, START, conn, &offer, &introduction);
    watch.drain(&mut node);
    let pending = node.peer(&speaker.id()).is_some_and(|view| view.conn == Some(conn));
    assert!(proved || !pending, "an identity without its proof was believed");
    if !offer_altered {
        assert_eq!(pending, proved, "an honest handshake succeeds");
    }
    if let Some(line) = line {
        talk(&mut node, &mut watch, &speaker, line, conn, script);
    }
    watch.seen
}

/// The node dials; the payload of the answer is altered, or not.
pub(crate) fn handshake_out(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let mut node = node::quiet(config(&mut script), 0);
    let mut watch = Watch::default();
    let mut speaker = Speaker::new(2);
    let wrong = script.byte().is_multiple_of(4);
    let expect = match script.byte() % 4 {
        0 if wrong => Some(node.id()),
        1 if wrong => Some(Speaker::new(3).id()),
        2 => Some(speaker.id()),
        _ => None,
    };
    let Ok(conn) = node.connect(START, node::address(1), expect) else {
        assert_eq!(expect, Some(node.id()));
        return 1;
    };
    node.handle_connected(START, conn, node::dialling(0, 40_000));
    watch.drain(&mut node);
    let mut answer = speaker.answer();
    let proof = answer[2..98].to_vec();
    script.alter(&mut answer);
    let proved = answer.get(2..98) == Some(&proof) && answer.len() >= 106;
    let line = speaker.take_call(&mut node, START, conn, &answer);
    watch.drain(&mut node);
    let known = node
        .peer(&speaker.id())
        .is_some_and(|view| view.conn == Some(conn) && view.stats.bytes_sent > 0);
    assert!(proved || !known, "an identity without its proof was believed");
    assert!(expect.is_none_or(|expect| expect == speaker.id()) || line.is_none());
    if let Some(line) = line {
        assert!(proved);
        talk(&mut node, &mut watch, &speaker, line, conn, script);
    }
    watch.seen
}

/// An honest handshake, and then whatever frames the script makes.
pub(crate) fn channel(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let mut node = node::quiet(config(&mut script), 0);
    let mut watch = Watch::default();
    let mut speaker = Speaker::new(1);
    let from = node::dialling(1, 40_000);
    let conn = node.handle_incoming(START, ListenerId(0), from).expect("there is room");
    let (offer, introduction) = (speaker.offer(), speaker.introduction());
    let line = speaker.call(&mut node, START, conn, &offer, &introduction).expect("it is honest");
    watch.drain(&mut node);
    let _ = node.accept(START, &speaker.id());
    talk(&mut node, &mut watch, &speaker, line, conn, script);
    watch.seen
}

/// The script goes on: records with frames, bytes that are no records, time, and what the application does.
fn talk(
    node: &mut Node,
    watch: &mut Watch,
    speaker: &Speaker,
    mut line: Line,
    conn: ConnId,
    mut script: Script<'_>,
) {
    let mut now = START;
    let mut broken = false;
    while !script.is_over() {
        let was_broken = broken;
        let outputs = match script.byte() % 8 {
            0..=2 => {
                let record = speaker.record(&mut line, script.bytes(255));
                stream(node, watch, now, conn, record, &mut script)
            }
            3 => {
                let plain = several_frames(&mut script);
                let record = speaker.record(&mut line, &plain);
                stream(node, watch, now, conn, record, &mut script)
            }
            4 => {
                let mut record = speaker.record(&mut line, script.bytes(64));
                broken |= script.alter(&mut record);
                stream(node, watch, now, conn, record, &mut script)
            }
            5 => {
                now = now + Duration::from_millis(u64::from(script.word()));
                watch.pass(node, now)
            }
            6 => {
                application(node, watch, now, conn, speaker, &mut script);
                watch.drain(node)
            }
            _ => {
                while node.poll_write(conn, 4096).is_some() {}
                watch.drain(node)
            }
        };
        assert!(!was_broken || !received(&outputs), "nothing comes by a broken stream");
    }
    node.handle_closed(now, conn, CloseCause::EndOfStream);
    watch.on_closed(conn);
    watch.drain(node);
    assert!(node.open_peers().is_empty(), "the only stream is over");
}

/// One to 32 frames of a kind and size that the script chooses, so that a short script makes much payload.
fn several_frames(script: &mut Script<'_>) -> Vec<u8> {
    let (count, kind, body) = (1 + script.byte() % 32, script.byte(), script.bytes(127));
    let filler = usize::from(script.byte() % 32) * 16;
    let mut plain = Vec::new();
    for _ in 0..count {
        let body = [body, &vec![0; filler][..]].concat();
        if plain.len() + body.len() + 4 > PLAIN_BYTES_MAX {
            break;
        }
        plain.push(kind);
        p2pnet_protocol::wire::codec::put_prefixed(&mut plain, &body);
    }
    plain
}

/// Hands bytes over whole or in two pieces.
fn stream(
    node: &mut Node,
    watch: &mut Watch,
    now: Instant,
    conn: ConnId,
    mut bytes: Vec<u8>,
    script: &mut Script<'_>,
) -> Vec<Output> {
    let at = usize::from(script.byte()).min(bytes.len());
    let (head, tail) = bytes.split_at_mut(at);
    node.handle_stream(now, conn, head);
    node.handle_stream(now, conn, tail);
    watch.drain(node)
}

fn application(
    node: &mut Node,
    watch: &mut Watch,
    now: Instant,
    conn: ConnId,
    speaker: &Speaker,
    script: &mut Script<'_>,
) {
    use p2pnet_protocol::{BlockTarget, DisconnectReason, Packet, Trust};
    let peer = speaker.id();
    // Refusals are part of the story.
    let _: Result<(), String> = match script.byte() % 12 {
        0 => node.accept(now, &peer).map_err(|error| error.to_string()),
        1 => node.refuse(now, &peer).map_err(|error| error.to_string()),
        2 => node.trust(now, peer).map_err(|error| error.to_string()),
        3 => node.untrust(now, peer).map_err(|error| error.to_string()),
        4 => {
            node.finish_trust_handshake(now, conn, Some(Trust::Trusted)).map_err(|e| e.to_string())
        }
        5 => node.finish_trust_handshake(now, conn, None).map_err(|error| error.to_string()),
        6 => node.disconnect(now, &peer, DisconnectReason::Requested).map_err(|e| e.to_string()),
        7 => node.block(now, BlockTarget::Peer(peer)).map_err(|error| error.to_string()),
        8 => {
            let size = usize::from(script.word()) % 1400;
            node.send(now, &peer, &Packet::message(vec![1; size])).map_err(|e| e.to_string())
        }
        9 => {
            let size = usize::from(script.word()) % 1400;
            node.send(now, &peer, &Packet::misc_data(vec![1; size])).map_err(|e| e.to_string())
        }
        10 => {
            node.shutdown(now);
            Ok(())
        }
        _ => {
            let most = u32::from(script.word());
            for lane in [Lane::Control, Lane::Message, Lane::Bulk] {
                let bytes = watch.give_back(conn, lane, most);
                node.consumed(now, conn, lane, bytes);
            }
            Ok(())
        }
    };
}
