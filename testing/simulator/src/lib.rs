//! A deterministic world: thousands of real [`PeerNetwork`](p2pnet_protocol::PeerNetwork)s in one thread and virtual time.
//!
//! Hosts stand in LANs, some behind NATs ([`NatBehaviour`], after RFC 4787). Links have latency, loss in bursts,
//! duplication, reordering, a rate and an MTU ([`Links`]). A run has three phases ([`Phases`]): nodes start and find each
//! other; things go wrong ([`Fault`]); nothing goes wrong any more, and at the end everything must be mended. Meanwhile
//! applications talk, and checkers watch ([`Checker`]).
//!
//! A run follows from its [`Scenario`] alone, byte for byte: [`Report::trace_hash`] is the fingerprint of everything that
//! every node did.
//!
//! ```
//! use p2pnet_simulator::{Phases, Scenario, run};
//! let phases = Phases { form_ms: 5_000, chaos_ms: 0, calm_ms: 10_000 };
//! let scenario = Scenario { nodes: 4, faults: Vec::new(), phases, ..Scenario::default() };
//! let report = run(&scenario, None, |_| {}).unwrap();
//! assert!(report.failures.is_empty(), "{:?}", report.failures);
//! assert!(report.messages_heard > 0);
//! ```

mod app;
mod chance;
mod checks;
mod fabric;
mod faults;
mod host;
mod memory;
mod nat;
mod node;
mod provider;
mod queue;
mod report;
mod said;
mod scenario;
mod shrink;
mod stream;
mod trace;
mod world;

pub use report::{Checker, Counts, Failure, Phase, Report};
pub use scenario::{
    CryptoKind, Dependence, Fault, LimitsKind, Links, NatBehaviour, Phases, Planted, Scenario,
    UnknownName,
};
pub use shrink::shrink;
pub use trace::{Replayed, Shown, TraceError, TraceFile, replay};

use p2pnet_protocol::Duration;
use provider::{Provider, Real, Simulated};
use world::World;

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The part of the run.
    pub phase: Phase,
    /// Virtual milliseconds so far.
    pub virtual_ms: u64,
    /// Virtual milliseconds in all.
    pub virtual_ms_total: u64,
    /// Nodes that run.
    pub running: u32,
    /// What happened so far.
    pub counts: Counts,
    /// Broken promises so far.
    pub failures: usize,
}

/// Runs a scenario to its end, telling how far it is every virtual second.
///
/// # Errors
/// What is wrong with the scenario, and what would do.
pub fn run(
    scenario: &Scenario,
    trace: Option<TraceFile>,
    progress: impl FnMut(Progress),
) -> Result<Report, String> {
    scenario.validate()?;
    Ok(match scenario.crypto {
        CryptoKind::Simulated => run_with::<Simulated>(scenario, trace, progress),
        CryptoKind::Real => run_with::<Real>(scenario, trace, progress),
    })
}

fn run_with<P: Provider>(
    scenario: &Scenario,
    trace: Option<TraceFile>,
    mut progress: impl FnMut(Progress),
) -> Report {
    const STEP: Duration = Duration::from_secs(1);
    let mut memory = memory::Watch::start();
    let mut world = World::<P>::new(scenario, trace);
    let total = scenario.phases.total();
    let end = world.fabric.now + total;
    world.plan_phases();
    while world.fabric.now < end {
        let next = (world.fabric.now + STEP).min(end);
        world.run_until(next);
        memory.look(world.phase == Phase::Calm);
        progress(Progress {
            phase: world.phase,
            virtual_ms: world.checks.millis(next),
            virtual_ms_total: u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
            running: u32::try_from(world.nodes.iter().flatten().count()).unwrap_or(u32::MAX),
            counts: world.fabric.counts,
            failures: world.checks.failures.len(),
        });
    }
    world.check_convergence();
    world.checks.something_happened(&world.fabric);
    let (counts, checks) = (world.fabric.counts, world.checks);
    Report {
        nodes: scenario.nodes,
        seed: scenario.seed,
        trace_hash: world.fabric.hash.finish(),
        virtual_ms: u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
        messages_sent: counts.messages_sent,
        messages_heard: counts.messages_heard,
        formed_ms: checks.formed_at.map(|at| checks.millis(at)),
        newcomer_found_ms: checks.newcomer_found_ms,
        broadcasts: scenario.broadcasts,
        broadcast_heard_min: checks.broadcast_heard_min(),
        bytes_per_node: memory.peak_grown() / u64::from(scenario.nodes.max(1)),
        resident_bytes: memory.calm(),
        counts,
        failures: checks.failures,
    }
}
