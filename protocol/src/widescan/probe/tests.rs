use super::*;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn prober(key: u8, meeting: Option<Meeting>) -> Prober {
    let contact = Contact::new("mailto:noc@example.org").unwrap();
    Prober::new(
        [key; 16],
        ProbeConfig { source: "2001:db8::1".parse().unwrap(), hop_limit: 64, contact, meeting },
    )
}

/// A scan with another key.
fn another(key: u8) -> Prober {
    prober(key, None)
}

const NOTE: ProbeNote = ProbeNote { attempt: 1, mark: 0x0102_0304, sent_ms: 0xfffe_fdfc };

fn target() -> Ipv6Addr {
    "2001:db8:1::2".parse().unwrap()
}

fn probe(prober: &Prober, target: Ipv6Addr) -> Vec<u8> {
    let mut packet = [0; Prober::BYTES_MAX];
    let length = prober.write(target, NOTE, &mut packet).unwrap();
    packet[..length].to_vec()
}

/// A packet with this ICMPv6 message, whose checksum is put in.
fn packet(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut sum = u32::from(u16::from_be_bytes([0, 58])) + message.len() as u32;
    let mut bytes = message.to_vec();
    bytes[2..4].fill(0);
    let padded: Vec<u8> =
        bytes.iter().copied().chain([0].into_iter().filter(|_| bytes.len() % 2 == 1)).collect();
    for pair in
        source.octets().chunks(2).chain(destination.octets().chunks(2)).chain(padded.chunks(2))
    {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, (bytes.len() >> 8) as u8, bytes.len() as u8, 58, 64];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(bytes);
    packet
}

/// An error about `quoted`, of which so much is quoted.
fn error(kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    let router = "2001:db8:ffff::1".parse().unwrap();
    packet(
        router,
        "2001:db8::1".parse().unwrap(),
        &[&[kind, code, 0, 0, 0, 0, 0, 0], quoted].concat(),
    )
}

#[test]
fn a_probe_is_an_echo_request_with_a_right_checksum() {
    let prober = prober(1, Some(Meeting { port: 4000, peer: [9; 16] }));
    let bytes = probe(&prober, target());
    assert_eq!(bytes, packet(prober.config().source, target(), &bytes[40..]), "as made by hand");
    assert_eq!((bytes[40], bytes[41]), (128, 0));
    assert_eq!(&bytes[48..52], b"P2W\x01");
    assert!(bytes.ends_with(b"mailto:noc@example.org"));
    assert_eq!(prober.write(target(), NOTE, &mut [0; 60]), None);
}

#[test]
fn an_honest_reply_is_known_and_nothing_else_is() {
    let prober = prober(1, None);
    let reply = echo_of(&probe(&prober, target())).unwrap();
    assert_eq!(prober.hear(&reply), Heard::Reply(Reply { target: target(), note: NOTE }));
    // Somebody else answers, another scan's key, one bit more or less anywhere in the payload.
    let other = packet("2001:db8:1::3".parse().unwrap(), prober.config().source, &reply[40..]);
    assert_eq!(prober.hear(&other), Heard::Forged);
    assert_eq!(another(2).hear(&reply), Heard::Forged);
    for bit in 48 * 8..reply.len() * 8 {
        let mut changed = reply.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(prober.hear(&changed), Heard::Other, "the checksum is wrong");
        let changed = packet(target(), prober.config().source, &changed[40..]);
        let heard = prober.hear(&changed);
        assert!(
            matches!(heard, Heard::Forged | Heard::Other)
                || (bit / 8 == 52 && heard == Heard::OptOut(target())),
            "{bit}"
        );
    }
    for length in 0..reply.len() {
        assert_eq!(prober.hear(&reply[..length]), Heard::Other, "cut to {length}");
        let cut = packet(
            target(),
            prober.config().source,
            reply[40..].split_at(length.clamp(8, reply.len() - 41)).0,
        );
        assert!(
            matches!(prober.hear(&cut), Heard::Forged | Heard::Other),
            "a shorter one of {length}"
        );
    }
    assert_eq!(
        prober.hear_icmp(target(), prober.config().source, &reply[40..]),
        prober.hear(&reply)
    );
}

#[test]
fn errors_quote_the_probe_whole_or_in_part() {
    let prober = prober(1, None);
    let sent = probe(&prober, target());
    for (kind, code, told) in [
        (1, 0, ErrorKind::NoRoute),
        (1, 1, ErrorKind::Prohibited),
        (1, 5, ErrorKind::Prohibited),
        (1, 6, ErrorKind::Prohibited),
        (1, 3, ErrorKind::Unreachable),
        (2, 0, ErrorKind::Other),
        (3, 0, ErrorKind::HopLimit),
        (4, 1, ErrorKind::Other),
    ] {
        for (length, note) in
            [(sent.len(), Some(NOTE)), (sent.len() - 1, None), (52, None), (48, None)]
        {
            let heard = prober.hear(&error(kind, code, &sent[..length]));
            let from = "2001:db8:ffff::1".parse().unwrap();
            assert_eq!(
                heard,
                Heard::Error(ProbeError { target: target(), from, kind: told, note }),
                "{kind} {code} {length}"
            );
        }
    }
    // About nothing that was sent: another target, another key, another source, another program's ping.
    let other = another(2);
    assert_eq!(prober.hear(&error(1, 0, &probe(&other, target()))), Heard::Forged);
    assert_eq!(prober.hear(&error(1, 0, &probe(&other, target())[..50])), Heard::Forged);
    let mut elsewhere = sent.clone();
    elsewhere[39] ^= 1;
    assert_eq!(prober.hear(&error(1, 0, &elsewhere)), Heard::Forged);
    assert_eq!(prober.hear(&error(1, 0, &elsewhere[..48])), Heard::Forged);
    let mut foreign = sent.clone();
    foreign[8] ^= 1;
    assert_eq!(prober.hear(&error(1, 0, &foreign)), Heard::Other);
    let mut ping = sent.clone();
    ping[48] ^= 1;
    assert_eq!(prober.hear(&error(1, 0, &ping)), Heard::Other);
    for short in [0, 39, 40, 47] {
        assert_eq!(prober.hear(&error(1, 0, &sent[..short])), Heard::Other, "{short}");
    }
}

#[test]
fn other_nodes_are_heard_when_they_say_where_they_are() {
    let meeting = Meeting { port: 4000, peer: [9; 16] };
    let contact = Contact::new("https://example.org/scan").unwrap();
    let from = "2001:db8:9::9".parse().unwrap();
    let other = |meeting| {
        Prober::new([2; 16], ProbeConfig { source: from, hop_limit: 64, contact, meeting })
    };
    let me = prober(1, None);
    assert_eq!(
        me.hear(&probe(&other(Some(meeting)), me.config().source)),
        Heard::Advert(Advert { from, meeting, contact })
    );
    assert_eq!(me.hear(&probe(&other(None), me.config().source)), Heard::Other);
    assert_eq!(
        me.hear(&probe(&other(Some(Meeting { port: 0, ..meeting })), me.config().source)),
        Heard::Other
    );
    assert_eq!(me.hear(&probe(&prober(1, Some(meeting)), target())), Heard::Other, "its own");
    // A contact that would command a terminal.
    let mut bytes = probe(&other(Some(meeting)), me.config().source);
    *bytes.last_mut().unwrap() = 0x1b;
    assert_eq!(me.hear(&packet(from, me.config().source, &bytes[40..])), Heard::Other);
}

#[test]
fn a_target_can_opt_out_and_nobody_else_for_it() {
    let prober = prober(1, None);
    let sent = probe(&prober, target());
    let mut message = sent[40..].to_vec();
    message[12] |= STOP;
    for kind in [128, 129] {
        message[0] = kind;
        assert_eq!(
            prober.hear(&packet(target(), prober.config().source, &message)),
            Heard::OptOut(target())
        );
        let elsewhere = "2001:db8:1::3".parse().unwrap();
        assert_eq!(
            prober.hear(&packet(elsewhere, prober.config().source, &message)),
            Heard::Forged
        );
    }
}

#[test]
fn contacts_are_printable_and_short() {
    for (text, good) in
        [("a", true), ("", false), ("tab\t", false), ("ümlaut", false), ("x y~", true)]
    {
        assert_eq!(Contact::new(text).is_ok(), good, "{text}");
    }
    assert!(Contact::new(&"x".repeat(128)).is_ok() && Contact::new(&"x".repeat(129)).is_err());
}

proptest! {
    #[test]
    fn any_target_and_note_come_back(address in any::<u128>(), attempt in any::<u8>(), mark in any::<u32>(), sent_ms in any::<u32>()) {
        let prober = prober(3, None);
        let (target, note) = (Ipv6Addr::from_bits(address), ProbeNote { attempt, mark, sent_ms });
        let mut packet = [0; Prober::BYTES_MAX];
        let length = prober.write(target, note, &mut packet).unwrap();
        let reply = echo_of(&packet[..length]).unwrap();
        prop_assert_eq!(prober.hear(&reply), Heard::Reply(Reply { target, note }));
    }

    #[test]
    fn any_packet_is_heard_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 1u8..140, code in 0u8..3) {
        let prober = prober(4, None);
        prober.hear(&bytes);
        let message = [&[kind, code, 0, 0, 0, 0, 0, 0][..], &bytes].concat();
        let heard = prober.hear(&packet(target(), prober.config().source, &message));
        prop_assert!(!matches!(heard, Heard::Reply(_) | Heard::OptOut(_)));
    }
}
