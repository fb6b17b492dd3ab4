//! Frames: what a record's plaintext is made of. A kind, a varint length, a body (`docs/wire.md`, "Frames").

use crate::config::Lane;
use crate::error::Violation;
use crate::wire::codec::{Malformed, Reader, put_prefixed, put_varint};
use crate::wire::packet::PacketKind;
use crate::wire::proof::Proof;
use alloc::vec::Vec;

/// A sign of life that asks for another.
pub const PING: u8 = 0x01;
/// The answer to a ping, with its number.
pub const PONG: u8 = 0x02;
/// How far the sender may go in a lane.
pub const CREDIT: u8 = 0x03;
/// Admission: what the sender takes, and its proofs of membership.
pub const OPEN: u8 = 0x04;
/// The first part of a packet that comes in several.
pub const FIRST: u8 = 0x05;
/// A further part of a packet.
pub const NEXT: u8 = 0x06;
/// Unknown kinds from here on are skipped; below they end the channel.
pub const SKIPPABLE: u8 = 0x80;

/// Packets up to this length are never cut, and every side takes them.
pub(crate) const WHOLE_BYTES_MAX: usize = 1024;

/// The lane that packets of this kind go in.
pub const fn lane_of(kind: PacketKind) -> Lane {
    match kind {
        PacketKind::Disconnect | PacketKind::TrustStep => Lane::Control,
        PacketKind::PureMessage | PacketKind::PeerGroup | PacketKind::Identity => Lane::Message,
        PacketKind::DataTransmission => Lane::Bulk,
    }
}

/// One frame of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: u8,
    /// What it says.
    pub body: &'a [u8],
    /// The frame's length with its header.
    pub bytes: usize,
}

impl<'a> Frame<'a> {
    /// Reads the next frame; `None` at the end of the record.
    ///
    /// # Errors
    /// [`Malformed`] if it is longer than what is left.
    #[inline]
    pub fn next(from: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        if from.is_empty() {
            return Ok(None);
        }
        let before = from.rest().len();
        let kind = from.u8("frame")?;
        let body = from.prefixed(super::record::PLAIN_BYTES_MAX, "frame length")?;
        Ok(Some(Self { kind, body, bytes: before.saturating_sub(from.rest().len()) }))
    }
}

/// Appends a frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    put_prefixed(out, body);
}

pub(crate) fn put_ping(out: &mut Vec<u8>, kind: u8, number: u32) {
    put_frame(out, kind, &number.to_be_bytes());
}

/// Reads the number of a ping or a pong.
///
/// # Errors
/// [`Malformed`] if it isn't one number.
pub fn parse_ping(body: &[u8]) -> Result<u32, Malformed> {
    let mut from = Reader::new(body);
    let number = from.u32("ping")?;
    from.end("ping")?;
    Ok(number)
}

pub(crate) fn put_credit(out: &mut Vec<u8>, lane: Lane, limit: u64) {
    let mut body = Vec::with_capacity(9);
    body.push(if lane == Lane::Bulk { 2 } else { 1 });
    body.extend_from_slice(&limit.to_be_bytes());
    put_frame(out, CREDIT, &body);
}

/// Reads a credit frame: the lane, and how far its sender may go.
///
/// # Errors
/// [`Malformed`] if it isn't exactly that.
pub fn parse_credit(body: &[u8]) -> Result<(Lane, u64), Malformed> {
    let mut from = Reader::new(body);
    let lane = match from.u8("lane")? {
        1 => Lane::Message,
        2 => Lane::Bulk,
        _ => return Err(Malformed("lane")),
    };
    let limit = from.u64("credit")?;
    from.end("credit")?;
    Ok((lane, limit))
}

/// What a side says when it lets the other in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The longest packet it takes.
    pub packet_bytes_max: u32,
    /// How far the other may go in the message lane for now.
    pub message_credit: u32,
    /// How far the other may go in the bulk lane for now.
    pub bulk_credit: u32,
    /// The port it accepts connections on; 0 if it doesn't.
    pub listen_port: u16,
    /// Its proofs of membership.
    pub proofs: Vec<Proof>,
}

/// The most bytes of encoded proofs.
const PROOFS_BYTES_MAX: usize = 2048;

impl Open {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut proofs = Vec::new();
        Proof::encode_all(&self.proofs, &mut proofs);
        let mut body = Vec::with_capacity(20usize.saturating_add(proofs.len()));
        body.extend_from_slice(&self.packet_bytes_max.to_be_bytes());
        body.extend_from_slice(&self.message_credit.to_be_bytes());
        body.extend_from_slice(&self.bulk_credit.to_be_bytes());
        body.extend_from_slice(&self.listen_port.to_be_bytes());
        put_prefixed(&mut body, &proofs);
        put_frame(out, OPEN, &body);
    }

    /// Reads an open frame's body. What follows the known fields is left for later versions and skipped.
    ///
    /// # Errors
    /// [`Violation`] if a field is missing or malformed.
    pub fn parse(body: &[u8]) -> Result<Self, Violation> {
        let mut from = Reader::new(body);
        Ok(Self {
            packet_bytes_max: from.u32("open frame")?,
            message_credit: from.u32("open frame")?,
            bulk_credit: from.u32("open frame")?,
            listen_port: from.u16("open frame")?,
            proofs: Proof::decode_all(from.prefixed(PROOFS_BYTES_MAX, "proofs")?)?,
        })
    }
}

/// Appends the header of a packet's first part.
pub(crate) fn put_first(out: &mut Vec<u8>, kind: PacketKind, total: u32) {
    out.push(kind.to_wire());
    put_varint(out, total);
}

/// Reads a packet's first part: its kind, the length of all its parts, and the part.
///
/// # Errors
/// [`Violation`] if it is malformed or of unknown kind.
pub fn parse_first(body: &[u8]) -> Result<(PacketKind, u32, &[u8]), Violation> {
    let mut from = Reader::new(body);
    let kind = from.u8("packet kind")?;
    let kind = PacketKind::from_wire(kind).ok_or(Violation::UnknownPacket(kind))?;
    let total = from.varint("packet length")?;
    Ok((kind, total, from.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn frames_round_trip() {
        let open = Open {
            packet_bytes_max: 1,
            message_credit: 2,
            bulk_credit: 3,
            listen_port: 4,
            proofs: vec![Proof::Secret { mac: [5; 32] }],
        };
        let mut plain = Vec::new();
        put_ping(&mut plain, PING, 7);
        put_credit(&mut plain, Lane::Bulk, 8);
        open.put(&mut plain);
        let mut from = Reader::new(&plain);
        let ping = Frame::next(&mut from).unwrap().unwrap();
        assert_eq!((ping.kind, parse_ping(ping.body), ping.bytes), (PING, Ok(7), 6));
        let credit = Frame::next(&mut from).unwrap().unwrap();
        assert_eq!(parse_credit(credit.body), Ok((Lane::Bulk, 8)));
        let opened = Frame::next(&mut from).unwrap().unwrap();
        assert_eq!(Open::parse(opened.body), Ok(open.clone()));
        let mut later = opened.body.to_vec();
        later.extend_from_slice(b"a field of a later version");
        assert_eq!(Open::parse(&later), Ok(open));
        assert_eq!(Frame::next(&mut from), Ok(None));
    }

    #[test]
    fn frames_longer_than_their_record_are_refused() {
        assert!(Frame::next(&mut Reader::new(&[PING])).is_err());
        assert!(Frame::next(&mut Reader::new(&[PING, 2, 0])).is_err());
        assert!(parse_credit(&[3, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert_eq!(parse_first(&[0x7f, 1]), Err(Violation::UnknownPacket(0x7f)));
    }

    fn any_open() -> impl Strategy<Value = Open> {
        let proofs = prop::collection::vec(any::<[u8; 32]>(), 0..=Proof::COUNT_MAX);
        (any::<[u32; 3]>(), any::<u16>(), proofs).prop_map(|(numbers, listen_port, macs)| Open {
            packet_bytes_max: numbers[0],
            message_credit: numbers[1],
            bulk_credit: numbers[2],
            listen_port,
            proofs: macs.into_iter().map(|mac| Proof::Secret { mac }).collect(),
        })
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_and_nothing_shorter_is(
            open in any_open(),
            number: u32,
            limit: u64,
            bulk: bool,
            total: u32,
            part in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let lane = if bulk { Lane::Bulk } else { Lane::Message };
            let mut plain = Vec::new();
            open.put(&mut plain);
            let mut ends = vec![plain.len()];
            put_ping(&mut plain, PONG, number);
            ends.push(plain.len());
            put_credit(&mut plain, lane, limit);
            ends.push(plain.len());
            let mut first = Vec::new();
            put_first(&mut first, PacketKind::DataTransmission, total);
            first.extend_from_slice(&part);
            put_frame(&mut plain, FIRST, &first);
            ends.push(plain.len());

            let mut from = Reader::new(&plain);
            let mut bodies = Vec::new();
            while let Some(frame) = Frame::next(&mut from).unwrap() {
                bodies.push((frame.kind, frame.body));
            }
            prop_assert_eq!(bodies.iter().map(|body| body.0).collect::<Vec<_>>(), [OPEN, PONG, CREDIT, FIRST]);
            prop_assert_eq!(Open::parse(bodies[0].1), Ok(open));
            prop_assert_eq!(parse_ping(bodies[1].1), Ok(number));
            prop_assert_eq!(parse_credit(bodies[2].1), Ok((lane, limit)));
            prop_assert_eq!(
                parse_first(bodies[3].1),
                Ok((PacketKind::DataTransmission, total, &part[..]))
            );
            // Cut anywhere but between frames, it doesn't read.
            for cut in 0..plain.len() {
                let mut from = Reader::new(&plain[..cut]);
                let whole = loop {
                    match Frame::next(&mut from) {
                        Ok(Some(_)) => {}
                        Ok(None) => break true,
                        Err(_) => break false,
                    }
                };
                prop_assert_eq!(whole, cut == 0 || ends.contains(&cut));
            }
        }
    }
}
