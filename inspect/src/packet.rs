//! From a captured frame to what matters here: a UDP datagram or a segment of a TCP stream.

use crate::capture::{Frame, LinkType};
use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use std::net::{IpAddr, SocketAddr};

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A UDP datagram.
    Datagram(Datagram<'a>),
    /// A segment of a TCP stream.
    Segment(Segment<'a>),
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// What it says.
    pub payload: &'a [u8],
}

/// A segment of a TCP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// The number of its first byte, or of the SYN.
    pub sequence: u32,
    /// It opens its direction.
    pub syn: bool,
    /// It answers something: with `syn`, this is the side that was dialled.
    pub ack: bool,
    /// It ends its direction after the payload.
    pub fin: bool,
    /// It ends the stream at once.
    pub rst: bool,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Why a frame carries nothing to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Frames of this kind aren't understood.
    LinkType(LinkType),
    /// It is neither TCP nor UDP over IP.
    Other,
    /// It is a fragment of an IP packet. Nodes don't send any: beacons are short, and TCP sizes its segments.
    Fragment,
    /// It was cut before the end of its headers, or they make no sense.
    Damaged,
}

/// Finds the datagram or segment in a frame.
///
/// # Errors
/// [`Skipped`] says why there is none.
pub fn read<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, Skipped> {
    let sliced = slice(frame)?;
    let (from, to, fragmented) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (
            IpAddr::V4(ip.header().source_addr()),
            IpAddr::V4(ip.header().destination_addr()),
            ip.is_payload_fragmented(),
        ),
        Some(LaxNetSlice::Ipv6(ip)) => (
            IpAddr::V6(ip.header().source_addr()),
            IpAddr::V6(ip.header().destination_addr()),
            ip.is_payload_fragmented(),
        ),
        _ if sliced.stop_err.is_some() => return Err(Skipped::Damaged),
        _ => return Err(Skipped::Other),
    };
    if fragmented {
        return Err(Skipped::Fragment);
    }
    match sliced.transport {
        Some(TransportSlice::Udp(udp)) => Ok(Packet::Datagram(Datagram {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            payload: udp.payload(),
        })),
        Some(TransportSlice::Tcp(tcp)) => Ok(Packet::Segment(Segment {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            payload: tcp.payload(),
        })),
        None if sliced.stop_err.is_some() => Err(Skipped::Damaged),
        _ => Err(Skipped::Other),
    }
}

/// Takes the link layer off (tcpdump.org/linktypes.html).
fn slice<'a>(frame: &Frame<'a>) -> Result<LaxSlicedPacket<'a>, Skipped> {
    const NULL: u32 = 0;
    const ETHERNET: u32 = 1;
    /// Raw IP, under the numbers that systems gave it before it had one.
    const RAW: [u32; 3] = [12, 14, 101];
    const LOOP: u32 = 108;
    const LINUX_COOKED: u32 = 113;
    const IPV4: u32 = 228;
    const IPV6: u32 = 229;
    const LINUX_COOKED_2: u32 = 276;
    let LinkType(link) = frame.link;
    let bytes = frame.bytes;
    match link {
        ETHERNET => LaxSlicedPacket::from_ethernet(bytes).map_err(|_| Skipped::Damaged),
        // A protocol family in an order of bytes that nobody wrote down: the packet itself tells the same.
        NULL | LOOP => ip(bytes.get(4..).ok_or(Skipped::Damaged)?),
        IPV4 | IPV6 => ip(bytes),
        raw if RAW.contains(&raw) => ip(bytes),
        LINUX_COOKED => cooked(bytes, 14, 16),
        LINUX_COOKED_2 => cooked(bytes, 0, 20),
        _ => Err(Skipped::LinkType(frame.link)),
    }
}

fn ip(bytes: &[u8]) -> Result<LaxSlicedPacket<'_>, Skipped> {
    LaxSlicedPacket::from_ip(bytes).map_err(|_| Skipped::Damaged)
}

/// Linux' stand-in for link layers: the EtherType stands at `kind`, the packet begins at `head`.
fn cooked(bytes: &[u8], kind: usize, head: usize) -> Result<LaxSlicedPacket<'_>, Skipped> {
    let ether_type = bytes.get(kind..).and_then(|rest| rest.first_chunk()).copied();
    let (Some(ether_type), Some(rest)) = (ether_type, bytes.get(head..)) else {
        return Err(Skipped::Damaged);
    };
    Ok(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(ether_type)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn frame(link: u32, bytes: &[u8]) -> Frame<'_> {
        Frame { at: Timestamp(0), link: LinkType(link), bytes }
    }

    fn udp_over_ip() -> Vec<u8> {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 255], 1).udp(8001, 8002);
        builder.write(&mut bytes, b"beacon").unwrap();
        bytes
    }

    fn expected(payload: &[u8]) -> Result<Packet<'_>, Skipped> {
        let (from, to) = ("192.0.2.1:8001".parse().unwrap(), "192.0.2.255:8002".parse().unwrap());
        Ok(Packet::Datagram(Datagram { from, to, payload }))
    }

    #[test]
    fn every_link_type_is_taken_off() {
        let ip = udp_over_ip();
        let ethernet = [&[2; 12][..], &[8, 0], &ip].concat();
        let tagged = [&[2; 12][..], &[0x81, 0, 0, 5, 8, 0], &ip].concat();
        let padded = [&ethernet[..], &[0; 20]].concat();
        let cooked = [&[0; 14][..], &[8, 0], &ip].concat();
        let cooked_2 = [&[8, 0][..], &[0; 18], &ip].concat();
        let null = [&[2, 0, 0, 0][..], &ip].concat();
        for (link, bytes) in [
            (1, &ethernet),
            (1, &tagged),
            (1, &padded),
            (113, &cooked),
            (276, &cooked_2),
            (0, &null),
            (108, &null),
            (101, &ip),
            (12, &ip),
            (228, &ip),
        ] {
            assert_eq!(read(&frame(link, bytes)), expected(b"beacon"), "{link}");
        }
        assert_eq!(read(&frame(147, &ip)), Err(Skipped::LinkType(LinkType(147))));
    }

    #[test]
    fn segments_keep_their_flags_and_cut_ones_the_bytes_that_are_there() {
        let mut bytes = Vec::new();
        PacketBuilder::ipv6([0xfe; 16], [0xfd; 16], 64)
            .tcp(40_000, 9_000, 77, 64)
            .fin()
            .ack(5)
            .write(&mut bytes, b"goodbye")
            .unwrap();
        let Ok(Packet::Segment(whole)) = read(&frame(229, &bytes)) else { panic!() };
        assert_eq!((whole.sequence, whole.fin, whole.ack, whole.syn), (77, true, true, false));
        assert_eq!((whole.from.port(), whole.to.port()), (40_000, 9_000));
        assert_eq!(whole.payload, b"goodbye");
        let Ok(Packet::Segment(cut)) = read(&frame(229, &bytes[..bytes.len() - 3])) else {
            panic!()
        };
        assert_eq!(cut.payload, b"good");
        assert_eq!(read(&frame(229, &bytes[..45])), Err(Skipped::Damaged));
    }

    #[test]
    fn other_protocols_and_fragments_are_skipped() {
        let mut fragment = udp_over_ip();
        fragment[6] = 0x20;
        assert_eq!(read(&frame(101, &fragment)), Err(Skipped::Fragment));
        let arp = [&[2; 12][..], &[8, 6], &[0; 28]].concat();
        assert!(read(&frame(1, &arp)).is_err());
        let lldp = [&[2; 12][..], &[0x88, 0xcc], &[0; 28]].concat();
        assert_eq!(read(&frame(1, &lldp)), Err(Skipped::Other));
        assert_eq!(read(&frame(113, &[0; 15])), Err(Skipped::Damaged));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_skipped(
            link in prop::sample::select(vec![0u32, 1, 12, 101, 108, 113, 228, 229, 276, 999]),
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            to: u8,
        ) {
            let _ = read(&frame(link, &bytes));
            bytes = [&[2; 12][..], &[8, 0], &udp_over_ip()].concat();
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = read(&frame(1, &bytes));
        }
    }
}
