//! What the running node does for commands.

use super::files;
use super::protocol::{PeerRow, Request, Response, RoutineRow, RoutineWish, SentRow, StatsRow};
use super::resolve;
use super::server::Service;
use super::tasks;
use crate::failure::Failure;
use crate::settings::{has_scope, parse_block_target};
use crate::up::End;
use p2pnet_driver::{Handle, ListError, Packet, Reply, Stopped};
use p2pnet_protocol::trust::policy::IncomingPeerTrustPolicy;
use p2pnet_protocol::{
    BlockTarget, CommandError, DisconnectReason, PeerId, PeerView, RoutineChange, SendError,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Sender;

/// The running node, as commands reach it.
pub(crate) struct NodeService {
    node: Handle,
    policy: IncomingPeerTrustPolicy,
    /// Where the wish to stop goes.
    ask: Sender<End>,
}

impl Service for NodeService {
    fn serve(&self, request: Request) -> Response {
        self.answer(request).unwrap_or_else(Response::Failed)
    }
}

impl NodeService {
    /// Serves commands by `node`, which lets pass what `policy` says; the wish to stop is passed on to `ask`.
    pub(crate) fn new(node: Handle, policy: IncomingPeerTrustPolicy, ask: Sender<End>) -> Self {
        Self { node, policy, ask }
    }

    pub(super) fn node(&self) -> &Handle {
        &self.node
    }

    pub(super) fn policy(&self) -> &IncomingPeerTrustPolicy {
        &self.policy
    }

    fn answer(&self, request: Request) -> Result<Response, Failure> {
        let node = &self.node;
        match request {
            Request::Id => Ok(Response::Id(node.id())),
            Request::Peers => Ok(Response::Peers(rows(node.peers().wait()?))),
            Request::Pending => Ok(Response::Peers(rows(node.pending().wait()?))),
            Request::Send { to: Some(to), text } => self.send(&to, text),
            Request::Send { to: None, text } => self.send_all(text),
            Request::Connect { address, expect } => self.connect(&address, expect.as_deref()),
            Request::Disconnect { peer } => {
                self.on_peer(&peer, |peer| node.disconnect(peer, DisconnectReason::Requested))
            }
            Request::Accept { peer } => self.on_peer(&peer, |peer| node.accept(peer)),
            Request::Refuse { peer } => self.on_peer(&peer, |peer| node.refuse(peer)),
            Request::Trust { peer } => self.on_peer(&peer, |peer| node.trust(peer)),
            Request::Untrust { peer } => self.untrust(&peer),
            Request::Trusted => Ok(Response::Trusted(node.trusted().wait()?)),
            Request::Block { target } => {
                let target = self.target(&target)?;
                node.block(target).wait()?;
                Ok(Response::Targets(vec![target]))
            }
            Request::Unblock { target } => self.unblock(&target),
            Request::Allow { target } => {
                let target = self.target(&target)?;
                node.allow(target).wait()?;
                Ok(Response::Targets(vec![target]))
            }
            Request::Disallow { target } => self.disallow(&target),
            Request::Allowed => Ok(Response::Targets(node.allowed().wait()?)),
            Request::Blocked => Ok(Response::Targets(node.blocked().wait()?)),
            Request::Inbound { accept } => {
                node.set_accept_inbound(accept).wait()?;
                Ok(Response::Done)
            }
            Request::Routines => self.routines(),
            Request::Stats => self.stats(),
            Request::Routine { name, change } => {
                let change = match change {
                    RoutineWish::Start => RoutineChange::Start,
                    RoutineWish::Stop => RoutineChange::Stop,
                    RoutineWish::Interval(every) => RoutineChange::SetInterval(every),
                };
                node.routine(name, change).wait()?;
                Ok(Response::Done)
            }
            Request::Stop => {
                // The server answers once all is over. If nobody takes the wish, it is being granted already.
                let _ = self.ask.send(End::Command);
                Ok(Response::Done)
            }
            Request::Resolve { peer } => Ok(Response::DoneTo(self.peer(&peer)?)),
            Request::SendFile { .. }
            | Request::GetFile { .. }
            | Request::FileRecord { .. }
            | Request::Files
            | Request::StoredFiles
            | Request::AcceptFile { .. }
            | Request::RefuseFile { .. }
            | Request::CancelFile { .. }
            | Request::CancelTicket { .. } => files::answer(self, request),
            request => tasks::answer(node, request),
        }
    }

    /// Does something to the peer that `text` names, and says which that was.
    fn on_peer<E>(
        &self,
        text: &str,
        act: impl FnOnce(PeerId) -> Reply<(), E>,
    ) -> Result<Response, Failure>
    where
        Failure: From<E>,
    {
        let peer = self.peer(text)?;
        act(peer).wait()?;
        Ok(Response::DoneTo(peer))
    }

    /// The peer that `text` names among those that the node knows, trusts, blocks or allows.
    pub(super) fn peer(&self, text: &str) -> Result<PeerId, Failure> {
        let known = self.node.call(|net, _| {
            let peers = net.peers().into_iter().map(|view| view.peer);
            let listed = net.blocked().into_iter().chain(net.allowed());
            let listed = listed.filter_map(|target| match target {
                BlockTarget::Peer(peer) => Some(peer),
                BlockTarget::Prefix(_) => None,
            });
            peers.chain(net.trusted()).chain(listed).collect::<Vec<_>>()
        });
        resolve::peer(text, known.wait()?)
    }

    /// What to block: 8 digits and more name a peer, for no address looks like that.
    fn target(&self, text: &str) -> Result<BlockTarget, Failure> {
        match parse_block_target(text) {
            Ok(target) => Ok(target),
            Err(_) if is_digits(text) => self.peer(text).map(BlockTarget::Peer),
            Err(expected) => {
                Err(Failure::usage(format!("\"{}\": {expected}", text.escape_debug())))
            }
        }
    }

    fn unblock(&self, text: &str) -> Result<Response, Failure> {
        let target = self.target(text)?;
        if !self.node.blocked().wait()?.contains(&target) {
            return Err(Failure::failed(format!("{text} is not blocked"))
                .fix("`p2pnet block` lists what is; lift a block as it was set"));
        }
        self.node.unblock(target).wait()?;
        Ok(Response::Targets(vec![target]))
    }

    fn disallow(&self, text: &str) -> Result<Response, Failure> {
        let target = self.target(text)?;
        if !self.node.allowed().wait()?.contains(&target) {
            return Err(Failure::failed(format!("{text} is not on the allow-list"))
                .fix("`p2pnet allow` lists what is; take an entry off as it was put on"));
        }
        self.node.disallow(target).wait()?;
        Ok(Response::Targets(vec![target]))
    }

    fn untrust(&self, text: &str) -> Result<Response, Failure> {
        let peer = self.peer(text)?;
        if !self.node.trusted().wait()?.contains(&peer) {
            return Err(Failure::failed(format!("{} is not on the list of trusted", peer.short()))
                .fix("`p2pnet trust` lists who is; `p2pnet block PEER` turns a peer away"));
        }
        self.node.untrust(peer).wait()?;
        Ok(Response::DoneTo(peer))
    }

    fn send(&self, to: &str, text: String) -> Result<Response, Failure> {
        let peer = self.peer(to)?;
        let packet = Packet::message(text);
        let sent = self.node.try_call::<(), CommandError, _>(move |net, now| {
            net.send(now, &peer, &packet).map_err(CommandError::Send)
        });
        sent.wait()?;
        Ok(Response::Sent(vec![SentRow { peer, error: None }]))
    }

    fn send_all(&self, text: String) -> Result<Response, Failure> {
        let results = self.node.send_all(Packet::message(text)).wait()?;
        let row =
            |(peer, result): (PeerId, Result<(), SendError>)| SentRow { peer, error: result.err() };
        Ok(Response::Sent(results.into_iter().map(row).collect()))
    }

    fn connect(&self, address: &str, expect: Option<&str>) -> Result<Response, Failure> {
        let to = address.parse().ok().filter(can_be_dialled).ok_or_else(|| {
            let shown = address.escape_debug();
            Failure::usage(format!("\"{shown}\" is no address that can be connected to"))
                .fix("write IP:PORT, such as 192.0.2.1:9000 or [2001:db8::1]:9000")
        })?;
        if matches!(to, SocketAddr::V6(at) if at.ip().is_unicast_link_local()) && !has_scope(&to) {
            return Err(Failure::usage(format!(
                "{to} is on every link, so it takes the interface too"
            ))
            .fix(format!(
                "add the interface's number, as in [{}%2]:{}; `ip link` shows it",
                to.ip(),
                to.port()
            )));
        }
        let expect = expect.map(|peer| self.peer(peer)).transpose()?;
        self.node.connect(to, expect).wait()?;
        Ok(Response::Done)
    }

    fn stats(&self) -> Result<Response, Failure> {
        let counters = self.node.counters();
        let driver = counters.each().map(|(name, count)| (name.to_owned(), count)).collect();
        let row = self.node.call(|net, _| StatsRow {
            connections: net.connections(),
            known_peers: net.known(),
            memory_budget_bytes: net.limits().total_bytes_max(),
            node: net.stats(),
            lan: net.lan_stats(),
            driver,
        });
        Ok(Response::Stats(Box::new(row.wait()?)))
    }

    fn routines(&self) -> Result<Response, Failure> {
        let routines = self.node.routines().wait()?.into_iter().map(|routine| RoutineRow {
            name: routine.name,
            running: routine.running,
            interval_ms: u64::try_from(routine.interval.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(Response::Routines(routines.collect()))
    }
}

fn rows(views: Vec<PeerView>) -> Vec<PeerRow> {
    views.into_iter().map(PeerRow::from).collect()
}

/// Whether a node can listen there: a port, and an address of one host.
fn can_be_dialled(to: &SocketAddr) -> bool {
    let nobody = match to.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    };
    to.port() != 0 && !nobody
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::failed(stopped.to_string()).fix("start it again with `p2pnet up`")
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let failure = match error {
            CommandError::File(error) => return error.into(),
            CommandError::OutOfRange(_) => Self::usage(error.to_string()),
            _ => Self::failed(error.to_string()),
        };
        match error {
            CommandError::NotConnected | CommandError::Send(SendError::NotConnected) => {
                failure.fix("`p2pnet peers` shows who is; `p2pnet connect IP:PORT` opens a channel")
            }
            CommandError::Send(SendError::NotAllowed) => {
                failure.fix("`p2pnet trust PEER`, or a policy that allows it")
            }
            CommandError::Send(SendError::QueueFull) => failure.fix("again in a moment"),
            CommandError::Send(SendError::TooLarge) => {
                failure.fix("a shorter message, or a larger limits.packet_bytes_max")
            }
            CommandError::NotPending => failure.fix("`p2pnet pending` lists who waits"),
            CommandError::NoSuchRoutine(_) => failure.fix("`p2pnet routine list` lists the names"),
            CommandError::NotListed => failure.fix("`p2pnet allow PEER` puts it there"),
            CommandError::Blocked => failure.fix("`p2pnet block` lists what is blocked"),
            _ => failure,
        }
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Refused(error) => error.into(),
            other => Self::failed(other.to_string())
                .fix("make room or make the state directory writable, and say it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_listens_at_some_addresses() {
        for good in ["192.0.2.1:9000", "127.0.0.1:1", "[fe80::1%3]:7", "[2001:db8::1]:65535"] {
            assert!(can_be_dialled(&good.parse().unwrap()), "{good}");
        }
        for bad in [
            "192.0.2.1:0",
            "0.0.0.0:1",
            "[::]:1",
            "[::ffff:0.0.0.0]:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[ff02::1]:1",
        ] {
            assert!(!can_be_dialled(&bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_a_slip_of_the_caller() {
        let exit = |error: CommandError| format!("{:?}", Failure::from(error).exit_code());
        assert_eq!(exit(CommandError::OutOfRange("it")), exit_of(2));
        assert_eq!(exit(CommandError::NotConnected), exit_of(1));
    }

    fn exit_of(code: u8) -> String {
        format!("{:?}", std::process::ExitCode::from(code))
    }
}
