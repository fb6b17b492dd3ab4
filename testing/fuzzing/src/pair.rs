//! Two nodes, what happens to the bytes between them, and a model of what must come of it.
//!
//! The same harness runs as a fuzz target, which makes [`Op`]s from bytes, and as a property test, which makes them from
//! a strategy. After the story there is calm: nothing is hurt any more, time passes, and the two must find together.

mod model;
mod world;

pub use model::Outcome;

use crate::script::Script;
use world::World;

/// One of the two nodes.
pub type Side = usize;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A side dials the other.
    Dial(Side),
    /// At most so many bytes of each stream come to a side.
    Carry(Side, u16),
    /// A side's application sends a packet with so many bytes of filler, as bulk or as a message.
    Send(Side, bool, u16),
    /// A side's application gives back at most so many bytes of each lane.
    Release(Side, u16),
    /// So many milliseconds pass.
    Pass(u16),
    /// A side's operator decides something about the other.
    Decide(Side, Decision),
    /// The network does something to what is on its way to a side, at a place.
    Hurt(Side, Hurt, u16),
}

/// What an operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the core's commands")]
pub enum Decision {
    Disconnect,
    Block,
    Unblock,
    Trust,
    Untrust,
    Accept,
    Refuse,
    CloseDoor,
    OpenDoor,
}

/// What a network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurt {
    /// A bit flips.
    Flip,
    /// A byte goes missing.
    Drop,
    /// A byte comes twice.
    Duplicate,
    /// Two neighbours change places.
    Swap,
    /// The stream is reset.
    Reset,
}

/// How the two are set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// They share a secret.
    pub secret: bool,
    /// Incoming peers wait to be accepted.
    pub queue: bool,
    /// They sign with AES on one side only, so that the other cipher is agreed on.
    pub mixed_ciphers: bool,
}

/// Every decision.
pub const DECISIONS: [Decision; 9] = [
    Decision::Disconnect,
    Decision::Block,
    Decision::Unblock,
    Decision::Trust,
    Decision::Untrust,
    Decision::Accept,
    Decision::Refuse,
    Decision::CloseDoor,
    Decision::OpenDoor,
];

/// Everything that a network does.
pub const HURTS: [Hurt; 5] = [Hurt::Flip, Hurt::Drop, Hurt::Duplicate, Hurt::Swap, Hurt::Reset];

/// Tells the story and the calm after it.
///
/// # Panics
/// If the nodes break their contract or the model.
pub fn run(setup: Setup, ops: impl IntoIterator<Item = Op>) -> Outcome {
    let mut world = World::new(setup);
    for op in ops {
        world.happen(op);
    }
    world.calm_down();
    world.outcome()
}

/// The fuzz target: a byte of setup, then operations of three to four bytes.
pub(crate) fn run_script(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let choice = script.byte();
    let setup =
        Setup { secret: choice & 1 != 0, queue: choice & 2 != 0, mixed_ciphers: choice & 4 != 0 };
    let ops = std::iter::from_fn(|| (!script.is_over()).then(|| op(&mut script)));
    run(setup, ops).steps
}

fn op(script: &mut Script<'_>) -> Op {
    let choice = script.byte();
    let side = usize::from(choice >> 7);
    match choice % 16 {
        0 => Op::Dial(side),
        1..=5 => Op::Carry(side, script.word()),
        6..=8 => Op::Send(side, choice & 0x40 != 0, script.word() % 1100),
        9 => Op::Release(side, script.word()),
        10 | 11 => Op::Pass(script.word()),
        12 | 13 => Op::Decide(side, DECISIONS[usize::from(script.byte()) % DECISIONS.len()]),
        _ => Op::Hurt(side, HURTS[usize::from(script.byte()) % HURTS.len()], script.word()),
    }
}
