//! Attackers with a proved identity and an open channel, who keep to the format and mean no good.

use super::pump::Pump;
use super::{Assault, ends_within};
use crate::speaker::{Channel, Speaker, frame, kind};
use p2pnet_protocol::PeerId;
use p2pnet_protocol::wire::codec::{put_prefixed, put_varint};
use rustix::fd::AsFd as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const MESSAGE_LANE: usize = 0;
const BULK_LANE: usize = 1;

/// A channel that lets the victim in.
pub(super) fn open(assault: &mut Assault) -> io::Result<Channel> {
    let stream = assault.connect()?;
    let mut channel = Speaker::new()?.call(stream)?;
    channel.admit(&[0])?;
    assault.count("channels");
    Ok(channel)
}

/// As many identities as ordered, each with a channel that does nothing but be there; more are tried again and again.
pub(super) fn idle(assault: &mut Assault) -> io::Result<()> {
    let mut kept: Vec<Channel> = Vec::new();
    while assault.is_on() {
        if kept.len() < assault.orders.count {
            let stays = |mut channel: Channel| {
                let ends = ends_within(&mut channel.stream, Duration::from_millis(20));
                (!ends).then_some(channel)
            };
            match open(assault).ok().and_then(stays) {
                Some(channel) => kept.push(channel),
                None => assault.count("turned away"),
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assault.add("kept", kept.len() as u64);
    assault.held.extend(kept.into_iter().map(|channel| channel.stream));
    Ok(())
}

/// Channels that give all credit and never read a byte.
pub(super) fn unread(assault: &mut Assault) -> io::Result<()> {
    let mut kept = Vec::new();
    while assault.is_on() {
        if kept.len() < assault.orders.count
            && let Ok(channel) = open(assault)
        {
            rustix::net::sockopt::set_socket_recv_buffer_size(channel.stream.as_fd(), 4096)?;
            kept.push(channel);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assault.add("kept", kept.len() as u64);
    assault.held.extend(kept.into_iter().map(|channel| channel.stream));
    Ok(())
}

/// Empty messages, as many to a record as fit.
pub(super) fn empty(assault: &mut Assault) -> io::Result<()> {
    let plain = frame(kind::MESSAGE, &[]).repeat(8000);
    flood(assault, &plain, 8000, Some((MESSAGE_LANE, 16_000)))
}

/// Messages of a kibibyte.
pub(super) fn messages(assault: &mut Assault) -> io::Result<()> {
    let one = frame(kind::MESSAGE, &[b'.'; 1000]);
    let plain = one.repeat(4);
    let cost = plain.len() as u64;
    flood(assault, &plain, 4, Some((MESSAGE_LANE, cost)))
}

/// Pings.
pub(super) fn pings(assault: &mut Assault) -> io::Result<()> {
    let plain = frame(kind::PING, &7u32.to_be_bytes()).repeat(2700);
    flood(assault, &plain, 2700, None)
}

/// Frames that this version doesn't know and has to skip.
pub(super) fn skipped(assault: &mut Assault) -> io::Result<()> {
    let plain = frame(kind::SKIPPABLE, &[]).repeat(8000);
    flood(assault, &plain, 8000, None)
}

/// Packets that the gate turns away, bulk among them.
pub(super) fn gated(assault: &mut Assault) -> io::Result<()> {
    let one = frame(kind::DATA, &[2; 500]);
    let plain = one.repeat(16);
    let cost = plain.len() as u64;
    flood(assault, &plain, 16, Some((BULK_LANE, cost)))
}

/// Steps of a trust handshake that is never over.
pub(super) fn trust_steps(assault: &mut Assault) -> io::Result<()> {
    let plain = frame(kind::TRUST_STEP, b"mellon?").repeat(100);
    flood(assault, &plain, 100, None)
}

/// Questions for the victim's label: each may be answered once at most.
pub(super) fn questions(assault: &mut Assault) -> io::Result<()> {
    let plain = frame(kind::IDENTITY, &[0, 0]).repeat(1000);
    flood(assault, &plain, 1000, Some((MESSAGE_LANE, 4000)))
}

/// Lists of peers that don't exist, all at the bystander's addresses.
pub(super) fn peer_groups(assault: &mut Assault) -> io::Result<()> {
    let other = assault.orders.other;
    let mut groups = Vec::new();
    for _ in 0..32 {
        let mut body = Vec::new();
        put_varint(&mut body, 64);
        for _ in 0..64 {
            body.extend_from_slice(&assault.random_bytes(32));
            put_varint(&mut body, 8);
            for _ in 0..8 {
                let port = 1024 + (assault.random() % 60_000) as u16;
                put_address(&mut body, SocketAddr::new(other.ip(), port));
            }
        }
        groups.push(body);
    }
    flood_each(assault, |number| {
        let body = groups.get(number as usize % groups.len()).cloned().unwrap_or_default();
        let plain = frame(kind::PEER_GROUP, &body);
        let cost = plain.len() as u64;
        (plain, 64, Some((MESSAGE_LANE, cost)))
    })
}

fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    if let IpAddr::V4(ip) = address.ip() {
        out.push(1);
        put_prefixed(out, &[&ip.octets()[..], &address.port().to_be_bytes()].concat());
    }
}

/// Credit of all there is, then of none, over and over.
pub(super) fn credits(assault: &mut Assault) -> io::Result<()> {
    let credit =
        |lane: u8, limit: u64| frame(kind::CREDIT, &[&[lane][..], &limit.to_be_bytes()].concat());
    let one = [credit(1, u64::MAX), credit(2, 0), credit(2, u64::MAX), credit(1, 1)].concat();
    let plain = one.repeat(300);
    flood(assault, &plain, 1200, None)
}

fn flood(
    assault: &mut Assault,
    plain: &[u8],
    frames: u64,
    cost: Option<(usize, u64)>,
) -> io::Result<()> {
    flood_each(assault, |_| (plain.to_vec(), frames, cost))
}

/// What goes into a record: the plaintext, its frames, and what it takes of which lane's credit.
type Made = (Vec<u8>, u64, Option<(usize, u64)>);

/// As many channels as ordered, each written to as fast as the victim takes it.
fn flood_each(assault: &mut Assault, mut make: impl FnMut(u64) -> Made) -> io::Result<()> {
    let mut pumps: Vec<Pump> = Vec::new();
    let mut number = 0;
    while assault.is_on() {
        if pumps.len() < assault.orders.count
            && let Ok(channel) = open(assault)
        {
            pumps.push(Pump::new(channel)?);
        }
        let mut moved = false;
        pumps.retain_mut(|pump| {
            let (plain, frames, cost) = make(number);
            match pump.put(&plain, cost) {
                Ok(true) => {
                    number += 1;
                    moved = true;
                    assault.add("frames", frames);
                    true
                }
                Ok(false) => true,
                Err(_) => {
                    assault.count("ended");
                    assault.add("answers", pump.answers);
                    false
                }
            }
        });
        if !moved {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let answers = pumps.iter().map(|pump| pump.answers).sum();
    assault.add("answers", answers);
    let opened = pumps.iter().filter(|pump| pump.is_open()).count();
    assault.add("open at the end", opened as u64);
    assault.add("records", number);
    Ok(())
}

/// An identity as the program prints it.
pub(super) fn hex(peer: PeerId) -> String {
    peer.to_string()
}
