//! A peer made by hand from the specification (`docs/wire.md`): it speaks the handshake and the records correctly, and
//! says in them whatever it is told to. What a stranger can't send, since it fails authentication, this peer can.

use crate::node::Node;
use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::channel::noise::{self, Finished, StaticKey};
use p2pnet_protocol::crypto::{Aead, Crypto as _};
use p2pnet_protocol::hash::derive;
use p2pnet_protocol::wire::codec::put_prefixed;
use p2pnet_protocol::{ConnId, Instant, NetworkName, PeerId, PublicKey, Seed};

/// What the initiator's stream begins with.
pub(crate) const MAGIC: [u8; 4] = *b"P2P\x01";
const AES: u8 = 2;

pub(crate) struct Speaker {
    crypto: SimulatedCrypto,
    static_key: StaticKey<SimulatedCrypto>,
    key: PublicKey,
    network: NetworkName,
}

/// An open channel, seen from the speaker.
pub(crate) struct Line {
    send_key: [u8; 32],
    sent: u64,
}

impl Speaker {
    pub(crate) fn new(seed: u64) -> Self {
        let seed = Seed::from_u64(0x5bea_0000 | seed);
        let mut crypto = SimulatedCrypto::new(seed);
        let static_key = StaticKey::generate(&mut crypto);
        let key = crypto.signing_key(&seed.0);
        Self { crypto, static_key, key, network: NetworkName::default() }
    }

    pub(crate) fn id(&self) -> PeerId {
        PeerId::of(&self.key)
    }

    fn prologue(&self) -> Vec<u8> {
        let mut out = b"p2pnet handshake v1\0".to_vec();
        put_prefixed(&mut out, self.network.as_str().as_bytes());
        out
    }

    /// The payload of the first message.
    pub(crate) fn offer(&self) -> Vec<u8> {
        let mut out = self.network.tag().to_vec();
        put_prefixed(&mut out, &[1]);
        put_prefixed(&mut out, &[AES, 1]);
        out
    }

    /// The payload of the third message; the second has the choices before it.
    pub(crate) fn introduction(&self) -> Vec<u8> {
        let mut vow = b"p2pnet static key v1\0".to_vec();
        vow.extend_from_slice(&self.network.tag());
        vow.extend_from_slice(&self.static_key.public);
        let signature = self.crypto.sign(&self.key, &vow);
        [&self.key.0[..], &signature.0, &7u64.to_be_bytes()].concat()
    }

    /// Chooses version 1 and the cipher that both like best.
    pub(crate) fn answer(&self) -> Vec<u8> {
        [&[1, AES][..], &self.introduction()].concat()
    }

    /// Begins as initiator: what to keep, and what to send.
    pub(crate) fn begin(
        &mut self,
        offer: &[u8],
    ) -> Option<(noise::Sent1<SimulatedCrypto>, Vec<u8>)> {
        let mut message = Vec::new();
        let prologue = self.prologue();
        let sent = noise::write_1(&mut self.crypto, &prologue, offer, &mut message).ok()?;
        Some((sent, [&MAGIC[..], &framed(&message)].concat()))
    }

    /// Goes on with what the responder answered: the channel, and what to send.
    pub(crate) fn finish(
        &self,
        sent: noise::Sent1<SimulatedCrypto>,
        answer: &[u8],
        introduction: &[u8],
    ) -> Option<(Line, Vec<u8>)> {
        let mut answer = unframed(answer)?;
        let (read, payload) = sent.read_2(&self.crypto, &mut answer).ok()?;
        assert_eq!(payload.len(), 2 + 104, "the node introduces itself");
        let mut message = Vec::new();
        let done = read.write_3(&self.crypto, &self.static_key, introduction, &mut message).ok()?;
        Some((Line::new(&done), framed(&message)))
    }

    /// Speaks as initiator on a stream that `node` accepted as `conn`, with these payloads.
    pub(crate) fn call(
        &mut self,
        node: &mut Node,
        now: Instant,
        conn: ConnId,
        offer: &[u8],
        introduction: &[u8],
    ) -> Option<Line> {
        let (sent, mut first) = self.begin(offer)?;
        node.handle_stream(now, conn, &mut first);
        let answer = node.poll_write(conn, 4096)?;
        let (line, mut third) = self.finish(sent, &answer, introduction)?;
        node.handle_stream(now, conn, &mut third);
        Some(line)
    }

    /// Speaks as responder on a stream that `node` opened as `conn`, with this payload.
    pub(crate) fn take_call(
        &mut self,
        node: &mut Node,
        now: Instant,
        conn: ConnId,
        payload: &[u8],
    ) -> Option<Line> {
        let opening = node.poll_write(conn, 4096)?;
        let mut message = unframed(opening.strip_prefix(&MAGIC)?)?;
        let (read, _offer) = noise::read_1(&self.prologue(), &mut message).ok()?;
        let mut message = Vec::new();
        let sent = read.write_2(&mut self.crypto, &self.static_key, payload, &mut message).ok()?;
        node.handle_stream(now, conn, &mut framed(&message));
        // The node's first records may follow in the same chunk.
        let mut last = unframed(&node.poll_write(conn, 4096)?)?;
        let (done, _introduction) = sent.read_3(&self.crypto, &mut last).ok()?;
        Some(Line::new(&done))
    }

    /// A record that holds `plain`.
    pub(crate) fn record(&self, line: &mut Line, plain: &[u8]) -> Vec<u8> {
        let cipher = self.crypto.cipher(Aead::Aes256Gcm, &line.send_key);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&line.sent.to_be_bytes());
        line.sent += 1;
        let length = u16::try_from(plain.len() + 16).expect("a record is short");
        let mut out = length.to_be_bytes().to_vec();
        out.extend_from_slice(plain);
        let tag = self.crypto.seal(&cipher, &nonce, &[], &mut out[2..]);
        out.extend_from_slice(&tag);
        out
    }
}

impl Line {
    fn new(done: &Finished) -> Self {
        Self { send_key: *derive(&done.send_key, b"p2pnet record v1 aes-256-gcm"), sent: 0 }
    }
}

/// A handshake message as it stands in the stream.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

/// The handshake message that `bytes` begin with.
fn unframed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some(rest.get(..usize::from(u16::from_be_bytes(*length)))?.to_vec())
}
