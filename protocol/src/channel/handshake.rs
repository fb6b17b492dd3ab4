//! The handshake: Noise XX with the identity bound to the static key, and the negotiation of version and cipher inside
//! the transcript (`docs/wire.md`, "Handshake").

use super::noise::{self, NoiseError, StaticKey};
use super::open::Established;
use super::record::Half;
use crate::config::Config;
use crate::crypto::{Aead, Crypto};
use crate::error::{DialError, Violation};
use crate::id::{NetworkName, PeerId, PublicKey, Signature};
use crate::wire::codec::{Malformed, Reader, put_prefixed};
use alloc::vec::Vec;
use core::mem;

/// What the initiator's stream begins with.
pub const MAGIC: [u8; 4] = *b"P2P\x01";
/// The version that this code speaks.
const VERSION: u8 = 1;
/// The longest handshake message that is taken, its length not counted.
pub const MESSAGE_BYTES_MAX: usize = 512;
/// A message of length zero is a refusal: one byte says why, in the clear and without proof.
const REFUSED_OTHER_NETWORK: u8 = 1;
const REFUSED_INCOMPATIBLE: u8 = 2;

/// This node's keys, and what every handshake says about them.
pub(crate) struct Me<C: Crypto> {
    pub(crate) id: PeerId,
    pub(crate) key: PublicKey,
    pub(crate) signing: C::SigningKey,
    /// Names this run of the node.
    pub(crate) start_nonce: u64,
    pub(crate) network_tag: [u8; 8],
    static_key: StaticKey<C>,
    /// Made once: the identity vouches for the static key of this run.
    static_signature: Signature,
    prologue: Vec<u8>,
    aeads: Vec<Aead>,
}

impl<C: Crypto> Me<C> {
    pub(crate) fn new(crypto: &mut C, config: &Config, seed: &[u8; 32], start_nonce: u64) -> Self {
        let signing = crypto.signing_key(seed);
        let key = crypto.public_key(&signing);
        let static_key = StaticKey::generate(crypto);
        let network_tag = config.network.tag();
        let vow = vow(&network_tag, &static_key.public);
        let static_signature = crypto.sign(&signing, &vow);
        let aeads = crypto.aeads().to_vec();
        Self {
            id: PeerId::of(&key),
            key,
            signing,
            start_nonce,
            network_tag,
            static_key,
            static_signature,
            prologue: prologue(&config.network),
            aeads,
        }
    }

    fn introduction(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(104);
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&self.static_signature.0);
        out.extend_from_slice(&self.start_nonce.to_be_bytes());
        out
    }

    /// AES only where both sides' hardware prefers it: the slower side sets the pace.
    fn choose(&self, offered: &[u8]) -> Option<Aead> {
        let theirs: Vec<Aead> = offered.iter().filter_map(|byte| Aead::from_wire(*byte)).collect();
        let favourite = self.aeads.first().copied()?;
        if theirs.first() == Some(&favourite) {
            return Some(favourite);
        }
        let mutual = |aead: &Aead| self.aeads.contains(aead) && theirs.contains(aead);
        [Aead::ChaCha20Poly1305, Aead::Aes256Gcm].into_iter().find(mutual)
    }
}

/// What both sides must agree on before anything is said: bound into the transcript, never sent.
pub(crate) fn prologue(network: &NetworkName) -> Vec<u8> {
    let mut out = Vec::from(*b"p2pnet handshake v1\0");
    put_prefixed(&mut out, network.as_str().as_bytes());
    out
}

/// The words by which an identity vouches for a static key.
fn vow(network_tag: &[u8; 8], static_public: &[u8; 32]) -> Vec<u8> {
    let mut out = Vec::from(*b"p2pnet static key v1\0");
    out.extend_from_slice(network_tag);
    out.extend_from_slice(static_public);
    out
}

/// An identity whose hold on its static key is proved.
struct Introduction {
    peer: PeerId,
    start_nonce: u64,
}

impl Introduction {
    fn read<C: Crypto>(
        crypto: &C,
        me: &Me<C>,
        from: &mut Reader<'_>,
        static_public: &[u8; 32],
    ) -> Result<Self, Violation> {
        let key = PublicKey(from.array("identity key")?);
        let signature = Signature(from.array("identity signature")?);
        let start_nonce = from.u64("start nonce")?;
        if crypto.verify(&key, &vow(&me.network_tag, static_public), &signature) {
            Ok(Self { peer: PeerId::of(&key), start_nonce })
        } else {
            Err(Violation::BadIdentity)
        }
    }
}

/// A handshake under way. Each state holds only what its next step needs.
enum State<C: Crypto> {
    Initiated { sent: noise::Sent1<C> },
    AwaitsMagic,
    Awaits1,
    Awaits3 { sent: noise::Sent2<C>, aead: Aead },
    Over,
}

/// One side of a handshake, fed with bytes in whatever pieces they come.
pub(crate) struct Handshake<C: Crypto> {
    state: State<C>,
    partial: Vec<u8>,
}

/// Whom a handshake reached, before this side has shown itself.
pub(crate) struct Answerer {
    pub(crate) peer: PeerId,
    pub(crate) start_nonce: u64,
}

impl<C: Crypto> Handshake<C> {
    /// Begins as initiator; what must be sent is appended to `out`.
    pub(crate) fn initiate(crypto: &mut C, me: &Me<C>, out: &mut Vec<u8>) -> Self {
        let mut offer = Vec::from(me.network_tag);
        put_prefixed(&mut offer, &[VERSION]);
        let aeads: Vec<u8> = me.aeads.iter().map(|aead| aead.to_wire()).collect();
        put_prefixed(&mut offer, &aeads);
        out.extend_from_slice(&MAGIC);
        let mut message = Vec::new();
        let state = match noise::write_1(crypto, &me.prologue, &offer, &mut message) {
            Ok(sent) => State::Initiated { sent },
            Err(_) => State::Over,
        };
        put_message(out, &message);
        Self { state, partial: Vec::new() }
    }

    /// Begins as responder.
    pub(crate) const fn respond() -> Self {
        Self { state: State::AwaitsMagic, partial: Vec::new() }
    }

    /// Takes bytes from the stream. When the handshake is done it gives the channel's keys and how many of `bytes` were
    /// its own; the rest belongs to the channel. `judge` may refuse the answering peer before this side shows itself.
    /// On a refusal worth telling, what tells it is appended to `out`.
    pub(crate) fn on_bytes(
        &mut self,
        crypto: &mut C,
        me: &Me<C>,
        bytes: &[u8],
        out: &mut Vec<u8>,
        judge: impl FnOnce(&Answerer) -> Result<(), DialError>,
    ) -> Result<Option<(Established, usize)>, DialError> {
        let mut judge = Some(judge);
        let mut used = 0usize;
        loop {
            let want = self.wanted()?;
            let have = self.partial.len();
            if have < want {
                let rest = bytes.get(used..).unwrap_or_default();
                let piece =
                    rest.get(..want.saturating_sub(have).min(rest.len())).unwrap_or_default();
                if piece.is_empty() {
                    return Ok(None);
                }
                self.partial.extend_from_slice(piece);
                used = used.saturating_add(piece.len());
                self.check_magic()?;
                continue;
            }
            let mut message = mem::take(&mut self.partial);
            if let Some(done) = self.step(crypto, me, &mut message, out, &mut judge)? {
                return Ok(Some((done, used)));
            }
        }
    }

    /// How many bytes the next step needs, header included.
    fn wanted(&self) -> Result<usize, DialError> {
        if matches!(self.state, State::AwaitsMagic) {
            return Ok(MAGIC.len());
        }
        Ok(message_length(&self.partial)?.unwrap_or(2))
    }

    /// Refuses a foreign stream at its first wrong byte.
    fn check_magic(&self) -> Result<(), DialError> {
        if matches!(self.state, State::AwaitsMagic) && !MAGIC.starts_with(&self.partial) {
            return Err(DialError::Violation(Violation::NotP2pnet));
        }
        Ok(())
    }

    fn step(
        &mut self,
        crypto: &mut C,
        me: &Me<C>,
        message: &mut [u8],
        out: &mut Vec<u8>,
        judge: &mut Option<impl FnOnce(&Answerer) -> Result<(), DialError>>,
    ) -> Result<Option<Established>, DialError> {
        let refused = message.starts_with(&[0, 0]);
        let body = message.get_mut(2..).unwrap_or_default();
        match mem::replace(&mut self.state, State::Over) {
            State::AwaitsMagic => {
                self.state = State::Awaits1;
                Ok(None)
            }
            State::Initiated { sent } => {
                if let (true, &mut [reason]) = (refused, &mut *body) {
                    return Err(refusal(reason));
                }
                let judge = judge.take();
                initiator_finishes(crypto, me, sent, body, out, judge).map(Some)
            }
            State::Awaits1 => {
                self.state = responder_answers(crypto, me, body, out)?;
                Ok(None)
            }
            State::Awaits3 { sent, aead } => {
                responder_finishes(crypto, me, sent, aead, body).map(Some)
            }
            State::Over => Err(DialError::Violation(Violation::Unexpected("handshake message"))),
        }
    }
}

/// The length of the handshake message, or refusal, that `bytes` begins with, its header included; `None` if the header
/// isn't whole.
///
/// # Errors
/// [`Violation`] if no message has this length.
pub fn message_length(bytes: &[u8]) -> Result<Option<usize>, Violation> {
    let Some(header) = bytes.first_chunk() else { return Ok(None) };
    match usize::from(u16::from_be_bytes(*header)) {
        0 => Ok(Some(3)),
        length if length > MESSAGE_BYTES_MAX => Err(Violation::TooLong("handshake message")),
        length => Ok(Some(length.saturating_add(2))),
    }
}

/// What the initiator says in the clear, with its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The tag of its network.
    pub network: [u8; 8],
    /// The versions that it speaks.
    pub versions: &'a [u8],
    /// The ciphers that it speaks, its favourite first ([`Aead::from_wire`]).
    pub ciphers: &'a [u8],
}

impl<'a> Offer<'a> {
    /// Reads the first message's payload. What follows belongs to later versions.
    ///
    /// # Errors
    /// [`Malformed`] if it ends too soon.
    pub fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(payload);
        Ok(Self {
            network: from.array("network tag")?,
            versions: from.prefixed(32, "versions")?,
            ciphers: from.prefixed(32, "ciphers")?,
        })
    }
}

fn put_message(out: &mut Vec<u8>, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
}

/// What the byte of a refusal says. It is neither secret nor authentic.
pub fn refusal(reason: u8) -> DialError {
    match reason {
        REFUSED_OTHER_NETWORK => DialError::OtherNetwork,
        REFUSED_INCOMPATIBLE => DialError::Incompatible,
        _ => DialError::Violation(Violation::Malformed(Malformed("refusal"))),
    }
}

fn responder_answers<C: Crypto>(
    crypto: &mut C,
    me: &Me<C>,
    message: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<State<C>, DialError> {
    let mut refuse = |reason, error| {
        out.extend_from_slice(&[0, 0, reason]);
        Err(error)
    };
    let (read, offer) = noise::read_1(&me.prologue, message)?;
    let offer = Offer::read(offer).map_err(Violation::from)?;
    if offer.network != me.network_tag {
        return refuse(REFUSED_OTHER_NETWORK, DialError::OtherNetwork);
    }
    let (Some(aead), true) = (me.choose(offer.ciphers), offer.versions.contains(&VERSION)) else {
        return refuse(REFUSED_INCOMPATIBLE, DialError::Incompatible);
    };
    let mut payload = Vec::with_capacity(106);
    payload.extend_from_slice(&[VERSION, aead.to_wire()]);
    payload.extend_from_slice(&me.introduction());
    let mut answer = Vec::with_capacity(256);
    let sent = read.write_2(crypto, &me.static_key, &payload, &mut answer)?;
    put_message(out, &answer);
    Ok(State::Awaits3 { sent, aead })
}

fn initiator_finishes<C: Crypto>(
    crypto: &mut C,
    me: &Me<C>,
    sent: noise::Sent1<C>,
    message: &mut [u8],
    out: &mut Vec<u8>,
    judge: Option<impl FnOnce(&Answerer) -> Result<(), DialError>>,
) -> Result<Established, DialError> {
    let (read, payload) = sent.read_2(crypto, message)?;
    let mut payload = Reader::new(payload);
    let version = payload.u8("version").map_err(Violation::from)?;
    let aead = Aead::from_wire(payload.u8("cipher").map_err(Violation::from)?);
    let aead = aead.filter(|aead| me.aeads.contains(aead) && version == VERSION);
    let aead = aead.ok_or(Violation::BadChoice)?;
    let who = Introduction::read(crypto, me, &mut payload, read.remote_static())?;
    if let Some(judge) = judge {
        judge(&Answerer { peer: who.peer, start_nonce: who.start_nonce })?;
    }
    let mut last = Vec::with_capacity(192);
    let keys = read.write_3(crypto, &me.static_key, &me.introduction(), &mut last)?;
    put_message(out, &last);
    Ok(established(who, keys, aead))
}

fn responder_finishes<C: Crypto>(
    crypto: &C,
    me: &Me<C>,
    sent: noise::Sent2<C>,
    aead: Aead,
    message: &mut [u8],
) -> Result<Established, DialError> {
    let (keys, payload) = sent.read_3(crypto, message)?;
    let who = Introduction::read(crypto, me, &mut Reader::new(payload), &keys.remote_static)?;
    Ok(established(who, keys, aead))
}

fn established(who: Introduction, keys: noise::Finished, aead: Aead) -> Established {
    Established {
        peer: who.peer,
        start_nonce: who.start_nonce,
        transcript: keys.transcript,
        seal: Half::new(aead, &keys.send_key),
        open: Half::new(aead, &keys.receive_key),
    }
}

impl From<NoiseError> for DialError {
    fn from(error: NoiseError) -> Self {
        Self::Violation(match error {
            NoiseError::TooShort => Violation::Malformed(Malformed("handshake message")),
            NoiseError::TooLong => Violation::TooLong("handshake message"),
            NoiseError::BadTag | NoiseError::WeakKey => Violation::BadTag,
        })
    }
}

impl From<Violation> for DialError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::testing::ToyCrypto;

    /// A node of the network `network` whose static key is `public`.
    fn node(seed: u8, public: [u8; 32], network: &NetworkName) -> Me<ToyCrypto> {
        let (signing, network_tag) = ([seed; 32], network.tag());
        let key = ToyCrypto.public_key(&signing);
        Me {
            id: PeerId::of(&key),
            key,
            signing,
            start_nonce: 7,
            network_tag,
            static_key: StaticKey { secret: (), public },
            static_signature: ToyCrypto.sign(&signing, &vow(&network_tag, &public)),
            prologue: prologue(network),
            aeads: Vec::new(),
        }
    }

    /// What `reader` makes of an introduction by whoever holds the static key `public`.
    fn read(reader: &Me<ToyCrypto>, said: &[u8], public: [u8; 32]) -> Result<PeerId, Violation> {
        let who = Introduction::read(&ToyCrypto, reader, &mut Reader::new(said), &public);
        who.map(|who| who.peer)
    }

    #[test]
    fn an_identity_counts_with_its_signature_over_this_static_key_alone() {
        let network = NetworkName::default();
        let [reader, victim, liar] = [1, 2, 3].map(|seed| node(seed, [seed * 16; 32], &network));
        assert_eq!(read(&reader, &victim.introduction(), [32; 32]), Ok(victim.id));
        // Somebody else's key before one's own signature.
        let mut claimed = liar.introduction();
        claimed[..32].copy_from_slice(&victim.key.0);
        assert_eq!(read(&reader, &claimed, [48; 32]), Err(Violation::BadIdentity));
        // Somebody else's introduction, overheard and repeated under one's own static key.
        assert_eq!(read(&reader, &victim.introduction(), [48; 32]), Err(Violation::BadIdentity));
        // One made for another network.
        let elsewhere = node(2, [32; 32], &NetworkName::new("elsewhere").unwrap());
        assert_eq!(read(&reader, &elsewhere.introduction(), [32; 32]), Err(Violation::BadIdentity));
        for at in 0..96 {
            let mut changed = victim.introduction();
            changed[at] ^= 1;
            assert_eq!(read(&reader, &changed, [32; 32]), Err(Violation::BadIdentity), "byte {at}");
        }
    }
}
