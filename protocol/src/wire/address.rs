//! Addresses of peers, tagged by kind. A kind that this version doesn't know is skipped, so that later transports and
//! relays break no format.

use super::codec::{Malformed, Reader, put_varint};
use crate::id::PeerId;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use serde::{Deserialize, Serialize};

const TCP_V4: u8 = 1;
const TCP_V6: u8 = 2;
/// The most bytes one address may have, of whatever kind.
const ADDRESS_BYTES_MAX: usize = 255;

/// A way to reach a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Endpoint {
    /// A TCP address. Scoped (link-local) IPv6 addresses mean nothing to another host and are not sent.
    Tcp(SocketAddr),
}

impl Endpoint {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self::Tcp(address) = self;
        match address.ip() {
            IpAddr::V4(ip) => put_tagged(out, TCP_V4, &ip.octets(), address.port()),
            IpAddr::V6(ip) => put_tagged(out, TCP_V6, &ip.octets(), address.port()),
        }
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut body = Reader::new(body);
        let ip = match kind {
            TCP_V4 => IpAddr::V4(Ipv4Addr::from(body.array::<4>("IPv4 address")?)),
            TCP_V6 => IpAddr::V6(Ipv6Addr::from(body.array::<16>("IPv6 address")?)),
            _ => return Ok(None),
        };
        let port = body.u16("port")?;
        body.end("address")?;
        if port == 0 {
            Err(Malformed("port"))
        } else {
            Ok(Some(Self::Tcp(SocketAddr::new(ip, port))))
        }
    }
}

fn put_tagged(out: &mut Vec<u8>, kind: u8, ip: &[u8], port: u16) {
    out.push(kind);
    put_varint(out, u32::try_from(ip.len()).unwrap_or(0).saturating_add(2));
    out.extend_from_slice(ip);
    out.extend_from_slice(&port.to_be_bytes());
}

/// A peer as another peer tells of it. Nothing in it is proved.
#[doc(alias = "GenericPeer")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// Who it is said to be.
    pub peer: PeerId,
    /// Where it is said to be, at most [`ENDPOINTS_MAX`](Self::ENDPOINTS_MAX).
    pub endpoints: Vec<Endpoint>,
}

impl PeerRecord {
    /// The most addresses in one record.
    pub const ENDPOINTS_MAX: usize = 8;

    /// Appends the encoding; endpoints beyond the maximum are left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.peer.0);
        encode_endpoints(&self.endpoints, out);
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`Malformed`] on a bad count or address. Endpoints of unknown kind are skipped.
    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { peer: PeerId(from.array("peer id")?), endpoints: decode_endpoints(from)? })
    }
}

/// Appends a count and so many tagged addresses.
pub fn encode_endpoints(endpoints: &[Endpoint], out: &mut Vec<u8>) {
    let kept = endpoints.iter().take(PeerRecord::ENDPOINTS_MAX);
    put_varint(out, u32::try_from(kept.len()).unwrap_or(0));
    for endpoint in kept {
        endpoint.encode(out);
    }
}

/// Reads what [`encode_endpoints`] wrote.
///
/// # Errors
/// [`Malformed`] on a bad count or address. Endpoints of unknown kind are skipped.
pub fn decode_endpoints(from: &mut Reader<'_>) -> Result<Vec<Endpoint>, Malformed> {
    let count = from.varint("address count")? as usize;
    if count > PeerRecord::ENDPOINTS_MAX {
        return Err(Malformed("address count"));
    }
    let mut endpoints = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = from.u8("address kind")?;
        let body = from.prefixed(ADDRESS_BYTES_MAX, "address")?;
        endpoints.extend(Endpoint::decode(kind, body)?);
    }
    Ok(endpoints)
}

/// An address of a kind that this version doesn't know, for tests of skipping.
#[cfg(test)]
pub(crate) fn put_unknown(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    super::codec::put_prefixed(out, body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn records_round_trip_and_unknown_kinds_are_skipped() {
        let v4 = Endpoint::Tcp("192.0.2.7:9000".parse().unwrap());
        let v6 = Endpoint::Tcp("[2001:db8::7]:9001".parse().unwrap());
        let record = PeerRecord { peer: PeerId([3; 32]), endpoints: vec![v4, v6] };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(PeerRecord::decode(&mut reader), Ok(record));
        assert!(reader.is_empty());

        let mut bytes = vec![2];
        put_unknown(&mut bytes, 200, b"relay");
        v4.encode(&mut bytes);
        assert_eq!(decode_endpoints(&mut Reader::new(&bytes)), Ok(vec![v4]));
    }

    #[test]
    fn bad_addresses_are_refused() {
        for bytes in [
            &[9][..],
            &[1, 1, 6, 1, 2, 3, 4, 0, 0],
            &[1, 1, 5, 1, 2, 3, 4, 9],
            &[1, 1, 7, 1, 2, 3, 4, 9, 9, 9],
        ] {
            assert!(decode_endpoints(&mut Reader::new(bytes)).is_err(), "{bytes:x?}");
        }
    }
}
