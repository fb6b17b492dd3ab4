//! [`PeerNetwork`]: one node, as a state machine. Its fields and what holds for all of them stand here; each file beside
//! it is one kind of work.

mod admission;
mod certificates;
mod channels;
mod commands;
mod connection;
mod connections;
pub(crate) mod cx;
mod discovery;
mod door;
mod files;
mod held;
mod inputs;
mod outputs;
mod payload;
mod task_actions;
mod task_commands;
mod task_data;
mod tasks;
mod views;
mod wan;

pub use task_commands::{TaskState, TaskView};
pub use views::{ChannelStats, PeerState, PeerView, RoutineView, Stats};

use crate::channel::bodies::Bodies;
use crate::channel::ciphers::Ciphers;
use crate::channel::handshake::Me;
use crate::channel::open::Heard;
use crate::config::Config;
use crate::crypto::Crypto;
use crate::discovery::lan::Lan;
use crate::distribution::{Asked, Transfers};
use crate::error::{CommandError, ConfigError};
use crate::id::{ConnId, ListenerId, PeerId, RequestId};
use crate::peers::book::Book;
use crate::peers::lists::Lists;
use crate::peers::targets::Targets;
use crate::rng::{Rng, Seed};
use crate::routine::Routines;
use crate::time::{Instant, UnixTime};
use crate::trust::identifier::{IdentifierLabel, Origin};
use crate::trust::membership::Standing;
use crate::wire::packet::PacketKind;
use admission::Admission;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use bytes::BytesMut;
use connection::Connection;
use core::net::{IpAddr, SocketAddr};
use cx::Cx;
use tasks::Tasks;
use wan::Wan;

/// One node: identity, peers, channels, discovery, trust, routines.
///
/// Methods come in four groups. **Getters** look. **Inputs** (`handle_*`) tell what the world did; they never fail and
/// never panic on what a peer sent. **Commands** are what the application wants; they can be refused and say why.
/// **Outputs** (`poll_*`) are what the world shall do.
///
/// The crate's front page has the loop that drives a node and the contract that both sides keep.
#[doc(alias = "P2PNet")]
pub struct PeerNetwork<C: Crypto> {
    crypto: C,
    me: Me<C>,
    config: Config,
    cx: Cx,
    conns: BTreeMap<ConnId, Connection<C>>,
    conns_made: u64,
    /// Connections that are gone and whose payload the application still has: they keep their place until it is given
    /// back, or else peers that come and go would leave more with it than the limits allow.
    unread: BTreeMap<ConnId, Unread>,
    admission: Admission,
    book: Book,
    /// Where discovery has dialled of late.
    targets: Targets,
    pending: BTreeMap<PeerId, ConnId>,
    lists: Lists,
    standing: Standing,
    routines: Routines,
    lan: Lan,
    label: IdentifierLabel,
    /// Kinds of packets with which the application replaces what the node does by default.
    replaced: BTreeSet<PacketKind>,
    listening: BTreeMap<ListenerId, SocketAddr>,
    transfers: Transfers,
    /// Questions to the world that are not answered.
    asked: BTreeMap<RequestId, Asked>,
    requests_made: u64,
    /// The wall clock's last reading and when it was read.
    wall: Option<(UnixTime, Instant)>,
    stats: Stats,
    failures: Failures,
    heard: Heard,
    ciphers: Ciphers<C>,
    chunk: BytesMut,
    shutting_down: bool,
    tasks: Tasks,
    /// Discovery beyond the links; none if nobody asked for it.
    wan: Option<Box<Wan>>,
}

/// What a connection that is gone has left with the application.
#[derive(Debug)]
struct Unread {
    /// Where it came from, if it was an incoming one.
    from: Option<IpAddr>,
    bytes: u64,
}

/// Incoming connections that failed before they had a name: told at most once a second.
#[derive(Debug, Default)]
struct Failures {
    untold: u64,
    told: Option<Instant>,
}

impl<C: Crypto> PeerNetwork<C> {
    /// A node that has not been told of any listener or interface yet.
    ///
    /// `identity` is the Ed25519 seed of the node's identity key. `seed` must be unpredictable in production and is
    /// what makes a simulation repeatable; key material never comes from it.
    ///
    /// # Errors
    /// [`ConfigError`] if `config` can't be run.
    pub fn new(
        config: Config,
        identity: &[u8; 32],
        seed: Seed,
        mut crypto: C,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let limits = config.limits;
        let start_nonce = Rng::new(seed, "start").next_u64();
        let me = Me::new(&mut crypto, &config, identity, start_nonce);
        config.membership.check_certificate(&crypto, &config.network, &me.id)?;
        let mut lists = Lists::new(&limits);
        let full = |key, error: CommandError| ConfigError {
            key,
            problem: format!("too many entries: {error}"),
        };
        for target in &config.blocked {
            lists.block(*target).map_err(|error| full("blocked", error))?;
        }
        for target in &config.allowed {
            lists.allow(*target).map_err(|error| full("allowed", error))?;
        }
        for peer in &config.membership.trusted {
            lists.trust(*peer).map_err(|error| full("membership.trusted", error))?;
        }
        let lan_rng = Rng::new(seed, "lan");
        let lan =
            Lan::new(now, &config.lan, &limits, &config.network, me.key, start_nonce, lan_rng);
        let tasks = Tasks::new(&config)?;
        let wan = Wan::new(now, &config, seed)?;
        let mut label = config.first_label()?;
        if let Some(given) = tasks.memory.labels.own()
            && label.as_str().is_empty()
            && !config.is_anonymous()
        {
            // What the authority gave in an earlier run stays, unless the policy has changed.
            let _refused = label.set(Origin::Remote, given);
        }
        let mut this = Self {
            label,
            replaced: BTreeSet::new(),
            standing: Standing::new(&config.membership, &config.network),
            routines: Routines::new(&limits, Rng::new(seed, "routines")),
            cx: Cx::new(now, limits, config.timing, Rng::new(seed, "jitter")),
            book: Book::new(limits.known_peers_max),
            targets: Targets::new(limits.known_peers_max),
            conns: BTreeMap::new(),
            unread: BTreeMap::new(),
            conns_made: 0,
            admission: Admission::default(),
            pending: BTreeMap::new(),
            listening: BTreeMap::new(),
            transfers: Transfers::new(
                config.shareable(config.files),
                limits.transfers_max,
                limits.file_chunks_max,
                Rng::new(seed, "offers"),
            ),
            asked: BTreeMap::new(),
            requests_made: 0,
            wall: None,
            stats: Stats::default(),
            failures: Failures::default(),
            heard: Heard {
                effects: Vec::new(),
                bodies: Bodies::new(limits.bulk_window_bytes as usize),
            },
            ciphers: Ciphers::new(),
            chunk: BytesMut::new(),
            shutting_down: false,
            tasks,
            wan,
            crypto,
            me,
            config,
            lists,
            lan,
        };
        this.apply_labels();
        Ok(this)
    }

    /// What the wall clock says now, if it was ever told.
    fn wall_now(&self) -> Option<UnixTime> {
        let (unix, at) = self.wall?;
        Some(unix.plus_secs(self.cx.now.since(at).as_secs()))
    }

    /// The port that other peers can dial, if this node accepts connections.
    fn listen_port(&self) -> Option<u16> {
        let accepts = self.config.accept_inbound && !self.shutting_down;
        let port = self.listening.values().map(SocketAddr::port).find(|port| *port != 0);
        port.filter(|_| accepts)
    }
}
