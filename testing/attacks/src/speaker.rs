//! The wire format over a blocking socket, made by hand from the specification (`docs/wire.md`): it speaks the handshake
//! and the records correctly, and says in them whatever an attack wants said.

use p2pnet_crypto::FastCrypto;
use p2pnet_protocol::channel::noise::{self, Finished, Sent1, StaticKey};
use p2pnet_protocol::crypto::{Aead, Crypto};
use p2pnet_protocol::hash::derive;
use p2pnet_protocol::wire::beacon::Beacon;
use p2pnet_protocol::wire::codec::put_prefixed;
use p2pnet_protocol::{NetworkName, PeerId, PublicKey};
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// What the initiator's stream begins with.
pub const MAGIC: [u8; 4] = *b"P2P\x01";

/// A frame's kinds, as `docs/wire.md` numbers them.
pub mod kind {
    #![allow(missing_docs, reason = "the specification's own names")]
    pub const PING: u8 = 0x01;
    pub const CREDIT: u8 = 0x03;
    pub const OPEN: u8 = 0x04;
    pub const FIRST: u8 = 0x05;
    pub const NEXT: u8 = 0x06;
    pub const IDENTITY: u8 = 0x10;
    pub const PEER_GROUP: u8 = 0x12;
    pub const DATA: u8 = 0x13;
    pub const MESSAGE: u8 = 0x14;
    pub const TRUST_STEP: u8 = 0x15;
    pub const UNKNOWN: u8 = 0x7e;
    pub const SKIPPABLE: u8 = 0xf0;
}

/// One identity and its keys.
pub struct Speaker {
    crypto: FastCrypto,
    static_key: StaticKey<FastCrypto>,
    signing: <FastCrypto as Crypto>::SigningKey,
    key: PublicKey,
    network: NetworkName,
    /// What it says of itself; of somebody else, if an attack wants that.
    pub introduction: Vec<u8>,
    /// The versions that it offers.
    pub versions: Vec<u8>,
    /// The ciphers that it offers.
    pub ciphers: Vec<u8>,
}

impl Speaker {
    /// A fresh identity.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new() -> io::Result<Self> {
        let mut seed = [0; 32];
        let mut crypto = FastCrypto::new().map_err(io::Error::other)?;
        crypto.random(&mut seed);
        Ok(Self::of(crypto, &seed))
    }

    fn of(mut crypto: FastCrypto, seed: &[u8; 32]) -> Self {
        let static_key = StaticKey::generate(&mut crypto);
        let signing = crypto.signing_key(seed);
        let key = crypto.public_key(&signing);
        let mut speaker = Self {
            crypto,
            static_key,
            signing,
            key,
            network: NetworkName::default(),
            introduction: Vec::new(),
            versions: vec![1],
            ciphers: vec![1],
        };
        speaker.introduction = speaker.true_introduction();
        speaker
    }

    /// The identity.
    pub fn id(&self) -> PeerId {
        PeerId::of(&self.key)
    }

    /// Its key.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    fn prologue(&self) -> Vec<u8> {
        let mut out = b"p2pnet handshake v1\0".to_vec();
        put_prefixed(&mut out, self.network.as_str().as_bytes());
        out
    }

    fn offer(&self) -> Vec<u8> {
        let mut out = self.network.tag().to_vec();
        put_prefixed(&mut out, &self.versions);
        put_prefixed(&mut out, &self.ciphers);
        out
    }

    fn true_introduction(&self) -> Vec<u8> {
        let mut vow = b"p2pnet static key v1\0".to_vec();
        vow.extend_from_slice(&self.network.tag());
        vow.extend_from_slice(&self.static_key.public);
        let signature = self.crypto.sign(&self.signing, &vow);
        [&self.key.0[..], &signature.0, &7u64.to_be_bytes()].concat()
    }

    /// Says that it is of another network.
    pub fn of_network(&mut self, name: &str) {
        if let Ok(name) = NetworkName::new(name) {
            self.network = name;
        }
    }

    /// A beacon of this identity.
    pub fn beacon(&self, tcp_port: u16, start: u64, counter: u64) -> Vec<u8> {
        let network = self.network.tag();
        let beacon = Beacon { network, flags: 0, tcp_port, key: self.key, start, counter };
        beacon.encode(&[], &self.crypto, &self.signing)
    }

    /// Begins as initiator: what to keep, and what to send.
    ///
    /// # Errors
    /// Never, with offers that fit.
    pub fn begin(&mut self) -> io::Result<(Sent1<FastCrypto>, Vec<u8>)> {
        let (prologue, offer) = (self.prologue(), self.offer());
        let mut message = Vec::new();
        let sent = noise::write_1(&mut self.crypto, &prologue, &offer, &mut message)
            .map_err(io::Error::other)?;
        Ok((sent, [&MAGIC[..], &framed(&message)].concat()))
    }

    /// Goes on with the responder's message: the channel's keys, its introduction, and what to send.
    ///
    /// # Errors
    /// If the message doesn't authenticate.
    pub fn finish(&self, sent: Sent1<FastCrypto>, message: &mut [u8]) -> io::Result<Ended> {
        let (read, payload) = sent.read_2(&self.crypto, message).map_err(io::Error::other)?;
        let cipher = payload.get(1).and_then(|byte| Aead::from_wire(*byte));
        let introduction = payload.get(2..).unwrap_or_default().to_vec();
        let mut last = Vec::new();
        let keys = read
            .write_3(&self.crypto, &self.static_key, &self.introduction, &mut last)
            .map_err(io::Error::other)?;
        let aead = cipher.ok_or_else(|| io::Error::other("the node chose no cipher"))?;
        Ok(Ended { keys, aead, introduction, last: framed(&last) })
    }

    /// The channel that a handshake on `stream` came to.
    pub fn take_up(&self, stream: TcpStream, ended: &Ended) -> Channel {
        Channel::new(&self.crypto, stream, ended)
    }

    /// The whole handshake as initiator.
    ///
    /// # Errors
    /// If the stream ends or the other side refuses.
    pub fn call(&mut self, mut stream: TcpStream) -> io::Result<Channel> {
        let (sent, opening) = self.begin()?;
        stream.write_all(&opening)?;
        let mut answer = read_message(&mut stream)?;
        let ended = self.finish(sent, &mut answer)?;
        stream.write_all(&ended.last)?;
        Ok(Channel::new(&self.crypto, stream, &ended))
    }

    /// The whole handshake as responder, with a version and a cipher as told.
    ///
    /// # Errors
    /// If the stream ends or the other side gives up.
    pub fn answer(&mut self, mut stream: TcpStream, choice: [u8; 2]) -> io::Result<Channel> {
        let mut magic = [0; 4];
        stream.read_exact(&mut magic)?;
        let mut message = read_message(&mut stream)?;
        let (read, _offer) =
            noise::read_1(&self.prologue(), &mut message).map_err(io::Error::other)?;
        let payload = [&choice[..], &self.introduction].concat();
        let mut second = Vec::new();
        let sent = read
            .write_2(&mut self.crypto, &self.static_key, &payload, &mut second)
            .map_err(io::Error::other)?;
        stream.write_all(&framed(&second))?;
        let mut last = read_message(&mut stream)?;
        let (keys, introduction) =
            sent.read_3(&self.crypto, &mut last).map_err(io::Error::other)?;
        let introduction = introduction.to_vec();
        let aead = Aead::from_wire(choice[1]).unwrap_or(Aead::ChaCha20Poly1305);
        let ended = Ended { keys, aead, introduction, last: Vec::new() };
        Ok(Channel::new(&self.crypto, stream, &ended))
    }
}

/// What a handshake comes to.
pub struct Ended {
    keys: Finished,
    aead: Aead,
    /// What the responder said of itself.
    pub introduction: Vec<u8>,
    /// The third message, as it goes into the stream.
    pub last: Vec<u8>,
}

/// An open channel, seen from the attacker.
pub struct Channel {
    crypto: FastCrypto,
    /// The stream under it.
    pub stream: TcpStream,
    /// What the other side said of itself.
    pub introduction: Vec<u8>,
    seal: <FastCrypto as Crypto>::Cipher,
    open: <FastCrypto as Crypto>::Cipher,
    sealed: u64,
    opened: u64,
}

impl Channel {
    fn new(crypto: &FastCrypto, stream: TcpStream, ended: &Ended) -> Self {
        let label: &[u8] = match ended.aead {
            Aead::Aes256Gcm => b"p2pnet record v1 aes-256-gcm",
            _ => b"p2pnet record v1 chacha20-poly1305",
        };
        let cipher = |chain: &[u8; 32]| crypto.cipher(ended.aead, &derive(chain, label));
        Self {
            seal: cipher(&ended.keys.send_key),
            open: cipher(&ended.keys.receive_key),
            crypto: crypto.clone(),
            stream,
            introduction: ended.introduction.clone(),
            sealed: 0,
            opened: 0,
        }
    }

    /// A record that holds `plain`, of whatever length.
    pub fn record(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut record = u16::try_from(plain.len() + 16).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        record.extend_from_slice(plain);
        let nonce = nonce(self.sealed);
        self.sealed += 1;
        let tag = self.crypto.seal(&self.seal, &nonce, &[], &mut record[2..]);
        record.extend_from_slice(&tag);
        record
    }

    /// Sends a record.
    ///
    /// # Errors
    /// If the stream is over.
    pub fn say(&mut self, plain: &[u8]) -> io::Result<()> {
        let record = self.record(plain);
        self.stream.write_all(&record)
    }

    /// Lets the node in, with these proofs as they go into the frame.
    ///
    /// # Errors
    /// If the stream is over.
    pub fn admit(&mut self, proofs: &[u8]) -> io::Result<()> {
        self.say(&open_frame(u32::MAX, proofs))
    }

    /// The next record's plaintext.
    ///
    /// # Errors
    /// If the stream is over, or what comes isn't authentic.
    pub fn hear(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut body)?;
        self.unseal(&body)
    }

    /// The plaintext of the next record, given its body.
    ///
    /// # Errors
    /// If it isn't authentic.
    pub fn unseal(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        let (text, tag) =
            body.split_last_chunk::<16>().ok_or_else(|| io::Error::other("short record"))?;
        let mut plain = text.to_vec();
        let nonce = nonce(self.opened);
        self.opened += 1;
        self.crypto
            .open(&self.open, &nonce, &[], &mut plain, tag)
            .map_err(|_| io::Error::other("the node's record doesn't authenticate"))?;
        Ok(plain)
    }

    /// The node's open frame's body, whatever it says before.
    ///
    /// # Errors
    /// If the stream ends without one.
    pub fn hear_open(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let plain = self.hear()?;
            let mut rest = plain.as_slice();
            while let Some((kind, body, after)) = split_frame(rest) {
                if kind == kind::OPEN {
                    return Ok(body.to_vec());
                }
                rest = after;
            }
        }
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// A frame.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    put_prefixed(&mut out, body);
    out
}

/// The first frame of `plain`: its kind, its body, what follows.
pub fn split_frame(plain: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, mut rest) = plain.split_first()?;
    let mut length = 0;
    for shift in (0..35).step_by(7) {
        let (byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((*kind, rest.get(..length)?, rest.get(length..)?))
}

/// An open frame that takes packets of 64 KiB and gives so much credit in both lanes.
pub fn open_frame(credit: u32, proofs: &[u8]) -> Vec<u8> {
    let mut body = (64u32 << 10).to_be_bytes().to_vec();
    body.extend_from_slice(&credit.to_be_bytes());
    body.extend_from_slice(&credit.to_be_bytes());
    body.extend_from_slice(&0u16.to_be_bytes());
    put_prefixed(&mut body, proofs);
    frame(kind::OPEN, &body)
}

/// A handshake message as it stands in the stream.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

/// Reads one handshake message, without its length.
///
/// # Errors
/// If the stream ends, or brings a refusal.
pub fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length));
    let mut message = vec![0; length.max(1)];
    stream.read_exact(&mut message)?;
    match length {
        0 => Err(io::Error::other(format!("refused with reason {}", message[0]))),
        _ => Ok(message),
    }
}
