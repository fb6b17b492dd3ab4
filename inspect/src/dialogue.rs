//! What the two directions of a stream say to each other: the handshake's messages, then records, then frames.

use crate::finding::{Ending, Finding, Known, Offered, Summary, Way, What};
use crate::key_log::KeyLog;
use crate::limits::Limits;
use crate::reassembly::Piece;
use crate::speech::Speech;
use crate::timestamp::Timestamp;
use bytes::BytesMut;
use p2pnet_protocol::channel::observe::{
    self, HEADER_BYTES, MAGIC, Offer, RecordOpener, message_length, record_length,
};
use p2pnet_protocol::crypto::{Aead, Crypto};
use p2pnet_protocol::{ChannelKeys, Direction, Violation};
use std::net::SocketAddr;

/// Bytes of a stream that is not recognised yet, and of records whose handshake isn't complete, that are held at most.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// What everything here needs beside the bytes.
pub(crate) struct Cx<'a, C> {
    pub(crate) at: Timestamp,
    pub(crate) crypto: &'a C,
    pub(crate) keys: &'a KeyLog,
    pub(crate) limits: &'a Limits,
    pub(crate) summary: &'a mut Summary,
    pub(crate) sink: &'a mut dyn FnMut(Finding),
}

impl<C> Cx<'_, C> {
    pub(crate) fn tell(&mut self, what: What) {
        (self.sink)(Finding { time: self.at, what });
    }
}

/// One of the two ends of a stream, as the conversation numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A value for each end.
#[derive(Debug)]
pub(crate) struct Both<T> {
    pub(crate) a: T,
    pub(crate) b: T,
}

impl<T> Both<T> {
    pub(crate) const fn of(&self, end: End) -> &T {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    pub(crate) const fn of_mut(&mut self, end: End) -> &mut T {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }
}

/// What kind of stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// Too little was seen.
    Unknown,
    /// P2PNet's; this end opened it.
    Ours(End),
    /// Something else.
    Foreign,
}

/// What is expected next in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A message of the handshake.
    Message(Message),
    /// Records.
    Records,
    /// Nothing that could be told apart.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    One,
    Two,
    Three,
}

/// Where the handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    Pending,
    Complete,
    /// Part of it is missing.
    Broken,
}

/// One direction.
struct Line<C: Crypto> {
    buffer: BytesMut,
    /// Something was taken from the front of the buffer, whose memory it still holds.
    taken: bool,
    stage: Stage,
    opener: Option<RecordOpener<C>>,
    speech: Speech,
    records: u64,
    bytes: u64,
}

impl<C: Crypto> Line<C> {
    fn new(limits: &Limits) -> Self {
        Self {
            buffer: BytesMut::new(),
            taken: false,
            stage: Stage::Message(Message::One),
            opener: None,
            speech: Speech::new(limits.packet_bytes_max),
            records: 0,
            bytes: 0,
        }
    }

    fn held_bytes(&self) -> usize {
        self.buffer.capacity().saturating_add(self.speech.held_bytes())
    }

    /// Takes the first `length` bytes, once they are there.
    fn take(&mut self, length: Option<usize>) -> Option<BytesMut> {
        let length = length.filter(|length| *length <= self.buffer.len())?;
        self.taken = true;
        Some(self.buffer.split_to(length))
    }

    /// Lets go of what was taken, so that the buffer holds what its capacity says.
    fn trim(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.buffer = BytesMut::from(&*self.buffer);
        }
    }
}

/// A stream's two directions.
pub(crate) struct Dialogue<C: Crypto> {
    addresses: Both<SocketAddr>,
    lines: Both<Line<C>>,
    nature: Nature,
    /// Who sent the SYN, if it was seen.
    opener: Option<End>,
    /// Its number, once it is recognised.
    stream: u64,
    handshake: Handshake,
    /// The handshake's messages, until they are all there.
    messages: [Vec<u8>; 3],
    known: Option<Known>,
}

impl<C: Crypto> Dialogue<C> {
    pub(crate) fn new(addresses: Both<SocketAddr>, limits: &Limits) -> Self {
        Self {
            addresses,
            lines: Both { a: Line::new(limits), b: Line::new(limits) },
            nature: Nature::Unknown,
            opener: None,
            stream: 0,
            handshake: Handshake::Pending,
            messages: Default::default(),
            known: None,
        }
    }

    /// What it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.lines.a.held_bytes().saturating_add(self.lines.b.held_bytes())
    }

    /// This end sent the SYN.
    pub(crate) fn on_opener(&mut self, end: End) {
        self.opener.get_or_insert(end);
    }

    /// Takes what `end` sent.
    pub(crate) fn on_piece(&mut self, end: End, piece: Piece<'_>, cx: &mut Cx<'_, C>) {
        if self.nature == Nature::Foreign {
            return;
        }
        match piece {
            Piece::Gap(bytes) => self.on_gap(end, bytes, cx),
            Piece::Bytes(bytes) => {
                let line = self.lines.of_mut(end);
                if line.stage != Stage::Lost {
                    line.buffer.extend_from_slice(bytes);
                }
                self.recognise(cx);
                self.go_on(cx);
            }
        }
    }

    /// Reads everything that is there.
    fn go_on(&mut self, cx: &mut Cx<'_, C>) {
        while self.step(End::A, cx) || self.step(End::B, cx) {}
        self.lines.a.trim();
        self.lines.b.trim();
    }

    /// The stream is over.
    pub(crate) fn on_end(&mut self, how: Ending, cx: &mut Cx<'_, C>) {
        if let Nature::Ours(initiator) = self.nature {
            // Records may still wait for a handshake that won't be complete any more.
            if self.handshake == Handshake::Pending {
                self.handshake = Handshake::Broken;
                self.go_on(cx);
            }
            let (there, back) = (self.lines.of(initiator), self.lines.of(initiator.other()));
            cx.tell(What::Ended {
                way: self.way(initiator),
                records_there: there.records,
                bytes_there: there.bytes,
                records_back: back.records,
                bytes_back: back.bytes,
                how,
            });
        }
        self.become_foreign(cx);
    }

    /// Nothing more is told of this stream, and nothing held for it.
    fn become_foreign(&mut self, cx: &mut Cx<'_, C>) {
        if self.nature == Nature::Unknown {
            cx.summary.streams_other = cx.summary.streams_other.saturating_add(1);
        }
        self.nature = Nature::Foreign;
        self.lines = Both { a: Line::new(cx.limits), b: Line::new(cx.limits) };
        self.messages = Default::default();
    }

    fn way(&self, end: End) -> Way {
        let (from, to) = (*self.addresses.of(end), *self.addresses.of(end.other()));
        Way { stream: self.stream, from, to }
    }

    /// Finds out who opened the stream, by what it begins with.
    fn recognise(&mut self, cx: &mut Cx<'_, C>) {
        if self.nature != Nature::Unknown {
            return;
        }
        let mut undecided = false;
        for end in [End::A, End::B] {
            let begun = &self.lines.of(end).buffer;
            if self.opener.is_some_and(|opener| opener != end) {
                continue;
            }
            if begun.starts_with(&MAGIC) {
                self.nature = Nature::Ours(end);
                cx.summary.streams = cx.summary.streams.saturating_add(1);
                self.stream = cx.summary.streams;
                self.lines.of_mut(end).take(Some(MAGIC.len()));
                self.lines.of_mut(end.other()).stage = Stage::Message(Message::Two);
                return;
            }
            undecided |= MAGIC.starts_with(begun);
        }
        if !undecided || self.held_bytes() > WAITING_BYTES_MAX {
            self.become_foreign(cx);
        }
    }

    fn on_gap(&mut self, end: End, bytes: u64, cx: &mut Cx<'_, C>) {
        if self.nature == Nature::Unknown {
            return self.become_foreign(cx);
        }
        cx.summary.bytes_missing = cx.summary.bytes_missing.saturating_add(bytes);
        cx.tell(What::Gap { way: self.way(end), bytes });
        self.lose(end, "where a record begins is lost in the gap", cx);
        self.go_on(cx);
    }

    /// Gives a direction up.
    fn lose(&mut self, end: End, reason: &str, cx: &mut Cx<'_, C>) {
        let way = self.way(end);
        let line = self.lines.of_mut(end);
        line.buffer = BytesMut::new();
        let before = std::mem::replace(&mut line.stage, Stage::Lost);
        if before != Stage::Lost {
            cx.tell(What::Unreadable { way, reason: reason.into() });
        }
        if matches!(before, Stage::Message(_)) && self.handshake == Handshake::Pending {
            self.handshake = Handshake::Broken;
        }
    }

    /// Reads the next message or record of `end`, if it is there.
    fn step(&mut self, end: End, cx: &mut Cx<'_, C>) -> bool {
        let Nature::Ours(initiator) = self.nature else { return false };
        let stage = self.lines.of(end).stage;
        let next = match stage {
            Stage::Lost => return false,
            Stage::Message(_) => message_length(&self.lines.of(end).buffer),
            Stage::Records if self.waits(end) => return false,
            Stage::Records => record_length(&self.lines.of(end).buffer),
        };
        let line = self.lines.of_mut(end);
        let piece = match next {
            Ok(length) => line.take(length),
            Err(violation) => {
                self.lose(end, &reason(violation), cx);
                return true;
            }
        };
        let Some(piece) = piece else { return false };
        match stage {
            Stage::Message(message) => self.on_message(end, initiator, message, &piece, cx),
            _ => self.on_record(end, piece, cx),
        }
        true
    }

    /// Whether records must wait, since the handshake's last message was captured after them.
    fn waits(&mut self, end: End) -> bool {
        if self.lines.of(end).buffer.len() > WAITING_BYTES_MAX
            && self.handshake == Handshake::Pending
        {
            self.handshake = Handshake::Broken;
        }
        self.handshake == Handshake::Pending
    }

    fn on_message(
        &mut self,
        end: End,
        initiator: End,
        message: Message,
        framed: &[u8],
        cx: &mut Cx<'_, C>,
    ) {
        let way = self.way(end);
        let body = framed.get(HEADER_BYTES..).unwrap_or_default();
        if let ([0, 0, ..], Message::Two, [reason]) = (framed, message, body) {
            let reason = observe::refusal(*reason).to_string();
            cx.tell(What::Refused { way, reason });
            self.lines.of_mut(end).stage = Stage::Lost;
            self.handshake = Handshake::Broken;
            return;
        }
        let offer = Some(body).filter(|_| message == Message::One).and_then(observe::payload_1);
        let offer = offer.and_then(|payload| Offer::read(payload).ok());
        let (slot, number, next) = match message {
            Message::One => (0, 1, Stage::Message(Message::Three)),
            Message::Two => (1, 2, Stage::Records),
            Message::Three => (2, 3, Stage::Records),
        };
        self.lines.of_mut(end).stage = next;
        if let Some(slot) = self.messages.get_mut(slot) {
            *slot = body.to_vec();
        }
        let offer = offer.map(|offer| offered(&offer, cx.keys));
        cx.tell(What::Handshake { way, message: number, bytes: body.len(), offer });
        if self.handshake == Handshake::Pending
            && self.messages.iter().all(|message| !message.is_empty())
        {
            self.on_complete(initiator, cx);
        }
    }

    /// All three messages are there: looks for the keys.
    fn on_complete(&mut self, initiator: End, cx: &mut Cx<'_, C>) {
        self.handshake = Handshake::Complete;
        cx.summary.handshakes = cx.summary.handshakes.saturating_add(1);
        let messages = std::mem::take(&mut self.messages);
        if let Some(keys) = find_keys(&messages, cx.keys) {
            cx.summary.handshakes_with_keys = cx.summary.handshakes_with_keys.saturating_add(1);
            self.known = Some(Known {
                initiator: keys.initiator,
                responder: keys.responder,
                cipher: cipher_name(keys.aead),
            });
            let opener = |direction| Some(RecordOpener::new(keys, direction));
            self.lines.of_mut(initiator).opener = opener(Direction::Outgoing);
            self.lines.of_mut(initiator.other()).opener = opener(Direction::Incoming);
        }
        cx.tell(What::Opened { way: self.way(initiator), known: self.known.clone() });
    }

    fn on_record(&mut self, end: End, mut record: BytesMut, cx: &mut Cx<'_, C>) {
        let way = self.way(end);
        let peers = self.known.as_ref().map(|known| match self.nature {
            Nature::Ours(initiator) if initiator == end => (known.initiator, known.responder),
            _ => (known.responder, known.initiator),
        });
        let line = self.lines.of_mut(end);
        let (number, bytes) = (line.records, record.len());
        line.records = line.records.saturating_add(1);
        line.bytes = line.bytes.saturating_add(bytes as u64);
        cx.summary.records = cx.summary.records.saturating_add(1);
        let body = record.get_mut(HEADER_BYTES..).unwrap_or_default();
        let plain = match &mut line.opener {
            Some(opener) => opener.open(cx.crypto, body).map(Some),
            None => Ok(None),
        };
        let opened = matches!(plain, Ok(Some(_)));
        cx.tell(What::Record { way, number, bytes, opened });
        match (plain, peers) {
            (Ok(Some(plain)), Some((peer, to_peer))) => {
                cx.summary.records_opened = cx.summary.records_opened.saturating_add(1);
                line.speech.on_record(plain, &mut |said| {
                    if said.is_packet() {
                        cx.summary.packets = cx.summary.packets.saturating_add(1);
                    }
                    cx.tell(What::Said { way, peer, to_peer, said });
                });
            }
            (Err(_), _) => {
                line.opener = None;
                let reason =
                    format!("record {number} can't be decrypted with the key of the key log");
                cx.tell(What::Unreadable { way, reason });
            }
            _ => {}
        }
    }
}

fn find_keys<'k>(messages: &[Vec<u8>; 3], keys: &'k KeyLog) -> Option<&'k ChannelKeys> {
    let [one, two, three] = messages;
    let offer = Offer::read(observe::payload_1(one)?).ok()?;
    let network = keys.network(&offer.network)?;
    keys.keys(&observe::transcript(&network, [one, two, three])?)
}

fn reason(violation: Violation) -> String {
    format!("what follows is no message or record: {violation}")
}

fn cipher_name(aead: Aead) -> String {
    match aead {
        Aead::Aes256Gcm => "aes-256-gcm".into(),
        Aead::ChaCha20Poly1305 => "chacha20-poly1305".into(),
        other => other.to_wire().to_string(),
    }
}

fn offered(offer: &Offer<'_>, keys: &KeyLog) -> Offered {
    let cipher = |byte: &u8| Aead::from_wire(*byte).map_or_else(|| byte.to_string(), cipher_name);
    Offered {
        network: hex(&offer.network),
        network_name: keys.network(&offer.network).map(|name| name.to_string()),
        versions: offer.versions.to_vec(),
        ciphers: offer.ciphers.iter().map(cipher).collect(),
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
