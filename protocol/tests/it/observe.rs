//! An onlooker with the keys of a key log reads what two nodes say, and one without them doesn't.

use crate::world::{World, quiet};
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::channel::observe::{
    Frame, MAGIC, Offer, RecordOpener, message_length, payload_1, record_length, transcript,
};
use p2pnet_protocol::wire::Reader;
use p2pnet_protocol::*;

const TEXT: &str = "meet me at the old mill";

fn logging() -> Config {
    Config { key_log: true, ..quiet() }
}

fn keys(world: &World, index: usize) -> Vec<ChannelKeys> {
    let events = world.events[index].iter();
    let keys = events.filter_map(|event| match event {
        Event::ChannelKeys(keys) => Some(ChannelKeys::clone(keys)),
        _ => None,
    });
    keys.collect()
}

/// What one side wrote, in one piece.
fn stream(world: &World, index: usize) -> Vec<u8> {
    let chunks = world.tap.iter().flatten().filter(|(from, _)| *from == index);
    chunks.flat_map(|(_, chunk)| chunk.clone()).collect()
}

fn message<'a>(stream: &mut &'a [u8]) -> &'a [u8] {
    let (message, rest) = stream.split_at(message_length(stream).unwrap().unwrap());
    *stream = rest;
    &message[2..]
}

/// A conversation of two nodes, the first of which dialled, and what went over the wire.
fn overheard() -> (World, Vec<u8>, Vec<u8>) {
    let mut world = World::new(vec![logging(), quiet()]);
    world.tap = Some(Vec::new());
    world.join(0, 1);
    let b = world.id(1);
    world.nodes[0].send(world.now, &b, &Packet::message(TEXT)).unwrap();
    world.settle();
    assert_eq!(world.messages(1), [TEXT]);
    let (initiator, responder) = (stream(&world, 0), stream(&world, 1));
    (world, initiator, responder)
}

#[test]
fn keys_are_handed_out_to_whoever_asked_and_both_sides_have_the_same() {
    let mut world = World::new(vec![logging(), quiet(), logging()]);
    world.join(0, 1);
    world.join(2, 0);
    assert_eq!(keys(&world, 1), [], "nobody asked here");
    let (of_a, of_c) = (keys(&world, 0), keys(&world, 2));
    assert_eq!((of_a.len(), of_c.len()), (2, 1));
    assert_eq!(of_a[1], of_c[0]);
    assert_eq!((of_a[0].initiator, of_a[0].responder), (world.id(0), world.id(1)));
    assert_eq!((of_c[0].initiator, of_c[0].responder), (world.id(2), world.id(0)));
    assert_ne!(of_a[0].initiator_key, of_a[0].responder_key);
    assert_ne!(of_a[0].transcript, of_a[1].transcript);
}

#[test]
fn with_the_keys_an_onlooker_reads_every_packet() {
    let (world, initiator, responder) = overheard();
    let keys = keys(&world, 0).remove(0);
    let (mut there, mut back) = (&initiator[..], &responder[..]);
    assert_eq!(there.split_off(..MAGIC.len()), Some(&MAGIC[..]));
    let messages = [message(&mut there), message(&mut back), message(&mut there)];
    let offer = Offer::read(payload_1(messages[0]).unwrap()).unwrap();
    assert_eq!(offer.network, NetworkName::default().tag());
    assert_eq!(offer.versions, [1]);
    assert_eq!(transcript(&keys.network, messages), Some(keys.transcript));
    let elsewhere = NetworkName::new("elsewhere").unwrap();
    assert_ne!(transcript(&elsewhere, messages), Some(keys.transcript));
    assert_eq!(transcript(&keys.network, [messages[0], &[0; 79], messages[2]]), None);

    let crypto = PureCrypto::new().unwrap();
    let mut heard = Vec::new();
    let streams = [(Direction::Outgoing, there), (Direction::Incoming, back)];
    for (direction, mut stream) in streams {
        let mut opener = RecordOpener::new(&keys, direction);
        while let Some(length) = record_length(stream).unwrap() {
            let (record, rest) = stream.split_at(length);
            stream = rest;
            let mut body = record[2..].to_vec();
            body[0] ^= 1;
            assert!(opener.open(&crypto, &mut body).is_err(), "a changed record");
            let mut body = record[2..].to_vec();
            let mut plain = Reader::new(opener.open(&crypto, &mut body).unwrap());
            while let Some(frame) = Frame::next(&mut plain).unwrap() {
                heard.push((direction, frame.kind, frame.body.to_vec()));
            }
        }
        assert!(stream.is_empty());
    }
    let message = (Direction::Outgoing, PacketKind::PureMessage.to_wire(), TEXT.into());
    assert_eq!(heard.iter().filter(|said| **said == message).count(), 1);
}

#[test]
fn what_went_over_the_wire_holds_no_message() {
    let (_, initiator, responder) = overheard();
    for stream in [initiator, responder] {
        assert!(!stream.windows(8).any(|part| TEXT.as_bytes().windows(8).any(|said| said == part)));
    }
}
