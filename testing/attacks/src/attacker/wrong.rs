//! Attackers who break the format: each case on a connection of its own, which the victim must end.

use super::channels::open;
use super::{Assault, ends_within};
use crate::speaker::{Channel, MAGIC, Speaker, frame, framed, kind, open_frame, read_message};
use p2pnet_protocol::wire::codec::put_prefixed;
use std::io::{self, Write as _};
use std::time::Duration;

/// How long the victim may take to end a stream that broke the format.
const END_MAX: Duration = Duration::from_secs(2);

/// Lengths that lie: of handshake messages, of records, of frames.
pub(super) fn lengths(assault: &mut Assault) -> io::Result<()> {
    while assault.is_on() {
        for length in [513u16, 1024, 0x7fff, 0xffff, 0] {
            let mut stream = assault.connect()?;
            let lie = [&MAGIC[..], &length.to_be_bytes(), &[0; 40]].concat();
            let sent = stream.write_all(&lie);
            verdict(assault, "handshake lies", sent.is_err() || ends_within(&mut stream, END_MAX));
        }
        for length in [0u16, 1, 15, 16, 16_401, 16_403, 0x7fff, 0xffff] {
            let lie = [&length.to_be_bytes()[..], &[0; 64]].concat();
            on_channel(assault, "record lies", |channel| channel.stream.write_all(&lie));
        }
        let frames: [&[u8]; 6] = [
            &[kind::MESSAGE, 5, b'x'],
            &[kind::MESSAGE, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &[kind::MESSAGE, 0x80, 0x00],
            &[kind::MESSAGE, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[kind::MESSAGE],
            &[kind::PING, 3, 0, 0, 0],
        ];
        for plain in frames {
            on_channel(assault, "frame lies", |channel| channel.say(plain));
        }
    }
    Ok(())
}

/// Frames and packets that no channel may have: too long, out of order, unknown, nested too deep, beyond their credit.
pub(super) fn frames(assault: &mut Assault) -> io::Result<()> {
    let first = |total: u32, part: &[u8]| {
        let mut body = vec![kind::DATA];
        p2pnet_protocol::wire::codec::put_varint(&mut body, total);
        body.extend_from_slice(part);
        frame(kind::FIRST, &body)
    };
    let next = |part: &[u8]| frame(kind::NEXT, &[&[2], part].concat());
    let group = |count: u8, addresses: u8| {
        let mut body = vec![count];
        for _ in 0..count {
            body.extend_from_slice(&[7; 32]);
            body.push(addresses);
            for _ in 0..addresses {
                body.extend_from_slice(&[1, 6, 10, 77, 0, 1, 0, 9]);
            }
        }
        frame(kind::PEER_GROUP, &body)
    };
    let part = [3; 600];
    let plains: Vec<Vec<u8>> = vec![
        first(u32::MAX, &part),
        first(1 << 24, &part),
        first(500, &part),
        first(2000, &[]),
        [first(2000, &part), first(2000, &part)].concat(),
        [first(2000, &part), frame(kind::DATA, &[2])].concat(),
        [first(1100, &part), next(&part)].concat(),
        [first(2000, &part), next(&[])].concat(),
        next(&part),
        open_frame(5, &[0]),
        frame(kind::UNKNOWN, &[]),
        frame(kind::DATA, &[3]),
        frame(kind::DATA, &[]),
        frame(kind::CREDIT, &[9; 9]),
        frame(kind::CREDIT, &[1]),
        group(65, 1),
        group(2, 9),
        frame(kind::IDENTITY, &[&[129, 1][..], &[b'a'; 129], &[0]].concat()),
        frame(kind::IDENTITY, &[2, 0xff, 0xfe, 0]),
    ];
    while assault.is_on() {
        for plain in &plains {
            on_channel(assault, "wrong frames", |channel| channel.say(plain));
        }
    }
    Ok(())
}

/// More payload than there is credit for, while the victim's application takes none.
pub(super) fn overruns(assault: &mut Assault) -> io::Result<()> {
    let message = frame(kind::MESSAGE, &[b'o'; 1000]);
    while assault.is_on() {
        on_channel(assault, "overruns", |channel| {
            (0..2000).try_for_each(|_| channel.say(&message))
        });
    }
    Ok(())
}

/// Lists of proofs that break the rules of lists.
pub(super) fn proof_lists(assault: &mut Assault) -> io::Result<()> {
    let proof = |kind: u8, length: usize| {
        let mut out = vec![kind];
        put_prefixed(&mut out, &vec![5; length]);
        out
    };
    let lists = [
        [vec![5], proof(1, 32).repeat(5)].concat(),
        [vec![2], proof(2, 152), proof(1, 32)].concat(),
        [vec![1], proof(1, 31)].concat(),
        [vec![1], proof(1, 33)].concat(),
        [vec![1], proof(2, 151)].concat(),
        [vec![1], proof(9, 256)].concat(),
        [vec![1], proof(1, 32), vec![0]].concat(),
        vec![200],
    ];
    while assault.is_on() {
        for list in &lists {
            let Ok(stream) = assault.connect() else { continue };
            let Ok(mut channel) = Speaker::new()?.call(stream) else { continue };
            let sent = channel.admit(list);
            let ended = sent.is_err() || ends_within(&mut channel.stream, END_MAX);
            verdict(assault, "wrong lists", ended);
        }
    }
    Ok(())
}

/// Offers of versions, ciphers and networks that there aren't, by which nobody may be talked down.
pub(super) fn downgrade(assault: &mut Assault) -> io::Result<()> {
    let offers: [(&[u8], &[u8], &str); 6] = [
        (&[0], &[1], "p2pnet"),
        (&[2, 3], &[2, 1], "p2pnet"),
        (&[], &[1], "p2pnet"),
        (&[1], &[], "p2pnet"),
        (&[1], &[0, 7, 255], "p2pnet"),
        (&[1], &[1], "another"),
    ];
    while assault.is_on() {
        for (versions, ciphers, network) in offers {
            let Ok(mut stream) = assault.connect() else { continue };
            let mut speaker = Speaker::new()?;
            speaker.versions = versions.to_vec();
            speaker.ciphers = ciphers.to_vec();
            if network != "p2pnet" {
                speaker.of_network(network);
            }
            let (_, opening) = speaker.begin()?;
            stream.write_all(&opening)?;
            let refused = read_message(&mut stream).is_err();
            verdict(assault, "bad offers", refused && ends_within(&mut stream, END_MAX));
        }
    }
    Ok(())
}

/// A handshake and a message that were in order once, again on another stream; and a record twice on its own.
pub(super) fn replay(assault: &mut Assault) -> io::Result<()> {
    let mut speaker = Speaker::new()?;
    let (sent, opening) = speaker.begin()?;
    let mut stream = assault.connect()?;
    stream.write_all(&opening)?;
    let mut answer = read_message(&mut stream)?;
    let ended = speaker.finish(sent, &mut answer)?;
    let last = ended.last.clone();
    stream.write_all(&last)?;
    let mut channel = speaker.take_up(stream, &ended);
    let admission = channel.record(&open_frame(u32::MAX, &[0]));
    let message = channel.record(&frame(kind::MESSAGE, b"said once"));
    channel.stream.write_all(&[&admission[..], &message].concat())?;
    assault.count("originals");
    // Let it be heard before anything is said again.
    ends_within(&mut channel.stream, Duration::from_millis(100));
    channel.stream.write_all(&message)?;
    verdict(assault, "replayed records", ends_within(&mut channel.stream, END_MAX));
    while assault.is_on() {
        let Ok(mut stream) = assault.connect() else { continue };
        let again = [&opening[..], &last, &admission, &message].concat();
        let sent = stream.write_all(&again);
        verdict(assault, "replayed handshakes", sent.is_err() || ends_within(&mut stream, END_MAX));
        // The victim's own second message, sent back to it as a third.
        let Ok(mut stream) = assault.connect() else { continue };
        stream.write_all(&opening)?;
        let Ok(reflected) = read_message(&mut stream) else { continue };
        let sent = stream.write_all(&framed(&reflected));
        verdict(assault, "reflected messages", sent.is_err() || ends_within(&mut stream, END_MAX));
    }
    Ok(())
}

/// Does something wrong on a fresh channel.
fn on_channel(
    assault: &mut Assault,
    what: &str,
    wrong: impl FnOnce(&mut Channel) -> io::Result<()>,
) {
    // No place is free at present: that is no verdict.
    let Ok(mut channel) = open(assault) else { return };
    let ended = wrong(&mut channel).is_err() || ends_within(&mut channel.stream, END_MAX);
    verdict(assault, what, ended);
}

fn verdict(assault: &mut Assault, what: &str, ended: bool) {
    assault.count(what);
    assault.count(if ended { "ended by the victim" } else { "survived" });
}
