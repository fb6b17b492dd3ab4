//! The worked example of a trust handshake, driven by hand: no network, no clock.

use crate::card::{Desk, SignedCard};
use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::trust::handshake::{PeerTrustHandshake, Step, TrustSession};
use p2pnet_protocol::{ConnId, Crypto, Direction, PeerId, PublicKey, Trust};
use std::sync::Arc;

fn crypto() -> PureCrypto {
    PureCrypto::new().unwrap()
}

fn badge(seed: u8) -> PublicKey {
    crypto().public_key(&crypto().signing_key(&[seed; 32]))
}

fn desk(seed: u8, on_file: &[u8]) -> Arc<Desk<PureCrypto>> {
    let on_file = on_file.iter().map(|seed| badge(*seed)).collect();
    Arc::new(Desk { crypto: crypto(), badge: crypto().signing_key(&[seed; 32]), on_file })
}

fn session(direction: Direction, transcript: u8) -> TrustSession {
    TrustSession { peer: PeerId([1; 32]), conn: ConnId(1), transcript: [transcript; 32], direction }
}

fn card(
    desk: Arc<Desk<PureCrypto>>,
    direction: Direction,
    transcript: u8,
) -> SignedCard<PureCrypto> {
    SignedCard::new(desk, &session(direction, transcript))
}

/// What the steps send, in order.
fn sent(steps: &[Step]) -> Vec<Vec<u8>> {
    let message = |step: &Step| match step {
        Step::Send(message) => Some(message.to_vec()),
        _ => None,
    };
    steps.iter().filter_map(message).collect()
}

#[test]
fn two_who_have_each_other_on_file_end_up_trusted() {
    let mut dialler = card(desk(1, &[2]), Direction::Outgoing, 9);
    let mut listener = card(desk(2, &[1]), Direction::Incoming, 9);
    assert_eq!(sent(&listener.on_start()), Vec::<Vec<u8>>::new());
    let theirs = sent(&dialler.on_start());
    let raised = listener.on_message(&theirs[0]);
    assert!(raised.contains(&Step::Raise(Trust::Trusted)), "{raised:?}");
    let confirmed = dialler.on_message(&sent(&raised)[0]);
    assert_eq!(confirmed.last(), Some(&Step::Confirm(Trust::Trusted)));
    let end = listener.on_message(&sent(&confirmed)[0]);
    assert_eq!(end, [Step::Confirm(Trust::Trusted)]);
}

#[test]
fn nobody_is_raised_without_a_card_on_file_signed_for_this_channel_and_side() {
    let listener = || card(desk(2, &[1]), Direction::Incoming, 9);
    let mut honest = card(desk(1, &[2]), Direction::Outgoing, 9);
    let good = sent(&honest.on_start()).remove(0);
    assert_ne!(listener().on_message(&good), [Step::Refuse]);

    let mut stranger = card(desk(3, &[2]), Direction::Outgoing, 9);
    let mut elsewhere = card(desk(1, &[2]), Direction::Outgoing, 8);
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    for bad in [
        sent(&stranger.on_start()).remove(0),
        sent(&elsewhere.on_start()).remove(0),
        flipped,
        good[..95].to_vec(),
        vec![],
        b"welcome".to_vec(),
        b"Ping from 192.0.2.1".to_vec(),
    ] {
        assert_eq!(listener().on_message(&bad), [Step::Refuse], "{bad:x?}");
    }

    // The dialler's own card, sent back by a listener whom it has on file.
    let mut dialler = card(desk(1, &[1, 2]), Direction::Outgoing, 9);
    let own = sent(&dialler.on_start()).remove(0);
    assert_eq!(dialler.on_message(&own), [Step::Refuse]);
}

#[test]
fn silence_is_refused() {
    assert_eq!(card(desk(1, &[2]), Direction::Outgoing, 9).on_timeout(), [Step::Refuse]);
}
