//! Connections that cost their owner next to nothing and are never finished: silent ones, and ones that bring a byte
//! now and then.

use super::{Assault, is_not_yet};
use crate::speaker::{MAGIC, Speaker, read_message};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// From byte to byte of one connection.
const DRIP: Duration = Duration::from_millis(50);

/// Connects and says nothing.
pub(super) fn silent(assault: &mut Assault) -> io::Result<()> {
    drip(assault, |_| Ok(Vec::new()))
}

/// A first message that takes half a minute to come.
pub(super) fn drip_first(assault: &mut Assault) -> io::Result<()> {
    drip(assault, |_| Ok([&MAGIC[..], &[2, 0], &[7; 512]].concat()))
}

/// A handshake whose third message takes ten seconds to come: the victim has done its work by then.
pub(super) fn drip_third(assault: &mut Assault) -> io::Result<()> {
    let mut speaker = Speaker::new()?;
    drip(assault, move |stream| {
        let (sent, opening) = speaker.begin()?;
        stream.write_all(&opening)?;
        let mut answer = read_message(stream)?;
        Ok(speaker.finish(sent, &mut answer)?.last)
    })
}

/// An open channel, and then a record that never ends.
pub(super) fn endless_record(assault: &mut Assault) -> io::Result<()> {
    drip(assault, |stream| {
        let mut channel = Speaker::new()?.call(stream.try_clone()?)?;
        channel.admit(&[0])?;
        Ok([&[0x40, 0][..], &[9; 16_000]].concat())
    })
}

/// Keeps as many connections as ordered, each prepared by `prepare`, which gives the bytes that then come one by one.
/// What the victim ends is opened again.
fn drip(
    assault: &mut Assault,
    mut prepare: impl FnMut(&mut TcpStream) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    let mut places: Vec<Option<(TcpStream, Vec<u8>, usize)>> = Vec::new();
    places.resize_with(assault.orders.count, || None);
    while assault.is_on() {
        for place in &mut places {
            if !assault.is_on() {
                break;
            }
            match place {
                Some((stream, bytes, at)) => {
                    let over = bytes.get(*at).is_some_and(|byte| stream.write(&[*byte]).is_err());
                    *at += 1;
                    if over || is_over(stream) {
                        assault.count("ended");
                        *place = None;
                    } else if *at <= bytes.len() {
                        assault.count("bytes");
                    }
                }
                None => *place = open(assault, &mut prepare).ok(),
            }
        }
        std::thread::sleep(DRIP);
    }
    let kept = places.into_iter().flatten().map(|(stream, ..)| stream);
    assault.held.extend(kept);
    assault.add("held", assault.held.len() as u64);
    Ok(())
}

fn open(
    assault: &mut Assault,
    prepare: &mut impl FnMut(&mut TcpStream) -> io::Result<Vec<u8>>,
) -> io::Result<(TcpStream, Vec<u8>, usize)> {
    let mut stream = assault.connect()?;
    let bytes = prepare(&mut stream)?;
    stream.set_nonblocking(true)?;
    assault.count("prepared");
    Ok((stream, bytes, 0))
}

fn is_over(stream: &mut TcpStream) -> bool {
    let mut scrap = [0; 1024];
    match stream.read(&mut scrap) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => !is_not_yet(&error),
    }
}
