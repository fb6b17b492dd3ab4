//! Proofs of membership on open channels: what they come to, and when a certificate runs out.

use super::PeerNetwork;
use super::connection::Stage;
use super::cx::TimerFor;
use crate::config::Trust;
use crate::crypto::Crypto;
use crate::id::ConnId;
use crate::io::{Direction, Event, TrustChange};
use crate::time::Duration;
use crate::trust::membership::Verdict;
use crate::wire::proof::Proof;
use alloc::vec::Vec;

impl<C: Crypto> PeerNetwork<C> {
    /// What the proofs that the peer of an open channel has shown come to at present.
    pub(super) fn check_proofs(&self, conn: ConnId) -> Verdict {
        let nothing = Verdict::Stay(Vec::new());
        let Some(connection) = self.conns.get(&conn) else { return nothing };
        let Some(link) = connection.link() else { return nothing };
        let Some(proofs) = &link.theirs else { return nothing };
        let prover = match connection.direction {
            Direction::Outgoing => Direction::Incoming,
            Direction::Incoming => Direction::Outgoing,
        };
        let (peer, transcript) = (&link.channel.peer, &link.channel.transcript);
        let wall = self.wall_now();
        self.standing.check(&self.crypto, peer, transcript, prover, proofs, wall)
    }

    /// Looks at a channel again when the next of its certificates runs out.
    pub(super) fn watch_certificates(&mut self, conn: ConnId) {
        let Some((unix, read_at)) = self.wall else { return };
        let Some(wall) = self.wall_now() else { return };
        let Some(link) = self.conns.get(&conn).and_then(|connection| connection.link()) else {
            return;
        };
        let ends = link.theirs.iter().flatten().filter_map(|proof| match proof {
            Proof::Certificate(certificate) => Some(certificate.not_after),
            Proof::Secret { .. } => None,
        });
        let next = ends.filter(|end| *end > wall).min();
        if let Some((_, old)) = link.expiry {
            self.cx.timers.cancel(old);
        }
        let timer = next.map(|end| {
            let at = read_at + Duration::from_secs(end.0.saturating_sub(unix.0));
            (end, self.cx.arm(at.since(self.cx.now), TimerFor::Expiry(conn)))
        });
        if let Some(link) = self.link_mut(conn) {
            link.expiry = timer;
        }
    }

    /// The wall clock was read: what was armed by an earlier reading may be wrong.
    pub(super) fn watch_all_certificates(&mut self) {
        let Some(wall) = self.wall_now() else { return };
        let watched = self.conns.iter().filter_map(|(conn, connection)| {
            let (end, timer) = connection.link()?.expiry?;
            Some((*conn, end, timer))
        });
        let watched: Vec<_> = watched.collect();
        for (conn, end, timer) in watched {
            if end <= wall {
                self.cx.timers.cancel(timer);
                self.on_expiry(conn);
            } else {
                self.watch_certificates(conn);
            }
        }
    }

    /// A certificate of the peer has run out. Another proof may still count; else its trust goes.
    pub(super) fn on_expiry(&mut self, conn: ConnId) {
        let Some(link) = self.link_mut(conn) else { return };
        link.expiry = None;
        let peer = link.channel.peer;
        if link.stage == Stage::Closing || self.lists.is_trusted(&peer) {
            return;
        }
        match self.check_proofs(conn) {
            Verdict::Raise(TrustChange::Certificate) => self.watch_certificates(conn),
            Verdict::Raise(_) => {}
            Verdict::Stay(refusals) => {
                for refusal in refusals {
                    self.cx.tell(Event::TrustRefused { peer, refusal });
                }
                self.change_trust(conn, Trust::Authenticated, TrustChange::Certificate);
            }
        }
    }
}
