//! Two nodes under arbitrary operations, against the model: who is connected, how far trusted, and that what was sent
//! arrives in order, exactly once.

use p2pnet_fuzzing::pair::{DECISIONS, HURTS, Op, Outcome, Setup, run};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;

fn setups() -> impl Strategy<Value = Setup> {
    any::<[bool; 3]>().prop_map(|[secret, queue, mixed_ciphers]| Setup {
        secret,
        queue,
        mixed_ciphers,
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let side = 0usize..2;
    let op = prop_oneof![
        2 => side.clone().prop_map(Op::Dial),
        8 => (side.clone(), any::<u16>()).prop_map(|(to, bytes)| Op::Carry(to, bytes)),
        4 => (side.clone(), 0u16..200).prop_map(|(to, bytes)| Op::Carry(to, bytes)),
        6 => (side.clone(), any::<bool>(), 0u16..1100)
            .prop_map(|(from, bulk, size)| Op::Send(from, bulk, size)),
        2 => (side.clone(), any::<u16>()).prop_map(|(at, bytes)| Op::Release(at, bytes)),
        2 => (0u16..3000).prop_map(Op::Pass),
        1 => any::<u16>().prop_map(Op::Pass),
        2 => (side.clone(), select(&DECISIONS[..])).prop_map(|(at, what)| Op::Decide(at, what)),
        1 => (side, select(&HURTS[..]), any::<u16>())
            .prop_map(|(to, how, at)| Op::Hurt(to, how, at)),
    ];
    prop::collection::vec(op, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/pair.txt"),
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn two_nodes_keep_to_the_model(setup in setups(), ops in ops()) {
        run(setup, ops);
    }

    #[test]
    fn the_same_story_has_the_same_end(setup in setups(), ops in ops()) {
        prop_assert_eq!(run(setup, ops.clone()), run(setup, ops));
    }
}

/// A model that nothing is held against would pass too.
#[test]
fn stories_are_not_empty() {
    let carry = [Op::Carry(1, u16::MAX), Op::Carry(0, u16::MAX)];
    let meet = [&[Op::Dial(0)][..], &carry.repeat(4)].concat();
    let talk = [Op::Send(0, false, 100), Op::Send(0, true, 900), Op::Send(1, false, 0)];
    let setup = Setup { secret: true, ..Setup::default() };
    let quiet = run(setup, [&meet[..], &talk, &carry].concat());
    // Two on each side, and two hellos when all is calm.
    assert_eq!((quiet.channels, quiet.arrived, quiet.hurt), (2, 5, 0), "{quiet:?}");
    let hurt = [Op::Send(0, false, 100), Op::Carry(1, 0), Op::Carry(1, 1)];
    let hurt = [&hurt[..], &[Op::Hurt(1, HURTS[0], 30)], &carry].concat();
    let hurt = run(setup, [&meet[..], &hurt].concat());
    assert_eq!(hurt.hurt, 1);
    assert!(hurt.channels >= 4, "a hurt channel ends, and another takes its place: {hurt:?}");
    assert_ne!(quiet, Outcome::default());
}
