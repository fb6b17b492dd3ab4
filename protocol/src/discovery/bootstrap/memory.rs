//! Which authority a node has met where: what must outlive the process, so that nobody takes an authority's place later.

use crate::id::PublicKey;
use crate::trust::bootstrap_policy::AuthorityLock;
use crate::wire::codec::{Malformed, Reader, put_prefixed, put_varint};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::url::URL_BYTES_MAX;

/// The authority that a node is locked to, and the one that it met first at each server.
///
/// ```
/// use p2pnet_protocol::PublicKey;
/// use p2pnet_protocol::discovery::bootstrap::memory::Memory;
/// let mut memory = Memory::default();
/// assert!(memory.set_pin("https://boot.example.org", PublicKey([1; 32]), |_| true));
/// assert_eq!(Memory::decode(&memory.encode()), Ok(memory));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The lock of `first_single_locking_authority`.
    pub lock: AuthorityLock,
    pins: BTreeMap<String, PublicKey>,
}

impl Memory {
    const VERSION: u8 = 1;
    /// Servers whose authorities are remembered.
    pub const PINS_MAX: usize = 256;

    /// The authority that was met first at this server.
    pub fn pin(&self, url: &str) -> Option<&PublicKey> {
        self.pins.get(url)
    }

    /// Remembers the authority of a server; true if that is news. Where there is no room, the pin of a server that isn't
    /// `in_use` any more gives way.
    pub fn set_pin(&mut self, url: &str, key: PublicKey, in_use: impl Fn(&str) -> bool) -> bool {
        if self.pins.get(url) == Some(&key) {
            return false;
        }
        if self.pins.len() >= Self::PINS_MAX {
            let unused = self.pins.keys().find(|url| !in_use(url)).cloned();
            unused.and_then(|url| self.pins.remove(&url));
        }
        self.pins.insert(url.into(), key);
        true
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = alloc::vec![Self::VERSION];
        match self.lock.authority() {
            None => out.push(0),
            Some(key) => {
                out.push(1);
                out.extend_from_slice(&key.0);
            }
        }
        put_varint(&mut out, u32::try_from(self.pins.len()).unwrap_or(u32::MAX));
        for (url, key) in &self.pins {
            put_prefixed(&mut out, url.as_bytes());
            out.extend_from_slice(&key.0);
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "authorities met";
        let mut from = Reader::new(bytes);
        if from.u8(WHAT)? != Self::VERSION {
            return Err(Malformed(WHAT));
        }
        let lock = match from.u8(WHAT)? {
            0 => AuthorityLock::default(),
            1 => AuthorityLock::on(PublicKey(from.array(WHAT)?)),
            _ => return Err(Malformed(WHAT)),
        };
        let count = from.varint(WHAT)? as usize;
        if count > Self::PINS_MAX {
            return Err(Malformed(WHAT));
        }
        let mut pins = BTreeMap::new();
        for _ in 0..count {
            let url: String = from.text(URL_BYTES_MAX, WHAT)?.into();
            if pins.last_key_value().is_some_and(|(last, _)| *last >= url) {
                return Err(Malformed(WHAT));
            }
            pins.insert(url, PublicKey(from.array(WHAT)?));
        }
        from.end(WHAT)?;
        Ok(Self { lock, pins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn it_comes_back_as_it_was_and_damage_is_noticed() {
        let mut memory =
            Memory { lock: AuthorityLock::on(PublicKey([7; 32])), ..Memory::default() };
        assert!(memory.set_pin("http://b", PublicKey([2; 32]), |_| true));
        assert!(memory.set_pin("http://a", PublicKey([1; 32]), |_| true));
        assert!(!memory.set_pin("http://a", PublicKey([1; 32]), |_| true));
        let bytes = memory.encode();
        assert_eq!(Memory::decode(&bytes), Ok(memory));
        for end in 0..bytes.len() {
            assert!(Memory::decode(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Memory::decode(&[bytes, Vec::from([0])].concat()).is_err());
    }

    #[test]
    fn servers_that_are_gone_make_room_and_those_in_use_never_do() {
        let mut memory = Memory::default();
        for n in 0..Memory::PINS_MAX {
            memory.set_pin(&format!("http://{n:03}"), PublicKey([1; 32]), |_| true);
        }
        memory.set_pin("http://new", PublicKey([2; 32]), |url| url != "http://100");
        assert_eq!(memory.pins.len(), Memory::PINS_MAX);
        assert_eq!(memory.pin("http://100"), None);
        assert_eq!(memory.pin("http://new"), Some(&PublicKey([2; 32])));
    }
}
