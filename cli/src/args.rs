//! The command line.

use crate::log::LogFormat;
use crate::runtime::Runtime;
use crate::scan::Scan;
use crate::settings::PolicyPreset;
use crate::simulate::{Replay, Simulate};
use crate::task_args::{Data, Task};
use crate::transfers::args::{Files, Get, Store};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Two machines on one network, one command on each, and they find each other:
  p2pnet up

Then, in a second terminal:
  p2pnet peers                    who is there
  p2pnet send --all \"hello\"       say something to everyone
  p2pnet send --to 3fa94c01 hi    or to one, by the first 8 digits of its id
  p2pnet send --to 3fa94c01 --file report.pdf
                                  or give a file to a peer that you trust
  p2pnet stop                     end the node

Members of a group trust each other when they share a secret:
  (umask 077; head -c 32 /dev/urandom | base64 > secret)
  p2pnet up --secret secret

If they don't find each other:
  p2pnet doctor

Exit codes: 0 it worked, 1 it did not succeed, 2 a wrong option, key or value.";

/// Find, trust and talk to other machines, without a server
#[derive(Debug, Parser)]
#[command(name = "p2pnet", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until it is stopped: find peers, prove who they are, show what they say
    Up(Box<Up>),
    /// List the peers that the running node knows, with what was exchanged
    Peers(Node),
    /// Send a message or a file to one peer or to all
    Send(Send),
    /// Get a file by its name from peers that have it
    Get(Get),
    /// List the files that are offered and on their way; accept, refuse, cancel
    Files(Files),
    /// Connect to an address
    Connect(Connect),
    /// End the channel to a peer
    Disconnect(OnePeer),
    /// Turn a peer, an address or a prefix away from now on; without one, list what is blocked
    Block(Block),
    /// Lift a block
    Unblock(Unblock),
    /// Let in a peer, an address or a prefix, and nobody who isn't allowed; without one, list who is
    Allow(Block),
    /// Take off the allow-list; without entries it is off, and everybody may come
    Disallow(Unblock),
    /// Trust a peer by its identity; without one, list the trusted
    Trust(Trust),
    /// Take a peer off the list of trusted ones
    Untrust(OnePeer),
    /// List the peers that wait to be let in (with a queue placement)
    Pending(Node),
    /// Let a waiting peer in
    Accept(OnePeer),
    /// Turn a waiting peer away
    Refuse(OnePeer),
    /// Turn the acceptance of incoming connections on or off while the node runs
    Inbound(Inbound),
    /// Periodic work of the running node: list, start, stop, change
    Routine(Routine),
    /// Show what the running node counted: connections, refusals, failed handshakes, beacons
    Stats(Node),
    /// Print this node's peer id
    Id(Node),
    /// Stop the running node; returns when it has ended and everything is saved
    Stop(Node),
    /// Ask peers to do something: messages, blocks, labels, settings, and what applications define
    #[command(subcommand)]
    Task(Task),
    /// The data area that trusted members of the network share: get, set, delete, list, compare
    #[command(subcommand)]
    Data(Data),
    /// Issue certificates of membership
    #[command(subcommand)]
    Authority(Authority),
    /// Run a server at which nodes meet beyond their own network, and steer it
    #[cfg(feature = "bootstrap")]
    Bootstrap(Box<crate::bootstrap::Bootstrap>),
    /// Print or check a configuration
    Config(Config),
    /// Explain in plain words what stands in the way
    Doctor(Doctor),
    /// Tell what nodes said in a capture of their traffic
    Inspect(Inspect),
    /// Print the addresses of a widescan: which addresses of IPv6 prefixes, in which order
    Scan(Box<Scan>),
    /// Run thousands of nodes in virtual time, with faults, and check every promise
    Simulate(Box<Simulate>),
    /// Run one node of a simulation again, from its recording
    Replay(Replay),
    /// Print completions for a shell
    #[command(
        after_help = "bash: p2pnet completions bash > ~/.local/share/bash-completion/completions/p2pnet"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which node is meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct State {
    /// The node's state directory [default: $P2PNET_STATE, $XDG_STATE_HOME/p2pnet or
    /// ~/.local/state/p2pnet]
    #[arg(long = "state", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// `up`.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  p2pnet up                                   find everyone on this network
  p2pnet up --network office --secret FILE    only this group, members trusted
  p2pnet up --policy strict --trust FILE      nobody but listed peers gets in
  p2pnet up --json | jq -r 'select(.event == \"message_received\").text'
  p2pnet up --config FILE --set lan.designated_ports=9001

Everything else can be set in a file: p2pnet config --default > p2pnet.toml")]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) state: State,
    /// A configuration file (TOML) [also: P2PNET_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set any key of the configuration
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Meet only nodes of the same network name
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
    /// Who may do what
    #[arg(long, value_enum)]
    pub(crate) policy: Option<PolicyPreset>,
    /// The file that holds the network's secret: whoever knows it is trusted
    #[arg(long, value_name = "FILE")]
    pub(crate) secret: Option<PathBuf>,
    /// A file of trusted peer ids, one a line, # begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// The public key of the network's authority: 64 hex digits, or a file
    #[arg(long, value_name = "KEY")]
    pub(crate) authority: Option<String>,
    /// This node's certificate; without --authority, whoever issued it is the authority
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Use a fresh identity that nothing links to an earlier run
    #[arg(long)]
    pub(crate) anonymous: bool,
    /// Accept connections here: IP:PORT, IP or PORT; may be repeated [default: any address, a free port]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<String>,
    /// Accept no incoming connections
    #[arg(long)]
    pub(crate) no_inbound: bool,
    /// Neither send nor hear beacons on the local network
    #[arg(long)]
    pub(crate) no_lan: bool,
    #[command(flatten)]
    pub(crate) beyond: Beyond,
    /// Where incoming peers go: event-based lets them in, the others let them wait for `accept`
    #[arg(long, value_name = "PLACEMENT")]
    #[arg(value_parser = ["event-based", "queue-based", "queue-and-event-based"])]
    pub(crate) placement: Option<String>,
    #[command(flatten)]
    pub(crate) files: Store,
    /// Write the keys of every channel to this file, for `p2pnet inspect`: whoever reads it reads all
    /// that is said
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Option<PathBuf>,
    /// What the node runs on, for comparison: peers can't tell [default: tokio]
    #[arg(long, value_enum)]
    pub(crate) runtime: Option<Runtime>,
    /// Print one JSON object a line instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Log to standard error: a level, or levels by category as in warn,lan=debug
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Log to this file instead (level info unless --log says otherwise)
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// How a log line looks
    #[arg(long, value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// How `up` finds peers beyond the local network.
#[derive(Args, Debug, Default)]
pub(crate) struct Beyond {
    /// Find peers through this bootstrap server; may be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) bootstrap: Vec<String>,
    /// Which bootstrap servers may be used [default: trustless]
    #[arg(long, value_enum)]
    pub(crate) bootstrap_policy: Option<BootstrapPolicy>,
    /// Use no bootstrap server without an authority
    #[arg(long)]
    pub(crate) must_be_authority: bool,
    /// The first authority met is the only one from then on, in later runs too
    #[arg(long)]
    pub(crate) lock_first_authority: bool,
    /// The bootstrap authority's public key: 64 hex digits, or a file; no other will do
    #[arg(long, value_name = "FILE")]
    pub(crate) authority_key: Option<String>,
    /// How the sources of the public IPv4 address are asked
    #[arg(long, value_name = "POLICY")]
    #[arg(value_parser = ["single-static-url", "static-url-and-failover", "url-list-consensus"])]
    pub(crate) public_ip_policy: Option<String>,
    /// Ask this URL for the public IPv4 address; may be repeated [default: nobody is asked]
    #[arg(long, value_name = "URL")]
    pub(crate) public_ip_source: Vec<String>,
}

/// Which bootstrap servers may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BootstrapPolicy {
    /// Those without an authority
    Trustless,
    /// Those with an authority
    Authority,
    /// Both
    Any,
}

/// What every command to the running node takes.
#[derive(Args, Debug)]
pub(crate) struct Node {
    #[command(flatten)]
    pub(crate) state: State,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A command about one peer.
#[derive(Args, Debug)]
pub(crate) struct OnePeer {
    /// The peer's id, or its first 8 digits or more
    #[arg(value_name = "PEER")]
    pub(crate) peer: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `send`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("receiver").required(true))]
#[command(group = clap::ArgGroup::new("what").required(true))]
#[command(after_help = "\
Prints who took it. Exit code 0 if at least one did, else 1.

A file takes as long as it takes: its receivers may have to accept it first, and those that are
away get it when they come. Ctrl-C cancels, and who has it keeps it; --detach lets the node go on
by itself, after a restart too.

Examples:
  p2pnet send --all \"hello\"
  p2pnet send --to 3fa94c01 \"just you\"
  date | p2pnet send --all -
  p2pnet send --file report.pdf --to 3fa94c01")]
pub(crate) struct Send {
    /// One peer: its id, or its first 8 digits or more
    #[arg(long, value_name = "PEER", group = "receiver")]
    pub(crate) to: Option<String>,
    /// Everyone with an open channel whom the policy lets have it
    #[arg(long, group = "receiver")]
    pub(crate) all: bool,
    /// The message; - reads it from standard input
    #[arg(group = "what")]
    pub(crate) text: Option<String>,
    /// Send this file instead of a message
    #[arg(long, value_name = "PATH", group = "what")]
    pub(crate) file: Option<PathBuf>,
    /// Return once the file is offered
    #[arg(long, conflicts_with = "text")]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `connect`.
#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// Where to, as IP:PORT
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    /// Only this identity will do: all 64 digits, or the first 8 or more of a known peer
    #[arg(long, value_name = "PEER")]
    pub(crate) expect: Option<String>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `block`.
#[derive(Args, Debug)]
pub(crate) struct Block {
    /// A peer id, an IP address, or a prefix such as 192.0.2.0/24
    #[arg(value_name = "PEER|ADDR|PREFIX")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `unblock`.
#[derive(Args, Debug)]
pub(crate) struct Unblock {
    /// A peer id, an IP address, or a prefix such as 192.0.2.0/24
    #[arg(value_name = "PEER|ADDR|PREFIX")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `trust`.
#[derive(Args, Debug)]
pub(crate) struct Trust {
    /// The peer's id, or its first 8 digits or more
    #[arg(value_name = "PEER")]
    pub(crate) peer: Option<String>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `inbound`.
#[derive(Args, Debug)]
pub(crate) struct Inbound {
    /// Whether they are accepted from now on
    pub(crate) accept: OnOff,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    /// Accept them
    On,
    /// Turn them away; open channels stay
    Off,
}

/// `routine`.
#[derive(Args, Debug)]
pub(crate) struct Routine {
    /// What to do
    #[command(subcommand)]
    pub(crate) action: RoutineAction,
}

/// What to do with routines.
#[derive(Debug, Subcommand)]
pub(crate) enum RoutineAction {
    /// List them
    List(Node),
    /// Run one from now on
    Start(OneRoutine),
    /// Stop running one
    Stop(OneRoutine),
    /// Change how often one runs
    Interval {
        #[command(flatten)]
        routine: OneRoutine,
        /// How often, such as 500ms, 30s or 2m
        #[arg(value_name = "EVERY")]
        every: String,
    },
}

/// One routine.
#[derive(Args, Debug)]
pub(crate) struct OneRoutine {
    /// Its name, as `routine list` shows it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// `authority`.
#[derive(Debug, Subcommand)]
pub(crate) enum Authority {
    /// Make an authority's key, and PATH.pub with its public half
    #[command(
        after_help = "Give the public half to every node (up --authority), keep the key to yourself."
    )]
    New {
        /// Where the key goes; nothing is overwritten
        #[arg(default_value = "authority.key")]
        path: PathBuf,
    },
    /// Certify that a peer is a member of a network
    #[command(after_help = "\
Example: on the member's machine `p2pnet id`, here `p2pnet authority issue ID`, and there again
  p2pnet up --authority authority.key.pub --certificate 3fa94c01.certificate")]
    Issue {
        /// The member's peer id (all 64 digits), as `p2pnet id` prints it there
        peer: String,
        /// The authority's key
        #[arg(long, value_name = "FILE", default_value = "authority.key")]
        key: PathBuf,
        /// The network that it is a member of
        #[arg(long, value_name = "NAME", default_value = "default")]
        network: String,
        /// For how many days
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Where the certificate goes [default: the peer's first 8 digits and .certificate]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// `config`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Config {
    /// Print a commented file with every key and its default; it loads unchanged
    #[arg(long, group = "what")]
    pub(crate) default: bool,
    /// Check a file, along with the environment
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) check: Option<PathBuf>,
}

/// `inspect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without a key log this shows beacons, handshakes, and how much was said; with one also what was said.

Example, on the machine of one of the nodes:
  p2pnet up --keylog keys &
  dumpcap -i any -w traffic.pcap
  p2pnet inspect traffic.pcap --keylog keys

The capture must hold the beginnings of the channels that you want to look into.")]
pub(crate) struct Inspect {
    /// The capture, pcap or pcapng; - reads it from standard input
    #[arg(value_name = "FILE")]
    pub(crate) capture: PathBuf,
    /// The keys that a node wrote down with `up --keylog`; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Vec<PathBuf>,
    /// Show each record, ping and credit too
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) node: Node,
    /// Look at the designated ports of this configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_guide_parses() {
        for line in [
            "p2pnet up",
            "p2pnet up --state /tmp/a --network office --secret s --trust t --listen 1.2.3.4:5 --listen 6 --no-lan --policy strict --json",
            "p2pnet up --config f --set lan.enabled=false --no-inbound --anonymous --authority k --certificate c",
            "p2pnet up --log warn,lan=debug --log-file l --log-format json --placement queue-based --keylog k",
            "p2pnet peers --json --state d",
            "p2pnet send --to 3fa94c01 hello",
            "p2pnet send --all hello --state d",
            "p2pnet connect 192.0.2.1:9000",
            "p2pnet disconnect 3fa94c01",
            "p2pnet block 192.0.2.0/24",
            "p2pnet block",
            "p2pnet unblock 192.0.2.1",
            "p2pnet allow 192.0.2.0/24",
            "p2pnet allow",
            "p2pnet disallow 3fa94c01",
            "p2pnet trust 3fa94c01",
            "p2pnet untrust 3fa94c01",
            "p2pnet pending",
            "p2pnet accept 3fa94c01",
            "p2pnet refuse 3fa94c01",
            "p2pnet inbound off --state d",
            "p2pnet routine list --json",
            "p2pnet routine start RotateBroadcastPort",
            "p2pnet routine stop RotateBroadcastPort --state d",
            "p2pnet routine interval RotateBroadcastPort 5s",
            "p2pnet id",
            "p2pnet scan --list --prefixes 2001:db8::/32 --prefixes f --exclude e --strategy low-byte --strategy ports --allow-special",
            "p2pnet scan --list --prefixes f --shard 2/3 --seed 7 --order random --split 48 --count 9 --resume c --binary",
            "p2pnet scan --list --prefixes f --country nl --registry ripencc --status assigned --holder x --origin AS1",
            "p2pnet stop --state d",
            "p2pnet task send ping-peer --to 3fa94c01",
            "p2pnet task send block-ip 192.0.2.0/24 --all --sign-with authority.key --valid 5m",
            "p2pnet task list --json",
            "p2pnet data set colour blue",
            "p2pnet data get colour --json",
            "p2pnet data delete colour",
            "p2pnet data list --state d",
            "p2pnet data sync 3fa94c01",
            "p2pnet authority new",
            "p2pnet authority issue 00 --days 3 --key k",
            "p2pnet config --default",
            "p2pnet doctor --json",
            "p2pnet inspect traffic.pcap --keylog a --keylog b --all --json",
            "p2pnet inspect -",
            "p2pnet simulate --nodes 1000 --seed 7 --minutes 10 --loss 5% --faults crash,partition --json",
            "p2pnet replay node3.trace --all",
            "p2pnet completions bash",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "p2pnet",
            "p2pnet upp",
            "p2pnet up --nope",
            "p2pnet up --policy lax",
            "p2pnet send hello",
            "p2pnet send --to 3fa94c01 --all hello",
            "p2pnet send --all",
            "p2pnet unblock",
            "p2pnet disallow",
            "p2pnet inbound maybe",
            "p2pnet task send ping-peer",
            "p2pnet task send ping-peer --to 3fa94c01 --all",
            "p2pnet data set colour",
            "p2pnet routine interval RotateBroadcastPort",
            "p2pnet authority issue 00 --days 0",
            "p2pnet config",
            "p2pnet inspect",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
