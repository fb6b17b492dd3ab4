//! A program without `std`, without a C library, and with the core in it.
//!
//! It makes a node with the pure-Rust crypto provider, runs it through a second of its life, and exits with status 42
//! if all was as it should be. Should any crate below pull in `std`, this doesn't link: two panic handlers collide
//! (E0152), and the compiler names the crate.
#![no_std]
#![no_main]

extern crate alloc;

mod platform;

use p2pnet_crypto::PureCrypto;
use p2pnet_protocol::{Config, Crypto, Duration, Instant, PeerId, PeerNetwork, Seed};

/// What a life without incident ends with.
const GOOD: i32 = 42;

/// Called by the platform's entry point; gives the exit status.
fn run() -> i32 {
    #[cfg(feature = "leak")]
    if leaky::threads() == 0 {
        return 1;
    }
    let Ok(mut crypto) = PureCrypto::new() else { return 2 };
    if !curves_and_ciphers_work(&mut crypto) {
        return 3;
    }
    let identity = [7; 32];
    let id = PeerId::of(&crypto.public_key(&crypto.signing_key(&identity)));
    let start = Instant::from_nanos(0);
    let Ok(mut node) = PeerNetwork::new(Config::default(), &identity, Seed([1; 32]), crypto, start)
    else {
        return 4;
    };
    if node.id() != id {
        return 5;
    }
    for milliseconds in 0..1000 {
        node.handle_timeout(start + Duration::from_millis(milliseconds));
        while node.poll_output().is_some() {}
    }
    GOOD
}

fn curves_and_ciphers_work(crypto: &mut PureCrypto) -> bool {
    let (ours, our_public) = crypto.dh_generate();
    let (theirs, their_public) = crypto.dh_generate();
    let (Some(left), Some(right)) =
        (crypto.dh(&ours, &their_public), crypto.dh(&theirs, &our_public))
    else {
        return false;
    };
    if left != right {
        return false;
    }
    let Some(aead) = crypto.aeads().first().copied() else { return false };
    let cipher = crypto.cipher(aead, &left);
    let mut text = *b"no std, still secret";
    let tag = crypto.seal(&cipher, &[0; 12], &[], &mut text);
    crypto.open(&cipher, &[0; 12], &[], &mut text, &tag).is_ok() && &text == b"no std, still secret"
}
