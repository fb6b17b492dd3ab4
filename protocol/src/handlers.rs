//! The application's own code, called at the places where it replaces what is built in: packet handlers, the trust
//! handshake, routines, the derivation of an identifier.
//!
//! The core calls nobody back. It emits events, and this runner, which drivers and simulators put between the core and
//! the application, turns some of them into calls; what the called code wants comes back as [`Command`]s. Events that
//! no handler takes pass on to the application.

use crate::crypto::Crypto;
use crate::error::CloseReason;
use crate::id::{ConnId, PeerId};
use crate::io::{Command, Event};
use crate::network::PeerNetwork;
use crate::received::Received;
use crate::time::Instant;
use crate::trust::handshake::{PeerTrustHandshake, Step, TrustSession};
use crate::trust::identifier::{self, IdentifierSource};
use crate::wire::packet::{
    DataTransmissionPacket, DisconnectPacket, IdentityPacket, Packet, PacketKind, PeerGroupPacket,
    PureMessagePacket, TrustStepPacket,
};
use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Disposition {
    /// It shall go on to the application, which then owes [`consumed`](PeerNetwork::consumed) for a [`Received`].
    Pass,
    /// A handler took it, and what it held is given back already.
    Consumed,
}

/// What a handler can do: note what it wants. It is done when the handler returns, in order.
#[derive(Debug)]
pub struct Wishes<'a> {
    /// The time of the event.
    pub now: Instant,
    commands: &'a mut Vec<Command>,
}

impl Wishes<'_> {
    /// Sends one packet to one peer.
    pub fn send(&mut self, peer: PeerId, packet: Packet) {
        self.command(Command::Send { peer, packet });
    }

    /// Wants anything that the application may want.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }
}

type PacketHandler = Box<dyn FnMut(&mut Wishes<'_>, PeerId, Packet) + Send>;
type RoutineHandler = Box<dyn FnMut(&mut Wishes<'_>) + Send>;
type HandshakeMaker = Box<dyn FnMut(&TrustSession) -> Box<dyn PeerTrustHandshake> + Send>;
type IdentifierMaker = Box<dyn FnMut(&IdentifierSource) -> String + Send>;

/// The application's handlers for one node.
///
/// ```
/// use p2pnet_protocol::Packet;
/// use p2pnet_protocol::handlers::Handlers;
///
/// let mut handlers = Handlers::default();
/// // An echo service.
/// handlers.on_pure_message(|wishes, peer, said| wishes.send(peer, Packet::PureMessage(said)));
/// // Data of strangers is dropped unread: an empty handler silences the default.
/// handlers.on_data_transmission(|_, _, _| {});
/// ```
#[doc(alias = "PacketHandleProtocol")]
#[derive(Default)]
pub struct Handlers {
    packets: BTreeMap<PacketKind, PacketHandler>,
    routines: BTreeMap<String, RoutineHandler>,
    handshake: Option<HandshakeMaker>,
    identifier: Option<IdentifierMaker>,
    /// Handshakes under way, by channel: never more than there are channels.
    running: BTreeMap<ConnId, Running>,
    raw_stream: bool,
    /// The node was not told yet for which kinds of packets there are handlers.
    stale: bool,
    refused: u64,
}

struct Running {
    peer: PeerId,
    conn: ConnId,
    machine: Box<dyn PeerTrustHandshake>,
    wake: Option<Instant>,
}

macro_rules! packet_handlers {
    ($($(#[$doc:meta])* $name:ident($kind:ident: $packet:ty);)*) => {$(
        $(#[$doc])*
        pub fn $name(
            &mut self,
            mut handler: impl FnMut(&mut Wishes<'_>, PeerId, $packet) + Send + 'static,
        ) -> &mut Self {
            self.on_packet(PacketKind::$kind, move |wishes, peer, packet| {
                if let Packet::$kind(packet) = packet {
                    handler(wishes, peer, packet);
                }
            })
        }
    )*};
}

impl Handlers {
    /// Calls `handler` for every packet of this kind that passed the gate, with the peer that sent it: proved, and the
    /// holder of the channel that the packet came on. It replaces an earlier handler and what happens by default: an
    /// [`Event::Received`], and what the node itself does (see [`install`](Self::install)). [`PacketKind::TrustStep`] belongs to the trust handshake: a
    /// handler for it is never called.
    pub fn on_packet(
        &mut self,
        kind: PacketKind,
        handler: impl FnMut(&mut Wishes<'_>, PeerId, Packet) + Send + 'static,
    ) -> &mut Self {
        self.packets.insert(kind, Box::new(handler));
        self.stale = true;
        self
    }

    packet_handlers! {
        /// Calls `handler` when a peer describes itself. See [`on_packet`](Self::on_packet).
        #[doc(alias = "HandleIdentityPacketAction")]
        on_identity(Identity: IdentityPacket);
        /// Calls `handler` when a peer ended its channel. It is told of it, and can't undo it: the event goes on to the
        /// application as well.
        #[doc(alias = "HandleDisconnectPacketAction")]
        on_disconnect(Disconnect: DisconnectPacket);
        /// Calls `handler` when a peer tells of others. See [`on_packet`](Self::on_packet).
        #[doc(alias = "HandlePeerGroupPacketAction")]
        on_peer_group(PeerGroup: PeerGroupPacket);
        /// Calls `handler` when a peer sends data. See [`on_packet`](Self::on_packet).
        #[doc(alias = "HandleDataTransmissionPacketAction")]
        on_data_transmission(DataTransmission: DataTransmissionPacket);
        /// Calls `handler` when a peer sends a message. See [`on_packet`](Self::on_packet).
        #[doc(alias = "HandlePureMessagePacketAction")]
        on_pure_message(PureMessage: PureMessagePacket);
    }

    /// Goes back to what happens by default with packets of this kind.
    pub fn forget_packet(&mut self, kind: PacketKind) -> &mut Self {
        self.packets.remove(&kind);
        self.stale = true;
        self
    }

    /// The kinds of packets that have a handler.
    pub fn handled(&self) -> impl Iterator<Item = PacketKind> + '_ {
        self.packets.keys().copied()
    }

    /// Whether packets that a handler took go on to the application as well: the raw stream of all packets. Off unless
    /// asked for, since an application that asks and doesn't read slows its peers down.
    #[doc(alias = "DataReceived")]
    pub fn raw_stream(&mut self, on: bool) -> &mut Self {
        self.raw_stream = on;
        self
    }

    /// Calls `handler` whenever the routine `name` is due. The routine itself is added and started by
    /// [`Command::Routine`].
    pub fn on_routine(
        &mut self,
        name: impl Into<String>,
        handler: impl FnMut(&mut Wishes<'_>) + Send + 'static,
    ) -> &mut Self {
        self.routines.insert(name.into(), Box::new(handler));
        self
    }

    /// Makes a trust handshake for each channel, while the policy's
    /// [`application_handshake`](crate::trust::policy::IncomingPeerTrustPolicy::application_handshake) is on.
    #[doc(alias = "PeerTrustHandshake")]
    pub fn trust_handshake<H: PeerTrustHandshake + 'static>(
        &mut self,
        mut make: impl FnMut(&TrustSession) -> H + Send + 'static,
    ) -> &mut Self {
        self.handshake = Some(Box::new(move |session| Box::new(make(session))));
        self
    }

    /// Replaces the derivation of this node's textual identifier, and asks for it: the driver calls it at start, unless a
    /// label is configured, the node is anonymous, or the policy leaves the label to an authority. An empty text gives
    /// the node no label.
    #[doc(alias = "SetIdentifier")]
    pub fn set_identifier(
        &mut self,
        make: impl FnMut(&IdentifierSource) -> String + Send + 'static,
    ) -> &mut Self {
        self.identifier = Some(Box::new(make));
        self
    }

    /// Whether [`set_identifier`](Self::set_identifier) was called.
    pub const fn replaces_identifier(&self) -> bool {
        self.identifier.is_some()
    }

    /// This node's textual identifier, by the application's derivation or by the
    /// [default one](crate::trust::identifier::derive).
    pub fn identifier(&mut self, source: &IdentifierSource) -> String {
        match &mut self.identifier {
            Some(make) => make(source),
            None => identifier::derive(source),
        }
    }

    /// Tells a node which of its default actions these handlers replace. The next event does that anyway; call it before
    /// the node's first input if that might bring packets.
    pub fn install<C: Crypto>(&mut self, now: Instant, net: &mut PeerNetwork<C>) {
        self.stale = false;
        for kind in PacketKind::ALL {
            net.set_default_action(now, kind, !self.packets.contains_key(&kind));
        }
    }

    /// Calls the handler of `event`, if it has one, and does to `net` what the handler wants.
    pub fn on_event<C: Crypto>(
        &mut self,
        now: Instant,
        event: &Event,
        net: &mut PeerNetwork<C>,
    ) -> Disposition {
        if self.stale {
            self.install(now, net);
        }
        let mut commands = Vec::new();
        let disposition = self.react(now, event, &mut commands);
        if disposition == Disposition::Consumed
            && let Event::Received(Received { conn, lane, bytes, .. }) = event
        {
            net.consumed(now, *conn, *lane, *bytes);
        }
        self.carry_out(now, commands, net);
        disposition
    }

    /// When [`on_timeout`](Self::on_timeout) has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.running.values().filter_map(|running| running.wake).min()
    }

    /// Wakes the handshakes whose time has come, and does to `net` what they want.
    pub fn on_timeout<C: Crypto>(&mut self, now: Instant, net: &mut PeerNetwork<C>) {
        let mut commands = Vec::new();
        self.wake(now, &mut commands);
        self.carry_out(now, commands, net);
    }

    /// How many wishes the node refused: packets to peers that are gone, full queues, unknown names.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    fn carry_out<C: Crypto>(
        &mut self,
        now: Instant,
        commands: Vec<Command>,
        net: &mut PeerNetwork<C>,
    ) {
        for command in commands {
            if net.command(now, command).is_err() {
                self.refused = self.refused.saturating_add(1);
            }
        }
    }

    /// [`on_event`](Self::on_event) without a node: what the handlers want is appended to `commands`.
    fn react(&mut self, now: Instant, event: &Event, commands: &mut Vec<Command>) -> Disposition {
        match event {
            Event::Received(received) if received.kind == PacketKind::TrustStep => {
                self.on_trust_steps(now, received, commands)
            }
            Event::Received(received) => self.on_packets(now, received, commands),
            Event::TrustHandshakeStarted { peer, conn, transcript, direction, .. } => {
                let (peer, conn, transcript, direction) = (*peer, *conn, *transcript, *direction);
                let session = TrustSession { peer, conn, transcript, direction };
                self.start_handshake(now, &session, commands)
            }
            Event::RoutineDue { name } => match self.routines.get_mut(name) {
                Some(handler) => {
                    handler(&mut Wishes { now, commands });
                    Disposition::Consumed
                }
                None => Disposition::Pass,
            },
            Event::PeerClosed { peer, conn, reason, .. } => {
                self.running.remove(conn);
                if let CloseReason::Remote(reason) = reason
                    && let Some(handler) = self.packets.get_mut(&PacketKind::Disconnect)
                {
                    let packet = Packet::Disconnect(DisconnectPacket { reason: *reason });
                    handler(&mut Wishes { now, commands }, *peer, packet);
                }
                Disposition::Pass
            }
            _ => Disposition::Pass,
        }
    }

    fn on_packets(
        &mut self,
        now: Instant,
        received: &Received,
        commands: &mut Vec<Command>,
    ) -> Disposition {
        let Some(handler) = self.packets.get_mut(&received.kind) else { return Disposition::Pass };
        // The copy shares the payload; the original may go on to the application.
        for packet in received.clone() {
            handler(&mut Wishes { now, commands }, received.peer, packet);
        }
        if self.raw_stream { Disposition::Pass } else { Disposition::Consumed }
    }

    fn start_handshake(
        &mut self,
        now: Instant,
        session: &TrustSession,
        commands: &mut Vec<Command>,
    ) -> Disposition {
        let Some(make) = &mut self.handshake else { return Disposition::Pass };
        // A peer has one channel: what runs on an earlier one is out of time.
        self.running.retain(|_, running| running.peer != session.peer);
        let (peer, conn) = (session.peer, session.conn);
        let mut running = Running { peer, conn, machine: make(session), wake: None };
        let steps = running.machine.on_start();
        if running.take(now, steps, commands) {
            self.running.insert(session.conn, running);
        }
        Disposition::Consumed
    }

    fn on_trust_steps(
        &mut self,
        now: Instant,
        received: &Received,
        commands: &mut Vec<Command>,
    ) -> Disposition {
        if self.handshake.is_none() {
            // The application runs its handshake itself, from events and commands.
            return Disposition::Pass;
        }
        for packet in received.clone() {
            let Packet::TrustStep(TrustStepPacket { message }) = packet else { continue };
            // A message that comes after the handshake's end is dropped.
            let Some(running) = self.running.get_mut(&received.conn) else { break };
            running.wake = None;
            let steps = running.machine.on_message(&message);
            if !running.take(now, steps, commands) {
                self.running.remove(&received.conn);
            }
        }
        Disposition::Consumed
    }

    fn wake(&mut self, now: Instant, commands: &mut Vec<Command>) {
        self.running.retain(|_, running| {
            if running.wake.is_none_or(|wake| wake > now) {
                return true;
            }
            running.wake = None;
            let steps = running.machine.on_timeout();
            running.take(now, steps, commands)
        });
    }
}

impl Running {
    /// Takes the steps and tells whether the handshake goes on.
    fn take(&mut self, now: Instant, steps: Vec<Step>, commands: &mut Vec<Command>) -> bool {
        let conn = self.conn;
        for step in steps {
            match step {
                Step::Send(message) => commands.push(Command::TrustStep { conn, message }),
                Step::Raise(trust) => commands.push(Command::SetTrust { conn, trust }),
                Step::Wait(duration) => self.wake = Some(now + duration),
                Step::Confirm(trust) => {
                    commands.push(Command::FinishTrust { conn, trust: Some(trust) });
                    return false;
                }
                Step::Refuse => {
                    commands.push(Command::FinishTrust { conn, trust: None });
                    return false;
                }
            }
        }
        true
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("packets", &self.packets.keys())
            .field("routines", &self.routines.keys())
            .field("handshake", &self.handshake.is_some())
            .field("identifier", &self.identifier.is_some())
            .field("running", &self.running.len())
            .field("raw_stream", &self.raw_stream)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
