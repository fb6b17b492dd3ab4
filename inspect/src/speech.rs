//! What the frames of one direction say, packets in parts put together.

use crate::finding::Said;
use bytes::{Bytes, BytesMut};
use p2pnet_protocol::channel::observe::{self, Frame, Open};
use p2pnet_protocol::wire::proof::Proof;
use p2pnet_protocol::wire::{Malformed, Reader};
use p2pnet_protocol::{Lane, Packet, PacketKind, Violation};

/// A packet that comes in parts.
#[derive(Debug)]
struct Assembly {
    kind: PacketKind,
    total: u64,
    received: u64,
    /// Its body, as far as it is kept.
    body: BytesMut,
}

/// One direction's frames.
#[derive(Debug)]
pub(crate) struct Speech {
    packet_bytes_max: usize,
    message: Option<Assembly>,
    bulk: Option<Assembly>,
}

impl Speech {
    /// Puts packets of at most `packet_bytes_max` together.
    pub(crate) const fn new(packet_bytes_max: usize) -> Self {
        Self { packet_bytes_max, message: None, bulk: None }
    }

    /// What it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = |lane: &Option<Assembly>| lane.as_ref().map_or(0, |half| half.body.capacity());
        held(&self.message).saturating_add(held(&self.bulk))
    }

    /// Tells what the frames of a record say, in order.
    pub(crate) fn on_record(&mut self, plain: &[u8], tell: &mut dyn FnMut(Said)) {
        let mut from = Reader::new(plain);
        loop {
            match Frame::next(&mut from) {
                Ok(Some(frame)) => match self.on_frame(frame) {
                    Ok(Some(said)) => tell(said),
                    Ok(None) => {}
                    Err(error) => tell(malformed(Some(frame.kind), error)),
                },
                Ok(None) => return,
                Err(error) => return tell(malformed(None, error.into())),
            }
        }
    }

    fn on_frame(&mut self, frame: Frame<'_>) -> Result<Option<Said>, Violation> {
        let body = frame.body;
        Ok(Some(match frame.kind {
            observe::PING => Said::Ping { number: observe::parse_ping(body)? },
            observe::PONG => Said::Pong { number: observe::parse_ping(body)? },
            observe::CREDIT => {
                let (lane, limit) = observe::parse_credit(body)?;
                Said::Credit { lane, limit }
            }
            observe::OPEN => open(Open::parse(body)?),
            observe::FIRST => return self.on_first(body).map(|()| None),
            observe::NEXT => return self.on_next(body),
            kind => match PacketKind::from_wire(kind) {
                Some(kind) => packet(kind, &Bytes::copy_from_slice(body))?,
                None => Said::Unknown { frame: kind, bytes: body.len() },
            },
        }))
    }

    fn on_first(&mut self, body: &[u8]) -> Result<(), Violation> {
        let (kind, total, part) = observe::parse_first(body)?;
        let (packet_bytes_max, total) = (self.packet_bytes_max, u64::from(total));
        let lane = match observe::lane_of(kind) {
            Lane::Message => &mut self.message,
            Lane::Bulk => &mut self.bulk,
            Lane::Control => return Err(Violation::Unexpected("first part")),
        };
        let mut first = Assembly { kind, total, received: 0, body: BytesMut::new() };
        first.add(part, packet_bytes_max);
        *lane = Some(first);
        Ok(())
    }

    fn on_next(&mut self, body: &[u8]) -> Result<Option<Said>, Violation> {
        let mut from = Reader::new(body);
        let lane = match from.u8("lane")? {
            1 => &mut self.message,
            2 => &mut self.bulk,
            _ => return Err(Malformed("lane").into()),
        };
        let assembly = lane.as_mut().ok_or(Violation::Unexpected("next part"))?;
        assembly.add(from.rest(), self.packet_bytes_max);
        if assembly.received < assembly.total {
            return Ok(None);
        }
        let Some(whole) = lane.take() else { return Ok(None) };
        let Assembly { kind, total, received, body } = whole;
        if received > total {
            return Err(Violation::TooLong("packet"));
        }
        if body.len() as u64 == total {
            packet(kind, &body.freeze()).map(Some).map_err(Into::into)
        } else {
            Ok(Some(Said::Long { packet: kind, bytes: total }))
        }
    }
}

impl Assembly {
    fn add(&mut self, part: &[u8], packet_bytes_max: usize) {
        self.received = self.received.saturating_add(part.len() as u64);
        if self.total <= packet_bytes_max as u64 && self.received <= self.total {
            self.body.extend_from_slice(part);
        }
    }
}

fn malformed(frame: Option<u8>, error: Violation) -> Said {
    Said::Malformed { frame, problem: error.to_string() }
}

fn open(open: Open) -> Said {
    let name = |proof: &Proof| match proof {
        Proof::Secret { .. } => "secret",
        Proof::Certificate(_) => "certificate",
    };
    Said::Open {
        packet_bytes_max: open.packet_bytes_max,
        message_credit: open.message_credit,
        bulk_credit: open.bulk_credit,
        port: open.listen_port,
        proofs: open.proofs.iter().map(name).collect(),
    }
}

fn packet(kind: PacketKind, body: &Bytes) -> Result<Said, Malformed> {
    Ok(match Packet::decode(kind, body)? {
        Packet::Identity(packet) => Said::Identity { label: packet.label, note: packet.note },
        Packet::Disconnect(packet) => Said::Disconnect { reason: packet.reason.to_string() },
        Packet::PeerGroup(packet) => {
            Said::PeerGroup { peers: packet.peers.iter().map(|record| record.peer).collect() }
        }
        Packet::DataTransmission(packet) => {
            Said::DataTransmission { format: packet.format, bytes: packet.payload.len() }
        }
        Packet::PureMessage(packet) => {
            Said::PureMessage { text: packet.text().into_owned(), bytes: packet.message.len() }
        }
        Packet::TrustStep(packet) => Said::TrustStep { bytes: packet.message.len() },
    })
}
