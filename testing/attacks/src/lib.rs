//! Attacks on a real node, by real processes, and what an honest peer felt meanwhile.
//!
//! Every script starts `p2pnet up` as the victim and a second `p2pnet up` as an honest peer on pretended hosts of their own
//! ([`p2pnet_lab`]), lets the honest peer talk to the victim the whole time, and sends in processes of attackers that speak
//! raw bytes or the wire format. Then it says what the honest peer felt, how much memory the victim took at most, what the
//! victim says it refused, and how long it took until everything was given back. `docs/attacks.md` has the table of
//! scripts and the rules of the verdict.
//!
//! | Module | Holds |
//! |---|---|
//! | [`script`] | the scripts: what attacks, what must be refused |
//! | [`scene`] | hosts, victim, honest peer, processes of attackers |
//! | [`probe`] | the honest peer's messages, and how long they took |
//! | [`report`] | the verdict, as a table and as JSON |
//! | [`runner`] | one script from quiet to reaped |
//! | [`attacker`] | what an attacker's process does |
//! | [`speaker`] | the wire format by hand, for saying what no node says |
//! | [`control`] | the node's control socket, and the counters behind it |

pub mod attacker;
pub mod control;
pub mod probe;
pub mod report;
pub mod runner;
pub mod scene;
pub mod script;
pub mod speaker;
