//! A connection: one byte stream, from the wish to dial or the accept to its end.

use super::held::Held;
use crate::channel::handshake::Handshake;
use crate::channel::open::Channel;
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::error::CloseReason;
use crate::id::{FileId, PeerId};
use crate::io::Direction;
use crate::limits::Limits;
use crate::time::{Instant, UnixTime};
use crate::timers::TimerKey;
use crate::wire::packet::PacketKind;
use crate::wire::proof::Proof;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub(crate) struct Connection<C: Crypto> {
    pub(crate) at: SocketAddr,
    pub(crate) direction: Direction,
    /// The identity that the dial was for.
    pub(crate) expect: Option<PeerId>,
    /// The application asked for this dial.
    pub(crate) manual: bool,
    pub(crate) phase: Phase<C>,
    /// The phase's timer.
    pub(crate) timer: Option<TimerKey>,
    /// Handshake bytes to write.
    pub(crate) early: Vec<u8>,
    /// The adapter knows that there is something to write.
    pub(crate) write_announced: bool,
}

/// Where a connection is in its life. Each phase has only what makes sense in it.
pub(crate) enum Phase<C: Crypto> {
    /// Waits for its stream.
    Dialing,
    /// Proves identities.
    Handshaking(Box<Handshake<C>>),
    /// Has a channel, perhaps a closing one.
    Open(Box<Link>),
}

/// A channel and what the node thinks of its peer.
pub(crate) struct Link {
    pub(crate) channel: Channel,
    pub(crate) stage: Stage,
    pub(crate) opened: Instant,
    pub(crate) trust: Trust,
    /// The peer's proofs of membership, once it has let us in.
    pub(crate) theirs: Option<Vec<Proof>>,
    /// The application has been told of this channel.
    pub(crate) announced: bool,
    /// The application's own trust handshake is under way.
    pub(crate) handshaking: bool,
    /// When that began, if it ever did.
    pub(crate) handshake_began: Option<Instant>,
    pub(crate) settle: Option<TimerKey>,
    /// When the peer's certificate has to be looked at again, if its trust rests on one.
    pub(crate) expiry: Option<(UnixTime, TimerKey)>,
    /// Why the channel is closing.
    pub(crate) reason: Option<CloseReason>,
    /// `Output::Close` is out: nothing more is written.
    pub(crate) close_sent: bool,
    /// A send was refused for want of room.
    pub(crate) send_blocked: bool,
    pub(crate) refused: Refused,
    pub(crate) acquaintance: Acquaintance,
    /// How much it has told of others lately.
    pub(crate) hearsay: Hearsay,
    pub(crate) rate: Rate,
    /// When this was last found not to be read.
    pub(crate) deaf: Instant,
    /// Received and not given back.
    pub(crate) held: Held,
    pub(crate) serving: Serving,
    /// The application's own.
    pub(crate) data: Box<[u8]>,
}

/// Who has described itself to whom.
#[derive(Debug, Default)]
pub(crate) struct Acquaintance {
    /// The peer was told what this node calls itself at present.
    pub(crate) told: bool,
    /// What was told may have met a closed gate: one question for it is answered.
    pub(crate) owes_answer: bool,
    /// The peer described itself, and the gate turned it away: ask for it once the gate opens.
    pub(crate) missed: bool,
}

/// How far a channel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waits for the application to accept the peer.
    Pending,
    /// Let in from this side; waits for the other.
    Opening,
    /// Open on both sides; trust is being settled by the application's handshake.
    Settling,
    /// Open.
    Established,
    /// On its way out.
    Closing,
}

/// Packets that the gate turned away and nobody was told of yet.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) untold: BTreeMap<PacketKind, u64>,
    pub(crate) told: Option<Instant>,
}

/// How fast packets come (feature N9): a bucket of one second's worth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    pub(crate) seen: u64,
    pub(crate) debt_nanos: u64,
    pub(crate) at: Instant,
    pub(crate) paused: bool,
}

/// Chunks of files that the peer asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Serving {
    /// It asked for more than was read.
    pub(crate) hungry: bool,
    /// Bytes that are being read.
    pub(crate) reading_bytes: usize,
    /// The file that was read from last.
    pub(crate) after: Option<FileId>,
}

/// How many records of other peers the node itself takes from one peer: each costs many times what its bytes cost. The
/// application hears all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hearsay {
    level: usize,
    at: Instant,
}

impl Hearsay {
    const RECORDS_MAX: usize = 512;
    const RECORDS_PER_SECOND: u64 = 64;

    /// Of so many records: how many are taken now.
    pub(crate) fn take(&mut self, now: Instant, records: usize) -> usize {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let forgotten = millis.saturating_mul(Self::RECORDS_PER_SECOND) / 1000;
        if forgotten > 0 {
            self.at = now;
            self.level =
                self.level.saturating_sub(usize::try_from(forgotten).unwrap_or(usize::MAX));
        }
        let taken = records.min(Self::RECORDS_MAX.saturating_sub(self.level));
        self.level = self.level.saturating_add(taken);
        taken
    }
}

impl Link {
    /// Bytes that wait to be sent, or are read in order to be.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.channel.queued_bytes().saturating_add(self.serving.reading_bytes)
    }

    /// How many bytes may be read from the stream now: what the credit given allows, unless the peer sends faster than
    /// its rate, in too many pieces, or without reading the control packets that it causes.
    pub(crate) fn read_window(&self, limits: &Limits) -> usize {
        if self.rate.paused || self.channel.is_control_full() {
            return 0;
        }
        self.channel.read_window().min(self.held.read_window(limits.unread_events_max))
    }

    pub(crate) fn new(channel: Channel, stage: Stage, now: Instant) -> Self {
        Self {
            channel,
            stage,
            opened: now,
            trust: Trust::Authenticated,
            theirs: None,
            announced: false,
            handshaking: false,
            handshake_began: None,
            settle: None,
            expiry: None,
            reason: None,
            close_sent: false,
            send_blocked: false,
            refused: Refused::default(),
            acquaintance: Acquaintance::default(),
            held: Held::default(),
            serving: Serving::default(),
            data: Box::default(),
            rate: Rate { at: now, ..Rate::default() },
            deaf: now,
            hearsay: Hearsay { level: 0, at: now },
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Settling | Stage::Established) && self.announced
    }
}

impl<C: Crypto> Connection<C> {
    pub(crate) fn new(at: SocketAddr, direction: Direction, expect: Option<PeerId>) -> Self {
        Self {
            at,
            direction,
            expect,
            manual: false,
            phase: Phase::Dialing,
            timer: None,
            early: Vec::new(),
            write_announced: false,
        }
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        if let Phase::Open(link) = &self.phase { Some(link) } else { None }
    }

    pub(crate) fn link_mut(&mut self) -> Option<&mut Link> {
        if let Phase::Open(link) = &mut self.phase { Some(link) } else { None }
    }

    pub(crate) fn wants_write(&self) -> bool {
        let channel =
            self.link().is_some_and(|link| !link.close_sent && link.channel.wants_write());
        !self.early.is_empty() || channel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn a_peer_that_tells_of_many_is_listened_to_a_few_at_a_time() {
        let mut now = Instant::ZERO;
        let mut hearsay = Hearsay { level: 0, at: now };
        let burst: usize = (0..100).map(|_| hearsay.take(now, 64)).sum();
        assert_eq!(burst, Hearsay::RECORDS_MAX);
        let mut taken = 0;
        for _ in 0..1000 {
            now = now + Duration::from_millis(100);
            taken += hearsay.take(now, 64);
        }
        assert!((5900..=6400).contains(&taken), "{taken} in 100 s");
    }
}
