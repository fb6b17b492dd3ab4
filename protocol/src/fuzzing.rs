//! Doors for fuzz targets to decoders that have no other from outside. The feature `fuzzing` is no part of the API.

use crate::channel::frame::{self, Frame, Open};
use crate::error::Violation;
use crate::wire::codec::Reader;
use crate::wire::packet::{Packet, PacketKind};
use alloc::vec::Vec;
use bytes::Bytes;

/// A record's plaintext, read and written again.
#[derive(Debug)]
pub struct Frames {
    /// What was understood, encoded.
    pub again: Vec<u8>,
    /// Whether something was skipped that a later version may understand: a frame, an address, a proof, what follows
    /// the known fields. Otherwise `again` must be what was read.
    pub skipped: bool,
}

/// Reads the frames of a record as a channel does, apart from what depends on its state.
///
/// # Errors
/// [`Violation`] for what would end a channel.
pub fn frames(plain: &[u8]) -> Result<Frames, Violation> {
    let mut from = Reader::new(plain);
    let mut found = Frames { again: Vec::new(), skipped: false };
    while let Some(read) = Frame::next(&mut from)? {
        let before = found.again.len();
        put_again(&read, &mut found)?;
        // Whatever is skipped within a frame makes it shorter.
        found.skipped |= found.again.len().saturating_sub(before) < read.bytes;
    }
    Ok(found)
}

fn put_again(read: &Frame<'_>, found: &mut Frames) -> Result<(), Violation> {
    let out = &mut found.again;
    match read.kind {
        kind @ (frame::PING | frame::PONG) => {
            frame::put_ping(out, kind, frame::parse_ping(read.body)?);
        }
        frame::CREDIT => {
            let (lane, limit) = frame::parse_credit(read.body)?;
            frame::put_credit(out, lane, limit);
        }
        frame::OPEN => Open::parse(read.body)?.put(out),
        frame::FIRST => {
            let (kind, total, part) = frame::parse_first(read.body)?;
            let mut body = Vec::new();
            frame::put_first(&mut body, kind, total);
            body.extend_from_slice(part);
            frame::put_frame(out, frame::FIRST, &body);
        }
        kind if kind == frame::NEXT || kind >= frame::SKIPPABLE => {
            found.skipped |= kind >= frame::SKIPPABLE;
            frame::put_frame(out, kind, read.body);
        }
        kind => {
            let kind = PacketKind::from_wire(kind).ok_or(Violation::UnknownPacket(kind))?;
            let packet = Packet::decode(kind, &Bytes::copy_from_slice(read.body))?;
            frame::put_frame(out, kind.to_wire(), &packet.encode());
        }
    }
    Ok(())
}
