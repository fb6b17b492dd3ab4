//! The Noise XX handshake against published vectors, against another implementation, and against attackers.

use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::channel::noise::{self, Finished, NoiseError, StaticKey};
use p2pnet_protocol::crypto::{Aead, BadTag, Crypto, DhPublic, DhShared, Nonce, Tag};
use p2pnet_protocol::{PublicKey, Signature};
use x25519_dalek::StaticSecret;

const PROLOGUE: &[u8] = b"prologue";
const PAYLOADS: [&[u8]; 3] = [b"first", b"the second payload", b"third"];

/// The real cryptography with an ephemeral key that is given.
struct Fixed {
    real: PureCrypto,
    ephemeral: [u8; 32],
}

impl Crypto for Fixed {
    type DhSecret = StaticSecret;
    type SigningKey = <PureCrypto as Crypto>::SigningKey;
    type Cipher = <PureCrypto as Crypto>::Cipher;

    fn random(&mut self, out: &mut [u8]) {
        self.real.random(out);
    }
    fn aeads(&self) -> &[Aead] {
        self.real.aeads()
    }
    fn dh_generate(&mut self) -> (StaticSecret, DhPublic) {
        let key: StaticKey<Self> = static_key(self.ephemeral);
        (key.secret, key.public)
    }
    fn dh(&self, secret: &StaticSecret, public: &DhPublic) -> Option<DhShared> {
        self.real.dh(secret, public)
    }
    fn signing_key(&self, seed: &[u8; 32]) -> Self::SigningKey {
        self.real.signing_key(seed)
    }
    fn public_key(&self, key: &Self::SigningKey) -> PublicKey {
        self.real.public_key(key)
    }
    fn sign(&self, key: &Self::SigningKey, message: &[u8]) -> Signature {
        self.real.sign(key, message)
    }
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        self.real.verify(key, message, signature)
    }
    fn cipher(&self, aead: Aead, key: &[u8; 32]) -> Self::Cipher {
        self.real.cipher(aead, key)
    }
    fn seal(&self, cipher: &Self::Cipher, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Tag {
        self.real.seal(cipher, nonce, aad, buffer)
    }
    fn open(
        &self,
        cipher: &Self::Cipher,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        self.real.open(cipher, nonce, aad, buffer, tag)
    }
}

fn pure() -> PureCrypto {
    PureCrypto::new().unwrap()
}

fn static_key<C: Crypto<DhSecret = StaticSecret>>(scalar: [u8; 32]) -> StaticKey<C> {
    let secret = StaticSecret::from(scalar);
    let public = x25519_dalek::PublicKey::from(&secret).to_bytes();
    StaticKey { secret, public }
}

/// Seals or opens the `nth` transport message under a key that the handshake gave, as Noise's `CipherState` does.
fn transport(key: &[u8; 32], nth: u8, plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 12];
    nonce[4] = nth;
    let crypto = pure();
    let mut sealed = plain.to_vec();
    let cipher = crypto.cipher(Aead::ChaCha20Poly1305, key);
    let tag = crypto.seal(&cipher, &nonce, b"", &mut sealed);
    [&sealed[..], &tag].concat()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

/// One published vector: keys, then payloads and ciphertexts, from both sides in turn.
struct Vector {
    prologue: &'static str,
    initiator: [&'static str; 2],
    responder: [&'static str; 2],
    transcript: Option<&'static str>,
    messages: &'static [[&'static str; 2]],
}

#[test]
fn vector_of_cacophony() {
    check(&Vector {
        prologue: "4a6f686e2047616c74",
        initiator: [
            "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
            "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        ],
        responder: [
            "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
            "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        ],
        transcript: Some("c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e"),
        messages: &[
            [
                "4c756477696720766f6e204d69736573",
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573",
            ],
            [
                "4d757272617920526f746862617264",
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffce2b65285e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c412f8a0db50f8814c7194e83f23dbd8d162c9326ad",
            ],
            [
                "462e20412e20486179656b",
                "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be0865b57f58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030",
            ],
            ["4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"],
            [
                "4a65616e2d426170746973746520536179",
                "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5",
            ],
            [
                "457567656e2042f6686d20766f6e2042617765726b",
                "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f",
            ],
        ],
    });
}

#[test]
fn vector_of_snow() {
    check(&Vector {
        prologue: "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e20616e6420626f72696e672e",
        initiator: [
            "7dec208517a3b81a2861d7a71266d5d6dc944c5a8816634a86fe63198a0148ee",
            "a32daf21e93c0131495ce1d903181fde81cc46937daaeb990bae7c992709421e",
        ],
        responder: [
            "4d0aed5098e3b4ef20357e9f686ce66204c792b358da2e475017d6c485304881",
            "4eece0f195d026db035ff987597c429d3ad3bcc2944df37d649528951b2a27c5",
        ],
        transcript: None,
        messages: &[
            [
                "d03c489139e645d0711a3c9e810d776b46a84912463fafa87b884eebf242dc34",
                "f9fa868ba97ab8a2686deccfaad5a484ee10a5bb85e3d1dce015a84797f92818d03c489139e645d0711a3c9e810d776b46a84912463fafa87b884eebf242dc34",
            ],
            [
                "d8190a92f7dc0c93dbea9118ba8055751fb7c6590c416ffbd419964132b99a85",
                "8c4e6fdb7d09d501a86f7eca5c234522751706ed409182c05cdf5f827d4dae47b81c6c5f43b025692c24391eefee725c17d8cb0fbe3e4abb8aedf42c4fd2592d4ea48ac08989d6ae8b4adae08b2c34087c808c7aa55a63c02b0fab9e930612336bd43eaea04d3c670a0a146691aa9cc9d357872320dc735dbc48580cffb553db",
            ],
            [
                "77891b19dcb92ef7c055b672c4a5aa7fdf1c84146b8b303459022729473ce254",
                "933ca6b5ed60df3df66121f0ab49a09e49efa45c613a86a3cecbf4c535cef2f83f72b42837b18e3572f2fdc2b74c331e2368a545cef54bdca081678ab0e9dd5348122459e0c034c851984d88ce610963d43cde6cfe73a67fbd5a63e8bfca96d0",
            ],
            [
                "d7efdf988072881941db045a42882433817555128fbf5663e56081712ec7d212",
                "54ef0ff0629e1aaa7685a2806ab111cba76b52331f2642276736f415868eacb69ab2577f3bda0cbf72f879685f6ed25f",
            ],
            [
                "dd7bf01a588bafb52c6cfba952e5d8fe35cc2b3f92b4730ae2474615157345ce",
                "356be70f110306d5c699bb834bb9d58d909e325924dfbec972e406e6f294dc63e1daebefe8a62a334facc8048ab4ad66",
            ],
        ],
    });
}

fn check(vector: &Vector) {
    let fixed = |keys: [&str; 2]| Fixed { real: pure(), ephemeral: hex32(keys[1]) };
    let (mut a, mut b) = (fixed(vector.initiator), fixed(vector.responder));
    let a_static = static_key(hex32(vector.initiator[0]));
    let b_static = static_key(hex32(vector.responder[0]));
    let prologue = hex(vector.prologue);
    let [first, second, third, rest @ ..] = vector.messages else { panic!("a handshake") };
    let mut wire = Vec::new();

    let sent = noise::write_1(&mut a, &prologue, &hex(first[0]), &mut wire).unwrap();
    assert_eq!(wire, hex(first[1]));
    let (read, payload) = noise::read_1(&prologue, &mut wire).unwrap();
    assert_eq!(payload, hex(first[0]));

    wire.clear();
    let sent_2 = read.write_2(&mut b, &b_static, &hex(second[0]), &mut wire).unwrap();
    assert_eq!(wire, hex(second[1]));
    let (read_2, payload) = sent.read_2(&a, &mut wire).unwrap();
    assert_eq!(payload, hex(second[0]));
    assert_eq!(*read_2.remote_static(), b_static.public);

    wire.clear();
    let ours = read_2.write_3(&a, &a_static, &hex(third[0]), &mut wire).unwrap();
    assert_eq!(wire, hex(third[1]));
    let (theirs, payload) = sent_2.read_3(&b, &mut wire).unwrap();
    assert_eq!(payload, hex(third[0]));

    agree(&ours, &theirs);
    assert_eq!(ours.remote_static, b_static.public);
    assert_eq!(theirs.remote_static, a_static.public);
    if let Some(transcript) = vector.transcript {
        assert_eq!(ours.transcript, hex32(transcript));
    }
    // After three handshake messages it is the responder's turn.
    for (i, [payload, sealed]) in rest.iter().enumerate() {
        let key = if i % 2 == 0 { &theirs.send_key } else { &ours.send_key };
        assert_eq!(transport(key, (i / 2) as u8, &hex(payload)), hex(sealed));
    }
}

fn agree(initiator: &Finished, responder: &Finished) {
    assert_eq!(initiator.transcript, responder.transcript);
    assert_eq!(*initiator.send_key, *responder.receive_key);
    assert_eq!(*initiator.receive_key, *responder.send_key);
    assert_ne!(*initiator.send_key, *initiator.receive_key);
}

mod against_snow {
    use super::*;
    use snow::{Builder, HandshakeState};

    fn snow(key: &StaticKey<PureCrypto>) -> Builder<'_> {
        let name = "Noise_XX_25519_ChaChaPoly_SHA256".parse().unwrap();
        let builder = Builder::new(name).prologue(PROLOGUE).unwrap();
        builder.local_private_key(key.secret.as_bytes()).unwrap()
    }

    fn write(snow: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
        let mut wire = vec![0; 1_024];
        let length = snow.write_message(payload, &mut wire).unwrap();
        wire.truncate(length);
        wire
    }

    fn read(snow: &mut HandshakeState, message: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; 1_024];
        let length = snow.read_message(message, &mut payload).unwrap();
        payload.truncate(length);
        payload
    }

    fn finish(snow: HandshakeState, ours: &Finished, their_static: &DhPublic) {
        assert_eq!(snow.get_handshake_hash(), ours.transcript);
        assert_eq!(ours.remote_static, *their_static);
        let mut snow = snow.into_transport_mode().unwrap();
        let mut buffer = [0; 64];
        for nth in 0..3 {
            let length = snow.write_message(b"to us", &mut buffer).unwrap();
            assert_eq!(buffer[..length], transport(&ours.receive_key, nth, b"to us"));
            let sealed = transport(&ours.send_key, nth, b"to snow");
            let length = snow.read_message(&sealed, &mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"to snow");
        }
    }

    #[test]
    fn we_initiate() {
        let mut crypto = pure();
        let ours = StaticKey::generate(&mut crypto);
        let theirs = StaticKey::generate(&mut crypto);
        let mut snow = snow(&theirs).build_responder().unwrap();
        let mut wire = Vec::new();
        let sent = noise::write_1(&mut crypto, PROLOGUE, PAYLOADS[0], &mut wire).unwrap();
        assert_eq!(read(&mut snow, &wire), PAYLOADS[0]);
        let mut second = write(&mut snow, PAYLOADS[1]);
        let (state, payload) = sent.read_2(&crypto, &mut second).unwrap();
        assert_eq!(payload, PAYLOADS[1]);
        assert_eq!(snow.get_handshake_hash(), state.transcript());
        wire.clear();
        let finished = state.write_3(&crypto, &ours, PAYLOADS[2], &mut wire).unwrap();
        assert_eq!(read(&mut snow, &wire), PAYLOADS[2]);
        finish(snow, &finished, &theirs.public);
    }

    #[test]
    fn snow_initiates() {
        let mut crypto = pure();
        let ours = StaticKey::generate(&mut crypto);
        let theirs = StaticKey::generate(&mut crypto);
        let mut snow = snow(&theirs).build_initiator().unwrap();
        let mut first = write(&mut snow, PAYLOADS[0]);
        let (state, payload) = noise::read_1(PROLOGUE, &mut first).unwrap();
        assert_eq!(payload, PAYLOADS[0]);
        let mut wire = Vec::new();
        let sent = state.write_2(&mut crypto, &ours, PAYLOADS[1], &mut wire).unwrap();
        assert_eq!(read(&mut snow, &wire), PAYLOADS[1]);
        let mut third = write(&mut snow, PAYLOADS[2]);
        let (finished, payload) = sent.read_3(&crypto, &mut third).unwrap();
        assert_eq!(payload, PAYLOADS[2]);
        finish(snow, &finished, &theirs.public);
    }
}

/// Runs a handshake whose messages `meddle` may change; it is told the message's number, from 0. Gives both ends'
/// results, or the number of the step that failed (1 writes the first message, 6 reads the third) and why.
fn meddled(
    statics: &[StaticKey<PureCrypto>; 2],
    prologues: [&[u8]; 2],
    mut meddle: impl FnMut(usize, &mut Vec<u8>),
) -> Result<(Finished, Finished), (u8, NoiseError)> {
    let mut crypto = pure();
    let at = |step| move |why| (step, why);
    let mut wire = Vec::new();
    let sent = noise::write_1(&mut crypto, prologues[0], PAYLOADS[0], &mut wire).map_err(at(1))?;
    meddle(0, &mut wire);
    let (state, _) = noise::read_1(prologues[1], &mut wire).map_err(at(2))?;
    let mut wire = Vec::new();
    let sent_2 = state.write_2(&mut crypto, &statics[1], PAYLOADS[1], &mut wire).map_err(at(3))?;
    meddle(1, &mut wire);
    let (state, _) = sent.read_2(&crypto, &mut wire).map_err(at(4))?;
    let mut wire = Vec::new();
    let ours = state.write_3(&crypto, &statics[0], PAYLOADS[2], &mut wire).map_err(at(5))?;
    meddle(2, &mut wire);
    let (theirs, _) = sent_2.read_3(&crypto, &mut wire).map_err(at(6))?;
    Ok((ours, theirs))
}

fn statics() -> [StaticKey<PureCrypto>; 2] {
    [StaticKey::generate(&mut pure()), StaticKey::generate(&mut pure())]
}

/// The lengths of the messages, and the step at which meddling with each must show at the latest: the first message
/// holds nothing sealed, so the initiator notices when it reads the second.
const MESSAGES: [(usize, u8); 3] = [
    (noise::OVERHEAD_1_BYTES + PAYLOADS[0].len(), 4),
    (noise::OVERHEAD_2_BYTES + PAYLOADS[1].len(), 4),
    (noise::OVERHEAD_3_BYTES + PAYLOADS[2].len(), 6),
];

#[test]
fn without_an_attacker_both_agree() {
    let statics = statics();
    let mut lengths = Vec::new();
    let (ours, theirs) =
        meddled(&statics, [PROLOGUE; 2], |_, wire| lengths.push(wire.len())).unwrap();
    agree(&ours, &theirs);
    assert_eq!(lengths, MESSAGES.map(|(length, _)| length));
    assert_eq!(ours.remote_static, statics[1].public);
    assert_eq!(theirs.remote_static, statics[0].public);
    let (again, _) = meddled(&statics, [PROLOGUE; 2], |_, _| ()).unwrap();
    assert_ne!(again.transcript, ours.transcript);
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let statics = statics();
    for (message, (length, step)) in MESSAGES.into_iter().enumerate() {
        for at in 0..length {
            let result = meddled(&statics, [PROLOGUE; 2], |n, wire| {
                if n == message {
                    // The top bit too: X25519 ignores it in a key, the transcript does not.
                    wire[at] ^= 0x80;
                }
            });
            assert_eq!(result.err(), Some((step, NoiseError::BadTag)), "{message}, {at}");
        }
    }
}

#[test]
fn a_cut_or_lengthened_message_is_noticed() {
    let statics = statics();
    for (message, (length, step)) in MESSAGES.into_iter().enumerate() {
        for cut in 0..length {
            let result = meddled(&statics, [PROLOGUE; 2], |n, wire| {
                if n == message {
                    wire.truncate(cut);
                }
            });
            let (at, why) = result.err().unwrap();
            let shortest = [32, 96, 64][message];
            let too_short = if message == 0 { 2 } else { step };
            // Between the two: what is left of the payload is too short for a tag, or has a wrong one.
            if cut < shortest - 16 * usize::from(message > 0) {
                assert_eq!((at, why), (too_short, NoiseError::TooShort), "{message}, {cut}");
            } else {
                assert!(at == step && why != NoiseError::WeakKey, "{message}, {cut}: {why:?}");
            }
        }
        let result = meddled(&statics, [PROLOGUE; 2], |n, wire| {
            if n == message {
                wire.push(0);
            }
        });
        assert_eq!(result.err(), Some((step, NoiseError::BadTag)));
        let result = meddled(&statics, [PROLOGUE; 2], |n, wire| {
            if n == message {
                wire.resize(noise::MESSAGE_BYTES_MAX + 1, 0);
            }
        });
        let at = [2, 4, 6][message];
        assert_eq!(result.err(), Some((at, NoiseError::TooLong)));
    }
}

#[test]
fn another_prologue_is_noticed() {
    let result = meddled(&statics(), [b"ours", b"theirs"], |_, _| ());
    assert_eq!(result.err(), Some((4, NoiseError::BadTag)));
}

/// Messages of one handshake don't fit into another between the same two.
#[test]
fn a_replayed_message_is_noticed() {
    let statics = statics();
    let mut old = [const { Vec::new() }; 3];
    meddled(&statics, [PROLOGUE; 2], |n, wire| old[n].clone_from(wire)).unwrap();
    for (message, (_, step)) in MESSAGES.into_iter().enumerate() {
        let result = meddled(&statics, [PROLOGUE; 2], |n, wire| {
            if n == message {
                wire.clone_from(&old[n]);
            }
        });
        assert_eq!(result.err(), Some((step, NoiseError::BadTag)));
    }
}

/// Every encoding of the points whose order divides 8, on the curve and on its twist (RFC 7748, section 6.1; the list
/// is that of Bernstein's "Curve25519" page), with the ignored top bit clear and set.
fn small_order() -> impl Iterator<Item = DhPublic> {
    let modulus_plus = |n: u8| {
        let mut u = [0xff; 32];
        (u[0], u[31]) = (0xed_u8.wrapping_add(n), 0x7f);
        u
    };
    let mut one = [0; 32];
    one[0] = 1;
    let low = [
        [0; 32],
        one,
        hex32("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex32("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        modulus_plus(0xff),
        modulus_plus(0),
        modulus_plus(1),
    ];
    low.into_iter().flat_map(|u| {
        let mut high = u;
        high[31] |= 0x80;
        [u, high]
    })
}

#[test]
fn small_order_keys_are_refused() {
    for weak in small_order() {
        for (message, step) in [(0, 3), (1, 4)] {
            let result = meddled(&statics(), [PROLOGUE; 2], |n, wire| {
                if n == message {
                    wire[..32].copy_from_slice(&weak);
                }
            });
            assert_eq!(result.err(), Some((step, NoiseError::WeakKey)));
        }
        for (side, step) in [(1, 4), (0, 6)] {
            let mut statics = statics();
            statics[side].public = weak;
            let result = meddled(&statics, [PROLOGUE; 2], |_, _| ());
            assert_eq!(result.err(), Some((step, NoiseError::WeakKey)));
        }
    }
}

#[test]
fn a_refused_step_leaves_the_output_alone() {
    let mut crypto = pure();
    let local = StaticKey::generate(&mut crypto);
    let mut wire = b"before".to_vec();
    let payload = vec![0; noise::MESSAGE_BYTES_MAX - noise::OVERHEAD_1_BYTES + 1];
    let long = noise::write_1(&mut crypto, PROLOGUE, &payload, &mut wire);
    assert_eq!(long.err(), Some(NoiseError::TooLong));
    assert_eq!(wire, b"before");
    noise::write_1(&mut crypto, PROLOGUE, &payload[1..], &mut Vec::new()).unwrap();

    let mut weak = [0; 32];
    let (state, _) = noise::read_1(PROLOGUE, &mut weak).unwrap();
    let refused = state.write_2(&mut crypto, &local, b"", &mut wire);
    assert_eq!(refused.err(), Some(NoiseError::WeakKey));
    assert_eq!(wire, b"before");
}
