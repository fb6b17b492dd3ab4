//! Noise framed by hand: snow's handshake, then ring's AEADs on records of a fixed size. The best that a program can do
//! on one thread an end without a library around it.

use crate::blocking::{Connector, Pipe};
use crate::buffer::Buffer;
use ring::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 4;

pub(super) struct Noise {
    aead: &'static Algorithm,
    /// A whole record: header, ciphertext and tag.
    record_bytes: usize,
    static_key: Vec<u8>,
}

impl Noise {
    pub(super) fn new(aead: &'static Algorithm, record_bytes: usize) -> Self {
        let keypair = builder().generate_keypair().expect("randomness");
        Self { aead, record_bytes, static_key: keypair.private }
    }

    fn pipe(
        &self,
        mut snow: snow::HandshakeState,
        stream: TcpStream,
        keys_swapped: bool,
    ) -> io::Result<Box<dyn Pipe>> {
        let (first, second) = snow.dangerously_get_raw_split();
        let (send, receive) = if keys_swapped { (second, first) } else { (first, second) };
        let key = |bytes: [u8; 32]| {
            let key = UnboundKey::new(self.aead, &bytes).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Direction { key: LessSafeKey::new(key), nonce: 0 })
        };
        Ok(Box::new(NoisePipe {
            stream,
            send: key(send)?,
            receive: key(receive)?,
            record_bytes: self.record_bytes,
            output: None,
            filled: 0,
            input: None,
            unread: 0..0,
        }))
    }
}

fn builder() -> snow::Builder<'static> {
    snow::Builder::new("Noise_XX_25519_ChaChaPoly_SHA256".parse().expect("a known name"))
}

impl Connector for Noise {
    fn client(&self, mut stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        let builder = builder().local_private_key(&self.static_key).map_err(io::Error::other)?;
        let mut snow = builder.build_initiator().map_err(io::Error::other)?;
        say(&mut snow, &mut stream)?;
        hear(&mut snow, &mut stream)?;
        say(&mut snow, &mut stream)?;
        self.pipe(snow, stream, false)
    }

    fn server(&self, mut stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        let builder = builder().local_private_key(&self.static_key).map_err(io::Error::other)?;
        let mut snow = builder.build_responder().map_err(io::Error::other)?;
        hear(&mut snow, &mut stream)?;
        say(&mut snow, &mut stream)?;
        hear(&mut snow, &mut stream)?;
        self.pipe(snow, stream, true)
    }
}

fn say(snow: &mut snow::HandshakeState, stream: &mut TcpStream) -> io::Result<()> {
    let mut message = [0; 258];
    let length = snow.write_message(&[], &mut message[2..]).map_err(io::Error::other)?;
    message[..2].copy_from_slice(&(length as u16).to_le_bytes());
    stream.write_all(&message[..2 + length])
}

fn hear(snow: &mut snow::HandshakeState, stream: &mut TcpStream) -> io::Result<()> {
    let (mut length, mut message, mut payload) = ([0; 2], [0; 256], [0; 256]);
    stream.read_exact(&mut length)?;
    let message = message
        .get_mut(..usize::from(u16::from_le_bytes(length)))
        .ok_or(io::ErrorKind::InvalidData)?;
    stream.read_exact(message)?;
    snow.read_message(message, &mut payload).map(|_| ()).map_err(io::Error::other)
}

struct Direction {
    key: LessSafeKey,
    nonce: u64,
}

impl Direction {
    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.nonce.to_le_bytes());
        self.nonce += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

struct NoisePipe {
    stream: TcpStream,
    send: Direction,
    receive: Direction,
    record_bytes: usize,
    /// A record that is being filled, behind its header.
    output: Option<Buffer>,
    filled: usize,
    input: Option<Buffer>,
    /// What of `input` has come and not been opened.
    unread: std::ops::Range<usize>,
}

impl NoisePipe {
    fn payload_max(&self) -> usize {
        self.record_bytes - HEADER_BYTES - TAG_BYTES
    }
}

impl Pipe for NoisePipe {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let max = self.payload_max();
        while !bytes.is_empty() {
            let record = self.record_bytes;
            let output = self.output.get_or_insert_with(|| Buffer::new(record));
            let (head, rest) = bytes.split_at(bytes.len().min(max - self.filled));
            let at = HEADER_BYTES + self.filled;
            output[at..at + head.len()].copy_from_slice(head);
            self.filled += head.len();
            bytes = rest;
            if self.filled == max {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let (Some(output), 1..) = (&mut self.output, self.filled) else { return Ok(()) };
        let length = self.filled + TAG_BYTES;
        let end = HEADER_BYTES + self.filled;
        output[..HEADER_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
        let nonce = self.send.next_nonce();
        let body = &mut output[HEADER_BYTES..end];
        let tag = self.send.key.seal_in_place_separate_tag(nonce, Aad::empty(), body);
        output[end..end + TAG_BYTES].copy_from_slice(tag.map_err(io::Error::other)?.as_ref());
        self.filled = 0;
        self.stream.write_all(&output[..end + TAG_BYTES])
    }

    fn read(&mut self) -> io::Result<&[u8]> {
        let capacity = 2 * self.record_bytes;
        let input = self.input.get_or_insert_with(|| Buffer::new(capacity));
        loop {
            let waiting = &input[self.unread.clone()];
            let length = waiting.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
            if let Some(length) = length
                && waiting.len() >= HEADER_BYTES + length
            {
                let start = self.unread.start + HEADER_BYTES;
                self.unread.start = start + length;
                let nonce = self.receive.next_nonce();
                let record = &mut input[start..start + length];
                let plain = self.receive.key.open_in_place(nonce, Aad::empty(), record);
                return plain.map(|plain| &*plain).map_err(io::Error::other);
            }
            // Back to the start of the page, so that the kernel's copy is a quick one.
            input.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            let read = self.stream.read(&mut input[self.unread.end..])?;
            if read == 0 {
                return Ok(&[]);
            }
            self.unread.end += read;
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.stream.shutdown(Shutdown::Write)
    }

    fn rest(&mut self) {
        self.output = None;
        if self.unread.is_empty() {
            self.input = None;
        }
    }
}
