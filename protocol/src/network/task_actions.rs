//! What a task does unless the application does it: one action for each kind.

use super::PeerNetwork;
use super::tasks::Area;
use super::tasks::Queued;
use crate::crypto::Crypto;
use crate::error::CommandError;
use crate::id::PeerId;
use crate::io::{BlockTarget, DiscoverySource, Event};
use crate::task::body::PeerTarget;
use crate::task::{Setting, TaskBody, TaskFailure, TaskOutcome};
use crate::trust::identifier::Origin;
use crate::wire::address::Endpoint;
use crate::wire::packet::DisconnectReason;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;

/// What came of an action, and what has to be kept of it before anybody hears that.
pub(super) type Acted = (Result<TaskOutcome, TaskFailure>, Option<Area>);

fn done(result: Result<(), CommandError>) -> Acted {
    (result.map(|()| TaskOutcome::Done).map_err(TaskFailure::because), None)
}

const fn gave(outcome: TaskOutcome) -> Acted {
    (Ok(outcome), None)
}

impl<C: Crypto> PeerNetwork<C> {
    /// Does what a task asks for.
    pub(super) fn default_action(&mut self, task: Queued) -> Acted {
        let now = self.cx.now;
        match task.body {
            TaskBody::BlockAndRemovePeer(PeerTarget::Peer(peer)) if peer == self.me.id => {
                done(Err(CommandError::Oneself))
            }
            TaskBody::BlockAndRemovePeer(PeerTarget::Peer(peer)) => {
                done(self.block(now, BlockTarget::Peer(peer)))
            }
            TaskBody::BlockAndRemovePeer(PeerTarget::Label(label)) => {
                self.kept(|net| net.block_label(now, &label))
            }
            TaskBody::BlockIp(prefix) => done(self.block(now, BlockTarget::Prefix(prefix))),
            // The event that told of it is the message.
            TaskBody::SendMessage(_) | TaskBody::PingPeer | TaskBody::Heartbeat => {
                gave(TaskOutcome::Done)
            }
            TaskBody::DisconnectPeer(peer) => {
                done(self.disconnect(now, &peer, DisconnectReason::Requested))
            }
            TaskBody::AuthorizePeer(peer) => done(self.trust(now, peer)),
            TaskBody::RevokePeerAuthorization(peer) => done(self.untrust(now, peer)),
            TaskBody::RequestData(key) => gave(TaskOutcome::Entry(self.tasks.data.get(&key))),
            TaskBody::SendData(entries) => {
                let (taken, left_out) = self.take_entries(task.peer, entries);
                let changed = (taken > 0).then_some(Area::Data);
                (Ok(TaskOutcome::Merged { taken, left_out }), changed)
            }
            TaskBody::SynchronizeData(span) => gave(self.compare(&task.peer, &span)),
            TaskBody::UpdateSettings(settings) => self.update_settings(&settings),
            TaskBody::RequestVerifyHashRecord(hash) => {
                gave(TaskOutcome::Verdict(self.tasks.issued.contains(&hash)))
            }
            TaskBody::RequestVerifySignature { key, message, signature } => {
                gave(TaskOutcome::Verdict(self.crypto.verify(&key, &message, &signature)))
            }
            TaskBody::RequestPublicKey => gave(TaskOutcome::PublicKey(self.me.key)),
            TaskBody::BootstrapInitialization(peers) => {
                for record in peers {
                    for Endpoint::Tcp(at) in record.endpoints {
                        self.on_hearsay(record.peer, at, DiscoverySource::Exchange);
                    }
                }
                gave(TaskOutcome::Done)
            }
            TaskBody::SetLocalIdentifier(label) => self.kept(|net| net.take_label(&label)),
            TaskBody::AssignIdentifierToPeer { peer, label } => {
                self.kept(|net| net.assign_label(peer, &label))
            }
            // Neither comes here: replies have a way of their own, and the application does what is its own.
            TaskBody::HeartbeatResponse(_) | TaskBody::Answer(_) | TaskBody::Application { .. } => {
                gave(TaskOutcome::Done)
            }
        }
    }

    /// Does something about labels, which are kept.
    fn kept(&mut self, act: impl FnOnce(&mut Self) -> Result<(), CommandError>) -> Acted {
        let (result, _) = done(act(self));
        let changed = result.is_ok().then_some(Area::Tasks);
        (result, changed)
    }

    /// Takes the label that the authority gives to this node, if the policy lets it.
    fn take_label(&mut self, label: &str) -> Result<(), CommandError> {
        self.set_label(self.cx.now, Origin::Remote, label)?;
        self.tasks.memory.labels.set_own(label);
        Ok(())
    }

    /// Notes a label that the authority gives to an identity.
    fn assign_label(&mut self, peer: PeerId, label: &str) -> Result<(), CommandError> {
        if peer == self.me.id {
            return self.take_label(label);
        }
        let full = |_| CommandError::LimitReached("limits.labels_max");
        self.tasks.memory.labels.assign(peer, label).map_err(full)?;
        self.apply_labels();
        self.cx.tell(Event::IdentifierAssigned { peer, label: label.into() });
        Ok(())
    }

    /// Turns away whoever has a blocked label, and lets the others in again.
    pub(super) fn apply_labels(&mut self) {
        let labels = &self.tasks.memory.labels;
        let turned_away: BTreeSet<PeerId> = labels
            .assigned()
            .filter(|(peer, _)| labels.is_blocked(peer))
            .map(|(peer, _)| *peer)
            .collect();
        self.lists.set_labelled(turned_away);
        self.end_blocked();
    }

    /// All of them or none.
    fn update_settings(&mut self, settings: &[Setting]) -> Acted {
        for setting in settings {
            if let Err(bad) = setting.check(&self.cx.timing) {
                return (Err(TaskFailure::because(bad)), None);
            }
        }
        for setting in settings {
            match *setting {
                Setting::AcceptInbound(on) => self.set_accept_inbound(self.cx.now, on),
                Setting::Placement(placement) => self.config.placement = placement,
                Setting::KeepAliveMs(ms) => {
                    let span = crate::time::Duration::from_millis(u64::from(ms));
                    self.cx.timing.keep_alive = span;
                    self.config.timing.keep_alive = span;
                }
                Setting::PacketsPerSecondMax(most) => {
                    self.cx.limits.packets_per_second_max = most;
                    self.config.limits.packets_per_second_max = most;
                }
            }
        }
        gave(TaskOutcome::Done)
    }

    /// The tasks that wait for `peer`, as many as fit into one answer.
    pub(super) fn take_kept(&mut self, peer: &PeerId) -> Vec<Bytes> {
        let wall = self.wall_now();
        let stale = |until| wall.is_some_and(|wall| until <= wall);
        let room = self.task_room(peer);
        let (mut taken, mut bytes) = (Vec::new(), 8usize);
        self.tasks.kept.retain(|(receiver, until, task)| {
            if stale(*until) {
                return false;
            }
            let more = bytes.saturating_add(task.len()).saturating_add(3);
            let fits = more <= room && taken.len() < TaskBody::TASKS_MAX;
            if receiver != peer || !fits {
                return true;
            }
            bytes = more;
            taken.push(task.clone());
            false
        });
        taken
    }
}
