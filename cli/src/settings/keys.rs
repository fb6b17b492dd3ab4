//! The table of keys: the only place that knows their names. Files, variables, `--set`, the printed default file and the
//! search for the nearest key all read it.

use super::value::{Setting, Value, read_name, show_name};
use super::{BootstrapFlags, Settings};

/// One key.
pub(crate) struct Key {
    /// Its dotted name.
    pub(crate) name: &'static str,
    /// What it does, in a line or more.
    pub(crate) doc: &'static str,
    /// Whether its default comes from a preset, so that the printed file shows it commented out.
    pub(crate) follows_preset: bool,
    /// Its value in `settings`.
    pub(crate) show: fn(&Settings) -> Value,
    /// Sets it.
    pub(crate) set: fn(&mut Settings, &Raw) -> Result<(), String>,
}

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// From a file, with a type of its own.
    Typed(Value),
    /// From a variable or an option, all text.
    Text(String),
}

impl Raw {
    fn read<T: Setting>(&self) -> Result<T, String> {
        match self {
            Self::Typed(value) => T::read(value),
            Self::Text(text) => T::read_text(text),
        }
    }
}

impl Key {
    /// The variable of the environment that sets it: `lan.enabled` is `P2PNET_LAN_ENABLED`.
    pub(crate) fn variable(&self) -> String {
        format!("P2PNET_{}", self.name.replace('.', "_").to_uppercase())
    }
}

macro_rules! keys {
    ($follows_preset:literal; $($name:literal => $($field:ident).+, $doc:literal;)*) => {
        &[$(Key {
            name: $name,
            doc: $doc,
            follows_preset: $follows_preset,
            show: |settings| settings.$($field).+.show(),
            set: |settings, raw| {
                settings.$($field).+ = raw.read()?;
                Ok(())
            },
        }),*]
    };
}

/// Every key, in the order in which a layer is applied and the default file is printed: a preset comes before what it sets.
pub(crate) static KEYS: &[&[Key]] = &[
    PLAIN,
    POLICY_PRESET,
    POLICIES,
    BOOTSTRAP,
    BEYOND,
    MEMBERSHIP,
    FILES,
    TASKS,
    LAN,
    TIMING,
    LIMITS_PRESET,
    LIMITS,
    LOG,
];

/// Every key.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().copied().flatten()
}

/// The key of this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// The key whose name is most like `name`, if one is like it at all.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    // A right name in the wrong section is as near as a slip of one letter.
    let distance = |key: &Key| match last(key.name) == last(name) {
        true => 1,
        false => edits(name, key.name).min(1 + edits(&last(name), &last(key.name))),
    };
    let best = all().min_by_key(|key| distance(key))?;
    (distance(best) <= name.len() / 2).then_some(best.name)
}

/// How many letters must be inserted, deleted or replaced to turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

static PLAIN: &[Key] = keys! { false;
    "network" => config.network, "Separates networks that share a wire: only nodes of the same name meet.";
    "state" => state, "Where keys, bans and the control socket live, created with mode 0700. Empty: $XDG_STATE_HOME/p2pnet,\nor ~/.local/state/p2pnet.";
    "listen" => config.listen, "Where to accept connections: IP:PORT, and [::] for every address of both families. Port 0 lets\nthe system choose.";
    "listen_ports" => listen_ports, "A port or a range such as \"9000-9010\": where a listening address has port 0, its first free\nport is taken. Empty: the system chooses.";
    "accept_inbound" => config.accept_inbound, "Whether incoming connections are accepted.";
    "placement" => config.placement, "Where incoming peers go once they have proved who they are: \"event-based\" lets them in,\n\"queue-based\" and \"queue-and-event-based\" let them wait for `p2pnet accept`.";
    "label" => config.label, "A label that peers see where the policy lets it pass: a claim, without meaning for security.\nAt most 128 bytes.";
    "derive_label" => config.derive_label, "Whether a label is made up at start, from the hardware address, the time, and the public address\nif an interface has one.";
    "anonymous" => config.anonymous, "A fresh identity on every start, which nothing that is sent links to an earlier one. Stored files\naren't given by name; what is unfinished in the inbox goes on if it is offered again.";
    "key_log_file" => key_log_file, "The file that the keys of every channel are added to, made with mode 0600, for `p2pnet inspect`.\nFor debugging alone: whoever reads it reads all that is said. Empty: no keys leave the node.";
    "runtime" => runtime, "What the node runs on: \"tokio\", \"smol\" or \"mio\". Peers can't tell.";
    "allowed" => config.allowed, "If not empty, only these get a channel: peer ids, addresses or prefixes.";
    "blocked" => config.blocked, "Who is turned away from the start: peer ids, addresses or prefixes.";
};

static POLICY_PRESET: &[Key] = &[Key {
    name: "policy",
    doc: "Who may do what. \"default\": whoever proves an identity may exchange messages, whoever also proves\nmembership is trusted. \"open\": every proven identity is trusted. \"strict\": nobody but listed\nidentities and members gets in. The flags under [policies] refine it.",
    follows_preset: false,
    show: |settings| Value::Text(show_name(&settings.policy)),
    set: |settings, raw| {
        settings.policy = read_name(&raw.read::<String>()?)?;
        settings.config.policies = settings.policy.policies();
        settings.bootstrap = BootstrapFlags::default();
        Ok(())
    },
}];

static POLICIES: &[Key] = keys! { true;
    "policies.incoming.allow_default_communication" => config.policies.incoming.allow_default_communication, "Whether authenticated peers may exchange messages.";
    "policies.incoming.allow_enhanced_packet_exchange" => config.policies.incoming.allow_enhanced_packet_exchange, "Whether authenticated peers may exchange every other packet too.";
    "policies.incoming.run_default_trust_protocol" => config.policies.incoming.run_default_trust_protocol, "Whether proofs of membership are shown and checked.";
    "policies.incoming.trust_authenticated" => config.policies.incoming.trust_authenticated, "Whether every proven identity is trusted at once.";
    "policies.incoming.trusted_only" => config.policies.incoming.trusted_only, "Whether peers that end up untrusted are turned away.";
    "policies.incoming.application_handshake" => config.policies.incoming.application_handshake, "Whether a decision from outside settles trust: here the operator's `p2pnet trust PEER`, within\ntiming.trust_timeout. Whoever is on the list of trusted ones already needs none.";
    "policies.identifier.local_identifier_set_policy" => config.policies.identifier.local_identifier_set_policy, "Who may set this node's label, and how often: \"strict-local-only\", \"local\", \"local-and-remote\",\n\"remote-only\" or \"strict-remote-only\".";
};

/// Flags that are unset follow from those that are set, so they aren't plain fields.
macro_rules! bootstrap_keys {
    ($($flag:ident, $doc:literal;)*) => {
        &[$(Key {
            name: concat!("policies.bootstrap.", stringify!($flag)),
            doc: $doc,
            follows_preset: true,
            show: |settings| settings.bootstrap.shown().$flag().show(),
            set: |settings, raw| {
                settings.bootstrap.$flag = Some(raw.read()?);
                Ok(())
            },
        }),*]
    };
}

static BOOTSTRAP: &[Key] = bootstrap_keys! {
    allow_bootstrap_trustless_connection, "Whether bootstrap servers without an authority's key may be used. On, unless must_be_authority.";
    allow_bootstrap_authority_connection, "Whether servers with an authority's key may be used. Off, unless must_be_authority.";
    must_be_authority, "Whether only servers with an authority's key may be used. Off, unless\nfirst_single_locking_authority.";
    first_single_locking_authority, "Whether the first authority met is the only one from then on.";
};

static MEMBERSHIP: &[Key] = keys! { false;
    "membership.secret_file" => secret_file, "The file that holds the network's secret: the whole file, trailing white space cut, at least\n16 bytes. Whoever knows it is trusted.";
    "membership.trust_file" => trust_file, "A file with one trusted peer id a line; # begins a comment.";
    "membership.trusted" => config.membership.trusted, "Peer ids that are trusted without further proof.";
    "membership.authority" => authority, "The public key of the network's authority, whose certificates are accepted: 64 hex digits, or\na file that holds them.";
    "membership.certificate_file" => certificate_file, "This node's own certificate, from `p2pnet authority issue`.";
};

static FILES: &[Key] = keys! { false;
    "files.accept" => config.files.accept, "Which files are taken: \"ask\" lets offers wait for `p2pnet files accept`, \"trusted\" takes those of\ntrusted peers, \"never\" takes none.";
    "files.share" => config.files.share, "Whether trusted peers get the files of the inbox or image that they ask for by name.";
    "files.inbox" => store.inbox, "The directory that received files go to, made with mode 0700. Empty: inbox in the state directory.";
    "files.image" => store.image, "The disk image (VHD with FAT32) that files are kept in instead of a directory; made if there is\nnone. Empty: none.";
    "files.image_size" => store.image_size, "How large the disk of a new image is; only what is used takes room. Empty: 4GiB.";
    "files.quota" => store.quota, "The most that all files of the inbox or image may take together, such as \"20GiB\". Empty: no bound.";
};

static TASKS: &[Key] = keys! { false;
    "tasks.trust" => config.tasks.trust, "Who may have which kind of task done here, apart from the defaults: lines such as\n\"send-message = trusted-peer + must-have-signed-hash\". All of a kind's requirements must hold.";
    "tasks.replicate_data" => config.tasks.replicate_data, "Whether the data area is kept the same as that of trusted peers without being asked.";
    "tasks.answer_timeout" => config.tasks.answer_timeout, "How long the answer to a task may take.";
};

static LAN: &[Key] = keys! { false;
    "lan.enabled" => config.lan.enabled, "Whether signed beacons are sent and heard on the local network.";
    "lan.broadcast" => config.lan.broadcast, "Whether to send them by IPv4 broadcast.";
    "lan.multicast_v4" => config.lan.multicast_v4, "Whether to send them by IPv4 multicast.";
    "lan.multicast_v6" => config.lan.multicast_v6, "Whether to send them by IPv6 link-local multicast.";
    "lan.designated_ports" => config.lan.designated_ports, "The UDP ports that are listened on; beacons go to one of them at a time.";
    "lan.connect" => config.lan.connect, "Whether peers that were found are connected to without being asked for.";
};

static BEYOND: &[Key] = keys! { false;
    "bootstrap.servers" => config.bootstrap.servers, "The bootstrap servers to find peers by beyond the local network, such as\n\"https://boot.example.org\": the node registers with each of them. Empty: it looks no further.";
    "bootstrap.authority_key" => bootstrap_authority, "The public key of the authority that every bootstrap server must show: 64 hex digits, or a file\nthat holds them. Empty: the first one that is met at a server is remembered for it.";
    "bootstrap.public_ip_policy" => config.bootstrap.public_ip.policy, "How the sources of the public IPv4 address are asked: \"single-static-url\" (the first alone),\n\"static-url-and-failover\" (the next when one fails) or \"url-list-consensus\" (all; more than half\nof those that answer must agree).";
    "bootstrap.public_ip_sources" => config.bootstrap.public_ip.sources, "URLs that answer with the address that they see, in plain text; a bootstrap server has one at\n/api/Bootstrap/publicip. Empty: nobody is asked.";
};

static TIMING: &[Key] = keys! { false;
    "timing.dial_timeout" => config.timing.dial_timeout, "From the start of a dial to its stream.";
    "timing.handshake_timeout" => config.timing.handshake_timeout, "From a stream to a proved identity.";
    "timing.trust_settle" => config.timing.trust_settle, "How long trust may take to settle before a channel is reported.";
    "timing.trust_timeout" => config.timing.trust_timeout, "How long a decision about trust from outside may take. One that comes later counts at the next\nmeeting.";
    "timing.pending_timeout" => config.timing.pending_timeout, "How long an incoming peer may wait to be accepted.";
    "timing.keep_alive" => config.timing.keep_alive, "After so much silence a ping is sent.";
    "timing.silence_timeout" => config.timing.silence_timeout, "After so much silence a peer counts as gone.";
    "timing.linger" => config.timing.linger, "How long a graceful close may take.";
    "timing.redial_min" => config.timing.redial_min, "The first wait before a lost peer is dialled again; it doubles each time.";
    "timing.redial_max" => config.timing.redial_max, "The longest wait between dials.";
    "timing.redial_attempts_max" => config.timing.redial_attempts_max, "How many dials in a row may fail before a peer is given up until it is heard of again.";
};

static LIMITS_PRESET: &[Key] = &[
    Key {
        name: "limits.preset",
        doc: "Where the single limits start from: \"tiny\" (64 KiB for a few peers), \"small\" (a host with a few\nmegabytes to spare), \"default\" (hundreds of peers) or \"large\" (ten thousand peers).",
        follows_preset: false,
        show: |settings| Value::Text(show_name(&settings.limits_preset)),
        set: |settings, raw| {
            settings.limits_preset = read_name(&raw.read::<String>()?)?;
            settings.config.limits = settings.limits_preset.limits();
            Ok(())
        },
    },
    Key {
        name: "limits.memory_budget",
        doc: "The most memory that all limits together may amount to, such as \"64MiB\". Limits left at their\npreset are lowered to fit; if that isn't enough, the node doesn't start. Empty: no budget.",
        follows_preset: false,
        show: |settings| settings.memory_budget.show(),
        set: |settings, raw| {
            settings.memory_budget = raw.read()?;
            Ok(())
        },
    },
];

static LIMITS: &[Key] = keys! { true;
    "limits.connections_max" => config.limits.connections_max, "Connections in any state.";
    "limits.connections_per_address_max" => config.limits.connections_per_address_max, "Incoming connections from one address.";
    "limits.connections_per_subnet_max" => config.limits.connections_per_subnet_max, "Incoming connections from one subnet (/24 or /48).";
    "limits.handshakes_max" => config.limits.handshakes_max, "Handshakes in progress.";
    "limits.handshakes_per_address_max" => config.limits.handshakes_per_address_max, "Handshakes in progress from one host.";
    "limits.handshakes_per_subnet_max" => config.limits.handshakes_per_subnet_max, "Handshakes in progress from one subnet (/24 or /48).";
    "limits.pending_max" => config.limits.pending_max, "Peers that wait to be accepted.";
    "limits.channels_auto_max" => config.limits.channels_auto_max, "Channels that are opened without being asked for.";
    "limits.known_peers_max" => config.limits.known_peers_max, "Peers that are remembered while not connected.";
    "limits.blocked_max" => config.limits.blocked_max, "Blocked identities, addresses and prefixes.";
    "limits.listed_max" => config.limits.listed_max, "Identities on the list of trusted ones, and as many on the allow-list.";
    "limits.routines_max" => config.limits.routines_max, "Routines.";
    "limits.packet_bytes_max" => config.limits.packet_bytes_max, "Bytes of one packet.";
    "limits.send_queue_bytes_max" => config.limits.send_queue_bytes_max, "Bytes queued for sending to one peer.";
    "limits.control_bytes_max" => config.limits.control_bytes_max, "Bytes of control packets of one peer that may wait, and as many to it.";
    "limits.message_window_bytes" => config.limits.message_window_bytes, "Bytes of messages that one peer may have under way to us and unread.";
    "limits.bulk_window_bytes" => config.limits.bulk_window_bytes, "Bytes of bulk data that one peer may have under way to us and unread.";
    "limits.unread_events_max" => config.limits.unread_events_max, "Events with packets of one peer that may wait to be read; over it, reading from that peer stops.";
    "limits.packets_per_second_max" => config.limits.packets_per_second_max, "Frames a second that one peer may send for long, packets and others; 0 sets no bound.";
    "limits.beacon_checks_per_second_max" => config.limits.beacon_checks_per_second_max, "Signatures of beacons checked a second.";
    "limits.transfers_max" => config.limits.transfers_max, "Files that may be on their way here, and as many on their way from here.";
    "limits.file_chunks_max" => config.limits.file_chunks_max, "Chunks of one file that may come: 65536 are 4 GiB.";
    "limits.outputs_max" => config.limits.outputs_max, "Work that may wait inside the node; over it, reading stops.";
    "limits.tasks_max" => config.limits.tasks_max, "Network tasks under way: as many of others here, of ours there, and kept for peers that are away.";
    "limits.task_issuers_max" => config.limits.task_issuers_max, "Issuers of tasks that are remembered against replays, besides the authority.";
    "limits.data_entries_max" => config.limits.data_entries_max, "Keys in the data area, deleted ones included.";
    "limits.data_bytes_max" => config.limits.data_bytes_max, "Bytes of the data area.";
    "limits.labels_max" => config.limits.labels_max, "Labels that the authority gave to identities, and as many blocked ones.";
};

static LOG: &[Key] = keys! { false;
    "log.filter" => log.filter, "What is logged: \"off\", a level (error, warn, info, debug, trace), or a level for each category, as\nin \"warn,lan=debug\". Categories: lan, bootstrap, peers, widescan, files, driver.";
    "log.console" => log.console, "Whether the console (standard error) gets it: \"on\", \"off\", or \"auto\": unless a file is named.";
    "log.file" => log.file, "The file that gets it too; new lines go to its end.";
    "log.format" => log.format, "How a line looks: \"plain\" or \"json\".";
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_variables_are_unique() {
        let names: BTreeSet<_> = all().map(|key| key.name).collect();
        let variables: BTreeSet<_> = all().map(Key::variable).collect();
        assert_eq!(names.len(), all().count());
        assert_eq!(variables.len(), all().count());
    }

    #[test]
    fn every_key_reads_back_what_it_shows() {
        for key in all() {
            let mut settings = Settings::default();
            let shown = (key.show)(&settings);
            (key.set)(&mut settings, &Raw::Typed(shown.clone())).expect(key.name);
            assert_eq!((key.show)(&settings), shown, "{}", key.name);
        }
    }

    #[test]
    fn the_log_filter_names_every_category() {
        let doc = find("log.filter").unwrap().doc;
        let categories = crate::log::CATEGORIES.join(", ");
        assert!(doc.ends_with(&format!("Categories: {categories}.")), "{doc}");
    }

    #[test]
    fn slips_find_the_nearest_key() {
        assert_eq!(nearest("netwrok"), Some("network"));
        assert_eq!(nearest("lan.enable"), Some("lan.enabled"));
        assert_eq!(nearest("designated_ports"), Some("lan.designated_ports"));
        assert_eq!(nearest("limits.keep_alive"), Some("timing.keep_alive"));
        assert_eq!(nearest("xyzzyplugh"), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
