//! The ciphers in use. A keyed cipher can be twenty times as large as its key, and most channels are silent: so a
//! channel keeps keys, and a small store keeps the ciphers that were used last.

use super::record::Half;
use crate::crypto::Crypto;
use crate::id::ConnId;
use alloc::{boxed::Box, vec::Vec};

/// How many ciphers are kept: two for each of so many busy channels. Beyond that a cipher is keyed anew for a batch of
/// records, which costs less than the system call that brought them.
const CIPHERS_MAX: u64 = 64;

/// Names one direction of one connection's channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CipherId(u64);

impl CipherId {
    /// What `conn` sends.
    pub(crate) const fn sends(conn: ConnId) -> Self {
        Self(conn.0.wrapping_mul(2))
    }

    /// What `conn` receives.
    pub(crate) const fn receives(conn: ConnId) -> Self {
        Self(conn.0.wrapping_mul(2).wrapping_add(1))
    }
}

/// A place for a cipher: boxed, since most places of a node with few channels stay empty.
type Place<C> = Option<Box<(CipherId, <C as Crypto>::Cipher)>>;

/// The ciphers that were used last, each in the place that its name gives.
pub(crate) struct Ciphers<C: Crypto> {
    places: Vec<Place<C>>,
}

impl<C: Crypto> Ciphers<C> {
    pub(crate) fn new() -> Self {
        Self { places: (0..CIPHERS_MAX).map(|_| None).collect() }
    }

    fn place(&mut self, id: CipherId) -> Option<&mut Place<C>> {
        // The remainder is below CIPHERS_MAX, so the cast cuts nothing and the place is there.
        self.places.get_mut((id.0 % CIPHERS_MAX) as usize)
    }

    /// Drops a cipher: its key is no longer the one in use.
    pub(crate) fn forget(&mut self, id: CipherId) {
        if let Some(place) = self.place(id)
            && place.as_ref().is_some_and(|kept| kept.0 == id)
        {
            *place = None;
        }
    }

    /// Drops both ciphers of a connection that is over.
    pub(crate) fn forget_both(&mut self, conn: ConnId) {
        self.forget(CipherId::sends(conn));
        self.forget(CipherId::receives(conn));
    }

    /// The cipher of `half`, keyed now unless it is still there.
    pub(crate) fn get(&mut self, crypto: &C, half: &Half) -> Option<&C::Cipher> {
        let id = half.id();
        let place = self.place(id)?;
        if !place.as_ref().is_some_and(|kept| kept.0 == id) {
            *place = Some(Box::new((id, half.cipher(crypto))));
        }
        place.as_ref().map(|kept| &kept.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Aead;
    use crate::discovery::testing::ToyCrypto;

    #[test]
    fn a_cipher_is_kept_until_another_takes_its_place_or_its_key_is_over() {
        let crypto = ToyCrypto;
        let mut ciphers = Ciphers::new();
        let half = |conn| Half::new(Aead::Aes256Gcm, &[7; 32]).named(CipherId::sends(ConnId(conn)));
        let kept = |ciphers: &Ciphers<ToyCrypto>| {
            ciphers.places.iter().flatten().map(|kept| kept.0).collect::<Vec<_>>()
        };
        let (one, far) = (half(1), half(1 + CIPHERS_MAX / 2));
        assert!(ciphers.get(&crypto, &one).is_some());
        assert_eq!(kept(&ciphers), [one.id()]);
        assert!(ciphers.get(&crypto, &far).is_some());
        assert_eq!(kept(&ciphers), [far.id()], "they share a place");
        ciphers.forget(one.id());
        assert_eq!(kept(&ciphers), [far.id()], "what is another's is not dropped");
        ciphers.forget_both(ConnId(1 + CIPHERS_MAX / 2));
        assert!(kept(&ciphers).is_empty());
    }
}
