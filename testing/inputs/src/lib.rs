//! Millions of inputs to whole nodes, most of them wrong.
//!
//! A node under test lives among honest peers and a mob. The peers speak the protocol; what they say is split at random,
//! and now and then a bit flips, a piece is lost, doubled or cut. The mob opens connections and sends noise, replays and
//! mutilated beacons; and recorded inputs of every kind come back with random bytes changed, commands included. After
//! each input the node's outputs are drained and its promises checked ([`World::check`]).
//!
//! All crypto is simulated (a keyed hash of honest sizes), so that the state machine and not the curves are exercised.

pub mod heap;
mod world;

pub use world::{Counts, World};

use p2pnet_protocol::Limits;

/// How many inputs a node gets before it is replaced by a fresh one: some leave it blocked, closed or shut down.
const LIFE_INPUTS: u64 = 20_000;

/// What the world around the node may take beyond the nodes themselves: recordings, beacons, streams under way.
const WORLD_BYTES_MAX: usize = 16 << 20;

/// Gives a node so many inputs, and what came of it.
///
/// # Panics
/// If a promise is broken, or the node itself panics; the message names the life that does it again.
pub fn run(inputs: u64, seed: u64) -> Report {
    let mut report = Report::default();
    let mut life = seed;
    while report.counts.inputs < inputs {
        let told = OnPanic { life };
        let before = heap::used();
        heap::restart_peak();
        let mut world = World::new(life);
        let share = LIFE_INPUTS.min(inputs - report.counts.inputs);
        while world.counts.inputs < share {
            world.step();
        }
        world.check_at_the_end();
        let grown = heap::peak().saturating_sub(before);
        report.heap_peak_bytes = report.heap_peak_bytes.max(grown);
        report.counts.add(&world.counts);
        assert!(grown <= heap_bytes_max(), "{grown} bytes of heap, over {}", heap_bytes_max());
        std::mem::forget(told);
        life += 1;
    }
    report
}

/// What all nodes and the world around them may take at most.
fn heap_bytes_max() -> usize {
    let node = usize::try_from(Limits::small().total_bytes_max()).unwrap_or(usize::MAX);
    (world::PEERS + 1) * node + WORLD_BYTES_MAX
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// What happened, over all lives.
    pub counts: Counts,
    /// The most that the heap grew in one life; 0 unless [`heap::Counting`] is the program's allocator.
    pub heap_peak_bytes: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = &self.counts;
        write!(
            f,
            "{} inputs, no panic; {} channels, {} messages, {} handshakes failed, {} violations, {} beacons \
             accepted, {} refused; at most {} KiB of heap, of {} allowed",
            counts.inputs,
            counts.channels,
            counts.messages,
            counts.handshakes_failed,
            counts.violations,
            counts.beacons_accepted,
            counts.beacons_refused,
            self.heap_peak_bytes >> 10,
            heap_bytes_max() >> 10
        )
    }
}

/// Says how to do it again when something breaks.
struct OnPanic {
    life: u64,
}

impl Drop for OnPanic {
    fn drop(&mut self) {
        eprintln!(
            "again: cargo run --release -p p2pnet-inputs -- --inputs {LIFE_INPUTS} --seed {}",
            self.life
        );
    }
}
