//! The Noise handshake by itself: each role with arbitrary messages, and two honest sides with a mutator between them.

use crate::script::Script;
use p2pnet_crypto::SimulatedCrypto;
use p2pnet_protocol::Seed;
use p2pnet_protocol::channel::noise::{self, Finished, NoiseError, StaticKey};

const PROLOGUE: &[u8] = b"fuzzing";

fn side(seed: u64) -> (SimulatedCrypto, StaticKey<SimulatedCrypto>) {
    let mut crypto = SimulatedCrypto::new(Seed::from_u64(seed));
    let key = StaticKey::generate(&mut crypto);
    (crypto, key)
}

/// An initiator reads whatever comes.
pub(crate) fn initiator(data: &[u8]) {
    let (mut crypto, _) = side(1);
    let mut out = Vec::new();
    let sent = noise::write_1(&mut crypto, PROLOGUE, b"offer", &mut out).expect("it fits");
    assert_eq!(out.len(), noise::OVERHEAD_1_BYTES + 5);
    let mut message = data.to_vec();
    match sent.read_2(&crypto, &mut message) {
        // It would take a tag that fits, which the simulated cipher makes no harder than a fuzzer may find.
        Ok((_, payload)) => assert_eq!(payload.len() + noise::OVERHEAD_2_BYTES, data.len()),
        Err(NoiseError::TooShort) => assert!(data.len() < noise::OVERHEAD_2_BYTES),
        Err(NoiseError::TooLong) => assert!(data.len() > noise::MESSAGE_BYTES_MAX),
        Err(NoiseError::BadTag | NoiseError::WeakKey) => {}
    }
}

/// A responder reads whatever comes first, and whatever comes third.
pub(crate) fn responder(data: &[u8]) {
    let (mut crypto, key) = side(2);
    let mut script = Script::new(data);
    let mut first = script.long_bytes(600).to_vec();
    let (read, payload) = match noise::read_1(PROLOGUE, &mut first) {
        Ok((read, payload)) => (read, payload.len()),
        Err(error) => {
            assert_eq!(error, NoiseError::TooShort);
            return assert!(first.len() < noise::OVERHEAD_1_BYTES);
        }
    };
    assert_eq!(payload + noise::OVERHEAD_1_BYTES, first.len());
    let mut out = Vec::new();
    let Ok(sent) = read.write_2(&mut crypto, &key, b"answer", &mut out) else {
        assert!(out.is_empty(), "a refused step has written nothing");
        return assert_eq!(first[..32], [0; 32], "only a weak key is refused");
    };
    assert_eq!(out.len(), noise::OVERHEAD_2_BYTES + 6);
    let mut third = script.rest().to_vec();
    if let Ok((done, payload)) = sent.read_3(&crypto, &mut third) {
        assert_eq!(payload.len() + noise::OVERHEAD_3_BYTES, third.len());
        assert_ne!(done.send_key, done.receive_key);
    }
}

/// Both sides are honest; what travels may be altered. They agree on everything, or whoever reads the change ends it.
pub(crate) fn both(data: &[u8]) {
    let mut script = Script::new(data);
    let Some((one, other, altered)) = talk(&mut script) else { return };
    assert!(!altered, "a change went unnoticed");
    assert_eq!(one.transcript, other.transcript);
    assert_eq!((&one.send_key, &one.receive_key), (&other.receive_key, &other.send_key));
}

fn talk(script: &mut Script<'_>) -> Option<(Finished, Finished, bool)> {
    let (mut crypto, key) = side(1);
    let (mut other_crypto, other_key) = side(2);
    let payloads = [script.bytes(200), script.bytes(200), script.bytes(200)];
    let mut message = Vec::new();
    let sent = noise::write_1(&mut crypto, PROLOGUE, payloads[0], &mut message).ok()?;
    let mut altered = script.alter(&mut message);
    let (read, _) = noise::read_1(PROLOGUE, &mut message).ok()?;
    let mut message = Vec::new();
    let answered = read.write_2(&mut other_crypto, &other_key, payloads[1], &mut message).ok()?;
    altered |= script.alter(&mut message);
    let (read, payload) = sent.read_2(&crypto, &mut message).ok()?;
    assert!(!altered, "the second message proves the first");
    assert_eq!(payload, payloads[1]);
    assert_eq!(*read.remote_static(), other_key.public);
    let mut message = Vec::new();
    let one = read.write_3(&crypto, &key, payloads[2], &mut message).ok()?;
    altered |= script.alter(&mut message);
    let (other, payload) = answered.read_3(&other_crypto, &mut message).ok()?;
    assert_eq!(payload, payloads[2]);
    assert_eq!(other.remote_static, key.public);
    Some((one, other, altered))
}
