//! Probes and what comes back: ICMPv6 echo requests with a keyed tag, told from everything else without remembering any of them.
//!
//! `docs/widescan.md` has the format. Packets are put together and taken apart by `etherparse`.

use super::siphash::siphash;
use core::net::Ipv6Addr;
use etherparse::{
    IcmpEchoHeader, Icmpv6Header, Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6Header, LaxIpv6Slice,
};

/// How a payload begins: what it is, and its version.
const MAGIC: [u8; 4] = *b"P2W\x01";

/// The payload up to the contact.
const FIXED_BYTES: usize = 40;

/// Where the tag is in the payload.
const TAG_AT: usize = 16;

/// Flag: the sender can be met.
const ADVERT: u8 = 1;

/// Flag: leave this host's network alone.
const STOP: u8 = 2;

/// How whoever is bothered by a probe reaches whoever sent it: printable text of at most 128 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

/// The text is empty, too long, or not made of printable ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadContact;

impl core::fmt::Display for BadContact {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(
            "a contact has 1 to 128 printable ASCII characters, as in mailto:noc@example.org",
        )
    }
}

impl core::error::Error for BadContact {}

impl Contact {
    /// The longest contact.
    pub const BYTES_MAX: usize = 128;

    /// A contact.
    ///
    /// # Errors
    /// [`BadContact`].
    pub fn new(text: &str) -> Result<Self, BadContact> {
        Self::from_bytes(text.as_bytes()).filter(|contact| contact.length > 0).ok_or(BadContact)
    }

    fn from_bytes(text: &[u8]) -> Option<Self> {
        let printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
        let length = u8::try_from(text.len()).ok().filter(|_| printable)?;
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, length })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

impl core::fmt::Debug for Contact {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Contact").field(&self.as_str()).finish()
    }
}

/// Where the sender of probes can be met: a hint, which proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The port that it listens on.
    pub port: u16,
    /// The first half of its peer id.
    pub peer: [u8; 16],
}

/// What all probes of a scan have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// The address that probes come from.
    pub source: Ipv6Addr,
    /// How many routers a probe may pass.
    pub hop_limit: u8,
    /// Who is asking.
    pub contact: Contact,
    /// Where other nodes that hear a probe may call back.
    pub meeting: Option<Meeting>,
}

/// What one probe says besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeNote {
    /// Which try this is, from 0.
    pub attempt: u8,
    /// A number that comes back with the reply, such as that of the prefix.
    pub mark: u32,
    /// When it is sent, in milliseconds since the scan began; wraps.
    pub sent_ms: u32,
}

/// Writes probes and recognises what comes back.
///
/// ```
/// use p2pnet_protocol::widescan::{Contact, Heard, ProbeConfig, ProbeNote, Prober, Reply};
/// let source = "2001:db8::1".parse().unwrap();
/// let contact = Contact::new("mailto:noc@example.org")?;
/// let prober = Prober::new([7; 16], ProbeConfig { source, hop_limit: 64, contact, meeting: None });
/// let mut packet = [0; Prober::BYTES_MAX];
/// let note = ProbeNote { attempt: 0, mark: 3, sent_ms: 1000 };
/// let target = "2001:db8:1::2".parse().unwrap();
/// let length = prober.write(target, note, &mut packet).unwrap();
/// # let echo = p2pnet_protocol::widescan::echo_of(&packet[..length]).unwrap();
/// // `echo` is what an honest host answers.
/// assert_eq!(prober.hear(&echo), Heard::Reply(Reply { target, note }));
/// # Ok::<(), p2pnet_protocol::widescan::BadContact>(())
/// ```
#[derive(Clone)]
pub struct Prober {
    key: [u8; 16],
    config: ProbeConfig,
}

impl core::fmt::Debug for Prober {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prober").field("config", &self.config).finish_non_exhaustive()
    }
}

/// An honest reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who was asked and answered.
    pub target: Ipv6Addr,
    /// What the probe said; nobody but the scan can have made it up.
    pub note: ProbeNote,
}

/// An error about a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeError {
    /// Who was asked.
    pub target: Ipv6Addr,
    /// Who says so.
    pub from: Ipv6Addr,
    /// What is wrong.
    pub kind: ErrorKind,
    /// What the probe said, if the error quotes it whole; then it can't be made up. Otherwise only 32 bits speak for it.
    pub note: Option<ProbeNote>,
}

/// What an ICMPv6 error says (RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// There is no route.
    NoRoute,
    /// Somebody doesn't want it: prohibited, against a policy, or the route is rejected. A scan slows down and stays away.
    Prohibited,
    /// The destination is there, and nobody at the address, or something is beyond its scope.
    Unreachable,
    /// It passed too many routers.
    HopLimit,
    /// Anything else.
    Other,
}

/// A node that asks around, as it tells itself: a candidate for an authenticated handshake and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Where its probe came from.
    pub from: Ipv6Addr,
    /// Where it can be met.
    pub meeting: Meeting,
    /// How to reach whoever runs it.
    pub contact: Contact,
}

/// What a packet is to a scan.
///
/// ```
/// use p2pnet_protocol::widescan::{Advert, Heard, Meeting, ProbeError};
/// fn tell(heard: &Heard) -> String {
///     match heard {
///         Heard::Reply(reply) => format!("{} is there", reply.target),
///         Heard::Error(ProbeError { target, from, kind, .. }) => format!("{from} says of {target}: {kind:?}"),
///         Heard::Advert(Advert { from, meeting: Meeting { port, .. }, .. }) => format!("a node at {from}, port {port}?"),
///         Heard::OptOut(target) => format!("{target} wants no probes"),
///         Heard::Forged | Heard::Other => "nothing".into(),
///     }
/// }
/// assert_eq!(tell(&Heard::Other), "nothing");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A target is there.
    Reply(Reply),
    /// A probe didn't arrive.
    Error(ProbeError),
    /// Another node's probe.
    Advert(Advert),
    /// A target wants to be left alone, and has shown that it was asked.
    OptOut(Ipv6Addr),
    /// It looks as if it belonged to this scan, and doesn't.
    Forged,
    /// It has nothing to do with a scan.
    Other,
}

impl Prober {
    /// The longest probe.
    pub const BYTES_MAX: usize = 40 + 8 + FIXED_BYTES + Contact::BYTES_MAX;

    /// A prober whose `key` nobody else knows.
    pub fn new(key: [u8; 16], config: ProbeConfig) -> Self {
        Self { key, config }
    }

    /// What its probes have in common.
    pub fn config(&self) -> &ProbeConfig {
        &self.config
    }

    /// Writes a probe, from the IPv6 header on, to the beginning of `out`, and gives its length: none if it doesn't fit.
    pub fn write(&self, target: Ipv6Addr, note: ProbeNote, out: &mut [u8]) -> Option<usize> {
        let payload_bytes = FIXED_BYTES.checked_add(self.config.contact.bytes().len())?;
        let icmp_bytes = payload_bytes.checked_add(8)?;
        let out = out.get_mut(..icmp_bytes.checked_add(40)?)?;
        let length = out.len();
        let (ip, icmp) = out.split_first_chunk_mut::<40>()?;
        let (header, payload) = icmp.split_first_chunk_mut::<8>()?;
        self.write_payload(target, note, payload)?;
        let echo = self.echo(target);
        let kind = Icmpv6Type::EchoRequest(echo);
        let sum = Icmpv6Header::with_checksum(
            kind,
            self.config.source.octets(),
            target.octets(),
            payload,
        )
        .ok()?;
        header.copy_from_slice(sum.to_bytes().get(..8)?);
        *ip = Ipv6Header {
            payload_length: u16::try_from(icmp_bytes).ok()?,
            next_header: IpNumber::IPV6_ICMP,
            hop_limit: self.config.hop_limit,
            source: self.config.source.octets(),
            destination: target.octets(),
            ..Ipv6Header::default()
        }
        .to_bytes();
        Some(length)
    }

    fn write_payload(&self, target: Ipv6Addr, note: ProbeNote, payload: &mut [u8]) -> Option<()> {
        let (fixed, contact) = payload.split_first_chunk_mut::<FIXED_BYTES>()?;
        let meeting = self.config.meeting;
        let flags = if meeting.is_some() { ADVERT } else { 0 };
        let meeting = meeting.unwrap_or(Meeting { port: 0, peer: [0; 16] });
        let parts: [&[u8]; 8] = [
            &MAGIC,
            &[flags, note.attempt],
            &meeting.port.to_be_bytes(),
            &note.mark.to_be_bytes(),
            &note.sent_ms.to_be_bytes(),
            &[0; 8],
            &meeting.peer,
            &[],
        ];
        fixed
            .iter_mut()
            .zip(parts.iter().flat_map(|part| part.iter()))
            .for_each(|(to, from)| *to = *from);
        contact.copy_from_slice(self.config.contact.bytes());
        let tag = self.tag(target, payload, flags)?;
        payload.get_mut(TAG_AT..TAG_AT.checked_add(8)?)?.copy_from_slice(&tag);
        Some(())
    }

    /// The identifier and sequence number of probes to `target`: 32 bits that speak for it where an error quotes little.
    fn echo(&self, target: Ipv6Addr) -> IcmpEchoHeader {
        let tag = siphash(&self.key, &[&target.octets()]);
        IcmpEchoHeader { id: (tag >> 16) as u16, seq: tag as u16 }
    }

    /// The tag of a payload to `target`, whose flags are to be taken as `flags`.
    fn tag(&self, target: Ipv6Addr, payload: &[u8], flags: u8) -> Option<[u8; 8]> {
        let (magic, rest) = payload.split_first_chunk::<4>()?;
        let (_, rest) = rest.split_first()?;
        let (head, rest) = rest.split_first_chunk::<11>()?;
        let (_, tail) = rest.split_first_chunk::<8>()?;
        Some(siphash(&self.key, &[&target.octets(), magic, &[flags], head, tail]).to_be_bytes())
    }

    /// What a packet, from its IPv6 header on, is to this scan.
    pub fn hear(&self, packet: &[u8]) -> Heard {
        let Ok((ip, _)) = LaxIpv6Slice::from_slice(packet) else { return Heard::Other };
        let payload = ip.payload();
        if payload.ip_number != IpNumber::IPV6_ICMP || payload.fragmented || payload.incomplete {
            return Heard::Other;
        }
        let header = ip.header();
        self.hear_icmp(header.source_addr(), header.destination_addr(), payload.payload)
    }

    /// The same for the ICMPv6 message of a packet from `source` to `destination`, as raw sockets give it.
    pub fn hear_icmp(&self, source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Heard {
        let Ok(icmp) = Icmpv6Slice::from_slice(message) else { return Heard::Other };
        if !icmp.is_checksum_valid(source.octets(), destination.octets()) {
            return Heard::Other;
        }
        match icmp.type_u8() {
            1..=4 => self.error(source, &icmp),
            128 if icmp.code_u8() == 0 => self.request(source, icmp.payload()),
            129 if icmp.code_u8() == 0 => self.reply(source, icmp.payload()),
            _ => Heard::Other,
        }
    }

    fn reply(&self, source: Ipv6Addr, payload: &[u8]) -> Heard {
        let Some(flags) = flags(payload) else { return Heard::Other };
        if flags & STOP != 0 {
            return self.opt_out(source, payload);
        }
        match self.verified(source, payload, flags) {
            Some(note) => Heard::Reply(Reply { target: source, note }),
            None => Heard::Forged,
        }
    }

    /// Another node's probe, or a target that has had enough.
    fn request(&self, source: Ipv6Addr, payload: &[u8]) -> Heard {
        let Some(flags) = flags(payload) else { return Heard::Other };
        if source == self.config.source {
            // Its own, which some sockets hear.
            return Heard::Other;
        }
        if flags & STOP != 0 {
            return self.opt_out(source, payload);
        }
        advert(source, payload).filter(|_| flags & ADVERT != 0).map_or(Heard::Other, Heard::Advert)
    }

    fn opt_out(&self, source: Ipv6Addr, payload: &[u8]) -> Heard {
        let flags = flags(payload).unwrap_or_default() & !STOP;
        match self.verified(source, payload, flags) {
            Some(_) => Heard::OptOut(source),
            None => Heard::Forged,
        }
    }

    /// What a probe to `target` said, if this is its payload.
    fn verified(&self, target: Ipv6Addr, payload: &[u8], flags: u8) -> Option<ProbeNote> {
        let tag = self.tag(target, payload, flags)?;
        let (head, rest) = payload.split_first_chunk::<TAG_AT>()?;
        // Who guesses tags gets no closer by the time that this takes: whatever comes is public, but for the key.
        (rest.first_chunk::<8>() == Some(&tag)).then(|| {
            let [_, _, _, _, _, attempt, _, _, mark @ .., s0, s1, s2, s3] = *head;
            ProbeNote {
                attempt,
                mark: u32::from_be_bytes(mark),
                sent_ms: u32::from_be_bytes([s0, s1, s2, s3]),
            }
        })
    }

    fn error(&self, from: Ipv6Addr, icmp: &Icmpv6Slice<'_>) -> Heard {
        // The quoted packet begins behind four bytes that depend on the type; there may be less of it than it says.
        let quoted = icmp.slice().get(8..).unwrap_or_default();
        let Ok((ip, _)) = LaxIpv6Slice::from_slice(quoted) else { return Heard::Other };
        let (header, payload) = (ip.header(), ip.payload());
        if payload.ip_number != IpNumber::IPV6_ICMP || header.source_addr() != self.config.source {
            return Heard::Other;
        }
        let Some((request, said)) = payload.payload.split_first_chunk::<8>() else {
            return Heard::Other;
        };
        let [128, 0, _, _, id @ .., s0, s1] = *request else { return Heard::Other };
        let target = header.destination_addr();
        let kind = ErrorKind::of(icmp.type_u8(), icmp.code_u8());
        let error = |note| Heard::Error(ProbeError { target, from, kind, note });
        match flags(said) {
            // Quoted whole: the long tag decides.
            Some(flags) if !payload.incomplete => match self.verified(target, said, flags) {
                Some(note) => error(Some(note)),
                None => Heard::Forged,
            },
            // Somebody else's request, which went out from here too.
            None if said.iter().zip(&MAGIC).any(|(is, ours)| is != ours) => Heard::Other,
            _ => {
                let echo = self.echo(target);
                let same =
                    echo.id == u16::from_be_bytes(id) && echo.seq == u16::from_be_bytes([s0, s1]);
                if same { error(None) } else { Heard::Forged }
            }
        }
    }
}

impl ErrorKind {
    fn of(kind: u8, code: u8) -> Self {
        match (kind, code) {
            (1, 0) => Self::NoRoute,
            (1, 1 | 5 | 6) => Self::Prohibited,
            (1, _) => Self::Unreachable,
            (3, _) => Self::HopLimit,
            _ => Self::Other,
        }
    }
}

/// The flags of a payload, if it begins as a probe's of this version does.
fn flags(payload: &[u8]) -> Option<u8> {
    let (magic, rest) = payload.split_first_chunk::<4>()?;
    rest.first().copied().filter(|_| *magic == MAGIC)
}

fn advert(from: Ipv6Addr, payload: &[u8]) -> Option<Advert> {
    let (fixed, contact) = payload.split_first_chunk::<FIXED_BYTES>()?;
    let [_, _, _, _, _, _, p0, p1, ..] = *fixed;
    let port = u16::from_be_bytes([p0, p1]);
    let contact = Contact::from_bytes(contact).filter(|_| port != 0)?;
    Some(Advert { from, meeting: Meeting { port, peer: *fixed.last_chunk()? }, contact })
}

/// What an honest host answers to a whole packet with an echo request; for tests and simulations.
#[doc(hidden)]
pub fn echo_of(packet: &[u8]) -> Option<alloc::vec::Vec<u8>> {
    let (ip, _) = LaxIpv6Slice::from_slice(packet).ok()?;
    let (header, icmp) = (ip.header(), Icmpv6Slice::from_slice(ip.payload().payload).ok()?);
    let Icmpv6Type::EchoRequest(echo) = icmp.icmp_type() else { return None };
    let (source, destination) = (header.destination(), header.source());
    let reply = Icmpv6Header::with_checksum(
        Icmpv6Type::EchoReply(echo),
        source,
        destination,
        icmp.payload(),
    )
    .ok()?;
    let ip = Ipv6Header { source, destination, hop_limit: 64, ..header.to_header() };
    Some([&ip.to_bytes()[..], &reply.to_bytes(), icmp.payload()].concat())
}

#[cfg(test)]
mod tests;
