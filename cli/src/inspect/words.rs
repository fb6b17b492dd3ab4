//! Findings as lines for people. What peers said is escaped, so that it can't command the terminal.

use crate::text::{Palette, clean, size};
use p2pnet_inspect::finding::{Ending, Known, Offered, Way};
use p2pnet_inspect::{Finding, Said, Summary, What};
use p2pnet_protocol::PeerId;
use std::net::SocketAddr;

/// Characters of a message that are shown; `--json` gives all.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// The line for a finding: its time of day (UTC), where it was, what it is.
pub(super) fn line(finding: &Finding, palette: Palette) -> String {
    if let What::Summary(summary) = &finding.what {
        return summed_up(summary);
    }
    let time = finding.time.to_string();
    let time = time.get(11..26).unwrap_or(&time);
    format!("{}  {}", palette.faint(time), words(&finding.what, palette))
}

fn words(what: &What, palette: Palette) -> String {
    match what {
        What::Beacon {
            from,
            to,
            network,
            network_name,
            peer,
            port,
            counter,
            bytes,
            signed,
            ..
        } => {
            let signature =
                if *signed { palette.good("signed") } else { palette.bad("signature wrong") };
            let accepts = match port {
                0 => "accepts nothing".into(),
                port => format!("accepts on port {port}"),
            };
            format!(
                "beacon {}: {} {accepts}, network {}, number {counter}, {signature}, {bytes} bytes",
                arrow(from, to),
                name(peer, palette),
                network_words(network, network_name.as_deref()),
            )
        }
        What::BadBeacon { from, to, bytes, problem } => {
            let problem = palette.bad(&clean(problem));
            format!("no usable beacon {}: {problem}, {bytes} bytes", arrow(from, to))
        }
        What::Handshake { way, message, bytes, offer } => {
            let offer = offer.as_ref().map(offer_words).unwrap_or_default();
            format!("{}: handshake message {message}, {bytes} bytes{offer}", place(way))
        }
        What::Refused { way, reason } => {
            format!("{}: handshake refused: {}", place(way), palette.bad(&clean(reason)))
        }
        What::Opened { way, known } => {
            format!("{}: {}", place(way), opened(known.as_ref(), palette))
        }
        What::Record { way, number, bytes, opened } => {
            let sealed = if *opened { "" } else { ", sealed" };
            palette.faint(&format!("{}: record {number}, {bytes} bytes{sealed}", place(way)))
        }
        What::Said { way, peer, to_peer, said } => format!(
            "#{} {} → {}: {}",
            way.stream,
            name(peer, palette),
            name(to_peer, palette),
            said_words(said)
        ),
        What::Gap { way, bytes } => {
            let gap = format!("{bytes} bytes are missing from the capture");
            format!("{}: {}", place(way), palette.bad(&gap))
        }
        What::Unreadable { way, reason } => {
            format!("{}: {}", place(way), palette.bad(&clean(reason)))
        }
        What::Ended { way, records_there, bytes_there, records_back, bytes_back, how } => format!(
            "{}: {}; {records_there} records ({}) there, {records_back} ({}) back",
            place(way),
            ended(*how),
            size(*bytes_there),
            size(*bytes_back)
        ),
        other => format!("{other:?}"),
    }
}

fn arrow(from: &SocketAddr, to: &SocketAddr) -> String {
    format!("{from} → {to}")
}

fn place(way: &Way) -> String {
    format!("#{} {}", way.stream, arrow(&way.from, &way.to))
}

fn name(peer: &PeerId, palette: Palette) -> String {
    palette.name(&peer.short().to_string())
}

fn network_words(tag: &str, name: Option<&str>) -> String {
    name.map_or_else(|| format!("with tag {tag}"), |name| format!("\"{}\"", clean(name)))
}

fn offer_words(offer: &Offered) -> String {
    let versions: Vec<String> = offer.versions.iter().map(u8::to_string).collect();
    let network = network_words(&offer.network, offer.network_name.as_deref());
    let (versions, ciphers) = (versions.join(", "), offer.ciphers.join(", "));
    format!(": network {network}, version {versions}, {ciphers}")
}

fn opened(known: Option<&Known>, palette: Palette) -> String {
    match known {
        Some(known) => format!(
            "{} → {}, {}",
            palette.good("channel open") + " " + &name(&known.initiator, palette),
            name(&known.responder, palette),
            known.cipher
        ),
        None => format!("{}, no keys for it", palette.good("channel open")),
    }
}

fn ended(how: Ending) -> &'static str {
    match how {
        Ending::Closed => "closed",
        Ending::Reset => "reset",
        Ending::Replaced => "replaced by another stream",
        Ending::CaptureEnded => "open when the capture ended",
        Ending::Forgotten => "given up, since too many streams were open",
    }
}

fn said_words(said: &Said) -> String {
    match said {
        Said::Open { packet_bytes_max, port, proofs, .. } => {
            let proofs = match proofs.as_slice() {
                [] => "shows no proof".into(),
                proofs => format!("shows proof: {}", proofs.join(", ")),
            };
            let longest = size(u64::from(*packet_bytes_max));
            format!("lets it in; {proofs}; packets up to {longest}, port {port}")
        }
        Said::Ping { number } => format!("ping {number}"),
        Said::Pong { number } => format!("pong {number}"),
        Said::Credit { lane, limit } => format!("credit in the {lane} lane up to {limit}"),
        Said::Identity { label, note } if label.is_empty() && note.is_empty() => {
            "asks for its label".into()
        }
        Said::Identity { label, note } => {
            format!("calls itself \"{}\", note \"{}\"", clean(label), clean(note))
        }
        Said::Disconnect { reason } => format!("goodbye: {}", clean(reason)),
        Said::PeerGroup { peers } => {
            let names: Vec<String> = peers.iter().map(|peer| peer.short().to_string()).collect();
            format!("knows {} peers: {}", peers.len(), names.join(", "))
        }
        Said::DataTransmission { format, bytes } => format!("data ({format:?}), {bytes} bytes"),
        Said::PureMessage { text, .. } => message(text),
        Said::TrustStep { bytes } => format!("a step of the trust handshake, {bytes} bytes"),
        Said::Long { packet, bytes } => format!("{packet:?}, {bytes} bytes, too long to be kept"),
        Said::Unknown { frame, bytes } => {
            format!("frame of unknown kind {frame:#04x}, {bytes} bytes")
        }
        Said::Malformed { frame: Some(frame), problem } => {
            format!("malformed frame of kind {frame:#04x}: {}", clean(problem))
        }
        Said::Malformed { frame: None, problem } => format!("malformed frame: {}", clean(problem)),
        other => format!("{other:?}"),
    }
}

fn message(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("\"{}\" … ({} bytes in all)", clean(&text[..end]), text.len()),
        None => format!("\"{}\"", clean(text)),
    }
}

fn summed_up(summary: &Summary) -> String {
    let mut lines = vec![
        format!(
            "{} frames: {} beacons, {} streams of P2PNet, {} other streams",
            summary.frames, summary.beacons, summary.streams, summary.streams_other
        ),
        format!(
            "{} handshakes complete, {} of them with keys; {} records, {} of them decrypted; {} packets",
            summary.handshakes,
            summary.handshakes_with_keys,
            summary.records,
            summary.records_opened,
            summary.packets
        ),
    ];
    for (count, what) in [
        (summary.beacons_forged, "beacons with a wrong signature"),
        (summary.beacons_bad, "datagrams that are no usable beacons"),
        (summary.frames_fragments, "fragments, not looked into"),
        (summary.frames_damaged, "damaged frames"),
        (summary.frames_other, "frames of other protocols or links"),
        (summary.bytes_missing, "bytes missing from the capture"),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pnet_inspect::Timestamp;

    const WAY: fn() -> Way = || Way {
        stream: 3,
        from: ([192, 0, 2, 1], 40_000).into(),
        to: ([192, 0, 2, 2], 9000).into(),
    };

    fn show(what: What) -> String {
        line(&Finding { time: Timestamp(1_500_000_000), what }, Palette::PLAIN)
    }

    fn said(said: Said) -> String {
        show(What::Said { way: WAY(), peer: PeerId([0xab; 32]), to_peer: PeerId([0xcd; 32]), said })
    }

    #[test]
    fn who_said_what_to_whom_and_when() {
        let hello = Said::PureMessage { text: "hello".into(), bytes: 5 };
        assert_eq!(said(hello), "00:00:01.500000  #3 abababab → cdcdcdcd: \"hello\"");
        let goodbye = Said::Disconnect { reason: "shutting down".into() };
        assert!(said(goodbye).ends_with(": goodbye: shutting down"));
        let gap = show(What::Gap { way: WAY(), bytes: 7 });
        let expected = "#3 192.0.2.1:40000 → 192.0.2.2:9000: 7 bytes are missing from the capture";
        assert!(gap.ends_with(expected), "{gap}");
    }

    #[test]
    fn what_peers_said_can_not_command_the_terminal() {
        let hostile = "a\u{1b}]0;t\u{7}\n\u{202e}b";
        let name = Some(hostile.to_owned());
        let offer = Offered {
            network: "00".into(),
            network_name: name.clone(),
            versions: vec![1],
            ciphers: vec![],
        };
        for shown in [
            said(Said::PureMessage { text: hostile.repeat(2000), bytes: 1 }),
            said(Said::Identity { label: hostile.into(), note: hostile.into() }),
            said(Said::Disconnect { reason: hostile.into() }),
            said(Said::Malformed { frame: None, problem: hostile.into() }),
            show(What::Handshake { way: WAY(), message: 1, bytes: 1, offer: Some(offer) }),
            show(What::Refused { way: WAY(), reason: hostile.into() }),
            show(What::Unreadable { way: WAY(), reason: hostile.into() }),
            show(What::BadBeacon {
                from: WAY().from,
                to: WAY().to,
                bytes: 1,
                problem: hostile.into(),
            }),
        ] {
            assert!(shown.contains("a\\u{1b}"), "{shown}");
            assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown}");
        }
    }

    #[test]
    fn long_messages_are_cut_and_say_so() {
        let text = "é".repeat(MESSAGE_CHARS_MAX + 1);
        let shown = said(Said::PureMessage { bytes: text.len(), text });
        assert!(shown.ends_with("(8002 bytes in all)"), "{shown}");
    }

    #[test]
    fn the_summary_tells_oddities_only_if_there_are_any() {
        let summary = Summary { frames: 9, ..Summary::default() };
        assert_eq!(summed_up(&summary).lines().count(), 2);
        let odd = Summary { beacons_forged: 2, bytes_missing: 5, ..summary };
        assert!(
            summed_up(&odd)
                .ends_with("2 beacons with a wrong signature\n5 bytes missing from the capture")
        );
    }
}
