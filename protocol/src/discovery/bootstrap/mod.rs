//! What nodes and bootstrap servers say to each other (features D5, B1 and B2): records, signed by whoever speaks.
//!
//! | Module | What it is |
//! |---|---|
//! | [`identity`] | which server this is: its wire key, and the authority that stands behind it |
//! | [`delegation`], [`openpgp`] | the authority's word for a wire key, signed by an OpenPGP key |
//! | [`registration`] | a node that wants to be found, and asks for others |
//! | [`list`] | peers, signed by the server for one request |
//! | [`heartbeat`] | a sign of life, and what waited for the node |
//! | [`refusal`] | why a server does not serve a request |
//! | [`memory`] | which authorities a node has met |
//! | [`public_ip`] | the node's public IPv4 address, by sources that the operator names |
//! | [`url`], [`error`] | which addresses of servers will do, and why a server was of no use |
//!
//! Every record has one binary encoding, which is what is signed, and a view for serde (JSON for people and other
//! languages, postcard where somebody prefers it). A record that came by serde is checked by encoding it again.
//!
//! What passes between a node and a server, both in one process:
//!
//! ```
//! use p2pnet_crypto::PureCrypto;
//! use p2pnet_protocol::crypto::Crypto as _;
//! use p2pnet_protocol::discovery::bootstrap::{
//!     BadReply, Heartbeat, HeartbeatReply, PeerList, Refusal, RefusalCode, Registration, ReplyHead,
//!     ServerIdentity, ServerKeys, Steering,
//! };
//! use p2pnet_protocol::{NetworkName, PublicKey, RequestNonce, Signature};
//!
//! let crypto = PureCrypto::new().unwrap();
//! let (node, wire) = (crypto.signing_key(&[1; 32]), crypto.signing_key(&[2; 32]));
//! let unsigned = Signature([0; 64]);
//!
//! // The server says who it is, and what time it is there.
//! let keys = ServerKeys { wire: crypto.public_key(&wire), delegation: None };
//! let identity = ServerIdentity::issue(&crypto, &wire, keys.clone(), "boot".into(), 1_000_000);
//! assert!(ServerIdentity::decode(&identity.encode()).unwrap().is_signed(&crypto));
//!
//! // The node registers with that server and no other.
//! let registration = Registration {
//!     network: NetworkName::default(),
//!     key: crypto.public_key(&node),
//!     audience: keys.audience(),
//!     at_ms: identity.issued_ms,
//!     nonce: RequestNonce([7; 16]),
//!     port: 9000,
//!     label: String::new(),
//!     wants: 32,
//!     signature: unsigned,
//! };
//! let sent = registration.sign(&crypto, &node).encode();
//! let asked = Registration::decode(&sent).unwrap();
//! assert!(asked.is_signed(&crypto));
//!
//! // The server answers this very request.
//! let head = ReplyHead {
//!     keys: keys.clone(),
//!     nonce: asked.nonce,
//!     issued_ms: 1_000_100,
//!     expires_ms: 1_060_100,
//!     steering: Steering { interval_secs: 60, jitter_percent: 20, lease_secs: 180 },
//! };
//! let seen_at = [192, 0, 2, 1].into();
//! let list = PeerList::issue(&crypto, &wire, head.clone(), seen_at, 1, Vec::new()).encode();
//! assert!(PeerList::open(&crypto, &list, &asked.nonce, None).is_ok());
//! let other = RequestNonce([8; 16]);
//! assert_eq!(PeerList::open(&crypto, &list, &other, None), Err(BadReply::OtherRequest));
//!
//! // Later the node shows that it is alive, and learns what waited for it.
//! let heartbeat = Heartbeat {
//!     network: asked.network,
//!     key: asked.key,
//!     audience: keys.audience(),
//!     at_ms: 1_060_000,
//!     nonce: asked.nonce,
//!     leaving: false,
//!     received: Vec::new(),
//!     signature: unsigned,
//! };
//! assert!(heartbeat.sign(&crypto, &node).is_signed(&crypto));
//! let reply = HeartbeatReply::issue(&crypto, &wire, head, true, Vec::new()).encode();
//! assert!(HeartbeatReply::open(&crypto, &reply, &asked.nonce, None).unwrap().renewed);
//!
//! // A server that can't serve says so, unsigned.
//! let busy = Refusal { code: RefusalCode::Busy, now_ms: 1_000_000, retry_after_secs: 30 };
//! assert_eq!((busy.code.status(), Refusal::decode(&busy.encode())), (503, Ok(busy)));
//! ```
//!
//! Everything here is pure: no node, no network. The server uses these types too. `client` is what a node does with them;
//! `network/wan.rs` puts it to work.

pub(crate) mod client;
pub mod delegation;
pub mod error;
pub mod heartbeat;
pub mod identity;
pub mod list;
pub mod memory;
pub mod openpgp;
pub mod public_ip;
pub mod refusal;
pub mod registration;
mod signed;
pub mod url;

pub use delegation::{BadDelegation, Delegation};
pub use error::BootstrapError;
pub use heartbeat::{Heartbeat, HeartbeatReply};
pub use identity::{ServerIdentity, ServerKeys};
pub use list::{BadReply, PeerList, ReplyHead, Steering};
pub use public_ip::{PublicIpConfig, PublicIpv4GetPolicy};
pub use refusal::{Refusal, RefusalCode};
pub use registration::Registration;

use crate::id::PublicKey;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// How a node finds peers beyond its links. Which servers it may use is
/// [`TrustPolicies::bootstrap`](crate::trust::policy::TrustPolicies::bootstrap).
///
/// ```
/// use p2pnet_protocol::Config;
/// use p2pnet_protocol::discovery::bootstrap::{BootstrapConfig, PublicIpConfig, PublicIpv4GetPolicy};
///
/// let server = "https://boot.example.org";
/// let public_ip = PublicIpConfig {
///     policy: PublicIpv4GetPolicy::SingleStaticUrl,
///     sources: vec![format!("{server}/api/Bootstrap/publicip")],
/// };
/// let bootstrap =
///     BootstrapConfig { servers: vec![server.into()], public_ip, ..BootstrapConfig::default() };
/// assert!(Config { bootstrap, ..Config::default() }.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootstrapConfig {
    /// The bootstrap servers, by URL, at most [`SERVERS_MAX`](Self::SERVERS_MAX): the node registers with each of them.
    /// With none it doesn't look beyond its links, and exchanges no peers with others.
    #[doc(alias = "AddBootstrapChannel")]
    pub servers: Vec<String>,
    /// The authority's key, if it is known in advance: then a server must show this one.
    pub authority: Option<PublicKey>,
    /// Whom to ask for the public IPv4 address.
    pub public_ip: PublicIpConfig,
    /// Whether the driver keeps what must outlive the process. If so, no authority that is new is used before it was saved
    /// ([`Request::Save`](crate::io::Request::Save)).
    pub durable: bool,
    /// What an earlier run saved ([`Keeps::Bootstrap`](crate::io::Keeps::Bootstrap)).
    pub saved: Option<Bytes>,
}

impl BootstrapConfig {
    /// The most servers.
    pub const SERVERS_MAX: usize = 16;

    /// Checks the addresses.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        if self.servers.len() > Self::SERVERS_MAX {
            return Err(("bootstrap.servers", "at most 16 servers"));
        }
        if self.public_ip.sources.len() > PublicIpConfig::SOURCES_MAX {
            return Err(("bootstrap.public_ip_sources", "at most 16 sources"));
        }
        let check = |key, urls: &[String]| {
            urls.iter().try_for_each(|one| url::check(one).map(drop).map_err(|why| (key, why)))
        };
        check("bootstrap.servers", &self.servers)?;
        check("bootstrap.public_ip_sources", &self.public_ip.sources)
    }
}

/// The version of all records.
pub const VERSION: u8 = 1;
/// The media type of binary records, of requests and replies alike.
pub const CONTENT_TYPE: &str = "application/vnd.p2pnet.v1";
/// Where a server tells who it is: `GET`, answered with a [`ServerIdentity`].
pub const IDENTITY_PATH: &str = "/api/Bootstrap/identity";
/// Where nodes register: `POST` a [`Registration`], answered with a [`PeerList`].
pub const PEERS_PATH: &str = "/api/Bootstrap/peers";
/// Where nodes show that they are alive: `POST` a [`Heartbeat`], answered with a [`HeartbeatReply`].
pub const HEARTBEAT_PATH: &str = "/api/Bootstrap/heartbeat";
/// Where anybody learns the address that he comes from: `GET`, answered with it in plain text.
pub const PUBLIC_IP_PATH: &str = "/api/Bootstrap/publicip";
/// Where anybody asks whether the server issued a task: `GET` with `?hash=` and 64 hex digits.
pub const VERIFY_HASH_PATH: &str = "/api/Bootstrap/verifyhash";

/// The most bytes of any request's body.
pub const REQUEST_BYTES_MAX: usize = 2048;
/// The most bytes of any reply's body.
pub const REPLY_BYTES_MAX: usize = 128 << 10;
/// How far the time of a request may be from the server's clock, in milliseconds.
pub const FRESH_MS: u64 = 300_000;
