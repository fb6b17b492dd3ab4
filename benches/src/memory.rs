//! What needs no network: AEADs, which bound every encrypted channel, and handshakes.

use crate::buffer::Buffer;
use crate::core::Cores;
use crate::machine;
use p2pnet_crypto::{FastCrypto, PureCrypto};
use p2pnet_protocol::channel::noise::{self, NoiseError, StaticKey};
use p2pnet_protocol::{Crypto, MessageBatch, Packet};
use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::hint::black_box;
use std::time::Duration;

/// The sizes that AEADs are measured at, in bytes.
pub const SIZES: [usize; 4] = [64, 1_024, 16_384, 65_536];

/// One AEAD at one size, in nanoseconds for each call.
#[derive(Clone, Copy, Debug, Default)]
pub struct AeadTimes {
    /// To seal.
    pub seal_ns: f64,
    /// To open.
    pub open_ns: f64,
}

/// ring's AES-256-GCM and ChaCha20-Poly1305 at each of [`SIZES`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Aeads {
    /// AES-256-GCM.
    pub aes: [AeadTimes; SIZES.len()],
    /// ChaCha20-Poly1305.
    pub chacha: [AeadTimes; SIZES.len()],
}

impl Aeads {
    /// Measures all, each figure for about `span`.
    pub fn measure(span: Duration) -> Self {
        Self {
            aes: SIZES.map(|size| aead(&AES_256_GCM, size, span)),
            chacha: SIZES.map(|size| aead(&CHACHA20_POLY1305, size, span)),
        }
    }
}

impl Aeads {
    /// MiB a second through both AES steps on records of 16 KiB.
    pub fn aes_both_mib_s(&self) -> f64 {
        let [_, _, records, _] = self.aes;
        16_384e9 / (records.seal_ns + records.open_ns) / f64::from(1 << 20)
    }
}

/// The nanoseconds of processor time that `work` takes, over about `span`. Work must not wait.
pub fn time(span: Duration, mut work: impl FnMut()) -> f64 {
    let mut calls = 0_u64;
    let mut batch = 1;
    let start = machine::thread_time();
    loop {
        (0..batch).for_each(|_| work());
        calls += batch;
        let used = machine::thread_time().saturating_sub(start);
        if used >= span {
            return used.as_secs_f64() * 1e9 / calls as f64;
        }
        // The clock is a system call: quick work is done many times for each look at it.
        batch = if used * 16 < span { batch * 2 } else { batch };
    }
}

fn aead(algorithm: &'static Algorithm, size: usize, span: Duration) -> AeadTimes {
    let Ok(key) = UnboundKey::new(algorithm, &[7; 32]) else { return AeadTimes::default() };
    let key = LessSafeKey::new(key);
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    let mut buffer = Buffer::new(size);
    let seal_ns = time(span, || {
        let sealed = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut buffer);
        black_box(sealed.is_ok());
    });
    // Opening decrypts in place, so what was opened must be sealed again: the time of both less the time of one.
    let both_ns = time(span, || {
        let Ok(tag) = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut buffer) else {
            return;
        };
        let opened = key.open_in_place_separate_tag(nonce(), Aad::empty(), tag, &mut buffer, 0..);
        black_box(opened.is_ok());
    });
    AeadTimes { seal_ns, open_ns: (both_ns - seal_ns).max(0.0) }
}

/// What a serial channel with one thread an end can reach at most, in MiB/s: each byte is carried once and opened once
/// by the same thread.
pub fn serial_bound(raw_mib_s: f64, open_ns: f64, record_bytes: usize) -> f64 {
    let open_mib_s = record_bytes as f64 / open_ns * 1e9 / f64::from(1 << 20);
    1.0 / (1.0 / raw_mib_s + 1.0 / open_mib_s)
}

/// Handshake pairs a second on one thread: both ends of Noise XX, and one Ed25519 signature verified by each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshakes {
    /// With [`FastCrypto`].
    pub fast: f64,
    /// With [`PureCrypto`].
    pub pure: f64,
    /// snow with its ring resolver, without the signatures.
    pub snow: f64,
}

impl Handshakes {
    /// Measures all, each for about `span`.
    ///
    /// # Panics
    /// If a handshake fails.
    pub fn measure(span: Duration) -> Self {
        let a_second = |nanos: f64| 1e9 / nanos;
        let mut fast = Pair::new(FastCrypto::new().expect("randomness"));
        let mut pure = Pair::new(PureCrypto::new().expect("randomness"));
        Self {
            fast: a_second(time(span, || fast.shake().expect("an undisturbed handshake"))),
            pure: a_second(time(span, || pure.shake().expect("an undisturbed handshake"))),
            snow: a_second(time(span, || snow_pair().expect("an undisturbed handshake"))),
        }
    }
}

/// This project's core, both ends in one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreRates {
    /// Bytes a second, in packets of 64 KiB, with the AEAD that this machine prefers.
    pub bulk: f64,
    /// The same with ChaCha20-Poly1305.
    pub bulk_chacha: f64,
    /// 64-byte messages a second, each handed over by itself.
    pub messages: f64,
    /// 64-byte messages a second, packed in batches.
    pub packed: f64,
    /// Channels opened and closed a second: dial, handshake, trust, farewell.
    pub set_ups: f64,
}

impl CoreRates {
    /// Measures all, each for about `span`.
    ///
    /// # Panics
    /// If a channel breaks.
    pub fn measure(span: Duration) -> Self {
        let crypto = FastCrypto::new().expect("randomness");
        let block = Packet::misc_data(vec![7; 65_536]);
        let message = Packet::message(vec![b'x'; 64]);
        let mut cores = Cores::new(&crypto);
        let set_ups = 1e9
            / time(span, || {
                cores.open();
                cores.close();
            });
        cores.open();
        let messages = 64e9 / time(span, || (0..64).for_each(|_| cores.send(&message)));
        // As many as fit in the queue that a peer has; a program that packs fills it.
        let packed = 4_096e9
            / time(span, || {
                let mut batch = MessageBatch::default();
                for _ in 0..4_096 {
                    batch.push(black_box(&[b'x'; 64]));
                }
                cores.send_batch(batch);
                cores.pump();
            });
        let bulk = |mut cores: Cores| {
            cores.open();
            65_536e9 / time(span, || cores.send(&block))
        };
        Self {
            bulk: bulk(Cores::new(&crypto)),
            bulk_chacha: bulk(Cores::new(&crypto.without_aes())),
            messages,
            packed,
            set_ups,
        }
    }
}

/// Two ends that shake hands in memory.
pub struct Pair<C: Crypto> {
    crypto: C,
    initiator: StaticKey<C>,
    responder: StaticKey<C>,
    signed: (p2pnet_protocol::PublicKey, p2pnet_protocol::Signature),
    wire: Vec<u8>,
}

impl<C: Crypto> Pair<C> {
    /// Draws keys, and signs what will be verified.
    pub fn new(mut crypto: C) -> Self {
        let (initiator, responder) =
            (StaticKey::generate(&mut crypto), StaticKey::generate(&mut crypto));
        let key = crypto.signing_key(&[7; 32]);
        let signed = (crypto.public_key(&key), crypto.sign(&key, &[7; 64]));
        Self { crypto, initiator, responder, signed, wire: Vec::with_capacity(1_024) }
    }

    /// One whole handshake, with payloads as long as a certificate and a signature, which each end verifies.
    ///
    /// # Errors
    /// None, if the code is right.
    pub fn shake(&mut self) -> Result<(), NoiseError> {
        let Self { crypto, initiator, responder, signed: (key, signature), wire } = self;
        let payload = [7; 160];
        wire.clear();
        let sent = noise::write_1(crypto, b"bench", &[], wire)?;
        let (read, _) = noise::read_1(b"bench", wire)?;
        wire.clear();
        let sent_2 = read.write_2(crypto, responder, &payload, wire)?;
        let (read_2, _) = sent.read_2(crypto, wire)?;
        black_box(crypto.verify(key, &[7; 64], signature));
        wire.clear();
        let ours = read_2.write_3(crypto, initiator, &payload, wire)?;
        let (theirs, _) = sent_2.read_3(crypto, wire)?;
        black_box(crypto.verify(key, &[7; 64], signature));
        debug_assert_eq!(ours.transcript, theirs.transcript);
        black_box((ours, theirs));
        Ok(())
    }
}

/// Both ends of snow's handshake.
///
/// # Errors
/// None, if snow is right.
pub fn snow_pair() -> Result<(), snow::Error> {
    let builder = || {
        snow::Builder::new("Noise_XX_25519_ChaChaPoly_SHA256".parse()?).local_private_key(&[7; 32])
    };
    let (mut a, mut b) = (builder()?.build_initiator()?, builder()?.build_responder()?);
    let (mut wire, mut read) = ([0; 512], [0; 512]);
    let length = a.write_message(&[], &mut wire)?;
    b.read_message(&wire[..length], &mut read)?;
    let length = b.write_message(&[7; 160], &mut wire)?;
    a.read_message(&wire[..length], &mut read)?;
    let length = a.write_message(&[7; 160], &mut wire)?;
    b.read_message(&wire[..length], &mut read)?;
    black_box((a.dangerously_get_raw_split(), b.dangerously_get_raw_split()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_bound_is_that_of_two_steps_in_a_row() {
        // 64 KiB in 15.625 µs is 4,000 MiB/s.
        let bound = serial_bound(4_000.0, 15_625.0, 65_536);
        assert!((bound - 2_000.0).abs() < 1e-6);
    }

    #[test]
    fn handshakes_and_aeads_are_measured() {
        let span = Duration::from_millis(5);
        let handshakes = Handshakes::measure(span);
        assert!(handshakes.fast > 1.0 && handshakes.pure > 1.0 && handshakes.snow > 1.0);
        let core = CoreRates::measure(span);
        assert!(core.bulk > 1.0 && core.bulk_chacha > 1.0);
        assert!(core.messages > 1.0 && core.set_ups > 1.0);
        let aeads = Aeads::measure(span);
        assert!(aeads.aes.iter().all(|times| times.seal_ns > 0.0));
    }
}
