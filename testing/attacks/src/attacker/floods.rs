//! As many connections as there is time for, each as dear to the victim as its kind allows.

use super::Assault;
use crate::speaker::{MAGIC, Speaker, read_message};
use rustix::fd::AsFd as _;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Noise of all lengths, half of it behind a proper magic and a length.
pub(super) fn garbage(assault: &mut Assault) -> io::Result<()> {
    each(assault, |assault, mut stream| {
        let length = 1 + assault.random() as usize % 3000;
        let mut bytes = assault.random_bytes(length);
        if assault.random().is_multiple_of(2) {
            bytes.splice(0..0, [&MAGIC[..], &[0, 200]].concat());
        }
        stream.write_all(&bytes)
    })
}

/// First messages that are in order: two agreements of keys and a sealing each.
pub(super) fn first(assault: &mut Assault) -> io::Result<()> {
    let mut speaker = Speaker::new()?;
    each(assault, |assault, mut stream| {
        let (_, opening) = speaker.begin()?;
        stream.write_all(&opening)?;
        read_message(&mut stream)?;
        assault.count("answered");
        Ok(())
    })
}

/// Whole handshakes, each under an identity of its own.
pub(super) fn full(assault: &mut Assault) -> io::Result<()> {
    each(assault, |assault, stream| {
        Speaker::new()?.call(stream)?;
        assault.count("shaken");
        Ok(())
    })
}

/// Streams that are reset as soon as they are there.
pub(super) fn churn(assault: &mut Assault) -> io::Result<()> {
    each(assault, |assault, stream| {
        rustix::net::sockopt::set_socket_linger(stream.as_fd(), Some(Duration::ZERO))?;
        assault.count("reset");
        Ok(())
    })
}

/// Noise on every port that the victim has, TCP and UDP.
pub(super) fn ports(assault: &mut Assault) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let ports = assault.orders.ports.clone();
    let victim = assault.orders.to.ip();
    each(assault, |assault, mut stream| {
        for port in &ports {
            for _ in 0..20 {
                let length = assault.random() as usize % 1400;
                let bytes = assault.random_bytes(length);
                // A port that has gone answers by an error; the next one is tried all the same.
                if socket.send_to(&bytes, SocketAddr::new(victim, *port)).is_ok() {
                    assault.count("datagrams");
                }
            }
        }
        let bytes = assault.random_bytes(2000);
        stream.write_all(&bytes)
    })
}

/// Connects again and again until the time is up, with no more than a breath between: what comes of each is counted.
fn each(
    assault: &mut Assault,
    mut act: impl FnMut(&mut Assault, TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    while assault.is_on() {
        let done = assault.connect().and_then(|stream| act(assault, stream));
        assault.count(if done.is_ok() { "done" } else { "cut short" });
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}
