//! What is asked of packets before anybody sees them.

use super::super::frame::Frame;
use super::ChannelEffect;
use crate::error::Violation;
use crate::wire::codec::{Malformed, Reader};
use crate::wire::packet::{Packet, PacketKind};
use alloc::vec::Vec;
use bytes::Bytes;

/// Packets that the node itself acts on, beside the application.
pub(super) fn tell_node(kind: PacketKind, frames: &[u8], effects: &mut Vec<ChannelEffect>) {
    let mut from = Reader::new(frames);
    while let Ok(Some(frame)) = Frame::next(&mut from) {
        match Packet::decode(kind, &Bytes::copy_from_slice(frame.body)) {
            Ok(Packet::PeerGroup(group)) => effects.push(ChannelEffect::PeerGroup(group)),
            Ok(Packet::Identity(identity)) => effects.push(ChannelEffect::Identity(identity)),
            _ => {}
        }
    }
}

/// Refuses packets that are longer than this side said it takes.
pub(super) fn check_lengths(frames: &[u8], bytes_max: usize) -> Result<(), Violation> {
    let mut from = Reader::new(frames);
    while let Some(frame) = Frame::next(&mut from)? {
        if frame.body.len() > bytes_max {
            return Err(Violation::TooLong("packet"));
        }
    }
    Ok(())
}

/// Refuses a body that is no packet of its kind, without building the packet where that can be told at a glance.
#[inline]
pub(super) fn check_body(kind: PacketKind, body: &[u8]) -> Result<(), Malformed> {
    match kind {
        PacketKind::PureMessage | PacketKind::TrustStep => Ok(()),
        PacketKind::DataTransmission if body.first().is_some_and(|format| *format <= 2) => Ok(()),
        _ => Packet::decode(kind, &Bytes::copy_from_slice(body)).map(|_| ()),
    }
}
