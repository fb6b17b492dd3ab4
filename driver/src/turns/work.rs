//! What the application and the core ask of each other: jobs, outputs, events, sends.

use super::Turns;
use crate::handle::Job;
use crate::outbox::{Item, Parcel};
use crate::reply::{Promise, Stopped};
use crate::sockets::Sockets;
use crate::state::Lists;
use crate::udp;
use p2pnet_protocol::handlers::Disposition;
use p2pnet_protocol::trust::gate::Gate;
use p2pnet_protocol::{
    Answer, ChannelKeys, CommandError, DisconnectReason, Duration, Event, Instant, Lane, Output,
    PeerId, Request, RequestId, SendError, Transmit, Trust,
};
use std::sync::Arc;

/// Batches handed to the core in one turn.
const PARCELS_MAX: usize = 64;
/// How much longer than the linger the loop waits for the core to finish.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Something that ends once everything that was sent is in the core.
pub(super) enum Ending {
    Channel {
        peer: PeerId,
        reason: DisconnectReason,
        by: Instant,
        promise: Promise<(), CommandError>,
    },
    Node {
        by: Option<Instant>,
        promise: Option<Promise<(), Stopped>>,
    },
}

impl Ending {
    /// When to stop waiting.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Channel { by, .. } => Some(*by),
            Self::Node { by, .. } => *by,
        }
    }

    /// The node is gone.
    pub(super) fn finish(self) {
        if let Self::Node { promise: Some(promise), .. } = self {
            promise.answer(Ok(()));
        }
    }
}

impl<S: Sockets> Turns<S> {
    pub(super) fn take_credits(&mut self) {
        let mut credits = std::mem::take(&mut self.credits);
        self.shared.events.take_credits(&mut credits);
        for (conn, lane, bytes) in credits.drain(..) {
            self.net.consumed(self.now, conn, lane, bytes);
        }
        self.credits = credits;
    }

    pub(super) fn take_jobs(&mut self) {
        let jobs = self.shared.take_jobs();
        if jobs.iter().any(|job| matches!(job, Job::Call(_))) {
            // What was sent before a call is in the core when it runs.
            self.flush_outbox();
        }
        for job in jobs {
            match job {
                Job::Call(mut call) => {
                    call.run(&mut self.net, self.now);
                    self.called.push(call);
                }
                Job::Disconnect { peer, reason, promise } => {
                    let by = self.now + self.linger;
                    self.endings.push(Ending::Channel { peer, reason, by, promise });
                }
                Job::Attach(attachment) => self.attach(attachment),
                Job::Answer(request, answer) => self.net.handle_answer(self.now, request, answer),
                Job::Shutdown(promise) => {
                    self.shared.outbox.close(None);
                    let by = Some(self.now + self.linger);
                    self.endings.push(Ending::Node { by, promise });
                }
            }
        }
    }

    /// Answers the calls of this turn: their outputs were dealt with.
    pub(super) fn finish_calls(&mut self) {
        let not_saved = self.not_saved.take();
        for call in self.called.drain(..) {
            call.finish(not_saved.as_ref());
        }
    }

    /// Ends what was to end, if its outbox is empty or its time is up.
    pub(super) fn check_endings(&mut self) {
        for at in (0..self.endings.len()).rev() {
            let (peer, by) = match &self.endings[at] {
                Ending::Channel { peer, by, .. } => (Some(*peer), Some(*by)),
                Ending::Node { by, .. } => (None, *by),
            };
            let Some(by) = by else { continue };
            if !self.shared.outbox.is_drained(peer.as_ref()) && self.now < by {
                continue;
            }
            if let Ending::Node { by: waiting, .. } = &mut self.endings[at] {
                *waiting = None;
                self.shut_down(by);
            } else if let Ending::Channel { peer, reason, promise, .. } =
                self.endings.swap_remove(at)
            {
                promise.answer(self.net.disconnect(self.now, &peer, reason));
            }
            self.more = true;
        }
    }

    fn shut_down(&mut self, by: Instant) {
        if self.stop_by.is_none() {
            tracing::debug!(target: "p2pnet::driver", "shutting down");
            self.net.shutdown(self.now);
            self.stop_by = Some(by + STOP_GRACE);
        }
    }

    /// Hands what was sent to the core.
    pub(super) fn flush_outbox(&mut self) {
        let shared = Arc::clone(&self.shared);
        for _ in 0..PARCELS_MAX {
            let Some(mut parcel) = shared.outbox.take() else { return };
            let result = self.hand_over(&mut parcel);
            if let Err(error) = result
                && error != SendError::QueueFull
            {
                tracing::debug!(
                    target: "p2pnet::peers", peer = %parcel.peer.short(), %error, "not sent"
                );
            }
            shared.outbox.settle(parcel, result);
        }
        self.more = true;
    }

    fn hand_over(&mut self, parcel: &mut Parcel) -> Result<(), SendError> {
        if parcel.way == Lane::Bulk {
            // Bulk leaves a quarter of the queue to messages, unless it is too large for that.
            let all = self.net.limits().send_queue_bytes_max as usize;
            let wanted = parcel.bytes.saturating_add(all / 4).min(all);
            if self.net.send_room(&parcel.peer) < wanted {
                return Err(SendError::QueueFull);
            }
        }
        match &mut parcel.item {
            Item::Messages(batch) => self.net.send_batch(self.now, &parcel.peer, batch),
            Item::Packet(packet) => self.net.send(self.now, &parcel.peer, packet),
        }
    }

    /// Does what the core asks for.
    pub(super) fn drain_outputs(&mut self) {
        while let Some(output) = self.net.poll_output() {
            match output {
                Output::Connect { conn, to } => self.dial(conn, to),
                Output::Close(conn) => self.close(conn),
                Output::Abort(conn) => self.forget(conn),
                Output::WriteReady(conn) => self.resume_writing(conn),
                Output::ReadReady(conn) => self.resume_reading(conn),
                Output::Datagram(transmit) => self.send_datagram(&transmit),
                Output::Ask(request, what) => self.ask(request, what),
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn send_datagram(&self, transmit: &Transmit) {
        if let Err(error) = udp::send(transmit) {
            self.shared.counts.datagrams_unsent.add(1);
            tracing::debug!(
                target: "p2pnet::lan", to = %transmit.to, from = %transmit.from, %error, "beacon not sent"
            );
        }
    }

    fn ask(&mut self, request: RequestId, what: Request) {
        let begun = match what {
            Request::Save { keeps, bytes } => return self.keep(request, keeps, &bytes),
            Request::File(wanted) => self.files.ask(request, wanted).is_ok(),
            Request::Fetch(wanted) => {
                let (shared, fetcher) = (Arc::downgrade(&self.shared), self.fetcher.clone());
                let ask = move || {
                    let answer = fetcher.answer(&wanted);
                    if let Some(shared) = shared.upgrade() {
                        shared.leave(Job::Answer(request, answer));
                    }
                };
                std::thread::Builder::new().name("p2pnet-ask".into()).spawn(ask).is_ok()
            }
            _ => false,
        };
        if !begun {
            self.net.handle_answer(self.now, request, Answer::Failed);
        }
    }

    fn on_event(&mut self, mut event: Event) {
        match &mut event {
            Event::PeerConnected { peer, conn, at, direction, trust } => {
                tracing::info!(
                    target: "p2pnet::peers", peer = %peer.short(), %at, ?direction, %trust, "connected"
                );
                self.shared.outbox.open(*peer, *conn, self.net.send_bytes_max(peer));
                self.allow(peer, *trust);
                if let Some(state) = self.conns.get_mut(conn) {
                    state.peer = Some(*peer);
                }
            }
            Event::PeerClosed { peer, conn, at, reason, unsent } => {
                *unsent += self.shared.outbox.remove(peer, Some(*conn));
                tracing::info!(
                    target: "p2pnet::peers", peer = %peer.short(), %at, %reason, unsent, "closed"
                );
            }
            Event::TrustChanged { peer, trust, because } => {
                tracing::info!(
                    target: "p2pnet::peers", peer = %peer.short(), %trust, ?because, "trust changed"
                );
                self.allow(peer, *trust);
            }
            Event::ListsChanged => self.save_lists(),
            Event::TransfersChanged => {
                self.transfers_changed = true;
                return;
            }
            Event::TaskAnswered { .. } => self.shared.asking.on_event(&event),
            Event::FileOffered { .. }
            | Event::FileOpened { .. }
            | Event::FileNotOpened { .. }
            | Event::FileProgress { .. }
            | Event::FileReceived { .. }
            | Event::FileSent { .. }
            | Event::FileSourceDropped { .. }
            | Event::FileFailed { .. } => {
                tracing::debug!(target: "p2pnet::files", event = ?event);
                self.shared.records.on_event(&event);
            }
            Event::SendReady { peer } => {
                // The outbox deals with it; the application waits on its own sends.
                self.more |= self.shared.outbox.retry(peer);
                return;
            }
            Event::ChannelKeys(keys) if self.key_log.is_some() => return self.log_keys(keys),
            Event::Received(_) | Event::ChannelKeys(_) => {}
            Event::PeerDiscovered { peer, at, via } => {
                tracing::debug!(target: "p2pnet::lan", peer = %peer.short(), %at, ?via, "heard of");
            }
            other => tracing::debug!(target: "p2pnet::peers", event = ?other),
        }
        match self.handlers.on_event(self.now, &event, &mut self.net) {
            Disposition::Pass => {
                self.more |= self.shared.events.push(event, &self.shared.counts);
            }
            Disposition::Consumed => {}
        }
    }

    /// What the gate lets pass is asked before a packet is taken, so that none is taken in vain.
    fn allow(&self, peer: &PeerId, trust: Trust) {
        let gate = Gate::new(trust, &self.policy, true);
        self.shared.outbox.allow(peer, |kind| gate.passes(kind));
    }

    /// Keys go to the file that was named for them and nowhere else.
    fn log_keys(&mut self, keys: &ChannelKeys) {
        let Some(log) = &self.key_log else { return };
        if let Err(error) = log.write(keys) {
            self.shared.warn(format!("the keys of a channel were not logged: {error}"));
        }
    }

    fn save_lists(&mut self) {
        let Some(state) = &self.state else { return };
        let lists = Lists {
            blocked: self.net.blocked(),
            trusted: self.net.trusted(),
            allowed: self.net.allowed(),
        };
        if let Err(error) = state.save_lists(&lists) {
            self.shared.warn(format!("the lists were not saved: {error}"));
            self.not_saved = Some(error);
        }
    }
}
