//! What holds for every output of every node, whatever its inputs were: the core's contract, held against it.

use crate::node::Node;
use p2pnet_protocol::{ConnId, Event, Instant, Lane, Output, PeerId, Trust};
use std::collections::{BTreeMap, BTreeSet};

/// More outputs than this after one input, and the node would be busy with itself.
const DRAIN_MAX: usize = 10_000;

/// Where a stream is in its life, as the outputs tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Live,
    Closing,
    Over,
}

/// A channel that the application was told of.
#[derive(Clone, Debug)]
struct Told {
    peer: PeerId,
    trust: Trust,
    over: bool,
}

/// Follows one node's outputs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    lives: BTreeMap<ConnId, Life>,
    dialled: BTreeSet<ConnId>,
    told: BTreeMap<ConnId, Told>,
    /// Payload bytes that the application holds, by connection and lane.
    held: BTreeMap<(ConnId, Lane), u32>,
    /// Outputs so far.
    pub(crate) seen: u64,
}

impl Watch {
    /// Every output that waits, checked.
    pub(crate) fn drain(&mut self, node: &mut Node) -> Vec<Output> {
        let mut all = Vec::new();
        while let Some(output) = node.poll_output() {
            self.on_output(&output);
            all.push(output);
            assert!(all.len() < DRAIN_MAX, "one input made {DRAIN_MAX} outputs");
        }
        // Without an output nothing has changed that could be seen.
        if !all.is_empty() {
            self.check(node);
        }
        all
    }

    fn on_output(&mut self, output: &Output) {
        self.seen += 1;
        match output {
            Output::Connect { conn, .. } => {
                assert!(self.dialled.insert(*conn), "{conn} was used before");
                self.lives.insert(*conn, Life::Live);
            }
            Output::Close(conn) => {
                let before = self.lives.insert(*conn, Life::Closing);
                assert!(matches!(before, None | Some(Life::Live)), "{conn} closed when {before:?}");
            }
            Output::Abort(conn) => {
                let before = self.lives.insert(*conn, Life::Over);
                assert!(before != Some(Life::Over), "{conn} was over already");
            }
            Output::WriteReady(conn) | Output::ReadReady(conn) => {
                let life = self.lives.get(conn);
                assert!(matches!(life, None | Some(Life::Live)), "{output:?} when {life:?}");
            }
            Output::Event(event) => self.on_event(event),
            Output::Datagram(_) | Output::Ask(..) => {}
        }
    }

    fn on_event(&mut self, event: &Event) {
        match event {
            Event::ConnectionAttempt { conn, .. } => {
                let before = self.lives.insert(*conn, Life::Live);
                assert_eq!(before, None, "{conn} was used before");
            }
            Event::PeerConnected { peer, conn, trust, .. } => {
                let told = Told { peer: *peer, trust: *trust, over: false };
                assert!(*trust > Trust::Unproven, "nobody is told of without a proof");
                assert!(self.told.insert(*conn, told).is_none(), "{conn} was told of before");
            }
            Event::TrustChanged { peer, trust, .. } => {
                let known = self.told.values_mut().find(|told| told.peer == *peer && !told.over);
                let known = known.expect("trust changes in channels that were told of");
                known.trust = *trust;
            }
            Event::Received(received) => {
                let conn = received.conn;
                if received.lane != Lane::Control {
                    let told = self.told.get(&conn).expect("payload comes from a known channel");
                    assert!(!told.over, "payload after the channel's end");
                    assert_eq!(told.peer, received.peer);
                }
                *self.held.entry((conn, received.lane)).or_default() += received.bytes;
            }
            Event::PeerClosed { conn, peer, .. } => {
                if let Some(told) = self.told.get_mut(conn) {
                    assert!(!told.over, "{conn} ended twice");
                    assert_eq!(told.peer, *peer);
                    told.over = true;
                }
            }
            _ => {}
        }
    }

    /// What holds between inputs.
    fn check(&self, node: &Node) {
        let limits = node.limits();
        let open = node.open_peers();
        assert!(open.len() <= limits.connections_max as usize);
        assert!(node.pending().len() <= limits.pending_max as usize);
        assert!(node.blocked().len() <= limits.blocked_max as usize);
        assert!(node.trusted().len() <= limits.listed_max as usize);
        assert!(node.allowed().len() <= limits.listed_max as usize);
        assert!(node.routines().len() <= limits.routines_max as usize);
        for ((conn, lane), bytes) in &self.held {
            let most = match lane {
                Lane::Message => limits.message_window_bytes,
                Lane::Bulk => limits.bulk_window_bytes,
                Lane::Control => 64 << 10,
            };
            assert!(*bytes <= most, "{bytes} bytes of {conn}'s {lane} lane, over {most}");
        }
        for view in open {
            let told = view.conn.and_then(|conn| self.told.get(&conn));
            let told = told.expect("an open channel was told of");
            assert_eq!((told.peer, told.trust, told.over), (view.peer, view.trust, false));
        }
    }

    /// Lets time come to `now`: afterwards nothing may be due.
    pub(crate) fn pass(&mut self, node: &mut Node, now: Instant) -> Vec<Output> {
        node.handle_timeout(now);
        let outputs = self.drain(node);
        if let Some(deadline) = node.poll_timeout() {
            assert!(
                deadline.at > now,
                "{:?} is due again at once: {deadline:?} {now:?}",
                deadline.why
            );
        }
        outputs
    }

    /// The driver tells the node that a stream is over: nothing may come for it.
    pub(crate) fn on_closed(&mut self, conn: ConnId) {
        // Of a stream that there never was it may be told too.
        if let Some(life) = self.lives.get_mut(&conn) {
            *life = Life::Over;
        }
    }

    /// What the application holds of a lane, at most so many bytes, is given back.
    pub(crate) fn give_back(&mut self, conn: ConnId, lane: Lane, bytes_max: u32) -> u32 {
        let Some(held) = self.held.get_mut(&(conn, lane)) else { return 0 };
        let bytes = bytes_max.min(*held);
        *held -= bytes;
        bytes
    }

    /// Everything that is held: connection, lane and bytes.
    pub(crate) fn all_held(&self) -> Vec<(ConnId, Lane, u32)> {
        self.held.iter().map(|((conn, lane), bytes)| (*conn, *lane, *bytes)).collect()
    }
}
