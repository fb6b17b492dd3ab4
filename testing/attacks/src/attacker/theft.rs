//! Attackers who say that they are somebody else, or that they belong where they don't, or who come back after they
//! were turned away.

use super::channels::hex;
use super::{Assault, ends_within};
use crate::speaker::Speaker;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

/// How long the victim may take to end a stream.
const END_MAX: Duration = Duration::from_secs(2);

/// Takes the honest peer's introduction from a call to it, and shows it to the victim as its own, on several streams at
/// once.
pub(super) fn stolen(assault: &mut Assault) -> io::Result<()> {
    let honest = assault.connect_to(assault.orders.other)?;
    let introduction = Speaker::new()?.call(honest)?.introduction;
    assault.count("introductions");
    while assault.is_on() {
        let mut at_once = Vec::new();
        for number in 0..4 {
            let Ok(stream) = assault.connect() else { continue };
            let mut speaker = Speaker::new()?;
            // The honest peer's key and signature as they stand; or its key over the thief's own signature.
            let mut claim = introduction.clone();
            if number % 2 == 1
                && let (Some(claimed), Some(own)) =
                    (claim.get_mut(32..), speaker.introduction.get(32..))
            {
                claimed.copy_from_slice(own);
            }
            speaker.introduction = claim;
            if let Ok(channel) = speaker.call(stream) {
                at_once.push(channel);
            }
        }
        for mut channel in at_once {
            assault.count("claims");
            let sent = channel.admit(&[0]);
            let ended = sent.is_err() || ends_within(&mut channel.stream, END_MAX);
            assault.count(if ended { "ended by the victim" } else { "survived" });
        }
    }
    Ok(())
}

/// Proofs of membership that are made up, the victim's own sent back, and the victim's own from another channel.
pub(super) fn proofs(assault: &mut Assault) -> io::Result<()> {
    let mut of_another: Option<Vec<u8>> = None;
    while assault.is_on() {
        for number in 0..3 {
            let Ok(stream) = assault.connect() else { continue };
            let Ok(mut channel) = Speaker::new()?.call(stream) else { continue };
            let open = channel.hear_open()?;
            // Behind three numbers and a port stands the list, with its length before it.
            let shown = open.get(15..).unwrap_or_default().to_vec();
            let made_up = [&[1, 1, 32][..], &assault.random_bytes(32)].concat();
            let foreign = of_another.replace(shown.clone());
            let list = match number {
                0 => made_up,
                1 => shown,
                _ => foreign.unwrap_or(shown),
            };
            assault.count(["made up", "sent back", "of another channel"][number]);
            channel.admit(&list)?;
            // The channel itself is in order and stays; it is left alone a moment, so that the verdict falls.
            if ends_within(&mut channel.stream, Duration::from_millis(30)) {
                assault.count("ended by the victim");
            }
        }
    }
    Ok(())
}

/// One identity that is blocked: it tells who it is, waits until it is, and comes back from port after port. Then fresh
/// identities come from a prefix that is blocked.
pub(super) fn returns(assault: &mut Assault) -> io::Result<()> {
    let mut speaker = Speaker::new()?;
    println!("{{\"identity\":\"{}\"}}", hex(speaker.id()));
    // The script blocks the identity now, and says when that is done.
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    assault.until = Instant::now() + Duration::from_secs_f64(assault.orders.seconds);
    let from = assault.orders.from.clone();
    let (blocked, free): (Vec<IpAddr>, Vec<IpAddr>) =
        from.into_iter().partition(|address| address.to_string().starts_with("10.78.1."));
    while assault.is_on() {
        for (what, addresses, fresh) in
            [("same identity", &free, false), ("same prefix", &blocked, true)]
        {
            assault.orders.from.clone_from(addresses);
            assault.count(what);
            let mut newcomer = Speaker::new()?;
            let caller = if fresh { &mut newcomer } else { &mut speaker };
            let channel = assault.connect().and_then(|stream| caller.call(stream));
            let inside = channel.is_ok_and(|mut channel| {
                channel.admit(&[0]).is_ok() && !ends_within(&mut channel.stream, END_MAX)
            });
            assault.count(if inside { "survived" } else { "turned away" });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits to be called by the victim, and answers under its own identity, with somebody else's introduction, or with a
/// choice that wasn't on offer. A third message would show the victim's identity: none may come.
pub(super) fn impostor(assault: &mut Assault) -> io::Result<()> {
    let port = assault.orders.ports.first().copied().unwrap_or_default();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    listener.set_nonblocking(true)?;
    let honest = assault.connect_to(assault.orders.other)?;
    let stolen = Speaker::new()?.call(honest)?.introduction;
    println!("{{\"ready\":true}}");
    let mut calls = 0usize;
    while assault.is_on() {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut speaker = Speaker::new()?;
        let (what, choice) = match calls % 4 {
            0 => ("another identity", [1, 1]),
            1 => ("a stolen introduction", [1, 1]),
            2 => ("an unknown version", [9, 1]),
            _ => ("an unknown cipher", [1, 9]),
        };
        if calls % 4 == 1 {
            speaker.introduction.clone_from(&stolen);
        }
        calls += 1;
        assault.count(what);
        assault.count("calls");
        if speaker.answer(stream, choice).is_ok() {
            assault.count("believed");
        }
    }
    Ok(())
}
