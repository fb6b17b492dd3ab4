//! What applications say to each other: enough to tell who said it, over which channel, and as which.

/// One packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The host that says it.
    pub(crate) from: u32,
    /// Which packet of its kind over this channel it is, from 0.
    pub(crate) number: u32,
    /// Which broadcast it passes on.
    pub(crate) broadcast: Option<u32>,
}

impl Said {
    const BYTES: usize = 12;
    const NO_BROADCAST: u32 = u32::MAX;

    /// The payload, filled up to `bytes`.
    pub(crate) fn encode(self, bytes: usize) -> Vec<u8> {
        let broadcast = self.broadcast.unwrap_or(Self::NO_BROADCAST);
        let mut payload = Vec::with_capacity(bytes.max(Self::BYTES));
        for word in [self.from, self.number, broadcast] {
            payload.extend_from_slice(&word.to_le_bytes());
        }
        let filler = (self.from ^ self.number) as u8;
        payload.resize(bytes.max(Self::BYTES), filler);
        payload
    }

    /// Reads a payload back. `None` if it isn't one, whole.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let (words, rest) = payload.as_chunks::<4>();
        let word = |i: usize| words.get(i).map(|word| u32::from_le_bytes(*word));
        let (from, number, broadcast) = (word(0)?, word(1)?, word(2)?);
        let filler = (from ^ number) as u8;
        let filled = payload[Self::BYTES..].iter().chain(rest).all(|byte| *byte == filler);
        let broadcast = (broadcast != Self::NO_BROADCAST).then_some(broadcast);
        filled.then_some(Self { from, number, broadcast })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_round_trip_and_damage_shows() {
        for bytes in [0, 12, 13, 500] {
            let said = Said { from: 7, number: 70_000, broadcast: Some(3) };
            let mut payload = said.encode(bytes);
            assert_eq!(Said::decode(&payload), Some(said));
            if bytes > 12 {
                payload[12] ^= 1;
                assert_eq!(Said::decode(&payload), None);
            }
        }
        assert_eq!(Said::decode(&[1; 11]), None);
    }
}
