//! What the fuzz targets do, as plain functions.
//!
//! Each target is a function of bytes that panics if something is wrong: not only on a panic of the core, but also if
//! what was decoded has another encoding, if an output breaks the core's contract, if a model knows better, or if memory
//! grows beyond what the target may take. `fuzz/fuzz_targets` hands them what libFuzzer makes up, and `tests/corpus.rs`
//! every file of their corpora, on stable Rust, in each test run.
//!
//! | Module | Its targets |
//! |---|---|
//! | `decoders` | formats of the wire |
//! | `bootstrap`, `tasks` | records of bootstrap servers; network tasks |
//! | `texts` | what people write |
//! | `scan` | what a widescan reads |
//! | `noise` | the Noise handshake by itself |
//! | `streams` | a node and strangers |
//! | `channels` | a node and a peer that proves who it is and says anything at all, by the `speaker` |
//! | `lan` | a node and beacons |
//! | `recorded` | a node and arbitrary inputs |
//! | `pair` | two nodes, what happens to the bytes between them, and a model of both |
//!
//! `script` turns bytes into choices, `watch` holds a node's outputs against the contract, `seeds` makes the first
//! corpora from real encodings.

mod bootstrap;
mod channels;
mod decoders;
mod lan;
mod node;
mod noise;
pub mod pair;
mod recorded;
mod scan;
mod script;
pub mod seeds;
mod speaker;
mod streams;
mod tasks;
mod texts;
mod watch;

use p2pnet_inputs::heap;

/// What runs on each input.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// A decoder: each execution is one step.
    Decoder(fn(&[u8])),
    /// A story: it tells how many steps it had.
    Story(fn(&[u8]) -> u64),
}

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus and its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// What it looks at.
    pub what: &'static str,
    body: Body,
    /// The most bytes of heap that one execution may take at once, besides a multiple of its input.
    heap_bytes_max: usize,
}

/// What a decoder may take for each byte of its input: parsed forms are larger than bytes, by a constant.
const HEAP_BYTES_PER_BYTE: usize = 64;

const fn decoder(name: &'static str, what: &'static str, run: fn(&[u8])) -> Target {
    Target { name, what, body: Body::Decoder(run), heap_bytes_max: 8 << 10 }
}

/// One node: [`node::tight`] allows a mebibyte, and a chunk to be written may have another.
const fn story(name: &'static str, what: &'static str, run: fn(&[u8]) -> u64) -> Target {
    Target { name, what, body: Body::Story(run), heap_bytes_max: 5 << 19 }
}

/// Two nodes and the streams between them.
const fn story_of_two(name: &'static str, what: &'static str, run: fn(&[u8]) -> u64) -> Target {
    Target { name, what, body: Body::Story(run), heap_bytes_max: 6 << 20 }
}

/// A decoder of which a few bytes can tell of many chunks: a bit for each, and copies of them.
const fn decoder_of_records(name: &'static str, what: &'static str, run: fn(&[u8])) -> Target {
    Target { name, what, body: Body::Decoder(run), heap_bytes_max: 40 << 20 }
}

/// A decoder whose result is given to a whole node.
const fn decoder_of_nodes(name: &'static str, what: &'static str, run: fn(&[u8])) -> Target {
    Target { name, what, body: Body::Decoder(run), heap_bytes_max: 1 << 20 }
}

macro_rules! targets {
    ($($constant:ident = $make:ident($name:literal, $what:literal, $run:path);)*) => {
        $(
            #[doc = $what]
            pub const $constant: Target = $make($name, $what, $run);
        )*
        /// All targets.
        pub const TARGETS: &[Target] = &[$($constant),*];
    };
}

// Each is a constant of its own, so that a program holds the code of its own target alone: a fuzzer looks over all
// counters after each execution.
targets! {
    CODEC = decoder("codec", "varints, lengths, text", decoders::codec);
    BEACON = decoder("beacon", "beacons and their extensions", decoders::beacon);
    PACKET = decoder("packet", "packets of every kind", decoders::packet);
    ADDRESSES = decoder("addresses", "addresses and records of peers", decoders::addresses);
    FRAMES = decoder("frames", "what records hold, open frames among it", decoders::frames);
    PROOFS = decoder("proofs", "proofs of membership", decoders::proofs);
    CERTIFICATE = decoder("certificate", "certificates as bytes and as text", decoders::certificate);
    INPUT = decoder("input", "the recorder's encoding", recorded::input);
    HEX = decoder("hex", "ids, keys and signatures in hex", texts::hex);
    PREFIX = decoder("prefix", "prefixes and addresses as text", texts::prefix);
    NAMES = decoder("names", "names of networks, labels", texts::names);
    SETTINGS = decoder_of_nodes("settings", "policies, limits, lists, and their node", texts::settings);
    NOISE_INITIATOR = decoder("noise_initiator", "Noise: what an initiator reads", noise::initiator);
    NOISE_RESPONDER = decoder("noise_responder", "Noise: what a responder reads", noise::responder);
    NOISE_BOTH = decoder("noise_both", "Noise: two sides and a mutator", noise::both);
    RECORD = decoder_of_records("record", "records of unfinished files", p2pnet_storage::fuzzing::record);
    INDEX = decoder("index", "the index of stored files", p2pnet_storage::fuzzing::index);
    JOURNAL = decoder("journal", "the journal of a disk image", p2pnet_storage::fuzzing::journal);
    VHD = decoder("vhd", "the sectors that say what a disk image is", p2pnet_storage::fuzzing::vhd);
    STORED_NAME = decoder("stored_name", "names of received files", texts::stored_name);
    STRANGERS = story("strangers", "raw bytes on streams", streams::strangers);
    HANDSHAKE_IN = story("handshake_in", "payloads of an incoming handshake", channels::handshake_in);
    HANDSHAKE_OUT = story("handshake_out", "payloads of an outgoing handshake", channels::handshake_out);
    CHANNEL = story("channel", "frames from a proved peer", channels::channel);
    LAN = story("lan", "beacons through a node", lan::beacons);
    NODE = story("node", "arbitrary inputs of every kind", recorded::node);
    BOOTSTRAP = decoder("bootstrap", "records of bootstrap servers, delegations, pins", bootstrap::bootstrap);
    TASK = decoder("task", "network tasks, and what is kept of them", tasks::task);
    SCAN_INPUT = decoder("scan_input", "lists of prefixes, files of registries", scan::input);
    SCAN_TARGET = decoder_of_nodes("scan_target", "ranges and patterns as text, and their space", scan::target);
    SCAN_CURSOR = decoder("scan_cursor", "cursors of scans", scan::cursor);
    SCAN_PACKET = decoder("scan_packet", "packets that a scan hears", scan::packet);
    PAIR = story_of_two("pair", "two nodes, a mutator and a model", pair::run_script);
}

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Runs it on one input and gives the number of steps.
    ///
    /// # Panics
    /// If something is wrong. Memory is watched where [`heap::Counting`] is the program's allocator.
    pub fn run(&self, data: &[u8]) -> u64 {
        let before = heap::used();
        heap::restart_peak();
        let steps = match self.body {
            Body::Decoder(run) => {
                run(data);
                1
            }
            Body::Story(run) => run(data),
        };
        let grown = heap::peak().saturating_sub(before);
        let most = self.heap_bytes_max + HEAP_BYTES_PER_BYTE * data.len();
        assert!(grown <= most, "{}: {grown} bytes of heap, over {most}", self.name);
        steps
    }
}
